//! A log in LDK's `FilesystemStore` is read as one in segment files is.

use std::{ops::ControlFlow, path::PathBuf, sync::Arc};

use lightning_persister::fs_store::FilesystemStore;
use payonce::{EventSource, EventStore, audit::Entry, store_fs::FsReader};
use payonce_store_kv::{KvStore, Namespace};

use crate::support::{Demo, payonce};

#[test]
fn every_view_is_the_same_from_a_key_value_store() {
    let demo = Demo::of(40);
    let source = FsReader::open(&demo.path).expect("sound");
    let path = demo.beside("kv");
    let kv = Arc::new(FilesystemStore::new(PathBuf::from(&path)));
    let mut store =
        KvStore::create(kv, Namespace::default(), source.ledger_id()).expect("a new one");
    let mut head = store.fence().expect("new").head;
    source
        .replay(1, &mut |stored| {
            let entry = Entry::from_stored(head, stored.bytes.to_vec()).expect("the next one");
            head = entry.after();
            store.append(&[entry]).expect("room");
            ControlFlow::Continue(())
        })
        .expect("sound");
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
    let copy = demo.beside("copy");
    assert_eq!(payonce(&["backup", &path, &copy]).code, 0);
    assert_eq!(payonce(&["verify", &copy]).code, 0);
}
