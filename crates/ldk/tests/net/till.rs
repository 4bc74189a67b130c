//! A payer on node 0, over a log in memory that can be put back to any age.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use lightning::{
    bitcoin::{Network, constants::ChainHash},
    blinded_path::message::OffersContext,
    events::{Event, ReplayEvent},
    ln::channelmanager::{Bolt12PaymentError, PaymentId as EngineId, RecentPaymentDetails, Retry},
    offers::invoice::Bolt12Invoice,
    util::test_utils::TestKeysInterface,
};
use payonce_core::{Head, LedgerId, Opening, PaymentId, PaymentView, Remember, UnixMillis};
use payonce_ldk::{
    ChannelState, Engine, EngineRefusal, HandOverLimits, Options, Order, PayError, Payer, Paying,
    StartError, StartReport, Starting, Taken, Terms,
};
use payonce_store_memory::{Image, MemoryDisk, MemoryStore};

use super::{
    crash::Reading,
    node::{Manager, Net},
};

/// LDK as the payer sees it. Cut, it is a process that dies before it has called LDK.
#[derive(Clone)]
pub(crate) struct Wire {
    manager: &'static Manager,
    cut: Arc<AtomicBool>,
}

impl Engine for Wire {
    fn chain_hash(&self) -> Option<ChainHash> {
        self.manager.chain_hash()
    }

    fn has_channels(&self) -> bool {
        self.manager.has_channels()
    }

    fn hand_over(
        &self,
        id: EngineId,
        order: &Order,
        limits: &HandOverLimits,
    ) -> Result<Taken, EngineRefusal> {
        if self.cut.load(Ordering::Relaxed) {
            return Ok(Taken::Now);
        }
        self.manager.hand_over(id, order, limits)
    }

    fn pay_bolt12_invoice(
        &self,
        invoice: &Bolt12Invoice,
        context: Option<&OffersContext>,
    ) -> Result<(), Bolt12PaymentError> {
        self.manager.pay_bolt12_invoice(invoice, context)
    }

    fn abandon(&self, id: EngineId) {
        self.manager.abandon(id);
    }

    fn recent_payments(&self) -> Vec<RecentPaymentDetails> {
        self.manager.recent_payments()
    }

    fn deliver_events(&self, handler: &dyn Fn(Event) -> Result<(), ReplayEvent>) {
        self.manager.deliver_events(handler);
    }

    async fn deliver_events_async<F>(&self, handler: impl Fn(Event) -> F)
    where
        F: Future<Output = Result<(), ReplayEvent>>,
    {
        self.manager.deliver_events_async(handler).await;
    }
}

pub(crate) type NetPayer = Payer<MemoryStore, Arc<Wire>, &'static TestKeysInterface>;

/// A payer, its log, and the time that it is told.
pub(crate) struct Till {
    pub(crate) disk: MemoryDisk,
    pub(crate) payer: NetPayer,
    pub(crate) now: UnixMillis,
    cut: Arc<AtomicBool>,
}

impl Till {
    /// The first start of a node.
    pub(crate) fn open_new(net: &Net) -> Self {
        let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let now = UnixMillis(
            u64::try_from(since_epoch.as_millis()).expect("a clock before the year 500,000,000"),
        );
        Self::start(disk, None, net, now).expect("a new log").0
    }

    /// A node's start: its channels are loaded, no peer is connected.
    pub(crate) fn start(
        disk: MemoryDisk,
        known_head: Option<Head>,
        net: &Net,
        now: UnixMillis,
    ) -> Result<(Self, StartReport), StartError> {
        let cut = Arc::new(AtomicBool::new(false));
        let wire = Arc::new(Wire { manager: net.nodes[0].node, cut: Arc::clone(&cut) });
        let opening = Opening::new(Remember::Forever, 1);
        let opening = match known_head {
            Some(head) => opening.known_head(head),
            None => opening,
        };
        // LDK's own retries go by the clock: here the ledger's alone are left.
        let options =
            Options::new(Network::Testnet, ChannelState::Latest).retry(Retry::Attempts(0));
        let options = match net.reading {
            Reading::Twice => options.manager_read_twice(),
            Reading::Once => options,
        };
        let starting =
            Starting::open(disk.open(), &opening, wire, net.nodes[0].keys_manager, options, now)?;
        let (payer, report) =
            starting.finish(|_| Ok(()), now).map_err(|unfinished| unfinished.error)?;
        Ok((Self { disk, payer, now, cut }, report))
    }

    pub(crate) fn pay(
        &self,
        id: PaymentId,
        order: &Order,
        amount: Option<u64>,
        retry: u32,
    ) -> Result<Paying, PayError> {
        let terms = Terms::default().retry(payonce_core::RetryPolicy::Attempts(retry));
        self.payer.pay(id, order, amount.map(payonce_core::Msat), &terms, self.now)
    }

    /// From here on nothing reaches LDK: the process is dying.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Handles the events that LDK has; how many there were.
    pub(crate) fn handle_events(&self, net: &Net) -> usize {
        let count = Cell::new(0);
        net.handle_events(0, |event| {
            count.set(count.get() + 1);
            self.payer.handle_event(&event, self.now)?;
            Ok(())
        });
        count.get()
    }

    /// Handles so many of LDK's events and refuses the next one, recorded or not: LDK delivers it again.
    pub(crate) fn refuse_event(&self, net: &Net, after: usize, recorded: bool) -> bool {
        let (count, refused) = (Cell::new(0), Cell::new(false));
        net.handle_events(0, |event| {
            let last = count.get() == after;
            if !last || recorded {
                self.payer.handle_event(&event, self.now)?;
            }
            count.set(count.get() + 1);
            refused.set(last);
            if last { Err(ReplayEvent()) } else { Ok(()) }
        });
        refused.get()
    }

    /// A minute passes, for LDK and for the ledger.
    pub(crate) fn tick(&mut self, net: &Net) {
        self.now = self.now.plus(60_000);
        net.nodes[0].node.timer_tick_occurred();
        self.payer.tick(self.now).expect("the store is well");
    }

    pub(crate) fn drive(&self) {
        self.payer.drive(self.now).expect("the store is well");
    }

    pub(crate) fn payment_view(&self, id: &PaymentId) -> Option<PaymentView> {
        self.payer.payment_view(id).expect("the store is well")
    }

    pub(crate) fn head(&self) -> Head {
        self.disk.image().head()
    }

    /// The log as it was `entries` entries ago.
    pub(crate) fn put_back(&self, entries: usize) -> Image {
        let image = self.disk.image();
        let at = image.heads().rev().nth(entries).map_or(0, |head| head.seq);
        image.cut_after(at)
    }
}
