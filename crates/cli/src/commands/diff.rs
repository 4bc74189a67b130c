//! `payonce diff`: what changed between two seqs.

use std::{collections::BTreeMap, ops::ControlFlow};

use payonce::{
    PaymentId, State, Status,
    audit::{ReplayError, Until, history},
};
use serde::Serialize;

use crate::{
    address::Address,
    commands::{With, at::past},
    io::{Failure, Io, Outcome},
    log::{Log, reading},
    payments::status_name,
    rows::{Format, Row, Rows},
    units::Clock,
    view::View,
};

/// What changed of a payment.
#[derive(Debug, Serialize)]
struct Change {
    id: String,
    events: usize,
    from_status: Option<&'static str>,
    to_status: Option<&'static str>,
    from_unresolved_parts: usize,
    to_unresolved_parts: usize,
    paid_msat: Option<u64>,
    fee_msat: Option<u64>,
}

impl Row for Change {
    const HEADS: &'static [&'static str] =
        &["id", "events", "before", "after", "parts out", "paid"];

    fn cells(&self, _clock: &Clock) -> Vec<String> {
        let status = |status: Option<&str>| status.unwrap_or("-").replace('_', " ");
        let paid = self.paid_msat.map_or("-".into(), |msat| crate::units::sat(payonce::Msat(msat)));
        vec![
            self.id.chars().take(12).collect(),
            self.events.to_string(),
            status(self.from_status),
            status(self.to_status),
            format!("{} -> {}", self.from_unresolved_parts, self.to_unresolved_parts),
            paid,
        ]
    }
}

pub(crate) fn run(
    address: &Address,
    (from, to): (u64, u64),
    with: With<'_>,
    io: &mut Io<'_>,
) -> Outcome {
    if from > to {
        return Err(Failure::refused(format!(
            "seq {from} is after seq {to}: the earlier one first"
        )));
    }
    let compared = reading(address, |log| compare(log, from, to, with.clock))?;
    let (before, after, touched) = compared.map_err(Failure::refused)?;
    if with.shown.format == Format::Table {
        let counts = |view: &View| {
            let counts = view.state.counts();
            let head = view.state.head().seq;
            format!(
                "seq {head:>8}: {} pending, {} fulfilled, {} abandoned, {} failed, {} remembered, {} parts out",
                counts.awaiting_invoice + counts.pending,
                counts.fulfilled,
                counts.abandoned,
                counts.failed,
                counts.remembered,
                counts.unresolved_parts
            )
        };
        writeln!(io.out, "{}\n{}", counts(&before), counts(&after))?;
    }
    let mut rows = Rows::new::<Change>(io, with.shown.format, with.clock);
    for (id, events) in touched {
        rows.row(&change(&id, events, &before.state, &after.state))?;
    }
    rows.finish()?;
    Ok(())
}

type Compared = (View, View, BTreeMap<PaymentId, usize>);

fn compare(
    log: &Log,
    from: u64,
    to: u64,
    clock: &Clock,
) -> Result<Result<Compared, String>, ReplayError> {
    let before = match past(log, Until::Seq(from), clock)? {
        Ok(view) => view,
        Err(refused) => return Ok(Err(refused)),
    };
    let after = match past(log, Until::Seq(to), clock)? {
        Ok(view) => view,
        Err(refused) => return Ok(Err(refused)),
    };
    // There is no state inside an entry: what is compared ends where entries do.
    let (first, last) = (before.state.head().seq, after.state.head().seq);
    let mut touched = BTreeMap::new();
    history(log, |record| {
        if record.header.first_seq > last {
            return ControlFlow::Break(());
        }
        if record.header.first_seq > first {
            for id in record.events.iter().filter_map(|event| event.payment()) {
                *touched.entry(*id).or_insert(0) += 1;
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(Ok((before, after, touched)))
}

fn change(id: &PaymentId, events: usize, before: &State, after: &State) -> Change {
    let (from, to) = (before.payment_view(id), after.payment_view(id));
    let status = |status: Status| status_name(status.kind());
    let paid = to.and_then(|view| view.paid);
    Change {
        id: id.to_string(),
        events,
        from_status: from.map(|view| status(view.status)),
        to_status: to.map(|view| status(view.status)),
        from_unresolved_parts: from.map_or(0, |view| view.unresolved),
        to_unresolved_parts: to.map_or(0, |view| view.unresolved),
        paid_msat: paid.and_then(|paid| paid.amount).map(|sum| sum.0),
        fee_msat: paid.and_then(|paid| paid.fee).map(|sum| sum.0),
    }
}
