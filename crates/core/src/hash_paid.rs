//! Hashes that are known as paid although no payment of the ledger tells so: nobody may pay them
//! again.

use bincode::{Decode, Encode};

use crate::ids::{PaymentHash, PaymentId, Preimage};

/// A payment hash that is paid, beside the payments that tell of theirs by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct HashPaid {
    /// The seq of the event that made it known.
    pub created_seq: u64,
    /// The hash.
    pub payment_hash: PaymentHash,
    /// The proof, if known.
    pub preimage: Option<Preimage>,
    /// Since which tick nobody needs it any more.
    pub(crate) idle_since: Option<u64>,
}

/// Who has paid a hash instead of the payment that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct PaidElsewhere {
    /// The payment; `None` if it is none of the ledger.
    pub payer: Option<PaymentId>,
    /// Whether a preimage proves it; else it is somebody's word.
    pub proven: bool,
}
