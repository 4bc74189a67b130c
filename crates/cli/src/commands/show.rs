//! `payonce show`: what happened to a payment, and may it be sent again?

use std::{collections::BTreeSet, ops::ControlFlow, thread};

use lightning_invoice::Bolt11Invoice;
use payonce::{
    Head, LedgerId, Listing, PartId, Payment, PaymentHash, PaymentId, State, UnixMillis,
    audit::{EventSource, ReplayError, Snapshot, StoreError, StoredEntry},
    machine::{HashHolder, ListError},
};
use serde::Serialize;

use crate::{
    address::Address,
    advice::{Advice, advise},
    commands::With,
    io::{Failure, Io, Outcome},
    log::{Log, reading},
    payments::{PaymentRow, Trace, every, gone_row, live_row},
    picture,
    rows::{Format, write_json},
    search::{Depth, Hits, Needles, SHOWN, begins, bytes_of, search},
    story::{Life, Story, StoryEvent, fate_name},
    units::both,
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

pub(crate) fn run(address: &Address, id: &str, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let prefix = check_prefix(id)?;
    let (view, found) = reading(address, |log| newest(log, &prefix))?;
    tell(&view, found, &prefix, with, io)
}

/// What is known now. Of the remembered payments only those are read that may be meant, or that have a
/// hash of the one that is: another one that has paid it forbids to pay it again.
fn newest(log: &Log, prefix: &str) -> Result<(View, Found), ReplayError> {
    let mut needles = vec![bytes_of(prefix)];
    let (view, told) = thread::scope(|scope| {
        // Most often the id is a hash, and nothing else need be known of it.
        let view = scope.spawn(|| view_of(log, &needles));
        let told = search(log, log.head()?.seq, prefix, Depth::Quick)?;
        let view = view.join().unwrap_or_else(|_| View::newest(log))?;
        Ok::<_, ReplayError>((view, told))
    })?;
    let mut names: Vec<_> = told.ids.iter().map(|id| id.as_bytes().to_vec()).collect();
    names.extend(told.hashes.iter().map(|hash| hash.as_bytes().to_vec()));
    let found = among(log, &view, prefix, told)?;
    match &found {
        // What names neither its id nor its hash is found thoroughly or not at all.
        Found::Nothing => {
            let view = View::newest(log)?;
            let found = find(log, &view, prefix)?;
            return Ok((view, found));
        }
        Found::Several(_) => return Ok((view, found)),
        Found::One(id, _) => {
            names.push(id.as_bytes().to_vec());
            let hash = view.state.payment(id).and_then(Payment::payment_hash);
            names.extend(hash.map(|hash| hash.as_bytes().to_vec()));
        }
    }
    // All that begins as what was looked for was read already.
    names.retain(|name| !name.starts_with(&needles[0]));
    if names.is_empty() {
        return Ok((view, found));
    }
    needles.extend(names);
    Ok((view_of(log, &needles)?, found))
}

fn view_of(log: &Log, needles: &[Vec<u8>]) -> Result<View, ReplayError> {
    let needles = Needles::new(needles.iter().cloned());
    View::some(log, |encoded| needles.are_in(encoded))
}

/// A beginning of an id, in the case in which ids are shown; of an invoice its payment hash, since that is
/// what a customer has.
pub(crate) fn check_prefix(text: &str) -> Result<String, Failure> {
    let lower = text.trim().to_lowercase();
    let lower = lower.strip_prefix("lightning:").unwrap_or(&lower).to_owned();
    if lower.starts_with("lnbc") || lower.starts_with("lntb") {
        let invoice: Bolt11Invoice = lower.parse().map_err(|error| {
            Failure::refused(format!("{text:?} is no whole BOLT 11 invoice: {error}"))
        })?;
        return Ok(invoice.payment_hash().to_string());
    }
    let is_hex = lower.bytes().all(|byte| byte.is_ascii_hexdigit());
    if lower.is_empty() || lower.len() > 64 || !is_hex {
        return Err(Failure::refused(format!(
            "{text:?} is no id: give an invoice, or the hex digits of a payment, its hash or a part, or \
             the first few"
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

/// Looks for the payment that is meant in a log up to a whole state, and reads its story.
pub(crate) fn find(log: &Log, view: &View, prefix: &str) -> Result<Found, ReplayError> {
    let until = view.state.head().seq;
    let told = search(log, until, prefix, Depth::Quick)?;
    match among(log, view, prefix, told)? {
        Found::Nothing => among(log, view, prefix, search(log, until, prefix, Depth::Thorough)?),
        found => Ok(found),
    }
}

/// The payment that is meant, among those that the log tells of and those that the state knows.
fn among(log: &Log, view: &View, prefix: &str, told: Hits) -> Result<Found, ReplayError> {
    let Hits { mut ids, story, .. } = told;
    if view.base_seq > 0 {
        ids.extend(held(&view.state, prefix)?);
    }
    if let Some(id) = known(&view.state, prefix) {
        ids = BTreeSet::from([id]);
    }
    let mut few = ids.iter();
    let (id, story) = match (few.next(), few.next()) {
        (None, _) => return Ok(Found::Nothing),
        (Some(_), Some(_)) => return Ok(Found::Several(ids.into_iter().collect())),
        (Some(id), None) => (*id, story.filter(|_| begins(id.as_bytes(), prefix))),
    };
    let story = match story {
        Some(story) => story,
        None => {
            let own = search(log, view.state.head().seq, &id.to_string(), Depth::Quick)?;
            own.story.unwrap_or_default()
        }
    };
    Ok(Found::One(id, Box::new(story)))
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

/// The payments of a state under this beginning of an id, a hash or a part: what a base holds or
/// remembers was told before the log begins.
fn held(state: &State, prefix: &str) -> Result<BTreeSet<PaymentId>, ReplayError> {
    let mut ids = BTreeSet::new();
    let listed = every(&Nowhere(state.ledger_id()), state, Listing::new(Listing::MAX_LIMIT));
    for listed in listed.or_else(|error| match error {
        ListError::Log(error) => Err(error),
        _ => Ok(Vec::new()),
    })? {
        let hash = listed.payment_hash.is_some_and(|hash| begins(hash.as_bytes(), prefix));
        let parts = state.payment(&listed.view.id).map_or(&[][..], Payment::parts);
        let part = parts.iter().any(|part| begins(part.id.as_bytes(), prefix));
        if hash || part || begins(listed.view.id.as_bytes(), prefix) {
            ids.insert(listed.view.id);
        }
    }
    Ok(ids)
}

/// The log of a listing that nothing is read for.
struct Nowhere(LedgerId);

impl EventSource for Nowhere {
    fn ledger_id(&self) -> LedgerId {
        self.0
    }

    fn head(&self) -> Result<Head, StoreError> {
        Ok(Head::genesis(self.0))
    }

    fn replay(
        &self,
        from: u64,
        _: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Missing { needed: "history", requested: from })
    }

    fn load_snapshot(&self, _: u64) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
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
            let ids: Vec<_> = ids.iter().take(SHOWN).map(|id| format!("\n  {id}")).collect();
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
    picture::draw(story, end, columns, out)?;
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
