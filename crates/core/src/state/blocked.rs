//! The hashes that the node holds.

use alloc::collections::BTreeMap;

use crate::{
    base::ids::PaymentHash,
    base::slab::{Contents, Handle, Slab},
};

/// Hashes in their own order; they lie in a slab, so that an image costs no more than a slab's.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockedHashes {
    hashes: Slab<PaymentHash>,
    order: BTreeMap<PaymentHash, Handle>,
}

impl BlockedHashes {
    /// Adds a hash; `false` if it is there already.
    pub(crate) fn insert(&mut self, payment_hash: PaymentHash) -> bool {
        let new = !self.contains(&payment_hash);
        if new {
            self.order.insert(payment_hash, self.hashes.insert(payment_hash));
        }
        new
    }

    /// Removes a hash; `false` if it is not there.
    pub(crate) fn remove(&mut self, payment_hash: &PaymentHash) -> bool {
        let handle = self.order.remove(payment_hash);
        handle.map(|handle| self.hashes.remove(handle)).is_some()
    }

    pub(crate) fn contains(&self, payment_hash: &PaymentHash) -> bool {
        self.order.contains_key(payment_hash)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The hashes in their own order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &PaymentHash> {
        self.order.keys()
    }

    /// The hashes as they are now, in no order that means anything.
    pub(crate) fn image(&self) -> Contents<PaymentHash> {
        self.hashes.image()
    }
}
