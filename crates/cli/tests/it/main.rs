//! The program, in its own process: command line in, text and exit code out.

mod bad_input;
mod browser;
mod damage;
mod filters;
mod golden;
#[cfg(feature = "kv")]
mod kv;
mod live;
mod pages;
mod pictures;
#[cfg(feature = "postgres")]
mod postgres;
mod readme;
mod repair;
mod report;
mod stories;
mod support;
mod terminal;
