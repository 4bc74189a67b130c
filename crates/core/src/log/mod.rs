//! How events are kept: entries, and the store.

pub(crate) mod entry;
pub(crate) mod loss;
pub(crate) mod store;
