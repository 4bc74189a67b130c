//! `payonce list`: which payments are there?

use payonce::{
    Listing, StatusKind, UnixMillis,
    audit::ReplayError,
    machine::{ListError, TargetKind},
};

use crate::{
    address::Address,
    cli::{KindArg, ListArgs, Sort, StatusArg},
    commands::With,
    io::{Failure, Io, Outcome},
    log::{Log, reading},
    payments::{PaymentRow, Traces, first, gone_row, listed_row, traces},
    rows::{Format, Rows},
    units::Clock,
    view::View,
};

pub(crate) fn run(address: &Address, list: &ListArgs, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let rows = reading(address, |log| {
        let view = if is_of_live(list) { View::live(log)? } else { View::newest(log)? };
        rows(log, &view, list, with)
    })??;
    let shown = list.limit.unwrap_or(usize::MAX).min(rows.len());
    tell(&rows[..shown], with, io)?;
    if let (Format::Table, Some(last)) = (with.shown.format, rows[..shown].last())
        && shown < rows.len()
    {
        writeln!(io.out, "more: --after {}", last.cursor)?;
    }
    Ok(())
}

pub(crate) fn tell(rows: &[PaymentRow], with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let mut out = Rows::new::<PaymentRow>(io, with.shown.format, with.clock);
    for row in rows {
        out.row(row)?;
    }
    out.finish()?;
    Ok(())
}

/// The rows that are asked for, in order, of a page one more at least if there is: the ledger's own
/// listing, and what only the log tells.
pub(crate) fn rows(
    log: &Log,
    view: &View,
    list: &ListArgs,
    with: With<'_>,
) -> Result<Result<Vec<PaymentRow>, Failure>, ReplayError> {
    let (state, reveal, clock) = (&view.state, with.shown.reveal, with.clock);
    // A cursor of another ledger, or of a log that was longer, is refused whatever is listed.
    let checked = list.after.map(|after| state.select(&Listing::new(1).after(after)).map(drop));
    if let Some(Err(refused)) = checked {
        return Ok(Err(Failure::refused(refused)));
    }
    let all =
        list.limit.filter(|_| is_paged(list)).map_or(usize::MAX, |limit| limit.saturating_add(1));
    let asked = listing(list, all).map(|asked| first(log, state, asked, all));
    let listed = match asked.transpose() {
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
    Ok(behind(rows, list))
}

/// What comes behind the cursor.
fn behind(mut rows: Vec<PaymentRow>, list: &ListArgs) -> Result<Vec<PaymentRow>, Failure> {
    let Some(after) = list.after else { return Ok(rows) };
    match list.sort {
        Sort::Newest => rows.retain(|row| row.cursor.seq() < after.seq()),
        Sort::Oldest => rows.retain(|row| row.cursor.seq() > after.seq()),
        // Other orders move with what they are made of: only the payment itself tells its place.
        Sort::Age | Sort::Amount | Sort::Fee => {
            let at = rows.iter().position(|row| row.cursor == after);
            let missing = || {
                Failure::refused(format!(
                    "the payment of cursor {after} is not in this listing any more: begin without one"
                ))
            };
            rows.drain(..=at.ok_or_else(missing)?);
        }
    }
    Ok(rows)
}

/// Whether the ledger's own pages are those that are asked for: nothing is added to them, left out of them
/// or put into another order.
fn is_paged(list: &ListArgs) -> bool {
    let is_in_order = matches!(list.sort, Sort::Newest | Sort::Oldest);
    let is_filtered = list.prefix.is_some() || list.stuck.is_some() || list.overdue.is_some();
    is_in_order && !is_filtered && (list.live || !asks_forgotten(list))
}

/// Whether only what the ledger holds in full can be meant.
fn is_of_live(list: &ListArgs) -> bool {
    list.live || list.stuck.is_some() || list.overdue.is_some()
}

/// What the ledger is asked; nothing where only forgotten payments are meant.
fn listing(list: &ListArgs, count: usize) -> Option<Listing> {
    let statuses: Vec<_> = list.status.iter().filter_map(|status| kind(*status)).collect();
    if statuses.is_empty() && !list.status.is_empty() {
        return None;
    }
    let unfinished = [StatusKind::AwaitingInvoice, StatusKind::Pending, StatusKind::Abandoned];
    let mut listing = Listing::new(count.min(Listing::MAX_LIMIT));
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
    match (list.sort, list.after) {
        (Sort::Newest, Some(after)) => listing = listing.after(after),
        (Sort::Oldest, Some(after)) => listing = listing.oldest_first().after(after),
        (Sort::Oldest, None) => listing = listing.oldest_first(),
        _ => {}
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
    match by {
        Sort::Newest => rows.sort_by_key(|row| Reverse(row.cursor.seq())),
        Sort::Oldest => rows.sort_by_key(|row| row.cursor.seq()),
        Sort::Age => rows.sort_by_cached_key(|row| (row.changed_at_ms, row.id.clone())),
        Sort::Amount => rows.sort_by_cached_key(|row| (Reverse(row.amount_msat), row.id.clone())),
        Sort::Fee => rows.sort_by_cached_key(|row| (Reverse(row.fee_msat), row.id.clone())),
    }
}
