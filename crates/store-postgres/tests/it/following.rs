//! A follower keeps a warm state and takes over; a ledger moves to a directory and back.

use std::time::{Duration, Instant};

use payonce_core::{
    CopyError, EventSource, EventStore, Ledger, LedgerId, Opening, Pay, Remember, StatusKind, copy,
};
use payonce_store_fs::{FsStore, Options};
use payonce_store_postgres::{Config, Follower, PostgresStore};

use crate::{
    node::{Machine, NOW, Node, Order, Stopped},
    support::{LEDGER, entry, fresh_name, heads, shared},
};

fn config() -> Option<Config> {
    shared("a follower").map(|cluster| cluster.config())
}

fn opening(node: &Node) -> Opening {
    let mut opening = Opening::new(Remember::Forever, 7);
    opening.known_head = node.head();
    opening
}

#[test]
fn a_follower_is_told_and_takes_over_with_the_state_that_it_has() {
    let Some(config) = config() else { return };
    let name = fresh_name();
    let node = Node::default();
    let store = PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger");
    let mut active = Machine::take_over(&node, store, "active").expect("the first");
    let mut follower = Follower::open(config.clone(), &name, 9).expect("readable");
    // Long: that it returns early shows that it was told.
    let long = Duration::from_secs(60);
    follower.follow(long).expect("it listens from now on");
    let begun = Instant::now();
    assert!(matches!(active.pay(0..10), Stopped::Done));
    while follower.state().head() != active.ledger.head() {
        follower.follow(long).expect("readable");
    }
    assert!(begun.elapsed() < long, "it was told, and did not look by itself");
    assert_eq!(follower.state().payments(StatusKind::Fulfilled).count(), 10);
    assert_eq!(
        follower.state().digest(),
        active.ledger.query(payonce_core::State::digest).expect("it answers"),
        "the state is the writer's own"
    );
    // One payment that it has not read yet, and then it takes over.
    assert!(matches!(active.pay(10..11), Stopped::Done));
    let begun = Instant::now();
    let recovery = follower.take_over(&opening(&node), NOW).expect("it takes over");
    assert!(begun.elapsed() < Duration::from_secs(5), "it takes over at once");
    assert!(!recovery.lacks_known_head());
    let mut ledger = recovery.finish(NOW).expect("it answers");
    let fulfilled = ledger.query(|state| state.payments(StatusKind::Fulfilled).count());
    assert_eq!(fulfilled.expect("it answers"), 11);
    assert!(!matches!(active.pay(11..12), Stopped::Done), "the former writer is shut out");
    ledger.verify(3).expect("a sound log, and the state is its fold");
}

/// A warm state whose log was replaced by another of the same length, or a shorter one, is not trusted.
#[test]
fn a_follower_of_another_history_reads_it_anew() {
    let Some(config) = config() else { return };
    let name = fresh_name();
    let node = Node::default();
    let store = PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger");
    let mut active = Machine::take_over(&node, store, "active").expect("the first");
    let kept = active.ledger.head();
    assert!(matches!(active.pay(0..2), Stopped::Done));
    let mut ahead = Follower::open(config.clone(), &name, 9).expect("readable");
    let lagging = Follower::open(config.clone(), &name, 9).expect("readable");
    // What a primary that was not replicated loses.
    let cluster = shared("a lost end").expect("it runs");
    cluster.sql(&format!(
        "delete from payonce.entries where ledger = (select number from payonce.ledgers where \
         name = '{name}') and seq > {seq}; update payonce.ledgers set head_seq = {seq}, \
         head_hash = '\\x{hash}' where name = '{name}'",
        seq = kept.seq,
        hash = kept.chain
    ));
    drop(cluster);
    assert_eq!(ahead.catch_up().expect("readable"), kept);
    assert_eq!(ahead.state().counts().fulfilled, 0);
    let recovery = lagging.take_over(&opening(&node), NOW).expect("it takes over");
    assert!(recovery.lacks_known_head(), "the witness shows it, warm or not");
    let mut ledger = recovery.finish(NOW).expect("it answers");
    let order = Order::nth(0);
    assert!(ledger.execute(Pay::new(order.id, order.request()), NOW).is_err(), "nothing is paid");
}

#[test]
fn a_ledger_moves_to_a_directory_and_back() {
    let Some(config) = config() else { return };
    let name = fresh_name();
    let mut store = PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger");
    let mut head = store.fence().expect("the fence").head;
    for tag in 1..=200 {
        let entry = entry(head, tag);
        store.append(std::slice::from_ref(&entry)).expect("appended");
        head = entry.after();
    }
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let path = directory.path().join("log");
    let (mut files, _report) =
        FsStore::create(&path, LEDGER, Options::default()).expect("a new log");
    assert_eq!(copy(&store, &mut files).expect("copied"), head);
    assert_eq!(heads(&files), heads(&store), "the same at every entry");
    let again = fresh_name();
    let mut back = PostgresStore::create(config.clone(), &again, LEDGER).expect("a new ledger");
    // Interrupted after some: taken up.
    let _ = back.fence().expect("the fence");
    let first = entry(payonce_core::Head::genesis(LEDGER), 1);
    back.append(std::slice::from_ref(&first)).expect("appended");
    drop(back);
    let mut back = PostgresStore::open(config.clone(), &again).expect("open");
    assert_eq!(copy(&files, &mut back).expect("copied"), head);
    assert_eq!(heads(&back), heads(&store));
    // Neither another ledger nor another history is written to.
    let other = LedgerId::from_bytes([9; 32]);
    let mut wrong = PostgresStore::create(config.clone(), &fresh_name(), other).expect("new");
    assert!(matches!(copy(&store, &mut wrong), Err(CopyError::OtherLedger { .. })));
    let mut forked = PostgresStore::create(config, &fresh_name(), LEDGER).expect("new");
    let genesis = forked.fence().expect("the fence").head;
    forked.append(&[entry(genesis, 77)]).expect("appended");
    let mut forked = PostgresStore::open(forked_config(), forked.name()).expect("open");
    assert!(matches!(copy(&store, &mut forked), Err(CopyError::NotAPrefix { .. })));
    assert_eq!(forked.head().expect("readable").seq, 1);
}

#[test]
fn a_ledger_whose_history_was_dropped_moves_with_its_base() {
    let Some(config) = config() else { return };
    let name = fresh_name();
    let node = Node::default();
    let store = PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger");
    let mut machine = Machine::take_over(&node, store, "first").expect("the first");
    assert!(matches!(machine.pay(0..10), Stopped::Done));
    let base = machine.ledger.save_snapshot().expect("saved");
    machine.ledger.drop_history(base, 1).expect("dropped");
    assert!(matches!(machine.pay(10..20), Stopped::Done));
    drop(machine);
    let source = PostgresStore::open(config.clone(), &name).expect("open");
    let dropped = source.base().expect("readable").expect("history was dropped");
    assert_eq!(dropped.at, base);

    // An empty target lacks what was dropped, and the error says what to do.
    let mut empty = PostgresStore::create(config.clone(), &fresh_name(), LEDGER).expect("new");
    let refused = copy(&source, &mut empty).expect_err("history is missing");
    assert!(refused.to_string().contains("create_from"), "{refused}");

    // Into a directory, and from there into a database.
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let path = directory.path().join("log");
    let (mut files, _report) =
        FsStore::create_from(&path, LEDGER, &dropped, Options::default()).expect("a new log");
    let head = copy(&source, &mut files).expect("copied");
    assert_eq!(head, source.head().expect("readable"));
    let again = fresh_name();
    let mut back =
        PostgresStore::create_from(config.clone(), &again, LEDGER, &dropped).expect("new");
    assert_eq!(copy(&files, &mut back).expect("copied"), head);
    drop(back);
    // It is the ledger: a node that relied on its head opens it as nothing but that.
    let back = PostgresStore::open(config.clone(), &again).expect("open");
    assert_eq!(back.base().expect("readable").expect("it came along"), dropped);
    let mut machine = Machine::take_over(&node, back, "second").expect("nothing is missing");
    assert!(matches!(machine.pay(0..25), Stopped::Done));
    assert_eq!(node.paid(), 25);
    machine.ledger.verify(1).expect("one sound history");

    // A base that is not the log's own does not open.
    let other = payonce_core::Snapshot { bytes: vec![1; 100], ..dropped };
    let name = fresh_name();
    let mut wrong = PostgresStore::create_from(config, &name, LEDGER, &other).expect("new");
    assert_eq!(copy(&files, &mut wrong).expect("copied"), head);
    drop(wrong);
    let wrong = PostgresStore::open(forked_config(), &name).expect("open");
    Ledger::open(wrong, &opening(&node), NOW).expect_err("not this log's base");
}

fn forked_config() -> Config {
    config().expect("it runs")
}
