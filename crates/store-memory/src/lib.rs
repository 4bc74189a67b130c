//! The reference store of payonce: the log in memory.
//!
//! A [`MemoryDisk`] is what survives when a process dies; a [`MemoryStore`] is one process's handle
//! on it and implements [`EventStore`](payonce_core::EventStore). Tests clone the disk's
//! [`Image`] (what would be on disk if the process died now), make the disk fail its n-th operation
//! before or after it took effect, and stall an operation at a [`Gate`].
//!
//! ```
//! use payonce_core::{EventStore, LedgerId};
//! use payonce_store_memory::{Failure, MemoryDisk};
//!
//! let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));
//! let mut store = disk.open();
//! let head = store.fence()?.head;
//! assert_eq!(head.seq, 0);
//!
//! disk.fail_nth(1, Failure::AfterEffect);
//! assert!(store.append(&[]).is_err(), "the outcome is unknown");
//! assert!(store.append(&[]).is_err(), "and stays so until it is opened again");
//! let mut reopened = MemoryDisk::from_image(disk.image()).open();
//! assert_eq!(reopened.fence()?.head, head);
//! # Ok::<(), payonce_core::StoreError>(())
//! ```

#![forbid(unsafe_code)]

mod disk;
mod image;
mod plan;
mod store;

pub use disk::MemoryDisk;
pub use image::Image;
pub use plan::{Failure, Gate, InjectedFailure};
pub use store::MemoryStore;
