//! What the crate shows to the outside: the same for each line of LDK.

pub use crate::{
    bridge::engine::{Engine, EngineRefusal, Taken},
    bridge::head::{HeadError, HeadKeeper},
    bridge::limits::HandOverLimits,
    bridge::line::ReadAt,
    bridge::manager::read_manager,
    bridge::options::{ChannelState, Options},
    events::handled::{Handled, InvoiceRefusal},
    events::path_report::PathReport,
    order::order::{Bolt11Order, NotAnOrder, OfferOrder, Order, RefundOrder, SpontaneousOrder},
    order::request::{OfferedQuantity, OrderRefusal},
    order::route::RouteLimits,
    order::terms::Terms,
    payer::compare::StartReport,
    payer::error::{AbandonError, HandleError, Interrupted, PayError, StartError, TickError},
    payer::hand_over::HandOver,
    payer::import::{
        ImportError, ImportRefusal, ImportReport, PastOrder, PastOutcome, PastPayment, import,
    },
    payer::in_store::KvPayer,
    payer::pay::Paying,
    payer::payer::Payer,
    payer::start::{Started, Starting, Unfinished},
    payer::tick::Ticked,
};
pub use payonce_runtime::{
    ExecuteError, OutcomeError, SharedLedger, SharedRecovery, SubscriptionError, Unavailable, now,
};
