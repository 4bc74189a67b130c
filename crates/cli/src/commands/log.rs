//! `payonce log`: the events, one a line.

use std::{ops::ControlFlow, path::Path, thread, time::Duration};

use payonce::{
    Event, Head, Preimage, Target, UnixMillis,
    audit::{EventSource, Found, Record, ReplayError, StoreError, scan},
};
use serde::Serialize;

use crate::{
    cli::LogArgs,
    commands::With,
    io::{Failure, Io, Outcome},
    log::{Log, reading},
    payments::hex,
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
        return raw(&arguments.dir, arguments, with, io);
    }
    let mut printer = Printer { arguments, with, io, printed: 0 };
    let mut at = None;
    loop {
        at = Some(printer.read_on(at)?);
        printer.io.out.flush()?;
        if !arguments.follow || printer.is_over(at) {
            return printer.finish();
        }
        // Reading takes no lock, so a writer of another process has nobody to tell.
        thread::sleep(Duration::from_millis(200));
    }
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
            let mut head = at.map_or_else(|| start(log), Ok)?;
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

/// The head before the first entry that is left.
pub(crate) fn start(log: &Log) -> Result<Head, ReplayError> {
    Ok(log.base()?.map_or_else(|| Head::genesis(log.ledger_id()), |base| base.at))
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

/// An entry as it lies on the disk.
#[derive(Debug, Serialize)]
struct RawRow<'a> {
    file: &'a str,
    offset: u64,
    bytes: u64,
    first_seq: u64,
    last_seq: u64,
    at_ms: u64,
    epoch: u64,
    format: u8,
    log_hash: Option<String>,
    /// The entry in hex; it holds preimages.
    hex: String,
}

fn raw(directory: &Path, arguments: &LogArgs, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let LogArgs { from, to, since, until, .. } = *arguments;
    let (mut outcome, mut damaged, mut printed) = (Ok(()), false, 0);
    let scanned = scan(directory, &mut |found| {
        let told = match found {
            Found::Entry { place, header, bytes, after } => {
                let seqs = from.is_none_or(|from| header.last_seq() >= from)
                    && to.is_none_or(|to| header.first_seq <= to);
                let times = since.is_none_or(|since| header.now >= since)
                    && until.is_none_or(|until| header.now < until);
                if !(seqs && times) {
                    return ControlFlow::Continue(());
                }
                let hex = if with.shown.reveal { hex(bytes) } else { "hidden".into() };
                let row = RawRow {
                    file: place.file,
                    offset: place.offset,
                    bytes: place.bytes,
                    first_seq: header.first_seq,
                    last_seq: header.last_seq(),
                    at_ms: header.now.0,
                    epoch: header.epoch,
                    format: header.format,
                    log_hash: after.map(|head| head.chain.to_string()),
                    hex,
                };
                printed += 1;
                raw_row(&row, printed, with, io)
            }
            Found::Damage(error) => {
                damaged = true;
                writeln!(io.err, "payonce: {error}").map_err(Failure::from)
            }
            Found::Torn { place } => {
                let (file, offset, bytes) = (place.file, place.offset, place.bytes);
                let torn = "of a write that is under way or was torn";
                writeln!(io.err, "payonce: {file} byte {offset}: {bytes} bytes {torn}")
                    .map_err(Failure::from)
            }
            _ => Ok(()),
        };
        match told {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        }
    });
    scanned.map_err(Failure::refused)?;
    outcome?;
    if with.shown.format == Format::Json {
        io.out.write_all(if printed == 0 { b"[]\n" } else { b"\n]\n" })?;
    }
    if damaged { Err(Failure::Findings) } else { Ok(()) }
}

fn raw_row(row: &RawRow<'_>, nth: u64, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let out = &mut *io.out;
    match with.shown.format {
        Format::Table => {
            let RawRow { file, offset, bytes, first_seq, last_seq, epoch, hex, .. } = row;
            let at = with.clock.moment(UnixMillis(row.at_ms));
            let seqs = format!("{first_seq}-{last_seq}");
            writeln!(
                out,
                "{file} {offset:>9} {bytes:>7} bytes  seq {seqs:<13} {at}  run {epoch}  {hex}"
            )?;
        }
        Format::Json => {
            out.write_all(if nth == 1 { b"[\n" } else { b",\n" })?;
            write_json(out, row)?;
        }
        Format::Jsonl => {
            write_json(out, row)?;
            writeln!(out)?;
        }
        Format::Csv => write_csv(out, row, nth == 1)?,
    }
    Ok(())
}
