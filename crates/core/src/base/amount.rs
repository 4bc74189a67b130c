//! Amounts, times and heights: plain numbers with their unit in the type's name.

use core::fmt;

use crate::base::wire::{layout, optional};

/// Millisatoshi, the only unit of amounts and fees: a thousandth of a satoshi.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Msat(pub u64);

impl Msat {
    /// 0 msat: fit for a fee or a remainder, never for an amount to pay.
    pub const ZERO: Self = Self(0);

    /// The largest amount that a request, a part or a fee may state: 21 million BTC. Four of them
    /// still fit a `u64`; sums of more are checked.
    pub const MAX: Self = Self(21_000_000 * 100_000_000 * 1_000);

    /// So many satoshis; `None` above [`MAX`](Self::MAX).
    #[must_use]
    pub const fn from_sat(satoshis: u64) -> Option<Self> {
        match satoshis.checked_mul(1_000) {
            Some(msat) if msat <= Self::MAX.0 => Some(Self(msat)),
            _ => None,
        }
    }

    /// Whole satoshis, rounded down.
    #[must_use]
    pub const fn to_sat_floor(self) -> u64 {
        self.0 / 1_000
    }

    /// The sum; `None` where it would not fit.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference; `None` where `other` is larger.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

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

/// Saturates, as [`Msat::saturating_add`] does.
impl core::iter::Sum for Msat {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

/// An amount above [`Msat::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{msat} msat is more than there can be: at most {} msat", Msat::MAX.0)]
#[non_exhaustive]
pub struct AmountTooLarge {
    /// What was given, in millisatoshi.
    pub msat: u64,
}

impl TryFrom<u64> for Msat {
    type Error = AmountTooLarge;

    /// So many millisatoshi, at most [`MAX`](Self::MAX).
    fn try_from(msat: u64) -> Result<Self, AmountTooLarge> {
        if msat <= Self::MAX.0 { Ok(Self(msat)) } else { Err(AmountTooLarge { msat }) }
    }
}

/// A moment: milliseconds since the Unix epoch, UTC. The core reads no clock; every command brings
/// its own `now`, which its entry records. A deadline is past when it is at or before `now`.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// A moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `millis` milliseconds later, or the last one that fits.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Whether this deadline is past at `now`: at or before it.
    #[must_use]
    pub const fn is_past(self, now: Self) -> bool {
        self.0 <= now.0
    }
}

layout! { newtype Msat, UnixMillis }
optional! { [] UnixMillis; }
