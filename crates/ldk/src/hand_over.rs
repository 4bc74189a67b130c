//! Hand-overs: recorded as a delegated part, then given to LDK, once.

use core::ops::Deref;

use lightning::{offers::refund::Refund, sign::EntropySource};
use payonce_core::{
    Answer, Dispatch, DispatchRefusal, DispatchReply, EventStore, Msat, NewPart, PartId,
    PartStatus, Payment, PaymentId, Request, Status, Target, UnixMillis, WithdrawPart,
};
use payonce_runtime::{CallError, Unavailable};

use crate::{
    border,
    engine::{Engine, EngineRefusal, HandOverLimits, Taken},
    failure,
    handled::Book as _,
    order::{NotAnOrder, Order},
    payer::Payer,
    refund,
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
        /// The part.
        part: PartId,
        /// The refund; kept, so that a repeat is answered with it.
        refund: Box<Refund>,
    },
    /// LDK took nothing: the part has failed.
    Refused {
        /// The part.
        part: PartId,
        /// Why.
        refusal: EngineRefusal,
    },
    /// The ledger admits no hand-over now: somebody else was faster, or its time is over.
    NotAdmitted {
        /// Why.
        refusal: DispatchRefusal,
    },
    /// The payment was given up while the hand-over was being recorded: nothing was given to LDK.
    Overtaken {
        /// The payment's status; `None` if it is forgotten.
        status: Option<Status>,
    },
    /// A part of it is out already: LDK pays all of an order or nothing.
    PartlyOut {
        /// What is missing.
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
        /// Why.
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

fn order_of(request: &Request) -> Result<Order, NotAnOrder> {
    let preimage = match request.target {
        Target::Spontaneous { preimage } => Some(preimage),
        Target::Invoice { .. } | Target::Offer { .. } => None,
    };
    Order::decode(request.instructions.as_bytes(), preimage)
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
    /// [`Unavailable`]: the ledger answers nothing. Open it again.
    pub fn hand_over(&self, id: &PaymentId, now: UnixMillis) -> Result<HandOver, Unavailable> {
        let due = self.ledger.query(|state| state.payment(id).and_then(due))?;
        let Some(due) = due else { return Ok(HandOver::Over) };
        let order = match order_of(&due.request) {
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
        match self.ledger.execute(Dispatch { id: *id, attempt: due.attempt, parts }, now) {
            Ok(DispatchReply::Recorded { .. }) => {}
            Ok(DispatchReply::Overtaken { status, parts, .. }) => {
                self.withdraw(id, &parts, now)?;
                return Ok(HandOver::Overtaken { status });
            }
            // A part id that was never used before is in no recorded batch.
            Ok(DispatchReply::Duplicate { .. }) => return Ok(HandOver::Started { part }),
            Err(CallError::Refused(refusal)) => return Ok(HandOver::NotAdmitted { refusal }),
            Err(CallError::Unavailable(error)) => return Err(error),
        }
        self.give(id, part, &order, &due, now)
    }

    /// Gives LDK what was recorded. Nothing before this has left the node; whatever happens from
    /// here on, the part may be out until LDK says otherwise.
    fn give(
        &self,
        id: &PaymentId,
        part: PartId,
        order: &Order,
        due: &Due,
        now: UnixMillis,
    ) -> Result<HandOver, Unavailable> {
        let limits = self.limits(due);
        let engine_id = border::engine_id(&part);
        let handed = match self.engine.hand_over(engine_id, order, &limits) {
            Ok(Taken::Now | Taken::Before) => HandOver::Started { part },
            Ok(Taken::Refund(refund)) => {
                self.ledger.tell(refund::facts(*id, part, &refund), now)?;
                HandOver::Refund { part, refund }
            }
            Err(refusal) => {
                self.refused(id, part, &refusal, now)?;
                return Ok(HandOver::Refused { part, refusal });
            }
        };
        // Abandoned while LDK was taking it: LDK did not know the part yet, so it is told now.
        let status = self.ledger.query(|state| state.payment(id).map(Payment::status))?;
        if !status.is_some_and(|status| status.is_open() || status == Status::Fulfilled) {
            self.engine.abandon(engine_id);
        }
        Ok(handed)
    }

    fn limits(&self, due: &Due) -> HandOverLimits {
        let mut route = self.options.route;
        let budget = due.fee_budget.map(|budget| budget.0);
        route.max_total_routing_fee_msat = budget.or(route.max_total_routing_fee_msat);
        HandOverLimits { amount_msat: due.missing.0, route, retry: self.options.retry }
    }

    fn refused(
        &self,
        id: &PaymentId,
        part: PartId,
        refusal: &EngineRefusal,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let facts = self.ledger.query(|state| {
            let payment = state.payment(id);
            payment.map(|payment| failure::refusal_facts(payment, part, refusal))
        })?;
        self.ledger.tell(facts.unwrap_or_default(), now)?;
        Ok(())
    }

    fn withdraw(
        &self,
        id: &PaymentId,
        parts: &[PartId],
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let in_flight = self.ledger.query(|state| {
            let out = |part: &&PartId| state.part(part) == Some((*id, PartStatus::InFlight));
            parts.iter().filter(out).copied().collect::<Vec<_>>()
        })?;
        let withdraw = |part| Answer::NeverSent(WithdrawPart { id: *id, part });
        self.ledger.tell(in_flight.into_iter().map(withdraw).collect(), now)?;
        Ok(())
    }
}
