//! `payonce log`: the events, one a line.

use std::{ops::ControlFlow, thread, time::Duration};

use payonce::{
    Event, Head, Preimage,
    audit::{EventSource, Record, ReplayError, StoreError},
    machine::Target,
};
use serde::Serialize;

use crate::{
    address::Address,
    cli::LogArgs,
    commands::{With, raw},
    io::{Failure, Io, Outcome},
    log::reading,
    rows::{Format, write_csv, write_json},
    units::{rfc3339, short},
};

/// An event; the columns of its CSV.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EventRow {
    pub(crate) seq: u64,
    pub(crate) at_ms: u64,
    pub(crate) at: Option<String>,
    /// The run of the program that recorded it.
    pub(crate) epoch: u64,
    pub(crate) event: &'static str,
    pub(crate) payment: Option<String>,
    pub(crate) words: String,
    pub(crate) preimage: Option<String>,
}

/// An event; its JSON.
#[derive(Debug, Serialize)]
pub(crate) struct EventJson<'a> {
    #[serde(flatten)]
    pub(crate) row: EventRow,
    /// All of its fields, as the library names them.
    pub(crate) fields: &'a Event,
}

impl EventRow {
    pub(crate) fn of(seq: u64, record: &Record, event: &Event, reveal: bool) -> Self {
        let now = record.header.now;
        let preimage = preimage(event);
        Self {
            seq,
            at_ms: now.0,
            at: rfc3339(now),
            epoch: record.header.epoch,
            event: event.name(),
            payment: event.payment().map(ToString::to_string),
            words: event.words().to_string(),
            preimage: preimage
                .map(|proof| if reveal { proof.to_string() } else { "hidden".into() }),
        }
    }
}

/// The preimage that an event tells, if it does.
fn preimage(event: &Event) -> Option<Preimage> {
    match event {
        Event::PartClaimed { preimage, .. } | Event::HashPaid { preimage, .. } => *preimage,
        Event::PreimageLearned { preimage, .. } => Some(*preimage),
        Event::PaymentAccepted { request, .. } => match request.target {
            Target::Spontaneous { preimage } => Some(preimage),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn run(arguments: &LogArgs, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    if arguments.raw {
        return raw::run(arguments, with, io);
    }
    let mut printer = Printer { arguments, with, io, printed: 0 };
    let mut at = None;
    loop {
        at = Some(printer.read_on(at)?);
        printer.io.out.flush()?;
        if !arguments.follow || printer.is_over(at) {
            return printer.finish();
        }
        thread::sleep(pause(&arguments.dir));
    }
}

/// How long to wait for more: reading takes no lock, so a writer of another process has nobody to tell. A
/// database is asked anew over the network.
const fn pause(address: &Address) -> Duration {
    Duration::from_millis(match address {
        Address::Directory(_) => 200,
        Address::Postgres(_) => 1_000,
    })
}

struct Printer<'a, 'io> {
    arguments: &'a LogArgs,
    with: With<'a>,
    io: &'a mut Io<'io>,
    printed: u64,
}

impl Printer<'_, '_> {
    fn is_over(&self, at: Option<Head>) -> bool {
        self.arguments.to.is_some_and(|to| at.is_some_and(|at| at.seq >= to))
    }

    /// Prints what comes after this head, and gives the one after it. A log that is changed meanwhile
    /// is read on where the last event was printed.
    fn read_on(&mut self, from: Option<Head>) -> Result<Head, Failure> {
        let mut at = from;
        let mut failed = None;
        reading(&self.arguments.dir, |log| {
            let mut head = at.map_or_else(|| log.start(), Ok)?;
            let (from, mut wrong, mut stopped) = (head.seq + 1, None, false);
            let replayed = log.replay(from, &mut |entry| {
                let record = match Record::read(head, entry.bytes) {
                    Ok(record) => record,
                    Err(error) => {
                        wrong = Some(error);
                        return ControlFlow::Break(());
                    }
                };
                head = record.after;
                let flow = self.record(&record).unwrap_or_else(|error| {
                    failed = Some(error);
                    ControlFlow::Break(())
                });
                stopped = flow.is_break();
                flow
            });
            // What was printed is not printed again, whatever ended it.
            at = Some(head);
            replayed.map_err(|error| gone(error, head))?;
            let stored = log.head()?;
            match wrong {
                Some(error) => Err(error),
                // What was edited with its checksums shows in the chain alone.
                None if !stopped && head != stored => {
                    Err(ReplayError::HeadDiffers { replayed: head, stored }.placed(log, from))
                }
                None => Ok(()),
            }
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(at.expect("it was read")),
        }
    }

    fn record(&mut self, record: &Record) -> Result<ControlFlow<()>, Failure> {
        let LogArgs { from, to, since, until, .. } = *self.arguments;
        let now = record.header.now;
        let early = since.is_some_and(|since| now < since);
        let late = until.is_some_and(|until| now >= until);
        for (seq, event) in (record.header.first_seq..).zip(&record.events) {
            if to.is_some_and(|to| seq > to) {
                return Ok(ControlFlow::Break(()));
            }
            if early || late || from.is_some_and(|from| seq < from) {
                continue;
            }
            self.event(seq, record, event)?;
        }
        let over = to.is_some_and(|to| record.header.last_seq() >= to);
        Ok(if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn event(&mut self, seq: u64, record: &Record, event: &Event) -> Outcome {
        let row = EventRow::of(seq, record, event, self.with.shown.reveal);
        let out = &mut *self.io.out;
        match self.with.shown.format {
            Format::Table => {
                let at = self.with.clock.moment(record.header.now);
                let payment = event.payment().map_or("-".into(), short);
                if self.printed == 0 {
                    let zone = " ".repeat(at.len().saturating_sub(4));
                    writeln!(out, "    seq  time{zone}  payment   what")?;
                }
                writeln!(out, "{seq:>7}  {at}  {payment:<8}  {}", row.words)?;
            }
            Format::Json => {
                out.write_all(if self.printed == 0 { b"[\n" } else { b",\n" })?;
                write_json(out, &EventJson { row, fields: event })?;
            }
            Format::Jsonl => {
                write_json(out, &EventJson { row, fields: event })?;
                writeln!(out)?;
            }
            Format::Csv => write_csv(out, &row, self.printed == 0)?,
        }
        self.printed += 1;
        Ok(())
    }

    fn finish(self) -> Outcome {
        if self.with.shown.format == Format::Json {
            self.io.out.write_all(if self.printed == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        Ok(())
    }
}

/// What a log is told as whose writer dropped what was not printed yet.
fn gone(error: StoreError, head: Head) -> ReplayError {
    match error {
        StoreError::Missing { .. } => StoreError::Missing {
            needed: "history any more: its writer has dropped it; none",
            requested: head.seq + 1,
        }
        .into(),
        other => other.into(),
    }
}
