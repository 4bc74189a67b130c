/*
 * A disk that refuses to write when it is told to, for the test `medium`.
 *
 *     disk BACKING MOUNTPOINT
 *
 * shows two files under the mountpoint: `disk`, whose bytes are those of BACKING, and `refuse`. A
 * number written to `refuse` is how many of the next large writes to `disk` fail with EIO; what is
 * read from it is how many have failed so far.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Smaller writes are those of the file system's own records. */
enum { LARGE_BYTES = 16 * 1024 };

static int backing;
static off_t backing_bytes;
static long to_refuse, refused;

static int is_disk(const char *path) { return strcmp(path, "/disk") == 0; }
static int is_refuse(const char *path) { return strcmp(path, "/refuse") == 0; }

static int tell_attributes(const char *path, struct stat *about, struct fuse_file_info *file) {
    (void)file;
    memset(about, 0, sizeof *about);
    about->st_nlink = 1;
    if (strcmp(path, "/") == 0) {
        about->st_mode = S_IFDIR | 0700;
        about->st_nlink = 2;
    } else if (is_disk(path) || is_refuse(path)) {
        about->st_mode = S_IFREG | 0600;
        about->st_size = is_disk(path) ? backing_bytes : 0;
    } else {
        return -ENOENT;
    }
    return 0;
}

static int tell_names(const char *path, void *names, fuse_fill_dir_t add, off_t from,
                      struct fuse_file_info *file, enum fuse_readdir_flags flags) {
    (void)path, (void)from, (void)file, (void)flags;
    add(names, "disk", NULL, 0, 0);
    add(names, "refuse", NULL, 0, 0);
    return 0;
}

static int open_file(const char *path, struct fuse_file_info *file) {
    file->direct_io = is_refuse(path);
    return 0;
}

static int cut_file(const char *path, off_t bytes, struct fuse_file_info *file) {
    (void)path, (void)bytes, (void)file;
    return 0;
}

static int read_file(const char *path, char *into, size_t bytes, off_t at,
                     struct fuse_file_info *file) {
    (void)file;
    if (is_refuse(path)) {
        char text[32];
        size_t length = (size_t)snprintf(text, sizeof text, "%ld\n", refused);
        if ((size_t)at >= length) return 0;
        if (bytes > length - (size_t)at) bytes = length - (size_t)at;
        memcpy(into, text + at, bytes);
        return (int)bytes;
    }
    ssize_t done = pread(backing, into, bytes, at);
    return done < 0 ? -errno : (int)done;
}

static int write_file(const char *path, const char *from, size_t bytes, off_t at,
                      struct fuse_file_info *file) {
    (void)file;
    if (is_refuse(path)) {
        char text[32] = {0};
        memcpy(text, from, bytes < sizeof text ? bytes : sizeof text - 1);
        to_refuse = strtol(text, NULL, 10);
        return (int)bytes;
    }
    if (to_refuse > 0 && bytes >= LARGE_BYTES) {
        to_refuse--;
        refused++;
        return -EIO;
    }
    ssize_t done = pwrite(backing, from, bytes, at);
    return done < 0 ? -errno : (int)done;
}

static int sync_file(const char *path, int data_only, struct fuse_file_info *file) {
    (void)path, (void)data_only, (void)file;
    return 0;
}

static const struct fuse_operations operations = {
    .getattr = tell_attributes,
    .readdir = tell_names,
    .open = open_file,
    .truncate = cut_file,
    .read = read_file,
    .write = write_file,
    .fsync = sync_file,
};

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "disk BACKING MOUNTPOINT\n");
        return 2;
    }
    backing = open(arguments[1], O_RDWR);
    backing_bytes = lseek(backing, 0, SEEK_END);
    if (backing < 0 || backing_bytes < 0) {
        perror(arguments[1]);
        return 1;
    }
    /* In the foreground, one request after the other. */
    char *options[] = {arguments[0], "-f", "-s", arguments[2], NULL};
    return fuse_main(4, options, &operations, NULL);
}
