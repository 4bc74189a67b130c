//! The log of payonce in PostgreSQL: replicated before a payment goes out, and taken over by another
//! machine when one dies, without anything being paid twice.
//!
//! [`PostgresStore`] implements [`EventStore`]. One database holds any number of ledgers, by name; each
//! has one writer at a time, and the hand-over is the point of this crate.
//!
//! ```no_run
//! use payonce_core::{Ledger, LedgerId, Opening, Remember, UnixMillis};
//! use payonce_store_postgres::{Config, PostgresError, PostgresStore, Replication};
//!
//! # let now = UnixMillis(1_790_000_000_000);
//! # let head_of_the_node = None;
//! let config: Config = "postgres://payer@db1,db2/pay?sslmode=require&target_session_attrs=read-write"
//!     .parse()?;
//! let config = config.replication(Replication::Flushed).holder("node 7, process 4242");
//! // At the very first start of the node: create. Later: open.
//! let store = match PostgresStore::open(config.clone(), "node-7") {
//!     Err(PostgresError::NoLedger { .. } | PostgresError::NoSchema { .. }) => {
//!         PostgresStore::create(config, "node-7", LedgerId::from_bytes([7; 32]))?
//!     }
//!     opened => opened?,
//! };
//! let mut opening = Opening::new(Remember::Forever, 42); // in earnest a random, secret seed
//! opening.known_head = head_of_the_node; // kept with the channels: a lost end of the log is noticed
//! let recovery = Ledger::open(store, &opening, now)?; // shuts the former writer out of the log
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//!
//! | after | the log holds |
//! |---|---|
//! | `append` returned `Ok` | all of the batch, on as many disks as the configuration demands |
//! | `append` was refused ([`NotNext`], [`Fenced`]) | nothing of it |
//! | any other error of `append` | all of a statement's entries or none (a batch of 4 MiB is one statement); the handle is poisoned, and the next opening finds out which, and waits until it is replicated |
//! | `fence` returned | nothing that an earlier writer sent can take effect any more |
//! | a standby was promoted that was not in sync, an old backup was restored | less than was acknowledged: nothing in a database can show that. The head that the node keeps does |
//!
//! # How
//!
//! One row a ledger holds the head and a fence. Opening for writing raises the fence; every statement of
//! the writer's is conditional on fence, head and the server's settings, and checks and writes in one
//! step and one round trip. A warning, a cancelled wait, a late answer leave the outcome *unknown*, never
//! `Ok`. [ADR 19] has the reasons, [FORMAT-store-postgres] the tables, [OPERATING] rights, topologies, takeover,
//! backup and alarms.
//!
//! [ADR 19]: https://github.com/payonce/payonce/blob/main/docs/adr/0019-the-fence-is-a-row.md
//! [FORMAT-store-postgres]: https://github.com/payonce/payonce/blob/main/docs/FORMAT-store-postgres.md
//! [OPERATING]: https://github.com/payonce/payonce/blob/main/docs/OPERATING.md
//!
//! # What a caller sees
//!
//! - Calls block. The store speaks with the server on a thread of its own, so it can be called from a
//!   task as well as from a thread.
//! - [`confirm_owner`](payonce_core::EventStore::confirm_owner) asks the database unless an append or a
//!   confirmation was sent within [`Config::confirm_within`].
//! - A connection that broke while nothing was asked is made anew, with all checks; one that breaks
//!   during an append poisons.
//! - [`Follower`] keeps a warm state on another machine and takes over with it.
//!
//! The feature `test-cluster` has throw-away clusters for tests on real servers.
//!
//! [`EventStore`]: payonce_core::EventStore
//! [`NotNext`]: payonce_core::StoreError::NotNext
//! [`Fenced`]: payonce_core::StoreError::Fenced

#![forbid(unsafe_code)]

#[cfg(feature = "test-cluster")]
pub mod cluster;
mod config;
mod error;
mod follower;
mod ledgers;
mod orders;
mod reading;
mod schema;
mod session;
mod shared;
mod store;
mod thread;
mod upkeep;
mod writing;

pub use config::{Config, DroppedHistory, Replication};
pub use error::PostgresError;
pub use follower::Follower;
pub use orders::{Order, Orders, ServeError, Served};
pub use schema::SCHEMA_VERSION;
pub use store::PostgresStore;
/// The client's own types, for connections that are put together in code.
pub use tokio_postgres;
