//! The snapshot that becomes the base of a log.

use alloc::vec::Vec;
use core::{convert::Infallible, ops::ControlFlow};

use crate::{
    base::head::Head,
    base::state_digest::StateDigest,
    decide::decision::{Context, Decision},
    decide::operation::{Operation, sealed},
    decide::reply::FactReply,
    event::event::Event,
    ledger::ledger_error::LedgerError,
    ledger::replay::Replay,
    log::store::{EventSource, Snapshot},
    state::state::{Dropped, State},
};

/// Finds the snapshot that may become the log's base: the newest one at or before `stored`, a head
/// that the node has stored. The log is replayed up to its end: it must contain `stored`, and the
/// snapshot must be its state, in whatever version it was written. `seed` keys the hash tables.
///
/// # Errors
/// [`LedgerError`] if there is none, or with the place of the first damage. Nothing was changed.
pub fn check_base(
    store: &(impl EventSource + ?Sized),
    stored: Head,
    seed: u64,
) -> Result<CheckedBase, LedgerError> {
    let snapshot = store.load_snapshot(stored.seq)?;
    let snapshot = snapshot.ok_or(LedgerError::NoSnapshot { seq: stored.seq })?;
    let mut base = BaseCheck::new(&snapshot, store, seed)?;
    let at = snapshot.at;
    drop(snapshot);
    let mut replay = Replay::from_beginning(store, seed)?.watch(Some(stored));
    base.compare(replay.state());
    let mut failed = None;
    let from = replay.state().head().seq + 1;
    store.replay(from, &mut |entry| {
        if let Err(error) = replay.entry(entry) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        base.compare(replay.state());
        ControlFlow::Continue(())
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if !replay.contains_known() {
        return Err(LedgerError::UnknownHead { head: stored });
    }
    base.finish().ok_or(LedgerError::SnapshotDiffers { at })
}

/// Checks whether a snapshot is the state of the log at its head, before it becomes a base. An older
/// program may have encoded the same state differently, so states are compared, both as this program
/// encodes them.
#[derive(Debug)]
pub struct BaseCheck {
    base: CheckedBase,
    state: StateDigest,
    same: bool,
}

impl BaseCheck {
    /// Begins with a snapshot, which may be dropped afterwards.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not readable, or the store's base is not.
    pub fn new(
        snapshot: &Snapshot,
        store: &(impl EventSource + ?Sized),
        seed: u64,
    ) -> Result<Self, LedgerError> {
        let unreadable = |_| LedgerError::SnapshotDiffers { at: snapshot.at };
        let digest = StateDigest::of(&snapshot.bytes).map_err(unreadable)?;
        let state = State::decode(&snapshot.bytes, seed).map_err(unreadable)?.digest();
        let replaces = store.base()?.map(|base| base.at.seq);
        let base = CheckedBase { at: snapshot.at, digest, replaces };
        Ok(Self { base, state, same: false })
    }

    /// Compares it with the state of the log, if that is the one at its head.
    pub fn compare(&mut self, state: &State) {
        if state.head() == self.base.at {
            self.same = state.digest() == self.state;
        }
    }

    /// The base, if it was the state of the log.
    #[must_use]
    pub fn finish(self) -> Option<CheckedBase> {
        self.same.then_some(self.base)
    }
}

/// A snapshot that is the state of its log and may become its base. It is an operation: its decision
/// records the base, and that must be durable before the store drops the history that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedBase {
    at: Head,
    digest: StateDigest,
    replaces: Option<u64>,
}

impl CheckedBase {
    /// The head of the snapshot: history up to here can be dropped.
    #[must_use]
    pub const fn at(&self) -> Head {
        self.at
    }
}

impl sealed::Sealed for CheckedBase {}

impl Operation for CheckedBase {
    type Reply = FactReply;
    type Refusal = Infallible;

    fn decide(
        self,
        state: &State,
        _context: &Context<'_>,
    ) -> Result<Decision<FactReply>, Infallible> {
        let Self { at: base, digest, replaces } = self;
        let known = state.dropped.contains(&Dropped { base, digest });
        let event = Event::HistoryDropped { base, digest, replaces };
        let events = if known { Vec::new() } else { alloc::vec![event] };
        Ok(Decision { reply: FactReply { changed: !known, payment: None }, events })
    }
}
