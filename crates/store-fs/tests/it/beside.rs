//! Snapshots saved beside appends: on the model disk with every failure and at every crash, and on
//! the real disk with the handle closed.

use payonce_core::{Entry, EventSource, EventStore, Head, StoreError};
use payonce_store_fs::{
    FsStore,
    model::{Fault, ModelDisk},
};

use crate::support::{self, BATCHES, SMALL};

const STATE: [u8; 5_000] = [7; 5_000];

/// A save fails at any of its operations: that call alone has failed, and payments go on, unless the
/// names in the directory are unknown now, among them the log's own. The log and the older snapshot
/// are there after any crash.
#[test]
fn a_failed_save_beside_appends_fails_alone_and_loses_nothing() {
    let sample = support::sample(BATCHES, &[3], false);
    let at = sample.heads[sample.heads.len() - 4];
    let (mut alone, mut poisoned) = (0, 0);
    for nth in 1..60 {
        let disk = ModelDisk::from_image(&sample.image);
        let (mut store, _) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
        let before = store.load_snapshot(u64::MAX).expect("sound").expect("one was saved");
        let mut writer = store.snapshot_writer().expect("it has one");
        disk.fail_nth(nth, Fault::ShortThenFull);
        let saved = writer.save_snapshot(at, &STATE);
        disk.fail_no_more();
        let more = support::batch(sample.heads[sample.heads.len() - 1], &[1]);
        match &saved {
            Ok(()) => store.append(&more).expect("nothing failed"),
            Err(error) if error.to_string().contains("sync the directory") => {
                poisoned += 1;
                let told = store.append(&more);
                let Err(StoreError::Poisoned { cause }) = &told else { panic!("{told:?}") };
                assert_eq!(**cause, *error.to_string(), "the first cause");
                assert!(matches!(store.head(), Err(StoreError::Poisoned { .. })));
                let again = writer.save_snapshot(at, &STATE);
                assert!(matches!(again, Err(StoreError::Poisoned { .. })));
            }
            Err(_) => {
                alone += 1;
                store.append(&more).expect("payments go on");
                writer.save_snapshot(at, &STATE).expect("and so do snapshots");
            }
        }
        let saved = if store.head().is_ok() { Ok(()) } else { saved };
        drop((store, writer));
        for image in disk.crash_images(disk.changes(), 32) {
            let (store, _) = support::open(&image).expect("sound");
            let found = store.load_snapshot(u64::MAX).expect("sound").expect("one was saved");
            assert!(found == before || found.at == at && found.bytes == STATE);
            assert!(found.at == at || saved.is_err(), "what was acknowledged is there");
            let held = support::held(&store, 1).expect("sound");
            assert!(sample.entries.iter().all(|(seq, bytes)| held.get(seq) == Some(bytes)));
        }
    }
    assert!(alone > 6 && poisoned > 0, "most operations can fail: {alone}, {poisoned}");
}

/// After any crash between appends, rolls, snapshots from the side and drops, the log opens with all
/// that was acknowledged.
#[test]
fn any_crash_among_appends_and_saves_from_the_side_leaves_the_log() {
    let disk = ModelDisk::default();
    let (mut store, _) = FsStore::create_on(disk.clone(), support::ledger(), SMALL).expect("new");
    let mut writer = store.snapshot_writer().expect("it has one");
    let mut heads = vec![Head::genesis(support::ledger())];
    // After so many changes, so many entries are acknowledged and this base may be there.
    let mut acknowledged = vec![(disk.changes(), 0_u64)];
    let first = disk.changes();
    for (nth, sizes) in BATCHES.iter().cycle().take(16).enumerate() {
        let entries = support::batch(heads[heads.len() - 1], sizes);
        store.append(&entries).expect("sound");
        let saved_at = heads[heads.len() - 1];
        heads.extend(entries.iter().map(Entry::after));
        acknowledged.push((disk.changes(), heads[heads.len() - 1].seq));
        if nth > 0 {
            writer.save_snapshot(saved_at, &STATE[..600]).expect("sound");
        }
        if nth % 6 == 5 {
            store.drop_history(saved_at).expect("it was saved");
        }
    }
    drop((store, writer));
    for point in first..=disk.changes() {
        let (_, seq) = acknowledged.iter().rev().find(|(at, _)| *at <= point).expect("the first");
        for image in disk.crash_images(point, 12) {
            let (store, _) = support::open(&image).expect("no crash damages it");
            let head = store.head().expect("sound");
            assert!(head.seq >= *seq && heads.contains(&head));
            let from = store.base().expect("sound").map_or(1, |base| base.at.seq + 1);
            support::held(&store, from).expect("sound");
        }
    }
}

/// The lock is given up with the handle, whether or not a writer of snapshots is left, and that
/// writer touches nothing any more.
#[test]
fn a_writer_outlives_its_store_and_writes_nothing() {
    let directory = support::directory();
    let log = directory.path().join("log");
    let (mut store, _) = FsStore::create(&log, support::ledger(), SMALL).expect("new");
    let entries = support::batch(Head::genesis(support::ledger()), &[1, 2, 3]);
    store.append(&entries).expect("sound");
    let at = entries[1].after();
    let mut writer = store.snapshot_writer().expect("it has one");
    drop(store);
    let (mut store, _) = FsStore::open(&log, SMALL).expect("nobody holds the lock");
    assert!(matches!(writer.save_snapshot(at, &STATE), Err(StoreError::Fenced { .. })));
    assert_eq!(store.load_snapshot(u64::MAX).expect("sound"), None);
    store.append(&support::batch(entries[2].after(), &[1])).expect("sound");
    drop(store);
    std::fs::remove_dir_all(&log).expect("it is there");
    assert!(matches!(writer.save_snapshot(at, &STATE), Err(StoreError::Fenced { .. })));
    assert!(!log.exists(), "nothing is created in its place");
}
