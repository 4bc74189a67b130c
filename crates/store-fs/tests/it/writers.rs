//! Two writers of one log, whatever the operator or the file system does: one of them is told, and
//! whatever either acknowledged is in the log that is left.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use payonce_core::{EventSource, EventStore, Head, StoreError};
use payonce_store_fs::{Disk, FsError, FsStore, model::ModelDisk};

use crate::{
    support::{self, SMALL},
    watched::Watched,
};

/// Appends one entry; the head after it.
fn append<D: Disk>(store: &mut FsStore<D>, head: Head) -> Result<Head, StoreError> {
    let batch = support::batch(head, &[2]);
    store.append(&batch)?;
    Ok(batch[0].after())
}

fn new(path: &Path) -> (FsStore, Head) {
    let (mut store, _) = FsStore::create(path, support::ledger(), SMALL).expect("new");
    let head = append(&mut store, Head::genesis(support::ledger())).expect("sound");
    (store, head)
}

fn expect_locked(opened: Result<(FsStore, payonce_store_fs::RecoveryReport), FsError>) {
    let error = opened.map(drop).expect_err("there is a writer");
    assert!(matches!(error, FsError::Locked { .. }), "{error}");
}

/// Says that what the writer holds is not there any more, and goes on saying so.
fn expect_replaced(store: &mut FsStore, outcome: Result<Head, StoreError>) {
    let Err(StoreError::Backend(error)) = &outcome else { panic!("{outcome:?}") };
    let error = error.downcast_ref::<FsError>().expect("of this store");
    assert!(matches!(error, FsError::Replaced { .. }), "{error}");
    let told = store.head();
    let Err(StoreError::Poisoned { cause }) = &told else { panic!("{told:?}") };
    assert_eq!(**cause, *error.to_string());
}

#[test]
fn a_deleted_lock_file_lets_nobody_in() {
    let parent = support::directory();
    let path = parent.path().join("log");
    let (mut store, head) = new(&path);
    fs::remove_file(path.join("lock")).expect("it is there");
    expect_locked(FsStore::open(&path, SMALL));
    // The next one has made a lock file of its own; it is kept out all the same, and so is the next.
    expect_locked(FsStore::open(&path, SMALL));
    let head = append(&mut store, head).expect("the directory and the segment are still ours");
    // Whoever changes names looks at the lock file too.
    let saved = store.save_snapshot(head, b"state").map(|()| head);
    expect_replaced(&mut store, saved);
    drop(store);
    let (store, report) = FsStore::open(&path, SMALL).expect("nobody has it");
    assert!(store.head().expect("sound") == head && !report.was_closed);
}

/// A child that is being started holds its parent's locks for a moment, though the parent has given them
/// up.
#[test]
fn a_child_that_is_being_started_keeps_nobody_out() {
    let parent = support::directory();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let child = std::process::Command::new("true").status();
                    assert!(child.expect("it is there").success());
                }
            });
        }
        for nth in 0..50 {
            let path = parent.path().join(nth.to_string());
            let opened = FsStore::create(&path, support::ledger(), SMALL).map(drop);
            let again = opened.and_then(|()| FsStore::open(&path, SMALL)).map(drop);
            if again.is_err() {
                done.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            again.expect("there is no other writer");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_directory_replaced_under_a_writer_is_noticed_before_anything_is_acknowledged() {
    let parent = support::directory();
    let path = parent.path().join("log");
    let (mut store, head) = new(&path);
    // A copy takes its place: another directory, and other files.
    let moved = parent.path().join("moved");
    fs::rename(&path, &moved).expect("moved");
    fs::create_dir(&path).expect("new");
    for file in fs::read_dir(&moved).expect("it is there") {
        let file = file.expect("readable");
        fs::copy(file.path(), path.join(file.file_name())).expect("copied");
    }
    let (mut other, _) = FsStore::open(&path, SMALL).expect("nobody holds this one");
    let after = append(&mut other, head).expect("the one that is found under the path");
    let outcome = append(&mut store, head);
    expect_replaced(&mut store, outcome);
    drop((store, other));
    let (store, _) = FsStore::open(&path, SMALL).expect("sound");
    assert_eq!(store.head().expect("sound"), after);
}

#[test]
fn files_moved_to_another_directory_are_still_held() {
    let parent = support::directory();
    let path = parent.path().join("log");
    let (mut store, head) = new(&path);
    let other = parent.path().join("other");
    fs::create_dir(&other).expect("new");
    for file in fs::read_dir(&path).expect("it is there") {
        let file = file.expect("readable");
        if file.file_name() != "lock" {
            fs::rename(file.path(), other.join(file.file_name())).expect("moved");
        }
    }
    expect_locked(FsStore::open(&other, SMALL));
    let outcome = append(&mut store, head);
    expect_replaced(&mut store, outcome);
}

#[test]
fn a_working_directory_that_changes_changes_nothing() {
    // A path that is relative is that of the moment in which the log was opened.
    let parent = support::directory();
    let (store, _) = new(&parent.path().join("log"));
    assert!(store.close().is_ok());
    let disk = payonce_store_fs::RealDisk::open(".").expect("it is there");
    assert!(disk.directory().is_absolute());
}

/// The locks exclude nobody, as on some network file systems. A second writer opens the log while the
/// first one appends, at every point of the opening: every entry that either acknowledged is in the
/// log, and they do not both go on.
#[test]
fn without_locks_a_second_writer_loses_nothing_that_the_first_one_acknowledged() {
    let (mut both_told, mut first_told, mut second_told, mut points) = (0, 0, 0, 0);
    for point in 1.. {
        let disk = ModelDisk::default();
        let created = FsStore::create_on(disk.clone(), support::ledger(), SMALL);
        let mut first = created.expect("empty").0;
        let head = append(&mut first, Head::genesis(support::ledger())).expect("sound");
        disk.forget_locks();
        // What the first one acknowledges last, before, in the middle of, and after the opening.
        let first = Arc::new(Mutex::new((first, head)));
        let act = {
            let (first, disk) = (Arc::clone(&first), disk.clone());
            move || {
                let (store, head) = &mut *first.lock().expect("nothing panics");
                if let Ok(after) = append(store, *head) {
                    *head = after;
                }
                disk.forget_locks();
            }
        };
        let watched = Watched::new(&disk, point, act);
        let opened = FsStore::open_on(watched.clone(), SMALL);
        if watched.operations() < point {
            break;
        }
        points += 1;
        let (store, acknowledged) = &mut *first.lock().expect("nothing panics");
        let (mut first_goes_on, mut second_goes_on) = (false, false);
        let found = match opened {
            Ok((mut second, _)) => {
                let found = second.head().expect("sound");
                assert!(found.seq >= acknowledged.seq, "point {point}: {found} {acknowledged}");
                second_goes_on = append(&mut second, found).is_ok();
                std::mem::forget(second);
                found
            }
            Err(error) => {
                assert!(
                    matches!(
                        error,
                        FsError::Contested { .. } | FsError::Io { .. } | FsError::Locked { .. }
                    ),
                    "{error}"
                );
                *acknowledged
            }
        };
        if let Ok(after) = append(store, *acknowledged) {
            first_goes_on = true;
            *acknowledged = after;
        }
        assert!(!(first_goes_on && second_goes_on), "both go on after point {point}");
        both_told += u32::from(!first_goes_on && !second_goes_on);
        first_told += u32::from(!first_goes_on);
        second_told += u32::from(!second_goes_on);
        disk.forget_locks();
        let (left, _) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
        let least = if second_goes_on { found.seq } else { acknowledged.seq };
        assert!(left.head().expect("sound").seq >= least, "point {point}");
    }
    assert!(
        points > 12 && first_told > 4 && second_told > 0,
        "{points} {first_told} {second_told}"
    );
    assert!(both_told < points, "somebody goes on");
}
