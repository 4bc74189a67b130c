//! A request from a BOLT 11 invoice.

use lightning_invoice::{Bolt11Invoice, Currency};

use crate::{
    base::amount::{Msat, UnixMillis},
    base::ids::{NodeId, PaymentHash},
    event::request::{MaxFee, Request, RetryPolicy},
};

/// Why an invoice cannot be paid like this, whatever the ledger holds. Nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Bolt11Refusal {
    /// The invoice is for another network: its payee is not to be found on this one, and money that is worth
    /// something could be sent for a test.
    #[error("the invoice is for {found:?}, this node is on {own:?}")]
    OtherNetwork {
        /// The network that the invoice is for.
        found: Currency,
        /// The network that the node is on.
        own: Currency,
    },
    /// The invoice leaves the amount to the payer, who gave none.
    #[error("the invoice leaves the amount to the payer: give one")]
    NoAmount,
    /// The invoice asks for an amount, and the payer gave one as well. The wrong of two amounts would be
    /// paid.
    #[error("the invoice asks for {asked}, so none may be given; {given} was")]
    AmountGiven {
        /// What the invoice asks for.
        asked: Msat,
        /// What the payer gave.
        given: Msat,
    },
}

impl Request {
    /// What a BOLT 11 invoice asks for: payment hash, amount, payee and expiry from the invoice, whose
    /// signature was checked when it was read; fee limit and retries from the payer. The invoice itself becomes
    /// the [instructions](Self::instructions), so that whoever resumes the payment after a crash finds it in the
    /// ledger. `amount` completes an invoice that states none.
    ///
    /// Nothing in it comes from the clock or from chance: a repeat with the same invoice and terms is the same
    /// request. One invoice, one payment: without an id of your own use
    /// [`PaymentId::from_payment_hash`](crate::PaymentId::from_payment_hash).
    ///
    /// ```
    /// use lightning_invoice::{Bolt11Invoice, Currency};
    /// use payonce_core::{Bolt11Refusal, MaxFee, Msat, Request, RetryPolicy};
    ///
    /// // The first example of BOLT 11: any amount.
    /// let invoice: Bolt11Invoice = "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqc\
    ///     yq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfw\
    ///     vs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9\
    ///     zqt8r2t7mlcwspyetp5h2tztugp9lfyql"
    ///     .parse()?;
    /// let (fee, retry) = (MaxFee::AtMost(Msat(500)), RetryPolicy::Attempts(3));
    /// let request = Request::bolt11(&invoice, &Currency::Bitcoin, Some(Msat(50_000)), fee, retry)?;
    /// assert_eq!(request.amount, Msat(50_000));
    /// let refused = Request::bolt11(&invoice, &Currency::Bitcoin, None, fee, retry);
    /// assert_eq!(refused, Err(Bolt11Refusal::NoAmount));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Bolt11Refusal`].
    pub fn bolt11(
        invoice: &Bolt11Invoice,
        network: &Currency,
        amount: Option<Msat>,
        max_fee: MaxFee,
        retry: RetryPolicy,
    ) -> Result<Self, Bolt11Refusal> {
        let found = invoice.currency();
        if found != *network {
            return Err(Bolt11Refusal::OtherNetwork { found, own: network.clone() });
        }
        let amount = match (invoice.amount_milli_satoshis().map(Msat), amount) {
            (Some(asked), Some(given)) => return Err(Bolt11Refusal::AmountGiven { asked, given }),
            (Some(amount), None) | (None, Some(amount)) => amount,
            (None, None) => return Err(Bolt11Refusal::NoAmount),
        };
        let hash: &[u8; 32] = invoice.payment_hash().as_ref();
        let request = Self::invoice(PaymentHash::from_bytes(*hash), amount, max_fee, retry)
            .payee(NodeId::from_bytes(invoice.get_payee_pub_key().serialize()))
            .instructions(alloc::string::ToString::to_string(invoice));
        // An expiry that fits no clock is none.
        let expiry = invoice.expires_at().and_then(|at| u64::try_from(at.as_millis()).ok());
        Ok(match expiry {
            Some(expiry) => request.expiry(UnixMillis(expiry)),
            None => request,
        })
    }
}
