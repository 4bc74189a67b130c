//! Which payment a part belongs to (SEMANTICS 4): the part id decides, then the payment id that is named
//! if it is known, then the hash. A node that forgets our ids must not cause a second payment of the
//! same obligation.

use crate::{
    base::faults,
    base::faults::Fault,
    base::ids::{PartId, PaymentHash},
    payment::foreign_part::ForeignPart,
    payment::former::FormerPart,
    payment::part::Part,
    payment::payment::Payment,
    state::place::{PartPlace, Place},
    state::state::State,
};

/// What the ledger knows of a part.
pub(crate) enum Known<'a> {
    /// An own part of a live payment's present try.
    Own(&'a Payment, &'a Part),
    /// A foreign part, whichever payment it blocks.
    ForeignPart(&'a ForeignPart),
    /// A part of an earlier try of a payment, or of a remembered one: it is over, and its hash, if
    /// known.
    Former(Place, FormerPart, Option<PaymentHash>),
    /// The ledger has no such part, or one of another hash.
    Nothing,
}

/// Finds a part, whatever payment the node names. A part of an earlier try counts only if its hash is
/// the one that is given.
pub(crate) fn known<'a>(
    state: &'a State,
    part: &PartId,
    payment_hash: Option<&PaymentHash>,
) -> Known<'a> {
    match state.part_place(part) {
        Some(PartPlace::Payment(handle, index)) => {
            let payment = state.payments.get(handle);
            Known::Own(payment, &payment.parts[index])
        }
        Some(PartPlace::ForeignPart(handle)) => Known::ForeignPart(state.foreign_parts.get(handle)),
        None if faults::is(Fault::FormerPartsUnknown) => Known::Nothing,
        None => match former(state, part, payment_hash) {
            Some((place, part, hash)) => Known::Former(place, part, hash),
            None => Known::Nothing,
        },
    }
}

/// A part of an earlier try or of a remembered payment: that of the oldest payment, should two digests
/// be the same.
fn former(
    state: &State,
    part: &PartId,
    payment_hash: Option<&PaymentHash>,
) -> Option<(Place, FormerPart, Option<PaymentHash>)> {
    let found = state.former_owners(part).filter_map(|place| {
        let (age, found) = match place {
            Place::Payment(handle) => {
                let payment = state.payments.get(handle);
                (payment.created_seq, payment.former(part, payment_hash)?)
            }
            Place::Tombstone(handle) => {
                let tombstone = state.tombstones.get(handle);
                (tombstone.accepted_seq, tombstone.former(part, payment_hash)?)
            }
            Place::ForeignPart(_) | Place::HashPaid(_) => return None,
        };
        Some((age, (place, found.0, found.1)))
    });
    found.min_by_key(|(age, _)| *age).map(|(_, found)| found)
}
