//! Parts under a hash of their own: whom they pay, and what only a human can say.

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

/// Whom a foreign part pays for sure: the payment for which it was dispatched, or who asked for its hash before it
/// was known, first of all the one under whose id it was told.
pub(crate) fn payee(state: &State, foreign_part: &ForeignPart) -> Option<Place> {
    let (hash, before) = (&foreign_part.payment_hash, foreign_part.created_seq);
    if foreign_part.disowned {
        return state.namer_of_hash(hash, before);
    }
    let own = state.place(&foreign_part.payment);
    let dispatched = own.filter(|_| foreign_part.part.details.earlier_try);
    dispatched.or_else(|| state.namer_for(&foreign_part.payment, hash, before))
}

/// A foreign part was taken. One that was dispatched for its payment pays that. Another pays whoever asked for
/// its hash before it was known, else the payment under which it was told if the ledger forgets nothing.
/// Else it may be of an obligation that is forgotten: telling paid would lose the goods, sending again
/// would pay twice, so it holds up its payment until somebody says. Gives also under which id it stands
/// then.
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

/// Under which payment a part with another hash was told.
pub(crate) struct Told {
    pub(crate) payment: PaymentId,
    pub(crate) part: PartId,
    pub(crate) payment_hash: PaymentHash,
}

/// A foreign part that pays nobody as far as is known: its hash is paid, and it blocks its payment.
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

/// A claimed part is not of the payment under which it was told: it holds it up no more. Its hash stays
/// known as paid.
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
    if !foreign_part.part.status.is_settled() {
        return Err(FactRefusal::NotClaimed { part, status: foreign_part.part.status });
    }
    let mut events = vec![Event::PartDisowned { id: foreign_part.payment, part, assertion }];
    let news = News { paid: &[], proof: None, ending: Ending::Told(&part), done: &[] };
    others::follow(state, context, &mut events, &news);
    Ok(apart(events))
}
