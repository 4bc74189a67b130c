//! One payonce ledger for many threads and tasks, as fast as the disk allows.
//!
//! > **Append before act.** Nothing goes out to the network, and no answer goes to the user, before
//! > the events that record it are durable.
//!
//! A [`SharedLedger`] is a handle that is cloned and given away. It decides each command against the
//! newest state at once, and writes the commands of all callers that came while the disk was busy
//! with one append and one sync. No answer, not even that of a query, can be read before what it was
//! decided on is durable.
//!
//! ```
//! use std::thread;
//!
//! use payonce_core::{
//!     LedgerId, MaxFee, Msat, Opening, PaymentId, Preimage, Remember, Request, RetryPolicy, UnixMillis,
//! };
//! use payonce_runtime::{Options, SharedLedger};
//! use payonce_store_memory::MemoryDisk;
//!
//! let now = UnixMillis(1_790_000_000_000);
//! let store = MemoryDisk::new(LedgerId::from_bytes([7; 32])).open();
//! let opening = Opening::new(Remember::Forever, 42); // in production a random, secret seed
//! let recovery = SharedLedger::open(store, &opening, Options::default(), now)?;
//! let ledger = recovery.finish(now)?;
//!
//! let hash = Preimage::from_bytes([1; 32]).payment_hash();
//! let id = PaymentId::from_payment_hash(hash);
//! let max_fee = MaxFee::AtMost(Msat(500));
//! let request = Request::invoice(hash, Msat(50_000), max_fee, RetryPolicy::Attempts(3));
//! let pay = payonce_core::Pay::new(id, request);
//! // A user clicks twice; two threads ask. One is told that it is accepted, the other that it was.
//! let clicks = [ledger.clone(), ledger.clone()].map(|ledger| {
//!     let pay = pay.clone();
//!     thread::spawn(move || ledger.execute(pay, now))
//! });
//! let replies = clicks.map(|click| click.join().expect("no panic"));
//! assert!(replies.iter().all(Result::is_ok));
//! assert_eq!(ledger.query(|state| state.counts().pending)?, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

// The rooms, from the top floor to the ground: each uses those below it.
// Waiting for what is confirmed; listing; who drives what.
mod watch;
// The handle that is cloned and given away.
mod handle;
// Group commit, and what is done beside it.
mod commit;
// Reading a log, on two threads.
mod open;
// Errors, options, the primitives of threads, moments.
mod base;

pub use payonce_core::ExecuteError;

pub use crate::{
    base::error::{MaintenanceError, OutcomeError, Unavailable},
    base::options::Options,
    base::random::{random_ledger_id, random_part_id, random_seed},
    base::time::{now, system_time, unix_millis},
    handle::handle::SharedLedger,
    handle::recovery::SharedRecovery,
    open::replay::{replay, verify},
    watch::driver::Driver,
    watch::notifications::Notifications,
    watch::subscription::{Confirmed, Subscription, SubscriptionError},
};
