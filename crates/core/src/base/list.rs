//! Lists of handles in the order in which they were added: adding, removing from anywhere and
//! counting cost the same however long they are.

use alloc::vec::Vec;

use crate::base::slab::Handle;

/// `N` lists; a handle is in at most one of them.
#[derive(Debug, Clone)]
pub(crate) struct Lists<const N: usize> {
    lists: [List; N],
    /// The neighbours of each handle, by handle.
    links: Vec<Link>,
}

#[derive(Debug, Clone, Copy)]
struct List {
    ends: Link,
    len: usize,
}

/// What comes before and what after; for a list itself: its last and its first.
#[derive(Debug, Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
}

/// No handle: slabs give out fewer.
const NONE: u32 = u32::MAX;
const UNLINKED: Link = Link { before: NONE, after: NONE };

impl<const N: usize> Default for Lists<N> {
    fn default() -> Self {
        Self { lists: [List { ends: UNLINKED, len: 0 }; N], links: Vec::new() }
    }
}

impl<const N: usize> Lists<N> {
    /// Adds a handle, which is in none of the lists, at the end of one.
    pub(crate) fn push(&mut self, list: usize, handle: Handle) {
        let at = handle.0 as usize;
        if at >= self.links.len() {
            self.links.resize(at + 1, UNLINKED);
        }
        let last = self.lists[list].ends.before;
        self.links[at] = Link { before: last, after: NONE };
        *self.after(list, last) = handle.0;
        self.lists[list].ends.before = handle.0;
        self.lists[list].len += 1;
    }

    /// Removes a handle from the list that it is in.
    pub(crate) fn remove(&mut self, list: usize, handle: Handle) {
        let Link { before, after } = self.links[handle.0 as usize];
        *self.after(list, before) = after;
        *self.before(list, after) = before;
        self.lists[list].len -= 1;
    }

    fn after(&mut self, list: usize, handle: u32) -> &mut u32 {
        match handle {
            NONE => &mut self.lists[list].ends.after,
            _ => &mut self.links[handle as usize].after,
        }
    }

    fn before(&mut self, list: usize, handle: u32) -> &mut u32 {
        match handle {
            NONE => &mut self.lists[list].ends.before,
            _ => &mut self.links[handle as usize].before,
        }
    }

    pub(crate) const fn len(&self, list: usize) -> usize {
        self.lists[list].len
    }

    /// The handles in the order in which they were added.
    pub(crate) fn iter(&self, list: usize) -> impl Iterator<Item = Handle> {
        let is_some = |handle: &u32| *handle != NONE;
        let first = Some(self.lists[list].ends.after).filter(is_some);
        core::iter::successors(first, move |handle| {
            Some(self.links[*handle as usize].after).filter(is_some)
        })
        .map(Handle)
    }
}
