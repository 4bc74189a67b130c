//! Replay: folding a stored log into the state.

use alloc::vec::Vec;
use core::{mem, ops::ControlFlow};

use crate::{
    base::head::Head,
    base::ids::LedgerId,
    base::state_digest::StateDigest,
    base::wire::{DecodeError, UnknownFields},
    event::event::Event,
    ledger::records::{Records, decode, next_entry},
    ledger::replay_error::ReplayError,
    log::entry::{EntryHeader, decode_each},
    log::store::{EventSource, Snapshot, StoredEntry},
    state::state::{Dropped, State},
};

/// A fold in progress, entry by entry.
#[derive(Debug)]
pub struct Replay {
    state: State,
    known: Option<Head>,
    contains_known: bool,
    /// For the events of one entry; kept, so that an entry allocates nothing.
    spare: Vec<Event>,
}

impl Replay {
    /// Begins with an empty log. `seed` keys the hash tables ([`State::new`]).
    #[must_use]
    pub fn new(ledger: LedgerId, seed: u64) -> Self {
        Self::from_state(State::new(ledger, seed))
    }

    /// Begins with the state of a snapshot.
    #[must_use]
    pub fn from_state(state: State) -> Self {
        Self { state, known: None, contains_known: false, spare: Vec::new() }
    }

    /// Looks for a head: [`contains_known`](Self::contains_known) tells whether an entry ended there.
    #[must_use]
    pub fn watch(mut self, known: Option<Head>) -> Self {
        self.known = known;
        self.contains_known = known == Some(self.state.head);
        self
    }

    /// Whether an entry ended at the head that is looked for; true if none is looked for.
    #[must_use]
    pub const fn contains_known(&self) -> bool {
        self.known.is_none() || self.contains_known
    }

    /// The state so far.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The state so far; ends the fold.
    #[must_use]
    pub fn into_state(self) -> State {
        self.state
    }

    /// Folds the next entry.
    ///
    /// # Errors
    /// [`ReplayError`] when it is not the next one, does not decode, or does not fit.
    pub fn entry(&mut self, stored: StoredEntry<'_>) -> Result<(), ReplayError> {
        let (header, bytes, after) = next_entry(self.state.head, stored)?;
        self.with_spare(|replay, events| {
            // The whole entry is decoded before any event of it is folded.
            events.clear();
            decode(&header, bytes, events)?;
            replay.fold_entry(&header, after, events)
        })
    }

    /// Folds entries that a [`Linker`](crate::Linker) made, which continue this fold.
    ///
    /// # Errors
    /// [`ReplayError`] when an event does not decode or does not fit, or when the entries are not
    /// the next ones.
    pub fn fold(&mut self, records: &Records) -> Result<(), ReplayError> {
        self.with_spare(|replay, spare| {
            records.each(spare, |header, after, events| {
                let last = replay.state.head.seq;
                if header.first_seq == last + 1 {
                    replay.fold_entry(header, after, events)
                } else {
                    Err(ReplayError::Missing { after: last, found: header.first_seq })
                }
            })
        })
    }

    fn with_spare<T>(&mut self, act: impl FnOnce(&mut Self, &mut Vec<Event>) -> T) -> T {
        let mut spare = mem::take(&mut self.spare);
        let outcome = act(self, &mut spare);
        self.spare = spare;
        outcome
    }

    fn fold_entry(
        &mut self,
        header: &EntryHeader,
        after: Head,
        events: &[Event],
    ) -> Result<(), ReplayError> {
        self.state.fold(header, after, events);
        self.contains_known |= self.known == Some(after);
        match self.state.inconsistent {
            Some(seq) => Err(ReplayError::Inconsistent { seq }),
            None => Ok(()),
        }
    }

    /// Folds every entry of a store after the present head.
    ///
    /// # Errors
    /// [`ReplayError`] with the place of the first damage.
    pub fn entries(&mut self, store: &(impl EventSource + ?Sized)) -> Result<(), ReplayError> {
        let mut failed = None;
        let from = self.state.head.seq + 1;
        store.replay(from, &mut |stored| match self.entry(stored) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Folds every entry of a store after the present head, and checks that they lead to `stored`.
    ///
    /// # Errors
    /// [`ReplayError`] with the place of the first damage, as far as the store can find it.
    pub fn run(
        &mut self,
        store: &(impl EventSource + ?Sized),
        stored: Head,
    ) -> Result<(), ReplayError> {
        let from = self.state.head.seq + 1;
        self.entries(store)
            .and_then(|()| self.check_end(stored))
            .map_err(|error| error.placed(store, from))
    }

    /// Checks that the entries so far lead to the head that the store reported.
    ///
    /// # Errors
    /// [`ReplayError::HeadDiffers`] when they do not.
    pub fn check_end(&self, stored: Head) -> Result<(), ReplayError> {
        let replayed = self.state.head;
        if replayed == stored { Ok(()) } else { Err(ReplayError::HeadDiffers { replayed, stored }) }
    }

    /// The state at the end.
    ///
    /// # Errors
    /// [`ReplayError::HeadDiffers`] when the entries do not lead to the head that the store reported.
    pub fn finish(self, stored: Head) -> Result<State, ReplayError> {
        self.check_end(stored).map(|()| self.state)
    }

    /// Begins where a store's history begins: at its base, or empty.
    ///
    /// # Errors
    /// [`ReplayError::Base`] when the base does not decode, is of another ledger or another head.
    pub fn from_beginning(
        store: &(impl EventSource + ?Sized),
        seed: u64,
    ) -> Result<Self, ReplayError> {
        let Some(base) = store.base()? else {
            return Ok(Self::new(store.ledger_id(), seed));
        };
        let seq = base.at.seq;
        let unreadable = |error| ReplayError::Base { seq, error };
        let state = State::decode(&base.bytes, seed).map_err(unreadable)?;
        if state.head() != base.at || state.ledger_id() != store.ledger_id() {
            let what = "a base of another head or another ledger".into();
            let error = DecodeError::Malformed { inside: "a base", what };
            return Err(unreadable(error));
        }
        Ok(Self::from_state(state))
    }
}

/// Replays a whole log from its beginning, trusting no snapshot but its base: what an auditor does. It checks
/// the chain and what the events mean; what a store keeps beside them (checksums, snapshots) the store's own
/// `verify` checks. `seed` keys hash tables: any number will do, and none changes the result.
///
/// # Errors
/// [`ReplayError`] with the place of the first damage.
pub fn verify(source: &(impl EventSource + ?Sized), seed: u64) -> Result<State, ReplayError> {
    let stored = source.head()?;
    let mut replay = Replay::from_beginning(source, seed)?;
    replay.run(source, stored)?;
    let state = replay.finish(stored)?;
    state.check_base(source)?;
    Ok(state)
}

impl State {
    /// Checks that the base of its log is the one that the log names: the chain covers entries and not
    /// states, so a wrong base would otherwise open without an error.
    ///
    /// # Errors
    /// [`ReplayError::BaseDiffers`], or the store's error.
    pub fn check_base(&self, source: &(impl EventSource + ?Sized)) -> Result<(), ReplayError> {
        let Some(Snapshot { at, bytes }) = source.base()? else { return Ok(()) };
        let digest =
            StateDigest::of(&bytes).map_err(|error| ReplayError::Base { seq: at.seq, error })?;
        let named = self.dropped.contains(&Dropped { base: at, digest });
        if named { Ok(()) } else { Err(ReplayError::BaseDiffers { at }) }
    }
}

/// One entry of a log as an auditor reads it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Record {
    /// When, by which writer, from which seq.
    pub header: EntryHeader,
    /// The seq and the log hash at the entry's end.
    pub after: Head,
    /// Its events, in order.
    pub events: Vec<Event>,
    /// The fields of its events that a newer program wrote and this one does not know, by the seq of
    /// their event. Nearly always none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<(u64, UnknownFields)>,
}

impl Record {
    /// Reads one entry, which must be the one after `before`. Folds nothing.
    ///
    /// # Errors
    /// [`ReplayError`] when it does not decode or is not the next one.
    pub fn read(before: Head, entry: &[u8]) -> Result<Self, ReplayError> {
        record(before, StoredEntry { first_seq: before.seq + 1, bytes: entry })
    }
}

/// Reads a log entry by entry, from its beginning or its base, with the chain checked, until
/// `visit` breaks. Folds nothing.
///
/// # Errors
/// [`ReplayError`] with the place of the first damage; what was visited before it is sound.
pub fn history(
    source: &(impl EventSource + ?Sized),
    mut visit: impl FnMut(Record) -> ControlFlow<()>,
) -> Result<(), ReplayError> {
    let stored = source.head()?;
    let mut head = match source.base()? {
        Some(base) => base.at,
        None => Head::genesis(source.ledger_id()),
    };
    let mut outcome = Ok(());
    let mut stopped = false;
    source.replay(head.seq + 1, &mut |entry| match record(head, entry) {
        Ok(record) => {
            head = record.after;
            let flow = visit(record);
            stopped = flow.is_break();
            flow
        }
        Err(error) => {
            outcome = Err(error);
            ControlFlow::Break(())
        }
    })?;
    outcome?;
    if stopped || head == stored {
        Ok(())
    } else {
        Err(ReplayError::HeadDiffers { replayed: head, stored })
    }
}

fn record(before: Head, stored: StoredEntry<'_>) -> Result<Record, ReplayError> {
    let (mut events, mut unknown) = (Vec::new(), Vec::new());
    let (header, bytes, after) = next_entry(before, stored)?;
    decode_each(&header, bytes, |seq, event, fields| {
        events.push(event);
        if !fields.is_empty() {
            unknown.push((seq, fields));
        }
    })
    .map_err(|error| ReplayError::Entry { seq: header.first_seq, error })?;
    Ok(Record { header, after, events, unknown })
}
