//! A segment: one file of the log (docs/FORMAT.md, "Segments").

use std::collections::TryReserveError;

use payonce_core::{EntryHeader, Head, LedgerId, LogHash};

use crate::{
    disk::{Disk, DiskFile, read_full},
    error::{Damage, FsError},
    frame::{self, Found, SECTOR_BYTES},
    names::{self, io_error},
};

/// The format version of segments, snapshots and frames that this program writes. It reads this one
/// and every one before.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"PayonceL";

/// Where the first frame starts: the file header fills a sector, so that no append writes to it.
pub(crate) const FRAMES_AT: usize = SECTOR_BYTES;

/// What a segment's file header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) ledger: LedgerId,
    /// Random, and different for each file: mixed into every frame header's checksum and into the masks.
    pub(crate) salt: u64,
    /// The head of the log before this file.
    pub(crate) before: Head,
    /// The first seq of the file before this one; 0 for the first file.
    pub(crate) previous: u64,
}

impl SegmentHeader {
    pub(crate) const fn first_seq(&self) -> u64 {
        self.before.seq + 1
    }

    pub(crate) fn name(&self) -> String {
        names::segment(self.first_seq())
    }

    pub(crate) fn encode(&self) -> [u8; FRAMES_AT] {
        let mut bytes = [0; FRAMES_AT];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.salt.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.before.seq.to_le_bytes());
        bytes[32..64].copy_from_slice(self.before.chain.as_bytes());
        bytes[64..96].copy_from_slice(self.ledger.as_bytes());
        bytes[96..104].copy_from_slice(&self.previous.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], place: &str) -> Result<Self, FsError> {
        let bytes = open_sealed(bytes, MAGIC, place)?;
        let header = Self {
            ledger: LedgerId::from_bytes(array(bytes, 64)),
            salt: u64::from_le_bytes(array(bytes, 16)),
            before: Head {
                seq: u64::from_le_bytes(array(bytes, 24)),
                chain: LogHash::from_bytes(array(bytes, 32)),
            },
            previous: u64::from_le_bytes(array(bytes, 96)),
        };
        let sound = header.before.seq < u64::MAX && header.previous <= header.before.seq;
        if sound { Ok(header) } else { Err(damaged(place, 24, Damage::FileHeader)) }
    }

    /// A seq of this file, counted as its frames count: the file's first is 1. `None` above what a
    /// frame can state.
    pub(crate) fn relative(&self, seq: u64) -> Option<u32> {
        u32::try_from(seq.checked_sub(self.before.seq)?).ok()
    }
}

/// Puts the checksum into a file header whose other fields are set.
pub(crate) fn seal(header: &mut [u8; SECTOR_BYTES]) {
    let crc = crc32c::crc32c(header);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
}

/// Checks what all versions of the file headers have in common: magic, checksum, version.
pub(crate) fn open_sealed<'a>(
    bytes: &'a [u8],
    magic: [u8; 8],
    place: &str,
) -> Result<&'a [u8; SECTOR_BYTES], FsError> {
    // All of them began with a small letter before the first release.
    let released = bytes.starts_with(&magic);
    if !released && !bytes.starts_with(&magic.map(|byte| if byte == b'P' { b'p' } else { byte })) {
        return Err(damaged(place, 0, Damage::Magic));
    }
    let Some(header) = bytes.first_chunk::<SECTOR_BYTES>() else {
        return Err(damaged(place, bytes.len() as u64, Damage::Short));
    };
    let mut unsealed = *header;
    unsealed[12..16].fill(0);
    match (crc32c::crc32c(&unsealed) == u32::from_le_bytes(array(header, 12)), released) {
        (true, true) => {}
        (true, false) => return Err(FsError::Unreleased { place: place.into() }),
        (false, true) => return Err(damaged(place, 8, Damage::FileHeader)),
        (false, false) => return Err(damaged(place, 0, Damage::Magic)),
    }
    match u32::from_le_bytes(array(header, 8)) {
        FORMAT_VERSION => Ok(header),
        0 => Err(damaged(place, 8, Damage::FileHeader)),
        found => Err(FsError::NewerVersion { place: place.into(), found, known: FORMAT_VERSION }),
    }
}

pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes")
}

pub(crate) fn damaged(place: &str, offset: u64, damage: Damage) -> FsError {
    FsError::Damaged { place: place.into(), offset, damage }
}

/// Reads a segment's file header.
pub(crate) fn read_header<D: Disk>(disk: &D, name: &str) -> Result<SegmentHeader, FsError> {
    let mut bytes = Vec::new();
    names::read_start(disk, name, SECTOR_BYTES, &mut bytes)?;
    SegmentHeader::decode(&bytes, &disk.place(name))
}

/// Whether a file that is named like a segment starts like one. One that cannot be read does not.
pub(crate) fn is_one<D: Disk>(disk: &D, name: &str) -> bool {
    let mut bytes = Vec::new();
    names::read_start(disk, name, MAGIC.len(), &mut bytes).is_ok()
        && bytes.eq_ignore_ascii_case(&MAGIC)
}

/// Reads a whole segment into `bytes`, and its header again, which must not have changed.
pub(crate) fn read_file<D: Disk>(
    disk: &D,
    header: &SegmentHeader,
    bytes: &mut Vec<u8>,
) -> Result<(), FsError> {
    read_from(disk, header, FRAMES_AT, bytes)
}

/// As [`read_file`], but of the frames only those from `start` on: the contents of `bytes` before them
/// are unspecified.
pub(crate) fn read_from<D: Disk>(
    disk: &D,
    header: &SegmentHeader,
    start: usize,
    bytes: &mut Vec<u8>,
) -> Result<(), FsError> {
    let name = header.name();
    let file = names::open(disk, &name, crate::disk::Access::Read)?;
    let size = file.size().map_err(io_error("measure", disk, &name))?;
    let size =
        usize::try_from(size).map_err(|_| damaged(&disk.place(&name), 0, Damage::TooLarge))?;
    make_room(size, bytes).map_err(|_| damaged(&disk.place(&name), 0, Damage::TooLarge))?;
    let io = io_error("read", disk, &name);
    let size = match bytes.split_at_mut_checked(start) {
        Some((before, frames)) => read_full(&file, &mut before[..FRAMES_AT], 0)
            .and_then(|_| read_full(&file, frames, start as u64))
            .map(|read| start + read),
        None => read_full(&file, bytes, 0),
    };
    bytes.truncate(size.map_err(io)?);
    if SegmentHeader::decode(bytes, &disk.place(&name))? == *header {
        Ok(())
    } else {
        Err(damaged(&disk.place(&name), 0, Damage::FileHeader))
    }
}

/// Gives `bytes` this length, with unspecified contents.
pub(crate) fn make_room(size: usize, bytes: &mut Vec<u8>) -> Result<(), TryReserveError> {
    if bytes.is_empty() {
        // Reserved first, to see whether there is room, then allocated as zeros: fresh memory is zero
        // already and need not be cleared. The compiler would remove a reservation whose result is not
        // used.
        let mut room = Vec::<u8>::new();
        room.try_reserve_exact(size)?;
        drop(std::hint::black_box(room));
        *bytes = vec![0; size];
    } else {
        // Kept from the last file: only what this one is longer by must be cleared.
        bytes.try_reserve_exact(size.saturating_sub(bytes.len()))?;
        bytes.resize(size, 0);
    }
    Ok(())
}

/// Walks over the entries of a segment in memory.
pub(crate) struct Walk<'a> {
    bytes: &'a mut [u8],
    place: &'a str,
    header: SegmentHeader,
    /// Where the last frame ends.
    pub(crate) end: usize,
    /// The last seq so far.
    pub(crate) last_seq: u64,
    /// The last seq that some frame so far vouches for.
    pub(crate) vouched: u64,
}

/// Where a [`Walk`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At a blank header or the end of the file.
    Blank,
    /// At a torn frame.
    Torn,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(bytes: &'a mut [u8], place: &'a str, header: SegmentHeader) -> Self {
        Self::from(bytes, place, header, (header.before, FRAMES_AT))
    }

    /// Begins at the end of a known entry.
    pub(crate) fn from(
        bytes: &'a mut [u8],
        place: &'a str,
        header: SegmentHeader,
        (before, end): (Head, usize),
    ) -> Self {
        let (last_seq, vouched) = (before.seq, before.seq);
        Self { bytes, place, header, end, last_seq, vouched }
    }

    /// The next entry with its header, or where the entries stop.
    pub(crate) fn next(&mut self) -> Result<Result<(EntryHeader, &[u8]), Stop>, FsError> {
        let at = frame::place(self.end);
        if let Some(gap) = self.bytes.get(self.end..at) {
            self.check_blank(gap)?;
        }
        let found = match frame::read(self.bytes, at, self.header.salt) {
            Found::Frame(found) => found,
            Found::Blank => return Ok(Err(Stop::Blank)),
            Found::Torn => return Ok(Err(Stop::Torn)),
            Found::Damaged(damage) => return Err(damaged(self.place, at as u64, damage)),
        };
        let (place, expected) = (self.place, self.last_seq + 1);
        let wrong = |damage| damaged(place, at as u64, damage);
        let stated = self.header.before.seq.saturating_add(u64::from(found.seq));
        if stated != expected {
            return Err(wrong(Damage::OutOfPlace { found: stated, expected }));
        }
        let entry = frame::unmask(self.bytes, at, &found, self.header.salt);
        let header = EntryHeader::read(entry).map_err(|error| no_entry(place, at, error))?;
        if header.first_seq != expected {
            return Err(wrong(Damage::OutOfPlace { found: header.first_seq, expected }));
        }
        self.end = at + found.frame_bytes();
        self.last_seq = header.last_seq();
        let vouched = self.header.before.seq + u64::from(found.vouched);
        self.vouched = self.vouched.max(vouched);
        Ok(Ok((header, entry)))
    }

    fn check_blank(&self, gap: &[u8]) -> Result<(), FsError> {
        if frame::is_blank(gap) {
            Ok(())
        } else {
            Err(damaged(self.place, self.end as u64, Damage::NotZero))
        }
    }

    /// The bytes from the end of the entries on.
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.end..).unwrap_or_default()
    }

    /// Whether a later header vouches for the entry that should come next.
    pub(crate) fn is_next_vouched(&self) -> bool {
        let at = frame::place(self.end);
        let next = self.header.relative(self.last_seq + 1);
        next.is_some_and(|next| frame::vouched_after(self.bytes, at, self.header.salt, next))
    }
}

fn no_entry(place: &str, at: usize, error: payonce_core::DecodeError) -> FsError {
    match error {
        payonce_core::DecodeError::NewerVersion { found, known } => {
            FsError::NewerVersion { place: place.into(), found: found.into(), known: known.into() }
        }
        error => damaged(place, at as u64, Damage::NoEntry(error)),
    }
}
