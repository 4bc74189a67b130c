//! Waiting for a payment's outcome, by its id; any number may wait.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    sync::Arc,
};

use payonce_core::{
    Entry, Event, EventStore, PaymentId, PaymentView, State, Status, decode_events,
};

use crate::{
    commit::{Commit, Guard},
    error::OutcomeError,
    handle::SharedLedger,
    waiter::{Parker, Sleeper, Waiter},
};

/// Who waits for which payment.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    waiting: HashMap<PaymentId, Vec<(u64, Waiter)>>,
    tickets: u64,
}

impl Outcomes {
    pub(crate) fn are_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Who waited for these.
    pub(crate) fn end(&mut self, ended: &Ended) -> Vec<Waiter> {
        if ended.all {
            return self.end_all();
        }
        let waited = ended.payments.iter().filter_map(|id| self.waiting.remove(id));
        waited.flatten().map(|(_, waiter)| waiter).collect()
    }

    pub(crate) fn end_all(&mut self) -> Vec<Waiter> {
        self.waiting.drain().flat_map(|(_, waiters)| waiters).map(|(_, waiter)| waiter).collect()
    }

    /// Puts a waiter up; the number takes it down again.
    fn put(&mut self, id: PaymentId, waiter: Waiter) -> u64 {
        self.tickets += 1;
        self.waiting.entry(id).or_default().push((self.tickets, waiter));
        self.tickets
    }

    /// Takes a waiter down and gives it, if it was not told meanwhile.
    fn take_down(&mut self, id: PaymentId, ticket: u64) -> Option<Waiter> {
        let Slot::Occupied(mut slot) = self.waiting.entry(id) else { return None };
        let waiters = slot.get_mut();
        let place = waiters.iter().position(|(other, _)| *other == ticket)?;
        let (_, waiter) = waiters.swap_remove(place);
        if waiters.is_empty() {
            slot.remove();
        }
        Some(waiter)
    }
}

/// Whose outcome a batch may bring: they look again.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    payments: Vec<PaymentId>,
    /// Anybody's: what was known to have failed before the gap is told only now, or a hash is free.
    all: bool,
}

impl Ended {
    /// What these entries may end. An entry that was just made decodes.
    pub(crate) fn by(entries: &[Entry]) -> Self {
        let mut ended = Self::default();
        for entry in entries {
            let decoded = decode_events(entry.bytes(), |_, event| match event {
                Event::GapClosed | Event::HashUnblocked { .. } => ended.all = true,
                Event::PartObserved { .. } | Event::PartsDispatched { .. } => {}
                event => ended.payments.extend(event.payment()),
            });
            debug_assert!(decoded.is_ok(), "the core encodes nothing that would not decode");
        }
        ended
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_taken_down_leaves_nothing() {
        let mut outcomes = Outcomes::default();
        let id = PaymentId::from_bytes([1; 32]);
        let first = outcomes.put(id, Waiter::Task(Sleeper::new()));
        let second = outcomes.put(id, Waiter::Task(Sleeper::new()));
        assert!(outcomes.take_down(id, first).is_some());
        assert!(outcomes.take_down(id, first).is_none());
        assert!(outcomes.are_awaited());
        assert!(outcomes.take_down(id, second).is_some());
        assert!(!outcomes.are_awaited());
        let ended = Ended { payments: vec![id], all: false };
        assert!(outcomes.end(&ended).is_empty());
    }
}
