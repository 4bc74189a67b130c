//! Dispatch (SEMANTICS 3): recorded before anything is offered, and refused in a fixed order.

use alloc::{vec, vec::Vec};

use crate::{
    amount::{Msat, UnixMillis},
    command::{Dispatch, NewPart},
    decide::{Context, Decision},
    event::Event,
    ids::PartId,
    limits,
    part::{Fate, Part, PartKind, PartTerms},
    payment::Payment,
    refusal::DispatchRefusal,
    reply::{DispatchReply, Standing},
    request::RetryPolicy,
    state::State,
    status::Status,
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
        return Err(match state.standing(&id) {
            Some(Standing { status, .. }) => DispatchRefusal::NotOpen { id, status },
            None => DispatchRefusal::UnknownPayment { id },
        });
    };
    if let Some(fates) = same_batch(payment, &parts) {
        return Ok(Decision::nothing(DispatchReply::Duplicate { fates }));
    }
    check_parts(state, &parts)?;
    check_open(state, payment, &parts)?;
    check_time(payment, context.now)?;
    let expected = payment.attempts() + 1;
    if attempt != expected {
        return Err(DispatchRefusal::StaleAttempt { stated: attempt, expected });
    }
    if payment.missing() == Msat::ZERO {
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

/// The fates of the batch of this payment that is exactly these parts, whatever their order.
fn same_batch(payment: &Payment, parts: &[NewPart]) -> Option<Vec<(PartId, Fate)>> {
    let batch = payment.part(parts.first()?.id())?.batch;
    if batch == 0 {
        return None;
    }
    let known: Vec<&Part> = payment.parts.iter().filter(|part| part.batch == batch).collect();
    let same = known.len() == parts.len()
        && known.iter().all(|known| parts.iter().any(|part| is_same(known, part)));
    same.then(|| known.iter().map(|part| (part.id, part.fate)).collect())
}

fn is_same(known: &Part, part: &NewPart) -> bool {
    match *part {
        NewPart::Delegated { id } => known.id == id && known.kind == PartKind::Delegated,
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
    let known = |part: &PartId| state.part_place(part).is_some() || state.is_former(part);
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
            NewPart::Delegated { id } if parts.len() > 1 => {
                return Err(DispatchRefusal::DelegatedNotAlone { part: id });
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
    let blocker = payment.payment_hash().and_then(|hash| state.hash_blocker(&hash, &payment.id));
    match blocker.or_else(|| state.former_part_out(payment)) {
        Some(other) => Err(DispatchRefusal::HashInUse { other }),
        None => Ok(()),
    }
}

fn check_time(payment: &Payment, now: UnixMillis) -> Result<(), DispatchRefusal> {
    if let Some(expiry) = payment.expires().filter(|expiry| expiry.is_past(now)) {
        return Err(DispatchRefusal::Expired { expiry, now });
    }
    if let RetryPolicy::Attempts(retries) = payment.retry()
        && payment.attempts_used_up()
    {
        return Err(DispatchRefusal::AttemptsUsedUp { attempts: payment.attempts(), retries });
    }
    match payment.retry_limit().filter(|until| until.is_past(now)) {
        Some(until) => Err(DispatchRefusal::RetryTimePast { until, now }),
        None => Ok(()),
    }
}

/// A delegated part counts all that is missing and all that may be spent on fees: the engine may
/// use it.
fn terms_of(payment: &Payment, parts: &[NewPart]) -> Vec<PartTerms> {
    let terms = |part: &NewPart| match *part {
        NewPart::Delegated { id } => PartTerms {
            id,
            amount: payment.missing(),
            fee: payment.fee_budget().unwrap_or_default(),
            kind: PartKind::Delegated,
        },
        NewPart::Htlc { id, amount, fee, cltv_expiry, first_channel } => PartTerms {
            id,
            amount,
            fee,
            kind: PartKind::Htlc { cltv_expiry: Some(cltv_expiry), first_channel },
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
    if counted.amount.saturating_add(added) > limit {
        let in_flight = counted.amount;
        return Err(DispatchRefusal::Overpays { in_flight, added, amount, limit });
    }
    let Some(limit) = payment.request().and_then(|request| request.max_fee) else { return Ok(()) };
    // A part of unknown fee may spend all of it.
    let spent = if counted.fee_complete { Msat::ZERO } else { limit };
    let (in_flight, added) = (counted.fee.max(spent), sum(|part| part.fee));
    if in_flight.saturating_add(added) > limit {
        return Err(DispatchRefusal::FeesTooHigh { in_flight, added, limit });
    }
    Ok(())
}

/// An amount is at most 2.1 * 10^18, so a hundred and fifty-five percent more still fit.
fn with_allowance(amount: Msat, percent: u8) -> Msat {
    let allowance = u128::from(amount.0) * u128::from(percent) / 100;
    amount.saturating_add(Msat(u64::try_from(allowance).unwrap_or(u64::MAX)))
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
