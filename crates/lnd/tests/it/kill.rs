//! Killed at each stage of ours, at each stage of the node's: paid at most once, told right, under one
//! notification id.

use std::{
    collections::{HashMap, HashSet},
    env,
    fmt::Write as _,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, ExitStatus},
    time::Duration,
};

use tokio::task::JoinSet;

use crate::{
    bills::{Bill, Terms, bill_on},
    child::{Stage, spawn},
    fake::{ADMIN, Books, FakeLnd, Fate},
    fake_failure,
    house::House,
};

/// What the node does with the requests that it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Pays,
    Fails,
    /// Attempt 1 fails, attempt 2 pays.
    FailsThenPays,
    /// Pays, and its answer is lost.
    LosesAnswer,
    /// The request waits on the wire, and arrives when the service has started anew.
    GetsItLate,
    /// Attempt 1 fails; the request of attempt 2 waits on the wire, and arrives late.
    FailsThenGetsItLate,
    /// The request never arrives.
    NeverGetsIt,
    /// It is out, and is paid when the service has started anew.
    HoldsThenPays,
    /// It is out, and fails when the service has started anew.
    HoldsThenFails,
}

impl Node {
    const ALL: [Self; 9] = [
        Self::Pays,
        Self::Fails,
        Self::FailsThenPays,
        Self::LosesAnswer,
        Self::GetsItLate,
        Self::FailsThenGetsItLate,
        Self::NeverGetsIt,
        Self::HoldsThenPays,
        Self::HoldsThenFails,
    ];

    const fn retries(self) -> u32 {
        match self {
            Self::FailsThenPays | Self::FailsThenGetsItLate => 1,
            _ => 0,
        }
    }

    const fn fails_first(self) -> bool {
        matches!(
            self,
            Self::Fails | Self::FailsThenPays | Self::FailsThenGetsItLate | Self::HoldsThenFails
        )
    }

    /// Whether the payee is paid in the end. Of a try that was recorded by a process that died nobody
    /// knows whether it was said: said again and failed, it ends with its invoice alone, and what would be
    /// tried next is too late.
    fn pays(self, stage: Stage) -> bool {
        let first_saying_unknown = stage == Stage::Recorded && self.fails_first();
        !first_saying_unknown && !matches!(self, Self::Fails | Self::HoldsThenFails)
    }

    fn prepare(self, books: &Books, bill: &Bill) {
        let fates: &[Fate] = match self {
            Self::Fails => &[fake_failure(); 8],
            Self::FailsThenPays | Self::FailsThenGetsItLate => &[fake_failure(), Fate::Paid],
            Self::HoldsThenPays | Self::HoldsThenFails => &[Fate::Held],
            _ => &[],
        };
        books.invoice(bill.hash, bill.preimage, fates);
        let mut inner = books.lock();
        match self {
            Self::LosesAnswer => inner.lost = 1,
            Self::GetsItLate => inner.waiting = 1,
            Self::FailsThenGetsItLate => (inner.pass, inner.waiting) = (1, 1),
            Self::NeverGetsIt => inner.dropped = 1,
            _ => {}
        }
    }

    /// What was held up goes on.
    fn go_on(self, books: &Books, bill: &Bill) {
        books.change(|inner| inner.let_in = true);
        let fate = if self == Self::HoldsThenPays { Fate::Paid } else { fake_failure() };
        books.settle_held(&bill.hash, fate);
    }
}

/// Waits until something holds, or the child has died.
async fn until(
    books: &Books,
    child: &mut Child,
    look: impl Fn(&Books) -> bool,
) -> Option<ExitStatus> {
    let mut changed = books.changed.subscribe();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        if look(books) {
            return None;
        }
        // Its death rings no bell.
        let _ = tokio::time::timeout(Duration::from_millis(10), changed.changed()).await;
    }
}

async fn ended(books: &Books, child: &mut Child) -> ExitStatus {
    until(books, child, |_| false).await.expect("it has ended")
}

/// How long a row may take; a thousand times what it needs.
const PATIENCE: Duration = Duration::from_secs(60);

async fn row(stage: Stage, node: Node) {
    let what = format!("killed at {stage:?}, a node that {node:?}");
    let judged = tokio::time::timeout(PATIENCE, judge_row(stage, node, &what));
    judged.await.unwrap_or_else(|_| panic!("{what}: it takes too long"));
}

async fn judge_row(stage: Stage, node: Node, what: &str) {
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let house = House::build(dir.path());
    // Soon over where that is what is waited for.
    let soon = stage == Stage::Recorded && node.fails_first();
    let expiry = if soon { 8 } else { 3_600 };
    let bill = bill_on(1, Terms { expiry, ..Terms::default() });
    keys(dir.path(), &fake.certificate.pem, ADMIN);
    let line = format!("{} {}\n", node.retries(), bill.text);
    fs::write(dir.path().join("invoices"), line).expect("written");
    node.prepare(&fake.books, &bill);

    let mut child = spawn(dir.path(), &fake.address.to_string(), stage);
    let arrived = |books: &Books| books.read(&bill.hash) > 0 || books.is_held_up(&bill.hash);
    let status = match until(&fake.books, &mut child, arrived).await {
        Some(status) => status,
        None if stage == Stage::OnTheWire => {
            child.kill().expect("alive");
            ended(&fake.books, &mut child).await
        }
        None => {
            // Stages behind the end are reached only if there is one.
            if matches!(stage, Stage::EndTold | Stage::BeforeDelivery | Stage::AfterDelivery) {
                let reached =
                    |books: &Books| books.is_out(&bill.hash) || books.is_held_up(&bill.hash);
                if until(&fake.books, &mut child, reached).await.is_none() {
                    node.go_on(&fake.books, &bill);
                }
            }
            ended(&fake.books, &mut child).await
        }
    };
    assert_eq!(status.signal(), Some(9), "{what}: {}", errors(dir.path()));

    let mut child = spawn(dir.path(), &fake.address.to_string(), Stage::Nowhere);
    let asked = fake.books.lock().asked;
    let again = |books: &Books| books.lock().asked >= asked + 6;
    if until(&fake.books, &mut child, again).await.is_none() {
        node.go_on(&fake.books, &bill);
        // What it held it may hold for the first time only now.
        while until(&fake.books, &mut child, |books| books.is_out(&bill.hash)).await.is_none() {
            node.go_on(&fake.books, &bill);
        }
    }
    let status = ended(&fake.books, &mut child).await;
    assert!(status.success(), "{what}: {}", errors(dir.path()));
    let payouts = fake.books.payouts(&bill.hash);
    assert_eq!(payouts, u32::from(node.pays(stage)), "{what}");
    judge(&house, &[(bill, payouts)], what);
}

/// What the child needs to call its node.
pub(crate) fn keys(dir: &Path, certificate: &str, macaroon: &[u8]) {
    fs::write(dir.join("tls.cert"), certificate).expect("written");
    fs::write(dir.join("macaroon"), macaroon).expect("written");
}

pub(crate) fn errors(dir: &Path) -> String {
    let read = |name| fs::read_to_string(dir.join(name)).unwrap_or_default();
    format!("{}{}", read("stdout"), read("stderr"))
}

/// Each payment was told its true end, under one id, and nothing strange.
pub(crate) fn judge(house: &House, bills: &[(Bill, u32)], what: &str) {
    let mut told: HashMap<String, HashSet<(String, String)>> = HashMap::new();
    for line in house.told_lines() {
        let mut words = line.split(' ').map(str::to_owned);
        let (id, payment) = (words.next().expect("an id"), words.next().expect("a payment"));
        let kind = words.next().expect("a kind");
        told.entry(payment).or_default().insert((kind, id));
    }
    for (bill, payouts) in bills {
        let id = payonce_core::PaymentId::from_bytes(bill.hash).to_string();
        let told = told.remove(&id).unwrap_or_default();
        let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
        let right: &[&str] = if *payouts == 1 { &["sent"] } else { &["failed:"] };
        assert!(*payouts <= 1, "{what}: {id} was paid {payouts} times");
        let lines: Vec<_> = house.told_lines().into_iter().filter(|at| at.contains(&id)).collect();
        assert_eq!(kinds, right, "{what}: {id} was told {lines:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_stage_of_both() {
    let mut rows = JoinSet::new();
    for stage in Stage::KILLED {
        for node in Node::ALL {
            if rows.len() == 4 {
                rows.join_next().await.expect("a row").expect("passes");
            }
            rows.spawn(row(stage, node));
        }
    }
    while let Some(row) = rows.join_next().await {
        row.expect("passes");
    }
}

fn number(name: &str, or: u64) -> u64 {
    env::var(name).map_or(or, |text| text.parse().expect("a number"))
}

/// Many payments of all kinds, many kills. `PAYONCE_SOAK_PAYMENTS` and `PAYONCE_SOAK_KILLS` say how many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn again_and_again() {
    let payments = number("PAYONCE_SOAK_PAYMENTS", 100);
    let kills = number("PAYONCE_SOAK_KILLS", 10);
    let (fake, dir) = (FakeLnd::start().await, tempfile::tempdir().expect("a directory"));
    let house = House::build(dir.path());
    keys(dir.path(), &fake.certificate.pem, ADMIN);
    let mut bills = Vec::new();
    let mut lines = String::new();
    for nth in 1..=payments {
        // Those of which a try fails end with their invoice, if they were said twice. It must hold until each
        // was asked for, which every kill puts off.
        let expiry = if nth % 2 == 0 { 25 + payments * kills / 100 } else { 3_600 };
        let bill = bill_on(nth, Terms { expiry, ..Terms::default() });
        let retries = u32::from(nth % 4 == 2);
        let fates: &[Fate] = match nth % 4 {
            0 => &[fake_failure(); 64],
            2 => &[fake_failure(), Fate::Paid],
            _ => &[],
        };
        fake.books.invoice(bill.hash, bill.preimage, fates);
        writeln!(lines, "{retries} {}", bill.text).expect("a text takes it");
        bills.push(bill);
    }
    fs::write(dir.path().join("invoices"), lines).expect("written");
    fake.books.lock().let_in = true;
    let mut killed = 0;
    let status = loop {
        // Each run loses some requests and some answers.
        fake.books.change(|inner| (inner.dropped, inner.lost) = (2, 2));
        let mut child = spawn(dir.path(), &fake.address.to_string(), Stage::Nowhere);
        let goal = (killed + 1) * payments / (kills + 1);
        let far = |books: &Books| books.reads() >= goal;
        if killed == kills {
            break ended(&fake.books, &mut child).await;
        }
        if let Some(status) = until(&fake.books, &mut child, far).await {
            assert!(status.success(), "{}", errors(dir.path()));
        } else {
            child.kill().expect("alive");
            ended(&fake.books, &mut child).await;
        }
        killed += 1;
    };
    assert!(status.success(), "{}", errors(dir.path()));
    let judged = bills.into_iter().map(|bill| {
        let payouts = fake.books.payouts(&bill.hash);
        (bill, payouts)
    });
    judge(&house, &judged.collect::<Vec<_>>(), "the soak");
}
