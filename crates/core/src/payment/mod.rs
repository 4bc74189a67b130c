//! One payment: its parts, and what an event does to it.

pub(crate) mod at;
pub(crate) mod details;
pub(crate) mod evolve;
pub(crate) mod evolve_part;
pub(crate) mod foreign_part;
pub(crate) mod former;
pub(crate) mod part;
pub(crate) mod parts;
pub(crate) mod payment;
pub(crate) mod timing;
pub(crate) mod tombstone;
