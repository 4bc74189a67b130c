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
    if state.recovering {
        return Err(DispatchRefusal::Recovering);
    }
    let Some((_, payment)) = state.live(&id) else {
        return Err(match state.payment_view(&id) {
            Some(PaymentView { status, .. }) => DispatchRefusal::NotOpen { id, status },
            None => DispatchRefusal::UnknownPayment { id },
        });
    };
    if let Some(statuses) = same_batch(payment, &parts) {
        return Ok(Decision::nothing(DispatchReply::Duplicate { statuses }));
    }
    check_parts(state, &parts)?;
    check_open(state, payment, &parts)?;
    check_time(state, payment, context.now)?;
    let expected = payment.next_attempt();
    if attempt != expected && !faults::is(Fault::StaleAttempts) {
        return Err(DispatchRefusal::StaleAttempt { stated: attempt, expected });
    }
    if payment.remaining_amount() == Msat::ZERO {
        return Err(DispatchRefusal::NothingMissing);
    }
    let terms = terms_of(payment, &parts);
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
        // Its label is not compared: the first one stands.
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
    let open = match payment.status {
        Status::Pending => true,
        Status::AwaitingInvoice => delegated,
        Status::Fulfilled | Status::Abandoned { .. } | Status::Failed { .. } => false,
    };
    if !open {
        return Err(DispatchRefusal::NotOpen { id: payment.id, status: payment.status });
    }
    if state.gap {
        return Err(DispatchRefusal::Restored);
    }
    match forbidden_by(state, payment) {
        Some(Forbids::Hash(other)) => Err(DispatchRefusal::HashInUse { other }),
        Some(Forbids::Part(part)) => Err(DispatchRefusal::PartOut { part }),
        None => Ok(()),
    }
}

fn check_time(state: &State, payment: &Payment, now: UnixMillis) -> Result<(), DispatchRefusal> {
    if let Some(expiry) = payment.expires().filter(|expiry| expiry.is_past(now)) {
        return Err(DispatchRefusal::Expired { expiry, now });
    }
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
    let exceeds = counted.amount.saturating_add(added) > limit;
    if exceeds && !faults::is(Fault::OverpaysUnchecked) {
        let in_flight = counted.amount;
        return Err(DispatchRefusal::Overpays { in_flight, added, amount, limit });
    }
    let Some(limit) = payment.request().and_then(|request| request.max_fee.limit()) else {
        return Ok(());
    };
    // A part of unknown fee may spend all of it.
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

/// Says a hand-over again: recorded first, so that every saying is counted. Only what is in flight.
pub(crate) fn say_again(
    state: &State,
    context: &Context<'_>,
    command: SayAgain,
) -> Result<Decision<FactReply>, FactRefusal> {
    let SayAgain { id, part } = command;
    if state.gap {
        return Err(FactRefusal::Restored);
    }
    match whose::known(state, &part, None) {
        Known::Own(payment, known) => {
            if known.status != PartStatus::InFlight || known.kind != PartKind::Delegated {
                return Err(FactRefusal::NotInFlight { part, status: known.status });
            }
            let hash = payment.part_hash(known);
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
