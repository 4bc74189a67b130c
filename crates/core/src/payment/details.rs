//! Fields that few payments have, or only once they are over: kept apart from the payment, so that a
//! pending one needs no memory for them.

use alloc::boxed::Box;
use core::ops::Deref;

use crate::{
    base::amount::UnixMillis,
    base::bounded::Many,
    base::ids::{PaymentHash, Preimage},
    base::vocabulary::Vocabulary,
    base::wire::{UnknownFields, layout},
    event::event::{Invoice, Settlement},
    event::hash_paid::PaidElsewhere,
    event::notification::NotificationId,
    event::part::{Assertion, Observation},
    event::request::ShortDigest,
    payment::former::FormerTry,
};

/// All fields are empty in an ordinary pending payment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Detail {
    /// The payment hash, where the request does not state it. Of an offer: its invoice's.
    pub(crate) payment_hash: Option<PaymentHash>,
    /// The first proof that the payment is paid.
    pub(crate) preimage: Option<Preimage>,
    /// The hash that the preimage proves, where that is not the payment's own.
    pub(crate) proven_hash: Option<PaymentHash>,
    /// Whether the payment's own hash is known as paid although no part of it shows it.
    pub(crate) own_hash_paid: bool,
    /// The digest of the instructions, once they are dropped.
    pub(crate) instructions: Option<ShortDigest>,
    /// Of an offer: its invoice deadline. It stays the same while the offer has an invoice.
    pub(crate) waits_until: Option<WaitsUntil>,
    pub(crate) invoice: Option<Invoice>,
    /// The parts of earlier tries, and those of a payment that came back from its tombstone.
    pub(crate) former: Many<FormerTry>,
    pub(crate) failed_notification: Option<NotificationId>,
    /// Whether its failure was notified and is no longer true: a part is out again.
    pub(crate) failure_superseded: bool,
    pub(crate) idle: Option<Idle>,
    pub(crate) observations: Many<Observation>,
    /// What was paid on somebody's word, if no part shows it.
    pub(crate) reported: Option<Settlement>,
    /// What its tombstone said was paid, not counting the parts that it has since it came back.
    pub(crate) remembered: Option<Settlement>,
    /// The sums and the proof that were last notified.
    pub(crate) told: Option<Told>,
    /// The operator's word that it is paid, if that is why it is paid.
    pub(crate) asserted: Option<Assertion>,
    /// Which payment has paid its hash instead.
    pub(crate) paid_elsewhere: Option<PaidElsewhere>,
    /// From when the duration of the retry policy `Until` counts.
    pub(crate) retries_since: Option<Since>,
    /// When the next attempt may be made.
    pub(crate) rests_until: Option<Rest>,
    /// The newest format version that the program which accepted it knew.
    pub(crate) vocabulary: Vocabulary,
    /// Fields that a newer program wrote and this one keeps.
    pub(crate) unknown: UnknownFields,
}

/// What PaymentSent or the last PaymentSettled said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) settlement: Settlement,
    pub(crate) proof: bool,
}

/// A moment by the clock and by ticks: a duration counts from both and is past by either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) at: UnixMillis,
    pub(crate) tick: u64,
}

/// Until when a payment rests before its next attempt: by the clock, or by ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rest {
    pub(crate) at: UnixMillis,
    pub(crate) tick: u64,
}

/// The invoice deadline of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsUntil {
    /// Past when the tick number exceeds this.
    Tick(u64),
    /// Past at this moment.
    At(UnixMillis),
}

/// Since when a paid payment is idle: no part unresolved, no notification unacknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Idle {
    /// The tick number at that moment.
    pub tick: u64,
    /// The seq of the event that made it idle.
    pub seq: u64,
}

layout! { enum WaitsUntil "a wait" { 0 Tick(tick), 1 At(moment) } }
layout! { record Idle "a moment" { tick, seq } }
layout! { record Told "what was told" { settlement, proof } }
layout! { record Since "a moment" { at, tick } }
layout! { record Rest "a moment" { at, tick } }

static NOTHING: Detail = Detail {
    payment_hash: None,
    preimage: None,
    proven_hash: None,
    own_hash_paid: false,
    instructions: None,
    waits_until: None,
    invoice: None,
    former: Many::new(),
    failed_notification: None,
    failure_superseded: false,
    idle: None,
    observations: Many::new(),
    reported: None,
    remembered: None,
    told: None,
    asserted: None,
    paid_elsewhere: None,
    retries_since: None,
    rests_until: None,
    vocabulary: Vocabulary(1),
    unknown: UnknownFields::NONE,
};

/// A [`Detail`] that takes no memory while all its fields are empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct Details(Option<Box<Detail>>);

impl Deref for Details {
    type Target = Detail;

    fn deref(&self) -> &Detail {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl Details {
    /// The detail, to be changed; from now on it takes memory.
    pub(crate) fn kept(&mut self) -> &mut Detail {
        self.0.get_or_insert_default()
    }

    /// Changes it if it is there: for changes that only remove something.
    pub(crate) fn if_kept(&mut self, change: impl FnOnce(&mut Detail)) {
        if let Some(detail) = &mut self.0 {
            change(detail);
        }
    }
}

impl From<Detail> for Details {
    fn from(detail: Detail) -> Self {
        Self((detail != NOTHING).then(|| Box::new(detail)))
    }
}

impl PartialEq for Details {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Details {}
