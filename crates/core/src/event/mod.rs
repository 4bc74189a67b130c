//! What happened: events and what they are made of.

pub(crate) mod blocked_hash;
#[cfg(feature = "lightning-invoice")]
pub(crate) mod bolt11;
pub(crate) mod event;
pub(crate) mod hash_paid;
pub(crate) mod notification;
pub(crate) mod part;
pub(crate) mod request;
pub(crate) mod status;
pub(crate) mod words;
