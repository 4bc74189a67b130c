//! Attempts and parts over time, as a picture in text.

use std::io::{self, Write};

use payonce::{Msat, PartStatus, UnixMillis};

use crate::{
    story::{Life, Story},
    units::{sat, short, span},
};

/// The columns of an output that is no terminal.
const COLUMNS: u16 = 100;
/// What stands beside a bar where all of a part is told in one line: its id, its amount, its end.
const BESIDE: usize = 64;
/// Where a bar would be shorter than this, it has a line of its own.
const SHORTEST: usize = 12;
/// How far the lines of a part are indented.
const INDENT: usize = 4;

/// The scale of a picture, and how much room it has.
struct Picture {
    first: u64,
    /// In milliseconds, at least one.
    length: u64,
    /// How many characters a bar has at most.
    width: usize,
    /// Whether a part takes two lines: what it is, and its bar.
    is_narrow: bool,
    /// Until when parts that are still out are drawn.
    end: UnixMillis,
}

/// Draws the parts of a payment, attempt by attempt, in at most so many columns, from forty on. `end` is
/// the last moment that the log knows.
pub(crate) fn draw(
    story: &Story,
    end: UnixMillis,
    columns: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if story.lives.is_empty() {
        return Ok(());
    }
    let picture = Picture::of(story, end, columns);
    writeln!(out, "\nparts         over {}", span(picture.length))?;
    let mut before = None;
    for life in &story.lives {
        if before != Some((life.of_try, life.attempt)) {
            before = Some((life.of_try, life.attempt));
            heading(story, life, out)?;
        }
        picture.part(life, out)?;
    }
    Ok(())
}

fn heading(story: &Story, life: &Life, out: &mut dyn Write) -> io::Result<()> {
    let of = if story.tries > 1 { format!(" of try {}", life.of_try) } else { String::new() };
    match life.attempt {
        0 => writeln!(out, "  told by the node{of}"),
        attempt => writeln!(out, "  attempt {attempt}{of}"),
    }
}

impl Picture {
    fn of(story: &Story, end: UnixMillis, columns: Option<u16>) -> Self {
        let columns = usize::from(columns.unwrap_or(COLUMNS).clamp(40, 120));
        let is_narrow = columns < BESIDE + SHORTEST;
        let beside = if is_narrow { INDENT } else { BESIDE };
        let first = story.lives.iter().map(|life| life.from.0).min().unwrap_or(0);
        let ends = story.lives.iter().map(|life| life.to.map_or(end.0, |to| to.0));
        let length = ends.max().unwrap_or(first).saturating_sub(first).max(1);
        Self { first, length, width: columns - beside, is_narrow, end }
    }

    fn part(&self, life: &Life, out: &mut dyn Write) -> io::Result<()> {
        let amount = life.amount.map_or("unknown".into(), |msat| sat(Msat(msat)));
        let (id, status) = (short(life.id), life.status);
        let took = life.to.map_or("still out".into(), |to| {
            format!("after {}", span(to.0.saturating_sub(life.from.0)))
        });
        let (bar, width) = (self.bar(life), self.width);
        if self.is_narrow {
            writeln!(out, "    {id}  {amount}")?;
            writeln!(out, "    {status} {took}")?;
            writeln!(out, "    {bar}")
        } else {
            writeln!(out, "    {id}  {amount:>18}  {bar:<width$}  {status} {took}")
        }
    }

    fn bar(&self, life: &Life) -> String {
        let mark = match life.status {
            PartStatus::InFlight => '>',
            PartStatus::Claimed => '+',
            PartStatus::Finalized => '*',
            PartStatus::Failed => 'x',
            PartStatus::Withdrawn => 'o',
        };
        let to = life.to.unwrap_or(self.end);
        let (from, to) = (self.place(life.from), self.place(to));
        let mut bar = " ".repeat(from) + &"=".repeat(to.saturating_sub(from));
        bar.push(mark);
        bar
    }

    /// The column of a moment, from 0 to one below the width.
    fn place(&self, at: UnixMillis) -> usize {
        let after = u128::from(at.0.saturating_sub(self.first));
        let column = after * (self.width as u128 - 1) / u128::from(self.length);
        usize::try_from(column).unwrap_or(0).min(self.width - 1)
    }
}
