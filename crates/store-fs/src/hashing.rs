//! The chain of a segment's entries, computed on a thread of its own while the next ones are read.

use std::{mem, sync::mpsc, thread};

use payonce_core::{ChainHash, Head};

/// How many bytes of entries are handed over at a time: fewer than that start no thread.
const BLOCK_BYTES: usize = 128 << 10;
/// How many blocks may wait to be hashed.
const WAITING: usize = 8;

/// The chain so far, and the heads that were asked for.
#[derive(Debug)]
pub(crate) struct Hashing<'a> {
    pub(crate) chain: ChainHash,
    /// The seqs that were asked for, in order.
    wanted: &'a [u64],
    /// Those at which an entry ends, and where in the file.
    pub(crate) found: Vec<(Head, usize)>,
}

/// Entries, one behind the other.
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
    /// Adds an entry, whose place is told next.
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
