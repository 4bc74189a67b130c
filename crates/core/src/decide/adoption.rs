//! What the node knows and the log lacks (SEMANTICS 7): parts that are out, and hashes under which
//! something is out. These are facts, and never refused for being unexpected.

use alloc::{vec, vec::Vec};
use core::convert::Infallible;

use crate::{
    base::bounded::Blob,
    base::faults,
    base::faults::Fault,
    base::ids::{PartId, PaymentHash, PaymentId},
    base::limits,
    decide::command::{AdoptPart, BlockHash, ListParts, UnblockHash},
    decide::decision::{Context, Decision, apart, deliver},
    decide::draft::Draft,
    decide::others,
    decide::others::News,
    decide::refusal::FactRefusal,
    decide::reply::FactReply,
    event::blocked_hash::BlockedHash,
    event::event::{AdoptedPart, AdoptionSource, Attribution, Delivery, Event},
    event::hash_paid::PaidElsewhere,
    event::notification::Anomaly,
    event::part::PartStatus,
    payment::at::At,
    payment::foreign_part::ForeignPart,
    payment::part::Part,
    payment::payment::Payment,
    state::place::{PartPlace, Place},
    state::state::{Ending, State},
    state::whose,
    state::whose::Known,
};

pub(crate) fn adopt(
    state: &State,
    context: &Context<'_>,
    command: AdoptPart,
) -> Result<Decision<FactReply>, Infallible> {
    let AdoptPart { id, part, payment_hash, amount, fee, kind } = command;
    let adopted = AdoptedPart { part, payment_hash, amount, fee, kind };
    let adoption = Adoption { state, context, id, adopted };
    Ok(match whose::known(state, &part, Some(&payment_hash)) {
        Known::Own(payment, part) => adoption.of_own(payment, part),
        Known::ForeignPart(foreign_part) => adoption.of_foreign_part(foreign_part),
        Known::Former(place, former, _) if former.settled => {
            // It paid its payment before; that its HTLC is still on a channel changes nothing.
            let id = state.id_at(place).copied();
            let payment = id.and_then(|id| Some((id, state.payment_view(&id)?.status)));
            Decision::nothing(FactReply { changed: false, payment })
        }
        Known::Former(place, ..) => adoption.of_former(place),
        Known::Nothing => adoption.of_unknown(),
    })
}

/// A part that the node lists as out, while its payment is looked for.
struct Adoption<'a> {
    state: &'a State,
    context: &'a Context<'a>,
    id: PaymentId,
    adopted: AdoptedPart,
}

impl State {
    /// Whether listing a part would be recorded: it is recorded as over, or was not listed since this
    /// recovery began.
    fn is_new_listing(&self, part: &Part) -> bool {
        let over = matches!(part.status, PartStatus::Failed | PartStatus::Withdrawn);
        over || (part.status.is_unresolved() && !part.is_listed_since(self.recovery_since))
    }

    /// Whether this part is known, and listing it would be recorded.
    pub(crate) fn is_news_to_list(&self, part: &PartId) -> bool {
        let place = self.part_place(part);
        let out = |place: &PartPlace| self.part_at(*place).status.is_unresolved();
        place.filter(out).is_some_and(|place| self.is_new_listing(self.part_at(place)))
    }
}

/// What the node's report adds to a part that is recorded.
struct Change {
    /// It is out again, or its terms were not known.
    changes: bool,
    /// It was recorded as over.
    out_again: bool,
    /// The log had never recorded that it went out.
    lacked: bool,
}

impl Adoption<'_> {
    fn change(&self, part: &Part, learns_hash: bool) -> Change {
        let mut after = part.clone();
        // That it is listed is recorded by another event, for many parts at once.
        let at = At { epoch: part.details.listed_in, ..At::NOWHERE };
        after.readopt(at, &self.adopted, AdoptionSource::Listed);
        // That a dispatched part is out changes nothing.
        let changes = if part.batch > 0 { after.status != part.status } else { after != *part };
        let known = part.batch > 0 || part.adopted || part.details.earlier_try;
        Change {
            changes: changes || learns_hash,
            out_again: matches!(part.status, PartStatus::Failed | PartStatus::Withdrawn),
            lacked: !known,
        }
    }

    /// Records that it is listed, once in each recovery: until recovery is finished, no weaker fact
    /// counts against it.
    fn listing(&self, part: &Part) -> Option<Event> {
        let new = part.status.is_unresolved() && self.state.is_new_listing(part);
        new.then(|| Event::PartsListed { parts: vec![part.id].into() })
    }

    fn of_own(&self, payment: &Payment, part: &Part) -> Decision<FactReply> {
        let own = payment.part_hash(part).copied();
        let told = self.adopted.payment_hash;
        // It may be recorded as resolved. It is in flight again, so that its amount is not sent a second
        // time (SEMANTICS 4).
        let change = self.change(part, own.is_none());
        // The node says that this part pays another hash: that one is out as well.
        let block = BlockedHash { payment_hash: told, engine: Blob::EMPTY };
        let other = own.is_some_and(|own| own != told) && !self.state.blocked.has(&block);
        let mut draft = Draft::of(self.state, self.context, payment);
        let news = change.changes || other;
        if change.changes {
            let part = AdoptedPart { payment_hash: own.unwrap_or(told), ..self.adopted };
            draft.adopt(part, &payment.id, AdoptionSource::Listed, false);
            if own.is_none() {
                self.keep_paid(&mut draft);
            }
            if change.out_again {
                draft.tell_out_again(part.part);
            }
        } else {
            self.listing(part).into_iter().for_each(|event| draft.note(event));
        }
        if other {
            draft.note(Event::HashBlocked { payment_hash: told, engine: Blob::EMPTY });
        }
        let mut decision = draft.finish();
        if own.is_none() && part.status.is_settled() {
            // It was paid on a word and has a hash now: no other payment may pay that hash.
            let by = PaidElsewhere { payer: Some(payment.id), proven: false };
            let done = &[payment.id];
            let news = News { paid: &[(told, by)], proof: None, ending: Ending::Nothing, done };
            others::follow(self.state, self.context, &mut decision.events, &news);
        }
        self.with_gap(decision, change.lacked).news_if(news)
    }

    fn of_foreign_part(&self, foreign_part: &ForeignPart) -> Decision<FactReply> {
        let change = self.change(&foreign_part.part, false);
        let mut events = Vec::new();
        let mut news = change.changes;
        if change.changes {
            let part = AdoptedPart { payment_hash: foreign_part.payment_hash, ..self.adopted };
            events.push(Self::foreign_parts(
                foreign_part.payment,
                part,
                foreign_part.part.details.earlier_try,
            ));
        } else {
            events.extend(self.listing(&foreign_part.part));
        }
        let payment_hash = self.adopted.payment_hash;
        let block = BlockedHash { payment_hash, engine: Blob::EMPTY };
        if payment_hash != foreign_part.payment_hash && !self.state.blocked.has(&block) {
            events.push(Event::HashBlocked { payment_hash, engine: Blob::EMPTY });
            news = true;
        }
        if change.out_again {
            self.tell_out_again(foreign_part.payment, &mut events);
        }
        self.with_gap(apart(events), change.lacked).news_if(news)
    }

    fn tell_out_again(&self, payment: PaymentId, events: &mut Vec<Event>) {
        if let Some((_, live)) = self.state.live(&payment) {
            let mut draft = Draft::of(self.state, self.context, live);
            draft.tell_out_again(self.adopted.part);
            events.append(&mut draft.events);
        }
    }

    /// A part of an earlier try, or of a remembered payment, is out: under the payment's present hash it
    /// becomes one of its parts, under another hash a foreign part that blocks it.
    fn of_former(&self, place: Place) -> Decision<FactReply> {
        let draft = Draft::at_place(self.state, self.context, place, Ending::Nothing);
        let mut draft = draft.expect("a part of an earlier try belongs to a payment");
        let id = draft.id();
        // A part of an earlier try may still be claimed, so the payment counts it before it sends more
        // (SEMANTICS 3, row 8).
        if draft.payment.takes(&self.adopted.payment_hash) {
            draft.adopt(self.adopted, &id, AdoptionSource::Listed, true);
            self.keep_paid(&mut draft);
        } else {
            draft.note(Self::foreign_parts(id, self.adopted, true));
        }
        draft.tell_out_again(self.adopted.part);
        draft.finish()
    }

    /// A part that the ledger does not know: under a known id it becomes that payment's, or a foreign
    /// part of it; under an unknown id it becomes the part of the payment that has its hash. A request
    /// that names the hash comes before an id that is known by its parts alone.
    fn of_unknown(&self) -> Decision<FactReply> {
        let hash = &self.adopted.payment_hash;
        let known = self.state.place(&self.id);
        let place = known.or_else(|| self.state.owner_of_hash(hash));
        let adopted = place.is_some_and(|place| self.state.is_adopted(place));
        let named = || self.state.namer_of_hash(hash, u64::MAX);
        // The payment that named the hash gets the part. Otherwise that payment would pay the hash again
        // (SEMANTICS 4).
        let place = if adopted { named().or(place) } else { place };
        let Some(place) = place else { return self.of_unknown_payment() };
        let draft = Draft::at_place(self.state, self.context, place, Ending::Nothing);
        let mut draft = draft.expect("a payment or a tombstone");
        let id = draft.id();
        if draft.payment.takes(&self.adopted.payment_hash) {
            draft.adopt(self.adopted, &self.id, AdoptionSource::Listed, false);
            self.keep_paid(&mut draft);
        } else {
            let (part, payment_hash) = (self.adopted.part, self.adopted.payment_hash);
            draft.note(Self::foreign_parts(id, self.adopted, false));
            let anomaly = Anomaly::ForeignPart { payment: id, part, payment_hash };
            draft.note(deliver(self.state, anomaly));
        }
        self.with_gap(draft.finish(), true)
    }

    fn of_unknown_payment(&self) -> Decision<FactReply> {
        let hash = self.adopted.payment_hash;
        let mut draft = Draft::adopted(self.state, self.context, self.id, Some(hash), None);
        draft.adopt(self.adopted, &self.id, AdoptionSource::Listed, false);
        // Its hash is already paid: this payment must not send more for it (SEMANTICS 4).
        if let Some(by) = self.state.payer_of(&hash, &self.id) {
            draft.paid_elsewhere(&hash, by);
        }
        self.keep_paid(&mut draft);
        self.with_gap(draft.finish(), true)
    }

    /// If it is out under a paid hash, the hash stays known as paid while this payment lives.
    fn keep_paid(&self, draft: &mut Draft<'_>) {
        let hash = self.adopted.payment_hash;
        if self.state.is_paid(&hash) {
            others::keep_paid(self.state, self.context, &mut draft.events, (hash, None));
        }
    }

    fn foreign_parts(id: PaymentId, part: AdoptedPart, earlier_try: bool) -> Event {
        Event::PartAdopted {
            id,
            part,
            attribution: Attribution::ForeignPart,
            source: AdoptionSource::Listed,
            earlier_try,
        }
    }

    /// Records the gap if the log lacked what the node has: the log is Restored from now on.
    fn with_gap(&self, mut decision: Decision<FactReply>, lacked: bool) -> Decision<FactReply> {
        if lacked && !self.state.gap {
            decision.events.push(Event::GapFound);
        }
        decision
    }
}

impl Decision<FactReply> {
    /// The reply says that nothing changed, unless there is news: a mere listing is recorded without
    /// being news.
    fn news_if(mut self, news: bool) -> Self {
        self.reply.changed &= news;
        self
    }
}

/// The anomaly for a part that was recorded as over and is out again; `None` if it was not.
fn out_again(state: &State, part: &PartId) -> Option<Event> {
    let place = state.part_place(part)?;
    let over = matches!(state.part_at(place).status, PartStatus::Failed | PartStatus::Withdrawn);
    let payment = match place {
        PartPlace::Payment(handle, _) => state.payments.get(handle),
        PartPlace::ForeignPart(handle) => state.live(&state.foreign_parts.get(handle).payment)?.1,
    };
    let others = payment.parts.iter().filter(|other| {
        other.id != *part && (other.status.is_unresolved() || other.status.is_settled())
    });
    let others = others.map(|other| other.id).take(limits::PAYMENT_PARTS).collect();
    let anomaly = Anomaly::OutAgain { payment: payment.id, part: *part, others };
    over.then_some(Event::AnomalyNoted { anomaly, delivery: Delivery::Notify })
}

/// The node lists parts that the ledger knows as out.
pub(crate) fn list(
    state: &State,
    _context: &Context<'_>,
    command: ListParts,
) -> Result<Decision<FactReply>, FactRefusal> {
    let ListParts { parts } = command;
    if parts.len() > limits::LISTED_PARTS {
        return Err(FactRefusal::TooMany { given: parts.len(), limit: limits::LISTED_PARTS });
    }
    let mut listed: Vec<PartId> = Vec::new();
    for part in parts {
        let place = state.part_place(&part).ok_or(FactRefusal::UnknownPart { part })?;
        if state.is_new_listing(state.part_at(place)) {
            listed.push(part);
        }
    }
    // Each part once, in a fixed order, so that equal facts give equal events.
    listed.sort_unstable();
    listed.dedup();
    if listed.is_empty() {
        return Ok(apart(Vec::new()));
    }
    let again: Vec<Event> = listed.iter().filter_map(|part| out_again(state, part)).collect();
    let news = !again.is_empty();
    let mut events = vec![Event::PartsListed { parts: listed.into() }];
    events.extend(again);
    Ok(apart(events).news_if(news))
}

pub(crate) fn block(
    state: &State,
    _context: &Context<'_>,
    command: BlockHash,
) -> Result<Decision<FactReply>, FactRefusal> {
    let BlockHash { payment_hash, engine } = command;
    check_engine(&engine)?;
    // Something is out under this hash: any payment that pays it meanwhile may be the second one
    // (SEMANTICS 7).
    let block = BlockedHash { payment_hash, engine };
    let known = state.blocked.has(&block);
    let BlockedHash { payment_hash, engine } = block;
    let events = if known { Vec::new() } else { vec![Event::HashBlocked { payment_hash, engine }] };
    Ok(apart(events))
}

/// Ends one block of a hash; a hash that is known as paid stays paid.
pub(crate) fn unblock(
    state: &State,
    context: &Context<'_>,
    command: UnblockHash,
) -> Result<Decision<FactReply>, FactRefusal> {
    let UnblockHash { payment_hash, engine } = command;
    check_engine(&engine)?;
    let ended = ended_by(state, &BlockedHash { payment_hash, engine });
    let left = state.blocked.of(&payment_hash).count() - ended.len();
    let unblocked = |block: &BlockedHash| {
        let (payment_hash, engine) = (block.payment_hash, block.engine.clone());
        Event::HashUnblocked { payment_hash, engine }
    };
    let mut events: Vec<_> = ended.iter().map(|block| unblocked(block)).collect();
    if !ended.is_empty() && left == 0 {
        // Payments that waited for the block may fail now. Earlier, the refund could have come on top of
        // what was out.
        conclude_unblocked(state, context, &mut events, &payment_hash);
    }
    Ok(apart(events))
}

/// The block that ends: this very one, if it is there. Each engine tells of its own try alone; were a hash
/// freed by what another shows, it would be paid while it is out (SEMANTICS 7).
fn ended_by<'a>(state: &'a State, block: &BlockedHash) -> Vec<&'a BlockedHash> {
    let all = state.blocked.of(&block.payment_hash);
    if faults::is(Fault::FirstEndUnblocks) && state.blocked.has(block) {
        return all.collect();
    }
    let ends = |other: &&BlockedHash| *other == block || faults::is(Fault::AnyEngineUnblocks);
    all.filter(ends).take(1).collect()
}

fn check_engine(engine: &Blob<{ limits::LABEL_BYTES }>) -> Result<(), FactRefusal> {
    let (bytes, limit) = (engine.len(), limits::LABEL_BYTES);
    if bytes > limit { Err(FactRefusal::TooLong { bytes, limit }) } else { Ok(()) }
}

fn conclude_unblocked(
    state: &State,
    context: &Context<'_>,
    events: &mut Vec<Event>,
    payment_hash: &PaymentHash,
) {
    let news = News { paid: &[], proof: None, ending: Ending::Block(payment_hash), done: &[] };
    others::follow(state, context, events, &news);
}
