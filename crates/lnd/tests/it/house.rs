//! A payer over LND, as a service would have it: its ledger on disk, its sink a file of lines.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use payonce_core::{
    MaxFee, Msat, Notification, NotificationKind, Opening, PaymentId, Remember, Request,
    RetryPolicy,
};
use payonce_engine::{
    Engine, FileWitness, Options, Payer, Sink, StartReport, Starting, Witnessed, async_trait,
};
use payonce_lnd::{Config, Lnd, Network};
use payonce_store_fs::FsStore;

pub(crate) const FS: payonce_store_fs::Options = {
    let mut options = payonce_store_fs::Options::DEFAULT;
    options.segment_bytes = 256 << 10;
    options.preallocate_bytes = 64 << 10;
    options.reserve_bytes = 0;
    options
};

/// Quick, so that a test waits for what happens and not for its turn.
pub(crate) fn quick() -> Options {
    Options::default()
        .poll((Duration::from_millis(10), Duration::from_millis(40)))
        .say_again((Duration::from_millis(50), Duration::from_millis(100)))
        .call_timeout(Duration::from_secs(2))
        .wait_limit(Duration::from_secs(5))
        .tick_every(Duration::from_secs(1))
}

/// The directory of a house: the log, the witness, what was told.
pub(crate) struct House {
    pub(crate) dir: PathBuf,
}

impl House {
    pub(crate) fn build(dir: &Path) -> Self {
        let house = Self { dir: dir.into() };
        let ledger = payonce_core::LedgerId::from_bytes([5; 32]);
        let (store, _) = FsStore::create(house.log(), ledger, FS).expect("a new log");
        drop(store);
        FileWitness::create(house.witness()).expect("a new witness");
        house
    }

    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(crate) fn witness(&self) -> PathBuf {
        self.dir.join("witness")
    }

    fn told(&self) -> PathBuf {
        self.dir.join("told")
    }

    /// What the user was told, a line each, repeats included.
    pub(crate) fn told_lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.told()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Opens the ledger; `start` gives it its engines.
    pub(crate) async fn open(&self) -> Starting<FsStore> {
        let (store, _) = FsStore::open(self.log(), FS).expect("a kill is no damage");
        let witness = FileWitness::open(self.witness()).expect("a witness");
        let opening = Opening::new(Remember::Forever, 42);
        let witnessed = Witnessed::By(Arc::new(witness));
        let options = payonce_runtime::Options::DEFAULT;
        let starting = Starting::open(store, opening, witnessed, options).await.expect("opens");
        starting.options(quick())
    }

    pub(crate) fn sink(&self) -> Arc<dyn Sink> {
        Arc::new(Lines(self.told()))
    }

    pub(crate) async fn start(&self, engine: Arc<dyn Engine>) -> (Payer<FsStore>, StartReport) {
        let starting = self.open().await.engine("lnd", engine).sink(self.sink());
        starting.finish().await.expect("starts")
    }
}

/// A user that writes down what it is told.
struct Lines(PathBuf);

#[async_trait]
impl Sink for Lines {
    async fn deliver(
        &self,
        notification: &Notification,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Some(line) = line(notification) else { return Ok(()) };
        let mut file = fs::File::options().create(true).append(true).open(&self.0)?;
        file.write_all(line.as_bytes())?;
        Ok(())
    }
}

/// What is told of the end of a payment, and of what should not have happened.
fn line(notification: &Notification) -> Option<String> {
    let id = notification.id;
    Some(match &notification.kind {
        NotificationKind::PaymentSent { payment, amount, fee, .. } => {
            let (amount, fee) = (amount.map(|at| at.0), fee.map(|at| at.0));
            format!("{id} {payment} sent {amount:?} {fee:?}\n")
        }
        NotificationKind::PaymentFailed { payment, reason, .. } => {
            format!("{id} {payment} failed {reason}\n").replace("failed ", "failed: ")
        }
        NotificationKind::Anomaly { anomaly, .. } => {
            format!("{id} {} anomaly {anomaly:?}\n", anomaly.payment())
        }
        _ => return None,
    })
}

pub(crate) fn config(address: &str, certificate: &str, macaroon: &[u8]) -> Config {
    Config::new(address, certificate, macaroon, Network::Simnet, payonce_engine::Memory::Kept)
}

pub(crate) fn lnd(config: Config) -> Arc<Lnd> {
    Arc::new(Lnd::new(config).expect("a node"))
}

/// One try and no more.
pub(crate) fn once(invoice: &str) -> (PaymentId, Request) {
    with(invoice, RetryPolicy::Attempts(0))
}

/// Tries again at once, as often as that.
pub(crate) fn with(invoice: &str, retry: RetryPolicy) -> (PaymentId, Request) {
    let max_fee = MaxFee::AtMost(Msat(10_000));
    let request = Network::Simnet.request(invoice, None, max_fee, retry).expect("an invoice");
    let hash = request.target.payment_hash().expect("an invoice has one");
    let request = request.backoff(payonce_core::Backoff::NONE);
    (PaymentId::from_payment_hash(hash), request)
}
