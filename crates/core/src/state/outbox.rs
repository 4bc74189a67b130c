//! The outbox: unread notifications by seq.

use alloc::vec::Vec;

use crate::{
    base::slab::{Contents, Handle, Slab},
    event::notification::Unread,
};

/// Unread notifications. Seqs only grow, so their order is the order in which they came: a row of
/// handles, from which the read ones are removed from time to time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox {
    unread: Slab<(u64, Unread)>,
    /// By seq; where the handle is `None`, the notification was read.
    row: Vec<(u64, Option<Handle>)>,
}

/// A row shorter than this is not cleared.
const SHORT: usize = 32;

impl Outbox {
    /// Adds a notification; `false`, and nothing added, unless its seq is above all that are there.
    pub(crate) fn push(&mut self, seq: u64, unread: Unread) -> bool {
        let grows = self.row.last().is_none_or(|(last, _)| *last < seq);
        if grows {
            let handle = self.unread.insert((seq, unread));
            self.row.push((seq, Some(handle)));
        }
        grows
    }

    pub(crate) fn remove(&mut self, seq: u64) -> Option<Unread> {
        let at = self.find(seq)?;
        let handle = self.row[at].1.take()?;
        // Kept as long as most of it is unread: clearing costs each notification a step or two.
        if self.row.len() >= SHORT && self.unread.len() <= self.row.len() / 2 {
            self.row.retain(|(_, handle)| handle.is_some());
        }
        Some(self.unread.remove(handle).1)
    }

    fn find(&self, seq: u64) -> Option<usize> {
        self.row.binary_search_by_key(&seq, |(seq, _)| *seq).ok()
    }

    fn handle(&self, seq: u64) -> Option<Handle> {
        self.find(seq).and_then(|at| self.row[at].1)
    }

    pub(crate) fn get(&self, seq: u64) -> Option<&Unread> {
        self.handle(seq).map(|handle| &self.unread.get(handle).1)
    }

    pub(crate) fn get_mut(&mut self, seq: u64) -> Option<&mut Unread> {
        let handle = self.handle(seq)?;
        Some(&mut self.unread.get_mut(handle).1)
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.handle(seq).is_some()
    }

    pub(crate) const fn len(&self) -> usize {
        self.unread.len()
    }

    /// Those with a seq from `seq` on, in order.
    pub(crate) fn from(&self, seq: u64) -> impl Iterator<Item = &(u64, Unread)> {
        let first = self.row.partition_point(|(other, _)| *other < seq);
        let handles = self.row[first..].iter().filter_map(|(_, handle)| *handle);
        handles.map(|handle| self.unread.get(handle))
    }

    /// The notifications as they are now, in unspecified order.
    pub(crate) fn image(&self) -> Contents<(u64, Unread)> {
        self.unread.image()
    }
}
