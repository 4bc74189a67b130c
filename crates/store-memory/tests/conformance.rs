//! The suite that every store must pass.

use payonce_core::{LedgerId, StoreError};
use payonce_store_memory::{Failure, MemoryDisk, MemoryStore};
use payonce_store_testkit::{Harness, Hook};

struct Memory(Option<MemoryDisk>);

impl Memory {
    fn disk(&self) -> &MemoryDisk {
        self.0.as_ref().expect("created first")
    }
}

impl Harness for Memory {
    type Store = MemoryStore;
    const LEFT_OUT: &'static [Hook] = &[Hook::DamageEntry, Hook::DamageSnapshot];

    fn create(&mut self, ledger: LedgerId) -> Result<MemoryStore, StoreError> {
        self.0 = Some(MemoryDisk::new(ledger));
        self.reopen()
    }

    fn reopen(&mut self) -> Result<MemoryStore, StoreError> {
        Ok(self.disk().open())
    }

    fn fail_next_append(&mut self, _store: &mut MemoryStore) -> bool {
        self.disk().fail_nth(1, Failure::AfterEntries(3));
        true
    }

    fn fail_next_maintenance(&mut self, _store: &mut MemoryStore) -> bool {
        self.disk().fail_nth(1, Failure::AfterEffect);
        true
    }
}

payonce_store_testkit::conformance!(crate::Memory(None));
