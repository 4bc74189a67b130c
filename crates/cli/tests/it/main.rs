//! The program, in its own process: command line in, text and exit code out.

mod bad_input;
mod browser;
mod damage;
mod golden;
#[cfg(feature = "kv")]
mod kv;
mod live;
mod repair;
mod report;
mod support;
