//! Where an event stands while it is folded.

use crate::{
    base::amount::UnixMillis,
    base::ids::{PaymentHash, Preimage},
    base::vocabulary::Vocabulary,
};

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
    /// Something other than the payment's own parts blocks it: a foreign part, a blocked hash.
    pub(crate) blocked: bool,
    /// The newest format version that the writer's program knows.
    pub(crate) vocabulary: Vocabulary,
    /// Decided by this program just now. Every preimage comes with a ClaimPart, and decide/claim.rs has
    /// hashed it: no other command brings one.
    pub(crate) decided: bool,
}

impl At {
    /// The beginning of an empty log: for trying out what a change would do.
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
        decided: false,
    };

    /// Whether a preimage is that of a hash. What a log says is hashed; what was decided just now has
    /// been, and is not hashed twice more.
    pub(crate) fn proves(&self, preimage: &Preimage, payment_hash: &PaymentHash) -> bool {
        if self.decided {
            debug_assert_eq!(preimage.payment_hash(), *payment_hash, "decide records true proofs");
            return true;
        }
        preimage.payment_hash() == *payment_hash
    }
}

/// An event that does not fit the state it is folded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inconsistent;
