//! What forbids a dispatch, apart from deadlines.

use crate::{
    base::ids::PartId,
    payment::payment::Payment,
    state::state::{HashHolder, State},
};

/// What forbids a dispatch for an open payment, apart from deadlines: money that is out or was paid for
/// the same invoice or under the same id.
pub(crate) enum Forbids {
    Hash(HashHolder),
    Part(PartId),
}

pub(crate) fn forbidden_by(state: &State, payment: &Payment) -> Option<Forbids> {
    let blocker = payment.payment_hash().and_then(|hash| state.hash_blocker(&hash, &payment.id));
    let part = || state.dispatch_holder(payment).map(Forbids::Part);
    blocker.map(Forbids::Hash).or_else(part)
}
