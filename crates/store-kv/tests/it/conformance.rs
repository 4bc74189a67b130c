//! The suite that every store must pass, on LDK's file system store and on the one in memory.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lightning::{
    io::{Error, ErrorKind},
    util::persist::KVStoreSync,
};
use lightning_persister::fs_store::FilesystemStore;
use payonce_core::{LedgerId, StoreError};
use payonce_store_kv::{KvStore, Namespace};
use payonce_store_testkit::{Harness, Shown, all, run};

use crate::memory::{Fault, Image, MemoryKv};

/// LDK's store; its next write fails if told so.
struct Directory {
    inner: FilesystemStore,
    fails: AtomicBool,
    fails_to_list: AtomicBool,
}

impl KVStoreSync for Directory {
    fn read(&self, primary: &str, secondary: &str, key: &str) -> Result<Vec<u8>, Error> {
        KVStoreSync::read(&self.inner, primary, secondary, key)
    }

    fn write(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        value: Vec<u8>,
    ) -> Result<(), Error> {
        if self.fails.swap(false, Ordering::Relaxed) {
            return Err(ErrorKind::Other.into());
        }
        KVStoreSync::write(&self.inner, primary, secondary, key, value)
    }

    fn remove(&self, primary: &str, secondary: &str, key: &str, lazy: bool) -> Result<(), Error> {
        KVStoreSync::remove(&self.inner, primary, secondary, key, lazy)
    }

    fn list(&self, primary: &str, secondary: &str) -> Result<Vec<String>, Error> {
        if self.fails_to_list.swap(false, Ordering::Relaxed) {
            return Err(ErrorKind::Other.into());
        }
        KVStoreSync::list(&self.inner, primary, secondary)
    }
}

struct Real {
    directory: tempfile::TempDir,
    namespace: Namespace,
    /// That of the process that was started last.
    kv: Option<Arc<Directory>>,
}

impl Real {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        let namespace = Namespace::new("payments", "of-mine_1").expect("of the alphabet");
        Self { directory, namespace, kv: None }
    }

    /// LDK's store as a newly started process has it.
    fn start(&mut self) -> Arc<Directory> {
        let inner = FilesystemStore::new(self.directory.path().into());
        let kv = Arc::new(Directory { inner, fails: false.into(), fails_to_list: false.into() });
        self.kv = Some(Arc::clone(&kv));
        kv
    }

    /// Changes one byte of the file that the predicate finds, if there is one.
    fn damage(&self, offset: usize, is_it: impl Fn(&str) -> bool) -> bool {
        let mut directory: PathBuf = self.directory.path().join(self.namespace.primary());
        directory.push(self.namespace.secondary());
        let names = std::fs::read_dir(directory).expect("it is there");
        let mut paths = names.map(|entry| entry.expect("readable").path());
        let found = paths.find(|path| is_it(&path.file_name().expect("a name").to_string_lossy()));
        let Some(path) = found else { return false };
        let mut bytes = std::fs::read(&path).expect("readable");
        bytes[offset] ^= 0x10;
        std::fs::write(path, bytes).expect("writable");
        true
    }
}

/// Whether a key is the chunk that holds this seq.
fn holds(name: &str, seq: u64) -> bool {
    let mut parts = name.split('-');
    let is_chunk = parts.next() == Some("log");
    let mut number = || u64::from_str_radix(parts.next().unwrap_or("0"), 16).expect("a number");
    is_chunk && (number()..=number()).contains(&seq)
}

/// Whether a key is the snapshot or the base taken at this seq.
fn is_taken_at(name: &str, seq: u64) -> bool {
    ["snap", "base"].iter().any(|kind| name.starts_with(&format!("{kind}-{seq:016x}-")))
}

impl Harness for Real {
    type Store = KvStore<Arc<Directory>>;

    fn create(&mut self, ledger: LedgerId) -> Result<Self::Store, StoreError> {
        let kv = self.start();
        Ok(KvStore::create(kv, self.namespace.clone(), ledger)?)
    }

    fn reopen(&mut self) -> Result<Self::Store, StoreError> {
        let kv = self.start();
        Ok(KvStore::open(kv, self.namespace.clone())?)
    }

    fn fail_next_append(&mut self, _store: &mut Self::Store) -> bool {
        self.kv.as_ref().is_some_and(|kv| !kv.fails.swap(true, Ordering::Relaxed))
    }

    fn fail_next_maintenance(&mut self, _store: &mut Self::Store) -> bool {
        // It is listed first, to look for another writer.
        self.kv.as_ref().is_some_and(|kv| !kv.fails_to_list.swap(true, Ordering::Relaxed))
    }

    fn damage_entry(&mut self, first_seq: u64) -> bool {
        self.damage(110, |name| holds(name, first_seq))
    }

    fn damage_snapshot(&mut self, at: u64) -> bool {
        self.damage(200, |name| is_taken_at(name, at))
    }
}

struct Memory(Arc<MemoryKv>, Fault);

impl Memory {
    fn new(fault: Fault) -> Self {
        Self(MemoryKv::new(&Image::new()), fault)
    }

    /// Changes one byte of the value whose key the predicate finds.
    fn damage(&mut self, offset: usize, is_it: impl Fn(&str) -> bool) -> bool {
        let mut image = self.0.image();
        let found = image.iter_mut().find(|(name, _)| is_it(name));
        let Some((_, value)) = found else { return false };
        value[offset] ^= 0x10;
        self.0 = MemoryKv::new(&image);
        true
    }
}

impl Harness for Memory {
    type Store = KvStore<Arc<MemoryKv>>;

    fn create(&mut self, ledger: LedgerId) -> Result<Self::Store, StoreError> {
        Ok(KvStore::create(Arc::clone(&self.0), Namespace::default(), ledger)?)
    }

    fn reopen(&mut self) -> Result<Self::Store, StoreError> {
        Ok(KvStore::open(Arc::clone(&self.0), Namespace::default())?)
    }

    /// Nothing is left but what is durable.
    fn kill(&mut self, store: Self::Store) {
        drop(store);
        self.0 = MemoryKv::new(&self.0.image());
    }

    fn fail_next_append(&mut self, _store: &mut Self::Store) -> bool {
        self.0.fail_nth(1, self.1);
        true
    }

    fn fail_next_maintenance(&mut self, _store: &mut Self::Store) -> bool {
        // The listing that looks for another writer comes first.
        self.0.fail_nth(2, self.1);
        true
    }

    fn damage_entry(&mut self, first_seq: u64) -> bool {
        self.damage(110, |name| holds(name, first_seq))
    }

    fn damage_snapshot(&mut self, at: u64) -> bool {
        self.damage(200, |name| is_taken_at(name, at))
    }
}

mod file_system {
    payonce_store_testkit::conformance!(super::Real::new());
}

mod memory_that_fails_before {
    use crate::memory::Fault;

    payonce_store_testkit::conformance!(super::Memory::new(Fault::Before));
}

mod memory_that_fails_after {
    use crate::memory::Fault;

    payonce_store_testkit::conformance!(super::Memory::new(Fault::After));
}

#[test]
fn every_case_is_shown_but_those_of_stores_that_keep_a_second_writer_out() {
    fn not_shown<H: Harness + 'static>(make: fn() -> H) -> Vec<&'static str> {
        let limit = Duration::from_secs(60);
        let cases = all::<H>().into_iter();
        cases
            .filter(|case| run(make, *case, limit) != Ok(Shown::Held))
            .map(|case| case.name)
            .collect()
    }
    let expected = [
        "a_second_writer_is_kept_out",
        "a_fenced_off_writer_is_refused_everything",
        "what_a_fenced_off_writer_tries_leaves_no_trace",
        // It has no way to save snapshots beside appends.
        "a_snapshot_beside_appends_is_kept",
        "appends_go_on_beside_snapshots",
        "a_snapshot_elsewhere_beside_appends_is_refused",
        "an_older_snapshot_beside_appends_never_replaces_a_newer_one",
        "a_snapshot_writer_ends_with_its_store",
    ];
    assert_eq!(not_shown(|| Memory::new(Fault::After)), expected);
    assert_eq!(not_shown(Real::new), expected);
}
