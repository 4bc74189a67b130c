//! Listings: the same rows as a table, as JSON, as JSON lines and as CSV.

use std::io::Write;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::{
    io::{Failure, Io},
    units::Clock,
};

/// How a listing is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for people, as wide as the terminal.
    #[default]
    Table,
    /// One array of objects.
    Json,
    /// An object a line.
    Jsonl,
    /// Comma-separated values with a line of heads.
    Csv,
}

/// One line of a listing. Its fields are its JSON and its CSV: they are only ever added to.
pub(crate) trait Row: Serialize {
    /// The heads of the table's columns.
    const HEADS: &'static [&'static str];

    /// What stands in them.
    fn cells(&self, clock: &Clock) -> Vec<String>;
}

/// A listing on its way out.
pub(crate) struct Rows<'a, 'io> {
    io: &'a mut Io<'io>,
    format: Format,
    clock: &'a Clock,
    heads: &'static [&'static str],
    /// Those of a table, which is written when all are known.
    cells: Vec<Vec<String>>,
    count: usize,
}

impl<'a, 'io> Rows<'a, 'io> {
    pub(crate) fn new<R: Row>(io: &'a mut Io<'io>, format: Format, clock: &'a Clock) -> Self {
        Self { io, format, clock, heads: R::HEADS, cells: Vec::new(), count: 0 }
    }

    pub(crate) fn row<R: Row>(&mut self, row: &R) -> Result<(), Failure> {
        let out = &mut *self.io.out;
        match self.format {
            Format::Table => self.cells.push(row.cells(self.clock)),
            Format::Json => {
                out.write_all(if self.count == 0 { b"[\n" } else { b",\n" })?;
                write_json(out, row)?;
            }
            Format::Jsonl => {
                write_json(out, row)?;
                out.write_all(b"\n")?;
            }
            Format::Csv => write_csv(out, row, self.count == 0)?,
        }
        self.count += 1;
        Ok(())
    }

    /// Ends the listing; says how many rows there were.
    pub(crate) fn finish(self) -> Result<usize, Failure> {
        match self.format {
            Format::Table if self.count > 0 => {
                write!(self.io.out, "{}", listing(self.heads, &self.cells, self.io.columns))?;
            }
            Format::Json => {
                self.io.out.write_all(if self.count == 0 { b"[]\n" } else { b"\n]\n" })?;
            }
            Format::Table | Format::Jsonl | Format::Csv => {}
        }
        Ok(self.count)
    }
}

/// Rows for people: a table where the terminal has room for it. Else each row in lines of its own: in the narrow
/// columns of a table an id is broken, which nobody can copy.
fn listing(heads: &[&str], rows: &[Vec<String>], columns: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(heads.iter().copied());
    table.add_rows(rows);
    let table = format!("{table}\n");
    let columns = usize::from(columns.unwrap_or(u16::MAX).max(40));
    let fits = table.lines().all(|line| line.chars().count() <= columns);
    if fits { table } else { rows.iter().map(|row| in_lines(heads, row, columns)).collect() }
}

/// A row as its first cell, and the others with their heads behind it. Only what is longer than a line is
/// broken, by the terminal.
fn in_lines(heads: &[&str], row: &[String], columns: usize) -> String {
    let (mut text, mut length) = (row[0].clone(), row[0].chars().count());
    for (head, cell) in heads.iter().zip(row).skip(1) {
        let item = format!("{head} {cell}");
        let more = item.chars().count() + 2;
        if length + more > columns {
            text.push('\n');
            length = 0;
        }
        text.push_str("  ");
        text.push_str(&item);
        length += more;
    }
    text.push('\n');
    text
}

/// Writes a value as JSON on one line.
pub(crate) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> Result<(), Failure> {
    serde_json::to_writer(out, value).map_err(|error| Failure::from(std::io::Error::from(error)))
}

/// Writes a line of CSV, and the heads before the first one.
pub(crate) fn write_csv(
    out: &mut dyn Write,
    row: &impl Serialize,
    is_first: bool,
) -> Result<(), Failure> {
    let mut writer = csv::WriterBuilder::new().has_headers(is_first).from_writer(Vec::new());
    writer.serialize(row).map_err(Failure::refused)?;
    let line = writer.into_inner().map_err(Failure::refused)?;
    Ok(out.write_all(&line)?)
}

/// A text from outside as a cell of a spreadsheet: never a formula.
pub(crate) fn cell(text: &str) -> String {
    let shown = payonce::audit::Shown(text).to_string();
    if shown.starts_with(['=', '+', '-', '@']) { format!("'{shown}") } else { shown }
}
