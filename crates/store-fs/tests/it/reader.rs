//! Reading takes no lock, modifies nothing, tells what is not yet known to be durable, and works
//! beside a writer.

use std::sync::atomic::{AtomicBool, Ordering};

use payonce_core::{EntryHeader, EventSource, EventStore, StoreError};
use payonce_store_fs::{FsError, FsReader, FsStore, model::ModelDisk};

use crate::support::{self, BATCHES, SMALL};

#[test]
fn what_no_later_entry_vouches_for_is_told_as_not_yet_durable() {
    let disk = ModelDisk::default();
    let (mut store, _) = FsStore::create_on(disk.clone(), support::ledger(), SMALL).expect("empty");
    let mut head = store.fence().expect("sound");
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
        let mut head = store.fence().expect("sound");
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
