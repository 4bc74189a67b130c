//! `payonce at`: the state as it was.

use payonce::audit::{EventSource, ReplayError, Until};

use crate::{
    address::Address,
    cli::{ListArgs, Moment},
    commands::{With, list, show, status},
    io::{Failure, Io, Outcome},
    log::{Log, reading},
    units::Clock,
    view::View,
};

pub(crate) fn run(
    address: &Address,
    when: Moment,
    (listed, shown): (bool, Option<&str>),
    with: With<'_>,
    io: &mut Io<'_>,
) -> Outcome {
    let until = match (when.seq, when.time) {
        (Some(seq), _) => Until::Seq(seq),
        (None, Some(time)) => Until::Time(time),
        (None, None) => return Err(Failure::refused("give --seq or --time")),
    };
    let prefix = shown.map(show::check_prefix).transpose()?;
    let all = ListArgs::default();
    let (view, rows, found) = reading(address, |log| {
        let view = match past(log, until, with.clock)? {
            Ok(view) => view,
            Err(refused) => return Ok(Err(refused)),
        };
        // Ages are those of that moment.
        let now = match until {
            Until::Time(time) => time,
            Until::Seq(_) => view.last_entry.unwrap_or(with.clock.now),
        };
        let clock = Clock { now, ..with.clock.clone() };
        let then = With { clock: &clock, ..with };
        let rows = if listed { list::rows(log, &view, &all, then)? } else { Ok(Vec::new()) };
        let found = prefix.as_ref().map(|prefix| show::find(log, &view, prefix)).transpose()?;
        Ok(Ok((view, rows, found)))
    })?
    .map_err(Failure::refused)?;
    // Ages are those of that moment.
    let now = match until {
        Until::Time(time) => time,
        Until::Seq(_) => view.last_entry.unwrap_or(with.clock.now),
    };
    let clock = Clock { now, ..with.clock.clone() };
    let with = With { clock: &clock, ..with };
    match (found, prefix) {
        (Some(found), Some(prefix)) => show::tell(&view, found, &prefix, with, io),
        _ if listed => list::tell(&rows?, with, io),
        _ => match status::tell(&view, None, with, io) {
            // That something was wrong then is no finding of today.
            Err(Failure::Findings) => Ok(()),
            told => told,
        },
    }
}

/// The state then; a text where the log does not reach there.
pub(crate) fn past(
    log: &Log,
    until: Until,
    clock: &Clock,
) -> Result<Result<View, String>, ReplayError> {
    let head = log.head()?.seq;
    let base = log.start()?.seq;
    if let Until::Seq(seq) = until {
        if seq > head {
            return Ok(Err(format!("seq {seq} is beyond the end of the log, seq {head}")));
        }
        if seq < base {
            return Ok(Err(format!("seq {seq} is gone: history up to seq {base} was dropped")));
        }
    }
    let view = View::at(log, until)?;
    if let Until::Time(time) = until
        && view.state.head().seq == base
        && head > base
    {
        let time = clock.moment(time);
        return Ok(Err(match base {
            0 => format!("{time} is before the first entry of the log"),
            _ => format!("{time} is before what is left: history up to seq {base} was dropped"),
        }));
    }
    Ok(Ok(view))
}
