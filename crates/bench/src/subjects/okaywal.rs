//! OkayWAL, with its group commit. Its files are as large as payonce's segments; what fills one is
//! forgotten at its checkpoint.

use std::{io, path::Path};

use okaywal::{Configuration, Entry, EntryId, LogManager, SegmentReader, WriteAheadLog};

use super::{Log, Subject, Writer};
use crate::{Result, life::Record};

const FILE_BYTES: u32 = 16 << 20;

/// `okaywal`.
pub(crate) struct OkayWal;

impl Subject for OkayWal {
    fn name(&self) -> &'static str {
        "okaywal"
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Log>> {
        let configuration = Configuration::default_for(directory)
            .preallocate_bytes(FILE_BYTES)
            .checkpoint_after_bytes(u64::from(FILE_BYTES) / 16 * 15);
        Ok(Box::new(Open(Some(configuration.open(Nothing)?))))
    }
}

/// Keeps nothing of what is checkpointed: the log is what is measured.
#[derive(Debug)]
struct Nothing;

impl LogManager for Nothing {
    fn recover(&mut self, _: &mut Entry<'_>) -> io::Result<()> {
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _: EntryId,
        _: &mut SegmentReader,
        _: &WriteAheadLog,
    ) -> io::Result<()> {
        Ok(())
    }
}

struct Open(Option<WriteAheadLog>);

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(log) = self.0.take() {
            // Its thread ends; nothing that was measured depends on it.
            let _ = log.shutdown();
        }
    }
}

impl Log for Open {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + Send + '_>> {
        Ok(Box::new(self.0.as_ref().ok_or("closed")?))
    }
}

impl Writer for &WriteAheadLog {
    fn commit(&mut self, record: Record) -> Result<()> {
        self.commit_all(vec![record])
    }

    fn commit_all(&mut self, records: Vec<Record>) -> Result<()> {
        let mut entry = self.begin_entry()?;
        for record in records {
            entry.write_chunk(&record.bytes)?;
        }
        entry.commit()?;
        Ok(())
    }
}
