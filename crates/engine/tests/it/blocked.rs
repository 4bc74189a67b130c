//! Hashes of which an engine has something out that is no part of the ledger: only who showed it can show its
//! end, over restarts too, and whichever engines a start is given. The judge counts what the engines paid.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use payonce_core::{BlockHash, BlockedHash, PaymentHash, Request, Status, UnblockHash, UnixMillis};
use payonce_engine::{
    Engine, EngineError, HandOver, Key, Lookup, Memory, PayAnswer, Payer, PaymentsPage, Payout,
    Promises, Refusal, Shown, StartReport, Wire, async_trait,
};
use payonce_store_memory::{MemoryDisk, MemoryStore};
use tokio::sync::watch;

use crate::till::{disk, open, preimage, request};

/// A hundred times what it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node that other programs use as well: what it shows of each hash is set by the test.
#[derive(Debug)]
struct Shared {
    books: Mutex<Books>,
    /// How often it was asked, in all.
    asked: watch::Sender<u32>,
}

#[derive(Debug, Default)]
struct Books {
    shows: HashMap<PaymentHash, Shown>,
    asked: HashMap<PaymentHash, u32>,
    handed: HashMap<PaymentHash, u32>,
    silent: bool,
}

impl Shared {
    fn new(shows: &[(u8, Shown)]) -> Arc<Self> {
        let new = Self { books: Mutex::default(), asked: watch::Sender::new(0) };
        for (nth, shown) in shows {
            new.show(*nth, shown.clone());
        }
        Arc::new(new)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no panic")
    }

    fn show(&self, nth: u8, shown: Shown) {
        self.books().shows.insert(hash(nth), shown);
    }

    fn silence(&self, silent: bool) {
        self.books().silent = silent;
    }

    /// How often it was given this hash to pay.
    fn handed(&self, nth: u8) -> u32 {
        self.books().handed.get(&hash(nth)).copied().unwrap_or(0)
    }

    /// Waits until it was asked about this hash so often more: each time all that is blocked was looked at.
    async fn asked_about(&self, nth: u8, times: u32) {
        let mut asked = self.asked.subscribe();
        let count = || self.books().asked.get(&hash(nth)).copied().unwrap_or(0);
        let from = count();
        let enough = asked.wait_for(|_| count() >= from + times);
        tokio::time::timeout(PATIENCE, enough).await.expect("it is asked").expect("it is here");
    }
}

#[async_trait]
impl Engine for Shared {
    fn promises(&self) -> Promises {
        Promises { key: Key::PaymentHash, memory: Memory::Kept, wire: Wire::Direct }
    }

    fn check(&self, _: &Request) -> Result<(), Refusal> {
        Ok(())
    }

    fn refuses_late_from(&self, _: &Request) -> Option<UnixMillis> {
        None
    }

    async fn pay(&self, hand_over: &HandOver) -> PayAnswer {
        let hash = hand_over.payment_hash;
        let mut books = self.books();
        *books.handed.entry(hash).or_default() += 1;
        books.shows.insert(hash, paid(hash));
        PayAnswer::Taken(paid(hash))
    }

    async fn find(&self, what: &Lookup) -> Result<Shown, EngineError> {
        let shown = {
            let mut books = self.books();
            *books.asked.entry(what.payment_hash).or_default() += 1;
            let shown = books.shows.get(&what.payment_hash).cloned().unwrap_or(Shown::NotKnown);
            if books.silent {
                Err(EngineError::Unreachable { why: "it is away".into() })
            } else {
                Ok(shown)
            }
        };
        self.asked.send_modify(|asked| *asked += 1);
        shown
    }

    async fn list(&self, after: u64) -> Result<Option<PaymentsPage>, EngineError> {
        let all = self.books().shows.clone().into_iter();
        let payments = if after == 0 { all.collect() } else { Vec::new() };
        Ok(Some(PaymentsPage { payments, unclear: Vec::new(), next: None }))
    }
}

fn hash(nth: u8) -> PaymentHash {
    preimage(nth).payment_hash()
}

fn paid(hash: PaymentHash) -> Shown {
    let known = (1..=9).map(preimage).find(|known| known.payment_hash() == hash);
    Shown::Paid(Payout { preimage: known.expect("one of the tests'"), amount: None, fee: None })
}

const OUT: Shown = Shown::Out { mark: Some(3) };

/// The end of the try with this mark.
fn ended(mark: u64) -> Shown {
    Shown::Failed { mark: Some(mark), permanent: false, reason: "no route".into() }
}

/// A start with these engines, of which the first gets what is due.
async fn start(
    disk: &MemoryDisk,
    engines: &[(&str, &Arc<Shared>)],
) -> (Payer<MemoryStore>, StartReport) {
    let mut starting = open(disk).await;
    for (name, engine) in engines {
        starting = starting.engine(name, Arc::clone(engine) as _);
    }
    starting.finish().await.expect("starts")
}

async fn stopped(payer: Payer<MemoryStore>) {
    payer.stop().await;
    assert!(payer.ledger().clone().close_async().await.is_some(), "closed here");
}

fn block(nth: u8, engine: &str) -> BlockedHash {
    BlockedHash { payment_hash: hash(nth), engine: engine.into() }
}

async fn pay(payer: &Payer<MemoryStore>, nth: u8) {
    let (id, request) = request(nth);
    payer.pay(id, request).await.expect("accepted");
}

async fn is_blocked(payer: &Payer<MemoryStore>, nth: u8) -> bool {
    let id = request(nth).0;
    payer.payment_view(id).await.expect("open").expect("known").blocked
}

/// Waits until a payment's hash is blocked.
async fn blocked(payer: &Payer<MemoryStore>, nth: u8) {
    let mut entries = payer.ledger().subscribe(1);
    while !is_blocked(payer, nth).await {
        let next = tokio::time::timeout(PATIENCE, entries.read_async()).await;
        next.expect("it is blocked").expect("open");
    }
}

async fn is_paid(payer: &Payer<MemoryStore>, nth: u8) {
    let outcome = tokio::time::timeout(PATIENCE, payer.outcome(request(nth).0)).await;
    let view = outcome.expect("it ends").expect("an end");
    assert_eq!(view.status, Status::Fulfilled, "{view:?}");
}

/// The engine that has it out is not given to the next start, and another shows an old failure: if that freed
/// the hash, the other would pay what the first one is paying.
#[tokio::test]
async fn an_old_end_at_another_engine_frees_nothing_after_a_restart() {
    let disk = disk();
    let one = Shared::new(&[(1, OUT)]);
    let other = Shared::new(&[(1, ended(9)), (2, OUT)]);
    let (payer, _) = start(&disk, &[("one", &one)]).await;
    pay(&payer, 1).await;
    blocked(&payer, 1).await;
    stopped(payer).await;

    let (payer, report) = start(&disk, &[("other", &other)]).await;
    assert_eq!((report.blocked, report.missing), (vec![block(1, "one")], vec!["one".into()]));
    pay(&payer, 2).await;
    blocked(&payer, 2).await;
    other.asked_about(2, 4).await;
    assert!(is_blocked(&payer, 1).await, "freed by who never had it");
    assert_eq!((one.handed(1), other.handed(1)), (0, 0), "paid by two");
    stopped(payer).await;

    // Nor where it is given, and does not answer.
    one.silence(true);
    let (payer, report) = start(&disk, &[("other", &other), ("one", &one)]).await;
    assert_eq!((report.blocked.len(), report.missing.len()), (2, 0));
    one.asked_about(1, 4).await;
    other.asked_about(2, 4).await;
    assert!(is_blocked(&payer, 1).await, "freed by who never had it");
    assert_eq!((one.handed(1), other.handed(1)), (0, 0), "paid by two");
    stopped(payer).await;

    // Its own end frees it, and it is paid once.
    one.silence(false);
    one.show(1, ended(3));
    other.show(2, ended(1));
    let (payer, _) = start(&disk, &[("one", &one), ("other", &other)]).await;
    is_paid(&payer, 1).await;
    is_paid(&payer, 2).await;
    assert_eq!((one.handed(1), other.handed(1)), (1, 0));
    stopped(payer).await;
}

/// What somebody else paid through one engine is not paid again through the other, to which new payments go.
#[tokio::test]
async fn what_was_out_is_paid_and_new_payments_go_elsewhere() {
    let disk = disk();
    let (one, other) = (Shared::new(&[(3, OUT)]), Shared::new(&[]));
    let (payer, _) = start(&disk, &[("one", &one)]).await;
    pay(&payer, 3).await;
    blocked(&payer, 3).await;
    stopped(payer).await;
    one.show(3, paid(hash(3)));
    let (payer, _) = start(&disk, &[("other", &other), ("one", &one)]).await;
    is_paid(&payer, 3).await;
    assert_eq!((one.handed(3), other.handed(3)), (0, 0), "paid by two");
    stopped(payer).await;
}

async fn is_blocked_by(payer: &Payer<MemoryStore>, engine: &str) -> bool {
    let block = block(4, engine);
    let asked = move |state: &payonce_core::State| state.blocked_hashes().any(|at| *at == block);
    payer.ledger().query_async(asked).await.expect("open")
}

/// Two engines have something out under one hash: the end of one leaves what the other has.
#[tokio::test]
async fn what_two_have_out_both_must_end() {
    let disk = disk();
    let (one, other) = (Shared::new(&[(4, OUT)]), Shared::new(&[(4, OUT), (5, OUT)]));
    let (payer, _) = start(&disk, &[("one", &one), ("other", &other)]).await;
    let rebuilt = payer.rebuild(|_| None).await.expect("told");
    assert_eq!(rebuilt.out, 3);
    stopped(payer).await;
    one.show(4, ended(3));
    let (payer, report) = start(&disk, &[("one", &one), ("other", &other)]).await;
    let mut expected = vec![block(4, "one"), block(4, "other"), block(5, "other")];
    expected.sort_unstable();
    assert_eq!(report.blocked, expected);
    let mut entries = payer.ledger().subscribe(1);
    while is_blocked_by(&payer, "one").await {
        let next = tokio::time::timeout(PATIENCE, entries.read_async()).await;
        next.expect("its end is told").expect("open");
    }
    other.asked_about(5, 4).await;
    assert!(is_blocked_by(&payer, "other").await, "freed by the first end");
    let (id, request) = request(4);
    assert!(payer.pay(id, request.clone()).await.is_err(), "accepted while it is out");
    other.show(4, ended(3));
    while is_blocked_by(&payer, "other").await {
        let next = tokio::time::timeout(PATIENCE, entries.read_async()).await;
        next.expect("its end is told").expect("open");
    }
    payer.pay(id, request).await.expect("it is free");
    is_paid(&payer, 4).await;
    assert_eq!((one.handed(4), other.handed(4)), (1, 0));
    stopped(payer).await;
}

/// An engine that is gone for good, or none that was named: an operator looks, and names whose block ends.
#[tokio::test]
async fn an_operator_ends_what_no_engine_can() {
    let disk = disk();
    let (gone, other) = (Shared::new(&[(6, OUT)]), Shared::new(&[(6, ended(1)), (7, OUT)]));
    let (payer, _) = start(&disk, &[("gone", &gone)]).await;
    pay(&payer, 6).await;
    blocked(&payer, 6).await;
    let now = payonce_runtime::now();
    payer.ledger().execute_async(BlockHash::new(hash(6)), now).await.expect("taken");
    stopped(payer).await;

    let (payer, report) = start(&disk, &[("other", &other)]).await;
    assert_eq!(report.blocked, [block(6, ""), block(6, "gone")]);
    assert_eq!(report.missing, ["gone"]);
    pay(&payer, 7).await;
    blocked(&payer, 7).await;
    for unblock in [UnblockHash::new(hash(6)), UnblockHash::new(hash(6)).engine("gone")] {
        other.asked_about(7, 3).await;
        assert!(is_blocked(&payer, 6).await, "ended by nobody's word");
        payer.ledger().execute_async(unblock, now).await.expect("taken");
    }
    is_paid(&payer, 6).await;
    assert_eq!((gone.handed(6), other.handed(6)), (0, 1));
    stopped(payer).await;
}
