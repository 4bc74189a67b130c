//! `payonce list`: which payments are there?

use std::path::Path;

use payonce::{ListError, Listing, StatusKind, TargetKind, UnixMillis, audit::ReplayError};

use crate::{
    cli::{KindArg, ListArgs, Sort, StatusArg},
    commands::With,
    io::{Failure, Io, Outcome},
    log::{Log, reading},
    payments::{PaymentRow, Traces, every, gone_row, listed_row, traces},
    rows::Rows,
    units::Clock,
    view::View,
};

pub(crate) fn run(directory: &Path, list: &ListArgs, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let rows = reading(directory, |log| {
        let view = View::newest(log)?;
        rows(log, &view, list, with)
    })??;
    tell(&rows, with, io)
}

pub(crate) fn tell(rows: &[PaymentRow], with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let mut out = Rows::new::<PaymentRow>(io, with.shown.format, with.clock);
    for row in rows {
        out.row(row)?;
    }
    out.finish()?;
    Ok(())
}

/// The rows that are asked for, in order: the ledger's own listing, and what only the log tells.
pub(crate) fn rows(
    log: &Log,
    view: &View,
    list: &ListArgs,
    with: With<'_>,
) -> Result<Result<Vec<PaymentRow>, Failure>, ReplayError> {
    let (state, reveal, clock) = (&view.state, with.shown.reveal, with.clock);
    let asked = listing(list);
    let listed = match asked.map(|asked| every(log, state, asked)).transpose() {
        Ok(listed) => listed.unwrap_or_default(),
        Err(ListError::Log(error)) => return Err(error),
        Err(error) => return Ok(Err(Failure::refused(error))),
    };
    // What the ledger has forgotten, and how often what it remembers was tried, only the log tells.
    let traces = if is_of_live(list) { Traces::new() } else { traces(log, state.head().seq)? };
    let own = listed.iter().map(|of| listed_row(state, of, traces.get(&of.view.id), clock, reveal));
    let mut rows: Vec<_> = own.collect();
    let forgotten = traces.iter().filter(|(id, _)| state.payment_view(id).is_none());
    let forgotten = forgotten.map(|of| gone_row(state, of, clock, reveal));
    rows.extend(forgotten.filter(|row| asks_forgotten(list) && fits_forgotten(row, list)));
    let overdue = list.overdue.map(|height| {
        let parts = state.overdue(height).into_iter();
        parts.map(|part| part.payment.to_string()).collect::<Vec<_>>()
    });
    rows.retain(|row| {
        fits(row, list, clock) && overdue.as_ref().is_none_or(|ids| ids.contains(&row.id))
    });
    sort(&mut rows, list.sort);
    Ok(page(rows, list))
}

/// The page that is asked for.
fn page(mut rows: Vec<PaymentRow>, list: &ListArgs) -> Result<Vec<PaymentRow>, Failure> {
    if let Some(after) = &list.after {
        let at = rows.iter().position(|row| row.id.starts_with(&after.to_lowercase()));
        let missing = || Failure::refused(format!("no payment {after} is in this listing"));
        rows.drain(..=at.ok_or_else(missing)?);
    }
    rows.truncate(list.limit.unwrap_or(usize::MAX));
    Ok(rows)
}

/// Whether only what the ledger holds in full can be meant.
fn is_of_live(list: &ListArgs) -> bool {
    list.live || list.stuck.is_some() || list.overdue.is_some()
}

/// What the ledger is asked; nothing where only forgotten payments are meant.
fn listing(list: &ListArgs) -> Option<Listing> {
    let statuses: Vec<_> = list.status.iter().filter_map(|status| kind(*status)).collect();
    if statuses.is_empty() && !list.status.is_empty() {
        return None;
    }
    let unfinished = [StatusKind::AwaitingInvoice, StatusKind::Pending, StatusKind::Abandoned];
    let mut listing = Listing::new(Listing::MAX_LIMIT);
    listing = match (statuses.is_empty(), list.stuck) {
        (true, Some(_)) => listing.statuses(unfinished),
        (_, _) => listing.statuses(statuses),
    };
    if is_of_live(list) {
        listing = listing.live();
    }
    if let Some(since) = list.since {
        listing = listing.accepted_from(since);
    }
    if let Some(until) = list.until {
        listing = listing.accepted_before(until);
    }
    if let Some(of) = list.kind {
        listing = listing.kind(match of {
            KindArg::Invoice => TargetKind::Invoice,
            KindArg::Spontaneous => TargetKind::Spontaneous,
            KindArg::Offer => TargetKind::Offer,
        });
    }
    Some(match &list.metadata {
        Some(prefix) => listing.metadata_prefix(prefix),
        None => listing,
    })
}

const fn kind(status: StatusArg) -> Option<StatusKind> {
    Some(match status {
        StatusArg::AwaitingInvoice => StatusKind::AwaitingInvoice,
        StatusArg::Pending => StatusKind::Pending,
        StatusArg::Fulfilled => StatusKind::Fulfilled,
        StatusArg::Abandoned => StatusKind::Abandoned,
        StatusArg::Failed => StatusKind::Failed,
        StatusArg::Forgotten => return None,
    })
}

fn asks_forgotten(list: &ListArgs) -> bool {
    let asked = list.status.is_empty() || list.status.contains(&StatusArg::Forgotten);
    asked && list.kind.is_none()
}

/// The filters that the ledger's own listing applies by itself.
fn fits_forgotten(row: &PaymentRow, list: &ListArgs) -> bool {
    let accepted = row.accepted_at_ms.map(UnixMillis);
    let since = list.since.is_none_or(|since| accepted.is_some_and(|at| at >= since));
    let until = list.until.is_none_or(|until| accepted.is_some_and(|at| at < until));
    let metadata =
        list.metadata.as_ref().is_none_or(|prefix| begins(row.metadata.as_ref(), prefix));
    since && until && metadata
}

fn begins(text: Option<&String>, prefix: &str) -> bool {
    text.is_some_and(|text| text.starts_with(prefix))
}

/// The filters that only this program has.
fn fits(row: &PaymentRow, list: &ListArgs, clock: &Clock) -> bool {
    let prefix = list.prefix.as_ref().map(|prefix| prefix.to_lowercase()).is_none_or(|prefix| {
        row.id.starts_with(&prefix) || begins(row.payment_hash.as_ref(), &prefix)
    });
    let unfinished = ["awaiting_invoice", "pending", "abandoned"].contains(&row.status);
    let stuck = list.stuck.is_none_or(|span| {
        let changed = UnixMillis(row.changed_at_ms.unwrap_or(0));
        unfinished && changed.plus(span).is_past(clock.now)
    });
    prefix && stuck
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
