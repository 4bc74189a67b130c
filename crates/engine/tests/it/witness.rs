//! The witness in a file, and what its absence costs.

use std::{
    fs,
    io::ErrorKind,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use payonce_core::{Head, LedgerId, LogHash, Opening, Remember, Status};
use payonce_engine::{FileWitness, Key, Options, StartError, Starting, Witness, Witnessed};
use payonce_store_fs::FsStore;

use crate::till::{Till, disk, request};

#[test]
fn a_file_keeps_the_newest_head() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("head");
    assert_eq!(FileWitness::open(&path).expect_err("none").kind(), ErrorKind::NotFound);
    let witness = FileWitness::create(&path).expect("new");
    assert_eq!(FileWitness::create(&path).expect_err("one").kind(), ErrorKind::AlreadyExists);
    assert_eq!(witness.load().expect("read"), None);
    for seq in [7, 8] {
        let head = Head { seq, chain: LogHash::from_bytes([3; 32]) };
        witness.store(head).expect("stored");
        assert_eq!(FileWitness::open(&path).expect("there").load().expect("read"), Some(head));
    }
    fs::write(&path, "8 nonsense").expect("written");
    assert_eq!(FileWitness::open(&path).expect_err("no head").kind(), ErrorKind::InvalidData);
}

#[tokio::test]
async fn what_cannot_be_read_opens_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("head");
    let witness = Arc::new(FileWitness::create(&path).expect("new"));
    let ledger = LedgerId::from_bytes([1; 32]);
    let options = payonce_store_fs::Options::default();
    let (store, _) = FsStore::create(dir.path().join("log"), ledger, options).expect("new");
    fs::remove_file(&path).expect("removed");
    let opening = Opening::new(Remember::Forever, 1);
    let witnessed = Witnessed::By(witness);
    let opened = Starting::open(store, opening, witnessed, payonce_runtime::Options::DEFAULT).await;
    assert!(matches!(opened, Err(StartError::Witness(_))), "{opened:?}");
}

/// A witness that does not answer until it is let.
#[derive(Default)]
struct Silent {
    speaks: Mutex<bool>,
    bell: Condvar,
    stored: Mutex<Vec<u64>>,
}

impl Witness for Silent {
    fn load(&self) -> std::io::Result<Option<Head>> {
        Ok(None)
    }

    fn store(&self, head: Head) -> std::io::Result<()> {
        let speaks = self.speaks.lock().expect("no panic");
        drop(self.bell.wait_while(speaks, |speaks| !*speaks).expect("no panic"));
        self.stored.lock().expect("no panic").push(head.seq);
        Ok(())
    }
}

/// Lets it speak at the end, however the test ends: a runtime waits for its threads.
struct Speaks(Arc<Silent>);

impl Drop for Speaks {
    fn drop(&mut self) {
        *self.0.speaks.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.bell.notify_all();
    }
}

/// Its silence stops what needs it and nothing else; an answer that comes late is in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_witness_stops_hand_overs_alone() {
    let (disk, till, silent) = (disk(), Till::new(Key::PaymentHash), Arc::new(Silent::default()));
    let witnessed = Witnessed::By(Arc::clone(&silent) as _);
    let (opening, shared) = (Opening::new(Remember::Forever, 1), payonce_runtime::Options::DEFAULT);
    let starting = Starting::open(disk.open(), opening, witnessed, shared).await.expect("opens");
    let soon = Duration::from_millis(10);
    let options = Options::default().call_timeout(soon).tick_every(soon);
    let starting = starting.options(options).engine("till", Arc::clone(&till) as _);
    let (payer, _) = starting.finish().await.expect("starts");
    let (id, first) = request(1);
    let hash = first.target.payment_hash().expect("an invoice");
    payer.pay(id, first).await.expect("accepted");

    // Recorded, given up on, withdrawn, and so on: each hand-over ends.
    let speaks = Speaks(Arc::clone(&silent));
    let goes_on = async {
        let mut news = payer.ledger().subscribe(1);
        let begun = payer.ledger().head().seq;
        while payer.ledger().head().seq < begun + 8 {
            news.read_async().await.expect("open");
        }
    };
    tokio::time::timeout(Duration::from_secs(30), goes_on).await.expect("hand-overs are withdrawn");
    assert_eq!(till.payouts(&hash), 0, "nothing goes out");
    drop(speaks);
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(till.payouts(&hash), 1);
    payer.stop().await;
    let stored = silent.stored.lock().expect("no panic");
    assert!(stored.is_sorted_by(|one, next| one < next), "no older head after a newer: {stored:?}");
}
