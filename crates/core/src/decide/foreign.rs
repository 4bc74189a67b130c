//! Foreign parts: which payment they pay, and what only a human can say.

use alloc::{vec, vec::Vec};
use core::slice;

use crate::{
    base::faults,
    base::faults::Fault,
    base::ids::{PartId, PaymentHash, PaymentId},
    decide::assertion::check_assertion_text,
    decide::command::DisownPart,
    decide::config::Remember,
    decide::decision::{Context, Decision, apart, deliver},
    decide::draft::{Draft, Proof},
    decide::others,
    decide::others::News,
    decide::refusal::FactRefusal,
    decide::reply::FactReply,
    event::event::Event,
    event::hash_paid::PaidElsewhere,
    event::notification::Anomaly,
    payment::foreign_part::ForeignPart,
    state::place::Place,
    state::state::{Ending, State},
};

/// The payment that a foreign part certainly pays: the one for which it was dispatched, else one that
/// named its hash before the part was known, first of all the payment under whose id it was reported.
pub(crate) fn payee(state: &State, foreign_part: &ForeignPart) -> Option<Place> {
    let (hash, before) = (&foreign_part.payment_hash, foreign_part.created_seq);
    // An operator said that it is not of the payment of its id, so it must not pay that one: it would
    // look paid and be unpaid (SEMANTICS 4).
    if foreign_part.disowned {
        return state.namer_of_hash(hash, before);
    }
    let own = state.place(&foreign_part.payment);
    let dispatched = own.filter(|_| foreign_part.part.details.earlier_try);
    dispatched.or_else(|| state.namer_for(&foreign_part.payment, hash, before))
}

/// A foreign part was claimed. It pays the payment for which it was dispatched; else a payment that
/// named its hash before the part was known; else, if the ledger forgets nothing, the payment under
/// whose id it was reported. Otherwise it may belong to an obligation that is forgotten: reporting
/// *paid* could lose the goods, and sending again could pay twice, so it blocks its payment until
/// somebody says. Also returns the id of the payment that it belongs to or blocks.
pub(crate) fn claimed_foreign_part(
    state: &State,
    context: &Context<'_>,
    foreign_part: &ForeignPart,
    proof: Proof,
) -> (PaymentId, Decision<FactReply>) {
    let part = foreign_part.part.id;
    let ending = Ending::ForeignParts(slice::from_ref(&part));
    let own = state.place(&foreign_part.payment).filter(|_| !foreign_part.disowned);
    let forever = context.config.remember == Remember::Forever;
    let owner = payee(state, foreign_part).or_else(|| own.filter(|_| forever));
    let owner = owner.filter(|_| !faults::is(Fault::ForeignPartsPayNobody));
    let draft = owner.and_then(|at| Draft::at_place(state, context, at, ending));
    let Some(mut draft) = draft else {
        let told =
            Told { payment: foreign_part.payment, part, payment_hash: foreign_part.payment_hash };
        return (foreign_part.payment, of_nobody(state, context, &told, proof, Vec::new()));
    };
    let preimage = proof.preimage;
    draft.take_foreign_part(foreign_part);
    draft.claim(part, proof);
    if !foreign_part.part.details.earlier_try {
        draft.tell_unknown(part);
    }
    let id = draft.id();
    let mut decision = draft.finish();
    let by = PaidElsewhere { payer: Some(id), proven: preimage.is_some() };
    let (paid, proof) = (&[(foreign_part.payment_hash, by)], preimage);
    let news = News { paid, proof, ending, done: slice::from_ref(&id) };
    others::follow(state, context, &mut decision.events, &news);
    (id, decision)
}

/// A foreign part, and the payment under whose id it was reported.
pub(crate) struct Told {
    pub(crate) payment: PaymentId,
    pub(crate) part: PartId,
    pub(crate) payment_hash: PaymentHash,
}

/// A claimed foreign part that pays no known payment: its hash is paid, and it blocks the payment of its
/// id.
pub(crate) fn of_nobody(
    state: &State,
    context: &Context<'_>,
    told: &Told,
    proof: Proof,
    mut events: Vec<Event>,
) -> Decision<FactReply> {
    let Told { payment, part, payment_hash } = *told;
    let Proof { preimage, settlement, invoice, .. } = proof;
    let (id, payment_hash_told) = (payment, None);
    let claimed = Event::PartClaimed {
        id,
        part,
        preimage,
        payment_hash: payment_hash_told,
        settlement,
        invoice,
    };
    events.push(claimed);
    let anomaly = Anomaly::ForeignClaim { payment, part, payment_hash };
    events.push(deliver(state, anomaly));
    let by = PaidElsewhere { payer: None, proven: preimage.is_some() };
    let paid = &[(payment_hash, by)];
    let news = News { paid, proof: preimage, ending: Ending::Nothing, done: &[] };
    others::follow(state, context, &mut events, &news);
    apart(events)
}

/// A claimed foreign part is not of the payment under whose id it was reported, and no longer blocks it.
/// Its hash stays known as paid.
pub(crate) fn disown(
    state: &State,
    context: &Context<'_>,
    command: DisownPart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let DisownPart { part, assertion } = command;
    check_assertion_text(Some(&assertion))?;
    let Some(foreign_part) = state.foreign_part_of(&part) else {
        return Err(FactRefusal::UnknownPart { part });
    };
    if foreign_part.disowned {
        return Ok(apart(vec![]));
    }
    // It may still be claimed for this payment: without the block the payment would send again (SEMANTICS 4).
    if !foreign_part.part.status.is_settled() {
        return Err(FactRefusal::NotClaimed { part, status: foreign_part.part.status });
    }
    let mut events = vec![Event::PartDisowned { id: foreign_part.payment, part, assertion }];
    let news = News { paid: &[], proof: None, ending: Ending::Told(&part), done: &[] };
    others::follow(state, context, &mut events, &news);
    Ok(apart(events))
}
