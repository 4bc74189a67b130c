//! Every operation of a run fails, once or from then on, in every way, with and without a torn tail
//! at the beginning: the handle is poisoned, or that call alone has failed; nothing acknowledged is
//! lost; what is reported after reopening survives a crash; a failed sync is not trusted later.

use std::io::{Error, ErrorKind};

use payonce_core::{Entry, EventSource, EventStore, Head, StoreError};
use payonce_store_fs::{
    FsError, FsStore, Options, RecoveryReport,
    model::{Fault, Image, ModelDisk},
};

use crate::support::{self, BATCHES, Held, SMALL};

/// How an operation fails, and whether the store can get over it so that nobody is told: a write is
/// made again, a full disk has a reserve.
fn faults() -> Vec<(&'static str, Fault, bool)> {
    const EMFILE: i32 = 24;
    vec![
        ("EIO before", Fault::Error(ErrorKind::Other), false),
        ("EIO after", Fault::After(ErrorKind::Other), false),
        ("EINTR", Fault::Error(ErrorKind::Interrupted), true),
        ("short", Fault::Short, true),
        ("ENOSPC", Fault::Error(ErrorKind::StorageFull), true),
        ("short, then ENOSPC", Fault::ShortThenFull, true),
        ("EDQUOT", Fault::Error(ErrorKind::QuotaExceeded), true),
        ("EMFILE", Fault::Error(Error::from_raw_os_error(EMFILE).kind()), false),
        ("EROFS", Fault::Error(ErrorKind::ReadOnlyFilesystem), false),
        ("EACCES", Fault::Error(ErrorKind::PermissionDenied), false),
    ]
}

/// What a run was told.
#[derive(Debug)]
struct Told {
    heads: Vec<Head>,
    entries: Held,
    acknowledged: usize,
    /// How many calls failed alone.
    alone: u32,
}

/// Creates or opens, appends, rolls, snapshots, drops, closes, reopens, until the log is unknown.
fn run(disk: &ModelDisk, told: &mut Told) -> Result<(), StoreError> {
    let (mut store, _) = open_or_create(disk)?;
    let head = store.head()?;
    told.acknowledged = told.heads.iter().position(|known| *known == head).expect("a head of it");
    forget_beyond(told, told.acknowledged);
    for (nth, sizes) in BATCHES.iter().enumerate() {
        let batch = support::batch(told.heads[told.heads.len() - 1], sizes);
        give(told, &batch);
        if let Err(error) = store.append(&batch) {
            expect_poisoned(&mut store, &error);
            return Err(error);
        }
        told.acknowledged = told.heads.len() - 1;
        if nth % 3 == 2 {
            let at = told.heads[told.heads.len() - 1];
            let saved = store.save_snapshot(at, b"state");
            fails_alone_or_poisons(saved, &mut store, told)?;
            let dropped = store.drop_history(at);
            fails_alone_or_poisons(dropped, &mut store, told)?;
        }
    }
    // What fails here costs the next opening time.
    told.alone += u32::from(store.close().is_err());
    let (store, _) = open_or_create(disk)?;
    told.alone += u32::from(store.close().is_err());
    Ok(())
}

fn open_or_create(disk: &ModelDisk) -> Result<(FsStore<ModelDisk>, RecoveryReport), FsError> {
    match FsStore::open_on(disk.clone(), SMALL) {
        Err(FsError::NotALedger { .. }) => {
            FsStore::create_on(disk.clone(), support::ledger(), SMALL)
        }
        opened => opened,
    }
}

fn give(told: &mut Told, batch: &[Entry]) {
    told.heads.extend(batch.iter().map(Entry::after));
    let bytes = batch.iter().map(|entry| (entry.first_seq(), entry.bytes().to_vec()));
    told.entries.extend(bytes);
}

/// Another process goes on where the log was found to end.
fn forget_beyond(told: &mut Told, count: usize) {
    told.heads.truncate(count + 1);
    let _ = told.entries.split_off(&(told.heads[count].seq + 1));
}

fn fails_alone_or_poisons(
    outcome: Result<(), StoreError>,
    store: &mut FsStore<ModelDisk>,
    told: &mut Told,
) -> Result<(), StoreError> {
    let Err(error) = outcome else { return Ok(()) };
    if store.head().is_ok() {
        told.alone += 1;
        Ok(())
    } else {
        expect_poisoned(store, &error);
        Err(error)
    }
}

/// Every caller is told what failed first.
fn expect_poisoned(store: &mut FsStore<ModelDisk>, first: &StoreError) {
    let head = Head::genesis(support::ledger());
    for told in [
        store.append(&[]),
        store.head().map(drop),
        support::held(store, 1).map(drop),
        store.load_snapshot(1).map(drop),
        store.base().map(drop),
        store.save_snapshot(head, b"state"),
        store.drop_history(head),
        store.confirm_owner(),
    ] {
        let Err(StoreError::Poisoned { cause }) = &told else { panic!("{told:?}") };
        assert_eq!(**cause, *first.to_string());
    }
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

/// Where a run begins.
struct Start {
    image: Image,
    heads: Vec<Head>,
    entries: Held,
    acknowledged: usize,
}

impl Start {
    fn empty() -> Self {
        let heads = vec![Head::genesis(support::ledger())];
        Self { image: Image::new(), heads, entries: Held::new(), acknowledged: 0 }
    }

    /// A log that nobody closed, whose last batch is torn.
    fn torn() -> Self {
        let sample = support::sample(&BATCHES[..6], &[3], false);
        let mut image = sample.image;
        let newest = support::segments(&image).pop().expect("some");
        let last = *support::frames(&image[&newest]).last().expect("some");
        image.get_mut(&newest).expect("it is there")[last + 64..].fill(0);
        let acknowledged = sample.heads.len() - 2;
        Self { image, heads: sample.heads, entries: sample.entries, acknowledged }
    }
}

/// Runs with planned faults; whether they were met, and whether anybody was told.
fn run_with(start: &Start, plan: impl FnOnce(&ModelDisk)) -> (u64, bool) {
    let disk = ModelDisk::from_image(&start.image);
    plan(&disk);
    let (heads, entries) = (start.heads.clone(), start.entries.clone());
    let mut told = Told { heads, entries, acknowledged: start.acknowledged, alone: 0 };
    let outcome = run(&disk, &mut told);
    let operations = disk.operations();

    disk.fail_no_more();
    // The process goes on, or another one is started: what it finds it may trust from then on.
    let (mut store, _) = open_or_create(&disk).expect("a failure is no damage");
    let count = check(&store, &told);
    let batch = support::batch(told.heads[count], &[1, 7]);
    store.append(&batch).expect("sound");
    drop(store);
    forget_beyond(&mut told, count);
    give(&mut told, &batch);
    told.acknowledged = told.heads.len() - 1;
    for image in disk.crash_images(disk.changes(), 4) {
        let (store, _) = support::open(&image).expect("a crash is no damage");
        check(&store, &told);
    }
    (operations, outcome.is_err() || told.alone > 0)
}

fn every_operation_fails(start: &Start) {
    for (name, fault, can_pass) in faults() {
        let (mut met, mut silent) = (0, 0);
        for nth in 1.. {
            let (operations, told) = run_with(start, |disk| disk.fail_nth(nth, fault));
            if operations < nth {
                break;
            }
            met += 1;
            silent += u32::from(!told && !can_pass);
            // From then on there is nothing left to be said of it but that nothing works.
            let (_, told) = run_with(start, |disk| disk.fail_from(nth, fault));
            assert!(told || fault == Fault::Short, "operation {nth}, {name} for ever");
        }
        assert!(met > 150, "{met} operations failed with {name}");
        // Looking at a snapshot's header while opening, which proves nothing if it fails.
        assert!(silent < 12, "{silent} of {met} failures with {name} were told to nobody");
    }
}

#[test]
fn every_operation_fails_in_every_way() {
    every_operation_fails(&Start::empty());
}

#[test]
fn every_operation_fails_in_every_way_after_a_torn_tail() {
    every_operation_fails(&Start::torn());
}

const WITHOUT_RESERVE: Options = Options { reserve_bytes: 0, ..SMALL };

fn is_reserve(name: &str) -> bool {
    ["reserve", "spare"].contains(&name)
}

fn used(disk: &ModelDisk) -> u64 {
    disk.image().values().map(|file| file.len() as u64).sum()
}

/// The disk is full to the last byte, and nobody closed the log: it opens all the same, takes facts,
/// and drops history, which gives the reserve back.
#[test]
fn a_full_disk_opens_takes_facts_and_drops_history() {
    let sample = support::sample(BATCHES, &[5], false);
    let disk = ModelDisk::from_image(&sample.image);
    disk.set_full_at(Some(used(&disk)));
    let (mut store, report) = FsStore::open_on(disk.clone(), SMALL).expect("there is a reserve");
    assert!(!report.was_closed);
    let mut head = store.head().expect("sound");
    assert_eq!(head, sample.heads[sample.heads.len() - 1]);
    for _ in 0..40 {
        let batch = support::batch(head, &[1]);
        store.append(&batch).expect("facts find room");
        head = batch[0].after();
    }
    let at = store.load_snapshot(u64::MAX).expect("sound").expect("saved").at;
    store.drop_history(at).expect("needs no room");
    drop(store);
    let (store, report) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
    assert!(report.has_reserve && store.head().expect("sound") == head);

    // It is the reserve that does it.
    let mut image = sample.image;
    image.retain(|name, _| !is_reserve(name));
    let disk = ModelDisk::from_image(&image);
    disk.set_full_at(Some(used(&disk)));
    let error = FsStore::open_on(disk, WITHOUT_RESERVE).expect_err("no room for a fresh file");
    assert!(error.to_string().contains("make room"), "{error}");
}

/// Appends until there is no room; the head of what was acknowledged.
fn fill(store: &mut FsStore<ModelDisk>) -> Head {
    let mut head = store.head().expect("sound");
    loop {
        let batch = support::batch(head, &[3]);
        match store.append(&batch) {
            Ok(()) => head = batch[0].after(),
            Err(error) => {
                assert!(error.to_string().contains("make room"), "{error}");
                return head;
            }
        }
    }
}

/// Payments fill the disk, and what is in reserve for them too: what is in reserve for openings stays,
/// again and again, and dropping history makes room for more.
#[test]
fn a_disk_that_appends_have_filled_opens_and_drops_history() {
    let disk = ModelDisk::default();
    let (mut store, _) = FsStore::create_on(disk.clone(), support::ledger(), SMALL).expect("new");
    for sizes in BATCHES {
        let batch = support::batch(store.head().expect("sound"), sizes);
        store.append(&batch).expect("there is room");
    }
    let at = store.head().expect("sound");
    store.save_snapshot(at, b"state").expect("there is room");
    disk.set_full_at(Some(used(&disk) + 2_000));
    for is_first in [true, false] {
        let head = fill(&mut store);
        drop(store);
        for _ in 0..3 {
            let (mut opened, report) = FsStore::open_on(disk.clone(), SMALL).expect("the reserve");
            assert!(opened.head().expect("sound") == head && !report.was_closed);
            assert!(disk.image().contains_key("reserve"), "taken again");
            opened.append(&support::batch(head, &[60])).expect_err("it is full");
        }
        (store, _) = FsStore::open_on(disk.clone(), SMALL).expect("the reserve");
        if is_first {
            store.drop_history(at).expect("needs no room");
            store.append(&support::batch(head, &[1])).expect("there is room again");
        }
    }
    disk.set_full_at(None);
    drop(store);
    let (_, report) = FsStore::open_on(disk, SMALL).expect("sound");
    assert!(report.was_closed && report.has_reserve);
}

#[test]
fn a_torn_tail_on_a_full_disk_is_kept_aside_out_of_the_reserve() {
    let start = Start::torn();
    let disk = ModelDisk::from_image(&start.image);
    disk.set_full_at(Some(used(&disk)));
    let (mut store, report) = FsStore::open_on(disk.clone(), SMALL).expect("there is a reserve");
    assert!(report.cut.is_some() && !report.has_reserve);
    assert!(disk.image().contains_key("reserve"), "most of it is taken again");
    let head = fill(&mut store);
    drop(store);
    let (store, _) = FsStore::open_on(disk, SMALL).expect("there is a reserve");
    assert_eq!(store.head().expect("sound"), head);
}

#[test]
fn a_full_disk_in_the_middle_of_an_append_leaves_everything_intact() {
    let mut sample = support::sample(support::BATCHES, &[], false);
    sample.image.retain(|name, _| !is_reserve(name));
    let used: usize = sample.image.values().map(Vec::len).sum();
    for free in (0..2_000).step_by(100) {
        let disk = ModelDisk::from_image(&sample.image);
        let (mut store, _) = FsStore::open_on(disk.clone(), WITHOUT_RESERVE).expect("sound");
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
