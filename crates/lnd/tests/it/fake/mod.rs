//! A fake LND: it speaks the real wire (gRPC with TLS and a macaroon), keeps its own books, and can do
//! what a real one does only when it must: let a request wait, lose an answer, forget, talk nonsense. Its
//! code and the client's have nothing in common but the protos.

mod books;
mod server;
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    dead_code,
    missing_docs,
    missing_debug_implementations,
    reason = "generated code"
)]
#[rustfmt::skip]
pub(crate) mod wire {
    pub(crate) mod lnrpc;
    pub(crate) mod routerrpc;
}

pub(crate) use self::{
    books::{Books, Fate, Nonsense, hex},
    server::{ADMIN, Certificate, FakeLnd, READ_ONLY},
};
