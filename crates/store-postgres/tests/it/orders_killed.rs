//! The user's process and the writer's process are killed with SIGKILL, at every stage of what they send
//! to the database and read from it: the balance is never wrong, and nothing is paid twice.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use payonce_store_postgres::{
    Config, Orders, PostgresStore, Served,
    cluster::Cluster,
    tokio_postgres::{self, Client, NoTls},
};

use crate::{
    afar::{self, Afar},
    node::{Machine, NOW, Node, Order, Stopped},
    proxy::{End, Proxy, Way},
    support::{LEDGER, fresh_name, is_long, shared},
};

const ADDRESS: &str = "PAYONCE_TEST_ORDERS_ADDRESS";
const LEDGER_NAME: &str = "PAYONCE_TEST_ORDERS_LEDGER";
const NODE: &str = "PAYONCE_TEST_ORDERS_NODE";
const UNTIL: &str = "PAYONCE_TEST_ORDERS_UNTIL";

/// What the user has before anything is ordered, in msat; and what fees may take of each order.
const BALANCE: i64 = 10_000_000;
const MAX_FEE: i64 = 10;

/// The writer's process: takes the ledger over, and serves until there is nothing to do.
#[test]
fn a_writer() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let name = std::env::var(LEDGER_NAME).expect("given");
    let node = std::env::var(NODE).expect("given").parse().expect("a port");
    let node = Node::Afar(Afar::connect(node));
    let config: Config = address.parse().expect("an address");
    let config = config.notify(false);
    let orders = Orders::open(config.clone(), &name).expect("readable");
    let store = PostgresStore::open(config, &name).expect("open");
    let mut machine = Machine::take_over(&node, store, "a writer").expect("taken over");
    loop {
        let served = orders.serve(&mut machine.ledger, NOW).expect("served");
        let due = machine.ledger.query(|state| state.due(NOW).len()).expect("it answers");
        if served == Served::default() && due == 0 {
            return;
        }
        let stopped = machine.pay_what_is_due();
        assert!(matches!(stopped, Stopped::Done), "{stopped:?}");
    }
}

/// The user's process: withdraws and orders so many payments in all, and books what became of any.
#[test]
fn a_user() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let name = std::env::var(LEDGER_NAME).expect("given");
    let until: i64 = std::env::var(UNTIL).expect("given").parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let connected = tokio_postgres::connect(&address, NoTls).await;
        let (mut client, connection) = connected.expect("the database");
        tokio::spawn(connection);
        // One that was killed does not know how far it came; its own table does.
        let placed = format!("select count(*) from public.\"withdrawals-{name}\"");
        let placed: i64 = client.query_one(&placed, &[]).await.expect("its own").get(0);
        for nth in placed..until {
            order(&mut client, &name, nth).await.expect("committed");
        }
        book(&mut client, &name).await.expect("committed");
    });
}

/// Withdraws what a payment may cost and orders it, in one transaction.
async fn order(client: &mut Client, name: &str, nth: i64) -> Result<(), tokio_postgres::Error> {
    let order = Order::nth(nth.unsigned_abs());
    let amount = i64::try_from(order.amount.0).expect("small");
    let (id, hash) = (order.id.as_bytes().as_slice(), order.hash());
    let transaction = client.transaction().await?;
    let noted = format!("insert into public.\"withdrawals-{name}\" values ($1)");
    transaction.execute(&noted, &[&nth]).await?;
    let taken = format!("update public.\"balance-{name}\" set msat = msat - $1");
    transaction.execute(&taken, &[&(amount + MAX_FEE)]).await?;
    let ordered = "insert into payonce.orders (ledger, payment_id, payment_hash, amount_msat, \
                   max_fee_msat, attempts) select number, $2, $3, $4, $5, 6 \
                   from payonce.ledgers where name = $1";
    let hash = hash.as_bytes().as_slice();
    transaction.execute(ordered, &[&name, &id, &hash, &amount, &MAX_FEE]).await?;
    transaction.commit().await
}

/// Books every outcome that is not booked: what was not spent comes back, in the same transaction.
async fn book(client: &mut Client, name: &str) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let outcomes = "update payonce.outcomes o set booked_at = now() from payonce.orders w \
                    where o.ledger = (select number from payonce.ledgers where name = $1) \
                    and o.booked_at is null and w.ledger = o.ledger and w.payment_id = o.payment_id \
                    returning o.outcome, o.amount_msat, o.fee_msat, w.amount_msat, w.max_fee_msat";
    let mut back = 0;
    for row in transaction.query(outcomes, &[&name]).await? {
        let withdrawn = row.get::<_, i64>(3) + row.get::<_, i64>(4);
        back += match row.get(0) {
            "sent" => withdrawn - row.get::<_, i64>(1) - row.get::<_, i64>(2),
            "failed" => withdrawn,
            other => panic!("{other} is not known here"),
        };
    }
    let update = format!("update public.\"balance-{name}\" set msat = msat + $1");
    transaction.execute(&update, &[&back]).await?;
    transaction.commit().await
}

/// Who is started and killed.
#[derive(Debug, Clone, Copy)]
enum Side {
    User,
    Writer,
}

/// Both sides, each behind a proxy of its own.
struct Sides {
    name: String,
    node: Node,
    port: u16,
    user: Proxy,
    writer: Proxy,
}

impl Sides {
    fn new(name: &str, node: Node, server: u16) -> Self {
        let port = afar::listen(&node);
        let (user, writer) = (Proxy::to(server), Proxy::to(server));
        Self { name: name.into(), node, port, user, writer }
    }

    const fn proxy(&self, side: Side) -> &Proxy {
        match side {
            Side::User => &self.user,
            Side::Writer => &self.writer,
        }
    }

    fn start(&self, side: Side, until: u64) -> Child {
        let test = match side {
            Side::User => "orders_killed::a_user",
            Side::Writer => "orders_killed::a_writer",
        };
        let port = self.proxy(side).port;
        Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", test, "--nocapture"])
            .env(ADDRESS, format!("host=127.0.0.1 port={port} user=postgres dbname=postgres"))
            .env(LEDGER_NAME, &self.name)
            .env(NODE, self.port.to_string())
            .env(UNTIL, until.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process")
    }

    /// Lets one run to its end.
    fn run(&self, side: Side, until: u64) {
        let output = self.start(side, until).wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "the {side:?} failed:\n{said}");
    }

    /// Starts one and kills it once so many bytes went this way; tells whether it was killed before it
    /// had ended.
    fn run_and_kill(&self, side: Side, until: u64, way: Way, bytes: usize) -> bool {
        let proxy = self.proxy(side);
        let (told, tells) = mpsc::channel();
        proxy.tell_of_cut(told.clone());
        proxy.cut_after(way, bytes, End::Silent);
        let mut child = self.start(side, until);
        let mut output = child.stdout.take().expect("it is a pipe");
        let reader = thread::spawn(move || {
            let _ = output.read_to_string(&mut String::new());
            let _ = told.send(());
        });
        tells.recv().expect("it comes that far, or ends");
        // SIGKILL. One that has ended already needs none.
        let _ = child.kill();
        let is_killed = !child.wait().expect("it was ours").success();
        reader.join().expect("no panic");
        proxy.mend();
        is_killed
    }

    /// How many bytes one that is not killed sends and reads.
    fn measure(&self, side: Side, until: u64) -> [usize; 2] {
        let [sent, received] = self.proxy(side).passed();
        self.run(side, until);
        let [sent_later, received_later] = self.proxy(side).passed();
        [sent_later - sent, received_later - received]
    }

    fn sql(text: &str) -> i64 {
        let cluster = shared("orders").expect("it runs");
        cluster.sql(text).parse().expect("a number")
    }

    fn balance(&self) -> i64 {
        Self::sql(&format!("select msat from public.\"balance-{}\"", self.name))
    }

    /// Whatever was killed when: what is gone from the balance is what was ordered, less what was booked.
    fn check_tables(&self) {
        // One statement, and so one moment: what was on its way when its sender was killed may still be
        // committed between two.
        let before = Self::sql(&format!(
            "select (select msat from public.\"balance-{name}\")::bigint \
             + coalesce(sum(w.amount_msat + w.max_fee_msat - coalesce(b.back, 0)), 0)::bigint \
             from payonce.orders w left join (select o.ledger, o.payment_id, case o.outcome \
               when 'failed' then w.amount_msat + w.max_fee_msat \
               else w.amount_msat + w.max_fee_msat - o.amount_msat - o.fee_msat end as back \
               from payonce.outcomes o join payonce.orders w using (ledger, payment_id) \
               where o.booked_at is not null) b using (ledger, payment_id) \
             where w.ledger = (select number from payonce.ledgers where name = '{name}')",
            name = self.name
        ));
        assert_eq!(before, BALANCE, "a withdrawal without its order, or the reverse");
    }

    /// By the node's books: each order was paid once, and the balance lacks just that.
    fn check_books(&self, orders: u64) {
        let spent: i64 = (0..orders)
            .map(|nth| {
                let left = self.node.left_for(&Order::nth(nth));
                let [amount] = left[..] else { panic!("order {nth} was paid as {left:?}") };
                i64::try_from(amount).expect("small") + 1
            })
            .sum();
        assert_eq!(self.balance(), BALANCE - spent);
        assert_eq!(self.node.paid() as u64, orders, "and nothing else was paid");
    }
}

fn set_up(cluster: &Cluster, name: &str) {
    drop(PostgresStore::create(cluster.config(), name, LEDGER).expect("a new ledger"));
    cluster.sql(&format!(
        "create table public.\"balance-{name}\" (msat bigint not null check (msat >= 0));
         insert into public.\"balance-{name}\" values ({BALANCE});
         create table public.\"withdrawals-{name}\" (nth bigint primary key)"
    ));
}

#[test]
fn a_balance_is_never_wrong_although_both_processes_are_killed() {
    let name = fresh_name();
    let sides = {
        let Some(cluster) = shared("orders") else { return };
        set_up(&cluster, &name);
        Sides::new(&name, Node::default(), cluster.port())
    };
    let user = sides.measure(Side::User, 1);
    let writer = sides.measure(Side::Writer, 1);
    let rounds = if is_long() { 200 } else { 10 };
    let mut killed = [0, 0];
    for round in 0..rounds {
        let until = u64::try_from(round).expect("small") + 2;
        let way = if round % 2 == 0 { Way::ToServer } else { Way::ToClient };
        let at = |bytes: [usize; 2]| 1 + bytes[way as usize] * round / rounds;
        // Both at the same time, as in production.
        thread::scope(|scope| {
            let user = scope.spawn(|| sides.run_and_kill(Side::User, until, way, at(user)));
            killed[1] += usize::from(sides.run_and_kill(Side::Writer, until, way, at(writer)));
            killed[0] += usize::from(user.join().expect("no panic"));
        });
        sides.check_tables();
        sides.run(Side::User, until);
        sides.run(Side::Writer, until);
        sides.run(Side::User, until);
        sides.check_tables();
        sides.check_books(until);
    }
    // The last few points may lie behind the end of a run that had less to do.
    assert!(killed.iter().all(|killed| *killed > rounds / 2), "{killed:?} of {rounds} were killed");
}
