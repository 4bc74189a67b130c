//! `payonce log --raw`: entries as they lie on the disk, or in the rows of a database.

use std::ops::ControlFlow;

use payonce::{
    UnixMillis,
    audit::{EntryHeader, EventSource, Found, Place, Record, scan},
    store_fs::FsError,
};
use serde::Serialize;

use crate::{
    address::Address,
    cli::LogArgs,
    commands::With,
    io::{Failure, Io, Outcome},
    log::{Log, reading},
    payments::hex,
    rows::{Format, write_csv, write_json},
};

/// An entry as it is kept.
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

pub(crate) fn run(arguments: &LogArgs, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let address = &arguments.dir;
    let mut printer = Printer { arguments, with, io, damaged: false, printed: 0 };
    match address.directory().map(|directory| printer.scan(directory)) {
        // It may be in LDK's `FilesystemStore`.
        Some(Err(FsError::NotALedger { .. })) | None => printer.rows(address)?,
        Some(Ok(outcome)) => outcome?,
        Some(Err(error)) => return Err(Failure::refused(error)),
    }
    printer.finish()
}

struct Printer<'a, 'io> {
    arguments: &'a LogArgs,
    with: With<'a>,
    io: &'a mut Io<'io>,
    damaged: bool,
    printed: u64,
}

impl Printer<'_, '_> {
    /// Everything in a directory that can be read, damaged or not.
    fn scan(&mut self, directory: &std::path::Path) -> Result<Outcome, FsError> {
        let mut outcome = Ok(());
        scan(directory, &mut |found| {
            outcome = self.found(&found);
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(outcome)
    }

    fn found(&mut self, found: &Found<'_>) -> Outcome {
        match found {
            Found::Entry { place, header, bytes, after } => {
                let hash = after.map(|head| head.chain.to_string());
                self.entry(*place, header, bytes, hash)
            }
            Found::Damage(error) => {
                self.damaged = true;
                Ok(writeln!(self.io.err, "payonce: {error}")?)
            }
            Found::Torn { place: Place { file, offset, bytes } } => {
                let torn = "of a write that is under way or was torn";
                Ok(writeln!(self.io.err, "payonce: {file} byte {offset}: {bytes} bytes {torn}")?)
            }
            _ => Ok(()),
        }
    }

    /// The entries of a log that has no files of its own: each stands under its seq, at offset 0.
    fn rows(&mut self, address: &Address) -> Outcome {
        let mut head = None;
        let mut failed = Ok(());
        reading(address, |log| {
            let mut at = head.map_or_else(|| log.start(), Ok)?;
            let table = place_of(log);
            let replayed = log.replay(at.seq + 1, &mut |entry| {
                let read = Record::read(at, entry.bytes).map_err(Failure::refused);
                let told = read.and_then(|record| {
                    at = record.after;
                    let file = format!("{table}/{}", entry.first_seq);
                    let bytes = entry.bytes.len() as u64;
                    let place = Place { file: &file, offset: 0, bytes };
                    let hash = Some(at.chain.to_string());
                    self.entry(place, &record.header, entry.bytes, hash)
                });
                failed = told;
                if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            // What was printed is not printed again.
            head = Some(at);
            Ok(replayed?)
        })?;
        failed
    }

    fn entry(
        &mut self,
        place: Place<'_>,
        header: &EntryHeader,
        bytes: &[u8],
        log_hash: Option<String>,
    ) -> Outcome {
        let LogArgs { from, to, since, until, .. } = *self.arguments;
        let seqs = from.is_none_or(|from| header.last_seq() >= from)
            && to.is_none_or(|to| header.first_seq <= to);
        let times = since.is_none_or(|since| header.now >= since)
            && until.is_none_or(|until| header.now < until);
        if !(seqs && times) {
            return Ok(());
        }
        let row = RawRow {
            file: place.file,
            offset: place.offset,
            bytes: place.bytes,
            first_seq: header.first_seq,
            last_seq: header.last_seq(),
            at_ms: header.now.0,
            epoch: header.epoch,
            format: header.format,
            log_hash,
            hex: if self.with.shown.reveal { hex(bytes) } else { "hidden".into() },
        };
        self.printed += 1;
        self.row(&row)
    }

    fn row(&mut self, row: &RawRow<'_>) -> Outcome {
        let (out, is_first) = (&mut *self.io.out, self.printed == 1);
        match self.with.shown.format {
            Format::Table => {
                let RawRow { file, offset, bytes, first_seq, last_seq, epoch, hex, .. } = row;
                let at = self.with.clock.moment(UnixMillis(row.at_ms));
                let seqs = format!("{first_seq}-{last_seq}");
                writeln!(
                    out,
                    "{file} {offset:>9} {bytes:>7} bytes  seq {seqs:<13} {at}  run {epoch}  {hex}"
                )?;
            }
            Format::Json => {
                out.write_all(if is_first { b"[\n" } else { b",\n" })?;
                write_json(out, row)?;
            }
            Format::Jsonl => {
                write_json(out, row)?;
                writeln!(out)?;
            }
            Format::Csv => write_csv(out, row, is_first)?,
        }
        Ok(())
    }

    fn finish(self) -> Outcome {
        if self.with.shown.format == Format::Json {
            self.io.out.write_all(if self.printed == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        if self.damaged { Err(Failure::Findings) } else { Ok(()) }
    }
}

/// What stands for the file of an entry.
const fn place_of(log: &Log) -> &'static str {
    match log {
        Log::Fs(_) => "entries",
        #[cfg(feature = "kv")]
        Log::Kv(_) => "log",
        #[cfg(feature = "postgres")]
        Log::Postgres(_) => "payonce.entries",
    }
}
