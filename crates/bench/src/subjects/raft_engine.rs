//! TiKV's raft-engine, with its group commit. Each writer has a raft group of its own, as in TiKV:
//! the entries of one group are in order.

use std::path::Path;

use protobuf::well_known_types::BytesValue;
use raft_engine::{Config, Engine, LogBatch, MessageExt};

use super::{Log, Subject, Writer};
use crate::{Result, life::Record};

/// `raft-engine`.
pub(crate) struct RaftEngine;

impl Subject for RaftEngine {
    fn name(&self) -> &'static str {
        "raft-engine"
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Log>> {
        let dir = directory.to_str().ok_or("not a UTF-8 path")?.into();
        Ok(Box::new(Open(Engine::open(Config { dir, ..Config::default() })?)))
    }
}

struct Open(Engine);

impl Log for Open {
    fn writer(&self, lane: usize) -> Result<Box<dyn Writer + Send + '_>> {
        Ok(Box::new(Group { engine: &self.0, id: lane as u64 + 1, last: 0 }))
    }
}

struct Group<'a> {
    engine: &'a Engine,
    id: u64,
    last: u64,
}

/// An entry is its index and the record.
struct Indexed;

impl MessageExt for Indexed {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        entry.value.first_chunk().map_or(0, |index| u64::from_be_bytes(*index))
    }
}

impl Writer for Group<'_> {
    fn commit(&mut self, record: Record) -> Result<()> {
        self.commit_all(vec![record])
    }

    fn commit_all(&mut self, records: Vec<Record>) -> Result<()> {
        let mut batch = LogBatch::with_capacity(records.len());
        let entries: Vec<_> = (self.last + 1..)
            .zip(records)
            .map(|(index, record)| {
                self.last = index;
                let mut entry = BytesValue::new();
                entry.value = [&index.to_be_bytes(), &*record.bytes].concat();
                entry
            })
            .collect();
        batch.add_entries::<Indexed>(self.id, &entries)?;
        self.engine.write(&mut batch, true)?;
        Ok(())
    }
}
