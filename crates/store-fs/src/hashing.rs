//! The chain of a segment's entries, computed on a thread of its own while the next ones are read.

use std::{mem, sync::mpsc, thread};

use payonce_core::{Head, LogHash};

/// How many bytes of entries are handed over at a time; with fewer in all, no thread is started.
const BLOCK_BYTES: usize = 128 << 10;
/// How many blocks may wait to be hashed.
const WAITING: usize = 8;

/// The chain so far, and the heads that were asked for.
#[derive(Debug)]
pub(crate) struct Hashing<'a> {
    pub(crate) chain: LogHash,
    /// The seqs that were asked for, in order.
    wanted: &'a [u64],
    /// Those at which an entry ends, and where in the file.
    pub(crate) found: Vec<(Head, usize)>,
}

/// Entries, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    ends: Vec<End>,
}

/// Where an entry ends.
#[derive(Debug, Clone, Copy)]
struct End {
    in_block: usize,
    in_file: usize,
    last_seq: u64,
}

impl Block {
    /// Adds an entry, whose place comes with the next call.
    pub(crate) fn entry(&mut self, entry: &[u8]) {
        self.bytes.extend_from_slice(entry);
    }

    /// The last seq of the entry added, and where it ends in the file.
    pub(crate) fn ends_at(&mut self, last_seq: u64, in_file: usize) {
        self.ends.push(End { in_block: self.bytes.len(), in_file, last_seq });
    }
}

impl<'a> Hashing<'a> {
    pub(crate) fn new(before: Head, wanted: &'a [u64]) -> Self {
        let passed = wanted.partition_point(|seq| *seq <= before.seq);
        Self { chain: before.chain, wanted: &wanted[passed..], found: Vec::new() }
    }

    /// Hashes all entries that `next` adds, one by one, until it says that there are no more.
    ///
    /// # Errors
    /// Those of `next`.
    pub(crate) fn all<E>(
        &mut self,
        mut next: impl FnMut(&mut Block) -> Result<bool, E>,
    ) -> Result<(), E> {
        // Whether there may be more.
        let mut fill = |block: &mut Block| {
            while block.bytes.len() < BLOCK_BYTES {
                if !next(block)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let mut block = Block::default();
        if !fill(&mut block)? {
            self.block(&block);
            return Ok(());
        }
        thread::scope(|scope| {
            let (full, to_hash) = mpsc::sync_channel::<Block>(WAITING);
            let (empty, to_fill) = mpsc::channel();
            scope.spawn(move || {
                for mut block in to_hash {
                    self.block(&block);
                    block.bytes.clear();
                    block.ends.clear();
                    // Once all is read, nobody fills it again.
                    let _ = empty.send(block);
                }
            });
            loop {
                let next = to_fill.try_recv().unwrap_or_default();
                // It ends only when it panicked, which the scope tells.
                let _ = full.send(mem::replace(&mut block, next));
                if !fill(&mut block)? {
                    let _ = full.send(block);
                    return Ok(());
                }
            }
        })
    }

    fn block(&mut self, block: &Block) {
        let mut start = 0;
        for end in &block.ends {
            self.chain = self.chain.extend(&block.bytes[start..end.in_block]);
            start = end.in_block;
            while let [next, later @ ..] = self.wanted
                && *next <= end.last_seq
            {
                let head = Head { seq: end.last_seq, chain: self.chain };
                self.found.extend((head.seq == *next).then_some((head, end.in_file)));
                self.wanted = later;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Head = Head { seq: 10, chain: LogHash::from_bytes([7; 32]) };
    /// How many events each entry of the test has.
    const STRIDE: u64 = 3;

    fn entry(nth: u64) -> Vec<u8> {
        nth.to_le_bytes().repeat(16)
    }

    /// Feeds this many entries.
    fn feed(count: u64) -> impl FnMut(&mut Block) -> Result<bool, &'static str> {
        let mut nth = 0;
        move |block| {
            if nth == count {
                return Ok(false);
            }
            nth += 1;
            block.entry(&entry(nth));
            block.ends_at(BEFORE.seq + STRIDE * nth, usize::try_from(nth).expect("small"));
            Ok(true)
        }
    }

    #[test]
    fn blocks_hash_as_entries_one_by_one() {
        // None, less than a block, exactly one, and more than may wait.
        let a_block = (BLOCK_BYTES / entry(0).len()) as u64;
        for count in [0, 5, a_block, a_block * (WAITING as u64 + 3) + 1] {
            // The head before them, one within an entry, ends of entries, one behind all.
            let last = BEFORE.seq + STRIDE * count;
            let mut wanted = vec![BEFORE.seq, 11, 13, last - 1, last, last + 5];
            wanted.sort_unstable();
            wanted.dedup();
            let mut hashing = Hashing::new(BEFORE, &wanted);
            hashing.all(feed(count)).expect("nothing fails");

            let mut chain = BEFORE.chain;
            let mut found = Vec::new();
            for nth in 1..=count {
                chain = chain.extend(&entry(nth));
                let seq = BEFORE.seq + STRIDE * nth;
                if wanted.contains(&seq) {
                    found.push((Head { seq, chain }, usize::try_from(nth).expect("small")));
                }
            }
            assert_eq!(hashing.chain, chain, "{count} entries");
            assert_eq!(hashing.found, found, "{count} entries");
        }
    }

    #[test]
    fn damage_far_behind_is_told() {
        let mut entries = feed(u64::MAX);
        let mut left = 5_000;
        let mut hashing = Hashing::new(BEFORE, &[]);
        let outcome = hashing.all(|block| {
            left -= 1;
            if left == 0 { Err("damaged") } else { entries(block) }
        });
        assert_eq!(outcome, Err("damaged"));
    }
}
