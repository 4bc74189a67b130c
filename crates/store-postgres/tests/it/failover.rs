//! The primary dies under load, its standby is promoted, and the other machine takes over: the node's
//! own books say that every payment was made once.

use std::{mem, sync::mpsc, thread, time::Duration};

use payonce_core::{ExecuteError, Ledger, LedgerError, Opening, Pay, Remember, StatusKind};
use payonce_store_postgres::{
    Config, PostgresStore, Replication,
    cluster::{Cluster, is_available},
};

use crate::{
    node::{Machine, NOW, Node, Order, Stopped},
    support::LEDGER,
};

const NAME: &str = "failover";
const STANDBY: &str = "payonce_standby";

/// How many orders each takeover finds in the middle of being paid.
const ORDERS: u64 = 40;

fn config(cluster: &Cluster) -> Config {
    // A commit that waits for a standby that is gone is given up after this.
    cluster.config().replication(Replication::Flushed).limit(Duration::from_secs(4))
}

/// Opens and takes over, again and again: a new primary waits for its own standby.
fn take_over(node: &Node, cluster: &Cluster, name: &str) -> Machine {
    let mut refused = Vec::new();
    while refused.len() < 5 {
        let store = PostgresStore::open(config(cluster).holder(name), NAME).expect("it answers");
        match Machine::take_over(node, store, name) {
            Ok(machine) => return machine,
            Err(error) => refused.push(error),
        }
    }
    panic!("{name} cannot take over: {refused:?}");
}

/// One takeover: the primary is killed, or is cut off and lives on, while a machine pays; the other
/// machine goes on with the standby. Gives the new pair.
fn take_over_once(primary: &mut Cluster, standby: &mut Cluster, node: &Node, round: u64) {
    let mut active = take_over(node, primary, "active");
    let (first, paid) = (round * ORDERS, node.paid());
    // Also what earlier machines have paid: repeats. Its last orders come after the takeover, or a machine that
    // is faster than this test would have paid all before it.
    let (orders, last) = (first.saturating_sub(5)..first + ORDERS - 10, first + ORDERS - 10);
    let (over, is_over) = mpsc::channel::<()>();
    let active = thread::spawn(move || {
        let mut stopped = active.pay(orders);
        if matches!(stopped, Stopped::Done) {
            let _ = is_over.recv();
            stopped = active.pay(last..first + ORDERS);
        }
        (active, stopped)
    });
    while node.paid() < paid + 3 + usize::try_from(round % 20).expect("small") {
        assert!(!active.is_finished(), "it pays");
        thread::yield_now();
    }
    let is_killed = round.is_multiple_of(2);
    if is_killed {
        primary.kill();
    }
    standby.promote();
    let successor = standby.standby(STANDBY);
    let mut warm = take_over(node, standby, "warm");
    drop(over);
    let stopped = warm.pay(first..first + ORDERS);
    assert!(matches!(stopped, Stopped::Done), "{stopped:?}");
    // The old machine comes back with all it knows, and may do nothing any more.
    let (mut old, stopped) = active.join().expect("no panic");
    match stopped {
        Stopped::ShutOut => {}
        // Unknown, and said so, never a refusal that would be told to a user.
        Stopped::Ledger(error) => assert!(!error.is_empty()),
        Stopped::Done => panic!("the old machine paid after the takeover"),
    }
    let before = node.paid();
    let again = old.pay(first..first + ORDERS + 5);
    assert!(!matches!(again, Stopped::Done), "{again:?}");
    assert_eq!(node.paid(), before, "the old machine pays nothing");
    // One that was fenced off on the same server is told by whom.
    let fenced_off = take_over(node, standby, "later");
    match warm.ledger.query(|state| state.counts().pending) {
        Err(LedgerError::Store(error)) => assert!(error.to_string().contains("later"), "{error}"),
        // Within the time for which it was confirmed.
        Ok(_) => {}
        Err(other) => panic!("{other}"),
    }
    drop((fenced_off, old));
    *primary = mem::replace(standby, successor);
    primary.wait_until_synchronous(STANDBY);
}

#[test]
fn every_payment_is_made_once_through_every_takeover() {
    if !is_available("takeovers") {
        return;
    }
    let mut primary = Cluster::start();
    // Said to the standby as well, for when it is the primary.
    primary.configure(&format!("synchronous_standby_names = '{STANDBY}'"));
    let mut standby = primary.standby(STANDBY);
    primary.reload();
    primary.wait_until_synchronous(STANDBY);
    drop(PostgresStore::create(config(&primary), NAME, LEDGER).expect("a new ledger"));
    let node = Node::default();
    let rounds = std::env::var("PAYONCE_TAKEOVERS")
        .map_or(5, |rounds| rounds.parse().expect("PAYONCE_TAKEOVERS is a number"));
    for round in 0..rounds {
        take_over_once(&mut primary, &mut standby, &node, round);
    }
    let mut machine = take_over(&node, &primary, "auditor");
    for nth in 0..rounds * ORDERS {
        let order = Order::nth(nth);
        assert_eq!(
            node.left_for(&order),
            [order.amount.0],
            "order {nth}: once, and what was ordered"
        );
    }
    let fulfilled = machine
        .ledger
        .query(|state| state.payments(StatusKind::Fulfilled).count())
        .expect("it answers");
    assert_eq!(fulfilled as u64, rounds * ORDERS);
    assert_eq!(node.paid() as u64, rounds * ORDERS, "and nothing else");
    machine.ledger.verify(1).expect("one sound history");
}

#[test]
fn a_standby_that_was_not_in_sync_opens_as_restored() {
    if !is_available("a standby that was not in sync") {
        return;
    }
    let mut primary = Cluster::start();
    let mut standby = primary.standby(STANDBY);
    // Nobody demanded replication: asynchronous by mistake.
    drop(PostgresStore::create(primary.config(), NAME, LEDGER).expect("a new ledger"));
    let node = Node::default();
    let open = |config: Config| PostgresStore::open(config, NAME).expect("it answers");
    let mut machine =
        Machine::take_over(&node, open(primary.config()), "active").expect("the first");
    assert!(matches!(machine.pay(0..3), Stopped::Done));
    let position = primary.sql("select pg_current_wal_flush_lsn()");
    standby.wait_for(&format!("select pg_last_wal_replay_lsn() >= '{position}'"), "t");
    standby.kill();
    assert!(matches!(machine.pay(3..6), Stopped::Done));
    primary.kill();
    standby.start_again();
    standby.promote();
    let mut opening = Opening::new(Remember::Forever, 7);
    opening.known_head = node.head();
    let recovery = Ledger::open(open(standby.config()), &opening, NOW).expect("it opens");
    assert!(recovery.lacks_known_head(), "the witness shows that payments are missing");
    let mut ledger = recovery.finish(NOW).expect("it answers");
    // What the lost end of the log paid is paid by nobody again: nothing new is taken.
    let order = Order::nth(4);
    let refused = ledger.execute(Pay::new(order.id, order.request()), NOW);
    assert!(matches!(refused, Err(ExecuteError::Refused(_))), "{refused:?}");
}
