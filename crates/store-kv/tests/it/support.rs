//! Entries to store, and what a store holds.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use payonce_core::{
    Entry, Event, EventSource, EventStore, Head, LedgerId, PaymentHash, StoreError, UnixMillis,
};
use payonce_store_kv::{KvError, KvStore, Namespace};

use crate::memory::{Image, MemoryKv};

pub(crate) type Store = KvStore<Arc<MemoryKv>>;

pub(crate) fn ledger() -> LedgerId {
    LedgerId::from_bytes([7; 32])
}

/// An entry of `events` events, about 33 bytes each. Another writer's differ.
pub(crate) fn entry(before: Head, writer: u64, events: u16) -> Entry {
    let event = |nth: u16| {
        let mut hash = [1; 32];
        hash[..2].copy_from_slice(&nth.to_le_bytes());
        Event::HashBlocked { payment_hash: PaymentHash::from_bytes(hash), engine: "".into() }
    };
    let events: Vec<_> = (0..events).map(event).collect();
    Entry::new(before, writer, UnixMillis(before.seq), &events).expect("within the limits")
}

/// Entries that continue `head` and each other, of so many events each.
pub(crate) fn batch(mut head: Head, sizes: &[u16]) -> Vec<Entry> {
    let mut next = |size: &u16| {
        let entry = entry(head, 1, *size);
        head = entry.after();
        entry
    };
    sizes.iter().map(&mut next).collect()
}

pub(crate) fn open(image: &Image) -> Result<Store, KvError> {
    KvStore::open(MemoryKv::new(image), Namespace::default())
}

/// A new log, and its writer.
pub(crate) fn create(kv: &Arc<MemoryKv>) -> Store {
    let mut store =
        KvStore::create(Arc::clone(kv), Namespace::default(), ledger()).expect("an empty one");
    store.fence().expect("sound");
    store
}

/// Opens the log as its writer.
pub(crate) fn take_over(kv: &Arc<MemoryKv>) -> Result<Store, StoreError> {
    let mut store = KvStore::open(Arc::clone(kv), Namespace::default())?;
    store.fence()?;
    Ok(store)
}

/// The first seq and the bytes of each entry.
pub(crate) type Held = BTreeMap<u64, Vec<u8>>;

/// What a replay from `from` on yields.
pub(crate) fn held(store: &impl EventSource, from: u64) -> Result<Held, StoreError> {
    let mut held = Held::new();
    store.replay(from, &mut |entry| {
        let before = held.insert(entry.first_seq, entry.bytes.to_vec());
        assert!(before.is_none() && held.keys().next_back() == Some(&entry.first_seq));
        ControlFlow::Continue(())
    })?;
    Ok(held)
}

/// All that a store holds after its base.
pub(crate) fn all(store: &impl EventSource) -> Held {
    let base = store.base().expect("sound").map_or(0, |base| base.at.seq);
    held(store, base + 1).expect("sound")
}

/// What a log was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// The head before the first entry and after each.
    pub(crate) heads: Vec<Head>,
    pub(crate) entries: Held,
}

impl Given {
    pub(crate) fn new() -> Self {
        Self { heads: vec![Head::genesis(ledger())], entries: Held::new() }
    }

    pub(crate) fn head(&self) -> Head {
        *self.heads.last().expect("the first is there")
    }

    /// The next batch, noted.
    pub(crate) fn next(&mut self, sizes: &[u16]) -> Vec<Entry> {
        let batch = batch(self.head(), sizes);
        self.heads.extend(batch.iter().map(Entry::after));
        let bytes = batch.iter().map(|entry| (entry.first_seq(), entry.bytes().to_vec()));
        self.entries.extend(bytes);
        batch
    }

    /// Forgets the entries after the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.heads.truncate(count + 1);
        let _ = self.entries.split_off(&(self.head().seq + 1));
    }

    /// Demands that a store holds a prefix of this, and gives its length.
    pub(crate) fn check(&self, store: &impl EventSource) -> usize {
        let head = store.head().expect("sound");
        let count = self.heads.iter().position(|known| *known == head).expect("a head of the run");
        let base = store.base().expect("sound").map_or(0, |base| base.at.seq);
        let kept = self.entries.range(base + 1..).take_while(|(seq, _)| **seq <= head.seq);
        assert!(all(store).iter().eq(kept));
        count
    }
}

/// Batches as a ledger appends them.
pub(crate) const BATCHES: &[&[u16]] =
    &[&[1], &[2, 1], &[1, 3, 1, 2, 1, 5, 1], &[16, 30], &[9, 20], &[4, 1, 30, 2, 2], &[3], &[1, 1]];

/// The state of every snapshot.
pub(crate) const STATE: [u8; 300] = [0x3c; 300];

/// A log that was given [`BATCHES`], with snapshots after the fourth, the sixth and the last; the
/// first of them is the base if asked for. It has been opened once.
pub(crate) fn sample(drop: bool) -> (Image, Given) {
    let kv = MemoryKv::new(&Image::new());
    let (mut store, mut given) = (create(&kv), Given::new());
    for (nth, sizes) in BATCHES.iter().enumerate() {
        store.append(&given.next(sizes)).expect("sound");
        if [3, 5, 7].contains(&nth) {
            store.save_snapshot(given.head(), &STATE).expect("sound");
        }
        if nth == 3 && drop {
            store.drop_history(given.head()).expect("sound");
        }
    }
    (kv.image(), given)
}
