//! What an opening costs: calls to the key-value store, which takes its time for each.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lightning::{io, util::persist::KVStoreSync};
use lightning_persister::fs_store::FilesystemStore;
use payonce_core::{
    Acknowledge, ClaimPart, Dispatch, EventSource as _, FinalizePart, MaxFee, Msat, NewPart,
    Opening, PartId, Pay, PaymentId, Preimage, Remember, Request, RetryPolicy, UnixMillis,
};
use payonce_runtime::{Options, SharedLedger};
use payonce_store_kv::{KvStore, Namespace};

use crate::{sqlite::SqliteKv, support::ledger};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
/// A snapshot after so many appends.
const EVERY: usize = 50;

/// A store that counts its calls.
struct Counted<K> {
    store: K,
    calls: AtomicUsize,
}

impl<K> Counted<K> {
    const fn new(store: K) -> Self {
        Self { store, calls: AtomicUsize::new(0) }
    }

    fn count(&self) -> &K {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.store
    }

    fn take_calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }
}

impl<K: KVStoreSync> KVStoreSync for Counted<K> {
    fn read(&self, first: &str, second: &str, key: &str) -> Result<Vec<u8>, io::Error> {
        self.count().read(first, second, key)
    }

    fn write(&self, first: &str, second: &str, key: &str, value: Vec<u8>) -> Result<(), io::Error> {
        self.count().write(first, second, key, value)
    }

    fn remove(&self, first: &str, second: &str, key: &str, lazy: bool) -> Result<(), io::Error> {
        self.count().remove(first, second, key, lazy)
    }

    fn list(&self, first: &str, second: &str) -> Result<Vec<String>, io::Error> {
        self.count().list(first, second)
    }
}

type Node<K> = SharedLedger<KvStore<Arc<Counted<K>>>>;

fn opening() -> Opening {
    let mut opening = Opening::new(Remember::Window, 1);
    opening.single_writer = true;
    opening
}

fn start<K: KVStoreSync + Send + Sync + 'static>(
    kv: &Arc<Counted<K>>,
    options: Options,
) -> Node<K> {
    let store = KvStore::open(Arc::clone(kv), Namespace::default()).expect("sound");
    let recovery = SharedLedger::open(store, &opening(), options, NOW).expect("sound");
    recovery.finish(NOW).expect("well")
}

/// A payment from its acceptance to its last acknowledgement: six appends, each with a key of its own.
fn pay<K: KVStoreSync + Send + Sync + 'static>(node: &Node<K>, nth: u32) {
    let mut bytes = [0x11; 32];
    bytes[..4].copy_from_slice(&nth.to_be_bytes());
    let (id, part) = (PaymentId::from_bytes(bytes), PartId::from_bytes(bytes));
    let preimage = Preimage::from_bytes(bytes);
    let hash = preimage.payment_hash();
    let fee = MaxFee::AtMost(Msat(10));
    let request = Request::invoice(hash, Msat(1_000), fee, RetryPolicy::Attempts(0));
    node.execute(Pay::new(id, request), NOW).expect("accepted");
    let parts = vec![NewPart::delegated(part)];
    node.execute(Dispatch { id, attempt: 1, parts }, NOW).expect("recorded");
    node.execute(ClaimPart::new(id, part, preimage), NOW).expect("a fact");
    node.execute(FinalizePart { id, part }, NOW).expect("a fact");
    while let Some(next) = node.query(|state| state.outbox().next()).expect("well") {
        node.execute(Acknowledge { ids: vec![next.id] }, NOW).expect("in the outbox");
    }
}

/// Pays so many, and lets them be forgotten. Then the process ends, once no snapshot is due.
fn live<K: KVStoreSync + Send + Sync + 'static>(
    kv: &Arc<Counted<K>>,
    options: Options,
    payments: u32,
) {
    let node = start(kv, options);
    (0..payments).for_each(|nth| pay(&node, nth));
    for tick in 1..20 {
        node.tick(NOW.plus(tick * 60_000)).expect("well");
    }
    assert_eq!(node.query(|state| state.counts().fulfilled).expect("well"), 0, "all are forgotten");
    while options.snapshot_every_appends.is_some() && behind(kv) >= EVERY {
        std::thread::yield_now();
    }
    drop(node.close());
}

/// How many entries the newest snapshot lacks.
fn behind<K: KVStoreSync + Send + Sync + 'static>(kv: &Arc<Counted<K>>) -> usize {
    let store = KvStore::open(Arc::clone(kv), Namespace::default()).expect("sound");
    let snapshot = store.load_snapshot(u64::MAX).expect("sound");
    let mut entries = 0;
    let from = snapshot.map_or(1, |snapshot| snapshot.at.seq + 1);
    let mut count = |_: payonce_core::StoredEntry<'_>| {
        entries += 1;
        std::ops::ControlFlow::Continue(())
    };
    store.replay(from, &mut count).expect("sound");
    entries
}

/// The calls of the next start.
fn calls_of_a_start<K: KVStoreSync + Send + Sync + 'static>(
    kv: K,
    options: Options,
    payments: u32,
) -> usize {
    let kv = Arc::new(Counted::new(kv));
    drop(KvStore::create(Arc::clone(&kv), Namespace::default(), ledger()).expect("empty"));
    live(&kv, options, payments);
    kv.take_calls();
    let node = start(&kv, Options::DEFAULT.snapshot_every_bytes(None));
    let calls = kv.take_calls();
    drop(node.close());
    calls
}

fn with_snapshots() -> Options {
    Options::DEFAULT.snapshot_every_bytes(None).snapshot_every_appends(Some(EVERY as u64))
}

/// At 20 ms a call, which a server takes, a start of so many is over in two seconds.
const FEW: usize = EVERY + 20;

fn memory() -> SqliteKv {
    SqliteKv::open(Path::new(":memory:"))
}

#[test]
fn a_start_reads_what_is_pending_and_not_what_was_paid() {
    for payments in [100, 400] {
        let calls = calls_of_a_start(memory(), with_snapshots(), payments);
        assert!(calls <= FEW, "{calls} calls after {payments} payments");
    }
    let without = Options::DEFAULT.snapshot_every_bytes(None);
    let calls = calls_of_a_start(memory(), without, 400);
    assert!(calls > 4 * 400, "{calls} calls: without snapshots it reads all there was");
}

#[test]
fn so_it_is_on_a_file_system_and_in_a_database() {
    let directory = tempfile::tempdir().expect("room");
    let files = FilesystemStore::new(directory.path().join("files"));
    let calls = calls_of_a_start(files, with_snapshots(), 40);
    assert!(calls <= FEW, "{calls} calls on a file system");
    let database = SqliteKv::open(&directory.path().join("node.sqlite"));
    let calls = calls_of_a_start(database, with_snapshots(), 40);
    assert!(calls <= FEW, "{calls} calls in a database");
}
