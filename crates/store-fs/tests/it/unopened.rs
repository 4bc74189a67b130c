//! "The log does not open": every error on a real directory, as an operator reads it. The chapter of
//! that name in docs/OPERATING.md says of each what to restore; `expect-test` keeps the texts here.

#![allow(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use expect_test::expect;
use payonce_core::{EventSource, EventStore, LedgerId};
use payonce_store_fs::{
    FsError, FsReader, FsStore, Options,
    model::{
        Fault, Image, ModelDisk,
        damage::{self, find},
    },
};

use crate::support::{self, BATCHES, SMALL, Sample};

/// What is said, one paragraph a situation.
#[derive(Default)]
struct Said(String);

impl Said {
    fn note(&mut self, situation: &str, error: &FsError) {
        let text = error.to_string();
        assert!(std::error::Error::source(error).is_none(), "its text says it all: {text}");
        assert!(!text.contains('\n'), "{text}");
        writeln!(self.0, "{situation}\n  {text}\n").expect("memory");
    }

    /// Opens the log for writing and for reading.
    fn open(&mut self, situation: &str, path: &Path) {
        let error = FsStore::open(path, SMALL).map(drop).expect_err(situation);
        let read = FsReader::open(path).map(drop);
        if let Err(read) = &read {
            assert_eq!(read.to_string(), error.to_string(), "{situation}");
        }
        self.note(situation, &error);
    }
}

/// A directory for one situation after the other.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(support::directory())
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// A log of these files, in place of the last one.
    fn lay(&self, image: &Image) -> PathBuf {
        let log = self.log();
        let _ = fs::remove_dir_all(&log);
        fs::create_dir(&log).expect("new");
        for (name, bytes) in image {
            fs::write(log.join(name), bytes).expect("writable");
        }
        log
    }

    /// As on an operator's machine.
    fn shown(&self, said: &Said) -> String {
        let own = self.0.path().to_str().expect("plain");
        let process = format!("process {}", std::process::id());
        said.0.replace(own, "/var/lib/node").replace(&process, "process 4711")
    }
}

fn sample() -> Sample {
    support::sample(BATCHES, &[3, 7], true)
}

/// The sample's files but those named, or with one changed.
fn but(sample: &Sample, gone: impl Fn(&str) -> bool) -> Image {
    let mut image = sample.image.clone();
    image.retain(|name, _| !gone(name));
    image
}

#[test]
fn where_there_is_no_log() {
    let place = Place::new();
    let mut said = Said::default();
    let log = place.log();
    said.open("the volume is not mounted, or the path is wrong", &log);
    fs::create_dir(&log).expect("new");
    said.open("the directory is empty", &log);
    fs::write(log.join("wallet.dat"), b"somebody else's").expect("writable");
    let create = |log: &Path| FsStore::create(log, support::ledger(), SMALL).map(drop);
    said.note("created among files of somebody else", &create(&log).expect_err("in use"));
    let log = place.lay(&sample().image);
    said.note("created where there is a log", &create(&log).expect_err("there is one"));
    let log = place.lay(&but(&sample(), |name| name.ends_with(".log")));
    said.note("created where there was a log", &create(&log).expect_err("there was one"));
    said.open("all segments are gone", &log);
    fs::remove_dir_all(&log).expect("it is there");
    fs::write(&log, b"a file").expect("writable");
    said.open("a file in place of the directory", &log);
    let nested = place.0.path().join("missing/log");
    said.note("created where the parent is missing", &create(&nested).expect_err("no parent"));
    let options = Options { segment_bytes: 100, ..SMALL };
    let error = FsStore::create(&nested, support::ledger(), options).map(drop);
    said.note("options that cannot work", &error.expect_err("too small"));
    expect![[r#"
        the volume is not mounted, or the path is wrong
          there is no payonce log in /var/lib/node/log: if there was one, mount its volume, correct the path or restore it; create one only for the first start of a node

        the directory is empty
          there is no payonce log in /var/lib/node/log: if there was one, mount its volume, correct the path or restore it; create one only for the first start of a node

        created among files of somebody else
          /var/lib/node/log holds wallet.dat already: a new log needs an empty directory of its own

        created where there is a log
          there is a payonce log in /var/lib/node/log already: open it, it is not the first start

        created where there was a log
          /var/lib/node/log/newest belongs to the log of ledger 0707070707070707070707070707070707070707070707070707070707070707, but no segment of it is there: restore the segments; a new log in their place would pay again what was paid

        all segments are gone
          /var/lib/node/log/newest belongs to the log of ledger 0707070707070707070707070707070707070707070707070707070707070707, but no segment of it is there: restore the segments; a new log in their place would pay again what was paid

        a file in place of the directory
          /var/lib/node/log is not a directory: give the directory that holds the log

        created where the parent is missing
          cannot create /var/lib/node/missing/log: No such file or directory (os error 2); see that the path is right and its volume mounted

        options that cannot work
          segment_bytes is 100; it must be from 1024 to 1073741824

    "#]].assert_eq(&place.shown(&said));
}

#[test]
fn where_another_writer_is() {
    let place = Place::new();
    let mut said = Said::default();
    let log = place.log();
    let (mut store, _) = FsStore::create(&log, support::ledger(), SMALL).expect("new");
    let error = FsStore::open(&log, SMALL).map(drop).expect_err("one is at work");
    said.note("another writer is at work", &error);
    fs::remove_file(log.join("lock")).expect("it is there");
    let error = FsStore::open(&log, SMALL).map(drop).expect_err("one is at work");
    said.note("another writer is at work, and somebody deleted its lock file", &error);
    fs::rename(&log, place.0.path().join("elsewhere")).expect("moved");
    let batch = support::batch(store.head().expect("sound"), &[1]);
    let error = store.append(&batch).expect_err("it is elsewhere");
    let payonce_core::StoreError::Backend(error) = error else { panic!("{error}") };
    let error = error.downcast_ref::<FsError>().expect("of this store");
    said.note("the directory was moved away under the writer", error);
    drop(store);
    fs::rename(place.0.path().join("elsewhere"), &log).expect("moved");
    let (mut store, _) = FsStore::open(&log, SMALL).expect("sound");
    let newest = fs::OpenOptions::new().write(true).open(log.join("00000000000000000001.log"));
    newest.expect("it is there").set_len(600).expect("cut");
    let batch = support::batch(store.head().expect("sound"), &[1]);
    let error = store.append(&batch).expect_err("it was cut");
    let payonce_core::StoreError::Backend(error) = error else { panic!("{error}") };
    let error = error.downcast_ref::<FsError>().expect("of this store");
    said.note("the newest segment was cut under the writer", error);
    expect![[r#"
        another writer is at work
          another writer (process 4711) has the log open and holds /var/lib/node/log/lock: stop it and open again; never delete a file of the log to get past this, two writers would lose each other's payments

        another writer is at work, and somebody deleted its lock file
          another writer has the log open and holds /var/lib/node/log/lock: stop it and open again; never delete a file of the log to get past this, two writers would lose each other's payments

        the directory was moved away under the writer
          /var/lib/node/log/00000000000000000001.log is not the file that this writer holds any more: it was removed, the directory was moved or replaced, or another writer has opened the log; stop all writers, restore what was removed, see which directory is the right one, and open that

        the newest segment was cut under the writer
          /var/lib/node/log/00000000000000000001.log was cut under its writer: it has 600 bytes and had 1024; stop whatever cut it (a rotation of logs, perhaps), restore the file and open again

    "#]].assert_eq(&place.shown(&said));
}

#[test]
fn where_files_are_missing_or_doubled() {
    let (place, mut said, sample) = (Place::new(), Said::default(), sample());
    let names = support::segments(&sample.image);
    let newest = names.last().expect("three");
    let (images, whole) = (
        damage::of_names(&sample.image),
        damage::of_names(&support::sample(BATCHES, &[], false).image),
    );
    let lost = "the newest segment and the record of it are missing";
    for (situation, images, what) in [
        ("the newest segment is missing", &images, None),
        ("and so is the record of it", &images, Some(lost)),
        ("a segment in the middle is missing", &images, None),
        ("the first segment is missing", &whole, None),
        ("the base is missing", &images, None),
        ("a copy beside the segment", &images, None),
        ("a segment under another name", &images, None),
    ] {
        said.open(situation, &place.lay(&find(images, what.unwrap_or(situation))));
    }
    let log = place.lay(&sample.image);
    fs::remove_file(log.join(newest)).expect("it is there");
    fs::create_dir(log.join(newest)).expect("new");
    said.open("a directory in place of a segment", &log);
    expect![[r#"
        the newest segment is missing
          /var/lib/node/log/00000000000000000133.log is missing, the newest segment: the log has lost its end; restore the file; only if it is lost for good, remove /var/lib/node/log/newest and open with the head that the node knows

        and so is the record of it
          /var/lib/node/log/00000000000000000137.snap was taken at seq 137, but the log ends at seq 132: its end is missing; restore the newest segments; only if they are lost for good, remove /var/lib/node/log/00000000000000000137.snap and open with the head that the node knows

        a segment in the middle is missing
          history is missing before seq 133: /var/lib/node/log/00000000000000000133.log does not follow what is there; restore the files in between

        the first segment is missing
          /var/lib/node/log/00000000000000000065.log starts at seq 65, and there is no base for what was before: restore the file that ends in .base, or the segments before it

        the base is missing
          /var/lib/node/log/00000000000000000065.log starts at seq 65, and there is no base for what was before: restore the file that ends in .base, or the segments before it

        a copy beside the segment
          /var/lib/node/log/00000000000000000065.log and /var/lib/node/log/copy of 00000000000000000065.log both start at seq 65: move the one that is a copy out of the directory

        a segment under another name
          /var/lib/node/log/copy of 00000000000000000065.log starts at seq 65: give it back its name, 00000000000000000065.log

        a directory in place of a segment
          cannot open /var/lib/node/log/00000000000000000133.log: it is no regular file but a link, a pipe or the like; move it away, and restore the file of the log if there was one

    "#]].assert_eq(&place.shown(&said));
}

#[test]
fn where_files_are_damaged_or_of_another_log() {
    let (place, mut said, sample) = (Place::new(), Said::default(), sample());
    let names = support::segments(&sample.image);
    let base = sample.image.keys().find(|name| name.ends_with(".base")).expect("one").clone();
    let flipped = |name: &str, at| damage::flipped(&sample.image, name, at, 0x20).image;
    said.open("a byte of the newest segment's header", &place.lay(&flipped(&names[2], 40)));
    said.open("its magic bytes", &place.lay(&flipped(&names[2], 0)));
    said.open("a byte of an entry in it", &place.lay(&flipped(&names[2], 540)));
    said.open("a byte of the base", &place.lay(&flipped(&base, 600)));
    said.open("a byte of the record of the newest segment", &place.lay(&flipped("newest", 20)));
    let log = place.lay(&flipped("lock", 3));
    let error = FsStore::open(&log, SMALL).map(drop).expect_err("damaged");
    said.note("a byte of the lock file", &error);
    let mut image = sample.image.clone();
    image.get_mut(&names[2]).expect("it is there").truncate(100);
    said.open("the newest segment is cut in its header", &place.lay(&image));
    let disk = ModelDisk::from_image(&sample.image);
    drop(FsStore::open_on(disk.clone(), SMALL).expect("sound"));
    let mut image = disk.image();
    image.get_mut(&names[2]).expect("it is there").truncate(520);
    said.open("the newest segment was cut after the log was closed", &place.lay(&image));
    let log = place.lay(&flipped(&names[1], 540));
    let (store, _) = FsStore::open(&log, SMALL).expect("older entries are read later");
    said.note("a byte of an older entry, found by verify", &store.verify().expect_err("damaged"));
    drop(store);

    let images = damage::of_origin(&sample.image);
    for situation in [
        "a segment of another ledger",
        "the record of another ledger",
        "a segment of a newer program",
        "a base of another chain",
    ] {
        said.open(situation, &place.lay(&find(&images, situation)));
    }
    expect![[r#"
        a byte of the newest segment's header
          /var/lib/node/log/00000000000000000133.log is damaged at byte 8: the file header fails its checksum; restore the file from a copy

        its magic bytes
          /var/lib/node/log/00000000000000000133.log is damaged at byte 0: it does not start with the magic bytes of a payonce file; restore the file from a copy

        a byte of an entry in it
          /var/lib/node/log/00000000000000000133.log is damaged at byte 512: an entry fails its checksum; restore the file from a copy

        a byte of the base
          /var/lib/node/log/00000000000000000064.base is damaged at byte 512: the snapshot fails its checksum; restore the file from a copy

        a byte of the record of the newest segment
          /var/lib/node/log/newest is damaged at byte 8: the file header fails its checksum; if all segments are there it can be removed, and is made anew

        a byte of the lock file
          /var/lib/node/log/lock is damaged at byte 0: it is not the lock file of a payonce log; move it away if it is somebody else's

        the newest segment is cut in its header
          /var/lib/node/log/00000000000000000133.log is damaged at byte 100: it ends too early; restore the file from a copy

        the newest segment was cut after the log was closed
          /var/lib/node/log/00000000000000000133.log ends at seq 132, but its writer left it at seq 137: the log has lost its end; restore the file; only if it is lost for good, remove /var/lib/node/log/newest and open with the head that the node knows

        a byte of an older entry, found by verify
          /var/lib/node/log/00000000000000000065.log is damaged at byte 512: an entry fails its checksum; restore the file from a copy

        a segment of another ledger
          /var/lib/node/log/00000000000000000065.log belongs to ledger 0909090909090909090909090909090909090909090909090909090909090909, not to 0707070707070707070707070707070707070707070707070707070707070707: move it to where it belongs, and restore the one of this log if it took its place

        the record of another ledger
          /var/lib/node/log/newest belongs to ledger 0909090909090909090909090909090909090909090909090909090909090909, not to 0707070707070707070707070707070707070707070707070707070707070707: move it to where it belongs, and restore the one of this log if it took its place

        a segment of a newer program
          /var/lib/node/log/00000000000000000065.log has format version 2; this program reads up to 1: use a newer one

        a base of another chain
          /var/lib/node/log/00000000000000000064.base was taken at seq 64, but is no state of this log: the chain differs; restore the base of this log

    "#]].assert_eq(&place.shown(&said));
}

/// What no directory of a test can be made to say: root may everything.
#[test]
fn what_the_system_says() {
    use std::io::ErrorKind;

    let sample = support::sample(BATCHES, &[], false);
    let mut said = Said::default();
    for (situation, kind) in [
        ("another user's directory", ErrorKind::PermissionDenied),
        ("a read-only file system", ErrorKind::ReadOnlyFilesystem),
        ("a full disk without a reserve", ErrorKind::StorageFull),
        ("a quota that is used up", ErrorKind::QuotaExceeded),
        ("a broken disk", ErrorKind::Other),
    ] {
        let disk = ModelDisk::from_image(&sample.image);
        // Opening the lock file.
        disk.fail_nth(2, Fault::Error(kind));
        let error = FsStore::open_on(disk, SMALL).map(drop).expect_err(situation);
        said.note(situation, &error);
    }
    let disk = ModelDisk::from_image(&sample.image);
    let reader = FsReader::open_on(&disk).expect("sound");
    let (mut store, _) = FsStore::open_on(disk, SMALL).expect("sound");
    let head = store.head().expect("sound");
    store.save_snapshot(head, b"state").expect("sound");
    store.drop_history(head).expect("saved");
    let error = reader.verify().expect_err("dropped");
    said.note("a reader beside a writer that drops history", &error);
    expect![[r#"
        another user's directory
          cannot open model/lock: permission denied; run as the user that owns the directory, or give the whole directory to this one

        a read-only file system
          cannot open model/lock: read-only filesystem or storage medium; see in the system's log why it is read-only, and mount it for writing

        a full disk without a reserve
          cannot open model/lock: no storage space; make room on the disk and open again

        a quota that is used up
          cannot open model/lock: quota exceeded; make room on the disk and open again

        a broken disk
          cannot open model/lock: other error; see in the system's log what the disk says, then open again

        a reader beside a writer that drops history
          model/00000000000000000001.log changes while it is read: a writer is at work; try again

    "#]].assert_eq(&said.0);
}

#[test]
fn names_of_any_bytes_are_shown() {
    use std::os::unix::ffi::OsStrExt;

    let place = Place::new();
    let odd = place.0.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    let mut said = Said::default();
    let error = FsStore::open(&odd, SMALL).map(drop).expect_err("nothing there");
    said.note("a path that is no UTF-8", &error);
    fs::create_dir(&odd).expect("new");
    fs::write(odd.join(std::ffi::OsStr::from_bytes(b"\xff.log")), b"mine").expect("writable");
    let ledger = LedgerId::from_bytes([7; 32]);
    let error = FsStore::create(&odd, ledger, SMALL).map(drop).expect_err("in use");
    said.note("a file in it that is no UTF-8 either", &error);
    expect![[r#"
        a path that is no UTF-8
          there is no payonce log in "/var/lib/node/caf\xE9": if there was one, mount its volume, correct the path or restore it; create one only for the first start of a node

        a file in it that is no UTF-8 either
          "/var/lib/node/caf\xE9" holds "\xFF.log" already: a new log needs an empty directory of its own

    "#]].assert_eq(&place.shown(&said));
}
