//! A log that is read while its node writes to it and drops history.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use payonce::{
    Ledger, Opening, Remember, Tick, UnixMillis,
    store_fs::{FsStore, Options},
};
use serde_json::Value;

use crate::support::{Closing, Demo, Program, payonce};

/// Says that enough was read, also when a test fails: the writer would go on for ever.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Writes, takes snapshots and drops what they stand for, until enough was read.
fn write(demo: &Demo, enough: &AtomicBool, drops: &AtomicU64) {
    let options = Options { segment_bytes: 4 << 10, preallocate_bytes: 512, reserve_bytes: 0 };
    let (store, _) = FsStore::open(&demo.path, options).expect("sound");
    let opening = Opening::new(Remember::Forever, 7);
    let mut now = UnixMillis(1_788_700_000_000);
    let mut ledger = Ledger::open(store, &opening, now).expect("sound").finish(now).expect("sound");
    while !enough.load(Ordering::Acquire) {
        for height in 0..40 {
            now = now.plus(60_000);
            ledger.execute(Tick::at_height(990_000 + height), now).expect("a tick");
        }
        let at = ledger.save_snapshot().expect("room");
        ledger.drop_history(at, 7).expect("there is one");
        drops.fetch_add(1, Ordering::AcqRel);
    }
}

#[test]
fn a_log_that_changes_is_read_anew_and_never_called_damaged() {
    let demo = Demo::of(40);
    let enough = AtomicBool::new(false);
    let drops = AtomicU64::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&demo, &enough, &drops));
        let reads = Enough(&enough);
        let file = demo.beside("export.jsonl");
        // Until history was dropped often enough under it, and every command was run.
        for nth in (0..).take_while(|nth| *nth < 60 || drops.load(Ordering::Acquire) < 20) {
            assert!(!writer.is_finished(), "the writer goes on");
            let dir = demo.dir();
            let line = match nth % 6 {
                0 => vec!["status", dir],
                1 => vec!["list", dir],
                2 => vec!["verify", dir],
                3 => vec!["show", dir, "8674cf8f"],
                4 => vec!["export", dir, "-o", &file],
                _ => vec!["list", dir, "--stuck", "10m"],
            };
            let ran = payonce(&line);
            assert!(ran.code < 2, "{line:?}: {}", ran.err);
            assert!(!ran.out.contains("DAMAGED"), "{line:?}: {}", ran.out);
            let _ = std::fs::remove_file(&file);
        }
        drop(reads);
        writer.join().expect("it writes");
    });
}

#[test]
fn a_backup_of_a_live_log_is_sound() {
    let demo = Demo::of(40);
    let enough = AtomicBool::new(false);
    let drops = AtomicU64::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&demo, &enough, &drops));
        let reads = Enough(&enough);
        for nth in (0..).take_while(|nth| *nth < 5 || drops.load(Ordering::Acquire) < 5) {
            assert!(!writer.is_finished(), "the writer goes on");
            let copy = demo.beside(&format!("copy-{nth}"));
            let ran = payonce(&["backup", demo.dir(), &copy]);
            assert_eq!(ran.code, 0, "{}", ran.err);
            assert_eq!(payonce(&["verify", &copy]).code, 0);
        }
        drop(reads);
        writer.join().expect("it writes");
    });
}

/// A copy of what goes on is no move: it says so, and the next one adds what is new.
#[test]
fn a_copy_of_a_log_that_goes_on_is_told_as_one() {
    let demo = Demo::of(40);
    let (enough, drops) = (AtomicBool::new(false), AtomicU64::new(0));
    let copy = demo.beside("moved");
    let says = thread::scope(|scope| {
        let writer = scope.spawn(|| write(&demo, &enough, &drops));
        let reads = Enough(&enough);
        let mut says = String::new();
        // It may be quick enough to be asked between two entries.
        while !says.contains("went on to") {
            let _ = std::fs::remove_dir_all(&copy);
            let ran = payonce(&["copy", demo.dir(), &copy]);
            assert!(ran.code < 2, "{}", ran.err);
            assert!(ran.code == 1 || ran.out.contains("never again"), "{}", ran.out);
            says = ran.err;
        }
        drop(reads);
        writer.join().expect("it writes");
        says
    });
    assert!(says.contains("copy once more"), "{says}");
    assert_eq!(payonce(&["verify", &copy]).code, 0, "what was copied is sound");
    // Its history may have been dropped meanwhile: then a new one is made.
    let ran = payonce(&["copy", demo.dir(), &copy]);
    assert!(ran.code == 0 || ran.err.contains("dropped its history"), "{}", ran.err);
}

#[test]
fn follow_shows_what_is_written_later() {
    let demo = Demo::of(40);
    let status = payonce(&["status", demo.dir(), "--format", "json"]);
    let status: Value = serde_json::from_str(&status.out).expect("JSON");
    let next = status["head_seq"].as_u64().expect("a seq") + 1;
    thread::scope(|scope| {
        let followed = scope.spawn(|| {
            let from = next.to_string();
            let to = (next + 3).to_string();
            let line =
                ["log", demo.dir(), "--follow", "--from", &from, "--to", &to, "--format", "jsonl"];
            payonce(&line)
        });
        let (store, _) = FsStore::open(&demo.path, Options::default()).expect("sound");
        let opening = Opening::new(Remember::Forever, 7);
        let now = UnixMillis(1_788_700_000_000);
        let recovery = Ledger::open(store, &opening, now).expect("sound");
        let mut ledger = recovery.finish(now).expect("sound");
        ledger.execute(Tick::at_height(990_000), now.plus(60_000)).expect("a tick");
        ledger.execute(Tick::at_height(990_001), now.plus(120_000)).expect("a tick");
        let ran = followed.join().expect("it ends");
        assert_eq!(ran.code, 0, "{}", ran.err);
        let seqs = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let seqs: Vec<_> = seqs.map(|line| line["seq"].as_u64()).collect();
        assert_eq!(seqs, (next..=next + 3).map(Some).collect::<Vec<_>>());
    });
    // Whoever reads may go away.
    let program = Program { columns: None, colour: false, input: "" };
    let line = ["log", demo.dir(), "--follow"];
    assert_eq!(program.run_to(&line, &mut Closing(200)), (0, String::new()));
}
