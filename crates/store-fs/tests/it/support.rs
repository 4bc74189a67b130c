//! Entries to store, and what a store holds.

use std::{collections::BTreeMap, ops::ControlFlow};

use payonce_core::{
    Entry, Event, EventSource, Head, LedgerId, PaymentHash, StoreError, UnixMillis,
};
pub(crate) use payonce_store_fs::model::damage::{frames, segments};
use payonce_store_fs::{
    FsError, FsReader, FsStore, Options, RecoveryReport,
    model::{Image, ModelDisk},
};

/// Small enough that a few batches roll a segment.
pub(crate) const SMALL: Options = {
    let mut options = Options::DEFAULT;
    options.segment_bytes = 3 << 10;
    options.preallocate_bytes = 512;
    options.reserve_bytes = 8 << 10;
    options
};

pub(crate) fn ledger() -> LedgerId {
    LedgerId::from_bytes([7; 32])
}

pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory for temporary files")
}

/// An entry of `events` events, about 33 bytes each.
pub(crate) fn entry(before: Head, events: u8) -> Entry {
    let hash = |byte| PaymentHash::from_bytes([byte; 32]);
    let events: Vec<_> = (1..=events)
        .map(|byte| Event::HashBlocked { payment_hash: hash(byte), engine: "".into() })
        .collect();
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

pub(crate) fn read(image: &Image) -> Result<FsReader<ModelDisk>, FsError> {
    FsReader::open_on(&ModelDisk::from_image(image))
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

/// Where the entry that starts at this seq is: its segment, and its frame's offset there. Found by
/// reading: whatever damage hits it is reported there.
pub(crate) fn find_frame(image: &Image, first_seq: u64) -> (String, usize) {
    let first = |name: &String| name[..20].parse::<u64>().expect("a number");
    let name = segments(image).into_iter().rfind(|name| first(name) <= first_seq);
    let name = name.expect("a segment before it");
    let nth = (first(&name)..first_seq)
        .filter(|seq| held(&read(image).expect("sound"), 1).expect("sound").contains_key(seq))
        .count();
    (name.clone(), frames(&image[&name])[nth])
}

/// A log of several segments, a snapshot and a base, and a torn tail if asked for; and the heads
/// and entries that it was given.
pub(crate) struct Sample {
    pub(crate) image: Image,
    pub(crate) heads: Vec<Head>,
    pub(crate) entries: Held,
    /// Where the base was taken, if one was.
    pub(crate) base: u64,
}

/// Appends batches of these sizes, each acknowledged; saves a snapshot after the batches named.
pub(crate) fn sample(batches: &[&[u8]], snapshots_after: &[usize], drop: bool) -> Sample {
    use payonce_core::EventStore;

    let disk = ModelDisk::default();
    let (mut store, _) = FsStore::create_on(disk.clone(), ledger(), SMALL).expect("empty");
    let mut heads = vec![Head::genesis(ledger())];
    let mut entries = Held::new();
    let mut base = 0;
    for (nth, sizes) in batches.iter().enumerate() {
        let batch = batch(heads[heads.len() - 1], sizes);
        store.append(&batch).expect("sound");
        heads.extend(batch.iter().map(Entry::after));
        entries.extend(batch.iter().map(|entry| (entry.first_seq(), entry.bytes().to_vec())));
        if snapshots_after.contains(&nth) {
            let at = heads[heads.len() - 1];
            store.save_snapshot(at, &[0x3c; 300]).expect("sound");
            if drop && nth == snapshots_after[0] {
                store.drop_history(at).expect("sound");
                base = at.seq;
            }
        }
    }
    Sample { image: disk.image(), heads, entries, base }
}

impl Sample {
    /// What a sound log holds: everything after the base.
    pub(crate) fn kept(&self) -> Held {
        self.entries.range(self.base + 1..).map(|(seq, bytes)| (*seq, bytes.clone())).collect()
    }
}

/// Batches that fill several small segments.
pub(crate) const BATCHES: &[&[u8]] =
    &[&[1], &[2, 1], &[1, 3, 1, 2, 1, 5, 1], &[16, 30], &[9, 20], &[4, 1, 30, 2, 2], &[3], &[1, 1]];
