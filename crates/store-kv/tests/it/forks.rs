//! Two writers, against the caller's word: nothing that one of them wrote is overwritten, and the
//! next listing says what happened.

use std::sync::Arc;

use payonce_core::{
    EventSource, EventStore, Exclusion, Ledger, OpenError, Opening, Remember, StoreError,
    UnixMillis,
};
use payonce_store_kv::{KvError, KvStore, Namespace};

use crate::{
    memory::{Image, MemoryKv},
    support::{self, Given, STATE, Store},
};

/// A log of two appends, and two handles that both are its writer.
fn two_writers() -> (Arc<MemoryKv>, Given, Store, Store) {
    let kv = MemoryKv::new(&Image::new());
    let (mut first, mut given) = (support::create(&kv), Given::new());
    first.append(&given.next(&[1])).expect("sound");
    first.append(&given.next(&[2, 1])).expect("sound");
    let second = support::take_over(&kv).expect("sound");
    (kv, given, first, second)
}

/// Both append something else.
fn fork(first_sizes: &[u16], second_sizes: &[u16]) -> (Arc<MemoryKv>, Given, Store, Store) {
    let (kv, given, mut first, mut second) = two_writers();
    first.append(&support::batch(given.head(), first_sizes)).expect("it sees no other writer");
    let mut head = given.head();
    for size in second_sizes {
        let entries = [support::entry(head, 2, *size)];
        head = entries[0].after();
        second.append(&entries).expect("it sees no other writer");
    }
    (kv, given, first, second)
}

fn is_fork(error: &StoreError) -> bool {
    let text = error.to_string();
    matches!(error, StoreError::Corrupt { .. }) && text.contains("two writers")
}

#[test]
fn opening_needs_the_word_that_there_is_one_writer() {
    let kv = MemoryKv::new(&Image::new());
    let store = support::create(&kv);
    assert_eq!(store.exclusion(), Exclusion::None);
    let mut opening = Opening::new(Remember::Forever, 1);
    let refused = Ledger::open(store, &opening, UnixMillis(1));
    assert!(matches!(refused, Err(OpenError::NoExclusion)));
    opening.single_writer = true;
    let store = support::take_over(&kv).expect("sound");
    let opened = Ledger::open(store, &opening, UnixMillis(1));
    assert!(opened.is_ok(), "the word was given");
}

#[test]
fn a_fork_shows_at_the_next_listing_whatever_its_shape() {
    let shapes: [(&[u16], &[u16]); 5] =
        [(&[1], &[1]), (&[1, 1, 1], &[1]), (&[1], &[3]), (&[2, 2], &[1, 1, 1, 1]), (&[5], &[2])];
    for (first_sizes, second_sizes) in shapes {
        let (kv, given, mut first, mut second) = fork(first_sizes, second_sizes);
        let before = kv.image();
        let opened = KvStore::open(Arc::clone(&kv), Namespace::default());
        let Err(KvError::Fork { seq, first: one, second: other }) = opened else {
            panic!("{opened:?}")
        };
        assert!(seq > given.head().seq && one != other);
        assert!(before.contains_key(&one["payonce/".len()..]), "{one}");
        assert!(before.contains_key(&other["payonce/".len()..]), "{other}");
        // Each writer learns of it when it lists.
        let at = first.head().expect("sound");
        let error = first.save_snapshot(at, &STATE).expect_err("a fork");
        assert!(is_fork(&error), "{error}");
        assert!(matches!(first.append(&[]), Err(StoreError::Poisoned)));
        let error = second.drop_history(given.head()).expect_err("a fork");
        assert!(is_fork(&error), "{error}");
        assert_eq!(kv.image(), before, "the evidence stays");
    }
}

#[test]
fn a_writer_behind_which_another_one_went_on_is_fenced() {
    type Call = fn(&mut Store, &Given) -> Result<(), StoreError>;
    let calls: [Call; 2] = [
        |store, given| store.save_snapshot(given.head(), &STATE),
        |store, given| store.drop_history(given.head()),
    ];
    for call in calls {
        let (_kv, given, mut first, mut second) = two_writers();
        second.append(&support::batch(given.head(), &[1])).expect("sound");
        assert!(matches!(call(&mut first, &given), Err(StoreError::Fenced)));
        assert!(matches!(first.append(&[]), Err(StoreError::Fenced)));
        assert!(matches!(first.confirm_owner(), Err(StoreError::Fenced)));
        assert!(matches!(first.head(), Err(StoreError::Fenced)));
        second.confirm_owner().expect("it is the writer");
    }
}

#[test]
fn a_fork_shows_although_one_side_dropped_its_history() {
    for (sizes, goes_on) in [(&[1_u16, 1][..], false), (&[1, 1], true), (&[3], false)] {
        for size in [1, 2, 3] {
            let (kv, given, mut first, mut second) = two_writers();
            first.append(&support::batch(given.head(), sizes)).expect("sound");
            let at = first.head().expect("sound");
            first.save_snapshot(at, &STATE).expect("sound");
            first.drop_history(at).expect("sound");
            if goes_on {
                first.append(&support::batch(at, &[1])).expect("sound");
            }
            // Of the seqs that it doubles none has a key any more.
            second.append(&[support::entry(given.head(), 2, size)]).expect("it sees nobody");
            let before = kv.image();
            let error = support::take_over(&kv).map(drop).expect_err("two histories");
            assert!(matches!(error, StoreError::Corrupt { .. }), "{sizes:?} {size}: {error}");
            assert_eq!(kv.image(), before, "the evidence stays");
        }
    }
}

#[test]
fn what_two_writers_did_alike_is_no_fork() {
    let (kv, mut given, mut first, mut second) = two_writers();
    let batch = given.next(&[1, 2]);
    first.append(&batch).expect("sound");
    second.append(&batch).expect("the same key, the same value");
    given.check(&support::take_over(&kv).expect("sound"));
}
