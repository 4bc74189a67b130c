//! redb, `Durability::Immediate`. It has no group commit: writers take turns.

use std::path::Path;

use redb::{Database, TableDefinition};

use super::{Log, Subject, Writer};
use crate::{Result, life::Record};

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");

/// `redb`.
pub(crate) struct Redb;

impl Subject for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Log>> {
        Ok(Box::new(Open(Database::create(directory.join("records.redb"))?)))
    }
}

struct Open(Database);

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
        // Immediate durability is the default.
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(RECORDS)?;
            let last = redb::ReadableTable::last(&table)?.map_or(0, |(seq, _)| seq.value());
            for (seq, record) in (last + 1..).zip(records) {
                table.insert(seq, &*record.bytes)?;
            }
        }
        Ok(transaction.commit()?)
    }
}
