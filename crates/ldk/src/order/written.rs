//! How an order is written, as LDK writes its own records: add a field with an odd type, and older
//! versions pass over it. What a request has a field for (quantity, note, name, records) is not repeated here.

#![allow(clippy::drop_non_drop, reason = "LDK's macros drop their readers")]

use lightning::{
    bitcoin::secp256k1::PublicKey, impl_writeable_tlv_based, impl_writeable_tlv_based_enum,
};

use crate::order::route::RouteLimits;

/// What a request's instructions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instructions {
    pub(crate) order: Written,
    pub(crate) route: RouteLimits,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    Bolt11 { invoice: String },
    Offer { offer: String },
    Spontaneous { payee: PublicKey, final_cltv_delta: u32 },
    Refund { expiry_ms: u64, description: String },
}

// Even types: a version that does not know a limit must not pay beyond it.
impl_writeable_tlv_based!(RouteLimits, {
    (0, max_total_cltv_expiry_delta, option),
    (2, max_path_count, option),
    (4, max_channel_saturation_power_of_half, option),
});

impl_writeable_tlv_based!(Instructions, {
    (0, order, required),
    (2, route, required),
});

impl_writeable_tlv_based_enum!(Written,
    (0, Bolt11) => {
        (0, invoice, required),
    },
    (2, Offer) => {
        (0, offer, required),
    },
    (4, Spontaneous) => {
        (0, payee, required),
        (2, final_cltv_delta, required),
    },
    (6, Refund) => {
        (0, expiry_ms, required),
        (2, description, required),
    },
);
