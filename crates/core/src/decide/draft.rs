//! One payment while events for it are being decided: each event is folded when it is added, so the next
//! rule sees its effect.

use alloc::vec::Vec;

use crate::{
    base::amount::Msat,
    base::bounded::{Blob, List},
    base::faults::Fault,
    base::ids::{PartId, PaymentHash, PaymentId, Preimage},
    base::{faults, limits},
    decide::clock,
    decide::decision::{Context, Decision, forgotten},
    decide::reply::FactReply,
    event::event::{AdoptedPart, AdoptionSource, Attribution, Delivery, Event, Settlement},
    event::hash_paid::PaidElsewhere,
    event::notification::Anomaly,
    event::part::{Assertion, PartKind, PartStatus},
    event::request::Request,
    event::status::{FailureReason, Status},
    payment::at::At,
    payment::foreign_part::ForeignPart,
    payment::part::Part,
    payment::payment::Payment,
    payment::tombstone::Tombstone,
    state::place::Place,
    state::state::{Ending, State},
};

pub(crate) struct Draft<'a> {
    state: &'a State,
    context: &'a Context<'a>,
    pub(crate) payment: Payment,
    pub(crate) events: Vec<Event>,
    /// Something other than its own parts that may block it and is about to end.
    ending: Ending<'a>,
}

/// Why a part is known to be paid.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proof {
    /// `None` on somebody's word.
    pub(crate) preimage: Option<Preimage>,
    /// The hash of a part whose hash was not known.
    pub(crate) payment_hash: Option<PaymentHash>,
    /// What an engine reports.
    pub(crate) settlement: Option<Settlement>,
    /// The operator's word; `None` if it is not an operator's.
    pub(crate) assertion: Option<Assertion>,
    /// The BOLT 12 invoice that was paid.
    pub(crate) invoice: Blob<{ limits::PAID_INVOICE_BYTES }>,
}

impl<'a> Draft<'a> {
    pub(crate) fn of(state: &'a State, context: &'a Context<'a>, payment: &Payment) -> Self {
        Self::after(state, context, payment, Ending::Nothing)
    }

    /// As [`of`](Self::of), where something that may block the payment is about to end.
    pub(crate) fn after(
        state: &'a State,
        context: &'a Context<'a>,
        payment: &Payment,
        ending: Ending<'a>,
    ) -> Self {
        // Most facts make one event or two; room for four would be a large allocation.
        let events = Vec::with_capacity(2);
        Self { state, context, payment: payment.clone(), events, ending }
    }

    /// Begins with a payment that the ledger does not have.
    pub(crate) fn adopted(
        state: &'a State,
        context: &'a Context<'a>,
        id: PaymentId,
        payment_hash: Option<PaymentHash>,
        request: Option<alloc::boxed::Box<Request>>,
    ) -> Self {
        let payment =
            Payment::adopted(at(state, context, 0, false), id, payment_hash, request.as_deref());
        let events = alloc::vec![Event::PaymentAdopted { id, payment_hash, request }];
        Self { state, context, payment, events, ending: Ending::Nothing }
    }

    /// Begins with a remembered payment that comes back.
    pub(crate) fn recalled(
        state: &'a State,
        context: &'a Context<'a>,
        tombstone: &Tombstone,
    ) -> Self {
        let payment = Payment::recalled(at(state, context, 0, false), tombstone);
        let events = alloc::vec![Event::PaymentRecalled { id: tombstone.id }];
        Self { state, context, payment, events, ending: Ending::Nothing }
    }

    /// Begins with the payment or the tombstone at this place; `None` for any other place.
    pub(crate) fn at_place(
        state: &'a State,
        context: &'a Context<'a>,
        place: Place,
        ending: Ending<'a>,
    ) -> Option<Self> {
        match place {
            Place::Payment(handle) => {
                Some(Self::after(state, context, state.payments.get(handle), ending))
            }
            Place::Tombstone(handle) => {
                Some(Self::recalled(state, context, state.tombstones.get(handle)))
            }
            Place::ForeignPart(_) | Place::HashPaid(_) => None,
        }
    }

    pub(crate) fn id(&self) -> PaymentId {
        self.payment.id
    }

    /// Whether something other than its own parts blocks it, as its parts are now.
    fn is_blocked(&self) -> bool {
        self.state.is_blocked(&self.payment, self.ending)
    }

    pub(crate) fn record(&mut self, event: Event) {
        let at = at(self.state, self.context, self.events.len(), self.is_blocked());
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

    /// Adds a part that the payment does not have, or puts a resolved one back in flight.
    pub(crate) fn adopt(
        &mut self,
        part: AdoptedPart,
        named: &PaymentId,
        source: AdoptionSource,
        earlier_try: bool,
    ) {
        let id = self.payment.id;
        let attribution = if *named == id {
            Attribution::Payment
        } else {
            Attribution::HashHolder { named_id: *named }
        };
        let before =
            self.payment.part(&part.part).filter(|known| known.status.is_settled()).cloned();
        self.record(Event::PartAdopted { id, part, attribution, source, earlier_try });
        // A part that was paid on a word has a hash now, and another payment may have paid that hash.
        if let Some(before) = before.filter(|part| self.payment.part_hash(part).is_none()) {
            self.tell_second_payment(&before, false, None);
        }
        self.tell_settled();
    }

    /// A foreign part turned out to be this payment's part.
    pub(crate) fn take_foreign_part(&mut self, foreign_part: &ForeignPart) {
        let at = at(self.state, self.context, self.events.len(), self.is_blocked());
        self.payment.take_foreign_part(at, foreign_part);
        self.events.push(Event::PartMoved { id: self.payment.id, part: foreign_part.part.id });
    }

    /// The payee took a part of this payment: the first claim makes it paid, the claim of a part that
    /// was recorded as over is a correction, and a claim after it was paid may be a second payment.
    pub(crate) fn claim(&mut self, part: PartId, proof: Proof) {
        let id = self.payment.id;
        let was_paid = self.payment.status == Status::Fulfilled;
        let before = self.payment.part(&part).cloned();
        let before = before.expect("what is claimed is a part of it");
        let Proof { preimage, payment_hash, settlement, assertion, invoice } = proof;
        let elsewhere = self.payment.details.paid_elsewhere;
        self.record(Event::PartClaimed { id, part, preimage, payment_hash, settlement, invoice });
        let news = !before.status.is_settled();
        let revived = matches!(before.status, PartStatus::Failed | PartStatus::Withdrawn)
            || (before.details.earlier_try && news);
        // Only the first claim: a second PaymentSent would make the user deliver or book twice
        // (SEMANTICS 4).
        if !was_paid || (news && faults::is(Fault::TwoPaymentsSent)) {
            let sums = self.payment.counted();
            let known = (sums.known_amount(), sums.known_fee());
            self.sent(None, known, assertion, revived);
        }
        // It was recorded as over, so other parts may have been sent in its place: those may be a second
        // payment (SEMANTICS 4).
        if revived {
            self.correct(part);
        }
        // A part that was paid on somebody's word may turn out to have paid the same hash as another
        // payment.
        let learns = payment_hash.is_some() && self.payment.part_hash(&before).is_none();
        if news {
            self.tell_more_spent(&before, settlement);
        }
        if news || learns {
            self.tell_second_payment(&before, was_paid && news, elsewhere);
        }
        self.tell_settled();
        // Other payments with the hash are given up because of this (decide/claim.rs, `finish`).
        debug_assert_eq!(self.payment.status, Status::Fulfilled, "a claim pays its payment");
    }

    /// A preimage proves that a hash of this payment was paid, by a part that is not known.
    pub(crate) fn prove(&mut self, payment_hash: PaymentHash, preimage: Preimage) {
        let id = self.payment.id;
        self.record(Event::PreimageLearned { id, payment_hash, preimage });
        if self.payment.status != Status::Fulfilled {
            let sums = self.payment.counted();
            let any = self.payment.parts.iter().any(|part| {
                part.status == PartStatus::InFlight
                    && self.payment.part_hash(part) == Some(&payment_hash)
            });
            // Without a part in flight under this hash the sums would be those of another invoice, and wrong in the user's books.
            let known = if any { (sums.known_amount(), sums.known_fee()) } else { (None, None) };
            self.sent(None, known, None, false);
        }
        self.tell_settled();
    }

    /// A word says that this payment paid a hash, and nothing else of the payment shows that: without
    /// this event the hash would be free once its other record is forgotten.
    pub(crate) fn tell_paid(&mut self, payment_hash: PaymentHash) {
        if !self.payment.has_paid(&payment_hash) && !faults::is(Fault::WordTellsNoHash) {
            let payer = Some(self.id());
            self.record(Event::HashPaid { payment_hash, preimage: None, payer });
        }
    }

    /// A payment that was paid on somebody's word has the proof now.
    pub(crate) fn prove_word(&mut self, payment_hash: PaymentHash, preimage: Preimage) {
        let paid = self.payment.status == Status::Fulfilled && self.payment.preimage().is_none();
        if paid && self.payment.has_paid(&payment_hash) {
            self.prove(payment_hash, preimage);
        }
    }

    /// Notes that a part which was over is paid, with the other parts that are out.
    fn correct(&mut self, part: PartId) {
        let in_flight = self.others(&part, |status| status == PartStatus::InFlight);
        self.tell(Anomaly::Correction { payment: self.payment.id, part, in_flight });
    }

    /// Notes that a part which was over is out again.
    pub(crate) fn tell_out_again(&mut self, part: PartId) {
        let others = self.others(&part, |status| status.is_unresolved() || status.is_settled());
        self.tell(Anomaly::OutAgain { payment: self.payment.id, part, others });
    }

    fn others(
        &self,
        part: &PartId,
        counts: impl Fn(PartStatus) -> bool,
    ) -> List<PartId, { limits::PAYMENT_PARTS }> {
        let others = self.payment.parts.iter();
        let others = others.filter(|other| counts(other.status) && other.id != *part);
        others.map(|other| other.id).take(limits::PAYMENT_PARTS).collect()
    }

    /// Notes that a part which the payment did not have paid it.
    pub(crate) fn tell_unknown(&mut self, part: PartId) {
        self.tell(Anomaly::UnknownPart { payment: self.payment.id, part });
    }

    /// Notes that a word about another payment made this one paid as well.
    pub(crate) fn tell_paid_with(&mut self, named: PaymentId) {
        self.tell(Anomaly::PaidWithAnother { payment: self.payment.id, named });
    }

    fn tell(&mut self, anomaly: Anomaly) {
        self.record(Event::AnomalyNoted { anomaly, delivery: Delivery::Notify });
    }

    /// An engine was given a budget. What it spent beyond that is gone, and a human must look at it.
    fn tell_more_spent(&mut self, before: &Part, settlement: Option<Settlement>) {
        let Some(reported) = settlement else { return };
        let silent = faults::is(Fault::MoreIsNotTold);
        // Only an engine has a budget: an HTLC of the node's own cannot cost more than was recorded.
        if before.kind != PartKind::Delegated || before.batch == 0 || silent {
            return;
        }
        let percent = self.context.config.overpay_percent;
        let most = before.amount.map(|amount| with_allowance(amount, percent));
        let amount = reported.amount.filter(|amount| most.is_some_and(|most| *amount > most));
        let limited = self.payment.request().and_then(|request| request.max_fee.limit());
        let most = before.fee.filter(|_| limited.is_some());
        let fee = reported.fee.filter(|fee| most.is_some_and(|most| *fee > most));
        if amount.is_some() || fee.is_some() {
            let (payment, part) = (self.payment.id, before.id);
            self.tell(Anomaly::SpentMore { payment, part, amount, fee });
        }
    }

    /// Money left twice: for this payment, beyond its amount, or for a hash that another has paid.
    fn tell_second_payment(
        &mut self,
        before: &Part,
        was_paid: bool,
        elsewhere: Option<PaidElsewhere>,
    ) {
        if faults::is(Fault::TwiceInSilence) {
            return;
        }
        let (payment, part) = (self.payment.id, before.id);
        let now = self.payment.part(&part).expect("it was claimed");
        let hash = self.payment.part_hash(now).copied();
        let other = hash.and_then(|hash| self.state.payer_of(&hash, &payment)).or(elsewhere);
        if let Some(first) = other {
            self.tell_second(part, first);
        } else if was_paid && self.is_second(before, hash) {
            let settled = |other: &&Part| other.status.is_settled() && other.id != part;
            let first_part = self.payment.parts.iter().find(settled).map(|other| other.id);
            let first_payment = Some(payment);
            self.tell(Anomaly::PaidTwice { payment, part, first_payment, first_part });
        }
    }

    /// Notes that a part paid a hash that was paid elsewhere as well.
    pub(crate) fn tell_second(&mut self, part: PartId, first: PaidElsewhere) {
        let (payment, first_payment) = (self.payment.id, first.payer);
        self.tell(Anomaly::PaidTwice { payment, part, first_payment, first_part: None });
    }

    /// Whether this claim brings the payee more than the payment was for. If a part was not dispatched
    /// for what was missing, an unknown amount counts as everything.
    fn is_second(&self, before: &Part, hash: Option<PaymentHash>) -> bool {
        if hash.is_some_and(|hash| self.payment.has_paid_another(&hash)) {
            return true;
        }
        let regular = |part: &Part| part.batch > 0 && !part.adopted;
        let other = |part: &&Part| part.status.is_settled() && part.id != before.id;
        // A hand-over is for all that is missing: where two were paid, the first may have been all of it.
        let whole = |part: &Part| !regular(part) || part.kind == PartKind::Delegated;
        let unknown = |part: &Part| part.amount.is_none() && whole(part);
        let over = matches!(before.status, PartStatus::Failed | PartStatus::Withdrawn);
        let irregular =
            over || !regular(before) || self.payment.parts.iter().filter(other).any(unknown);
        let mut settled = self.payment.settled();
        // An engine that reports nothing had this much to spend.
        let silent = self.payment.part(&before.id).is_some_and(|part| part.amount.is_none());
        let mut known = self.payment.parts.iter().filter(other);
        if let Some(amount) = before.amount.filter(|_| silent) {
            settled.amount = settled.amount.saturating_add(amount);
            settled.amount_complete = known.all(|part| part.amount.is_some());
        }
        let percent = self.context.config.overpay_percent;
        let most = self.payment.amount().map(|amount| with_allowance(amount, percent));
        match most.filter(|_| settled.amount_complete) {
            Some(most) => settled.amount > most,
            None => irregular,
        }
    }

    pub(crate) fn sent(
        &mut self,
        payment_hash: Option<PaymentHash>,
        (amount, fee): (Option<Msat>, Option<Msat>),
        assertion: Option<Assertion>,
        revived: bool,
    ) {
        let unknown_until_now = matches!(self.events.first(), Some(Event::PaymentAdopted { .. }));
        let failed = matches!(self.payment.status, Status::Failed { .. });
        let correction = revived || failed || unknown_until_now;
        let id = self.payment.id;
        self.record(Event::PaymentSent { id, payment_hash, amount, fee, correction, assertion });
    }

    /// Keeps what was notified equal to what was spent: once nothing is in flight any more the sums are
    /// final, and a proof is notified as soon as it is there.
    fn tell_settled(&mut self) {
        let Some(told) = self.payment.details.told else { return };
        if self.payment.status != Status::Fulfilled || faults::is(Fault::SumsStayAsTold) {
            return;
        }
        let settled = self.payment.settled();
        let (amount, fee) = (settled.known_amount(), settled.known_fee());
        let in_flight = self.payment.parts.iter().any(|part| part.status == PartStatus::InFlight);
        // While anything is in flight the sums may still change: an early correction would be wrong in
        // the user's books again.
        let other_sums =
            !in_flight && (amount, fee) != (told.settlement.amount, told.settlement.fee);
        let proof = self.payment.preimage().is_some() && !told.proof;
        if proof || other_sums {
            self.record(Event::PaymentSettled { id: self.payment.id, amount, fee });
        }
    }

    /// The hash that this payment holds was paid elsewhere: the payment must not send again, since that
    /// would pay a settled invoice.
    pub(crate) fn paid_elsewhere(&mut self, payment_hash: &PaymentHash, by: PaidElsewhere) {
        let own = self.payment.hash() == Some(payment_hash);
        let known = self.payment.details.paid_elsewhere.is_some();
        let goes_on = faults::is(Fault::PaidHashGoesOn);
        if own && !known && !goes_on && self.payment.status != Status::Fulfilled {
            self.record(Event::PaidElsewhere { id: self.payment.id, by });
        }
    }

    /// Draws the conclusions after a part was resolved, a block ended or a notification was
    /// acknowledged, unless they are withheld: gives a payment up that cannot be tried again, fails it
    /// if nothing is out, forgets it if its failure was acknowledged. A payment that still has parts out
    /// is given up only if `part_failed`.
    pub(crate) fn conclude(&mut self, part_failed: bool) {
        if self.payment.status == Status::Fulfilled {
            self.tell_settled();
        } else if !self.state.withholds_conclusions() {
            self.draw_conclusion(part_failed);
        } else if self.payment.is_resolved() && self.offers_paid_hash() {
            // That a hash is paid stays true, whatever else is reported: no need to wait.
            self.record(Event::InvoiceDropped { id: self.payment.id });
        }
    }

    pub(crate) fn draw_conclusion(&mut self, part_failed: bool) {
        let id = self.payment.id;
        let resolved = self.payment.is_resolved();
        let over = resolved && !self.is_blocked();
        match self.payment.status {
            Status::AwaitingInvoice | Status::Pending => {
                // With anything out it is abandoned and not failed: a part may be claimed after the user
                // was refunded (SEMANTICS 4, Fail).
                if let Some(reason) = self.gives_up(resolved || part_failed) {
                    self.record(if over {
                        Event::PaymentFailed { id, reason }
                    } else {
                        Event::PaymentAbandoned { id, reason }
                    });
                } else if resolved && self.lets_hash_go() {
                    self.record(Event::InvoiceDropped { id });
                }
            }
            Status::Abandoned { reason } if over => {
                self.record(Event::PaymentFailed { id, reason });
            }
            // Notified once, superseded since, and true again: the user who waits must learn of it.
            Status::Failed { reason } if over && self.payment.details.failure_superseded => {
                if faults::is(Fault::FailureNotRetold) {
                    return;
                }
                // Its hash may have been paid while it was only remembered.
                if let Some(hash) = self.payment.hash().copied()
                    && let Some(by) = self.state.payer_of(&hash, &id)
                {
                    self.paid_elsewhere(&hash, by);
                }
                self.record(Event::PaymentFailed { id, reason });
            }
            // Only when nothing is out and the failure is acknowledged: a free id can be paid again
            // (SEMANTICS 5).
            Status::Failed { .. } if over && self.payment.unread == 0 => {
                self.note(forgotten(id, self.context.config));
            }
            Status::Abandoned { .. } | Status::Failed { .. } | Status::Fulfilled => {}
        }
    }

    fn gives_up(&self, asked: bool) -> Option<FailureReason> {
        // Another try would pay a settled invoice. An offer awaits another invoice instead (SEMANTICS 4).
        if self.payment.details.paid_elsewhere.is_some() && !self.payment.is_offer() {
            return Some(FailureReason::PaidElsewhere);
        }
        self.payment.hopeless(clock::time(self.state, self.context)).filter(|_| asked)
    }

    /// Whether an offer drops its invoice: its hand-over has failed, or its hash is paid.
    fn lets_hash_go(&self) -> bool {
        let payment = &self.payment;
        let fails = payment.drops_invoice() && !faults::is(Fault::OfferKeepsHash);
        fails || self.offers_paid_hash()
    }

    /// Whether it is an offer whose invoice was paid elsewhere.
    fn offers_paid_hash(&self) -> bool {
        let payment = &self.payment;
        payment.is_offer()
            && payment.status == Status::Pending
            && payment.details.paid_elsewhere.is_some()
            && !faults::is(Fault::OfferKeepsHash)
    }

    /// The user gives it up: it fails at once if nothing is out, otherwise it is abandoned.
    pub(crate) fn abandon(&mut self, reason: FailureReason) {
        let id = self.payment.id;
        // Parts that are out may still be claimed. If it failed now, a paid payment could be refunded (SEMANTICS 4, Abandon).
        let over = self.payment.is_resolved() && !self.is_blocked();
        if over && !self.state.withholds_conclusions() {
            self.record(Event::PaymentFailed { id, reason });
        } else {
            self.record(Event::PaymentAbandoned { id, reason });
        }
    }
}

/// An amount is at most 2.1 * 10^18, so a hundred and fifty-five percent more still fit.
pub(crate) fn with_allowance(amount: Msat, percent: u8) -> Msat {
    let allowance = u128::from(amount.0) * u128::from(percent) / 100;
    amount.saturating_add(Msat(u64::try_from(allowance).unwrap_or(u64::MAX)))
}

/// The position of the event after `ahead` others. Its log hash is not known before the entry is
/// encoded, and no rule of decide needs it.
fn at(state: &State, context: &Context<'_>, ahead: usize, blocked: bool) -> At {
    At {
        seq: state.head.seq + 1 + ahead as u64,
        now: context.now,
        epoch: state.epoch,
        tick: state.tick,
        chain: [0; 8],
        withheld: state.withholds_conclusions(),
        reference: state.tick_reference.unwrap_or(state.first_reading),
        blocked,
        vocabulary: state.vocabulary,
        decided: true,
    }
}
