//! The shared handle: one ledger for many threads.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use payonce_core::{
    CloseGap, EventStore, ExecuteError, Head, Ledger, LedgerId, Machine, Operation, PhaseRefusal,
    Replies, State, Tick, TickReply, Ticket, UnixMillis, WorkReply,
};

use crate::{
    base::error::Unavailable, base::options::Options, commit::commit::Commit, commit::front::Guard,
    commit::upkeep::Upkeep,
};

/// One ledger for many threads and tasks: clone it and give it away.
///
/// Every call returns once what it answers is durable; the commands of all callers that come while
/// one batch is being written go into the next, with one append and one sync.
///
/// - open: [`open`](Self::open), [`from_ledger`](Self::from_ledger);
/// - tell and ask: [`execute`](Self::execute), [`execute_all`](Self::execute_all),
///   [`try_execute`](Self::try_execute), [`query`](Self::query), [`tick`](Self::tick);
/// - dispatch so that it is noticed when the caller dies: [`dispatch`](Self::dispatch),
///   [`undriven`](Self::undriven), [`drive`](Self::drive);
/// - wait: [`outcome`](Self::outcome), [`subscribe`](Self::subscribe);
/// - maintenance: [`save_snapshot`](Self::save_snapshot), [`drop_history`](Self::drop_history),
///   [`head_stored`](Self::head_stored), [`verify`](Self::verify), [`close_gap`](Self::close_gap),
///   [`close`](Self::close).
///
/// Each that may block has a form for tasks, `…_async`, for any executor: it blocks no thread but the
/// ledger's own, on which alone the store is called then. The blocking forms may call the store on
/// the calling thread.
///
/// What is not the ledger's own (a waker, a future, a caller's value) is run and dropped while nothing
/// is locked, but for what [`query`](Self::query) asks.
///
/// When the last handle is dropped the ledger is closed: what was submitted is still written, and
/// then the store is dropped, on the writer thread if there is one. [`close`](Self::close) says when
/// that is done.
pub struct SharedLedger<S: EventStore + Send + 'static> {
    handles: Arc<Handles<S>>,
}

/// Notices when the last handle is gone.
struct Handles<S>(Arc<Commit<S>>);

impl<S> Drop for Handles<S> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl<S: EventStore + Send + 'static> Clone for SharedLedger<S> {
    fn clone(&self) -> Self {
        Self { handles: Arc::clone(&self.handles) }
    }
}

impl<S: EventStore + Send + 'static> std::fmt::Debug for SharedLedger<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedLedger").field("head", &self.head()).finish_non_exhaustive()
    }
}

impl<S: EventStore + Send + 'static> SharedLedger<S> {
    /// Shares a ledger that was opened and recovered by itself. Where maintenance runs by itself, what
    /// follows the newest snapshot is read once more, beside payments, to learn how much that is.
    ///
    /// # Panics
    /// If snapshots are to be taken and no thread can be started.
    #[must_use]
    pub fn from_ledger(ledger: Ledger<S>, options: Options) -> Self {
        let (machine, store) = ledger.into_parts();
        Self::new(machine, store, options, Upkeep::unknown())
    }

    pub(crate) fn new(machine: Machine, store: S, options: Options, upkeep: Upkeep) -> Self {
        let commit = Arc::new(Commit::new(machine, store, options, upkeep));
        commit.hire_keeper();
        Self { handles: Arc::new(Handles(commit)) }
    }

    pub(crate) fn commit(&self) -> &Arc<Commit<S>> {
        &self.handles.0
    }

    /// Decides a command or a fact, makes it durable together with whatever else has come, and
    /// answers. Waits while [`Options::queue_commands`] commands wait already.
    ///
    /// Who reads the answer to a [`Dispatch`](payonce_core::Dispatch) counts as driving its parts:
    /// should the caller die before it offers them they stay in flight, and the ledger cannot see it.
    /// [`dispatch`](Self::dispatch) can.
    ///
    /// # Errors
    /// [`ExecuteError::Refused`] with nothing recorded, or [`ExecuteError::Unavailable`].
    pub fn execute<O: Operation>(
        &self,
        operation: O,
        now: UnixMillis,
    ) -> Result<O::Reply, ExecuteError<O::Refusal, Unavailable>> {
        let mut front = self.commit().enter()?;
        let submitted = front.submit(operation, now);
        self.commit().settle(front, submitted)?.map_err(ExecuteError::Refused)
    }

    /// As [`execute`](Self::execute), but does not wait for room.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and [`Unavailable::Full`] with nothing decided.
    pub fn try_execute<O: Operation>(
        &self,
        operation: O,
        now: UnixMillis,
    ) -> Result<O::Reply, ExecuteError<O::Refusal, Unavailable>> {
        let mut front = self.commit().lock();
        let limit = self.commit().options.queue_commands;
        if !front.has_room(limit)? {
            return Err(Unavailable::Full { limit }.into());
        }
        let submitted = front.submit(operation, now);
        self.commit().settle(front, submitted)?.map_err(ExecuteError::Refused)
    }

    /// Decides several commands as one call, each against the state after those before it, and
    /// makes them durable with one append. Each has its own answer.
    ///
    /// # Errors
    /// [`Unavailable`]; when poisoned, at most the first of them took effect.
    pub fn execute_all<O: Operation>(
        &self,
        operations: impl IntoIterator<Item = O>,
        now: UnixMillis,
    ) -> Result<Replies<O>, Unavailable> {
        // Drawn before the lock is taken: the iterator is the caller's code.
        let operations: Vec<_> = operations.into_iter().collect();
        let mut front = self.commit().enter()?;
        let submitted = front.submit_all(operations, now);
        self.commit().settle_all(front, submitted)
    }

    /// Asks the newest state, and answers once that is durable. `ask` holds everybody up while it
    /// runs, and must not call the ledger, nor drop what would.
    ///
    /// # Errors
    /// [`Unavailable`].
    ///
    /// # Panics
    /// If `ask` does; the ledger goes on.
    pub fn query<T>(&self, ask: impl FnOnce(&State) -> T) -> Result<T, Unavailable> {
        let mut front = self.commit().enter()?;
        let (asked, batch) = ask_in(&mut front, ask);
        match asked {
            Ok(ticket) => self.commit().settle(front, (ticket, batch)),
            Err(panicked) => {
                drop(front);
                resume_unwind(panicked)
            }
        }
    }

    /// The node's timer, about once a minute: does all that is due, in entries of bounded size, and
    /// tells it in sum.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn tick(
        &self,
        now: UnixMillis,
    ) -> Result<TickReply, ExecuteError<PhaseRefusal, Unavailable>> {
        let mut sum = self.execute(Tick::new(), now)?;
        while sum.more {
            sum = sum_of(sum, self.execute(Tick::new(), now)?);
        }
        Ok(sum)
    }

    /// Says that the caller has told the payments of the gap in a Restored log, and draws the
    /// conclusions that were withheld.
    ///
    /// # Errors
    /// [`PhaseRefusal::NotRestored`] if there is no gap; else as [`execute`](Self::execute).
    pub fn close_gap(
        &self,
        now: UnixMillis,
    ) -> Result<(), ExecuteError<PhaseRefusal, Unavailable>> {
        let mut reply = self.execute(CloseGap, now)?;
        while reply.more {
            reply = match self.execute(CloseGap, now) {
                // Another caller has worked the rest off.
                Err(ExecuteError::Refused(_)) => WorkReply { more: false },
                other => other?,
            };
        }
        Ok(())
    }

    /// The end of what is durable: what a node keeps with its channel state.
    #[must_use]
    pub fn head(&self) -> Head {
        self.commit().lock().machine.durable()
    }

    /// Whether it takes commands: what a health check asks.
    ///
    /// # Errors
    /// [`Unavailable::Poisoned`] or [`Unavailable::Closed`].
    pub fn check(&self) -> Result<(), Unavailable> {
        self.commit().lock().check_open()
    }

    /// How many commands wait for the next append.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.commit().lock().queued()
    }

    /// The id of the ledger.
    #[must_use]
    pub fn ledger_id(&self) -> LedgerId {
        self.commit().ledger
    }

    /// Closes the ledger for all handles: refuses what is new, writes what was submitted, and hands
    /// the store back; `None` to all but the first who close it.
    #[must_use = "dropping the store closes it"]
    pub fn close(self) -> Option<S> {
        self.commit().close()
    }
}

/// Asks, and takes hold of a panic: the caller's code must not end the ledger of all.
pub(crate) fn ask_in<S, T>(
    front: &mut Guard<'_, S>,
    ask: impl FnOnce(&State) -> T,
) -> (std::thread::Result<Ticket<T>>, u64) {
    match catch_unwind(AssertUnwindSafe(|| front.query(ask))) {
        Ok((ticket, batch)) => (Ok(ticket), batch),
        Err(panicked) => (Err(panicked), 0),
    }
}

/// What two ticks did together; whether more is due says the later one.
pub(crate) fn sum_of(before: TickReply, after: TickReply) -> TickReply {
    TickReply {
        counted: before.counted | after.counted,
        failed: before.failed + after.failed,
        forgotten: before.forgotten + after.forgotten,
        more: after.more,
    }
}
