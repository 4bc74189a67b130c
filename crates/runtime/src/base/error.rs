//! Why a call has no answer.

use std::sync::Arc;

use payonce_core::{PaymentId, StoreError};

/// Why the ledger does not answer. Nothing of the call was recorded where it is
/// [`Closed`](Self::Closed) or [`Full`](Self::Full); where it is [`Poisoned`](Self::Poisoned) its
/// outcome is unknown until the log is opened again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The store failed, or a thread panicked while it held the ledger. Every caller is told, those
    /// who wait included.
    #[error("the ledger is poisoned: open the log again to learn what happened")]
    Poisoned {
        /// What the store said; `None` if it was no error of the store.
        #[source]
        cause: Option<Arc<StoreError>>,
    },
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// So many commands wait already, and the call was told not to wait for room.
    #[error("{limit} commands wait already: try again, or wait for room")]
    Full {
        /// How many commands may wait.
        limit: usize,
    },
}

/// Why there is no outcome to wait for.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OutcomeError {
    /// The ledger does not know the payment, or has forgotten it by now.
    #[error("payment {id} is not known: send it first")]
    UnknownPayment {
        /// The id that the caller asked about.
        id: PaymentId,
    },
    /// The ledger does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a snapshot was not kept, history not dropped, or the log not found sound.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// It was refused, or the log is damaged. The ledger goes on.
    #[error(transparent)]
    Ledger(Arc<payonce_core::LedgerError>),
    /// The store failed at this alone: a disk that is full, say. The ledger goes on; try it again
    /// once the cause is mended.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// The ledger does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
