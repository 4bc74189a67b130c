//! Amounts, times and heights: plain numbers with their unit in the type's name.

use core::fmt;

use crate::base::wire::{layout, optional};

/// Millisatoshi, the only unit of amounts and fees: a thousandth of a satoshi.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Msat(pub u64);

impl Msat {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The largest amount that a request, a part or a fee may state: 21 million BTC. Four of them
    /// still fit a `u64`; sums of more are checked.
    pub const MAX: Self = Self(21_000_000 * 100_000_000 * 1_000);

    /// The sum, or the largest `u64` where it would not fit. Facts are never refused for a limit,
    /// so a sum of facts saturates; a saturated sum is above every limit.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing where `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Msat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} msat", self.0)
    }
}

/// A moment: milliseconds since the Unix epoch, UTC. The core reads no clock; every command brings
/// its own `now`, which its entry records. A limit in time is past when it is at or before `now`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// A moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `millis` milliseconds later, or the last one that can be told.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Whether this limit is past at `now`: at or before it.
    #[must_use]
    pub const fn is_past(self, now: Self) -> bool {
        self.0 <= now.0
    }
}

layout! { newtype Msat, UnixMillis }
optional! { [] UnixMillis; }
