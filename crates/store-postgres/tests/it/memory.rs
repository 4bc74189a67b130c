//! What a handle answers from memory, and how much it holds there.

use std::{
    ops::ControlFlow,
    sync::mpsc,
    time::{Duration, Instant},
};

use payonce_core::{
    EventSource, EventStore, Ledger, LedgerError, Opening, Pay, Remember, StatusKind, Tick,
    UnixMillis,
};
use payonce_store_postgres::{Config, PostgresStore};

use crate::{
    node::{Machine, NOW, Node, Order, Stopped},
    proxy::{End, Proxy, Way},
    support::{LEDGER, fresh_name, large_entry, shared},
};

/// Who was taken over from tells nobody a status out of its memory: the other one may have paid since.
#[test]
fn a_writer_that_was_taken_over_from_answers_no_repeat_and_no_query() {
    let Some(config) = shared("a former writer").map(|cluster| cluster.config()) else { return };
    let name = fresh_name();
    let node = Node::default();
    let open = |config: Config| PostgresStore::open(config, &name).expect("it answers");
    drop(PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger"));
    let asks = config.clone().confirm_within(Duration::ZERO);
    let mut former = Machine::take_over(&node, open(asks.clone()), "former").expect("the first");
    assert!(matches!(former.pay(0..1), Stopped::Done));
    let order = Order::nth(0);
    former.ledger.execute(Pay::new(order.id, order.request()), NOW).expect("a repeat is answered");
    let mut other = Machine::take_over(&node, open(asks.holder("other")), "other").expect("second");
    let repeat = former.ledger.execute(Pay::new(order.id, order.request()), NOW);
    let told = repeat.expect_err("nobody confirmed it").to_string();
    assert!(told.contains("other"), "by whom: {told}");
    let query = former.ledger.query(|state| state.payments(StatusKind::Fulfilled).count());
    assert!(query.is_err(), "{query:?}");

    // Where it need not ask for every answer it does so once the time is up, and not before: a second
    // takeover, of a writer that was confirmed just now.
    let within = Duration::from_millis(300);
    drop(other);
    let store = open(config.clone().confirm_within(within));
    let mut former = Machine::take_over(&node, store, "former").expect("third");
    assert!(matches!(former.pay(1..2), Stopped::Done));
    other = Machine::take_over(&node, open(config), "other").expect("fourth");
    let begun = Instant::now();
    let refused = loop {
        let asked = begun.elapsed();
        match former.ledger.query(|state| state.counts().pending) {
            Ok(_) => assert!(asked < within, "it was asked when its time was up, and answered"),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LedgerError::Store(_)), "{refused}");
    assert!(matches!(other.pay(2..3), Stopped::Done), "the present writer goes on");
}

/// A replay takes from the server what its reader has room for, however long the log is.
#[test]
fn a_replay_takes_no_more_than_its_reader_has_read() {
    const MEBIBYTES: usize = 1 << 20;
    let Some((port, config)) =
        shared("a long log").map(|cluster| (cluster.port(), cluster.config()))
    else {
        return;
    };
    let name = fresh_name();
    let mut store = PostgresStore::create(config, &name, LEDGER).expect("a new ledger");
    let mut head = store.fence().expect("the fence").head;
    let mut stored = 0;
    while stored < 64 * MEBIBYTES {
        let entry = large_entry(head, 1);
        store.append(std::slice::from_ref(&entry)).expect("appended");
        stored += entry.bytes().len();
        head = entry.after();
    }
    let proxy = Proxy::to(port);
    let through = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", proxy.port);
    let store = PostgresStore::open(through.parse().expect("an address"), &name).expect("open");
    // What came is counted by cutting the network off where it would be too much.
    let (told, too_much) = mpsc::channel();
    proxy.tell_of_cut(told);
    proxy.cut_after(Way::ToClient, 24 * MEBIBYTES, End::Silent);
    let mut read = 0;
    let replayed = store.replay(1, &mut |entry| {
        if read == 0 {
            // A reader that stops at the first entry for longer than all of it takes to come.
            let came = too_much.recv_timeout(Duration::from_secs(1));
            assert!(came.is_err(), "a third of the log came while nobody read it");
            proxy.mend();
        }
        read += entry.bytes.len();
        ControlFlow::Continue(())
    });
    replayed.expect("a sound log");
    assert_eq!(read, stored);
}

/// A machine whose clock is a day off takes over all the same: it gives up nothing that has not expired,
/// and takes nothing twice.
#[test]
fn machines_whose_clocks_differ_take_over_from_each_other() {
    const HOUR_MS: u64 = 3_600_000;
    let Some(config) = shared("clocks").map(|cluster| cluster.config()) else { return };
    let name = fresh_name();
    drop(PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger"));
    let opening = Opening::new(Remember::Forever, 7);
    let order = Order::nth(0);
    let request = order.request().expiry(UnixMillis(NOW.0 + 2 * HOUR_MS));
    for now in [NOW.0, NOW.0 - 24 * HOUR_MS, NOW.0 + 24 * HOUR_MS, NOW.0 + HOUR_MS].map(UnixMillis)
    {
        let store = PostgresStore::open(config.clone(), &name).expect("it answers");
        let recovery = Ledger::open(store, &opening, now).expect("it takes over");
        let mut ledger = recovery.finish(now).expect("it answers");
        ledger.execute(Pay::new(order.id, request.clone()), now).expect("new, then a repeat");
        ledger.execute(Tick::new(), now).expect("a tick");
        let pending = ledger.query(|state| state.counts().pending).expect("it answers");
        assert_eq!(pending, 1, "at {now:?}: neither given up nor taken twice");
    }
}
