//! Maintenance: snapshots, dropping history, verifying. Nobody is held up: a picture of the state
//! costs microseconds, and is encoded and written on another thread while appends go on; history is
//! read a piece at a time. What fails here fails alone, unless the store says that the log itself is
//! in doubt.

use std::{
    hash::{BuildHasher, RandomState},
    ops::ControlFlow,
    sync::Arc,
    time::Instant,
};

use payonce_core::{CheckedBase, EventSource, EventStore, Head, Image, State, StoreError};

use crate::{
    base::error::{MaintenanceError, Unavailable},
    base::options::Options,
    base::sync::{lock, start, wait},
    commit::commit::Commit,
    commit::history::History,
    commit::upkeep::{Due, Upkeep},
    open::replay::Amount,
};

impl<S: EventStore + Send + 'static> Commit<S> {
    /// Starts the maintenance thread, if anything is to be done so.
    pub(crate) fn hire_keeper(self: &Arc<Self>) {
        let Options { snapshot_every_bytes, snapshot_every_appends, history_events, .. } =
            self.options;
        let snapshots = snapshot_every_bytes.is_some() || snapshot_every_appends.is_some();
        if snapshots || history_events.is_some() {
            let commit = Arc::clone(self);
            start("payonce-keeper", move || commit.keep());
        }
    }

    /// What the keeper does, until the ledger is closed or poisoned.
    fn keep(&self) {
        if !self.lock().upkeep.is_known
            && let Err(error) = self.look_through()
        {
            tracing::warn!(%error, "the log could not be looked through");
        }
        let mut front = self.lock();
        while front.check_open().is_ok() {
            let Some(due) = front.upkeep.due(&self.options) else {
                front = wait(&self.keeper_called, front);
                continue;
            };
            drop(front);
            match due {
                Due::Snapshot => self.save_by_itself(),
                Due::Drop(stored) => self.drop_by_itself(stored),
            }
            front = self.lock();
        }
    }

    fn save_by_itself(&self) {
        if let Err(error) = self.save_snapshot() {
            self.lock().upkeep.not_kept(&self.options);
            tracing::warn!(%error, "no snapshot was kept");
        }
    }

    fn drop_by_itself(&self, stored: Head) {
        self.lock().upkeep.tried(stored.seq);
        // Whose hash tables they are is nobody's to guess.
        let seed = RandomState::new().hash_one(stored.seq);
        match self.drop_history(stored, seed) {
            Ok(base) => tracing::info!(seq = base.seq, "history was dropped"),
            Err(error) => tracing::warn!(%error, "no history was dropped"),
        }
    }

    /// Finds out how much log there is.
    fn look_through(&self) -> Result<(), StoreError> {
        let log = History::until(self, self.durable());
        let base_seq = log.base()?.map_or(0, |base| base.at.seq);
        let snapshot_seq = log.load_snapshot(u64::MAX)?.map_or(0, |snapshot| snapshot.at.seq);
        let mut found = Amount::default();
        log.replay(snapshot_seq + 1, &mut |entry| {
            found.bytes += entry.bytes.len() as u64;
            found.appends += 1;
            ControlFlow::Continue(())
        })?;
        self.lock().upkeep.found(base_seq, snapshot_seq, found);
        Ok(())
    }

    pub(crate) fn verify(&self, seed: u64) -> Result<Head, MaintenanceError> {
        let _reading = lock(&self.reading);
        let mut front = self.enter()?;
        let asked = front.query(State::image);
        let image = self.settle(front, asked)?;
        History::until(self, image.head()).verify(seed, image.digest())
    }

    /// Takes a picture of the state, encodes it and keeps it.
    pub(crate) fn save_snapshot(&self) -> Result<Head, MaintenanceError> {
        let mut front = self.enter()?;
        let counted = front.upkeep.since_snapshot;
        let asked = front.query(State::image);
        let image = self.settle(front, asked)?;
        let (at, bytes) = self.save(&image)?;
        self.note(|upkeep| upkeep.kept(at.seq, counted, bytes));
        Ok(at)
    }

    /// Keeps a picture of the state; where it is, and how large.
    fn save(&self, image: &Image) -> Result<(Head, u64), MaintenanceError> {
        let _guest = self.visit()?;
        let mut beside = lock(&self.snapshots);
        let span = tracing::debug_span!("payonce.snapshot", seq = image.head().seq);
        let _entered = span.enter();
        let begun = Instant::now();
        let (at, bytes) = (image.head(), image.encode());
        let saved = match beside.as_mut() {
            Some(writer) => self.write_beside(|| Ok(writer.save_snapshot(at, &bytes))),
            None => self.write_beside(|| self.with_store(|store| store.save_snapshot(at, &bytes))),
        };
        self.telemetry.snapshot(begun.elapsed(), saved.is_ok());
        if saved.is_err() && beside.is_some() {
            // One that has failed may refuse everything from then on.
            let fresh = self.with_store(|store| store.snapshot_writer());
            *beside = fresh.ok().flatten();
        }
        saved.map(|()| (at, bytes.len() as u64))
    }

    pub(crate) fn drop_history(&self, stored: Head, seed: u64) -> Result<Head, MaintenanceError> {
        let _guest = self.visit()?;
        let _reading = lock(&self.reading);
        let _snapshots = lock(&self.snapshots);
        let log = History::until(self, self.durable());
        let checked = log.check_base(stored, seed)?;
        self.record(checked)?;
        let base = checked.at();
        self.write_beside(|| self.with_store(|store| store.drop_history(base)))?;
        self.note(|upkeep| upkeep.dropped(base.seq));
        Ok(base)
    }

    /// Records what becomes the base, before anything that it stands for is dropped. It has no time of
    /// its own: that of the last command is recorded.
    fn record(&self, base: CheckedBase) -> Result<(), MaintenanceError> {
        let mut front = self.enter()?;
        let now = front.machine.last_now();
        let submitted = front.submit(base, now);
        match self.settle(front, submitted)? {
            Ok(_) => Ok(()),
            Err(never) => match never {},
        }
    }

    pub(crate) fn durable(&self) -> Head {
        self.lock().machine.durable()
    }

    fn note(&self, change: impl FnOnce(&mut Upkeep)) {
        let mut front = self.lock();
        change(&mut front.upkeep);
        self.telemetry.log(&front.upkeep, front.machine.durable().seq);
    }

    /// Writes something that is not the log. Should that leave the log in doubt, which the store says,
    /// everything ends, and this is why.
    fn write_beside(
        &self,
        write: impl FnOnce() -> Result<Result<(), StoreError>, Unavailable>,
    ) -> Result<(), MaintenanceError> {
        let mut failed = lock(&self.failed_beside);
        let Err(error) = write()? else { return Ok(()) };
        let cause = Arc::new(error);
        // Set before the lock is given back: an append may have met the doubt first.
        *failed = Some(Arc::clone(&cause));
        drop(failed);
        match self.with_store(|store| store.head()) {
            Ok(Err(StoreError::Poisoned { .. } | StoreError::Fenced { .. })) => {
                self.poison(Some(Arc::clone(&cause)));
            }
            _ => *lock(&self.failed_beside) = None,
        }
        let fault = self.lock().fault();
        Err(fault.map_or(MaintenanceError::Store(cause), MaintenanceError::from))
    }
}
