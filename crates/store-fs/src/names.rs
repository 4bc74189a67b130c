//! The names of the files of a log, and opening them by name.

use std::io;

use crate::{
    disk::{Access, Disk, DiskFile, read_full, write_full},
    error::FsError,
};

/// The lock file. It is never removed: a lock on a removed file excludes nobody.
pub(crate) const LOCK: &str = "lock";

const SEGMENT: &str = ".log";
const SNAPSHOT: &str = ".snap";
const BASE: &str = ".base";
const UNFINISHED: &str = ".tmp";
const CUT: &str = ".cut";

/// What a name says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lock,
    /// Its first seq is in its header, not only in its name.
    Segment,
    /// Taken at this seq.
    Snapshot(u64),
    /// Taken at this seq.
    Base(u64),
    /// Something that a crash kept from being finished.
    Unfinished,
    Other,
}

pub(crate) fn kind(name: &str) -> Kind {
    let numbered = |ending| name.strip_suffix(ending).and_then(number);
    if name == LOCK {
        Kind::Lock
    } else if name.ends_with(SEGMENT) {
        Kind::Segment
    } else if let Some(seq) = numbered(SNAPSHOT) {
        Kind::Snapshot(seq)
    } else if let Some(seq) = numbered(BASE) {
        Kind::Base(seq)
    } else if [SEGMENT, SNAPSHOT, BASE, CUT]
        .iter()
        .any(|ending| name.strip_suffix(UNFINISHED).is_some_and(|name| name.ends_with(ending)))
    {
        Kind::Unfinished
    } else {
        Kind::Other
    }
}

fn number(digits: &str) -> Option<u64> {
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
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

/// A cut tail: the segment's first seq, the offset that it was cut at, and which cut there it is.
pub(crate) fn cut(first_seq: u64, offset: usize, nth: u32) -> String {
    format!("{first_seq:020}-{offset}-{nth}{CUT}")
}

/// Turns what the operating system says into an error that names the file.
pub(crate) fn io_error<D: Disk>(
    action: &'static str,
    disk: &D,
    name: &str,
) -> impl FnOnce(io::Error) -> FsError {
    move |source| FsError::Io { action, place: disk.place(name), source }
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
    let file = prepare(disk, name, parts)?;
    publish(disk, name)?;
    Ok(file)
}

/// The first half of [`create`]: the contents are durable, under another name.
pub(crate) fn prepare<D: Disk>(disk: &D, name: &str, parts: &[&[u8]]) -> Result<D::File, FsError> {
    let unfinished = format!("{name}{UNFINISHED}");
    let file = open(disk, &unfinished, Access::CreateNew)?;
    let mut offset = 0;
    for part in parts {
        write_full(&file, part, offset).map_err(io_error("write", disk, &unfinished))?;
        offset += part.len() as u64;
    }
    file.sync().map_err(io_error("sync", disk, &unfinished))?;
    Ok(file)
}

/// The second half of [`create`]: the name.
pub(crate) fn publish<D: Disk>(disk: &D, name: &str) -> Result<(), FsError> {
    let unfinished = format!("{name}{UNFINISHED}");
    disk.rename(&unfinished, name).map_err(io_error("rename", disk, &unfinished))?;
    disk.sync_names().map_err(io_error("sync the directory of", disk, name))
}
