//! A store of values under small handles, so that indexes hold 4 bytes and not keys.

use alloc::vec::Vec;

/// The place of a value in a slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Handle(pub(crate) u32);

/// How many values a chunk holds. Growing by chunks never moves a value, so no command pays for
/// those before it.
const CHUNK: usize = 1 << 10;

#[derive(Debug, Clone)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<Handle>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, value: T) -> Handle {
        self.len += 1;
        if let Some(handle) = self.free.pop() {
            *self.slot_mut(handle) = Some(value);
            return handle;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let full = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("one was pushed if there was none");
        let handle = u32::try_from(full + chunk.len()).expect("memory holds fewer than 2^32");
        chunk.push(Some(value));
        Handle(handle)
    }

    /// # Panics
    /// If the handle is not of a value in the slab: an index that outlived it.
    pub(crate) fn remove(&mut self, handle: Handle) -> T {
        let value = self.slot_mut(handle).take().expect("indexes hold live handles");
        self.free.push(handle);
        self.len -= 1;
        value
    }

    pub(crate) fn get(&self, handle: Handle) -> &T {
        let at = handle.0 as usize;
        self.chunks[at / CHUNK][at % CHUNK].as_ref().expect("indexes hold live handles")
    }

    pub(crate) fn get_mut(&mut self, handle: Handle) -> &mut T {
        self.slot_mut(handle).as_mut().expect("indexes hold live handles")
    }

    fn slot_mut(&mut self, handle: Handle) -> &mut Option<T> {
        let at = handle.0 as usize;
        &mut self.chunks[at / CHUNK][at % CHUNK]
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().flatten()
    }
}
