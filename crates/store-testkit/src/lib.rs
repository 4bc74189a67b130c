//! What a store must pass before it is trusted with money.
//!
//! Write a [`Harness`] that creates and reopens your store, and expand the suite in a test file:
//! one test a case.
//!
//! ```
//! # mod mine {
//! use payonce_core::{LedgerId, StoreError};
//! use payonce_store_testkit::{Harness, Hook, faulty::{Fault, FaultyDisk, FaultyStore}};
//!
//! struct Mine(FaultyDisk);
//!
//! impl Harness for Mine {
//!     type Store = FaultyStore;
//!     // To begin with; then write them, one after the other.
//!     const LEFT_OUT: &'static [Hook] = &[
//!         Hook::FailNextAppend,
//!         Hook::FailNextMaintenance,
//!         Hook::DamageEntry,
//!         Hook::DamageSnapshot,
//!     ];
//!
//!     fn create(&mut self, ledger: LedgerId) -> Result<FaultyStore, StoreError> {
//!         self.0 = FaultyDisk::new(ledger, Fault::None);
//!         Ok(self.0.open())
//!     }
//!
//!     fn reopen(&mut self) -> Result<FaultyStore, StoreError> {
//!         Ok(self.0.open())
//!     }
//! }
//!
//! payonce_store_testkit::conformance!(Mine(FaultyDisk::default()));
//! # }
//! ```
//!
//! Each case belongs to a numbered sentence of the contract of
//! [`EventStore`](payonce_core::EventStore). [`faulty`] holds stores that break the contract on
//! purpose; a test of this crate says which cases catch each of them, and that every case catches
//! one.

#![forbid(unsafe_code)]

pub mod cases;
pub mod faulty;
mod harness;
mod subject;

pub use cases::{Case, all};
pub use harness::{Breach, Harness, Hook, Shown, run};
