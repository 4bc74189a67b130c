//! The log of payonce in append-only segment files under one directory: crash safe, checksummed,
//! locked.
//!
//! [`FsStore`] writes and implements [`EventStore`](payonce_core::EventStore); [`FsReader`] implements
//! [`EventSource`](payonce_core::EventSource) and takes no lock. [FORMAT] specifies every byte;
//! [HAZARDS] says what could be lost and what prevents it.
//!
//! [FORMAT]: https://github.com/payonce/payonce/blob/main/docs/FORMAT.md
//! [HAZARDS]: https://github.com/payonce/payonce/blob/main/docs/HAZARDS.md
//!
//! ```
//! use payonce_core::{EventStore, LedgerId};
//! use payonce_store_fs::{FsStore, Options};
//!
//! # let parent = tempfile::tempdir()?;
//! # let directory = parent.path().join("payments");
//! let ledger = LedgerId::from_bytes([7; 32]);
//! let (store, _) = FsStore::create(&directory, ledger, Options::default())?;
//! drop(store);
//!
//! let (mut store, report) = FsStore::open(&directory, Options::default())?;
//! assert!(report.cut.is_none(), "no crash tore anything");
//! assert_eq!(store.fence()?.head.seq, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is promised, on a medium that writes a 512-byte sector whole or not at all and keeps what
//! it has synced:
//!
//! | after | the log holds |
//! |---|---|
//! | `append` returned `Ok` and then any crash | all of its entries |
//! | a crash during `append` | a prefix of its entries; the rest is kept aside and reported |
//! | a failed write or sync | a prefix of its entries, known once the log is opened again |
//! | any other change of a byte of it | an error that names the file and the offset |

#![forbid(unsafe_code)]

mod disk;
mod error;
mod frame;
mod hashing;
mod history;
#[cfg(feature = "model-disk")]
pub mod model;
mod names;
mod newest;
mod options;
mod planted;
mod reader;
mod real;
mod recovery;
mod reserve;
mod scan;
mod segment;
mod shared;
mod snapshot;
mod store;

pub use disk::{Access, Disk, DiskFile, Listed, Stamp};
pub use error::{Damage, FsError};
pub use history::Verified;
pub use options::Options;
pub use reader::FsReader;
pub use real::RealDisk;
pub use recovery::{CutTail, RecoveryReport};
pub use scan::{Found, Place, Survey, scan, scan_on, survey, survey_on};
pub use segment::FORMAT_VERSION;
pub use store::FsStore;
