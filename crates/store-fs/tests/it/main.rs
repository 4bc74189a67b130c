//! The proof of the store: crashes, failures, damage, bad input.

mod crash;
mod support;
