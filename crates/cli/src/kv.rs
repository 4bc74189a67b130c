//! A log that a node keeps in LDK's `FilesystemStore`, read-only: opening one modifies nothing until it is
//! fenced, which nobody does here.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use lightning_persister::fs_store::FilesystemStore;
use payonce::{
    Head, LedgerId,
    audit::{EventSource, Snapshot, StoreError, StoredEntry},
};
use payonce_store_kv::{KvError, KvStore, Namespace};

use crate::io::Failure;

/// A log in the default namespace.
#[derive(Debug)]
pub struct Kv(KvStore<Arc<FilesystemStore>>);

impl Kv {
    /// Opens the log in this directory; `None` if there is none.
    ///
    /// # Errors
    /// [`Failure::Refused`] if there is one and it cannot be read.
    pub fn find(directory: &Path) -> Result<Option<Self>, Failure> {
        let namespace = Namespace::default();
        if !directory.join(namespace.primary()).is_dir() {
            return Ok(None);
        }
        let kv = Arc::new(FilesystemStore::new(directory.to_owned()));
        match KvStore::open(kv, namespace) {
            Ok(store) => Ok(Some(Self(store))),
            Err(KvError::NotALedger { .. }) => Ok(None),
            Err(error) => Err(Failure::refused(error)),
        }
    }
}

impl EventSource for Kv {
    fn ledger_id(&self) -> LedgerId {
        self.0.ledger_id()
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.0.head()
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.0.replay(from, visit)
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.0.load_snapshot(at_most)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.0.base()
    }
}
