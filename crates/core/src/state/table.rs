//! A hash table from keys to places that holds no key: 4 bytes of the key's hash and 4 of the place.

use hashbrown::{HashTable, hash_table::Entry};

use crate::{base::slab::Handle, state::place::Place};

/// Maps hashes to places; the owner of the keys says which place is meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table(HashTable<Slot>);

/// The hash is kept so that a table grows without reading the keys, and so that hardly any wrong key is
/// read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    hash: u32,
    place: Packed,
}

/// A place in 4 bytes: what it is in the upper two bits, which a handle never has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Packed(u32);

const KIND: u32 = 30;

impl Packed {
    /// The first in their order.
    pub(crate) const LEAST: Self = Self(0);
}

impl From<Place> for Packed {
    fn from(place: Place) -> Self {
        let (kind, handle) = match place {
            Place::Payment(handle) => (0, handle),
            Place::Tombstone(handle) => (1, handle),
            Place::ForeignPart(handle) => (2, handle),
            Place::HashPaid(handle) => (3, handle),
        };
        Self(kind << KIND | handle.0)
    }
}

impl From<Packed> for Place {
    fn from(Packed(packed): Packed) -> Self {
        let handle = Handle(packed & ((1 << KIND) - 1));
        match packed >> KIND {
            0 => Self::Payment(handle),
            1 => Self::Tombstone(handle),
            2 => Self::ForeignPart(handle),
            _ => Self::HashPaid(handle),
        }
    }
}

/// The table looks at the upper bits and at the lower ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl Table {
    pub(crate) fn reserve(&mut self, more: usize) {
        self.0.reserve(more, |slot| spread(slot.hash));
    }

    pub(crate) fn insert(&mut self, hash: u32, place: Place) {
        let slot = Slot { hash, place: place.into() };
        self.0.insert_unique(spread(hash), slot, |slot| spread(slot.hash));
    }

    /// Inserts a place, unless `is` says that an equal one is there; tells whether it did.
    pub(crate) fn enter(&mut self, hash: u32, place: Place, is: impl Fn(Place) -> bool) -> bool {
        let is = |slot: &Slot| slot.hash == hash && is(slot.place.into());
        match self.0.entry(spread(hash), is, |slot| spread(slot.hash)) {
            Entry::Vacant(free) => {
                free.insert(Slot { hash, place: place.into() });
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    pub(crate) fn remove(&mut self, hash: u32, place: Place) {
        let slot = Slot { hash, place: place.into() };
        if let Ok(entry) = self.0.find_entry(spread(hash), |other| *other == slot) {
            entry.remove();
        }
    }

    pub(crate) fn find(&self, hash: u32, is: impl Fn(Place) -> bool) -> Option<Place> {
        let is = |slot: &Slot| slot.hash == hash && is(slot.place.into());
        self.0.find(spread(hash), is).map(|slot| slot.place.into())
    }

    /// All places with this hash, in unspecified order.
    pub(crate) fn all(&self, hash: u32) -> impl Iterator<Item = Place> {
        let slots = self.0.iter_hash(spread(hash)).filter(move |slot| slot.hash == hash);
        slots.map(|slot| slot.place.into())
    }
}
