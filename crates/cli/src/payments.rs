//! Payments as rows: what a state knows of them, and, of those that a state has forgotten, what the log
//! says.

use std::{collections::HashMap, ops::ControlFlow};

use payonce::{
    Event, ListedPayment, Listing, Page, Payment, PaymentHash, PaymentId, State, Status,
    StatusKind, UnixMillis,
    audit::{EventSource, Record, ReplayError, history},
    machine::{ListError, ListingCursor},
};
use serde::Serialize;

use crate::{
    rows::{Row, cell},
    story::Story,
    units::{Clock, sat_number},
};

/// A payment, for a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PaymentRow {
    pub(crate) id: String,
    pub(crate) payment_hash: Option<String>,
    /// `awaiting_invoice`, `pending`, `fulfilled`, `abandoned`, `failed`, or `forgotten`.
    pub(crate) status: &'static str,
    /// Why it was given up.
    pub(crate) reason: Option<String>,
    /// Of a paid one what reached the payee, else what is asked for.
    pub(crate) amount_msat: Option<u64>,
    /// Of a paid one what the routes took, else what they would.
    pub(crate) fee_msat: Option<u64>,
    pub(crate) attempts: Option<u32>,
    pub(crate) parts: Option<usize>,
    pub(crate) unresolved_parts: usize,
    pub(crate) accepted_at_ms: Option<u64>,
    pub(crate) changed_at_ms: Option<u64>,
    /// Since the last change.
    pub(crate) age_ms: Option<u64>,
    /// Whether something beside its own parts blocks it.
    pub(crate) blocked: bool,
    /// Whether only its outcome is left.
    pub(crate) remembered: bool,
    pub(crate) preimage: Option<String>,
    /// The caller's own, as text where it is one, else in hex.
    pub(crate) metadata: Option<String>,
    /// What goes on behind it: `--after`.
    #[serde(serialize_with = "as_text")]
    pub(crate) cursor: ListingCursor,
}

fn as_text<S: serde::Serializer>(cursor: &ListingCursor, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cursor)
}

impl Row for PaymentRow {
    const HEADS: &'static [&'static str] =
        &["id", "status", "amount (sat)", "fee (sat)", "attempts", "parts", "last change", "age"];

    fn cells(&self, clock: &Clock) -> Vec<String> {
        let number =
            |number: Option<u64>| number.map_or("-".into(), |msat| sat_number(payonce::Msat(msat)));
        let count = |count: Option<usize>| count.map_or("-".into(), |count| count.to_string());
        let out = match self.unresolved_parts {
            0 => String::new(),
            out => format!(" ({out} out)"),
        };
        let status = self.status.replace('_', " ");
        let changed = self.changed_at_ms.map(UnixMillis);
        vec![
            self.id.chars().take(12).collect(),
            self.reason.as_ref().map_or(status.clone(), |reason| format!("{status}: {reason}")),
            number(self.amount_msat),
            number(self.fee_msat),
            count(self.attempts.map(|attempts| attempts as usize)),
            count(self.parts) + &out,
            changed.map_or("-".into(), |at| clock.moment(at)),
            changed.map_or("-".into(), |at| clock.age(at)),
        ]
    }
}

/// The name of a status in listings and filters.
pub(crate) const fn status_name(kind: StatusKind) -> &'static str {
    match kind {
        StatusKind::AwaitingInvoice => "awaiting_invoice",
        StatusKind::Pending => "pending",
        StatusKind::Fulfilled => "fulfilled",
        StatusKind::Abandoned => "abandoned",
        StatusKind::Failed => "failed",
    }
}

fn reason(status: Status) -> Option<String> {
    match status {
        Status::Abandoned { reason } | Status::Failed { reason } => Some(reason.to_string()),
        _ => None,
    }
}

/// What the log says of a payment, whatever the state still knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    pub(crate) accepted_at: Option<UnixMillis>,
    pub(crate) accepted_seq: u64,
    pub(crate) changed_at: UnixMillis,
    pub(crate) payment_hash: Option<PaymentHash>,
    pub(crate) attempts: u32,
    pub(crate) parts: usize,
    pub(crate) metadata: Vec<u8>,
    /// How it ended, if it did.
    pub(crate) ended: Option<Ended>,
}

impl Trace {
    /// What its story says of a payment that the state does not hold in full.
    pub(crate) fn of(story: &Story) -> Self {
        let first = story.events.first();
        let accepted = first.filter(|event| event.event == "payment_accepted");
        Self {
            accepted_at: accepted.map(|event| UnixMillis(event.at_ms)),
            accepted_seq: accepted.or(first).map_or(0, |event| event.seq),
            changed_at: UnixMillis(story.events.last().map_or(0, |event| event.at_ms)),
            attempts: story.lives.iter().map(|life| life.attempt).max().unwrap_or(0),
            parts: story.lives.len(),
            payment_hash: story.payment_hash,
            metadata: story.metadata.clone(),
            ended: story.ended,
        }
    }
}

/// How a payment ended, by its last event that says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) amount: Option<u64>,
    pub(crate) fee: Option<u64>,
}

/// All payments that the log tells of.
pub(crate) type Traces = HashMap<PaymentId, Trace>;

/// Reads the whole log for the payments in it.
pub(crate) fn traces(log: &impl EventSource, until: u64) -> Result<Traces, ReplayError> {
    let mut traces = Traces::new();
    history(log, |record| {
        if record.header.first_seq > until {
            return ControlFlow::Break(());
        }
        trace(&mut traces, &record);
        ControlFlow::Continue(())
    })?;
    Ok(traces)
}

fn trace(traces: &mut Traces, record: &Record) {
    for (seq, event) in (record.header.first_seq..).zip(&record.events) {
        let Some(id) = event.payment() else { continue };
        // An anomaly may name what is no payment here.
        if matches!(event, Event::AnomalyNoted { .. }) && !traces.contains_key(id) {
            continue;
        }
        let known = traces.entry(*id);
        let trace = known.or_insert_with(|| Trace { accepted_seq: seq, ..Trace::default() });
        trace.changed_at = record.header.now;
        match event {
            Event::PaymentAccepted { request, .. } => {
                (trace.accepted_at, trace.accepted_seq) = (Some(record.header.now), seq);
                trace.payment_hash = request.target.payment_hash();
                trace.metadata = request.metadata.as_bytes().to_vec();
                (trace.attempts, trace.parts, trace.ended) = (0, 0, None);
            }
            Event::PaymentAdopted { payment_hash, .. } => trace.payment_hash = *payment_hash,
            Event::InvoiceReceived { invoice, .. } => {
                trace.payment_hash = Some(invoice.payment_hash);
            }
            Event::PartsDispatched { attempt, parts, .. } => {
                trace.attempts = *attempt;
                trace.parts += parts.len();
            }
            Event::PartAdopted { .. } => trace.parts += 1,
            Event::PaymentSent { amount, fee, .. } | Event::PaymentSettled { amount, fee, .. } => {
                trace.ended =
                    Some(Ended { amount: amount.map(|sum| sum.0), fee: fee.map(|sum| sum.0) });
            }
            _ => {}
        }
    }
}

/// A payment that the state holds.
pub(crate) fn live_row(
    state: &State,
    payment: &Payment,
    clock: &Clock,
    reveal: bool,
) -> PaymentRow {
    let view = state.payment_view(payment.id());
    let paid = view.and_then(|view| view.paid);
    let out = payment.in_flight();
    let amount = paid.map_or_else(|| payment.amount(), |paid| paid.amount);
    let fee = paid.map_or_else(|| out.known_fee(), |paid| paid.fee);
    let preimage = payment.preimage();
    PaymentRow {
        id: payment.id().to_string(),
        payment_hash: payment.payment_hash().map(|hash| hash.to_string()),
        status: status_name(payment.status().kind()),
        reason: reason(payment.status()),
        amount_msat: amount.map(|sum| sum.0),
        fee_msat: fee.map(|sum| sum.0),
        attempts: Some(payment.attempts()),
        parts: Some(payment.parts().len()),
        unresolved_parts: view.map_or(0, |view| view.unresolved),
        accepted_at_ms: Some(payment.created_at().0),
        changed_at_ms: Some(last_change(payment).0),
        age_ms: clock.now.0.checked_sub(last_change(payment).0),
        blocked: view.is_some_and(|view| view.blocked),
        remembered: false,
        preimage: preimage.map(|proof| if reveal { proof.to_string() } else { "hidden".into() }),
        metadata: payment.request().and_then(|request| metadata(request.metadata.as_bytes())),
        cursor: ListingCursor::at(state.ledger_id(), payment.created_seq()),
    }
}

/// When a payment or a part of it changed last.
pub(crate) fn last_change(payment: &Payment) -> UnixMillis {
    let parts = payment.parts().iter().map(|part| part.recorded_at);
    parts.fold(payment.status_at(), UnixMillis::max)
}

/// A payment that the ledger holds or remembers, as its listing tells it; of one of which only the outcome
/// is left, the log tells how often it was tried.
pub(crate) fn listed_row(
    state: &State,
    listed: &ListedPayment,
    trace: Option<&Trace>,
    clock: &Clock,
    reveal: bool,
) -> PaymentRow {
    let view = &listed.view;
    if let Some(payment) = state.payment(&view.id) {
        return live_row(state, payment, clock, reveal);
    }
    let request = listed.request.as_ref();
    let amount = view.paid.map_or(request.map(|request| request.amount), |paid| paid.amount);
    let preimage = view.paid.and_then(|paid| paid.preimage);
    PaymentRow {
        id: view.id.to_string(),
        payment_hash: listed.payment_hash.map(|hash| hash.to_string()),
        status: status_name(view.status.kind()),
        reason: reason(view.status),
        amount_msat: amount.map(|sum| sum.0),
        fee_msat: view.paid.and_then(|paid| paid.fee).map(|sum| sum.0),
        attempts: trace.map(|trace| trace.attempts),
        parts: trace.map(|trace| trace.parts),
        unresolved_parts: view.unresolved,
        accepted_at_ms: Some(listed.accepted_at.0),
        changed_at_ms: Some(listed.status_at.0),
        age_ms: clock.now.0.checked_sub(listed.status_at.0),
        blocked: view.blocked,
        remembered: view.remembered,
        preimage: preimage.map(|proof| if reveal { proof.to_string() } else { "hidden".into() }),
        metadata: request.and_then(|request| metadata(request.metadata.as_bytes())),
        cursor: ListingCursor::at(state.ledger_id(), listed.accepted_seq),
    }
}

/// A payment of which only the log, or its outcome, tells: as its story tells it.
pub(crate) fn gone_row(
    state: &State,
    (id, trace): (&PaymentId, &Trace),
    clock: &Clock,
    reveal: bool,
) -> PaymentRow {
    let view = state.payment_view(id);
    let paid = view.and_then(|view| view.paid);
    let preimage = paid.and_then(|paid| paid.preimage);
    PaymentRow {
        id: id.to_string(),
        payment_hash: trace.payment_hash.map(|hash| hash.to_string()),
        status: view.map_or("forgotten", |view| status_name(view.status.kind())),
        reason: view.and_then(|view| reason(view.status)),
        amount_msat: paid
            .and_then(|paid| paid.amount.map(|sum| sum.0))
            .or_else(|| trace.ended.and_then(|ended| ended.amount)),
        fee_msat: paid
            .and_then(|paid| paid.fee.map(|sum| sum.0))
            .or_else(|| trace.ended.and_then(|ended| ended.fee)),
        attempts: Some(trace.attempts),
        parts: Some(trace.parts),
        unresolved_parts: view.map_or(0, |view| view.unresolved),
        accepted_at_ms: trace.accepted_at.map(|at| at.0),
        changed_at_ms: Some(trace.changed_at.0),
        age_ms: clock.now.0.checked_sub(trace.changed_at.0),
        blocked: view.is_some_and(|view| view.blocked),
        remembered: view.is_some_and(|view| view.remembered),
        preimage: preimage.map(|proof| if reveal { proof.to_string() } else { "hidden".into() }),
        metadata: metadata(&trace.metadata),
        cursor: ListingCursor::at(state.ledger_id(), trace.accepted_seq),
    }
}

/// Every payment of a listing.
pub(crate) fn every(
    log: &(impl EventSource + ?Sized),
    state: &State,
    listing: Listing,
) -> Result<Vec<ListedPayment>, ListError> {
    first(log, state, listing, usize::MAX)
}

/// The first payments of a listing, page by page: so many at least, if there are.
pub(crate) fn first(
    log: &(impl EventSource + ?Sized),
    state: &State,
    listing: Listing,
    count: usize,
) -> Result<Vec<ListedPayment>, ListError> {
    let (mut payments, mut listing) = (Vec::new(), listing);
    loop {
        let page = payonce::machine::list(&listing, |listing| -> Result<Page, ListError> {
            Ok(state.select(listing)?.complete(log, listing)?)
        })?;
        payments.extend(page.payments);
        match page.next {
            Some(next) if payments.len() < count => listing = listing.after(next),
            _ => return Ok(payments),
        }
    }
}

/// The caller's own bytes: as text where they are one, else in hex.
pub(crate) fn metadata(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return None;
    }
    Some(match std::str::from_utf8(bytes) {
        Ok(text) => cell(text),
        Err(_) => hex(bytes),
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
