//! A log in LDK's `FilesystemStore` is read as one in segment files is.

use std::{path::PathBuf, sync::Arc};

use lightning_persister::fs_store::FilesystemStore;
use payonce::{audit::EventSource, store_fs::FsReader};
use payonce_store_kv::{KvStore, Namespace};

use crate::support::{Demo, copy_entries, payonce};

#[test]
fn every_view_is_the_same_from_a_key_value_store() {
    let demo = Demo::of(40);
    let source = FsReader::open(&demo.path).expect("sound");
    let path = demo.beside("kv");
    let kv = Arc::new(FilesystemStore::new(PathBuf::from(&path)));
    let mut store =
        KvStore::create(kv, Namespace::default(), source.ledger_id()).expect("a new one");
    copy_entries(&source, &mut store);
    drop(store);
    for view in [
        vec!["list"],
        vec!["show", "8674cf8f"],
        vec!["log", "--to", "90"],
        vec!["at", "--seq", "100"],
        vec!["diff", "100", "160"],
        vec!["export", "--reveal"],
    ] {
        let of = |dir: &str| {
            let mut line = view.clone();
            line.insert(1, dir);
            payonce(&line)
        };
        let (ours, theirs) = (of(demo.dir()), of(&path));
        assert_eq!(theirs.code, ours.code, "{view:?}: {}", theirs.err);
        assert_eq!(theirs.out, ours.out, "{view:?}");
    }
    let verified = payonce(&["verify", &path]);
    assert!(verified.code == 0 && verified.out.starts_with("SOUND"), "{}", verified.err);
    // Nobody can be kept out of it: a word is for the node.
    let id = "0".repeat(64);
    let ran = payonce(&["resolve", &path, &id, "paid", "--by", "Ada", "--why", "a mail", "--yes"]);
    assert!(ran.code == 2 && ran.err.contains("no lock keeps a second writer out"), "{}", ran.err);
    let copy = demo.beside("copy");
    assert_eq!(payonce(&["backup", &path, &copy]).code, 0);
    assert_eq!(payonce(&["verify", &copy]).code, 0);
}
