//! Dispatch (SEMANTICS 3): recorded before anything is offered, and refused in a fixed order.

use alloc::{vec, vec::Vec};

use crate::{
    base::amount::{Msat, UnixMillis},
    base::faults::Fault,
    base::ids::PartId,
    base::wire::UnknownFields,
    base::{faults, limits},
    decide::command::{Dispatch, NewPart, SayAgain},
    decide::decision::{Context, Decision},
    decide::draft::{Draft, with_allowance},
    decide::refusal::{DispatchRefusal, FactRefusal},
    decide::reply::{DispatchReply, FactReply},
    event::event::Event,
    event::part::{PartKind, PartStatus, PartTerms},
    event::request::RetryPolicy,
    event::status::Status,
    payment::part::Part,
    payment::payment::Payment,
    state::forbidden::{Forbids, forbidden_by},
    state::state::State,
    state::views::PaymentView,
    state::whose,
    state::whose::Known,
};

pub(crate) fn dispatch(
    state: &State,
    context: &Context<'_>,
    command: Dispatch,
) -> Result<Decision<DispatchReply>, DispatchRefusal> {
    let Dispatch { id, attempt, parts } = command;
    // A part of this payment may be out of which the node has not told yet: its amount would leave again.
    if state.recovering {
        return Err(DispatchRefusal::Recovering);
    }
    let Some((_, payment)) = state.live(&id) else {
        return Err(match state.payment_view(&id) {
            Some(PaymentView { status, .. }) => DispatchRefusal::NotOpen { id, status },
            None => DispatchRefusal::UnknownPayment { id },
        });
    };
    // The answer was lost, the batch is recorded (SEMANTICS 3, row 3): recorded once more it would go out
    // twice, refused it would be taken for never sent. Being told so is no right to offer it.
    if let Some(statuses) = same_batch(payment, &parts) {
        return Ok(Decision::nothing(DispatchReply::Duplicate { statuses }));
    }
    check_parts(state, &parts)?;
    check_open(state, payment, &parts)?;
    check_time(state, payment, context.now)?;
    // Two workers who read the same remaining amount would both fill it: the second one's number is used
    // (row 12).
    let expected = payment.next_attempt();
    if attempt != expected && !faults::is(Fault::StaleAttempts) {
        return Err(DispatchRefusal::StaleAttempt { stated: attempt, expected });
    }
    // What is out or settled is enough: the payee would keep the rest (row 13).
    if payment.remaining_amount() == Msat::ZERO {
        return Err(DispatchRefusal::NothingMissing);
    }
    let terms = terms_of(payment, &parts);
    // Holds because of `check_parts` and the rule above. A part of 0 msat could never be claimed and would block its payment.
    debug_assert!(terms.iter().all(|part| part.amount > Msat::ZERO), "every part pays something");
    check_sums(payment, &terms, context.config.overpay_percent)?;
    check_count(payment, terms.len())?;
    let ids = terms.iter().map(|part| part.id).collect();
    let events = vec![Event::PartsDispatched { id, attempt, parts: terms.into() }];
    let reply = DispatchReply::Recorded { id, status: payment.status, parts: ids };
    Ok(Decision { events, reply })
}

/// The statuses of the batch of this payment that is exactly these parts, whatever their order.
fn same_batch(payment: &Payment, parts: &[NewPart]) -> Option<Vec<(PartId, PartStatus)>> {
    let batch = payment.part(parts.first()?.id())?.batch;
    if batch == 0 {
        return None;
    }
    let known: Vec<&Part> = payment.parts.iter().filter(|part| part.batch == batch).collect();
    let same = known.len() == parts.len()
        && known.iter().all(|known| parts.iter().any(|part| is_same(known, part)));
    same.then(|| known.iter().map(|part| (part.id, part.status)).collect())
}

fn is_same(known: &Part, part: &NewPart) -> bool {
    match *part {
        // Its label is not compared: the recorded one stays.
        NewPart::Delegated { id, .. } => known.id == id && known.kind == PartKind::Delegated,
        NewPart::Htlc { id, amount, fee, cltv_expiry, first_channel } => {
            let kind = PartKind::Htlc { cltv_expiry: Some(cltv_expiry), first_channel };
            known.id == id
                && known.amount == Some(amount)
                && known.fee == Some(fee)
                && known.kind == kind
        }
    }
}

fn check_parts(state: &State, parts: &[NewPart]) -> Result<(), DispatchRefusal> {
    if parts.is_empty() {
        return Err(DispatchRefusal::EmptyBatch);
    }
    // Under one id the end of one HTLC would be told of the other: money that is out would count as back
    // (row 4).
    let known = |part: &PartId| !matches!(whose::known(state, part, None), Known::Nothing);
    let in_use = match parts {
        [only] => Some(*only.id()).filter(known),
        _ => {
            let mut ids: Vec<PartId> = parts.iter().map(|part| *part.id()).collect();
            ids.sort_unstable();
            let twice = ids.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
            twice.or_else(|| ids.into_iter().find(known))
        }
    };
    if let Some(part) = in_use {
        return Err(DispatchRefusal::PartInUse { part });
    }
    for part in parts {
        match *part {
            // It may spend all that is missing: what stands beside it would be paid on top (row 5).
            NewPart::Delegated { id, .. } if parts.len() > 1 => {
                return Err(DispatchRefusal::DelegatedNotAlone { part: id });
            }
            NewPart::Delegated { label: Some(ref label), .. }
                if label.engine.len() > limits::LABEL_BYTES =>
            {
                let (bytes, limit) = (label.engine.len(), limits::LABEL_BYTES);
                return Err(DispatchRefusal::LabelTooLong { bytes, limit });
            }
            NewPart::Delegated { .. } => {}
            NewPart::Htlc { id, amount, .. } if amount == Msat::ZERO => {
                return Err(DispatchRefusal::ZeroAmount { part: id });
            }
            NewPart::Htlc { amount, fee, .. } => {
                if let Some(amount) = [amount, fee].into_iter().find(|amount| *amount > Msat::MAX) {
                    return Err(DispatchRefusal::AmountTooLarge { amount, limit: Msat::MAX });
                }
            }
        }
    }
    Ok(())
}

fn check_open(state: &State, payment: &Payment, parts: &[NewPart]) -> Result<(), DispatchRefusal> {
    let delegated = parts.iter().any(|part| matches!(part, NewPart::Delegated { .. }));
    // A part for a payment that is paid or refunded is lost money (row 6). An offer without its invoice
    // can only be handed over.
    let open = match payment.status {
        Status::Pending => true,
        Status::AwaitingInvoice => delegated,
        Status::Fulfilled | Status::Abandoned { .. } | Status::Failed { .. } => false,
    };
    if !open {
        return Err(DispatchRefusal::NotOpen { id: payment.id, status: payment.status });
    }
    // The part that the log lacks may be of this payment (row 7).
    if state.gap {
        return Err(DispatchRefusal::Restored);
    }
    // A hash that is out or paid elsewhere, or a part of an earlier try that may still be taken: this
    // batch would be the second payment (row 8).
    match forbidden_by(state, payment) {
        Some(Forbids::Hash(other)) => Err(DispatchRefusal::HashInUse { other }),
        Some(Forbids::Part(part)) => Err(DispatchRefusal::PartOut { part }),
        None => Ok(()),
    }
}

fn check_time(state: &State, payment: &Payment, now: UnixMillis) -> Result<(), DispatchRefusal> {
    // A payee that has given the invoice up may take the money and not deliver (row 9).
    if let Some(expiry) = payment.expires().filter(|expiry| expiry.is_past(now)) {
        return Err(DispatchRefusal::Expired { expiry, now });
    }
    // After the attempts and the retry deadline that the user chose, they may have bought elsewhere: a
    // later batch would pay for nothing (rows 10 and 11).
    if let RetryPolicy::Attempts(retries) = payment.retry()
        && payment.attempts_used_up()
    {
        return Err(DispatchRefusal::AttemptsUsedUp { attempts: payment.attempts(), retries });
    }
    match payment.retry_limit().filter(|_| payment.retry_time_past(now, state.tick)) {
        Some(until) => Err(DispatchRefusal::RetryTimePast { until, now }),
        None => Ok(()),
    }
}

/// A delegated part counts all that is missing and all that may be spent on fees: the engine may
/// use it.
fn terms_of(payment: &Payment, parts: &[NewPart]) -> Vec<PartTerms> {
    let terms = |part: &NewPart| match *part {
        NewPart::Delegated { id, ref label } => PartTerms {
            id,
            // The engine may send all of it, so all of it counts as in flight and nothing else can be dispatched.
            amount: payment.remaining_amount(),
            fee: payment.fee_budget().unwrap_or_default(),
            kind: PartKind::Delegated,
            label: label.clone(),
            unknown: UnknownFields::NONE,
        },
        NewPart::Htlc { id, amount, fee, cltv_expiry, first_channel } => PartTerms {
            id,
            amount,
            fee,
            kind: PartKind::Htlc { cltv_expiry: Some(cltv_expiry), first_channel },
            label: None,
            unknown: UnknownFields::NONE,
        },
    };
    parts.iter().map(terms).collect()
}

fn check_sums(
    payment: &Payment,
    terms: &[PartTerms],
    overpay_percent: u8,
) -> Result<(), DispatchRefusal> {
    let counted = payment.counted();
    let sum = |pick: fn(&PartTerms) -> Msat| {
        terms.iter().fold(Msat::ZERO, |sum, part| sum.saturating_add(pick(part)))
    };
    let amount = payment.amount().unwrap_or_default();
    let limit = with_allowance(amount, overpay_percent);
    let added = sum(|part| part.amount);
    // The payee keeps what is too much; BOLT 4 lets it take up to twice the amount (row 14).
    let exceeds = counted.amount.saturating_add(added) > limit;
    if exceeds && !faults::is(Fault::OverpaysUnchecked) {
        let in_flight = counted.amount;
        return Err(DispatchRefusal::Overpays { in_flight, added, amount, limit });
    }
    let Some(limit) = payment.request().and_then(|request| request.max_fee.limit()) else {
        return Ok(());
    };
    // The limit is of the payment, not of an attempt: fees that are out are spent until they are back. A
    // part of unknown fee may spend all of it (row 15).
    let spent = if counted.fee_complete { Msat::ZERO } else { limit };
    let (in_flight, added) = (counted.fee.max(spent), sum(|part| part.fee));
    let exceeds = in_flight.saturating_add(added) > limit;
    if exceeds && !faults::is(Fault::FeesUnchecked) {
        return Err(DispatchRefusal::FeesTooHigh { in_flight, added, limit });
    }
    Ok(())
}

fn check_count(payment: &Payment, added: usize) -> Result<(), DispatchRefusal> {
    if added > limits::BATCH_PARTS {
        return Err(DispatchRefusal::TooManyParts { known: 0, added, limit: limits::BATCH_PARTS });
    }
    let known = payment.counted_parts();
    if known + added > limits::PAYMENT_PARTS {
        return Err(DispatchRefusal::TooManyParts { known, added, limit: limits::PAYMENT_PARTS });
    }
    Ok(())
}

/// Records a further saying of a hand-over before it is made, so that every saying is counted. Only for
/// a part in flight.
pub(crate) fn say_again(
    state: &State,
    context: &Context<'_>,
    command: SayAgain,
) -> Result<Decision<FactReply>, FactRefusal> {
    let SayAgain { id, part } = command;
    // The gap may contain the end of this hand-over: then the engine would take it as a new one and pay
    // a second time (SEMANTICS 7).
    if state.gap {
        return Err(FactRefusal::Restored);
    }
    match whose::known(state, &part, None) {
        Known::Own(payment, known) => {
            // If a hand-over that is over were said again, the engine would take it as a new payment (SEMANTICS 3).
            if known.status != PartStatus::InFlight || known.kind != PartKind::Delegated {
                return Err(FactRefusal::NotInFlight { part, status: known.status });
            }
            let hash = payment.part_hash(known);
            // If the hash was paid under another id meanwhile, the engine would pay a settled invoice (SEMANTICS 4).
            let other = hash.and_then(|hash| state.hash_blocker(hash, &payment.id));
            if let Some(other) = other {
                return Err(FactRefusal::HashInUse { other });
            }
            let mut draft = Draft::of(state, context, payment);
            draft.record(Event::PartSaidAgain { id: payment.id, part });
            Ok(draft.finish())
        }
        _ if state.place(&id).is_some() => Err(FactRefusal::UnknownPart { part }),
        _ => Err(FactRefusal::UnknownPayment { id }),
    }
}
