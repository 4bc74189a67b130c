//! Why something is not done.

use std::io;

use payonce_core::{FactRefusal, OpenError, PartId, PayRefusal};
use payonce_runtime::{CallError, Unavailable};

use crate::engine::Refusal;

/// Why a payment was not accepted. Nothing was recorded and nothing was sent.
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
    /// The ledger does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<CallError<PayRefusal>> for PayError {
    fn from(error: CallError<PayRefusal>) -> Self {
        match error {
            CallError::Refused(refusal) => Self::Refused(refusal),
            CallError::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

/// Why an operator's word was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssertError {
    /// The ledger does not know the part.
    #[error("part {part} is not known")]
    UnknownPart {
        /// The part.
        part: PartId,
    },
    /// The ledger refused it.
    #[error(transparent)]
    Refused(FactRefusal),
    /// The ledger does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<CallError<FactRefusal>> for AssertError {
    fn from(error: CallError<FactRefusal>) -> Self {
        match error {
            CallError::Refused(refusal) => Self::Refused(refusal),
            CallError::Unavailable(unavailable) => Self::Unavailable(unavailable),
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
    /// The witness of the head cannot be read.
    #[error("the witness of the ledger's head cannot be read: {0}")]
    Witness(#[source] io::Error),
    /// Two engines have one name, or a name is empty or longer than a label holds.
    #[error("{name:?} cannot be an engine's name: each is its own, of 1 to 64 bytes")]
    Name {
        /// The name.
        name: String,
    },
    /// A payer without an engine.
    #[error("a payer needs an engine")]
    NoEngine,
    /// The ledger does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
