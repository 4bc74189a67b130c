//! Any node behind an API, driven exactly once.
//!
//! > **The one rule.** A payment is made through [`Payer::pay`] under an id that the caller stored
//! > first, and nobody else pays the same invoices through the same engine.
//!
//! Most who pay over Lightning call a node that routes and retries by itself. Two traps lie there, and
//! both pay twice:
//!
//! - **The end of an earlier try.** Such a node knows the payment hash, and shows the last try of it. After
//!   a crash between the record of a new try and its request the old failure still stands there.
//! - **Not known is not never sent.** A request waits in a socket, a proxy, a queue; the node does not know
//!   the hash; the customer is refunded; the request arrives.
//!
//! Through this crate neither can be fallen into: [`Engine`] says what a node shows and by what it tells
//! a repeat ([`Promises`]), [`rules`] say what follows, and a [`Payer`] does all the rest.
//!
//! - [`Starting`] opens a ledger, asks its engines about what is out, and gives a [`Payer`].
//! - [`Payer`] accepts payments, hands them over, follows them up, tells a [`Sink`] what the user must see.
//! - [`Witness`] keeps the ledger's head apart from the log; [`Payer::rebuild`] is for when it is lost.

#![forbid(unsafe_code)]

mod chores;
mod clock;
mod engine;
mod error;
mod follow;
mod hand_over;
mod job;
mod options;
mod payer;
mod rebuild;
pub mod rules;
mod seat;
mod sink;
mod start;
mod witness;

pub use crate::{
    clock::{Clock, SystemClock},
    engine::{
        Answer, Engine, EngineError, HandOver, Key, Lookup, Memory, Page, Payout, Promises,
        Refusal, Shown, Wire,
    },
    error::{AssertError, PayError, StartError},
    options::Options,
    payer::{Payer, Paying},
    rebuild::{RebuildError, Rebuilt},
    rules::Why,
    sink::Sink,
    start::{StartReport, Starting, Witnessed},
    witness::{FileWitness, Witness},
};
pub use async_trait::async_trait;
pub use payonce_runtime::{CallError, OutcomeError, SharedLedger, Unavailable};
