//! Errors, one type for each operation.

use lightning::events::ReplayEvent;
use payonce_core::{AbandonRefusal, OpenError, PartId, PayRefusal, TickRefusal};
use payonce_runtime::{CallError, Unavailable};

use crate::request::OrderRefusal;

/// Why a payment was not accepted. Nothing was recorded and nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayError {
    /// The order can never be paid like this.
    #[error(transparent)]
    Order(#[from] OrderRefusal),
    /// The ledger refused it: expired, in conflict with what is known, paid under another id.
    #[error(transparent)]
    Refused(PayRefusal),
    /// LDK tracks a payment that the ledger does not know, and it may be one for this very offer.
    #[error(
        "LDK tracks payment {engine_id}, which the ledger does not know: no offer is paid until an \
         event tells what it was"
    )]
    UnknownInEngine {
        /// One of them, by LDK's id.
        engine_id: PartId,
    },
    /// The ledger answers nothing; the outcome is unknown. Open it again and repeat.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<CallError<PayRefusal>> for PayError {
    fn from(error: CallError<PayRefusal>) -> Self {
        match error {
            CallError::Refused(refusal) => Self::Refused(refusal),
            CallError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

/// The store failed while an event was recorded: LDK must keep the event and deliver it again, once
/// the ledger was opened anew.
#[derive(Debug, Clone, thiserror::Error)]
#[error("an event of LDK is not recorded: {0}")]
pub struct HandleError(#[from] pub Unavailable);

impl From<HandleError> for ReplayEvent {
    fn from(_: HandleError) -> Self {
        Self()
    }
}

/// Why a payment was not abandoned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AbandonError {
    /// The ledger does not know it.
    #[error(transparent)]
    Refused(AbandonRefusal),
    /// The ledger answers nothing.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<CallError<AbandonRefusal>> for AbandonError {
    fn from(error: CallError<AbandonRefusal>) -> Self {
        match error {
            CallError::Refused(refusal) => Self::Refused(refusal),
            CallError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

/// Why a tick did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TickError {
    /// The ledger refused it.
    #[error(transparent)]
    Refused(TickRefusal),
    /// The ledger answers nothing.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<CallError<TickRefusal>> for TickError {
    fn from(error: CallError<TickRefusal>) -> Self {
        match error {
            CallError::Refused(refusal) => Self::Refused(refusal),
            CallError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

/// Why a payer did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A handler refused an event, so LDK holds back it and all that follow: what they would tell
    /// is not known.
    #[error("an event was refused, so LDK holds back what follows it: handle it, then start again")]
    EventsUndelivered,
    /// LDK read a manager that is older than a channel's monitor, once, and says that a hand-over
    /// failed which may be out.
    #[error(
        "the manager is older than a channel's monitor, and LDK may have failed what is out: load \
         the node again, and read the manager with `read_manager`"
    )]
    ManagerReadOnce,
    /// The ledger answers nothing.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
