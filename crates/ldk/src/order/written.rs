//! How an order is written, as LDK writes its own records: add a field with an odd type, and older
//! versions pass over it.

#![allow(clippy::drop_non_drop, reason = "LDK's macros drop their readers")]

use lightning::{
    bitcoin::secp256k1::PublicKey, impl_writeable_tlv_based, impl_writeable_tlv_based_enum,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    Bolt11 { invoice: String },
    Offer { offer: String, quantity: Option<u64>, payer_note: Option<String> },
    Spontaneous { payee: PublicKey, final_cltv_delta: u32, custom_tlvs: Vec<Tlv> },
    Refund { expiry_ms: u64, description: String, payer_note: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tlv {
    pub(crate) number: u64,
    pub(crate) value: Vec<u8>,
}

impl_writeable_tlv_based!(Tlv, {
    (0, number, required),
    (2, value, required_vec),
});

impl_writeable_tlv_based_enum!(Written,
    (0, Bolt11) => {
        (0, invoice, required),
    },
    (2, Offer) => {
        (0, offer, required),
        (1, quantity, option),
        (3, payer_note, option),
    },
    (4, Spontaneous) => {
        (0, payee, required),
        (2, final_cltv_delta, required),
        (4, custom_tlvs, required_vec),
    },
    (6, Refund) => {
        (0, expiry_ms, required),
        (2, description, required),
        (3, payer_note, option),
    },
);
