//! Opening for writing: take the lock, find the log, and make sure that what was found is durable and
//! that nothing stale follows it.

use std::io;

use payonce_core::{Head, LedgerId, Snapshot};

use crate::{
    disk::{Access, Disk, DiskFile, read_full, write_full, write_zeros},
    error::{Damage, FsError},
    frame::SECTOR_BYTES,
    history::{self, History, Listing, Tail},
    names::{self, LOCK, NEWEST, io_error},
    newest::Newest,
    options::Options,
    reserve,
    segment::{self, SegmentHeader, damaged},
    shared::Held,
    snapshot,
};

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Where the log ends.
    pub head: Head,
    /// The last seq that a later entry showed to be durable before this opening. Entries after it were
    /// found, written again and synced; their writer may never have acknowledged them.
    pub vouched_seq: u64,
    /// Whether the last writer had closed the log. If not, the newest segment was not trusted: its
    /// entries were written to a fresh file before anything else.
    pub was_closed: bool,
    /// Whether the file `newest` said which segment is the newest. If not (a log of an earlier program,
    /// or an operator removed the file), the newest segment could be missing without anything in the
    /// directory showing it.
    pub knew_newest: bool,
    /// The torn tail that was cut; `None` if no crash had torn one.
    pub cut: Option<CutTail>,
    /// What was cut off this log at any opening and is still kept. The files go with their segments,
    /// when history is dropped; they may be removed by hand once nobody needs them.
    pub kept_cuts: Vec<String>,
    /// Sound snapshots that claim to be of this log and are not on its chain: somebody replaced or
    /// edited the log. They are ignored.
    pub off_chain: Vec<String>,
    /// Files that a crash had left unfinished or undropped, now removed.
    pub removed: Vec<String>,
    /// Whether there is space in reserve for a full disk ([`Options::reserve_bytes`]).
    pub has_reserve: bool,
}

/// The remains of an append that a crash tore: never acknowledged, not part of the log, kept aside.
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

/// Creates a log without entries, on a base if one is given, and returns the locks.
pub(crate) fn create<D: Disk>(
    disk: &D,
    ledger: LedgerId,
    base: Option<&Snapshot>,
    options: &Options,
) -> Result<Held<D::File>, FsError> {
    let listing = Listing::read(disk)?;
    check_empty(disk, &listing)?;
    let held = hold(disk, listing.has_lock)?;
    // Only now that nobody else is creating it.
    let listing = Listing::read(disk)?;
    check_empty(disk, &listing)?;
    if let Some(ledger) = read_owner(disk, &held.lock)? {
        return Err(FsError::Gone { place: disk.place(LOCK), ledger });
    }
    for name in &listing.unfinished {
        disk.remove(name).map_err(io_error("remove", disk, name))?;
    }
    reserve::take(disk, options)?;
    let salt = disk.fresh_salt().map_err(io_error("draw a salt for", disk, ""))?;
    let before = match base {
        None => Head::genesis(ledger),
        Some(base) => {
            // Before the segment that starts after it: a log never lacks its base.
            snapshot::prepare(disk, ledger, base.at, &base.bytes)?;
            let (taken, name) = (names::snapshot(base.at.seq), names::base(base.at.seq));
            names::publish(disk, &taken)?;
            disk.rename(&taken, &name).map_err(io_error("rename", disk, &taken))?;
            names::sync(disk)?;
            base.at
        }
    };
    let header = SegmentHeader { ledger, salt, before, previous: 0 };
    reserve::for_opening(disk, || create_segment(disk, &header, options))?;
    Ok(held)
}

/// Refuses to create a log in a directory that has anything except what an interrupted creation leaves.
fn check_empty<D: Disk>(disk: &D, listing: &Listing) -> Result<(), FsError> {
    if !listing.segments.is_empty() {
        return Err(FsError::AlreadyExists { place: disk.place("") });
    }
    if let Some(record) = Newest::find(disk)? {
        return Err(FsError::Gone { place: disk.place(NEWEST), ledger: record.ledger });
    }
    let snapshot = listing.snapshots.first().map(|at| names::snapshot(*at));
    let base = listing.bases.first().map(|at| names::base(*at));
    let cut = listing.cuts.first().map(|(_, name)| name.clone());
    match listing.others.first().cloned().or(snapshot).or(base).or(cut) {
        None => Ok(()),
        Some(found) => Err(FsError::NotEmpty { place: disk.place(""), found }),
    }
}

/// Creates a segment with space reserved; returns it, locked, and its size.
pub(crate) fn create_segment<D: Disk>(
    disk: &D,
    header: &SegmentHeader,
    options: &Options,
) -> Result<(D::File, usize), FsError> {
    let bytes = header.encode();
    let size = bytes.len() + options.preallocated();
    let name = header.name();
    let file = names::prepare(disk, &name, |file| {
        write_full(file, &bytes, 0)?;
        write_zeros(file, bytes.len()..size)
    })?;
    lock_segment(disk, &name, &file)?;
    names::publish(disk, &name)?;
    Ok((file, size))
}

/// Locks the newest segment, so that nobody can open this log in another directory to which its files
/// were moved.
fn lock_segment<D: Disk>(disk: &D, name: &str, file: &D::File) -> Result<(), FsError> {
    if file.try_lock().map_err(io_error("lock", disk, name))? {
        Ok(())
    } else {
        Err(FsError::Locked { place: disk.place(name), holder: None })
    }
}

/// Takes the locks of the log on this disk.
pub(crate) fn lock<D: Disk>(disk: &D) -> Result<Held<D::File>, FsError> {
    let listing = Listing::read(disk)?;
    if listing.segments.is_empty() && !listing.has_lock && !listing.has_newest {
        return Err(FsError::NotALedger { place: disk.place("") });
    }
    if !listing.has_lock {
        // A copy without its lock file: judged before anything is created in its directory.
        let record = Newest::find(disk)?;
        History::read(disk.clone(), &listing, (None, record), read_newest)?;
    }
    hold(disk, listing.has_lock)
}

/// Takes the lock file and the directory, and writes into the lock file which process has them.
fn hold<D: Disk>(disk: &D, exists: bool) -> Result<Held<D::File>, FsError> {
    let access = if exists { Access::Write } else { Access::CreateNew };
    let lock = names::open(disk, LOCK, access)?;
    let mut locked = lock.try_lock().map_err(io_error("lock", disk, LOCK))?;
    let directory = disk.try_hold().map_err(io_error("lock", disk, ""))?;
    // A lock file that somebody put in place of the real one excludes nobody; the lock on the directory
    // does.
    locked &= directory.is_some();
    match directory {
        Some(directory) if locked => {
            write_holder(disk, &lock)?;
            Ok(Held { lock, _directory: directory })
        }
        _ => {
            let holder = read_holder(disk, &lock)?;
            Err(FsError::Locked { place: disk.place(LOCK), holder })
        }
    }
}

/// The text of the lock file before the ledger's id in hex, and after it.
const OWNER: [&str; 2] = ["payonce ledger ", "\n"];

/// The length of that text with the id, in bytes.
const OWNER_BYTES: usize = OWNER[0].len() + 64 + OWNER[1].len();

/// The text after that, around the number of the process that has the log open. It is only shown to
/// people, so it is not synced; it stays until the next writer writes its own.
const HOLDER: [&str; 2] = ["held by process ", "; never delete this file\n"];

/// The ledger that the lock file names. It names one as soon as the log has been opened once, so
/// that a directory whose segments are gone is never taken for a new one. If only half of the id is
/// there, a write of it failed: it counts as none, and the next opening writes it whole.
pub(crate) fn read_owner<D: Disk>(disk: &D, lock: &D::File) -> Result<Option<LedgerId>, FsError> {
    let mut bytes = [0; OWNER_BYTES];
    let read = read_full(lock, &mut bytes, 0).map_err(io_error("read", disk, LOCK))?;
    let [before, after] = OWNER;
    let written = bytes[..read].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let bytes = &bytes[..written];
    let begins = bytes.iter().zip(before.as_bytes()).all(|(one, other)| one == other);
    if written < OWNER_BYTES && begins {
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

/// The process that the lock file names.
fn read_holder<D: Disk>(disk: &D, lock: &D::File) -> Result<Option<u32>, FsError> {
    let mut bytes = [0; 64];
    let read = read_full(lock, &mut bytes, OWNER_BYTES as u64);
    let read = read.map_err(io_error("read", disk, LOCK))?;
    let [before, after] = HOLDER;
    let text = std::str::from_utf8(&bytes[..read]).ok();
    let process = text.and_then(|text| text.strip_prefix(before)?.split_once(after));
    Ok(process.and_then(|(process, _)| process.trim_end().parse().ok()))
}

fn write_holder<D: Disk>(disk: &D, lock: &D::File) -> Result<(), FsError> {
    let [before, after] = HOLDER;
    // Of one length, so that it always stands in place of the last one.
    let text = format!("{before}{:<10}{after}", disk.process());
    write_full(lock, text.as_bytes(), OWNER_BYTES as u64).map_err(io_error("write", disk, LOCK))
}

/// Reads the newest segment and judges it.
fn read_newest<D: Disk>(disk: &D, header: &SegmentHeader, wanted: &[u64]) -> Result<Tail, FsError> {
    let mut bytes = Vec::new();
    segment::read_file(disk, header, &mut bytes)?;
    history::judge(&mut bytes, *header, &disk.place(&header.name()), wanted)
}

/// A log that is ready for appending.
pub(crate) struct Recovered<D: Disk> {
    pub(crate) history: History<D>,
    /// The newest segment, locked.
    pub(crate) file: D::File,
    /// The length of that file in bytes, reserved space included.
    pub(crate) size: usize,
    pub(crate) report: RecoveryReport,
}

/// Finds the log and, once everything about it has been judged, makes it ready for appending.
pub(crate) fn recover<D: Disk>(
    disk: D,
    held: &Held<D::File>,
    options: &Options,
) -> Result<Recovered<D>, FsError> {
    let listing = Listing::read(&disk)?;
    let owner = read_owner(&disk, &held.lock)?;
    let record = Newest::find(&disk)?;
    let (mut history, findings) = History::read(disk, &listing, (owner, record), read_newest)?;
    let off_chain = history.off_chain(&listing.snapshots);
    let tail = findings.tail;
    let name = history.newest().name();
    let found = names::open(&history.disk, &name, Access::Write)?;
    lock_segment(&history.disk, &name, &found)?;
    let was_closed = is_closed(&history, &tail, record, &found)?;

    // Nothing was changed so far.
    history.remove(&listing.unfinished)?;
    let cut = if tail.torn.is_empty() {
        None
    } else {
        Some(reserve::for_opening(&history.disk, || keep_aside(&history, &tail))?)
    };
    let (file, size) = if was_closed {
        (found, tail.size)
    } else {
        let fresh = reserve::for_opening(&history.disk, || write_anew(&history, &tail, &found))?;
        // While it is open it takes its space.
        drop(found);
        fresh
    };
    let (ledger, first_seq) = (history.ledger, history.newest().first_seq());
    let opened = Newest { ledger, first_seq, closed: None };
    reserve::for_opening(&history.disk, || opened.write(&history.disk))?;
    check_alone(&history)?;
    let base = history.base.map_or(0, |base| base.seq);
    let below = listing.snapshots.iter().filter(|at| **at <= base);
    let mut dropped = findings.dropped;
    dropped.extend(below.map(|at| names::snapshot(*at)));
    if !dropped.is_empty() && !make_base_certain(&history)? {
        dropped.clear();
    }
    history.remove(&dropped)?;
    let kept_cuts =
        listing.cuts.iter().map(|(_, name)| name).filter(|name| !dropped.contains(name));
    let kept_cuts = kept_cuts.map(|name| history.disk.place(name));
    let kept_cuts = kept_cuts.chain(cut.as_ref().map(|cut| cut.kept_in.clone())).collect();
    if owner.is_none() {
        write_owner(&history.disk, &held.lock, history.ledger)?;
    }
    let report = RecoveryReport {
        head: tail.head,
        vouched_seq: tail.vouched,
        was_closed,
        knew_newest: record.is_some(),
        cut,
        kept_cuts,
        off_chain,
        removed: listing.unfinished.into_iter().chain(dropped).collect(),
        has_reserve: reserve::take(&history.disk, options)?,
    };
    Ok(Recovered { history, file, size, report })
}

/// Makes the name of the base durable before the history that it stands for is removed, since an earlier
/// sync of it may have failed. Returns whether it is durable; on a full disk the history stays.
fn make_base_certain<D: Disk>(history: &History<D>) -> Result<bool, FsError> {
    let Some(base) = history.base else { return Ok(true) };
    let disk = &history.disk;
    match reserve::for_opening(disk, || snapshot::write_anew(disk, &names::base(base.seq))) {
        Err(error) if error.is_full() => Ok(false),
        written => written.map(|()| true),
    }
}

/// Whether the newest segment can be trusted: its last writer closed it, and it is unchanged since.
fn is_closed<D: Disk>(
    history: &History<D>,
    tail: &Tail,
    record: Option<Newest>,
    file: &D::File,
) -> Result<bool, FsError> {
    let name = history.newest().name();
    let stamp = file.stamp().map_err(io_error("look at", &history.disk, &name))?;
    let closed = record.filter(|record| record.first_seq == history.newest().first_seq());
    Ok(closed.and_then(|record| record.closed).is_some_and(|closed| {
        closed.stamp == stamp
            && closed.head == tail.head
            && closed.end == tail.end as u64
            && tail.torn.is_empty()
    }))
}

/// Copies a torn tail to a file of its own before it is left out.
fn keep_aside<D: Disk>(history: &History<D>, tail: &Tail) -> Result<CutTail, FsError> {
    let disk = &history.disk;
    let taken = disk.list().map_err(io_error("list", disk, ""))?;
    let names = (1..).map(|nth| names::cut(history.newest().first_seq(), tail.end, nth));
    let is_free = |name: &String| taken.iter().all(|taken| taken.name != **name);
    let name = names.into_iter().find(is_free).expect("there is a free one");
    names::create(disk, &name, &[&tail.torn])?;
    Ok(CutTail {
        segment: disk.place(&history.newest().name()),
        offset: tail.end as u64,
        bytes: tail.torn.len() as u64,
        kept_in: disk.place(&name),
    })
}

/// Writes the entries of the newest segment to a fresh file, which takes its place; returns that file,
/// locked, and its size. A sync of the old file may have failed: then what it grew by can be read,
/// written again and synced, and is still lost once the machine's cache is dropped.
fn write_anew<D: Disk>(
    history: &History<D>,
    tail: &Tail,
    found: &D::File,
) -> Result<(D::File, usize), FsError> {
    let (disk, name) = (&history.disk, history.newest().name());
    #[cfg(payonce_faults)]
    if crate::planted::is_planted(crate::planted::BELIEVES_THE_NEWEST) {
        return believe(history, tail);
    }
    let size = tail.size.max(tail.end).next_multiple_of(SECTOR_BYTES);
    let mut crc = None;
    let file = names::prepare(disk, &name, |fresh| {
        crc = Some(copy(found, Some(fresh), tail.end)?);
        write_zeros(fresh, tail.end..size)
    })?;
    lock_segment(disk, &name, &file)?;
    let contested = || FsError::Contested { place: disk.place(&name) };
    if crc != Some(tail.crc) {
        return Err(contested());
    }
    names::publish(disk, &name)?;
    // Another writer that locks do not keep out acknowledges nothing from here on: it finds that its
    // file has lost its name. What it acknowledged before is in that file.
    let after = copy(found, None, 0).map_err(io_error("read", disk, &name))?;
    if after == tail.crc {
        return Ok((file, size));
    }
    names::prepare(disk, &name, |fresh| copy(found, Some(fresh), usize::MAX).map(drop))?;
    names::publish(disk, &name)?;
    Err(contested())
}

/// Copies a segment up to where its entries end, and returns the CRC-32C of the whole file, up to its
/// present end.
fn copy<F: DiskFile>(from: &F, to: Option<&F>, end: usize) -> io::Result<u32> {
    let mut piece = vec![0; 256 << 10];
    let (mut at, mut crc) = (0, 0);
    loop {
        let read = read_full(from, &mut piece, at as u64)?;
        crc = crc32c::crc32c_append(crc, &piece[..read]);
        if let Some(to) = to {
            let entries = end.saturating_sub(at).min(read);
            write_full(to, &piece[..entries], at as u64)?;
        }
        at += read;
        if read < piece.len() {
            return Ok(crc);
        }
    }
}

/// Checks that there is no further segment by now, made by another writer that locks do not keep out.
fn check_alone<D: Disk>(history: &History<D>) -> Result<(), FsError> {
    let newest = history.newest().name();
    match Listing::read(&history.disk)?.segments.last() {
        Some(found) if *found > newest => {
            Err(FsError::Contested { place: history.disk.place(found) })
        }
        _ => Ok(()),
    }
}

/// A planted fault: trusts a file that may have grown in a failed sync, which [`write_anew`] never does.
#[cfg(payonce_faults)]
fn believe<D: Disk>(history: &History<D>, tail: &Tail) -> Result<(D::File, usize), FsError> {
    let (disk, name) = (&history.disk, history.newest().name());
    let file = names::open(disk, &name, Access::Write)?;
    let at = segment::FRAMES_AT;
    let mut entries = vec![0; tail.end - at];
    read_full(&file, &mut entries, at as u64)
        .and_then(|_| write_full(&file, &entries, at as u64))
        .and_then(|()| write_zeros(&file, tail.end..tail.size))
        .and_then(|()| file.sync())
        .map_err(io_error("write", disk, &name))?;
    Ok((file, tail.size))
}
