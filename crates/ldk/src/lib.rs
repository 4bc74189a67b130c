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
//! - [`Engine`] is what is asked of LDK: every `ChannelManager` is one.
//!
//! docs/INTEGRATING-LDK.md is a node's code from its start to its timer; docs/adr/0010 says why it is
//! safe and what LDK cannot tell. No type of LDK goes into the ledger, none of the core's into LDK:
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

pub use crate::{
    bridge::engine::{Engine, EngineRefusal, HandOverLimits, Taken},
    bridge::head::{HeadError, HeadKeeper},
    bridge::manager::read_manager,
    bridge::options::{ChannelState, Options},
    events::handled::{Handled, InvoiceRefusal},
    events::path_report::PathReport,
    order::order::{Bolt11Order, NotAnOrder, OfferOrder, Order, RefundOrder, SpontaneousOrder},
    order::request::OrderRefusal,
    order::terms::Terms,
    payer::compare::StartReport,
    payer::error::{AbandonError, HandleError, Interrupted, PayError, StartError, TickError},
    payer::hand_over::HandOver,
    payer::pay::Paying,
    payer::payer::Payer,
    payer::start::{Started, Starting, Unfinished},
    payer::tick::Ticked,
};
pub use payonce_runtime::{CallError, OutcomeError, SharedLedger, SharedRecovery, Unavailable};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/INTEGRATING-LDK.md")]
struct Guide;
