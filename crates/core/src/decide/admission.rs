//! Admission (SEMANTICS 2): a repeat is always answered as a repeat, and one hash is paid under one
//! id.

use alloc::vec;

use crate::{
    base::amount::{Msat, UnixMillis},
    base::faults,
    base::faults::Fault,
    base::ids::{PaymentHash, PaymentId},
    base::wire::is_readable,
    decide::command::{Pay, ReceiveInvoice},
    decide::config::SameHash,
    decide::decision::{Context, Decision},
    decide::refusal::{PayRefusal, ReceiveInvoiceRefusal},
    decide::reply::{FactReply, PayReply},
    event::event::{Event, Invoice},
    event::notification::NotificationId,
    event::request::{Deadline, Request, Target},
    event::status::Status,
    payment::payment::Payment,
    payment::tombstone::Outcome,
    state::place::Place,
    state::state::{Ending, HashHolder, State},
    state::views::PaymentView,
};

pub(crate) fn pay(
    state: &State,
    context: &Context<'_>,
    command: Pay,
) -> Result<Decision<PayReply>, PayRefusal> {
    let Pay { id, request, again_after } = command;
    // Before the node has told what is out nobody knows whether this invoice is being paid: accepted now
    // it could be paid a second time (SEMANTICS 7).
    if state.recovering {
        return Err(PayRefusal::Recovering);
    }
    // Repeats come before every other check (SEMANTICS 2, rule 2): an invoice that is paid and has
    // expired since must be answered "paid", or the caller pays it in another way.
    if let Some(view) = state.payment_view(&id)
        && !is_new_try(state, &id, again_after)
    {
        return repeat(state, view, &request).map(Decision::nothing);
    }
    // Rule 3: what the log lacks may be a payment of this very invoice, out or paid.
    if state.gap {
        return Err(PayRefusal::Restored);
    }
    // Rule 4: one invoice under two ids would be paid twice, and the payee keeps both.
    if let Some(hash) = request.target.payment_hash()
        && let Some(other) = hash_in_use(state, context, &hash, &id)
    {
        let same_payee = state.same_payee(&other, request.payee.as_ref());
        return Err(PayRefusal::HashInUse { other, same_payee });
    }
    // Rules 5 and 6, last: only what is new can be too late.
    check_request(&request, context.now)?;
    let events = vec![Event::PaymentAccepted { id, request, again_after }];
    Ok(Decision { events, reply: PayReply::Accepted })
}

/// What has this hash, so that a request under another id is refused. If two payments may have one hash,
/// then only a hash that is paid, a foreign part's or blocked, since money that pays it a second time is
/// lost.
fn hash_in_use(
    state: &State,
    context: &Context<'_>,
    payment_hash: &PaymentHash,
    id: &PaymentId,
) -> Option<HashHolder> {
    if faults::is(Fault::PaidHashAccepted) {
        return None;
    }
    match context.config.same_hash {
        SameHash::Refuse => state.hash_holder(payment_hash, id),
        SameHash::Allow => state.hash_over(payment_hash, id),
    }
}

/// Whether the command names the latest failure of an id that is over and has nothing out. A repeat that
/// was delayed in a queue names none, or an older one: it must not pay after the refund.
fn is_new_try(state: &State, id: &PaymentId, again_after: Option<NotificationId>) -> bool {
    let Some(named) = again_after else { return false };
    match state.place(id) {
        Some(Place::Payment(handle)) => {
            let payment = state.payments.get(handle);
            // A part of the earlier try that is out may still be claimed: then a new try would be a second payment.
            matches!(payment.status, Status::Failed { .. })
                && payment.is_resolved()
                && !state.is_blocked(payment, Ending::Nothing)
                && payment.failed_notification() == Some(named)
        }
        Some(Place::Tombstone(handle)) => {
            let tombstone = state.tombstones.get(handle);
            let latest = matches!(
                tombstone.outcome,
                Outcome::Failed { notification, .. } if notification == named
            );
            latest && !state.is_hash_blocked(tombstone.payment_hash.as_ref())
        }
        Some(Place::ForeignPart(_) | Place::HashPaid(_)) | None => false,
    }
}

fn repeat(state: &State, view: PaymentView, request: &Request) -> Result<PayReply, PayRefusal> {
    let id = view.id;
    // Answered as a repeat, another invoice would be taken for paid.
    if let Some(field) = state.difference(&id, request) {
        return Err(PayRefusal::Conflict { id, field });
    }
    // In the gap this payment may have been tried again and paid: "failed" would be a guess.
    if state.gap && matches!(view.status, Status::Failed { .. }) {
        return Err(PayRefusal::Restored);
    }
    Ok(PayReply::Duplicate(view))
}

fn check_request(request: &Request, now: UnixMillis) -> Result<(), PayRefusal> {
    if request.amount == Msat::ZERO {
        return Err(PayRefusal::ZeroAmount);
    }
    for amount in [Some(request.amount), request.max_fee.limit()].into_iter().flatten() {
        // Sums of larger amounts would saturate and show less than what is out (SEMANTICS 9).
        if amount > Msat::MAX {
            return Err(PayRefusal::AmountTooLarge { amount, limit: Msat::MAX });
        }
    }
    if let Some((field, bytes, limit)) = request.too_long() {
        return Err(PayRefusal::TooLong { field, bytes, limit });
    }
    // Such a request was read from somewhere, or made by hand. Recorded, it would close the log for good.
    if !request.details.unknown.is_empty() && !is_readable(request) {
        return Err(PayRefusal::UnreadableFields);
    }
    let deadline = match request.target {
        Target::Offer { deadline: Deadline::At(moment), .. } => Some(moment),
        _ => None,
    };
    match [request.expiry, deadline].into_iter().flatten().find(|limit| limit.is_past(now)) {
        Some(expiry) => Err(PayRefusal::Expired { expiry, now }),
        None => Ok(()),
    }
}

pub(crate) fn receive_invoice(
    state: &State,
    context: &Context<'_>,
    command: ReceiveInvoice,
) -> Result<Decision<FactReply>, ReceiveInvoiceRefusal> {
    let ReceiveInvoice { id, payment_hash, amount, expiry } = command;
    let invoice = Invoice { payment_hash, amount, expiry };
    // A part of this offer may be out for another invoice, and the node has not reported it yet (SEMANTICS 7).
    if state.recovering {
        return Err(ReceiveInvoiceRefusal::Recovering);
    }
    let Some((_, payment)) = state.live(&id) else {
        return Err(match state.payment_view(&id) {
            Some(PaymentView { status, .. }) => {
                ReceiveInvoiceRefusal::NotAwaitingInvoice { id, status }
            }
            None => ReceiveInvoiceRefusal::UnknownPayment { id },
        });
    };
    // The caller lost the reply. If this were refused, it might fetch another invoice and pay both (SEMANTICS 2).
    if payment.invoice() == Some(&invoice) {
        return Ok(Decision::nothing(FactReply::unchanged(Some(payment))));
    }
    // A second invoice, while the first may still be paid, would be a second payment (SEMANTICS 2).
    if payment.status != Status::AwaitingInvoice {
        return Err(ReceiveInvoiceRefusal::NotAwaitingInvoice { id, status: payment.status });
    }
    // The gap may contain this offer's payment, with an earlier invoice (SEMANTICS 7).
    if state.gap {
        return Err(ReceiveInvoiceRefusal::Restored);
    }
    // One invoice under two ids would be paid twice (SEMANTICS 2, rule 4).
    if let Some(other) = hash_in_use(state, context, &payment_hash, &id) {
        return Err(ReceiveInvoiceRefusal::HashInUse { other });
    }
    check_invoice(payment, &invoice, context.now)?;
    let reply = FactReply { changed: true, payment: Some((id, Status::Pending)) };
    Ok(Decision { events: vec![Event::InvoiceReceived { id, invoice }], reply })
}

fn check_invoice(
    payment: &Payment,
    invoice: &Invoice,
    now: UnixMillis,
) -> Result<(), ReceiveInvoiceRefusal> {
    if invoice.amount == Msat::ZERO {
        return Err(ReceiveInvoiceRefusal::ZeroAmount);
    }
    // The user agreed to the request's amount and to no more (SEMANTICS 2).
    if let Some(limit) = payment.amount().filter(|limit| invoice.amount > *limit) {
        return Err(ReceiveInvoiceRefusal::AmountTooLarge { amount: invoice.amount, limit });
    }
    // An invoice that is too late cannot be paid, and the offer could not take another one (SEMANTICS 2).
    let limits = [payment.expires(), invoice.expiry, payment.retry_limit()];
    match limits.into_iter().flatten().find(|limit| limit.is_past(now)) {
        Some(expiry) => Err(ReceiveInvoiceRefusal::Expired { expiry, now }),
        None => Ok(()),
    }
}
