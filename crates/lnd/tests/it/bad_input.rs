//! What a node, a certificate, a macaroon or a user may get wrong: a clear error, nothing recorded that was
//! not asked for, no fact invented.

use std::time::Duration;

use lightning_invoice::Currency;
use payonce_core::{CustomRecord, MaxFee, Msat, PaymentId, Request, RetryPolicy, Status, Target};
use payonce_engine::{Engine as _, EngineError, Lookup, PayError, Shown};
use payonce_lnd::{Config, ConfigError, Lnd, Network, request};

use crate::{
    bills::{Terms, bill, bill_on},
    fake::{ADMIN, Certificate, FakeLnd, Nonsense},
    house::{House, config, lnd, once},
};

fn client(fake: &FakeLnd) -> Lnd {
    Lnd::new(config(&fake.address.to_string(), &fake.certificate.pem, ADMIN)).expect("a node")
}

fn lookup(hash: [u8; 32]) -> Lookup {
    Lookup { part: None, payment_hash: payonce_core::PaymentHash::from_bytes(hash) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_says_that_cannot_be() {
    let fake = FakeLnd::start().await;
    let (bill, engine) = (bill(1), client(&fake));
    fake.books.invoice(bill.hash, bill.preimage, &[]);
    fake.books.init(bill.hash, 50_000, bill.text.clone()).expect("read");
    for (nonsense, what) in [
        (Nonsense::WrongPreimage, "a preimage that is not its own"),
        (Nonsense::NoPreimage, "without a preimage"),
        (Nonsense::OtherHash, "it answers about"),
        (Nonsense::UnknownStatus, "status 77"),
        (Nonsense::Nothing, "says nothing"),
    ] {
        fake.books.lock().nonsense = nonsense;
        match engine.find(&lookup(bill.hash)).await {
            Err(EngineError::Nonsense { what: said }) => assert!(said.contains(what), "{said}"),
            other => panic!("{nonsense:?}: {other:?}"),
        }
    }
    // The proof is true whatever the figures are: those that cannot be are not known.
    for nonsense in [Nonsense::NegativeFee, Nonsense::HugeFee] {
        fake.books.lock().nonsense = nonsense;
        let shown = engine.find(&lookup(bill.hash)).await.expect("an answer");
        assert!(matches!(shown, Shown::Paid(payout) if payout.fee.is_none()), "{shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reason_that_nobody_knows_ends_nothing() {
    let fake = FakeLnd::start().await;
    let (bill, engine) = (bill(1), client(&fake));
    fake.books.invoice(bill.hash, bill.preimage, &[crate::fake_failure()]);
    fake.books.init(bill.hash, 50_000, bill.text.clone()).expect("read");
    fake.books.lock().nonsense = Nonsense::UnknownReason;
    let shown = engine.find(&lookup(bill.hash)).await;
    assert!(matches!(shown, Err(EngineError::Nonsense { .. })), "{shown:?}");
}

/// Nothing of it reaches the ledger: the payment is out until the node makes sense again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_records_nothing() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let (house, bill) = (House::build(dir.path()), bill(2));
    fake.books.invoice(bill.hash, bill.preimage, &[]);
    fake.books.lock().nonsense = Nonsense::WrongPreimage;
    let engine = lnd(config(&fake.address.to_string(), &fake.certificate.pem, ADMIN));
    let (payer, _) = house.start(engine).await;
    let (id, request) = once(&bill.text);
    payer.pay(id, request).await.expect("accepted");
    let mut changed = fake.books.changed.subscribe();
    let asked = changed.wait_for(|_| fake.books.lock().asked > 6);
    let asked = tokio::time::timeout(Duration::from_secs(30), asked).await;
    drop(asked.expect("in time").expect("the books stay"));
    let view = payer.payment_view(id).await.expect("open").expect("known");
    assert_eq!((view.status, view.unresolved), (Status::Pending, 1));
    assert_eq!(house.told_lines(), Vec::<String>::new());
    fake.books.change(|inner| inner.nonsense = Nonsense::None);
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(fake.books.payouts(&bill.hash), 1);
    payer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates() {
    let expired = FakeLnd::with(Certificate::new(true)).await;
    let found = client(&expired).find(&lookup([1; 32])).await;
    assert!(
        matches!(&found, Err(EngineError::Denied { why }) if why.contains("xpired")),
        "{found:?}"
    );
    let fake = FakeLnd::start().await;
    let other = Certificate::new(false);
    let config = config(&fake.address.to_string(), &other.pem, ADMIN);
    let found = Lnd::new(config).expect("a node").find(&lookup([1; 32])).await;
    assert!(matches!(&found, Err(EngineError::Denied { .. })), "{found:?}");
    let found = client(&fake).find(&lookup([1; 32])).await;
    assert_eq!(found, Ok(Shown::NotKnown), "its own is believed");
    let made = |address: &str, pem: &str, macaroon: &[u8]| {
        let memory = payonce_engine::Memory::Kept;
        Lnd::new(Config::new(address, pem, macaroon, Network::Simnet, memory)).map(|_| ())
    };
    assert!(matches!(made("nowhere", &other.pem, ADMIN), Err(ConfigError::Address { .. })));
    assert!(matches!(made("a:1", "none", ADMIN), Err(ConfigError::Certificate { .. })));
    assert!(matches!(made("a:1", &other.pem, b""), Err(ConfigError::Macaroon)));
}

/// A wallet that is locked, a right that is missing: nothing goes out, and it is paid when that is mended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_still_starting() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let (house, bill) = (House::build(dir.path()), bill(3));
    fake.books.invoice(bill.hash, bill.preimage, &[]);
    let locked = "wallet locked, unlock it to enable full RPC access";
    fake.books.lock().error = Some(locked.into());
    let engine = lnd(config(&fake.address.to_string(), &fake.certificate.pem, ADMIN));
    assert!(matches!(engine.is_active().await, Err(EngineError::Unreachable { .. })));
    let (payer, _) = house.start(engine.clone()).await;
    let (id, request) = once(&bill.text);
    payer.pay(id, request).await.expect("accepted");
    let mut changed = fake.books.changed.subscribe();
    let asked = changed.wait_for(|_| fake.books.lock().asked > 0);
    drop(asked.await.expect("the books stay"));
    let view = payer.payment_view(id).await.expect("open").expect("known");
    assert_eq!((view.unresolved, fake.books.read(&bill.hash)), (0, 0));
    fake.books.change(|inner| inner.error = None);
    assert_eq!(engine.is_active().await, Ok(()));
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(fake.books.payouts(&bill.hash), 1);
    payer.stop().await;
}

/// One engine that never answers stops no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_of_one() {
    let (silent, fake) = (FakeLnd::start().await, FakeLnd::start().await);
    let dir = tempfile::tempdir().expect("a directory");
    let (house, first, second) = (
        House::build(dir.path()),
        bill(4),
        bill_on(5, Terms { amount_msat: Some(9_000), ..Terms::default() }),
    );
    silent.books.lock().silent = true;
    fake.books.invoice(second.hash, second.preimage, &[]);
    let mut starting = house.open().await.sink(house.sink());
    for (name, node) in [("silent", &silent), ("other", &fake)] {
        let config = config(&node.address.to_string(), &node.certificate.pem, ADMIN);
        starting = starting.engine(name, lnd(config));
    }
    let by_amount = |request: &Request| {
        if request.amount > Msat(10_000) { "silent".into() } else { "other".into() }
    };
    let (payer, _) = starting.route(by_amount).finish().await.expect("starts");
    let ((stuck, stuck_request), (id, request)) = (once(&first.text), once(&second.text));
    payer.pay(stuck, stuck_request).await.expect("accepted");
    payer.pay(id, request).await.expect("accepted");
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(silent.books.payouts(&first.hash), 0);
    payer.stop().await;
}

/// What cannot be paid exactly once is refused before anything is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_at_once() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let house = House::build(dir.path());
    let engine = lnd(config(&fake.address.to_string(), &fake.certificate.pem, ADMIN));
    let (payer, _) = house.start(engine).await;
    let (fee, retry) = (MaxFee::AtMost(Msat(9)), RetryPolicy::Manual);
    let mainnet = bill_on(6, Terms { currency: Currency::Bitcoin, ..Terms::default() });
    assert!(request(&mainnet.text, Network::Simnet, None, fee, retry).is_err());
    assert!(request("lnbc1nonsense", Network::Simnet, None, fee, retry).is_err());
    let any = bill_on(7, Terms { amount_msat: None, ..Terms::default() });
    assert!(request(&any.text, Network::Simnet, None, fee, retry).is_err(), "no amount");
    let stated = bill(8);
    assert!(request(&stated.text, Network::Simnet, Some(Msat(1)), fee, retry).is_err(), "two");

    let good = request(&stated.text, Network::Simnet, None, fee, retry).expect("an invoice");
    let offer_hash = payonce_core::OfferHash::from_bytes([1; 32]);
    let deadline = payonce_core::Deadline::Ticks(1);
    let id = PaymentId::from_bytes([1; 32]);
    for bad in [
        altered(&good, |request| request.amount = Msat(1)),
        good.clone().quantity(2),
        good.clone().payer_note("thanks"),
        good.clone().custom_records([record(65_535)]),
        good.clone().custom_records([record(5_482_373_484)]),
        good.clone().instructions(&any.text),
        good.clone().instructions([0xff; 9]),
        good.clone().payee(payonce_core::NodeId::from_bytes([2; 33])),
        good.clone().max_fee(Msat(u64::MAX)),
        altered(&good, |request| request.target = Target::Offer { offer_hash, deadline }),
    ] {
        let refused = payer.pay(id, bad).await;
        assert!(matches!(refused, Err(PayError::Engine(_))), "{refused:?}");
    }
    assert_eq!(payer.payment_view(id).await.expect("open"), None, "nothing is recorded");
    payer.stop().await;
}

fn altered(request: &Request, change: impl FnOnce(&mut Request)) -> Request {
    let mut request = request.clone();
    change(&mut request);
    request
}

fn record(tag: u64) -> CustomRecord {
    CustomRecord { tag, value: "hello".into() }
}

/// What a request says goes with it to the payee does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_travel_with_the_payment() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let house = House::build(dir.path());
    let engine = lnd(config(&fake.address.to_string(), &fake.certificate.pem, ADMIN));
    let (payer, _) = house.start(engine).await;
    let paid = bill(9);
    fake.books.invoice(paid.hash, paid.preimage, &[]);
    let (id, request) = once(&paid.text);
    let request = request.custom_records([record(65_537), record(99_999)]);
    payer.pay(id, request).await.expect("accepted");
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    let records = fake.books.lock().records.clone();
    let sent = [65_537, 99_999].map(|tag| (tag, b"hello".to_vec()));
    assert_eq!(records, sent.into_iter().collect());
    payer.stop().await;
}
