//! Why something is not done.

use std::io;

use payonce_core::{FactRefusal, OpenError, PartId, PayRefusal};
use payonce_runtime::{ExecuteError, Unavailable};
use payonce_store_fs::FsError;

use crate::engine::Refusal;

/// Why [`Payer::pay`](crate::Payer::pay) did not accept a payment. This call sent nothing, and unless it was
/// [`Interrupted`](Self::Interrupted) it recorded nothing either. What an *earlier* call under this id or for this
/// invoice did stands: [`Conflict`](PayRefusal::Conflict) and [`HashInUse`](PayRefusal::HashInUse) tell of one that
/// may be paid, so ask [`payment_view`](crate::Payer::payment_view) before anybody is refunded. While the log is
/// [restored](crate::StartReport::restored) no error tells that nothing was paid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayError {
    /// No engine takes it.
    #[error("no engine is called {name:?}: start with it, or route payments elsewhere")]
    NoEngine {
        /// The name to which it was routed.
        name: String,
    },
    /// The engine would not pay it.
    #[error(transparent)]
    Engine(#[from] Refusal),
    /// The ledger refused it.
    #[error(transparent)]
    Refused(PayRefusal),
    /// The ledger stopped answering. Whether the payment was accepted is not known: if it was, it is made at the
    /// next start, and who was refunded is paid as well.
    #[error(
        "whether it was accepted is not known, it may be paid at the next start: open the ledger again and \
         repeat the call under the same id ({0})"
    )]
    Interrupted(#[from] Unavailable),
}

impl From<ExecuteError<PayRefusal, Unavailable>> for PayError {
    fn from(error: ExecuteError<PayRefusal, Unavailable>) -> Self {
        match error {
            ExecuteError::Refused(refusal) => Self::Refused(refusal),
            ExecuteError::Unavailable(unavailable) => Self::Interrupted(unavailable),
        }
    }
}

/// Why an operator's word was not taken. Nothing was recorded, unless it is
/// [`Interrupted`](Self::Interrupted).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssertError {
    /// The ledger does not know the part.
    #[error("part {part} is not known")]
    UnknownPart {
        /// The part id that was named.
        part: PartId,
    },
    /// The ledger refused it.
    #[error(transparent)]
    Refused(FactRefusal),
    /// The ledger stopped answering. Whether the word is recorded is not known: open the ledger again and say
    /// it again, which changes nothing if it is.
    #[error("whether the word is recorded is not known: open the ledger again and repeat it ({0})")]
    Interrupted(#[from] Unavailable),
}

impl From<ExecuteError<FactRefusal, Unavailable>> for AssertError {
    fn from(error: ExecuteError<FactRefusal, Unavailable>) -> Self {
        match error {
            ExecuteError::Refused(refusal) => Self::Refused(refusal),
            ExecuteError::Unavailable(unavailable) => Self::Interrupted(unavailable),
        }
    }
}

/// Why a payer does not start. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The log does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The directory of the log cannot be opened, or a log cannot be made there.
    #[error(transparent)]
    Directory(#[from] FsError),
    /// The witness of the head cannot be read, or made.
    #[error("the witness of the ledger's head: {0}")]
    Witness(#[source] io::Error),
    /// Two engines have one name, or a name is empty or longer than a label holds.
    #[error("{name:?} cannot be an engine's name: each is its own, of 1 to 64 bytes")]
    Name {
        /// The name that was given.
        name: String,
    },
    /// A payer without an engine.
    #[error("a payer needs an engine")]
    NoEngine,
    /// The ledger does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
