//! What the program that wrote something could have said.

use crate::base::wire::{layout, optional};

/// The newest format version that a writer knew: a field that came later is not missing in what it
/// wrote, it could not be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Vocabulary(pub(crate) u8);

impl Default for Vocabulary {
    fn default() -> Self {
        Self(1)
    }
}

layout! { newtype Vocabulary }
optional! { [] Vocabulary; }
