//! Opening for writing: take the lock, find the log, and leave it so that what was found is durable
//! and nothing stale follows it.

use std::{io, ops::Range};

use payonce_core::{Head, LedgerId};

use crate::{
    disk::{Access, Disk, DiskFile, read_full, write_full},
    error::{Damage, FsError},
    history::{self, History, Listing, Tail},
    names::{self, LOCK, io_error},
    options::Options,
    segment::{self, SegmentHeader, damaged},
};

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Where the log ends.
    pub head: Head,
    /// The last seq that a later entry showed to be durable before this opening. Whatever is
    /// after it was found, written again and synced: its writer may not have learnt that it is
    /// there.
    pub vouched_seq: u64,
    /// The tail that was cut, if a crash tore one.
    pub cut: Option<CutTail>,
    /// Files that a crash had left unfinished or undropped, now removed.
    pub removed: Vec<String>,
}

/// The remains of a batch that a crash tore: never acknowledged, not part of the log, kept aside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutTail {
    /// The segment that was cut.
    pub segment: String,
    /// Where, in bytes from its start.
    pub offset: u64,
    /// How many bytes were cut: up to the last one that was not zero.
    pub bytes: u64,
    /// The file that keeps them.
    pub kept_in: String,
}

/// Creates an empty log and returns its lock, taken.
pub(crate) fn create<D: Disk>(
    disk: &D,
    ledger: LedgerId,
    options: &Options,
) -> Result<D::File, FsError> {
    let listing = Listing::read(disk)?;
    if !listing.segments.is_empty() {
        return Err(FsError::AlreadyExists { place: disk.place("") });
    }
    if listing.has_others || !listing.snapshots.is_empty() || !listing.bases.is_empty() {
        return Err(FsError::NotEmpty { place: disk.place("") });
    }
    let lock = take_lock(disk, listing.has_lock)?;
    if let Some(ledger) = read_owner(disk, &lock)? {
        return Err(FsError::Gone { place: disk.place(LOCK), ledger });
    }
    // Only now that nobody else is creating it.
    let listing = Listing::read(disk)?;
    if !listing.segments.is_empty() {
        return Err(FsError::AlreadyExists { place: disk.place("") });
    }
    for name in &listing.unfinished {
        disk.remove(name).map_err(io_error("remove", disk, name))?;
    }
    let salt = disk.fresh_salt().map_err(io_error("draw a salt for", disk, ""))?;
    let before = Head::genesis(ledger);
    create_segment(disk, &SegmentHeader { ledger, salt, before, previous: 0 }, options)?;
    Ok(lock)
}

/// Creates a segment with space reserved; returns it and its size.
pub(crate) fn create_segment<D: Disk>(
    disk: &D,
    header: &SegmentHeader,
    options: &Options,
) -> Result<(D::File, usize), FsError> {
    let bytes = header.encode();
    let size = bytes.len() + options.preallocated();
    let zeros = vec![0; options.preallocated()];
    let file = names::create(disk, &header.name(), &[&bytes, &zeros])?;
    Ok((file, size))
}

/// Takes the lock of the log on this disk.
pub(crate) fn lock<D: Disk>(disk: &D) -> Result<D::File, FsError> {
    let listing = Listing::read(disk)?;
    if listing.segments.is_empty() && !listing.has_lock {
        return Err(FsError::NotALedger { place: disk.place("") });
    }
    if !listing.has_lock {
        // A copy without its lock file: judged before anything is created in its directory.
        History::read(disk.clone(), &listing, None, read_newest)?;
    }
    take_lock(disk, listing.has_lock)
}

fn take_lock<D: Disk>(disk: &D, exists: bool) -> Result<D::File, FsError> {
    let access = if exists { Access::Write } else { Access::CreateNew };
    let file = names::open(disk, LOCK, access)?;
    if file.try_lock().map_err(io_error("lock", disk, LOCK))? {
        Ok(file)
    } else {
        Err(FsError::Locked { place: disk.place(LOCK) })
    }
}

/// What the lock file holds before the ledger's id in hex, and after it.
const OWNER: [&str; 2] = ["payonce ledger ", "\n"];

/// The ledger that the lock file names. It names one as soon as the log has been opened once, so
/// that a directory whose segments are gone is never taken for a new one. Half of a name is none:
/// a write of it failed, and the next opening writes it whole.
pub(crate) fn read_owner<D: Disk>(disk: &D, lock: &D::File) -> Result<Option<LedgerId>, FsError> {
    let mut bytes = [0; 128];
    let read = read_full(lock, &mut bytes, 0).map_err(io_error("read", disk, LOCK))?;
    let [before, after] = OWNER;
    let whole = before.len() + 64 + after.len();
    let bytes = &bytes[..read];
    let is_half =
        read < whole && bytes.iter().zip(before.as_bytes()).all(|(one, other)| one == other);
    if crate::frame::is_blank(bytes) || is_half {
        return Ok(None);
    }
    let text = std::str::from_utf8(bytes).ok();
    let hex = text.and_then(|text| text.strip_prefix(before)?.strip_suffix(after));
    let ledger = hex.and_then(|hex| hex.parse().ok());
    ledger.map(Some).ok_or_else(|| damaged(&disk.place(LOCK), 0, Damage::Lock))
}

fn write_owner<D: Disk>(disk: &D, lock: &D::File, ledger: LedgerId) -> Result<(), FsError> {
    let [before, after] = OWNER;
    let text = format!("{before}{ledger}{after}");
    write_full(lock, text.as_bytes(), 0).map_err(io_error("write", disk, LOCK))?;
    lock.sync().map_err(io_error("sync", disk, LOCK))
}

/// Reads the newest segment and judges it.
fn read_newest<D: Disk>(disk: &D, header: &SegmentHeader, wanted: &[u64]) -> Result<Tail, FsError> {
    let mut bytes = Vec::new();
    segment::read_file(disk, header, &mut bytes)?;
    history::judge(&mut bytes, *header, &disk.place(&header.name()), wanted)
}

/// The log, its newest segment open for appending, that file's size, and what was done.
type Recovered<D> = (History<D>, <D as Disk>::File, usize, RecoveryReport);

/// Finds the log and, once everything about it has been judged, makes it ready for appending.
pub(crate) fn recover<D: Disk>(disk: D, lock: &D::File) -> Result<Recovered<D>, FsError> {
    let listing = Listing::read(&disk)?;
    let owner = read_owner(&disk, lock)?;
    if listing.segments.is_empty() {
        return Err(match owner {
            Some(ledger) => FsError::Gone { place: disk.place(LOCK), ledger },
            None => FsError::NotALedger { place: disk.place("") },
        });
    }
    let (history, findings) = History::read(disk, &listing, owner, read_newest)?;
    let tail = findings.tail;
    history.remove(&listing.unfinished)?;
    let cut = if tail.torn.is_empty() { None } else { Some(keep_aside(&history, &tail)?) };
    let file = rewrite_tail(&history, &tail)?;
    history.sync_names()?;
    let base = history.base.map_or(0, |base| base.seq);
    let below = listing.snapshots.iter().filter(|at| **at <= base);
    let mut dropped = findings.dropped;
    dropped.extend(below.map(|at| names::snapshot(*at)));
    history.remove(&dropped)?;
    let removed = listing.unfinished.into_iter().chain(dropped).collect();
    if owner.is_none() {
        write_owner(&history.disk, lock, history.ledger)?;
    }
    let report = RecoveryReport { head: tail.head, vouched_seq: tail.vouched, cut, removed };
    Ok((history, file, tail.size, report))
}

/// Copies a torn tail to a file of its own before it is cleared.
fn keep_aside<D: Disk>(history: &History<D>, tail: &Tail) -> Result<CutTail, FsError> {
    let disk = &history.disk;
    let taken = disk.list().map_err(io_error("list", disk, ""))?;
    let names = (1..).map(|nth| names::cut(history.newest().first_seq(), tail.end, nth));
    let name = names.into_iter().find(|name| !taken.contains(name)).expect("there is a free one");
    names::create(disk, &name, &[&tail.torn])?;
    Ok(CutTail {
        segment: disk.place(&history.newest().name()),
        offset: tail.end as u64,
        bytes: tail.torn.len() as u64,
        kept_in: disk.place(&name),
    })
}

/// Writes the entries that nobody vouches for once more, and zeros from the end of the entries to
/// the end of the file, and syncs. A sync alone would not do: after one that failed, what is read
/// may be in memory only, and a second sync would not write it.
fn rewrite_tail<D: Disk>(history: &History<D>, tail: &Tail) -> Result<D::File, FsError> {
    let (disk, name) = (&history.disk, history.newest().name());
    let file = names::open(disk, &name, Access::Write)?;
    let mut recent = vec![0; tail.end - tail.unvouched_at];
    let at = tail.unvouched_at as u64;
    let read = read_full(&file, &mut recent, at).map_err(io_error("read", disk, &name))?;
    if read < recent.len() {
        return Err(damaged(&disk.place(&name), at + read as u64, Damage::Short));
    }
    write_full(&file, &recent, at)
        .and_then(|()| write_zeros(&file, tail.end..tail.size))
        .map_err(io_error("write", disk, &name))?;
    file.sync().map_err(io_error("sync", disk, &name))?;
    Ok(file)
}

pub(crate) fn write_zeros(file: &impl DiskFile, range: Range<usize>) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut at = range.start;
    while at < range.end {
        let some = ZEROS.len().min(range.end - at);
        write_full(file, &ZEROS[..some], at as u64)?;
        at += some;
    }
    Ok(())
}
