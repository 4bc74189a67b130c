//! A part: one HTLC of a payment, or one hand-over to an engine that routes and retries by itself.

use alloc::boxed::Box;
use core::{fmt, ops::Deref};

use bincode::{
    BorrowDecode, Decode, Encode,
    de::{BorrowDecoder, Decoder},
    error::DecodeError,
};

use crate::{
    amount::{Msat, UnixMillis},
    codec::{Blob, Text},
    ids::{PartId, PaymentHash, PaymentId, Preimage, ShortChannelId},
    limits,
};

/// What carries a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
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
}

/// The kind of a part of which only its claim is known.
pub(crate) const UNKNOWN_KIND: PartKind = PartKind::Htlc { cltv_expiry: None, first_channel: None };

/// What an engine is told apart by, recorded with a hand-over before it is said. Not compared in a
/// repeat of the dispatch: the first one stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct Label {
    /// Opaque to the ledger: which engine got it, where there are several.
    pub engine: Blob<{ limits::LABEL_BYTES }>,
    /// The last mark that this engine showed for the hash before the hand-over. Only an end with a
    /// later one ends this hand-over: an engine that knows the hash alone still shows the end of an
    /// earlier try.
    pub mark: Option<u64>,
}

/// A part as it is dispatched.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
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
}

/// Where a part stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize,
)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct PartDetails(Option<Box<PartDetail>>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub(crate) struct PartDetail {
    /// The id under which the node knows it, where that is not its owner's.
    pub(crate) named_id: Option<PaymentId>,
    /// Its hash, where that is not its payment's own: each hand-over of an offer has its own, and
    /// so has a part of an earlier try.
    pub(crate) payment_hash: Option<PaymentHash>,
    /// The proof of that hash.
    pub(crate) preimage: Option<Preimage>,
    /// Why it failed last.
    pub(crate) failure: Option<Failure>,
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
}

impl<C> Decode<C> for PartDetails {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let detail: Option<Box<PartDetail>> = Decode::decode(decoder)?;
        if detail.as_deref() == Some(&PartDetail::default()) {
            return Err(DecodeError::Other("details without anything in them"));
        }
        Ok(Self(detail))
    }
}

impl<'de, C> BorrowDecode<'de, C> for PartDetails {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

impl Deref for PartDetails {
    type Target = PartDetail;

    fn deref(&self) -> &PartDetail {
        static NOTHING: PartDetail = PartDetail {
            named_id: None,
            payment_hash: None,
            preimage: None,
            failure: None,
            earlier_try: false,
            listed_in: 0,
            withdrawn_in: 0,
            label: None,
            said_again: 0,
        };
        self.0.as_deref().unwrap_or(&NOTHING)
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

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Part {
    /// Why it failed last, as long as that stands.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.details.failure.as_ref()
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, serde::Serialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, serde::Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct Observation {
    /// The part.
    pub part: PartId,
    /// What it is about.
    pub kind: ObservationKind,
    /// Opaque to the ledger.
    pub bytes: Blob<{ limits::OBSERVATION_BYTES }>,
}
