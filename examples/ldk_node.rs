//! A node with LDK inside, from an empty directory to its second start: LDK's own types, its background
//! processor, and one key-value store for the channels and for the ledger.
//!
//! What is not shown is what payonce has no part in: the sync with the chain (between the manager and the
//! ledger), sockets, opening channels. So the payment finds no route, and what there is to see is that both
//! starts work and that the history stays.
//!
//! ```sh
//! cargo run -p payonce-ldk --example ldk_node
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it tells its story on a terminal")]

use std::{
    error::Error,
    path::Path,
    sync::{Arc, RwLock},
    time::{SystemTime, UNIX_EPOCH},
};

use bitcoin::{
    BlockHash, Network, Script, ScriptBuf, Transaction, Txid,
    constants::ChainHash,
    hashes::{Hash as _, sha256},
    secp256k1::{Secp256k1, SecretKey},
};
use lightning::{
    chain::{
        self, BestBlock, WatchedOutput,
        chaininterface::{BroadcasterInterface, ConfirmationTarget, FeeEstimator},
        chainmonitor::ChainMonitor,
    },
    events::{Event, ReplayEvent},
    io,
    ln::{
        channelmanager::{ChainParameters, ChannelManagerReadArgs, SimpleArcChannelManager},
        msgs::DecodeError,
        peer_handler::{IgnoringMessageHandler, MessageHandler, PeerManager, SocketDescriptor},
    },
    onion_message::messenger::{DefaultMessageRouter, SimpleArcOnionMessenger},
    routing::{
        gossip::{NetworkGraph, P2PGossipSync},
        router::DefaultRouter,
        scoring::{
            ProbabilisticScorer, ProbabilisticScoringDecayParameters,
            ProbabilisticScoringFeeParameters,
        },
        utxo::{UtxoLookup, UtxoResult},
    },
    sign::{
        ChangeDestinationSourceSync, EntropySource as _, InMemorySigner, KeysManager,
        NodeSigner as _,
    },
    types::payment::PaymentSecret,
    util::{
        config::UserConfig,
        logger::{Logger, Record},
        persist::{
            CHANNEL_MANAGER_PERSISTENCE_KEY, CHANNEL_MANAGER_PERSISTENCE_PRIMARY_NAMESPACE,
            CHANNEL_MANAGER_PERSISTENCE_SECONDARY_NAMESPACE, KVStoreSync, read_channel_monitors,
        },
        ser::ReadableArgs as _,
        sweep::OutputSweeperSync,
    },
};
use lightning_background_processor::{BackgroundProcessor, GossipSync, NO_LIQUIDITY_MANAGER_SYNC};
use lightning_invoice::{Bolt11Invoice, Currency, InvoiceBuilder};
use lightning_persister::fs_store::FilesystemStore;
use payonce_core::{Acknowledge, PaymentId};
use payonce_ldk::{
    ChannelState, Handled, HeadKeeper, KvPayer, Options, Order, Starting, Terms, now, read_manager,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

type Keeper = HeadKeeper<Arc<FilesystemStore>>;
type Monitors = ChainMonitor<
    InMemorySigner,
    Arc<Chain>,
    Arc<Chain>,
    Arc<Chain>,
    Arc<Quiet>,
    Arc<Keeper>,
    Arc<KeysManager>,
>;
type Manager = SimpleArcChannelManager<Monitors, Chain, Chain, Quiet>;
type NodePayer = KvPayer<Arc<FilesystemStore>, Arc<Manager>, Arc<KeysManager>>;
type Graph = NetworkGraph<Arc<Quiet>>;
type Messages = DefaultMessageRouter<Arc<Graph>, Arc<Quiet>, Arc<KeysManager>>;
type Routes = DefaultRouter<
    Arc<Graph>,
    Arc<Quiet>,
    Arc<KeysManager>,
    Arc<RwLock<Scorer>>,
    ProbabilisticScoringFeeParameters,
    Scorer,
>;
type Scorer = ProbabilisticScorer<Arc<Graph>, Arc<Quiet>>;
type Peers = PeerManager<
    Socket,
    Arc<Manager>,
    IgnoringMessageHandler,
    IgnoringMessageHandler,
    Arc<Quiet>,
    IgnoringMessageHandler,
    Arc<KeysManager>,
    Arc<Monitors>,
>;
type Sweeper = OutputSweeperSync<
    Arc<Chain>,
    Arc<Chain>,
    Arc<Chain>,
    Arc<Chain>,
    Arc<Keeper>,
    Arc<Quiet>,
    Arc<KeysManager>,
>;

/// What a node has its chain for.
struct Chain;

impl BroadcasterInterface for Chain {
    fn broadcast_transactions(&self, _: &[&Transaction]) {}
}

impl FeeEstimator for Chain {
    fn get_est_sat_per_1000_weight(&self, _: ConfirmationTarget) -> u32 {
        253
    }
}

impl chain::Filter for Chain {
    fn register_tx(&self, _: &Txid, _: &Script) {}

    fn register_output(&self, _: WatchedOutput) {}
}

impl UtxoLookup for Chain {
    fn get_utxo(&self, _: &ChainHash, _: u64) -> UtxoResult {
        UtxoResult::Sync(Err(lightning::routing::utxo::UtxoLookupError::UnknownTx))
    }
}

/// Where swept outputs would go.
impl ChangeDestinationSourceSync for Chain {
    fn get_change_destination_script(&self) -> std::result::Result<ScriptBuf, ()> {
        Err(())
    }
}

struct Quiet;

impl Logger for Quiet {
    fn log(&self, _: Record<'_>) {}
}

/// Nobody is connected.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Socket;

impl SocketDescriptor for Socket {
    fn send_data(&mut self, data: &[u8], _: bool) -> usize {
        data.len()
    }

    fn disconnect_socket(&mut self) {}
}

/// A node that runs.
struct Node {
    payer: Arc<NodePayer>,
    processor: BackgroundProcessor,
}

fn new_monitors(store: &Arc<Keeper>, keys: &Arc<KeysManager>) -> Arc<Monitors> {
    let chain = Arc::new(Chain);
    Arc::new(ChainMonitor::new(
        Some(Arc::clone(&chain)),
        Arc::clone(&chain),
        Arc::new(Quiet),
        chain,
        Arc::clone(store),
        Arc::clone(keys),
        keys.get_peer_storage_key(),
    ))
}

fn routers(keys: &Arc<KeysManager>, graph: &Arc<Graph>) -> (Arc<Routes>, Arc<Messages>) {
    let quiet = Arc::new(Quiet);
    let decay = ProbabilisticScoringDecayParameters::default();
    let scorer = ProbabilisticScorer::new(decay, Arc::clone(graph), Arc::clone(&quiet));
    let routes = DefaultRouter::new(
        Arc::clone(graph),
        quiet,
        Arc::clone(keys),
        Arc::new(RwLock::new(scorer)),
        ProbabilisticScoringFeeParameters::default(),
    );
    let messages = DefaultMessageRouter::new(Arc::clone(graph), Arc::clone(keys));
    (Arc::new(routes), Arc::new(messages))
}

/// LDK's own part: the monitors, then the manager, read or new.
fn load(
    store: &Arc<Keeper>,
    keys: &Arc<KeysManager>,
    graph: &Arc<Graph>,
) -> Result<(Arc<Manager>, Arc<Monitors>)> {
    let (chain, monitors) = (Arc::new(Chain), new_monitors(store, keys));
    let (routes, messages) = routers(keys, graph);
    let written = read_channel_monitors(Arc::clone(store), Arc::clone(keys), Arc::clone(keys))?;
    let stored = KVStoreSync::read(
        &**store,
        CHANNEL_MANAGER_PERSISTENCE_PRIMARY_NAMESPACE,
        CHANNEL_MANAGER_PERSISTENCE_SECONDARY_NAMESPACE,
        CHANNEL_MANAGER_PERSISTENCE_KEY,
    );
    let read = |bytes: &mut &[u8]| {
        let arguments = ChannelManagerReadArgs::new(
            Arc::clone(keys),
            Arc::clone(keys),
            Arc::clone(keys),
            Arc::clone(&chain),
            Arc::clone(&monitors),
            Arc::clone(&chain),
            Arc::clone(&routes),
            Arc::clone(&messages),
            Arc::new(Quiet),
            UserConfig::default(),
            written.iter().map(|(_, monitor)| monitor).collect(),
        );
        <(BlockHash, Manager)>::read(bytes, arguments)
    };
    let manager = match stored {
        // Twice, whatever there is: a manager that is older than its monitors is no rare thing.
        Ok(bytes) => {
            let loaded = read_manager(&bytes, read);
            let (_synced_to, manager) = loaded.map_err(|error: DecodeError| error.to_string())?;
            manager
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            new_manager(keys, &monitors, routes, messages)?
        }
        Err(error) => return Err(error.into()),
    };
    // Here blocks are connected, from what the manager and each monitor are synced to up to the tip.
    for (_, monitor) in written {
        let watched = monitors.load_existing_monitor(monitor.channel_id(), monitor);
        watched.map_err(|()| "a monitor is there twice")?;
    }
    Ok((Arc::new(manager), monitors))
}

fn new_manager(
    keys: &Arc<KeysManager>,
    monitors: &Arc<Monitors>,
    routes: Arc<Routes>,
    messages: Arc<Messages>,
) -> Result<Manager> {
    let chain = Arc::new(Chain);
    let (network, best_block) = (Network::Regtest, BestBlock::from_network(Network::Regtest));
    Ok(Manager::new(
        Arc::clone(&chain),
        Arc::clone(monitors),
        chain,
        routes,
        messages,
        Arc::new(Quiet),
        Arc::clone(keys),
        Arc::clone(keys),
        Arc::clone(keys),
        UserConfig::default(),
        ChainParameters { network, best_block },
        u32::try_from(now().0 / 1_000)?,
    ))
}

/// The ledger's part: made with a node that is new, and opened ever after. No other process has this
/// directory: a lock file is how a node keeps it.
fn start_payer(
    store: &Arc<Keeper>,
    manager: &Arc<Manager>,
    keys: &Arc<KeysManager>,
) -> Result<NodePayer> {
    let options = Options::new(Network::Regtest, ChannelState::Latest).manager_read_twice();
    let (engine, entropy) = (Arc::clone(manager), Arc::clone(keys));
    let starting = Starting::in_store(store, engine, entropy, options, now())?;
    let (payer, report) = starting.finish(|event| others(&event), now()).map_err(|it| it.error)?;
    if report.restored {
        return Err("the ledger is older than the channels: tell what is known of the gap".into());
    }
    Ok(payer)
}

/// The node's own handler, for whatever else it does. What is not believed never comes here.
fn others(_: &Event) -> std::result::Result<(), ReplayEvent> {
    Ok(())
}

fn on_event(payer: &NodePayer, event: &Event) -> std::result::Result<(), ReplayEvent> {
    match payer.handle_event(event, now())? {
        // LDK says that something failed which it still tracks: nobody is told.
        Handled::NotBelieved { .. } => return Ok(()),
        Handled::Refused { refusal } => eprintln!("to be looked at: {refusal}"),
        _ => {}
    }
    others(event)
}

fn start(home: &Path) -> Result<Node> {
    let kv = FilesystemStore::new(home.to_owned());
    let store = Arc::new(HeadKeeper::new(Arc::new(kv)));
    // In production the seed is random, and kept.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let (seconds, nanos) = (since_epoch.as_secs(), since_epoch.subsec_nanos());
    let keys = Arc::new(KeysManager::new(&[42; 32], seconds, nanos, true));
    let graph = Arc::new(NetworkGraph::new(Network::Regtest, Arc::new(Quiet)));
    let (manager, monitors) = load(&store, &keys, &graph)?;
    let payer = Arc::new(start_payer(&store, &manager, &keys)?);

    let handlers = MessageHandler {
        chan_handler: Arc::clone(&manager),
        route_handler: IgnoringMessageHandler {},
        onion_message_handler: IgnoringMessageHandler {},
        custom_message_handler: IgnoringMessageHandler {},
        send_only_message_handler: Arc::clone(&monitors),
    };
    let random = keys.get_secure_random_bytes();
    let (time, quiet) = (u32::try_from(seconds)?, Arc::new(Quiet));
    let peers: Peers =
        PeerManager::new(handlers, time, &random, Arc::clone(&quiet), Arc::clone(&keys));
    let gossip = P2PGossipSync::new(Arc::clone(&graph), None::<Arc<Chain>>, Arc::clone(&quiet));
    let handler = Arc::clone(&payer);
    let processor = BackgroundProcessor::start(
        store,
        move |event: Event| on_event(&handler, &event),
        monitors,
        Arc::clone(&manager),
        None::<Arc<SimpleArcOnionMessenger<Monitors, Chain, Chain, Quiet>>>,
        GossipSync::p2p(Arc::new(gossip)),
        Arc::new(peers),
        NO_LIQUIDITY_MANAGER_SYNC,
        None::<Arc<Sweeper>>,
        quiet,
        None::<Arc<RwLock<Scorer>>>,
    );
    // Once peers are connected: what was accepted before and is due.
    payer.drive(now())?;
    Ok(Node { payer, processor })
}

/// Shutdown: the background processor writes the manager for the last time, and the head before it.
fn stop(node: Node) -> Result<()> {
    node.processor.stop()?;
    Ok(())
}

/// What the user must see, until they have it.
fn deliver(payer: &NodePayer) -> Result<Vec<String>> {
    let unread: Vec<_> = payer.ledger().query(|state| state.outbox().collect())?;
    // Here each is stored on the user's side, under its id.
    let ids = unread.iter().map(|notification| notification.id).collect();
    payer.ledger().execute(Acknowledge { ids }, now())?;
    Ok(unread.iter().map(|notification| format!("{:?}", notification.kind)).collect())
}

/// The payee's invoice.
fn invoice() -> Result<Bolt11Invoice> {
    let key = SecretKey::from_slice(&[0x11; 32])?;
    let invoice = InvoiceBuilder::new(Currency::Regtest)
        .description(String::from("tea"))
        .payment_hash(sha256::Hash::hash(&[1; 32]))
        .payment_secret(PaymentSecret([1; 32]))
        .current_timestamp()
        .min_final_cltv_expiry_delta(24)
        .amount_milli_satoshis(50_000)
        .build_signed(|message| Secp256k1::new().sign_ecdsa_recoverable(message, &key));
    invoice.map_err(|error| format!("{error:?}").into())
}

fn main() -> Result<()> {
    let home = tempfile::tempdir()?;
    // The user's side keeps these two, before the first call.
    let (id, order) = (PaymentId::from_bytes([1; 32]), Order::bolt11(invoice()?));
    let terms = Terms::default();

    let node = start(home.path())?;
    let paying = node.payer.pay(id, &order, None, &terms, now())?;
    println!("first start: {paying:?}");
    let view = node.payer.outcome(id)?;
    assert!(view.paid.is_none(), "a node without channels has paid");
    let told = deliver(&node.payer)?;
    assert!(told.iter().any(|kind| kind.starts_with("PaymentFailed")), "{told:?}");
    stop(node)?;

    let node = start(home.path())?;
    let again = node.payer.pay(id, &order, None, &terms, now())?;
    println!("second start: {again:?}");
    assert!(format!("{again:?}").starts_with("Repeat"), "the second start has forgotten it");
    assert_eq!(node.payer.outcome(id)?.status, view.status);
    assert!(deliver(&node.payer)?.is_empty(), "what was acknowledged is not told again");
    stop(node)
}
