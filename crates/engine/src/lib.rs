//! Any node behind an API, driven exactly once.
//!
//! > **The one rule.** A payment is made through [`Payer::pay`] under an id that the caller stored
//! > first, and nobody else pays the same invoices through the same engine.
//!
//! Most who pay over Lightning call a node that routes and retries by itself. Two traps lie there, and
//! both pay twice:
//!
//! - **The end of an earlier try.** Such a node answers by payment hash, with its last try. After a crash
//!   that may be the try *before* yours: its failure still stands there.
//! - **Not known is not never sent.** A request waits in a socket, a proxy, a queue; the node does not know
//!   the hash; the customer is refunded; the request arrives.
//!
//! Through this crate neither can be fallen into: an [`Engine`] says what a node shows and how it recognises a
//! repeat ([`Promises`]), [`rules`] say what follows, and a [`Payer`] does all the rest. **[`guide`] has the
//! code of a whole service**, the table of what follows from what an engine promises, and what an operator does.
//!
//! - [`Starting`] opens a ledger, asks its engines about what is out, and gives a [`Payer`].
//! - [`Payer`] accepts payments, hands them over, follows them up, tells a [`Sink`] what the user must see.
//! - [`Witness`] keeps the ledger's head apart from the log; [`Payer::rebuild`] is for when it is lost.
//!
//! *Saying*, *mark*, *label*, *out*, *rest* have one exact meaning each: the [glossary] has them.
//!
//! [glossary]: https://github.com/payonce/payonce/blob/main/docs/GLOSSARY.md
//!
//! It works on tokio, with its timer (`enable_time`, or `#[tokio::main]`). In Cargo.toml:
//!
//! ```toml
//! [dependencies]
//! payonce-core = "0.1"   # requests, ids
//! payonce-engine = "0.1"
//! payonce-lnd = "0.1"    # where the node is LND
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "time"] }
//! ```

#![forbid(unsafe_code)]

mod chores;
mod clock;
mod directory;
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
mod telemetry;
mod witness;

pub use crate::{
    clock::{Clock, SystemClock},
    engine::{
        Engine, EngineError, HandOver, Key, Lookup, Memory, PayAnswer, PaymentsPage, Payout,
        Promises, Refusal, Shown, Wire,
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
#[doc = include_str!("../guide/INTEGRATING-API.md")]
pub mod guide {}

pub use async_trait::async_trait;
pub use payonce_runtime::{ExecuteError, OutcomeError, SharedLedger, Unavailable};
