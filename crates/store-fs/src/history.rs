//! The log in its directory: finding its files, judging the newest one, reading entries.

use std::ops::ControlFlow;

use payonce_core::{Head, LedgerId, Snapshot, StoreError, StoredEntry};

use crate::{
    disk::{Disk, Listed},
    error::{Damage, FsError},
    frame,
    hashing::Hashing,
    names::{self, Kind, LOCK, NEWEST, io_error},
    newest::Newest,
    segment::{self, FRAMES_AT, SegmentHeader, Stop, Walk, damaged},
    snapshot,
};

/// The names in the directory, by kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) segments: Vec<String>,
    /// Where the snapshots were taken, oldest first.
    pub(crate) snapshots: Vec<u64>,
    /// Where the bases were taken, oldest first.
    pub(crate) bases: Vec<u64>,
    /// What was cut off segments: the first seq of the segment, and the name.
    pub(crate) cuts: Vec<(u64, String)>,
    pub(crate) unfinished: Vec<String>,
    pub(crate) has_lock: bool,
    pub(crate) has_newest: bool,
    /// Files that are not payonce's, as printable text.
    pub(crate) others: Vec<String>,
}

impl Listing {
    pub(crate) fn read<D: Disk>(disk: &D) -> Result<Self, FsError> {
        let mut names = disk.list().map_err(io_error("list", disk, ""))?;
        names.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let mut listing = Self::default();
        for Listed { name, is_file } in names {
            // A name that is not UTF-8 is none of ours.
            let kind = name.to_str().map_or(Kind::Other, names::kind);
            let shown = names::shown(&name);
            match kind {
                // Opening one of these that is no file says so.
                Kind::Lock => listing.has_lock = true,
                Kind::Newest => listing.has_newest = true,
                Kind::Segment => listing.segments.push(shown),
                Kind::Snapshot(seq) => listing.snapshots.push(seq),
                Kind::Base(seq) => listing.bases.push(seq),
                Kind::Cut(first_seq) => listing.cuts.push((first_seq, shown)),
                Kind::Reserve => {}
                Kind::PerhapsSegment if is_file && segment::is_one(disk, &shown) => {
                    listing.segments.push(shown);
                }
                Kind::Unfinished if is_file => listing.unfinished.push(shown),
                Kind::PerhapsSegment | Kind::Unfinished | Kind::Other => {
                    listing.others.push(shown);
                }
            }
        }
        Ok(listing)
    }

    /// The files that contain only what a base at `base` stands for, in a log that starts with the
    /// segment of `first_seq`: older bases, and what was cut off older segments.
    fn below(&self, base: Option<u64>, first_seq: u64) -> impl Iterator<Item = String> {
        let bases = self.bases.iter().filter(move |at| base.is_some_and(|base| **at < base));
        let cuts = self.cuts.iter().filter(move |(from, _)| *from < first_seq);
        bases.map(|at| names::base(*at)).chain(cuts.map(|(_, name)| name.clone()))
    }
}

/// The log: its files and where it ends.
#[derive(Debug, Clone)]
pub(crate) struct History<D> {
    pub(crate) disk: D,
    pub(crate) ledger: LedgerId,
    /// The segments of the log, in order; at least one.
    pub(crate) segments: Vec<SegmentHeader>,
    /// Where the entries in the newest segment end.
    pub(crate) end: usize,
    pub(crate) head: Head,
    pub(crate) base: Option<Head>,
    /// Where snapshots stand in the segment that was the newest when the log was found.
    marks: Vec<Mark>,
}

/// The end of an entry that was found on the chain, so that it need not be looked for again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    at: Head,
    segment: SegmentHeader,
    /// Where the entry's frame ends.
    end: usize,
}

/// Who checks the chain of what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// This function, segment by segment.
    Checked,
    /// The caller, at the end.
    LeftToReader,
}

/// What a reading found besides the log.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) tail: Tail,
    /// Files that an interrupted dropping of history left over.
    pub(crate) dropped: Vec<String>,
}

/// How the newest segment ends.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) head: Head,
    pub(crate) end: usize,
    /// The last seq known to have been durable when a later entry was written.
    pub(crate) vouched: u64,
    /// The length of the file.
    pub(crate) size: usize,
    /// The CRC-32C of the whole file as it was read.
    pub(crate) crc: u32,
    /// The bytes of a torn write, from [`end`](Self::end) to the last that is not zero.
    pub(crate) torn: Vec<u8>,
    /// Those that were asked for.
    pub(crate) marks: Vec<Mark>,
}

/// Judges the newest segment: where its entries end, and whether what follows is blank, torn by a
/// crash, or damage. Takes the masks off the entries in `bytes`, and marks the ends of entries at
/// the seqs of `wanted`, which are in order.
pub(crate) fn judge(
    bytes: &mut [u8],
    header: SegmentHeader,
    place: &str,
    wanted: &[u64],
) -> Result<Tail, FsError> {
    let (size, crc) = (bytes.len(), crc32c::crc32c(bytes));
    let mut walk = Walk::new(bytes, place, header);
    let mut hashing = Hashing::new(header.before, wanted);
    let mut stop = Stop::Blank;
    hashing.all(|block| match walk.next()? {
        Ok((_, entry)) => {
            block.entry(entry);
            block.ends_at(walk.last_seq, walk.end);
            Ok(true)
        }
        Err(found) => {
            stop = found;
            Ok::<_, FsError>(false)
        }
    })?;
    let written = walk.rest().iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if (stop == Stop::Torn || written > 0) && walk.is_next_vouched() {
        let seq = walk.last_seq + 1;
        return Err(damaged(place, walk.end as u64, Damage::Vouched { seq }));
    }
    let marks = hashing.found.into_iter();
    let marks = marks.map(|(at, end)| Mark { at, segment: header, end }).collect();
    Ok(Tail {
        head: Head { seq: walk.last_seq, chain: hashing.chain },
        end: walk.end,
        vouched: walk.vouched,
        size,
        crc,
        torn: walk.rest()[..written].to_vec(),
        marks,
    })
}

impl<D: Disk> History<D> {
    /// Finds the log in its directory and checks everything but the entries of older segments, and
    /// that it is the one whose ledger and whose newest segment are known, if they are.
    /// `read_newest` reads and judges the newest one, and marks where the snapshots stand in it.
    pub(crate) fn read(
        disk: D,
        listing: &Listing,
        (owner, record): (Option<LedgerId>, Option<Newest>),
        read_newest: impl FnOnce(&D, &SegmentHeader, &[u64]) -> Result<Tail, FsError>,
    ) -> Result<(Self, Findings), FsError> {
        let mut segments = read_headers(&disk, &listing.segments)?;
        let Some(oldest) = segments.first() else {
            let record = record.map(|record| (NEWEST, record.ledger));
            return Err(match record.or(owner.map(|ledger| (LOCK, ledger))) {
                Some((name, ledger)) => FsError::Gone { place: disk.place(name), ledger },
                None => FsError::NotALedger { place: disk.place("") },
            });
        };
        let ledger = owner.unwrap_or(oldest.ledger);
        check_ledger(&disk, &segments, ledger)?;
        check_newest(&disk, &segments, ledger, record)?;
        let base = match listing.bases.last() {
            None => None,
            Some(&at) => Some(snapshot::read(&disk, &names::base(at), ledger, at)?.at),
        };
        let start = find_start(&disk, &segments, base)?;
        let mut dropped: Vec<_> = segments.drain(..start).map(|header| header.name()).collect();
        dropped.extend(listing.below(base.map(|base| base.seq), segments[0].first_seq()));
        check_links(&disk, &segments, ledger)?;
        let newest = segments.last().expect("the start is one of them");
        let mut wanted = [&listing.snapshots[..], &listing.bases].concat();
        wanted.sort_unstable();
        let mut tail = read_newest(&disk, newest, &wanted)?;
        let (end, head, marks) = (tail.end, tail.head, std::mem::take(&mut tail.marks));
        let history = Self { disk, ledger, segments, end, head, base, marks };
        history.check_end(record)?;
        history.check_base()?;
        history.check_none_ahead(&listing.snapshots)?;
        Ok((history, Findings { tail, dropped }))
    }

    /// The newest segment, to which entries are appended.
    pub(crate) fn newest(&self) -> &SegmentHeader {
        self.segments.last().expect("a log has at least one segment")
    }

    /// Checks that the newest segment holds what its last writer left in it.
    fn check_end(&self, record: Option<Newest>) -> Result<(), FsError> {
        let newest = self.newest();
        let record = record.filter(|record| record.first_seq == newest.first_seq());
        match record.and_then(|record| record.closed) {
            Some(closed) if self.head.seq < closed.head.seq => Err(FsError::EndMissing {
                place: self.disk.place(&newest.name()),
                record: self.disk.place(NEWEST),
                at: closed.head.seq,
                head: self.head.seq,
            }),
            _ => Ok(()),
        }
    }

    fn check_base(&self) -> Result<(), FsError> {
        let Some(base) = self.base else { return Ok(()) };
        let place = self.disk.place(&names::base(base.seq));
        if base.seq > self.head.seq {
            return Err(FsError::Ahead { place, at: base.seq, head: self.head.seq });
        }
        match self.walk_to(base.seq)? {
            Some(mark) if mark.at == base => Ok(()),
            _ => Err(FsError::OffChain { place, at: base.seq }),
        }
    }

    fn check_none_ahead(&self, snapshots: &[u64]) -> Result<(), FsError> {
        for &at in snapshots.iter().filter(|at| **at > self.head.seq) {
            let name = names::snapshot(at);
            // A damaged snapshot proves nothing.
            if snapshot::read(&self.disk, &name, self.ledger, at).is_ok() {
                let place = self.disk.place(&name);
                return Err(FsError::Ahead { place, at, head: self.head.seq });
            }
        }
        Ok(())
    }

    /// Whether the log has or had an entry that ends at this head.
    pub(crate) fn contains(&self, at: Head) -> Result<bool, FsError> {
        let chain = match self.base {
            Some(base) if at.seq < base.seq => None,
            Some(base) if at.seq == base.seq => Some(base.chain),
            _ if at.seq > self.head.seq => None,
            _ if at.seq == self.head.seq => Some(self.head.chain),
            _ => self.walk_to(at.seq)?.map(|mark| mark.at.chain),
        };
        Ok(chain == Some(at.chain))
    }

    /// The end of the entry that ends at this seq, found by walking over the entries; `None` if no
    /// entry ends there.
    fn walk_to(&self, seq: u64) -> Result<Option<Mark>, FsError> {
        if let Some(mark) = self.marks.iter().find(|mark| mark.at.seq == seq) {
            return Ok(Some(*mark));
        }
        let found = self.segments.partition_point(|header| header.before.seq <= seq);
        let Some(segment) = found.checked_sub(1).map(|found| self.segments[found]) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        segment::read_file(&self.disk, &segment, &mut bytes)?;
        let place = self.disk.place(&segment.name());
        let mut walk = Walk::new(&mut bytes, &place, segment);
        let mut at = segment.before;
        while at.seq < seq {
            match walk.next()? {
                Ok((entry, bytes)) => {
                    at = Head { seq: entry.last_seq(), chain: at.chain.extend(bytes) };
                }
                Err(_) => return Ok(None),
            }
        }
        Ok((at.seq == seq).then_some(Mark { at, segment, end: walk.end }))
    }

    /// Those of the listed snapshots that claim to be of this log and are not on its chain: the log was
    /// replaced or edited. Snapshots on the chain are marked, so that they need not be looked for again;
    /// damaged ones prove nothing.
    pub(crate) fn off_chain(&mut self, snapshots: &[u64]) -> Vec<String> {
        let mut off_chain = Vec::new();
        let first = self.base.map_or(0, |base| base.seq);
        for &seq in snapshots.iter().filter(|at| (first + 1..=self.head.seq).contains(at)) {
            let name = names::snapshot(seq);
            let Ok(at) = snapshot::read_head(&self.disk, &name, self.ledger, seq) else { continue };
            match self.walk_to(seq) {
                Ok(Some(mark)) if mark.at == at => self.marks.push(mark),
                Ok(_) => off_chain.push(self.disk.place(&name)),
                Err(_) => {}
            }
        }
        off_chain
    }

    /// Yields the entries whose first seq is `from` or above, in order. `told` turns an error into what
    /// the reader is to report.
    pub(crate) fn replay(
        &self,
        from: u64,
        chain: Chain,
        told: impl FnOnce(FsError) -> FsError,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let from = from.max(1);
        let first = self.base.map_or(1, |base| base.seq + 1);
        if from < first || from > self.head.seq + 1 {
            return Err(StoreError::Missing { needed: "history", requested: from });
        }
        if from <= self.head.seq {
            self.walk_from(from, chain, visit).map_err(told)?;
        }
        Ok(())
    }

    /// Walks over whole segments, starting with the one that holds `from`, and checks that each
    /// leads to the next and the last to the head.
    pub(crate) fn walk_from(
        &self,
        from: u64,
        chain: Chain,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), FsError> {
        let start = self.segments.partition_point(|header| header.first_seq() <= from);
        let start = start.saturating_sub(1);
        let ends = self.segments[start..].iter().skip(1).map(|next| next.before);
        let ends = ends.chain([self.head]);
        let mut bytes = Vec::new();
        for (header, end) in self.segments[start..].iter().zip(ends) {
            let start = self.start_in(header, from, chain);
            segment::read_from(&self.disk, header, start.1, &mut bytes)?;
            if header == self.newest() {
                bytes.truncate(self.end);
            }
            let checked = (end, chain);
            if self.walk_segment(*header, start, checked, &mut bytes, from, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Where a walk to `from` may start in this segment: at its first frame, or after a mark if the
    /// chain before the mark need not be checked.
    fn start_in(&self, header: &SegmentHeader, from: u64, chain: Chain) -> (Head, usize) {
        let before = |mark: &&Mark| mark.segment == *header && mark.at.seq < from;
        let mark = self.marks.iter().rev().find(before);
        match mark.filter(|_| chain == Chain::LeftToReader) {
            Some(mark) => (mark.at, mark.end),
            None => (header.before, FRAMES_AT),
        }
    }

    fn walk_segment(
        &self,
        header: SegmentHeader,
        start: (Head, usize),
        (end, checked): (Head, Chain),
        bytes: &mut [u8],
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FsError> {
        let place = self.disk.place(&header.name());
        let mut walk = Walk::from(bytes, &place, header, start);
        let mut chain = start.0.chain;
        let stop = loop {
            match walk.next()? {
                Ok((entry, bytes)) => {
                    if checked == Chain::Checked {
                        chain = chain.extend(bytes);
                    }
                    let stored = StoredEntry { first_seq: entry.first_seq, bytes };
                    if entry.first_seq >= from && visit(stored).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Err(stop) => break stop,
            }
        };
        let wrong = |damage| Err(damaged(&place, walk.end as u64, damage));
        if stop == Stop::Torn {
            wrong(Damage::Short)
        } else if !frame::is_blank(walk.rest()) {
            wrong(Damage::NotZero)
        } else if walk.last_seq != end.seq {
            wrong(Damage::Ends { found: walk.last_seq, expected: end.seq })
        } else if checked == Chain::Checked && chain != end.chain {
            wrong(Damage::Chain)
        } else {
            Ok(ControlFlow::Continue(()))
        }
    }

    /// The newest readable snapshot on this log's chain at or before `at_most`, the base included.
    pub(crate) fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, FsError> {
        let base_at = self.base.map_or(0, |base| base.seq);
        let wanted = base_at + u64::from(self.base.is_some())..=at_most;
        for at in Listing::read(&self.disk)?.snapshots.into_iter().rev() {
            if !wanted.contains(&at) {
                continue;
            }
            // An accelerator: whatever is wrong with one costs time and nothing else.
            let read = snapshot::read(&self.disk, &names::snapshot(at), self.ledger, at);
            if let Ok(snapshot) = read
                && self.contains(snapshot.at)?
            {
                return Ok(Some(snapshot));
            }
        }
        if base_at <= at_most { self.base() } else { Ok(None) }
    }

    /// The snapshot that stands for dropped history.
    pub(crate) fn base(&self) -> Result<Option<Snapshot>, FsError> {
        let Some(at) = self.base else { return Ok(None) };
        let name = names::base(at.seq);
        let snapshot = snapshot::read(&self.disk, &name, self.ledger, at.seq)?;
        if snapshot.at == at {
            Ok(Some(snapshot))
        } else {
            Err(FsError::OffChain { place: self.disk.place(&name), at: at.seq })
        }
    }

    /// Checks every byte of the log, its base and its snapshots.
    pub(crate) fn verify(&self) -> Result<Verified, FsError> {
        self.base()?;
        let mut entries = 0;
        let first = self.base.map_or(1, |base| base.seq + 1);
        self.walk_from(first, Chain::Checked, &mut |_| {
            entries += 1;
            ControlFlow::Continue(())
        })?;
        let mut damaged_snapshots = Vec::new();
        for at in Listing::read(&self.disk)?.snapshots {
            let name = names::snapshot(at);
            match snapshot::read(&self.disk, &name, self.ledger, at) {
                Ok(snapshot) if self.base.is_some_and(|base| base.seq > snapshot.at.seq) => {}
                Ok(snapshot) if self.contains(snapshot.at)? => {}
                // Superseded since the listing.
                Err(error) if error.is_not_found() => {}
                _ => damaged_snapshots.push(self.disk.place(&name)),
            }
        }
        Ok(Verified { entries, head: self.head, damaged_snapshots })
    }

    /// Forgets the segments that contain only what the base stands for, and returns the names of all
    /// files that do, including files that an earlier call could not remove.
    pub(crate) fn forget_below_base(&mut self, listing: &Listing) -> Vec<String> {
        let Some(base) = self.base else { return Vec::new() };
        let kept = self.segments.partition_point(|header| header.before.seq <= base.seq);
        self.segments.drain(..kept - 1);
        let first = &self.segments[0];
        let older = listing.segments.iter().filter(|name| **name < first.name()).cloned();
        older.chain(listing.below(Some(base.seq), first.first_seq())).collect()
    }

    /// Removes files and makes the removal durable.
    pub(crate) fn remove(&self, names: &[String]) -> Result<(), FsError> {
        for name in names {
            match self.disk.remove(name).map_err(io_error("remove", &self.disk, name)) {
                Err(error) if error.is_not_found() => {}
                removed => removed?,
            }
        }
        if names.is_empty() { Ok(()) } else { names::sync(&self.disk) }
    }
}

/// A log that was read through and found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many entries were read.
    pub entries: u64,
    /// Where the log ends.
    pub head: Head,
    /// The snapshots that are unreadable or not of this log. They cost time and no data.
    pub damaged_snapshots: Vec<String>,
}

/// The headers of all segments, by first seq.
fn read_headers<D: Disk>(disk: &D, found: &[String]) -> Result<Vec<SegmentHeader>, FsError> {
    let mut headers = Vec::new();
    for name in found {
        headers.push((segment::read_header(disk, name)?, name));
    }
    headers.sort_by_key(|(header, _)| header.first_seq());
    for pair in headers.windows(2) {
        let [(one, first), (other, second)] = pair else { continue };
        if one.first_seq() == other.first_seq() {
            let (first, second) = (disk.place(first), disk.place(second));
            return Err(FsError::SameSeq { seq: one.first_seq(), first, second });
        }
    }
    for (header, found) in &headers {
        let name = header.name();
        if name != **found {
            let place = disk.place(found);
            return Err(FsError::Misnamed { place, first_seq: header.first_seq(), name });
        }
    }
    Ok(headers.into_iter().map(|(header, _)| header).collect())
}

fn check_ledger<D: Disk>(
    disk: &D,
    segments: &[SegmentHeader],
    expected: LedgerId,
) -> Result<(), FsError> {
    match segments.iter().find(|header| header.ledger != expected) {
        None => Ok(()),
        Some(header) => {
            let place = disk.place(&header.name());
            Err(FsError::OtherLedger { place, found: header.ledger, expected })
        }
    }
}

/// Checks that the newest segment is there. A segment newer than the one that `newest` names was made by
/// a writer that crashed before it could write `newest`.
fn check_newest<D: Disk>(
    disk: &D,
    segments: &[SegmentHeader],
    ledger: LedgerId,
    record: Option<Newest>,
) -> Result<(), FsError> {
    let Some(record) = record else { return Ok(()) };
    let place = disk.place(NEWEST);
    if record.ledger != ledger {
        return Err(FsError::OtherLedger { place, found: record.ledger, expected: ledger });
    }
    match segments.last() {
        Some(newest) if newest.first_seq() < record.first_seq => {
            let missing = disk.place(&names::segment(record.first_seq));
            Err(FsError::NewestMissing { place: missing, record: place })
        }
        _ => Ok(()),
    }
}

/// The segment that the log starts with: that which holds the first seq after the base.
fn find_start<D: Disk>(
    disk: &D,
    segments: &[SegmentHeader],
    base: Option<Head>,
) -> Result<usize, FsError> {
    let base_seq = base.map_or(0, |base| base.seq);
    let after = segments.partition_point(|header| header.before.seq <= base_seq);
    after.checked_sub(1).ok_or_else(|| {
        let (place, first_seq) = (disk.place(&segments[0].name()), segments[0].first_seq());
        match base {
            None => FsError::BaseMissing { place, first_seq },
            Some(_) => FsError::Gap { place, before: first_seq },
        }
    })
}

/// Checks that each segment names the one before it, and that the first starts as the log does.
fn check_links<D: Disk>(
    disk: &D,
    segments: &[SegmentHeader],
    ledger: LedgerId,
) -> Result<(), FsError> {
    for pair in segments.windows(2) {
        if pair[1].previous != pair[0].first_seq() {
            let place = disk.place(&pair[1].name());
            return Err(FsError::Gap { place, before: pair[1].first_seq() });
        }
    }
    let first = &segments[0];
    if first.before.seq == 0 && first.before != Head::genesis(ledger) {
        return Err(damaged(&disk.place(&first.name()), 32, Damage::Chain));
    }
    Ok(())
}
