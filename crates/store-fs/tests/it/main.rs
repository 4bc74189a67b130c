//! The proof of the store: the contract, crashes, failures, damage, bad input, reading beside a
//! writer.

mod bad_input;
mod conformance;
mod crash;
mod damage;
mod failures;
mod fuzz;
mod reader;
mod support;
