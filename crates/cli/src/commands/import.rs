//! `payonce import`: an export of the log, turned back into the same log.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use payonce::{Head, LedgerId, audit, audit::Snapshot, machine::LogHash, store_fs::FsStore};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    address::Address,
    commands::{
        copy::make,
        export::{BaseLine, Heading},
    },
    copy::{Copier, OPTIONS, close},
    fresh::FreshDirectory,
    io::{Failure, Io, Outcome},
    log::seed,
};

/// What is read of the line of an entry.
#[derive(Debug, Deserialize)]
struct EntryLine {
    log_hash: String,
    entry: String,
}

pub(crate) fn run(file: &Path, dst: &Address, io: &mut Io<'_>) -> Outcome {
    let head = make(dst, |directory| {
        if file.as_os_str() == "-" {
            return import(&mut *io.input, directory);
        }
        let opened = File::open(file).map_err(|error| {
            Failure::refused(format!("cannot open {}: {error}", file.display()))
        })?;
        import(&mut BufReader::new(opened), directory)
    })?;
    Ok(writeln!(io.out, "{dst} ends at {head}")?)
}

/// The lines of an export, counted.
struct Lines<'a> {
    input: &'a mut dyn BufRead,
    number: u64,
    text: String,
}

impl Lines<'_> {
    /// The next line; `None` at the end.
    fn next(&mut self) -> Result<Option<&str>, Failure> {
        self.text.clear();
        self.number += 1;
        let read = self.input.read_line(&mut self.text);
        match read.map_err(|error| self.wrong(&format!("cannot be read: {error}")))? {
            0 => Ok(None),
            _ => Ok(Some(self.text.trim_end())),
        }
    }

    fn wrong(&self, what: &str) -> Failure {
        Failure::refused(format!("line {} {what}; nothing was imported", self.number))
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(self.text.trim_end())
            .map_err(|error| self.wrong(&format!("is not what an export has there: {error}")))
    }

    fn bytes(&self, text: &str) -> Result<Vec<u8>, Failure> {
        STANDARD.decode(text).map_err(|error| self.wrong(&format!("is damaged: {error}")))
    }
}

fn import(input: &mut dyn BufRead, dst: &Path) -> Result<Head, Failure> {
    let mut lines = Lines { input, number: 0, text: String::new() };
    if lines.next()?.is_none() {
        return Err(Failure::refused("the file is empty; nothing was imported"));
    }
    let heading: Heading = lines.parse()?;
    if heading.payonce_export != 1 {
        let found = heading.payonce_export;
        return Err(lines.wrong(&format!("has version {found}, which a newer program wrote")));
    }
    if !heading.revealed {
        return Err(lines.wrong("says that preimages are hidden: export it with --reveal"));
    }
    let told = head(&lines, heading.head_seq, &heading.head_log_hash)?;
    let ledger: LedgerId = heading.ledger.parse().map_err(|_| lines.wrong("names no ledger"))?;
    let fresh = FreshDirectory::begin(dst)?;
    let store = if heading.history_from_seq > 1 {
        lines.next()?;
        let line: BaseLine = lines.parse()?;
        let at = head(&lines, line.base_seq, &line.base_log_hash)?;
        let base = Snapshot { at, bytes: lines.bytes(&line.base)? };
        FsStore::create_from(fresh.path(), ledger, &base, OPTIONS)
    } else {
        FsStore::create(fresh.path(), ledger, OPTIONS)
    };
    let mut copier = Copier::to(store.map_err(Failure::refused)?.0)?;
    while lines.next()?.is_some() {
        let line: EntryLine = lines.parse()?;
        let bytes = lines.bytes(&line.entry)?;
        let after = copier.entry(&bytes).map_err(|error| lines.wrong(&error.to_string()))?;
        if after.chain.to_string() != line.log_hash {
            return Err(lines.wrong("does not lead to the hash that it states: it was edited"));
        }
    }
    let ends = copier.head();
    if ends != told {
        let text =
            format!("is the last, at {ends}, but the first line says {told}: lines are missing");
        return Err(lines.wrong(&text));
    }
    let store = copier.finish()?;
    audit::verify(&store, seed()).map_err(|error| {
        Failure::refused(format!("what was exported is no log: {error}; nothing was imported"))
    })?;
    close(store)?;
    fresh.finish()?;
    Ok(ends)
}

fn head(lines: &Lines<'_>, seq: u64, hash: &str) -> Result<Head, Failure> {
    let chain: LogHash = hash.parse().map_err(|_| lines.wrong("names no hash of the log"))?;
    Ok(Head { seq, chain })
}
