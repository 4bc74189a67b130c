//! Engines that are not LND: one that knows our ids, one that knows nothing, and a till that counts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use payonce_core::{
    Assertion, LedgerId, MaxFee, Msat, Opening, PartId, PaymentHash, PaymentId, Preimage, Remember,
    Request, RetryPolicy, Status, UnixMillis,
};
use payonce_engine::{
    Answer, AssertError, Engine, EngineError, HandOver, Key, Lookup, Memory, Options, Payer,
    Payout, Promises, Refusal, Shown, StartError, StartReport, Starting, Why, Wire, Witnessed,
    async_trait,
};
use payonce_store_memory::{MemoryDisk, MemoryStore};
use tokio::sync::Notify;

/// Pays what arrives, by its key, and can let requests go astray.
#[derive(Debug)]
struct Till {
    key: Key,
    books: Mutex<Books>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Books {
    paid: HashMap<PaymentHash, u32>,
    parts: HashMap<PartId, PaymentHash>,
    /// How many of the next requests arrive, and their answers do not; and how many get lost.
    unanswered: u32,
    lost: u32,
    asked: u32,
}

fn preimage(nth: u8) -> Preimage {
    Preimage::from_bytes([nth; 32])
}

impl Till {
    fn new(key: Key) -> Arc<Self> {
        Arc::new(Self { key, books: Mutex::default(), bell: Notify::new() })
    }

    fn payouts(&self, hash: &PaymentHash) -> u32 {
        self.books.lock().expect("no panic").paid.get(hash).copied().unwrap_or(0)
    }

    fn shown(hash: &PaymentHash) -> Shown {
        let preimage = (1..=9).map(preimage).find(|known| known.payment_hash() == *hash);
        let preimage = preimage.expect("one of the tests'");
        Shown::Paid(Payout { preimage, amount: Some(Msat(1_000)), fee: Some(Msat(1)) })
    }
}

#[async_trait]
impl Engine for Till {
    fn promises(&self) -> Promises {
        Promises { key: self.key, memory: Memory::Kept, wire: Wire::Direct }
    }

    fn check(&self, _: &Request) -> Result<(), Refusal> {
        Ok(())
    }

    fn refuses_late_from(&self, _: &Request) -> Option<UnixMillis> {
        None
    }

    async fn pay(&self, hand_over: &HandOver) -> Answer {
        let HandOver { part, payment_hash, .. } = *hand_over;
        let mut books = self.books.lock().expect("no panic");
        let unknown = Answer::Unknown(EngineError::Unreachable { why: "it broke".into() });
        if books.lost > 0 {
            books.lost -= 1;
            return unknown;
        }
        let known = books.parts.insert(part, payment_hash).is_some();
        if !(self.key == Key::Part && known) {
            *books.paid.entry(payment_hash).or_default() += 1;
        }
        if books.unanswered > 0 {
            books.unanswered -= 1;
            return unknown;
        }
        if known { Answer::AlreadyThere } else { Answer::Taken(Self::shown(&payment_hash)) }
    }

    async fn find(&self, what: &Lookup) -> Result<Shown, EngineError> {
        let mut books = self.books.lock().expect("no panic");
        books.asked += 1;
        self.bell.notify_one();
        let found = match (self.key, what.part) {
            (Key::Part, Some(part)) => books.parts.contains_key(&part),
            (Key::Part, None) => false,
            _ => books.paid.contains_key(&what.payment_hash),
        };
        Ok(if found { Self::shown(&what.payment_hash) } else { Shown::NotKnown })
    }
}

fn request(nth: u8) -> (PaymentId, Request) {
    let hash = preimage(nth).payment_hash();
    let fee = MaxFee::AtMost(Msat(100));
    let request = Request::invoice(hash, Msat(1_000), fee, RetryPolicy::Attempts(0));
    (PaymentId::from_payment_hash(hash), request)
}

async fn open(disk: &MemoryDisk) -> Starting<MemoryStore> {
    let opening = Opening::new(Remember::Forever, 42);
    let options = payonce_runtime::Options::DEFAULT;
    let starting = Starting::open(disk.open(), opening, Witnessed::ByNobody, options).await;
    let quick = (Duration::from_millis(5), Duration::from_millis(20));
    starting.expect("opens").options(Options::default().poll(quick).say_again(quick))
}

async fn start(disk: &MemoryDisk, till: &Arc<Till>) -> (Payer<MemoryStore>, StartReport) {
    let till: Arc<dyn Engine> = Arc::clone(till) as _;
    open(disk).await.engine("till", till).finish().await.expect("starts")
}

fn disk() -> MemoryDisk {
    MemoryDisk::new(LedgerId::from_bytes([7; 32]))
}

#[tokio::test]
async fn an_id_of_ours_may_be_said_again() {
    let (disk, till) = (disk(), Till::new(Key::Part));
    let (payer, report) = start(&disk, &till).await;
    assert!(report.unwitnessed);
    for (nth, lost, unanswered) in [(1, 1, 0), (2, 0, 1), (3, 2, 2)] {
        {
            let mut books = till.books.lock().expect("no panic");
            (books.lost, books.unanswered) = (lost, unanswered);
        }
        let (id, request) = request(nth);
        payer.pay(id, request.clone()).await.expect("accepted");
        let view = payer.outcome(id).await.expect("an end");
        assert_eq!(view.status, Status::Fulfilled);
        assert_eq!(till.payouts(&preimage(nth).payment_hash()), 1);
    }
    payer.stop().await;
}

#[tokio::test]
async fn who_knows_nothing_is_told_nothing_twice() {
    let (disk, till) = (disk(), Till::new(Key::Nothing));
    let (payer, _) = start(&disk, &till).await;
    till.books.lock().expect("no panic").lost = 1;
    let (id, request) = request(4);
    payer.pay(id, request).await.expect("accepted");
    while payer.attention().is_empty() {
        till.bell.notified().await;
    }
    assert!(matches!(payer.attention()[..], [(_, Why::Late)]));
    assert_eq!(till.payouts(&preimage(4).payment_hash()), 0, "an operator looks first");
    let view = payer.payment_view(id).await.expect("open").expect("known");
    assert_eq!((view.status, view.unresolved), (Status::Pending, 1));
    payer.stop().await;
    assert!(payer.ledger().clone().close_async().await.is_some());

    // With the word that nothing can wait anywhere it has failed.
    let engine: Arc<dyn Engine> = Arc::clone(&till) as _;
    let starting = open(&disk).await.engine_started_after("till", engine);
    let (payer, report) = starting.finish().await.expect("starts");
    assert_eq!(report.failed.len(), 1);
    assert!(matches!(payer.outcome(id).await.expect("an end").status, Status::Failed { .. }));
    payer.stop().await;
}

#[tokio::test]
async fn an_engine_that_is_gone_keeps_what_it_has() {
    let (disk, till) = (disk(), Till::new(Key::Nothing));
    let (payer, _) = start(&disk, &till).await;
    till.books.lock().expect("no panic").lost = 1;
    let (id, request) = request(5);
    payer.pay(id, request).await.expect("accepted");
    while payer.attention().is_empty() {
        till.bell.notified().await;
    }
    payer.stop().await;
    assert!(payer.ledger().clone().close_async().await.is_some());
    let other = Till::new(Key::Nothing);
    let engine: Arc<dyn Engine> = Arc::clone(&other) as _;
    let (payer, report) = open(&disk).await.engine("other", engine).finish().await.expect("starts");
    assert_eq!((report.unattended.len(), report.failed.len()), (1, 0));
    let known = payer.payment_view(id).await.expect("open").expect("known");
    assert_eq!((known.status, known.unresolved), (Status::Pending, 1));
    assert_eq!(other.payouts(&preimage(5).payment_hash()), 0);
    let early =
        payer.assert_failed(report.unattended[0], Assertion::new("ann", "it is sold")).await;
    assert!(matches!(early, Err(AssertError::Refused(_))), "an operator waits 14 days");
    payer.stop().await;
}

#[tokio::test]
async fn names_of_engines() {
    let till: Arc<dyn Engine> = Till::new(Key::Part);
    for names in [vec![""], vec!["one", "one"], vec![]] {
        let mut starting = open(&disk()).await;
        for name in &names {
            starting = starting.engine(name, Arc::clone(&till));
        }
        let started = starting.finish().await;
        assert!(
            matches!(started, Err(StartError::Name { .. } | StartError::NoEngine)),
            "{names:?}"
        );
    }
}
