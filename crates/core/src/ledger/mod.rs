//! The log and the state together: the machine, replay, opening, recovery.

pub(crate) mod base;
pub(crate) mod copy;
pub(crate) mod ledger;
pub(crate) mod ledger_error;
pub(crate) mod listing;
pub(crate) mod machine;
pub(crate) mod opening;
pub(crate) mod outline;
pub(crate) mod past;
pub(crate) mod records;
pub(crate) mod recovery;
pub(crate) mod replay;
pub(crate) mod replay_error;
