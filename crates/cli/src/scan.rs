//! One reading of a whole log, as fast as it can be read: its chain is checked on a thread of its own.

use std::{mem, ops::ControlFlow, sync::mpsc, thread};

use payonce::{
    Head,
    audit::{EventSource, ReplayError, StoredEntry},
    machine::LogHash,
};

use crate::log::Log;

/// How many bytes of entries are handed over at a time, and how many such blocks may wait for their hash.
const BLOCK: usize = 256 << 10;
const WAITING: usize = 4;

/// Entries in a row, as they are kept.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    /// The first seq of each, and where it ends in the bytes.
    ends: Vec<(u64, usize)>,
}

impl Block {
    fn add(&mut self, entry: StoredEntry<'_>) {
        self.bytes.extend_from_slice(entry.bytes);
        self.ends.push((entry.first_seq, self.bytes.len()));
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn chain(&self, mut chain: LogHash) -> LogHash {
        let mut begin = 0;
        for (_, end) in &self.ends {
            chain = chain.extend(&self.bytes[begin..*end]);
            begin = *end;
        }
        chain
    }

    /// Whether it ends with an entry behind this seq.
    pub(crate) fn is_behind(&self, seq: u64) -> bool {
        self.ends.last().is_some_and(|(first_seq, _)| *first_seq > seq)
    }

    /// The entry that a byte belongs to, and where the next one begins.
    pub(crate) fn entry_at(&self, byte: usize) -> (StoredEntry<'_>, usize) {
        let nth = self.ends.partition_point(|(_, end)| *end <= byte).min(self.ends.len() - 1);
        let begin = nth.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let (first_seq, end) = self.ends[nth];
        (StoredEntry { first_seq, bytes: &self.bytes[begin..end] }, end)
    }
}

/// Reads a log from its beginning, a block at a time, until `visit` breaks. That the chain leads to the head
/// is checked where it is read to its end.
///
/// # Errors
/// [`ReplayError`] with the place of the first damage.
pub(crate) fn scan(
    log: &Log,
    mut visit: impl FnMut(&Block) -> Result<ControlFlow<()>, ReplayError>,
) -> Result<(), ReplayError> {
    let stored = log.head()?;
    let start = log.start()?;
    let (last, is_whole) = thread::scope(|scope| {
        let (full, to_hash) = mpsc::sync_channel::<Block>(WAITING);
        let (empty, free) = mpsc::channel::<Block>();
        let hashing = scope.spawn(move || {
            to_hash.into_iter().fold(start.chain, |chain, mut block| {
                let chain = block.chain(chain);
                block.clear();
                // Who reads may be done already.
                let _ = empty.send(block);
                chain
            })
        });
        let (mut block, mut outcome) = (Block::default(), Ok(ControlFlow::Continue(())));
        log.replay(start.seq + 1, &mut |entry| {
            block.add(entry);
            if block.bytes.len() < BLOCK {
                return ControlFlow::Continue(());
            }
            outcome = visit(&block);
            let _ = full.send(mem::replace(&mut block, free.try_recv().unwrap_or_default()));
            if matches!(outcome, Ok(ControlFlow::Continue(()))) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        if outcome.as_ref().is_ok_and(ControlFlow::is_continue) && !block.ends.is_empty() {
            outcome = visit(&block);
            let _ = full.send(block);
        }
        drop(full);
        let chain = hashing.join().unwrap_or(start.chain);
        outcome.map(|flow| (chain, flow.is_continue()))
    })?;
    let replayed = Head { seq: stored.seq, chain: last };
    if is_whole && replayed != stored {
        let error = ReplayError::HeadDiffers { replayed, stored };
        return Err(error.placed(log, start.seq + 1));
    }
    Ok(())
}
