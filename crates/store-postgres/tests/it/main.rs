//! The store on real servers.

mod afar;
mod bad_input;
mod conformance;
mod cuts;
mod driver;
mod failover;
mod fight;
mod following;
mod kills;
mod memory;
mod node;
mod ordering;
mod orders_killed;
mod pooler;
mod proxy;
mod replication;
mod restores;
mod rights;
mod support;
