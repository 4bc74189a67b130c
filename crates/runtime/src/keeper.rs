//! Keeping house: snapshots, dropping history, verifying. Snapshots are taken without holding
//! anybody up: a picture of the state costs microseconds, and is encoded and written on a thread of
//! its own while appends go on.

use std::{sync::Arc, time::Instant};

use payonce_core::{EventStore, Head, Image, LedgerError, State, StoreError, check_base};

use crate::{
    commit::Commit,
    error::HouseError,
    handle::SharedLedger,
    replay::verify,
    sync::{lock, start, wait},
};

impl<S: EventStore + Send + 'static> SharedLedger<S> {
    /// Keeps a snapshot of the present state, so that the next opening replays only what follows.
    /// Gives its head. Appends go on meanwhile where the store has a
    /// [`SnapshotWriter`](payonce_core::SnapshotWriter), and wait for the write where it has none.
    ///
    /// # Errors
    /// [`HouseError`]; without a writer of its own a store that fails poisons the ledger.
    pub fn save_snapshot(&self) -> Result<Head, HouseError> {
        let image = self.query(State::image)?;
        self.commit().save(&image)
    }

    /// Drops history: the newest snapshot at or before `stored`, the last head that the node has
    /// stored, becomes the log's base. It is read back and compared with the log first, for which
    /// the whole log is replayed; appends wait meanwhile. `seed` keys the hash tables of that
    /// replay. Gives the base's head.
    ///
    /// # Errors
    /// [`HouseError`]; history is complete then, unless the store failed while dropping it, which
    /// poisons the ledger.
    pub fn drop_history(&self, stored: Head, seed: u64) -> Result<Head, HouseError> {
        self.commit().keep_house(|store| drop_history(store, stored, seed))
    }

    /// Replays the whole log: nothing was edited, nothing is missing. Appends wait meanwhile. `seed`
    /// keys the hash tables of the replay.
    ///
    /// # Errors
    /// [`HouseError`] with the place of the first damage.
    pub fn verify(&self, seed: u64) -> Result<Head, HouseError> {
        self.commit().keep_house(|store| verified(store, seed))
    }

    /// [`save_snapshot`](Self::save_snapshot) for tasks.
    ///
    /// # Errors
    /// As [`save_snapshot`](Self::save_snapshot).
    pub async fn save_snapshot_async(&self) -> Result<Head, HouseError> {
        let image = self.query_async(State::image).await?;
        let commit = Arc::clone(self.commit());
        // On the writer thread, and through the store: a task has no other thread to block.
        let saving = self.commit().with_store_async(move |store| commit.save_in(store, &image));
        self.commit().judge(saving.await?)
    }

    /// [`drop_history`](Self::drop_history) for tasks.
    ///
    /// # Errors
    /// As [`drop_history`](Self::drop_history).
    pub async fn drop_history_async(&self, stored: Head, seed: u64) -> Result<Head, HouseError> {
        let commit = self.commit();
        let dropping = commit.with_store_async(move |store| drop_history(store, stored, seed));
        commit.judge(dropping.await?)
    }

    /// [`verify`](Self::verify) for tasks.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub async fn verify_async(&self, seed: u64) -> Result<Head, HouseError> {
        let commit = self.commit();
        let verifying = commit.with_store_async(move |store| verified(store, seed));
        commit.judge(verifying.await?)
    }
}

/// Why something was not done.
enum Failed {
    /// The ledger goes on.
    Told(LedgerError),
    /// The store failed with an unknown outcome.
    Poisons(StoreError),
}

impl Failed {
    /// Of a call that writes: only a plain refusal touches nothing.
    fn writing(error: StoreError) -> Self {
        match error {
            StoreError::Missing { .. } => Self::Told(error.into()),
            _ => Self::Poisons(error),
        }
    }
}

fn drop_history(store: &mut impl EventStore, stored: Head, seed: u64) -> Result<Head, Failed> {
    let base = check_base(store, stored, seed).map_err(Failed::Told)?;
    store.drop_history(base).map_err(Failed::writing)?;
    Ok(base)
}

fn verified(store: &impl EventStore, seed: u64) -> Result<Head, Failed> {
    let state = verify(store, seed).map_err(|error| Failed::Told(error.into()))?;
    Ok(state.head())
}

impl<S: EventStore + Send + 'static> Commit<S> {
    /// Starts the thread that takes snapshots, if they are to be taken.
    pub(crate) fn hire_keeper(self: &Arc<Self>) {
        if let Some(every) = self.options.snapshot_every_bytes {
            let commit = Arc::clone(self);
            start("payonce-keeper", move || commit.keep(every));
        }
    }

    /// What the keeper does, until the ledger is closed or poisoned.
    fn keep(&self, every: u64) {
        let mut front = self.lock();
        while front.check_open().is_ok() {
            if front.bytes_since_snapshot < every {
                front = wait(&self.keeper_called, front);
                continue;
            }
            front.bytes_since_snapshot = 0;
            let asked = front.query(State::image);
            if let Ok(image) = self.settle(front, asked)
                && let Err(error) = self.save(&image)
            {
                tracing::warn!(%error, "no snapshot was kept");
            }
            front = self.lock();
        }
    }

    /// Encodes and keeps a picture of the state.
    fn save(&self, image: &Image) -> Result<Head, HouseError> {
        let guest = self.visit()?;
        let mut beside = lock(&self.snapshots);
        if let Some(writer) = beside.as_mut() {
            let saved = self.timed(image, |at, bytes| writer.save_snapshot(at, bytes));
            return self.judge(saved.map_err(|error| Failed::Told(error.into())));
        }
        drop(beside);
        drop(guest);
        self.keep_house(|store| self.save_in(store, image))
    }

    fn save_in(&self, store: &mut S, image: &Image) -> Result<Head, Failed> {
        let saved = self.timed(image, |at, bytes| store.save_snapshot(at, bytes));
        saved.map_err(Failed::writing)
    }

    fn timed(
        &self,
        image: &Image,
        save: impl FnOnce(Head, &[u8]) -> Result<(), StoreError>,
    ) -> Result<Head, StoreError> {
        let span = tracing::debug_span!("payonce.snapshot", seq = image.head().seq);
        let _entered = span.enter();
        let begun = Instant::now();
        let outcome = save(image.head(), &image.encode());
        self.telemetry.snapshot(begun.elapsed(), outcome.is_ok());
        outcome?;
        Ok(image.head())
    }

    fn keep_house(
        &self,
        call: impl FnOnce(&mut S) -> Result<Head, Failed>,
    ) -> Result<Head, HouseError> {
        self.judge(self.with_store(call)?)
    }

    fn judge(&self, outcome: Result<Head, Failed>) -> Result<Head, HouseError> {
        match outcome {
            Ok(head) => Ok(head),
            Err(Failed::Told(error)) => Err(HouseError::Ledger(Arc::new(error))),
            Err(Failed::Poisons(error)) => {
                self.poison(Some(error));
                Err(self.lock().unavailable().into())
            }
        }
    }
}
