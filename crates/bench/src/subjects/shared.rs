//! payonce's shared handle: group commit, blocking and async.

use std::path::Path;

use payonce_core::EventStore;
use payonce_runtime::{Options, SharedLedger};
use payonce_store_fs::FsStore;

use super::{AsyncWriter, Committing, Log, Subject, Writer, ledger};
use crate::{
    Result,
    life::{BEGIN, Record},
};

/// `SharedLedger<FsStore>`.
pub(crate) struct Shared;

impl Subject for Shared {
    fn name(&self) -> &'static str {
        "payonce"
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Log>> {
        let ledger = ledger::create(&directory.join("log"))?;
        Ok(Box::new(Open(SharedLedger::from_ledger(ledger, Options::default()))))
    }
}

struct Open(SharedLedger<FsStore>);

impl Log for Open {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + Send + '_>> {
        Ok(Box::new(self.0.clone()))
    }

    fn async_writer(&self) -> Option<Box<dyn AsyncWriter>> {
        Some(Box::new(self.0.clone()))
    }
}

impl<S: EventStore + Send + 'static> Writer for SharedLedger<S> {
    fn commit(&mut self, record: Record) -> Result<()> {
        self.execute(record.command, BEGIN)?;
        Ok(())
    }

    fn commit_all(&mut self, records: Vec<Record>) -> Result<()> {
        let commands = records.into_iter().map(|record| record.command);
        for answer in self.execute_all(commands, BEGIN)? {
            answer?;
        }
        Ok(())
    }
}

impl AsyncWriter for SharedLedger<FsStore> {
    fn commit(&mut self, record: Record) -> Committing<'_> {
        Box::pin(async move {
            self.execute_async(record.command, BEGIN).await?;
            Ok(())
        })
    }
}
