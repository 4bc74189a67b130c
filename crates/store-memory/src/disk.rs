//! What survives a process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use payonce_core::LedgerId;

use crate::{
    image::Image,
    plan::{Failure, Gate, GateState, Plans},
    store::MemoryStore,
};

/// A log in memory that outlives the handles on it. A clone is the same disk.
#[derive(Debug, Clone)]
pub struct MemoryDisk(Arc<Mutex<Shared>>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) image: Image,
    /// How often the log was fenced; the writer is the handle that did so last.
    pub(crate) fences: u64,
    pub(crate) plans: Plans,
}

impl MemoryDisk {
    /// A disk with an empty log.
    #[must_use]
    pub fn new(ledger: LedgerId) -> Self {
        Self::from_image(Image::new(ledger))
    }

    /// A disk with this log.
    #[must_use]
    pub fn from_image(image: Image) -> Self {
        Self(Arc::new(Mutex::new(Shared { image, fences: 0, plans: Plans::default() })))
    }

    /// Opens a handle, as a newly started process would. It is the writer once it has fenced.
    #[must_use]
    pub fn open(&self) -> MemoryStore {
        MemoryStore::new(self.clone(), self.lock().image.ledger_id())
    }

    /// What would be on disk if the process died now.
    #[must_use]
    pub fn image(&self) -> Image {
        self.lock().image.clone()
    }

    /// How many operations there were: calls of any handle that may fail, reading ones included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().plans.operations
    }

    /// Makes the `nth` operation from now fail; 1 is the next one, 0 none.
    pub fn fail_nth(&self, nth: u64, failure: Failure) {
        let mut shared = self.lock();
        let operation = shared.plans.operations.saturating_add(nth);
        shared.plans.failures.insert(operation, failure);
    }

    /// Makes the `nth` operation from now wait at a gate before its effect; 1 is the next one.
    pub fn stall_nth(&self, nth: u64) -> Gate {
        let gate = Arc::new(GateState::default());
        let mut shared = self.lock();
        let operation = shared.plans.operations.saturating_add(nth);
        shared.plans.gates.insert(operation, Arc::clone(&gate));
        Gate(gate)
    }

    /// Nothing is ever left half done under the lock, so a test's panic elsewhere spoils nothing.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
