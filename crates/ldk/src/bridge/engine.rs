//! The engine: what payonce needs of LDK's `ChannelManager`, and how LDK's answers are read.

use core::{future::Future, time::Duration};

use lightning::{
    bitcoin::constants::ChainHash,
    blinded_path::message::OffersContext,
    events::{Event, EventsProvider, ReplayEvent},
    ln::{
        channelmanager::{
            AChannelManager, OptionalOfferPaymentParams, PaymentId, RecentPaymentDetails,
        },
        msgs::ChannelMessageHandler as _,
    },
    offers::{
        invoice::Bolt12Invoice, offer::OfferFromHrn, parse::Bolt12SemanticError, refund::Refund,
    },
    routing::router::PaymentParameters,
};

use crate::{
    bridge::border,
    bridge::limits::HandOverLimits,
    bridge::line,
    bridge::names::{Bolt11PaymentError, Bolt12PaymentError, RetryableSendFailure},
    order::order::{Bolt11Order, OfferOrder, Order, RefundOrder, SpontaneousOrder},
};

/// An engine that takes payments and routes, splits and retries them by itself. Implemented for
/// every `ChannelManager`; tests may script one.
pub trait Engine {
    /// The chain that the engine's channels are on; `None` if it does not say.
    fn chain_hash(&self) -> Option<ChainHash> {
        None
    }

    /// Whether the engine has any channel, usable or not.
    fn has_channels(&self) -> bool;

    /// Takes a payment under this id, which was never used before.
    ///
    /// # Errors
    /// [`EngineRefusal`], and then only if nothing was sent and nothing will be under this id.
    fn hand_over(
        &self,
        id: PaymentId,
        order: &Order,
        limits: &HandOverLimits,
    ) -> Result<Taken, EngineRefusal>;

    /// Pays the invoice that came for an offer or a refund, where LDK leaves that to its user
    /// (`manually_handle_bolt12_invoices`).
    ///
    /// # Errors
    /// Whatever LDK says; what becomes of the payment is told by events.
    fn pay_bolt12_invoice(
        &self,
        invoice: &Bolt12Invoice,
        context: Option<&OffersContext>,
    ) -> Result<(), Bolt12PaymentError>;

    /// Tries nothing more under this id. What is out may still pay.
    fn abandon(&self, id: PaymentId);

    /// Every payment that the engine still tracks.
    fn recent_payments(&self) -> Vec<RecentPaymentDetails>;

    /// Delivers every event that waits, in order, until the handler refuses one or none is left.
    fn deliver_events(&self, handler: &dyn Fn(Event) -> Result<(), ReplayEvent>);

    /// [`deliver_events`](Self::deliver_events) to an async handler.
    fn deliver_events_async<F>(&self, handler: impl Fn(Event) -> F) -> impl Future<Output = ()>
    where
        F: Future<Output = Result<(), ReplayEvent>>;
}

/// The engine took a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Taken {
    /// LDK took it at this call.
    Now,
    /// Now, and this refund is what the payee needs to be paid.
    Refund(Box<Refund>),
    /// Before: the id is in use, so it was handed over already and may be in flight.
    Before,
}

/// Why the engine took nothing: nothing was sent, and nothing will be under this id.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineRefusal {
    /// The invoice has expired by LDK's clock.
    #[error("the invoice has expired by the node's clock: ask for a new one")]
    Expired,
    /// No route, or none within the limits.
    #[error("no route was found within the limits")]
    RouteNotFound,
    /// The payee's data do not fit an onion.
    #[error("the payment's data do not fit an onion packet")]
    OnionTooLarge,
    /// The amount is below the invoice's.
    #[error("the amount does not fit the invoice")]
    InvalidAmount,
    /// The offer cannot be paid like this, or no reply path could be made.
    #[error("no invoice can be requested: {0:?}")]
    Bolt12(Bolt12SemanticError),
}

impl EngineRefusal {
    /// Whether the same hand-over may succeed later.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::RouteNotFound | Self::Bolt12(Bolt12SemanticError::MissingPaths))
    }
}

impl<M: AChannelManager> Engine for M {
    fn chain_hash(&self) -> Option<ChainHash> {
        self.get_cm().get_chain_hashes()?.first().copied()
    }

    fn has_channels(&self) -> bool {
        !self.get_cm().list_channels().is_empty()
    }

    fn hand_over(
        &self,
        id: PaymentId,
        order: &Order,
        limits: &HandOverLimits,
    ) -> Result<Taken, EngineRefusal> {
        match order {
            Order::Bolt11(order) => pay_bolt11(self, id, order, limits),
            Order::Offer(order) => pay_offer(self, id, order, limits),
            Order::Spontaneous(order) => pay_spontaneous(self, id, order, limits),
            Order::Refund(order) => create_refund(self, id, order, limits),
        }
    }

    fn pay_bolt12_invoice(
        &self,
        invoice: &Bolt12Invoice,
        context: Option<&OffersContext>,
    ) -> Result<(), Bolt12PaymentError> {
        self.get_cm().send_payment_for_bolt12_invoice(invoice, context)
    }

    fn abandon(&self, id: PaymentId) {
        self.get_cm().abandon_payment(id);
    }

    fn recent_payments(&self) -> Vec<RecentPaymentDetails> {
        self.get_cm().list_recent_payments()
    }

    fn deliver_events(&self, handler: &dyn Fn(Event) -> Result<(), ReplayEvent>) {
        self.get_cm().process_pending_events(&handler);
    }

    async fn deliver_events_async<F>(&self, handler: impl Fn(Event) -> F)
    where
        F: Future<Output = Result<(), ReplayEvent>>,
    {
        self.get_cm().process_pending_events_async(handler).await;
    }
}

fn pay_bolt11<M: AChannelManager>(
    manager: &M,
    id: PaymentId,
    order: &Bolt11Order,
    limits: &HandOverLimits,
) -> Result<Taken, EngineRefusal> {
    match line::pay_bolt11(manager, id, &order.invoice, &order.custom_tlvs, limits) {
        Ok(()) => Ok(Taken::Now),
        Err(Bolt11PaymentError::InvalidAmount) => Err(EngineRefusal::InvalidAmount),
        Err(Bolt11PaymentError::SendingFailed(failure)) => read_send_failure(&failure),
    }
}

/// LDK finds a route before it tracks the payment, and returns no other error than "duplicate"
/// once it does: with any of these nothing was sent.
const fn read_send_failure(failure: &RetryableSendFailure) -> Result<Taken, EngineRefusal> {
    match failure {
        RetryableSendFailure::DuplicatePayment => Ok(Taken::Before),
        RetryableSendFailure::PaymentExpired => Err(EngineRefusal::Expired),
        RetryableSendFailure::RouteNotFound => Err(EngineRefusal::RouteNotFound),
        RetryableSendFailure::OnionPacketSizeExceeded => Err(EngineRefusal::OnionTooLarge),
    }
}

fn pay_offer<M: AChannelManager>(
    manager: &M,
    id: PaymentId,
    order: &OfferOrder,
    limits: &HandOverLimits,
) -> Result<Taken, EngineRefusal> {
    let params = OptionalOfferPaymentParams {
        payer_note: order.payer_note.clone(),
        route_params_config: limits.route,
        retry_strategy: limits.retry,
    };
    let (offer, amount) = (&order.offer, limits.amount_msat);
    let manager = manager.get_cm();
    let requested = match (order.name, order.quantity) {
        (Some(hrn), _) => {
            let offer = OfferFromHrn { offer: offer.clone(), hrn };
            manager.pay_for_offer_from_hrn(&offer, amount, id, params)
        }
        (None, Some(quantity)) => {
            manager.pay_for_offer_with_quantity(offer, Some(amount), id, params, quantity)
        }
        (None, None) => manager.pay_for_offer(offer, Some(amount), id, params),
    };
    match requested {
        Ok(()) => Ok(Taken::Now),
        Err(Bolt12SemanticError::DuplicatePaymentId) => Ok(Taken::Before),
        // LDK tracks the payment last, and pays no invoice for an id that it does not track.
        Err(error) => Err(EngineRefusal::Bolt12(error)),
    }
}

fn pay_spontaneous<M: AChannelManager>(
    manager: &M,
    id: PaymentId,
    order: &SpontaneousOrder,
    limits: &HandOverLimits,
) -> Result<Taken, EngineRefusal> {
    let payee = PaymentParameters::for_keysend(order.payee, order.final_cltv_delta, false);
    let route = limits.route_to(payee);
    let fields = line::keysend_fields(&order.custom_tlvs, limits.amount_msat);
    let fields = fields.map_err(|()| EngineRefusal::OnionTooLarge)?;
    let preimage = Some(border::engine_preimage(&order.preimage));
    match manager.get_cm().send_spontaneous_payment(preimage, fields, id, route, limits.retry) {
        Ok(_) => Ok(Taken::Now),
        Err(failure) => read_send_failure(&failure),
    }
}

fn create_refund<M: AChannelManager>(
    manager: &M,
    id: PaymentId,
    order: &RefundOrder,
    limits: &HandOverLimits,
) -> Result<Taken, EngineRefusal> {
    let expiry = Duration::from_millis(order.expiry.0);
    let manager = manager.get_cm();
    let amount = limits.amount_msat;
    let builder =
        match manager.create_refund_builder(amount, expiry, id, limits.retry, limits.route) {
            Ok(builder) => builder.description(order.description.clone()),
            Err(Bolt12SemanticError::DuplicatePaymentId) => return Ok(Taken::Before),
            Err(error) => return Err(EngineRefusal::Bolt12(error)),
        };
    let builder = match &order.payer_note {
        Some(note) => builder.payer_note(note.clone()),
        None => builder,
    };
    builder.build().map(|refund| Taken::Refund(Box::new(refund))).map_err(|error| {
        // LDK tracks it already, and nobody was given it.
        manager.abandon_payment(id);
        EngineRefusal::Bolt12(error)
    })
}
