//! The hashes that the node has blocked, and for whom.

use alloc::collections::BTreeMap;

use crate::{
    base::bounded::Blob,
    base::ids::PaymentHash,
    base::slab::{Contents, Handle, Slab},
    event::blocked_hash::BlockedHash,
};

/// Blocks in the order of their hashes, then of their engines; they are kept in a slab, so that taking an
/// image is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockedHashes {
    blocks: Slab<BlockedHash>,
    order: BTreeMap<BlockedHash, Handle>,
    /// How many hashes there are, each counted once.
    hashes: usize,
}

impl BlockedHashes {
    /// Adds a block; `false` if it is there already.
    pub(crate) fn insert(&mut self, block: BlockedHash) -> bool {
        let new = !self.has(&block);
        if new {
            self.hashes += usize::from(!self.contains(&block.payment_hash));
            self.order.insert(block.clone(), self.blocks.insert(block));
        }
        new
    }

    /// Removes a block, and leaves the hash's others; `false` if it is not there.
    pub(crate) fn remove(&mut self, block: &BlockedHash) -> bool {
        let handle = self.order.remove(block);
        let removed = handle.map(|handle| self.blocks.remove(handle)).is_some();
        self.hashes -= usize::from(removed && !self.contains(&block.payment_hash));
        removed
    }

    /// Whether this very block is there.
    pub(crate) fn has(&self, block: &BlockedHash) -> bool {
        self.order.contains_key(block)
    }

    /// Whether a hash is blocked, for whomever.
    pub(crate) fn contains(&self, payment_hash: &PaymentHash) -> bool {
        self.of(payment_hash).next().is_some()
    }

    /// The blocks of a hash.
    pub(crate) fn of(&self, payment_hash: &PaymentHash) -> impl Iterator<Item = &BlockedHash> {
        let payment_hash = *payment_hash;
        let first = BlockedHash { payment_hash, engine: Blob::EMPTY };
        let from = self.order.range(first..).map(|(block, _)| block);
        from.take_while(move |block| block.payment_hash == payment_hash)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many hashes are blocked.
    pub(crate) const fn hashes(&self) -> usize {
        self.hashes
    }

    /// The blocks in their own order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &BlockedHash> {
        self.order.keys()
    }

    /// The blocks as they are now, in unspecified order.
    pub(crate) fn image(&self) -> Contents<BlockedHash> {
        self.blocks.image()
    }
}
