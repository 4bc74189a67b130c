//! What the node knows and the log lacks (SEMANTICS 7): parts that are out, payments that were
//! paid, hashes under which something is out. Facts, never refused for a limit.

use alloc::{vec, vec::Vec};

use crate::{
    command::{AdoptPart, HoldHash, MarkPaid, ReleaseHash},
    decide::{
        Context, Decision, Draft, Proof,
        resolution::{Located, apart, deliver, home_of_hash, locate},
    },
    event::{AdoptedPart, Event, Home, Settlement, Word},
    ids::{PartId, PaymentHash, PaymentId},
    notification::Anomaly,
    part::{Part, UNKNOWN_KIND},
    payment::Payment,
    refusal::{FactRefusal, NeverRefused},
    reply::FactReply,
    state::{PartPlace, Place, State},
    status::Status,
    stray::Stray,
};

pub(crate) fn adopt(
    state: &State,
    context: &Context<'_>,
    command: AdoptPart,
) -> Result<Decision<FactReply>, NeverRefused> {
    let AdoptPart { id, part, payment_hash, amount, fee, kind } = command;
    let adopted = AdoptedPart { part, payment_hash, amount, fee, kind };
    Ok(match state.part_place(&part) {
        Some(PartPlace::Payment(handle, index)) => {
            let payment = state.payments.get(handle);
            of_known_part(state, context, payment, &payment.parts[index], adopted)
        }
        Some(PartPlace::Stray(handle)) => of_known_stray(state, state.strays.get(handle), adopted),
        None => of_unknown_part(state, context, &id, adopted),
    })
}

/// The log lacks what the node has: it is Restored from here on.
fn found_gap(state: &State) -> Vec<Event> {
    if state.gap { Vec::new() } else { vec![Event::GapFound] }
}

/// What the node's word adds to a part that is recorded.
struct News {
    /// It is out again, or its terms were not known.
    changes: bool,
    /// The log had never recorded that it went out.
    lacked: bool,
}

fn news(part: &Part, adopted: &AdoptedPart, recorded: bool) -> News {
    let mut after = part.clone();
    after.readopt(adopted, Word::Listed);
    // A dispatched part that is out is no news.
    let changes = if part.batch > 0 { after.fate != part.fate } else { after != *part };
    News { changes, lacked: !recorded && part.batch == 0 && !part.adopted }
}

fn of_known_part(
    state: &State,
    context: &Context<'_>,
    payment: &Payment,
    part: &Part,
    adopted: AdoptedPart,
) -> Decision<FactReply> {
    let news = news(part, &adopted, payment.is_former(&part.id));
    // The node says that this part pays another hash: that one is out as well.
    let other_hash = !payment.takes(&adopted.payment_hash);
    let holds = other_hash && !state.held.contains(&adopted.payment_hash);
    if !news.changes && !holds {
        return Decision::nothing(FactReply::unchanged(Some(payment)));
    }
    let mut draft = Draft::of(state, context, payment);
    if news.changes {
        let own = payment.payment_hash().filter(|_| other_hash);
        let payment_hash = own.unwrap_or(adopted.payment_hash);
        let part = AdoptedPart { payment_hash, ..adopted };
        draft.adopt(part, &payment.id, Word::Listed);
    }
    if holds {
        draft.note(Event::HashHeld { payment_hash: adopted.payment_hash });
    }
    with_gap(state, draft.finish(), news.lacked)
}

fn of_known_stray(state: &State, stray: &Stray, adopted: AdoptedPart) -> Decision<FactReply> {
    let news = news(&stray.part, &adopted, state.is_former(&stray.part.id));
    let mut events = Vec::new();
    if news.changes {
        let id = stray.payment;
        let part = AdoptedPart { payment_hash: stray.payment_hash, ..adopted };
        events.push(Event::PartAdopted { id, part, home: Home::Stray, word: Word::Listed });
    }
    let payment_hash = adopted.payment_hash;
    if payment_hash != stray.payment_hash && !state.held.contains(&payment_hash) {
        events.push(Event::HashHeld { payment_hash });
    }
    with_gap(state, apart(events), news.lacked)
}

fn of_unknown_part(
    state: &State,
    context: &Context<'_>,
    id: &PaymentId,
    part: AdoptedPart,
) -> Decision<FactReply> {
    let home = match state.place(id) {
        None => home_of_hash(state, &part.payment_hash),
        known => known,
    };
    let (mut draft, lacked) = match home {
        Some(Place::Payment(handle)) => {
            let payment = state.payments.get(handle);
            if !payment.takes(&part.payment_hash) {
                return stray(state, id, part);
            }
            (Draft::of(state, context, payment), !payment.is_former(&part.part))
        }
        Some(Place::Tombstone(handle)) => {
            let tombstone = state.tombstones.get(handle);
            if !tombstone.takes(&part.payment_hash) {
                return stray(state, id, part);
            }
            (Draft::recalled(state, context, tombstone), !tombstone.knows(&part.part))
        }
        Some(Place::Stray(_)) | None => {
            (Draft::adopted(state, context, *id, Some(part.payment_hash)), true)
        }
    };
    draft.adopt(part, id, Word::Listed);
    with_gap(state, draft.finish(), lacked)
}

/// A hash that is not its payment's: the part stands on its own and blocks its own hash.
fn stray(state: &State, id: &PaymentId, part: AdoptedPart) -> Decision<FactReply> {
    let anomaly = Anomaly::Stray { payment: *id, part: part.part, payment_hash: part.payment_hash };
    let noted = deliver(state, anomaly, &part.payment_hash);
    let adopted = Event::PartAdopted { id: *id, part, home: Home::Stray, word: Word::Listed };
    with_gap(state, apart(vec![adopted, noted]), !state.is_former(&part.part))
}

fn with_gap(state: &State, mut decision: Decision<FactReply>, lacked: bool) -> Decision<FactReply> {
    if lacked {
        decision.events.extend(found_gap(state));
    }
    decision
}

pub(crate) fn mark_paid(
    state: &State,
    context: &Context<'_>,
    command: MarkPaid,
) -> Result<Decision<FactReply>, FactRefusal> {
    let MarkPaid { id, part, payment_hash, settlement } = command;
    if let Some(part) = part {
        match locate(state, &id, &part) {
            Ok(Located::Own(payment, found)) => {
                let told = (payment_hash, settlement);
                return Ok(part_paid(state, context, payment, found, told));
            }
            Ok(Located::Stray(stray)) => return Ok(stray_paid(state, stray, settlement)),
            Err(refusal @ FactRefusal::PartOfAnother { .. }) => return Err(refusal),
            // The payment is paid all the same.
            Ok(Located::Over) | Err(_) => {}
        }
    }
    Ok(payment_paid(state, context, id, part, (payment_hash, settlement)))
}

fn part_paid(
    state: &State,
    context: &Context<'_>,
    payment: &Payment,
    part: &Part,
    (payment_hash, settlement): (Option<PaymentHash>, Settlement),
) -> Decision<FactReply> {
    let mut draft = Draft::of(state, context, payment);
    if !part.fate.is_settled() {
        let known = settlement.amount.is_some() || settlement.fee.is_some();
        draft.claim(part.id, Proof::Word(payment_hash), known.then_some(settlement));
    }
    hold_other(state, &mut draft, payment_hash);
    draft.finish()
}

fn stray_paid(state: &State, stray: &Stray, settlement: Settlement) -> Decision<FactReply> {
    if stray.part.fate.is_settled() {
        return apart(Vec::new());
    }
    let (payment, part, payment_hash) = (stray.payment, stray.part.id, stray.payment_hash);
    let settlement = Some(settlement);
    let claimed = Event::PartClaimed { id: payment, part, preimage: None, settlement };
    let anomaly = Anomaly::ForeignClaim { payment, part, payment_hash };
    apart(vec![claimed, deliver(state, anomaly, &payment_hash)])
}

fn payment_paid(
    state: &State,
    context: &Context<'_>,
    id: PaymentId,
    part: Option<PartId>,
    (payment_hash, settlement): (Option<PaymentHash>, Settlement),
) -> Decision<FactReply> {
    let home = match state.place(&id) {
        None => payment_hash.and_then(|hash| home_of_hash(state, &hash)),
        known => known,
    };
    let mut draft = match home {
        Some(Place::Payment(handle)) => Draft::of(state, context, state.payments.get(handle)),
        Some(Place::Tombstone(handle)) => {
            let tombstone = state.tombstones.get(handle);
            if tombstone.is_paid() {
                let payment = Some((tombstone.id, Status::Fulfilled));
                return Decision::nothing(FactReply { changed: false, payment });
            }
            Draft::recalled(state, context, tombstone)
        }
        Some(Place::Stray(_)) | None => Draft::adopted(state, context, id, payment_hash),
    };
    let own_hash = draft.payment.payment_hash().or(payment_hash);
    // Else it is the same fact told again.
    let new = |part: &PartId| !draft.payment.paid_before_with(part);
    if let (Some(part), Some(payment_hash)) = (part.filter(new), own_hash) {
        let Settlement { amount, fee } = settlement;
        let adopted = AdoptedPart { part, payment_hash, amount, fee, kind: UNKNOWN_KIND };
        let former = draft.payment.is_former(&part);
        draft.adopt(adopted, &id, Word::Claimed);
        draft.claim(part, Proof::Word(None), Some(settlement));
        if home.is_some() && !former {
            draft.found_unknown(part);
        }
    } else if draft.payment.status != Status::Fulfilled {
        draft.sent(payment_hash, settlement.amount, settlement.fee, false);
    }
    hold_other(state, &mut draft, payment_hash);
    draft.finish()
}

/// The node says that a hash was paid which is not the payment's: nobody may pay it again.
fn hold_other(state: &State, draft: &mut Draft<'_>, payment_hash: Option<PaymentHash>) {
    if let Some(payment_hash) = payment_hash
        && draft.payment.payment_hash() != Some(payment_hash)
        && !state.held.contains(&payment_hash)
    {
        draft.note(Event::HashHeld { payment_hash });
    }
}

pub(crate) fn hold(
    state: &State,
    _context: &Context<'_>,
    command: HoldHash,
) -> Result<Decision<FactReply>, NeverRefused> {
    let HoldHash { payment_hash } = command;
    let held = state.held.contains(&payment_hash);
    Ok(apart(if held { Vec::new() } else { vec![Event::HashHeld { payment_hash }] }))
}

pub(crate) fn release(
    state: &State,
    _context: &Context<'_>,
    command: ReleaseHash,
) -> Result<Decision<FactReply>, NeverRefused> {
    let ReleaseHash { payment_hash } = command;
    let held = state.held.contains(&payment_hash);
    Ok(apart(if held { vec![Event::HashReleased { payment_hash }] } else { Vec::new() }))
}
