//! Pays a Lightning invoice exactly once, whatever crashes in between.
//!
//! > **Append before act.** Nothing goes out to the network, and no answer goes to the user, before
//! > the events that record it are durable.
//!
//! ```rust
//! use payonce::{store_fs::{FsStore, Options}, *};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let (dir, now) = (tempfile::tempdir()?, UnixMillis(1_790_000_000_000));
//!     let (store, _) = FsStore::create(&dir, LedgerId::from_bytes([7; 32]), Options::default())?;
//!     let opening = Opening::new(Remember::Forever, 42); // in production a random, secret seed
//!     let recovery = Ledger::open(store, &opening, now)?; // lists what was out at a crash: nothing
//!     let mut ledger = recovery.finish(now)?;
//!
//!     let preimage = Preimage::from_bytes([1; 32]); // in production the payee's secret
//!     let hash = preimage.payment_hash();
//!     let id = PaymentId::from_payment_hash(hash); // the idempotency key: store it before you send
//!     let (fee, retry) = (MaxFee::AtMost(Msat(500)), RetryPolicy::Manual); // no defaults
//!     let pay = Pay::new(id, Request::invoice(hash, Msat(50_000), fee, retry));
//!     assert_eq!(ledger.execute(pay.clone(), now)?, PayReply::Accepted);
//!
//!     let part = PartId::from_bytes([2; 32]); // in production random
//!     let htlc = NewPart::htlc(part, Msat(50_000), Msat(10), 900_000);
//!     ledger.execute(Dispatch { id, attempt: 1, parts: vec![htlc] }, now)?;
//!     // The dispatch is durable: now, and not before, offer the HTLC. Then tell what became of it.
//!     ledger.execute(ClaimPart::new(id, part, preimage), now)?;
//!
//!     let repeat = ledger.execute(pay, now)?;
//!     assert!(matches!(repeat, PayReply::Duplicate(known) if known.status == Status::Fulfilled));
//!     Ok(())
//! }
//! ```
//!
//! Five concepts are enough for that program: a [`Command`] ([`Pay`], [`Dispatch`], ...) is decided
//! into [`Event`]s, which fold into a [`Payment`], kept in an [`EventStore`] by a [`Ledger`].
//!
//! This crate is the front door and holds no logic. At its root is everything of `payonce-core`;
//! [`store_fs`] keeps the log in a directory, [`runtime`] shares one ledger among many threads and
//! tasks. A ledger takes any other [`EventStore`] as well.

#![forbid(unsafe_code)]

pub use payonce_core::*;

/// What a tool needs that reads a log: the program `payonce` is built of it.
///
/// - any [`EventSource`] is a log; a directory is read by
///   [`FsReader`](payonce_store_fs::FsReader), without a lock, also while a node writes to it;
/// - [`history`] walks over it entry by entry, with the chain checked; [`Event::words`](
///   payonce_core::Event::words) tells an event in words, [`Shown`] a text from outside so that it
///   cannot play with the terminal;
/// - [`state_at`] is the state as it was at a seq or a moment; [`verify`] folds all of it, on two threads;
/// - [`scan`](audit::scan) and [`survey`](audit::survey) read what can be read of a damaged directory, with file and offset.
pub mod audit {
    pub use payonce_core::{
        BaseCheck, Entry, EntryHeader, EventSource, Linker, Record, Records, Replay, ReplayError,
        Shown, Snapshot, State, StateDigest, StoreError, StoredEntry, Until, Words, decode_events,
        history, state_at,
    };
    pub use payonce_runtime::{replay, verify};
    pub use payonce_store_fs::{Found, FsReader, Place, Survey, Verified, scan, survey};
}

/// One ledger for many threads and tasks, with group commit.
pub use payonce_runtime as runtime;

/// The log in segment files under one directory: the embedded default.
pub use payonce_store_fs as store_fs;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/INTEGRATING.md")]
struct Integrating;
