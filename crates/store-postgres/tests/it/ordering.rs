//! A balance and its orders in one transaction: the balance is never wrong, whoever is killed when.

use payonce_core::{Ledger, Opening, Pay, Remember, RetryPolicy};
use payonce_store_postgres::{Orders, PostgresStore, ServeError, cluster::Cluster};

use crate::{
    node::{Machine, NOW, Node, Order, Stopped},
    support::{LEDGER, fresh_name, shared},
};

/// What the user has before anything is ordered, in msat.
const BALANCE: i64 = 1_000_000;

/// The user's side: their own table, their own transactions.
struct User {
    name: String,
}

impl User {
    fn new(cluster: &Cluster, name: &str) -> Self {
        cluster.sql(&format!(
            "create table public.\"balance-{name}\" (msat bigint not null check (msat >= 0));
             insert into public.\"balance-{name}\" values ({BALANCE})"
        ));
        Self { name: name.into() }
    }

    /// Withdraws what the nth payment can cost and orders it, or neither.
    fn order(&self, cluster: &Cluster, nth: u64, end: &str) {
        let order = Order::nth(nth);
        let (id, hash, amount) = (order.id, order.hash(), order.amount.0);
        cluster.sql(&format!(
            "begin;
             update public.\"balance-{name}\" set msat = msat - {amount} - 10;
             insert into payonce.orders (ledger, payment_id, payment_hash, amount_msat, \
               max_fee_msat, attempts) select number, '\\x{id}', '\\x{hash}', {amount}, 10, 6 \
               from payonce.ledgers where name = '{name}';
             {end}",
            name = self.name
        ));
    }

    /// The end of an order's transaction that changes the order first.
    fn changed(&self, change: &str) -> String {
        format!(
            "update payonce.orders set {change} where status = 'ordered' and ledger = \
             (select number from payonce.ledgers where name = '{}'); commit",
            self.name
        )
    }

    /// Books every outcome that is not booked yet: what was not spent comes back.
    fn book(&self, cluster: &Cluster, end: &str) {
        cluster.sql(&format!(
            "begin;
             with booked as (update payonce.outcomes set booked_at = now() \
                 where ledger = (select number from payonce.ledgers where name = '{name}') \
                 and booked_at is null returning ledger, payment_id, outcome, amount_msat, fee_msat), \
               back as (select case outcome \
                 when 'sent' then o.amount_msat + o.max_fee_msat - b.amount_msat - b.fee_msat \
                 when 'failed' then o.amount_msat + o.max_fee_msat else 0 end as msat \
                 from booked b join payonce.orders o using (ledger, payment_id)) \
             update public.\"balance-{name}\" set msat = msat + (select coalesce(sum(msat), 0) \
               from back);
             {end}",
            name = self.name
        ));
    }

    fn balance(&self, cluster: &Cluster) -> i64 {
        let text = format!("select msat from public.\"balance-{}\"", self.name);
        cluster.sql(&text).parse().expect("a number")
    }
}

#[test]
fn a_balance_is_never_wrong_through_kills_on_both_sides() {
    let Some(config) = shared("orders").map(|cluster| cluster.config()) else { return };
    let name = fresh_name();
    let store = PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger");
    let node = Node::default();
    let mut machine = Machine::take_over(&node, store, "first").expect("the first");
    let cluster = || shared("orders").expect("it runs");
    let user = User::new(&cluster(), &name);
    let orders = Orders::open(config.clone(), &name).expect("readable");
    let open = || PostgresStore::open(config.clone(), &name).expect("open");
    for nth in 0..12 {
        // The user's process dies before it commits, once in a while: there is no order then.
        user.order(&cluster(), 100 + nth, "rollback");
        user.order(&cluster(), nth, "commit");
        if nth % 3 == 0 {
            // The writer dies after the ledger took the order and before it said so.
            let waiting = orders.waiting(10).expect("readable");
            for order in waiting {
                let pay = Pay::new(order.payment, order.request);
                machine.ledger.execute(pay, NOW).expect("accepted");
            }
            machine = Machine::take_over(&node, open(), "after a kill").expect("taken over");
        }
        let served = orders.serve(&mut machine.ledger, NOW).expect("served");
        assert_eq!((served.accepted, served.refused), (1, 0), "order {nth} is taken once");
        assert!(matches!(machine.pay_what_is_due(), Stopped::Done));
        if nth % 4 == 1 {
            // It dies after an outcome was told and before that was acknowledged.
            let outbox = machine.ledger.query(|state| state.outbox().collect::<Vec<_>>());
            for notification in outbox.expect("it answers") {
                assert!(orders.tell(&notification).expect("told"), "of an order");
            }
            machine = Machine::take_over(&node, open(), "after a kill").expect("taken over");
        }
        orders.serve(&mut machine.ledger, NOW).expect("served");
        let unread = machine.ledger.query(|state| state.outbox().count()).expect("it answers");
        assert_eq!(unread, 0, "everything is told and acknowledged");
        // The user's process dies while it books, and books again.
        user.book(&cluster(), "rollback");
        user.book(&cluster(), "commit");
        user.book(&cluster(), "commit");
        let spent: i64 = (0..=nth)
            .flat_map(|nth| node.left_for(&Order::nth(nth)))
            // Each with the fee of the one part.
            .map(|amount| i64::try_from(amount).expect("small") + 1)
            .sum();
        assert_eq!(user.balance(&cluster()), BALANCE - spent, "after order {nth}");
    }
    assert_eq!(node.paid(), 12);
    for nth in 0..12 {
        assert_eq!(node.left_for(&Order::nth(nth)).len(), 1, "order {nth} is paid once");
    }
}

#[test]
fn an_order_of_an_id_that_was_paid_otherwise_is_for_a_human_and_says_why() {
    let Some(config) = shared("orders").map(|cluster| cluster.config()) else { return };
    let name = fresh_name();
    let store = PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger");
    let node = Node::default();
    let mut machine = Machine::take_over(&node, store, "first").expect("the first");
    assert!(matches!(machine.pay(0..1), Stopped::Done));
    let user = User::new(&shared("orders").expect("it runs"), &name);
    // The same id, with other attempts than before: not the same request.
    assert_ne!(Order::nth(0).request().retry, RetryPolicy::Attempts(4));
    let cluster = shared("orders").expect("it runs");
    user.order(&cluster, 0, &user.changed("attempts = 5"));
    drop(cluster);
    let orders = Orders::open(config.clone(), &name).expect("readable");
    let served = orders.serve(&mut machine.ledger, NOW).expect("served");
    assert_eq!((served.accepted, served.refused, served.postponed), (0, 0, 1));
    let refusal = shared("orders").expect("it runs").sql(&format!(
        "select refusal from payonce.orders where ledger = (select number from payonce.ledgers \
         where name = '{name}')"
    ));
    assert!(refusal.contains("different"), "{refusal}");
    drop(machine);
    let forgetful = Opening::new(Remember::Window, 1);
    let store = PostgresStore::open(config, &name).expect("open");
    let recovery = Ledger::open(store, &forgetful, NOW).expect("it opens");
    let mut ledger = recovery.finish(NOW).expect("it answers");
    assert!(matches!(orders.serve(&mut ledger, NOW), Err(ServeError::Forgets)));
}

#[test]
fn an_order_that_may_have_been_paid_is_not_refused() {
    let Some(config) = shared("orders").map(|cluster| cluster.config()) else { return };
    let name = fresh_name();
    let store = PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger");
    let node = Node::default();
    let machine = Machine::take_over(&node, store, "first").expect("the first");
    let lost = machine.ledger.head();
    drop(machine);
    let cluster = shared("orders").expect("it runs");
    let user = User::new(&cluster, &name);
    for nth in 0..3 {
        user.order(&cluster, nth, "commit");
    }
    drop(cluster);
    let orders = Orders::open(config.clone(), &name).expect("readable");
    // An old backup, the orders in it: the node knows of a head that the log has not.
    let mut opening = Opening::new(Remember::Forever, 7);
    opening.known_head = Some(payonce_core::Head { seq: lost.seq + 9, ..lost });
    let store = PostgresStore::open(config.clone(), &name).expect("open");
    let recovery = Ledger::open(store, &opening, NOW).expect("it opens");
    assert!(recovery.lacks_known_head());
    let mut ledger = recovery.finish(NOW).expect("it answers");
    let served = orders.serve(&mut ledger, NOW).expect("served");
    assert_eq!((served.accepted, served.refused, served.postponed), (0, 0, 3));
    assert_eq!(orders.waiting(10).expect("readable").len(), 3, "nobody is refunded");

    // The gap is closed; of one hash the node knows only that something is out.
    let payment_hash = Order::nth(1).hash();
    ledger.execute(payonce_core::BlockHash::new(payment_hash), NOW).expect("blocked");
    ledger.execute(payonce_core::CloseGap, NOW).expect("closed");
    let served = orders.serve(&mut ledger, NOW).expect("served");
    assert_eq!((served.accepted, served.refused, served.postponed), (2, 0, 1));
    let waiting = orders.waiting(10).expect("readable");
    assert_eq!(waiting.len(), 1, "what may be out is not refused");
    assert_eq!(waiting[0].payment, Order::nth(1).id);
    // It was nobody's after all.
    ledger.execute(payonce_core::UnblockHash::new(payment_hash), NOW).expect("unblocked");
    let served = orders.serve(&mut ledger, NOW).expect("served");
    assert_eq!((served.accepted, served.postponed), (1, 0));
}

#[test]
fn a_refused_order_is_booked_once() {
    let Some(config) = shared("orders").map(|cluster| cluster.config()) else { return };
    let name = fresh_name();
    let store = PostgresStore::create(config.clone(), &name, LEDGER).expect("a new ledger");
    let mut machine = Machine::take_over(&Node::default(), store, "first").expect("the first");
    let cluster = || shared("orders").expect("it runs");
    let user = User::new(&cluster(), &name);
    user.order(&cluster(), 0, &user.changed("expires_at_ms = 1"));
    let orders = Orders::open(config, &name).expect("readable");
    assert_eq!(orders.serve(&mut machine.ledger, NOW).expect("served").refused, 1);
    for end in ["rollback", "commit", "commit"] {
        cluster().sql(&format!(
            "begin;
             with booked as (update payonce.orders set booked_at = now() \
                 where ledger = (select number from payonce.ledgers where name = '{name}') \
                 and status = 'refused' and booked_at is null \
                 returning amount_msat + max_fee_msat as msat) \
             update public.\"balance-{name}\" set msat = msat + coalesce((select sum(msat) \
               from booked), 0);
             {end}"
        ));
    }
    assert_eq!(user.balance(&cluster()), BALANCE);
}
