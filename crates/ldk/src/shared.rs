//! A shared handle on a ledger: blocking calls over one lock, and outcomes that many can wait for.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use payonce_core::{
    Acknowledge, AcknowledgeRefusal, AcknowledgeReply, Answer, Answers, EventStore, ExecuteError,
    FactRefusal, FactReply, Head, Ledger, LedgerError, OpenError, Opening, Operation, PaymentId,
    Recovery, Standing, State, Status, StoreError, Tick, TickRefusal, TickReply, UnixMillis,
};

/// Why a command has no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError<R: core::error::Error> {
    /// It was refused; nothing was recorded.
    #[error(transparent)]
    Refused(R),
    /// The ledger answers nothing.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why the ledger answers nothing any more. Open the log again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The store failed, now or earlier, and the outcome is unknown.
    #[error("the store failed: open the log again")]
    Poisoned {
        /// What the store said, if this handle saw it.
        cause: Option<Arc<StoreError>>,
    },
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
}

impl From<LedgerError> for Unavailable {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Store(cause) => Self::Poisoned { cause: Some(Arc::new(cause)) },
            _ => Self::Poisoned { cause: None },
        }
    }
}

impl<R: core::error::Error> From<ExecuteError<R>> for CallError<R> {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Refused(refusal) => Self::Refused(refusal),
            ExecuteError::Ledger(error) => Self::Unavailable(error.into()),
        }
    }
}

/// Why there is no outcome to wait for.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OutcomeError {
    /// The ledger does not know the payment.
    #[error("payment {id} is not known")]
    UnknownPayment {
        /// The payment.
        id: PaymentId,
    },
    /// The ledger answers nothing.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

#[derive(Debug)]
enum Phase<S> {
    Recovering(Recovery<S>),
    Open(Ledger<S>),
    Closed,
}

#[derive(Debug)]
struct Inner<S> {
    phase: Mutex<Phase<S>>,
    changed: Condvar,
    /// By a number that is never used twice.
    waiting: Mutex<(u64, HashMap<u64, Waker>)>,
}

impl<S: EventStore> Inner<S> {
    fn lock(&self) -> MutexGuard<'_, Phase<S>> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, call: impl FnOnce(&mut Phase<S>) -> T) -> T {
        let answer = call(&mut self.lock());
        self.changed.notify_all();
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut waiting.1)
        };
        waiting.into_values().for_each(Waker::wake);
        answer
    }
}

/// A ledger that threads and tasks share.
#[derive(Debug)]
pub struct SharedLedger<S>(Arc<Inner<S>>);

impl<S> Clone for SharedLedger<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The same log before it is vouched for.
#[derive(Debug)]
pub struct SharedRecovery<S>(Arc<Inner<S>>);

impl<S> Clone for SharedRecovery<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: EventStore> SharedLedger<S> {
    /// Opens a log for writing.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open(
        store: S,
        opening: &Opening,
        now: UnixMillis,
    ) -> Result<SharedRecovery<S>, OpenError> {
        let recovery = Ledger::open(store, opening, now)?;
        Ok(SharedRecovery(Arc::new(Inner {
            phase: Mutex::new(Phase::Recovering(recovery)),
            changed: Condvar::new(),
            waiting: Mutex::default(),
        })))
    }

    fn with<T>(&self, call: impl FnOnce(&mut Ledger<S>) -> T) -> Result<T, Unavailable> {
        self.0.with(|phase| match phase {
            Phase::Open(ledger) => Ok(call(ledger)),
            Phase::Recovering(_) | Phase::Closed => Err(Unavailable::Closed),
        })
    }

    /// Decides, makes durable, answers.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn execute<O: Operation>(
        &self,
        operation: O,
        now: UnixMillis,
    ) -> Result<O::Reply, CallError<O::Refusal>> {
        Ok(self.with(|ledger| ledger.execute(operation, now))??)
    }

    /// Several operations, one append.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn execute_all<O: Operation>(
        &self,
        operations: impl IntoIterator<Item = O>,
        now: UnixMillis,
    ) -> Result<Answers<O>, Unavailable> {
        Ok(self.with(|ledger| ledger.execute_all(operations, now))??)
    }

    /// Asks the state.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn query<T>(&self, ask: impl FnOnce(&State) -> T) -> Result<T, Unavailable> {
        match &mut *self.0.lock() {
            Phase::Open(ledger) => Ok(ledger.query(ask)?),
            Phase::Recovering(_) | Phase::Closed => Err(Unavailable::Closed),
        }
    }

    /// Ticks until nothing more is due.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn tick(&self, now: UnixMillis) -> Result<TickReply, CallError<TickRefusal>> {
        let mut sum = TickReply { counted: false, failed: 0, forgotten: 0, more: true };
        while sum.more {
            let reply = self.execute(Tick, now)?;
            sum.counted |= reply.counted;
            sum.failed += reply.failed;
            sum.forgotten += reply.forgotten;
            sum.more = reply.more;
        }
        Ok(sum)
    }

    /// Waits until the payment is Fulfilled or Failed.
    ///
    /// # Errors
    /// [`OutcomeError`].
    pub fn outcome(&self, id: &PaymentId) -> Result<Standing, OutcomeError> {
        let mut phase = self.0.lock();
        loop {
            if let Poll::Ready(outcome) = Self::decided(&mut phase, id) {
                return outcome;
            }
            phase = self.0.changed.wait(phase).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the payment is Fulfilled or Failed.
    ///
    /// # Errors
    /// [`OutcomeError`].
    pub async fn outcome_async(&self, id: &PaymentId) -> Result<Standing, OutcomeError> {
        let mut place = None;
        poll_fn(|context| {
            let mut phase = self.0.lock();
            let decided = Self::decided(&mut phase, id);
            let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = place.take() {
                waiting.1.remove(&place);
            }
            if decided.is_pending() {
                waiting.0 += 1;
                let number = waiting.0;
                waiting.1.insert(number, context.waker().clone());
                place = Some(number);
            }
            decided
        })
        .await
    }

    fn decided(phase: &mut Phase<S>, id: &PaymentId) -> Poll<Result<Standing, OutcomeError>> {
        let Phase::Open(ledger) = phase else {
            return Poll::Ready(Err(Unavailable::Closed.into()));
        };
        match ledger.query(|state| state.standing(id)) {
            Err(error) => Poll::Ready(Err(Unavailable::from(error).into())),
            Ok(None) => Poll::Ready(Err(OutcomeError::UnknownPayment { id: *id })),
            Ok(Some(standing)) => match standing.status {
                Status::Fulfilled | Status::Failed { .. } => Poll::Ready(Ok(standing)),
                _ => Poll::Pending,
            },
        }
    }

    /// The durable end of the log.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        match &*self.0.lock() {
            Phase::Open(ledger) => Some(ledger.head()),
            Phase::Recovering(recovery) => Some(recovery.head()),
            Phase::Closed => None,
        }
    }

    /// Closes the gap of a restored log.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn close_gap(&self, now: UnixMillis) -> Result<(), Unavailable> {
        Ok(self.with(|ledger| ledger.close_gap(now))??)
    }

    /// Hands the store back.
    ///
    /// # Errors
    /// [`Unavailable::Closed`] when it was closed before.
    pub fn close(self) -> Result<S, Unavailable> {
        self.0.with(|phase| match std::mem::replace(phase, Phase::Closed) {
            Phase::Open(ledger) => Ok(ledger.into_store()),
            Phase::Recovering(recovery) => Ok(recovery.into_store()),
            Phase::Closed => Err(Unavailable::Closed),
        })
    }
}

impl<S: EventStore> SharedRecovery<S> {
    fn with<T>(&self, call: impl FnOnce(&mut Recovery<S>) -> T) -> Result<T, Unavailable> {
        match &mut *self.0.lock() {
            Phase::Recovering(recovery) => Ok(call(recovery)),
            Phase::Open(_) | Phase::Closed => Err(Unavailable::Closed),
        }
    }

    /// Whether the log lacks something that the node knew.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn is_restored(&self) -> Result<bool, Unavailable> {
        Ok(self.with(Recovery::is_restored)??)
    }

    /// Takes answers.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn answer(
        &self,
        answers: impl IntoIterator<Item = Answer>,
        now: UnixMillis,
    ) -> Result<Vec<Result<FactReply, FactRefusal>>, Unavailable> {
        Ok(self.with(|recovery| recovery.answer(answers, now))??)
    }

    /// Acknowledges notifications.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn acknowledge(
        &self,
        command: Acknowledge,
        now: UnixMillis,
    ) -> Result<AcknowledgeReply, CallError<AcknowledgeRefusal>> {
        Ok(self.with(|recovery| recovery.acknowledge(command, now))??)
    }

    /// Asks the state.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn query<T>(&self, ask: impl FnOnce(&State) -> T) -> Result<T, Unavailable> {
        Ok(self.with(|recovery| recovery.query(ask))??)
    }

    /// Draws the verdicts and gives the ledger.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn finish(self, now: UnixMillis) -> Result<SharedLedger<S>, Unavailable> {
        {
            let mut phase = self.0.lock();
            match std::mem::replace(&mut *phase, Phase::Closed) {
                Phase::Recovering(recovery) => *phase = Phase::Open(recovery.finish(now)?),
                Phase::Open(_) | Phase::Closed => return Err(Unavailable::Closed),
            }
        }
        Ok(SharedLedger(self.0))
    }
}
