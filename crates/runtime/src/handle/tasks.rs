//! The calls for tasks: no thread of theirs blocks, and a dropped future loses nothing.

use std::{mem, panic::resume_unwind, sync::Arc};

use payonce_core::{
    CloseGap, EventStore, ExecuteError, Operation, PhaseRefusal, Release, Replies, State, Tick,
    TickReply, Ticket, UnixMillis, WorkReply,
};

use crate::{
    base::error::Unavailable,
    commit::commit::Commit,
    commit::front::Guard,
    handle::handle::{SharedLedger, ask_in, sum_of},
};

/// Calls for tasks, on any executor. What is submitted is recorded, also if the future is dropped
/// before it is answered. If that was a [`Dispatch`](payonce_core::Dispatch), nobody has been given
/// the right to offer its parts, and nobody will be: they are withdrawn.
///
/// Once the answer was given, dropping whatever awaited it withdraws nothing, since parts may have
/// been offered by then: they stay in flight, and nobody drives them. Dispatch with
/// [`dispatch_async`](Self::dispatch_async), whose [`Driver`](crate::Driver) notices that it is
/// dropped; [`undriven`](Self::undriven) lists the parts.
impl<S: EventStore + Send + 'static> SharedLedger<S> {
    /// [`execute`](Self::execute) for tasks.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn execute_async<O: Operation>(
        &self,
        operation: O,
        now: UnixMillis,
    ) -> Result<O::Reply, ExecuteError<O::Refusal, Unavailable>> {
        let mut replies = self.submit(vec![operation], now).await?;
        match replies.pop() {
            Some(reply) => reply.map_err(ExecuteError::Refused),
            None => unreachable!("one reply for one command"),
        }
    }

    /// [`execute_all`](Self::execute_all) for tasks.
    ///
    /// # Errors
    /// As [`execute_all`](Self::execute_all).
    pub async fn execute_all_async<O: Operation>(
        &self,
        operations: impl IntoIterator<Item = O>,
        now: UnixMillis,
    ) -> Result<Replies<O>, Unavailable> {
        self.submit(operations.into_iter().collect(), now).await
    }

    /// [`query`](Self::query) for tasks.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    ///
    /// # Panics
    /// As [`query`](Self::query).
    pub async fn query_async<T>(&self, ask: impl FnOnce(&State) -> T) -> Result<T, Unavailable> {
        let commit = self.commit();
        let (asked, settled) = commit.enter_async(|front| ask_in(front, ask)).await?;
        let ticket = asked.unwrap_or_else(|panicked| resume_unwind(panicked));
        settled.wait().await;
        commit.read(ticket)
    }

    /// [`tick`](Self::tick) for tasks.
    ///
    /// # Errors
    /// As [`tick`](Self::tick).
    pub async fn tick_async(
        &self,
        now: UnixMillis,
    ) -> Result<TickReply, ExecuteError<PhaseRefusal, Unavailable>> {
        let mut sum = self.execute_async(Tick::new(), now).await?;
        while sum.more {
            sum = sum_of(sum, self.execute_async(Tick::new(), now).await?);
        }
        Ok(sum)
    }

    /// [`close_gap`](Self::close_gap) for tasks.
    ///
    /// # Errors
    /// As [`close_gap`](Self::close_gap).
    pub async fn close_gap_async(
        &self,
        now: UnixMillis,
    ) -> Result<(), ExecuteError<PhaseRefusal, Unavailable>> {
        let mut reply = self.execute_async(CloseGap, now).await?;
        while reply.more {
            reply = match self.execute_async(CloseGap, now).await {
                Err(ExecuteError::Refused(_)) => WorkReply { more: false },
                other => other?,
            };
        }
        Ok(())
    }

    /// As [`close`](Self::close), from a task: it waits without blocking the thread.
    #[must_use = "dropping the store closes it"]
    pub async fn close_async(self) -> Option<S> {
        self.commit().close_async().await
    }

    async fn submit<O: Operation>(
        &self,
        operations: Vec<O>,
        now: UnixMillis,
    ) -> Result<Replies<O>, Unavailable> {
        let commit = self.commit();
        let submit = |front: &mut Guard<'_, S>| front.submit_all(operations, now);
        let (tickets, settled) = commit.enter_async(submit).await?;
        let unread = Unread { commit, tickets, now };
        settled.wait().await;
        unread.read()
    }
}

/// Replies that nobody has read.
struct Unread<'a, S: EventStore + Send + 'static, T: Release, E> {
    commit: &'a Arc<Commit<S>>,
    tickets: Vec<Ticket<Result<T, E>>>,
    /// When they were asked for.
    now: UnixMillis,
}

impl<S: EventStore + Send + 'static, T: Release, E> Unread<'_, S, T, E> {
    fn read(mut self) -> Result<Vec<Result<T, E>>, Unavailable> {
        let tickets = mem::take(&mut self.tickets);
        let front = self.commit.lock();
        tickets.into_iter().map(|ticket| front.release(ticket)).collect()
    }
}

impl<S: EventStore + Send + 'static, T: Release, E> Drop for Unread<'_, S, T, E> {
    /// The future was dropped: what its replies would have permitted nobody does.
    fn drop(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        let mut front = self.commit.lock();
        front.forfeit(mem::take(&mut self.tickets), self.now);
        self.commit.call_writer(&mut front);
    }
}
