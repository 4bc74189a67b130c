//! Reading takes no lock, modifies nothing, tells what is not yet known to be durable, and works
//! beside a writer.

use std::sync::atomic::{AtomicBool, Ordering};

use payonce_core::{EntryHeader, EventSource, EventStore};
use payonce_store_fs::{FsReader, FsStore, model::ModelDisk};

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

#[test]
fn a_reader_beside_a_writer_sees_whole_entries_in_order() {
    let directory = support::directory();
    let path = directory.path().join("log");
    let (mut store, _) = FsStore::create(&path, support::ledger(), SMALL).expect("empty");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut last, mut readings) = (0, 0_u32);
            while !done.load(Ordering::Acquire) || readings < 20 {
                let reader = FsReader::open(&path).expect("a writer is no damage");
                let head = reader.head().expect("sound");
                assert!(head.seq >= last, "a later reading shows no less");
                last = head.seq;
                // What was dropped meanwhile may be missing; nothing is ever wrong.
                let base = reader.base().ok().flatten().map_or(0, |base| base.at.seq);
                if let Ok(held) = support::held(&reader, base + 1) {
                    let last = held.last_key_value().map_or(base, |(_, bytes)| {
                        EntryHeader::read(bytes).expect("an entry").last_seq()
                    });
                    assert_eq!(last, head.seq);
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
