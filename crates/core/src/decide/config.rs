//! Configuration: read by decide alone, never by evolve, so that replay needs none.

/// Whether a ledger remembers what it has paid for as long as it exists. A choice without a
/// default: it decides what a late repeat can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remember {
    /// A paid id is free again some ticks after everybody has seen that it is paid, a failed id as
    /// soon as its failure is acknowledged: LDK's contract. A repeat that comes later pays again.
    Window,
    /// Paid and failed ids leave a tombstone of about 250 bytes. A repeat is answered with the
    /// outcome for as long as the ledger exists, and a new try of a failed id must name the
    /// failure that it follows.
    Forever,
}

/// Whether two payments may have one payment hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SameHash {
    /// A second id with a hash that is known is refused.
    #[default]
    Refuse,
    /// It is accepted. Still only one of them has parts out at a time, and none once one is paid.
    Allow,
}

/// How a ledger decides. Not recorded: it may change from one opening to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Config {
    /// Whether outcomes are remembered.
    pub remember: Remember,
    /// Whether two payments may have one payment hash.
    pub same_hash: SameHash,
    /// How far the parts may exceed the amount, in percent of it; 10, as in LDK.
    pub overpay_percent: u8,
    /// How many ticks a paid payment must have been idle before it is forgotten; 7, as in LDK.
    pub idempotency_ticks: u32,
    /// How far apart two ticks must be to count, in milliseconds; 30,000.
    pub min_tick_interval_ms: u64,
    /// Whether parts notify their success and failure; true.
    pub notify_parts: bool,
    /// How many blocks a part must be past its CLTV expiry before an operator's word can fail it;
    /// 144, a day.
    pub assertion_margin_blocks: u32,
    /// How long ago a delegated part must have been dispatched before an operator's word can fail
    /// it, in milliseconds; 14 days, the longest that an HTLC is out by default in LDK.
    pub assertion_delegated_age_ms: u64,
}

impl Config {
    /// The defaults, with the one choice that has none.
    #[must_use]
    pub const fn new(remember: Remember) -> Self {
        Self {
            remember,
            same_hash: SameHash::Refuse,
            overpay_percent: 10,
            idempotency_ticks: 7,
            min_tick_interval_ms: 30_000,
            notify_parts: true,
            assertion_margin_blocks: 144,
            assertion_delegated_age_ms: 14 * 24 * 60 * 60 * 1_000,
        }
    }
}
