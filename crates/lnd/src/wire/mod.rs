//! LND's messages and services, as far as they are used: made from the protos in `proto` by
//! `tests/generated.rs`, which also checks that they are what the protos say.

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "generated code"
)]
#[rustfmt::skip]
pub(crate) mod lnrpc;

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "generated code"
)]
#[rustfmt::skip]
pub(crate) mod routerrpc;
