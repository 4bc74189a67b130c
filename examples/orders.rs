//! A shop whose customers' balances and whose payments are never of two minds: a withdrawal and its order
//! are one transaction, and so are an outcome and its booking. Both processes, the shop's and the
//! writer's, are killed with SIGKILL at each of their worst moments.
//!
//! ```sh
//! cargo run -p payonce-store-postgres --example orders
//! ```
//!
//! It starts a server of its own in a temporary folder; Debian's `postgresql` must be installed.

#![expect(clippy::print_stdout, reason = "it tells its story")]

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use payonce_core::{
    Answer, ClaimPart, Dispatch, FinalizePart, Ledger, LedgerId, Msat, NewPart, Opening, PartId,
    PaymentId, Preimage, Remember, UnixMillis, WithdrawPart,
};
use payonce_store_postgres::{
    Orders, PostgresStore,
    cluster::{Cluster, is_available},
    tokio_postgres::{Client, Config as Connection, NoTls, Transaction},
};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const NAME: &str = "node-7";
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// What a customer has at first; what an order pays, and what fees may take and do take, in msat.
const BALANCE: i64 = 1_000_000;
const AMOUNT: i64 = 50_000;
const MAX_FEE: i64 = 500;
const FEE: i64 = 100;

/// Where each process is killed, in a run each.
const SHOP: [&str; 3] = ["withdrawn, not committed", "ordered", "booked, not committed"];
const WRITER: [&str; 4] = ["in the ledger, unanswered", "recorded, not sent", "sent", "told"];

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["shop", address, orders, stage] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(shop(address, orders.parse()?, stage))
        }
        ["writer", address, node, stage] => writer(address, Path::new(node), stage),
        _ if !is_available("the example") => Ok(()),
        _ => story(),
    }
}

fn story() -> Result<()> {
    let cluster = Cluster::start();
    let address = cluster.address();
    drop(PostgresStore::create(cluster.config(), NAME, LedgerId::from_bytes([7; 32]))?);
    cluster.sql(&format!(
        "create table public.balances (customer int primary key, msat bigint check (msat >= 0));
         insert into public.balances values (7, {BALANCE});
         create table public.withdrawals (nth bigint primary key)"
    ));
    let folder = tempfile::tempdir()?;
    let node = folder.path().join("node");
    let node = node.to_str().ok_or("a path")?;
    let balance = || cluster.sql("select msat from public.balances");
    let mut orders = 0;
    for stage in SHOP.into_iter().chain(WRITER) {
        orders += 1;
        let nth = orders.to_string();
        // Whoever is to be killed is; the others, and its successor, do their work.
        run(&["shop", &address, &nth, stage])?;
        run(&["shop", &address, &nth, "nowhere"])?;
        run(&["writer", &address, node, stage])?;
        run(&["writer", &address, node, "nowhere"])?;
        run(&["shop", &address, &nth, stage])?;
        run(&["shop", &address, &nth, "nowhere"])?;
        println!("{orders} orders, killed when {stage:<26} balance {} msat", balance());
        assert_eq!(balance(), (BALANCE - i64::from(orders) * (AMOUNT + FEE)).to_string());
    }
    let sent = fs::read_to_string(node)?.lines().count();
    println!("the node sent {sent} payments for {orders} orders");
    assert_eq!(sent, usize::try_from(orders)?, "each once");
    Ok(())
}

/// Runs one side, and kills it when it says that it is where it is to be killed.
fn run(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(env::current_exe()?);
    let mut child = command.args(arguments).stdout(Stdio::piped()).spawn()?;
    for line in BufReader::new(child.stdout.take().ok_or("it is piped")?).lines() {
        if line? == "kill me" {
            child.kill()?;
            child.wait()?;
            return Ok(());
        }
    }
    if child.wait()?.success() { Ok(()) } else { Err(format!("{arguments:?} failed").into()) }
}

/// Waits to be killed, if that is to be here.
fn here(stage: &str, is_at: &str) {
    if stage == is_at {
        println!("kill me");
        loop {
            std::thread::park();
        }
    }
}

/// The payment's id, the caller's own; its secret is the payee's.
fn secret(nth: i64) -> [u8; 32] {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&nth.to_be_bytes());
    bytes
}

/// The shop: withdraws and orders until there are so many orders, and books what came of them.
async fn shop(address: &str, orders: i64, stage: &str) -> Result<()> {
    let (mut client, connection) = address.parse::<Connection>()?.connect(NoTls).await?;
    tokio::spawn(connection);
    let placed = client.query_one("select count(*) from public.withdrawals", &[]).await?;
    for nth in placed.get::<_, i64>(0) + 1..=orders {
        let transaction = client.transaction().await?;
        withdraw(&transaction, nth).await?;
        here(stage, SHOP[0]);
        transaction.commit().await?;
        here(stage, SHOP[1]);
    }
    book(&mut client, stage).await
}

async fn withdraw(transaction: &Transaction<'_>, nth: i64) -> Result<()> {
    transaction.execute("insert into public.withdrawals values ($1)", &[&nth]).await?;
    let text = "update public.balances set msat = msat - $1 where customer = 7";
    transaction.execute(text, &[&(AMOUNT + MAX_FEE)]).await?;
    let (id, hash) = (secret(nth), Preimage::from_bytes(secret(nth)).payment_hash());
    let (id, hash) = (id.as_slice(), hash.as_bytes().as_slice());
    let text = "insert into payonce.orders \
                (ledger, payment_id, payment_hash, amount_msat, max_fee_msat, attempts) \
                select number, $2, $3, $4, $5, 3 from payonce.ledgers where name = $1";
    transaction.execute(text, &[&NAME, &id, &hash, &AMOUNT, &MAX_FEE]).await?;
    Ok(())
}

/// Books each outcome once: what was not spent comes back.
async fn book(client: &mut Client, stage: &str) -> Result<()> {
    let transaction = client.transaction().await?;
    let text = "update payonce.outcomes set booked_at = now() where booked_at is null \
                returning outcome, amount_msat, fee_msat";
    let mut back = 0;
    for row in transaction.query(text, &[]).await? {
        back += AMOUNT + MAX_FEE;
        if row.get::<_, &str>(0) == "sent" {
            back -= row.get::<_, i64>(1) + row.get::<_, i64>(2);
        }
    }
    let text = "update public.balances set msat = msat + $1 where customer = 7";
    transaction.execute(text, &[&back]).await?;
    if back > 0 {
        here(stage, SHOP[2]);
    }
    Ok(transaction.commit().await?)
}

/// What the node has sent: a line a part, on its own disk.
fn sent(node: &Path) -> String {
    fs::read_to_string(node).unwrap_or_default()
}

/// The writer: takes the ledger over, answers for what its predecessor left, serves the orders, and pays.
fn writer(address: &str, node: &Path, stage: &str) -> Result<()> {
    let store = PostgresStore::open(address.parse()?, NAME)?;
    let orders = Orders::open(address.parse()?, NAME)?;
    let opening = Opening::new(Remember::Forever, 42); // in earnest a random, secret seed
    let mut recovery = Ledger::open(store, &opening, NOW)?;
    // The process before this one is dead: what the node has not sent by now was never sent.
    let mut answers = Vec::new();
    for open in recovery.unresolved()? {
        let (id, part) = (open.payment, open.part.id);
        if sent(node).contains(&part.to_string()) {
            answers.extend(settled(id, part));
        } else {
            answers.push(Answer::NeverSent(WithdrawPart { id, part }));
        }
    }
    for reply in recovery.answer(answers, NOW)? {
        reply?;
    }
    let mut ledger = recovery.finish(NOW)?;
    for order in orders.waiting(1)? {
        ledger.execute(payonce_core::Pay::new(order.payment, order.request), NOW)?;
        here(stage, WRITER[0]);
    }
    orders.serve(&mut ledger, NOW)?;
    for due in ledger.query(|state| state.due(NOW))? {
        pay(&mut ledger, node, due.id, stage)?;
    }
    for notification in ledger.query(|state| state.outbox().collect::<Vec<_>>())? {
        orders.tell(&notification)?;
        here(stage, WRITER[3]);
    }
    orders.serve(&mut ledger, NOW)?;
    Ok(())
}

fn pay(ledger: &mut Ledger<PostgresStore>, node: &Path, id: PaymentId, stage: &str) -> Result<()> {
    let remaining = ledger.query(|state| state.remaining(&id))?.ok_or("it is known")?;
    // Never reused: each try has another one.
    let mut part = *id.as_bytes();
    part[31] = u8::try_from(ledger.head().seq % 251)?;
    let part = PartId::from_bytes(part);
    let parts = vec![NewPart::htlc(part, remaining.amount, Msat(FEE.unsigned_abs()), 800_000)];
    ledger.execute(Dispatch { id, attempt: remaining.attempt, parts }, NOW)?;
    here(stage, WRITER[1]);
    let mut node = fs::File::options().create(true).append(true).open(node)?;
    writeln!(node, "{part}")?;
    here(stage, WRITER[2]);
    let preimage = Preimage::from_bytes(*id.as_bytes()); // as the node tells
    ledger.execute(ClaimPart::new(id, part, preimage), NOW)?;
    ledger.execute(FinalizePart { id, part }, NOW)?;
    Ok(())
}

fn settled(id: PaymentId, part: PartId) -> [Answer; 2] {
    let preimage = Preimage::from_bytes(*id.as_bytes());
    [Answer::Claimed(ClaimPart::new(id, part, preimage)), Answer::Gone(FinalizePart { id, part })]
}
