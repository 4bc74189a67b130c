//! The example is what the guide shows, and what it does is judged here: against the fake, and in `real`
//! against a real LND.

use std::{collections::BTreeSet, sync::Arc};

use payonce_core::{LedgerId, Opening, Remember, StatusKind};
use payonce_engine::{FileWitness, Starting, Witnessed};
use payonce_runtime::{Options, random_seed};
use payonce_store_postgres::{
    PostgresStore,
    cluster::{Cluster, is_available},
};

use crate::{
    bills::bill,
    fake::{ADMIN, FakeLnd},
    house::config,
    lnd_service,
};

const EXAMPLE: &str = include_str!("../../../../examples/lnd_service.rs");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_pays_once_however_often_it_runs() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let bill = bill(1);
    fake.books.invoice(bill.hash, bill.preimage, &[]);
    lnd_service::set_up(dir.path()).expect("set up");
    for _ in 0..2 {
        let config = config(&fake.address.to_string(), &fake.certificate.pem, ADMIN);
        assert!(lnd_service::pay(dir.path(), config, &bill.text).await.expect("an end"));
    }
    assert_eq!((fake.books.payouts(&bill.hash), fake.books.read(&bill.hash)), (1, 1));
    assert!(lnd_service::set_up(dir.path()).is_err(), "a second ledger would know nothing");
}

/// The line that opens the store is all that differs, and the one that makes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_pays_once_from_a_ledger_in_postgresql() {
    if !is_available("the example on PostgreSQL") {
        return;
    }
    let (cluster, dir) = (Cluster::start(), tempfile::tempdir().expect("a directory"));
    let (fake, dir, bill) = (FakeLnd::start().await, dir.path(), bill(1));
    fake.books.invoice(bill.hash, bill.preimage, &[]);
    let ledger = LedgerId::from_bytes([7; 32]);
    drop(PostgresStore::create(cluster.config(), "service", ledger).expect("a new ledger"));
    FileWitness::create(dir.join("witness")).expect("a new witness");
    for _ in 0..2 {
        let config = config(&fake.address.to_string(), &fake.certificate.pem, ADMIN);
        let store = PostgresStore::open(cluster.config(), "service").expect("it is there");
        let opening = Opening::new(Remember::Forever, random_seed());
        let witness = FileWitness::open(dir.join("witness")).expect("it is there");
        let witness = Witnessed::By(Arc::new(witness));
        let starting = Starting::open(store, opening, witness, Options::DEFAULT).await;
        let starting = starting.expect("opens");
        assert!(lnd_service::pay_from(starting, config, &bill.text).await.expect("an end"));
    }
    assert_eq!((fake.books.payouts(&bill.hash), fake.books.read(&bill.hash)), (1, 1));
    // It is that ledger that remembers it.
    let store = PostgresStore::open(cluster.config(), "service").expect("it is there");
    let state = payonce_runtime::verify(&store, 1).expect("one sound history");
    assert_eq!(state.payments(StatusKind::Fulfilled).count(), 1);
    assert!(!dir.join("ledger").exists(), "and nothing is in the directory");
}

#[test]
fn the_guide_shows_it() {
    let guide = include_str!("../../../../docs/INTEGRATING-API.md");
    let from = EXAMPLE.find("use std::").expect("a beginning");
    let shown = guide.contains(EXAMPLE[from..].trim_end());
    assert!(shown, "docs/INTEGRATING-API.md shows other code");
}

/// A first program is one that a newcomer can hold in the head.
#[test]
fn it_needs_twelve_names() {
    let uses = EXAMPLE.split("use payonce_").skip(1).filter_map(|rest| rest.split_once("::"));
    let named = uses.filter_map(|(_, names)| names.split_once(';'));
    let names = named.flat_map(|(names, _)| names.split(['{', '}', ',']).map(str::trim));
    let names: BTreeSet<_> = names.filter(|name| !name.is_empty()).collect();
    assert!(names.contains("Starting") && names.len() <= 12, "{names:?}");
    let paths = EXAMPLE.matches("payonce_").count() - EXAMPLE.matches("use payonce_").count();
    assert_eq!(paths, 0, "none by its path");
}

#[test]
fn the_front_page_shows_lines_of_it() {
    let page = include_str!("../../../../README.md");
    let blocks = page.split("```rust,ignore\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.into_iter().find(|block| block.contains("Starting::open"));
    for line in block.expect("a block").lines().map(str::trim).filter(|line| !line.is_empty()) {
        assert!(EXAMPLE.contains(line), "README.md shows other code: {line}");
    }
}
