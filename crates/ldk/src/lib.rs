//! LDK's `ChannelManager`, driven exactly once.
//!
//! > **The one rule.** A payment is made through [`Payer::pay`] under an id that the caller stored
//! > first, and every event of LDK goes through [`Payer::handle_event`].
//!
//! LDK's `ChannelManager` routes, splits and retries by itself, and forgets a payment some minutes
//! after it is paid, and a failed one at once. The ledger remembers: a payment is handed over as one
//! *delegated part*, recorded first, under an id that LDK sees only once.
//!
//! - [`Starting`] opens the ledger beside channels that are loaded, takes the events that LDK holds,
//!   and compares the two. Only it gives a [`Payer`].
//! - [`Payer`] pays an [`Order`] on [`Terms`], takes events, ticks, and answers what became of it.
//! - [`HeadKeeper`] stores the ledger's head beside each manager that LDK writes. A node without it does
//!   not notice that its log was put back from an older copy, and pays again what that copy lacks.
//! - [`Engine`] is the part of LDK that is used; `ChannelManager` implements it.
//!
//! **Three calls of yours change**: what sent a payment calls [`Payer::pay`]; the event handler calls
//! [`Payer::handle_event`] first, and returns its error to LDK, which then delivers the event again; the timer
//! calls [`Payer::tick`]. [`guide`] is a node's code from its start to its timer, with the dependencies;
//! [`migrating`] is for a node that has payments already. No type of LDK goes into the ledger, none of the core's into LDK:
//! bytes cross the border.

#![forbid(unsafe_code)]

// The rooms, from the top floor to the ground: each uses those below it.
// Starting, paying, handling, ticking.
mod payer;
// LDK's events, and the ledger that is told.
mod events;
// LDK, as far as payonce needs it.
mod bridge;
// What is to be paid, and on which terms.
mod order;

mod shown;

pub use shown::*;

#[doc = include_str!("../guide/INTEGRATING-LDK.md")]
pub mod guide {}

#[doc = include_str!("../guide/MIGRATING-LDK.md")]
pub mod migrating {}
