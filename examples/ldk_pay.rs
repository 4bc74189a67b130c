//! Two nodes of LDK, an invoice, a power cut in the middle, and a repeat that pays nothing.
//!
//! The nodes are real, with a real channel between them; they come from LDK's own test utilities,
//! which need no network and no chain. LDK's test logger writes to standard output, so they run in
//! a child process whose output is read: killing it is the power cut.
//!
//! The ledger is in a directory; with the argument `postgres` it is in a database, on a server that the
//! example starts for itself. The line that opens it is all that differs.

#![allow(clippy::print_stdout, reason = "it tells its story on a terminal")]

#[path = "../crates/ldk/tests/net/mod.rs"]
mod net;

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use comfy_table::{Table, presets};
use lightning::{
    bitcoin::Network,
    bolt11_invoice::Bolt11Invoice,
    events::{Event, EventsProvider as _, ReplayEvent},
    ln::{
        channelmanager::{PaymentId as EngineId, Retry},
        types::ChannelId,
    },
    routing::router::RouteParametersConfig,
    sign::EntropySource,
    types::payment::PaymentPreimage,
};
use net::{Image, Net, Outcome};
use payonce_core::{EventStore, LedgerId, Opening, PaymentId, Remember, UnixMillis};
use payonce_ldk::{ChannelState, Engine, Options, Order, Payer, Paying, Starting, Terms};
use payonce_store_fs::{FsStore, Options as LogOptions};
use payonce_store_postgres::{
    Config, PostgresStore,
    cluster::{Cluster, is_available},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the child has to tell begins with this; everything else is LDK's log.
const MARK: &str = "@ ";
const CUT: &str = "the power goes now";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["nodes", home] => nodes(Path::new(home), &files),
        ["nodes", home, address] => nodes(Path::new(home), &|_, is_new| database(address, is_new)),
        ["postgres"] => on_postgres().map(drop),
        // As a test: the same story wherever the ledger is.
        [] if cfg!(test) => {
            // Keys, and so proofs, differ; what was spent when does not.
            let spent = |told: Vec<String>| -> Vec<String> {
                told.iter().filter_map(|line| Some(line.split_once('|')?.1.to_owned())).collect()
            };
            let in_files = spent(story(None)?);
            assert!(in_files.len() > 3 && in_files[0] != "0 msat", "{in_files:?}");
            assert!(on_postgres()?.is_none_or(|told| spent(told) == in_files));
            Ok(())
        }
        _ => story(None).map(drop),
    }
}

/// The story with the ledger in a database, on a server of its own, if there is one to be had.
fn on_postgres() -> Result<Option<Vec<String>>> {
    if !is_available("the ledger in PostgreSQL") {
        return Ok(None);
    }
    let cluster = Cluster::start();
    story(Some(&cluster.address())).map(Some)
}

/// Both runs of the nodes; the first one ends in a power cut.
fn story(address: Option<&str>) -> Result<Vec<String>> {
    let home = tempfile::tempdir()?;
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(["run", "what", "payer has spent"]);
    let mut story = Vec::new();
    for run in 1..=2 {
        let mut child = spawn(home.path(), address)?;
        let told = listen(&mut child)?;
        for line in &told {
            let (what, spent) = line.split_once('|').ok_or("the child tells two things")?;
            table.add_row([run.to_string().as_str(), what, spent]);
        }
        story.extend(told);
        // The first run never ends by itself.
        if run == 1 {
            child.kill()?;
        }
        if !child.wait()?.success() && run == 2 {
            return Err("the second run did not come to its end".into());
        }
    }
    println!("{table}");
    Ok(story)
}

fn spawn(home: &Path, address: Option<&str>) -> Result<Child> {
    let program = env::current_exe()?;
    Ok(Command::new(program)
        .arg("nodes")
        .arg(home)
        .args(address)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?)
}

/// What the child tells, until it ends or the power goes.
fn listen(child: &mut Child) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for line in BufReader::new(child.stdout.take().ok_or("it is piped")?).lines() {
        let line = line?;
        if let Some(line) = line.strip_prefix(MARK) {
            told.push(line.to_owned());
            if line.starts_with(CUT) {
                break;
            }
        }
    }
    Ok(told)
}

/// The log in a directory.
fn files(home: &Path, is_new: bool) -> Result<FsStore> {
    let (log, options) = (home.join("payments"), LogOptions::default());
    let (store, _) = if is_new {
        FsStore::create(log, LedgerId::from_bytes([7; 32]), options)?
    } else {
        FsStore::open(log, options)?
    };
    Ok(store)
}

/// The log in a database: nothing else of a node changes.
fn database(address: &str, is_new: bool) -> Result<PostgresStore> {
    let config: Config = address.parse()?;
    Ok(if is_new {
        PostgresStore::create(config, "node", LedgerId::from_bytes([7; 32]))?
    } else {
        PostgresStore::open(config, "node")?
    })
}

/// A payer over its node's channels: the part of this file that a node's author needs.
fn start<S, E, R>(store: S, engine: E, entropy: R, now: UnixMillis) -> Result<Payer<S, E, R>>
where
    S: EventStore + Send + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    let opening = Opening::new(Remember::Forever, 42); // in production a random, secret seed
    // LDK's own retries go by the clock: a story that is told twice does without.
    let options = Options::new(Network::Testnet, ChannelState::Latest).retry(Retry::Attempts(0));
    let starting = Starting::open(store, &opening, engine, entropy, options, now)?;
    let (payer, report) =
        starting.finish(|_| Ok(()), now).map_err(|unfinished| unfinished.error)?;
    assert!(!report.restored, "nobody put an old log back");
    Ok(payer)
}

/// The node's event handler: the ledger first, then whatever else the node does.
fn on_event<S, E, R>(
    payer: &Payer<S, E, R>,
    event: &Event,
    now: UnixMillis,
) -> std::result::Result<(), ReplayEvent>
where
    S: EventStore + Send + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    payer.handle_event(event, now)?;
    Ok(())
}

/// The child: both nodes, and the story of one run. `open` opens the log, or makes it.
fn nodes<S>(home: &Path, open: &dyn Fn(&Path, bool) -> Result<S>) -> Result<()>
where
    S: EventStore + Send + 'static,
{
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let now = UnixMillis(u64::try_from(since_epoch.as_millis())?);
    let mut net = Net::with_channels(2, &[(0, 1, 1_000_000, 0)]);
    let wealth = net.balance_msat(0);
    // The user's order: its id was stored before the first call.
    let id = PaymentId::from_bytes([1; 32]);
    let invoice = home.join("invoice");
    if !invoice.exists() {
        let order = net.invoice(1, Some(25_000_000));
        fs::write(&invoice, order.to_string())?;
        let node = &net.nodes[0];
        let payer = start(open(home, true)?, node.node, node.keys_manager, now)?;
        net.default_outcome = Outcome::Hold;
        payer.pay(id, &Order::bolt11(order), None, &Terms::default(), now)?;
        net.pump();
        tell("paid: its HTLC is out", wealth - net.balance_msat(0));
        save(&net, home)?;
        let (_, _, preimage) = net.claimable.first().ok_or("the payee has been offered it")?;
        fs::write(home.join("preimage"), preimage.0)?;
        tell(CUT, wealth - net.balance_msat(0));
        loop {
            thread::park();
        }
    }
    let invoice: Bolt11Invoice = fs::read_to_string(&invoice)?.parse().map_err(|_| "an invoice")?;
    catch_up(&mut net, &invoice)?;
    let order = Order::bolt11(invoice);
    load(&mut net, home)?;
    let node = &net.nodes[0];
    let payer = start(open(home, false)?, node.node, node.keys_manager, now)?;
    net.connect_all();
    // The user does not know what became of it, and pays again.
    let again = payer.pay(id, &order, None, &Terms::default(), now)?;
    tell(&format!("paid again: {}", answer(&again)), wealth - net.balance_msat(0));
    // The payee takes what is out; LDK tells it; the ledger records it.
    let preimage = fs::read(home.join("preimage"))?;
    let preimage = preimage.try_into().map_err(|_| "32 bytes")?;
    net.nodes[1].node.claim_funds(PaymentPreimage(preimage));
    for _ in 0..2 {
        net.pump();
        let handler = |event| on_event(&payer, &event, now);
        net.nodes[0].node.process_pending_events(&handler);
    }
    net.pump();
    tell("the payee took it", wealth - net.balance_msat(0));
    let again = payer.pay(id, &order, None, &Terms::default(), now)?;
    net.pump();
    tell(&format!("paid again: {}", answer(&again)), wealth - net.balance_msat(0));
    Ok(())
}

fn tell(what: &str, spent_msat: u64) {
    println!("{MARK}{what}|{spent_msat} msat");
}

fn answer(paying: &Paying) -> String {
    match paying {
        Paying::Repeat { view, .. } => match view.paid.and_then(|paid| paid.preimage) {
            Some(preimage) => {
                format!("a repeat, and paid; the proof begins {}", &preimage.to_string()[..8])
            }
            None => format!("a repeat of what is {}", view.status),
        },
        other => format!("{other:?}"),
    }
}

/// What LDK's persisters keep of a node. Both nodes live in the process that dies.
fn save(net: &Net, home: &Path) -> Result<()> {
    for node in 0..2 {
        let Image { manager, monitors } = net.image(node);
        let directory = place(home, node);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("manager"), manager)?;
        for (channel, monitor) in monitors {
            fs::write(directory.join(channel.to_string()), monitor)?;
        }
    }
    Ok(())
}

/// LDK's test signers refuse to go on from a state that they have not signed themselves: these new
/// ones sign as much as the old ones had. What they signed is thrown away.
fn catch_up(net: &mut Net, invoice: &Bolt11Invoice) -> Result<()> {
    net.default_outcome = Outcome::Hold;
    let (id, route) = (EngineId([0; 32]), RouteParametersConfig::default());
    let paid =
        net.nodes[0].node.pay_for_bolt11_invoice(invoice, id, None, route, Retry::Attempts(0));
    paid.map_err(|error| format!("{error:?}"))?;
    net.pump();
    Ok(())
}

fn load(net: &mut Net, home: &Path) -> Result<()> {
    for node in 0..2 {
        let channels: Vec<ChannelId> = net.image(node).monitors.into_keys().collect();
        let directory = place(home, node);
        let read = |channel: ChannelId| {
            Ok::<_, std::io::Error>((channel, fs::read(directory.join(channel.to_string()))?))
        };
        let monitors = channels.into_iter().map(read).collect::<std::io::Result<_>>()?;
        let image = Image { manager: fs::read(directory.join("manager"))?, monitors };
        net.crash(node);
        net.load(node, &image).map_err(|refused| format!("{refused:?}"))?;
    }
    Ok(())
}

fn place(home: &Path, node: usize) -> PathBuf {
    home.join(format!("node-{node}"))
}
