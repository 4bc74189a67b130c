//! From an invoice to a request, and back.

use lightning_invoice::Bolt11Invoice;
use payonce_core::{MaxFee, Msat, NodeId, PaymentHash, Request, RetryPolicy, Target, UnixMillis};
use payonce_engine::Refusal;

use crate::config::Network;

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { why: why.into(), permanent: true })
}

/// The feature bits of AMP, in the fourth byte from the end: 30 and 31.
const AMP: u8 = 0b1100_0000;

/// The record that holds a spontaneous payment's preimage.
pub(crate) const KEYSEND: u64 = 5_482_373_484;
/// From here on records are the caller's own (BOLT 1).
const CUSTOM: u64 = 65_536;

/// An invoice, as far as a payment needs it.
pub(crate) struct Bill {
    pub(crate) payment_hash: PaymentHash,
    pub(crate) amount: Option<Msat>,
    payee: NodeId,
    pub(crate) expiry: UnixMillis,
}

/// Reads an invoice.
///
/// # Errors
/// What is none, is for another network, or has no single hash (AMP).
pub(crate) fn read(invoice: &str, network: Network) -> Result<Bill, Refusal> {
    let invoice: Bolt11Invoice = match invoice.parse() {
        Ok(invoice) => invoice,
        Err(error) => return refuse(format!("no invoice: {error}")),
    };
    if invoice.currency() != network.currency() {
        return refuse(format!(
            "the invoice is for {:?}, the node is on {network:?}",
            invoice.currency()
        ));
    }
    let features = invoice.features().map(|features| features.le_flags().to_vec());
    if features.is_some_and(|flags| flags.get(3).is_some_and(|flags| flags & AMP != 0)) {
        return refuse("an AMP invoice has no single hash: who pays it twice is not noticed");
    }
    // No expiry that fits a clock: it never expires.
    let expiry = invoice.expires_at().and_then(|at| u64::try_from(at.as_millis()).ok());
    let payee = invoice.get_payee_pub_key().serialize();
    Ok(Bill {
        payment_hash: PaymentHash::from_bytes(*invoice.payment_hash().as_ref()),
        amount: invoice.amount_milli_satoshis().map(Msat),
        payee: NodeId::from_bytes(payee),
        expiry: expiry.map_or(UnixMillis::NEVER, UnixMillis),
    })
}

/// The request to pay an invoice on `network`. `amount` is what the payee must receive where the invoice
/// does not say it. The two choices have no default; LND tries routes by itself within each hand-over.
///
/// # Errors
/// [`Refusal`] for what is no invoice, is for another network, is AMP, or states no amount, or a second.
pub fn request(
    invoice: &str,
    network: Network,
    amount: Option<Msat>,
    max_fee: MaxFee,
    retry: RetryPolicy,
) -> Result<Request, Refusal> {
    let bill = read(invoice, network)?;
    let amount = match (bill.amount, amount) {
        (Some(stated), None) => stated,
        (None, Some(given)) => given,
        (None, None) => return refuse("the invoice states no amount: give one"),
        (Some(stated), Some(given)) => {
            return refuse(format!(
                "the invoice asks for {stated}, so none may be given; {given} was"
            ));
        }
    };
    let request = Request::invoice(bill.payment_hash, amount, max_fee, retry);
    Ok(request.payee(bill.payee).expiry(bill.expiry).instructions(invoice))
}

/// The invoice in a request; `None` for a spontaneous payment.
///
/// # Errors
/// What LND cannot pay exactly once, or not at all.
pub(crate) fn check(request: &Request, network: Network) -> Result<Option<Bill>, Refusal> {
    if request.max_fee.limit().is_some_and(|limit| i64::try_from(limit.0).is_err()) {
        return refuse("the fee limit is more than there is money");
    }
    if request.details.quantity.is_some() || !request.details.payer_note.is_empty() {
        return refuse("a quantity and a note go with an offer, and LND pays none");
    }
    let own = |tag: u64| tag >= CUSTOM && tag != KEYSEND;
    if let Some(record) = request.details.custom_records.iter().find(|record| !own(record.tag)) {
        return refuse(format!("record {} is not the caller's to choose", record.tag));
    }
    match &request.target {
        Target::Offer { .. } => refuse("LND pays no offers"),
        Target::Spontaneous { .. } => match request.payee {
            Some(_) => Ok(None),
            None => refuse("a spontaneous payment needs the payee's key"),
        },
        Target::Invoice { payment_hash } => {
            let Ok(text) = std::str::from_utf8(request.instructions.as_bytes()) else {
                return refuse("the instructions must be the invoice");
            };
            let bill = read(text, network)?;
            if bill.payment_hash != *payment_hash {
                return refuse(format!(
                    "the invoice has hash {}, not {payment_hash}",
                    bill.payment_hash
                ));
            }
            if bill.amount.is_some_and(|stated| stated != request.amount) {
                return refuse("the invoice asks for another amount");
            }
            if request.payee.is_some_and(|payee| payee != bill.payee) {
                return refuse("the invoice is another payee's");
            }
            Ok(Some(bill))
        }
    }
}
