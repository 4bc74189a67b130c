//! A directory of a Unix file system, kept open: operations take place in it, whatever happens to its
//! path meanwhile.

use std::{
    ffi::OsStr,
    fs::{File, TryLockError},
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FallocateFlags, FileType, Mode, OFlags, Stat, fallocate, fstat, fsync,
        mkdirat, openat, renameat, statat, unlinkat,
    },
    io::{Errno, retry_on_intr},
};

use crate::{
    disk::{Access, Disk, DiskFile, Listed, Stamp, write_zeros},
    names::shown,
};

/// How long to wait for a child that is being started to run its own program.
const CHILD_STARTS: Duration = Duration::from_millis(250);

/// A directory of the file system.
///
/// Linux is the supported platform. On other systems a sync does not always reach the medium, and
/// nothing is promised.
#[derive(Debug, Clone)]
pub struct RealDisk {
    directory: Arc<OwnedFd>,
    /// Absolute, so that it leads to the same place wherever the process goes.
    path: Arc<Path>,
}

impl RealDisk {
    /// Opens the directory at this path.
    ///
    /// # Errors
    /// What the operating system says: that it does not exist, or is not a directory.
    pub fn open(directory: impl AsRef<Path>) -> io::Result<Self> {
        let path = std::path::absolute(directory)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = retry_on_intr(|| openat(CWD, &path, flags, Mode::empty()))?;
        Ok(Self { directory: Arc::new(directory), path: path.into() })
    }

    /// Creates the directory, for its owner only, if it does not exist, makes its name durable, and
    /// opens it.
    ///
    /// # Errors
    /// What the operating system says; the parent must exist.
    pub fn create(directory: impl AsRef<Path>) -> io::Result<Self> {
        let path = std::path::absolute(directory)?;
        match retry_on_intr(|| mkdirat(CWD, &path, Mode::RWXU)) {
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => {
                if let Some(parent) = path.parent() {
                    Self::open(parent)?.sync_names()?;
                }
            }
        }
        Self::open(path)
    }

    /// The absolute path that the directory was opened at.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.path
    }

    /// Mostly the directory entry tells; if it does not, the file itself is asked.
    fn is_file(&self, name: &std::ffi::CStr, told: FileType) -> io::Result<bool> {
        if told != FileType::Unknown {
            return Ok(told == FileType::RegularFile);
        }
        match retry_on_intr(|| statat(&*self.directory, name, AtFlags::SYMLINK_NOFOLLOW)) {
            Err(Errno::NOENT) => Ok(false),
            asked => Ok(file_type(&asked?) == FileType::RegularFile),
        }
    }
}

fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

impl Disk for RealDisk {
    type File = File;

    fn list(&self) -> io::Result<Vec<Listed>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&*self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                let is_file = self.is_file(name, entry.file_type())?;
                let name = OsStr::from_bytes(name.to_bytes()).to_owned();
                found.push(Listed { name, is_file });
            }
        }
        Ok(found)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<File> {
        // A pipe is opened at once and then refused; a regular file does not mind.
        let common = OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
            Access::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let mode = Mode::RUSR | Mode::WUSR;
        let file = match retry_on_intr(|| openat(&*self.directory, name, flags | common, mode)) {
            // A link, or (for writing) a directory or a socket.
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(not_a_file()),
            file => File::from(file?),
        };
        if file_type(&fstat(&file)?) == FileType::RegularFile {
            Ok(file)
        } else {
            Err(not_a_file())
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&*self.directory, from, &*self.directory, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&*self.directory, name, AtFlags::empty())?)
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(fsync(&*self.directory)?)
    }

    fn try_hold(&self) -> io::Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let held = File::from(openat(&*self.directory, ".", flags, Mode::empty())?);
        Ok(DiskFile::try_lock(&held)?.then_some(held))
    }

    fn leads_to(&self, name: &str, file: &File) -> io::Result<bool> {
        let found = match statat(CWD, self.path.join(name), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            found => found?,
        };
        let own = fstat(file)?;
        Ok((found.st_dev, found.st_ino) == (own.st_dev, own.st_ino))
    }

    fn fresh_salt(&self) -> io::Result<u64> {
        Ok(getrandom::u64()?)
    }

    fn process(&self) -> u32 {
        std::process::id()
    }

    fn place(&self, name: &str) -> String {
        let path: PathBuf =
            if name.is_empty() { (*self.path).into() } else { self.path.join(name) };
        shown(path.as_os_str())
    }
}

fn not_a_file() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "it is no regular file but a link, a pipe or the like",
    )
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match retry_on_intr(|| fallocate(self, FallocateFlags::empty(), 0, bytes)) {
            // A file system that cannot allocate: the zeros that are written take the space.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                let end = usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
                write_zeros(self, 0..end)
            }
            taken => Ok(taken?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn stamp(&self) -> io::Result<Stamp> {
        let stat = fstat(self)?;
        // Only ever compared: whether they are signed differs between systems.
        #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "only compared")]
        let changed_nanos =
            (i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec)) as u64;
        Ok(Stamp { inode: stat.st_ino, changed_nanos })
    }

    /// The process that had the lock may be gone, except for a child that it was starting: the child has
    /// its parent's locks until it runs its own program. The system cannot wait for a file lock with a
    /// time limit, so this tries repeatedly: a second writer learns that the log is locked after a
    /// quarter of a second.
    fn try_lock(&self) -> io::Result<bool> {
        let begun = Instant::now();
        loop {
            match File::try_lock(self) {
                Ok(()) => return Ok(true),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if begun.elapsed() >= CHILD_STARTS => {
                    return Ok(false);
                }
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}
