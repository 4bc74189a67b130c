//! The store on real servers.

mod bad_input;
mod conformance;
mod cuts;
mod fight;
mod kills;
mod proxy;
mod replication;
mod support;
