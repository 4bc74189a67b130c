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

/// One entry: the events of one command, encoded once and never again. The unit of atomicity: a store
/// has all of it or nothing.
///
/// A machine makes entries; [`Machine::confirmed`](crate::Machine::confirmed) takes them back once
/// they are durable.
#[derive(Debug)]
#[must_use = "an entry that is never confirmed poisons its ledger"]
pub struct Entry {
    pub(crate) before: Head,
    pub(crate) after: Head,
    pub(crate) bytes: Vec<u8>,
    /// Poisons the machine if the entry is dropped before it was confirmed.
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
    /// The entry would not be read back: a field is above its limit, or there is no such seq.
    #[error("the entry would not be read back: {0}")]
    Unreadable(#[from] DecodeError),
}

/// The header of an entry, before its events.
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
    /// Reads the header of an entry without decoding its events: all that a store needs.
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
        header.checked(source.inside)
    }

    /// Refuses places that no log has.
    fn checked(self, inside: &'static str) -> Result<Self, DecodeError> {
        let overflows = self.first_seq.checked_add(u64::from(self.events)).is_none();
        if self.events == 0 || self.first_seq == 0 || overflows {
            let what = format!("{} events from seq {}", self.events, self.first_seq);
            return Err(DecodeError::Malformed { inside, what });
        }
        Ok(self)
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

    /// The bytes to keep, as specified in [FORMAT]. At most [`limits::ENTRY_BYTES`].
    ///
    /// [FORMAT]: https://github.com/payonce/payonce/blob/main/docs/FORMAT.md
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
    /// [`Record::unknown`](crate::Record::unknown) lists them: for tools that take a log apart and put
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
        if events.is_empty() {
            return Err(EncodeError::Empty);
        }
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        // Beyond the largest seq there is no next one.
        let first_seq = before.seq.checked_add(1).unwrap_or(0);
        let mut sink = Sink::with_capacity(64 + 128 * events.len());
        sink.version_first();
        first_seq.put(&mut sink);
        now.put(&mut sink);
        epoch.put(&mut sink);
        count.put(&mut sink);
        for (nth, event) in events.iter().enumerate() {
            sink.left_over = unknown(nth).unwrap_or_default();
            event.put(&mut sink);
        }
        let format = sink.version();
        let bytes = sink.with_version()?;
        if bytes.len() > limits::ENTRY_BYTES {
            return Err(EncodeError::TooLarge { bytes: bytes.len() });
        }
        let header = EntryHeader { format, first_seq, now, epoch, events: count };
        let header = header.checked(HEADER)?;
        debug_assert_eq!(read_back(events, &bytes), Ok(header), "what is put is what is taken");
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

/// An entry that could not be read back must never reach a store: the ledger would not open any more, with
/// payments out. `put` refuses what `take` would refuse, and both are made from one table; every program
/// with debug assertions, the tests and the fuzzers among them, reads each entry back as well. That takes a
/// fifth of a command's time, so a release does not.
fn read_back(events: &[Event], bytes: &[u8]) -> Result<EntryHeader, DecodeError> {
    let mut written = events.iter();
    let mut same = true;
    let header = decode_events(bytes, |_, event| same &= written.next() == Some(&event))?;
    if same && written.next().is_none() {
        Ok(header)
    } else {
        Err(DecodeError::NotCanonical { inside: "an entry" })
    }
}

/// Decodes an entry event by event, and never as one container, whose size could be any number.
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
