//! The body of the fuzz target `segment_dir`, replayed on generated inputs and on its corpus.

use crate::segment_dir;

/// How many inputs are generated, and how many of them must come out as a log.
const INPUTS: u64 = 6_000;
const LOGS_AT_LEAST: usize = 600;

/// Bytes that look random and are the same at every run.
fn input(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as u8
    };
    let len = 4 + usize::from(next()) % 120;
    (0..len).map(|_| next()).collect()
}

#[test]
fn arbitrary_bytes_as_a_segment_directory() {
    let logs = (1..=INPUTS).filter(|seed| segment_dir::run(&input(*seed))).count();
    assert!(logs >= LOGS_AT_LEAST, "{logs} of {INPUTS} were logs");
    assert!(logs < INPUTS as usize, "none was refused");
}

#[test]
fn edge_cases_as_a_segment_directory() {
    let cases: [&[u8]; 6] = [b"", b"\0", &[0; 300], &[0xff; 300], &[3; 40], &[6; 90]];
    let logs = cases.into_iter().filter(|case| segment_dir::run(case)).count();
    assert!((1..cases.len()).contains(&logs), "{logs}");
}
