//! All payments: where each is found, what is asked of them, and what an event does to them.

pub(crate) mod blocked;
pub(crate) mod change;
pub(crate) mod evolve;
mod evolve_log;
pub(crate) mod forbidden;
pub(crate) mod image;
pub(crate) mod index;
pub(crate) mod listing;
pub(crate) mod outbox;
pub(crate) mod place;
pub(crate) mod query;
pub(crate) mod snapshot;
pub(crate) mod state;
pub(crate) mod table;
pub(crate) mod views;
pub(crate) mod whose;
