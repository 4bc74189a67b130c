//! Entries to store, and what a store holds.

use std::{collections::BTreeMap, ops::ControlFlow};

use payonce_core::{
    Entry, Event, EventSource, Head, LedgerId, PaymentHash, StoreError, UnixMillis,
};
use payonce_store_fs::{
    FsError, FsStore, Options, RecoveryReport,
    model::{Image, ModelDisk},
};

/// Small enough that a few batches roll a segment.
pub(crate) const SMALL: Options = {
    let mut options = Options::DEFAULT;
    options.segment_bytes = 3 << 10;
    options.preallocate_bytes = 512;
    options
};

pub(crate) fn ledger() -> LedgerId {
    LedgerId::from_bytes([7; 32])
}

/// An entry of `events` events, about 33 bytes each.
pub(crate) fn entry(before: Head, events: u8) -> Entry {
    let hash = |byte| PaymentHash::from_bytes([byte; 32]);
    let events: Vec<_> =
        (1..=events).map(|byte| Event::HashHeld { payment_hash: hash(byte) }).collect();
    Entry::new(before, 1, UnixMillis(before.seq), &events).expect("within the limits")
}

/// Entries that continue `head` and each other, of so many events each.
pub(crate) fn batch(mut head: Head, sizes: &[u8]) -> Vec<Entry> {
    let mut next = |size: &u8| {
        let entry = entry(head, *size);
        head = entry.after();
        entry
    };
    sizes.iter().map(&mut next).collect()
}

pub(crate) fn open(image: &Image) -> Result<(FsStore<ModelDisk>, RecoveryReport), FsError> {
    FsStore::open_on(ModelDisk::from_image(image), SMALL)
}

/// The first seq and the bytes of each entry from `from` on.
pub(crate) type Held = BTreeMap<u64, Vec<u8>>;

pub(crate) fn held(store: &impl EventSource, from: u64) -> Result<Held, StoreError> {
    let mut held = Held::new();
    store.replay(from, &mut |entry| {
        let before = held.insert(entry.first_seq, entry.bytes.to_vec());
        assert!(before.is_none() && held.keys().next_back() == Some(&entry.first_seq));
        ControlFlow::Continue(())
    })?;
    Ok(held)
}
