//! `payonce copy`: a ledger moves to another store, the same head on both sides.

use std::path::Path;

use payonce::{
    EventStore, Head,
    audit::{CopyError, EventSource, ReplayError, Snapshot, copy},
    store_fs::FsStore,
};

use crate::{
    address::Address,
    commands::{backup::same, verify},
    copy::{OPTIONS, close},
    fresh::FreshDirectory,
    io::{Failure, Io, Outcome},
    log::{Log, reading},
};

pub(crate) fn run(src: &Address, dst: &Address, io: &mut Io<'_>) -> Outcome {
    let is_same = match (src, dst) {
        (Address::Directory(src), Address::Directory(dst)) => same(src, dst),
        (src, dst) => src == dst,
    };
    if is_same {
        return Err(Failure::refused("a ledger is not copied onto itself: name another place"));
    }
    let judged = verify::judge(src, None, io.shows_progress)?;
    if !judged.sound {
        let why = judged.in_a_line();
        return Err(Failure::refused(format!("{src} is not copied: {why}")));
    }
    let head = match dst {
        Address::Directory(path) => to_directory(src, path)?,
        #[cfg(feature = "postgres")]
        Address::Postgres(text) => to_database(src, dst, text)?,
        #[cfg(not(feature = "postgres"))]
        Address::Postgres(_) => return Err(crate::log::no_postgres(dst)),
    };
    compare(src, dst, head, io)?;
    writeln!(io.out, "{src} and {dst} end at {head}")?;
    writeln!(
        io.out,
        "next      start the node on {dst} with this head as the one it knows, and never again on {src}: two \
         ledgers would pay one invoice twice"
    )?;
    Ok(())
}

/// What both sides say when they are asked anew: a source that was written to meanwhile is not what was
/// copied.
fn compare(src: &Address, dst: &Address, copied: Head, io: &mut Io<'_>) -> Outcome {
    let head = |address| reading(address, |log| Ok(log.head()?));
    let (ours, theirs) = (head(src)?, head(dst)?);
    // What was copied is there: a finding, and nothing that was refused.
    if theirs != copied {
        writeln!(
            io.err,
            "payonce: {dst} ends at {theirs}, and was copied to {copied}: somebody writes to it"
        )?;
        return Err(Failure::Findings);
    }
    if ours != copied {
        writeln!(
            io.err,
            "payonce: {src} went on to {ours} while it was copied to {copied}: stop its writer and copy once \
             more, which adds what is new"
        )?;
        return Err(Failure::Findings);
    }
    Ok(())
}

fn to_directory(src: &Address, path: &Path) -> Result<Head, Failure> {
    let is_there = path.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    reading(src, |log| {
        if is_there {
            let (store, _) = match FsStore::open(path, OPTIONS) {
                Ok(opened) => opened,
                Err(error) => return Ok(Err(Failure::refused(error))),
            };
            return into(log, store, close);
        }
        let base = log.base()?;
        let fresh = match FreshDirectory::begin(path) {
            Ok(fresh) => fresh,
            Err(failure) => return Ok(Err(failure)),
        };
        let made = match &base {
            Some(base) => FsStore::create_from(fresh.path(), log.ledger_id(), base, OPTIONS),
            None => FsStore::create(fresh.path(), log.ledger_id(), OPTIONS),
        };
        match made {
            Ok((store, _)) => {
                Ok(into(log, store, close)?.and_then(|head| fresh.finish().map(|()| head)))
            }
            Err(error) => Ok(Err(Failure::refused(error))),
        }
    })?
}

/// Makes a log in a directory. One that is to be in a database is made in a directory too, which is removed
/// once it was copied: what turns out not to be whole and sound never begins in a database.
pub(crate) fn make<T>(
    dst: &Address,
    make: impl FnOnce(&Path) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match dst {
        Address::Directory(path) => make(path),
        #[cfg(feature = "postgres")]
        Address::Postgres(text) => {
            // Nothing is made for a database that does not answer.
            crate::postgres::Database::read(dst, text)?.check()?;
            let name = format!("payonce-{:016x}", crate::log::seed());
            // Never finished: it is removed in any case.
            let own = FreshDirectory::begin(&std::env::temp_dir().join(name))?;
            let made = make(own.path())?;
            to_database(&Address::Directory(own.path().into()), dst, text)?;
            Ok(made)
        }
        #[cfg(not(feature = "postgres"))]
        Address::Postgres(_) => Err(crate::log::no_postgres(dst)),
    }
}

#[cfg(feature = "postgres")]
fn to_database(src: &Address, dst: &Address, text: &str) -> Result<Head, Failure> {
    use crate::postgres::Database;

    let database = Database::read(dst, text)?;
    reading(src, |log| match database.open_or_create(log.ledger_id(), log.base()?.as_ref()) {
        Ok(store) => into(log, store, |store| store.close().map_err(Failure::refused)),
        Err(failure) => Ok(Err(failure)),
    })?
}

type Copied = Result<Result<Head, Failure>, ReplayError>;

/// Copies what the target lacks, and the newest snapshot.
fn into<S: EventStore>(log: &Log, mut store: S, close: impl FnOnce(S) -> Outcome) -> Copied {
    let copied = match copy(log, &mut store) {
        Ok(head) => head,
        Err(CopyError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(Err(Failure::refused(error))),
    };
    // An accelerator: the copy is whole without it.
    if let Ok(Some(Snapshot { at, bytes })) = log.load_snapshot(copied.seq)
        && store.base()?.is_none_or(|base| base.at.seq < at.seq)
    {
        let _ = store.save_snapshot(at, &bytes);
    }
    Ok(close(store).map(|()| copied))
}
