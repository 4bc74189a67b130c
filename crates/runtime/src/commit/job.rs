//! What a task wants done with the store, on the writer thread.

use std::sync::Arc;

use crate::base::waiter::Sleeper;

/// Something to do with the store, for a task, which is woken when this is dropped, done or not.
pub(crate) struct Job<S> {
    pub(crate) work: Box<dyn FnOnce(&mut S) + Send>,
    pub(crate) alarm: Alarm,
}

/// Wakes the task that waits for this job.
pub(crate) struct Alarm(pub(crate) Arc<Sleeper>);

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.done();
    }
}
