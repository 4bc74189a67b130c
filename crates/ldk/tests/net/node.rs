//! The nodes, their channels and payments.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    mem::ManuallyDrop,
};

use lightning::bitcoin::{OutPoint, secp256k1::PublicKey};
use lightning::bolt11_invoice::Bolt11Invoice;
use lightning::{
    events::{Event, EventsProvider as _, PaymentPurpose, ReplayEvent},
    ln::{
        channelmanager::{Bolt11InvoiceParameters, RecipientOnionFields},
        functional_test_utils::{
            self as ldk, ConnectStyle, NodeCfg, TestChanMonCfg, TestChannelManager,
        },
        msgs::BaseMessageHandler as _,
    },
    offers::offer::Offer,
    sign::SpendableOutputDescriptor,
    types::payment::{PaymentHash, PaymentPreimage},
};

use super::{
    archive::Archive,
    chain::Chain,
    crash::Reading,
    mail::{Letter, forget_added_monitors},
};

pub(crate) type Node = ldk::Node<'static, 'static, 'static>;
pub(crate) type Manager = TestChannelManager<'static, 'static>;

/// What the payee does with an HTLC for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Claim,
    Fail,
    /// Keeps it, and says nothing.
    Hold,
}

/// Nodes, the mail between them, and the chain under them.
pub(crate) struct Net {
    pub(crate) nodes: ManuallyDrop<Vec<Node>>,
    pub(crate) archives: Vec<&'static Archive>,
    pub(crate) mail: VecDeque<Letter>,
    pub(crate) chain: Chain,
    /// What the payees do with a payment.
    pub(crate) outcomes: HashMap<PaymentHash, Outcome>,
    /// What they do where nothing is said.
    pub(crate) default_outcome: Outcome,
    /// How nodes are loaded.
    pub(crate) reading: Reading,
    /// Payments that a payee may still claim or fail.
    pub(crate) claimable: Vec<(usize, PaymentHash, PaymentPreimage)>,
    /// With what a payment came to its payee: the records beside it, and what it is for.
    pub(crate) received: HashMap<PaymentHash, (Option<RecipientOnionFields>, PaymentPurpose)>,
    /// What payees were paid, in msat, by payment hash, as often as LDK said so.
    pub(crate) claimed: Vec<(usize, PaymentHash, u64)>,
    /// Outputs on chain that each node can spend, in satoshis.
    pub(super) swept: Vec<HashMap<OutPoint, u64>>,
    links: BTreeSet<(usize, usize)>,
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl Net {
    /// Connected nodes without channels.
    pub(crate) fn new(count: usize) -> Self {
        let configs: &'static Vec<TestChanMonCfg> = leak(ldk::create_chanmon_cfgs(count));
        let archives: Vec<&'static Archive> =
            (0..count).map(|_| leak(Archive::default())).collect();
        let nodes: &'static Vec<NodeCfg<'static>> =
            leak(ldk::create_node_cfgs_with_persisters(count, configs, archives.clone()));
        let managers = leak(ldk::create_node_chanmgrs(count, nodes, &vec![None; count]));
        let nodes = ManuallyDrop::new(ldk::create_network(count, nodes, managers));
        *nodes[0].connect_style.borrow_mut() = ConnectStyle::FullBlockViaListen;
        let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
        let chain = Chain::after(&nodes[0].blocks.lock().expect("new"));
        Self {
            chain,
            nodes,
            archives,
            mail: VecDeque::new(),
            outcomes: HashMap::new(),
            default_outcome: Outcome::Claim,
            reading: Reading::Twice,
            claimable: Vec::new(),
            received: HashMap::new(),
            claimed: Vec::new(),
            swept: vec![HashMap::new(); count],
            links: pairs.collect(),
        }
    }

    /// Nodes in this shape of channels: (funder, peer, satoshis, msat given to the peer).
    pub(crate) fn with_channels(count: usize, channels: &[(usize, usize, u64, u64)]) -> Self {
        let mut net = Self::new(count);
        for &(a, b, satoshis, pushed) in channels {
            ldk::create_announced_chan_between_nodes_with_value(&net.nodes, a, b, satoshis, pushed);
        }
        let height =
            net.nodes.iter().map(|node| node.best_block_info().1).max().expect("there are nodes");
        for node in net.nodes.iter() {
            let behind = height - node.best_block_info().1;
            if behind > 0 {
                ldk::connect_blocks(node, behind);
            }
        }
        net.chain = Chain::after(&net.nodes[0].blocks.lock().expect("quiet"));
        net.pump();
        net
    }

    pub(crate) fn id(&self, node: usize) -> PublicKey {
        self.nodes[node].node.get_our_node_id()
    }

    pub(super) fn index_of(&self, id: PublicKey) -> Option<usize> {
        (0..self.nodes.len()).find(|&node| self.id(node) == id)
    }

    pub(crate) fn is_connected(&self, a: usize, b: usize) -> bool {
        self.links.contains(&(a.min(b), a.max(b)))
    }

    pub(crate) fn disconnect(&mut self, a: usize, b: usize) {
        if self.links.remove(&(a.min(b), a.max(b))) {
            self.mail.retain(|letter| ![(a, b), (b, a)].contains(&(letter.from, letter.to)));
            self.forget_peer(a, b);
            self.forget_peer(b, a);
        }
    }

    /// One side notices that the other is gone.
    pub(super) fn forget_peer(&self, node: usize, peer: usize) {
        self.nodes[node].node.peer_disconnected(self.id(peer));
        self.nodes[node].onion_messenger.peer_disconnected(self.id(peer));
    }

    pub(super) fn unlink(&mut self, node: usize) {
        for peer in 0..self.nodes.len() {
            if self.links.remove(&(node.min(peer), node.max(peer))) {
                self.forget_peer(peer, node);
            }
        }
        self.drop_mail_of(node);
    }

    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        // What is still to be sent to a peer that is away is lost.
        self.collect_mail();
        if a != b && self.links.insert((a.min(b), a.max(b))) {
            ldk::connect_nodes(&self.nodes[a.min(b)], &self.nodes[a.max(b)]);
        }
    }

    pub(crate) fn connect_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                self.connect(a, b);
            }
        }
    }

    /// Ends a step of a node: LDK is told what is durable, and its own notes are dropped.
    pub(crate) fn settle(&self, node: usize) {
        for (channel, update) in self.archives[node].take_open() {
            let monitor = &self.nodes[node].chain_monitor.chain_monitor;
            monitor.channel_monitor_updated(channel, update).expect("the channel is watched");
        }
        forget_added_monitors(&self.nodes[node]);
    }

    pub(crate) fn has_mail(&mut self) -> bool {
        self.collect_mail();
        !self.mail.is_empty()
    }

    /// Whether a closed channel still has something to be decided by blocks.
    pub(crate) fn awaits_blocks(&self) -> bool {
        self.nodes.iter().any(|node| {
            let open: Vec<_> =
                node.node.list_channels().iter().map(|channel| channel.channel_id).collect();
            let monitors = &node.chain_monitor.chain_monitor;
            let closed =
                monitors.list_monitors().into_iter().filter(|channel| !open.contains(channel));
            let mut closed =
                closed.map(|channel| monitors.get_monitor(channel).expect("it is listed"));
            closed.any(|monitor| !monitor.get_claimable_balances().is_empty())
        })
    }

    /// An invoice of a node. The payee keeps nothing of it.
    pub(crate) fn invoice(&self, payee: usize, amount_msat: Option<u64>) -> Bolt11Invoice {
        let parameters = Bolt11InvoiceParameters {
            amount_msats: amount_msat,
            ..Bolt11InvoiceParameters::default()
        };
        self.nodes[payee].node.create_bolt11_invoice(parameters).expect("an invoice")
    }

    /// An offer of a node, for one amount.
    pub(crate) fn offer(&self, payee: usize, amount_msat: u64) -> Offer {
        let builder = self.nodes[payee].node.create_offer_builder().expect("an offer");
        builder.amount_msats(amount_msat).build().expect("an offer")
    }

    /// Everything but node 0 acts: events, forwards, claims as told. Whether anything happened.
    pub(crate) fn others_act(&mut self) -> bool {
        let mut any = false;
        for node in 1..self.nodes.len() {
            any |= self.forward(node);
            for event in self.take_events(node) {
                any = true;
                self.payee_event(node, event);
            }
            any |= self.decide_claims(node);
            self.settle(node);
        }
        any
    }

    pub(crate) fn forward(&self, node: usize) -> bool {
        let manager = self.nodes[node].node;
        let needed = manager.needs_pending_htlc_processing();
        if needed {
            manager.process_pending_htlc_forwards();
        }
        self.settle(node);
        needed
    }

    /// Events of a node's manager, all taken.
    pub(crate) fn take_events(&self, node: usize) -> Vec<Event> {
        let taken = std::cell::RefCell::new(Vec::new());
        let take = |event| {
            taken.borrow_mut().push(event);
            Ok(())
        };
        self.nodes[node].node.process_pending_events(&take);
        taken.into_inner()
    }

    /// Gives node's events to a handler, one after the other, as LDK's background processor does.
    pub(crate) fn handle_events(
        &self,
        node: usize,
        handler: impl Fn(Event) -> Result<(), ReplayEvent>,
    ) {
        self.nodes[node].node.process_pending_events(&handler);
        self.settle(node);
    }

    /// Outputs that a node can spend now: noted by outpoint, so that a repeat counts once.
    pub(crate) fn sweep(&mut self, node: usize) {
        let outputs = std::cell::RefCell::new(Vec::new());
        let take = |event| {
            if let Event::SpendableOutputs { outputs: found, .. } = event {
                outputs.borrow_mut().extend(found);
            }
            Ok::<(), ReplayEvent>(())
        };
        self.nodes[node].chain_monitor.chain_monitor.process_pending_events(&take);
        for output in outputs.into_inner() {
            let (at, satoshis) = match &output {
                SpendableOutputDescriptor::StaticOutput { outpoint, output, .. } => {
                    (*outpoint, output.value)
                }
                SpendableOutputDescriptor::DelayedPaymentOutput(delayed) => {
                    (delayed.outpoint, delayed.output.value)
                }
                SpendableOutputDescriptor::StaticPaymentOutput(paid) => {
                    (paid.outpoint, paid.output.value)
                }
            };
            self.swept[node].insert(at.into_bitcoin_outpoint(), satoshis.to_sat());
        }
    }

    fn payee_event(&mut self, node: usize, event: Event) {
        match event {
            Event::PaymentClaimable { payment_hash, purpose, onion_fields, .. } => {
                let preimage = purpose.preimage().expect("the payee's own invoice");
                self.received.insert(payment_hash, (onion_fields, purpose));
                self.claimable.push((node, payment_hash, preimage));
            }
            Event::PaymentClaimed { payment_hash, amount_msat, .. } => {
                self.claimed.push((node, payment_hash, amount_msat));
            }
            _ => {}
        }
    }

    fn decide_claims(&mut self, node: usize) -> bool {
        let mut any = false;
        for (payee, hash, preimage) in std::mem::take(&mut self.claimable) {
            let outcome = self.outcomes.get(&hash).copied().unwrap_or(self.default_outcome);
            if payee != node || outcome == Outcome::Hold {
                self.claimable.push((payee, hash, preimage));
                continue;
            }
            any = true;
            if outcome == Outcome::Claim {
                self.nodes[node].node.claim_funds(preimage);
            } else {
                self.nodes[node].node.fail_htlc_backwards(&hash);
            }
        }
        any
    }

    /// Delivers and acts until nothing moves. Node 0's events stay in its queue.
    pub(crate) fn pump(&mut self) {
        for _ in 0..10_000 {
            let mut any = false;
            while self.deliver().is_some() {
                any = true;
            }
            while self.deliver_onion_message().is_some() {
                any = true;
            }
            any |= self.others_act();
            any |= self.forward(0);
            self.sweep_all();
            if !any && self.is_quiet() {
                return;
            }
        }
        panic!("the nodes never stop talking");
    }

    fn is_quiet(&mut self) -> bool {
        self.collect_mail();
        self.mail.is_empty()
    }

    fn sweep_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.sweep(node);
        }
    }

    /// Mines a block with what was broadcast, for everyone.
    pub(crate) fn mine_block(&mut self) {
        for node in self.nodes.iter() {
            self.chain.broadcast(node.tx_broadcaster.txn_broadcast());
        }
        let (block, _) = self.chain.mine();
        for node in 0..self.nodes.len() {
            ldk::connect_block(&self.nodes[node], &block);
            self.settle(node);
        }
    }

    /// Mines blocks; what a block makes the nodes broadcast is in the next one.
    pub(crate) fn mine_blocks(&mut self, blocks: u32) {
        for _ in 0..blocks {
            self.mine_block();
        }
    }

    /// Whether anything of a node's is still to be decided on chain.
    pub(crate) fn has_closed_channels(&self, node: usize) -> bool {
        self.closed_channels(node) > 0
    }

    /// What a node owns, in msat: open channels without what is in flight, and outputs on chain.
    pub(crate) fn balance_msat(&self, node: usize) -> u64 {
        let channels = self.nodes[node].node.list_channels();
        let reserve = |sat: Option<u64>| sat.unwrap_or(0) * 1000;
        let open: u64 = channels
            .iter()
            .map(|channel| {
                channel.outbound_capacity_msat + reserve(channel.unspendable_punishment_reserve)
            })
            .sum();
        open + self.swept[node].values().sum::<u64>() * 1000
    }
}
