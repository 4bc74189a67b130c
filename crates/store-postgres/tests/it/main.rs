//! The store on real servers.

mod bad_input;
mod conformance;
mod cuts;
mod failover;
mod fight;
mod following;
mod kills;
mod node;
mod ordering;
mod proxy;
mod replication;
mod rights;
mod support;
