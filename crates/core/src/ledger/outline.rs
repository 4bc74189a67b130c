//! An outline: the live payments of a log without those that it merely remembers, which are most of a
//! snapshot.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::{
    base::ids::LedgerId,
    base::wire::DecodeError,
    event::event::Event,
    ledger::replay::Replay,
    ledger::replay_error::ReplayError,
    log::entry::decode_events,
    log::store::{EventSource, Snapshot, StoredEntry},
    state::query::Counts,
    state::snapshot::first_bytes,
    state::state::State,
};

/// What a snapshot and the entries after it say of the live payments, and of those remembered ones that
/// are asked for. Of the others only the ids are read: of a ledger that remembers forever they are nearly
/// all of the snapshot, and an operator who asks what is stuck should not wait for what is over.
///
/// It is for showing, never for deciding: its [`state`](Self::state) answers about a payment that was
/// passed over as about one that was never heard of, and who acted on that would pay it again.
#[derive(Debug)]
pub struct Outline {
    replay: Replay,
    /// Those remembered payments that were passed over: the first bytes of their ids, in order. Two that
    /// begin alike cost a reading of the whole state.
    passed_over: Vec<u64>,
}

impl Outline {
    /// The outline of a log at its head, from its newest snapshot that can be read. `None` if there is no
    /// such snapshot, or if an entry behind it is about a payment that was passed over: then only the
    /// whole state tells. `keep` is shown each remembered payment as it is encoded: ids, hashes and
    /// preimages stand in it as they are.
    ///
    /// # Errors
    /// [`ReplayError`] with the place of the first damage behind the snapshot.
    pub fn read(
        source: &(impl EventSource + ?Sized),
        seed: u64,
        keep: impl FnMut(&[u8]) -> bool,
    ) -> Result<Option<Self>, ReplayError> {
        let stored = source.head()?;
        let Some(mut outline) = Self::newest(source, seed, keep)? else { return Ok(None) };
        let (mut outcome, mut is_whole) = (Ok(()), true);
        let from = outline.replay.state().head().seq + 1;
        let visit = &mut |entry: StoredEntry<'_>| {
            match outline.entry(entry) {
                Ok(folded) => is_whole = folded,
                Err(error) => outcome = Err(error),
            }
            if is_whole && outcome.is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        source.replay(from, visit)?;
        if is_whole {
            outcome
                .and_then(|()| outline.replay.check_end(stored))
                .map_err(|error| error.placed(source, from))?;
        }
        Ok(is_whole.then_some(outline))
    }

    fn newest(
        source: &(impl EventSource + ?Sized),
        seed: u64,
        mut keep: impl FnMut(&[u8]) -> bool,
    ) -> Result<Option<Self>, ReplayError> {
        let mut at_most = Some(source.head()?.seq);
        while let Some(limit) = at_most
            && let Some(snapshot) = source.load_snapshot(limit)?
        {
            match Self::decode(&snapshot.bytes, seed, &mut keep) {
                Ok(outline) if outline.is_at(&snapshot, source.ledger_id()) => {
                    return Ok(Some(outline));
                }
                _ => at_most = snapshot.at.seq.checked_sub(1),
            }
        }
        Ok(None)
    }

    fn is_at(&self, snapshot: &Snapshot, ledger: LedgerId) -> bool {
        let state = self.replay.state();
        state.head() == snapshot.at && state.ledger_id() == ledger
    }

    /// Reads a snapshot. `seed` keys the hash tables, as in [`State::new`]; `keep` as in
    /// [`read`](Self::read).
    ///
    /// # Errors
    /// [`DecodeError`] as [`State::decode`]; what is inside a payment that is passed over is not looked
    /// at.
    pub fn decode(
        bytes: &[u8],
        seed: u64,
        keep: impl FnMut(&[u8]) -> bool,
    ) -> Result<Self, DecodeError> {
        let (state, passed_over) = State::decode_some(bytes, seed, keep)?;
        Ok(Self { replay: Replay::from_state(state), passed_over })
    }

    /// Folds the next entry, and tells whether it could: `false` if it is about a payment that was passed
    /// over, which leaves the outline as it was.
    ///
    /// # Errors
    /// As [`Replay::entry`].
    pub fn entry(&mut self, stored: StoredEntry<'_>) -> Result<bool, ReplayError> {
        let mut needs_more = false;
        // What does not decode is judged by the fold.
        let read = decode_events(stored.bytes, |_, event| needs_more |= self.needs_more(&event));
        if read.is_ok() && needs_more {
            return Ok(false);
        }
        self.replay.entry(stored).map(|()| true)
    }

    /// Whether an event is about a payment that was passed over. Folding reaches a remembered payment by
    /// the id that the event names and by nothing else.
    fn needs_more(&self, event: &Event) -> bool {
        event.payment().is_some_and(|id| self.passed_over.binary_search(&first_bytes(id)).is_ok())
    }

    /// The state without the payments that were passed over.
    #[must_use]
    pub const fn state(&self) -> &State {
        self.replay.state()
    }

    /// As [`state`](Self::state); ends the outline.
    #[must_use]
    pub fn into_state(self) -> State {
        self.replay.into_state()
    }

    /// How many of everything there are, those that were passed over included.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let known = self.state().counts();
        Counts { remembered: known.remembered + self.passed_over.len(), ..known }
    }
}
