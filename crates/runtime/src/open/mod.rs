//! Reading a log, on two threads.

pub(crate) mod replay;
