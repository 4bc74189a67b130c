//! The engine layer's driver on two machines: one pays, the other keeps its state warm; the primary
//! dies, and the other one takes over. The till's own books say that every payment was made once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use payonce_core::{
    Head, MaxFee, Msat, Opening, PaymentHash, PaymentId, Preimage, Remember, Request, RetryPolicy,
    Status, UnixMillis,
};
use payonce_engine::{
    Engine, EngineError, HandOver, Key, Lookup, Memory, Options, PayAnswer, Payer, Payout,
    Promises, Refusal, Shown, Starting, SystemClock, Wire, Witness, Witnessed, async_trait,
};
use payonce_runtime::{Options as LedgerOptions, SharedRecovery};
use payonce_store_postgres::{
    Config, Follower, PostgresStore, Replication,
    cluster::{Cluster, is_available},
};
use tokio::{sync::Notify, task::spawn_blocking};

use crate::support::LEDGER;

const NAME: &str = "driver";
const STANDBY: &str = "payonce_standby";
const ORDERS: u64 = 60;

/// Pays whatever arrives under a part that it does not know: a second part of one hash is paid as well.
/// Reached from both machines.
#[derive(Debug, Default)]
struct Till {
    books: Mutex<Books>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Books {
    parts: BTreeSet<[u8; 32]>,
    paid: BTreeMap<[u8; 32], u32>,
    /// Every third request arrives and is not answered.
    requests: u32,
}

fn preimage(nth: u64) -> Preimage {
    let mut bytes = [0x33; 32];
    bytes[..8].copy_from_slice(&nth.to_le_bytes());
    Preimage::from_bytes(bytes)
}

impl Till {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no panic")
    }

    fn shown(hash: &PaymentHash) -> Shown {
        let preimage = (0..=ORDERS).map(preimage).find(|known| known.payment_hash() == *hash);
        let preimage = preimage.expect("one of the test's");
        Shown::Paid(Payout { preimage, amount: Some(Msat(1_000)), fee: Some(Msat(1)) })
    }

    async fn until_paid(&self, payments: usize) {
        loop {
            let rung = self.bell.notified();
            if self.books().paid.len() >= payments {
                return;
            }
            rung.await;
        }
    }
}

#[async_trait]
impl Engine for Till {
    fn promises(&self) -> Promises {
        Promises { key: Key::Part, memory: Memory::Kept, wire: Wire::Direct }
    }

    fn check(&self, _: &Request) -> Result<(), Refusal> {
        Ok(())
    }

    fn refuses_late_from(&self, _: &Request) -> Option<UnixMillis> {
        None
    }

    async fn pay(&self, hand_over: &HandOver) -> PayAnswer {
        let HandOver { part, payment_hash, .. } = *hand_over;
        let mut books = self.books();
        books.requests += 1;
        let is_new = books.parts.insert(*part.as_bytes());
        if is_new {
            *books.paid.entry(*payment_hash.as_bytes()).or_default() += 1;
        }
        let is_lost = books.requests.is_multiple_of(3);
        drop(books);
        self.bell.notify_one();
        if is_lost {
            PayAnswer::Unknown(EngineError::Unreachable { why: "the answer is lost".into() })
        } else if is_new {
            PayAnswer::Taken(Self::shown(&payment_hash))
        } else {
            PayAnswer::AlreadyThere
        }
    }

    async fn find(&self, what: &Lookup) -> Result<Shown, EngineError> {
        let books = self.books();
        let found = what.part.is_some_and(|part| books.parts.contains(part.as_bytes()));
        Ok(if found { Self::shown(&what.payment_hash) } else { Shown::NotKnown })
    }
}

/// A witness that both machines reach, and that is in no database.
#[derive(Debug, Default)]
struct Kept(Mutex<Option<Head>>);

impl Witness for Kept {
    fn load(&self) -> io::Result<Option<Head>> {
        Ok(*self.0.lock().expect("no panic"))
    }

    fn store(&self, head: Head) -> io::Result<()> {
        *self.0.lock().expect("no panic") = Some(head);
        Ok(())
    }
}

fn order(nth: u64) -> (PaymentId, Request) {
    let hash = preimage(nth).payment_hash();
    let fee = MaxFee::AtMost(Msat(100));
    let request = Request::invoice(hash, Msat(1_000), fee, RetryPolicy::Attempts(0));
    (PaymentId::from_payment_hash(hash), request)
}

fn config(cluster: &Cluster) -> Config {
    cluster.config().replication(Replication::Flushed).limit(Duration::from_secs(4))
}

fn with(starting: Starting<PostgresStore>, till: &Arc<Till>) -> Starting<PostgresStore> {
    let quick = (Duration::from_millis(5), Duration::from_millis(20));
    let options = Options::default().poll(quick).say_again(quick);
    starting.options(options).engine("till", Arc::clone(till) as _)
}

/// Pays all orders; those that an earlier machine has accepted are repeats.
async fn pay_all(payer: &Payer<PostgresStore>) {
    for nth in 0..ORDERS {
        let (id, request) = order(nth);
        payer.pay(id, request).await.expect("accepted, or a repeat");
    }
    for nth in 0..ORDERS {
        let view = payer.outcome(order(nth).0).await.expect("an end");
        assert_eq!(view.status, Status::Fulfilled, "order {nth}");
    }
}

fn two_servers() -> (Cluster, Cluster) {
    let primary = Cluster::start();
    primary.configure(&format!("synchronous_standby_names = '{STANDBY}'"));
    let standby = primary.standby(STANDBY);
    primary.reload();
    primary.wait_until_synchronous(STANDBY);
    (primary, standby)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_standby_takes_the_drivers_place() {
    if !is_available("the driver and its standby") {
        return;
    }
    let (mut primary, standby) = two_servers();
    let (till, witness) = (Arc::new(Till::default()), Arc::new(Kept::default()));
    let witnessed = || Witnessed::By(Arc::clone(&witness) as _);
    let opening = || Opening::new(Remember::Forever, 7);

    let store = PostgresStore::create(config(&primary), NAME, LEDGER).expect("a new ledger");
    let starting = Starting::open(store, opening(), witnessed(), LedgerOptions::DEFAULT).await;
    let (active, report) = with(starting.expect("opens"), &till).finish().await.expect("starts");
    assert!(!report.restored && !report.unwitnessed);
    let mut warm = Follower::open(config(&standby), NAME, 7).expect("a standby can be read");

    // Nobody stops the active machine: its server dies under it.
    let (paying, orders) = (active.clone(), 0..ORDERS);
    let accepted = tokio::spawn(async move {
        let mut accepted = 0;
        for nth in orders {
            let (id, request) = order(nth);
            if paying.pay(id, request).await.is_err() {
                break;
            }
            accepted += 1;
        }
        accepted
    });
    till.until_paid(5).await;
    let (standby, next, warm) = spawn_blocking(move || {
        warm.catch_up().expect("it reads");
        primary.kill();
        standby.promote();
        let next = standby.standby(STANDBY);
        standby.wait_until_synchronous(STANDBY);
        (standby, next, warm)
    })
    .await
    .expect("no panic");

    let take_over = move |opening: &Opening, now| {
        let recovery = warm.take_over(opening, now)?;
        Ok(SharedRecovery::from_recovery(recovery, LedgerOptions::DEFAULT))
    };
    let clock = Arc::new(SystemClock);
    let starting = Starting::open_with(opening(), witnessed(), clock, take_over).await;
    let (second, report) =
        with(starting.expect("taken over"), &till).finish().await.expect("starts");
    assert!(!report.restored, "the standby had all that the witness knows");
    pay_all(&second).await;

    // The machine that lost its server accepts nothing any more.
    accepted.await.expect("no panic");
    let (id, request) = order(ORDERS);
    active.pay(id, request).await.expect_err("its log is gone");
    active.stop().await;
    second.stop().await;
    let books = till.books();
    for nth in 0..ORDERS {
        let paid = books.paid.get(preimage(nth).payment_hash().as_bytes());
        assert_eq!(paid, Some(&1), "order {nth}");
    }
    assert_eq!(books.paid.len() as u64, ORDERS, "and nothing else");
    drop((standby, next));
}
