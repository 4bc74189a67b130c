//! What one append writes.

use payonce_core::Entry;

use crate::{commit::gate::Waiting, commit::outcomes::Ended};

/// What one append writes, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) bytes: usize,
    pub(crate) commands: usize,
    pub(crate) asks_owner: bool,
    pub(crate) waiting: Waiting,
    /// Whose outcome it may bring.
    pub(crate) ended: Ended,
}

impl Batch {
    pub(crate) fn numbered(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.commands == 0
    }
}
