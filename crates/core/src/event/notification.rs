//! Notifications: events that the user must see, kept in the outbox until acknowledged.

use alloc::sync::Arc;
use core::{fmt, str::FromStr};

use hex_conservative::DisplayHex;

use crate::{
    base::amount::Msat,
    base::bounded::List,
    base::ids::{ParseIdError, PartId, PaymentHash, PaymentId, Preimage},
    base::limits,
    base::text_form,
    base::wire::layout,
    event::hash_paid::PaidElsewhere,
    event::part::Failure,
    event::status::FailureReason,
};

/// The name of a notification, the same at every delivery: the seq of its event, and the first 8 bytes
/// of its entry's log hash, so that it differs from one of another log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotificationId {
    /// The seq of the event.
    pub seq: u64,
    /// The first 8 bytes of the log hash of its entry.
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

impl<'de> serde::Deserialize<'de> for NotificationId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_form::take_text(deserializer)
    }
}

/// One notification as it is delivered: at least once, in seq order for each payment, until it is
/// acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Notification {
    /// The id to acknowledge it with: the same at every delivery.
    pub id: NotificationId,
    /// What happened, and to which payment.
    pub kind: NotificationKind,
}

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum NotificationKind {
    /// The payment is paid. Final.
    PaymentSent {
        /// The payment that is paid.
        payment: PaymentId,
        /// The hash that was paid; `None` if it is not known.
        payment_hash: Option<PaymentHash>,
        /// The preimage of that hash; `None` until it is known.
        #[serde(with = "crate::base::ids::revealed")]
        preimage: Option<Preimage>,
        /// What was in flight and settled at the first claim, in msat; `None` when it is not known.
        amount: Option<Msat>,
        /// The fees of the same parts, in msat; `None` when they are not known.
        fee: Option<Msat>,
        /// Whether it corrects an earlier notification of failure, or the ledger knew nothing of the
        /// payment before.
        correction: bool,
    },
    /// What PaymentSent said has changed since: nothing is in flight any more and other sums settled, or
    /// the proof came after the payment was reported paid without one.
    PaymentSettled {
        /// The payment, for which PaymentSent was notified before.
        payment: PaymentId,
        /// The hash that the proof proves; `None` if it is not known.
        payment_hash: Option<PaymentHash>,
        /// The preimage; `None` until it is known.
        #[serde(with = "crate::base::ids::revealed")]
        preimage: Option<Preimage>,
        /// What reached the payee, in msat; `None` when it is not known.
        amount: Option<Msat>,
        /// What the routes took, in msat; `None` when it is not known.
        fee: Option<Msat>,
    },
    /// The payment is over, unpaid.
    PaymentFailed {
        /// The payment that failed.
        payment: PaymentId,
        /// Its hash; `None` for an offer whose invoice never came.
        payment_hash: Option<PaymentHash>,
        /// Why it was given up: the first reason, if there were several.
        reason: FailureReason,
        /// Whether it is no longer true: the payment is paid, a part of it is out again, or a new
        /// try followed.
        superseded: bool,
        /// Which payment has paid the hash instead, if one has: no money went out under this id, but the
        /// invoice itself is settled.
        paid_elsewhere: Option<PaidElsewhere>,
    },
    /// A part is paid and off its channel.
    PartSucceeded {
        /// The payment that the part paid.
        payment: PaymentId,
        /// The part, irrevocably off its channel.
        part: PartId,
    },
    /// A part failed irrevocably; the payment may go on with others.
    PartFailed {
        /// The payment that the part was of.
        payment: PaymentId,
        /// The part, irrevocably off its channel or its engine.
        part: PartId,
        /// Why it failed, and whether another route can help.
        failure: Failure,
    },
    /// Something happened that should not have.
    Anomaly {
        /// What happened, and to which part, payment or hash.
        anomaly: Anomaly,
        /// How often it happened again while unread; 0 at first.
        repeats: u32,
    },
}

impl NotificationKind {
    /// The payment that it is about, or that the node named.
    #[must_use]
    pub fn payment(&self) -> &PaymentId {
        match self {
            Self::PaymentSent { payment, .. }
            | Self::PaymentSettled { payment, .. }
            | Self::PaymentFailed { payment, .. }
            | Self::PartSucceeded { payment, .. }
            | Self::PartFailed { payment, .. } => payment,
            Self::Anomaly { anomaly, .. } => anomaly.payment(),
        }
    }
}

/// Something that should not have happened; a human should look at it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "anomaly", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Anomaly {
    /// A part that was recorded as failed or withdrawn was claimed in spite of that.
    Correction {
        /// The payment, which is paid now.
        payment: PaymentId,
        /// The part that was recorded as over and is claimed.
        part: PartId,
        /// The other parts in flight at that moment: money that may leave a second time. At most
        /// as many as a payment may dispatch.
        in_flight: List<PartId, { limits::PAYMENT_PARTS }>,
    },
    /// A part that the payment did not know was claimed with its preimage.
    UnknownPart {
        /// The payment, which is paid now.
        payment: PaymentId,
        /// The part that the ledger lacked: it is adopted and claimed.
        part: PartId,
    },
    /// A part was claimed with a preimage that is not its payment's: money left under a hash that
    /// no payment has.
    ForeignClaim {
        /// The payment that the node named.
        payment: PaymentId,
        /// The part that was claimed.
        part: PartId,
        /// The hash that was paid.
        payment_hash: PaymentHash,
    },
    /// The node has a part out under a payment's id, with another hash than the payment's.
    ForeignPart {
        /// The payment that the node named.
        payment: PaymentId,
        /// The part that is out.
        part: PartId,
        /// The hash under which the part is out: not the payment's.
        payment_hash: PaymentHash,
    },
    /// A part that was recorded as failed or withdrawn is out again.
    OutAgain {
        /// The payment; if its failure was notified, that is superseded.
        payment: PaymentId,
        /// The part that was recorded as over and is in flight.
        part: PartId,
        /// The other parts that are out or settled at that moment: money that may leave, or has left,
        /// a second time.
        others: List<PartId, { limits::PAYMENT_PARTS }>,
    },
    /// Money left a second time for one payment or for one hash.
    PaidTwice {
        /// The payment that paid the second time.
        payment: PaymentId,
        /// The part that was claimed after the payment, or its hash, was paid.
        part: PartId,
        /// The payment that was paid first: the same one, or another with this hash.
        first_payment: Option<PaymentId>,
        /// A part that had paid it, where one is known.
        first_part: Option<PartId>,
    },
    /// An engine reports to have spent more than it was allowed to.
    SpentMore {
        /// The payment whose budget was exceeded.
        payment: PaymentId,
        /// The delegated part whose engine spent it.
        part: PartId,
        /// What it reports to have brought to the payee, in msat; `None` if it does not say.
        amount: Option<Msat>,
        /// What it reports to have paid in fees, in msat; `None` if it does not say.
        fee: Option<Msat>,
    },
    /// A word about another payment made this one paid as well, since it named a part or the hash of
    /// this one.
    PaidWithAnother {
        /// The payment that is paid as well, although another was named.
        payment: PaymentId,
        /// The payment that was named.
        named: PaymentId,
    },
    /// The bytes that came as a preimage fit no known hash. They prove nothing.
    FalsePreimage {
        /// The payment that was named.
        payment: PaymentId,
        /// The part whose claim brought them.
        part: PartId,
        /// The SHA-256 of the bytes: the hash that they would have proved.
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
            | Self::OutAgain { payment, .. }
            | Self::PaidTwice { payment, .. }
            | Self::SpentMore { payment, .. }
            | Self::PaidWithAnother { payment, .. }
            | Self::FalsePreimage { payment, .. }
            | Self::ForeignPart { payment, .. } => payment,
        }
    }

    /// The part that it is about; `None` if it is not about a part.
    #[must_use]
    pub fn part(&self) -> Option<&PartId> {
        match self {
            Self::Correction { part, .. }
            | Self::UnknownPart { part, .. }
            | Self::ForeignClaim { part, .. }
            | Self::OutAgain { part, .. }
            | Self::PaidTwice { part, .. }
            | Self::SpentMore { part, .. }
            | Self::FalsePreimage { part, .. }
            | Self::ForeignPart { part, .. } => Some(part),
            Self::PaidWithAnother { .. } => None,
        }
    }

    /// When an anomaly that belongs to no payment is a repeat: the kind and the hash that must be the
    /// same.
    pub(crate) fn repeats_by(&self) -> Option<(u8, PaymentHash)> {
        match self {
            Self::ForeignClaim { payment_hash, .. } => Some((0, *payment_hash)),
            Self::ForeignPart { payment_hash, .. } => Some((1, *payment_hash)),
            Self::FalsePreimage { payment_hash, .. } => Some((2, *payment_hash)),
            _ => None,
        }
    }

    /// Whether it belongs to a payment of the ledger, which is then not forgotten before it is
    /// acknowledged.
    pub(crate) fn is_of_payment(&self) -> bool {
        self.repeats_by().is_none()
    }
}

/// An unacknowledged notification as the state keeps it, without what its payment has anyway; a payment
/// stays in the ledger while it has unread notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) chain: [u8; 8],
    pub(crate) content: UnreadContent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UnreadContent {
    Sent {
        payment: PaymentId,
        amount: Option<Msat>,
        fee: Option<Msat>,
        correction: bool,
    },
    Settled {
        payment: PaymentId,
        amount: Option<Msat>,
        fee: Option<Msat>,
    },
    Failed {
        payment: PaymentId,
        hash: Option<PaymentHash>,
        reason: FailureReason,
        superseded: bool,
        paid_elsewhere: Option<PaidElsewhere>,
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
    /// The anomaly; `None` for other notifications.
    pub(crate) fn anomaly(&self) -> Option<&Anomaly> {
        match self {
            Self::Anomaly { anomaly, .. } => Some(anomaly),
            _ => None,
        }
    }

    /// The payment of the ledger that is not forgotten before the acknowledgement.
    pub(crate) fn owner(&self) -> Option<&PaymentId> {
        match self {
            Self::Sent { payment, .. }
            | Self::Settled { payment, .. }
            | Self::Failed { payment, .. }
            | Self::PartSucceeded { payment, .. }
            | Self::PartFailed { payment, .. } => Some(payment),
            Self::Anomaly { anomaly, .. } => anomaly.is_of_payment().then(|| anomaly.payment()),
        }
    }
}

layout! { record NotificationId "a notification's id" { seq, chain } }
layout! {
    enum Anomaly "an anomaly" {
        0 Correction { payment, part, in_flight },
        1 UnknownPart { payment, part },
        2 ForeignClaim { payment, part, payment_hash },
        3 ForeignPart { payment, part, payment_hash },
        4 OutAgain { payment, part, others },
        5 PaidTwice { payment, part, first_payment, first_part },
        6 SpentMore { payment, part, amount, fee },
        7 PaidWithAnother { payment, named },
        8 FalsePreimage { payment, part, payment_hash },
    }
}
layout! { record Unread "a notification" { chain, content } }
layout! {
    enum UnreadContent "a notification's content" {
        0 Sent { payment, amount, fee, correction },
        1 Settled { payment, amount, fee },
        2 Failed { payment, hash, reason, superseded, paid_elsewhere },
        3 PartSucceeded { payment, part },
        4 PartFailed { payment, part, failure },
        5 Anomaly { anomaly, repeats },
    }
}
