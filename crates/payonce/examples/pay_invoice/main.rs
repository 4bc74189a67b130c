//! Pays BOLT 11 invoices through a small simulated channel, is killed at a point that you name,
//! starts again, and pays nothing twice.
//!
//! Read `node.rs` first: it is what a node does with payonce. `channel.rs` and `invoice.rs` are the
//! world around it. The parties to the story are real where it matters: the log is a directory of
//! segment files, the channel has a file of its own, and the process that dies is killed with
//! SIGKILL by its parent.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it tells its story on a terminal")]

#[path = "../common/mod.rs"]
mod common;

mod channel;
mod crash;
mod invoice;
mod node;

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Parser, ValueEnum};
use lightning_invoice::Currency;
use payonce::{PayRefusal, PayReply, PaymentView, Status, UnixMillis};

use crate::{
    channel::Channel,
    crash::{Doom, Point},
    invoice::{Invoice, Payee},
    node::Node,
};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Pays BOLT 11 invoices exactly once, whatever crashes in between
///
/// Without an invoice it makes and signs one itself, so that the preimage is known. The payee of
/// any other invoice is not reachable through the simulated channel and refuses the payment.
/// Exits with 0 if every invoice is paid in the end, with 1 if not, with 2 if it cannot run.
#[derive(Debug, Clone, Parser)]
struct Args {
    /// BOLT 11 invoices
    invoices: Vec<String>,
    /// Where the process is killed; may be repeated: the first run at the first, and so on
    #[arg(long, value_enum, value_name = "POINT", default_value = "after-dispatch")]
    crash: Vec<Point>,
    /// Keeps the log and the channel here, for another run; else in a temporary directory
    #[arg(long)]
    dir: Option<PathBuf>,
    /// What to pay for an invoice that leaves the amount to the payer
    #[arg(long)]
    amount_msat: Option<u64>,
    /// The network that the node is on
    #[arg(long, value_enum, default_value_t = Network::Bitcoin)]
    network: Network,
    /// The time, in seconds since 1970, in place of the clock's
    #[arg(long)]
    now: Option<u64>,
    /// Run as the process that is to be killed
    #[arg(long, hide = true)]
    doomed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Network {
    Bitcoin,
    Testnet,
    Signet,
    Regtest,
}

impl Network {
    fn currency(self) -> Currency {
        match self {
            Self::Bitcoin => Currency::Bitcoin,
            Self::Testnet => Currency::BitcoinTestnet,
            Self::Signet => Currency::Signet,
            Self::Regtest => Currency::Regtest,
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Gives whether every invoice is paid.
fn run(args: &Args) -> Result<bool> {
    let temporary;
    let directory = match &args.dir {
        Some(directory) => directory.as_path(),
        None => {
            temporary = tempfile::tempdir()?;
            temporary.path()
        }
    };
    fs::create_dir_all(directory)?;
    let world = World::new(args, directory)?;
    if args.doomed {
        let mut node = world.start(Doom(args.crash[0]))?.0;
        for invoice in &world.invoices {
            node.pay(invoice)??;
        }
        return Ok(true);
    }
    world.tell_invoices();
    for point in &args.crash {
        world.die(args, *point)?;
    }
    world.survive()
}

/// What every run of the node finds.
struct World<'a> {
    directory: &'a Path,
    currency: Currency,
    now: UnixMillis,
    invoices: Vec<Invoice>,
}

impl<'a> World<'a> {
    fn new(args: &Args, directory: &'a Path) -> Result<Self> {
        let now = match args.now {
            Some(seconds) => UnixMillis(seconds.saturating_mul(1_000)),
            None => UnixMillis(u64::try_from(
                SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis(),
            )?),
        };
        let currency = args.network.currency();
        let read = |text: &String| Invoice::read(text, &currency, args.amount_msat);
        let invoices = if args.invoices.is_empty() {
            vec![read(&Payee::of(directory, &currency, now)?.invoice)?]
        } else {
            args.invoices.iter().map(read).collect::<Result<_, _>>()?
        };
        Ok(Self { directory, currency, now, invoices })
    }

    fn start(&self, doom: Doom) -> Result<(Node, Vec<String>)> {
        let payee = Payee::of(self.directory, &self.currency, self.now)?;
        let channel = Channel::open(self.directory, payee)?;
        Node::start(self.directory, channel, self.now, doom)
    }

    /// Runs the node in a process of its own and kills it at `point`.
    fn die(&self, args: &Args, point: Point) -> Result<()> {
        if point == Point::Never {
            return Ok(());
        }
        let mut command = Command::new(env::current_exe()?);
        command.arg("--doomed").args(["--crash", &point.name()]).arg("--dir").arg(self.directory);
        command.args(["--now", &(self.now.0 / 1_000).to_string()]);
        let network = args.network.to_possible_value().expect("no network is hidden");
        command.args(["--network", network.get_name()]);
        command.args(args.amount_msat.map(|amount| format!("--amount-msat={amount}")));
        let mut child =
            command.args(&args.invoices).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let said = child.stdout.take().expect("it is piped");
        let reached =
            BufReader::new(said).lines().any(|line| line.is_ok_and(|line| line == Doom::LAST_WORD));
        // On Unix this is SIGKILL: no destructor, no flush, no farewell.
        child.kill()?;
        child.wait()?;
        if reached {
            println!("killed {}: {}", point.name(), point.meaning());
        } else {
            println!("not killed: {} was never reached", point.name());
        }
        Ok(())
    }

    /// Runs the node to the end, and once more. Gives whether every invoice is paid.
    fn survive(&self) -> Result<bool> {
        let (mut node, words) = self.start(Doom(Point::Never))?;
        for answer in words {
            println!("recovered: one part {answer}");
        }
        let mut rows =
            common::table(["invoice", "answer after the crash", "outcome", "a repeat answers"]);
        let first: Vec<_> =
            self.invoices.iter().map(|invoice| node.pay(invoice)).collect::<Result<_>>()?;
        // Nothing is kept but what is on disk.
        drop(node);
        let (mut node, _) = self.start(Doom(Point::Never))?;
        let mut all_paid = true;
        for (invoice, first) in self.invoices.iter().zip(first) {
            let repeat = node.pay(invoice)?;
            let view = node.ledger.query(|state| state.payment_view(&invoice.payment_id()))?;
            all_paid &= view.is_some_and(|view| view.status == Status::Fulfilled);
            let outcome = view.map_or("not accepted".into(), |view| outcome(&view));
            rows.add_row([name(invoice), answer(&first), outcome, answer(&repeat)]);
        }
        println!("\n{}\n\n{rows}\n", common::event_table(&common::lines(node.ledger.store())?));
        let (before, after) = (channel::FUNDED, node.channel.balance());
        println!("balance: {before} before, {after} after: {} less", before.saturating_sub(after));
        Ok(all_paid)
    }

    fn tell_invoices(&self) {
        for invoice in &self.invoices {
            println!(
                "to pay: {} for {:?}, hash {}",
                invoice.request.amount, invoice.description, invoice.hash
            );
        }
    }
}

fn name(invoice: &Invoice) -> String {
    format!("{}…", &invoice.hash.to_string()[..8])
}

fn outcome(view: &PaymentView) -> String {
    match (view.status, view.paid) {
        (Status::Fulfilled, Some(paid)) => {
            format!("paid {} + {} fee", common::known(paid.amount), common::known(paid.fee))
        }
        (Status::Failed { reason } | Status::Abandoned { reason }, _) => {
            format!("failed: {reason}")
        }
        (status, _) => format!("{status:?}"),
    }
}

fn answer(answer: &Result<PayReply, PayRefusal>) -> String {
    match answer {
        Ok(PayReply::Accepted) => "accepted".into(),
        Ok(PayReply::Duplicate(view)) => match view.paid.and_then(|paid| paid.preimage) {
            Some(preimage) => format!("duplicate: paid, preimage {}…", &preimage.to_string()[..8]),
            None => format!("duplicate: {}", outcome(view)),
        },
        Err(refusal) => format!("refused: {refusal}"),
    }
}
