//! The log of payonce in any LDK [`KVStoreSync`]: the file system, SQLite or VSS, as
//! `lightning-persister` and `ldk-node` use them, so that a node keeps one place for its data.
//!
//! [`KvStore`] implements [`EventStore`]. An append is one write of one value, whatever the number
//! of its entries, up to a mebibyte. [FORMAT-store-kv] specifies every byte.
//!
//! [FORMAT-store-kv]: https://github.com/payonce/payonce/blob/main/docs/FORMAT-store-kv.md
//!
//! ```
//! use std::sync::Arc;
//!
//! use lightning_persister::fs_store::FilesystemStore;
//! use payonce_core::{Ledger, LedgerId, Opening, Remember, UnixMillis};
//! use payonce_store_kv::{KvStore, Namespace};
//!
//! # let parent = tempfile::tempdir()?;
//! # let directory = parent.path().to_owned();
//! # let now = UnixMillis(1_790_000_000_000);
//! let kv = Arc::new(FilesystemStore::new(directory)); // the node's own
//! let ledger = LedgerId::from_bytes([7; 32]);
//! drop(KvStore::create(Arc::clone(&kv), Namespace::default(), ledger)?);
//!
//! let store = KvStore::open(kv, Namespace::default())?;
//! let mut opening = Opening::new(Remember::Forever, 42); // in production a random, secret seed
//! opening.single_writer = true; // your word: no other process has this log open
//! let ledger = Ledger::open(store, &opening, now)?.finish(now)?;
//! assert!(ledger.head().seq > 0, "the opening is recorded");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it costs
//!
//! An append is one write, with 100 bytes of header and 4 an entry. Opening lists the keys and reads
//! two of them; the newest snapshot and what follows it are then read by the ledger. Every append
//! since the base is a key, and 56 bytes of memory: drop history now and then.
//!
//! # What the key-value store must promise
//!
//! | | promise | else |
//! |---|---|---|
//! | 1 | a write that returned `Ok` is durable, whole, and so is its name | acknowledged entries are lost; noticed, unless they were the newest |
//! | 2 | a write sets the whole value or leaves the one before, whatever crashes | an error at the next opening |
//! | 3 | a write or removal that failed took effect, or never will | an entry that is on nobody's record shows up later: a fork, an error |
//! | 4 | reading and listing show every write and removal that returned before; a listing is complete | an error, or, for the newest entries, a shorter log |
//! | 5 | a removal that was not lazy is durable when it returns `Ok` | old keys come back: an error |
//!
//! LDK's `FilesystemStore` keeps them where the file system keeps what was synced. It does not sync
//! the directory in which it creates a namespace's directory, which journaling file systems make
//! durable along with the first file. `KVStoreSync::remove` can be told to be lazy; this store
//! never does.
//!
//! What it cannot promise is to keep a second writer out: it has no compare-and-set. So
//! [`KvStore`] is [`Exclusion::None`], and a ledger opens on it only with the caller's word
//! (`Opening::single_writer`). If the word was wrong, both writers' entries stay: the name of a key
//! holds the log hash, so neither overwrites the other's, and the next listing shows a fork.
//!
//! # What is promised on it
//!
//! | after | the log holds |
//! |---|---|
//! | `append` returned `Ok`, and then any crash | all of the batch |
//! | a crash during `append`, or a failed write | a prefix of the batch: all or nothing of each value |
//! | any key missing, doubled, swapped; any byte changed | an error that names the key |
//!
//! The newest entries alone, written since the log was last opened or a snapshot was saved, can be
//! removed without a trace in what is left. Give the last head that the node knows durable at
//! opening (`Opening::known_head`), kept elsewhere, and it is noticed.
//!
//! Over an async `KVStore`: [`BlockingKv`].
//!
//! [`KVStoreSync`]: lightning::util::persist::KVStoreSync
//! [`EventStore`]: payonce_core::EventStore
//! [`Exclusion::None`]: payonce_core::Exclusion::None

#![forbid(unsafe_code)]

mod blocking;
mod error;
mod history;
mod keys;
mod line;
mod log;
mod namespace;
mod store;
mod value;

pub use blocking::BlockingKv;
pub use error::{Damage, KvError};
pub use history::Verified;
pub use namespace::Namespace;
pub use store::KvStore;
pub use value::FORMAT_VERSION;
