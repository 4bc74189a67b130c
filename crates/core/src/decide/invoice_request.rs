//! Invoice requests (SEMANTICS 4): what a hand-over made for the payee to answer (BOLT 12; a *refund* in
//! LDK). The engine honours it, so it is recorded before anybody is given it.

use crate::{
    base::faults::Fault,
    base::{faults, limits},
    decide::command::RequestInvoice,
    decide::decision::{Context, Decision, unchanged},
    decide::draft::Draft,
    decide::refusal::FactRefusal,
    decide::reply::FactReply,
    decide::resolution::{Located, locate},
    event::event::Event,
    event::part::PartStatus,
    state::state::State,
};

pub(crate) fn keep(
    state: &State,
    context: &Context<'_>,
    command: RequestInvoice,
) -> Result<Decision<FactReply>, FactRefusal> {
    let RequestInvoice { id, part, invoice_request } = command;
    let (payment, found) = match locate(state, &id, &part)? {
        Located::Own(payment, found) => (payment, found),
        Located::ForeignPart(_) => return Err(FactRefusal::NotOpen { part }),
        Located::Over { settled } => {
            let status = if settled { PartStatus::Finalized } else { PartStatus::Failed };
            return Err(FactRefusal::NotInFlight { part, status });
        }
    };
    if invoice_request.is_empty() {
        return Err(FactRefusal::EmptyInvoiceRequest { part });
    }
    let kept = &found.details.invoice_request;
    if *kept == invoice_request {
        return Ok(unchanged(payment));
    }
    // Its holder must find the first one honoured, and a second one could be paid beside it.
    if !kept.is_empty() && !faults::is(Fault::InvoiceRequestReplaced) {
        return Err(FactRefusal::OtherInvoiceRequest { part });
    }
    if found.status != PartStatus::InFlight {
        return Err(FactRefusal::NotInFlight { part, status: found.status });
    }
    // Whoever were given it now would be paid for nothing: the payment is over or given up.
    if !payment.status.is_open() {
        return Err(FactRefusal::NotOpen { part });
    }
    if invoice_request.len() > limits::INVOICE_REQUEST_BYTES {
        let (bytes, limit) = (invoice_request.len(), limits::INVOICE_REQUEST_BYTES);
        return Err(FactRefusal::TooLong { bytes, limit });
    }
    let mut draft = Draft::of(state, context, payment);
    draft.record(Event::InvoiceRequested { id: payment.id, part, invoice_request });
    Ok(draft.finish())
}
