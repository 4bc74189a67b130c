//! Two machines, one ledger in PostgreSQL: the primary dies while a payment is out, the standby is
//! promoted, the other machine takes over with the state that it kept warm, and nothing is paid twice.
//!
//! ```sh
//! cargo run -p payonce-store-postgres --example failover
//! ```
//!
//! It starts a primary and a synchronous standby of its own in a temporary folder; Debian's
//! `postgresql` must be installed.

use std::{error::Error, time::Duration};

use payonce_core::{
    Answer, ClaimPart, Dispatch, FinalizePart, Ledger, LedgerId, MaxFee, Msat, NewPart, Opening,
    PartId, Pay, PayReply, PaymentId, Preimage, Remember, Request, RetryPolicy, UnixMillis,
    WithdrawPart,
};
use payonce_store_postgres::{
    Config, Follower, PostgresStore, Replication,
    cluster::{Cluster, is_available},
};

const NAME: &str = "node-7";
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// The node, reached from both machines: it knows what was offered to it. Whoever attaches last may act
/// on its channels, and nobody else.
#[derive(Default)]
struct Node {
    attached: &'static str,
    offered: Vec<PartId>,
}

fn request(preimage: Preimage) -> Request {
    let fee = MaxFee::AtMost(Msat(500));
    Request::invoice(preimage.payment_hash(), Msat(50_000), fee, RetryPolicy::Attempts(3))
}

fn config(cluster: &Cluster, machine: &str) -> Config {
    // No payment is acknowledged that the standby has not on its disk.
    cluster
        .config()
        .replication(Replication::Flushed)
        .holder(machine)
        .limit(Duration::from_secs(10))
}

/// A primary whose commits wait for a standby.
fn two_servers() -> (Cluster, Cluster) {
    let primary = Cluster::start();
    primary.configure("synchronous_standby_names = 'standby'");
    let standby = primary.standby("standby");
    primary.reload();
    primary.wait_until_synchronous("standby");
    (primary, standby)
}

/// Records a part and, in one of two cases, offers it before the machine dies.
fn pay(
    ledger: &mut Ledger<PostgresStore>,
    node: &mut Node,
    nth: u8,
    is_offered: bool,
) -> Result<(), Box<dyn Error>> {
    let (id, part) = (PaymentId::from_bytes([nth; 32]), PartId::from_bytes([nth; 32]));
    ledger.execute(Pay::new(id, request(Preimage::from_bytes([nth; 32]))), NOW)?;
    let parts = vec![NewPart::htlc(part, Msat(50_000), Msat(100), 800_000)];
    ledger.execute(Dispatch { id, attempt: 1, parts }, NOW)?;
    if is_offered {
        assert_eq!(node.attached, "machine A");
        node.offered.push(part);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it tells its story")]
fn main() -> Result<(), Box<dyn Error>> {
    if !is_available("the example") {
        return Ok(());
    }
    let (mut primary, standby) = two_servers();
    let mut node = Node::default();
    let opening = Opening::new(Remember::Forever, 42); // in earnest a random, secret seed

    let ledger = LedgerId::from_bytes([7; 32]);
    let store = PostgresStore::create(config(&primary, "machine A"), NAME, ledger)?;
    node.attached = "machine A";
    let mut a = Ledger::open(store, &opening, NOW)?.finish(NOW)?;
    pay(&mut a, &mut node, 1, true)?;
    pay(&mut a, &mut node, 2, false)?;
    println!("A has recorded two parts and offered one. Its head: {}", a.head());
    let witness = a.head(); // the node keeps it with its channels

    // B reads the standby, which cannot notify: it looks by itself.
    let mut b = Follower::open(config(&standby, "machine B"), NAME, 42)?;
    while b.state().head() != witness {
        b.follow(Duration::from_millis(50))?;
    }
    println!("B follows, and knows of {} parts that are out", b.state().unresolved().len());

    primary.kill();
    println!("the primary is dead; the standby is promoted, and gets a standby of its own");
    standby.promote();
    let _next = standby.standby("standby");

    // First the node, so that A can offer nothing any more; then the ledger.
    node.attached = "machine B";
    let mut recovery = b.take_over(&opening.known_head(witness), NOW)?;
    assert!(!recovery.lacks_known_head(), "the standby had everything");
    let mut answers = Vec::new();
    for open in recovery.unresolved()? {
        let (id, part) = (open.payment, open.part.id);
        if node.offered.contains(&part) {
            let preimage = Preimage::from_bytes(*id.as_bytes()); // as the node tells
            answers.push(Answer::Claimed(ClaimPart::new(id, part, preimage)));
            answers.push(Answer::Gone(FinalizePart { id, part }));
        } else {
            answers.push(Answer::NeverSent(WithdrawPart { id, part }));
        }
    }
    for reply in recovery.answer(answers, NOW)? {
        reply?;
    }
    let mut b = recovery.finish(NOW)?;
    for nth in [1, 2] {
        let id = PaymentId::from_bytes([nth; 32]);
        let again = b.execute(Pay::new(id, request(Preimage::from_bytes([nth; 32]))), NOW)?;
        let PayReply::Duplicate(view) = again else { panic!("it was accepted by A") };
        println!("payment {nth} as B tells it: {:?}", view.status);
    }
    println!("due, to be sent by B: {}", b.query(|state| state.due(NOW).len())?);

    match a.query(|state| state.counts().pending) {
        Ok(_) => println!("A could still answer from memory, for half a second at most"),
        Err(error) => println!("A, which comes back: {error}"),
    }
    Ok(())
}
