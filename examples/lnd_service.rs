//! A service that pays through LND, exactly once. `set-up DIR` makes its ledger and its witness, once;
//! `pay DIR INVOICE` pays, and may be killed and run again as often as you like.
//!
//! LND is at `LND_ADDRESS` (127.0.0.1:10009), on the network `LND_NETWORK` (mainnet, testnet, signet, regtest,
//! simnet); its files are named by `LND_CERT` and `LND_MACAROON`.

#![allow(clippy::print_stdout, reason = "it tells its story on a terminal")]

use std::{env, error::Error, path::Path, sync::Arc};

use payonce_core::{EventStore, Msat, Notification, PaymentId, Remember, RetryPolicy};
use payonce_engine::{Memory, Sink, Starting, async_trait};
use payonce_lnd::{Config, Lnd};

/// In production a table, written in the transaction that books the payment or refunds the customer.
struct Screen;

#[async_trait]
impl Sink for Screen {
    async fn deliver(&self, told: &Notification) -> Result<(), Box<dyn Error + Send + Sync>> {
        println!("{}: {:?}", told.id, told.kind); // the same id at every delivery
        Ok(())
    }
}

/// Once, when the service is set up: nothing is ever created by opening it.
pub(crate) fn set_up(dir: &Path) -> Result<(), Box<dyn Error>> {
    Starting::set_up(dir.join("ledger"), dir.join("witness"))?; // in production on two volumes
    Ok(())
}

/// Whether it is paid.
pub(crate) async fn pay(dir: &Path, config: Config, invoice: &str) -> Result<bool, Box<dyn Error>> {
    let (log, witness) = (dir.join("ledger"), dir.join("witness"));
    // For a ledger in PostgreSQL this line is another one, and no other: Starting::open(store, ...).
    let starting = Starting::open_dir(log, witness, Remember::Forever).await?;
    pay_from(starting, config, invoice).await
}

pub(crate) async fn pay_from<S: EventStore + Send + 'static>(
    starting: Starting<S>,
    config: Config,
    invoice: &str,
) -> Result<bool, Box<dyn Error>> {
    let network = config.network;
    let starting = starting.engine("lnd", Arc::new(Lnd::new(config)?)).sink(Arc::new(Screen));
    let (payer, report) = starting.finish().await?;
    println!("still out from before: {}", report.out.len());

    let request = network.request(invoice, None, Msat(5_000), RetryPolicy::Until(600_000))?;
    // One invoice, one payment: its hash is the id, known and stored before the first call.
    let hash = request.target.payment_hash().ok_or("an invoice has a hash")?;
    let id = PaymentId::from_payment_hash(hash);
    // Accepted: it is paid in the background. Repeat: it was accepted before, and stands like this.
    println!("{:?}", payer.pay(id, request).await?);
    let view = payer.outcome(id).await?;
    payer.stop().await;
    println!("{}", view.status);
    Ok(view.paid.is_some())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["set-up", dir] => set_up(Path::new(dir)),
        ["pay", dir, invoice] => {
            let address = env::var("LND_ADDRESS").unwrap_or("127.0.0.1:10009".into());
            let (cert, macaroon) = (env::var("LND_CERT")?, env::var("LND_MACAROON")?);
            let network = env::var("LND_NETWORK")?.parse()?;
            let config = Config::from_files(address, cert, macaroon, network, Memory::Kept)?;
            let paid = pay(Path::new(dir), config, invoice).await?;
            if paid { Ok(()) } else { Err("not paid".into()) }
        }
        _ => Err("usage: lnd_service set-up DIR | pay DIR INVOICE".into()),
    }
}
