//! Refunds, BOLT 12's invoice requests without an offer: LDK makes one only when it takes the hand-over, so
//! the ledger keeps it with the part before anybody is given it.

use lightning::offers::refund::Refund;
use payonce_core::{PartId, Payment, PaymentId, RequestInvoice};

use crate::{bridge::imported::is_imported, order::order::Order};

/// What keeps a refund.
pub(crate) fn keep(id: PaymentId, part: PartId, refund: &Refund) -> RequestInvoice {
    RequestInvoice { id, part, invoice_request: refund.as_ref().into() }
}

/// The refund kept for a part.
pub(crate) fn kept(payment: &Payment, part: &PartId) -> Option<Refund> {
    let bytes = payment.part(part)?.invoice_request();
    Refund::try_from(bytes.to_vec()).ok()
}

/// Whether LDK waits for the invoice to a refund that nobody can have been given: it was made, and
/// the process died before it was kept.
pub(crate) fn is_lost(payment: &Payment, part: &PartId) -> bool {
    let order = payment.request().and_then(|request| Order::of_request(request).ok());
    // One that was given out before there was a ledger is its holder's.
    let imported = payment.part(part).is_some_and(is_imported);
    !imported && matches!(order, Some(Order::Refund(_))) && kept(payment, part).is_none()
}
