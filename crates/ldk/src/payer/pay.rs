//! Paying: accepted, recorded, handed over once; a repeat is answered.

use core::ops::Deref;

use lightning::{offers::refund::Refund, sign::EntropySource};
use payonce_core::{EventStore, Msat, Pay, PayReply, PaymentId, PaymentView, UnixMillis};

use crate::{
    bridge::engine::Engine,
    events::book::{Desk, InTask, OnThread, on_thread},
    order::order::Order,
    order::terms::Terms,
    payer::error::PayError,
    payer::hand_over::HandOver,
    payer::payer::{Payer, refund_of},
};

/// What came of [`Payer::pay`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Paying {
    /// Recorded now, for the first time.
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
    /// Pays an order under the caller's id, once, or answers a repeat. The id is stored by the
    /// caller before the first call. `amount` is what the payee must receive, where the order does
    /// not say it.
    ///
    /// # Errors
    /// [`PayError`]: nothing was recorded and nothing was sent, unless it is
    /// [`PayError::Interrupted`]: then nobody knows, and the call is repeated once the ledger was opened
    /// again.
    pub fn pay(
        &self,
        id: PaymentId,
        order: &Order,
        amount: Option<Msat>,
        terms: &Terms,
        now: UnixMillis,
    ) -> Result<Paying, PayError> {
        on_thread(self.pay_at(&OnThread(&self.ledger), id, order, amount, terms, now))
    }

    /// [`pay`](Self::pay) for tasks. A future that is dropped has paid or it has not; a repeat tells.
    ///
    /// # Errors
    /// As [`pay`](Self::pay).
    pub async fn pay_async(
        &self,
        id: PaymentId,
        order: &Order,
        amount: Option<Msat>,
        terms: &Terms,
        now: UnixMillis,
    ) -> Result<Paying, PayError> {
        self.pay_at(&InTask(&self.ledger), id, order, amount, terms, now).await
    }

    async fn pay_at(
        &self,
        desk: &impl Desk,
        id: PaymentId,
        order: &Order,
        amount: Option<Msat>,
        terms: &Terms,
        now: UnixMillis,
    ) -> Result<Paying, PayError> {
        let request = order.request(amount, terms, self.options.network)?;
        let known = desk.ask(move |state| state.payment_view(&id).is_some()).await?;
        let unknown =
            if known || !order.awaits_invoice() { None } else { self.unknown_in_engine() };
        if let Some(engine_id) = unknown {
            return Err(PayError::UnknownInEngine { engine_id });
        }
        let pay = Pay { id, request, again_after: terms.again_after };
        match desk.execute(pay, now).await? {
            PayReply::Accepted => {
                Ok(Paying::Accepted { first: self.hand_over_at(desk, &id, now).await? })
            }
            PayReply::Duplicate(view) => {
                let refund = desk.ask(move |state| refund_of(state, &id)).await?.map(Box::new);
                Ok(Paying::Repeat { view, refund })
            }
        }
    }
}
