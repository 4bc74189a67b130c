//! The proof of the store: the contract, crashes, failures, damage, bad input, reading beside a
//! writer, the format by another hand, and the acceptance scenarios that need a disk.

#![allow(
    clippy::cast_possible_truncation,
    reason = "seqs and sizes of small logs, and bytes drawn at random"
)]

mod bad_input;
mod beside;
mod closing;
mod conformance;
mod cost;
mod crash;
mod damage;
mod edited;
mod failures;
mod format;
mod fuzz;
mod golden;
mod reader;
mod scanned;
mod scenarios;
mod segment_dir;
mod support;
mod unopened;
mod watched;
mod writers;
