//! Events handled: facts told to a ledger, or to one that is still recovering.

use lightning::events::Event;
use payonce_core::{
    Answer, EventStore, FactRefusal, FactReply, PartId, PaymentHash, PaymentId, State, UnblockHash,
    UnixMillis,
};
use payonce_runtime::{SharedLedger, SharedRecovery, Unavailable};

use crate::{
    border,
    engine::Engine,
    entry::{Stage, entries, entry_of},
    facts::{self, Facts},
    invoice::{self, InvoiceRefusal},
};

/// What an event came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// It tells nothing of payments that this node makes.
    NotOurs,
    /// Recorded, durably.
    Recorded {
        /// The payment that it went to, if any.
        payment: Option<PaymentId>,
    },
    /// Known already, or nothing that changes anything.
    Unchanged {
        /// The payment that it is about, if the ledger knows one.
        payment: Option<PaymentId>,
    },
    /// An invoice came for an offer and is not paid: LDK was told to give up.
    InvoiceRefused {
        /// The payment.
        payment: PaymentId,
        /// Why.
        refusal: InvoiceRefusal,
    },
    /// LDK says that a hand-over failed which it tracks, or that may be out: nothing was recorded,
    /// and nobody should be told. What became of it is yet to come.
    NotBelieved {
        /// The hand-over.
        part: PartId,
    },
    /// The ledger refused it; LDK must not deliver it again.
    Refused {
        /// Why.
        refusal: FactRefusal,
    },
}

type Told = Vec<Result<FactReply, FactRefusal>>;

/// A ledger that takes facts, finished or not.
pub(crate) trait Book {
    fn ask<T>(&self, ask: impl FnOnce(&State) -> T) -> Result<T, Unavailable>;
    fn tell(&self, answers: Vec<Answer>, now: UnixMillis) -> Result<Told, Unavailable>;
}

impl<S: EventStore + Send + 'static> Book for SharedLedger<S> {
    fn ask<T>(&self, ask: impl FnOnce(&State) -> T) -> Result<T, Unavailable> {
        self.query(ask)
    }

    fn tell(&self, answers: Vec<Answer>, now: UnixMillis) -> Result<Told, Unavailable> {
        self.execute_all(answers, now)
    }
}

impl<S: EventStore + Send + 'static> Book for SharedRecovery<S> {
    fn ask<T>(&self, ask: impl FnOnce(&State) -> T) -> Result<T, Unavailable> {
        self.query(ask)
    }

    fn tell(&self, answers: Vec<Answer>, now: UnixMillis) -> Result<Told, Unavailable> {
        self.answer(answers, now)
    }
}

/// Reads an event and tells the ledger, durably, what it says.
pub(crate) fn tell_event<E: Engine + ?Sized>(
    book: &impl Book,
    engine: &E,
    event: &Event,
    now: UnixMillis,
) -> Result<(Handled, Option<Facts>), Unavailable> {
    if let Event::InvoiceReceived { payment_id, invoice, context, .. } = event {
        let handled = invoice::received(book, engine, payment_id, invoice, context.as_ref())?;
        return Ok((handled, None));
    }
    // LDK stops tracking a payment before it says that it failed; if it tracks it all the same, it
    // found an HTLC of it in a monitor since.
    if let Some(part) = failed_part(event).filter(|part| entries(engine).contains_key(part)) {
        return Ok((Handled::NotBelieved { part }, None));
    }
    let Some(mut facts) = book.ask(|state| facts::read(event, state))? else {
        return Ok((Handled::NotOurs, None));
    };
    let release = facts.release.filter(|hash| !is_out(engine, hash, &facts));
    let mut answers = std::mem::take(&mut facts.answers);
    answers.extend(release.map(|payment_hash| Answer::Released(UnblockHash { payment_hash })));
    let told = book.tell(answers, now)?;
    Ok((handled(&told, facts.payment), Some(facts)))
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
