//! The book: a ledger that takes facts, finished or not, asked by a thread that may block or by a task that
//! may not. What is done with it is written once, as futures; for a thread they never wait.

use core::{
    future::{Future, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use payonce_core::{
    Answer, EventStore, FactRefusal, FactReply, Operation, PhaseRefusal, State, TickReply,
    UnixMillis,
};
use payonce_runtime::{ExecuteError, SharedLedger, SharedRecovery, Unavailable};

/// What the ledger said to each of several facts.
pub(crate) type Told = Vec<Result<FactReply, FactRefusal>>;

/// A ledger that takes facts.
pub(crate) trait Book: Sync {
    fn ask<T: Send>(
        &self,
        ask: impl FnOnce(&State) -> T + Send,
    ) -> impl Future<Output = Result<T, Unavailable>> + Send;

    fn tell(
        &self,
        answers: Vec<Answer>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Told, Unavailable>> + Send;
}

/// A ledger that takes commands too.
pub(crate) trait Desk: Book {
    fn execute<O: Operation<Reply: Send, Refusal: Send> + Send>(
        &self,
        operation: O,
        now: UnixMillis,
    ) -> impl Future<Output = Result<O::Reply, ExecuteError<O::Refusal, Unavailable>>> + Send;

    fn tick(
        &self,
        now: UnixMillis,
    ) -> impl Future<Output = Result<TickReply, ExecuteError<PhaseRefusal, Unavailable>>> + Send;
}

/// Asked by a thread: each call blocks it, and each future is ready.
pub(crate) struct OnThread<'a, L>(pub(crate) &'a L);

/// Asked by a task: nothing blocks, on any executor.
pub(crate) struct InTask<'a, L>(pub(crate) &'a L);

/// Runs what was written for both, on a thread.
///
/// # Panics
/// If it waits, which over [`OnThread`] nothing does.
pub(crate) fn on_thread<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a ledger that blocks never waits"),
    }
}

impl<S: EventStore + Send + 'static> Book for OnThread<'_, SharedLedger<S>> {
    fn ask<T: Send>(
        &self,
        ask: impl FnOnce(&State) -> T + Send,
    ) -> impl Future<Output = Result<T, Unavailable>> + Send {
        ready(self.0.query(ask))
    }

    fn tell(
        &self,
        answers: Vec<Answer>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Told, Unavailable>> + Send {
        ready(self.0.execute_all(answers, now))
    }
}

impl<S: EventStore + Send + 'static> Desk for OnThread<'_, SharedLedger<S>> {
    fn execute<O: Operation<Reply: Send, Refusal: Send> + Send>(
        &self,
        operation: O,
        now: UnixMillis,
    ) -> impl Future<Output = Result<O::Reply, ExecuteError<O::Refusal, Unavailable>>> + Send {
        ready(self.0.execute(operation, now))
    }

    fn tick(
        &self,
        now: UnixMillis,
    ) -> impl Future<Output = Result<TickReply, ExecuteError<PhaseRefusal, Unavailable>>> + Send
    {
        ready(self.0.tick(now))
    }
}

impl<S: EventStore + Send + 'static> Book for OnThread<'_, SharedRecovery<S>> {
    fn ask<T: Send>(
        &self,
        ask: impl FnOnce(&State) -> T + Send,
    ) -> impl Future<Output = Result<T, Unavailable>> + Send {
        ready(self.0.query(ask))
    }

    fn tell(
        &self,
        answers: Vec<Answer>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Told, Unavailable>> + Send {
        ready(self.0.answer(answers, now))
    }
}

impl<S: EventStore + Send + 'static> Book for InTask<'_, SharedLedger<S>> {
    fn ask<T: Send>(
        &self,
        ask: impl FnOnce(&State) -> T + Send,
    ) -> impl Future<Output = Result<T, Unavailable>> + Send {
        self.0.query_async(ask)
    }

    fn tell(
        &self,
        answers: Vec<Answer>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Told, Unavailable>> + Send {
        self.0.execute_all_async(answers, now)
    }
}

impl<S: EventStore + Send + 'static> Desk for InTask<'_, SharedLedger<S>> {
    fn execute<O: Operation<Reply: Send, Refusal: Send> + Send>(
        &self,
        operation: O,
        now: UnixMillis,
    ) -> impl Future<Output = Result<O::Reply, ExecuteError<O::Refusal, Unavailable>>> + Send {
        self.0.execute_async(operation, now)
    }

    fn tick(
        &self,
        now: UnixMillis,
    ) -> impl Future<Output = Result<TickReply, ExecuteError<PhaseRefusal, Unavailable>>> + Send
    {
        self.0.tick_async(now)
    }
}

impl<S: EventStore + Send + 'static> Book for InTask<'_, SharedRecovery<S>> {
    fn ask<T: Send>(
        &self,
        ask: impl FnOnce(&State) -> T + Send,
    ) -> impl Future<Output = Result<T, Unavailable>> + Send {
        self.0.query_async(ask)
    }

    fn tell(
        &self,
        answers: Vec<Answer>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Told, Unavailable>> + Send {
        self.0.answer_async(answers, now)
    }
}
