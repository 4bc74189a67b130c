//! Where a payment stands, and why it was given up.

use core::fmt;

use crate::base::wire::layout;

/// Why a payment was given up.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureReason {
    /// The user asked for it.
    UserAbandoned,
    /// The payee refused: it does not know the payment, or no longer wants it.
    RecipientRejected,
    /// No attempt or no room for parts is left, or the retry deadline is past.
    RetriesExhausted,
    /// The expiry of the request or of the invoice is past.
    PaymentExpired,
    /// No invoice came for the offer before its invoice deadline.
    InvoiceRequestExpired,
    /// The node found no route.
    RouteNotFound,
    /// The node met an error of its own.
    UnexpectedError,
    /// The ledger holds no request for it: the node had a part of it that the log lacked.
    Adopted,
    /// Its hash was paid by another payment or outside the ledger: no money went out under this id, but
    /// the invoice is settled.
    PaidElsewhere,
}

/// Where a payment stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// The offer is accepted, its payment hash unknown.
    AwaitingInvoice,
    /// Parts may be dispatched.
    Pending,
    /// Paid: the payee has it, and no later event takes that back.
    Fulfilled,
    /// Given up: no new parts, and the last one is still unresolved.
    Abandoned {
        /// Why: the first reason stays.
        reason: FailureReason,
    },
    /// Over, unpaid. Only a claim, or a word that it was paid, can change it.
    Failed {
        /// Why it was given up: the first reason, if there were several.
        reason: FailureReason,
    },
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserAbandoned => "user abandoned",
            Self::RecipientRejected => "recipient rejected",
            Self::RetriesExhausted => "retries exhausted",
            Self::PaymentExpired => "payment expired",
            Self::InvoiceRequestExpired => "invoice request expired",
            Self::RouteNotFound => "route not found",
            Self::UnexpectedError => "unexpected error",
            Self::Adopted => "adopted",
            Self::PaidElsewhere => "paid elsewhere",
        })
    }
}

impl fmt::Display for StatusKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AwaitingInvoice => "awaiting invoice",
            Self::Pending => "pending",
            Self::Fulfilled => "fulfilled",
            Self::Abandoned => "abandoned",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abandoned { reason } | Self::Failed { reason } => {
                write!(f, "{}: {reason}", self.kind())
            }
            _ => write!(f, "{}", self.kind()),
        }
    }
}

impl Status {
    /// The kind of status, without its reason.
    #[must_use]
    pub const fn kind(&self) -> StatusKind {
        match self {
            Self::AwaitingInvoice => StatusKind::AwaitingInvoice,
            Self::Pending => StatusKind::Pending,
            Self::Fulfilled => StatusKind::Fulfilled,
            Self::Abandoned { .. } => StatusKind::Abandoned,
            Self::Failed { .. } => StatusKind::Failed,
        }
    }

    /// Whether parts may still be dispatched: AwaitingInvoice or Pending.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::AwaitingInvoice | Self::Pending)
    }
}

/// A status without its reason: the key of the listing by status.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum StatusKind {
    /// [`Status::AwaitingInvoice`].
    AwaitingInvoice,
    /// [`Status::Pending`].
    Pending,
    /// [`Status::Fulfilled`].
    Fulfilled,
    /// [`Status::Abandoned`].
    Abandoned,
    /// [`Status::Failed`].
    Failed,
}

impl StatusKind {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 5] =
        [Self::AwaitingInvoice, Self::Pending, Self::Fulfilled, Self::Abandoned, Self::Failed];
}

layout! {
    enum FailureReason "a reason" {
        0 UserAbandoned,
        1 RecipientRejected,
        2 RetriesExhausted,
        3 PaymentExpired,
        4 InvoiceRequestExpired,
        5 RouteNotFound,
        6 UnexpectedError,
        7 Adopted,
        8 PaidElsewhere,
    }
}
layout! {
    enum Status "a status" {
        0 AwaitingInvoice, 1 Pending, 2 Fulfilled, 3 Abandoned { reason }, 4 Failed { reason }
    }
}
