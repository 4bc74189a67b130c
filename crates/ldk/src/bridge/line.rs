//! What one line of LDK says in other words than the next: this is 0.2. All else of this crate is one source
//! for both (docs/adr/0017).

use std::future::Future;

use lightning::{
    bitcoin::{BlockHash, hashes::Hash as _},
    events::PaidBolt12Invoice,
    ln::channelmanager::{AChannelManager, PaymentId, RecentPaymentDetails, RecipientOnionFields},
    offers::invoice::Bolt12Invoice,
    routing::router::PaymentParameters,
    types::payment::PaymentHash,
};

use crate::{bridge::limits::HandOverLimits, bridge::names::Bolt11PaymentError};

pub(crate) use lightning::util::async_poll::AsyncResult;

/// What LDK's `read` of a manager gives beside it: where on the chain it is.
pub type ReadAt = BlockHash;

/// Whether it is a probe, if this line tells.
pub(crate) const fn is_probe(_: &RecentPaymentDetails) -> Option<bool> {
    None
}

/// What the routes of a payment took that is listed as paid, in msat, if this line tells.
pub(crate) const fn fee_paid_msat(_: &RecentPaymentDetails) -> Option<u64> {
    None
}

/// A future of the key-value store's, boxed.
pub(crate) fn boxed<T>(future: T) -> T
where
    T: Future,
{
    future
}

/// The invoice that was paid. A static invoice has no hash that a preimage could fit, and proves nothing.
pub(crate) const fn paid_invoice(paid: &PaidBolt12Invoice) -> Option<&Bolt12Invoice> {
    match paid {
        PaidBolt12Invoice::Bolt12Invoice(invoice) => Some(invoice),
        PaidBolt12Invoice::StaticInvoice(_) => None,
    }
}

/// The fields for the payee of a spontaneous payment; an error for records that no onion holds.
pub(crate) fn keysend_fields(
    custom_tlvs: &[(u64, Vec<u8>)],
    _amount_msat: u64,
) -> Result<RecipientOnionFields, ()> {
    RecipientOnionFields::spontaneous_empty().with_custom_tlvs(custom_tlvs.to_vec())
}

/// Has LDK pay a BOLT 11 invoice. Its own method takes no records: with some this does what that does.
pub(crate) fn pay_bolt11<M: AChannelManager>(
    manager: &M,
    id: PaymentId,
    invoice: &lightning::bolt11_invoice::Bolt11Invoice,
    custom_tlvs: &[(u64, Vec<u8>)],
    limits: &HandOverLimits,
) -> Result<(), Bolt11PaymentError> {
    let manager = manager.get_cm();
    let (amount, retry) = (limits.amount_msat, limits.retry);
    if custom_tlvs.is_empty() {
        return manager.pay_for_bolt11_invoice(invoice, id, Some(amount), limits.route, retry);
    }
    let fields = RecipientOnionFields::secret_only(*invoice.payment_secret());
    // Checked before the payment was recorded.
    let fields = fields.with_custom_tlvs(custom_tlvs.to_vec());
    let mut fields = fields.map_err(|()| Bolt11PaymentError::InvalidAmount)?;
    fields.payment_metadata = invoice.payment_metadata().cloned();
    let route = limits.route_to(PaymentParameters::from_bolt11_invoice(invoice));
    let hash = PaymentHash(invoice.payment_hash().to_byte_array());
    manager.send_payment(hash, fields, id, route, retry).map_err(Bolt11PaymentError::SendingFailed)
}
