//! What closing a log leaves behind is believed only of the very files that were closed.

use std::{fs, io::Write, os::unix::fs::MetadataExt, path::Path};

use payonce_core::{EventSource, EventStore, Head, StoreError};
use payonce_store_fs::{FsError, FsStore, RecoveryReport, model::ModelDisk};

use crate::support::{self, SMALL};

/// A log of some entries, closed.
fn closed(path: &Path) -> Head {
    let (mut store, _) = FsStore::create(path, support::ledger(), SMALL).expect("new");
    let batch = support::batch(store.head().expect("sound"), &[1, 2, 3]);
    store.append(&batch).expect("sound");
    store.close().expect("nothing failed");
    batch[2].after()
}

fn newest(path: &Path) -> std::path::PathBuf {
    path.join("00000000000000000001.log")
}

/// Opens and closes; what the opening said.
fn report(path: &Path, head: Head) -> RecoveryReport {
    let (store, report) = FsStore::open(path, SMALL).expect("sound");
    assert_eq!(store.head().expect("sound"), head);
    store.close().expect("nothing failed");
    report
}

#[test]
fn a_closed_log_keeps_its_newest_file_and_any_other_gets_a_fresh_one() {
    let parent = support::directory();
    let path = parent.path().join("log");
    let head = closed(&path);
    let inode = |path: &Path| fs::metadata(newest(path)).expect("it is there").ino();
    let first = inode(&path);
    let (store, opened) = FsStore::open(&path, SMALL).expect("sound");
    assert!(opened.was_closed && opened.knew_newest && opened.has_reserve);
    assert_eq!(inode(&path), first);
    // The process dies: nothing is left in order.
    std::mem::forget(store);
    // It would keep the locks; the machine that crashed does not.
    let copy = parent.path().join("copy");
    copy_all(&path, &copy);
    let before = inode(&copy);
    assert!(!report(&copy, head).was_closed);
    assert_ne!(inode(&copy), before);
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).expect("new");
    for file in fs::read_dir(from).expect("it is there") {
        let file = file.expect("readable");
        fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

#[test]
fn a_copy_of_a_closed_log_is_not_believed() {
    let parent = support::directory();
    let (path, copy) = (parent.path().join("log"), parent.path().join("copy"));
    let head = closed(&path);
    copy_all(&path, &copy);
    assert!(!report(&copy, head).was_closed, "who copied it may not have synced it");
    assert!(report(&copy, head).was_closed, "closed by ourselves");
    assert!(report(&path, head).was_closed);
    // Moved, it is the same.
    let moved = parent.path().join("moved");
    fs::rename(&path, &moved).expect("moved");
    assert!(report(&moved, head).was_closed);
}

#[test]
fn a_closed_log_that_was_written_to_since_is_not_believed() {
    let parent = support::directory();
    let path = parent.path().join("log");
    let head = closed(&path);
    let mut file = fs::OpenOptions::new().append(true).open(newest(&path)).expect("it is there");
    file.write_all(&[0; 512]).expect("written");
    drop(file);
    assert!(!report(&path, head).was_closed);
}

/// Fewer entries than there were when the log was closed are never "fine", wherever the newest segment
/// was cut: between two entries, inside one, in its header.
#[test]
fn a_closed_log_that_was_cut_is_refused() {
    let disk = ModelDisk::default();
    let created = FsStore::create_on(disk.clone(), support::ledger(), SMALL);
    let mut store = created.expect("empty").0;
    for sizes in support::BATCHES {
        let batch = support::batch(store.head().expect("sound"), sizes);
        store.append(&batch).expect("sound");
    }
    let head = store.head().expect("sound");
    store.close().expect("nothing failed");
    let image = disk.image();
    let name = support::segments(&image).pop().expect("some");
    let last = *support::frames(&image[&name]).last().expect("some");
    let mut missing = 0;
    for len in 0..image[&name].len() {
        let mut image = image.clone();
        image.get_mut(&name).expect("it is there").truncate(len);
        let opened = support::open(&image).map(|(store, _)| store.head());
        let read = support::read(&image).map(|log| log.head());
        for told in [opened, read] {
            match told {
                Ok(found) => assert!(len > last && found.expect("sound") == head, "{len}"),
                Err(FsError::Damaged { .. }) => assert!(len < 512, "{len}"),
                Err(FsError::EndMissing { at, head: found, .. }) => {
                    assert!(at == head.seq && found < at, "{len}: {found} of {at}");
                    missing += 1;
                }
                Err(error) => panic!("{len}: {error}"),
            }
        }
        if len == last {
            // The operator's word: it is lost for good.
            image.remove("newest").expect("it is there");
            let (store, report) = support::open(&image).expect("nothing says otherwise");
            assert!(!report.knew_newest && store.head().expect("sound").seq < head.seq);
        }
    }
    assert!(missing > 200, "{missing}");
}

/// What a rotation of logs does that copies a file and cuts it.
#[test]
fn a_segment_cut_under_its_writer_is_noticed_and_told_to_the_next_opening() {
    let cuts = [0, 100, 512, 700];
    for (keeps, appends) in cuts.iter().flat_map(|keeps| [(*keeps, true), (*keeps, false)]) {
        let parent = support::directory();
        let path = parent.path().join("log");
        let (mut store, _) = FsStore::create(&path, support::ledger(), SMALL).expect("new");
        for _ in 0..4 {
            let batch = support::batch(store.head().expect("sound"), &[1, 2]);
            store.append(&batch).expect("sound");
        }
        let head = store.head().expect("sound");
        let copy = fs::read(newest(&path)).expect("it is there");
        let file = fs::OpenOptions::new().write(true).open(newest(&path)).expect("it is there");
        file.set_len(keeps).expect("cut");
        if appends {
            let more = support::batch(head, &[1]);
            let Err(StoreError::Backend(error)) = store.append(&more) else { panic!("{keeps}") };
            assert!(matches!(error.downcast_ref(), Some(FsError::Cut { .. })), "{error}");
            let told = store.append(&more);
            assert!(matches!(told, Err(StoreError::Poisoned { .. })), "{told:?}");
        }
        drop(store);
        let error = FsStore::open(&path, SMALL).map(drop).expect_err("it was cut");
        assert!(
            matches!(error, FsError::EndMissing { .. } | FsError::Damaged { .. }),
            "{keeps}: {error}"
        );
        fs::write(newest(&path), copy).expect("restored");
        let (store, report) = FsStore::open(&path, SMALL).expect("whole again");
        assert!(!report.was_closed && store.head().expect("sound") == head);
    }
}

#[test]
fn a_handle_that_failed_leaves_nothing_in_order() {
    let disk = ModelDisk::default();
    let created = FsStore::create_on(disk.clone(), support::ledger(), SMALL);
    let mut store = created.expect("empty").0;
    let batch = support::batch(store.head().expect("sound"), &[1]);
    store.append(&batch).expect("sound");
    disk.fail_nth_sync(1);
    let more = support::batch(batch[0].after(), &[1]);
    assert!(store.append(&more).is_err());
    store.close().expect("there is nothing to leave in order");
    let (store, report) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
    assert!(!report.was_closed);
    // Closing that fails is told; the next opening is none the worse.
    disk.fail_nth_sync(1);
    assert!(store.close().is_err());
    let (_, report) = FsStore::open_on(disk, SMALL).expect("sound");
    assert!(!report.was_closed);
}

/// A log of a program that knew no record of the newest segment.
#[test]
fn a_log_without_a_record_opens_and_gets_one() {
    let sample = support::sample(support::BATCHES, &[], false);
    let mut image = sample.image;
    image.remove("newest").expect("there is one");
    let disk = ModelDisk::from_image(&image);
    let (store, report) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
    assert!(!report.knew_newest && !report.was_closed);
    drop(store);
    let (_, report) = FsStore::open_on(disk, SMALL).expect("sound");
    assert!(report.knew_newest && report.was_closed);
}
