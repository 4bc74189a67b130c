//! [`payonce-store-kv`](https://docs.rs/payonce-store-kv) for LDK 0.3, on its release candidates: the same source
//! but for `line`, and the same bytes. docs/adr/0017 says why it is a crate of its own.

#![forbid(unsafe_code)]

#[path = "../../store-kv/src/blocking.rs"]
mod blocking;
#[path = "../../store-kv/src/error.rs"]
mod error;
#[path = "../../store-kv/src/history.rs"]
mod history;
#[path = "../../store-kv/src/keys.rs"]
mod keys;
mod line;
#[path = "../../store-kv/src/log.rs"]
mod log;
#[path = "../../store-kv/src/namespace.rs"]
mod namespace;
#[path = "../../store-kv/src/store.rs"]
mod store;
#[path = "../../store-kv/src/value.rs"]
mod value;

pub use blocking::BlockingKv;
pub use error::{Damage, KvError};
pub use history::Verified;
pub use namespace::Namespace;
pub use store::KvStore;
pub use value::FORMAT_VERSION;
