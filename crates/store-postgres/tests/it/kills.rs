//! The server is killed in the middle of appends.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
};

use payonce_core::{EventStore, Head, StoreError};
use payonce_store_postgres::{
    PostgresStore,
    cluster::{Cluster, is_available},
};

use crate::support::{LEDGER, entry, heads, is_long};

/// Appends until it fails; every head that was acknowledged is noted, and the first few are told.
fn append_until_it_fails(
    mut store: PostgresStore,
    mut head: Head,
    round: u64,
    noted: &Mutex<Vec<Head>>,
    told: &mpsc::Sender<()>,
) -> StoreError {
    for nth in 0.. {
        let mut batch = Vec::new();
        let mut after = head;
        for _ in 0..=nth % 5 {
            batch.push(entry(after, round << 32 | after.seq));
            after = batch[batch.len() - 1].after();
        }
        if let Err(error) = store.append(&batch) {
            return error;
        }
        head = after;
        noted.lock().expect("nobody panics").extend(batch.iter().map(payonce_core::Entry::after));
        // Nobody listens once the server is about to be killed.
        let _ = told.send(());
    }
    unreachable!("the server is killed");
}

#[test]
fn what_was_acknowledged_survives_the_kill_of_the_server() {
    if !is_available("killing the server") {
        return;
    }
    let mut cluster = Cluster::start();
    let name = "killed";
    drop(PostgresStore::create(cluster.config(), name, LEDGER).expect("a new ledger"));
    let noted = Arc::new(Mutex::new(Vec::new()));
    for round in 1..=if is_long() { 50 } else { 5 } {
        let mut store = PostgresStore::open(cluster.config(), name).expect("open");
        let head = store.fence().expect("the fence").head;
        let before = heads(&store);
        let (told, listened) = mpsc::channel();
        let writing = Arc::clone(&noted);
        let writer =
            thread::spawn(move || append_until_it_fails(store, head, round, &writing, &told));
        for _ in 0..20 * round {
            listened.recv().expect("it appends");
        }
        cluster.kill();
        let error = writer.join().expect("no panic");
        assert!(matches!(error, StoreError::Backend(_)), "{error}");
        cluster.start_again();
        let store = PostgresStore::open(cluster.config(), name).expect("open");
        let found = heads(&store);
        assert!(found.len() > before.len(), "something was appended");
        assert_eq!(found[..before.len()], before[..], "history stays as it is");
        for acknowledged in noted.lock().expect("nobody panics").iter() {
            assert!(found.contains(acknowledged), "{acknowledged} was acknowledged and is gone");
        }
    }
}
