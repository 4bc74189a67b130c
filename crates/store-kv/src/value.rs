//! The values under the keys (docs/FORMAT-store-kv.md, "Values"): a checksummed header, and a body
//! with a checksum of its own.

use std::ops::Range;

use payonce_core::{Entry, EntryHeader, Head, LedgerId, LogHash, Snapshot};

use crate::{
    error::{Damage, KvError},
    keys::ChunkKey,
};

/// The format version of the keys and values that this program writes. It reads this one and every
/// one before.
pub const FORMAT_VERSION: u32 = 1;

const HEADER_BYTES: usize = 100;
/// What stands before an entry in a chunk: its length.
const FRAME_BYTES: usize = 4;
/// A chunk takes further entries up to this size. Databases and servers limit a value, and one of
/// this size costs little more than its bytes.
const CHUNK_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Record,
    Chunk,
    Snapshot,
}

impl Kind {
    const fn magic(self) -> [u8; 8] {
        match self {
            Self::Record => *b"PayonceK",
            Self::Chunk => *b"PayonceE",
            Self::Snapshot => *b"PayonceS",
        }
    }
}

/// A value whose every byte was checked.
struct Sound<'a> {
    ledger: LedgerId,
    at: Head,
    body: &'a [u8],
}

/// Writes the header before the body, for which `value` has room at its beginning.
fn seal(mut value: Vec<u8>, kind: Kind, ledger: LedgerId, at: Head) -> Vec<u8> {
    let (header, body) = value.split_at_mut(HEADER_BYTES);
    header[..8].copy_from_slice(&kind.magic());
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[16..48].copy_from_slice(ledger.as_bytes());
    header[48..56].copy_from_slice(&at.seq.to_le_bytes());
    header[56..88].copy_from_slice(at.chain.as_bytes());
    header[88..96].copy_from_slice(&(body.len() as u64).to_le_bytes());
    header[96..].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    let sum = crc32c::crc32c(header);
    header[12..16].copy_from_slice(&sum.to_le_bytes());
    value
}

/// Checks what every value has in common.
fn open<'a>(value: &'a [u8], kind: Kind, place: &str) -> Result<Sound<'a>, KvError> {
    let damaged = |damage| KvError::damaged(place.into(), damage);
    // All of them began with a small letter before the first release.
    let unreleased = kind.magic().map(|byte| if byte == b'P' { b'p' } else { byte });
    let released = value.starts_with(&kind.magic());
    if !released && !value.starts_with(&unreleased) {
        return Err(damaged(Damage::Magic));
    }
    let Some((header, body)) = value.split_first_chunk::<HEADER_BYTES>() else {
        return Err(damaged(Damage::Header));
    };
    let mut unsealed = *header;
    unsealed[12..16].fill(0);
    match (crc32c::crc32c(&unsealed) == u32::from_le_bytes(array(header, 12)), released) {
        (true, true) => {}
        (true, false) => return Err(KvError::Unreleased { place: place.into() }),
        (false, true) => return Err(damaged(Damage::Header)),
        (false, false) => return Err(damaged(Damage::Magic)),
    }
    match u32::from_le_bytes(array(header, 8)) {
        FORMAT_VERSION => {}
        0 => return Err(damaged(Damage::Header)),
        found => {
            return Err(KvError::NewerVersion {
                place: place.into(),
                found,
                known: FORMAT_VERSION,
            });
        }
    }
    let (found, expected) = (body.len() as u64, u64::from_le_bytes(array(header, 88)));
    if found != expected {
        return Err(damaged(Damage::Length { found, expected }));
    }
    if crc32c::crc32c(body) != u32::from_le_bytes(array(header, 96)) {
        return Err(damaged(Damage::Body));
    }
    let at = Head {
        seq: u64::from_le_bytes(array(header, 48)),
        chain: LogHash::from_bytes(array(header, 56)),
    };
    Ok(Sound { ledger: LedgerId::from_bytes(array(header, 16)), at, body })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes")
}

fn check_ledger(found: LedgerId, expected: LedgerId, place: &str) -> Result<(), KvError> {
    if found == expected {
        Ok(())
    } else {
        Err(KvError::OtherLedger { place: place.into(), found, expected })
    }
}

/// The creation record: whose log it is, and a head that was durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) ledger: LedgerId,
    pub(crate) vouched: Head,
}

impl Record {
    pub(crate) fn encode(self) -> Vec<u8> {
        seal(vec![0; HEADER_BYTES], Kind::Record, self.ledger, self.vouched)
    }

    pub(crate) fn decode(value: &[u8], place: &str) -> Result<Self, KvError> {
        let Sound { ledger, at, body } = open(value, Kind::Record, place)?;
        if !body.is_empty() {
            let damage = Damage::Length { found: body.len() as u64, expected: 0 };
            return Err(KvError::damaged(place.into(), damage));
        }
        Ok(Self { ledger, vouched: at })
    }
}

pub(crate) fn encode_snapshot(ledger: LedgerId, at: Head, state: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + state.len());
    value.resize(HEADER_BYTES, 0);
    value.extend_from_slice(state);
    seal(value, Kind::Snapshot, ledger, at)
}

/// Reads a snapshot, or a base, which is the same under another name.
pub(crate) fn decode_snapshot(
    mut value: Vec<u8>,
    ledger: LedgerId,
    named: Head,
    place: &str,
) -> Result<Snapshot, KvError> {
    let found = open(&value, Kind::Snapshot, place)?;
    check_ledger(found.ledger, ledger, place)?;
    if found.at != named {
        return Err(KvError::damaged(place.into(), Damage::Name));
    }
    value.drain(..HEADER_BYTES);
    Ok(Snapshot { at: named, bytes: value })
}

/// Encodes as many of the entries as one chunk takes, at least one. They continue each other.
pub(crate) fn encode_chunk(ledger: LedgerId, entries: &[Entry]) -> (ChunkKey, Vec<u8>, usize) {
    let size = |entry: &Entry| FRAME_BYTES + entry.bytes().len();
    let mut total = HEADER_BYTES;
    let count = entries.iter().take_while(|entry| {
        total += size(entry);
        total <= CHUNK_BYTES
    });
    let count = count.count().max(1);
    let entries = &entries[..count];
    let mut value = Vec::with_capacity(HEADER_BYTES + entries.iter().map(size).sum::<usize>());
    value.resize(HEADER_BYTES, 0);
    for entry in entries {
        let length = u32::try_from(entry.bytes().len()).expect("an entry has at most 1 MiB");
        value.extend_from_slice(&length.to_le_bytes());
        value.extend_from_slice(entry.bytes());
    }
    let (before, after) = (entries[0].before(), entries[count - 1].after());
    let key = ChunkKey { first: entries[0].first_seq(), before: before.chain.prefix(), after };
    (key, seal(value, Kind::Chunk, ledger, before), count)
}

/// A chunk that was read and is what its name says.
pub(crate) struct Chunk {
    /// The head before its first entry.
    pub(crate) before: Head,
    pub(crate) entries: Vec<Framed>,
    value: Vec<u8>,
}

/// Where an entry is in a chunk.
pub(crate) struct Framed {
    pub(crate) first_seq: u64,
    pub(crate) after: Head,
    range: Range<usize>,
}

impl Chunk {
    pub(crate) fn decode(
        value: Vec<u8>,
        ledger: LedgerId,
        key: ChunkKey,
        place: &str,
    ) -> Result<Self, KvError> {
        let found = open(&value, Kind::Chunk, place)?;
        check_ledger(found.ledger, ledger, place)?;
        let before = found.at;
        let entries = walk(before, found.body, place)?;
        let after = entries.last().map(|entry| entry.after);
        let is_named = before.seq == key.first - 1
            && before.chain.prefix() == key.before
            && after == Some(key.after);
        if is_named {
            Ok(Self { before, entries, value })
        } else {
            Err(KvError::damaged(place.into(), Damage::Name))
        }
    }

    /// The bytes of one of its entries.
    pub(crate) fn bytes(&self, entry: &Framed) -> &[u8] {
        &self.value[entry.range.clone()]
    }

    /// The whole value, as it was written.
    pub(crate) fn into_value(self) -> Vec<u8> {
        self.value
    }
}

/// Finds the entries in a chunk's body and follows the chain through them.
fn walk(mut at: Head, body: &[u8], place: &str) -> Result<Vec<Framed>, KvError> {
    let damaged = |damage| KvError::damaged(place.into(), damage);
    let mut entries = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let frame = rest.split_first_chunk::<FRAME_BYTES>();
        let (length, after_length) = frame.ok_or_else(|| damaged(Damage::Framing))?;
        let length = u32::from_le_bytes(*length) as usize;
        let entry = after_length.get(..length).ok_or_else(|| damaged(Damage::Framing))?;
        let header = EntryHeader::read(entry).map_err(|error| damaged(Damage::NoEntry(error)))?;
        let (found, expected) = (header.first_seq, at.seq.saturating_add(1));
        if found != expected {
            return Err(damaged(Damage::OutOfPlace { found, expected }));
        }
        at = Head { seq: header.last_seq(), chain: at.chain.extend(entry) };
        let start = HEADER_BYTES + body.len() - after_length.len();
        entries.push(Framed { first_seq: found, after: at, range: start..start + length });
        rest = &after_length[length..];
    }
    Ok(entries)
}
