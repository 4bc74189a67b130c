//! Hashes that are known as paid although no payment of the ledger shows it: nobody may pay them again.

use crate::{
    base::ids::{PaymentHash, PaymentId, Preimage},
    base::wire::{UnknownFields, layout},
};

/// A payment hash that is paid although no payment of the ledger shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HashPaid {
    /// The seq of the event that made it known, and so its age.
    pub created_seq: u64,
    /// The hash that nobody may pay any more.
    pub payment_hash: PaymentHash,
    /// Its preimage; `None` where only somebody's word says that it is paid.
    pub preimage: Option<Preimage>,
    /// The tick number since which nobody needs it any more; `None` while somebody does.
    pub(crate) idle_since: Option<u64>,
    /// Fields that a newer program wrote and this one keeps.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub(crate) unknown: UnknownFields,
}

/// Which payment has paid a hash, instead of the one that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PaidElsewhere {
    /// The payment that paid it; `None` if it is none of this ledger's.
    pub payer: Option<PaymentId>,
    /// Whether a preimage proves it; if not, it rests on somebody's word.
    pub proven: bool,
}

layout! {
    record HashPaid "a paid hash" {
        created_seq, payment_hash; 2 preimage, 4 idle_since; .. unknown
    }
}
layout! { record PaidElsewhere "a payer" { payer, proven } }
