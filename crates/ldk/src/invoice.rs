//! Invoices that LDK leaves to its user (`manually_handle_bolt12_invoices`): looked at by the ledger
//! before LDK pays them. In its other mode LDK pays an invoice before anybody can look.

use lightning::{
    blinded_path::message::OffersContext, ln::channelmanager::PaymentId as EngineId,
    offers::invoice::Bolt12Invoice,
};
use payonce_core::{HashHolder, Msat, PartId, PartStatus, PaymentHash, PaymentId, State};
use payonce_runtime::Unavailable;

use crate::{
    border,
    engine::Engine,
    handled::{Book, Handled},
};

/// Why an invoice that came for an offer is not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvoiceRefusal {
    /// The payment hash is another's.
    #[error("this payment hash belongs to {other}: one invoice is paid under one id")]
    HashInUse {
        /// Whose.
        other: HashHolder,
    },
    /// It asks for more than was agreed.
    #[error("the invoice asks for {amount}, the request allows {limit}")]
    AmountTooLarge {
        /// The invoice's amount.
        amount: Msat,
        /// The request's.
        limit: Msat,
    },
    /// The payment was given up, or is paid.
    #[error("the payment is over")]
    Over,
}

/// Has LDK pay an invoice that came for a part of ours, unless something speaks against it: then
/// LDK is told to give up. The hash is not recorded: another hand-over will bring another invoice,
/// and the claim brings the hash of the one that was paid.
pub(crate) fn received<E: Engine + ?Sized>(
    book: &impl Book,
    engine: &E,
    named: &EngineId,
    invoice: &Bolt12Invoice,
    context: Option<&OffersContext>,
) -> Result<Handled, Unavailable> {
    let part = border::part_id(named);
    let hash = border::payment_hash(&invoice.payment_hash());
    let amount = Msat(invoice.amount_msats());
    let judged = book.ask(|state| judge(state, &part, &hash, amount))?;
    let Some((payment, judgement)) = judged else {
        // Nobody here asked for it: the node's own code may have, and may pay it.
        return Ok(Handled::NotOurs);
    };
    if let Err(refusal) = judgement {
        engine.abandon(*named);
        return Ok(Handled::InvoiceRefused { payment, refusal });
    }
    // Any error is told by PaymentFailed, or means that it is being paid already.
    let _told_by_events = engine.pay_bolt12_invoice(invoice, context);
    Ok(Handled::Unchanged { payment: Some(payment) })
}

fn judge(
    state: &State,
    part: &PartId,
    hash: &PaymentHash,
    amount: Msat,
) -> Option<(PaymentId, Result<(), InvoiceRefusal>)> {
    let (id, status) = state.part(part)?;
    let payment = state.payment(&id).filter(|payment| payment.status().is_open());
    let Some(payment) = payment.filter(|_| status == PartStatus::InFlight) else {
        return Some((id, Err(InvoiceRefusal::Over)));
    };
    let other = state.holder_of(hash).filter(|holder| *holder != HashHolder::Payment(id));
    let limit = payment.amount().unwrap_or(Msat::MAX);
    Some((
        id,
        match other {
            Some(other) => Err(InvoiceRefusal::HashInUse { other }),
            None if amount > limit => Err(InvoiceRefusal::AmountTooLarge { amount, limit }),
            None => Ok(()),
        },
    ))
}
