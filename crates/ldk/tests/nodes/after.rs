//! The node of `before.rs` on payonce: no table, no guess.

use std::{error::Error, path::Path, sync::Arc};

use lightning::{
    bitcoin::{Network, hashes::Hash as _},
    bolt11_invoice::Bolt11Invoice,
    events::{Event, ReplayEvent},
    util::test_utils::TestKeysInterface,
};
use lightning_persister::fs_store::FilesystemStore;
use payonce_core::{Listing, Opening, Page, PaymentId, Remember, Status, UnixMillis};
use payonce_ldk::{
    ChannelState, Handled, Options, Order, Payer, Paying, StartReport, Starting, Terms,
};
use payonce_store_kv::{KvStore, Namespace};

use crate::net::Manager;

pub(crate) type Log = KvStore<Arc<FilesystemStore>>;

pub(crate) struct After {
    pub(crate) payer: Payer<Log, &'static Manager, &'static TestKeysInterface>,
}

pub(crate) fn opening() -> Opening {
    let mut opening = Opening::new(Remember::Forever, 1);
    opening.single_writer = true;
    opening
}

pub(crate) fn log(home: &Path) -> Result<Log, Box<dyn Error>> {
    let kv = Arc::new(FilesystemStore::new(home.to_owned()));
    Ok(KvStore::open(kv, Namespace::default())?)
}

impl After {
    pub(crate) fn start(
        home: &Path,
        manager: &'static Manager,
        keys: &'static TestKeysInterface,
        now: UnixMillis,
    ) -> Result<(Self, StartReport), Box<dyn Error>> {
        let options = Options::new(Network::Testnet, ChannelState::Latest).manager_read_twice();
        let starting = Starting::open(log(home)?, &opening(), manager, keys, options, now)?;
        let (payer, report) = starting.finish(|_| Ok(()), now).map_err(|it| it.error)?;
        Ok((Self { payer }, report))
    }

    pub(crate) fn pay(
        &self,
        invoice: &Bolt11Invoice,
        now: UnixMillis,
    ) -> Result<Status, Box<dyn Error>> {
        let id = PaymentId::from_bytes(invoice.payment_hash().to_byte_array());
        let order = Order::bolt11(invoice.clone());
        match self.payer.pay(id, &order, None, &Terms::default(), now)? {
            Paying::Repeat { view, .. } => Ok(view.status),
            _ => Ok(Status::Pending),
        }
    }

    pub(crate) fn on_event(&self, event: &Event, now: UnixMillis) -> Result<Handled, ReplayEvent> {
        Ok(self.payer.handle_event(event, now)?)
    }

    pub(crate) fn list(&self) -> Result<Page, Box<dyn Error>> {
        Ok(self.payer.list(&Listing::new(100).oldest_first())?)
    }
}
