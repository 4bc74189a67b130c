//! Configuration: read by decide alone, never by evolve, so that replay needs none.

/// Whether a ledger remembers what it has paid for as long as it exists. There is no default: the choice
/// decides what a late repeat can do. Take [`Forever`](Self::Forever) unless something else remembers every id for
/// as long as a caller may repeat it, and `Window` was chosen for its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remember {
    /// A paid id is free again some ticks after it is acknowledged and nothing of it is out, a failed id
    /// as soon as its failure is acknowledged: LDK's contract. A repeat that comes later pays again.
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
    /// A request under another id is refused if its hash is known.
    #[default]
    Refuse,
    /// It is accepted. Still only one of them has parts out at a time, and none once one is paid.
    Allow,
}

/// The configuration of a ledger's decisions. It is not recorded, so it may change from one opening to
/// the next.
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
    /// The defaults, with the one choice that has no default.
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

    /// With another rule for two payments with one payment hash.
    #[must_use]
    pub const fn same_hash(mut self, rule: SameHash) -> Self {
        self.same_hash = rule;
        self
    }

    /// With another limit of what the parts may exceed the amount by, in percent of it.
    #[must_use]
    pub const fn overpay_percent(mut self, percent: u8) -> Self {
        self.overpay_percent = percent;
        self
    }

    /// With another number of idle ticks before a paid payment is forgotten.
    #[must_use]
    pub const fn idempotency_ticks(mut self, ticks: u32) -> Self {
        self.idempotency_ticks = ticks;
        self
    }

    /// With another distance, in milliseconds, that two ticks must have to count.
    #[must_use]
    pub const fn min_tick_interval_ms(mut self, ms: u64) -> Self {
        self.min_tick_interval_ms = ms;
        self
    }

    /// With or without notifications of each part's success and failure.
    #[must_use]
    pub const fn notify_parts(mut self, notify: bool) -> Self {
        self.notify_parts = notify;
        self
    }

    /// With another number of blocks that a part must be past its CLTV expiry before an operator's word can
    /// fail it.
    #[must_use]
    pub const fn assertion_margin_blocks(mut self, blocks: u32) -> Self {
        self.assertion_margin_blocks = blocks;
        self
    }

    /// With another age, in milliseconds, that a delegated part must have before an operator's word can fail
    /// it.
    #[must_use]
    pub const fn assertion_delegated_age_ms(mut self, ms: u64) -> Self {
        self.assertion_delegated_age_ms = ms;
        self
    }
}
