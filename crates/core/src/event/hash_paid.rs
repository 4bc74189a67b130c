//! Hashes that are known as paid although no payment of the ledger tells so: nobody may pay them
//! again.

use crate::{
    base::ids::{PaymentHash, PaymentId, Preimage},
    base::wire::{UnknownFields, layout},
};

/// A payment hash that is paid, beside the payments that tell of theirs by themselves.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HashPaid {
    /// The seq of the event that made it known.
    pub created_seq: u64,
    /// The hash.
    pub payment_hash: PaymentHash,
    /// The proof, if known.
    pub preimage: Option<Preimage>,
    /// Since which tick nobody needs it any more.
    pub(crate) idle_since: Option<u64>,
    /// Fields that a newer program wrote and this one keeps.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub(crate) unknown: UnknownFields,
}

/// Who has paid a hash instead of the payment that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PaidElsewhere {
    /// The payment; `None` if it is none of the ledger.
    pub payer: Option<PaymentId>,
    /// Whether a preimage proves it; else it is somebody's word.
    pub proven: bool,
}

layout! {
    record HashPaid "a paid hash" {
        created_seq, payment_hash; 2 preimage, 4 idle_since; .. unknown
    }
}
layout! { record PaidElsewhere "a payer" { payer, proven } }
