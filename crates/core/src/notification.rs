//! Notifications: events that the user must see, kept in the outbox until acknowledged.

use alloc::sync::Arc;
use core::{fmt, str::FromStr};

use bincode::{Decode, Encode};
use hex_conservative::DisplayHex;

use crate::{
    amount::Msat,
    codec::List,
    ids::{ParseIdError, PartId, PaymentHash, PaymentId, Preimage},
    limits,
    part::Failure,
    status::FailureReason,
};

/// The name of a notification, the same at every delivery: the seq of its event, and the first 8
/// bytes of its entry's chain hash, which tell it apart from that of another log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct NotificationId {
    /// The seq of the event.
    pub seq: u64,
    /// The first 8 bytes of the chain hash of its entry.
    pub chain: [u8; 8],
}

impl fmt::Display for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.chain.as_hex())
    }
}

impl FromStr for NotificationId {
    type Err = ParseIdError;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused =
            || ParseIdError { what: "NotificationId", expected_bytes: 16, refused: text.into() };
        let (seq, chain) = text.split_once('-').ok_or_else(refused)?;
        let chain = hex_conservative::decode_to_array(chain).map_err(|_| refused())?;
        Ok(Self { seq: seq.parse().map_err(|_| refused())?, chain })
    }
}

impl fmt::Debug for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NotificationId({self})")
    }
}

impl serde::Serialize for NotificationId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One notification as it is delivered: at least once, in seq order for each payment, until it is
/// acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Notification {
    /// Its name.
    pub id: NotificationId,
    /// What it says.
    pub notice: Notice,
}

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// The payment is paid. Final.
    PaymentSent {
        /// The payment.
        payment: PaymentId,
        /// Its hash, if known.
        payment_hash: Option<PaymentHash>,
        /// The proof, if known.
        preimage: Option<Preimage>,
        /// What was in flight and claimed at the first claim; `None` when it is not known.
        amount: Option<Msat>,
        /// The fees of the same parts; `None` when they are not known.
        fee: Option<Msat>,
        /// Whether it corrects what was said before: a failure, or nothing at all.
        correction: bool,
    },
    /// The payment is over, unpaid.
    PaymentFailed {
        /// The payment.
        payment: PaymentId,
        /// Its hash, if it ever had one.
        payment_hash: Option<PaymentHash>,
        /// Why.
        reason: FailureReason,
        /// Whether a correction has made it untrue since: the payment is paid.
        superseded: bool,
    },
    /// A part is paid and off its channel.
    PartSucceeded {
        /// The payment.
        payment: PaymentId,
        /// The part.
        part: PartId,
    },
    /// A part failed.
    PartFailed {
        /// The payment.
        payment: PaymentId,
        /// The part.
        part: PartId,
        /// Why.
        failure: Failure,
    },
    /// Something happened that should not have.
    Anomaly {
        /// What.
        anomaly: Anomaly,
        /// How often it was told again.
        repeats: u32,
    },
}

impl Notice {
    /// The payment that it is about, or that was named to the ledger.
    #[must_use]
    pub fn payment(&self) -> &PaymentId {
        match self {
            Self::PaymentSent { payment, .. }
            | Self::PaymentFailed { payment, .. }
            | Self::PartSucceeded { payment, .. }
            | Self::PartFailed { payment, .. } => payment,
            Self::Anomaly { anomaly, .. } => anomaly.payment(),
        }
    }
}

/// Something that should not have happened, for a human to look at.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(tag = "anomaly", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Anomaly {
    /// A part that was recorded as failed or withdrawn was claimed after all.
    Correction {
        /// The payment.
        payment: PaymentId,
        /// The part.
        part: PartId,
        /// The other parts in flight at that moment: money that may leave a second time. At most
        /// as many as a payment may dispatch.
        in_flight: List<PartId, { limits::PAYMENT_PARTS }>,
    },
    /// A part that the payment did not know was claimed with its preimage.
    UnknownPart {
        /// The payment.
        payment: PaymentId,
        /// The part.
        part: PartId,
    },
    /// A part was claimed with a preimage that is not its payment's: money left under a hash that
    /// no payment has.
    ForeignClaim {
        /// The payment that the node named.
        payment: PaymentId,
        /// The part.
        part: PartId,
        /// The hash that was paid.
        payment_hash: PaymentHash,
    },
    /// The node has a part out under a payment whose hash it is not.
    Stray {
        /// The payment that the node named.
        payment: PaymentId,
        /// The part.
        part: PartId,
        /// The part's hash.
        payment_hash: PaymentHash,
    },
}

impl Anomaly {
    /// The payment that it is about, or that the node named.
    #[must_use]
    pub fn payment(&self) -> &PaymentId {
        match self {
            Self::Correction { payment, .. }
            | Self::UnknownPart { payment, .. }
            | Self::ForeignClaim { payment, .. }
            | Self::Stray { payment, .. } => payment,
        }
    }

    /// The part that it is about.
    #[must_use]
    pub fn part(&self) -> &PartId {
        match self {
            Self::Correction { part, .. }
            | Self::UnknownPart { part, .. }
            | Self::ForeignClaim { part, .. }
            | Self::Stray { part, .. } => part,
        }
    }

    /// Whether it belongs to a payment of the ledger, which then waits for its acknowledgement.
    pub(crate) const fn is_of_payment(&self) -> bool {
        matches!(self, Self::Correction { .. } | Self::UnknownPart { .. })
    }
}

/// An unacknowledged notification as the state keeps it. What its payment knows anyway is left
/// out; a payment stays in the ledger while it has unread notifications.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Unread {
    pub(crate) chain: [u8; 8],
    pub(crate) content: UnreadContent,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum UnreadContent {
    Sent {
        payment: PaymentId,
        amount: Option<Msat>,
        fee: Option<Msat>,
        correction: bool,
    },
    Failed {
        payment: PaymentId,
        hash: Option<PaymentHash>,
        reason: FailureReason,
        superseded: bool,
    },
    PartSucceeded {
        payment: PaymentId,
        part: PartId,
    },
    PartFailed {
        payment: PaymentId,
        part: PartId,
        failure: Arc<Failure>,
    },
    Anomaly {
        anomaly: Arc<Anomaly>,
        repeats: u32,
    },
}

impl UnreadContent {
    /// The payment of the ledger that waits for the acknowledgement.
    pub(crate) fn owner(&self) -> Option<&PaymentId> {
        match self {
            Self::Sent { payment, .. }
            | Self::Failed { payment, .. }
            | Self::PartSucceeded { payment, .. }
            | Self::PartFailed { payment, .. } => Some(payment),
            Self::Anomaly { anomaly, .. } => anomaly.is_of_payment().then(|| anomaly.payment()),
        }
    }
}
