//! Snapshots beside appends, dropped history, verification.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use payonce_core::{EventSource, Ledger, PayReply, StoreError};
use payonce_runtime::{MaintenanceError, SharedLedger, SharedRecovery};
use payonce_store_memory::Failure;

use crate::support::{
    NOW, Wrapped, disk, open, open_with, open_wrapped, opening, operations, options, send,
};

#[test]
fn appends_go_on_while_a_snapshot_is_written() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    // confirm_owner for the query, then the snapshot's own operation.
    let gate = disk.stall_nth(2);
    let saving = {
        let ledger = ledger.clone();
        std::thread::spawn(move || ledger.save_snapshot())
    };
    gate.wait_until_reached();
    for nth in 2..50 {
        assert_eq!(ledger.execute(send(nth), NOW).expect("goes on"), PayReply::Accepted);
    }
    gate.open();
    let at = saving.join().expect("no panic").expect("saved");
    assert_eq!(at.seq, 3, "as it was when it was asked for");
    let snapshot = disk.open().load_snapshot(u64::MAX).expect("sound").expect("saved");
    assert_eq!(snapshot.at, at);
    let state = payonce_core::State::decode(&snapshot.bytes, 1).expect("a snapshot");
    assert_eq!(state.counts().pending, 1);
}

#[test]
fn snapshots_are_taken_by_themselves() {
    let disk = disk();
    let ledger = open_with(&disk, options().snapshot_every_bytes(Some(5_000)));
    ledger.execute_all((0..100).map(send), NOW).expect("accepted");
    let at = loop {
        if let Some(snapshot) = disk.open().load_snapshot(u64::MAX).expect("sound") {
            break snapshot.at;
        }
        std::thread::yield_now();
    };
    assert_eq!(at, ledger.head());
    ledger.execute(send(100), NOW).expect("accepted");
    drop(ledger.close());
    assert_eq!(open(&disk).query(|state| state.counts().pending).expect("open"), 101);
}

#[test]
fn snapshots_are_taken_after_so_many_appends() {
    let disk = disk();
    let options = options().snapshot_every_bytes(None).snapshot_every_appends(Some(10));
    let ledger = open_with(&disk, options);
    for nth in 0..9 {
        ledger.execute(send(nth), NOW).expect("accepted");
    }
    let at = loop {
        if let Some(snapshot) = disk.open().load_snapshot(u64::MAX).expect("sound") {
            break snapshot.at;
        }
        std::thread::yield_now();
    };
    assert!(at.seq <= ledger.head().seq);
    drop(ledger.close());
    assert_eq!(open(&disk).query(|state| state.counts().pending).expect("open"), 9);
}

#[test]
fn a_snapshot_is_not_of_what_is_not_durable() {
    let disk = disk();
    let ledger = open(&disk);
    let gate = disk.stall_nth(1);
    let first = crate::support::sender(&ledger, 1);
    gate.wait_until_reached();
    let saving = {
        let ledger = ledger.clone();
        std::thread::spawn(move || ledger.save_snapshot())
    };
    crate::support::wait_for_queue(&ledger, 1);
    assert!(disk.open().load_snapshot(u64::MAX).expect("sound").is_none());
    gate.open();
    first.join().expect("no panic").expect("accepted");
    assert_eq!(saving.join().expect("no panic").expect("saved").seq, 3);
}

#[test]
fn a_writer_of_snapshots_that_fails_leaves_the_ledger_alone() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    disk.fail_nth(2, Failure::BeforeEffect);
    let error = ledger.save_snapshot().expect_err("told to fail");
    assert!(matches!(error, MaintenanceError::Store(_)), "{error:?}");
    assert_eq!(ledger.execute(send(2), NOW).expect("goes on"), PayReply::Accepted);
    assert_eq!(ledger.save_snapshot().expect("the next one is kept"), ledger.head());
}

/// A store that says of itself that a snapshot that failed left the log as it was.
#[test]
fn a_failure_beside_the_log_is_one_of_that_call_alone() {
    let disk = disk();
    let fails = Arc::new(AtomicBool::new(false));
    let ledger = open_wrapped(Wrapped::new(&disk).fails_beside_when(&fails));
    ledger.execute(send(1), NOW).expect("accepted");
    let base = ledger.save_snapshot().expect("kept");
    fails.store(true, Ordering::Relaxed);
    for told in [ledger.save_snapshot(), ledger.drop_history(base, 1)] {
        let error = told.expect_err("told to fail");
        let MaintenanceError::Store(cause) = error else { panic!("{error:?}") };
        assert!(matches!(*cause, StoreError::Backend(_)), "{cause:?}");
        ledger.check().expect("the ledger goes on");
    }
    assert_eq!(ledger.execute(send(2), NOW).expect("goes on"), PayReply::Accepted);
    fails.store(false, Ordering::Relaxed);
    assert_eq!(ledger.save_snapshot().expect("kept"), ledger.head());
    assert_eq!(ledger.drop_history(base, 1).expect("dropped"), base);
}

/// Runs that each write less than a snapshot is due after: what opening replays stays bounded.
#[test]
fn short_runs_take_snapshots_too() {
    let every = 16 << 10;
    for opened in ["itself", "a recovery of its own", "a ledger of its own"] {
        let disk = disk();
        for run in 0..20 {
            let options = options().snapshot_every_bytes(Some(every));
            let ledger = match opened {
                "itself" => open_with(&disk, options),
                "a recovery of its own" => {
                    let recovery = Ledger::open(disk.open(), &opening(), NOW).expect("sound");
                    let shared = SharedRecovery::from_recovery(recovery, options);
                    shared.finish(NOW).expect("nothing fails")
                }
                _ => {
                    let recovery = Ledger::open(disk.open(), &opening(), NOW).expect("sound");
                    let own = recovery.finish(NOW).expect("nothing fails");
                    SharedLedger::from_ledger(own, options)
                }
            };
            let mut large = send(run);
            large.request.instructions = vec![1; 12_000].into();
            let before = newest(&disk);
            ledger.execute(large, NOW).expect("accepted");
            // One is due in every second run at least: it is waited for, and so must come.
            while run % 2 == 1 && newest(&disk) == before {
                std::thread::yield_now();
            }
            drop(ledger.close());
        }
        let mut bytes = 0;
        let each = &mut |entry: payonce_core::StoredEntry<'_>| {
            bytes += entry.bytes.len() as u64;
            std::ops::ControlFlow::Continue(())
        };
        disk.open().replay(newest(&disk) + 1, each).expect("sound");
        assert!(bytes < 3 * every, "opening replays {bytes} bytes");
    }
}

fn newest(disk: &payonce_store_memory::MemoryDisk) -> u64 {
    let snapshot = disk.open().load_snapshot(u64::MAX).expect("sound");
    snapshot.map_or(0, |snapshot| snapshot.at.seq)
}

#[test]
fn a_store_without_one_saves_itself_and_its_failure_is_of_that_call_alone() {
    let disk = disk();
    let ledger = open_wrapped(Wrapped::new(&disk));
    ledger.execute(send(1), NOW).expect("accepted");
    let at = ledger.save_snapshot().expect("saved");
    assert_eq!(at, ledger.head());
    disk.fail_nth(1, Failure::BeforeEffect);
    let error = ledger.save_snapshot().expect_err("told to fail");
    let MaintenanceError::Store(cause) = error else { panic!("{error:?}") };
    assert!(matches!(*cause, StoreError::Backend(_)));
    assert!(ledger.check().is_ok());
}

#[test]
fn history_is_dropped_only_up_to_a_head_that_the_log_contains() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute_all((0..10).map(send), NOW).expect("accepted");
    let stored = ledger.head();
    assert!(
        matches!(ledger.drop_history(stored, 1), Err(MaintenanceError::Ledger(_))),
        "no snapshot"
    );
    let at = ledger.save_snapshot().expect("saved");
    let other =
        payonce_core::Head { seq: at.seq, chain: payonce_core::LogHash::from_bytes([9; 32]) };
    assert!(ledger.drop_history(other, 1).is_err(), "another log's head");
    assert!(ledger.check().is_ok(), "a refusal touches nothing");
    ledger.execute(send(11), NOW).expect("accepted");
    assert_eq!(ledger.drop_history(stored, 1).expect("dropped"), at);
    assert_eq!(ledger.verify(1).expect("sound"), ledger.head());
    assert_eq!(disk.open().base().expect("sound").expect("a base").at, at);
}

#[test]
fn keeping_house_as_a_task() {
    let disk = disk();
    let ledger = open(&disk);
    futures_executor::block_on(async {
        ledger.execute_all_async((0..10).map(send), NOW).await.expect("accepted");
        let at = ledger.save_snapshot_async().await.expect("saved");
        assert_eq!(ledger.drop_history_async(at, 1).await.expect("dropped"), at);
        assert_eq!(ledger.verify_async(1).await.expect("sound"), ledger.head());
    });
}

#[test]
fn opening_counts_only_what_follows_the_snapshot() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute_all((0..10).map(send), NOW).expect("accepted");
    ledger.save_snapshot().expect("saved");
    drop(ledger.close());
    let reads = operations(&disk, || {
        let recovery = SharedLedger::open(disk.open(), &opening(), options(), NOW).expect("sound");
        assert_eq!(recovery.query(|state| state.counts().pending).expect("open"), 10);
    });
    assert!(reads < 10, "{reads} operations");
}

/// More payments than are decoded before a second thread is up.
#[test]
fn a_large_snapshot_is_opened() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute_all((0..2_000).map(send), NOW).expect("accepted");
    let at = ledger.save_snapshot().expect("saved");
    drop(ledger.close());
    let bytes = disk.open().load_snapshot(u64::MAX).expect("sound").expect("saved").bytes;
    let state = payonce_core::State::decode(&bytes, 1).expect("a snapshot");
    let ledger = open(&disk);
    assert!(ledger.head().seq > at.seq);
    assert_eq!(ledger.query(payonce_core::State::counts).expect("open"), state.counts());
    assert!(matches!(ledger.execute(send(1_999), NOW), Ok(PayReply::Duplicate { .. })));
}
