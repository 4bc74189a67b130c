//! A store of values under small handles, so that indexes hold 4 bytes and not keys.

use alloc::vec::Vec;

/// The place of a value in a slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Handle(pub(crate) u32);

#[derive(Debug, Clone)]
pub(crate) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, value: T) -> Handle {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(value);
            return Handle(slot);
        }
        let slot = u32::try_from(self.slots.len()).expect("memory holds fewer than 2^32 payments");
        self.slots.push(Some(value));
        Handle(slot)
    }

    /// # Panics
    /// If the handle is not of a value in the slab: an index that outlived it.
    pub(crate) fn remove(&mut self, handle: Handle) -> T {
        let value = self.slots[handle.0 as usize].take().expect("indexes hold live handles");
        self.free.push(handle.0);
        value
    }

    pub(crate) fn get(&self, handle: Handle) -> &T {
        self.slots[handle.0 as usize].as_ref().expect("indexes hold live handles")
    }

    pub(crate) fn get_mut(&mut self, handle: Handle) -> &mut T {
        self.slots[handle.0 as usize].as_mut().expect("indexes hold live handles")
    }

    pub(crate) const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }
}
