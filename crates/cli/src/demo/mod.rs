//! A ledger to look at: days of a service's payments, told to a real ledger on a real store by a node
//! that is made up.

mod disk;
mod plan;
mod rng;
mod world;

pub(crate) use world::write;
