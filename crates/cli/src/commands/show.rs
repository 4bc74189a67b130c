//! `payonce show`: what happened to a payment, and may it be sent again?

use std::{
    collections::{BTreeSet, HashSet},
    ops::ControlFlow,
    path::Path,
};

use payonce::{
    Event, HashHolder, ListError, Listing, PartId, PartStatus, PaymentHash, PaymentId, State,
    UnixMillis,
    audit::{ReplayError, history},
};
use serde::Serialize;

use crate::{
    advice::{Advice, advise},
    commands::With,
    io::{Failure, Io, Outcome},
    log::{Log, reading},
    payments::{PaymentRow, Trace, every, gone_row, live_row},
    rows::{Format, write_json},
    story::{Life, Story, StoryEvent, Teller, fate_name},
    units::{both, short, span},
    view::View,
};

/// A part, for JSON.
#[derive(Debug, Clone, Serialize)]
struct PartRow {
    id: String,
    attempt: u32,
    of_try: u32,
    status: &'static str,
    amount_msat: Option<u64>,
    fee_msat: Option<u64>,
    dispatched_at_ms: u64,
    claimed_at_ms: Option<u64>,
    resolved_at_ms: Option<u64>,
}

impl From<&Life> for PartRow {
    fn from(life: &Life) -> Self {
        Self {
            id: life.id.to_string(),
            attempt: life.attempt,
            of_try: life.of_try,
            status: fate_name(life.status),
            amount_msat: life.amount,
            fee_msat: life.fee,
            dispatched_at_ms: life.from.0,
            claimed_at_ms: life.claimed.map(|at| at.0),
            resolved_at_ms: life.to.map(|at| at.0),
        }
    }
}

/// What `show` tells; its JSON.
#[derive(Debug, Serialize)]
struct Told<'a> {
    payment: &'a PaymentRow,
    tries: u32,
    parts: Vec<PartRow>,
    events: &'a [StoryEvent],
    /// The seq from which on the log tells: what was before was dropped.
    history_from_seq: u64,
    advice: &'a Advice,
}

pub(crate) fn run(directory: &Path, id: &str, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let prefix = check_prefix(id)?;
    let (view, found) = reading(directory, |log| {
        let view = View::newest(log)?;
        let found = find(log, &view, &prefix)?;
        Ok((view, found))
    })?;
    tell(&view, found, &prefix, with, io)
}

/// A beginning of an id, in the case in which ids are shown.
pub(crate) fn check_prefix(text: &str) -> Result<String, Failure> {
    let lower = text.to_lowercase();
    let is_hex = lower.bytes().all(|byte| byte.is_ascii_hexdigit());
    if lower.is_empty() || lower.len() > 64 || !is_hex {
        return Err(Failure::refused(format!(
            "{text:?} is no id: give the hex digits of a payment, its hash or a part, or the first few"
        )));
    }
    Ok(lower)
}

/// What was found under a prefix.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    One(PaymentId, Box<Story>),
    Several(Vec<PaymentId>),
}

/// Looks for the payment that is meant, and reads its story.
pub(crate) fn find(log: &Log, view: &View, prefix: &str) -> Result<Found, ReplayError> {
    let until = view.state.head().seq;
    let known = known(&view.state, prefix);
    let ids = match known {
        Some(id) => BTreeSet::from([id]),
        None => matching(log, view, prefix)?,
    };
    let mut ids = ids.into_iter();
    match (ids.next(), ids.next()) {
        (None, _) => Ok(Found::Nothing),
        (Some(id), None) => {
            let mut teller = Teller::of(HashSet::from([id]));
            history(log, |record| {
                if record.header.first_seq > until {
                    return ControlFlow::Break(());
                }
                teller.record(&record);
                ControlFlow::Continue(())
            })?;
            let story = teller.into_stories().next().map(|(_, story)| story).unwrap_or_default();
            Ok(Found::One(id, Box::new(story)))
        }
        (Some(one), Some(two)) => Ok(Found::Several([one, two].into_iter().chain(ids).collect())),
    }
}

/// A payment that the state finds by a whole id.
fn known(state: &State, text: &str) -> Option<PaymentId> {
    let id: PaymentId = text.parse().ok()?;
    if state.payment_view(&id).is_some() {
        return Some(id);
    }
    let hash: PaymentHash = text.parse().ok()?;
    if let Some(HashHolder::Payment(id)) = state.holder_of(&hash) {
        return Some(id);
    }
    let part: PartId = text.parse().ok()?;
    state.owner_of(&part)
}

/// The payments that the log tells of under this beginning of an id, a hash or a part.
fn matching(log: &Log, view: &View, prefix: &str) -> Result<BTreeSet<PaymentId>, ReplayError> {
    let until = view.state.head().seq;
    let mut ids = BTreeSet::new();
    // What a base holds or remembers was told before the log begins.
    let listed = every(log, &view.state, Listing::new(Listing::MAX_LIMIT));
    for listed in listed.or_else(|error| match error {
        ListError::Log(error) => Err(error),
        _ => Ok(Vec::new()),
    })? {
        let hash = listed.payment_hash.is_some_and(|hash| begins(hash.as_bytes(), prefix));
        let parts = view.state.payment(&listed.view.id).map_or(&[][..], payonce::Payment::parts);
        let part = parts.iter().any(|part| begins(part.id.as_bytes(), prefix));
        if hash || part || begins(listed.view.id.as_bytes(), prefix) {
            ids.insert(listed.view.id);
        }
    }
    history(log, |record| {
        if record.header.first_seq > until {
            return ControlFlow::Break(());
        }
        for event in &record.events {
            let Some(id) = event.payment() else { continue };
            if begins(id.as_bytes(), prefix) || names(event, prefix) {
                ids.insert(*id);
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(ids)
}

fn begins(bytes: &[u8], prefix: &str) -> bool {
    let digits = prefix.as_bytes();
    digits.len() <= bytes.len() * 2
        && digits.iter().enumerate().all(|(nth, digit)| {
            let nibble = if nth % 2 == 0 { bytes[nth / 2] >> 4 } else { bytes[nth / 2] & 15 };
            char::from(*digit).to_digit(16) == Some(nibble.into())
        })
}

fn names(event: &Event, prefix: &str) -> bool {
    let hash = |hash: Option<PaymentHash>| hash.is_some_and(|hash| begins(hash.as_bytes(), prefix));
    match event {
        Event::PaymentAccepted { request, .. } => hash(request.target.payment_hash()),
        Event::PaymentAdopted { payment_hash, .. } => hash(*payment_hash),
        Event::InvoiceReceived { invoice, .. } => hash(Some(invoice.payment_hash)),
        Event::PartsDispatched { parts, .. } => {
            parts.iter().any(|part| begins(part.id.as_bytes(), prefix))
        }
        Event::PartAdopted { part, .. } => begins(part.part.as_bytes(), prefix),
        _ => false,
    }
}

/// Tells what was found.
pub(crate) fn tell(
    view: &View,
    found: Found,
    prefix: &str,
    with: With<'_>,
    io: &mut Io<'_>,
) -> Outcome {
    let (id, story) = match found {
        Found::One(id, story) => (id, story),
        Found::Nothing => {
            let of = if view.base_seq > 0 {
                format!(" (what was forgotten before seq {} is not in the log)", view.base_seq + 1)
            } else {
                String::new()
            };
            writeln!(io.err, "payonce: no payment, hash or part begins with {prefix}{of}")?;
            return Err(Failure::Findings);
        }
        Found::Several(ids) => {
            let ids: Vec<_> = ids.iter().take(20).map(|id| format!("\n  {id}")).collect();
            let ids = ids.concat();
            return Err(Failure::refused(format!("{prefix} fits several payments:{ids}")));
        }
    };
    let state = &view.state;
    let row = match state.payment(&id) {
        Some(payment) => live_row(state, payment, with.clock, with.shown.reveal),
        None => gone_row(state, (&id, &Trace::of(&story)), with.clock, with.shown.reveal),
    };
    let advice = advise(state, &id, with.clock.now).unwrap_or_else(forgotten);
    match with.shown.format {
        Format::Table => people(&row, &story, &advice, view, with, io),
        Format::Json | Format::Jsonl => {
            let told = Told {
                payment: &row,
                tries: story.tries,
                parts: story.lives.iter().map(PartRow::from).collect(),
                events: &story.events,
                history_from_seq: view.base_seq + 1,
                advice: &advice,
            };
            write_json(io.out, &told)?;
            Ok(writeln!(io.out)?)
        }
        Format::Csv => crate::rows::write_csv(io.out, &row, true),
    }
}

fn forgotten() -> Advice {
    Advice {
        retry_allowed: false,
        why: "the ledger has forgotten it: a repeat under this id would be a new payment".into(),
        next: "read above how it ended; if it was paid, never pay it again".into(),
    }
}

fn people(
    row: &PaymentRow,
    story: &Story,
    advice: &Advice,
    view: &View,
    with: With<'_>,
    io: &mut Io<'_>,
) -> Outcome {
    let clock = with.clock;
    let status = row.status.replace('_', " ").to_uppercase();
    let code = match row.status {
        "fulfilled" => "32;1",
        "failed" => "31;1",
        _ => "33;1",
    };
    let status = if io.colour { format!("\u{1b}[{code}m{status}\u{1b}[0m") } else { status };
    let columns = io.columns;
    let out = &mut *io.out;
    writeln!(out, "payment       {}", row.id)?;
    writeln!(out, "hash          {}", row.payment_hash.as_deref().unwrap_or("not known"))?;
    let reason = row.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    let remembered = if row.remembered { ", remembered" } else { "" };
    writeln!(out, "status        {status}{reason}{remembered}")?;
    let msat = |sum: Option<u64>| both(sum.map(payonce::Msat));
    let label = if row.status == "fulfilled" { "paid" } else { "amount" };
    writeln!(out, "{label:<14}{}", msat(row.amount_msat))?;
    writeln!(out, "fee           {}", msat(row.fee_msat))?;
    let moment = |at: Option<u64>| at.map_or("-".into(), |at| clock.moment(UnixMillis(at)));
    writeln!(out, "accepted      {}", moment(row.accepted_at_ms))?;
    let ago = row
        .changed_at_ms
        .map_or(String::new(), |at| format!(" ({} ago)", clock.age(UnixMillis(at))));
    writeln!(out, "last change   {}{ago}", moment(row.changed_at_ms))?;
    writeln!(out, "attempts      {}", row.attempts.unwrap_or(0))?;
    if let Some(metadata) = &row.metadata {
        writeln!(out, "metadata      {metadata}")?;
    }
    if let Some(proof) = &row.preimage {
        writeln!(out, "preimage      {proof}")?;
    }
    let end = view.last_entry.unwrap_or(clock.now);
    picture(story, end, columns, out)?;
    writeln!(out, "\nevents")?;
    if view.base_seq > 0 {
        writeln!(out, "  (history up to seq {} was dropped)", view.base_seq)?;
    }
    for event in &story.events {
        let at = clock.moment(UnixMillis(event.at_ms));
        writeln!(out, "  {:>7}  {at}  {}", event.seq, event.words)?;
    }
    let allowed = if advice.retry_allowed { "YES" } else { "NO" };
    writeln!(out, "\nmay it be sent again?  {allowed}: {}", advice.why)?;
    Ok(writeln!(out, "next                   {}", advice.next)?)
}

/// Attempts and parts over time.
fn picture(
    story: &Story,
    end: UnixMillis,
    columns: Option<u16>,
    out: &mut dyn std::io::Write,
) -> Outcome {
    if story.lives.is_empty() {
        return Ok(());
    }
    let width = usize::from(columns.unwrap_or(100).clamp(40, 120)).saturating_sub(64).max(12);
    let first = story.lives.iter().map(|life| life.from.0).min().unwrap_or(0);
    let ends = story.lives.iter().map(|life| life.to.map_or(end.0, |to| to.0));
    let length = ends.max().unwrap_or(first).saturating_sub(first).max(1);
    writeln!(out, "\nparts         over {}", span(length))?;
    let mut before = None;
    for life in &story.lives {
        if before != Some((life.of_try, life.attempt)) {
            before = Some((life.of_try, life.attempt));
            let of =
                if story.tries > 1 { format!(" of try {}", life.of_try) } else { String::new() };
            match life.attempt {
                0 => writeln!(out, "  told by the node{of}")?,
                attempt => writeln!(out, "  attempt {attempt}{of}")?,
            }
        }
        let place = |at: u64| {
            let at = u128::from(at.saturating_sub(first)) * (width as u128 - 1);
            usize::try_from(at / u128::from(length)).unwrap_or(0).min(width - 1)
        };
        let (from, to) = (place(life.from.0), place(life.to.map_or(end.0, |to| to.0)));
        let mark = match life.status {
            PartStatus::InFlight => '>',
            PartStatus::Claimed => '+',
            PartStatus::Finalized => '*',
            PartStatus::Failed => 'x',
            PartStatus::Withdrawn => 'o',
        };
        let mut bar = " ".repeat(from) + &"=".repeat(to.saturating_sub(from));
        bar.push(mark);
        let took = life.to.map_or("still out".into(), |to| {
            format!("after {}", span(to.0.saturating_sub(life.from.0)))
        });
        let amount =
            life.amount.map_or("unknown".into(), |msat| crate::units::sat(payonce::Msat(msat)));
        let (id, status) = (short(life.id), life.status);
        writeln!(out, "    {id}  {amount:>18}  {bar:<width$}  {status} {took}")?;
    }
    Ok(())
}
