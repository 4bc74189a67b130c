//! A store of values under small handles, so that indexes hold 4 bytes and not keys, and whose
//! contents can be shared as they are now: a chunk is copied only when it is changed while shared.

use alloc::{sync::Arc, vec::Vec};

/// The place of a value in a slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Handle(pub(crate) u32);

/// How many values a chunk holds: what the first change after an image copies. Growing by chunks
/// never moves a value, so no command pays for those before it.
const CHUNK: usize = 1 << 5;
/// How many chunks are on one branch: taking an image copies one pointer for this many chunks.
const BRANCH: usize = 1 << 6;

/// How many handles there can be: two of the 32 bits are used for the kind of the value.
const MOST: u32 = 1 << 30;

type Chunk<T> = Arc<[Option<T>; CHUNK]>;

/// A chunk filled from its beginning, to be put into a slab without moving its values.
#[derive(Debug)]
pub(crate) struct Filled<T> {
    chunk: Chunk<T>,
    len: usize,
}

impl<T> Filled<T> {
    /// Fills a chunk slot by slot, until `fill` fails or leaves a slot empty; the slots before are
    /// kept.
    pub(crate) fn by<E>(
        mut fill: impl FnMut(&mut Option<T>) -> Result<(), E>,
    ) -> (Self, Result<(), E>) {
        let mut chunk = Self::empty();
        let slots = Arc::get_mut(&mut chunk).expect("nobody else has it yet");
        let (mut len, mut outcome) = (0, Ok(()));
        for slot in slots {
            outcome = fill(slot);
            if outcome.is_err() || slot.is_none() {
                *slot = None;
                break;
            }
            len += 1;
        }
        (Self { chunk, len }, outcome)
    }

    /// An empty chunk, made in place: an array would be made on the stack and moved.
    fn empty() -> Chunk<T> {
        let slots: Arc<[Option<T>]> = (0..CHUNK).map(|_| None).collect();
        slots.try_into().unwrap_or_else(|_| unreachable!("it has as many slots as a chunk"))
    }
}

#[derive(Debug, Clone)]
struct Branch<T>([Option<Chunk<T>>; BRANCH]);

impl<T> Default for Branch<T> {
    fn default() -> Self {
        Self([const { None }; BRANCH])
    }
}

impl<T: Clone> Branch<T> {
    fn slot_mut(&mut self, at: usize) -> &mut Option<T> {
        let chunk =
            self.0[at / CHUNK % BRANCH].get_or_insert_with(|| Arc::new([const { None }; CHUNK]));
        &mut Arc::make_mut(chunk)[at % CHUNK]
    }
}

/// The contents of a slab: cheap to clone, and later changes do not affect a clone.
#[derive(Debug, Clone)]
pub(crate) struct Contents<T>(Vec<Arc<Branch<T>>>);

impl<T> Contents<T> {
    fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at / (CHUNK * BRANCH))?.0[at / CHUNK % BRANCH].as_ref()?[at % CHUNK].as_ref()
    }

    /// The values, in unspecified order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let chunks = self.0.iter().flat_map(|branch| branch.0.iter().flatten());
        chunks.flat_map(|chunk| chunk.iter().flatten())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Slab<T> {
    contents: Contents<T>,
    free: Vec<Handle>,
    /// How many handles were ever given out.
    used: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { contents: Contents(Vec::new()), free: Vec::new(), used: 0 }
    }
}

impl<T: Clone> Slab<T> {
    pub(crate) fn insert(&mut self, value: T) -> Handle {
        let handle = self.free.pop().unwrap_or_else(|| {
            let fresh = Handle(self.used);
            self.used += 1;
            assert!(self.used <= MOST, "a place has room for {MOST} handles");
            fresh
        });
        *self.slot_mut(handle) = Some(value);
        handle
    }

    /// Adds a whole chunk at the end: the handles of its values follow one by one.
    ///
    /// # Panics
    /// If the last chunk that is there is not full.
    pub(crate) fn extend(&mut self, filled: Filled<T>) {
        let first = self.used as usize;
        assert!(first.is_multiple_of(CHUNK) && self.free.is_empty(), "whole chunks follow another");
        self.used += u32::try_from(filled.len).expect("the length of a chunk");
        assert!(self.used <= MOST, "a place has room for {MOST} handles");
        let branches = &mut self.contents.0;
        if first / (CHUNK * BRANCH) == branches.len() {
            branches.push(Arc::default());
        }
        let branch = Arc::make_mut(&mut branches[first / (CHUNK * BRANCH)]);
        branch.0[first / CHUNK % BRANCH] = Some(filled.chunk);
    }

    /// # Panics
    /// If the handle is not of a value in the slab: an index that outlived it.
    pub(crate) fn remove(&mut self, handle: Handle) -> T {
        let value = self.slot_mut(handle).take().expect("indexes hold live handles");
        self.free.push(handle);
        value
    }

    pub(crate) fn get_mut(&mut self, handle: Handle) -> &mut T {
        self.slot_mut(handle).as_mut().expect("indexes hold live handles")
    }

    fn slot_mut(&mut self, handle: Handle) -> &mut Option<T> {
        let at = handle.0 as usize;
        let branches = &mut self.contents.0;
        if at / (CHUNK * BRANCH) == branches.len() {
            branches.push(Arc::default());
        }
        Arc::make_mut(&mut branches[at / (CHUNK * BRANCH)]).slot_mut(at)
    }

    /// The contents as they are now, at the cost of a pointer for every few thousand values.
    pub(crate) fn image(&self) -> Contents<T> {
        self.contents.clone()
    }
}

impl<T> Slab<T> {
    pub(crate) fn get(&self, handle: Handle) -> &T {
        self.contents.get(handle.0 as usize).expect("indexes hold live handles")
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The handles of the values, lowest first.
    pub(crate) fn handles(&self) -> impl Iterator<Item = Handle> {
        (0..self.used).map(Handle).filter(|handle| self.contents.get(handle.0 as usize).is_some())
    }

    pub(crate) const fn len(&self) -> usize {
        self.used as usize - self.free.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.contents.iter()
    }
}
