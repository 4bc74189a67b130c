//! The payer: starting, paying, handling, ticking.

pub(crate) mod abandon;
pub(crate) mod compare;
pub(crate) mod error;
pub(crate) mod hand_over;
pub(crate) mod handle;
pub(crate) mod import;
pub(crate) mod in_store;
pub(crate) mod pay;
pub(crate) mod payer;
pub(crate) mod proof;
pub(crate) mod start;
pub(crate) mod tick;
