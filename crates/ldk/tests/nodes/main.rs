//! Real nodes, real channels, real HTLCs: what LDK's own tests prove of its ids, proved of payments.

#[path = "../net/mod.rs"]
mod net;

mod after;
mod bad_input;
mod before;
mod features;
mod gap;
mod idempotent;
mod moved;
mod offers;
mod reload;
mod retries;
mod shop;
mod spontaneous;
mod sums;
mod wait;
