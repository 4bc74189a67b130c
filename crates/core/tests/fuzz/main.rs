//! The fuzz targets on stable: their corpora, and what little changes make of them.

mod bodies;
mod commands;

use std::path::PathBuf;

/// The golden files of this kind: what every encoder has ever written.
fn golden(prefix: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let files =
        folder.read_dir().expect("they are committed").map(|file| file.expect("listed").path());
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    let mut files: Vec<PathBuf> = files.filter(named).collect();
    files.sort();
    assert!(!files.is_empty(), "there is none whose name begins with {prefix}");
    files.iter().map(|file| std::fs::read(file).expect("it is a file")).collect()
}

/// Numbers that look random and are always the same (xorshift, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next(256)).expect("below 256")
    }
}

/// The seed, with a few bytes changed, cut or doubled.
fn changed(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=numbers.next(3) {
        let at = numbers.next(data.len().max(1));
        match numbers.next(5) {
            _ if data.is_empty() => data.push(numbers.byte()),
            0 => data[at] ^= 1 << numbers.next(8),
            1 => data[at] = [0, 1, 0x7f, 0xfb, 0xfc, 0xfd, 0xff][numbers.next(7)],
            2 => data.truncate(at),
            3 => data.insert(at, numbers.byte()),
            _ => data.extend_from_within(at..),
        }
    }
    data
}

/// Runs a body on seeds and on what little changes make of them. Every seed is accepted, and so is some
/// of what was changed; gives how much.
fn replay(seeds: Vec<Vec<u8>>, changes: usize, body: impl Fn(&[u8]) -> bool) -> usize {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    for seed in seeds {
        assert!(body(&seed), "a seed is refused");
        accepted += (0..changes).filter(|_| body(&changed(&seed, &mut numbers))).count();
    }
    accepted
}

#[test]
fn entries() {
    assert!(replay(golden("entry-"), 2_000, bodies::decode_entry) > 1_000);
}

#[test]
fn snapshots() {
    assert!(replay(golden("snapshot-"), 2_000, bodies::decode_snapshot) > 100);
}

/// Histories of a few hundred steps, each out of nothing but numbers.
#[test]
fn operations() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut history = || (0..=300 * commands::STEP).map(|_| numbers.byte()).collect();
    let seeds = (0..200).map(|_| history()).collect();
    assert_eq!(replay(seeds, 2, bodies::operations), 400);
}
