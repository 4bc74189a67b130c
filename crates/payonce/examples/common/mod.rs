//! What several stories need to be told: a log as lines, and a table.

use std::{collections::HashMap, ops::ControlFlow};

use comfy_table::{Table, presets};
use payonce::{
    Event, Msat, PartId,
    audit::{EventSource, ReplayError},
    machine::PartTerms,
};

/// One event of a log, for people.
pub(crate) struct Line {
    pub(crate) seq: u64,
    /// The epoch of the writer: which run of the program recorded it.
    pub(crate) run: u64,
    pub(crate) event: Event,
    /// The event in words, without its payment.
    pub(crate) words: String,
}

/// Reads a log from its beginning. Reading needs no writer: any [`EventSource`] will do.
pub(crate) fn lines(log: &impl EventSource) -> Result<Vec<Line>, ReplayError> {
    let (mut lines, mut names) = (Vec::new(), PartNames::default());
    payonce::audit::history(log, |record| {
        for (seq, event) in (record.header.first_seq..).zip(record.events) {
            let words = describe(&event, &mut names);
            lines.push(Line { seq, run: record.header.epoch, event, words });
        }
        ControlFlow::Continue(())
    })?;
    Ok(lines)
}

/// Calls parts by the order in which they appear: their ids are random.
#[derive(Default)]
struct PartNames(HashMap<PartId, usize>);

impl PartNames {
    fn of(&mut self, part: &PartId) -> String {
        let next = self.0.len() + 1;
        format!("part {}", self.0.entry(*part).or_insert(next))
    }
}

/// The events that the stories meet; the others show their fields.
fn describe(event: &Event, names: &mut PartNames) -> String {
    match event {
        Event::Opened { epoch, restored, .. } => {
            format!(
                "run {epoch} begins{}",
                if *restored { ", the log is behind the node" } else { "" }
            )
        }
        Event::Ticked { tick, .. } => format!("tick {tick}"),
        Event::Recovered => "every unresolved part is answered for".into(),
        Event::PaymentAccepted { request, .. } => match request.max_fee.limit() {
            Some(fee) => format!("{}, at most {fee} in fees", request.amount),
            None => request.amount.to_string(),
        },
        Event::InvoiceReceived { invoice, .. } => invoice.amount.to_string(),
        Event::PartsDispatched { attempt, parts, .. } => {
            let parts: Vec<_> = parts.iter().map(|part| terms(part, names)).collect();
            format!("attempt {attempt}: {}", parts.join(", "))
        }
        Event::PartsListed { parts } => {
            let parts: Vec<_> = parts.iter().map(|part| names.of(part)).collect();
            format!("the channel has {}", parts.join(", "))
        }
        Event::PartWithdrawn { part, .. } => format!("{} was never sent", names.of(part)),
        Event::PartClaimed { part, .. } => format!("{}: the payee took it", names.of(part)),
        Event::PartFinalized { part, .. } => format!("{} is off the channel", names.of(part)),
        Event::PartFailed { part, failure, .. } => match (failure.permanent, failure.channel) {
            (true, _) => format!("{}: the payee refused it", names.of(part)),
            (false, Some(channel)) => format!("{} failed at channel {channel}", names.of(part)),
            (false, None) => format!("{} failed", names.of(part)),
        },
        Event::PaymentSent { amount, fee, .. } => {
            format!("{} and {} in fees", known(*amount), known(*fee))
        }
        Event::PaymentAbandoned { reason, .. } | Event::PaymentFailed { reason, .. } => {
            reason.to_string()
        }
        Event::PaymentForgotten { remembered: true, .. } => "its outcome is remembered".into(),
        Event::Acknowledged { seq } => format!("the user has read {seq}"),
        other => format!("{other:?}"),
    }
}

fn terms(part: &PartTerms, names: &mut PartNames) -> String {
    format!("{} ({} + {})", names.of(&part.id), part.amount.0, part.fee.0)
}

/// A sum that may be unknown.
pub(crate) fn known(sum: Option<Msat>) -> String {
    sum.map_or("an unknown sum".into(), |sum| sum.to_string())
}

/// An empty table with these column heads.
pub(crate) fn table<const N: usize>(heads: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(heads);
    table
}

/// Events as a table.
pub(crate) fn event_table<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Table {
    let mut table = table(["seq", "run", "event", "what"]);
    for Line { seq, run, event, words } in lines {
        table.add_row([&seq.to_string(), &run.to_string(), event.name(), words]);
    }
    table
}
