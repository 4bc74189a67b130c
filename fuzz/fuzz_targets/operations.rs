//! Arbitrary histories, told to the core and to the reference alike. The body is replayed on stable by the tests of the core.

#![no_main]

mod of_core;
use crate::of_core::{agreement, bodies, histories, journal, reference, translate};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bodies::operations(data);
});
