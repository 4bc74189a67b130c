//! `payonce export`: the log, its payments and its bookkeeping for other programs.

use std::{
    fs::File,
    io::{BufWriter, Seek, Write},
    ops::ControlFlow,
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use payonce::{
    Event,
    audit::{EventSource, Record, ReplayError, StoredEntry},
};
use serde::Serialize;

use crate::{
    address::Address,
    cli::{ListArgs, Sort, What},
    commands::{
        With, list,
        log::{EventJson, EventRow},
    },
    fresh::create_file,
    io::{Failure, Io, Outcome},
    log::{Log, reading},
    postings::Books,
    rows::{Format, write_csv, write_json},
    units::rfc3339,
    view::View,
};

/// The first line of an export of the log.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(crate) struct Heading {
    /// The version of this layout.
    pub(crate) payonce_export: u32,
    pub(crate) ledger: String,
    /// Whether it holds the entries and their preimages: without them it cannot be imported.
    pub(crate) revealed: bool,
    pub(crate) head_seq: u64,
    pub(crate) head_log_hash: String,
    pub(crate) history_from_seq: u64,
}

/// The line of a base.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(crate) struct BaseLine {
    pub(crate) base_seq: u64,
    pub(crate) base_log_hash: String,
    /// The state, in base64.
    pub(crate) base: String,
}

/// The line of an entry.
#[derive(Debug, Serialize)]
pub(crate) struct EntryLine<'a> {
    pub(crate) first_seq: u64,
    pub(crate) at_ms: u64,
    pub(crate) at: Option<String>,
    pub(crate) epoch: u64,
    /// The chain's hash after it, if what is before it is known.
    pub(crate) log_hash: Option<String>,
    /// The entry as it is kept, in base64.
    pub(crate) entry: Option<String>,
    pub(crate) events: Vec<EventJson<'a>>,
}

impl<'a> EntryLine<'a> {
    pub(crate) fn of(record: &'a Record, bytes: &[u8], chained: bool, reveal: bool) -> Self {
        let seqs = record.header.first_seq..;
        let events = seqs.zip(&record.events).map(|(seq, event): (u64, &Event)| EventJson {
            row: EventRow::of(seq, record, event, reveal),
            fields: event,
        });
        Self {
            first_seq: record.header.first_seq,
            at_ms: record.header.now.0,
            at: rfc3339(record.header.now),
            epoch: record.header.epoch,
            log_hash: chained.then(|| record.after.chain.to_string()),
            entry: reveal.then(|| STANDARD.encode(bytes)),
            events: events.collect(),
        }
    }
}

pub(crate) fn run(
    address: &Address,
    what: What,
    output: Option<&Path>,
    with: With<'_>,
    io: &mut Io<'_>,
) -> Outcome {
    match output {
        None => {
            let mut out = Once { out: io.out, begun: false };
            write(address, what, with, &mut out)
        }
        Some(path) => {
            // Read first: where there is no log, nothing is written.
            Log::open(address)?;
            let mut out = Anew(BufWriter::new(create_file(path)?));
            let written = write(address, what, with, &mut out)
                .and_then(|()| Ok(out.0.flush()?))
                .and_then(|()| Ok(out.0.get_ref().sync_all()?));
            if written.is_err() {
                let _ = std::fs::remove_file(path);
            }
            written?;
            Ok(writeln!(io.out, "wrote {}", path.display())?)
        }
    }
}

/// Where an export goes, and whether it can begin once more.
trait Target: Write {
    fn begin(&mut self) -> Outcome;
}

struct Once<'a> {
    out: &'a mut dyn Write,
    begun: bool,
}

impl Write for Once<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.begun = true;
        self.out.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

impl Target for Once<'_> {
    fn begin(&mut self) -> Outcome {
        if self.begun {
            let text =
                "the log changed while it was exported: use --output, or export a backup of it";
            return Err(Failure::refused(text));
        }
        Ok(())
    }
}

struct Anew(BufWriter<File>);

impl Write for Anew {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Target for Anew {
    fn begin(&mut self) -> Outcome {
        self.0.rewind()?;
        Ok(self.0.get_ref().set_len(0)?)
    }
}

fn write(address: &Address, what: What, with: With<'_>, out: &mut dyn Target) -> Outcome {
    reading(address, |log| {
        if let Err(refused) = out.begin() {
            return Ok(Err(refused));
        }
        let out: &mut dyn Write = out;
        match what {
            What::Log => export_log(log, with, out),
            What::Payments => export_payments(log, with, out),
            What::Postings => export_postings(log, with, out),
        }
    })?
}

/// A failure to read is the log's; one to write is the output's.
type Written = Result<Outcome, ReplayError>;

/// Walks over the log; `each` gets every record with its bytes.
fn walk(
    log: &Log,
    mut each: impl FnMut(&Record, StoredEntry<'_>) -> Outcome,
) -> Result<Outcome, ReplayError> {
    let mut head = log.start()?;
    let (mut outcome, mut failed) = (Ok(()), None);
    log.replay(head.seq + 1, &mut |entry| match Record::read(head, entry.bytes) {
        Ok(record) => {
            head = record.after;
            outcome = each(&record, entry);
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    let stored = log.head()?;
    match failed {
        Some(error) => Err(error),
        None if outcome.is_ok() && head != stored => {
            Err(ReplayError::HeadDiffers { replayed: head, stored })
        }
        None => Ok(outcome),
    }
}

fn export_log(log: &Log, with: With<'_>, out: &mut dyn Write) -> Written {
    let reveal = with.shown.reveal;
    if with.shown.format == Format::Csv {
        let mut first = true;
        return walk(log, |record, _| {
            for (seq, event) in (record.header.first_seq..).zip(&record.events) {
                let row = EventRow::of(seq, record, event, reveal);
                write_csv(out, &row, std::mem::take(&mut first))?;
            }
            Ok(())
        });
    }
    let (head, base) = (log.head()?, log.base()?);
    let heading = Heading {
        payonce_export: 1,
        ledger: log.ledger_id().to_string(),
        revealed: reveal,
        head_seq: head.seq,
        head_log_hash: head.chain.to_string(),
        history_from_seq: base.as_ref().map_or(1, |base| base.at.seq + 1),
    };
    if let Err(refused) = line(out, &heading) {
        return Ok(Err(refused));
    }
    if let Some(base) = base.filter(|_| reveal) {
        let line_of_base = BaseLine {
            base_seq: base.at.seq,
            base_log_hash: base.at.chain.to_string(),
            base: STANDARD.encode(&base.bytes),
        };
        if let Err(refused) = line(out, &line_of_base) {
            return Ok(Err(refused));
        }
    }
    walk(log, |record, entry| line(out, &EntryLine::of(record, entry.bytes, true, reveal)))
}

pub(crate) fn line(out: &mut dyn Write, value: &impl Serialize) -> Outcome {
    write_json(out, value)?;
    Ok(out.write_all(b"\n")?)
}

/// A row in CSV or in JSON lines.
fn row(out: &mut dyn Write, format: Format, value: &impl Serialize, first: &mut bool) -> Outcome {
    match format {
        Format::Csv => write_csv(out, value, std::mem::take(first)),
        _ => line(out, value),
    }
}

fn export_payments(log: &Log, with: With<'_>, out: &mut dyn Write) -> Written {
    let (view, mut first) = (View::newest(log)?, true);
    let all = ListArgs { sort: Sort::Oldest, ..ListArgs::default() };
    let rows = match list::rows(log, &view, &all, with)? {
        Ok(rows) => rows,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut rows = rows.iter();
    Ok(rows.try_for_each(|payment| row(out, with.shown.format, payment, &mut first)))
}

fn export_postings(log: &Log, with: With<'_>, out: &mut dyn Write) -> Written {
    let mut books = Books::of(log)?;
    let mut first = true;
    walk(log, |record, _| {
        for posting in books.record(record) {
            row(out, with.shown.format, &posting, &mut first)?;
        }
        Ok(())
    })
}
