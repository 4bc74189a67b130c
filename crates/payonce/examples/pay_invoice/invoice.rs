//! BOLT 11 invoices: read from the command line, or made and signed here.

use std::{fs, io, path::Path, time::Duration};

use bitcoin::{
    hashes::{Hash, sha256},
    secp256k1::{Secp256k1, SecretKey},
};
use lightning_invoice::{
    Bolt11Invoice, Currency, InvoiceBuilder, ParseOrSemanticError, PaymentSecret,
};
use payonce::{
    Bolt11Refusal, MaxFee, Msat, PaymentHash, PaymentId, Preimage, Request, RetryPolicy, UnixMillis,
};

/// An invoice that can be paid here.
#[derive(Debug, Clone)]
pub(crate) struct Invoice {
    /// The obligation. A repeat must be the same in every field, so nothing of it comes from the
    /// clock or from chance.
    pub(crate) request: Request,
    pub(crate) hash: PaymentHash,
    pub(crate) description: String,
}

/// Why an invoice cannot be paid here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvoiceError {
    #[error("not a BOLT 11 invoice: {0}")]
    Unreadable(ParseOrSemanticError),
    #[error("{0} (--network and --amount-msat say so)")]
    Refused(#[from] Bolt11Refusal),
}

impl Invoice {
    /// Reads an invoice, checks its signature, and completes it with the payer's amount and terms.
    pub(crate) fn read(
        text: &str,
        own: &Currency,
        amount: Option<u64>,
    ) -> Result<Self, InvoiceError> {
        let invoice: Bolt11Invoice = text.parse().map_err(InvoiceError::Unreadable)?;
        let (free, retry) = (MaxFee::AtMost(Msat(0)), RetryPolicy::Attempts(2));
        let request = Request::bolt11(&invoice, own, amount.map(Msat), free, retry)?;
        // A percent, and a satoshi for small amounts.
        let max_fee = Msat(request.amount.0 / 100 + 1_000);
        let hash = PaymentHash::from_bytes(invoice.payment_hash().to_byte_array());
        let description = invoice.description().to_string();
        Ok(Self { request: request.max_fee(max_fee), hash, description })
    }

    /// One invoice, one payment: its hash is the idempotency key, and known before the first call.
    pub(crate) fn payment_id(&self) -> PaymentId {
        PaymentId::from_payment_hash(self.hash)
    }
}

/// The one who is paid: knows the preimage of one invoice, made and signed here and kept in a file
/// so that the next run asks for the same payment.
pub(crate) struct Payee {
    pub(crate) invoice: String,
    preimage: Preimage,
}

impl Payee {
    /// The payee of this directory, with an invoice made at `now` if there was none.
    pub(crate) fn of(directory: &Path, currency: &Currency, now: UnixMillis) -> io::Result<Self> {
        let preimage = Preimage::from_bytes(sha256::Hash::hash(b"one coffee").to_byte_array());
        let file = directory.join("payee.invoice");
        if !file.exists() {
            let invoice = make(currency.clone(), preimage.payment_hash(), now).to_string();
            fs::write(&file, invoice)?;
        }
        Ok(Self { invoice: fs::read_to_string(file)?, preimage })
    }

    /// Takes the money behind a hash, as often as it is offered: this payee is no friend.
    pub(crate) fn take(&self, hash: PaymentHash) -> Option<Preimage> {
        (self.preimage.payment_hash() == hash).then_some(self.preimage)
    }
}

fn make(currency: Currency, hash: PaymentHash, now: UnixMillis) -> Bolt11Invoice {
    let key = SecretKey::from_slice(&[0x42; 32]).expect("a valid secret key");
    InvoiceBuilder::new(currency)
        .amount_milli_satoshis(50_000)
        .description("one coffee".into())
        .payment_hash(sha256::Hash::from_byte_array(*hash.as_bytes()))
        .payment_secret(PaymentSecret([0x24; 32]))
        .duration_since_epoch(Duration::from_millis(now.0))
        .min_final_cltv_expiry_delta(18)
        .basic_mpp()
        .build_signed(|message| Secp256k1::new().sign_ecdsa_recoverable(message, &key))
        .expect("every required field is set")
}
