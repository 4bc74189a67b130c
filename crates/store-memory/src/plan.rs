//! What a test has planned for the operations to come.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// Nothing of it took effect.
    BeforeEffect,
    /// All of it took effect, and the answer was lost.
    AfterEffect,
    /// Of an append only this many first entries took effect. Any other operation fails before its
    /// effect.
    AfterEntries(usize),
}

/// The error of an operation that was planned to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("operation {operation} was told to fail")]
#[non_exhaustive]
pub struct InjectedFailure {
    /// The number of the operation, from 1.
    pub operation: u64,
}

/// The plans by the number of the operation, from 1, and how many operations there were.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    pub(crate) operations: u64,
    pub(crate) failures: BTreeMap<u64, Failure>,
    pub(crate) gates: BTreeMap<u64, Arc<GateState>>,
}

impl Plans {
    /// Counts an operation and takes what was planned for it.
    pub(crate) fn next(&mut self) -> Planned {
        self.operations += 1;
        Planned {
            operation: self.operations,
            failure: self.failures.remove(&self.operations),
            gate: self.gates.remove(&self.operations),
        }
    }
}

/// What was planned for one operation.
pub(crate) struct Planned {
    pub(crate) operation: u64,
    pub(crate) failure: Option<Failure>,
    pub(crate) gate: Option<Arc<GateState>>,
}

/// Stalls one operation before its effect until the test lets it continue. A dropped gate is open.
#[derive(Debug)]
#[must_use = "a dropped gate stalls nothing"]
pub struct Gate(pub(crate) Arc<GateState>);

impl Gate {
    /// Waits until the operation has arrived at the gate.
    pub fn wait_until_reached(&self) {
        self.0.wait_until(Progress::Reached);
    }

    /// Whether the operation has arrived at the gate.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        *self.0.lock() >= Progress::Reached
    }

    /// Lets the operation continue.
    pub fn open(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.advance(Progress::Open);
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    #[default]
    Ahead,
    Reached,
    Open,
}

#[derive(Debug, Default)]
pub(crate) struct GateState {
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl GateState {
    /// Called by the operation: says that it is here and waits.
    pub(crate) fn pass(&self) {
        self.advance(Progress::Reached);
        self.wait_until(Progress::Open);
    }

    fn advance(&self, to: Progress) {
        let mut progress = self.lock();
        *progress = (*progress).max(to);
        self.changed.notify_all();
    }

    fn wait_until(&self, wanted: Progress) {
        let waiting = self.changed.wait_while(self.lock(), |progress| *progress < wanted);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
