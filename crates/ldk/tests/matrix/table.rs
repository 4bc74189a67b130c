//! The table: every crash, what LDK and payonce make of it, and whether the judge agrees.

use std::fmt::Write as _;

use expect_test::ExpectFile;
use payonce_core::Head;
use payonce_store_memory::Image as LogImage;

use crate::{
    after::{Ended, go_on},
    film::{Age, Film, Kind, Script},
    net::{Completion, Image, Loaded, Outcome, Refused},
    oracle::Says,
};

/// What survives of the monitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Monitors {
    Saved,
    /// Written, but LDK was not told so before the crash.
    SavedUnconfirmed,
    /// LDK knew that they were being written, and they were not.
    BeingWritten,
    /// LDK was told that they were saved, and the last write of each is lost: a broken disk.
    Lost,
}

/// What survives of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Log {
    Saved,
    /// Its last entry is lost although it was reported durable: a broken disk, or a backup.
    Lost,
}

const MONITORS: [Monitors; 4] =
    [Monitors::Saved, Monitors::SavedUnconfirmed, Monitors::BeingWritten, Monitors::Lost];

/// LDK keeps a spontaneous payment as it keeps an invoice's: the extremes do.
fn ages(kind: Kind) -> &'static [Age] {
    match kind {
        Kind::Spontaneous => &[Age::Newest, Age::Oldest],
        Kind::Invoice | Kind::Offer => &[Age::Newest, Age::Previous, Age::Oldest],
    }
}

/// Runs every crash of a payment and compares the table.
pub(crate) fn check(kind: Kind, outcome: Outcome, expected: &ExpectFile) {
    let mut table = String::new();
    let mut wrong = Vec::new();
    for step in 0.. {
        let Some(lines) = step_lines(kind, outcome, step, &mut wrong) else { break };
        table.push_str(&lines);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    expected.assert_eq(&table);
}

/// The lines of one step; `None` if the payment has none so far.
fn step_lines(
    kind: Kind,
    outcome: Outcome,
    step: usize,
    wrong: &mut Vec<String>,
) -> Option<String> {
    // What LDK does outside of the promise does not depend on what is paid.
    let outside_too = kind == Kind::Invoice && outcome == Outcome::Claim;
    let mut lines = String::new();
    for age in ages(kind) {
        for monitors in MONITORS {
            for log in [Log::Saved, Log::Lost] {
                let writes = match monitors {
                    Monitors::Saved | Monitors::Lost => Completion::Completed,
                    Monitors::SavedUnconfirmed | Monitors::BeingWritten => Completion::InProgress,
                };
                let film = Film::play(Script { kind, outcome, crash_after: step, writes })?;
                let survives = (log, *age, monitors);
                let differs = writes == Completion::Completed || film.last_writes() > 0;
                if differs && (outside_too || is_promised(&film, survives)) {
                    let line = line(film, survives, wrong);
                    writeln!(lines, "{step} {line}").expect("a string takes all");
                }
            }
        }
    }
    Some(lines)
}

type Survives = (Log, Age, Monitors);

fn what_survives(film: &Film, (log, age, monitors): Survives) -> (Image, Head, LogImage) {
    let back = match monitors {
        Monitors::Saved | Monitors::SavedUnconfirmed => 0,
        Monitors::BeingWritten => film.last_writes(),
        Monitors::Lost => 1,
    };
    let (channels, head) = film.channels(age, back);
    (channels, head, film.log(log == Log::Lost))
}

/// LDK demands that a monitor which it was told to be saved is there. A log that lost what it had
/// reported durable is found out by the head that is stored with the manager, if that is newer.
fn is_promised(film: &Film, survives: Survives) -> bool {
    let (_, head, log) = what_survives(film, survives);
    let is_found_out = !log.heads().any(|known| known == head);
    survives.2 != Monitors::Lost && (survives.0 == Log::Saved || is_found_out)
}

fn line(film: Film, survives: Survives, wrong: &mut Vec<String>) -> String {
    let (log, age, monitors) = survives;
    let promised = is_promised(&film, survives);
    let (channels, head, image) = what_survives(&film, survives);
    let row = format!("{}: log {log:?}, manager {age:?}, monitors {monitors:?}", film.step);
    let ended = go_on(film, &channels, head, image);
    if promised && let Err(why) = judge(&ended, log) {
        wrong.push(format!("{row}: {why}: {ended:?}"));
    }
    format!("{row}: {}", if promised { describe(&ended) } else { outside(&ended) })
}

fn judge(ended: &Ended, log: Log) -> Result<(), String> {
    match ended {
        Ended::Refused(why) => Err(format!("LDK does not load it: {why:?}")),
        Ended::Stopped(why) => Err(format!("stopped: {why}")),
        Ended::AtRest { refused, .. } if *refused > 0 => {
            Err(format!("{refused} facts of the start were refused"))
        }
        Ended::AtRest { rest, restored, .. } => {
            rest.judge()?;
            if log == Log::Saved {
                rest.judge_decided()?;
            }
            if *restored != (log == Log::Lost) {
                return Err(format!("restored: {restored}"));
            }
            Ok(())
        }
    }
}

fn describe(ended: &Ended) -> String {
    match ended {
        Ended::Refused(_) | Ended::Stopped(_) => outside(ended),
        Ended::AtRest { loaded, restored, rest, .. } => {
            let loaded = if *loaded == Loaded::Open { "open" } else { "closing" };
            let restored = if *restored { ", restored" } else { "" };
            let paid = match rest.times_paid() {
                Ok(0) => "not paid".to_owned(),
                Ok(times) => format!("paid {times}x"),
                Err(why) => why,
            };
            format!(
                "{loaded}{restored}; {paid}; ledger {}, repeat {}",
                word(rest.ledger),
                word(rest.repeat)
            )
        }
    }
}

/// Outside of the promise: only whether LDK goes along is told.
fn outside(ended: &Ended) -> String {
    match ended {
        Ended::Refused(Refused::Read(error)) => format!("LDK refuses to load it ({error:?})"),
        Ended::Refused(Refused::Panicked(_)) => "LDK stops while loading".to_owned(),
        Ended::Stopped(_) => "loads; LDK or its signer stops the process".to_owned(),
        Ended::AtRest { .. } => "loads; outside of the promise".to_owned(),
    }
}

fn word(says: Says) -> &'static str {
    match says {
        Says::Paid => "paid",
        Says::Failed => "failed",
        Says::Open => "open",
        Says::Unknown => "unknown",
        Says::Refused => "refused",
    }
}
