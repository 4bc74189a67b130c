//! The shared handle.

pub(crate) mod handle;
pub(crate) mod maintenance;
pub(crate) mod recovery;
pub(crate) mod tasks;
