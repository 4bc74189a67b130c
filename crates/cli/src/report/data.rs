//! What the report shows, out of one replay of the log.

use std::{collections::BTreeMap, ops::ControlFlow};

use payonce::{
    Event, ListedPayment, Listing, Payment, PaymentId, State, UnixMillis,
    audit::{EventSource, Record, Replay, ReplayError, StoreError},
    machine::ListError,
};
use serde::Serialize;

use crate::{
    advice::advise,
    commands::With,
    log::{Log, seed},
    payments::{PaymentRow, Trace, every, gone_row, live_row},
    story::{Life, Story, Teller, status_name_of},
};

/// The statuses that a payment has on the page, by their numbers there.
const STATUSES: [&str; 7] =
    ["awaiting_invoice", "pending", "fulfilled", "abandoned", "failed", "remembered", "forgotten"];

/// The names of the counts that the slider moves: those of all statuses but the last, and two more.
fn count_names() -> impl Iterator<Item = &'static str> {
    STATUSES.into_iter().take(6).chain(["unresolved_parts", "outbox"])
}

fn counts(state: &State) -> [i64; 8] {
    let counts = state.counts();
    [
        counts.awaiting_invoice,
        counts.pending,
        counts.fulfilled,
        counts.abandoned,
        counts.failed,
        counts.remembered,
        counts.unresolved_parts,
        counts.unread,
    ]
    .map(|count| i64::try_from(count).unwrap_or(i64::MAX))
}

/// Numbers as their differences: a browser inflates them from next to nothing.
#[derive(Debug, Default)]
struct Deltas {
    last: i64,
    deltas: Vec<i64>,
}

impl Deltas {
    fn push(&mut self, value: i64) {
        self.deltas.push(value - self.last);
        self.last = value;
    }
}

impl Serialize for Deltas {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.deltas.serialize(serializer)
    }
}

/// A payment as the page reads it.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    hash: Option<String>,
    metadata: Option<String>,
    preimage: Option<String>,
    /// The seq of its first event.
    seq: u64,
    accepted: Option<u64>,
    amount: Option<u64>,
    fee: Option<u64>,
    attempts: u32,
    status: String,
    /// `fulfilled`, `failed`, or what it is while it is neither.
    outcome: &'static str,
    retry: bool,
    why: String,
    next: String,
    /// Seq, moment, number of the status.
    statuses: Vec<(u64, u64, usize)>,
    parts: Vec<ShownPart>,
    events: Vec<ShownEvent>,
}

/// Id, attempt, try, amount, fee, from, claimed, to, number of the status.
type ShownPart = (String, u32, u32, Option<u64>, Option<u64>, u64, Option<u64>, Option<u64>, usize);
/// Seq, moment, words, 1 if it is an acknowledgement, the parts by their places.
type ShownEvent = (u64, u64, String, u8, Vec<usize>);

/// Everything that the page reads.
#[derive(Debug, Serialize)]
pub(crate) struct Data {
    base_seq: u64,
    head_seq: u64,
    last_at: Option<u64>,
    base_counts: BTreeMap<&'static str, i64>,
    entries: BTreeMap<&'static str, Deltas>,
    ticks: Deltas,
    payments: Vec<Shown>,
    #[serde(skip)]
    pub(crate) totals: Totals,
    #[serde(skip)]
    pub(crate) state: State,
}

/// The numbers on top.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) payments: usize,
    pub(crate) sent: u64,
    pub(crate) fees: u64,
    pub(crate) paid: usize,
    pub(crate) failed: usize,
    pub(crate) last_at: Option<UnixMillis>,
}

impl Totals {
    fn count(&mut self, outcome: &str, row: &PaymentRow) {
        self.payments += 1;
        match outcome {
            "fulfilled" => {
                self.paid += 1;
                self.sent += row.amount_msat.unwrap_or(0);
                self.fees += row.fee_msat.unwrap_or(0);
            }
            "failed" => self.failed += 1,
            _ => {}
        }
    }
}

/// Reads the log once: folds it, and tells its stories.
pub(crate) fn collect(log: &Log, with: With<'_>) -> Result<Data, ReplayError> {
    let mut replay = Replay::from_beginning(log, seed())?;
    let head = log.head()?;
    let base_seq = replay.state().head().seq;
    let base_counts = count_names().zip(counts(replay.state())).collect();
    let mut before = before(log, replay.state())?;
    let mut teller = Teller::default();
    let mut columns: [Deltas; 10] = Default::default();
    let (mut ticks, mut failed) = (Deltas::default(), None);
    log.replay(base_seq + 1, &mut |entry| {
        let told = Record::read(replay.state().head(), entry.bytes).and_then(|record| {
            replay.entry(entry)?;
            teller.entry(&record.header, &record.events);
            note(&record, replay.state(), &mut columns, &mut ticks);
            Ok(())
        });
        match told {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let state = replay.finish(head)?;
    let last_at = columns[1].deltas.first().map(|_| columns[1].last.unsigned_abs());
    for (id, story) in teller.into_stories() {
        let known = before.entry(id).or_default();
        known.join(story);
    }
    let mut totals = Totals { last_at: last_at.map(UnixMillis), ..Totals::default() };
    let stories = before.into_iter();
    let mut payments: Vec<_> =
        stories.map(|(id, story)| shown(&state, &id, &story, &mut totals, with)).collect();
    payments.sort_by_cached_key(|payment| (payment.seq, payment.id.clone()));
    let names = ["first", "at"].into_iter().chain(count_names());
    let entries = names.zip(columns).collect();
    Ok(Data {
        base_seq,
        head_seq: head.seq,
        last_at,
        base_counts,
        entries,
        ticks,
        payments,
        totals,
        state,
    })
}

fn note(record: &Record, state: &State, columns: &mut [Deltas; 10], ticks: &mut Deltas) {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    columns[0].push(number(record.header.first_seq));
    columns[1].push(number(record.header.now.0));
    for (column, count) in columns[2..].iter_mut().zip(counts(state)) {
        column.push(count);
    }
    if record.events.iter().any(|event| matches!(event, Event::Ticked { .. })) {
        ticks.push(number(record.header.now.0));
    }
}

/// The payments that a base holds or remembers: their events were dropped.
fn before(log: &Log, state: &State) -> Result<BTreeMap<PaymentId, Story>, ReplayError> {
    let base = state.head().seq;
    if base == 0 {
        return Ok(BTreeMap::new());
    }
    let listed =
        every(log, state, Listing::new(Listing::MAX_LIMIT)).map_err(|error| match error {
            ListError::Log(error) => error,
            // Nothing is asked that could be refused.
            _ => StoreError::Missing { needed: "listing", requested: base }.into(),
        })?;
    let stories = listed.into_iter().map(|listed| {
        let id = listed.view.id;
        let story = state.payment(&id).map(|payment| story_of(payment, base));
        (id, story.unwrap_or_else(|| remembered(&listed, base)))
    });
    Ok(stories.collect())
}

fn remembered(listed: &ListedPayment, base: u64) -> Story {
    let (at, outcome) = (listed.status_at, status_name_of(listed.view.status.kind()));
    Story {
        statuses: vec![(base, at, outcome), (base, at, "remembered")],
        tries: 1,
        payment_hash: listed.payment_hash,
        ..Story::default()
    }
}

fn story_of(payment: &Payment, base: u64) -> Story {
    let lives = payment.parts().iter().map(|part| Life {
        id: part.id,
        attempt: part.batch,
        of_try: 1,
        amount: part.amount.map(|sum| sum.0),
        fee: part.fee.map(|sum| sum.0),
        from: part.recorded_at,
        claimed: None,
        to: (!part.status.is_unresolved()).then_some(payment.status_at()),
        status: part.status,
    });
    let status = status_name_of(payment.status().kind());
    Story {
        lives: lives.collect(),
        statuses: vec![(base, payment.status_at(), status)],
        tries: 1,
        payment_hash: payment.payment_hash(),
        ..Story::default()
    }
}

/// The number of a status on the page.
fn number_of(status: &str) -> usize {
    STATUSES.iter().position(|name| *name == status).unwrap_or(1)
}

fn shown(
    state: &State,
    id: &PaymentId,
    story: &Story,
    totals: &mut Totals,
    with: With<'_>,
) -> Shown {
    let row = row(state, id, story, with);
    let outcome = outcome(story);
    totals.count(outcome, &row);
    let advice = advise(state, id, with.clock.now);
    let gone =
        || "the ledger has forgotten it: a repeat under its id would be a new payment".into();
    let status = row.reason.as_ref().map_or(row.status.replace('_', " "), |reason| {
        format!("{}: {reason}", row.status.replace('_', " "))
    });
    Shown {
        id: row.id,
        hash: row.payment_hash,
        metadata: row.metadata,
        preimage: row.preimage.filter(|_| with.shown.reveal),
        seq: story.statuses.first().map_or(0, |(seq, ..)| *seq),
        accepted: row.accepted_at_ms,
        amount: row.amount_msat,
        fee: row.fee_msat,
        attempts: row.attempts.unwrap_or(0),
        status: if row.remembered { format!("{status}, remembered") } else { status },
        outcome,
        retry: advice.as_ref().is_some_and(|advice| advice.retry_allowed),
        why: advice.as_ref().map_or_else(gone, |advice| advice.why.clone()),
        next: advice.map_or_else(String::new, |advice| advice.next),
        statuses: story
            .statuses
            .iter()
            .map(|(seq, at, name)| (*seq, at.0, number_of(name)))
            .collect(),
        parts: story.lives.iter().map(part).collect(),
        events: events(story),
    }
}

/// How a payment ended, or where it is, whatever is still kept of it.
fn outcome(story: &Story) -> &'static str {
    let mut statuses = story.statuses.iter().rev().map(|(_, _, name)| *name);
    statuses.find(|name| !["remembered", "forgotten"].contains(name)).unwrap_or("pending")
}

fn events(story: &Story) -> Vec<ShownEvent> {
    let places: BTreeMap<_, _> =
        story.lives.iter().enumerate().map(|(nth, life)| (life.id, nth)).collect();
    let events = story.events.iter().map(|event| {
        let parts = event.parts.iter().filter_map(|part| places.get(part).copied());
        let is_read = u8::from(event.event == "acknowledged");
        (event.seq, event.at_ms, event.words.clone(), is_read, parts.collect())
    });
    events.collect()
}

fn row(state: &State, id: &PaymentId, story: &Story, with: With<'_>) -> PaymentRow {
    match state.payment(id) {
        Some(payment) => live_row(state, payment, with.clock, with.shown.reveal),
        None => gone_row(state, (id, &Trace::of(story)), with.clock, with.shown.reveal),
    }
}

fn part(life: &Life) -> ShownPart {
    use payonce::PartStatus as Status;

    let status = match life.status {
        Status::InFlight => 0,
        Status::Claimed => 1,
        Status::Finalized => 2,
        Status::Failed => 3,
        Status::Withdrawn => 4,
    };
    (
        life.id.to_string(),
        life.attempt,
        life.of_try,
        life.amount,
        life.fee,
        life.from.0,
        life.claimed.map(|at| at.0),
        life.to.map(|to| to.0),
        status,
    )
}
