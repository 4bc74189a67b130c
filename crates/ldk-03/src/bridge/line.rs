//! What one line of LDK says in other words than the next: this is 0.3.

use std::{future::Future, pin::Pin};

use lightning::{
    bolt11_invoice::Bolt11Invoice,
    events::PaidBolt12Invoice,
    ln::channelmanager::{
        AChannelManager, OptionalBolt11PaymentParams, PaymentId, RecentPaymentDetails,
    },
    ln::outbound_payment::{RecipientCustomTlvs, RecipientOnionFields},
    offers::invoice::Bolt12Invoice,
};

use crate::{bridge::limits::HandOverLimits, bridge::names::Bolt11PaymentError};

/// A future of the key-value store's: 0.3 names none.
pub(crate) type AsyncResult<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// What LDK's `read` of a manager gives beside it: where on the chain it is.
pub type ReadAt = lightning::chain::BlockLocator;

/// Whether it is a probe, if this line tells.
pub(crate) const fn is_probe(details: &RecentPaymentDetails) -> Option<bool> {
    match details {
        RecentPaymentDetails::Pending { is_probe, .. }
        | RecentPaymentDetails::Abandoned { is_probe, .. } => Some(*is_probe),
        RecentPaymentDetails::AwaitingInvoice { .. } | RecentPaymentDetails::Fulfilled { .. } => {
            Some(false)
        }
    }
}

/// What the routes of a payment took that is listed as paid, in msat, if this line tells.
pub(crate) const fn fee_paid_msat(details: &RecentPaymentDetails) -> Option<u64> {
    match details {
        RecentPaymentDetails::Fulfilled { fee_paid_msat, .. } => *fee_paid_msat,
        _ => None,
    }
}

/// A future of the key-value store's, boxed.
pub(crate) fn boxed<T, E>(
    future: impl Future<Output = Result<T, E>> + Send + 'static,
) -> AsyncResult<'static, T, E> {
    Box::pin(future)
}

/// The invoice that was paid. A static invoice has no hash that a preimage could fit, and proves nothing.
pub(crate) fn paid_invoice(paid: &PaidBolt12Invoice) -> Option<&Bolt12Invoice> {
    paid.bolt12_invoice()
}

/// The fields for the payee of a spontaneous payment; an error for records that no onion holds.
pub(crate) fn keysend_fields(
    custom_tlvs: &[(u64, Vec<u8>)],
    amount_msat: u64,
) -> Result<RecipientOnionFields, ()> {
    let tlvs = RecipientCustomTlvs::new(custom_tlvs.to_vec())?;
    Ok(RecipientOnionFields::spontaneous_empty(amount_msat).with_custom_tlvs(tlvs))
}

/// Has LDK pay a BOLT 11 invoice, with records of the payer's own.
pub(crate) fn pay_bolt11<M: AChannelManager>(
    manager: &M,
    id: PaymentId,
    invoice: &Bolt11Invoice,
    custom_tlvs: &[(u64, Vec<u8>)],
    limits: &HandOverLimits,
) -> Result<(), Bolt11PaymentError> {
    // Checked before the payment was recorded.
    let tlvs = RecipientCustomTlvs::new(custom_tlvs.to_vec());
    let params = OptionalBolt11PaymentParams {
        custom_tlvs: tlvs.map_err(|()| Bolt11PaymentError::InvalidAmount)?,
        route_params_config: limits.route,
        retry_strategy: limits.retry,
        ..OptionalBolt11PaymentParams::default()
    };
    manager.get_cm().pay_for_bolt11_invoice(invoice, id, Some(limits.amount_msat), params)
}
