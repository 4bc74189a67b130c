//! Invoices of a payee that is nobody.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bitcoin::{
    hashes::{Hash as _, sha256},
    secp256k1::{Secp256k1, SecretKey},
};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};

/// An invoice, and the secret of who made it.
#[derive(Debug, Clone)]
pub(crate) struct Bill {
    pub(crate) text: String,
    pub(crate) hash: [u8; 32],
    pub(crate) preimage: [u8; 32],
}

/// How an invoice is made.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) currency: Currency,
    pub(crate) amount_msat: Option<u64>,
    /// How long ago it was made, and how long it holds, in seconds.
    pub(crate) age: u64,
    pub(crate) expiry: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { currency: Currency::Simnet, amount_msat: Some(50_000), age: 0, expiry: 3_600 }
    }
}

pub(crate) fn bill(nth: u64) -> Bill {
    bill_on(nth, Terms::default())
}

pub(crate) fn bill_on(nth: u64, terms: Terms) -> Bill {
    let mut preimage = [3; 32];
    preimage[..8].copy_from_slice(&nth.to_be_bytes());
    bill_of(preimage, terms)
}

pub(crate) fn bill_of(preimage: [u8; 32], terms: Terms) -> Bill {
    let hash = sha256::Hash::hash(&preimage);
    let key = SecretKey::from_slice(&[7; 32]).expect("a key");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let builder = InvoiceBuilder::new(terms.currency)
        .description("a bill".into())
        .payment_hash(hash)
        .payment_secret(PaymentSecret([1; 32]))
        .duration_since_epoch(now.saturating_sub(Duration::from_secs(terms.age)))
        .expiry_time(Duration::from_secs(terms.expiry))
        .min_final_cltv_expiry_delta(80)
        .basic_mpp();
    let builder = match terms.amount_msat {
        Some(amount) => builder.amount_milli_satoshis(amount),
        None => builder,
    };
    let secp = Secp256k1::new();
    let signed = builder.build_signed(|message| secp.sign_ecdsa_recoverable(message, &key));
    let text = signed.expect("an invoice").to_string();
    Bill { text, hash: hash.to_byte_array(), preimage }
}
