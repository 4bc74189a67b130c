//! Decide: state + command + now -> events and a reply, or a refusal. Pure: it reads the state and
//! the configuration and changes neither.

pub(crate) mod admission;
pub(crate) mod adoption;
pub(crate) mod dispatch;
pub(crate) mod outbox;
pub(crate) mod resolution;
pub(crate) mod tick;
pub(crate) mod verdicts;

use alloc::vec::Vec;

use crate::{
    amount::UnixMillis,
    config::{Config, Remember},
    event::{AdoptedPart, Delivery, Event, Home, Settlement, Word},
    evolve::At,
    ids::{PartId, PaymentHash, PaymentId, Preimage},
    limits,
    notification::Anomaly,
    part::Fate,
    payment::Payment,
    reply::FactReply,
    state::State,
    status::Status,
    tombstone::Tombstone,
};

/// What decide may read besides the state.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The command's time.
    pub now: UnixMillis,
    /// The configuration.
    pub config: &'a Config,
    /// The last seq that is durable: what the user can have seen.
    pub durable_seq: u64,
}

/// What was decided: facts to record, and what to answer once they are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<R> {
    /// The events, in order; none if there is nothing to record.
    pub events: Vec<Event>,
    /// The reply.
    pub reply: R,
}

impl<R> Decision<R> {
    pub(crate) const fn nothing(reply: R) -> Self {
        Self { events: Vec::new(), reply }
    }

    pub(crate) fn map<T>(self, map: impl FnOnce(R) -> T) -> Decision<T> {
        Decision { events: self.events, reply: map(self.reply) }
    }
}

impl FactReply {
    pub(crate) fn unchanged(payment: Option<&Payment>) -> Self {
        Self { changed: false, payment: payment.map(|payment| (payment.id, payment.status)) }
    }
}

/// By what a payment is known to be paid.
pub(crate) enum Proof {
    Preimage(Preimage),
    /// The node's word alone, and the hash where it knows it.
    Word(Option<PaymentHash>),
}

/// One payment while events for it are being decided: each is folded as it is added, so the next
/// rule sees its effect.
pub(crate) struct Draft<'a> {
    state: &'a State,
    context: &'a Context<'a>,
    pub(crate) payment: Payment,
    pub(crate) events: Vec<Event>,
}

impl<'a> Draft<'a> {
    pub(crate) fn of(state: &'a State, context: &'a Context<'a>, payment: &Payment) -> Self {
        // Most facts make one event or two; room for four would be a large allocation.
        Self { state, context, payment: payment.clone(), events: Vec::with_capacity(2) }
    }

    /// Begins with a payment that the ledger does not hold.
    pub(crate) fn adopted(
        state: &'a State,
        context: &'a Context<'a>,
        id: PaymentId,
        payment_hash: Option<PaymentHash>,
    ) -> Self {
        let payment = Payment::adopted(at(state, context, 0), id, payment_hash);
        let events = alloc::vec![Event::PaymentAdopted { id, payment_hash }];
        Self { state, context, payment, events }
    }

    /// Begins with a remembered payment that comes back.
    pub(crate) fn recalled(
        state: &'a State,
        context: &'a Context<'a>,
        tombstone: &Tombstone,
    ) -> Self {
        let payment = Payment::recalled(at(state, context, 0), tombstone);
        let events = alloc::vec![Event::PaymentRecalled { id: tombstone.id }];
        Self { state, context, payment, events }
    }

    pub(crate) fn record(&mut self, event: Event) {
        let at = at(self.state, self.context, self.events.len());
        self.payment.evolve(at, &event).expect("decide proposes only events that fit");
        self.events.push(event);
    }

    /// Adds an event that changes no payment.
    pub(crate) fn note(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn finish(self) -> Decision<FactReply> {
        let reply = FactReply {
            changed: !self.events.is_empty(),
            payment: Some((self.payment.id, self.payment.status)),
        };
        Decision { events: self.events, reply }
    }

    /// Takes in a part that the payment does not know.
    pub(crate) fn adopt(&mut self, part: AdoptedPart, told_as: &PaymentId, word: Word) {
        let id = self.payment.id;
        let home =
            if *told_as == id { Home::Payment } else { Home::HashHolder { told_as: *told_as } };
        self.record(Event::PartAdopted { id, part, home, word });
    }

    /// The payee took a part of this payment: the first claim makes it paid, and the claim of a
    /// part that was recorded as over is a correction.
    pub(crate) fn claim(&mut self, part: PartId, proof: Proof, settlement: Option<Settlement>) {
        let id = self.payment.id;
        let (preimage, told_hash) = match proof {
            Proof::Preimage(preimage) => (Some(preimage), None),
            Proof::Word(hash) => (None, hash),
        };
        let revived = match self.payment.part(&part).map(|part| part.fate) {
            Some(Fate::Failed | Fate::Withdrawn) => true,
            Some(Fate::Claimed | Fate::Finalized) => false,
            Some(Fate::InFlight) | None => {
                self.payment.is_former(&part) && !self.payment.came_back_paid()
            }
        };
        self.record(Event::PartClaimed { id, part, preimage, settlement });
        if self.payment.status != Status::Fulfilled {
            let sums = self.payment.counted();
            self.sent(told_hash, sums.known_amount(), sums.known_fee(), revived);
        }
        if revived {
            self.correct(part);
        }
    }

    /// Tells of a part that was over and is paid, and names the others that are out.
    pub(crate) fn correct(&mut self, part: PartId) {
        let payment = self.payment.id;
        let in_flight = self.payment.parts.iter();
        let in_flight = in_flight.filter(|other| other.fate == Fate::InFlight && other.id != part);
        let in_flight = in_flight.map(|other| other.id).take(limits::PAYMENT_PARTS).collect();
        let anomaly = Anomaly::Correction { payment, part, in_flight };
        self.record(Event::AnomalyNoted { anomaly, delivery: Delivery::Notify });
    }

    /// Tells of a part that the payment did not know and that paid it.
    pub(crate) fn found_unknown(&mut self, part: PartId) {
        let anomaly = Anomaly::UnknownPart { payment: self.payment.id, part };
        self.record(Event::AnomalyNoted { anomaly, delivery: Delivery::Notify });
    }

    pub(crate) fn sent(
        &mut self,
        payment_hash: Option<PaymentHash>,
        amount: Option<crate::amount::Msat>,
        fee: Option<crate::amount::Msat>,
        revived: bool,
    ) {
        let unknown_until_now = matches!(self.events.first(), Some(Event::PaymentAdopted { .. }));
        let failed = matches!(self.payment.status, Status::Failed { .. });
        let correction = revived || failed || unknown_until_now;
        let id = self.payment.id;
        self.record(Event::PaymentSent { id, payment_hash, amount, fee, correction });
    }

    /// Draws what follows once a part is resolved or a notification read, unless verdicts are
    /// withheld: gives up what cannot be tried again, fails what has nothing out, forgets a
    /// failure that everybody has seen. `part_failed`: only then is a payment given up that still
    /// has parts out.
    pub(crate) fn conclude(&mut self, part_failed: bool) {
        if !self.state.withholds_verdicts() {
            self.draw_verdict(part_failed);
        }
    }

    pub(crate) fn draw_verdict(&mut self, part_failed: bool) {
        let id = self.payment.id;
        let resolved = self.payment.is_resolved();
        match self.payment.status {
            Status::AwaitingInvoice | Status::Pending => {
                let asked = resolved || part_failed;
                let hopeless = self.payment.hopeless(self.context.now).filter(|_| asked);
                if let Some(reason) = hopeless {
                    self.record(if resolved {
                        Event::PaymentFailed { id, reason }
                    } else {
                        Event::PaymentAbandoned { id, reason }
                    });
                }
            }
            Status::Abandoned { reason } if resolved => {
                self.record(Event::PaymentFailed { id, reason });
            }
            Status::Failed { .. } if resolved && self.payment.unread == 0 => {
                self.note(forgotten(id, self.context.config));
            }
            Status::Abandoned { .. } | Status::Failed { .. } | Status::Fulfilled => {}
        }
    }
}

/// Where the event after `ahead` others would stand. Its chain hash is not known before the entry
/// is encoded, and no rule of decide asks for it.
fn at(state: &State, context: &Context<'_>, ahead: usize) -> At {
    At {
        seq: state.head.seq + 1 + ahead as u64,
        now: context.now,
        epoch: state.epoch,
        tick: state.tick,
        chain: [0; 8],
        withheld: state.withholds_verdicts(),
    }
}

pub(crate) fn forgotten(id: PaymentId, config: &Config) -> Event {
    Event::PaymentForgotten { id, remembered: config.remember == Remember::Forever }
}
