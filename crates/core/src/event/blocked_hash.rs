//! Hashes under which something is out that is nobody's part, and who has it out.

use crate::{base::bounded::Blob, base::ids::PaymentHash, base::limits, base::wire::layout};

/// A block of a hash: something is out under it that is no part of the ledger's. A hash has one for each
/// engine that has something out, and at most one of no engine; it is free once it has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct BlockedHash {
    /// The hash under which something is out.
    pub payment_hash: PaymentHash,
    /// The engine that has it out, as in a [`Label`](crate::Label): its end alone ends this block. Empty
    /// where no engine was named.
    pub engine: Blob<{ limits::LABEL_BYTES }>,
}

layout! { record BlockedHash "a blocked hash" { payment_hash, engine } }
