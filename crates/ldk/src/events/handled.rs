//! What an event of LDK came to.

use payonce_core::{FactRefusal, HashHolder, Msat, PartId, PaymentId};

/// What an event came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// It tells nothing of payments that this node makes.
    NotOurs,
    /// The event is recorded durably, and may be dropped.
    Recorded {
        /// The payment that it went to, if any.
        payment: Option<PaymentId>,
    },
    /// Known already, or nothing that changes anything.
    Unchanged {
        /// The payment that it is about, if the ledger knows one.
        payment: Option<PaymentId>,
    },
    /// An invoice came for an offer and is not paid: LDK was told to give up.
    InvoiceRefused {
        /// The payment that the invoice is for.
        payment: PaymentId,
        /// Why the ledger does not take the invoice.
        refusal: InvoiceRefusal,
    },
    /// LDK says that a hand-over failed which it tracks, or that may be out: nothing was recorded,
    /// and nobody should be told: do not pass the event on. What became of it is yet to come.
    NotBelieved {
        /// The part, whose id is LDK's payment id.
        part: PartId,
    },
    /// The ledger refused it; LDK must not deliver it again.
    Refused {
        /// Why the ledger does not take the fact.
        refusal: FactRefusal,
    },
}

/// Why an invoice that came for an offer is not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvoiceRefusal {
    /// The payment hash is another's.
    #[error("this payment hash belongs to {other}: one invoice is paid under one id")]
    HashInUse {
        /// Who has that hash.
        other: HashHolder,
    },
    /// It asks for more than was agreed.
    #[error("the invoice asks for {amount}, the request allows {limit}")]
    AmountTooLarge {
        /// What the invoice asks for, in msat.
        amount: Msat,
        /// What the request allows at most, in msat.
        limit: Msat,
    },
    /// The payment was given up, or is paid.
    #[error("the payment is over")]
    Over,
}
