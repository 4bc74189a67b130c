//! Entries on their way from the thread that reads a log to the thread that folds it, for a replay on
//! two threads.

use alloc::vec::Vec;

use crate::{
    base::head::Head,
    base::wire::DecodeError,
    event::event::Event,
    ledger::replay_error::ReplayError,
    log::entry::{EntryHeader, decode_each, split_entry},
    log::store::StoredEntry,
};

/// Consecutive entries with their chain computed: made by a [`Linker`] and taken by
/// [`Replay::fold`](crate::Replay::fold). Either thread may decode their events, whichever has time.
/// Made once, then cleared and filled again.
#[derive(Debug, Default)]
pub struct Records {
    linked: Vec<Linked>,
    /// The encoded events of all entries, one after the other.
    bytes: Vec<u8>,
    /// The events of the first entries, as many as [`decode`](Self::decode) decoded.
    events: Vec<Event>,
    decoded: usize,
}

/// An entry whose place is known.
#[derive(Debug)]
struct Linked {
    header: EntryHeader,
    after: Head,
    /// Where its events end in the bytes.
    end: usize,
}

impl Records {
    /// How many entries there are since they were last cleared.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.linked.len()
    }

    /// How many bytes their encoded events take.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.linked.is_empty()
    }

    /// Decodes the events of all entries, up to the first that does not decode: folding meets that
    /// one.
    pub fn decode(&mut self) {
        while let Some(linked) = self.linked.get(self.decoded) {
            let before = self.events.len();
            let encoded = &self.bytes[self.begin(self.decoded)..linked.end];
            if decode(&linked.header, encoded, &mut self.events).is_err() {
                self.events.truncate(before);
                return;
            }
            self.decoded += 1;
        }
    }

    /// Calls `each` with every entry and its events, in order; events that are not decoded yet are
    /// decoded into `spare` first, a whole entry at a time.
    pub(crate) fn each(
        &self,
        spare: &mut Vec<Event>,
        mut visit: impl FnMut(&EntryHeader, Head, &[Event]) -> Result<(), ReplayError>,
    ) -> Result<(), ReplayError> {
        let mut ahead = &self.events[..];
        for (nth, linked) in self.linked.iter().enumerate() {
            let Linked { header, after, end } = linked;
            if nth < self.decoded {
                let (events, others) = ahead.split_at(header.events as usize);
                ahead = others;
                visit(header, *after, events)?;
            } else {
                spare.clear();
                decode(header, &self.bytes[self.begin(nth)..*end], spare)?;
                visit(header, *after, spare)?;
            }
        }
        Ok(())
    }

    /// Removes all entries, so that it can be filled again.
    pub fn clear(&mut self) {
        self.linked.clear();
        self.bytes.clear();
        self.events.clear();
        self.decoded = 0;
    }

    /// Where the events of an entry begin in the bytes.
    fn begin(&self, nth: usize) -> usize {
        nth.checked_sub(1).map_or(0, |before| self.linked[before].end)
    }
}

/// Takes the entries of a log one after the other and computes their chain: the half of a replay that
/// needs no state and can have its own thread.
#[derive(Debug)]
pub struct Linker {
    head: Head,
}

impl Linker {
    /// Begins after this head.
    #[must_use]
    pub const fn new(head: Head) -> Self {
        Self { head }
    }

    /// Takes the next entry. Its events are not decoded yet.
    ///
    /// # Errors
    /// [`ReplayError`] when it is not the next one, or does not begin with a header; nothing is
    /// added then.
    pub fn link(&mut self, stored: StoredEntry<'_>, into: &mut Records) -> Result<(), ReplayError> {
        let (header, events, after) = next_entry(self.head, stored)?;
        into.bytes.extend_from_slice(events);
        into.linked.push(Linked { header, after, end: into.bytes.len() });
        self.head = after;
        Ok(())
    }
}

/// The entry that must follow `before`: its header, its events as they are encoded, and the head
/// after it.
pub(crate) fn next_entry(
    before: Head,
    stored: StoredEntry<'_>,
) -> Result<(EntryHeader, &[u8], Head), ReplayError> {
    if stored.first_seq != before.seq + 1 {
        return Err(ReplayError::Missing { after: before.seq, found: stored.first_seq });
    }
    let unreadable = |error| ReplayError::Entry { seq: stored.first_seq, error };
    let (header, events) = split_entry(stored.bytes).map_err(unreadable)?;
    if header.first_seq != stored.first_seq {
        let stated = header.first_seq;
        return Err(unreadable(DecodeError::OutOfPlace { stated, after: before.seq }));
    }
    let after = Head { seq: header.last_seq(), chain: before.chain.extend(stored.bytes) };
    Ok((header, events, after))
}

/// Decodes the events of an entry from their bytes, and adds them.
pub(crate) fn decode(
    header: &EntryHeader,
    bytes: &[u8],
    events: &mut Vec<Event>,
) -> Result<(), ReplayError> {
    decode_each(header, bytes, |_, event, _| events.push(event))
        .map_err(|error| ReplayError::Entry { seq: header.first_seq, error })
}
