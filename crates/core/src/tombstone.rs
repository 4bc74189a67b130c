//! What a ledger that remembers forever keeps of a forgotten payment.

use alloc::boxed::Box;

use bincode::{Decode, Encode};

use crate::{
    amount::Msat,
    codec::Many,
    ids::{PaymentHash, PaymentId, Preimage},
    notification::NotificationId,
    payment::Payment,
    request::{RequestDigests, ShortDigest},
    status::{FailureReason, Status},
};

/// How a remembered payment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Outcome {
    Paid { preimage: Option<Preimage>, amount: Option<Msat>, fee: Option<Msat> },
    Failed { reason: FailureReason, notice: NotificationId },
}

/// A forgotten payment's outcome, and enough to tell a repeat from a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Tombstone {
    pub(crate) id: PaymentId,
    pub(crate) payment_hash: Option<PaymentHash>,
    pub(crate) outcome: Outcome,
    /// None for a payment that was adopted.
    pub(crate) request: Option<Box<RequestDigests>>,
    pub(crate) parts: Many<ShortDigest>,
}

impl Tombstone {
    /// How a payment ended; `None` while it has not.
    pub(crate) fn outcome(payment: &Payment) -> Option<Outcome> {
        match payment.status {
            Status::Fulfilled => {
                let settled = payment.settled();
                Some(Outcome::Paid {
                    preimage: payment.preimage(),
                    amount: settled.known_amount(),
                    fee: settled.known_fee(),
                })
            }
            Status::Failed { reason } => {
                Some(Outcome::Failed { reason, notice: payment.failed_notification()? })
            }
            _ => None,
        }
    }

    /// The tombstone of a payment that ended so.
    pub(crate) fn of(payment: &Payment, outcome: Outcome) -> Self {
        let own = payment.parts.iter().map(|part| ShortDigest::of(&part.id));
        Self {
            id: payment.id,
            payment_hash: payment.payment_hash(),
            outcome,
            request: payment.request_digests().map(Box::new),
            parts: payment.rare.former.iter().copied().chain(own).collect(),
        }
    }

    pub(crate) const fn is_paid(&self) -> bool {
        matches!(self.outcome, Outcome::Paid { .. })
    }
}
