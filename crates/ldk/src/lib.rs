//! LDK's `ChannelManager`, driven exactly once.
//!
//! > **The one rule.** A payment is made through [`Payer::pay`] under an id that the caller stored
//! > first, and every event of LDK goes through [`Payer::handle_event`].

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
mod options;
mod order;
mod path_report;
mod payer;
mod refund;
mod request;
mod shared;
mod start;
mod tick;

pub use crate::{
    engine::{Engine, EngineRefusal, HandOverLimits, Taken},
    error::{AbandonError, HandleError, PayError, StartError, TickError},
    hand_over::HandOver,
    handled::Handled,
    invoice::InvoiceRefusal,
    options::{ChannelState, Options},
    order::{Bolt11Order, NotAnOrder, OfferOrder, Order, RefundOrder, SpontaneousOrder},
    path_report::PathReport,
    payer::{Payer, Paying},
    request::{OrderRefusal, Terms},
    shared::{CallError, OutcomeError, SharedLedger, SharedRecovery, Unavailable},
    start::{StartReport, Starting, Unfinished},
    tick::Ticked,
};
