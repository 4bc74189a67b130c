//! fjall, each batch persisted with `fdatasync`. It has no group commit: writers take turns.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Log, Subject, Writer};
use crate::{Result, life::Record};

/// `fjall`.
pub(crate) struct Fjall;

impl Subject for Fjall {
    fn name(&self) -> &'static str {
        "fjall"
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Log>> {
        let database = Database::builder(directory).open()?;
        let records = database.keyspace("records", KeyspaceCreateOptions::default)?;
        Ok(Box::new(Open { database, records, next: AtomicU64::new(1) }))
    }
}

struct Open {
    database: Database,
    records: Keyspace,
    next: AtomicU64,
}

impl Log for Open {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + Send + '_>> {
        Ok(Box::new(self))
    }
}

impl Writer for &Open {
    fn commit(&mut self, record: Record) -> Result<()> {
        self.commit_all(vec![record])
    }

    fn commit_all(&mut self, records: Vec<Record>) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for record in records {
            let seq = self.next.fetch_add(1, Ordering::Relaxed);
            batch.insert(&self.records, seq.to_be_bytes(), &*record.bytes);
        }
        Ok(batch.commit()?)
    }
}
