//! What a node, a certificate, a macaroon or a user may get wrong: a clear error, nothing recorded that was
//! not asked for, no fact invented.

use std::time::Duration;

use lightning_invoice::Currency;
use payonce_core::{CustomRecord, MaxFee, Msat, PaymentId, Request, RetryPolicy, Status, Target};
use payonce_engine::{Engine as _, EngineError, Lookup, Memory, PayError, Shown};
use payonce_lnd::{Config, ConfigError, Lnd, Network};

use crate::{
    bills::{Terms, bill, bill_on},
    fake::{ADMIN, Certificate, FakeLnd, Fate, Nonsense, READ_ONLY},
    house::{House, config, lnd, once, with},
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
        (Nonsense::NoIndex, "without an index"),
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
    let says = "the node shows another certificate than the one in the file";
    assert!(matches!(&found, Err(EngineError::Denied { why }) if why.contains(says)), "{found:?}");
    let found = client(&fake).find(&lookup([1; 32])).await;
    assert_eq!(found, Ok(Shown::NotKnown), "its own is believed");
    let made = |address: &str, pem: &str, macaroon: &[u8]| {
        let memory = Memory::Kept;
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

#[test]
fn a_network_has_the_name_that_lnd_gives_it() {
    for name in ["mainnet", "testnet", "signet", "regtest", "simnet"] {
        assert_eq!(name.parse::<Network>().expect("a network").to_string(), name);
    }
    let unknown = "bitcoin".parse::<Network>().expect_err("LND has none of this name");
    assert_eq!(unknown.text, "bitcoin");
    let missing =
        Config::from_files("localhost:1", "no/tls.cert", "m", Network::Simnet, Memory::Kept);
    let missing = missing.expect_err("it is not there").to_string();
    assert!(missing.contains("no/tls.cert"), "it names the file: {missing}");
    assert!(unknown.to_string().contains("mainnet, testnet, signet, regtest or simnet"));
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
    assert!(Network::Simnet.request(&mainnet.text, None, fee, retry).is_err());
    assert!(Network::Simnet.request("lnbc1nonsense", None, fee, retry).is_err());
    let any = bill_on(7, Terms { amount_msat: None, ..Terms::default() });
    assert!(Network::Simnet.request(&any.text, None, fee, retry).is_err(), "no amount");
    let stated = bill(8);
    assert!(Network::Simnet.request(&stated.text, Some(Msat(1)), fee, retry).is_err(), "two");

    let good = Network::Simnet.request(&stated.text, None, fee, retry).expect("an invoice");
    let elsewhere = Network::Mainnet.request(&mainnet.text, None, fee, retry).expect("an invoice");
    let offer_hash = payonce_core::OfferHash::from_bytes([1; 32]);
    let deadline = payonce_core::Deadline::Ticks(1);
    let id = PaymentId::from_bytes([1; 32]);
    for bad in [
        elsewhere,
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

/// Waits until the node was asked so often more: whatever it shows was looked at.
async fn asked_again(fake: &FakeLnd, times: u64) {
    let (mut changed, from) = (fake.books.changed.subscribe(), fake.books.lock().asked);
    let asked = changed.wait_for(|_| fake.books.lock().asked >= from + times);
    let asked = tokio::time::timeout(Duration::from_secs(30), asked).await;
    drop(asked.expect("in time").expect("the books stay"));
}

/// The same end twice is one end: of a try that failed, and of the payment that is paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_end_twice() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let (house, bill) = (House::build(dir.path()), bill(10));
    fake.books.invoice(bill.hash, bill.preimage, &[crate::fake_failure(), Fate::Held]);
    fake.books.lock().nonsense = Nonsense::Twice;
    let engine = lnd(config(&fake.address.to_string(), &fake.certificate.pem, ADMIN));
    let (payer, _) = house.start(engine).await;
    let (id, request) = with(&bill.text, RetryPolicy::Attempts(1));
    payer.pay(id, request).await.expect("accepted");
    let mut changed = fake.books.changed.subscribe();
    let second = changed.wait_for(|_| fake.books.is_out(&bill.hash));
    drop(tokio::time::timeout(Duration::from_secs(30), second).await.expect("a second try"));
    let failed = move |state: &payonce_core::State| {
        let parts = state.payment(&id).expect("known").parts();
        parts.iter().filter(|part| part.status == payonce_core::PartStatus::Failed).count()
    };
    assert_eq!(payer.ledger().query_async(failed).await.expect("open"), 1, "one try has failed");
    fake.books.settle(&bill.hash, Fate::Paid);
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    let mut news = payer.ledger().subscribe(1);
    while payer.ledger().query_async(|state| state.counts().unread).await.expect("open") > 0 {
        news.read_async().await.expect("the outbox empties");
    }
    payer.stop().await;
    assert_eq!((fake.books.payouts(&bill.hash), fake.books.read(&bill.hash)), (1, 2));
    assert_eq!(house.told_lines().len(), 1, "{:?}", house.told_lines());
}

/// An end before the beginning: the node has read the request, and tells the end of a try before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_before_the_beginning() {
    for retries in [0, 1] {
        let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
        let (house, bill) = (House::build(dir.path()), bill(11));
        let fates = [crate::fake_failure(), Fate::Paid];
        fake.books.invoice(bill.hash, bill.preimage, &fates[1 - retries..]);
        if retries == 0 {
            // A try that was there before, somebody's, has failed.
            fake.books.invoice(bill.hash, bill.preimage, &fates);
            fake.books.init(bill.hash, 50_000, bill.text.clone()).expect("somebody's");
        }
        let (books, hash) = (fake.books.clone(), bill.hash);
        let read_before = books.read(&bill.hash);
        let engine = lnd(config(&fake.address.to_string(), &fake.certificate.pem, ADMIN));
        fake.books.lock().earlier_end_from =
            Some(read_before + u32::try_from(retries).expect("few") + 1);
        let (payer, _) = house.start(engine).await;
        let (id, request) =
            with(&bill.text, RetryPolicy::Attempts(u32::try_from(retries).expect("few")));
        payer.pay(id, request).await.expect("accepted");
        let mut changed = books.changed.subscribe();
        let paid = changed.wait_for(|_| books.payouts(&hash) == 1);
        drop(tokio::time::timeout(Duration::from_secs(30), paid).await.expect("it pays"));
        asked_again(&fake, 10).await;
        let view = payer.payment_view(id).await.expect("open").expect("known");
        assert_eq!((view.status, view.unresolved), (Status::Pending, 1), "{retries}");
        assert_eq!(house.told_lines(), Vec::<String>::new(), "nobody is refunded");
        fake.books.change(|inner| {
            inner.nonsense = Nonsense::None;
            inner.earlier_end_from = None;
        });
        assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
        assert_eq!(fake.books.payouts(&bill.hash), 1);
        payer.stop().await;
    }
}

/// A stream that ends, and tells no end, ends nothing: it is asked again. A node that is slow is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_ends_early_and_a_slow_node() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let (house, bill) = (House::build(dir.path()), bill(12));
    fake.books.invoice(bill.hash, bill.preimage, &[Fate::Held]);
    {
        let mut inner = fake.books.lock();
        (inner.nonsense, inner.slow_ms) = (Nonsense::EndsEarly, 150);
    }
    let engine = lnd(config(&fake.address.to_string(), &fake.certificate.pem, ADMIN));
    let (payer, _) = house.start(engine).await;
    let (id, request) = once(&bill.text);
    payer.pay(id, request).await.expect("accepted");
    asked_again(&fake, 8).await;
    let view = payer.payment_view(id).await.expect("open").expect("known");
    assert_eq!((view.status, view.unresolved), (Status::Pending, 1));
    fake.books.settle(&bill.hash, Fate::Paid);
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!((fake.books.payouts(&bill.hash), fake.books.read(&bill.hash)), (1, 1));
    payer.stop().await;
}

/// A macaroon that may only read: nothing was said, the attempt is given back; with the right one it is paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_macaroon_that_lacks_a_right() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let (house, bill) = (House::build(dir.path()), bill(13));
    fake.books.invoice(bill.hash, bill.preimage, &[]);
    let with_macaroon =
        |macaroon| lnd(config(&fake.address.to_string(), &fake.certificate.pem, macaroon));
    let (payer, _) = house.start(with_macaroon(READ_ONLY)).await;
    let (id, request) = once(&bill.text);
    payer.pay(id, request).await.expect("accepted");
    asked_again(&fake, 8).await;
    payer.stop().await;
    let view = payer.payment_view(id).await.expect("open").expect("known");
    assert_eq!((view.status, view.unresolved), (Status::Pending, 0));
    assert!(payer.ledger().clone().close_async().await.is_some());
    assert_eq!((fake.books.read(&bill.hash), house.told_lines().len()), (0, 0));
    let (payer, _) = house.start(with_macaroon(ADMIN)).await;
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!((fake.books.payouts(&bill.hash), fake.books.read(&bill.hash)), (1, 1));
    payer.stop().await;
}

/// What a list says that cannot be is not believed: nothing is told of it but that it is unclear.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_cannot_be() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let (house, bill) = (House::build(dir.path()), bill(14));
    fake.books.invoice(bill.hash, bill.preimage, &[]);
    fake.books.init(bill.hash, 50_000, bill.text.clone()).expect("read");
    let engine = lnd(config(&fake.address.to_string(), &fake.certificate.pem, ADMIN));
    let (payer, _) = house.start(engine).await;
    for nonsense in
        [Nonsense::WrongPreimage, Nonsense::NoPreimage, Nonsense::UnknownStatus, Nonsense::NoIndex]
    {
        fake.books.lock().nonsense = nonsense;
        let rebuilt = payer.rebuild(|_| None).await.expect("a list");
        assert_eq!((rebuilt.paid, rebuilt.unclear.len()), (0, 1), "{nonsense:?}");
    }
    let (id, _) = once(&bill.text);
    assert_eq!(payer.payment_view(id).await.expect("open"), None);
    let known = |state: &payonce_core::State| {
        let counts = state.counts();
        counts.pending + counts.fulfilled + counts.remembered + counts.blocked
    };
    assert_eq!(payer.ledger().query_async(known).await.expect("open"), 0);
    fake.books.lock().nonsense = Nonsense::None;
    assert_eq!(payer.rebuild(|_| None).await.expect("rebuilt").paid, 1);
    payer.stop().await;
}
