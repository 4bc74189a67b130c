//! A node dies, and is loaded from what was persisted: of any age.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
};

use lightning::bitcoin::BlockHash;
use lightning::{
    chain::{Listen as _, channelmonitor::ChannelMonitor},
    io::Cursor,
    ln::{
        channelmanager::ChannelManagerReadArgs, functional_test_utils::test_default_channel_config,
        msgs::DecodeError, types::ChannelId,
    },
    util::{
        ser::{ReadableArgs as _, Writeable as _},
        test_channel_signer::TestChannelSigner,
        test_utils::TestChainMonitor,
    },
};

use payonce_ldk::read_manager;

use super::node::{Manager, Net};

type Monitor = ChannelMonitor<TestChannelSigner>;

/// What is on disk of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) manager: Vec<u8>,
    pub(crate) monitors: BTreeMap<ChannelId, Vec<u8>>,
}

/// How a node was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loaded {
    /// All channels are open.
    Open,
    /// LDK found the manager older than a monitor, and closes the channel.
    Closing,
}

/// How often a manager is read when a node is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Twice,
    /// As most nodes do.
    Once,
}

/// Why LDK does not load an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its error on reading the manager.
    Read(DecodeError),
    /// It stopped the process instead.
    Panicked(String),
}

impl Net {
    /// What would be on disk if everything were written now. Monitors: the newest that LDK wrote.
    pub(crate) fn image(&self, node: usize) -> Image {
        Image { manager: self.nodes[node].node.encode(), monitors: self.archives[node].monitors(0) }
    }

    /// The node's process ends here: what was on its way is lost, its peers notice.
    pub(crate) fn crash(&mut self, node: usize) {
        self.unlink(node);
        // What it had handed to the network stays handed over.
        self.chain.broadcast(self.nodes[node].tx_broadcaster.txn_broadcast());
    }

    /// Loads a crashed node, up to the point at which it could connect to peers.
    pub(crate) fn load(&mut self, node: usize, image: &Image) -> Result<Loaded, Refused> {
        let known = self.closed_channels(node);
        self.watch_anew(node);
        let result = catch_unwind(AssertUnwindSafe(|| self.read(node, image)));
        let (manager, monitors) = result
            .map_err(|panic| Refused::Panicked(panic_message(panic.as_ref())))?
            .map_err(Refused::Read)?;
        self.archives[node].put_back(&image.monitors);
        self.install(node, manager, monitors);
        let closing = self.closed_channels(node) > known;
        Ok(if closing { Loaded::Closing } else { Loaded::Open })
    }

    pub(super) fn closed_channels(&self, node: usize) -> usize {
        let node = &self.nodes[node];
        let monitors = node.chain_monitor.chain_monitor.list_monitors().len();
        monitors.saturating_sub(node.node.list_channels().len())
    }

    /// A new process has nothing to watch yet.
    fn watch_anew(&mut self, at: usize) {
        let archive = self.archives[at];
        let node = &mut self.nodes[at];
        let chain_monitor = TestChainMonitor::new(
            Some(node.chain_source),
            node.tx_broadcaster,
            node.logger,
            node.fee_estimator,
            archive,
            node.keys_manager,
        );
        node.chain_monitor = Box::leak(Box::new(chain_monitor));
    }

    fn read(&self, node: usize, image: &Image) -> Result<(Manager, Vec<Monitor>), DecodeError> {
        let node = &self.nodes[node];
        let monitors = image.monitors.values().map(|bytes| {
            let keys = (node.keys_manager, node.keys_manager);
            <(BlockHash, Monitor)>::read(&mut Cursor::new(bytes), keys).map(|(_, monitor)| monitor)
        });
        let monitors = monitors.collect::<Result<Vec<_>, _>>()?;
        let by_channel: HashMap<_, _> =
            monitors.iter().map(|monitor| (monitor.channel_id(), monitor)).collect();
        let read = |bytes: &mut &[u8]| {
            let arguments = ChannelManagerReadArgs {
                entropy_source: node.keys_manager,
                node_signer: node.keys_manager,
                signer_provider: node.keys_manager,
                fee_estimator: node.fee_estimator,
                chain_monitor: node.chain_monitor,
                tx_broadcaster: node.tx_broadcaster,
                router: node.router,
                message_router: node.message_router,
                logger: node.logger,
                config: test_default_channel_config(),
                channel_monitors: by_channel.iter().map(|(id, monitor)| (*id, *monitor)).collect(),
            };
            <(BlockHash, Manager)>::read(bytes, arguments)
        };
        let (_, manager) = match self.reading {
            Reading::Twice => read_manager(&image.manager, read)?,
            Reading::Once => read(&mut &image.manager[..])?,
        };
        Ok((manager, monitors))
    }

    /// A new process: monitors are watched again, blocks that were missed are told to everyone.
    fn install(&mut self, at: usize, manager: Manager, monitors: Vec<Monitor>) {
        let node = &mut self.nodes[at];
        node.node = Box::leak(Box::new(manager));
        node.onion_messenger.set_offers_handler(node.node);
        node.onion_messenger.set_async_payments_handler(node.node);
        let blocks = self.chain.blocks();
        for monitor in monitors {
            let known = monitor.current_best_block().height;
            for (block, height) in blocks.iter().filter(|(_, height)| *height > known) {
                let txs: Vec<_> = block.txdata.iter().enumerate().collect();
                let (broadcaster, fees) = (node.tx_broadcaster, node.fee_estimator);
                monitor.block_connected(
                    &block.header,
                    &txs,
                    *height,
                    broadcaster,
                    fees,
                    &node.logger,
                );
            }
            let status = node.chain_monitor.load_existing_monitor(monitor.channel_id(), monitor);
            status.expect("the channel is not watched yet");
        }
        let known = node.node.current_best_block().height;
        for (block, height) in blocks.iter().filter(|(_, height)| *height > known) {
            node.node.block_connected(block, *height);
        }
        self.settle(at);
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}
