//! Everything in a log that can be read, with its place, and what is damaged: for tools that show raw
//! bytes, and for rescuing what is left of a log that does not open.

use std::{ops::ControlFlow, path::Path};

use payonce_core::{EntryHeader, Head, LedgerId, Snapshot};

use crate::{
    disk::Disk,
    error::{Damage, FsError},
    frame::{self, Found as Frame, HEADER_BYTES},
    history::Listing,
    names,
    newest::Newest,
    reader::FsReader,
    real,
    segment::{self, FRAMES_AT, SegmentHeader, damaged},
    snapshot,
};

/// A place in a file, for the error that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The name of the file in the log's directory.
    pub file: &'a str,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// How many bytes of the file; for an entry its whole frame.
    pub bytes: u64,
}

/// What a scan finds, in the order of the log.
#[derive(Debug)]
#[non_exhaustive]
pub enum Found<'a> {
    /// The state that stands for the history before, which was dropped.
    Base(&'a Snapshot),
    /// A file of entries begins.
    Segment {
        /// The path of the file that is scanned.
        file: &'a str,
        /// The ledger that its header names.
        ledger: LedgerId,
        /// The head before its first entry, as its header states it.
        before: Head,
    },
    /// An entry whose checksums are right.
    Entry {
        /// Where in the file the frame starts.
        place: Place<'a>,
        /// What the entry's own header states: seqs, time, epoch.
        header: EntryHeader,
        /// Its bytes, as they were appended.
        bytes: &'a [u8],
        /// The head after it, if everything before it back to the last sound file header or base was
        /// readable: otherwise `None`, since its chain cannot be known.
        after: Option<Head>,
    },
    /// The remains of a write that a crash tore: never acknowledged, no damage.
    Torn {
        /// Where they begin, and how many bytes they have up to the last that is not zero.
        place: Place<'a>,
    },
    /// Something is damaged or missing. The entries after it may be readable.
    Damage(FsError),
}

/// Reads everything in a log's directory that can be read, damaged or not, and modifies nothing. A
/// writer may change the log meanwhile: then a damage is certain only if an [`FsReader`] reports it too.
///
/// # Errors
/// [`FsError`] if the directory cannot be read at all, or has no files of a log.
pub fn scan(
    directory: impl AsRef<Path>,
    visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
) -> Result<(), FsError> {
    scan_on(&real::open(directory.as_ref())?, visit)
}

/// As [`scan`], of this disk.
///
/// # Errors
/// As [`scan`].
pub fn scan_on<D: Disk>(
    disk: &D,
    visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
) -> Result<(), FsError> {
    let mut found_damage = false;
    let flow = {
        let visit = &mut |found: Found<'_>| {
            found_damage |= matches!(found, Found::Damage(_));
            visit(found)
        };
        Scan { disk, listing: Listing::read(disk)?, head: None, last_seq: 0, visit }.run()?
    };
    if flow.is_continue()
        && !found_damage
        && let Err(error) = FsReader::open_on(disk)
    {
        // A damage that no single file shows: the newest segment is missing, or a snapshot is ahead of
        // the log.
        let _ = visit(Found::Damage(error));
    }
    Ok(())
}

struct Scan<'a, D> {
    disk: &'a D,
    listing: Listing,
    /// The head after the last entry, while the chain is known.
    head: Option<Head>,
    last_seq: u64,
    visit: &'a mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
}

type Flow = Result<ControlFlow<()>, FsError>;

impl<D: Disk> Scan<'_, D> {
    fn run(&mut self) -> Flow {
        let (segments, broken) = self.headers();
        if segments.is_empty() && broken.is_empty() {
            return Err(match Newest::find(self.disk)? {
                Some(record) => {
                    FsError::Gone { place: self.disk.place(names::NEWEST), ledger: record.ledger }
                }
                None => FsError::NotALedger { place: self.disk.place("") },
            });
        }
        for error in broken {
            if (self.visit)(Found::Damage(error)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let first = segments.first().map(|(header, _)| header.before);
        if first.is_some_and(|before| before.seq > 0) || segments.is_empty() {
            let ledger = segments.first().map(|(header, _)| header.ledger);
            if self.base(ledger, first)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        for (nth, (header, name)) in segments.iter().enumerate() {
            let is_newest = nth + 1 == segments.len();
            if self.segment(header, name, is_newest)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The segments whose header is sound, by seq, and what is wrong with the others.
    fn headers(&self) -> (Vec<(SegmentHeader, String)>, Vec<FsError>) {
        let (mut sound, mut broken) = (Vec::new(), Vec::new());
        for name in &self.listing.segments {
            match segment::read_header(self.disk, name) {
                Ok(header) => sound.push((header, name.clone())),
                Err(error) => broken.push(error),
            }
        }
        sound.sort_by_key(|(header, _)| header.first_seq());
        (sound, broken)
    }

    /// The newest base that can be read. A log whose first segment is there needs none.
    fn base(&mut self, ledger: Option<LedgerId>, first: Option<Head>) -> Flow {
        let Some(ledger) = ledger else { return Ok(ControlFlow::Continue(())) };
        for at in self.listing.bases.clone().into_iter().rev() {
            match snapshot::read(self.disk, &names::base(at), ledger, at) {
                Ok(base) => {
                    (self.head, self.last_seq) = (Some(base.at), base.at.seq);
                    return Ok((self.visit)(Found::Base(&base)));
                }
                Err(error) => {
                    if (self.visit)(Found::Damage(error)).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        let first_seq = first.map_or(1, |before| before.seq + 1);
        let place = self.disk.place(&names::segment(first_seq));
        let missing = FsError::BaseMissing { place, first_seq };
        Ok((self.visit)(Found::Damage(missing)))
    }

    fn segment(&mut self, header: &SegmentHeader, name: &str, is_newest: bool) -> Flow {
        let place = self.disk.place(name);
        let mut bytes = Vec::new();
        if header.name() != name {
            let name = header.name();
            let error = FsError::Misnamed { place, first_seq: header.first_seq(), name };
            return Ok((self.visit)(Found::Damage(error)));
        }
        if let Err(error) = segment::read_file(self.disk, header, &mut bytes) {
            return Ok((self.visit)(Found::Damage(error)));
        }
        let (ledger, before) = (header.ledger, header.before);
        if self.link(header, &place).is_break()
            || (self.visit)(Found::Segment { file: name, ledger, before }).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        self.frames(header, name, &mut bytes, is_newest)
    }

    /// Takes the head before a segment from its header, and reports a damage if that is not the head of
    /// what was read before it.
    fn link(&mut self, header: &SegmentHeader, place: &str) -> ControlFlow<()> {
        let (before, own) = (header.before, self.head);
        // History that the base stands for may still be here.
        let is_below = before.seq < self.last_seq && own.is_some();
        let (last, known) = (self.last_seq, own.is_none_or(|own| own == before));
        if is_below {
            return ControlFlow::Continue(());
        }
        (self.head, self.last_seq) = (Some(before), before.seq);
        let place = place.to_owned();
        if before.seq > last && (own.is_some() || last > 0) {
            return (self.visit)(Found::Damage(FsError::Gap { place, before: before.seq + 1 }));
        }
        if known {
            return ControlFlow::Continue(());
        }
        (self.visit)(Found::Damage(damaged(&place, 32, Damage::Chain)))
    }

    fn frames(
        &mut self,
        header: &SegmentHeader,
        name: &str,
        bytes: &mut [u8],
        is_newest: bool,
    ) -> Flow {
        let place = self.disk.place(name);
        let mut end = FRAMES_AT;
        // The entries that a base stands for are passed over; their chain starts with the header's.
        let mut head = Some(header.before);
        loop {
            let at = frame::place(end);
            let flow = match read_entry(bytes, at, end, header.salt) {
                Read::Entry(found, own) => {
                    end = at + found.frame_bytes();
                    let place = Place { file: name, offset: at as u64, bytes: (end - at) as u64 };
                    self.entry(place, own, &bytes[at + HEADER_BYTES..][..found.len], &mut head)
                }
                Read::End => return Ok(ControlFlow::Continue(())),
                Read::Torn(written)
                    if is_newest && frame::next_header(bytes, at, header.salt).is_none() =>
                {
                    let (offset, bytes) = (end as u64, written as u64);
                    return Ok((self.visit)(Found::Torn {
                        place: Place { file: name, offset, bytes },
                    }));
                }
                read => {
                    let damage =
                        if let Read::Damaged(damage) = read { damage } else { Damage::Short };
                    (head, self.head) = (None, None);
                    let flow = (self.visit)(Found::Damage(damaged(&place, at as u64, damage)));
                    match frame::next_header(bytes, at, header.salt) {
                        Some(next) => end = next,
                        None => return Ok(flow),
                    }
                    flow
                }
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
    }

    /// Visits an entry, unless the base stands for it.
    fn entry(
        &mut self,
        place: Place<'_>,
        header: EntryHeader,
        bytes: &[u8],
        head: &mut Option<Head>,
    ) -> ControlFlow<()> {
        let follows = head.filter(|head| head.seq + 1 == header.first_seq);
        *head =
            follows.map(|head| Head { seq: header.last_seq(), chain: head.chain.extend(bytes) });
        let file = self.disk.place(place.file);
        if header.last_seq() <= self.last_seq {
            let at = self.last_seq;
            let off_chain = header.last_seq() == at && *head != self.head && self.head.is_some();
            return if off_chain && head.is_some() {
                (self.visit)(Found::Damage(FsError::OffChain { place: file, at }))
            } else {
                ControlFlow::Continue(())
            };
        }
        let expected = self.last_seq + 1;
        let missing = header.first_seq != expected && self.head.is_some();
        (self.head, self.last_seq) = (*head, header.last_seq());
        if missing {
            let damage = Damage::OutOfPlace { found: header.first_seq, expected };
            (self.visit)(Found::Damage(damaged(&file, place.offset, damage)))?;
        }
        (self.visit)(Found::Entry { place, header, bytes, after: *head })
    }
}

/// What is at a place where an entry may be.
enum Read {
    Entry(frame::Header, EntryHeader),
    /// Nothing more was written.
    End,
    /// The rest of a torn write, with its length in bytes up to the last that is not zero.
    Torn(usize),
    Damaged(Damage),
}

/// Reads what is at `at`, where the last entry ends at `end`, and takes the mask off an entry.
fn read_entry(bytes: &mut [u8], at: usize, end: usize, salt: u64) -> Read {
    match frame::read(bytes, at, salt) {
        Frame::Frame(found) => match EntryHeader::read(frame::unmask(bytes, at, &found, salt)) {
            Ok(header) => Read::Entry(found, header),
            Err(error) => Read::Damaged(Damage::NoEntry(error)),
        },
        Frame::Blank if frame::is_blank(bytes.get(end..).unwrap_or_default()) => Read::End,
        Frame::Blank => Read::Damaged(Damage::NotZero),
        Frame::Torn => {
            let rest = bytes.get(end..).unwrap_or_default();
            Read::Torn(rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1))
        }
        Frame::Damaged(damage) => Read::Damaged(damage),
    }
}

/// How much of a log is sound.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Survey {
    /// The ledger; `None` if no file header can be read.
    pub ledger: Option<LedgerId>,
    /// The state that stands for dropped history, if there is one and it can be read.
    pub base: Option<Snapshot>,
    /// The end of the intact prefix: everything up to here is readable and on the chain, and no hash in
    /// another file contradicts it. `None` if not even the beginning is there.
    pub intact: Option<Head>,
    /// How many entries the intact prefix has.
    pub before: u64,
    /// How many entries after it are readable.
    pub after: u64,
    /// The last seq that is readable.
    pub last_seq: u64,
    /// The damages, in the order of the log; at most [`Survey::DAMAGES`].
    pub damages: Vec<FsError>,
    /// How many damages there are, also those that are not kept.
    pub damaged: u64,
    /// How many bytes of a torn write follow the last entry.
    pub torn_bytes: u64,
}

impl Survey {
    /// How many damages are kept.
    pub const DAMAGES: usize = 100;

    fn add(&mut self, found: Found<'_>, certain: &mut Option<(Head, u64)>) {
        match found {
            Found::Base(base) => {
                (self.intact, self.last_seq) = (Some(base.at), base.at.seq);
                self.base = Some(base.clone());
                *certain = Some((base.at, 0));
            }
            Found::Segment { ledger, before, .. } => {
                self.ledger.get_or_insert(ledger);
                if self.damaged == 0 {
                    self.intact.get_or_insert(before);
                    *certain = self.intact.map(|intact| (intact, self.before));
                }
            }
            Found::Entry { header, after, .. } => {
                self.last_seq = header.last_seq();
                if self.damaged > 0 {
                    self.after += 1;
                } else {
                    (self.intact, self.before) = (after, self.before + 1);
                }
            }
            Found::Torn { place } => self.torn_bytes = place.bytes,
            Found::Damage(error) => {
                let edited = matches!(
                    error,
                    FsError::Damaged { damage: Damage::Chain, .. } | FsError::OffChain { .. }
                );
                if self.damaged == 0 && edited {
                    let (at, before) = certain.map_or((None, 0), |(at, n)| (Some(at), n));
                    self.after += self.before - before;
                    (self.intact, self.before) = (at, before);
                }
                self.damaged += 1;
                if self.damages.len() < Self::DAMAGES {
                    self.damages.push(error);
                }
            }
        }
    }
}

/// Reads everything and reports how much of it is sound.
///
/// # Errors
/// As [`scan`].
pub fn survey(directory: impl AsRef<Path>) -> Result<Survey, FsError> {
    survey_on(&real::open(directory.as_ref())?)
}

/// As [`survey`], of this disk.
///
/// # Errors
/// As [`scan`].
pub fn survey_on<D: Disk>(disk: &D) -> Result<Survey, FsError> {
    let mut survey = Survey::default();
    // The last hash that another file confirmed: an edited entry is noticed only at the next such hash.
    let mut certain = None;
    scan_on(disk, &mut |found| {
        survey.add(found, &mut certain);
        ControlFlow::Continue(())
    })?;
    Ok(survey)
}
