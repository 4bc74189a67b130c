//! Engines that are not LND: one that knows our ids, one that knows nothing, and a till that counts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use payonce_core::{
    Assertion, BlockedHash, LedgerId, MaxFee, Msat, Opening, PartId, PaymentHash, PaymentId,
    Preimage, Remember, Request, RetryPolicy, Status, UnixMillis,
};
use payonce_engine::{
    AssertError, Engine, EngineError, HandOver, Key, Lookup, Memory, Options, PayAnswer, PayError,
    Payer, Payout, Promises, Refusal, Shown, StartError, StartReport, Starting, Why, Wire,
    Witnessed, async_trait,
};
use payonce_store_memory::{MemoryDisk, MemoryStore};
use tokio::sync::Notify;

/// Pays what arrives, by its key, and can let requests go astray.
#[derive(Debug)]
pub(crate) struct Till {
    key: Key,
    wire: Wire,
    pub(crate) books: Mutex<Books>,
    pub(crate) bell: Notify,
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    paid: HashMap<PaymentHash, u32>,
    parts: HashMap<PartId, PaymentHash>,
    /// How many of the next requests arrive, and their answers do not; and how many get lost.
    unanswered: u32,
    pub(crate) lost: u32,
    asked: u32,
    /// What is shown of every hash that is not paid; what the next requests are answered with, unread.
    shows: Option<Shown>,
    pub(crate) not_now: u32,
    /// Why every request fails at once, if it does.
    pub(crate) fails: Option<&'static str>,
    pub(crate) said: u32,
    /// Whether it is set up for other requests than it gets; how often it was asked that.
    pub(crate) unfit: bool,
    checked: u32,
}

pub(crate) fn preimage(nth: u8) -> Preimage {
    Preimage::from_bytes([nth; 32])
}

impl Till {
    pub(crate) fn new(key: Key) -> Arc<Self> {
        Self::behind(key, Wire::Direct)
    }

    fn behind(key: Key, wire: Wire) -> Arc<Self> {
        Arc::new(Self { key, wire, books: Mutex::default(), bell: Notify::new() })
    }

    pub(crate) fn payouts(&self, hash: &PaymentHash) -> u32 {
        self.books.lock().expect("no panic").paid.get(hash).copied().unwrap_or(0)
    }

    /// Waits until it was asked so often more.
    pub(crate) async fn asked_times(&self, times: u32) {
        let from = self.books.lock().expect("no panic").asked;
        let asked = async {
            while self.books.lock().expect("no panic").asked < from + times {
                self.bell.notified().await;
            }
        };
        let asked = tokio::time::timeout(Duration::from_secs(20), asked).await;
        asked.expect("it is asked");
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
        Promises { key: self.key, memory: Memory::Kept, wire: self.wire }
    }

    fn check(&self, _: &Request) -> Result<(), Refusal> {
        let mut books = self.books.lock().expect("no panic");
        books.checked += 1;
        self.bell.notify_one();
        let why = || Refusal { why: "it is set up for another network".into(), permanent: false };
        if books.unfit { Err(why()) } else { Ok(()) }
    }

    fn refuses_late_from(&self, _: &Request) -> Option<UnixMillis> {
        None
    }

    async fn pay(&self, hand_over: &HandOver) -> PayAnswer {
        let HandOver { part, payment_hash, .. } = *hand_over;
        let mut books = self.books.lock().expect("no panic");
        books.said += 1;
        let unknown = PayAnswer::Unknown(EngineError::Unreachable { why: "it broke".into() });
        if books.not_now > 0 {
            books.not_now -= 1;
            return PayAnswer::NotNow(EngineError::Unreachable {
                why: "its wallet is locked".into(),
            });
        }
        if books.lost > 0 {
            books.lost -= 1;
            return unknown;
        }
        if let Some(reason) = books.fails {
            let reason = reason.into();
            return PayAnswer::Taken(Shown::Failed { mark: Some(1), permanent: false, reason });
        }
        let known = books.parts.insert(part, payment_hash).is_some();
        if !(self.key == Key::Part && known) {
            *books.paid.entry(payment_hash).or_default() += 1;
        }
        if books.unanswered > 0 {
            books.unanswered -= 1;
            return unknown;
        }
        if known { PayAnswer::AlreadyThere } else { PayAnswer::Taken(Self::shown(&payment_hash)) }
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
        let other = books.shows.clone().unwrap_or(Shown::NotKnown);
        Ok(if found { Self::shown(&what.payment_hash) } else { other })
    }
}

pub(crate) fn request(nth: u8) -> (PaymentId, Request) {
    let hash = preimage(nth).payment_hash();
    let fee = MaxFee::AtMost(Msat(100));
    let request = Request::invoice(hash, Msat(1_000), fee, RetryPolicy::Attempts(0));
    (PaymentId::from_payment_hash(hash), request)
}

pub(crate) async fn open(disk: &MemoryDisk) -> Starting<MemoryStore> {
    let opening = Opening::new(Remember::Forever, 42);
    let options = payonce_runtime::Options::DEFAULT;
    let starting = Starting::open(disk.open(), opening, Witnessed::ByNobody, options).await;
    let quick = (Duration::from_millis(5), Duration::from_millis(20));
    starting.expect("opens").options(Options::default().poll(quick).say_again(quick))
}

pub(crate) async fn start(
    disk: &MemoryDisk,
    till: &Arc<Till>,
) -> (Payer<MemoryStore>, StartReport) {
    let till: Arc<dyn Engine> = Arc::clone(till) as _;
    open(disk).await.engine("till", till).finish().await.expect("starts")
}

pub(crate) fn disk() -> MemoryDisk {
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
    assert_eq!(report.missing, ["till"]);
    let known = payer.payment_view(id).await.expect("open").expect("known");
    assert_eq!((known.status, known.unresolved), (Status::Pending, 1));
    assert_eq!(other.payouts(&preimage(5).payment_hash()), 0);
    let early =
        payer.assert_failed(report.unattended[0], Assertion::new("ann", "it is sold")).await;
    assert!(matches!(early, Err(AssertError::Refused(_))), "an operator waits 14 days");
    payer.stop().await;
    assert!(payer.ledger().clone().close_async().await.is_some());

    let opening = Opening::new(Remember::Forever, 42);
    let (options, nobody) = (payonce_runtime::Options::DEFAULT, Witnessed::ByNobody);
    let starting = Starting::open_by(disk.open(), opening, nobody, options, Arc::new(Later)).await;
    let starting = starting.expect("opens").engine("other", Arc::clone(&other) as _);
    let (payer, report) = starting.finish().await.expect("starts");
    let word = Assertion::new("ann", "it is sold, and its channels are closed");
    payer.assert_failed(report.unattended[0], word).await.expect("taken");
    let view = payer.outcome(id).await.expect("an end");
    assert!(matches!(view.status, Status::Failed { .. }), "{view:?}");
    assert_eq!(other.payouts(&preimage(5).payment_hash()), 0);
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

/// Of two engines one has somebody's try out; that an old try has ended with the other says nothing of it.
#[tokio::test]
async fn an_end_at_another_engine_frees_nothing() {
    let (disk, one, other) = (disk(), Till::new(Key::PaymentHash), Till::new(Key::PaymentHash));
    one.books.lock().expect("no panic").shows = Some(Shown::Out { mark: Some(3) });
    let ended = Shown::Failed { mark: Some(9), permanent: false, reason: "no route".into() };
    other.books.lock().expect("no panic").shows = Some(ended.clone());
    let mut starting = open(&disk).await;
    for (name, till) in [("one", &one), ("other", &other)] {
        starting = starting.engine(name, Arc::clone(till) as _);
    }
    let (payer, _) = starting.finish().await.expect("starts");
    let (id, request) = request(6);
    payer.pay(id, request).await.expect("accepted");
    let blocked = |state: &payonce_core::State| state.blocked_hashes().count();
    while payer.ledger().query_async(blocked).await.expect("open") == 0 {
        one.bell.notified().await;
    }
    // It is forgotten there: nobody knows what came of it, whatever the other shows.
    one.books.lock().expect("no panic").shows = None;
    one.asked_times(5).await;
    assert_eq!(payer.ledger().query_async(blocked).await.expect("open"), 1);
    assert_eq!(
        (one.books.lock().expect("no panic").said, other.books.lock().expect("no panic").said),
        (0, 0)
    );
    payer.stop().await;
    assert!(payer.ledger().clone().close_async().await.is_some());
    let engine: Arc<dyn Engine> = Arc::clone(&one) as _;
    let (payer, report) = open(&disk).await.engine("one", engine).finish().await.expect("starts");
    let block = BlockedHash { payment_hash: preimage(6).payment_hash(), engine: "one".into() };
    assert_eq!((report.blocked, report.missing), (vec![block], vec![]));
    one.books.lock().expect("no panic").shows = Some(ended);
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(one.payouts(&preimage(6).payment_hash()), 1);
    payer.stop().await;
}

/// An engine without marks has one try of a hash: the end of a second could not be told from the first's.
#[tokio::test]
async fn without_marks_a_hash_is_tried_once() {
    let (disk, till) = (disk(), Till::new(Key::PaymentHash));
    let ended = Shown::Failed { mark: None, permanent: false, reason: "no route".into() };
    till.books.lock().expect("no panic").shows = Some(ended);
    let (payer, _) = start(&disk, &till).await;
    let (id, request) = request(7);
    payer.pay(id, request).await.expect("accepted");
    let view = payer.outcome(id).await.expect("an end");
    assert!(matches!(view.status, Status::Failed { .. }), "{view:?}");
    assert_eq!(till.books.lock().expect("no panic").said, 0);
    payer.stop().await;
}

/// Behind a wire that may repeat *not read* is not *never will be*: a copy may come when it is.
#[tokio::test]
async fn what_was_not_read_now_may_be_read_later() {
    for (wire, withdrawn) in [(Wire::Direct, true), (Wire::MayRepeat, false)] {
        let (disk, till) = (disk(), Till::behind(Key::PaymentHash, wire));
        till.books.lock().expect("no panic").not_now = u32::MAX;
        let (payer, _) = start(&disk, &till).await;
        let (id, request) = request(8);
        payer.pay(id, request).await.expect("accepted");
        while till.books.lock().expect("no panic").said < 2 {
            till.bell.notified().await;
        }
        payer.abandon(id).await.expect("known");
        if withdrawn {
            let view = payer.outcome(id).await.expect("an end");
            assert!(matches!(view.status, Status::Failed { .. }), "{view:?}");
        } else {
            let view = payer.payment_view(id).await.expect("open").expect("known");
            assert_eq!((view.unresolved, view.is_over()), (1, false), "{view:?}");
        }
        payer.stop().await;
    }
}

/// It answers every question and takes nothing, for want of a right: each try is two entries of the log, so
/// that the pauses between them must grow although each question is answered.
#[tokio::test]
async fn who_takes_nothing_is_tried_more_and_more_rarely() {
    let (disk, till) = (disk(), Till::new(Key::PaymentHash));
    till.books.lock().expect("no panic").not_now = u32::MAX;
    let pauses = (Duration::from_millis(1_500), Duration::from_secs(60));
    let starting = open(&disk).await.options(Options::default().poll(pauses));
    let starting = starting.engine("till", Arc::clone(&till) as _);
    let (payer, _) = starting.finish().await.expect("starts");
    let begun = tokio::time::Instant::now();
    let (id, request) = request(8);
    payer.pay(id, request).await.expect("accepted");
    while till.books.lock().expect("no panic").said < 3 {
        till.bell.notified().await;
    }
    // A try, 1.5 s, a try, 3 s, a try; on a busy machine later.
    assert!(begun.elapsed() >= Duration::from_millis(4_500), "{:?}", begun.elapsed());
    payer.stop().await;
}

/// A wrong word in a configuration, put right at the next start, fails no payment that was accepted.
#[tokio::test]
async fn who_is_set_up_wrong_for_now_fails_nothing() {
    let (disk, till) = (disk(), Till::new(Key::PaymentHash));
    till.books.lock().expect("no panic").not_now = u32::MAX;
    let (payer, _) = start(&disk, &till).await;
    let (id, request) = request(8);
    payer.pay(id, request).await.expect("accepted");
    let from = {
        let mut books = till.books.lock().expect("no panic");
        books.unfit = true;
        books.checked
    };
    while till.books.lock().expect("no panic").checked < from + 3 {
        till.bell.notified().await;
    }
    let view = payer.payment_view(id).await.expect("open").expect("known");
    assert_eq!(view.status, Status::Pending, "{view:?}");
    {
        let mut books = till.books.lock().expect("no panic");
        (books.unfit, books.not_now) = (false, 0);
    }
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    payer.stop().await;
}

/// Two payments of one hand-over, which nobody could take back: refused before anything is recorded.
#[tokio::test]
async fn who_notices_no_repeat_gets_none() {
    let (disk, till) = (disk(), Till::behind(Key::Nothing, Wire::MayRepeat));
    let (payer, _) = start(&disk, &till).await;
    let (id, request) = request(9);
    let refused = payer.pay(id, request).await;
    assert!(matches!(refused, Err(PayError::Engine(_))), "{refused:?}");
    assert_eq!(payer.payment_view(id).await.expect("open"), None);
    payer.stop().await;
}

/// A sink that hangs or panics at one payment's notification is no reason to keep the others from the user.
#[tokio::test]
async fn a_sink_that_hangs_at_one() {
    let (disk, till) = (disk(), Till::new(Key::PaymentHash));
    let (told, mut news) = tokio::sync::mpsc::unbounded_channel();
    let sink = Arc::new(Stuck { hangs_at: request(1).0, panics_at: request(2).0, told });
    let options = Options::default().call_timeout(Duration::from_millis(50));
    let quick = (Duration::from_millis(5), Duration::from_millis(20));
    let starting = open(&disk).await.engine("till", Arc::clone(&till) as _).sink(sink);
    let (payer, _) = starting.options(options.poll(quick)).finish().await.expect("starts");
    for nth in 1..=3 {
        let (id, request) = request(nth);
        payer.pay(id, request).await.expect("accepted");
        assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    }
    assert_eq!(news.recv().await, Some(request(3).0));
    let mut entries = payer.ledger().subscribe(1);
    let third = request(3).0;
    let waits = move |state: &payonce_core::State| {
        state.outbox().any(|notification| *notification.kind.payment() == third)
    };
    while payer.ledger().query_async(waits).await.expect("open") {
        entries.read_async().await.expect("it is acknowledged");
    }
    payer.stop().await;
}

struct Stuck {
    hangs_at: PaymentId,
    panics_at: PaymentId,
    told: tokio::sync::mpsc::UnboundedSender<PaymentId>,
}

#[async_trait]
impl payonce_engine::Sink for Stuck {
    async fn deliver(
        &self,
        told: &payonce_core::Notification,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let payment = *told.kind.payment();
        if payment == self.hangs_at {
            std::future::pending::<()>().await;
        }
        assert!(payment != self.panics_at, "this one is too much");
        self.told.send(payment)?;
        Ok(())
    }
}

/// 15 days from now.
struct Later;

impl payonce_engine::Clock for Later {
    fn now(&self) -> UnixMillis {
        UnixMillis(payonce_runtime::now().0 + 15 * 24 * 3_600_000)
    }
}
