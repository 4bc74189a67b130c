//! LDK's events: what each tells, and the ledger that is told.

pub(crate) mod book;
pub(crate) mod facts;
pub(crate) mod failure;
pub(crate) mod handled;
pub(crate) mod invoice;
pub(crate) mod path_report;
pub(crate) mod refund;
pub(crate) mod telling;
