//! What an event of LDK came to.

use payonce_core::{FactRefusal, HashHolder, Msat, PartId, PaymentId};

/// What an event came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// It tells nothing of payments that this node makes.
    NotOurs,
    /// Recorded, durably.
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
        /// The payment.
        payment: PaymentId,
        /// Why.
        refusal: InvoiceRefusal,
    },
    /// LDK says that a hand-over failed which it tracks, or that may be out: nothing was recorded,
    /// and nobody should be told: do not pass the event on. What became of it is yet to come.
    NotBelieved {
        /// The hand-over.
        part: PartId,
    },
    /// The ledger refused it; LDK must not deliver it again.
    Refused {
        /// Why.
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
        /// Whose.
        other: HashHolder,
    },
    /// It asks for more than was agreed.
    #[error("the invoice asks for {amount}, the request allows {limit}")]
    AmountTooLarge {
        /// The invoice's amount.
        amount: Msat,
        /// The request's.
        limit: Msat,
    },
    /// The payment was given up, or is paid.
    #[error("the payment is over")]
    Over,
}
