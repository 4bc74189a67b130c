//! Who is to be told something, once nothing is locked.

use std::{collections::VecDeque, sync::Arc};

use payonce_core::Receipt;

use crate::{
    base::error::Unavailable,
    base::waiter::{Waiter, done},
    commit::gate::{Gate, Waiting},
    commit::job::Job,
};

/// Everybody who is to be told something, once nothing is locked.
#[must_use = "who waits is told, once nothing is locked"]
pub(crate) struct WakeUps<S> {
    /// At whose gate who leads next waits.
    pub(crate) successor: Option<Arc<Gate>>,
    /// Whose batch is over.
    pub(crate) over: Waiting,
    /// That it is durable.
    pub(crate) receipt: Option<Receipt>,
    /// Whose batch will never be written.
    pub(crate) lost: Waiting,
    /// What will never be run.
    pub(crate) jobs: VecDeque<Job<S>>,
    pub(crate) others: Vec<Waiter>,
    /// What the log is told, if this is what ended it all.
    pub(crate) fault: Option<Unavailable>,
}

impl<S> Default for WakeUps<S> {
    fn default() -> Self {
        Self {
            successor: None,
            over: Waiting::default(),
            receipt: None,
            lost: Waiting::default(),
            jobs: VecDeque::new(),
            others: Vec::new(),
            fault: None,
        }
    }
}

impl<S> WakeUps<S> {
    pub(crate) fn tell(self) {
        if let Some(Unavailable::Poisoned { cause }) = self.fault {
            tracing::error!(cause = cause.as_ref().map(tracing::field::display), "poisoned");
        }
        if let Some(gate) = self.successor {
            gate.call();
        }
        self.over.tell(self.receipt);
        self.lost.tell(None);
        drop(self.jobs);
        done(self.others);
    }
}
