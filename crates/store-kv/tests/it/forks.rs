//! Two writers, against the caller's word: nothing that one of them wrote is overwritten, and the
//! next listing says what happened.

use std::sync::Arc;

use payonce_core::{
    EventSource, EventStore, Exclusion, Head, Ledger, LogHash, OpenError, Opening, Remember,
    StoreError, UnixMillis,
};
use payonce_store_kv::{KvError, KvStore, Namespace};

use crate::{
    format,
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
        assert!(matches!(first.append(&[]), Err(StoreError::Poisoned { .. })));
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
        assert!(matches!(call(&mut first, &given), Err(StoreError::Fenced { .. })));
        assert!(matches!(first.append(&[]), Err(StoreError::Fenced { .. })));
        assert!(matches!(first.confirm_owner(), Err(StoreError::Fenced { .. })));
        assert!(matches!(first.head(), Err(StoreError::Fenced { .. })));
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

/// A chunk that one entry makes after `before`: its key and its value, whatever `before` is.
fn chunk_after(before: Head, writer: u64, events: u16) -> (String, Vec<u8>) {
    let entry = support::entry(before, writer, events);
    let (chain, after) = (before.chain.as_bytes(), entry.after());
    let name = format::chunk_name(entry.first_seq(), after.seq, chain, after.chain.as_bytes());
    let value = format::chunk(support::ledger().as_bytes(), (before.seq, chain), &[entry.bytes()]);
    (name, value)
}

/// The log of two appends, its second chunk replaced by a sound one that continues another head.
fn with_another_second_chunk(before: impl Fn(Head) -> Head) -> Image {
    let (kv, given, ..) = two_writers();
    let mut image = kv.image();
    image.retain(|name, _| !name.starts_with("log-0000000000000002-"));
    // Nothing vouches for what was there.
    let first = given.heads[1];
    let vouched = (first.seq, first.chain.as_bytes());
    image.insert("ledger".into(), format::record(support::ledger().as_bytes(), vouched));
    let (name, value) = chunk_after(before(first), 1, 3);
    image.insert(name, value);
    image
}

#[test]
fn a_chunk_that_continues_another_history_is_refused_by_its_name() {
    let image = with_another_second_chunk(|first| first);
    support::open(&image).expect("it continues this one");
    let image =
        with_another_second_chunk(|first| Head { chain: LogHash::from_bytes([9; 32]), ..first });
    let kv = MemoryKv::new(&image);
    let opened = KvStore::open(Arc::clone(&kv), Namespace::default()).map(drop);
    assert!(matches!(opened, Err(KvError::Unlinked { .. })), "{opened:?}");
    assert_eq!(kv.operations(), 2, "a listing and the record tell");
}

#[test]
fn a_chunk_that_continues_another_history_under_a_fitting_name_is_refused_by_its_value() {
    let image = with_another_second_chunk(|first| {
        let mut chain = *first.chain.as_bytes();
        chain[31] ^= 1;
        Head { chain: LogHash::from_bytes(chain), ..first }
    });
    let opened = support::open(&image).map(drop);
    assert!(matches!(opened, Err(KvError::Unlinked { .. })), "{opened:?}");
}

#[test]
fn a_record_that_vouches_for_another_history_is_refused() {
    let (kv, given, ..) = two_writers();
    let inside = given.heads[2];
    for (seq, chain) in [(1, [9; 32]), (given.head().seq, [9; 32]), (2, [9; 32])]
        .into_iter()
        .chain([(inside.seq, *inside.chain.as_bytes())])
    {
        let mut image = kv.image();
        let record = format::record(support::ledger().as_bytes(), (seq, &chain));
        image.insert("ledger".into(), record);
        let opened = support::open(&image).map(drop);
        let Err(KvError::OffChain { place, at }) = opened else { panic!("{seq}: {opened:?}") };
        assert_eq!((place.as_str(), at), ("payonce/ledger", seq));
    }
}

#[test]
fn a_snapshot_of_another_history_becomes_no_base() {
    let (kv, given, ..) = two_writers();
    for at in [given.heads[1], given.heads[2], given.head()] {
        let forked = Head { chain: LogHash::from_bytes([9; 32]), ..at };
        let parts = (forked.seq, forked.chain.as_bytes());
        let mut image = kv.image();
        let value = format::snapshot(support::ledger().as_bytes(), parts, &STATE);
        image.insert(format::snapshot_name(parts), value);
        let kv = MemoryKv::new(&image);
        let mut store = support::take_over(&kv).expect("an accelerator");
        let refused = store.drop_history(forked);
        assert!(matches!(refused, Err(StoreError::Missing { .. })), "{refused:?}");
        given.check(&store);

        // Nor is it one under the name of a base.
        let mut image = kv.image();
        let value = format::snapshot(support::ledger().as_bytes(), parts, &STATE);
        image.insert(format::base_name(parts), value);
        let opened = support::open(&image).map(drop);
        assert!(matches!(opened, Err(KvError::OffChain { .. })), "{opened:?}");
    }
}

#[test]
fn two_bases_at_one_seq_are_a_fork() {
    let (kv, given, ..) = two_writers();
    let mut image = kv.image();
    for chain in [*given.head().chain.as_bytes(), [0xff; 32], [0; 32]] {
        let parts = (given.head().seq, &chain);
        let value = format::snapshot(support::ledger().as_bytes(), parts, &STATE);
        image.insert(format::base_name(parts), value);
    }
    let opened = support::open(&image).map(drop);
    assert!(matches!(opened, Err(KvError::Fork { .. })), "{opened:?}");
}

#[test]
fn a_first_chunk_that_continues_another_beginning_is_refused_by_its_name() {
    let (whole, dropped) = (support::sample(false).0, support::sample(true).0);
    let other = [9; 32];
    let mut of_another_ledger = whole;
    of_another_ledger.insert("ledger".into(), format::record(&other, (0, &other)));
    let mut on_another_base = dropped;
    let base = on_another_base.keys().find(|name| name.starts_with("base-")).expect("one").clone();
    let value = on_another_base.remove(&base).expect("it is there");
    let forked =
        format::base_name((u64::from_le_bytes(value[48..56].try_into().expect("8")), &other));
    on_another_base.insert(forked, value);
    for image in [of_another_ledger, on_another_base] {
        let kv = MemoryKv::new(&image);
        let opened = KvStore::open(Arc::clone(&kv), Namespace::default()).map(drop);
        assert!(matches!(opened, Err(KvError::Unlinked { .. })), "{opened:?}");
        assert_eq!(kv.operations(), 2, "a listing and the record tell");
    }
}
