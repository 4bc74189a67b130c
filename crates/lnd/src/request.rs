//! From an invoice to a request, and back.

use lightning_invoice::Bolt11Invoice;
use payonce_core::{Bolt11Refusal, MaxFee, Msat, Request, RetryPolicy, Target, UnixMillis};
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

/// What of an invoice is not in its request.
pub(crate) struct Bill {
    /// It leaves the amount to the payer.
    pub(crate) any_amount: bool,
    pub(crate) expiry: UnixMillis,
}

/// Reads an invoice, if it has one hash.
fn read(invoice: &str) -> Result<Bolt11Invoice, Refusal> {
    let invoice: Bolt11Invoice = match invoice.parse() {
        Ok(invoice) => invoice,
        Err(error) => {
            return refuse(format!(
                "no invoice that can be paid once (an AMP invoice is none): {error}"
            ));
        }
    };
    let features = invoice.features().map(|features| features.le_flags().to_vec());
    // Its payee takes any number of payments: one that is made twice is paid twice, and nobody notices.
    if features.is_some_and(|flags| flags.get(3).is_some_and(|flags| flags & AMP != 0)) {
        return refuse("an AMP invoice has no single hash: who pays it twice is not noticed");
    }
    Ok(invoice)
}

fn asked(
    invoice: &Bolt11Invoice,
    network: Network,
    amount: Option<Msat>,
    max_fee: MaxFee,
    retry: RetryPolicy,
) -> Result<Request, Refusal> {
    let asked = Request::bolt11(invoice, &network.currency(), amount, max_fee, retry);
    asked.map_err(|refusal| {
        // Another node, or another word in the configuration, pays it.
        let permanent = !matches!(refusal, Bolt11Refusal::OtherNetwork { .. });
        Refusal { why: refusal.to_string(), permanent }
    })
}

impl Network {
    /// The request to pay an invoice of this network. `amount` is what the payee must receive where the
    /// invoice does not say it. The last two have no default: a fee limit ([`Msat`], or a [`MaxFee`]), and what
    /// follows when a hand-over has failed; LND tries routes by itself within each.
    ///
    /// # Errors
    /// [`Refusal`] for what is no invoice or is AMP, and as [`Request::bolt11`].
    pub fn request(
        self,
        invoice: &str,
        amount: Option<Msat>,
        max_fee: impl Into<MaxFee>,
        retry: RetryPolicy,
    ) -> Result<Request, Refusal> {
        asked(&read(invoice)?, self, amount, max_fee.into(), retry)
    }
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
            let invoice = read(text)?;
            let any_amount = invoice.amount_milli_satoshis().is_none();
            let given = any_amount.then_some(request.amount);
            let asked = asked(&invoice, network, given, request.max_fee, request.retry)?;
            if asked.target != request.target {
                return refuse(format!("the invoice is not one of hash {payment_hash}"));
            }
            if asked.amount != request.amount {
                return refuse("the invoice asks for another amount");
            }
            if request.payee.is_some() && request.payee != asked.payee {
                return refuse("the invoice is another payee's");
            }
            // No expiry that fits a clock: it never expires.
            let expiry = asked.expiry.unwrap_or(UnixMillis::NEVER);
            Ok(Some(Bill { any_amount, expiry }))
        }
    }
}
