//! `payonce status`: is all well?

use std::collections::BTreeSet;

use payonce::{NotificationKind, Payment, State, StatusKind, UnixMillis, machine::Counts};
use serde::Serialize;

use crate::{
    address::Address,
    advice::engine_name,
    commands::With,
    io::{Failure, Io, Outcome},
    log::{Files, files, reading},
    rows::{Format, write_csv, write_json},
    units::{Clock, bytes, short},
    view::View,
};

/// What `status` tells; its JSON.
#[derive(Debug, Serialize)]
struct Told {
    ledger: String,
    head_seq: u64,
    head_log_hash: String,
    epoch: u64,
    tick: u64,
    awaiting_invoice: usize,
    pending: usize,
    fulfilled: usize,
    abandoned: usize,
    failed: usize,
    remembered: usize,
    unresolved_parts: usize,
    foreign_parts: usize,
    blocked_hashes: usize,
    /// The engines that have them out, by name; `None` if none is named.
    blocked_by: Option<String>,
    outbox: usize,
    anomalies_unread: usize,
    oldest_unresolved: Option<String>,
    oldest_unresolved_at_ms: Option<u64>,
    last_entry_at_ms: Option<u64>,
    durable_seq: Option<u64>,
    history_from_seq: u64,
    recovering: bool,
    restored: bool,
    size_bytes: Option<u64>,
    segments: Option<usize>,
    snapshots: Option<usize>,
    newest_snapshot_seq: Option<u64>,
    healthy: bool,
    health: String,
}

pub(crate) fn run(address: &Address, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let view = reading(address, View::live)?;
    let files = address.directory().map(files);
    tell(&view, files.as_ref(), with, io)
}

/// Tells of a state, now or then; of a past one there are no files.
pub(crate) fn tell(view: &View, files: Option<&Files>, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let told = told(view, files, with.clock);
    match with.shown.format {
        Format::Table => people(&told, view, with.clock, io)?,
        Format::Json | Format::Jsonl => {
            write_json(io.out, &told)?;
            writeln!(io.out)?;
        }
        Format::Csv => write_csv(io.out, &told, true)?,
    }
    if told.healthy { Ok(()) } else { Err(Failure::Findings) }
}

fn told(view: &View, files: Option<&Files>, clock: &Clock) -> Told {
    let (state, head) = (&view.state, view.state.head());
    let Counts {
        awaiting_invoice,
        pending,
        fulfilled,
        abandoned,
        failed,
        remembered,
        unresolved_parts,
        unread,
        foreign_parts,
        blocked,
        ..
    } = view.counts;
    let anomalies =
        state.outbox().filter(|told| matches!(told.kind, NotificationKind::Anomaly { .. }));
    let anomalies_unread = anomalies.count();
    let oldest = oldest(state);
    let (healthy, health) = health(view, anomalies_unread, oldest, clock);
    Told {
        ledger: state.ledger_id().to_string(),
        head_seq: head.seq,
        head_log_hash: head.chain.to_string(),
        epoch: state.epoch(),
        tick: state.tick(),
        awaiting_invoice,
        pending,
        fulfilled,
        abandoned,
        failed,
        remembered,
        unresolved_parts,
        foreign_parts,
        blocked_hashes: blocked,
        blocked_by: blocked_by(state),
        outbox: unread,
        anomalies_unread,
        oldest_unresolved: oldest.map(|payment| payment.id().to_string()),
        oldest_unresolved_at_ms: oldest.map(|payment| payment.created_at().0),
        last_entry_at_ms: view.last_entry.map(|at| at.0),
        durable_seq: view.vouched_seq,
        history_from_seq: view.base_seq + 1,
        recovering: state.is_recovering(),
        restored: state.is_restored(),
        size_bytes: files.map(|files| files.bytes),
        segments: files.map(|files| files.segments),
        snapshots: files.map(|files| files.snapshots.len()),
        newest_snapshot_seq: files.and_then(|files| files.snapshots.last().copied()),
        healthy,
        health,
    }
}

/// The names of the engines that have blocked hashes out.
fn blocked_by(state: &State) -> Option<String> {
    let names: BTreeSet<_> = state.blocked_hashes().map(engine_name).collect();
    let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The unfinished payment that was accepted first.
pub(crate) fn oldest(state: &State) -> Option<&Payment> {
    let kinds = [StatusKind::AwaitingInvoice, StatusKind::Pending, StatusKind::Abandoned];
    let unfinished = kinds.into_iter().flat_map(|kind| state.payments(kind));
    unfinished.min_by_key(|payment| (payment.created_at(), payment.created_seq()))
}

/// A payment that is unfinished for longer than this is not fine: a day, as an HTLC's.
const LONG: u64 = 24 * 60 * 60 * 1_000;

fn health(
    view: &View,
    anomalies: usize,
    oldest: Option<&Payment>,
    clock: &Clock,
) -> (bool, String) {
    let state = &view.state;
    let mut wrong = Vec::new();
    if state.is_restored() {
        wrong.push("RESTORED: the log lacks what the node knew; nothing new is paid until the gap is closed".into());
    }
    if state.is_recovering() {
        wrong.push("recovery is not finished: the node was stopped, or is starting".into());
    }
    if anomalies > 0 {
        wrong.push(format!("{anomalies} anomalies are unread"));
    }
    if let Some(payment) = oldest
        && clock.now.0.saturating_sub(payment.created_at().0) > LONG
    {
        let (id, age) = (short(payment.id()), clock.age(payment.created_at()));
        wrong.push(format!("payment {id} is unfinished for {age}"));
    }
    if wrong.is_empty() { (true, "fine".into()) } else { (false, wrong.join("; ")) }
}

fn people(told: &Told, view: &View, clock: &Clock, io: &mut Io<'_>) -> Outcome {
    let colour = |text: &str, code: &str| {
        if io.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let health = colour(&told.health, if told.healthy { "32" } else { "31;1" });
    let moment = |at: Option<u64>| {
        at.map(UnixMillis)
            .map_or("-".into(), |at| format!("{} ({} ago)", clock.moment(at), clock.age(at)))
    };
    let out = &mut *io.out;
    writeln!(out, "health        {health}")?;
    writeln!(out, "ledger        {}", told.ledger)?;
    writeln!(out, "head          {}", view.state.head())?;
    writeln!(out, "last entry    {}", moment(told.last_entry_at_ms))?;
    let counts = [
        ("awaiting invoice", told.awaiting_invoice),
        ("pending", told.pending),
        ("fulfilled", told.fulfilled),
        ("abandoned", told.abandoned),
        ("failed", told.failed),
        ("remembered", told.remembered),
    ];
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    writeln!(out, "payments      {}", counts.join(", "))?;
    writeln!(
        out,
        "out           {} parts, {} foreign parts known, {} hashes blocked{}",
        told.unresolved_parts,
        told.foreign_parts,
        told.blocked_hashes,
        told.blocked_by.as_ref().map_or(String::new(), |names| format!(" by {names}"))
    )?;
    let oldest = told.oldest_unresolved.as_ref().map_or("none".to_owned(), |id| {
        format!("{} since {}", short(id), moment(told.oldest_unresolved_at_ms))
    });
    writeln!(out, "oldest open   {oldest}")?;
    writeln!(
        out,
        "outbox        {} unread, {} of them anomalies",
        told.outbox, told.anomalies_unread
    )?;
    let from = told.history_from_seq;
    let dropped = if from > 1 { format!(", history from seq {from} on") } else { String::new() };
    let run = format!("run {}, tick {}{dropped}", told.epoch, told.tick);
    writeln!(out, "log           {run}")?;
    if let Some(size) = told.size_bytes {
        let snapshot = told
            .newest_snapshot_seq
            .map_or(String::new(), |seq| format!(", the newest at seq {seq}"));
        let (segments, snapshots) = (told.segments.unwrap_or(0), told.snapshots.unwrap_or(0));
        let size = bytes(size);
        writeln!(
            out,
            "files         {size}, {segments} segments, {snapshots} snapshots{snapshot}"
        )?;
    }
    if view.torn_bytes > 0 {
        let torn = view.torn_bytes;
        writeln!(out, "tail          {torn} bytes of a write that is under way or was torn")?;
    }
    Ok(())
}
