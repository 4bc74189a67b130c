//! The payer: a ledger and LDK, joined so that each payment is made once.

use core::{fmt, ops::Deref};
use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lightning::{events::Event, offers::refund::Refund, sign::EntropySource};
use payonce_core::{
    Abandon, AbandonReply, EventStore, FailureReason, Msat, Part, PartId, PartStatus, Pay,
    PayReply, Payment, PaymentId, PaymentView, UnixMillis,
};
use payonce_runtime::{OutcomeError, SharedLedger, Unavailable};

use crate::{
    border,
    engine::Engine,
    entry::entries,
    error::{AbandonError, HandleError, PayError},
    hand_over::HandOver,
    handled::{Handled, tell_event},
    options::Options,
    order::Order,
    refund,
    request::{Terms, request},
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
/// All methods take `&self` and may be called from any thread, also from LDK's event handler.
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

/// What came of [`Payer::pay`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Paying {
    /// Accepted now.
    Accepted {
        /// What came of its first hand-over.
        first: HandOver,
    },
    /// Accepted before: nothing was given to LDK by this call.
    Repeat {
        /// How it stands: paid with what, failed, or still open.
        view: PaymentView,
        /// The refund that was made for it, while its holder can still be paid.
        refund: Option<Box<Refund>>,
    },
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

    /// Pays an order under the caller's id, once, or answers a repeat. The id is stored by the
    /// caller before the first call. `amount` is what the payee must receive, where the order does
    /// not say it.
    ///
    /// # Errors
    /// [`PayError`]: nothing was recorded and nothing was sent.
    pub fn pay(
        &self,
        id: PaymentId,
        order: &Order,
        amount: Option<Msat>,
        terms: &Terms,
        now: UnixMillis,
    ) -> Result<Paying, PayError> {
        let request = request(order, amount, terms, self.options.network)?;
        let known = self.ledger.query(|state| state.payment_view(&id).is_some())?;
        let unknown =
            if known || !order.awaits_invoice() { None } else { self.unknown_in_engine() };
        if let Some(engine_id) = unknown {
            return Err(PayError::UnknownInEngine { engine_id });
        }
        let pay = Pay { id, request, again_after: terms.again_after };
        match self.ledger.execute(pay, now)? {
            PayReply::Accepted => Ok(Paying::Accepted { first: self.hand_over(&id, now)? }),
            PayReply::Duplicate(view) => {
                let refund = self.refund(&id)?.map(Box::new);
                Ok(Paying::Repeat { view, refund })
            }
        }
    }

    /// Takes an event of LDK. What it says is durable when the call returns, so LDK may forget it.
    /// Call it for every event, first of all handlers; events of other matters are passed over.
    ///
    /// It gives nothing to LDK: a payment whose hand-over failed is handed over again at the next
    /// [`tick`](Self::tick) or [`drive`](Self::drive).
    ///
    /// # Errors
    /// [`HandleError`], only when the store failed: return it to LDK (it becomes a `ReplayEvent`),
    /// stop, and open the ledger again.
    pub fn handle_event(&self, event: &Event, now: UnixMillis) -> Result<Handled, HandleError> {
        let (handled, facts) = tell_event(&self.ledger, &*self.engine, event, now)?;
        if let Some(named) = facts.and_then(|facts| facts.named) {
            self.unknown().remove(&named);
        }
        Ok(handled)
    }

    /// Asks that nothing more is tried, now and by LDK. A request, not a result: what is out may
    /// still pay.
    ///
    /// # Errors
    /// [`AbandonError`] for an unknown payment, or when the ledger answers nothing.
    pub fn abandon(&self, id: &PaymentId, now: UnixMillis) -> Result<AbandonReply, AbandonError> {
        let reason = FailureReason::UserAbandoned;
        let reply = self.ledger.execute(Abandon { id: *id, reason }, now)?;
        let out = self.ledger.query(|state| state.payment(id).map(parts_out))?;
        for part in out.unwrap_or_default() {
            self.engine.abandon(border::engine_id(&part));
        }
        Ok(reply)
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
        self.ledger.query(|state| {
            let payment = state.payment(id)?;
            parts_out(payment).iter().find_map(|part| refund::kept(payment, part))
        })
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

    /// The engine.
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

    fn unknown(&self) -> MutexGuard<'_, HashSet<PartId>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parts of a payment that LDK may still pay with.
pub(crate) fn parts_out(payment: &Payment) -> Vec<PartId> {
    let out = |part: &&Part| part.status == PartStatus::InFlight;
    payment.parts().iter().filter(out).map(|part| part.id).collect()
}
