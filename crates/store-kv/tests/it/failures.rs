//! Every call of a run fails once, in every way: an error each, nothing acknowledged is lost, what
//! is found after reopening is durable from then on.

use std::sync::Arc;

use payonce_core::{EventSource, EventStore, StoreError};
use payonce_store_kv::{KvError, KvStore, Namespace};

use crate::{
    memory::{Fault, Image, MemoryKv},
    support::{self, BATCHES, Given, STATE, Store},
};

/// What a run was told before it failed.
struct Told {
    given: Given,
    acknowledged: usize,
    /// A snapshot or a dropping of history failed, and the log went on.
    failed_alone: bool,
}

/// Creates, appends, snapshots, drops, reopens, until something fails.
fn run(kv: &Arc<MemoryKv>, told: &mut Told) -> Result<(), StoreError> {
    let mut store = KvStore::create(Arc::clone(kv), Namespace::default(), support::ledger())?;
    let mut outcome = store.fence().map(drop);
    if outcome.is_ok() {
        outcome = write(&mut store, told);
    }
    if outcome.is_err() {
        expect_poisoned(&mut store);
        return outcome;
    }
    support::take_over(kv).map(drop)
}

fn write(store: &mut Store, told: &mut Told) -> Result<(), StoreError> {
    for (nth, sizes) in BATCHES.iter().enumerate() {
        let batch = told.given.next(sizes);
        store.append(&batch)?;
        told.acknowledged = told.given.heads.len() - 1;
        if nth % 2 == 1 {
            let saved = store.save_snapshot(told.given.head(), &STATE);
            goes_on_after(saved, store, told)?;
        }
        if nth == 3 || nth == 5 {
            let dropped = store.drop_history(told.given.head());
            goes_on_after(dropped, store, told)?;
        }
    }
    store.confirm_owner()
}

/// A failure of a snapshot or of dropping history is of that call alone. (Dropping what no snapshot
/// stands for any more, since saving it failed, is refused.)
fn goes_on_after(
    outcome: Result<(), StoreError>,
    store: &Store,
    told: &mut Told,
) -> Result<(), StoreError> {
    match outcome {
        Ok(()) => Ok(()),
        Err(error) if store.head().is_ok() => {
            assert!(
                matches!(error, StoreError::Backend(_) | StoreError::Missing { .. }),
                "{error}"
            );
            told.failed_alone = true;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn expect_poisoned(store: &mut Store) {
    assert!(matches!(store.append(&[]), Err(StoreError::Poisoned { .. })));
    assert!(matches!(store.head(), Err(StoreError::Poisoned { .. })));
    assert!(matches!(support::held(store, 1), Err(StoreError::Poisoned { .. })));
    assert!(matches!(store.fence(), Err(StoreError::Poisoned { .. })));
    assert!(matches!(store.confirm_owner(), Err(StoreError::Poisoned { .. })));
    assert!(matches!(store.load_snapshot(1), Err(StoreError::Poisoned { .. })));
    assert!(matches!(store.base(), Err(StoreError::Poisoned { .. })));
}

/// The process goes on, or another one is started. If nothing was created, it creates.
fn go_on(kv: &Arc<MemoryKv>) -> Store {
    match KvStore::open(Arc::clone(kv), Namespace::default()) {
        Err(KvError::NotALedger { .. }) => support::create(kv),
        opened => {
            let mut store = opened.expect("a failure is no damage");
            store.fence().expect("a failure is no damage");
            store
        }
    }
}

/// Runs with one planned fault; gives whether it was met.
fn run_with(nth: usize, fault: Fault) -> bool {
    let kv = MemoryKv::new(&Image::new());
    kv.fail_nth(nth, fault);
    let mut told = Told { given: Given::new(), acknowledged: 0, failed_alone: false };
    let outcome = run(&kv, &mut told);
    if kv.operations() < nth {
        outcome.expect("nothing failed");
        return false;
    }
    let is_told = outcome.is_err() || told.failed_alone;
    assert!(is_told, "call {nth} failed with {fault:?} and nobody said so");

    let mut store = go_on(&kv);
    let count = told.given.check(&store);
    assert!(count >= told.acknowledged, "{count} of {}", told.acknowledged);
    told.given.truncate(count);
    // Found is durable; so is what is appended.
    let crashed = go_on(&MemoryKv::new(&kv.image()));
    assert_eq!(told.given.check(&crashed), count, "call {nth}, {fault:?}");
    store.append(&told.given.next(&[1, 7])).expect("sound");
    store.save_snapshot(told.given.head(), &STATE).expect("sound");
    let crashed = go_on(&MemoryKv::new(&kv.image()));
    assert_eq!(told.given.check(&crashed), count + 2);
    store.drop_history(told.given.head()).expect("sound");
    let crashed = go_on(&MemoryKv::new(&kv.image()));
    assert_eq!(told.given.check(&crashed), count + 2);
    crashed.verify().expect("sound");
    true
}

#[test]
fn every_call_fails_once_in_every_way() {
    for fault in [Fault::Before, Fault::After, Fault::NotDurable] {
        let met = (1..10_000).take_while(|nth| run_with(*nth, fault)).count();
        assert!(met > 50, "{met} calls failed with {fault:?}");
    }
}

#[test]
fn an_error_names_the_key_and_what_the_key_value_store_said() {
    let kv = MemoryKv::new(&Image::new());
    let (mut store, mut given) = (support::create(&kv), Given::new());
    kv.fail_nth(1, Fault::Before);
    let error = store.append(&given.next(&[3])).expect_err("told to fail");
    let StoreError::Backend(cause) = &error else { panic!("{error:?}") };
    let text = cause.to_string();
    let key = "payonce/log-0000000000000001-0000000000000003-";
    assert!(text.contains("cannot write") && text.contains(key), "{text}");
}

/// What is continuous with the rest is removed again; anything else might be another writer's.
#[test]
fn a_dropped_chunk_that_comes_back_is_removed_again_or_refused() {
    let (whole, given) = support::sample(false);
    let (dropped, _) = support::sample(true);
    let gone: Vec<_> = whole.keys().filter(|name| name.starts_with("log-")).take(4).collect();
    assert!(gone.iter().all(|name| !dropped.contains_key(*name)));
    for back in 1..16_u32 {
        let mut image = dropped.clone();
        for (_, name) in gone.iter().enumerate().filter(|(nth, _)| back >> nth & 1 == 1) {
            image.insert((*name).clone(), whole[*name].clone());
        }
        let kv = MemoryKv::new(&image);
        match support::take_over(&kv) {
            Ok(store) => {
                assert!([0b1000, 0b1100, 0b1110, 0b1111].contains(&back), "{back:b}");
                given.check(&store);
                assert_eq!(
                    kv.image().keys().collect::<Vec<_>>(),
                    dropped.keys().collect::<Vec<_>>()
                );
            }
            Err(error) => {
                assert!(error.to_string().contains("are missing before"), "{back:b}: {error}");
                assert_eq!(kv.image(), image);
            }
        }
    }
}

#[test]
fn a_write_that_lands_after_it_failed_is_a_fork() {
    let kv = MemoryKv::new(&Image::new());
    let (mut store, mut given) = (support::create(&kv), Given::new());
    store.append(&given.next(&[1])).expect("sound");
    kv.fail_nth(1, Fault::Late);
    let late = [support::entry(given.head(), 2, 2)];
    store.append(&late).expect_err("told to fail");
    let mut store = support::take_over(&kv).expect("sound");
    store.append(&given.next(&[1])).expect("sound");
    kv.land();
    let error = support::take_over(&kv).map(drop).expect_err("two entries of one seq");
    assert!(error.to_string().contains("two writers"), "{error}");
}
