//! Why a ledger does not answer.

use alloc::sync::Arc;
use core::fmt;

use crate::{
    base::head::Head, ledger::machine::Poisoned, ledger::replay_error::ReplayError,
    log::store::StoreError,
};

/// Why the ledger cannot do this, or answers nothing at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store failed. The ledger is poisoned, unless this was the error of a snapshot or of
    /// dropping history alone.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An earlier failure left the outcome unknown.
    #[error(transparent)]
    Poisoned(#[from] PoisonedBy),
    /// The log cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// No snapshot at or below the head given can become the base.
    #[error("there is no snapshot at or before seq {seq}: save one and store its head first")]
    NoSnapshot {
        /// The seq of the head given.
        seq: u64,
    },
    /// The head given is not in this log.
    #[error("the log does not contain {head}")]
    UnknownHead {
        /// The head that the caller gave.
        head: Head,
    },
    /// The log does not fold to the state in memory: the snapshot that it was opened from was wrong.
    #[error("the state at {at} is not what the log says: delete its snapshots and open it again")]
    StateDiffers {
        /// The head up to which the log was folded again.
        at: Head,
    },
    /// A snapshot is not the state of the log at its head.
    #[error("the snapshot at {at} is not the state of the log there; nothing was dropped")]
    SnapshotDiffers {
        /// The head at which the snapshot says that it was taken.
        at: Head,
    },
}

/// The ledger is poisoned, with the text of the first failure if it was the store's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoisonedBy {
    /// What the store's first failure said.
    pub cause: Option<Arc<str>>,
}

impl fmt::Display for PoisonedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            None => Poisoned.fmt(f),
            Some(cause) => write!(f, "{Poisoned} ({cause})"),
        }
    }
}

impl core::error::Error for PoisonedBy {}

impl From<Poisoned> for LedgerError {
    fn from(_: Poisoned) -> Self {
        Self::Poisoned(PoisonedBy { cause: None })
    }
}
