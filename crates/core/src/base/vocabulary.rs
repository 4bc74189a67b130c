//! What the program that wrote something could have written.

use crate::base::wire::{layout, optional};

/// The newest format version that a writer knew: a field of a later version is absent from what it wrote
/// because it could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Vocabulary(pub(crate) u8);

impl Default for Vocabulary {
    fn default() -> Self {
        Self(1)
    }
}

layout! { newtype Vocabulary }
optional! { [] Vocabulary; }
