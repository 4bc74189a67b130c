//! A part: one HTLC of a payment, or one hand-over to an engine that routes and retries by itself.

use alloc::boxed::Box;
use core::fmt;

use bincode::{Decode, Encode};

use crate::{
    amount::{Msat, UnixMillis},
    codec::{Blob, Text},
    ids::{PartId, PaymentId, ShortChannelId},
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
    /// The channel that failed it, if the node knows.
    pub failed_channel: Option<ShortChannelId>,
    /// Whether its failure was permanent: the payee refused.
    pub permanent: bool,
    /// What its failure lost to fees: a dust HTLC on chain.
    pub lost: Msat,
    /// Whether the node vouches for it having been out although the log lacked it.
    pub adopted: bool,
    /// Whether it was claimed although it was recorded as failed: it is off its channel, unless the
    /// node lists it as out.
    pub corrected: bool,
    /// The payment under which the node knows it, where that is not its owner.
    pub(crate) told_as: Option<Box<PaymentId>>,
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

/// An operator's word that a part is dead, for parts whose channel can no longer tell.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct Assertion {
    /// Who says so.
    pub by: Text<{ limits::ASSERTED_BY_BYTES }>,
    /// Why.
    pub why: Text<{ limits::ASSERTED_WHY_BYTES }>,
    /// The block height at the time.
    pub height: u32,
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
