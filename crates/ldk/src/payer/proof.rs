//! Proofs: the BOLT 12 invoice that was paid, from the state while it has the payment, else from the log.

use core::ops::Deref;

use lightning::{offers::invoice::Bolt12Invoice, sign::EntropySource};
use payonce_core::{Event, EventStore, ListedPayment, Part, Payment, PaymentId};
use payonce_runtime::{Confirmed, SubscriptionError};

use crate::{bridge::engine::Engine, payer::payer::Payer};

impl<S, E, R> Payer<S, E, R>
where
    S: EventStore + Send + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    /// The invoice with which an offer or a refund was paid: the payee signed it, and the preimage
    /// ([`PaymentView::paid`](payonce_core::PaymentView::paid)) fits its hash, which proves the payment.
    /// `None` for what was paid without one, or is not paid. Of what is over for long the log is read, from
    /// where the payment was accepted to where it was paid.
    ///
    /// # Errors
    /// [`SubscriptionError`]: [`Dropped`](SubscriptionError::Dropped) where that history is gone.
    pub fn paid_invoice(
        &self,
        listed: &ListedPayment,
    ) -> Result<Option<Bolt12Invoice>, SubscriptionError> {
        let id = listed.view.id;
        if let Some(kept) = self.ledger.query(|state| state.payment(&id).and_then(kept))? {
            return Ok(invoice(&kept));
        }
        let mut log = self.ledger.subscribe(listed.accepted_seq);
        let head = self.ledger.head().seq;
        while log.next_seq() <= head {
            if let Found::Over(bytes) = look(&log.read()?, &id) {
                return Ok(invoice(&bytes));
            }
        }
        Ok(None)
    }

    /// [`paid_invoice`](Self::paid_invoice) for tasks.
    ///
    /// # Errors
    /// As [`paid_invoice`](Self::paid_invoice).
    pub async fn paid_invoice_async(
        &self,
        listed: &ListedPayment,
    ) -> Result<Option<Bolt12Invoice>, SubscriptionError> {
        let id = listed.view.id;
        let asked = self.ledger.query_async(move |state| state.payment(&id).and_then(kept));
        if let Some(kept) = asked.await? {
            return Ok(invoice(&kept));
        }
        let mut log = self.ledger.subscribe(listed.accepted_seq);
        let head = self.ledger.head().seq;
        while log.next_seq() <= head {
            if let Found::Over(bytes) = look(&log.read_async().await?, &id) {
                return Ok(invoice(&bytes));
            }
        }
        Ok(None)
    }
}

/// What an entry tells of the invoice.
enum Found {
    Nothing,
    /// The payment was paid with these bytes, or left the ledger without any.
    Over(Vec<u8>),
}

fn look(entry: &Confirmed, id: &PaymentId) -> Found {
    let over = entry.events.iter().find_map(|event| match event {
        Event::PartClaimed { id: of, invoice, .. } if of == id && !invoice.is_empty() => {
            Some(invoice.as_bytes().to_vec())
        }
        Event::PaymentForgotten { id: of, .. } if of == id => Some(Vec::new()),
        _ => None,
    });
    over.map_or(Found::Nothing, Found::Over)
}

/// What the state holds of it, if it holds the payment's parts.
fn kept(payment: &Payment) -> Option<Vec<u8>> {
    let invoices = payment.parts().iter().map(Part::paid_invoice);
    invoices.filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec).next()
}

fn invoice(bytes: &[u8]) -> Option<Bolt12Invoice> {
    // LDK encoded it: other bytes are none.
    Bolt12Invoice::try_from(bytes.to_vec()).ok()
}
