//! The fake's books: what it was asked, what it shows, and whether money left.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::watch;

use super::wire::lnrpc::{Payment, PaymentFailureReason, payment::PaymentStatus};

pub(crate) type Hash = [u8; 32];

/// What becomes of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Paid,
    Failed(PaymentFailureReason),
    /// Out, until somebody settles it.
    Held,
}

/// What a node that is not one might say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nonsense {
    None,
    WrongPreimage,
    NoPreimage,
    NegativeFee,
    HugeFee,
    OtherHash,
    UnknownStatus,
    UnknownReason,
    /// Failed, by no try that could be named.
    NoIndex,
    /// The end of the try before, or of one before all.
    EarlierEnd,
    /// A stream that says everything twice.
    Twice,
    /// A stream that ends before what it tells of has.
    EndsEarly,
    /// A stream that ends before it says anything.
    Nothing,
}

/// A try.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    index: u64,
    fate: Fate,
    value_msat: i64,
    request: String,
}

#[derive(Debug)]
pub(crate) struct Inner {
    entries: HashMap<Hash, Entry>,
    next_index: u64,
    preimages: HashMap<Hash, Hash>,
    fates: HashMap<Hash, VecDeque<Fate>>,
    /// How often money left for a hash.
    payouts: HashMap<Hash, u32>,
    /// How many requests to pay were read, and how many questions.
    pub(crate) read: HashMap<Hash, u32>,
    pub(crate) asked: u64,
    /// How many of the next requests to pay nothing befalls, before what is said below.
    pub(crate) pass: u32,
    /// How many of the next requests to pay wait until they are let in.
    pub(crate) waiting: u32,
    /// How many requests for a hash waited, or never arrived.
    pub(crate) held_up: HashMap<Hash, u32>,
    /// That those who wait are let in.
    pub(crate) let_in: bool,
    /// How many of the next requests never arrive.
    pub(crate) dropped: u32,
    /// How many of the next answers to requests are lost.
    pub(crate) lost: u32,
    /// What every call is answered with instead of an answer.
    pub(crate) error: Option<String>,
    /// How many milliseconds every answer takes.
    pub(crate) slow_ms: u64,
    /// That calls are never answered.
    pub(crate) silent: bool,
    pub(crate) nonsense: Nonsense,
    /// From which request for a hash on the end of an earlier try is told.
    pub(crate) earlier_end_from: Option<u32>,
    /// The records that came with the last request to pay.
    pub(crate) records: HashMap<u64, Vec<u8>>,
}

/// The books, shared by the server and the test.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    inner: Arc<Mutex<Inner>>,
    pub(crate) changed: watch::Sender<u64>,
}

impl Books {
    pub(crate) fn new() -> Self {
        let inner = Inner {
            entries: HashMap::new(),
            next_index: 1,
            preimages: HashMap::new(),
            fates: HashMap::new(),
            payouts: HashMap::new(),
            read: HashMap::new(),
            asked: 0,
            pass: 0,
            waiting: 0,
            held_up: HashMap::new(),
            let_in: false,
            dropped: 0,
            lost: 0,
            error: None,
            slow_ms: 0,
            silent: false,
            nonsense: Nonsense::None,
            earlier_end_from: None,
            records: HashMap::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), changed: watch::Sender::new(0) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic")
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.send_modify(|version| *version += 1);
        changed
    }

    /// The payee's secret, and what becomes of the tries of its hash; paid when nothing more is said.
    pub(crate) fn invoice(&self, hash: Hash, preimage: Hash, fates: &[Fate]) {
        self.change(|inner| {
            inner.preimages.insert(hash, preimage);
            inner.fates.insert(hash, fates.iter().copied().collect());
        });
    }

    /// How often money left for this hash.
    pub(crate) fn payouts(&self, hash: &Hash) -> u32 {
        self.lock().payouts.get(hash).copied().unwrap_or(0)
    }

    /// How many requests to pay this were read.
    pub(crate) fn read(&self, hash: &Hash) -> u32 {
        self.lock().read.get(hash).copied().unwrap_or(0)
    }

    /// Ends a try that is out.
    pub(crate) fn settle(&self, hash: &Hash, fate: Fate) {
        self.change(|inner| {
            let entry = inner.entries.get_mut(hash).expect("a try");
            assert_eq!(entry.fate, Fate::Held, "it is out");
            entry.fate = fate;
            inner.pay_out(hash, fate);
        });
    }

    /// Ends a try if it is out.
    pub(crate) fn settle_held(&self, hash: &Hash, fate: Fate) {
        if self.is_out(hash) {
            self.settle(hash, fate);
        }
    }

    pub(crate) fn is_out(&self, hash: &Hash) -> bool {
        self.lock().entries.get(hash).is_some_and(|entry| entry.fate == Fate::Held)
    }

    pub(crate) fn is_held_up(&self, hash: &Hash) -> bool {
        self.lock().held_up.contains_key(hash)
    }

    /// How many requests to pay were read, of all hashes.
    pub(crate) fn reads(&self) -> u64 {
        self.lock().read.values().map(|times| u64::from(*times)).sum()
    }

    /// `DeleteAllPayments`: all but what is out.
    pub(crate) fn forget(&self) {
        self.change(|inner| inner.entries.retain(|_, entry| entry.fate == Fate::Held));
    }

    /// `SendPaymentV2`, read.
    pub(crate) fn init(&self, hash: Hash, value_msat: i64, request: String) -> Result<(), String> {
        self.change(|inner| {
            let read = inner.read.entry(hash).or_default();
            *read += 1;
            if inner.earlier_end_from.is_some_and(|from| *read >= from) {
                inner.nonsense = Nonsense::EarlierEnd;
            }
            match inner.entries.get(&hash).map(|entry| entry.fate) {
                Some(Fate::Held) => return Err("payment is in transition".to_owned()),
                Some(Fate::Paid) => return Err("invoice is already paid".to_owned()),
                Some(Fate::Failed(_)) | None => {}
            }
            let index = inner.next_index;
            inner.next_index += 1;
            let next = inner.fates.get_mut(&hash).and_then(VecDeque::pop_front);
            let fate = next.unwrap_or(Fate::Paid);
            inner.pay_out(&hash, fate);
            inner.entries.insert(hash, Entry { index, fate, value_msat, request });
            Ok(())
        })
    }

    /// What is shown of a hash.
    pub(crate) fn show(&self, hash: &Hash) -> Option<Payment> {
        let inner = self.lock();
        let entry = inner.entries.get(hash)?;
        Some(inner.payment(hash, entry))
    }

    pub(crate) fn list(&self, after: u64, most: usize) -> Vec<Payment> {
        let inner = self.lock();
        let mut all: Vec<_> = inner.entries.iter().filter(|(_, at)| at.index > after).collect();
        all.sort_by_key(|(_, entry)| entry.index);
        all.truncate(most);
        all.into_iter().map(|(hash, entry)| inner.payment(hash, entry)).collect()
    }
}

impl Inner {
    fn pay_out(&mut self, hash: &Hash, fate: Fate) {
        if fate == Fate::Paid {
            *self.payouts.entry(*hash).or_default() += 1;
        }
    }

    fn payment(&self, hash: &Hash, entry: &Entry) -> Payment {
        let (status, reason) = match entry.fate {
            Fate::Paid => (PaymentStatus::Succeeded, PaymentFailureReason::FailureReasonNone),
            Fate::Held => (PaymentStatus::InFlight, PaymentFailureReason::FailureReasonNone),
            Fate::Failed(reason) => (PaymentStatus::Failed, reason),
        };
        let preimage = self.preimages.get(hash).filter(|_| entry.fate == Fate::Paid);
        let mut payment = Payment {
            payment_hash: hex(hash),
            payment_preimage: hex(preimage.unwrap_or(&[0; 32])),
            value_msat: entry.value_msat,
            payment_request: entry.request.clone(),
            status: status.into(),
            fee_msat: if entry.fate == Fate::Paid { 7 } else { 0 },
            creation_time_ns: 1,
            payment_index: entry.index,
            failure_reason: reason.into(),
        };
        match self.nonsense {
            Nonsense::None | Nonsense::Nothing | Nonsense::Twice | Nonsense::EndsEarly => {}
            Nonsense::WrongPreimage => payment.payment_preimage = hex(&[9; 32]),
            Nonsense::NoPreimage => payment.payment_preimage = "00".into(),
            Nonsense::NegativeFee => payment.fee_msat = -5,
            Nonsense::HugeFee => payment.fee_msat = i64::MAX,
            Nonsense::OtherHash => payment.payment_hash = hex(&[8; 32]),
            Nonsense::UnknownStatus => payment.status = 77,
            Nonsense::UnknownReason => payment.failure_reason = 77,
            Nonsense::NoIndex | Nonsense::EarlierEnd => {
                let before = entry.index.saturating_sub(1);
                payment.payment_index = if self.nonsense == Nonsense::NoIndex { 0 } else { before };
                payment.status = PaymentStatus::Failed.into();
                payment.failure_reason = PaymentFailureReason::FailureReasonNoRoute.into();
            }
        }
        payment
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}
