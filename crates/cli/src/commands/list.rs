//! `payonce list`: which payments are there?

use std::path::Path;

use payonce::{StatusKind, UnixMillis, audit::ReplayError};

use crate::{
    cli::{ListArgs, Sort, StatusArg},
    commands::With,
    io::{Failure, Io, Outcome},
    log::{Log, reading},
    payments::{PaymentRow, Traces, gone_row, live_row, traces},
    rows::Rows,
    units::Clock,
    view::View,
};

pub(crate) fn run(directory: &Path, list: &ListArgs, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let (view, traces) = reading(directory, |log| {
        let view = View::newest(log)?;
        let traces = gone(log, &view, list)?;
        Ok((view, traces))
    })?;
    tell(&view, &traces, list, with, io)
}

/// What the log says of those that the state does not hold in full; nothing where nobody asks for them.
pub(crate) fn gone(log: &Log, view: &View, list: &ListArgs) -> Result<Traces, ReplayError> {
    let unfinished = list.live || list.stuck.is_some() || list.overdue.is_some();
    if unfinished { Ok(Traces::new()) } else { traces(log, view.state.head().seq) }
}

pub(crate) fn tell(
    view: &View,
    traces: &Traces,
    list: &ListArgs,
    with: With<'_>,
    io: &mut Io<'_>,
) -> Outcome {
    let rows = page(view, traces, list, with)?;
    let mut out = Rows::new::<PaymentRow>(io, with.shown.format, with.clock);
    for row in &rows {
        out.row(row)?;
    }
    out.finish()?;
    Ok(())
}

/// The rows that are asked for, in order.
fn page(
    view: &View,
    traces: &Traces,
    list: &ListArgs,
    with: With<'_>,
) -> Result<Vec<PaymentRow>, Failure> {
    let (state, reveal) = (&view.state, with.shown.reveal);
    let live = StatusKind::ALL.into_iter().flat_map(|kind| state.payments(kind));
    let mut rows: Vec<_> =
        live.map(|payment| live_row(state, payment, with.clock, reveal)).collect();
    let gone = traces.iter().filter(|(id, _)| state.payment(id).is_none());
    rows.extend(gone.map(|of| gone_row(state, of, with.clock, reveal)));
    let overdue = list.overdue.map(|height| {
        let parts = state.overdue(height).into_iter();
        parts.map(|part| part.payment.to_string()).collect::<Vec<_>>()
    });
    rows.retain(|row| {
        fits(row, list, with.clock) && overdue.as_ref().is_none_or(|ids| ids.contains(&row.id))
    });
    sort(&mut rows, list.sort);
    if let Some(after) = &list.after {
        let at = rows.iter().position(|row| row.id.starts_with(after.as_str()));
        let at =
            at.ok_or_else(|| Failure::refused(format!("no payment {after} is in this listing")))?;
        rows.drain(..=at);
    }
    rows.truncate(list.limit.unwrap_or(usize::MAX));
    Ok(rows)
}

fn fits(row: &PaymentRow, list: &ListArgs, clock: &Clock) -> bool {
    let status = list.status.is_empty() || list.status.iter().any(|arg| name(*arg) == row.status);
    let begins = |text: &Option<String>, prefix: &str| {
        text.as_ref().is_some_and(|text| text.starts_with(prefix))
    };
    let prefix = list
        .prefix
        .as_ref()
        .map(|prefix| prefix.to_lowercase())
        .is_none_or(|prefix| row.id.starts_with(&prefix) || begins(&row.payment_hash, &prefix));
    let metadata = list.metadata.as_ref().is_none_or(|prefix| begins(&row.metadata, prefix));
    let unfinished = ["awaiting_invoice", "pending", "abandoned"].contains(&row.status);
    let stuck = list.stuck.is_none_or(|span| {
        let changed = UnixMillis(row.changed_at_ms.unwrap_or(0));
        unfinished && changed.plus(span).is_past(clock.now)
    });
    let accepted = row.accepted_at_ms.map(UnixMillis);
    let since = list.since.is_none_or(|since| accepted.is_some_and(|at| at >= since));
    let until = list.until.is_none_or(|until| accepted.is_some_and(|at| at < until));
    status && prefix && metadata && stuck && since && until
}

const fn name(status: StatusArg) -> &'static str {
    match status {
        StatusArg::AwaitingInvoice => "awaiting_invoice",
        StatusArg::Pending => "pending",
        StatusArg::Fulfilled => "fulfilled",
        StatusArg::Abandoned => "abandoned",
        StatusArg::Failed => "failed",
        StatusArg::Forgotten => "forgotten",
    }
}

fn sort(rows: &mut [PaymentRow], by: Sort) {
    use std::cmp::Reverse;

    // Ids break ties: the same log is listed the same.
    let of = |row: &PaymentRow| (row.accepted_at_ms, row.id.clone());
    match by {
        Sort::Newest => rows.sort_by_cached_key(|row| Reverse(of(row))),
        Sort::Oldest => rows.sort_by_cached_key(of),
        Sort::Age => rows.sort_by_cached_key(|row| (row.changed_at_ms, row.id.clone())),
        Sort::Amount => rows.sort_by_cached_key(|row| (Reverse(row.amount_msat), row.id.clone())),
        Sort::Fee => rows.sort_by_cached_key(|row| (Reverse(row.fee_msat), row.id.clone())),
    }
}
