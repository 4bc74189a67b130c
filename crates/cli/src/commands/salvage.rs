//! `payonce salvage`: what is readable of a damaged log.

use std::{
    fs::File,
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use payonce::{
    Head, Ledger, LedgerId, Opening, Remember, State, UnixMillis,
    audit::{self, Found, Place, Record, Replay, Snapshot, StoredEntry, Survey, scan, survey},
    machine::LogHash,
    store_fs::{FsError, FsStore},
};
use serde::Serialize;

use crate::{
    address::Address,
    commands::{
        With,
        export::{EntryLine, line},
        verify,
    },
    copy::{Copier, OPTIONS, close},
    fresh::{FreshDirectory, create_file},
    io::{Failure, Io, Outcome},
    log::seed,
};

/// The line of an entry behind the damage.
#[derive(Debug, Serialize)]
struct LostLine<'a> {
    file: &'a str,
    offset: u64,
    #[serde(flatten)]
    entry: EntryLine<'a>,
}

/// The line of a place that cannot be read.
#[derive(Debug, Serialize)]
struct DamageLine {
    damage: String,
}

pub(crate) fn run(from: &Address, dst: &Path, with: With<'_>, io: &mut Io<'_>) -> Outcome {
    let Some(src) = from.directory() else {
        return Err(Failure::refused(format!(
            "{from}: a damaged database is restored from its own backup, or the ledger is taken over from a \
             standby; `payonce verify` names the damaged row"
        )));
    };
    let survey = survey(src).map_err(Failure::refused)?;
    check_damaged(src, &survey)?;
    let good = fold(src, &survey)?;
    let fresh = FreshDirectory::begin(dst)?;
    let path = after_path(dst);
    let file = create_file(&path)?;
    let lost = write_rest(src, good, file, with).and_then(|lost| {
        Ok((lost, good.map(|good| keep(src, &survey, good, &fresh, io.now)).transpose()?))
    });
    let (lost, kept) = match lost {
        Ok(done) => done,
        Err(failure) => {
            let _ = std::fs::remove_file(&path);
            return Err(failure);
        }
    };
    tell(&survey, good, lost, io)?;
    match kept {
        Some(Ok(head)) => {
            fresh.finish()?;
            let dst = dst.display();
            writeln!(io.out, "kept      {dst} ends at {head}, and opens as RESTORED")?;
            writeln!(io.out, "the rest  {}", path.display())?;
            writeln!(
                io.out,
                "next      open it with the head that the node keeps; tell it every payment of the rest \
                 and everything that the channels have; only then close_gap"
            )?;
        }
        Some(Err(why)) => {
            writeln!(io.out, "kept      no log: {why}; restore it from a backup")?;
            writeln!(io.out, "the rest  {}", path.display())?;
        }
        None => {
            writeln!(
                io.out,
                "kept      no log: its beginning is not readable; restore it from a backup"
            )?;
            writeln!(io.out, "the rest  {}", path.display())?;
        }
    }
    Err(Failure::Findings)
}

/// Refuses what is not damaged: a log that is sound, also one that its node is writing to; one that a newer
/// program wrote; one that belongs to another user. Their beginning would be taken for all there is.
fn check_damaged(src: &Path, survey: &Survey) -> Outcome {
    let shown = src.display();
    let judged = verify::judge(&Address::Directory(src.into()), None, false);
    if judged.as_ref().is_ok_and(|judgement| judgement.sound) {
        return Err(Failure::refused(format!("{shown} is sound: `payonce backup` copies it")));
    }
    let refused = survey.damages.iter().find(|error| match error {
        FsError::NewerVersion { .. } | FsError::Unreleased { .. } | FsError::Changing { .. } => {
            true
        }
        FsError::Io { reason, .. } => reason.kind() == std::io::ErrorKind::PermissionDenied,
        _ => false,
    });
    refused.map_or(Ok(()), |error| Err(Failure::refused(error)))
}

fn tell(survey: &Survey, good: Option<Head>, lost: u64, io: &mut Io<'_>) -> Outcome {
    let first = survey.damages.first().map_or_else(
        || "an event does not fit what was before it: the log was edited".to_owned(),
        ToString::to_string,
    );
    writeln!(io.out, "damage    {first}")?;
    let more = survey.damaged.saturating_sub(1);
    if more > 0 {
        writeln!(io.out, "          and {more} more")?;
    }
    let to = good.map_or("nothing".to_owned(), |good| format!("seq 1 to {}", good.seq));
    writeln!(io.out, "intact    {to}")?;
    Ok(writeln!(io.out, "behind    {lost} entries are readable after it")?)
}

/// Where the rest goes: beside the new log.
fn after_path(dst: &Path) -> PathBuf {
    let mut name = dst.file_name().unwrap_or_default().to_owned();
    name.push(".after.jsonl");
    dst.with_file_name(name)
}

/// How far the intact prefix also folds: the chain covers bytes, not sense.
fn fold(src: &Path, survey: &Survey) -> Result<Option<Head>, Failure> {
    let (Some(ledger), Some(intact)) = (survey.ledger, survey.intact) else { return Ok(None) };
    let Some(mut replay) = beginning(ledger, survey.base.as_ref()) else { return Ok(None) };
    let mut good = replay.state().head();
    each_entry(src, |_, stored, _| {
        if stored.first_seq > intact.seq || replay.entry(stored).is_err() {
            return Ok(ControlFlow::Break(()));
        }
        good = replay.state().head();
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Some(good))
}

fn beginning(ledger: LedgerId, base: Option<&Snapshot>) -> Option<Replay> {
    let Some(base) = base else { return Some(Replay::new(ledger, seed())) };
    let state = State::decode(&base.bytes, seed()).ok()?;
    (state.head() == base.at).then(|| Replay::from_state(state))
}

/// Visits every readable entry, with its place and the head after it.
fn each_entry(
    src: &Path,
    mut visit: impl FnMut(Place<'_>, StoredEntry<'_>, Option<Head>) -> Result<ControlFlow<()>, Failure>,
) -> Outcome {
    let mut outcome = Ok(());
    scan(src, &mut |found| {
        let Found::Entry { place, header, bytes, after } = found else {
            return ControlFlow::Continue(());
        };
        match visit(place, StoredEntry { first_seq: header.first_seq, bytes }, after) {
            Ok(flow) => flow,
            Err(failure) => {
                outcome = Err(failure);
                ControlFlow::Break(())
            }
        }
    })
    .map_err(Failure::refused)?;
    outcome
}

/// Writes what is readable behind the intact prefix, and where something is not.
fn write_rest(src: &Path, good: Option<Head>, file: File, with: With<'_>) -> Result<u64, Failure> {
    let mut out = BufWriter::new(file);
    let reveal = with.shown.reveal;
    let (mut lost, mut outcome) = (0, Ok(()));
    scan(src, &mut |found| {
        let written = match found {
            Found::Entry { place, header, bytes, after } => {
                if good.is_some_and(|good| header.first_seq <= good.seq) {
                    return ControlFlow::Continue(());
                }
                lost += 1;
                let chain = LogHash::from_bytes([0; 32]);
                let before = Head { seq: header.first_seq - 1, chain };
                match Record::read(before, bytes) {
                    Ok(mut record) => {
                        record.after = after.unwrap_or(record.after);
                        let entry = EntryLine::of(&record, bytes, after.is_some(), reveal);
                        line(&mut out, &LostLine { file: place.file, offset: place.offset, entry })
                    }
                    Err(error) => line(&mut out, &DamageLine { damage: error.to_string() }),
                }
            }
            Found::Damage(error) => line(&mut out, &DamageLine { damage: error.to_string() }),
            _ => Ok(()),
        };
        outcome = written;
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .map_err(Failure::refused)?;
    outcome?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(lost)
}

/// Why no log was kept although its beginning is readable.
type Kept = Result<Head, String>;

/// Writes the intact prefix as a log of its own, and records in it that it is behind what the node knew:
/// it opens as restored even for a node that keeps no head.
fn keep(
    src: &Path,
    survey: &Survey,
    good: Head,
    fresh: &FreshDirectory,
    now: UnixMillis,
) -> Result<Kept, Failure> {
    let Some(ledger) = survey.ledger else { return Ok(Err("no file tells its ledger".into())) };
    let made = match &survey.base {
        Some(base) => FsStore::create_from(fresh.path(), ledger, base, OPTIONS),
        None => FsStore::create(fresh.path(), ledger, OPTIONS),
    };
    let mut copier = Copier::to(made.map_err(Failure::refused)?.0)?;
    each_entry(src, |_, stored, _| {
        if stored.first_seq > good.seq {
            return Ok(ControlFlow::Break(()));
        }
        copier.entry(stored.bytes)?;
        Ok(ControlFlow::Continue(()))
    })?;
    let store = copier.finish()?;
    if let Err(error) = audit::verify(&store, seed()) {
        return Ok(Err(error.to_string()));
    }
    let mut opening = Opening::new(Remember::Forever, seed());
    opening.program = concat!("payonce salvage ", env!("CARGO_PKG_VERSION")).into();
    // What was lost had at least one more event: no log that lacks it contains this head.
    let lost =
        Head { seq: survey.last_seq.max(good.seq) + 1, chain: LogHash::from_bytes([0xff; 32]) };
    let recovery = Ledger::open(store, &opening.known_head(lost), now).map_err(Failure::refused)?;
    let head = recovery.head();
    close(recovery.into_store())?;
    Ok(Ok(head))
}
