//! What is to be paid, and on which terms: in LDK's words, and as the ledger keeps it.

pub(crate) mod order;
pub(crate) mod request;
pub(crate) mod route;
pub(crate) mod terms;
mod written;
