//! The confirmed entries of the last moments, for subscribers; who lags behind reads the store.

use std::{collections::VecDeque, mem, sync::Arc};

use payonce_core::Entry;

use crate::base::waiter::Waiter;

/// An entry that is durable, as subscribers get it.
#[derive(Debug)]
pub(crate) struct Fed {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The newest entries without a gap; kept only while somebody reads.
#[derive(Debug)]
pub(crate) struct Feed {
    entries: VecDeque<Arc<Fed>>,
    bytes: usize,
    limit: usize,
    readers: usize,
    waiting: Vec<Waiter>,
}

impl Feed {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, limit, readers: 0, waiting: Vec::new() }
    }

    pub(crate) const fn is_read(&self) -> bool {
        self.readers > 0
    }

    pub(crate) const fn add_reader(&mut self) {
        self.readers += 1;
    }

    pub(crate) fn remove_reader(&mut self) {
        self.readers -= 1;
        if self.readers == 0 {
            self.clear();
        }
    }

    pub(crate) fn copy(entries: &[Entry]) -> Vec<Arc<Fed>> {
        let copy = |entry: &Entry| Fed {
            first_seq: entry.first_seq(),
            last_seq: entry.after().seq,
            bytes: entry.bytes().into(),
        };
        entries.iter().map(copy).map(Arc::new).collect()
    }

    /// Takes what was confirmed, and gives who waited for it. Nothing older stays beside entries
    /// that were not copied: there would be a gap.
    pub(crate) fn extend(&mut self, copied: bool, entries: Vec<Arc<Fed>>) -> Vec<Waiter> {
        if !copied {
            self.clear();
        }
        for entry in entries {
            self.bytes += entry.bytes.len();
            self.entries.push_back(entry);
        }
        while self.bytes > self.limit {
            match self.entries.pop_front() {
                Some(oldest) => self.bytes -= oldest.bytes.len(),
                None => break,
            }
        }
        self.end()
    }

    /// Who waits for more.
    pub(crate) fn end(&mut self) -> Vec<Waiter> {
        mem::take(&mut self.waiting)
    }

    pub(crate) fn put(&mut self, waiter: Waiter) {
        self.waiting.push(waiter);
    }

    /// The entry that holds this seq, if it is still here.
    pub(crate) fn at(&self, seq: u64) -> Option<&Arc<Fed>> {
        let behind = self.entries.partition_point(|entry| entry.last_seq < seq);
        self.entries.get(behind).filter(|entry| entry.first_seq <= seq)
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}
