//! The network is cut at every point of an append: what was acknowledged is there, nothing is there
//! twice, and whoever opens next finds a definite head.

use std::time::{Duration, Instant};

use payonce_core::{EventSource, EventStore, Head, StoreError};
use payonce_store_postgres::{
    Config, PostgresStore,
    cluster::{Cluster, is_available},
};

use crate::{
    proxy::{End, Proxy, Way},
    support::{LEDGER, entry, fresh_name, heads, is_long, shared},
};

struct Cuts {
    proxy: Proxy,
    direct: Config,
    through: Config,
    name: String,
    acknowledged: Vec<Head>,
    tag: u64,
}

/// What an append through the proxy came to, and where the next writer found the log.
struct Cut {
    outcome: Result<(), StoreError>,
    before: Head,
    after: Head,
    found: Head,
}

impl Cuts {
    fn new(port: u16, direct: Config, limit: Duration) -> Self {
        let proxy = Proxy::to(port);
        let address = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", proxy.port);
        let through: Config = address.parse().expect("an address");
        let name = fresh_name();
        drop(PostgresStore::create(direct.clone(), &name, LEDGER).expect("a new ledger"));
        // Nothing but appends goes through.
        let through = through.notify(false).limit(limit).holder("behind the proxy");
        Self { proxy, direct, through, name, acknowledged: Vec::new(), tag: 0 }
    }

    /// A writer behind the proxy that has appended once, so that what it sends next is an append alone.
    fn writer(&mut self) -> PostgresStore {
        let mut store = PostgresStore::open(self.through.clone(), &self.name).expect("open");
        let head = store.fence().expect("the fence").head;
        self.append(&mut store, head).expect("the network is whole");
        store
    }

    fn append(&mut self, store: &mut PostgresStore, head: Head) -> Result<(), StoreError> {
        self.tag += 1;
        let entry = entry(head, self.tag);
        let outcome = store.append(std::slice::from_ref(&entry));
        if outcome.is_ok() {
            self.acknowledged.push(entry.after());
        }
        outcome
    }

    /// How many bytes an append sends, and how many come back.
    fn measure(&mut self) -> [usize; 2] {
        let mut store = self.writer();
        let [sent, received] = self.proxy.passed();
        let head = store.head().expect("the writer's");
        self.append(&mut store, head).expect("the network is whole");
        let [sent_later, received_later] = self.proxy.passed();
        [sent_later - sent, received_later - received]
    }

    fn cut(&mut self, way: Way, bytes: usize, end: End) -> Cut {
        let mut store = self.writer();
        let before = store.head().expect("the writer's");
        self.proxy.cut_after(way, bytes, end);
        let after = entry(before, self.tag + 1).after();
        let outcome = self.append(&mut store, before);
        if let Err(error) = &outcome {
            assert!(!matches!(error, StoreError::NotNext { .. }), "{error}");
            let poisoned = matches!(store.head(), Err(StoreError::Poisoned { .. }));
            assert!(poisoned, "an unknown outcome poisons");
        }
        let mut next = PostgresStore::open(self.direct.clone(), &self.name).expect("open");
        let found = next.fence().expect("nothing stands in the way for long").head;
        // Definite: what was under way cannot come after it any more.
        self.proxy.mend();
        drop(store);
        self.append(&mut next, found).expect("the new writer's");
        Cut { outcome, before, after, found }
    }

    /// Everything acknowledged is in the log, in its order; nothing is twice or the chain would break.
    fn check(&self) {
        let store = PostgresStore::open(self.direct.clone(), &self.name).expect("open");
        let heads = heads(&store);
        let mut held = heads.iter();
        for acknowledged in &self.acknowledged {
            assert!(held.any(|head| head == acknowledged), "{acknowledged} is missing");
        }
    }
}

#[test]
fn an_append_is_there_or_not_wherever_it_is_cut() {
    if !is_available("cuts") {
        return;
    }
    // Of its own: a session that is cut off in a statement holds locks, and other tests change the tables.
    let cluster = Cluster::start();
    let (port, config) = (cluster.port(), cluster.config());
    let mut cuts = Cuts::new(port, config, Duration::from_secs(30));
    let [sent, received] = cuts.measure();
    let step = if is_long() { 1 } else { 13 };
    // The last bytes are those of the message that ends the transaction.
    let points = (0..sent - 8).step_by(step).chain(sent - 8..sent);
    for bytes in points {
        let cut = cuts.cut(Way::ToServer, bytes, End::Closed);
        assert!(cut.outcome.is_err(), "cut after {bytes} of {sent} bytes");
        assert_eq!(cut.found, cut.before, "cut after {bytes} of {sent} bytes");
    }
    for bytes in 0..received {
        let cut = cuts.cut(Way::ToClient, bytes, End::Closed);
        assert!(cut.outcome.is_err(), "cut after {bytes} of {received} bytes of the answer");
        assert_eq!(cut.found, cut.after, "cut after {bytes} of {received} bytes of the answer");
    }
    cuts.check();
}

#[test]
fn an_append_is_one_round_trip() {
    let Some((port, config)) =
        shared("round trips").map(|cluster| (cluster.port(), cluster.config()))
    else {
        return;
    };
    let mut cuts = Cuts::new(port, config, Duration::from_secs(30));
    let mut store = cuts.writer();
    for nth in 1..=3 {
        let (head, before) = (store.head().expect("the writer's"), cuts.proxy.round_trips());
        cuts.append(&mut store, head).expect("the network is whole");
        assert_eq!(cuts.proxy.round_trips() - before, 1, "append {nth}");
    }
}

#[test]
fn a_writer_behind_a_network_that_fell_silent_is_taken_over_from() {
    if !is_available("cuts") {
        return;
    }
    // Of its own: a session that is cut off in a statement holds locks, and other tests change the tables.
    let cluster = Cluster::start();
    let (port, config) = (cluster.port(), cluster.config());
    // Long enough to connect on a busy machine; each cut takes as long.
    let limit = Duration::from_secs(3);
    let mut cuts = Cuts::new(port, config, limit);
    let [sent, received] = cuts.measure();
    // All but the message that ends the transaction: the server holds the ledger's row for it.
    for bytes in [sent / 2, sent - 5, sent - 1] {
        let begun = Instant::now();
        let cut = cuts.cut(Way::ToServer, bytes, End::Silent);
        assert!(cut.outcome.is_err());
        assert_eq!(cut.found, cut.before, "silent after {bytes} of {sent} bytes");
        assert!(begun.elapsed() < Duration::from_secs(40), "taken over in time");
    }
    let cut = cuts.cut(Way::ToClient, received - 1, End::Silent);
    assert!(cut.outcome.is_err());
    assert_eq!(cut.found, cut.after, "silent before the last of {received} bytes of the answer");
    cuts.check();
}

#[test]
fn a_skipped_test_says_so() {
    // With a server there is nothing to skip; without one CI fails here.
    let _ = is_available("this test");
}
