//! Hand-overs: recorded as a delegated part, then given to LDK, once.

use core::ops::Deref;

use lightning::{offers::refund::Refund, sign::EntropySource};
use payonce_core::{
    Answer, Dispatch, DispatchRefusal, DispatchReply, EventStore, FactRefusal, Msat, NewPart,
    PartId, PartStatus, Payment, PaymentId, Request, Status, UnixMillis, WithdrawPart,
};
use payonce_runtime::ExecuteError;

use crate::{
    bridge::border,
    bridge::engine::{Engine, EngineRefusal, Taken},
    bridge::limits::HandOverLimits,
    events::book::{Book, Desk, InTask, OnThread, on_thread},
    events::failure,
    events::refund,
    order::order::{NotAnOrder, Order, route_of},
    payer::error::Interrupted,
    payer::payer::{Payer, wants_no_more},
};

/// What came of a hand-over.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HandOver {
    /// LDK has it and will tell the outcome.
    Started {
        /// The part; its bytes are LDK's `PaymentId`.
        part: PartId,
    },
    /// LDK has it; give this refund to the payee.
    Refund {
        /// The part that was recorded and that LDK has.
        part: PartId,
        /// The refund; kept, so that a repeat is answered with it.
        refund: Box<Refund>,
    },
    /// LDK made a refund that the ledger does not keep: it is given to nobody, and LDK is told to give it
    /// up. The payment fails once LDK's event says so.
    NotKept {
        /// The part that was recorded and that LDK gives up.
        part: PartId,
        /// Why the refund was not kept: it is too long, or the payment was given up meanwhile.
        refusal: FactRefusal,
    },
    /// LDK took nothing: the part has failed.
    Refused {
        /// The part that was recorded, and is failed again.
        part: PartId,
        /// Why LDK took nothing.
        refusal: EngineRefusal,
    },
    /// The ledger admits no hand-over now: somebody else was faster, or its time is over.
    NotAdmitted {
        /// Why the ledger allows no dispatch now.
        refusal: DispatchRefusal,
    },
    /// The payment was given up while the hand-over was being recorded: nothing was given to LDK.
    Overtaken {
        /// The payment's status; `None` if it is forgotten.
        status: Option<Status>,
    },
    /// A part of it is out already: LDK pays all of an order or nothing.
    PartlyOut {
        /// What no part carries yet, in msat.
        missing: Msat,
        /// What was asked for.
        amount: Msat,
    },
    /// LDK tracks a payment that the ledger does not know, and it may be one for this very offer.
    UnknownInEngine {
        /// One of them, by LDK's id.
        engine_id: PartId,
    },
    /// The payment is not one for LDK.
    NotAnOrder {
        /// Why the instructions are no order of this crate.
        error: NotAnOrder,
    },
    /// The ledger does not hold the payment, or it is over.
    Over,
}

/// What is to be handed over, as the ledger holds it.
struct Due {
    request: Request,
    missing: Msat,
    fee_budget: Option<Msat>,
    attempt: u32,
}

fn due(payment: &Payment) -> Option<Due> {
    if !payment.status().is_open() {
        return None;
    }
    let remaining = payment.remaining();
    Some(Due {
        request: payment.request()?.clone(),
        missing: remaining.amount,
        fee_budget: remaining.fee_budget,
        attempt: remaining.attempt,
    })
}

impl<S, E, R> Payer<S, E, R>
where
    S: EventStore + Send + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    /// Hands all that is missing of a payment over to LDK: what [`pay`](Self::pay) and
    /// [`drive`](Self::drive) do, and for [`RetryPolicy::Manual`](payonce_core::RetryPolicy)
    /// the caller after a failure. May be called at any time, by any thread: only what is
    /// recorded first is given to LDK.
    ///
    /// # Errors
    /// [`Interrupted`]: whether LDK has it is not known. Open the ledger again: it is handed over again
    /// only if LDK never got it.
    pub fn hand_over(&self, id: &PaymentId, now: UnixMillis) -> Result<HandOver, Interrupted> {
        on_thread(self.hand_over_at(&OnThread(&self.ledger), id, now))
    }

    /// [`hand_over`](Self::hand_over) for tasks. Between what is recorded and LDK nothing is awaited: a
    /// future that is dropped has given LDK what was recorded, or takes the record back.
    ///
    /// # Errors
    /// As [`hand_over`](Self::hand_over).
    pub async fn hand_over_async(
        &self,
        id: &PaymentId,
        now: UnixMillis,
    ) -> Result<HandOver, Interrupted> {
        self.hand_over_at(&InTask(&self.ledger), id, now).await
    }

    pub(crate) async fn hand_over_at(
        &self,
        desk: &impl Desk,
        id: &PaymentId,
        now: UnixMillis,
    ) -> Result<HandOver, Interrupted> {
        let named = *id;
        let due = desk.ask(move |state| state.payment(&named).and_then(due)).await?;
        let Some(due) = due else { return Ok(HandOver::Over) };
        let order = match Order::of_request(&due.request) {
            Ok(order) => order,
            Err(error) => return Ok(HandOver::NotAnOrder { error }),
        };
        let unknown = if order.awaits_invoice() { self.unknown_in_engine() } else { None };
        if let Some(engine_id) = unknown {
            return Ok(HandOver::UnknownInEngine { engine_id });
        }
        if due.missing != due.request.amount && due.missing > Msat::ZERO {
            let (missing, amount) = (due.missing, due.request.amount);
            return Ok(HandOver::PartlyOut { missing, amount });
        }
        let part = PartId::from_bytes(self.entropy.get_secure_random_bytes());
        let parts = vec![NewPart::delegated(part)];
        match desk.execute(Dispatch { id: *id, attempt: due.attempt, parts }, now).await {
            Ok(DispatchReply::Recorded { .. }) => {}
            Ok(DispatchReply::Overtaken { status, parts, .. }) => {
                withdraw(desk, *id, parts, now).await?;
                return Ok(HandOver::Overtaken { status });
            }
            // A part id that was never used before is in no recorded batch.
            Ok(DispatchReply::Duplicate { .. }) => return Ok(HandOver::Started { part }),
            Err(ExecuteError::Refused(refusal)) => return Ok(HandOver::NotAdmitted { refusal }),
            Err(ExecuteError::Unavailable(error)) => return Err(error.into()),
        }
        self.give(desk, id, part, &order, &due, now).await
    }

    /// Gives LDK what was recorded. Nothing before this has left the node; whatever happens from
    /// here on, the part may be out until LDK says otherwise.
    async fn give(
        &self,
        desk: &impl Desk,
        id: &PaymentId,
        part: PartId,
        order: &Order,
        due: &Due,
        now: UnixMillis,
    ) -> Result<HandOver, Interrupted> {
        let limits = self.limits(due);
        let engine_id = border::engine_id(&part);
        let handed = match self.engine.hand_over(engine_id, order, &limits) {
            Ok(Taken::Now | Taken::Before) => HandOver::Started { part },
            Ok(Taken::Refund(refund)) => {
                match desk.execute(refund::keep(*id, part, &refund), now).await {
                    Ok(_) => HandOver::Refund { part, refund },
                    Err(ExecuteError::Refused(refusal)) => {
                        // Nobody has it, and after a restart nobody could be told of it.
                        self.engine.abandon(engine_id);
                        return Ok(HandOver::NotKept { part, refusal });
                    }
                    Err(ExecuteError::Unavailable(error)) => return Err(error.into()),
                }
            }
            Err(refusal) => {
                refused(desk, *id, part, &refusal, now).await?;
                return Ok(HandOver::Refused { part, refusal });
            }
        };
        // Abandoned while LDK was taking it: LDK did not know the part yet, so it is told now. That LDK
        // has it is known, so no error hides it; a ledger that answers nothing is told of at the next call,
        // and the next start tells LDK what was given up.
        let named = *id;
        let given_up = desk.ask(move |state| state.payment(&named).is_none_or(wants_no_more)).await;
        if given_up.is_ok_and(|given_up| given_up) {
            self.engine.abandon(engine_id);
        }
        Ok(handed)
    }

    fn limits(&self, due: &Due) -> HandOverLimits {
        let mut route = route_of(&due.request).over(self.options.route);
        let budget = due.fee_budget.map(|budget| budget.0);
        route.max_total_routing_fee_msat = budget.or(route.max_total_routing_fee_msat);
        HandOverLimits { amount_msat: due.missing.0, route, retry: self.options.retry }
    }
}

/// LDK took nothing: the part is failed, and so is free to be tried again.
async fn refused(
    book: &impl Book,
    id: PaymentId,
    part: PartId,
    refusal: &EngineRefusal,
    now: UnixMillis,
) -> Result<(), Interrupted> {
    let facts = book.ask(|state| {
        let payment = state.payment(&id);
        payment.map(|payment| failure::refusal_facts(payment, part, refusal))
    });
    let facts = facts.await?;
    book.tell(facts.unwrap_or_default(), now).await?;
    Ok(())
}

/// Nothing was given to LDK.
async fn withdraw(
    book: &impl Book,
    id: PaymentId,
    parts: Vec<PartId>,
    now: UnixMillis,
) -> Result<(), Interrupted> {
    let in_flight = book.ask(move |state| {
        let out = |part: &PartId| state.part(part) == Some((id, PartStatus::InFlight));
        parts.into_iter().filter(out).collect::<Vec<_>>()
    });
    let withdraw = |part| Answer::NeverSent(WithdrawPart { id, part });
    let never_sent = in_flight.await?.into_iter().map(withdraw).collect();
    book.tell(never_sent, now).await?;
    Ok(())
}
