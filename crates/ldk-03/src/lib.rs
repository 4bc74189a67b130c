//! [`payonce-ldk`](https://docs.rs/payonce-ldk) for LDK 0.3, on its release candidates: the same source but for
//! `bridge/line.rs`, which is what this line of LDK says in other words. docs/adr/0017 says why it is a crate of its own.
//!
//! It tells more than 0.2: which entry of LDK's list is a probe, so that a probe that was on its way when the
//! node stopped holds up no offer; and what the routes took of a payment that is listed as paid.

#![forbid(unsafe_code)]
#![allow(
    refining_impl_trait,
    reason = "one source for two lines: 0.2 names the futures of its stores"
)]

mod bridge;
#[path = "../../ldk/src/events/mod.rs"]
mod events;
#[path = "../../ldk/src/order/mod.rs"]
mod order;
#[path = "../../ldk/src/payer/mod.rs"]
mod payer;
#[path = "../../ldk/src/shown.rs"]
mod shown;

pub use shown::*;
