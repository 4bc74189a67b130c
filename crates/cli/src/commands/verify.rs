//! `payonce verify`: every byte, every hash, every event, every snapshot.

use std::{cell::Cell, ops::ControlFlow};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use payonce::{
    Head, LedgerError, LedgerId,
    audit::{
        BaseCheck, EventSource, FsReader, Record, Replay, ReplayError, Snapshot, StoreError,
        StoredEntry, Survey, history, replay, survey,
    },
    machine::LogHash,
    store_fs::FsError,
};
use serde::Serialize;

use crate::{
    address::Address,
    commands::With,
    io::{Failure, Io, Outcome},
    log::{Log, is_changing, reading, seed, unreadable},
    rows::{Format, write_csv, write_json},
};

/// What `verify` tells; its JSON.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Judgement {
    pub(crate) sound: bool,
    head_seq: Option<u64>,
    head_log_hash: Option<String>,
    /// How many entries are sound: all, or those before the first damage.
    entries: u64,
    history_from_seq: Option<u64>,
    snapshots_equal: usize,
    /// Snapshots that are damaged, or not what the log says.
    snapshots_wrong: String,
    torn_bytes: u64,
    /// Whether the log contains the head that was given.
    contains_since: Option<bool>,
    first_damage: Option<String>,
    damages: u64,
    /// The last seq before the first damage.
    intact_to_seq: Option<u64>,
    /// How many entries behind it can be read.
    readable_after: u64,
    readable_to_seq: Option<u64>,
}

pub(crate) fn run(
    address: &Address,
    since: Option<&str>,
    with: With<'_>,
    io: &mut Io<'_>,
) -> Outcome {
    let since = since.map(parse_head).transpose()?;
    let conclusion = judge(address, since, io.shows_progress)?;
    match with.shown.format {
        Format::Table => people(&conclusion, since, io)?,
        Format::Json | Format::Jsonl => {
            write_json(io.out, &conclusion)?;
            writeln!(io.out)?;
        }
        Format::Csv => write_csv(io.out, &conclusion, true)?,
    }
    let wrong = !conclusion.sound
        || conclusion.contains_since == Some(false)
        || !conclusion.snapshots_wrong.is_empty();
    if wrong { Err(Failure::Findings) } else { Ok(()) }
}

impl Judgement {
    /// All of it in one line.
    pub(crate) fn in_a_line(&self) -> String {
        let entries = self.entries;
        match &self.first_damage {
            Some(damage) => format!("DAMAGED after {entries} good entries: {damage}"),
            None => format!(
                "SOUND: {entries} entries, {} snapshots equal to the replay{}{}",
                self.snapshots_equal,
                if self.snapshots_wrong.is_empty() { "" } else { "; WRONG: " },
                self.snapshots_wrong
            ),
        }
    }
}

/// Reads a head as `status` writes it, or `SEQ:HASH`.
fn parse_head(text: &str) -> Result<Head, Failure> {
    let head = text.trim().parse().ok().or_else(|| {
        let (seq, hash) = text.trim().split_once([':', ' '])?;
        Some(Head { seq: seq.parse().ok()?, chain: hash.trim().parse::<LogHash>().ok()? })
    });
    head.ok_or_else(|| {
        Failure::refused(format!(
            "{text:?} is no head: write what `status` shows, seq N chain HASH"
        ))
    })
}

/// Judges a log. What is no log, or cannot be read at all, is no conclusion.
pub(crate) fn judge(
    address: &Address,
    since: Option<Head>,
    progress: bool,
) -> Result<Judgement, Failure> {
    let judged = reading(address, |log| match sound(log, address, since, progress) {
        // Its writer dropped history meanwhile: no damage, to be read anew.
        Err(error) if is_changing(&error) => Err(error),
        judged => Ok(judged),
    });
    match judged {
        Ok(Ok(conclusion)) => Ok(conclusion),
        // Who did not get to read it has not found it damaged.
        Ok(Err(error)) if is_unread(&error) => Err(unreadable(address, error)),
        Ok(Err(error)) => damaged(address, &error.to_string()),
        Err(Failure::Refused(text)) => match address.directory().map(FsReader::open) {
            None
            | Some(
                Err(
                    FsError::NotALedger { .. }
                    | FsError::NotADirectory { .. }
                    | FsError::NewerVersion { .. }
                    | FsError::Unreleased { .. }
                    | FsError::Changing { .. }
                    | FsError::Io { .. },
                )
                | Ok(_),
            ) => Err(Failure::Refused(text)),
            Some(Err(error)) => damaged(address, &error.to_string()),
        },
        Err(failure) => Err(failure),
    }
}

/// Whether a store could not be asked: it is neither sound nor damaged.
fn is_unread(error: &ReplayError) -> bool {
    let ReplayError::Store(error) = error else { return false };
    matches!(
        error,
        StoreError::Backend(_) | StoreError::Missing { .. } | StoreError::NewerVersion { .. }
    )
}

/// The whole log, with its chain, folded, and each snapshot compared with the fold as states.
fn sound(
    log: &Log,
    address: &Address,
    since: Option<Head>,
    progress: bool,
) -> Result<Judgement, ReplayError> {
    let head = log.head()?;
    let seed = seed();
    let mut fold = Replay::from_beginning(log, seed)?.watch(since);
    let first = fold.state().head().seq + 1;
    let seqs =
        log.snapshot_seqs(address)?.into_iter().filter(|seq| (first - 1..=head.seq).contains(seq));
    let bar = bar(head.seq, progress);
    let counted = Counted { log, until: Cell::new(head), entries: Cell::new(0), bar: &bar };
    let (mut equal, mut wrong) = (0, Vec::new());
    for seq in seqs {
        let snapshot = log.load_snapshot(seq)?.filter(|snapshot| snapshot.at.seq == seq);
        let checked = snapshot.map(|snapshot| (snapshot.at, BaseCheck::new(&snapshot, log, seed)));
        match checked {
            Some((at, Ok(mut check))) => {
                counted.until.set(at);
                replay(&mut fold, &counted, at)?;
                check.compare(fold.state());
                match check.finish() {
                    Some(_) => equal += 1,
                    None => wrong.push(format!("the snapshot at seq {seq} is not the log's state")),
                }
            }
            Some((_, Err(LedgerError::Store(error)))) => return Err(error.into()),
            _ => wrong.push(format!("the snapshot at seq {seq} is damaged or of another log")),
        }
    }
    counted.until.set(head);
    replay(&mut fold, &counted, head)?;
    bar.finish_and_clear();
    let contains = fold.contains_known();
    let state = fold.finish(head)?;
    state.check_base(log)?;
    Ok(Judgement {
        sound: true,
        head_seq: Some(head.seq),
        head_log_hash: Some(head.chain.to_string()),
        entries: counted.entries.get(),
        history_from_seq: Some(first),
        snapshots_equal: equal,
        snapshots_wrong: wrong.join("; "),
        torn_bytes: log.torn_bytes(),
        contains_since: since.map(|_| contains),
        ..Judgement::default()
    })
}

fn bar(length: u64, shown: bool) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {pos} events, {eta} left");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// A log up to a head, counted.
struct Counted<'a> {
    log: &'a Log,
    until: Cell<Head>,
    entries: Cell<u64>,
    bar: &'a ProgressBar,
}

impl EventSource for Counted<'_> {
    fn ledger_id(&self) -> LedgerId {
        self.log.ledger_id()
    }

    fn head(&self) -> Result<Head, StoreError> {
        Ok(self.until.get())
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let until = self.until.get().seq;
        self.log.replay(from, &mut |entry| {
            if entry.first_seq > until {
                return ControlFlow::Break(());
            }
            self.entries.set(self.entries.get() + 1);
            if self.entries.get().is_multiple_of(4096) {
                self.bar.set_position(entry.first_seq);
            }
            visit(entry)
        })
    }

    fn find_damage(&self, from: u64) -> Result<(), StoreError> {
        self.log.find_damage(from)
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.log.load_snapshot(at_most)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.log.base()
    }
}

/// How far a log without files is sound.
fn good(address: &Address) -> Judgement {
    let (mut entries, mut intact_to_seq) = (0, None);
    let mut count = |record: Record| {
        (entries, intact_to_seq) = (entries + 1, Some(record.header.last_seq()));
        ControlFlow::Continue(())
    };
    // That it ends with an error is known.
    let _ = Log::open(address).map(|log| history(&log, &mut count));
    Judgement { entries, intact_to_seq, ..Judgement::default() }
}

/// How much of a damaged log is sound.
fn damaged(address: &Address, first: &str) -> Result<Judgement, Failure> {
    let first_damage = Some(first.to_owned());
    // A log in a key-value store or a database has no files to survey.
    let Some(Ok(Survey { intact, before, after, last_seq, damages, damaged, torn_bytes, .. })) =
        address.directory().map(survey)
    else {
        return Ok(Judgement { first_damage, damages: 1, ..good(address) });
    };
    let placed = damages.first().map(ToString::to_string);
    Ok(Judgement {
        entries: before,
        torn_bytes,
        first_damage: placed.or(first_damage),
        damages: damaged.max(1),
        intact_to_seq: intact.map(|head| head.seq),
        readable_after: after,
        readable_to_seq: (after > 0).then_some(last_seq),
        ..Judgement::default()
    })
}

fn people(conclusion: &Judgement, since: Option<Head>, io: &mut Io<'_>) -> Outcome {
    let out = &mut *io.out;
    if let Some(damage) = &conclusion.first_damage {
        writeln!(out, "DAMAGED: {damage}")?;
        let Judgement { entries, damages, readable_after, .. } = conclusion;
        let to = conclusion.intact_to_seq.map_or(String::new(), |seq| format!(", up to seq {seq}"));
        writeln!(out, "good before it     {entries} entries{to}")?;
        let to =
            conclusion.readable_to_seq.map_or(String::new(), |seq| format!(", up to seq {seq}"));
        writeln!(out, "readable after it  {readable_after} entries{to}")?;
        writeln!(out, "places             {damages} damaged")?;
        writeln!(
            out,
            "next               payonce salvage, and docs/OPERATING.md, \"The log does not open\""
        )?;
    } else {
        let (seq, hash) = (conclusion.head_seq.unwrap_or(0), conclusion.head_log_hash.as_deref());
        let from = conclusion.history_from_seq.unwrap_or(1);
        let entries = conclusion.entries;
        writeln!(out, "SOUND: {entries} entries, seq {from} to {seq}, every byte, hash and event")?;
        writeln!(out, "head       seq {seq} chain {}", hash.unwrap_or("-"))?;
        writeln!(out, "snapshots  {} equal to the replay", conclusion.snapshots_equal)?;
    }
    if !conclusion.snapshots_wrong.is_empty() {
        writeln!(out, "WRONG: {}: they cost time, no data", conclusion.snapshots_wrong)?;
    }
    if conclusion.torn_bytes > 0 {
        let torn = conclusion.torn_bytes;
        writeln!(
            out,
            "tail       {torn} bytes of a write that is under way or was torn: no damage"
        )?;
    }
    match (conclusion.contains_since, since) {
        (Some(true), Some(since)) => writeln!(out, "since      the log only grew since {since}")?,
        (Some(false), Some(since)) => {
            let dropped = conclusion.history_from_seq.is_some_and(|from| since.seq + 1 < from);
            let why = if dropped {
                "history that old was dropped"
            } else {
                "it is another log, or an older or edited one"
            };
            writeln!(out, "SINCE: the log does not contain {since}: {why}")?;
        }
        _ => {}
    }
    Ok(())
}
