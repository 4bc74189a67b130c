//! Reading takes no lock, modifies nothing, tells what is not yet known to be durable, and works
//! beside a writer.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use payonce_core::{EntryHeader, EventSource, EventStore, StoreError};
use payonce_store_fs::{FsError, FsReader, FsStore, Listed, model::ModelDisk};

use crate::{
    support::{self, BATCHES, SMALL, Sample},
    watched::Watched,
};

#[test]
fn what_no_later_entry_vouches_for_is_told_as_not_yet_durable() {
    let disk = ModelDisk::default();
    let (mut store, _) = FsStore::create_on(disk.clone(), support::ledger(), SMALL).expect("empty");
    let mut head = store.fence().expect("sound").head;
    for sizes in BATCHES {
        let batch = support::batch(head, sizes);
        store.append(&batch).expect("sound");
        let reader = FsReader::open_on(&disk).expect("no lock is needed");
        let after = batch[batch.len() - 1].after();
        assert_eq!(reader.head().expect("sound"), after);
        // In a new segment the last vouched seq may be the one before it.
        assert!((head.seq..after.seq).contains(&reader.vouched_seq()));
        head = after;
    }
}

#[test]
fn a_reader_modifies_nothing_not_even_a_torn_tail() {
    let sample = support::sample(BATCHES, &[3, 5], false);
    let mut image = sample.image.clone();
    let newest = support::segments(&image).pop().expect("some");
    let last = *support::frames(&image[&newest]).last().expect("some");
    image.get_mut(&newest).expect("it is there").truncate(last + 30);
    image.insert("00000000000000000099.log.tmp".into(), b"unfinished".to_vec());
    let disk = ModelDisk::from_image(&image);
    let reader = FsReader::open_on(&disk).expect("torn, not damaged");
    assert_eq!(reader.torn_bytes(), 30);
    assert_eq!(reader.head().expect("sound"), sample.heads[sample.heads.len() - 2]);
    assert!(reader.verify().is_ok());
    assert!(support::held(&reader, 1).is_ok());
    assert!(reader.load_snapshot(u64::MAX).expect("sound").is_some());
    assert_eq!(disk.image(), image);
    assert_eq!(disk.changes(), 0);
}

/// What was dropped since is asked for again, and never said to be missing.
#[test]
fn a_reader_beside_a_writer_that_drops_history_says_that_it_changes() {
    let sample = support::sample(BATCHES, &[5], false);
    let disk = ModelDisk::from_image(&sample.image);
    let (mut store, _) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
    let reader = FsReader::open_on(&disk).expect("no lock is needed");
    let at = store.load_snapshot(u64::MAX).expect("sound").expect("saved").at;
    store.drop_history(at).expect("saved");
    let is_changing = |error: &StoreError| {
        let StoreError::Backend(error) = error else { return false };
        matches!(error.downcast_ref(), Some(FsError::Changing { .. }))
    };
    let error = support::held(&reader, 1).expect_err("it was dropped");
    assert!(is_changing(&error) && error.to_string().contains("try again"), "{error}");
    let error = reader.verify().expect_err("it was dropped");
    assert!(matches!(error, FsError::Changing { .. }), "{error}");
    // So is a base that a later one replaced.
    let reader = FsReader::open_on(&disk).expect("no lock is needed");
    let head = store.head().expect("sound");
    store.save_snapshot(head, b"state").expect("sound");
    store.drop_history(head).expect("saved");
    for error in [reader.base().map(drop), reader.load_snapshot(u64::MAX).map(drop)] {
        let error = error.expect_err("it was replaced");
        assert!(is_changing(&error), "{error}");
    }
    assert!(FsReader::open_on(&disk).expect("again").verify().is_ok());
}

/// A log with a base, and its writer, who appends a segment's worth, saves a snapshot of it and drops
/// what is before it.
fn at_work(sample: &Sample) -> (ModelDisk, impl FnMut() + Send + use<>) {
    let disk = ModelDisk::from_image(&sample.image);
    let (mut store, _) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
    let work = move || {
        let batch = support::batch(store.head().expect("sound"), &[30, 30, 30]);
        store.append(&batch).expect("sound");
        let head = store.head().expect("sound");
        store.save_snapshot(head, b"state").expect("sound");
        store.drop_history(head).expect("saved");
    };
    (disk, work)
}

/// Whatever a reader did before a writer took files away: it reads again, and finds the log.
#[test]
fn a_reader_is_opened_whenever_the_writer_drops_history_meanwhile() {
    let sample = support::sample(BATCHES, &[3, 7], true);
    for point in 1.. {
        let (disk, work) = at_work(&sample);
        let watched = Watched::new(&disk, point, work);
        let reader = FsReader::open_on(&watched).expect("nothing is damaged");
        if watched.operations() < point {
            assert!(point > 6, "{point}: the record, the listing, three segments, a base");
            break;
        }
        assert!(reader.head().expect("sound").seq >= sample.heads[sample.heads.len() - 1].seq);
    }
}

/// Of names that come and go while a directory is listed, the system may tell or leave out each: a
/// base that is missing in such a listing is no damage.
#[test]
fn a_listing_that_is_of_two_moments_is_no_damage() {
    let sample = support::sample(BATCHES, &[3, 7], true);
    let names = |disk: &ModelDisk| -> BTreeSet<_> { disk.image().into_keys().collect() };
    let (disk, mut work) = at_work(&sample);
    let before = names(&disk);
    work();
    let after = names(&disk);
    let changed: Vec<_> = before.symmetric_difference(&after).collect();
    assert!((6..12).contains(&changed.len()), "{changed:?}");
    for told in 0..1_u32 << changed.len() {
        let (disk, work) = at_work(&sample);
        // The record of the newest segment is read first.
        let watched = Watched::new(&disk, 2, work);
        let is_told = |name: &&String| {
            changed.iter().position(|other| other == name).is_none_or(|nth| told & 1 << nth != 0)
        };
        let listed = before.union(&after).filter(is_told);
        let listed: Vec<_> =
            listed.map(|name| Listed { name: name.into(), is_file: true }).collect();
        let shown = format!("{listed:?}");
        watched.list_once(listed);
        let reader = FsReader::open_on(&watched).unwrap_or_else(|error| panic!("{error}: {shown}"));
        let verified = reader.verify().unwrap_or_else(|error| panic!("{error}: {shown}"));
        assert_eq!(verified.head, reader.head().expect("sound"));
    }
}

/// What is damaged or missing is told at once, and not read again and again.
#[test]
fn damage_where_nobody_is_at_work_is_told_after_one_reading() {
    let sample = support::sample(BATCHES, &[3, 7], true);
    let mut image = sample.image.clone();
    let first = support::segments(&image).swap_remove(0);
    image.retain(|name, _| !name.ends_with(".base") && *name != first);
    let disk = Watched::new(&ModelDisk::from_image(&image), 0, || {});
    let error = FsReader::open_on(&disk).map(drop).expect_err("the base is missing");
    assert!(matches!(error, FsError::BaseMissing { .. }), "{error}");
    assert!(disk.operations() < 20, "{}", disk.operations());
}

#[test]
fn a_reader_beside_a_writer_sees_whole_entries_in_order() {
    let directory = support::directory();
    let path = directory.path().join("log");
    let (mut store, _) = FsStore::create(&path, support::ledger(), SMALL).expect("empty");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut last, mut readings) = (0, 0_u32);
            // Nothing is ever wrong but that a writer drops what was to be read.
            let expect_changing = |error: &dyn std::error::Error| {
                assert!(error.to_string().ends_with("try again"), "{error}");
            };
            while !done.load(Ordering::Acquire) || readings < 20 {
                let reader = match FsReader::open(&path) {
                    Ok(reader) => reader,
                    Err(error) => {
                        expect_changing(&error);
                        continue;
                    }
                };
                let head = reader.head().expect("sound");
                assert!(head.seq >= last, "a later reading shows no less");
                last = head.seq;
                let base = reader.base().map(|base| base.map_or(0, |base| base.at.seq));
                let held = base.and_then(|base| Ok((base, support::held(&reader, base + 1)?)));
                match held {
                    Ok((base, held)) => {
                        let last = held.last_key_value().map_or(base, |(_, bytes)| {
                            EntryHeader::read(bytes).expect("an entry").last_seq()
                        });
                        assert_eq!(last, head.seq);
                    }
                    Err(error) => expect_changing(&error),
                }
                readings += 1;
            }
        });
        let mut head = store.fence().expect("sound").head;
        for nth in 0..400_u32 {
            let batch = support::batch(head, &[1 + (nth % 30) as u8, 1]);
            store.append(&batch).expect("sound");
            head = batch[1].after();
            if nth % 50 == 49 {
                store.save_snapshot(head, b"state").expect("sound");
            }
            if nth % 100 == 99 {
                store.drop_history(head).expect("sound");
            }
        }
        done.store(true, Ordering::Release);
        reading.join().expect("no reading failed");
    });
}
