//! A service in a process of its own, which kills itself with SIGKILL at a stage that it was told.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use payonce_core::{Notification, NotificationKind, PaymentId, Request, RetryPolicy, UnixMillis};
use payonce_engine::{
    Engine, EngineError, HandOver, Lookup, PayAnswer, Promises, Refusal, Shown, Sink, async_trait,
};
use payonce_lnd::Lnd;
use rustix::process::{Signal, getpid, kill_process};

use crate::house::{House, config, lnd, quick, with};

/// Where the service dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The node was asked about the hash; nothing is recorded.
    Asked,
    /// The hand-over is recorded, nothing was said.
    Recorded,
    /// Its request is on the wire: the parent kills.
    OnTheWire,
    /// The node has answered; nothing was made of it.
    Answered,
    /// The node has told the end; it is not recorded.
    EndTold,
    /// The end is recorded; the user was not told.
    BeforeDelivery,
    /// The user was told; that is not recorded.
    AfterDelivery,
    /// Nowhere.
    Nowhere,
}

impl Stage {
    pub(crate) const KILLED: [Self; 7] = [
        Self::Asked,
        Self::Recorded,
        Self::OnTheWire,
        Self::Answered,
        Self::EndTold,
        Self::BeforeDelivery,
        Self::AfterDelivery,
    ];

    fn is(self, other: Self) {
        if self == other {
            kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
            // Until it arrives.
            std::thread::park();
        }
    }
}

/// The engine, and a death at some of its calls.
#[derive(Debug)]
struct Mortal {
    lnd: Arc<Lnd>,
    stage: Stage,
    dir: PathBuf,
}

impl Mortal {
    /// With a file `gate` the parent is told before anything is said, and gives its word.
    fn at_the_gate(&self) {
        if self.dir.join("gate").exists() {
            fs::write(self.dir.join("paying"), "").expect("written");
            crate::net::eventually("the parent's word", || {
                self.dir.join("go").exists().then_some(())
            });
        }
    }

    fn end(&self, shown: &Shown, part: bool) {
        if part && matches!(shown, Shown::Paid(_) | Shown::Failed { .. }) {
            self.stage.is(Stage::EndTold);
        }
    }
}

#[async_trait]
impl Engine for Mortal {
    fn promises(&self) -> Promises {
        self.lnd.promises()
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        self.lnd.check(request)
    }

    fn refuses_late_from(&self, request: &Request) -> Option<UnixMillis> {
        self.lnd.refuses_late_from(request)
    }

    async fn pay(&self, hand_over: &HandOver) -> PayAnswer {
        self.stage.is(Stage::Recorded);
        tokio::task::block_in_place(|| self.at_the_gate());
        let answer = self.lnd.pay(hand_over).await;
        self.stage.is(Stage::Answered);
        if let PayAnswer::Taken(shown) = &answer {
            self.end(shown, true);
        }
        answer
    }

    async fn find(&self, what: &Lookup) -> Result<Shown, EngineError> {
        let shown = self.lnd.find(what).await?;
        if what.part.is_none() {
            self.stage.is(Stage::Asked);
        }
        self.end(&shown, what.part.is_some());
        Ok(shown)
    }

    async fn wait(&self, what: &Lookup) -> Result<Option<Shown>, EngineError> {
        let shown = self.lnd.wait(what).await?;
        if let Some(shown) = &shown {
            self.end(shown, what.part.is_some());
        }
        Ok(shown)
    }
}

struct MortalSink {
    sink: Arc<dyn Sink>,
    stage: Stage,
}

#[async_trait]
impl Sink for MortalSink {
    async fn deliver(
        &self,
        notification: &Notification,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let ends = matches!(
            notification.kind,
            NotificationKind::PaymentSent { .. } | NotificationKind::PaymentFailed { .. }
        );
        if ends {
            self.stage.is(Stage::BeforeDelivery);
        }
        self.sink.deliver(notification).await?;
        if ends {
            self.stage.is(Stage::AfterDelivery);
        }
        Ok(())
    }
}

/// What a child is told: its directory holds the node's certificate and macaroon, and an invoice a line with how often
/// it may be tried again.
pub(crate) fn spawn(dir: &Path, address: &str, stage: Stage) -> Child {
    let mut command = Command::new(env::current_exe().expect("this test"));
    command
        .args(["child::the_service", "--exact", "--nocapture"])
        .env("PAYONCE_CHILD", dir)
        .env("PAYONCE_CHILD_LND", address)
        .env("PAYONCE_CHILD_STAGE", format!("{stage:?}"))
        .stdin(Stdio::null())
        .stdout(fs::File::create(dir.join("stdout")).expect("a file"))
        .stderr(fs::File::create(dir.join("stderr")).expect("a file"));
    command.spawn().expect("starts")
}

/// The child. Run by the tests of this file's parent alone; by itself it has nothing to do.
#[test]
fn the_service() {
    let Some(dir) = env::var_os("PAYONCE_CHILD") else { return };
    let text = |name| env::var(name).expect("told by the parent");
    let stage = text("PAYONCE_CHILD_STAGE");
    let stage = Stage::KILLED.into_iter().find(|known| format!("{known:?}") == stage);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(serve(
        &PathBuf::from(dir),
        &text("PAYONCE_CHILD_LND"),
        stage.unwrap_or(Stage::Nowhere),
    ));
}

async fn serve(dir: &Path, address: &str, stage: Stage) {
    let house = House::at(dir);
    let certificate = fs::read_to_string(dir.join("tls.cert")).expect("given");
    let macaroon = fs::read(dir.join("macaroon")).expect("given");
    let lnd = lnd(config(address, &certificate, &macaroon));
    let sink = Arc::new(MortalSink { sink: house.sink(), stage });
    let starting = house
        .open()
        .await
        .engine("lnd", Arc::new(Mortal { lnd, stage, dir: dir.into() }))
        .sink(sink);
    // Who gives up a call tells the node so: what waits at a gate is to be cut off by the kill alone.
    let patience = if dir.join("gate").exists() { 60_000 } else { 700 };
    let options = quick()
        .call_timeout(Duration::from_millis(patience))
        .lateness_margin(Duration::from_secs(1));
    let (payer, _) = starting.options(options).finish().await.expect("starts");
    let mut ids: Vec<PaymentId> = Vec::new();
    for line in fs::read_to_string(dir.join("invoices")).expect("given").lines() {
        let (retries, invoice) = line.split_once(' ').expect("a line");
        let retries = RetryPolicy::Attempts(retries.parse().expect("a number"));
        let (id, request) = with(invoice, retries);
        // The service asks for all that it has stored, whatever it was told before it died.
        payer.pay(id, request).await.expect("accepted, or a repeat");
        ids.push(id);
    }
    for id in ids {
        payer.outcome(id).await.expect("an end");
    }
    let mut news = payer.ledger().subscribe(1);
    while payer.ledger().query_async(|state| state.counts().unread).await.expect("open") > 0 {
        news.read_async().await.expect("the outbox empties");
    }
    payer.stop().await;
}
