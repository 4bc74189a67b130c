//! An engine that answers as it is told, and remembers what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use lightning::{
    bitcoin::secp256k1::{Secp256k1, SecretKey},
    blinded_path::message::OffersContext,
    bolt11_invoice::{Bolt11Invoice, Currency, InvoiceBuilder},
    events::{Event, PaymentFailureReason, ReplayEvent},
    ln::channelmanager::{PaymentId as EngineId, RecentPaymentDetails},
    offers::invoice::Bolt12Invoice,
    sign::RandomBytes,
    types::payment::{PaymentHash as EngineHash, PaymentPreimage, PaymentSecret},
};
use payonce_core::{
    LedgerId, Msat, NotificationId, Opening, PartId, PartStatus, PaymentHash, PaymentId, Preimage,
    Remember, Status, UnixMillis,
};
use payonce_ldk::{
    ChannelState, Engine, EngineRefusal, HandOverLimits, Options, Order, PayError, Payer, Paying,
    StartError, StartReport, Starting, Taken, Terms,
};
use payonce_store_memory::{MemoryDisk, MemoryStore};

pub(crate) use crate::listed::Listed;
use crate::listed::{Bolt12PaymentError, Retry, invoiced};

/// The moment at which all of this happens.
pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// What the engine was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    HandOver { id: EngineId, amount_msat: u64, max_fee_msat: Option<u64> },
    Abandon(EngineId),
}

#[derive(Debug, Default)]
struct Lines {
    listed: Vec<Listed>,
    events: VecDeque<Event>,
    answers: VecDeque<Result<Taken, EngineRefusal>>,
    meanwhile: Option<Meanwhile>,
    asked: Vec<Asked>,
    has_channels: bool,
}

/// What happens on another thread while the engine takes a hand-over.
struct Meanwhile(Box<dyn FnOnce(EngineId) + Send>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

/// The engine, and what outlives a process of it.
#[derive(Debug, Default)]
pub(crate) struct Script(Mutex<Lines>);

impl Script {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().expect("no test panics with it")
    }

    pub(crate) fn list(&self, listed: impl IntoIterator<Item = Listed>) {
        self.lines().listed = listed.into_iter().collect();
    }

    pub(crate) fn set_channels(&self, has_channels: bool) {
        self.lines().has_channels = has_channels;
    }

    pub(crate) fn queue(&self, event: Event) {
        self.lines().events.push_back(event);
    }

    pub(crate) fn answer(&self, answer: Result<Taken, EngineRefusal>) {
        self.lines().answers.push_back(answer);
    }

    pub(crate) fn meanwhile(&self, happens: impl FnOnce(EngineId) + Send + 'static) {
        self.lines().meanwhile = Some(Meanwhile(Box::new(happens)));
    }

    pub(crate) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.lines().asked)
    }

    pub(crate) fn events_left(&self) -> usize {
        self.lines().events.len()
    }
}

impl Engine for Script {
    fn has_channels(&self) -> bool {
        self.lines().has_channels
    }

    fn hand_over(
        &self,
        id: EngineId,
        _: &Order,
        limits: &HandOverLimits,
    ) -> Result<Taken, EngineRefusal> {
        let mut lines = self.lines();
        let max_fee_msat = limits.route.max_total_routing_fee_msat;
        lines.asked.push(Asked::HandOver { id, amount_msat: limits.amount_msat, max_fee_msat });
        if let Some(Meanwhile(happens)) = lines.meanwhile.take() {
            drop(lines);
            happens(id);
            lines = self.lines();
        }
        lines.answers.pop_front().unwrap_or(Ok(Taken::Now))
    }

    fn pay_bolt12_invoice(
        &self,
        _: &Bolt12Invoice,
        _: Option<&OffersContext>,
    ) -> Result<(), Bolt12PaymentError> {
        panic!("no script has an invoice")
    }

    fn abandon(&self, id: EngineId) {
        self.lines().asked.push(Asked::Abandon(id));
    }

    fn recent_payments(&self) -> Vec<RecentPaymentDetails> {
        self.lines().listed.iter().map(|listed| listed.details()).collect()
    }

    fn deliver_events(&self, handler: &dyn Fn(Event) -> Result<(), ReplayEvent>) {
        loop {
            let Some(event) = self.lines().events.front().cloned() else { return };
            if handler(event).is_err() {
                return;
            }
            self.lines().events.pop_front();
        }
    }

    async fn deliver_events_async<F>(&self, handler: impl Fn(Event) -> F)
    where
        F: Future<Output = Result<(), ReplayEvent>>,
    {
        loop {
            let Some(event) = self.lines().events.front().cloned() else { return };
            if handler(event).await.is_err() {
                return;
            }
            self.lines().events.pop_front();
        }
    }
}

pub(crate) type ScriptPayer = Payer<MemoryStore, Arc<Script>, Arc<RandomBytes>>;
pub(crate) type ScriptStarting = Starting<MemoryStore, Arc<Script>, Arc<RandomBytes>>;

/// A node with a scripted engine: what survives its crashes.
pub(crate) struct Stage {
    pub(crate) disk: MemoryDisk,
    pub(crate) script: Arc<Script>,
    /// How often it was started: each start draws other random bytes.
    pub(crate) starts: std::cell::Cell<u8>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));
        Self { disk, script: Arc::default(), starts: std::cell::Cell::new(0) }
    }

    pub(crate) fn open_as(
        &self,
        opening: &Opening,
        options: Options,
    ) -> Result<ScriptStarting, StartError> {
        let (script, entropy) = self.process();
        Starting::open(self.disk.open(), opening, script, entropy, options, NOW)
    }

    /// The engine and the random bytes of a new process.
    pub(crate) fn process(&self) -> (Arc<Script>, Arc<RandomBytes>) {
        self.starts.set(self.starts.get() + 1);
        let entropy = Arc::new(RandomBytes::new([self.starts.get(); 32]));
        (Arc::clone(&self.script), entropy)
    }

    pub(crate) fn open(&self) -> ScriptStarting {
        let opening = Opening::new(Remember::Forever, 1);
        self.open_as(&opening, options()).expect("the log is sound")
    }

    pub(crate) fn start(&self) -> (ScriptPayer, StartReport) {
        self.open().finish(|_| Ok(()), NOW).expect("nothing refuses")
    }
}

pub(crate) fn options() -> Options {
    Options::new(lightning::bitcoin::Network::Regtest, ChannelState::Latest)
        .retry(Retry::Attempts(0))
}

/// A preimage of the payee's.
pub(crate) const fn secret(number: u8) -> Preimage {
    Preimage::from_bytes([number; 32])
}

pub(crate) fn hash(number: u8) -> PaymentHash {
    secret(number).payment_hash()
}

pub(crate) fn engine_hash(number: u8) -> EngineHash {
    EngineHash(*hash(number).as_bytes())
}

pub(crate) const fn id(number: u8) -> PaymentId {
    PaymentId::from_bytes([number; 32])
}

pub(crate) const fn engine_id(part: &PartId) -> EngineId {
    EngineId(*part.as_bytes())
}

/// An invoice of a payee, with the hash of `secret(number)`.
pub(crate) fn invoice_of(number: u8, amount: Option<u64>, currency: Currency) -> Bolt11Invoice {
    let issued = Duration::from_millis(NOW.0);
    let builder = InvoiceBuilder::new(currency)
        .description(String::from("tea"))
        .payment_hash(invoiced(*hash(number).as_bytes()))
        .payment_secret(PaymentSecret([number; 32]))
        .duration_since_epoch(issued)
        .expiry_time(Duration::from_secs(3_600))
        .min_final_cltv_expiry_delta(24)
        .basic_mpp();
    let builder = match amount {
        Some(amount) => builder.amount_milli_satoshis(amount),
        None => builder,
    };
    let key = SecretKey::from_slice(&[0x11; 32]).expect("a key");
    builder.build_signed(|hash| Secp256k1::new().sign_ecdsa_recoverable(hash, &key)).expect("valid")
}

pub(crate) fn invoice(number: u8) -> Order {
    Order::bolt11(invoice_of(number, Some(50_000), Currency::Regtest))
}

pub(crate) fn pay(payer: &ScriptPayer, number: u8, terms: &Terms) -> Result<Paying, PayError> {
    payer.pay(id(number), &invoice(number), None, terms, NOW)
}

/// The parts of a payment and where they stand.
pub(crate) fn parts(payer: &ScriptPayer, number: u8) -> Vec<(PartId, PartStatus)> {
    let of = |payment: &payonce_core::Payment| {
        payment.parts().iter().map(|part| (part.id, part.status)).collect()
    };
    payer
        .ledger()
        .query(|state| state.payment(&id(number)).map(of).unwrap_or_default())
        .expect("ok")
}

pub(crate) fn last_part(payer: &ScriptPayer, number: u8) -> PartId {
    parts(payer, number).last().expect("it was handed over").0
}

pub(crate) fn status(payer: &ScriptPayer, number: u8) -> Status {
    payer.payment_view(&id(number)).expect("ok").expect("known").status
}

pub(crate) fn failed_as(payer: &ScriptPayer, number: u8) -> Option<NotificationId> {
    payer.payment_view(&id(number)).expect("ok").expect("known").failed
}

pub(crate) fn sent(part: Option<&PartId>, number: u8, amount: u64, fee: u64) -> Event {
    Event::PaymentSent {
        payment_id: part.map(engine_id),
        payment_preimage: PaymentPreimage(*secret(number).as_bytes()),
        payment_hash: engine_hash(number),
        amount_msat: Some(amount),
        fee_paid_msat: Some(fee),
        bolt12_invoice: None,
    }
}

pub(crate) fn failed(part: &PartId, number: u8, reason: PaymentFailureReason) -> Event {
    Event::PaymentFailed {
        payment_id: engine_id(part),
        payment_hash: Some(engine_hash(number)),
        reason: Some(reason),
    }
}

/// The amount and the fee with which a payment was paid.
pub(crate) fn paid(payer: &ScriptPayer, number: u8) -> Option<(Option<Msat>, Option<Msat>)> {
    let view = payer.payment_view(&id(number)).expect("ok").expect("known");
    view.paid.map(|paid| (paid.amount, paid.fee))
}
