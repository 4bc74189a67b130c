//! A real LND: the script's transcript is its own, and what is told is what its channels say. One network
//! for all of it: to start one takes half a minute.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::Child,
    time::{Duration, SystemTime},
};

use payonce_core::{
    LedgerId, MaxFee, Msat, Opening, PartId, PayRefusal, PaymentId, Preimage, Remember, Request,
    RetryPolicy, Status, Target,
};
use payonce_engine::{
    Engine as _, EngineError, HandOver, Lookup, Memory, PayAnswer, PayError, Payer, Paying, Why,
};
use payonce_lnd::{Config, Network};
use payonce_store_fs::FsStore;

use crate::{
    child::{Stage, spawn},
    fake::{Certificate, FakeLnd, hex},
    house::{House, lnd, once, with},
    kill::{errors, judge, keys},
    net::{Net, Node, eventually, programs},
    proxy::Proxy,
    script,
};

fn config(node: &Node, address: &str) -> Config {
    let (certificate, macaroon) = (node.certificate(), node.macaroon("admin.macaroon"));
    let config = Config::from_files(address, certificate, macaroon, Network::Simnet, Memory::Kept);
    config.expect("files").attempt_timeout(Duration::from_secs(10))
}

fn at(node: &Node) -> String {
    format!("127.0.0.1:{}", node.rpc)
}

async fn house(dir: &Path, node: &Node) -> (House, Payer<FsStore>) {
    let house = House::build(dir);
    let (payer, _) = house.start(lnd(config(node, &at(node)))).await;
    (house, payer)
}

async fn stopped(payer: Payer<FsStore>) {
    payer.stop().await;
    assert!(payer.ledger().clone().close_async().await.is_some(), "closed here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_lnd() {
    let Some(programs) = programs() else { return };
    let mut net = Net::start(&programs);
    let expires = SystemTime::now() + Duration::from_secs(30);
    let certificate = Certificate::until(expires);
    let frank = net.with_certificate(&certificate);
    within("a certificate that is valid", still_valid(&frank, &certificate, expires)).await;
    within("no wallet", no_wallet(&net)).await;
    within("no macaroon", no_macaroon(&net)).await;
    within("the same script", same_script(&net)).await;
    within("pays once", pays_once(&net)).await;
    within("the example", the_example(&net)).await;
    killed_at_each_stage(&net);
    eprintln!("a real lnd: killed at the request");
    killed_at_the_request(&net);
    within("no route, then paid", no_route_then_paid(&mut net)).await;
    within("a late request", late_request(&net)).await;
    in_flight_through_kills(&mut net);
    within("deleted behind our back", deleted_behind_our_back(&net)).await;
    within("two nodes", two_nodes(&net)).await;
    within("a lost ledger", lost_ledger(&net)).await;
    within("a certificate that has expired", has_expired(&net, &frank, &certificate)).await;
}

/// Names what takes too long.
async fn within(what: &str, judged: impl Future<Output = ()>) {
    eprintln!("a real lnd: {what}");
    let judged = tokio::time::timeout(Duration::from_secs(90), judged);
    judged.await.unwrap_or_else(|_| panic!("{what}: it takes too long"));
}

/// The fake is like the real one, as far as the script goes.
async fn same_script(net: &Net) {
    let fake = FakeLnd::start().await;
    let (real, faked) = (script::run(net).await, script::run(&fake).await);
    assert_eq!(real, faked, "the fake answers as LND does");
}

/// Pay, repeat, conflict, spontaneous; the channel's balance is the judge.
async fn pays_once(net: &Net) {
    let dir = tempfile::tempdir().expect("a directory");
    let (house, payer) = house(dir.path(), &net.alice).await;
    let before = net.alice.balance();
    let (id, request) = once(&net.bob.invoice(100_000));
    assert_eq!(payer.pay(id, request.clone()).await.expect("accepted"), Paying::Accepted);
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    for _ in 0..3 {
        let repeat = payer.pay(id, request.clone()).await.expect("a repeat");
        assert!(matches!(repeat, Paying::Repeat(view) if view.paid.is_some()));
    }
    let conflict = payer.pay(id, request.clone().max_fee(Msat(1))).await;
    assert!(matches!(conflict, Err(PayError::Refused(PayRefusal::Conflict { .. }))));
    let under_another = payer.pay(PaymentId::from_bytes([9; 32]), request).await;
    assert!(matches!(under_another, Err(PayError::Refused(PayRefusal::HashInUse { .. }))));
    assert_eq!(before - net.alice.balance(), 100_000);

    let target = Target::Spontaneous { preimage: Preimage::from_bytes([81; 32]) };
    let (fee, retry) = (MaxFee::AtMost(Msat(100)), RetryPolicy::Attempts(0));
    let gift = Request::new(target, Msat(10_000), fee, retry);
    let keyless = payer.pay(PaymentId::from_bytes([8; 32]), gift.clone()).await;
    assert!(matches!(keyless, Err(PayError::Engine(_))), "whom?");
    let gift = gift.payee(net.bob.key().parse().expect("a key"));
    let id = PaymentId::from_bytes([7; 32]);
    payer.pay(id, gift).await.expect("accepted");
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(before - net.alice.balance(), 110_000);
    stopped(payer).await;
    assert_eq!(house.told_lines().len(), 2, "each told once");
}

/// The example, as a user runs it, twice.
async fn the_example(net: &Net) {
    let dir = tempfile::tempdir().expect("a directory");
    let (before, invoice) = (net.alice.balance(), net.bob.invoice(20_000));
    crate::lnd_service::set_up(dir.path()).expect("set up");
    for _ in 0..2 {
        let config = config(&net.alice, &at(&net.alice));
        let paid = crate::lnd_service::pay(dir.path(), config, &invoice).await;
        assert!(paid.expect("an end"));
    }
    assert_eq!(before - net.alice.balance(), 20_000);
}

/// Killed at each stage of ours, and started anew: paid once, and told so under one id.
fn killed_at_each_stage(net: &Net) {
    for stage in Stage::KILLED {
        // Killed from outside while its request waits: `killed_at_the_request`.
        if stage == Stage::OnTheWire {
            continue;
        }
        eprintln!("a real lnd: killed at {stage:?}");
        let dir = tempfile::tempdir().expect("a directory");
        let house = House::build(dir.path());
        let (before, invoice) = (net.alice.balance(), net.bob.invoice(15_000));
        let line = format!("0 {invoice}\n");
        let mut child = service(dir.path(), net, &line, stage);
        let status = child.wait().expect("a child");
        assert_eq!(status.signal(), Some(9), "{stage:?}: {}", errors(dir.path()));
        let child = service(dir.path(), net, &line, Stage::Nowhere);
        ended_well(child, dir.path());
        assert_eq!(before - net.alice.balance(), 15_000, "{stage:?}");
        judge(&house, &[(bill_of(&invoice), 1)], "killed");
    }
}

/// The child with one invoice, started at a house of its own.
fn service(dir: &Path, net: &Net, line: &str, stage: Stage) -> Child {
    let certificate = fs::read_to_string(net.alice.certificate()).expect("a file");
    let macaroon = fs::read(net.alice.macaroon("admin.macaroon")).expect("a file");
    keys(dir, &certificate, &macaroon);
    fs::write(dir.join("invoices"), line).expect("written");
    spawn(dir, &at(&net.alice), stage)
}

fn ended_well(mut child: Child, dir: &Path) {
    let status = child.wait().expect("a child");
    assert!(status.success(), "{}", errors(dir));
}

fn bill_of(invoice: &str) -> crate::bills::Bill {
    let (id, _) = once(invoice);
    crate::bills::Bill { text: invoice.into(), hash: *id.as_bytes(), preimage: [0; 32] }
}

/// Trap 1: attempt 1 has failed at the node; attempt 2 is recorded; kill -9. The node shows attempt 1's
/// FAILED. It ends nothing: attempt 2 is said again, and pays.
async fn no_route_then_paid(net: &mut Net) {
    let dir = tempfile::tempdir().expect("a directory");
    let (house, payer) = house(dir.path(), &net.alice).await;
    let before = net.alice.balance();
    let invoice = net.bob.invoice(200_000);
    let (id, request) = with(&invoice, RetryPolicy::Attempts(1));
    net.bob.kill();
    eventually("the channel is idle", || {
        let channels = net.alice.cli(&["listchannels", "--active_only"]).ok()?;
        channels["channels"].as_array()?.is_empty().then_some(())
    });
    // Attempt 2 rests for long: the process ends before it.
    let rest = payonce_core::Backoff { first_ms: 3_600_000, max_ms: 3_600_000 };
    payer.pay(id, request.backoff(rest)).await.expect("accepted");
    let mut news = payer.ledger().subscribe(1);
    while !has_failed(&payer, id).await {
        news.read_async().await.expect("open");
    }
    stopped(payer).await;
    // What is due is due: the rest of the ledger's own is over in an hour, so a second one is recorded here.
    record_attempt_two(&house, id);
    net.bob.start();
    net.bob.ready();
    net.connected();
    let (payer, report) = house.start(lnd(config(&net.alice, &at(&net.alice)))).await;
    assert_eq!((report.failed.len(), report.out.len()), (0, 1), "attempt 1's end ends nothing");
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(before - net.alice.balance(), 200_000);
    stopped(payer).await;
    judge(&house, &[(bill_of(&invoice), 1)], "trap 1");
}

async fn has_failed(payer: &Payer<FsStore>, id: PaymentId) -> bool {
    let failed = move |state: &payonce_core::State| {
        let payment = state.payment(&id).expect("known");
        payment.parts().iter().any(|part| part.status == payonce_core::PartStatus::Failed)
    };
    payer.ledger().query_async(failed).await.expect("open")
}

/// What a process that dies at once leaves: a hand-over that is recorded, with the mark that was shown.
fn record_attempt_two(house: &House, id: PaymentId) {
    use payonce_core::{Dispatch, Label, NewPart};
    use payonce_runtime::SharedLedger;
    let (store, _) = FsStore::open(house.log(), crate::house::FS).expect("opens");
    let now = payonce_engine::Clock::now(&payonce_engine::SystemClock);
    let opening = Opening::new(Remember::Forever, 42);
    let options = payonce_runtime::Options::DEFAULT;
    let recovery = SharedLedger::open(store, &opening, options, now).expect("opens");
    let ledger = recovery.finish(now).expect("finishes");
    let mark = ledger.query(|state| {
        let payment = state.payment(&id).expect("known");
        payment.parts().iter().filter_map(|part| part.failure()?.mark).max()
    });
    let mark = mark.expect("open");
    assert!(mark.is_some(), "LND's payment_index");
    let label = Label { engine: b"lnd".as_slice().into(), mark };
    let part = NewPart::Delegated { id: PartId::from_bytes([77; 32]), label: Some(label) };
    ledger.execute(Dispatch { id, attempt: 2, parts: vec![part] }, now).expect("recorded");
    drop(ledger.close());
}

/// The request is on the wire, whole, and its sender is killed. It reaches LND while the next process starts, or
/// never: that one cannot know which, says it again, and it is paid once. The invoice is good for a minute, so that
/// what would stay out for an hour fails here.
fn killed_at_the_request(net: &Net) {
    for arrives in [true, false] {
        let dir = tempfile::tempdir().expect("a directory");
        let house = House::build(dir.path());
        let before = net.alice.balance();
        let invoice = net.bob.brief_invoice(25_000, 60);
        let line = format!("0 {invoice}\n");
        let proxy = killed_while_it_waits(dir.path(), net, &line, &invoice);
        assert_eq!(net.alice.balance(), before, "LND knows nothing of it");
        if arrives {
            proxy.let_in();
        }
        // What is said again while no channel is there fails, and stays out until the invoice has expired.
        net.connected();
        ended_well(service(dir.path(), net, &line, Stage::Nowhere), dir.path());
        assert_eq!(before - net.alice.balance(), 25_000, "arrives: {arrives}");
        judge(&house, &[(bill_of(&invoice), 1)], "killed at the request");
        proxy.let_in();
        assert_eq!(before - net.alice.balance(), 25_000, "arrives: {arrives}");
    }
}

/// The child says its one request, which waits in the proxy, and is killed.
fn killed_while_it_waits(dir: &Path, net: &Net, line: &str, invoice: &str) -> Proxy {
    let proxy = Proxy::to(net.alice.rpc);
    fs::write(dir.join("gate"), "").expect("written");
    let macaroon = fs::read(net.alice.macaroon("admin.macaroon")).expect("a file");
    keys(dir, &proxy.certificate.pem, &macaroon);
    fs::write(dir.join("invoices"), line).expect("written");
    let mut child = spawn(dir, &proxy.address, Stage::Nowhere);
    eventually("it is about to pay", || dir.join("paying").exists().then_some(()));
    proxy.hold();
    fs::write(dir.join("go"), "").expect("written");
    proxy.holds(invoice);
    child.kill().expect("alive");
    child.wait().expect("dead");
    fs::remove_file(dir.join("gate")).expect("removed");
    proxy
}

/// Trap 2: the request waits in a proxy, its sender is killed; LND does not know the hash. The customer is
/// told nothing. It arrives, and is paid, once.
async fn late_request(net: &Net) {
    let dir = tempfile::tempdir().expect("a directory");
    let house = House::build(dir.path());
    let before = net.alice.balance();
    let invoice = net.bob.invoice(300_000);
    let line = format!("0 {invoice}\n");
    let proxy = killed_while_it_waits(dir.path(), net, &line, &invoice);
    assert_eq!(net.alice.balance(), before, "LND knows nothing of it");
    // Nobody says it again: the user has given it up, and LND does not know it.
    let (payer, report) = house.start(lnd(config(&net.alice, &at(&net.alice)))).await;
    assert_eq!((report.failed.len(), report.out.len()), (0, 1));
    let (id, _) = once(&invoice);
    payer.abandon(id).await.expect("asked to");
    let view = payer.payment_view(id).await.expect("open").expect("known");
    assert_eq!((view.unresolved, view.is_over()), (1, false));
    proxy.let_in();
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(before - net.alice.balance(), 300_000);
    stopped(payer).await;
    judge(&house, &[(bill_of(&invoice), 1)], "trap 2");
}

/// A hold invoice stays in flight while we are killed, and while LND is.
fn in_flight_through_kills(net: &mut Net) {
    let dir = tempfile::tempdir().expect("a directory");
    let house = House::build(dir.path());
    let before = net.alice.balance();
    let preimage = [82; 32];
    let hash = hex(Preimage::from_bytes(preimage).payment_hash().as_bytes());
    let invoice = net.bob.hold_invoice(&hash, 400_000);
    let line = format!("0 {invoice}\n");
    for round in 0..3 {
        let mut child = service(dir.path(), net, &line, Stage::Nowhere);
        net.bob.accepted(&hash);
        if round == 1 {
            net.alice.kill();
            net.alice.start();
            net.alice.ready();
            net.connected();
        }
        child.kill().expect("alive");
        child.wait().expect("dead");
    }
    assert_eq!(house.told_lines(), Vec::<String>::new());
    let child = service(dir.path(), net, &line, Stage::Nowhere);
    net.bob.cli(&["settleinvoice", &hex(&preimage)]).expect("settled");
    ended_well(child, dir.path());
    assert_eq!(before - net.alice.balance(), 400_000);
    judge(&house, &[(bill_of(&invoice), 1)], "held");
}

/// A node whose wallet does not exist reads nothing and never will have: what it says is LND's own words.
async fn no_wallet(net: &Net) {
    let erin = net.without_wallet();
    let (address, macaroon) = (at(&erin), net.alice.macaroon("admin.macaroon"));
    let config =
        Config::from_files(address, erin.certificate(), macaroon, Network::Simnet, Memory::Kept);
    let engine = lnd(config.expect("files"));
    let (id, request) = once(&net.bob.invoice(30_000));
    let payment_hash = request.target.payment_hash().expect("an invoice");
    let found = engine.find(&Lookup { part: None, payment_hash }).await;
    assert!(matches!(found, Err(EngineError::Unreachable { .. })), "{found:?}");
    let (part, amount) = (PartId::from_bytes([78; 32]), request.amount);
    let said = HandOver { part, payment: id, payment_hash, amount, max_fee: None, request };
    let answer = engine.pay(&said).await;
    assert!(matches!(answer, PayAnswer::NotNow(_)), "{answer:?}");
}

/// What is no macaroon is denied in LND's own words, before anything is read.
async fn no_macaroon(net: &Net) {
    let (address, certificate) = (at(&net.alice), net.alice.certificate());
    let pem = fs::read(certificate).expect("a file");
    let engine = lnd(Config::new(address, pem, *b"no macaroon", Network::Simnet, Memory::Kept));
    let payment_hash = once(&net.bob.invoice(30_000)).1.target.payment_hash().expect("an invoice");
    let found = engine.find(&Lookup { part: None, payment_hash }).await;
    assert!(matches!(found, Err(EngineError::Denied { .. })), "{found:?}");
}

/// LND shows the very certificate of the file, and is believed until it expires. (It makes a new one when it
/// starts with one that has expired, and looks at it no more while it runs.)
async fn still_valid(frank: &Node, certificate: &Certificate, expires: SystemTime) {
    let engine = lnd(with_certificate(frank, certificate));
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    loop {
        assert!(SystemTime::now() < expires, "frank takes too long to start");
        let active = engine.is_active().await;
        let Err(EngineError::Unreachable { why }) = &active else { panic!("{active:?}") };
        // LND's own word: it was reached.
        if why == "NON_EXISTING" {
            return;
        }
        looks.tick().await;
    }
}

fn with_certificate(node: &Node, certificate: &Certificate) -> Config {
    crate::house::config(&at(node), &certificate.pem, crate::fake::ADMIN)
}

/// From then on it is refused, by that reason, and nothing is recorded of what it was to pay.
async fn has_expired(net: &Net, frank: &Node, certificate: &Certificate) {
    let shown = fs::read_to_string(frank.certificate()).expect("a file");
    assert_eq!(shown, certificate.pem, "LND has made another one");
    let (dir, engine) =
        (tempfile::tempdir().expect("a directory"), lnd(with_certificate(frank, certificate)));
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    let denied = loop {
        match lnd(with_certificate(frank, certificate)).is_active().await {
            Err(EngineError::Unreachable { .. }) => looks.tick().await,
            other => break other,
        };
    };
    assert!(
        matches!(&denied, Err(EngineError::Denied { why }) if why.contains("xpired")),
        "{denied:?}"
    );
    let house = House::build(dir.path());
    let (payer, report) = house.start(engine).await;
    assert!(!report.restored);
    let (id, request) = once(&net.bob.invoice(35_000));
    payer.pay(id, request).await.expect("accepted: it waits for its engine");
    let asked = Lookup { part: None, payment_hash: payonce_core::PaymentHash::from_bytes([1; 32]) };
    let found = lnd(with_certificate(frank, certificate)).find(&asked).await;
    assert!(matches!(found, Err(EngineError::Denied { .. })), "{found:?}");
    let view = payer.payment_view(id).await.expect("open").expect("known");
    assert_eq!((view.status, view.unresolved), (Status::Pending, 0), "nothing was handed over");
    let parts = move |state: &payonce_core::State| state.payment(&id).map(|at| at.parts().len());
    assert_eq!(payer.ledger().query_async(parts).await.expect("open"), Some(0));
    stopped(payer).await;
    assert_eq!(house.told_lines(), Vec::<String>::new());
}

/// It was paid while we were away, and somebody deleted it before we looked: not known is not failed.
async fn deleted_behind_our_back(net: &Net) {
    let dir = tempfile::tempdir().expect("a directory");
    let (house, payer) = house(dir.path(), &net.alice).await;
    let preimage = [83; 32];
    let hash = hex(Preimage::from_bytes(preimage).payment_hash().as_bytes());
    let invoice = net.bob.hold_invoice(&hash, 500_000);
    let (id, request) = once(&invoice);
    payer.pay(id, request).await.expect("accepted");
    net.bob.accepted(&hash);
    // That LND has it is recorded, which is what tells *forgotten* from *never arrived*.
    let mut news = payer.ledger().subscribe(1);
    let seen = move |state: &payonce_core::State| {
        state.payment(&id).is_some_and(|payment| !payment.observations().is_empty())
    };
    while !payer.ledger().query_async(seen).await.expect("open") {
        news.read_async().await.expect("open");
    }
    stopped(payer).await;
    net.bob.cli(&["settleinvoice", &hex(&preimage)]).expect("settled");
    eventually("paid", || {
        let list = net.alice.cli(&["listpayments"]).ok()?;
        let payments = list["payments"].as_array()?;
        payments.iter().any(|payment| payment["payment_hash"] == hash.as_str()).then_some(())
    });
    net.alice.cli(&["deletepayments", "--all", "--include_non_failed"]).expect("deleted");
    let (payer, report) = house.start(lnd(config(&net.alice, &at(&net.alice)))).await;
    assert_eq!(report.failed, []);
    assert!(matches!(report.attention[..], [(_, Why::Forgotten)]), "{report:?}");
    assert!(!payer.payment_view(id).await.expect("open").expect("known").is_over());
    assert_eq!(house.told_lines(), Vec::<String>::new());
    stopped(payer).await;
}

/// Two nodes behind one ledger: each keeps what it has, whatever the routing says later.
async fn two_nodes(net: &Net) {
    let dir = tempfile::tempdir().expect("a directory");
    let house = House::build(dir.path());
    let before = (net.alice.balance(), net.dave.balance());
    let engines = || [("alice", &net.alice), ("dave", &net.dave)];
    let preimage = [84; 32];
    let hash = hex(Preimage::from_bytes(preimage).payment_hash().as_bytes());
    let (held, held_request) = once(&net.bob.hold_invoice(&hash, 70_000));
    let (paid, paid_request) = once(&net.bob.invoice(30_000));
    let mut starting = house.open().await.sink(house.sink());
    for (name, node) in engines() {
        starting = starting.engine(name, lnd(config(node, &at(node))));
    }
    let by_amount = |request: &Request| {
        if request.amount > Msat(50_000) { "dave".into() } else { "alice".into() }
    };
    let (payer, _) = starting.route(by_amount).finish().await.expect("starts");
    payer.pay(held, held_request).await.expect("accepted");
    payer.pay(paid, paid_request).await.expect("accepted");
    assert_eq!(payer.outcome(paid).await.expect("an end").status, Status::Fulfilled);
    net.bob.accepted(&hash);
    stopped(payer).await;

    // Without dave what dave has stays out.
    let starting = house.open().await.engine("alice", lnd(config(&net.alice, &at(&net.alice))));
    let (payer, report) = starting.finish().await.expect("starts");
    assert_eq!((report.unattended.len(), report.failed.len()), (1, 0));
    stopped(payer).await;

    // Everything new goes to alice; dave still has what he had.
    let mut starting = house.open().await.sink(house.sink());
    for (name, node) in engines() {
        starting = starting.engine(name, lnd(config(node, &at(node))));
    }
    let (payer, _) = starting.route(|_| "alice".into()).finish().await.expect("starts");
    net.bob.cli(&["settleinvoice", &hex(&preimage)]).expect("settled");
    assert_eq!(payer.outcome(held).await.expect("an end").status, Status::Fulfilled);
    let after = (net.alice.balance(), net.dave.balance());
    assert_eq!((before.0 - after.0, before.1 - after.1), (30_000, 70_000));
    stopped(payer).await;
}

/// The ledger is lost. A new one is told by the witness that it lacks something, pays nothing until it has
/// been rebuilt from LND's list, and then knows what was paid.
async fn lost_ledger(net: &Net) {
    let dir = tempfile::tempdir().expect("a directory");
    let (house, payer) = house(dir.path(), &net.alice).await;
    let invoice = net.bob.invoice(90_000);
    let (id, request) = once(&invoice);
    payer.pay(id, request.clone()).await.expect("accepted");
    payer.outcome(id).await.expect("an end");
    let before = net.alice.balance();
    stopped(payer).await;
    fs::remove_dir_all(house.log()).expect("lost");
    let ledger = LedgerId::from_bytes([6; 32]);
    drop(FsStore::create(house.log(), ledger, crate::house::FS).expect("a new log"));

    let (payer, report) = house.start(lnd(config(&net.alice, &at(&net.alice)))).await;
    assert!(report.restored, "the witness has seen more");
    let early = payer.pay(id, request.clone()).await;
    assert!(matches!(early, Err(PayError::Refused(PayRefusal::Restored))), "{early:?}");
    let rebuilt = payer.rebuild(|_| None).await.expect("rebuilt");
    assert!(rebuilt.paid >= 1, "{rebuilt:?}");
    let now = payonce_engine::Clock::now(&payonce_engine::SystemClock);
    payer.ledger().close_gap_async(now).await.expect("closed");
    let repeat = payer.pay(id, request.clone()).await.expect("known");
    assert!(matches!(repeat, Paying::Repeat(at) if at.status == Status::Fulfilled), "{repeat:?}");
    let other = payer.pay(PaymentId::from_bytes([66; 32]), request).await;
    assert!(matches!(other, Err(PayError::Refused(PayRefusal::HashInUse { .. }))), "{other:?}");
    assert_eq!(net.alice.balance(), before);
    stopped(payer).await;
}
