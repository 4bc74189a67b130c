//! Payments go on while history is read: for a verification, for a dropping, for one that the ledger
//! does by itself.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    thread,
    time::Duration,
};

use payonce_core::{EventSource, Head, LedgerId, Pay, limits};
use payonce_runtime::{MaintenanceError, SharedLedger, Unavailable};
use payonce_store_fs::FsStore;

use crate::support::{
    NOW, Shared, Wrapped, disk, open, open_with, open_wrapped, opening, options, send,
};

/// How often a race is run until it goes the one way that it may go.
const ROUNDS: u32 = 1_000;

fn large(nth: u32) -> Pay {
    let mut send = send(nth);
    send.request.instructions = vec![1; limits::INSTRUCTIONS_BYTES].into();
    send
}

/// What the store was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Read,
    Append,
}

/// Payments are written between two readings of the store, and not only before and after all.
#[test]
fn payments_go_on_while_history_is_read() {
    for dropping in [false, true] {
        let disk = disk();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let note = |what| {
            let asked = Arc::clone(&asked);
            move || asked.lock().expect("nobody panics").push(what)
        };
        let store =
            Wrapped::new(&disk).before_reading(note(Asked::Read)).after_append(note(Asked::Append));
        let ledger = open_wrapped(store);
        ledger.execute_all((0..1_000).map(large), NOW).expect("accepted");
        let stored = ledger.save_snapshot().expect("kept");
        let ends = Arc::new(AtomicBool::new(false));
        let payer = {
            let (ledger, ends) = (ledger.clone(), Arc::clone(&ends));
            thread::spawn(move || {
                for nth in 10_000.. {
                    ledger.execute(send(nth), NOW).expect("payments go on");
                    if ends.load(Ordering::Relaxed) {
                        break;
                    }
                }
            })
        };
        let between = (0..ROUNDS).any(|_| {
            asked.lock().expect("nobody panics").clear();
            if dropping {
                // Compared, and not dropped: the snapshot of another log.
                let other =
                    Head { seq: stored.seq, ..Head::genesis(LedgerId::from_bytes([9; 32])) };
                ledger.drop_history(other, 1).expect_err("another log");
            }
            let head = ledger.verify(1).expect("sound");
            assert!(head.seq >= stored.seq);
            let asked = asked.lock().expect("nobody panics");
            let reads = || asked.iter().enumerate().filter(|(_, what)| **what == Asked::Read);
            let (first, last) =
                (reads().next().expect("read").0, reads().next_back().expect("read").0);
            assert!(reads().count() > 3, "in pieces");
            asked[first..last].contains(&Asked::Append)
        });
        ends.store(true, Ordering::Relaxed);
        payer.join().expect("no panic");
        assert!(between, "no payment came between");
        if dropping {
            assert_eq!(ledger.drop_history(stored, 1).expect("dropped"), stored);
        }
        assert_eq!(ledger.verify(1).expect("sound"), ledger.head());
    }
}

/// Also where pieces end inside the files of a store, and at their ends.
#[test]
fn a_log_on_disk_is_read_in_pieces() {
    let directory = tempfile::tempdir().expect("a directory");
    let fs = payonce_store_fs::Options { segment_bytes: 3 << 20, ..Default::default() };
    let id = LedgerId::from_bytes([7; 32]);
    let (store, _) = FsStore::create(directory.path(), id, fs).expect("empty");
    let recovery = SharedLedger::open(store, &opening(), options(), NOW).expect("sound");
    let ledger = recovery.finish(NOW).expect("nothing fails");
    ledger.execute_all((0..500).map(large), NOW).expect("accepted");
    let stored = ledger.save_snapshot().expect("kept");
    ledger.execute_all((500..1_000).map(large), NOW).expect("accepted");
    assert_eq!(ledger.verify(1).expect("sound"), ledger.head());
    // A flipped bit is found wherever it is, in what is dropped too.
    let first = directory.path().join("00000000000000000001.log");
    let sound = std::fs::read(&first).expect("a segment");
    for at in [5_000, 1_300_000, 2_600_000] {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        std::fs::write(&first, damaged).expect("written");
        for told in [ledger.verify(1), ledger.drop_history(stored, 1)] {
            let error = told.expect_err("damaged");
            assert!(error.to_string().contains("00000000000000000001.log"), "{error}");
        }
    }
    std::fs::write(&first, sound).expect("written");
    ledger.check().expect("reading ends nothing");
    assert_eq!(ledger.drop_history(stored, 1).expect("dropped"), stored);
    assert_eq!(ledger.verify(1).expect("sound"), ledger.head());
    let log = ledger.close().expect("the first to close");
    assert_eq!(log.base().expect("sound").expect("a base").at, stored);
}

#[test]
fn closing_ends_a_verification_between_two_pieces() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute_all((0..300).map(large), NOW).expect("accepted");
    // The base, the first piece.
    let gate = disk.stall_nth(2);
    let verifying = {
        let ledger = ledger.clone();
        thread::spawn(move || ledger.verify(1))
    };
    gate.wait_until_reached();
    let closing = thread::spawn({
        let ledger = ledger.clone();
        move || ledger.close().is_some()
    });
    while ledger.check().is_ok() {
        thread::yield_now();
    }
    gate.open();
    let told = verifying.join().expect("no panic").expect_err("closed");
    assert!(matches!(told, MaintenanceError::Unavailable(Unavailable::Closed)), "{told:?}");
    assert!(closing.join().expect("no panic"));
}

/// A snapshot that somebody is about to make the base is evicted by nobody.
#[test]
fn snapshots_wait_for_a_dropping() {
    let disk = disk();
    let before = open(&disk);
    before.execute_all((0..300).map(large), NOW).expect("accepted");
    let stored = before.save_snapshot().expect("kept");
    drop(before.close());
    let (begins, begun) = channel();
    let (saved, is_saved) = channel();
    let saved_meanwhile = Arc::new(AtomicBool::new(false));
    let (noted, is_saved) = (Arc::clone(&saved_meanwhile), Mutex::new(is_saved));
    let dropping = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&dropping);
    // A snapshot that did not wait would be saved while this one waits for it.
    let while_reading = move || {
        if armed.swap(false, Ordering::SeqCst) {
            begins.send(()).expect("the test listens");
            let is_saved = is_saved.lock().expect("nobody panics");
            let saved = is_saved.recv_timeout(Duration::from_millis(300)).is_ok();
            noted.store(saved, Ordering::SeqCst);
        }
    };
    let store = Wrapped::new(&disk)
        .before_reading(while_reading)
        .saves_beside(move || saved.send(()).expect("the hook listens"));
    let ledger = open_wrapped(store);
    let saving = {
        let ledger = ledger.clone();
        thread::spawn(move || {
            begun.recv().expect("it is read");
            ledger.save_snapshot()
        })
    };
    dropping.store(true, Ordering::SeqCst);
    assert_eq!(ledger.drop_history(stored, 1).expect("dropped"), stored);
    saving.join().expect("no panic").expect("kept afterwards");
    assert!(!saved_meanwhile.load(Ordering::SeqCst));
}

fn base(disk: &payonce_store_memory::MemoryDisk) -> u64 {
    disk.open().base().expect("sound").map_or(0, |base| base.at.seq)
}

#[test]
fn history_is_dropped_by_itself_up_to_what_the_node_has_stored() {
    let disk = disk();
    let options = options().snapshot_every_bytes(Some(20_000)).history_events(Some(50));
    let ledger = open_with(&disk, options);
    let live = |ledger: &Shared, payments: std::ops::Range<u32>| {
        for nth in payments {
            ledger.execute(send(nth), NOW).expect("accepted");
        }
    };
    live(&ledger, 0..400);
    assert_eq!(base(&disk), 0, "the node has stored nothing");
    let mut stored = ledger.head();
    for round in 1..4 {
        let before = base(&disk);
        live(&ledger, round * 400..(round + 1) * 400);
        ledger.save_snapshot().expect("kept");
        stored = ledger.head();
        ledger.head_stored(stored);
        while base(&disk) == before {
            thread::yield_now();
        }
        assert!(base(&disk) <= stored.seq);
    }
    let before = base(&disk);
    live(&ledger, 2_000..2_400);
    ledger.save_snapshot().expect("kept");
    drop(ledger.close());
    assert_eq!(base(&disk), before, "never past what the node has stored");
    assert!(base(&disk) <= stored.seq);
    // What the node gives at an opening it has stored.
    let known = payonce_core::verify(&disk.open(), 1).expect("sound").head();
    let recovery =
        SharedLedger::open(disk.open(), &opening().known_head(known), options, NOW).expect("sound");
    let ledger = recovery.finish(NOW).expect("nothing fails");
    while base(&disk) == before {
        thread::yield_now();
    }
    assert_eq!(ledger.query(|state| state.counts().pending).expect("open"), 2_000);
}

/// Without the option nothing is dropped, whatever the node stores.
#[test]
fn nothing_is_dropped_that_nobody_asked_for() {
    let disk = disk();
    let ledger = open_with(&disk, options().snapshot_every_bytes(Some(1_000)));
    for nth in 0..100 {
        ledger.execute(send(nth), NOW).expect("accepted");
    }
    ledger.save_snapshot().expect("kept");
    ledger.head_stored(ledger.head());
    ledger.execute(send(100), NOW).expect("accepted");
    drop(ledger.close());
    assert_eq!(base(&disk), 0);
    let each = &mut |_: payonce_core::StoredEntry<'_>| ControlFlow::Break(());
    disk.open().replay(1, each).expect("all of it");
}
