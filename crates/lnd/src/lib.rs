//! LND as an engine of payonce: its payments made exactly once.
//!
//! [`Lnd`] is the engine, [`Config`] how a node is reached and what is vouched for, [`Network::request`] the
//! way from an invoice to a request. [`payonce_engine::guide`] has a service's code, and what each
//! answer of LND means.
//!
//! What is promised: LND pays a hash once, and tells each try of it by a new, rising `payment_index`. An
//! invoice is refused once it is expired, which is what ends a request that is late. A spontaneous payment
//! (keysend) has a hash as well, and so is paid once; but LND would never refuse it for being late, so that
//! one of which it knows nothing waits for an operator. AMP has no single hash, and offers LND does not know:
//! both are refused before anything is recorded.

#![forbid(unsafe_code)]

mod answers;
mod config;
mod connect;
mod lnd;
mod request;
mod wire;

pub use crate::{
    config::{Config, ConfigError, Network, ParseNetworkError},
    lnd::Lnd,
};
