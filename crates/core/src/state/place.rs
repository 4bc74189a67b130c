//! Where an id, a hash or a part leads.

use crate::base::slab::Handle;

/// Where an id or a hash leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Payment(Handle),
    Tombstone(Handle),
    ForeignPart(Handle),
    HashPaid(Handle),
}

/// Where a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartPlace {
    Payment(Handle, usize),
    ForeignPart(Handle),
}
