//! The two traps, through the payer, against the fake: each is a payment that a service would refund and
//! its node then make.

use std::{sync::Arc, time::Duration};

use payonce_core::{RetryPolicy, Status};
use payonce_engine::{Memory, Payer, Paying, Wire};
use payonce_store_fs::FsStore;

use crate::{
    bills::{Terms, bill, bill_on},
    fake::{ADMIN, Books, FakeLnd, Fate},
    fake_failure,
    house::{House, config, lnd, once, with},
};

fn engine(fake: &FakeLnd) -> Arc<payonce_lnd::Lnd> {
    lnd(config(&fake.address.to_string(), &fake.certificate.pem, ADMIN))
}

/// Waits until the books say so.
async fn until(books: &Books, what: &str, look: impl Fn(&Books) -> bool) {
    let mut changed = books.changed.subscribe();
    let seen = async {
        while !look(books) {
            changed.changed().await.expect("the books stay");
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen).await.unwrap_or_else(|_| panic!("{what}"));
}

/// Waits until the engine was asked so many times more: whatever it shows was looked at.
async fn asked_again(books: &Books, times: u64) {
    let from = books.lock().asked;
    until(books, "it is asked again", |books| books.lock().asked >= from + times).await;
}

async fn stopped(payer: Payer<FsStore>) {
    payer.stop().await;
    assert!(payer.ledger().clone().close_async().await.is_some(), "closed here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paid_once_and_a_repeat_tells_it() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let house = House::build(dir.path());
    let bill = bill(1);
    fake.books.invoice(bill.hash, bill.preimage, &[]);
    let (payer, report) = house.start(engine(&fake)).await;
    assert!(!report.restored && !report.unwitnessed && !report.witness_was_empty);
    let (id, request) = once(&bill.text);
    let first = payer.pay(id, request.clone()).await.expect("accepted");
    assert_eq!(first, Paying::Accepted);
    let view = payer.outcome(id).await.expect("an end");
    assert_eq!(view.status, Status::Fulfilled);
    let Paying::Repeat(repeat) = payer.pay(id, request).await.expect("a repeat") else {
        panic!("a repeat is none")
    };
    let paid = repeat.paid.expect("paid");
    assert_eq!(paid.preimage.map(|bytes| *bytes.as_bytes()), Some(bill.preimage));
    assert_eq!((paid.amount.map(|at| at.0), paid.fee.map(|at| at.0)), (Some(50_000), Some(7)));
    assert_eq!((fake.books.payouts(&bill.hash), fake.books.read(&bill.hash)), (1, 1));
    stopped(payer).await;
}

/// Attempt 1 has failed; the request of attempt 2 waits on the wire while the process dies; the node still
/// shows attempt 1's end. It is not attempt 2's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_earlier_try_ends_nothing() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let house = House::build(dir.path());
    let bill = bill(2);
    fake.books.invoice(bill.hash, bill.preimage, &[fake_failure(), Fate::Paid]);
    let (payer, _) = house.start(engine(&fake)).await;
    let (id, request) = with(&bill.text, RetryPolicy::Attempts(1));
    // Whatever comes after the first request waits.
    fake.books.changed.subscribe();
    payer.pay(id, request).await.expect("accepted");
    until(&fake.books, "attempt 1 is read", |books| {
        let read = books.read(&bill.hash) == 1;
        if read {
            books.lock().waiting = u32::MAX;
        }
        read
    })
    .await;
    until(&fake.books, "attempt 2 waits", |books| {
        books.lock().held_up.get(&bill.hash).is_some_and(|waits| *waits >= 1)
    })
    .await;
    // Its task is cut off in the middle of its call, as by a kill.
    stopped(payer).await;

    let (payer, report) = house.start(engine(&fake)).await;
    assert_eq!((report.failed.len(), report.out.len()), (0, 1), "the old end ends nothing");
    asked_again(&fake.books, 20).await;
    let view = payer.payment_view(id).await.expect("answers").expect("known");
    assert_eq!((view.status, view.unresolved), (Status::Pending, 1));
    assert_eq!(house.told_lines(), Vec::<String>::new());
    fake.books.change(|inner| (inner.let_in, inner.waiting) = (true, 0));
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(fake.books.payouts(&bill.hash), 1);
    stopped(payer).await;
}

/// The node does not know the hash, since the request waits: not known is not never sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_known_was_not_never_sent() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let house = House::build(dir.path());
    let bill = bill(3);
    fake.books.invoice(bill.hash, bill.preimage, &[]);
    fake.books.lock().waiting = u32::MAX;
    let (payer, _) = house.start(engine(&fake)).await;
    let (id, request) = once(&bill.text);
    payer.pay(id, request).await.expect("accepted");
    let waits = |books: &Books| books.lock().held_up.get(&bill.hash).is_some_and(|at| *at >= 1);
    until(&fake.books, "it waits", waits).await;
    stopped(payer).await;

    let (payer, report) = house.start(engine(&fake)).await;
    assert_eq!((report.failed.len(), report.out.len()), (0, 1));
    payer.abandon(id).await.expect("asked to");
    asked_again(&fake.books, 20).await;
    assert_eq!(house.told_lines(), Vec::<String>::new(), "nobody is told that it failed");
    // It arrives at last, and is paid, and nothing else is.
    fake.books.change(|inner| (inner.let_in, inner.waiting) = (true, 0));
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(fake.books.payouts(&bill.hash), 1);
    stopped(payer).await;
}

/// Said again while the first saying waits; the second fails: the first one may still be paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saying_that_arrives_late() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let house = House::build(dir.path());
    let bill = bill(4);
    fake.books.invoice(bill.hash, bill.preimage, &[fake_failure(), Fate::Paid]);
    fake.books.lock().waiting = 1;
    let (payer, _) = house.start(engine(&fake)).await;
    let (id, request) = once(&bill.text);
    payer.pay(id, request).await.expect("accepted");
    let waits = |books: &Books| books.lock().held_up.get(&bill.hash).is_some_and(|at| *at >= 1);
    until(&fake.books, "it waits", waits).await;
    stopped(payer).await;

    let (payer, _) = house.start(engine(&fake)).await;
    until(&fake.books, "it is said again", |books| books.read(&bill.hash) == 1).await;
    asked_again(&fake.books, 20).await;
    let view = payer.payment_view(id).await.expect("answers").expect("known");
    assert_eq!((view.status, view.unresolved), (Status::Pending, 1));
    fake.books.change(|inner| inner.let_in = true);
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(fake.books.payouts(&bill.hash), 1);
    stopped(payer).await;
}

/// A request that never arrived ends when its invoice is long expired, since LND refuses it then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_arrived_ends_with_its_invoice() {
    for (memory, ends) in [(Memory::Kept, true), (Memory::Unsure, false)] {
        let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
        let house = House::build(dir.path());
        let bill = bill_on(5, Terms { expiry: 4, ..Terms::default() });
        fake.books.invoice(bill.hash, bill.preimage, &[]);
        fake.books.lock().dropped = u32::MAX;
        let mut config = config(&fake.address.to_string(), &fake.certificate.pem, ADMIN);
        config.memory = memory;
        let options = crate::house::quick().lateness_margin(Duration::from_secs(1));
        let starting = house.open().await.engine("lnd", lnd(config)).sink(house.sink());
        let (payer, _) = starting.options(options).finish().await.expect("starts");
        let (id, request) = once(&bill.text);
        payer.pay(id, request).await.expect("accepted");
        let lost = |books: &Books| books.lock().held_up.contains_key(&bill.hash);
        until(&fake.books, "it is lost", lost).await;
        if ends {
            let view = payer.outcome(id).await.expect("an end");
            assert!(matches!(view.status, Status::Failed { .. }), "{view:?}");
        } else {
            // Somebody may have deleted it, paid: only an operator can tell.
            let attention = async {
                while payer.attention().is_empty() {
                    asked_again(&fake.books, 1).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), attention).await.expect("asks for help");
            assert_eq!(house.told_lines(), Vec::<String>::new());
        }
        assert_eq!(fake.books.payouts(&bill.hash), 0);
        stopped(payer).await;
    }
}

/// A proxy may send twice what was said once: a failure with a later mark is not the end of both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_requests_on_the_wire() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let house = House::build(dir.path());
    let bill = bill(6);
    fake.books.invoice(bill.hash, bill.preimage, &[fake_failure(), Fate::Paid]);
    let config = config(&fake.address.to_string(), &fake.certificate.pem, ADMIN);
    let (payer, _) = house.start(lnd(config.wire(Wire::MayRepeat))).await;
    let (id, request) = once(&bill.text);
    payer.pay(id, request).await.expect("accepted");
    until(&fake.books, "it is read", |books| books.read(&bill.hash) == 1).await;
    asked_again(&fake.books, 10).await;
    assert_eq!(house.told_lines(), Vec::<String>::new());
    // The proxy's second copy arrives.
    fake.books.init(bill.hash, 50_000, bill.text.clone()).expect("a new try");
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(fake.books.payouts(&bill.hash), 1);
    stopped(payer).await;
}

/// The log is put back from an older copy: the witness has seen more, and nothing new is paid until LND's
/// list has told what the log lacks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_from_an_older_copy() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let (house, bills) = (House::build(dir.path()), [bill(7), bill(8), bill(9)]);
    for bill in &bills {
        fake.books.invoice(bill.hash, bill.preimage, &[]);
    }
    let copy = dir.path().join("copy");
    for (nth, bill) in bills.iter().take(2).enumerate() {
        if nth == 1 {
            copy_files(&house.log(), &copy);
        }
        let (payer, _) = house.start(engine(&fake)).await;
        let (id, request) = once(&bill.text);
        payer.pay(id, request).await.expect("accepted");
        assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
        stopped(payer).await;
    }
    std::fs::remove_dir_all(house.log()).expect("removed");
    copy_files(&copy, &house.log());

    let (payer, report) = house.start(engine(&fake)).await;
    assert!(report.restored);
    let (again, request_again) = once(&bills[1].text);
    let early = payer.pay(again, request_again.clone()).await;
    assert!(matches!(early, Err(payonce_engine::PayError::Refused(_))), "{early:?}");
    let rebuilt = payer.rebuild(|_| None).await.expect("rebuilt");
    assert_eq!((rebuilt.paid, rebuilt.out), (2, 0));
    let now = payonce_engine::Clock::now(&payonce_engine::SystemClock);
    payer.ledger().close_gap_async(now).await.expect("closed");
    let repeat = payer.pay(again, request_again).await.expect("known");
    assert!(matches!(repeat, Paying::Repeat(at) if at.status == Status::Fulfilled), "{repeat:?}");
    let (new, request) = once(&bills[2].text);
    payer.pay(new, request).await.expect("accepted");
    assert_eq!(payer.outcome(new).await.expect("an end").status, Status::Fulfilled);
    for bill in &bills {
        assert_eq!((fake.books.payouts(&bill.hash), fake.books.read(&bill.hash)), (1, 1));
    }
    stopped(payer).await;
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).expect("a directory");
    for file in std::fs::read_dir(from).expect("a directory") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

/// Seen at the node once and not known there later: somebody deleted it. Only an operator can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_behind_our_back() {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let (house, bill) =
        (House::build(dir.path()), bill_on(10, Terms { expiry: 3, ..Terms::default() }));
    fake.books.invoice(bill.hash, bill.preimage, &[Fate::Held]);
    let (payer, _) = house.start(engine(&fake)).await;
    let (id, request) = once(&bill.text);
    let mut news = payer.ledger().subscribe(1);
    payer.pay(id, request).await.expect("accepted");
    let seen = move |state: &payonce_core::State| {
        state.payment(&id).is_some_and(|payment| !payment.observations().is_empty())
    };
    while !payer.ledger().query_async(seen).await.expect("open") {
        news.read_async().await.expect("open");
    }
    stopped(payer).await;
    fake.books.settle(&bill.hash, Fate::Paid);
    fake.books.forget();
    let options = crate::house::quick().lateness_margin(Duration::ZERO);
    let starting = house.open().await.engine("lnd", engine(&fake)).sink(house.sink());
    let (payer, report) = starting.options(options).finish().await.expect("starts");
    assert!(matches!(report.attention[..], [(_, payonce_engine::Why::Forgotten)]), "{report:?}");
    // Its invoice expires meanwhile, which says nothing of what was paid.
    let later = asked_until(&fake.books, Duration::from_secs(4));
    later.await;
    assert_eq!(house.told_lines(), Vec::<String>::new());
    assert_eq!(payer.attention().len(), 1);
    stopped(payer).await;
}

/// Follows what is asked for so long.
async fn asked_until(books: &Books, long: Duration) {
    let ends = tokio::time::Instant::now() + long;
    while tokio::time::Instant::now() < ends {
        asked_again(books, 1).await;
    }
}

/// Somebody else's try of the hash is out at the node: nothing goes out beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_already_under_somebody_else() {
    for (fate, ours) in [(Fate::Paid, 0), (fake_failure(), 1)] {
        let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
        let (house, bill) = (House::build(dir.path()), bill(11));
        fake.books.invoice(bill.hash, bill.preimage, &[Fate::Held, Fate::Paid]);
        fake.books.init(bill.hash, 50_000, bill.text.clone()).expect("somebody's");
        let (payer, _) = house.start(engine(&fake)).await;
        let (id, request) = once(&bill.text);
        payer.pay(id, request).await.expect("accepted");
        asked_again(&fake.books, 10).await;
        assert_eq!(fake.books.read(&bill.hash), 1, "nothing of ours");
        fake.books.settle(&bill.hash, fate);
        assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
        assert_eq!((fake.books.payouts(&bill.hash), fake.books.read(&bill.hash)), (1, 1 + ours));
        stopped(payer).await;
    }
}

/// The node restarts while it has a payment out: its streams break, its books stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_restarts() {
    let (mut fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let (house, bill) = (House::build(dir.path()), bill(12));
    fake.books.invoice(bill.hash, bill.preimage, &[Fate::Held]);
    let (payer, _) = house.start(engine(&fake)).await;
    let (id, request) = once(&bill.text);
    payer.pay(id, request).await.expect("accepted");
    until(&fake.books, "it is out", |books| books.is_out(&bill.hash)).await;
    fake.restart().await;
    fake.books.settle(&bill.hash, Fate::Paid);
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!((fake.books.payouts(&bill.hash), fake.books.read(&bill.hash)), (1, 1));
    stopped(payer).await;
}
