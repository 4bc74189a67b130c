//! Waiting for a payment's outcome, by its id; any number may wait.

use std::sync::Arc;

use payonce_core::{EventStore, PaymentId, PaymentView, State, Status};

use crate::{
    base::error::OutcomeError,
    base::waiter::{Parker, Sleeper, Waiter},
    commit::commit::Commit,
    commit::front::Guard,
    handle::handle::SharedLedger,
};

/// A waiter that was put up, and is taken down when its call is over or dropped.
struct Watch<'a, S> {
    commit: &'a Commit<S>,
    id: PaymentId,
    ticket: u64,
}

impl<'a, S> Watch<'a, S> {
    fn put(commit: &'a Commit<S>, front: &mut Guard<'a, S>, id: PaymentId, waiter: Waiter) -> Self {
        Self { commit, id, ticket: front.outcomes.put(id, waiter) }
    }
}

impl<S> Drop for Watch<'_, S> {
    fn drop(&mut self) {
        let waiter = self.commit.lock().outcomes.take_down(self.id, self.ticket);
        drop(waiter);
    }
}

/// What a look at a payment gives: its outcome, or that there is none yet.
fn look(state: &State, id: PaymentId) -> Result<Option<PaymentView>, OutcomeError> {
    let view = state.payment_view(&id).ok_or(OutcomeError::UnknownPayment { id })?;
    Ok(has_outcome(state, &view).then_some(view))
}

/// Whether this is how it ended. A failure is no outcome in the gap of a restored log, where the
/// payment may have been tried again and paid; nor while anything told under its id is out, which may
/// still be paid.
fn has_outcome(state: &State, view: &PaymentView) -> bool {
    let failed = matches!(view.status, Status::Failed { .. });
    view.is_over() && !(failed && state.is_restored())
}

/// Waiting for a payment's outcome.
impl<S: EventStore + Send + 'static> SharedLedger<S> {
    /// Waits until a payment is Fulfilled, or Failed with nothing unresolved, and tells how it stands
    /// then. Fulfilled is final. Failed may be followed by a correction, which a notification tells; it
    /// is not told at all while the log is restored, since the payment may have been paid in the gap,
    /// nor while a part that was told under its id is out again.
    ///
    /// # Errors
    /// [`OutcomeError::UnknownPayment`] if the ledger does not know the payment or forgets it
    /// meanwhile; [`OutcomeError::Unavailable`] when the ledger is closed or poisoned.
    pub fn outcome(&self, id: PaymentId) -> Result<PaymentView, OutcomeError> {
        loop {
            let parker = Parker::new();
            // Put up before looking: an outcome decided after the look is told.
            let mut front = self.commit().lock();
            front.check_open()?;
            let watch =
                Watch::put(self.commit(), &mut front, id, Waiter::Thread(Arc::clone(&parker)));
            drop(front);
            if let Some(view) = self.query(|state| look(state, id))?? {
                return Ok(view);
            }
            parker.wait();
            drop(watch);
        }
    }

    /// [`outcome`](Self::outcome) for tasks. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// As [`outcome`](Self::outcome).
    pub async fn outcome_async(&self, id: PaymentId) -> Result<PaymentView, OutcomeError> {
        loop {
            let sleeper = Sleeper::new();
            let watch = {
                let mut front = self.commit().lock();
                front.check_open()?;
                Watch::put(self.commit(), &mut front, id, Waiter::Task(Arc::clone(&sleeper)))
            };
            if let Some(view) = self.query_async(move |state| look(state, id)).await?? {
                return Ok(view);
            }
            sleeper.wait().await;
            drop(watch);
        }
    }
}
