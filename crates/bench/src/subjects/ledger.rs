//! payonce's plain `Ledger`: one thread at a time, one durable step at a time.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use payonce_core::{Ledger, Opening, Remember};
use payonce_store_fs::{FsStore, Options};

use super::{Log, Subject, Writer};
use crate::{
    Result,
    life::{BEGIN, LEDGER, Record},
};

/// A new ledger in this directory.
pub(crate) fn create(directory: &Path) -> Result<Ledger<FsStore>> {
    let (store, _) = FsStore::create(directory, LEDGER, Options::default())?;
    Ok(Ledger::open(store, &opening(), BEGIN)?.finish(BEGIN)?)
}

/// How every ledger of the benchmark is opened.
pub(crate) fn opening() -> Opening {
    Opening::new(Remember::Window, 42)
}

/// `Ledger<FsStore>`.
pub(crate) struct OneThread;

impl Subject for OneThread {
    fn name(&self) -> &'static str {
        "payonce-ledger"
    }

    fn takes(&self, lanes: usize) -> bool {
        lanes == 1
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Log>> {
        Ok(Box::new(Open(Mutex::new(create(&directory.join("log"))?))))
    }
}

struct Open(Mutex<Ledger<FsStore>>);

impl Log for Open {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + Send + '_>> {
        Ok(Box::new(self))
    }
}

impl Writer for &Open {
    fn commit(&mut self, record: Record) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).execute(record.command, BEGIN)?;
        Ok(())
    }

    fn commit_all(&mut self, records: Vec<Record>) -> Result<()> {
        let commands = records.into_iter().map(|record| record.command);
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for answer in ledger.execute_all(commands, BEGIN)? {
            answer?;
        }
        Ok(())
    }
}
