//! A node that pays, and what it pays at.

use std::cell::Cell;

use lightning::{
    bitcoin::Network,
    ln::{
        channelmanager::{RecentPaymentDetails, Retry},
        functional_test_utils::TestChannelManager,
    },
    util::test_utils::TestKeysInterface,
};
use payonce_core::{
    LedgerId, Msat, Opening, PartId, PartStatus, PaymentId, PaymentView, Remember, UnixMillis,
};
use payonce_ldk::{ChannelState, Options, Order, Payer, Paying, StartReport, Starting, Terms};
use payonce_store_memory::{MemoryDisk, MemoryStore};

use crate::net::{Image, Loaded, Net};

pub(crate) type ShopPayer =
    Payer<MemoryStore, &'static TestChannelManager<'static, 'static>, &'static TestKeysInterface>;

pub(crate) const AMOUNT: u64 = 5_000_000;

pub(crate) const fn id(number: u8) -> PaymentId {
    PaymentId::from_bytes([number; 32])
}

/// A net whose node 0 pays.
pub(crate) struct Shop {
    pub(crate) net: Net,
    pub(crate) disk: MemoryDisk,
    pub(crate) options: Options,
    pub(crate) now: UnixMillis,
    payer: Option<ShopPayer>,
    /// What node 0 owned at first, in msat.
    pub(crate) wealth: u64,
}

/// Two nodes and a channel.
pub(crate) fn two() -> Shop {
    Shop::over(Net::with_channels(2, &[(0, 1, 1_000_000, 0)]))
}

/// Three nodes in a row.
pub(crate) fn three() -> Shop {
    Shop::over(Net::with_channels(3, &[(0, 1, 1_000_000, 0), (1, 2, 1_000_000, 0)]))
}

impl Shop {
    pub(crate) fn over(net: Net) -> Self {
        // LDK's own retries go by a clock: by default the ledger's alone are left.
        let options =
            Options::new(Network::Testnet, ChannelState::Latest).retry(Retry::Attempts(0));
        Self::with_options(net, options)
    }

    pub(crate) fn with_options(net: Net, options: Options) -> Self {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("a clock after 1970");
        let now = UnixMillis(u64::try_from(since_epoch.as_millis()).expect("not that late"));
        let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));
        let wealth = net.balance_msat(0);
        let mut shop = Self { net, disk, options, now, payer: None, wealth };
        shop.start();
        shop
    }

    pub(crate) fn payer(&self) -> &ShopPayer {
        self.payer.as_ref().expect("it is running")
    }

    /// A start after the channels were loaded, before peers connect.
    pub(crate) fn start(&mut self) -> StartReport {
        let node = &self.net.nodes[0];
        let opening = Opening::new(Remember::Forever, 1);
        let (store, options) = (self.disk.open(), self.options.clone());
        let starting =
            Starting::open(store, &opening, node.node, node.keys_manager, options, self.now);
        let started = starting.expect("a sound log").finish(|_| Ok(()), self.now);
        let (payer, report) = started.expect("the store is well");
        self.payer = Some(payer);
        report
    }

    /// Node 0's process dies; what is loaded again is this.
    pub(crate) fn reload(&mut self, image: &Image) -> (Loaded, StartReport) {
        self.payer = None;
        self.net.crash(0);
        let loaded = self.net.load(0, image).expect("LDK loads it");
        let report = self.start();
        (loaded, report)
    }

    /// Dies with everything written, starts, and connects.
    pub(crate) fn restart(&mut self) -> StartReport {
        let (loaded, report) = self.reload(&self.net.image(0));
        assert_eq!(loaded, Loaded::Open);
        self.net.connect_all();
        report
    }

    pub(crate) fn pay(&self, number: u8, order: &Order, terms: &Terms) -> Paying {
        self.payer().pay(id(number), order, None, terms, self.now).expect("not refused")
    }

    pub(crate) fn invoice(&self, payee: usize) -> Order {
        Order::bolt11(self.net.invoice(payee, Some(AMOUNT)))
    }

    /// Node 0 handles its events; how many there were.
    pub(crate) fn handle_events(&self) -> usize {
        let count = Cell::new(0);
        self.net.handle_events(0, |event| {
            count.set(count.get() + 1);
            self.payer().handle_event(&event, self.now)?;
            Ok(())
        });
        count.get()
    }

    /// Everybody acts until nothing moves.
    pub(crate) fn settle(&mut self) {
        loop {
            self.net.pump();
            if self.handle_events() == 0 {
                return;
            }
        }
    }

    /// A minute passes, for LDK and for the ledger.
    pub(crate) fn tick(&mut self) {
        self.now = self.now.plus(60_000);
        self.net.nodes[0].node.timer_tick_occurred();
        self.payer().tick(self.now).expect("the store is well");
    }

    pub(crate) fn payment_view(&self, number: u8) -> PaymentView {
        self.payer().payment_view(&id(number)).expect("the store is well").expect("known")
    }

    pub(crate) fn parts(&self, number: u8) -> Vec<(PartId, PartStatus)> {
        let of = |payment: &payonce_core::Payment| {
            payment.parts().iter().map(|part| (part.id, part.status)).collect()
        };
        let ledger = self.payer().ledger();
        ledger.query(|state| state.payment(&id(number)).map(of).unwrap_or_default()).expect("well")
    }

    pub(crate) fn listed(&self) -> Vec<RecentPaymentDetails> {
        self.net.nodes[0].node.list_recent_payments()
    }

    /// What node 0 has spent since the beginning, in msat.
    pub(crate) fn spent(&self) -> u64 {
        self.wealth - self.net.balance_msat(0)
    }

    /// Asserts that this payment is paid, once, and that a repeat is told so and costs nothing.
    pub(crate) fn assert_paid_once(&mut self, number: u8, order: &Order, terms: &Terms) {
        let paid = self.payment_view(number).paid.expect("it is paid");
        let (amount, fee) = (paid.amount.expect("known"), paid.fee.expect("known"));
        assert_eq!(self.spent(), amount.0 + fee.0, "the ledger agrees with the balance");
        let listed = self.listed().len();
        let Paying::Repeat { view, .. } = self.pay(number, order, terms) else {
            panic!("a repeat was accepted");
        };
        assert_eq!(view.paid, Some(paid));
        assert_eq!(self.listed().len(), listed, "a repeat never reaches LDK");
        self.settle();
        assert_eq!(self.spent(), amount.0 + fee.0, "a repeat pays nothing");
    }
}

/// The fee of a payment.
pub(crate) fn fee(view: &PaymentView) -> Msat {
    view.paid.expect("paid").fee.expect("known")
}
