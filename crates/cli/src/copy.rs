//! Entries on their way into another store, as they were first written.

use payonce::{
    Head,
    audit::{Entry, EventSource, Snapshot},
    store_fs::{FsError, FsStore, Options},
};

use crate::io::Failure;

/// How many bytes are made durable at a time.
const BATCH_BYTES: usize = 4 << 20;

/// A store that takes entries one by one, and makes them durable in batches.
pub(crate) struct Copier {
    store: FsStore,
    head: Head,
    waiting: Vec<Entry>,
    bytes: usize,
}

/// A log to copy into: small ones need no space reserved.
pub(crate) const OPTIONS: Options = {
    let mut options = Options::DEFAULT;
    options.reserve_bytes = 0;
    options
};

impl Copier {
    pub(crate) fn to(mut store: FsStore) -> Result<Self, Failure> {
        let head = payonce::EventStore::fence(&mut store).map_err(Failure::refused)?.head;
        Ok(Self { store, head, waiting: Vec::new(), bytes: 0 })
    }

    /// The head after everything that was given.
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// Takes the next entry.
    pub(crate) fn entry(&mut self, bytes: &[u8]) -> Result<Head, Failure> {
        let entry = Entry::from_stored(self.head, bytes.to_vec()).map_err(Failure::refused)?;
        self.head = entry.after();
        self.bytes += bytes.len();
        self.waiting.push(entry);
        if self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(self.head)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let waiting = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        payonce::EventStore::append(&mut self.store, &waiting).map_err(Failure::refused)
    }

    /// Keeps a snapshot of the other log, if this one ends nowhere before it.
    pub(crate) fn snapshot(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        self.flush()?;
        let base = self.store.base().map_err(Failure::refused)?.map_or(0, |base| base.at.seq);
        if snapshot.at.seq <= base {
            return Ok(());
        }
        payonce::EventStore::save_snapshot(&mut self.store, snapshot.at, &snapshot.bytes)
            .map_err(Failure::refused)
    }

    /// Makes everything durable, and gives the store.
    pub(crate) fn finish(mut self) -> Result<FsStore, Failure> {
        self.flush()?;
        Ok(self.store)
    }
}

/// Leaves a store in order.
pub(crate) fn close(store: FsStore) -> Result<(), Failure> {
    store.close().map_err(|error: FsError| Failure::refused(error))
}
