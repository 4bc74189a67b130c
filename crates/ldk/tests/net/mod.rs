//! Whole nodes of LDK in one process: real channels, real HTLCs, a chain, and crashes.
//!
//! Everything that LDK borrows is leaked, so that a node may be loaded again as often as a test
//! likes. A test that makes many nets pays for each with about a megabyte.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of the harness")]

mod archive;
mod chain;
mod crash;
mod mail;
mod node;
mod till;

pub(crate) use archive::Completion;
pub(crate) use crash::{Image, Loaded, Reading, Refused, panic_message};
pub(crate) use mail::Letter;
pub(crate) use node::{Manager, Net, Outcome};
pub(crate) use till::Till;
