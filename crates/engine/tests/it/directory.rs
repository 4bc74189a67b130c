//! A ledger in a directory, with its witness in a file: made once, opened ever after.

use std::{fs, path::PathBuf, sync::Arc};

use payonce_core::{Remember, Status};
use payonce_engine::{FileWitness, Key, StartError, Starting};
use payonce_store_fs::{FsError, FsStore};

use crate::till::{Till, request};

struct Place {
    _dir: tempfile::TempDir,
    log: PathBuf,
    witness: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().expect("a directory");
    let (log, witness) = (dir.path().join("log"), dir.path().join("witness"));
    Place { _dir: dir, log, witness }
}

impl Place {
    async fn open(&self) -> Result<Starting<FsStore>, StartError> {
        Starting::open_dir(&self.log, &self.witness, Remember::Forever).await
    }
}

#[tokio::test]
async fn what_was_set_up_pays_once() {
    let (place, till) = (place(), Till::new(Key::PaymentHash));
    let ledger = Starting::set_up(&place.log, &place.witness).expect("made");
    let (id, request) = request(1);
    for start in 0..2 {
        let starting = place.open().await.expect("opens").engine("till", Arc::clone(&till) as _);
        let (payer, report) = starting.finish().await.expect("starts");
        assert_eq!(payer.ledger().ledger_id(), ledger);
        assert!(!report.unwitnessed && !report.restored && !report.witness_was_empty, "{start}");
        payer.pay(id, request.clone()).await.expect("accepted, or known");
        assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
        payer.stop().await;
        assert!(payer.ledger().clone().close_async().await.is_some());
    }
    assert_eq!(till.books.lock().expect("no panic").said, 1);
    // The one that is there is never replaced, whichever of the two is left.
    let before = fs::read(&place.witness).expect("a witness");
    let without = place.log.with_extension("new");
    assert!(matches!(Starting::set_up(without, &place.witness), Err(StartError::Witness(_))));
    assert_eq!(fs::read(&place.witness).expect("a witness"), before);
    let elsewhere = place.witness.with_extension("new");
    assert!(matches!(
        Starting::set_up(&place.log, elsewhere),
        Err(StartError::Directory(FsError::AlreadyExists { .. }))
    ));
    drop(place.open().await.expect("it is still there"));
    // An empty witness beside this log would believe any older copy of it.
    fs::remove_file(&place.witness).expect("lost");
    assert!(matches!(
        Starting::set_up(&place.log, &place.witness),
        Err(StartError::Directory(FsError::AlreadyExists { .. }))
    ));
    assert!(!place.witness.exists(), "no witness begins anew");
    let unknown = place.open().await.expect_err("the witness is lost");
    assert!(unknown.to_string().contains("witness"), "it names the file: {unknown}");
}

#[tokio::test]
async fn a_set_up_that_was_cut_off_is_called_again() {
    let place = place();
    // A file where the log's parent should be: the witness is made, the log is not.
    let parent = place.log.join("parent");
    fs::write(&place.log, "").expect("a file");
    assert!(matches!(
        Starting::set_up(&parent, &place.witness),
        Err(StartError::Directory(FsError::NotADirectory { .. } | FsError::Io { .. }))
    ));
    assert!(!place.witness.exists(), "nothing is half done");
    // As a crash leaves it.
    FileWitness::create(&place.witness).expect("a new one");
    fs::remove_file(&place.log).expect("a file");
    Starting::set_up(&place.log, &place.witness).expect("made");
    drop(place.open().await.expect("opens"));
}

#[tokio::test]
async fn what_is_not_there_is_not_made() {
    let place = place();
    assert!(matches!(place.open().await, Err(StartError::Witness(_))));
    Starting::set_up(&place.log, &place.witness).expect("made");
    let open = place.open().await.expect("opens");
    assert!(matches!(place.open().await, Err(StartError::Directory(FsError::Locked { .. }))));
    drop(open);
    fs::rename(&place.log, place.log.with_extension("away")).expect("moved");
    assert!(matches!(
        place.open().await,
        Err(StartError::Directory(FsError::NotALedger { .. } | FsError::Io { .. }))
    ));
    assert!(!place.log.exists(), "a volume that is not mounted is no new ledger");
}
