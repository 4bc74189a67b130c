//! The rights that docs/OPERATING.md lists are enough, and no more than enough.

use payonce_core::{EventSource, EventStore};
use payonce_store_postgres::{
    Config, Orders, PostgresError, PostgresStore,
    cluster::{Cluster, is_available},
};

use crate::{
    node::{Machine, NOW, Node, Order, Stopped},
    support::{LEDGER, heads},
};

/// The statements of the page, as an administrator copies them.
fn grants() -> String {
    let page = include_str!("../../../../docs/OPERATING.md");
    let rights = page.split("## Rights").nth(1).expect("the heading");
    let block = rights.split("```sql").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("the statements").into()
}

fn config(cluster: &Cluster, user: &str) -> Config {
    let address = cluster.address().replace("user=postgres", &format!("user={user}"));
    address.parse().expect("an address")
}

#[test]
fn what_the_page_grants_is_enough() {
    if !is_available("rights") {
        return;
    }
    let cluster = Cluster::start();
    cluster.sql(
        "create role owner login; create role payer login; create role auditor login; \
         create role shop login; grant create on database postgres to owner",
    );
    PostgresStore::migrate(&config(&cluster, "owner")).expect("the owner creates the tables");
    cluster.sql(&grants());
    let payer = config(&cluster, "payer");
    let store =
        PostgresStore::create(payer.clone(), "mine", LEDGER).expect("a payer creates ledgers");
    let node = Node::default();
    let mut machine = Machine::take_over(&node, store, "payer").expect("it takes over");
    let order = Order::nth(0);
    let insert = format!(
        "set role shop; insert into payonce.orders (ledger, payment_id, payment_hash, amount_msat, \
         max_fee_msat, attempts) select number, '\\x{}', '\\x{}', {}, 10, 6 from payonce.ledgers",
        order.id,
        order.hash(),
        order.amount.0
    );
    cluster.sql(&insert);
    let orders = Orders::open(payer, "mine").expect("readable");
    assert_eq!(orders.serve(&mut machine.ledger, NOW).expect("served").accepted, 1);
    assert!(matches!(machine.pay_what_is_due(), Stopped::Done));
    assert!(orders.serve(&mut machine.ledger, NOW).expect("served").told > 0);
    cluster.sql("set role shop; update payonce.outcomes set booked_at = now()");
    let stored = machine.ledger.save_snapshot().expect("a payer keeps snapshots");
    machine.ledger.drop_history(stored, 1).expect("and drops history");
    machine.ledger.verify(1).expect("a sound log");

    let mut auditor = PostgresStore::open(config(&cluster, "auditor"), "mine").expect("readable");
    assert!(auditor.base().expect("readable").is_some());
    assert_eq!(heads(&auditor).len(), 1 + 1, "the log after its base: that history was dropped");
    let error = auditor.fence().expect_err("an auditor writes nothing");
    assert!(error.to_string().contains("auditor"), "{error}");
    let created = PostgresStore::create(config(&cluster, "auditor"), "other", LEDGER);
    assert!(matches!(created, Err(PostgresError::NoRight { .. })), "{created:?}");
}
