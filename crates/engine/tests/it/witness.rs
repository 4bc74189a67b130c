//! The witness in a file, and what its absence costs.

use std::{fs, io::ErrorKind, sync::Arc};

use payonce_core::{Head, LedgerId, LogHash, Opening, Remember};
use payonce_engine::{FileWitness, StartError, Starting, Witness, Witnessed};
use payonce_store_fs::FsStore;

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
