//! Waiting for notifications: each unacknowledged one, in order, then the next that comes.

use std::{collections::VecDeque, sync::Arc};

use payonce_core::{EventStore, Notification, State};

use crate::{
    base::error::Unavailable,
    base::waiter::{Parker, Sleeper, Waiter},
    commit::commit::Commit,
    commit::front::Guard,
    handle::handle::SharedLedger,
};

/// How many notifications are asked for at a time.
const PAGE: usize = 64;

/// What the user must see, in the order of the log: first everything that is not acknowledged yet, then
/// what comes. A notification is given once by each of these, acknowledged or not; who has not acknowledged
/// it when the program ends is given it again at the next start.
pub struct Notifications<S: EventStore + Send + 'static> {
    commit: Arc<Commit<S>>,
    /// The seq of the last one given, or of a moment with none behind it.
    after: u64,
    /// The end of what was looked through.
    seen: u64,
    page: VecDeque<Notification>,
}

impl<S: EventStore + Send + 'static> std::fmt::Debug for Notifications<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifications").field("after", &self.after).finish_non_exhaustive()
    }
}

impl<S: EventStore + Send + 'static> SharedLedger<S> {
    /// Begins with the oldest notification that is not acknowledged. Acknowledge each once it is handled
    /// ([`Acknowledge`](payonce_core::Acknowledge)).
    #[must_use]
    pub fn notifications(&self) -> Notifications<S> {
        let commit = Arc::clone(self.commit());
        Notifications { commit, after: 0, seen: 0, page: VecDeque::new() }
    }
}

impl<S: EventStore + Send + 'static> Notifications<S> {
    /// Waits for the next one.
    ///
    /// # Errors
    /// [`Unavailable`]: the ledger is closed or poisoned.
    #[expect(clippy::should_implement_trait, reason = "it has errors and no end")]
    pub fn next(&mut self) -> Result<Notification, Unavailable> {
        loop {
            if let Some(notification) = self.try_next()? {
                return Ok(notification);
            }
            let parker = Parker::new();
            let front = self.commit.lock();
            if self.put(front, Waiter::Thread(Arc::clone(&parker)))? {
                parker.wait();
            }
        }
    }

    /// The next one, if it is there by now.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn try_next(&mut self) -> Result<Option<Notification>, Unavailable> {
        if self.page.is_empty() {
            let mut front = self.commit.enter()?;
            let asked = front.query(page_after(self.after));
            self.turn(self.commit.settle(front, asked)?);
        }
        Ok(self.take())
    }

    /// [`next`](Self::next) for tasks. A dropped future loses none.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn next_async(&mut self) -> Result<Notification, Unavailable> {
        loop {
            if self.page.is_empty() {
                let ask = page_after(self.after);
                let (ticket, settled) =
                    self.commit.enter_async(|front: &mut Guard<'_, S>| front.query(ask)).await?;
                settled.wait().await;
                let page = self.commit.read(ticket)?;
                self.turn(page);
            }
            if let Some(notification) = self.take() {
                return Ok(notification);
            }
            let sleeper = Sleeper::new();
            if self.put(self.commit.lock(), Waiter::Task(Arc::clone(&sleeper)))? {
                sleeper.wait().await;
            }
        }
    }

    fn turn(&mut self, (page, head): (VecDeque<Notification>, u64)) {
        (self.page, self.seen) = (page, head);
    }

    fn take(&mut self) -> Option<Notification> {
        let next = self.page.pop_front()?;
        self.after = next.id.seq;
        Some(next)
    }

    /// Puts a waiter up for what is confirmed next, unless there is something by now.
    fn put(&self, mut front: Guard<'_, S>, waiter: Waiter) -> Result<bool, Unavailable> {
        front.check_open()?;
        let waits = front.machine.durable().seq <= self.seen;
        if waits {
            front.feed.put(waiter);
        }
        Ok(waits)
    }
}

/// The notifications after a seq, and up to where the state was looked through for them.
fn page_after(after: u64) -> impl FnOnce(&State) -> (VecDeque<Notification>, u64) {
    move |state| (state.outbox_after(after).take(PAGE).collect(), state.head().seq)
}
