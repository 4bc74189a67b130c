//! `payonce backup`: a copy of a log, also of a live one.

use std::{ops::ControlFlow, path::Path};

use payonce::{
    Head,
    audit::{EventSource, ReplayError},
    store_fs::FsStore,
};

use crate::{
    address::Address,
    copy::{Copier, OPTIONS, close},
    fresh::FreshDirectory,
    io::{Failure, Io, Outcome},
    log::{Log, reading},
};

pub(crate) fn run(src: &Address, dst: &Path, io: &mut Io<'_>) -> Outcome {
    if src.directory().is_some_and(|src| same(src, dst)) {
        return Err(Failure::refused("a log is no backup of itself: name another directory"));
    }
    let is_there = dst.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let (head, entries) = if is_there { extend(src, dst)? } else { create(src, dst)? };
    let what = if is_there { "added" } else { "copied" };
    Ok(writeln!(io.out, "{what} {entries} entries: {} ends at {head}", dst.display())?)
}

/// Whether two paths lead to one directory.
pub(crate) fn same(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok().is_some_and(|one| other.canonicalize().ok() == Some(one))
}

/// A copy where there is none; begun anew where the log changes meanwhile.
fn create(src: &Address, dst: &Path) -> Result<(Head, u64), Failure> {
    reading(src, |log| turned(copy(log, dst)))?
}

fn copy(log: &Log, dst: &Path) -> Copied {
    let base = match log.base() {
        Ok(base) => base,
        Err(error) => return Ok(Err(error.into())),
    };
    let fresh = FreshDirectory::begin(dst)?;
    let made = match &base {
        Some(base) => FsStore::create_from(fresh.path(), log.ledger_id(), base, OPTIONS),
        None => FsStore::create(fresh.path(), log.ledger_id(), OPTIONS),
    };
    let copied = append(log, Copier::to(made.map_err(Failure::refused)?.0)?)?;
    if copied.is_ok() {
        fresh.finish()?;
    }
    Ok(copied)
}

/// What came of copying: a failure of the copy's own, or of the log that is read.
type Copied = Result<Result<(Head, u64), ReplayError>, Failure>;

fn turned(copied: Copied) -> Result<Result<(Head, u64), Failure>, ReplayError> {
    match copied {
        Ok(Ok(done)) => Ok(Ok(done)),
        Ok(Err(error)) => Err(error),
        Err(failure) => Ok(Err(failure)),
    }
}

/// What is new, into an older copy.
fn extend(src: &Address, dst: &Path) -> Result<(Head, u64), Failure> {
    let shown = dst.display();
    let (store, _) = FsStore::open(dst, OPTIONS)
        .map_err(|error| Failure::refused(format!("{shown} is no log to add to: {error}")))?;
    let own = store.head().map_err(Failure::refused)?;
    let mut store = Some(store);
    let log = Log::open(src)?;
    if store.as_ref().is_some_and(|store| store.ledger_id() != log.ledger_id()) {
        let other = format!("{shown} is a copy of another ledger: name a new directory");
        return Err(Failure::refused(other));
    }
    reading(src, |log| {
        if !continues(log, own)? {
            let text = format!(
                "{shown} ends at {own}, which {src} does not lead to: history was dropped since, or one \
                 of them was replaced or edited; name a new directory, and compare the two"
            );
            return Ok(Err(Failure::Refused(text)));
        }
        let Some(store) = store.take() else {
            return Ok(Err(Failure::refused("the log changed while it was copied: once more")));
        };
        turned(Copier::to(store).and_then(|copier| append(log, copier)))
    })?
}

/// Whether the log goes on from this head: the chain from there leads to the log's own.
fn continues(log: &Log, from: Head) -> Result<bool, ReplayError> {
    let head = log.head()?;
    let base = log.base()?.map_or(0, |base| base.at.seq);
    if !(base..=head.seq).contains(&from.seq) {
        return Ok(false);
    }
    let mut chain = from.chain;
    let mut first = None;
    log.replay(from.seq + 1, &mut |entry| {
        first.get_or_insert(entry.first_seq);
        chain = chain.extend(entry.bytes);
        ControlFlow::Continue(())
    })?;
    Ok(chain == head.chain && first.is_none_or(|first| first == from.seq + 1))
}

/// Copies every entry after the copy's own head, and the newest snapshot.
fn append(log: &Log, mut copier: Copier) -> Copied {
    let (mut entries, mut failed) = (0, None);
    let replayed =
        log.replay(copier.head().seq + 1, &mut |entry| match copier.entry(entry.bytes) {
            Ok(_) => {
                entries += 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        });
    if let Some(failure) = failed {
        return Err(failure);
    }
    if let Err(error) = replayed {
        return Ok(Err(error.into()));
    }
    let head = copier.head();
    match log.head() {
        Ok(stored) if stored == head => {}
        Ok(stored) => return Ok(Err(ReplayError::HeadDiffers { replayed: head, stored })),
        Err(error) => return Ok(Err(error.into())),
    }
    // An accelerator: the copy is whole without it.
    if let Ok(Some(snapshot)) = log.load_snapshot(head.seq) {
        copier.snapshot(&snapshot)?;
    }
    close(copier.finish()?)?;
    Ok(Ok((head, entries)))
}
