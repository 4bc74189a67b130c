//! The names of the files of a log, and opening them by name.

use std::{ffi::OsStr, io};

use crate::{
    disk::{Access, Disk, DiskFile, read_full, write_full},
    error::FsError,
};

/// The lock file. It is never removed: a lock on a removed file excludes nobody.
pub(crate) const LOCK: &str = "lock";
/// The file that says which segment is the newest, and whether it was closed.
pub(crate) const NEWEST: &str = "newest";
/// Space for opening on a full disk.
pub(crate) const RESERVE: &str = "reserve";
/// Space for appending on a full disk.
pub(crate) const SPARE: &str = "spare";

/// The action of making names durable, as errors name it: after its failure the names are unknown.
pub(crate) const SYNC_NAMES: &str = "sync the directory";

const SEGMENT: &str = ".log";
const SNAPSHOT: &str = ".snap";
const BASE: &str = ".base";
const UNFINISHED: &str = ".tmp";
const CUT: &str = ".cut";

/// What a name says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lock,
    Newest,
    Reserve,
    /// Its first seq is in its header, not only in its name.
    Segment,
    /// Named similarly to a segment: a copy under another name, or another program's file.
    PerhapsSegment,
    /// Taken at this seq.
    Snapshot(u64),
    /// Taken at this seq.
    Base(u64),
    /// Cut off the segment that starts at this seq.
    Cut(u64),
    /// A file of payonce's that a crash left unfinished.
    Unfinished,
    Other,
}

/// Only a name of exactly payonce's form counts as a file of payonce's.
pub(crate) fn kind(name: &str) -> Kind {
    let numbered = |ending| name.strip_suffix(ending).and_then(number);
    match name {
        LOCK => return Kind::Lock,
        NEWEST => return Kind::Newest,
        RESERVE | SPARE => return Kind::Reserve,
        _ => {}
    }
    if numbered(SEGMENT).is_some() {
        Kind::Segment
    } else if name.ends_with(SEGMENT) {
        Kind::PerhapsSegment
    } else if let Some(seq) = numbered(SNAPSHOT) {
        Kind::Snapshot(seq)
    } else if let Some(seq) = numbered(BASE) {
        Kind::Base(seq)
    } else if let Some(first_seq) = name.strip_suffix(CUT).and_then(cut_from) {
        Kind::Cut(first_seq)
    } else if name.strip_suffix(UNFINISHED).is_some_and(is_made_whole) {
        Kind::Unfinished
    } else {
        Kind::Other
    }
}

/// Whether the file of this name is made under another one first.
fn is_made_whole(name: &str) -> bool {
    !matches!(kind(name), Kind::Lock | Kind::PerhapsSegment | Kind::Unfinished | Kind::Other)
}

fn number(digits: &str) -> Option<u64> {
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The first seq of the segment that a file of this name, less its ending, was cut from.
fn cut_from(name: &str) -> Option<u64> {
    let (first_seq, place) = name.split_once('-')?;
    let (offset, nth) = place.split_once('-')?;
    let first_seq = number(first_seq)?;
    (offset.parse::<u64>().is_ok() && nth.parse::<u32>().is_ok()).then_some(first_seq)
}

pub(crate) fn segment(first_seq: u64) -> String {
    format!("{first_seq:020}{SEGMENT}")
}

pub(crate) fn snapshot(at: u64) -> String {
    format!("{at:020}{SNAPSHOT}")
}

pub(crate) fn base(at: u64) -> String {
    format!("{at:020}{BASE}")
}

/// A name as it can be printed on one line, whatever bytes it is made of.
#[allow(clippy::unnecessary_debug_formatting, reason = "it escapes what cannot be printed")]
pub(crate) fn shown(name: &OsStr) -> String {
    match name.to_str() {
        Some(plain) if !plain.contains(char::is_control) => plain.into(),
        _ => format!("{name:?}"),
    }
}

/// The name of a cut tail: the segment's first seq, the offset of the cut, and the number of the cut
/// there.
pub(crate) fn cut(first_seq: u64, offset: usize, nth: u32) -> String {
    format!("{first_seq:020}-{offset}-{nth}{CUT}")
}

/// Turns what the operating system says into an error that names the file.
pub(crate) fn io_error<D: Disk>(
    action: &'static str,
    disk: &D,
    name: &str,
) -> impl FnOnce(io::Error) -> FsError {
    move |reason| FsError::Io { action, place: disk.place(name), reason }
}

pub(crate) fn open<D: Disk>(disk: &D, name: &str, access: Access) -> Result<D::File, FsError> {
    disk.open(name, access).map_err(io_error("open", disk, name))
}

/// Reads the first `most` bytes of a file into `into`, or all if it has fewer.
pub(crate) fn read_start<D: Disk>(
    disk: &D,
    name: &str,
    most: usize,
    into: &mut Vec<u8>,
) -> Result<(), FsError> {
    let file = open(disk, name, Access::Read)?;
    into.resize(most, 0);
    let read = read_full(&file, into, 0).map_err(io_error("read", disk, name))?;
    into.truncate(read);
    Ok(())
}

/// Creates a file that is either there with all of these contents or not at all, whatever crashes:
/// written under another name, synced, renamed, the name synced.
pub(crate) fn create<D: Disk>(disk: &D, name: &str, parts: &[&[u8]]) -> Result<D::File, FsError> {
    let file = prepare(disk, name, |file| {
        let mut offset = 0;
        for part in parts {
            write_full(file, part, offset)?;
            offset += part.len() as u64;
        }
        Ok(())
    })?;
    publish(disk, name)?;
    Ok(file)
}

/// The first half of [`create`]: what `write` writes is durable, under another name. Whatever a
/// failure leaves there is removed, and is no file of ours in any case.
pub(crate) fn prepare<D: Disk>(
    disk: &D,
    name: &str,
    write: impl FnOnce(&D::File) -> io::Result<()>,
) -> Result<D::File, FsError> {
    let unfinished = unfinished(name);
    let file = match disk.open(&unfinished, Access::CreateNew) {
        // Left by a failure in this process that could not even remove it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(&unfinished).map_err(io_error("remove", disk, &unfinished))?;
            open(disk, &unfinished, Access::CreateNew)?
        }
        opened => opened.map_err(io_error("create", disk, &unfinished))?,
    };
    let written = write(&file)
        .map_err(io_error("write", disk, &unfinished))
        .and_then(|()| file.sync().map_err(io_error("sync", disk, &unfinished)));
    match written {
        Ok(()) => Ok(file),
        Err(error) => {
            // Space is what may be missing. If this fails too, the first error is told.
            let _ = disk.remove(&unfinished);
            Err(error)
        }
    }
}

/// The second half of [`create`]: the name.
pub(crate) fn publish<D: Disk>(disk: &D, name: &str) -> Result<(), FsError> {
    rename_finished(disk, name)?;
    sync(disk)
}

/// Makes all names durable.
pub(crate) fn sync<D: Disk>(disk: &D) -> Result<(), FsError> {
    disk.sync_names().map_err(io_error(SYNC_NAMES, disk, ""))
}

/// Gives a prepared file its name, which is not durable yet.
pub(crate) fn rename_finished<D: Disk>(disk: &D, name: &str) -> Result<(), FsError> {
    let unfinished = unfinished(name);
    disk.rename(&unfinished, name).map_err(io_error("rename", disk, &unfinished))
}

fn unfinished(name: &str) -> String {
    format!("{name}{UNFINISHED}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_ours() {
        let ours = "00000000000000000065";
        for ending in [".log", ".snap", ".base", "-512-1.cut"] {
            assert_eq!(kind(&format!("{ours}{ending}.tmp")), Kind::Unfinished, "{ending}");
            for name in [format!("my-notes{ending}.tmp"), format!("{ours}{ending}.tmp.tmp")] {
                assert_eq!(kind(&name), Kind::Other, "{name}");
            }
        }
        assert_eq!(kind("newest.tmp"), Kind::Unfinished);
        assert_eq!(kind("reserve.tmp"), Kind::Unfinished);
        assert_eq!(kind("spare.tmp"), Kind::Unfinished);
        assert_eq!(kind("00000000000000000065-512-1.cut"), Kind::Cut(65));
        assert_eq!(kind("x.log"), Kind::PerhapsSegment);
        for name in ["lock.tmp", "x.log.tmp", "65.snap", "65-1-1.cut", "notes.cut", "65.log.bak"] {
            assert_eq!(kind(name), Kind::Other, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_of_any_bytes_is_shown_on_one_line() {
        use std::os::unix::ffi::OsStrExt;

        assert_eq!(shown(OsStr::new("/a/pl\u{e4}in")), "/a/pl\u{e4}in");
        assert_eq!(shown(OsStr::from_bytes(b"x\xff.log")), "\"x\\xFF.log\"");
        assert_eq!(shown(OsStr::new("two\nlines")), "\"two\\nlines\"");
    }
}
