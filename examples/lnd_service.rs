//! A service that pays through LND, exactly once. `set-up DIR` makes its ledger and its witness, once;
//! `pay DIR INVOICE` pays, and may be killed and run again as often as you like.
//!
//! LND is at `LND_ADDRESS` (127.0.0.1:10009), its files are named by `LND_CERT` and `LND_MACAROON`.

#![allow(clippy::print_stdout, reason = "it tells its story on a terminal")]

use std::{env, error::Error, path::Path, sync::Arc};

use payonce_core::{
    LedgerId, MaxFee, Msat, Notification, Opening, PaymentId, Remember, RetryPolicy,
};
use payonce_engine::{FileWitness, Memory, Paying, Sink, Starting, Witnessed, async_trait};
use payonce_lnd::{Config, Lnd, Network, request};
use payonce_runtime::Options;
use payonce_store_fs::{FsStore, Options as LogOptions};

/// In earnest a table, written in the transaction that books the payment.
struct Screen;

#[async_trait]
impl Sink for Screen {
    async fn deliver(&self, told: &Notification) -> Result<(), Box<dyn Error + Send + Sync>> {
        println!("{}: {:?}", told.id, told.kind);
        Ok(())
    }
}

fn set_up(dir: &Path) -> Result<(), Box<dyn Error>> {
    FsStore::create(dir.join("ledger"), LedgerId::from_bytes([7; 32]), LogOptions::default())?;
    FileWitness::create(dir.join("witness"))?; // in earnest on another volume
    Ok(())
}

async fn pay(dir: &Path, invoice: &str) -> Result<(), Box<dyn Error>> {
    let address = env::var("LND_ADDRESS").unwrap_or("127.0.0.1:10009".into());
    let (cert, macaroon) = (env::var("LND_CERT")?, env::var("LND_MACAROON")?);
    let config = Config::from_files(address, cert, macaroon, Network::Simnet, Memory::Kept)?;
    let (store, _) = FsStore::open(dir.join("ledger"), LogOptions::default())?;
    let witness = Witnessed::By(Arc::new(FileWitness::open(dir.join("witness"))?));
    let opening = Opening::new(Remember::Forever, 42); // in earnest a random, secret seed
    let starting = Starting::open(store, opening, witness, Options::default()).await?;
    let starting = starting.engine("lnd", Arc::new(Lnd::new(config)?)).sink(Arc::new(Screen));
    let (payer, report) = starting.finish().await?;
    println!("still out from before: {}", report.out.len());

    let (max_fee, retry) = (MaxFee::AtMost(Msat(5_000)), RetryPolicy::Attempts(2));
    let request = request(invoice, Network::Simnet, None, max_fee, retry)?;
    // One invoice, one payment: its hash is the id, known before the first call.
    let hash = request.target.payment_hash().ok_or("an invoice has a hash")?;
    let id = PaymentId::from_payment_hash(hash);
    match payer.pay(id, request).await? {
        Paying::Accepted => println!("accepted"),
        repeat => println!("known: {repeat:?}"),
    }
    println!("{}", payer.outcome(id).await?.status);
    payer.stop().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["set-up", dir] => set_up(Path::new(dir)),
        ["pay", dir, invoice] => pay(Path::new(dir), invoice).await,
        _ => Err("usage: lnd_service set-up DIR | pay DIR INVOICE".into()),
    }
}
