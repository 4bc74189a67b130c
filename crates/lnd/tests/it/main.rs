//! payonce-lnd against a real LND, and against a fake one on the real wire.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod bad_input;
mod bills;
mod child;
mod desk;
mod example;
mod fake;
mod house;
mod kill;
#[allow(dead_code, reason = "its command line")]
#[path = "../../../../examples/lnd_service.rs"]
mod lnd_service;
mod net;
mod proxy;
mod real;
mod script;
mod traps;

/// No route, as LND says it.
fn fake_failure() -> fake::Fate {
    fake::Fate::Failed(fake::wire::lnrpc::PaymentFailureReason::FailureReasonNoRoute)
}
