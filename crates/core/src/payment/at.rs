//! Where an event stands while it is folded.

use crate::{base::amount::UnixMillis, base::vocabulary::Vocabulary};

/// Where an event stands: all that evolve may know besides the event and the state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) seq: u64,
    pub(crate) now: UnixMillis,
    pub(crate) epoch: u64,
    pub(crate) tick: u64,
    pub(crate) chain: [u8; 8],
    /// No conclusions are drawn: recovery is not finished, or the gap is not closed.
    pub(crate) withheld: bool,
    /// The reading of the last counted tick, or of the first opening, below which no other reading is
    /// believed.
    pub(crate) reference: UnixMillis,
    /// Something beside the payment's own parts holds it: a foreign part of it, a blocked hash.
    pub(crate) blocked: bool,
    /// What the writer's program can say.
    pub(crate) vocabulary: Vocabulary,
}

impl At {
    /// For asking what a change would do: the beginning of an empty log.
    pub(crate) const NOWHERE: Self = Self {
        seq: 0,
        now: UnixMillis(0),
        epoch: 0,
        tick: 0,
        chain: [0; 8],
        withheld: false,
        reference: UnixMillis(0),
        blocked: false,
        vocabulary: Vocabulary(1),
    };
}

/// An event that does not fit the state it is folded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inconsistent;
