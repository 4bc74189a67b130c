//! Maintenance on the embedded default: what a snapshot that fails, or runs that are short, come to.

use std::{fs, ops::ControlFlow, path::Path};

use payonce::{
    Backoff, LedgerId, MaxFee, Msat, Opening, Pay, PaymentId, Preimage, Remember, Request,
    RetryPolicy, UnixMillis,
    audit::EventSource,
    runtime::{self, SharedLedger},
    store_fs::{self, FsStore},
};

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const LEDGER: LedgerId = LedgerId::from_bytes([7; 32]);

fn pay(n: u8, instructions: &[u8]) -> Pay {
    let hash = Preimage::from_bytes([n; 32]).payment_hash();
    let request = Request::invoice(hash, Msat(1_000), MaxFee::Unlimited, RetryPolicy::Manual);
    let request = request.backoff(Backoff::NONE).instructions(instructions);
    Pay::new(PaymentId::from_bytes([n; 32]), request)
}

fn shared(store: FsStore, options: runtime::Options) -> SharedLedger<FsStore> {
    let opening = Opening::new(Remember::Forever, 1);
    let recovery = SharedLedger::open(store, &opening, options, NOW).expect("the log is sound");
    recovery.finish(NOW).expect("nothing fails")
}

/// The seq of the newest snapshot; 0 if there is none.
fn newest(dir: &Path) -> u64 {
    let log = store_fs::FsReader::open(dir).expect("it can be read");
    let snapshot = log.load_snapshot(u64::MAX).expect("it can be read");
    snapshot.map_or(0, |snapshot| snapshot.at.seq)
}

/// A snapshot is an accelerator: payments go on without it.
#[test]
fn a_snapshot_that_fails_does_not_stop_payments() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("log");
    let (store, _) =
        FsStore::create(&dir, LEDGER, store_fs::Options::default()).expect("a new log");
    let ledger = shared(store, runtime::Options::default());
    ledger.execute(pay(1, &[]), NOW).expect("accepted");
    // In the way of the snapshot's temporary file.
    let blocked = dir.join(format!("{:020}.snap.tmp", ledger.head().seq));
    fs::create_dir(&blocked).expect("nothing has this name");
    ledger.save_snapshot().expect_err("a directory is in its way");
    ledger.execute(pay(2, &[]), NOW).expect("payments go on");
    fs::remove_dir(&blocked).expect("it is empty");
    ledger.save_snapshot().expect("and so do snapshots");
}

/// Runs that each write less than a snapshot is due for: what an opening replays stays bounded.
#[test]
fn short_runs_take_snapshots_too() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("log");
    let every = 16 << 10;
    for run in 0..20_u8 {
        let options = store_fs::Options::default();
        let opened = if run == 0 {
            FsStore::create(&dir, LEDGER, options)
        } else {
            FsStore::open(&dir, options)
        };
        let (store, _) = opened.expect("the log is sound");
        let options = runtime::Options::default().snapshot_every_bytes(Some(every));
        let ledger = shared(store, options);
        let before = newest(&dir);
        ledger.execute(pay(run + 1, &[1; 12_000]), NOW).expect("accepted");
        // One is due in every second run at least: it is waited for, and so must come.
        while run % 2 == 1 && newest(&dir) == before {
            std::thread::yield_now();
        }
        drop(ledger.close());
    }
    let log = store_fs::FsReader::open(&dir).expect("it can be read");
    let mut bytes = 0;
    log.replay(newest(&dir) + 1, &mut |entry| {
        bytes += entry.bytes.len() as u64;
        ControlFlow::Continue(())
    })
    .expect("the log is sound");
    assert!(bytes < 3 * every, "opening replays {bytes} bytes; a snapshot is due every {every}");
}
