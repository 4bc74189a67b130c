//! Entries: LDK's list of recent payments, in the ledger's words.

use std::collections::HashMap;

use lightning::ln::channelmanager::RecentPaymentDetails;
use payonce_core::{Msat, PartId, PaymentHash};

use crate::{bridge::border, bridge::engine::Engine, bridge::line};

/// How far LDK is with a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits for an invoice, or has one and has not sent anything yet.
    AwaitingInvoice,
    /// HTLCs are out, or a probe's.
    Pending,
    /// Paid; remembered until some ticks after its last HTLC is off its channel.
    Fulfilled,
    /// Given up, HTLCs are still out.
    Abandoned,
}

/// One payment that LDK tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) part: PartId,
    pub(crate) stage: Stage,
    /// LDK keeps it to itself while it waits for an invoice.
    pub(crate) hash: Option<PaymentHash>,
    /// Whether it is certain to be a probe, which pays nobody.
    pub(crate) is_probe: bool,
    /// What the routes took, of one that is paid, if LDK tells.
    pub(crate) fee: Option<Msat>,
}

pub(crate) fn entry_of(details: &RecentPaymentDetails) -> Entry {
    let (id, stage, hash) = match details {
        RecentPaymentDetails::AwaitingInvoice { payment_id } => {
            (payment_id, Stage::AwaitingInvoice, None)
        }
        // The total is no help: rebuilt from a monitor, it is that of one path alone.
        RecentPaymentDetails::Pending { payment_id, payment_hash, .. } => {
            (payment_id, Stage::Pending, Some(payment_hash))
        }
        RecentPaymentDetails::Fulfilled { payment_id, payment_hash, .. } => {
            (payment_id, Stage::Fulfilled, payment_hash.as_ref())
        }
        RecentPaymentDetails::Abandoned { payment_id, payment_hash, .. } => {
            (payment_id, Stage::Abandoned, Some(payment_hash))
        }
    };
    Entry {
        part: border::part_id(id),
        stage,
        hash: hash.map(border::payment_hash),
        is_probe: line::is_probe(details) == Some(true),
        fee: line::fee_paid_msat(details).map(Msat),
    }
}

/// Everything that LDK tracks now, by its id.
pub(crate) fn entries<E: Engine + ?Sized>(engine: &E) -> HashMap<PartId, Entry> {
    let details = engine.recent_payments();
    details.iter().map(entry_of).map(|entry| (entry.part, entry)).collect()
}
