//! The log as it was at one moment, read a piece at a time: appends go on between two pieces, and
//! who reads folds while the store is free.

use std::{cell::RefCell, ops::ControlFlow};

use payonce_core::{
    BaseCheck, CheckedBase, EventSource, EventStore, ExecuteError, Head, LedgerError, LedgerId,
    ListError, Listing, Page, Replay, ReplayError, Selection, Snapshot, StateDigest, StoreError,
    StoredEntry,
};

use crate::{
    base::error::{MaintenanceError, Unavailable},
    commit::commit::Commit,
    open::replay::{run, verify},
};

/// How many bytes of entries are taken from the store at a time: appends wait for no more than that. A
/// store with files reads one from its beginning to get to a place inside it, so that much smaller
/// pieces would hold appends up no less, and more often.
const PIECE_BYTES: usize = 4 << 20;

/// The log up to a head. Between two pieces the ledger may be closed or poisoned, which ends the
/// reading.
pub(crate) struct History<'a, S> {
    commit: &'a Commit<S>,
    head: Head,
    ended: RefCell<Option<Unavailable>>,
}

/// Entries that were taken from the store.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    /// The first seq of each, and where its bytes end.
    entries: Vec<(u64, usize)>,
}

impl Piece {
    /// Takes an entry, unless it is full.
    fn take(&mut self, entry: StoredEntry<'_>) -> ControlFlow<()> {
        // Broken off at an entry, and never after one: only who goes on is told that a file ends as
        // it should.
        if self.bytes.len() >= PIECE_BYTES {
            return ControlFlow::Break(());
        }
        self.bytes.extend_from_slice(entry.bytes);
        self.entries.push((entry.first_seq, self.bytes.len()));
        ControlFlow::Continue(())
    }

    fn entries(&self) -> impl Iterator<Item = StoredEntry<'_>> {
        let mut start = 0;
        self.entries.iter().map(move |&(first_seq, end)| {
            let bytes = &self.bytes[start..end];
            start = end;
            StoredEntry { first_seq, bytes }
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }
}

impl<'a, S: EventStore> History<'a, S> {
    /// The log up to this head, which is durable.
    pub(crate) const fn until(commit: &'a Commit<S>, head: Head) -> Self {
        Self { commit, head, ended: RefCell::new(None) }
    }

    fn store<T>(&self, call: impl FnOnce(&S) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.commit.with_store(|store| call(store)).unwrap_or_else(|unavailable| {
            let cause = unavailable.to_string().into();
            *self.ended.borrow_mut() = Some(unavailable);
            Err(StoreError::Poisoned { cause })
        })
    }

    fn read(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if from > self.head.seq.saturating_add(1) {
            return Err(StoreError::Missing { needed: "history", requested: from });
        }
        let mut piece = Piece::default();
        let mut next = Some(from).filter(|from| *from <= self.head.seq);
        while let Some(from) = next.take() {
            piece.clear();
            let mut take = |entry: StoredEntry<'_>| {
                if entry.first_seq > self.head.seq {
                    return ControlFlow::Break(());
                }
                let flow = piece.take(entry);
                next = flow.is_break().then_some(entry.first_seq);
                flow
            };
            self.store(|store| store.replay(from, &mut take))?;
            for entry in piece.entries() {
                if visit(entry).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Replays all of it: gives its head.
    pub(crate) fn verify(&self, seed: u64, digest: StateDigest) -> Result<Head, MaintenanceError> {
        let state = verify(self, seed).map_err(|error| self.failed(error.into()))?;
        let at = state.head();
        if state.digest() == digest {
            Ok(at)
        } else {
            Err(self.failed(LedgerError::StateDiffers { at }))
        }
    }

    /// Finds the snapshot that may become the log's base, as [`payonce_core::check_base`] does: the
    /// newest one at or before `stored`, which the log must contain, and the state of the log there.
    /// A snapshot and the state that it is compared with are never held both with what they are made
    /// of.
    pub(crate) fn check_base(
        &self,
        stored: Head,
        seed: u64,
    ) -> Result<CheckedBase, MaintenanceError> {
        self.find_base(stored, seed).map_err(|error| self.failed(error))
    }

    fn find_base(&self, stored: Head, seed: u64) -> Result<CheckedBase, LedgerError> {
        let newest = self.load_snapshot(stored.seq)?;
        let newest = newest.ok_or(LedgerError::NoSnapshot { seq: stored.seq })?;
        let at = newest.at;
        if !self.leads(at, stored)? {
            return Err(LedgerError::UnknownHead { head: stored });
        }
        let mut base = BaseCheck::new(&newest, self, seed)?;
        drop(newest);
        match self.state_at(at, seed) {
            Err(ReplayError::HeadDiffers { .. }) => {}
            state => base.compare(&state?),
        }
        base.finish().ok_or(LedgerError::SnapshotDiffers { at })
    }

    /// Whether the entries after `from` lead to `to`.
    fn leads(&self, from: Head, to: Head) -> Result<bool, StoreError> {
        if to.seq < from.seq || to.seq > self.head.seq {
            return Ok(false);
        }
        let (mut chain, mut beyond) = (from.chain, self.head.seq + 1);
        self.replay(from.seq + 1, &mut |entry| {
            if entry.first_seq > to.seq {
                beyond = entry.first_seq;
                return ControlFlow::Break(());
            }
            chain = chain.extend(entry.bytes);
            ControlFlow::Continue(())
        })?;
        Ok(chain == to.chain && beyond == to.seq + 1)
    }

    /// The log's state there.
    fn state_at(&self, at: Head, seed: u64) -> Result<payonce_core::State, ReplayError> {
        let mut replay = Replay::from_beginning(self, seed)?;
        let from = replay.state().head().seq + 1;
        let until = Self::until(self.commit, at);
        let replayed = run(&mut replay, &until, at);
        if let Some(ended) = until.ended.take() {
            *self.ended.borrow_mut() = Some(ended);
        }
        // A store finds its damage only where a file is read to its end.
        replayed.map_err(|error| error.placed(self, from))?;
        replay.finish(at)
    }

    /// A page of a listing.
    pub(crate) fn complete(
        &self,
        selection: Selection,
        listing: &Listing,
    ) -> Result<Page, ExecuteError<ListError, Unavailable>> {
        selection.complete(self, listing).map_err(|error| match self.ended.take() {
            Some(unavailable) => unavailable.into(),
            None => ExecuteError::Refused(error.into()),
        })
    }

    /// Why: what ended the reading, if something did.
    fn failed(&self, error: LedgerError) -> MaintenanceError {
        match self.ended.take() {
            Some(unavailable) => unavailable.into(),
            None => MaintenanceError::Ledger(std::sync::Arc::new(error)),
        }
    }
}

impl<S: EventStore> EventSource for History<'_, S> {
    fn ledger_id(&self) -> LedgerId {
        self.commit.ledger
    }

    fn head(&self) -> Result<Head, StoreError> {
        Ok(self.head)
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.read(from, visit)
    }

    fn find_damage(&self, from: u64) -> Result<(), StoreError> {
        self.store(|store| store.find_damage(from))
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.store(|store| store.load_snapshot(at_most.min(self.head.seq)))
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.store(EventSource::base)
    }
}
