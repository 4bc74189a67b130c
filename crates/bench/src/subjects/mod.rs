//! What is compared: everything that makes records durable, one commit at a time.

mod ledger;
mod shared;

#[cfg(any(feature = "rivals", feature = "postgres"))]
mod aggregate;
#[cfg(feature = "rivals")]
mod cqrs;
#[cfg(feature = "postgres")]
mod cqrs_postgres;
#[cfg(feature = "rivals")]
mod filesystem_store;
#[cfg(feature = "rivals")]
mod fjall;
#[cfg(feature = "rivals")]
mod lmdb;
#[cfg(feature = "rivals")]
mod okaywal;
#[cfg(feature = "rivals")]
mod raft_engine;
#[cfg(feature = "rivals")]
mod redb;
#[cfg(feature = "rivals")]
mod sqlite;

use std::{future::Future, path::Path, pin::Pin};

use crate::{Result, life::Record};

#[cfg(feature = "postgres")]
pub(crate) use self::cqrs_postgres::CqrsPostgres;
pub(crate) use self::ledger::{create as create_ledger, opening};
#[cfg(feature = "rivals")]
pub(crate) use self::{
    cqrs::Cqrs,
    filesystem_store::{BlobStore, Files},
};

/// Something that keeps records.
pub(crate) trait Subject {
    /// Its name in tables and JSON.
    fn name(&self) -> &'static str;

    /// Whether so many threads can share it.
    fn takes(&self, _lanes: usize) -> bool {
        true
    }

    /// Opens it in an empty directory, as durable as it can be: a commit returns once its records
    /// survive a power cut.
    fn open(&self, directory: &Path) -> Result<Box<dyn Log>>;
}

/// An open subject, shared by many threads. Dropped, it is closed.
pub(crate) trait Log: Sync {
    /// What one thread writes with.
    fn writer(&self, lane: usize) -> Result<Box<dyn Writer + Send + '_>>;

    /// What one async task writes with, if the subject has an async interface of its own.
    fn async_writer(&self) -> Option<Box<dyn AsyncWriter>> {
        None
    }
}

/// One thread's way into a log.
pub(crate) trait Writer {
    /// Makes one record durable.
    fn commit(&mut self, record: Record) -> Result<()>;

    /// Makes several records durable with one commit.
    fn commit_all(&mut self, records: Vec<Record>) -> Result<()>;

    /// Whether [`commit_all`](Self::commit_all) is one commit; else it is not measured.
    fn has_batches(&self) -> bool {
        true
    }
}

/// A commit under way.
pub(crate) type Committing<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// One task's way into a log.
pub(crate) trait AsyncWriter: Send {
    /// Makes one record durable.
    fn commit(&mut self, record: Record) -> Committing<'_>;
}

/// Everything that is compared, ours first.
pub(crate) fn all() -> Vec<Box<dyn Subject>> {
    vec![
        Box::new(shared::Shared),
        Box::new(ledger::OneThread),
        #[cfg(feature = "rivals")]
        Box::new(sqlite::Sqlite),
        #[cfg(feature = "rivals")]
        Box::new(redb::Redb),
        #[cfg(feature = "rivals")]
        Box::new(fjall::Fjall),
        #[cfg(feature = "rivals")]
        Box::new(lmdb::Lmdb),
        #[cfg(feature = "rivals")]
        Box::new(okaywal::OkayWal),
        #[cfg(feature = "rivals")]
        Box::new(raft_engine::RaftEngine),
        #[cfg(feature = "rivals")]
        Box::new(Cqrs),
        #[cfg(feature = "rivals")]
        Box::new(Files),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::{Entries, Payer};

    #[test]
    fn every_subject_takes_steps_of_two_payers_and_batches() {
        let entries = Entries::new();
        for subject in all() {
            let directory = tempfile::tempdir().expect("a directory");
            let name = subject.name();
            let log = subject.open(directory.path()).expect(name);
            let lanes = if subject.takes(2) { 2 } else { 1 };
            std::thread::scope(|scope| {
                for lane in 0..lanes {
                    let mut payer = Payer::new(&entries, lane as u64);
                    let mut writer = log.writer(lane).expect(name);
                    scope.spawn(move || {
                        for _ in 0..4 {
                            writer.commit(payer.next()).expect(name);
                        }
                        if writer.has_batches() {
                            writer.commit_all(payer.next_batch(8)).expect(name);
                        }
                    });
                }
            });
        }
    }

    #[test]
    fn ours_is_the_first_and_names_are_unique() {
        let mut names: Vec<_> = all().iter().map(|subject| subject.name()).collect();
        assert_eq!(names[0], crate::workloads::OURS);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
