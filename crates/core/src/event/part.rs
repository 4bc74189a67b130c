//! What is known about a part: what it is, why it failed, what an engine reports about it.

use core::fmt;

use crate::{
    base::amount::Msat,
    base::bounded::{Blob, Text},
    base::ids::{PartId, ShortChannelId},
    base::limits,
    base::wire::{UnknownFields, layout},
};

/// Whether a part is an HTLC of the node's own or was handed to an engine.
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
    /// A kind of a made-up format version, for the tests of upgrades.
    #[cfg(payonce_format_2)]
    Hosted,
}

/// The kind of a part of which only its claim is known.
pub(crate) const UNKNOWN_KIND: PartKind = PartKind::Htlc { cltv_expiry: None, first_channel: None };

/// Which engine gets a hand-over, recorded before the engine is called. Not compared in a repeat of the
/// dispatch: the first label stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Label {
    /// Opaque to the ledger: which engine got it, where there are several.
    pub engine: Blob<{ limits::LABEL_BYTES }>,
    /// The last mark that this engine showed for the hash before the hand-over. Only an end with a
    /// higher mark ends this hand-over: an engine that knows only the hash still shows the end of an
    /// earlier try.
    pub mark: Option<u64>,
}

/// A part as it is dispatched.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PartTerms {
    /// 32 random bytes that the node chose, never used before.
    pub id: PartId,
    /// What reaches the payee through this part, in msat.
    pub amount: Msat,
    /// What the route takes on top, in msat.
    pub fee: Msat,
    /// Whether it is an HTLC of the node's own or is handed to an engine.
    pub kind: PartKind,
    /// Of a delegated part: which engine got it, and its last mark; `None` where nobody said.
    pub label: Option<Label>,
    /// Fields that a newer program wrote and this one keeps.
    #[serde(default, skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown: UnknownFields,
}

/// Where a part stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PartStatus {
    /// It may be out: "maybe sent" counts as sent. Unresolved.
    InFlight,
    /// The payee has taken it, the HTLC is still on the channel. Unresolved.
    Claimed,
    /// Off the channel after a claim. Resolved.
    Finalized,
    /// It failed irrevocably: nobody can take it any more. Resolved.
    Failed,
    /// Never sent. Resolved, and counted nowhere.
    Withdrawn,
}

impl fmt::Display for PartStatus {
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

impl PartStatus {
    /// Whether it is in flight or claimed: money may still move.
    #[must_use]
    pub const fn is_unresolved(self) -> bool {
        matches!(self, Self::InFlight | Self::Claimed)
    }

    /// Whether it was claimed, on the channel or off it.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Claimed | Self::Finalized)
    }
}

/// Why a part failed. To be reported only when it is irrevocable: the HTLC is in neither side's unrevoked
/// commitment, or the transaction that kills it is buried as deep as the node's reorg limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// The payee refused: no other route can help.
    pub permanent: bool,
    /// The channel that failed it; `None` where the node does not know.
    pub channel: Option<ShortChannelId>,
    /// The failure code of BOLT 4; `None` if there was none.
    pub code: Option<u16>,
    /// What went to fees all the same, in msat: a dust HTLC lost on chain.
    pub lost: Option<Msat>,
    /// The engine's mark of the try that ended. A hand-over whose [`Label`] has a mark ends only with a
    /// higher one.
    pub mark: Option<u64>,
    /// How many sayings of the hand-over have failed or can no longer reach the engine; 0 means one. A
    /// hand-over that was said again has failed only when every saying is over.
    pub sayings: u32,
    /// How long to rest before the next attempt, in milliseconds, if the engine says so itself; `None`
    /// leaves it to the request's backoff.
    pub retry_after_ms: Option<u64>,
    /// An operator's word, where the channel or the engine cannot tell; `None` for the node's own report.
    pub assertion: Option<Assertion>,
    /// Fields that a newer program wrote and this one keeps.
    #[serde(default, skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown: UnknownFields,
}

impl Failure {
    /// The payee refused: no other route can help, so the payment is given up.
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

/// An operator's word: that a part failed whose channel can no longer tell, that a payment is paid, or
/// that a part is not a payment's.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Assertion {
    /// The person who says so, in at most [`limits::ASSERTED_BY_BYTES`] of UTF-8.
    pub by: Text<{ limits::ASSERTED_BY_BYTES }>,
    /// The reason, for whoever reads the log, in at most [`limits::ASSERTED_WHY_BYTES`] of UTF-8.
    pub why: Text<{ limits::ASSERTED_WHY_BYTES }>,
    /// Set it if the node has listed the part as out since this opening and it failed in spite of that.
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
    /// A kind of the engine's own; opaque to the ledger.
    Other(u8),
}

/// A report on a delegated part that changes no status.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Observation {
    /// The part that the engine reports on.
    pub part: PartId,
    /// What it is about.
    pub kind: ObservationKind,
    /// The engine's own bytes, at most [`limits::OBSERVATION_BYTES`]; opaque to the ledger.
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
    enum PartStatus "a status" { 0 InFlight, 1 Claimed, 2 Finalized, 3 Failed, 4 Withdrawn }
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
