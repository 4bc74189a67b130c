//! The payer: a ledger and LDK, joined so that each payment is made once.

use core::{fmt, ops::Deref};
use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lightning::{offers::refund::Refund, sign::EntropySource};
use payonce_core::{
    EventStore, FailureReason, ListError, Listing, Page, Part, PartId, PartStatus, Payment,
    PaymentId, PaymentView, State, Status,
};
use payonce_runtime::{ExecuteError, OutcomeError, SharedLedger, Unavailable};

use crate::{
    bridge::engine::Engine, bridge::entry::entries, bridge::options::Options, events::refund,
};

/// A ledger and LDK, joined so that each payment is made once. Had by finishing a
/// [`Starting`](crate::Starting).
///
/// - Paying: [`pay`](Self::pay) is also how a repeat is asked; [`hand_over`](Self::hand_over) and
///   [`abandon`](Self::abandon).
/// - Facts from LDK: [`handle_event`](Self::handle_event), from the node's event handler, for every
///   event.
/// - Time: [`tick`](Self::tick), about once a minute, beside LDK's `timer_tick_occurred`;
///   [`drive`](Self::drive) after a start.
/// - Asking: [`outcome`](Self::outcome) and [`outcome_async`](Self::outcome_async) wait;
///   [`payment_view`](Self::payment_view), [`refund`](Self::refund), and everything else through
///   [`ledger`](Self::ledger).
///
/// All methods take `&self` and may be called from any thread, also from LDK's event handler. Each that
/// blocks has one for tasks, whose name ends in `_async`: on any executor, with no thread of it blocked.
pub struct Payer<S: EventStore + Send + 'static, E, R> {
    pub(crate) ledger: SharedLedger<S>,
    pub(crate) engine: E,
    pub(crate) entropy: R,
    pub(crate) options: Options,
    /// What LDK tracked at the start and the ledger did not know, until LDK forgets it.
    unknown: Mutex<HashSet<PartId>>,
}

// LDK's types have no `Debug`: none is asked of the engine and the entropy.
impl<S: EventStore + Send + 'static, E, R> fmt::Debug for Payer<S, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payer").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<S, E, R> Payer<S, E, R>
where
    S: EventStore + Send + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    pub(crate) fn new(
        ledger: SharedLedger<S>,
        engine: E,
        entropy: R,
        options: Options,
        unknown: HashSet<PartId>,
    ) -> Self {
        Self { ledger, engine, entropy, options, unknown: Mutex::new(unknown) }
    }

    /// How a payment stands; `None` for one that the ledger does not know.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn payment_view(&self, id: &PaymentId) -> Result<Option<PaymentView>, Unavailable> {
        self.ledger.query(|state| state.payment_view(id))
    }

    /// The refund that was made for a payment, while its holder can still be paid with it.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn refund(&self, id: &PaymentId) -> Result<Option<Refund>, Unavailable> {
        self.ledger.query(|state| refund_of(state, id))
    }

    /// [`payment_view`](Self::payment_view) for tasks.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn payment_view_async(
        &self,
        id: PaymentId,
    ) -> Result<Option<PaymentView>, Unavailable> {
        self.ledger.query_async(move |state| state.payment_view(&id)).await
    }

    /// [`refund`](Self::refund) for tasks.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn refund_async(&self, id: PaymentId) -> Result<Option<Refund>, Unavailable> {
        self.ledger.query_async(move |state| refund_of(state, &id)).await
    }

    /// Lists payments, live and remembered, a page at a time. What was to be paid is had from an item's
    /// request, by [`Order::of_request`](crate::Order::of_request).
    ///
    /// # Errors
    /// As [`SharedLedger::list`].
    pub fn list(&self, listing: &Listing) -> Result<Page, ExecuteError<ListError, Unavailable>> {
        self.ledger.list(listing)
    }

    /// [`list`](Self::list) for tasks.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn list_async(
        &self,
        listing: Listing,
    ) -> Result<Page, ExecuteError<ListError, Unavailable>> {
        self.ledger.list_async(listing).await
    }

    /// Waits until a payment is paid or has failed, blocking the thread.
    ///
    /// # Errors
    /// [`OutcomeError`] for a payment that the ledger does not know, or forgets meanwhile.
    pub fn outcome(&self, id: PaymentId) -> Result<PaymentView, OutcomeError> {
        self.ledger.outcome(id)
    }

    /// Waits until a payment is paid or has failed. Any number of tasks may wait, on any executor.
    ///
    /// # Errors
    /// As [`outcome`](Self::outcome).
    pub async fn outcome_async(&self, id: PaymentId) -> Result<PaymentView, OutcomeError> {
        self.ledger.outcome_async(id).await
    }

    /// The ledger: for listing, the outbox, acknowledging, snapshots, and its head. Parts are this
    /// payer's business: dispatch none.
    #[must_use]
    pub const fn ledger(&self) -> &SharedLedger<S> {
        &self.ledger
    }

    /// The engine that this payer hands its parts to.
    #[must_use]
    pub fn engine(&self) -> &E::Target {
        &self.engine
    }

    /// What LDK still tracks of what the ledger did not know at the start: one of it.
    pub(crate) fn unknown_in_engine(&self) -> Option<PartId> {
        if self.unknown().is_empty() {
            return None;
        }
        let tracked = entries(&*self.engine);
        let mut unknown = self.unknown();
        unknown.retain(|part| tracked.contains_key(part));
        unknown.iter().min().copied()
    }

    /// An event has named what LDK tracked and the ledger did not know.
    pub(crate) fn is_known(&self, part: &PartId) {
        self.unknown().remove(part);
    }

    fn unknown(&self) -> MutexGuard<'_, HashSet<PartId>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether LDK should try nothing more for a payment: it was given up, and not because no further
/// hand-over is allowed. The last one that is allowed may end by itself.
pub(crate) fn is_given_up(payment: &Payment) -> bool {
    match payment.status() {
        Status::AwaitingInvoice | Status::Pending | Status::Fulfilled => false,
        Status::Abandoned { reason } => reason != FailureReason::RetriesExhausted,
        Status::Failed { .. } => true,
    }
}

/// Whether nothing more is to leave for a payment: it was given up, or is paid (on a word, or by an older
/// hand-over), and what LDK still tried would pay it a second time.
pub(crate) fn wants_no_more(payment: &Payment) -> bool {
    is_given_up(payment) || payment.status() == Status::Fulfilled
}

/// The parts of a payment that LDK may still pay with.
pub(crate) fn parts_out(payment: &Payment) -> Vec<PartId> {
    let out = |part: &&Part| part.status == PartStatus::InFlight;
    payment.parts().iter().filter(out).map(|part| part.id).collect()
}

/// The refund that was made for a payment, while whoever holds it is to be paid.
pub(crate) fn refund_of(state: &State, id: &PaymentId) -> Option<Refund> {
    let payment = state.payment(id)?;
    // Given out now, it would be paid beside what was paid on a word, or never.
    if wants_no_more(payment) {
        return None;
    }
    parts_out(payment).iter().find_map(|part| refund::kept(payment, part))
}
