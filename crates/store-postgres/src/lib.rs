//! The log of payonce in PostgreSQL.

#![forbid(unsafe_code)]

#[cfg(feature = "test-cluster")]
pub mod cluster;
mod config;
mod error;
mod follower;
mod ledgers;
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
pub use schema::SCHEMA_VERSION;
pub use store::PostgresStore;
/// The client's own types, for connections that are put together in code.
pub use tokio_postgres;
