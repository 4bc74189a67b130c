//! What all rooms use: errors, options, the primitives of threads, moments.

pub(crate) mod error;
pub(crate) mod options;
pub(crate) mod random;
pub(crate) mod sync;
pub(crate) mod time;
pub(crate) mod waiter;
