//! Names for everything that a script mentions: an id is its name, padded with zeros.

use payonce_core::{
    AdoptPart, Backoff, ClaimPart, Deadline, Failure, MaxFee, Msat, NewPart, OfferHash, PartId,
    PartKind, PaymentHash, PaymentId, Preimage, Request, RetryPolicy, ShortChannelId, Target,
    UnixMillis,
};

/// When every script begins.
pub(crate) const T0: UnixMillis = UnixMillis(1_700_000_000_000);

fn padded(name: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}

/// The name in an id's bytes.
pub(super) fn name(bytes: &[u8; 32]) -> String {
    let named = bytes.iter().take_while(|byte| **byte != 0).copied().collect();
    String::from_utf8(named).unwrap_or_else(|_| "a hash".into())
}

pub(crate) fn id(name: &str) -> PaymentId {
    PaymentId::from_bytes(padded(name))
}

pub(crate) fn part(name: &str) -> PartId {
    PartId::from_bytes(padded(name))
}

pub(crate) fn preimage(name: &str) -> Preimage {
    Preimage::from_bytes(padded(name))
}

/// The hash of the preimage with this name.
pub(crate) fn hash(name: &str) -> PaymentHash {
    preimage(name).payment_hash()
}

/// A request to pay the invoice with the hash of this name.
/// A request with fields set that have no method of their own, or are not there.
pub(crate) fn but(mut request: Request, change: impl FnOnce(&mut Request)) -> Request {
    change(&mut request);
    request
}

pub(crate) fn pay(name: &str, amount: u64) -> Request {
    let target = Target::Invoice { payment_hash: hash(name) };
    unlimited(target, amount)
}

/// A request to pay an offer.
pub(crate) fn offer(name: &str, amount: u64, deadline: Deadline) -> Request {
    let offer_hash = OfferHash::from_bytes(padded(name));
    unlimited(Target::Offer { offer_hash, deadline }, amount)
}

/// Fees without limit, retries by hand, at once.
pub(crate) fn unlimited(target: Target, amount: u64) -> Request {
    let request = Request::new(target, Msat(amount), MaxFee::Unlimited, RetryPolicy::Manual);
    request.backoff(Backoff::NONE)
}

/// A part of the node's own, expiring at height 800,000.
pub(crate) fn htlc(name: &str, amount: u64, fee: u64) -> NewPart {
    NewPart::Htlc {
        id: part(name),
        amount: Msat(amount),
        fee: Msat(fee),
        cltv_expiry: 800_000,
        first_channel: None,
    }
}

/// A part handed over to an engine.
pub(crate) fn delegated(name: &str) -> NewPart {
    NewPart::delegated(part(name))
}

/// The payee refused.
pub(crate) fn permanent() -> Failure {
    Failure { permanent: true, ..Failure::default() }
}

/// This channel failed the part.
pub(crate) fn routed_over(channel: u64) -> Failure {
    Failure { channel: Some(ShortChannelId(channel)), ..Failure::default() }
}

pub(crate) const fn seconds(count: u64) -> u64 {
    count * 1_000
}

/// The node has this HTLC of 1,000 out.
pub(crate) fn adopted(payment: &str, name: &str, hash_name: &str) -> AdoptPart {
    AdoptPart {
        id: id(payment),
        part: part(name),
        payment_hash: hash(hash_name),
        amount: Some(Msat(1_000)),
        fee: Some(Msat(10)),
        kind: PartKind::Htlc { cltv_expiry: Some(800_000), first_channel: None },
    }
}

/// The payee took this part.
pub(crate) fn claimed(payment: &str, name: &str, proof: &str) -> ClaimPart {
    ClaimPart::new(id(payment), part(name), preimage(proof))
}
