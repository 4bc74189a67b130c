//! Arbitrary bytes as an entry. The body is replayed on stable by the tests of the core.

#![no_main]

mod of_core;
use crate::of_core::{bodies, commands};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bodies::decode_entry(data);
});
