//! The store on LDK's file system store and on one in memory that fails as told.

mod bad_input;
mod conformance;
mod crash;
mod damage;
mod failures;
mod forks;
mod format;
mod golden;
mod life;
mod memory;
mod opening;
mod sqlite;
mod support;
