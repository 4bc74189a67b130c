//! LMDB through heed, synchronous commits. It has no group commit: writers take turns.

use std::path::Path;

use heed::{
    Database, Env, EnvOpenOptions, PutFlags,
    byteorder::BigEndian,
    types::{Bytes, U64},
};

use super::{Log, Subject, Writer};
use crate::{Result, life::Record};

const MAP_BYTES: usize = 4 << 30;

/// `heed`.
pub(crate) struct Lmdb;

impl Subject for Lmdb {
    fn name(&self) -> &'static str {
        "lmdb"
    }

    #[expect(unsafe_code, reason = "LMDB maps its file")]
    fn open(&self, directory: &Path) -> Result<Box<dyn Log>> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES);
        // SAFETY: the directory was made for this environment; nobody else touches its file.
        let env = unsafe { options.open(directory)? };
        let mut transaction = env.write_txn()?;
        let records = env.create_database(&mut transaction, None)?;
        transaction.commit()?;
        Ok(Box::new(Open { env, records }))
    }
}

struct Open {
    env: Env,
    records: Database<U64<BigEndian>, Bytes>,
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
        let mut transaction = self.env.write_txn()?;
        let last = self.records.last(&transaction)?.map_or(0, |(seq, _)| seq);
        for (seq, record) in (last + 1..).zip(records) {
            self.records.put_with_flags(&mut transaction, PutFlags::APPEND, &seq, &record.bytes)?;
        }
        Ok(transaction.commit()?)
    }
}
