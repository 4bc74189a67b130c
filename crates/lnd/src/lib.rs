//! LND as an engine of payonce.

#![forbid(unsafe_code)]
