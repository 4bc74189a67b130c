//! Waiting for what is confirmed: outcomes, notifications, entries; listing; who drives what.

pub(crate) mod driver;
pub(crate) mod listing;
pub(crate) mod notifications;
pub(crate) mod outcome;
pub(crate) mod subscription;
