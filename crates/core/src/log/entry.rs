//! Entries: the events of one command in bytes, the unit of atomicity (docs/FORMAT.md).

use alloc::{format, vec::Vec};

use crate::{
    base::amount::UnixMillis,
    base::head::Head,
    base::limits,
    base::wire::{DecodeError, Sink, Source, UnknownFields, Wire, check_entry_size},
    event::event::Event,
    log::loss::LossAlarm,
};

/// One entry as it is kept: the events of one command, encoded once and never re-encoded. The unit
/// of atomicity: a store has all of it or nothing.
///
/// A machine makes entries; [`Machine::confirmed`](crate::Machine::confirmed) takes them back once
/// they are durable.
#[derive(Debug)]
#[must_use = "an entry that is never confirmed poisons its ledger"]
pub struct Entry {
    pub(crate) before: Head,
    pub(crate) after: Head,
    pub(crate) bytes: Vec<u8>,
    /// Told when the entry is dropped before it was confirmed.
    pub(crate) loss: LossAlarm,
}

/// Why events cannot be an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// An entry has at least one event.
    #[error("an entry has at least one event")]
    Empty,
    /// The entry would be larger than [`limits::ENTRY_BYTES`].
    #[error("the entry would have {bytes} bytes; the limit is {}", limits::ENTRY_BYTES)]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The entry reads back differently: a field is above its limit.
    #[error("the entry does not read back: {0}")]
    Unreadable(#[from] DecodeError),
}

/// What stands before an entry's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct EntryHeader {
    /// The format version of the entry: the lowest that can say its events.
    pub format: u8,
    /// The seq of the first event.
    pub first_seq: u64,
    /// When the command was decided.
    pub now: UnixMillis,
    /// The epoch of the writer.
    pub epoch: u64,
    /// How many events follow; at least one.
    pub events: u32,
}

const HEADER: &str = "an entry's header";

impl EntryHeader {
    /// Reads the header of an entry and leaves its events alone: what a store needs to know.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes do not start with a header of a known version, in its one
    /// encoding.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::take(&mut Source::versioned(bytes, HEADER)?)
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        let header = Self {
            format: source.stated,
            first_seq: Wire::take(source)?,
            now: Wire::take(source)?,
            epoch: Wire::take(source)?,
            events: Wire::take(source)?,
        };
        let overflows = header.first_seq.checked_add(u64::from(header.events)).is_none();
        if header.events == 0 || header.first_seq == 0 || overflows {
            let what = format!("{} events from seq {}", header.events, header.first_seq);
            return Err(source.malformed(&what));
        }
        Ok(header)
    }

    /// The seq of the entry's last event.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.first_seq + self.events as u64 - 1
    }
}

impl Entry {
    /// The head that this entry continues.
    #[must_use]
    pub const fn before(&self) -> Head {
        self.before
    }

    /// The head once this entry is part of the log.
    #[must_use]
    pub const fn after(&self) -> Head {
        self.after
    }

    /// The seq of the entry's first event.
    #[must_use]
    pub const fn first_seq(&self) -> u64 {
        self.before.seq + 1
    }

    /// The bytes to keep, as docs/FORMAT.md lays them out. At most [`limits::ENTRY_BYTES`].
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Encodes events as the entry after `before`. A machine makes its own; this is for tests of
    /// stores and for tools.
    ///
    /// # Errors
    /// [`EncodeError`] when there is no event, or a limit is broken.
    pub fn new(
        before: Head,
        epoch: u64,
        now: UnixMillis,
        events: &[Event],
    ) -> Result<Self, EncodeError> {
        Self::encoded(before, epoch, now, events).map(|(_, entry)| entry)
    }

    /// As [`new`](Self::new), for events some of which have fields that this program does not know, as
    /// [`Record::unknown`](crate::Record::unknown) tells them: for tools that take a log apart and put
    /// it together again.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_unknown(
        before: Head,
        epoch: u64,
        now: UnixMillis,
        events: &[Event],
        unknown: &[(u64, UnknownFields)],
    ) -> Result<Self, EncodeError> {
        let of = |nth: usize| {
            let seq = before.seq + 1 + nth as u64;
            unknown.iter().find(|(own, _)| *own == seq).map(|(_, fields)| fields.clone())
        };
        let (_, entry) = Self::encode(before, epoch, now, events, of)?;
        Ok(entry)
    }

    /// As [`new`](Self::new), with the header that was encoded.
    pub(crate) fn encoded(
        before: Head,
        epoch: u64,
        now: UnixMillis,
        events: &[Event],
    ) -> Result<(EntryHeader, Self), EncodeError> {
        Self::encode(before, epoch, now, events, |_| None)
    }

    fn encode(
        before: Head,
        epoch: u64,
        now: UnixMillis,
        events: &[Event],
        unknown: impl Fn(usize) -> Option<UnknownFields>,
    ) -> Result<(EntryHeader, Self), EncodeError> {
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Err(EncodeError::Empty);
        }
        let mut sink = Sink::with_capacity(64 + 128 * events.len());
        sink.version_first();
        (before.seq + 1).put(&mut sink);
        now.put(&mut sink);
        epoch.put(&mut sink);
        count.put(&mut sink);
        for (nth, event) in events.iter().enumerate() {
            sink.left_over = unknown(nth).unwrap_or_default();
            event.put(&mut sink);
        }
        let bytes = sink.with_version()?;
        if bytes.len() > limits::ENTRY_BYTES {
            return Err(EncodeError::TooLarge { bytes: bytes.len() });
        }
        let header = check_readable(events, &bytes)?;
        Ok((header, Self::sealed(before, &header, bytes)))
    }

    /// Takes a stored entry for another store: a copy, a migration.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are no entry, or not the one after `before`.
    pub fn from_stored(before: Head, bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let header = decode_events(&bytes, |_, _| ())?;
        if before.seq.checked_add(1) != Some(header.first_seq) {
            return Err(DecodeError::OutOfPlace { stated: header.first_seq, after: before.seq });
        }
        Ok(Self::sealed(before, &header, bytes))
    }

    fn sealed(before: Head, header: &EntryHeader, bytes: Vec<u8>) -> Self {
        let after = Head { seq: header.last_seq(), chain: before.chain.extend(&bytes) };
        Self { before, after, bytes, loss: LossAlarm::default() }
    }
}

/// What could not be read back must never reach a store: an entry is decoded again before it is given
/// away. The bytes are the encoding of what is compared, so they are the one encoding of what reads
/// back the same.
fn check_readable(events: &[Event], bytes: &[u8]) -> Result<EntryHeader, DecodeError> {
    let mut written = events.iter();
    let mut same = true;
    let header = decode_events(bytes, |_, event| same &= written.next() == Some(&event))?;
    if same && written.next().is_none() {
        Ok(header)
    } else {
        Err(DecodeError::NotCanonical { inside: "an entry" })
    }
}

/// Decodes an entry event by event: never as one container, whose claimed size nothing bounds.
///
/// # Errors
/// [`DecodeError`]; `each` may have been called for the events before the damage.
pub fn decode_events(
    bytes: &[u8],
    mut each: impl FnMut(u64, Event),
) -> Result<EntryHeader, DecodeError> {
    let (header, events) = split_entry(bytes)?;
    decode_each(&header, events, |seq, event, _| each(seq, event))?;
    Ok(header)
}

/// The header of an entry, and the bytes of its events.
pub(crate) fn split_entry(bytes: &[u8]) -> Result<(EntryHeader, &[u8]), DecodeError> {
    check_entry_size(bytes.len())?;
    let mut source = Source::versioned(bytes, HEADER)?;
    let header = EntryHeader::take(&mut source)?;
    Ok((header, source.rest))
}

/// Decodes the events of an entry from their bytes, each with the fields of it that are not known.
pub(crate) fn decode_each(
    header: &EntryHeader,
    events: &[u8],
    mut each: impl FnMut(u64, Event, UnknownFields),
) -> Result<(), DecodeError> {
    let mut source = Source::of_version(events, "an event", header.format);
    for seq in header.first_seq..=header.last_seq() {
        let event = Event::take(&mut source)?;
        each(seq, event, core::mem::take(&mut source.left_over).into());
    }
    source.inside = "an entry";
    source.check_end()
}
