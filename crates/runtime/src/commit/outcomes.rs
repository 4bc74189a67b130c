//! Who waits for the outcome of which payment.

use std::collections::{HashMap, hash_map::Entry as Slot};

use payonce_core::{Event, PaymentId};

use crate::base::waiter::Waiter;

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
    pub(crate) fn put(&mut self, id: PaymentId, waiter: Waiter) -> u64 {
        self.tickets += 1;
        self.waiting.entry(id).or_default().push((self.tickets, waiter));
        self.tickets
    }

    /// Takes a waiter down and gives it, if it was not told meanwhile.
    pub(crate) fn take_down(&mut self, id: PaymentId, ticket: u64) -> Option<Waiter> {
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
    /// Notes what an event may end.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::GapClosed | Event::HashUnblocked { .. } => self.all = true,
            Event::PartObserved { .. }
            | Event::InvoiceRequested { .. }
            | Event::PartsDispatched { .. } => {}
            event => self.payments.extend(event.payment()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::waiter::Sleeper;

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
