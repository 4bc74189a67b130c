//! A part: one HTLC of a payment, or one hand-over to an engine that routes and retries by itself.

use alloc::boxed::Box;
use core::{fmt, ops::Deref};

use crate::{
    amount::{Msat, UnixMillis},
    bounded::{Blob, Text},
    ids::{PartId, PaymentHash, PaymentId, Preimage, ShortChannelId},
    limits,
    wire::{DecodeError, Sink, Source, UnknownFields, Wire, known_fields, layout, take_field},
};

/// What carries a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// An HTLC of the node's own.
    Htlc {
        /// The block height at which its first hop's HTLC expires; unknown only for adopted parts.
        cltv_expiry: Option<u32>,
        /// The channel through which it leaves, if the node states it.
        first_channel: Option<ShortChannelId>,
    },
    /// An engine (LDK's outbound payments, say) that got the whole missing amount and the
    /// remaining fee budget under this part's id.
    Delegated,
    /// A kind of a version that there is not.
    #[cfg(payonce_format_2)]
    Hosted,
}

/// The kind of a part of which only its claim is known.
pub(crate) const UNKNOWN_KIND: PartKind = PartKind::Htlc { cltv_expiry: None, first_channel: None };

/// What an engine is told apart by, recorded with a hand-over before it is said. Not compared in a
/// repeat of the dispatch: the first one stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Label {
    /// Opaque to the ledger: which engine got it, where there are several.
    pub engine: Blob<{ limits::LABEL_BYTES }>,
    /// The last mark that this engine showed for the hash before the hand-over. Only an end with a
    /// later one ends this hand-over: an engine that knows the hash alone still shows the end of an
    /// earlier try.
    pub mark: Option<u64>,
}

/// A part as it is dispatched.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PartTerms {
    /// The part's name.
    pub id: PartId,
    /// What reaches the payee through this part.
    pub amount: Msat,
    /// What the route takes on top.
    pub fee: Msat,
    /// What carries it.
    pub kind: PartKind,
    /// Of a hand-over: which engine got it.
    pub label: Option<Label>,
    /// Fields that a newer program wrote and this one keeps.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown: UnknownFields,
}

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It may be out: "maybe sent" counts as sent. Unresolved.
    InFlight,
    /// The payee has taken it, the HTLC is still on the channel. Unresolved.
    Claimed,
    /// Off the channel after a claim. Resolved.
    Finalized,
    /// Irrevocably failed. Resolved.
    Failed,
    /// Never sent. Resolved, and counted nowhere.
    Withdrawn,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InFlight => "in flight",
            Self::Claimed => "claimed",
            Self::Finalized => "finalized",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
        })
    }
}

impl Fate {
    /// In flight or claimed: money may still move.
    #[must_use]
    pub const fn is_unresolved(self) -> bool {
        matches!(self, Self::InFlight | Self::Claimed)
    }

    /// Claimed, on the channel or off it.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Claimed | Self::Finalized)
    }
}

/// One part of a payment, as the events so far leave it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// Its name.
    pub id: PartId,
    /// What reaches the payee; `None` when only its claim is known.
    pub amount: Option<Msat>,
    /// What the route takes; `None` when it is not known (an engine that reported none).
    pub fee: Option<Msat>,
    /// What carries it.
    pub kind: PartKind,
    /// Where it stands.
    pub fate: Fate,
    /// The batch with which it was dispatched, counted from 1 with the withdrawn ones; 0 for a
    /// part that was adopted.
    pub batch: u32,
    /// The epoch of the writer that recorded it.
    pub epoch: u64,
    /// When it was recorded.
    pub recorded_at: UnixMillis,
    /// Whether the node vouches for it having been out although the log lacked it.
    pub adopted: bool,
    /// Whether it was claimed although it was recorded as failed: it is off its channel, unless the
    /// node lists it as out.
    pub corrected: bool,
    #[serde(flatten)]
    pub(crate) details: PartDetails,
}

/// What few parts have; nothing is kept of it while there is nothing in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PartDetails(Option<Box<PartDetail>>);

#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct PartDetail {
    /// The id under which the node knows it, where that is not its owner's.
    pub(crate) named_id: Option<PaymentId>,
    /// Its hash, where that is not its payment's own: each hand-over of an offer has its own, and
    /// so has a part of an earlier try.
    pub(crate) payment_hash: Option<PaymentHash>,
    /// The proof of that hash.
    pub(crate) preimage: Option<Preimage>,
    /// Why it failed last.
    pub(crate) failure: Option<Box<Failure>>,
    /// Whether it was dispatched in an earlier try of its payment.
    pub(crate) earlier_try: bool,
    /// The epoch in which the node last listed it as out; 0 if never.
    pub(crate) listed_in: u64,
    /// The epoch in which it was told never sent; 0 if it was not.
    pub(crate) withdrawn_in: u64,
    /// Which engine has it.
    pub(crate) label: Option<Label>,
    /// How often its hand-over was said after the first time.
    pub(crate) said_again: u32,
    /// The BOLT 12 invoice that it paid.
    pub(crate) invoice: Blob<{ limits::PAID_INVOICE_BYTES }>,
    /// Fields that a newer program wrote and this one keeps.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub(crate) unknown: UnknownFields,
}

impl PartDetail {
    const NOTHING: Self = Self {
        named_id: None,
        payment_hash: None,
        preimage: None,
        failure: None,
        earlier_try: false,
        listed_in: 0,
        withdrawn_in: 0,
        label: None,
        said_again: 0,
        invoice: Blob::EMPTY,
        unknown: UnknownFields::NONE,
    };
}

impl Deref for PartDetails {
    type Target = PartDetail;

    fn deref(&self) -> &PartDetail {
        static NOTHING: PartDetail = PartDetail::NOTHING;
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

/// All of them, also where there are none.
impl serde::Serialize for PartDetails {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl PartDetails {
    /// To change it; kept afterwards only if there is something in it.
    pub(crate) fn change<R>(&mut self, change: impl FnOnce(&mut PartDetail) -> R) -> R {
        let mut detail = self.0.take().unwrap_or_default();
        let result = change(&mut detail);
        self.0 = (*detail != PartDetail::default()).then_some(detail);
        result
    }

    /// Changes it if there is anything in it: for what only takes away.
    pub(crate) fn if_kept(&mut self, change: impl FnOnce(&mut PartDetail)) {
        if self.0.is_some() {
            self.change(change);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Part {
    /// Why it failed last, as long as that stands.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.details.failure.as_deref()
    }

    /// Which engine got it, and the last mark that this one had shown before.
    #[must_use]
    pub fn label(&self) -> Option<&Label> {
        self.details.label.as_ref()
    }

    /// Its payment hash, where that is not its payment's own.
    #[must_use]
    pub fn own_hash(&self) -> Option<PaymentHash> {
        self.details.payment_hash
    }

    /// Whether it was dispatched in an earlier try of its payment.
    #[must_use]
    pub fn is_of_earlier_try(&self) -> bool {
        self.details.earlier_try
    }

    /// The BOLT 12 invoice that it paid, as it was signed; empty where none was told.
    #[must_use]
    pub fn paid_invoice(&self) -> &[u8] {
        self.details.invoice.as_bytes()
    }

    /// How often its hand-over was said; 1 for a part that was offered once.
    #[must_use]
    pub fn sayings(&self) -> u32 {
        self.details.said_again + 1
    }

    /// Whether the payee refused it.
    pub(crate) fn is_rejected(&self) -> bool {
        self.fate == Fate::Failed && self.failure().is_some_and(|failure| failure.permanent)
    }
}

/// Why a part failed. Told only when it is irrevocable: the HTLC is in neither side's unrevoked
/// commitment, or the transaction that kills it is buried as deep as the node's reorg limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// The payee refused: no other route can help.
    pub permanent: bool,
    /// The channel that failed it.
    pub channel: Option<ShortChannelId>,
    /// The failure code (BOLT 4).
    pub code: Option<u16>,
    /// What went to fees all the same: a dust HTLC lost on chain.
    pub lost: Option<Msat>,
    /// The engine's mark of the try that ended. A hand-over whose [`Label`] tells a mark ends with a
    /// later one alone.
    pub mark: Option<u64>,
    /// How many sayings of the hand-over this answers, or can no longer be read; 0 means one. A
    /// hand-over that was said again has failed only when every saying is over.
    pub sayings: u32,
    /// How long to rest before the next attempt, in milliseconds, where the engine says so itself.
    pub retry_after_ms: Option<u64>,
    /// An operator's word in place of the channel's.
    pub assertion: Option<Assertion>,
    /// Fields that a newer program wrote and this one keeps.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown: UnknownFields,
}

impl Failure {
    /// The payee refused.
    #[must_use]
    pub fn permanent() -> Self {
        Self { permanent: true, ..Self::default() }
    }

    /// A channel on the way failed it; another route may do.
    #[must_use]
    pub fn on_channel(channel: ShortChannelId) -> Self {
        Self { channel: Some(channel), ..Self::default() }
    }
}

/// An operator's word: that a part is dead whose channel can no longer tell, that a payment is paid,
/// that a part is not of a payment.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Assertion {
    /// Who says so.
    pub by: Text<{ limits::ASSERTED_BY_BYTES }>,
    /// Why.
    pub why: Text<{ limits::ASSERTED_WHY_BYTES }>,
    /// Of a part that the node has listed as out since this opening: that it failed all the same.
    pub although_listed: bool,
}

impl Assertion {
    /// Who says so, and why.
    #[must_use]
    pub fn new(by: &str, why: &str) -> Self {
        Self { by: by.into(), why: why.into(), although_listed: false }
    }
}

/// What a path report of an engine is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservationKind {
    /// A path of the part succeeded.
    PathSucceeded,
    /// A path of the part failed.
    PathFailed,
    /// The engine's own kinds.
    Other(u8),
}

/// A report on a delegated part that changes no status.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Observation {
    /// The part.
    pub part: PartId,
    /// What it is about.
    pub kind: ObservationKind,
    /// Opaque to the ledger.
    pub bytes: Blob<{ limits::OBSERVATION_BYTES }>,
}

layout! {
    enum PartKind "a part's kind" {
        0 Htlc { cltv_expiry, first_channel },
        1 Delegated,
        #[cfg(payonce_format_2)]
        2 @ 2 Hosted,
    }
}
layout! { record Label "a label" { engine, mark } }
layout! { record PartTerms "a part" { id, amount, fee, kind; 2 label; .. unknown } }
layout! {
    enum Fate "a fate" { 0 InFlight, 1 Claimed, 2 Finalized, 3 Failed, 4 Withdrawn }
}
layout! {
    record Failure "a failure" {
        ;
        2 permanent,
        4 channel,
        6 code,
        8 lost,
        10 mark,
        12 sayings,
        14 retry_after_ms,
        16 assertion;
        .. unknown
    }
}
layout! { record Assertion "an assertion" { by, why, although_listed } }
layout! {
    enum ObservationKind "an observation's kind" { 0 PathSucceeded, 1 PathFailed, 2 Other(kind) }
}
layout! { record Observation "an observation" { part, kind, bytes } }

/// The layout of docs/FORMAT.md: what few parts have stands in the tail with the rest.
impl Wire for Part {
    fn put(&self, sink: &mut Sink) {
        self.id.put(sink);
        self.kind.put(sink);
        self.fate.put(sink);
        self.batch.put(sink);
        self.epoch.put(sink);
        self.recorded_at.put(sink);
        let detail = &*self.details;
        layout!(@put sink, detail.unknown.as_slice();
            2 () &self.amount,
            4 () &self.fee,
            6 () &self.adopted,
            8 () &self.corrected,
            10 () &detail.named_id,
            12 () &detail.payment_hash,
            14 () &detail.preimage,
            16 () &detail.failure,
            18 () &detail.earlier_try,
            20 () &detail.listed_in,
            22 () &detail.withdrawn_in,
            24 () &detail.label,
            26 () &detail.said_again,
            28 () &detail.invoice);
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        source.record("a part", |source| {
            let id = Wire::take(source)?;
            let kind = Wire::take(source)?;
            let fate = Wire::take(source)?;
            let batch = Wire::take(source)?;
            let epoch = Wire::take(source)?;
            let recorded_at = Wire::take(source)?;
            let (mut amount, mut fee, mut adopted, mut corrected) = Default::default();
            let mut detail = PartDetail::NOTHING;
            detail.unknown = known_fields(source, |source, tag, bytes| {
                match tag {
                    2 => amount = take_field(source, tag, 1, bytes)?,
                    4 => fee = take_field(source, tag, 1, bytes)?,
                    6 => adopted = take_field(source, tag, 1, bytes)?,
                    8 => corrected = take_field(source, tag, 1, bytes)?,
                    10 => detail.named_id = take_field(source, tag, 1, bytes)?,
                    12 => detail.payment_hash = take_field(source, tag, 1, bytes)?,
                    14 => detail.preimage = take_field(source, tag, 1, bytes)?,
                    16 => detail.failure = take_field(source, tag, 1, bytes)?,
                    18 => detail.earlier_try = take_field(source, tag, 1, bytes)?,
                    20 => detail.listed_in = take_field(source, tag, 1, bytes)?,
                    22 => detail.withdrawn_in = take_field(source, tag, 1, bytes)?,
                    24 => detail.label = take_field(source, tag, 1, bytes)?,
                    26 => detail.said_again = take_field(source, tag, 1, bytes)?,
                    28 => detail.invoice = take_field(source, tag, 1, bytes)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?
            .into();
            let details = detail.into();
            Ok(Self {
                id,
                amount,
                fee,
                kind,
                fate,
                batch,
                epoch,
                recorded_at,
                adopted,
                corrected,
                details,
            })
        })
    }
}

impl From<PartDetail> for PartDetails {
    fn from(detail: PartDetail) -> Self {
        Self((detail != PartDetail::NOTHING).then(|| Box::new(detail)))
    }
}
