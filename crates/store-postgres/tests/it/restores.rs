//! Backups: a restore to an earlier moment opens as restored through the head that the node keeps, and
//! a dump moves a ledger.

use payonce_core::{EventSource, Ledger, Opening, Remember};
use payonce_store_postgres::{
    Config, PostgresStore,
    cluster::{Cluster, is_available},
};

use crate::{
    node::{Machine, NOW, Node, Stopped},
    support::LEDGER,
};

const NAME: &str = "backed up";

fn open(config: Config) -> PostgresStore {
    PostgresStore::open(config, NAME).expect("it answers")
}

/// Whether the log at this place lacks what the node relies on.
fn lacks_known_head(node: &Node, cluster: &Cluster) -> bool {
    let mut opening = Opening::new(Remember::Forever, 7);
    opening.known_head = node.head();
    let recovery = Ledger::open(open(cluster.config()), &opening, NOW).expect("it opens");
    recovery.lacks_known_head()
}

#[test]
fn a_point_in_time_restore_opens_as_restored() {
    if !is_available("a point-in-time restore") {
        return;
    }
    let mut primary = Cluster::start();
    primary.archive();
    primary.kill();
    primary.start_again();
    drop(PostgresStore::create(primary.config(), NAME, LEDGER).expect("a new ledger"));
    let node = Node::default();
    let mut machine = Machine::take_over(&node, open(primary.config()), "a").expect("the first");
    let mut backup = primary.backup();
    assert!(matches!(machine.pay(0..5), Stopped::Done));
    let then = primary.sql("select pg_current_wal_insert_lsn()");
    assert!(matches!(machine.pay(5..10), Stopped::Done));
    drop(machine);
    let segment = primary.sql("select pg_walfile_name(pg_switch_wal())");
    let archived = format!("select last_archived_wal >= '{segment}' from pg_stat_archiver");
    primary.wait_for(&archived, "t");

    backup.recover(&primary, &then);
    assert!(lacks_known_head(&node, &backup), "five payments are missing");
    assert!(!lacks_known_head(&node, &primary), "and none here");
}

#[test]
fn a_dump_moves_a_ledger_and_an_old_one_opens_as_restored() {
    if !is_available("a dump") {
        return;
    }
    let (source, target) = (Cluster::start(), Cluster::start());
    drop(PostgresStore::create(source.config(), NAME, LEDGER).expect("a new ledger"));
    let node = Node::default();
    let mut machine = Machine::take_over(&node, open(source.config()), "a").expect("the first");
    assert!(matches!(machine.pay(0..5), Stopped::Done));
    let dump = source.dump("payonce");
    let head = open(source.config()).head().expect("readable");
    target.run(&dump);
    assert_eq!(open(target.config()).head().expect("readable"), head, "the same head");
    assert!(!lacks_known_head(&node, &target), "it is the ledger");
    target.sql("drop schema payonce cascade");

    assert!(matches!(machine.pay(5..6), Stopped::Done));
    target.run(&dump);
    assert!(lacks_known_head(&node, &target), "one payment is missing");
}
