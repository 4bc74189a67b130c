//! Telling: an event of LDK becomes facts, recorded before anybody acts on them.

use lightning::events::Event;
use payonce_core::{Answer, PartId, PaymentHash, PaymentId, UnblockHash, UnixMillis};
use payonce_runtime::Unavailable;

use crate::{
    bridge::border,
    bridge::engine::Engine,
    bridge::entry::{Stage, entries, entry_of},
    events::book::{Book, Told},
    events::facts::{self, Facts},
    events::handled::Handled,
    events::invoice,
};

/// Reads an event and tells the ledger, durably, what it says.
pub(crate) async fn tell_event<E: Engine + ?Sized>(
    book: &impl Book,
    engine: &E,
    event: &Event,
    path_reports: bool,
    now: UnixMillis,
) -> Result<(Handled, Option<Facts>), Unavailable> {
    if let Event::InvoiceReceived { payment_id, invoice, context, .. } = event {
        let handled =
            invoice::received(book, engine, payment_id, invoice, context.as_ref()).await?;
        return Ok((handled, None));
    }
    // LDK stops tracking a payment before it says that it failed; if it tracks it all the same, it
    // found an HTLC of it in a monitor since.
    if let Some(part) = failed_part(event).filter(|part| entries(engine).contains_key(part)) {
        return Ok((Handled::NotBelieved { part }, None));
    }
    let Some(mut facts) = book.ask(|state| facts::read(event, state)).await? else {
        return Ok((Handled::NotOurs, None));
    };
    if is_path_report(event) && !path_reports {
        return Ok((Handled::Unchanged { payment: facts.payment }, Some(facts)));
    }
    let release = facts.release.filter(|hash| !is_out(engine, hash, &facts));
    let mut answers = std::mem::take(&mut facts.answers);
    answers.extend(release.map(|payment_hash| Answer::Unblocked(UnblockHash::new(payment_hash))));
    let told = book.tell(answers, now).await?;
    Ok((handled(&told, facts.payment), Some(facts)))
}

const fn is_path_report(event: &Event) -> bool {
    matches!(event, Event::PaymentPathSuccessful { .. } | Event::PaymentPathFailed { .. })
}

/// The hand-over that an event says has failed.
pub(crate) fn failed_part(event: &Event) -> Option<PartId> {
    match event {
        Event::PaymentFailed { payment_id, .. } => Some(border::part_id(payment_id)),
        _ => None,
    }
}

/// Whether LDK has something else out under this hash.
fn is_out<E: Engine + ?Sized>(engine: &E, hash: &PaymentHash, facts: &Facts) -> bool {
    let out = engine.recent_payments().into_iter().map(|details| entry_of(&details));
    let mut others = out.filter(|entry| Some(entry.part) != facts.named);
    others.any(|entry| entry.stage != Stage::Fulfilled && entry.hash == Some(*hash))
}

fn handled(told: &Told, payment: Option<PaymentId>) -> Handled {
    let refusal = told.iter().find_map(|told| told.as_ref().err());
    let changed = told.iter().flatten().find(|reply| reply.changed);
    match (changed, refusal) {
        (Some(reply), _) => {
            Handled::Recorded { payment: reply.payment.map(|(id, _)| id).or(payment) }
        }
        (None, Some(refusal)) => Handled::Refused { refusal: *refusal },
        (None, None) => Handled::Unchanged { payment },
    }
}
