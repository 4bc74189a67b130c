//! Arbitrary bytes as a segment directory. The body is replayed on stable by the tests of store-fs.

#![no_main]

#[path = "../../crates/store-fs/tests/it/format.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod format;
#[path = "../../crates/store-fs/tests/it/segment_dir.rs"]
mod segment_dir;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    segment_dir::run(data);
});
