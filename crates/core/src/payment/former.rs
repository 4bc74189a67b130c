//! What is left of the parts of a payment's earlier tries, and of a remembered payment's: enough to
//! know whose a part is, which hash it had and whether it settled.

use crate::{
    base::bounded::Many,
    base::ids::{PartId, PaymentHash, Preimage},
    base::wire::{UnknownFields, layout},
    event::request::ShortDigest,
    payment::part::Part,
};

/// Parts that had one hash. The hash belongs to them: a preimage of another one does not prove that
/// such a part was paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormerTry {
    /// The hash; `None` where it was never known (a hand-over of an offer).
    pub(crate) payment_hash: Option<PaymentHash>,
    /// The seq at which a request or an invoice named this hash; `None` where none did.
    pub(crate) named_seq: Option<u64>,
    /// Whether the hash is known as paid under this payment.
    pub(crate) paid: bool,
    /// The proof of it, where it is not the payment's first.
    pub(crate) preimage: Option<Preimage>,
    pub(crate) parts: Many<FormerPart>,
    /// Fields that a newer program wrote and this one keeps.
    pub(crate) unknown: UnknownFields,
}

/// One part of an earlier try: its digest, and whether it settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FormerPart {
    pub(crate) digest: ShortDigest,
    /// Whether it was claimed: its claim, reported again, changes nothing; the claim of any other part
    /// is a second payment.
    pub(crate) settled: bool,
}

layout! {
    record FormerTry "a try" {
        ; 2 payment_hash, 4 named_seq, 6 paid, 8 preimage, 10 parts; .. unknown
    }
}
layout! { record FormerPart "a part of an earlier try" { digest, settled } }

impl FormerTry {
    fn named(payment_hash: Option<PaymentHash>, named_seq: Option<u64>) -> Self {
        Self {
            payment_hash,
            named_seq,
            paid: false,
            preimage: None,
            parts: Many::new(),
            unknown: UnknownFields::NONE,
        }
    }

    /// The part with this digest, if it had this hash. Where the hash asked for or that of the part is
    /// not known, the digest alone decides.
    pub(crate) fn part(
        &self,
        digest: ShortDigest,
        payment_hash: Option<&PaymentHash>,
    ) -> Option<&FormerPart> {
        let fits = match (&self.payment_hash, payment_hash) {
            (Some(own), Some(told)) => own == told,
            _ => true,
        };
        self.parts.iter().find(|part| fits && part.digest == digest)
    }
}

/// The part with this digest among several tries: the latest try with it, if no hash is given.
pub(crate) fn find(
    tries: &[FormerTry],
    part: &PartId,
    payment_hash: Option<&PaymentHash>,
) -> Option<(FormerPart, Option<PaymentHash>)> {
    if tries.is_empty() {
        return None;
    }
    let digest = ShortDigest::of(part);
    tries
        .iter()
        .rev()
        .find_map(|of| of.part(digest, payment_hash).map(|part| (*part, of.payment_hash)))
}

/// Adds what is remembered of a part to the try with its hash, which is made if there is none.
pub(crate) fn add(tries: &mut Many<FormerTry>, payment_hash: Option<PaymentHash>, part: &Part) {
    let settled = part.status.is_settled();
    let one = FormerPart { digest: ShortDigest::of(&part.id), settled };
    let group = group(tries, payment_hash);
    group.paid |= settled && payment_hash.is_some();
    group.preimage = group.preimage.or(part.details.preimage);
    match group.parts.items_mut().iter_mut().find(|known| known.digest == one.digest) {
        Some(known) => known.settled |= settled,
        None => group.parts.push(one),
    }
}

/// The parts with this hash; added if there are none.
pub(crate) fn group(
    tries: &mut Many<FormerTry>,
    payment_hash: Option<PaymentHash>,
) -> &mut FormerTry {
    let at = tries.iter().position(|of| of.payment_hash == payment_hash);
    let at = at.unwrap_or_else(|| {
        tries.push(FormerTry::named(payment_hash, None));
        tries.len() - 1
    });
    &mut tries.items_mut()[at]
}
