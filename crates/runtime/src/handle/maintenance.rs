//! Maintenance on request: snapshots, dropping history, verifying.

use payonce_core::{EventStore, Head};

use crate::{base::error::MaintenanceError, commit::commit::Commit, handle::handle::SharedLedger};

impl<S: EventStore + Send + 'static> SharedLedger<S> {
    /// Keeps a snapshot of the present state, so that the next opening replays only what follows.
    /// Gives its head. Appends go on meanwhile where the store has a
    /// [`SnapshotWriter`](payonce_core::SnapshotWriter), and wait for the write where it has none.
    ///
    /// # Errors
    /// [`MaintenanceError`]; the ledger goes on, unless the store says that the log itself is in doubt.
    pub fn save_snapshot(&self) -> Result<Head, MaintenanceError> {
        self.commit().save_snapshot()
    }

    /// Drops history: the newest snapshot at or before `stored`, the last head that the node has
    /// stored, becomes the log's base. It is read back and compared with the log first, for which
    /// history is folded beside the appends, with the memory of one more state. `seed` keys the hash
    /// tables of that fold. Gives the base's head.
    ///
    /// # Errors
    /// [`MaintenanceError`]; history is complete then, unless the store failed while dropping it. Closing
    /// ends it before anything is dropped.
    pub fn drop_history(&self, stored: Head, seed: u64) -> Result<Head, MaintenanceError> {
        self.head_stored(stored);
        self.commit().drop_history(stored, seed)
    }

    /// Says that the node has stored this head with its channel state: how far history may be dropped
    /// by itself ([`Options::history_events`](crate::Options::history_events)). The head given when
    /// the ledger was opened counts as well.
    pub fn head_stored(&self, head: Head) {
        let commit = self.commit();
        let mut front = commit.lock();
        front.upkeep.stored(head);
        drop(front);
        commit.keeper_called.notify_one();
    }

    /// Replays the whole log, as far as it is durable now: nothing was edited, nothing is missing.
    /// Appends go on meanwhile. `seed` keys the hash tables of the replay, which needs the memory of
    /// one more state.
    ///
    /// # Errors
    /// [`MaintenanceError`] with the place of the first damage. Closing ends it.
    pub fn verify(&self, seed: u64) -> Result<Head, MaintenanceError> {
        self.commit().verify(seed)
    }

    /// [`save_snapshot`](Self::save_snapshot) for tasks.
    ///
    /// # Errors
    /// As [`save_snapshot`](Self::save_snapshot).
    pub async fn save_snapshot_async(&self) -> Result<Head, MaintenanceError> {
        self.commit().apart(Commit::save_snapshot).await
    }

    /// [`drop_history`](Self::drop_history) for tasks.
    ///
    /// # Errors
    /// As [`drop_history`](Self::drop_history).
    pub async fn drop_history_async(
        &self,
        stored: Head,
        seed: u64,
    ) -> Result<Head, MaintenanceError> {
        self.head_stored(stored);
        self.commit().apart(move |commit| commit.drop_history(stored, seed)).await
    }

    /// [`verify`](Self::verify) for tasks.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub async fn verify_async(&self, seed: u64) -> Result<Head, MaintenanceError> {
        self.commit().apart(move |commit| commit.verify(seed)).await
    }
}
