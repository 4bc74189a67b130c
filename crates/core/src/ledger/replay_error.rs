//! Why a log cannot be replayed.

use crate::{
    base::head::Head,
    base::wire::DecodeError,
    log::store::{EventSource, StoreError},
};

/// Why a log cannot be replayed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The store failed, or found damage.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry does not decode.
    #[error("the entry at seq {seq} cannot be read: {error}")]
    Entry {
        /// The seq of the entry's first event.
        seq: u64,
        /// What is wrong with the entry's bytes.
        error: DecodeError,
    },
    /// An entry is missing: the next one starts elsewhere.
    #[error("the entry after seq {after} is missing: the next starts at seq {found}")]
    Missing {
        /// The last seq before the hole.
        after: u64,
        /// The first seq after it.
        found: u64,
    },
    /// The log's base does not decode.
    #[error("the base at seq {seq} cannot be read: {error}")]
    Base {
        /// The seq at which it was taken.
        seq: u64,
        /// What is wrong with the base's bytes.
        error: DecodeError,
    },
    /// The log's base is not the one that the log recorded when its history was dropped: somebody
    /// replaced it.
    #[error("the log does not vouch for its base at {at}: put back the base that it was kept with")]
    BaseDiffers {
        /// The head at which the base was taken.
        at: Head,
    },
    /// The entries do not lead to the head that the store reports: the log was edited or cut, or two
    /// logs were mixed.
    #[error("the log ends at {replayed}, but the store says {stored}")]
    HeadDiffers {
        /// The head of the entries.
        replayed: Head,
        /// The head that the store reports.
        stored: Head,
    },
    /// An event does not fit the state before it.
    #[error("the event at seq {seq} does not fit what was before it")]
    Inconsistent {
        /// The seq of the event.
        seq: u64,
    },
}

impl ReplayError {
    /// Replaces a difference that only the chain has shown by the store's error with its place, if the
    /// store finds it among the entries from `from` on.
    #[must_use]
    pub fn placed(self, store: &(impl EventSource + ?Sized), from: u64) -> Self {
        match self {
            Self::HeadDiffers { .. } | Self::Inconsistent { .. } => {
                store.find_damage(from).map_or_else(Self::from, |()| self)
            }
            _ => self,
        }
    }
}
