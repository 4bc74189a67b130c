//! What is no log of ours, and calls out of order.

use std::sync::Arc;

use lightning_persister::fs_store::FilesystemStore;
use payonce_core::{EventSource, EventStore, Head, LogHash, StoreError};
use payonce_store_kv::{KvError, KvStore, Namespace};

use crate::{
    memory::{Fault, Image, MemoryKv},
    support::{self, Given, STATE},
};

#[test]
fn an_empty_namespace_is_no_log() {
    let opened = support::open(&Image::new()).map(drop);
    let Err(error @ KvError::NotALedger { .. }) = opened else { panic!("{opened:?}") };
    assert_eq!(
        error.to_string(),
        "there is no payonce log in payonce: create one, or look elsewhere"
    );
}

#[test]
fn a_log_is_not_created_over_anything() {
    let kv = MemoryKv::new(&Image::new());
    drop(support::create(&kv));
    let create = |kv: &Arc<MemoryKv>| {
        let created = KvStore::create(Arc::clone(kv), Namespace::default(), support::ledger());
        created.map(drop).expect_err("it is in use")
    };
    assert!(matches!(create(&kv), KvError::AlreadyExists { .. }));

    let (image, _) = support::sample(true);
    for name in image.keys().filter(|name| *name != "ledger").chain([&"manager".to_owned()]) {
        let only = Image::from([(name.clone(), vec![1, 2, 3])]);
        let kv = MemoryKv::new(&only);
        let error = create(&kv);
        assert!(matches!(&error, KvError::NotEmpty { place } if place.ends_with(name)), "{error}");
        assert_eq!(kv.image(), only);
        let opened = support::open(&only).map(drop);
        let Err(KvError::RecordMissing { place, found }) = opened else { panic!("{opened:?}") };
        assert_eq!((place, found), ("payonce/ledger".into(), format!("payonce/{name}")));
    }
}

#[test]
fn a_creation_that_failed_left_a_log_or_none() {
    for fault in [Fault::Before, Fault::After] {
        let kv = MemoryKv::new(&Image::new());
        kv.fail_nth(2, fault);
        let created = KvStore::create(Arc::clone(&kv), Namespace::default(), support::ledger());
        assert!(matches!(created, Err(KvError::Io { action: "write", .. })));
        match support::open(&kv.image()) {
            Ok(store) => assert_eq!(store.head().expect("empty").seq, 0),
            Err(error) => assert!(matches!(error, KvError::NotALedger { .. }), "{error}"),
        }
        assert_eq!(kv.image().is_empty(), fault == Fault::Before);
    }
}

#[test]
fn a_namespace_that_no_key_value_store_takes_is_refused() {
    let long = "n".repeat(121);
    for (primary, secondary) in
        [("", ""), ("", "x"), ("a/b", ""), ("a", "b.c"), ("ä", ""), (&*long, ""), ("a", &*long)]
    {
        let error = Namespace::new(primary, secondary).expect_err("not of the alphabet");
        assert!(matches!(error, KvError::Namespace { .. }), "{error}");
    }
    let longest = "n".repeat(120);
    let namespace = Namespace::new(&longest, "Of_mine-1").expect("of the alphabet");
    assert_eq!((namespace.primary(), namespace.secondary()), (&*longest, "Of_mine-1"));
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let kv = FilesystemStore::new(directory.path().into());
    let store = KvStore::create(&kv, namespace.clone(), support::ledger()).expect("LDK takes it");
    assert_eq!(store.namespace(), &namespace);
}

#[test]
fn a_handle_that_has_not_fenced_reads_and_writes_nothing() {
    let (image, given) = support::sample(true);
    let kv = MemoryKv::new(&image);
    let mut store = KvStore::open(Arc::clone(&kv), Namespace::default()).expect("sound");
    given.check(&store);
    store.verify().expect("sound");
    let head = given.head();
    for outcome in [
        store.append(&support::batch(head, &[1])),
        store.save_snapshot(head, &STATE),
        store.drop_history(head),
        store.confirm_owner(),
    ] {
        let Err(StoreError::Backend(cause)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(cause.to_string(), "this handle is not the writer yet: fence it first");
    }
    assert_eq!((kv.image(), kv.changes()), (image, 0));
    store.fence().expect("nothing is unknown");
}

#[test]
fn a_log_shared_by_dyn_arc_is_a_store_like_any() {
    use lightning::util::persist::KVStoreSync;

    let kv: Arc<dyn KVStoreSync + Send + Sync> = MemoryKv::new(&Image::new());
    let store = KvStore::create(Arc::clone(&kv), Namespace::default(), support::ledger());
    let mut store: Box<dyn EventStore> = Box::new(store.expect("empty"));
    let mut given = Given::new();
    store.fence().expect("sound");
    store.append(&given.next(&[1, 2])).expect("sound");
    given.check(&KvStore::open(kv, Namespace::default()).expect("sound"));
}

#[test]
fn the_number_of_calls_does_not_grow_with_the_log() {
    let kv = MemoryKv::new(&Image::new());
    let (mut store, mut given) = (support::create(&kv), Given::new());
    store.append(&given.next(&[1])).expect("sound");
    for sizes in [&[1][..], &[1; 200]] {
        for _ in 0..100 {
            let before = (kv.operations(), kv.changes());
            store.append(&given.next(sizes)).expect("sound");
            assert_eq!((kv.operations() - before.0, kv.changes() - before.1), (1, 1), "one write");
        }
    }
    let before = kv.operations();
    let mut opened = KvStore::open(Arc::clone(&kv), Namespace::default()).expect("sound");
    // The listing, the record, the newest chunk.
    assert_eq!(kv.operations() - before, 3);
    opened.fence().expect("sound");
    // Those, the newest chunk again, and both written again.
    assert_eq!(kv.operations() - before, 9);
    given.check(&opened);
}

#[test]
fn snapshots_beyond_the_log_or_of_another_chain_are_never_served() {
    let (image, given) = support::sample(false);
    let kv = MemoryKv::new(&image);
    let at = given.heads[3];
    let forked = Head { chain: LogHash::from_bytes([5; 32]), ..at };
    let ledger = support::ledger();
    let parts = (forked.seq, forked.chain.as_bytes());
    let mut mixed = kv.image();
    mixed.retain(|name, _| !name.starts_with("snap-"));
    mixed.insert(
        crate::format::snapshot_name(parts),
        crate::format::snapshot(ledger.as_bytes(), parts, &STATE),
    );
    let store = support::open(&mixed).expect("an accelerator");
    assert_eq!(store.load_snapshot(u64::MAX).expect("sound"), None);
    assert_eq!(store.verify().expect("sound").damaged_snapshots.len(), 1);

    let ahead = (given.head().seq + 1, forked.chain.as_bytes());
    let (name, value) = (
        crate::format::snapshot_name(ahead),
        crate::format::snapshot(ledger.as_bytes(), ahead, &STATE),
    );
    let mut lost = image.clone();
    lost.insert(name.clone(), value);
    assert!(matches!(support::open(&lost), Err(KvError::Ahead { at, .. }) if at == ahead.0));
    // Damaged it proves nothing, is never counted, and stays for whoever looks into it.
    lost.get_mut(&name).expect("there")[99] ^= 1;
    let kv = MemoryKv::new(&lost);
    let mut store = support::take_over(&kv).expect("an accelerator");
    for at in &given.heads[given.heads.len() - 3..] {
        store.save_snapshot(*at, &STATE).expect("sound");
    }
    assert_eq!(store.load_snapshot(u64::MAX).expect("sound").expect("saved").at, given.head());
    let image = kv.image();
    assert!(image.contains_key(&name));
    let snapshots = image.keys().filter(|name| name.starts_with("snap-")).count();
    assert_eq!(snapshots, 3, "the two newest of the log, and that one");
}
