//! A primary and a synchronous standby: what COMMIT answers when nothing was replicated.

use std::{thread, time::Duration};

use payonce_core::{EventStore, Head, StoreError};
use payonce_store_postgres::{
    Config, PostgresError, PostgresStore, Replication,
    cluster::{Cluster, is_available},
};

use crate::support::{LEDGER, entry, heads};

const NAME: &str = "replicated";
const STANDBY: &str = "payonce_standby";

/// A primary whose commits wait for a standby, and that standby.
fn pair() -> (Cluster, Cluster) {
    let primary = Cluster::start();
    let standby = primary.standby(STANDBY);
    primary.configure(&format!("synchronous_standby_names = '{STANDBY}'"));
    primary.reload();
    primary.wait_until_synchronous(STANDBY);
    (primary, standby)
}

fn config(cluster: &Cluster) -> Config {
    cluster.config().replication(Replication::Flushed)
}

fn writer(config: Config) -> (PostgresStore, Head) {
    let mut store = PostgresStore::open(config, NAME).expect("open");
    let head = store.fence().expect("the fence").head;
    (store, head)
}

/// What the server shows of commits that wait for the standby.
const WAITING: &str = "select count(*) from pg_stat_activity where wait_event = 'SyncRep' \
                       and query like '%insert into payonce.entries%'";

/// Lets such a commit go.
const CANCEL: &str =
    "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'";

/// Every way to let a commit go that no standby has: the outcome is unknown, and poisons; opening again
/// waits for the standby, and then all of it is there and on the standby.
#[test]
fn a_commit_that_no_standby_has_is_unknown() {
    if !is_available("commits that no standby has") {
        return;
    }
    let (mut primary, mut standby) = pair();
    drop(PostgresStore::create(config(&primary), NAME, LEDGER).expect("a new ledger"));
    let (mut store, head) = writer(config(&primary));
    let first = entry(head, 1);
    store.append(std::slice::from_ref(&first)).expect("the standby is there");
    assert!(
        standby.sql("select count(*) from payonce.entries") == "1",
        "it has what was acknowledged"
    );

    let terminate =
        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'";
    let ways: [(&str, &str); 3] = [("cancel", CANCEL), ("terminate", terminate), ("no names", "")];
    for (nth, (way, statement)) in (2..).zip(ways) {
        let (mut store, head) = writer(config(&primary));
        standby.kill();
        let unknown = entry(head, nth);
        let waits = thread::spawn(move || {
            let outcome = store.append(std::slice::from_ref(&unknown));
            (store, unknown.after(), outcome)
        });
        primary.wait_for(WAITING, "1");
        if statement.is_empty() {
            // Commits that wait are let go without a word.
            primary.sql("alter system set synchronous_standby_names = ''");
            primary.reload();
        } else {
            primary.sql(statement);
        }
        let (mut store, after, outcome) = waits.join().expect("no panic");
        let error = outcome.expect_err(way);
        assert!(matches!(error, StoreError::Backend(_)), "{way}: {error}");
        let again = store.append(&[entry(after, 99)]);
        assert!(matches!(again, Err(StoreError::Poisoned { .. })), "{way}: {again:?}");
        primary.sql("alter system reset synchronous_standby_names");
        primary.reload();
        primary.wait_for("show synchronous_standby_names", STANDBY);
        // Nobody takes over while no standby confirms.
        let impatient = config(&primary).limit(Duration::from_secs(3));
        let mut early = PostgresStore::open(impatient, NAME).expect("open");
        let refused = early.fence().expect_err("no standby confirms");
        assert!(matches!(refused, StoreError::Backend(_)), "{way}: {refused}");
        standby.start_again();
        primary.wait_until_synchronous(STANDBY);
        let (store, head) = writer(config(&primary));
        assert_eq!(head, after, "{way}: it was committed, and is confirmed now");
        let count = heads(&store).len() - 1;
        assert_eq!(standby.sql("select count(*) from payonce.entries"), count.to_string(), "{way}");
    }
    // Nobody lets it go: its time runs out.
    let (mut store, head) = writer(config(&primary).limit(Duration::from_secs(4)));
    standby.kill();
    let late = entry(head, 40);
    let error = store.append(std::slice::from_ref(&late)).expect_err("nobody confirms it");
    assert!(matches!(error, StoreError::Backend(_)), "{error}");
    assert!(matches!(store.append(&[entry(late.after(), 41)]), Err(StoreError::Poisoned { .. })));
    standby.start_again();
    primary.wait_until_synchronous(STANDBY);
    let (_, found) = writer(config(&primary));
    assert_eq!(found, late.after(), "it was on the primary's disk");
    // A restart of the primary while a commit waits.
    let (mut store, head) = writer(config(&primary));
    standby.kill();
    let unknown = entry(head, 50);
    let waits = thread::spawn(move || store.append(std::slice::from_ref(&unknown)));
    primary.wait_for(WAITING, "1");
    primary.kill();
    assert!(waits.join().expect("no panic").is_err(), "unknown");
    primary.start_again();
    standby.start_again();
    primary.wait_until_synchronous(STANDBY);
    let (_, found) = writer(config(&primary));
    assert_eq!(found, entry(head, 50).after(), "it was on the primary's disk");
}

/// A quorum: any of two standbys will do, and without both nothing is acknowledged. With `remote_apply` a
/// reader of that standby sees what was acknowledged at once.
#[test]
fn any_one_of_two_standbys_is_enough() {
    if !is_available("a quorum") {
        return;
    }
    let primary = Cluster::start();
    let (mut first, mut second) = (primary.standby("left"), primary.standby("right"));
    primary.configure(
        "synchronous_standby_names = 'ANY 1 (left, right)'\nsynchronous_commit = remote_apply",
    );
    primary.reload();
    for name in ["left", "right"] {
        primary.wait_until_synchronous(name);
    }
    let applied = || primary.config().replication(Replication::Applied);
    drop(PostgresStore::create(applied(), NAME, LEDGER).expect("a new ledger"));
    let (mut store, mut head) = writer(applied());
    for nth in 1..=2 {
        if nth == 2 {
            first.kill();
        }
        let next = entry(head, nth);
        store.append(std::slice::from_ref(&next)).expect("one is enough");
        head = next.after();
    }
    let seen = second.sql("select head_seq from payonce.ledgers");
    assert_eq!(seen, "2", "a reader of the only standby sees it");
    second.kill();
    let unknown = entry(head, 3);
    let after = unknown.after();
    let waits = thread::spawn(move || store.append(std::slice::from_ref(&unknown)));
    primary.wait_for(WAITING, "1");
    primary.sql(CANCEL);
    let error = waits.join().expect("no panic").expect_err("none is too few");
    assert!(matches!(error, StoreError::Backend(_)), "{error}");
    first.start_again();
    primary.wait_until_synchronous("left");
    let (_, found) = writer(applied());
    assert_eq!(found, after, "it was on the primary's disk, and is confirmed now");
}

#[test]
fn a_writer_on_a_replaced_primary_cannot_confirm_itself() {
    if !is_available("a replaced primary") {
        return;
    }
    let (primary, standby) = pair();
    drop(PostgresStore::create(config(&primary), NAME, LEDGER).expect("a new ledger"));
    let quick = config(&primary).confirm_within(Duration::ZERO).limit(Duration::from_secs(4));
    let (mut old, head) = writer(quick);
    let acknowledged = entry(head, 1);
    old.append(std::slice::from_ref(&acknowledged)).expect("the standby is there");
    old.confirm_owner().expect("the standby is there");
    // The old primary lives on, cut off; the standby becomes the primary.
    standby.promote();
    let (mut new, found) = writer(standby.config());
    assert_eq!(found, acknowledged.after(), "everything acknowledged is there");
    new.append(&[entry(found, 2)]).expect("the new writer's");
    let confirmed = old.confirm_owner();
    assert!(confirmed.is_err(), "nobody confirms it: {confirmed:?}");
    assert!(old.append(&[entry(acknowledged.after(), 3)]).is_err(), "nothing is acknowledged");
}

#[test]
fn what_is_demanded_is_checked() {
    if !is_available("demands on replication") {
        return;
    }
    let cluster = Cluster::start();
    let refused = |config: Config| match PostgresStore::create(config, NAME, LEDGER) {
        Err(PostgresError::NotDurable { setting, .. }) => setting,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(refused(config(&cluster)), "synchronous_standby_names");
    let applied = cluster.config().replication(Replication::Applied);
    assert_eq!(refused(applied), "synchronous_commit");
    for value in ["off", "local", "remote_write"] {
        cluster.sql(&format!("alter role postgres set synchronous_commit = {value}"));
        assert_eq!(refused(cluster.config()), "synchronous_commit", "{value}");
    }
    cluster.sql("alter role postgres reset synchronous_commit");
    drop(PostgresStore::create(cluster.config(), NAME, LEDGER).expect("as it should be"));
    let (mut store, head) = writer(cluster.config());
    // In the middle of its life, too.
    for setting in ["fsync", "full_page_writes"] {
        cluster.sql(&format!("alter system set {setting} = off"));
        cluster.reload();
        cluster.wait_for(&format!("show {setting}"), "off");
        assert_eq!(refused(cluster.config()), setting);
        if setting == "fsync" {
            let refused = store.append(&[entry(head, 1)]).expect_err("it would not be durable");
            assert!(refused.to_string().contains("fsync"), "{refused}");
        }
        cluster.sql(&format!("alter system reset {setting}"));
        cluster.reload();
        cluster.wait_for(&format!("show {setting}"), "on");
    }
    let (_, found) = writer(cluster.config());
    assert_eq!(found, head, "nothing was written");
}
