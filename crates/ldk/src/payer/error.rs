//! Errors, one type for each operation. What is definite stands under a name of its own; where an outcome
//! is unknown, that is what the error says, since whoever reads *nothing was sent* pays elsewhere.

use lightning::{
    bitcoin::{Network, constants::ChainHash},
    events::ReplayEvent,
};
use payonce_core::{FactRefusal, OpenError, PartId, PayRefusal, PhaseRefusal};
use payonce_runtime::{ExecuteError, Unavailable};
use payonce_store_kv::KvError;

use crate::{bridge::head::HeadError, order::request::OrderRefusal};

/// The ledger stopped answering in the middle of a call. How far it came is not known: each command of it
/// may be recorded or not, and LDK may have been given a payment. Open the ledger again and repeat the
/// call under the same id: what was done is not done again.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "how far the call came is not known, what it pays may be on its way: open the ledger again and \
     repeat it under the same id ({0})"
)]
pub struct Interrupted(#[from] pub Unavailable);

/// Why a payment was not accepted. Nothing was recorded and nothing was sent under this call, unless it is
/// [`Interrupted`](Self::Interrupted).
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
    /// Whether it was accepted, and whether LDK has it, is not known.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// The ledger stopped answering while an event was recorded. Whether it is recorded is not known: LDK must
/// keep the event and deliver it again, once the ledger was opened anew. An event that is told twice
/// changes nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("whether an event of LDK is recorded is not known, LDK must deliver it again: {0}")]
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
    /// The ledger does not know it; nothing was recorded.
    #[error(transparent)]
    Refused(FactRefusal),
    /// Whether it is abandoned is not known.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Why a tick is not over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TickError {
    /// The ledger refused to let time pass. What LDK no longer tracks was finalized before; nothing was
    /// handed over.
    #[error(transparent)]
    Refused(PhaseRefusal),
    /// What of the tick was done is not known; hand-overs may be among it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Why a payer did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log in the node's key-value store cannot be opened or made.
    #[error(transparent)]
    Store(#[from] KvError),
    /// The head that is kept with the manager cannot be used.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// There is no log, and the node is not new. Nothing was written.
    #[error(
        "there is no payonce log in {place}, and this node {sign}: put the log back, since a new one would pay \
         again what it knew to be paid. For a node that is moved over create it, and import what it has paid"
    )]
    LogMissing {
        /// The namespace that was looked in.
        place: String,
        /// What shows that the node has run, after "this node".
        sign: &'static str,
    },
    /// No thread could be started to open the log on.
    #[error("no thread can be started to open the log on: {0}")]
    NoThread(std::io::Error),
    /// The manager is one of another network than the options say. Nothing was opened: with it every
    /// invoice of the node's own network would be refused, and every other one taken.
    #[error("the manager is on the chain {chain}, which is not {node}: load the one of this node")]
    OtherNetwork {
        /// The network that the options name.
        node: Network,
        /// The chain that the manager's channels are on: the hash of its first block.
        chain: ChainHash,
    },
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
    /// What of the start is recorded is not known; nothing was handed over.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

macro_rules! from_call_error {
    ($($error:ident: $refusal:ty),*) => {$(
        impl From<ExecuteError<$refusal, Unavailable>> for $error {
            fn from(error: ExecuteError<$refusal, Unavailable>) -> Self {
                match error {
                    ExecuteError::Refused(refusal) => Self::Refused(refusal),
                    ExecuteError::Unavailable(error) => Self::Interrupted(error.into()),
                }
            }
        }

        impl From<Unavailable> for $error {
            fn from(error: Unavailable) -> Self {
                Self::Interrupted(error.into())
            }
        }
    )*};
}

from_call_error!(PayError: PayRefusal, AbandonError: FactRefusal, TickError: PhaseRefusal);

impl From<Unavailable> for StartError {
    fn from(error: Unavailable) -> Self {
        Self::Interrupted(error.into())
    }
}
