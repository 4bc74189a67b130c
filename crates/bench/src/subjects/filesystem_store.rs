//! lightning-persister's `FilesystemStore`: a file for each record, as ldk-node keeps each payment.
//! It has no batches; writers of different files do not wait for each other.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use lightning::util::persist::KVStoreSync;
use lightning_persister::fs_store::FilesystemStore;

use super::{Log, Subject, Writer};
use crate::{Result, life::Record};

/// `lightning-persister`.
pub(crate) struct Files;

impl Subject for Files {
    fn name(&self) -> &'static str {
        "filesystem-store"
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Log>> {
        let store = FilesystemStore::new(directory.to_path_buf());
        Ok(Box::new(Open { store, next: AtomicU64::new(1) }))
    }
}

struct Open {
    store: FilesystemStore,
    next: AtomicU64,
}

impl Log for Open {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + Send + '_>> {
        Ok(Box::new(self))
    }
}

impl Writer for &Open {
    fn commit(&mut self, record: Record) -> Result<()> {
        let key = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        Ok(self.store.write("payments", "", &key, record.bytes.to_vec())?)
    }

    fn commit_all(&mut self, records: Vec<Record>) -> Result<()> {
        records.into_iter().try_for_each(|record| self.commit(record))
    }

    fn has_batches(&self) -> bool {
        false
    }
}

/// The store with one key, written whole each time: how LDK keeps its channel manager.
pub(crate) struct BlobStore(FilesystemStore);

impl BlobStore {
    /// In this directory.
    pub(crate) fn open(directory: &Path) -> Self {
        Self(FilesystemStore::new(directory.to_path_buf()))
    }

    /// Writes the blob.
    pub(crate) fn write(&self, blob: Vec<u8>) -> Result<()> {
        Ok(self.0.write("", "", "manager", blob)?)
    }
}
