//! Resolution (SEMANTICS 4): what the network shows about parts, accepted in any order in which it
//! can show it.

use alloc::{vec, vec::Vec};
use core::slice;

use crate::{
    base::faults::Fault,
    base::ids::{PartId, PaymentId},
    base::wire::{UnknownFields, is_readable},
    base::{faults, limits},
    decide::assertion::{check_assertion, check_assertion_text},
    decide::command::{Abandon, FailPart, FinalizePart, MarkPaid, ObservePart, WithdrawPart},
    decide::decision::{Context, Decision, apart, unchanged},
    decide::draft::{Draft, Proof},
    decide::foreign::claimed_foreign_part,
    decide::others,
    decide::others::News,
    decide::paid::mark_paid,
    decide::refusal::FactRefusal,
    decide::reply::{AbandonReply, FactReply},
    event::event::Event,
    event::part::{Failure, Observation, PartStatus},
    event::status::Status,
    payment::foreign_part::ForeignPart,
    payment::part::Part,
    payment::payment::Payment,
    state::state::{Ending, State},
    state::whose,
    state::whose::Known,
};

/// The part that a fact is about, whatever payment is named.
pub(super) enum Located<'a> {
    /// A part of a live payment, which need not be the one that was named.
    Own(&'a Payment, &'a Part),
    /// A foreign part, whichever payment it blocks.
    ForeignPart(&'a ForeignPart),
    /// A part of an earlier try of a payment, or of a remembered one: it is over.
    Over { settled: bool },
}

/// # Errors
/// If the ledger does not know the part.
pub(super) fn locate<'a>(
    state: &'a State,
    id: &PaymentId,
    part: &PartId,
) -> Result<Located<'a>, FactRefusal> {
    match whose::known(state, part, None) {
        Known::Own(payment, found) => Ok(Located::Own(payment, found)),
        Known::ForeignPart(foreign_part) => Ok(Located::ForeignPart(foreign_part)),
        Known::Former(_, former, _) => Ok(Located::Over { settled: former.settled }),
        Known::Nothing if state.place(id).is_some() => {
            Err(FactRefusal::UnknownPart { part: *part })
        }
        Known::Nothing => Err(FactRefusal::UnknownPayment { id: *id }),
    }
}

impl<'a> Located<'a> {
    fn part(&self) -> Option<&'a Part> {
        match self {
            Self::Own(_, part) => Some(part),
            Self::ForeignPart(foreign_part) => Some(&foreign_part.part),
            Self::Over { .. } => None,
        }
    }

    fn unchanged(&self) -> Decision<FactReply> {
        match self {
            Self::Own(payment, _) => unchanged(payment),
            Self::ForeignPart(_) | Self::Over { .. } => apart(Vec::new()),
        }
    }
}

/// Records that a foreign part leaves its channel with this event, and what follows for the payments
/// that it blocked. A claimed one still blocks the payment of its id: it is settled, and nobody has said
/// which payment it was.
fn of_foreign_part(
    state: &State,
    context: &Context<'_>,
    foreign_part: &ForeignPart,
    event: Event,
) -> Decision<FactReply> {
    let mut events = vec![event];
    // If it was claimed, it goes on blocking the payment of its id until somebody says which payment it
    // was; off its channel it blocks no other.
    let part = slice::from_ref(&foreign_part.part.id);
    let claimed = foreign_part.part.status == PartStatus::Claimed;
    let ending = if claimed { Ending::OnChannel(&part[0]) } else { Ending::ForeignParts(part) };
    let news = News { paid: &[], proof: None, ending, done: &[] };
    others::follow(state, context, &mut events, &news);
    apart(events)
}

/// *Never sent*: the weakest fact about a part. It has no effect on a part that the node has ever listed
/// as out, nor, at a start, on a resolved one.
pub(crate) fn withdraw(
    state: &State,
    context: &Context<'_>,
    command: WithdrawPart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let WithdrawPart { id, part } = command;
    let located = locate(state, &id, &part)?;
    let Some(found) = located.part() else { return Ok(located.unchanged()) };
    match found.status {
        // It was out once: no later report makes it never sent.
        PartStatus::InFlight if found.was_listed() => Ok(located.unchanged()),
        // The log is older than the channels: its HTLC may be signed for, and its amount would be paid
        // again.
        PartStatus::InFlight if state.gap => Err(FactRefusal::Restored),
        PartStatus::InFlight => Ok(match located {
            Located::Own(payment, _) => {
                let mut draft = Draft::of(state, context, payment);
                draft.record(Event::PartWithdrawn { id: payment.id, part });
                draft.conclude(false);
                draft.finish()
            }
            Located::ForeignPart(foreign_part) => {
                let id = foreign_part.payment;
                of_foreign_part(state, context, foreign_part, Event::PartWithdrawn { id, part })
            }
            Located::Over { .. } => apart(Vec::new()),
        }),
        PartStatus::Withdrawn => Ok(located.unchanged()),
        // At a start the weakest fact loses against any other, in whatever order they come.
        PartStatus::Claimed | PartStatus::Finalized | PartStatus::Failed if state.recovering => {
            Ok(located.unchanged())
        }
        status => Err(FactRefusal::NotInFlight { part, status }),
    }
}

/// Off the channel after a claim. At a start the log may lack the claim: then the part is paid, and the
/// proof is not known.
pub(crate) fn finalize(
    state: &State,
    context: &Context<'_>,
    command: FinalizePart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let FinalizePart { id, part } = command;
    let located = match locate(state, &id, &part) {
        Err(_) | Ok(Located::Over { settled: false }) if state.recovering => {
            // The part decides: it belongs to the payment that had it, whatever payment is named.
            let id = state.owner_of(&part).unwrap_or(id);
            let mut decision = mark_paid(state, context, MarkPaid::new(id).part(part))?;
            // It is off its channel as well: then a second report changes nothing.
            let claimed = decision.events.iter().find_map(|event| match event {
                Event::PartClaimed { id, part: of, .. } if *of == part => Some(*id),
                _ => None,
            });
            if let Some(id) = claimed {
                let notify = context.config.notify_parts;
                decision.events.push(Event::PartFinalized { id, part, notify });
            }
            return Ok(decision);
        }
        located => located?,
    };
    let Some(found) = located.part() else { return Ok(located.unchanged()) };
    match found.status {
        PartStatus::Claimed => Ok(finalized(state, context, &located, part)),
        PartStatus::Finalized => Ok(located.unchanged()),
        PartStatus::InFlight | PartStatus::Failed | PartStatus::Withdrawn if state.recovering => {
            gone(state, context, &located, part)
        }
        // A part that left its channel without a claim may be paid or failed. A wrong guess would lose
        // the goods or the refund (SEMANTICS 4).
        status => Err(FactRefusal::NotClaimed { part, status }),
    }
}

fn finalized(
    state: &State,
    context: &Context<'_>,
    located: &Located<'_>,
    part: PartId,
) -> Decision<FactReply> {
    match *located {
        Located::Own(payment, _) => {
            let mut draft = Draft::of(state, context, payment);
            let notify = context.config.notify_parts;
            draft.record(Event::PartFinalized { id: payment.id, part, notify });
            draft.conclude(false);
            draft.finish()
        }
        Located::ForeignPart(foreign_part) => {
            let event = Event::PartFinalized { id: foreign_part.payment, part, notify: false };
            of_foreign_part(state, context, foreign_part, event)
        }
        Located::Over { .. } => apart(Vec::new()),
    }
}

/// Gone, and the log lacks its claim: paid on the node's word. A foreign part pays the payment that its
/// claim would pay.
fn gone(
    state: &State,
    context: &Context<'_>,
    located: &Located<'_>,
    part: PartId,
) -> Result<Decision<FactReply>, FactRefusal> {
    let (id, mut decision, failed) = match located {
        Located::Own(payment, found) => {
            let word = MarkPaid::new(payment.id).part(part);
            (payment.id, mark_paid(state, context, word)?, found.status == PartStatus::Failed)
        }
        Located::ForeignPart(foreign_part) => {
            let proof = Proof::default();
            let (owner, decision) = claimed_foreign_part(state, context, foreign_part, proof);
            (owner, decision, foreign_part.part.status == PartStatus::Failed)
        }
        Located::Over { .. } => return Ok(apart(Vec::new())),
    };
    // One that had failed is off its channel already.
    if !failed {
        let own = matches!(located, Located::Own(..)) || decision.reply.payment.is_some();
        let notify = context.config.notify_parts && own;
        decision.events.push(Event::PartFinalized { id, part, notify });
    }
    Ok(decision)
}

pub(crate) fn fail(
    state: &State,
    context: &Context<'_>,
    command: FailPart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let FailPart { id, part, mut failure } = command;
    let located = locate(state, &id, &part)?;
    let Some(found) = located.part() else { return Ok(located.unchanged()) };
    check_assertion_text(failure.assertion.as_ref())?;
    // The failure is a fact, with or without fields that nobody knows; recorded with ones that are not read
    // back, it would close the log for good.
    if !failure.unknown.is_empty() && !is_readable(&failure) {
        failure.unknown = UnknownFields::NONE;
    }
    match found.status {
        // The payee has it: no failure takes that back.
        PartStatus::Finalized | PartStatus::Failed => return Ok(located.unchanged()),
        PartStatus::InFlight | PartStatus::Withdrawn => {
            let asserted = failure.assertion.is_some();
            // What is listed at this start stays out, in whatever order listing and failure come.
            let listed = found.is_listed_since(state.recovery_since)
                && !faults::is(Fault::ListedFailsAtStart);
            if state.recovering && listed && !asserted {
                return Ok(located.unchanged());
            }
            // A failure frees the amount to be sent again, so it is refused while the part may still be
            // claimed (SEMANTICS 4, Fail).
            check_failure(state, context, found, &failure)?;
        }
        PartStatus::Claimed => {}
    }
    Ok(match located {
        Located::Own(payment, found) => failed(state, context, payment, found, failure),
        Located::ForeignPart(foreign_part) => {
            let id = foreign_part.payment;
            let event = Event::PartFailed { id, part, failure, notify: false, rest_ms: 0 };
            of_foreign_part(state, context, foreign_part, event)
        }
        Located::Over { .. } => apart(Vec::new()),
    })
}

fn failed(
    state: &State,
    context: &Context<'_>,
    payment: &Payment,
    part: &Part,
    failure: Failure,
) -> Decision<FactReply> {
    let in_flight = part.status != PartStatus::Claimed;
    let unpaid = payment.status != Status::Fulfilled;
    // If the payment is paid, no part failure is notified: the user might send the amount again (SEMANTICS 4, Fail).
    let notify = context.config.notify_parts && in_flight && unpaid;
    let backoff =
        || payment.request().map_or(0, |request| request.backoff.after(payment.attempts()));
    // Tried again at once, a route that fails now would use up every attempt in a second.
    let rests = payment.status.is_open() && in_flight && !faults::is(Fault::NoRest);
    let rest_ms = if rests { failure.retry_after_ms.unwrap_or_else(backoff) } else { 0 };
    let mut draft = Draft::of(state, context, payment);
    draft.record(Event::PartFailed { id: payment.id, part: part.id, failure, notify, rest_ms });
    draft.conclude(in_flight);
    draft.finish()
}

/// Checks that a reported failure is that of this part.
fn check_failure(
    state: &State,
    context: &Context<'_>,
    part: &Part,
    failure: &Failure,
) -> Result<(), FactRefusal> {
    if let Some(assertion) = &failure.assertion {
        return check_assertion(state, context, part, assertion);
    }
    let id = part.id;
    // An engine that knows the hash alone still shows the end of an earlier try: taken for this one, it
    // would refund a payment that the engine is about to make.
    if let Some(seen) = part.label().and_then(|label| label.mark)
        && failure.mark.is_none_or(|mark| mark <= seen)
        && !faults::is(Fault::StaleEnds)
    {
        return Err(FactRefusal::StaleEnd { part: id, seen, told: failure.mark });
    }
    // A saying that still waits somewhere may yet be paid.
    let (said, over) = (part.sayings(), failure.sayings.max(1));
    if over < said && !faults::is(Fault::SayingsForgotten) {
        return Err(FactRefusal::SayingsOut { part: id, said, over });
    }
    Ok(())
}

pub(crate) fn observe(
    state: &State,
    context: &Context<'_>,
    command: ObservePart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let ObservePart { id, part, kind, bytes } = command;
    let payment = match locate(state, &id, &part)? {
        Located::Own(payment, _) => payment,
        Located::ForeignPart(_) | Located::Over { .. } => return Ok(apart(Vec::new())),
    };
    if bytes.len() > limits::OBSERVATION_BYTES {
        let limit = limits::OBSERVATION_BYTES;
        return Err(FactRefusal::TooLong { bytes: bytes.len(), limit });
    }
    let observation = Observation { part, kind, bytes };
    if payment.observations().contains(&observation) {
        return Ok(unchanged(payment));
    }
    if payment.observations().len() >= limits::PAYMENT_OBSERVATIONS {
        let (id, limit) = (payment.id, limits::PAYMENT_OBSERVATIONS);
        return Err(FactRefusal::TooManyObservations { id, limit });
    }
    let mut draft = Draft::of(state, context, payment);
    draft.record(Event::PartObserved { id: payment.id, observation });
    Ok(draft.finish())
}

pub(crate) fn abandon(
    state: &State,
    context: &Context<'_>,
    command: Abandon,
) -> Result<Decision<AbandonReply>, FactRefusal> {
    let Abandon { id, reason } = command;
    let Some(view) = state.payment_view(&id) else {
        return Err(FactRefusal::UnknownPayment { id });
    };
    let status = view.status;
    // It is over, or was abandoned before: nothing changes, and the first reason stays (SEMANTICS 4, Abandon).
    let Some((_, payment)) = state.live(&id).filter(|_| status.is_open()) else {
        return Ok(Decision::nothing(AbandonReply { changed: false, status }));
    };
    let mut draft = Draft::of(state, context, payment);
    draft.abandon(reason);
    let status = draft.payment.status;
    Ok(draft.finish().map(|_| AbandonReply { changed: true, status }))
}
