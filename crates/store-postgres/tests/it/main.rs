//! The store on real servers.

mod bad_input;
mod conformance;
mod failover;
mod node;
mod cuts;
mod fight;
mod kills;
mod proxy;
mod replication;
mod support;
