//! What a ledger that remembers forever keeps of a forgotten payment.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    base::amount::{Msat, UnixMillis},
    base::bounded::Many,
    base::ids::{PartId, PaymentHash, PaymentId, Preimage},
    base::vocabulary::Vocabulary,
    base::wire::{DecodeError, Source, UnknownFields, Wire, known_fields, layout},
    event::hash_paid::PaidElsewhere,
    event::notification::NotificationId,
    event::part::Assertion,
    event::request::RequestDigests,
    event::status::{FailureReason, Status},
    payment::foreign_part::ForeignPart,
    payment::former,
    payment::former::{FormerPart, FormerTry},
    payment::payment::Payment,
};

/// How a remembered payment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Paid {
        preimage: Option<Preimage>,
        /// The hash that the preimage proves, where that is not the payment's own.
        proven_hash: Option<PaymentHash>,
        amount: Option<Msat>,
        fee: Option<Msat>,
    },
    Failed {
        reason: FailureReason,
        notification: NotificationId,
        paid_elsewhere: Option<PaidElsewhere>,
    },
}

/// The outcome of a forgotten payment, and enough to tell a repeat apart from a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tombstone {
    pub(crate) id: PaymentId,
    pub(crate) accepted_seq: u64,
    pub(crate) accepted_at: UnixMillis,
    /// When it ended so.
    pub(crate) ended_at: UnixMillis,
    /// The hash of the last try's request or invoice.
    pub(crate) payment_hash: Option<PaymentHash>,
    pub(crate) outcome: Outcome,
    /// None for a payment that was adopted.
    pub(crate) request: Option<Box<RequestDigests>>,
    pub(crate) tries: Many<FormerTry>,
    /// The operator's word that it is paid, if that is why it was paid.
    pub(crate) asserted: Option<Assertion>,
    /// The newest format version that the program which accepted it knew.
    pub(crate) vocabulary: Vocabulary,
    /// Fields that a newer program wrote and this one keeps.
    pub(crate) unknown: UnknownFields,
}

layout! {
    enum Outcome "an outcome" {
        0 Paid { preimage, proven_hash, amount, fee },
        1 Failed { reason, notification, paid_elsewhere },
    }
}
layout! {
    record Tombstone "a remembered payment" {
        id, accepted_seq, accepted_at, ended_at, outcome;
        2 payment_hash, 4 request, 6 tries, 8 asserted, 10 vocabulary;
        .. unknown
    }
}

impl Tombstone {
    /// Passes over an encoded one, without looking into its tail, and gives its id.
    pub(crate) fn pass_over(source: &mut Source<'_>) -> Result<PaymentId, DecodeError> {
        source.record("a remembered payment", |source| {
            let id = PaymentId::take(source)?;
            u64::take(source)?;
            let _: (UnixMillis, UnixMillis) = Wire::take(source)?;
            Outcome::take(source)?;
            known_fields(source, |_, _, _| Ok(true))?;
            Ok(id)
        })
    }

    /// How a payment ended; `None` while it has not.
    pub(crate) fn outcome(payment: &Payment) -> Option<Outcome> {
        match payment.status {
            Status::Fulfilled => {
                let settled = payment.settled();
                Some(Outcome::Paid {
                    preimage: payment.preimage(),
                    proven_hash: payment.details.proven_hash,
                    amount: settled.known_amount(),
                    fee: settled.known_fee(),
                })
            }
            Status::Failed { reason } => Some(Outcome::Failed {
                reason,
                notification: payment.failed_notification()?,
                paid_elsewhere: payment.details.paid_elsewhere,
            }),
            _ => None,
        }
    }

    /// The tombstone of a payment with this outcome, with the foreign parts that were reported under its
    /// id.
    pub(crate) fn of(payment: &Payment, outcome: Outcome, foreign_parts: &[ForeignPart]) -> Self {
        let mut tries = payment.tries();
        for foreign_part in foreign_parts {
            former::add(&mut tries, Some(foreign_part.payment_hash), &foreign_part.part);
        }
        Self {
            id: payment.id,
            accepted_seq: payment.created_seq,
            accepted_at: payment.created_at,
            ended_at: payment.status_at,
            payment_hash: payment.hash().copied(),
            outcome,
            request: payment.request_digests().map(Box::new),
            tries,
            asserted: payment.details.asserted.clone(),
            vocabulary: payment.details.vocabulary,
            unknown: payment.details.unknown.clone(),
        }
    }

    pub(crate) const fn is_paid(&self) -> bool {
        matches!(self.outcome, Outcome::Paid { .. })
    }

    /// Whether a part with this hash can be one of its own.
    pub(crate) fn takes(&self, payment_hash: &PaymentHash) -> bool {
        self.payment_hash.is_none_or(|own| own == *payment_hash)
    }

    /// Whether this hash was its own, or one that it paid.
    pub(crate) fn had(&self, payment_hash: &PaymentHash) -> bool {
        self.payment_hash.as_ref() == Some(payment_hash) || self.has_paid(payment_hash)
    }

    pub(crate) fn has_paid(&self, payment_hash: &PaymentHash) -> bool {
        self.tries.iter().any(|of| of.paid && of.payment_hash.as_ref() == Some(payment_hash))
    }

    /// The proof that this hash was paid, if it has it.
    pub(crate) fn proof_of(&self, payment_hash: &PaymentHash) -> Option<Preimage> {
        let first = match self.outcome {
            Outcome::Paid { preimage, proven_hash, .. } => preimage
                .filter(|_| proven_hash.or(self.payment_hash).as_ref() == Some(payment_hash)),
            Outcome::Failed { .. } => None,
        };
        let of = |of: &&FormerTry| of.payment_hash.as_ref() == Some(payment_hash);
        first.or_else(|| self.tries.iter().filter(of).find_map(|of| of.preimage))
    }

    pub(crate) fn named_since(&self, payment_hash: &PaymentHash) -> Option<u64> {
        let mut tries = self.tries.iter();
        tries.find(|of| of.payment_hash.as_ref() == Some(payment_hash))?.named_seq
    }

    pub(crate) fn former(
        &self,
        part: &PartId,
        payment_hash: Option<&PaymentHash>,
    ) -> Option<(FormerPart, Option<PaymentHash>)> {
        former::find(&self.tries, part, payment_hash)
    }

    /// Every hash that leads to it, each once.
    pub(crate) fn hashes(&self) -> Vec<PaymentHash> {
        let tries = self.tries.iter().filter_map(|of| of.payment_hash);
        let mut hashes: Vec<_> = tries.chain(self.payment_hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }
}
