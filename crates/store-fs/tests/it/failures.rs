//! Every operation of a run fails once, in every way: an error each, nothing acknowledged is lost,
//! what is reported after reopening survives a crash, and a failed sync is not trusted later.

use std::io::ErrorKind;

use payonce_core::{Entry, EventSource, EventStore, Head, StoreError};
use payonce_store_fs::{
    FsError, FsStore,
    model::{Fault, ModelDisk},
};

use crate::support::{self, Held, SMALL};

const FAULTS: &[Fault] = &[
    Fault::Error(ErrorKind::Other),
    Fault::Error(ErrorKind::StorageFull),
    Fault::Error(ErrorKind::PermissionDenied),
    Fault::Short,
    Fault::ShortThenFull,
];

/// What a run was told before it failed.
#[derive(Debug)]
struct Told {
    heads: Vec<Head>,
    entries: Held,
    acknowledged: usize,
    failed_while_open: bool,
}

/// Creates, appends, rolls, snapshots, drops, reopens, until something fails.
fn run(disk: &ModelDisk, told: &mut Told) -> Result<(), StoreError> {
    let (mut store, _) = FsStore::create_on(disk.clone(), support::ledger(), SMALL)?;
    told.failed_while_open = true;
    let outcome = append_all(&mut store, told).and_then(|()| maintain(&mut store));
    if outcome.is_err() {
        expect_poisoned(&mut store);
        return outcome;
    }
    told.failed_while_open = false;
    drop(store);
    FsStore::open_on(disk.clone(), SMALL)?;
    Ok(())
}

fn append_all(store: &mut FsStore<ModelDisk>, told: &mut Told) -> Result<(), StoreError> {
    for sizes in support::BATCHES {
        let batch = support::batch(told.heads[told.heads.len() - 1], sizes);
        told.heads.extend(batch.iter().map(Entry::after));
        let bytes = batch.iter().map(|entry| (entry.first_seq(), entry.bytes().to_vec()));
        told.entries.extend(bytes);
        store.append(&batch)?;
        told.acknowledged = told.heads.len() - 1;
    }
    Ok(())
}

fn maintain(store: &mut FsStore<ModelDisk>) -> Result<(), StoreError> {
    let head = store.head()?;
    store.save_snapshot(head, b"state")?;
    store.drop_history(head)
}

fn expect_poisoned(store: &mut FsStore<ModelDisk>) {
    assert!(matches!(store.append(&[]), Err(StoreError::Poisoned)));
    assert!(matches!(store.head(), Err(StoreError::Poisoned)));
    assert!(matches!(support::held(store, 1), Err(StoreError::Poisoned)));
}

fn check(store: &FsStore<ModelDisk>, told: &Told) -> usize {
    let head = store.head().expect("sound");
    let base = store.base().expect("sound").map_or(0, |base| base.at.seq);
    let count = told.heads.iter().position(|known| *known == head).expect("a head of the run");
    assert!(count >= told.acknowledged, "{count} entries of {told:?}");
    let held = support::held(store, base + 1).expect("sound");
    assert!(
        held.iter().eq(told.entries.range(base + 1..).take_while(|(seq, _)| **seq <= head.seq))
    );
    count
}

/// Runs with one planned fault; returns whether it was met.
fn run_with(nth: u64, fault: Fault) -> bool {
    let disk = ModelDisk::default();
    disk.fail_nth(nth, fault);
    let heads = vec![Head::genesis(support::ledger())];
    let mut told = Told { heads, entries: Held::new(), acknowledged: 0, failed_while_open: false };
    let outcome = run(&disk, &mut told);
    let met = disk.operations() >= nth;
    if !met {
        return false;
    }
    // A write that is only short is finished with a second one.
    assert!(outcome.is_err() || fault == Fault::Short, "{nth} {fault:?}");

    disk.fail_no_more();
    // The process goes on, or another one is started: what it finds it may trust from then on.
    let (mut store, _) = match FsStore::open_on(disk.clone(), SMALL) {
        Err(FsError::NotALedger { .. }) => {
            FsStore::create_on(disk.clone(), support::ledger(), SMALL).expect("created at last")
        }
        opened => opened.expect("a failure is no damage"),
    };
    let count = check(&store, &told);
    let batch = support::batch(told.heads[count], &[1, 7]);
    store.append(&batch).expect("sound");
    drop(store);
    told.heads.truncate(count + 1);
    let _ = told.entries.split_off(&(told.heads[count].seq + 1));
    told.heads.extend(batch.iter().map(Entry::after));
    told.entries.extend(batch.iter().map(|entry| (entry.first_seq(), entry.bytes().to_vec())));
    told.acknowledged = told.heads.len() - 1;
    for image in disk.crash_images(disk.changes(), 6) {
        let (store, _) = support::open(&image).expect("a crash is no damage");
        check(&store, &told);
    }
    true
}

#[test]
fn every_operation_fails_once_in_every_way() {
    for fault in FAULTS {
        let met = (1..10_000).take_while(|nth| run_with(*nth, *fault)).count();
        assert!(met > 100, "{met} operations failed with {fault:?}");
    }
}

#[test]
fn a_full_disk_in_the_middle_of_an_append_leaves_everything_intact() {
    let sample = support::sample(support::BATCHES, &[], false);
    let used: usize = sample.image.values().map(Vec::len).sum();
    for free in (0..2_000).step_by(100) {
        let disk = ModelDisk::from_image(&sample.image);
        let (mut store, _) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
        disk.set_full_at(Some(used as u64 + free));
        let head = store.head().expect("sound");
        let batch = support::batch(head, &[60]);
        let outcome = store.append(&batch);
        let Err(StoreError::Backend(error)) = &outcome else { panic!("{outcome:?}") };
        assert!(error.to_string().contains(".log"), "it names the file: {error}");
        drop(store);
        disk.set_full_at(None);
        let (mut store, _) = FsStore::open_on(disk, SMALL).expect("sound");
        assert_eq!(store.head().expect("sound"), head, "nothing of it was written");
        store.append(&batch).expect("there is room now");
    }
}

#[test]
fn a_failed_snapshot_leaves_the_log_and_the_older_snapshot() {
    let sample = support::sample(support::BATCHES, &[3], false);
    let at = sample.heads[sample.heads.len() - 1];
    for nth in 1..40 {
        let disk = ModelDisk::from_image(&sample.image);
        let (mut store, _) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
        let before = store.load_snapshot(u64::MAX).expect("sound").expect("one was saved");
        disk.fail_nth(nth, Fault::ShortThenFull);
        let saved = store.save_snapshot(at, &[7; 5_000]);
        drop(store);
        for image in disk.crash_images(disk.changes(), 32) {
            let (store, _) = support::open(&image).expect("sound");
            let found = store.load_snapshot(u64::MAX).expect("sound").expect("one was saved");
            assert!(found == before || found.at == at && found.bytes == [7; 5_000]);
            assert!(found.at == at || saved.is_err(), "what was acknowledged is there");
            assert_eq!(support::held(&store, 1).expect("sound"), sample.entries);
        }
    }
}
