//! A map in the order of its keys whose contents can be shared as they are now, like a slab's.

use alloc::collections::BTreeMap;
use core::ops::RangeBounds;

use crate::slab::{Contents, Handle, Slab};

/// A map from `K` to `V`; the pairs lie in a slab, the order in a tree of handles beside it.
#[derive(Debug, Clone)]
pub(crate) struct Ordered<K, V> {
    pairs: Slab<(K, V)>,
    order: BTreeMap<K, Handle>,
}

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Self { pairs: Slab::default(), order: BTreeMap::new() }
    }
}

impl<K: Ord + Copy, V: Clone> Ordered<K, V> {
    /// Adds a pair; `false`, and nothing added, if the key is there already.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        let vacant = !self.order.contains_key(&key);
        if vacant {
            self.order.insert(key, self.pairs.insert((key, value)));
        }
        vacant
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let handle = self.order.remove(key)?;
        Some(self.pairs.remove(handle).1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let handle = self.order.get(key)?;
        Some(&mut self.pairs.get_mut(*handle).1)
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.order.get(key).map(|handle| &self.pairs.get(*handle).1)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.order.contains_key(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The keys in their order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.order.keys()
    }

    /// The pairs in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.range(..)
    }

    pub(crate) fn range(&self, keys: impl RangeBounds<K>) -> impl Iterator<Item = &(K, V)> {
        self.order.range(keys).map(|(_, handle)| self.pairs.get(*handle))
    }

    /// The pairs as they are now, in no order that means anything.
    pub(crate) fn image(&self) -> Contents<(K, V)> {
        self.pairs.image()
    }
}
