//! Resolution (SEMANTICS 4): what the network tells of parts, accepted in any order in which it can
//! tell it.

use alloc::{vec, vec::Vec};

use crate::{
    command::{Abandon, ClaimPart, FailPart, FinalizePart, ObservePart, WithdrawPart},
    config::Config,
    decide::{Context, Decision, Draft, Proof},
    event::{AdoptedPart, Delivery, Event, Home, Settlement, Word},
    ids::{PartId, PaymentHash, PaymentId},
    limits,
    notification::Anomaly,
    part::{Assertion, Fate, Observation, Part, PartKind, UNKNOWN_KIND},
    payment::Payment,
    refusal::{AbandonRefusal, AssertionLimit, FactRefusal},
    reply::{AbandonReply, FactReply},
    state::{PartPlace, Place, State},
    status::Status,
    stray::Stray,
    tombstone::{Outcome, Tombstone},
};

/// Where a fact about a known part goes.
pub(crate) enum Located<'a> {
    /// To a part of this payment.
    Own(&'a Payment, &'a Part),
    /// To a stray.
    Stray(&'a Stray),
    /// To a part of an earlier life of a payment, or of a remembered one: it is over.
    Over,
}

/// Finds a part under the payment that the node names.
pub(crate) fn locate<'a>(
    state: &'a State,
    id: &PaymentId,
    part: &PartId,
) -> Result<Located<'a>, FactRefusal> {
    match state.part_place(part) {
        Some(PartPlace::Payment(handle, index)) => {
            let payment = state.payments.get(handle);
            let found = &payment.parts[index];
            if payment.id == *id || found.told_as.as_deref() == Some(id) {
                Ok(Located::Own(payment, found))
            } else {
                Err(FactRefusal::PartOfAnother { part: *part, owner: payment.id })
            }
        }
        Some(PartPlace::Stray(handle)) => {
            let stray = state.strays.get(handle);
            if stray.payment == *id {
                Ok(Located::Stray(stray))
            } else {
                Err(FactRefusal::PartOfAnother { part: *part, owner: stray.payment })
            }
        }
        None => match state.place(id) {
            Some(Place::Payment(handle)) if state.payments.get(handle).is_former(part) => {
                Ok(Located::Over)
            }
            Some(Place::Tombstone(handle)) if state.tombstones.get(handle).knows(part) => {
                Ok(Located::Over)
            }
            Some(_) => Err(FactRefusal::UnknownPart { part: *part }),
            None => Err(FactRefusal::UnknownPayment { id: *id }),
        },
    }
}

fn unchanged(payment: &Payment) -> Decision<FactReply> {
    Decision::nothing(FactReply::unchanged(Some(payment)))
}

/// An answer about a part without a payment, or of one that is over.
pub(crate) fn apart(events: Vec<Event>) -> Decision<FactReply> {
    Decision { reply: FactReply { changed: !events.is_empty(), payment: None }, events }
}

pub(crate) fn withdraw(
    state: &State,
    context: &Context<'_>,
    command: WithdrawPart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let WithdrawPart { id, part } = command;
    let (payment, found) = match locate(state, &id, &part)? {
        Located::Own(payment, found) => (Some(payment), found),
        Located::Stray(stray) => (None, &stray.part),
        Located::Over => return Ok(apart(Vec::new())),
    };
    match (found.fate, payment) {
        (Fate::Withdrawn, payment) => Ok(Decision::nothing(FactReply::unchanged(payment))),
        (Fate::InFlight, _) if state.gap => Err(FactRefusal::Restored),
        (Fate::InFlight, Some(payment)) => {
            let mut draft = Draft::of(state, context, payment);
            draft.record(Event::PartWithdrawn { id: payment.id, part });
            draft.conclude(false);
            Ok(draft.finish())
        }
        (Fate::InFlight, None) => Ok(apart(vec![Event::PartWithdrawn { id, part }])),
        (fate, _) => Err(FactRefusal::NotInFlight { part, fate }),
    }
}

pub(crate) fn finalize(
    state: &State,
    context: &Context<'_>,
    command: FinalizePart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let FinalizePart { id, part } = command;
    let (payment, found) = match locate(state, &id, &part)? {
        Located::Own(payment, found) => (Some(payment), found),
        Located::Stray(stray) => (None, &stray.part),
        Located::Over => return Ok(apart(Vec::new())),
    };
    match (found.fate, payment) {
        (Fate::Finalized, payment) => Ok(Decision::nothing(FactReply::unchanged(payment))),
        (Fate::Claimed, Some(payment)) => {
            let notify = context.config.notify_parts;
            let events = vec![Event::PartFinalized { id: payment.id, part, notify }];
            // No status changes by it.
            let reply = FactReply { changed: true, payment: Some((payment.id, payment.status)) };
            Ok(Decision { events, reply })
        }
        (Fate::Claimed, None) => Ok(apart(vec![Event::PartFinalized { id, part, notify: false }])),
        (fate, _) => Err(FactRefusal::NotClaimed { part, fate }),
    }
}

pub(crate) fn fail(
    state: &State,
    context: &Context<'_>,
    command: FailPart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let FailPart { id, part, failure } = command;
    let (payment, found) = match locate(state, &id, &part)? {
        Located::Own(payment, found) => (Some(payment), found),
        Located::Stray(stray) => (None, &stray.part),
        Located::Over => return Ok(apart(Vec::new())),
    };
    if !found.fate.is_unresolved() {
        return Ok(Decision::nothing(FactReply::unchanged(payment)));
    }
    if let Some(assertion) = &failure.assertion {
        check_assertion(found, assertion, context)?;
    }
    let Some(payment) = payment else {
        return Ok(apart(vec![Event::PartFailed { id, part, failure, notify: false }]));
    };
    let in_flight = found.fate == Fate::InFlight;
    let paid = payment.status == Status::Fulfilled;
    let notify = context.config.notify_parts && in_flight && !paid;
    let mut draft = Draft::of(state, context, payment);
    draft.record(Event::PartFailed { id: payment.id, part, failure, notify });
    draft.conclude(in_flight);
    Ok(draft.finish())
}

/// An operator's word counts only well after the network must have decided.
fn check_assertion(
    part: &Part,
    assertion: &Assertion,
    context: &Context<'_>,
) -> Result<(), FactRefusal> {
    let texts = [
        (assertion.by.len(), limits::ASSERTED_BY_BYTES),
        (assertion.why.len(), limits::ASSERTED_WHY_BYTES),
    ];
    if let Some((bytes, limit)) = texts.into_iter().find(|(bytes, limit)| bytes > limit) {
        return Err(FactRefusal::TooLong { bytes, limit });
    }
    let Config { assertion_margin_blocks, assertion_delegated_age_ms, .. } = *context.config;
    let (early, from) = match part.kind {
        PartKind::Htlc { cltv_expiry: Some(expiry), .. } => {
            let from = expiry.saturating_add(assertion_margin_blocks);
            (assertion.height < from, AssertionLimit::Height(from))
        }
        PartKind::Htlc { cltv_expiry: None, .. } | PartKind::Delegated => {
            let from = part.recorded_at.plus(assertion_delegated_age_ms);
            (!from.is_past(context.now), AssertionLimit::Moment(from))
        }
    };
    if early { Err(FactRefusal::AssertedTooEarly { part: part.id, from }) } else { Ok(()) }
}

pub(crate) fn observe(
    state: &State,
    context: &Context<'_>,
    command: ObservePart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let ObservePart { id, part, kind, bytes } = command;
    let payment = match locate(state, &id, &part)? {
        Located::Own(payment, _) => payment,
        Located::Stray(_) | Located::Over => return Ok(apart(Vec::new())),
    };
    if bytes.len() > limits::OBSERVATION_BYTES {
        let limit = limits::OBSERVATION_BYTES;
        return Err(FactRefusal::TooLong { bytes: bytes.len(), limit });
    }
    let observation = Observation { part, kind, bytes };
    if payment.observations().contains(&observation) {
        return Ok(unchanged(payment));
    }
    if payment.observations().len() >= limits::PAYMENT_OBSERVATIONS {
        let (id, limit) = (payment.id, limits::PAYMENT_OBSERVATIONS);
        return Err(FactRefusal::TooManyObservations { id, limit });
    }
    let mut draft = Draft::of(state, context, payment);
    draft.record(Event::PartObserved { id: payment.id, observation });
    Ok(draft.finish())
}

pub(crate) fn abandon(
    state: &State,
    context: &Context<'_>,
    command: Abandon,
) -> Result<Decision<AbandonReply>, AbandonRefusal> {
    let Abandon { id, reason } = command;
    let Some(standing) = state.standing(&id) else {
        return Err(AbandonRefusal::UnknownPayment { id });
    };
    let status = standing.status;
    let Some((_, payment)) = state.live(&id).filter(|_| status.is_open()) else {
        return Ok(Decision::nothing(AbandonReply { changed: false, status }));
    };
    let mut draft = Draft::of(state, context, payment);
    if payment.is_resolved() && !state.withholds_verdicts() {
        draft.record(Event::PaymentFailed { id, reason });
    } else {
        draft.record(Event::PaymentAbandoned { id, reason });
    }
    let status = draft.payment.status;
    Ok(draft.finish().map(|_| AbandonReply { changed: true, status }))
}

pub(crate) fn claim(
    state: &State,
    context: &Context<'_>,
    command: ClaimPart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let ClaimPart { id, part, preimage, settlement } = command;
    let hash = preimage.payment_hash();
    let claim = Claim { id, part, hash, command: &command };
    match (locate(state, &id, &part), state.part_place(&part)) {
        (Ok(Located::Own(payment, found)), _) => claim.of_known(state, context, payment, found),
        // Named under an id that the ledger does not know: the payment that holds its hash.
        (Err(FactRefusal::PartOfAnother { .. }), Some(PartPlace::Payment(handle, index)))
            if state.place(&id).is_none() && state.payments.get(handle).hash() == Some(&hash) =>
        {
            let payment = state.payments.get(handle);
            claim.of_known(state, context, payment, &payment.parts[index])
        }
        (Err(refusal @ FactRefusal::PartOfAnother { .. }), _) => Err(refusal),
        (Ok(Located::Stray(stray)), _) => {
            if stray.payment_hash != hash {
                return Err(FactRefusal::WrongPreimage { part });
            }
            if stray.part.fate.is_settled() && stray.preimage.is_some() {
                return Ok(apart(Vec::new()));
            }
            let claimed = Event::PartClaimed { id, part, preimage: Some(preimage), settlement };
            Ok(claim.under_another_hash(state, context, vec![claimed, claim.anomaly(state)]))
        }
        _ => Ok(claim.of_unknown_part(state, context)),
    }
}

/// A claim while it looks for its payment.
struct Claim<'a> {
    id: PaymentId,
    part: PartId,
    hash: PaymentHash,
    command: &'a ClaimPart,
}

impl Claim<'_> {
    fn of_known(
        &self,
        state: &State,
        context: &Context<'_>,
        payment: &Payment,
        found: &Part,
    ) -> Result<Decision<FactReply>, FactRefusal> {
        if !payment.takes(&self.hash) {
            return Err(FactRefusal::WrongPreimage { part: self.part });
        }
        if found.fate.is_settled() && payment.preimage().is_some() {
            return Ok(unchanged(payment));
        }
        let mut draft = Draft::of(state, context, payment);
        draft.claim(self.part, Proof::Preimage(self.command.preimage), self.command.settlement);
        Ok(draft.finish())
    }

    /// The part is unknown: the payment that the node names takes it if the preimage fits; for an
    /// unknown payment, the one that holds the hash; else it was paid under no payment of ours.
    fn of_unknown_part(&self, state: &State, context: &Context<'_>) -> Decision<FactReply> {
        let home = match state.place(&self.id) {
            Some(place) if takes(state, place, &self.hash) => Some(place),
            Some(_) => return self.under_another_hash(state, context, self.stray(state)),
            None => home_of_hash(state, &self.hash),
        };
        let mut draft = match home {
            Some(Place::Payment(handle)) => Draft::of(state, context, state.payments.get(handle)),
            Some(Place::Tombstone(handle)) => {
                let tombstone = state.tombstones.get(handle);
                if matches!(tombstone.outcome, Outcome::Paid { preimage: Some(_), .. }) {
                    let reply = FactReply {
                        changed: false,
                        payment: Some((tombstone.id, Status::Fulfilled)),
                    };
                    return Decision::nothing(reply);
                }
                Draft::recalled(state, context, tombstone)
            }
            Some(Place::Stray(_)) | None => {
                Draft::adopted(state, context, self.id, Some(self.hash))
            }
        };
        let former = draft.payment.is_former(&self.part);
        if draft.payment.paid_before_with(&self.part) && draft.payment.preimage().is_some() {
            // The same fact told again.
            return unchanged(&draft.payment);
        }
        draft.adopt(self.adopted(), &self.id, Word::Claimed);
        draft.claim(self.part, Proof::Preimage(self.command.preimage), self.command.settlement);
        // Of a payment that was not known at all, PaymentSent itself says so.
        if home.is_some() && !former {
            draft.found_unknown(self.part);
        }
        draft.finish()
    }

    fn adopted(&self) -> AdoptedPart {
        let reported = self.command.settlement.unwrap_or_default();
        AdoptedPart {
            part: self.part,
            payment_hash: self.hash,
            amount: reported.amount,
            fee: reported.fee,
            kind: UNKNOWN_KIND,
        }
    }

    /// Money left under a hash that is not the payment's, and the hash is blocked. It touches no
    /// payment, unless the part is of an earlier try of this one: then the obligation is paid.
    fn under_another_hash(
        &self,
        state: &State,
        context: &Context<'_>,
        stray: Vec<Event>,
    ) -> Decision<FactReply> {
        let mut draft = match state.place(&self.id) {
            Some(Place::Payment(handle)) => Draft::of(state, context, state.payments.get(handle)),
            Some(Place::Tombstone(handle)) if !state.tombstones.get(handle).is_paid() => {
                Draft::recalled(state, context, state.tombstones.get(handle))
            }
            _ => return apart(stray),
        };
        if !draft.payment.is_former(&self.part) || draft.payment.status == Status::Fulfilled {
            return apart(stray);
        }
        let Settlement { amount, fee } = self.command.settlement.unwrap_or_default();
        draft.sent(None, amount, fee, true);
        draft.correct(self.part);
        for event in stray {
            draft.note(event);
        }
        draft.finish()
    }

    fn stray(&self, state: &State) -> Vec<Event> {
        let (id, part) = (self.id, self.part);
        let preimage = Some(self.command.preimage);
        let settlement = self.command.settlement;
        let (home, word) = (Home::Stray, Word::Claimed);
        vec![
            Event::PartAdopted { id, part: self.adopted(), home, word },
            Event::PartClaimed { id, part, preimage, settlement },
            self.anomaly(state),
        ]
    }

    fn anomaly(&self, state: &State) -> Event {
        let anomaly =
            Anomaly::ForeignClaim { payment: self.id, part: self.part, payment_hash: self.hash };
        deliver(state, anomaly, &self.hash)
    }
}

fn takes(state: &State, place: Place, hash: &PaymentHash) -> bool {
    match place {
        Place::Payment(handle) => state.payments.get(handle).takes(hash),
        Place::Tombstone(handle) => state.tombstones.get(handle).takes(hash),
        Place::Stray(_) => false,
    }
}

/// The payment that holds a hash: the oldest live one, else a remembered one.
pub(crate) fn home_of_hash(state: &State, hash: &PaymentHash) -> Option<Place> {
    let is_payment = |place: &Place| !matches!(place, Place::Stray(_));
    state.first_place_of(hash, is_payment)
}

/// How an anomaly without a payment is told: a repeat is counted on the first that is unread, and
/// beyond a limit only the number grows.
pub(crate) fn deliver(state: &State, anomaly: Anomaly, hash: &PaymentHash) -> Event {
    let notice = |place: &Place| match place {
        Place::Stray(handle) => state.strays.get(*handle).notice,
        Place::Payment(_) | Place::Tombstone(_) => None,
    };
    let told = |place: &Place| {
        notice(place).is_some_and(|seq| state.unread_anomaly_is_like(seq, &anomaly))
    };
    let first = state.first_place_of(hash, told).and_then(|place| notice(&place));
    let delivery = match first {
        Some(seq) => Delivery::Repeat(seq),
        None if state.anomalies_unread as usize >= limits::ANOMALIES_UNREAD => Delivery::Folded,
        None => Delivery::Notify,
    };
    Event::AnomalyNoted { anomaly, delivery }
}

impl Tombstone {
    pub(crate) fn takes(&self, hash: &PaymentHash) -> bool {
        self.payment_hash.is_none_or(|own| own == *hash)
    }

    pub(crate) fn knows(&self, part: &PartId) -> bool {
        self.parts.contains(&crate::request::ShortDigest::of(part))
    }
}
