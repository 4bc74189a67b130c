//! Relays: how what was decoded gets to the half of opening that builds the state from it, so that
//! the halves can have a thread each although the core has none.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::{base::slab::Filled, payment::payment::Payment, state::index::Hashed};

/// Payments of a snapshot on their way into the state.
#[derive(Debug)]
pub struct Load {
    pub(crate) payments: Vec<Filled<Payment>>,
    /// What the tables will hold of them.
    pub(crate) hashed: Hashed,
}

/// What is decoded, one after the other. Needs no state.
pub type Loads<'a> = &'a mut (dyn Iterator<Item = Load> + Send);

/// Builds the state; breaks when no more is wanted.
pub type Build<'a> = &'a mut (dyn FnMut(Load) -> ControlFlow<()> + Send);

/// Gives every load to be built of, in their order, until there are no more or no more are wanted.
pub type Relay = fn(Loads<'_>, Build<'_>);

/// The relay of one thread: each load is used as soon as it is decoded.
pub fn in_turn(loads: Loads<'_>, build: Build<'_>) {
    for load in loads {
        if build(load).is_break() {
            break;
        }
    }
}
