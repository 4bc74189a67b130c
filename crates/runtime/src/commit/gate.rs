//! Where the callers of one batch wait: threads at a gate that opens for all of them at once, tasks
//! by their wakers.

use std::{mem, sync::Arc};

use payonce_core::Receipt;

use crate::{
    base::sync::{Condvar, Mutex, lock, wait},
    base::waiter::Sleeper,
};

/// What a thread at a gate is told.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The batch is over; with a receipt, if it is durable.
    Over(Option<Receipt>),
    /// Nobody commits: it is this thread's turn to lead. One thread alone is told.
    Lead,
}

/// Holds the threads of one batch, and nobody else: opening it wakes all of them with one call of the
/// operating system, and nobody who waits for another batch.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    news: Mutex<News>,
    turned: Condvar,
}

#[derive(Debug, Default)]
struct News {
    over: bool,
    /// That it is durable.
    receipt: Option<Receipt>,
    /// Somebody is to lead and does not know it yet. Also of a batch that was lost meanwhile: a
    /// ledger that somebody was to lead is not idle before somebody has.
    lead: bool,
}

impl Gate {
    /// Waits until the batch is over, or until this thread is to lead.
    pub(crate) fn wait(&self) -> Signal {
        let mut news = lock(&self.news);
        loop {
            if mem::take(&mut news.lead) {
                return Signal::Lead;
            }
            if news.over {
                return Signal::Over(news.receipt.clone());
            }
            news = wait(&self.turned, news);
        }
    }

    /// Lets one of its threads lead, once it is called. There is one that waits, or is about to.
    pub(crate) fn appoint(&self) {
        lock(&self.news).lead = true;
    }

    /// Calls who was appointed.
    pub(crate) fn call(&self) {
        self.turned.notify_one();
    }

    fn open(&self, receipt: Option<Receipt>) {
        let mut news = lock(&self.news);
        // Whoever was to lead still is.
        (news.over, news.receipt) = (true, receipt);
        drop(news);
        self.turned.notify_all();
    }
}

/// Who waits for one batch.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    gate: Option<Arc<Gate>>,
    tasks: Vec<Arc<Sleeper>>,
}

impl Waiting {
    /// Where a thread is to wait, which it must do.
    pub(crate) fn add_thread(&mut self) -> Arc<Gate> {
        Arc::clone(self.gate.get_or_insert_default())
    }

    pub(crate) fn add_task(&mut self, task: Arc<Sleeper>) {
        self.tasks.push(task);
    }

    /// Makes one of the threads the leader, if there is one; it must be called then.
    pub(crate) fn appoint(&self) -> Option<Arc<Gate>> {
        self.gate.as_ref().inspect(|gate| gate.appoint()).map(Arc::clone)
    }

    /// Tells all of them that the batch is over.
    pub(crate) fn tell(self, receipt: Option<Receipt>) {
        if let Some(gate) = self.gate {
            gate.open(receipt);
        }
        for task in self.tasks {
            task.done();
        }
    }
}

#[cfg(all(test, not(payonce_shuttle)))]
mod tests {
    use super::*;

    /// The ledger is not idle before the leader has led: nobody could close it.
    #[test]
    fn who_was_appointed_leads_also_when_the_batch_is_lost_meanwhile() {
        let mut waiting = Waiting::default();
        let (one, other) = (waiting.add_thread(), waiting.add_thread());
        let successor = waiting.appoint().expect("two threads wait");
        waiting.tell(None);
        successor.call();
        assert!(matches!(one.wait(), Signal::Lead));
        assert!(matches!(other.wait(), Signal::Over(None)), "one alone leads");
    }

    #[test]
    fn where_only_tasks_wait_nobody_is_appointed() {
        let mut waiting = Waiting::default();
        waiting.add_task(Sleeper::new());
        assert!(waiting.appoint().is_none());
    }
}
