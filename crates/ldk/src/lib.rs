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

mod border;
mod engine;
mod entry;
mod error;
mod facts;
mod failure;
mod hand_over;
mod handled;
mod invoice;
mod manager;
mod options;
mod order;
mod path_report;
mod payer;
mod refund;
mod request;
mod start;
mod tick;
mod written;

pub use crate::{
    engine::{Engine, EngineRefusal, HandOverLimits, Taken},
    error::{AbandonError, HandleError, Interrupted, PayError, StartError, TickError},
    hand_over::HandOver,
    handled::Handled,
    invoice::InvoiceRefusal,
    manager::read_manager,
    options::{ChannelState, Options},
    order::{Bolt11Order, NotAnOrder, OfferOrder, Order, RefundOrder, SpontaneousOrder},
    path_report::PathReport,
    payer::{Payer, Paying},
    request::{OrderRefusal, Terms},
    start::{StartReport, Started, Starting, Unfinished},
    tick::Ticked,
};
pub use payonce_runtime::{CallError, OutcomeError, SharedLedger, SharedRecovery, Unavailable};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/INTEGRATING-LDK.md")]
struct Guide;
