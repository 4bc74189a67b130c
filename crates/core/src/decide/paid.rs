//! *Paid* on somebody's word (SEMANTICS 4): the node knows that a payment was paid and has no proof, or
//! an operator says so.

use alloc::vec::Vec;

use crate::{
    base::bounded::Blob,
    base::faults,
    base::faults::Fault,
    base::ids::{PartId, PaymentHash, PaymentId},
    decide::assertion::check_assertion_text,
    decide::command::MarkPaid,
    decide::decision::{Context, Decision},
    decide::draft::{Draft, Proof},
    decide::foreign::payee,
    decide::others,
    decide::others::News,
    decide::refusal::FactRefusal,
    decide::reply::FactReply,
    event::event::{AdoptedPart, AdoptionSource, Event},
    event::hash_paid::PaidElsewhere,
    event::part::UNKNOWN_KIND,
    event::status::Status,
    payment::foreign_part::ForeignPart,
    state::place::Place,
    state::state::{Ending, State},
    state::whose,
    state::whose::Known,
};

/// Pays the payment that is named, and also the owners of the part and of the hash: a payment that is
/// left out would pay again what somebody says is paid.
pub(crate) fn mark_paid(
    state: &State,
    context: &Context<'_>,
    command: MarkPaid,
) -> Result<Decision<FactReply>, FactRefusal> {
    let word = Spoken { state, context, command: &command };
    word.check()?;
    let mut hashes = Vec::new();
    let targets = word.targets();
    let paid = targets.iter().enumerate().map(|(nth, at)| word.pay(at, nth == 0, &mut hashes));
    let paid: Vec<_> = paid.collect();
    let ids: Vec<_> = paid.iter().filter_map(|one| Some(one.reply.payment?.0)).collect();
    let payment = paid.first().and_then(|first| first.reply.payment);
    let mut events: Vec<_> = paid.into_iter().flat_map(|one| one.events).collect();
    // Reported twice, it changes nothing for other payments.
    if !events.is_empty() {
        word.tell_others(&mut events, &ids, hashes);
    }
    let reply = FactReply { changed: !events.is_empty(), payment };
    Ok(Decision { events, reply })
}

/// A payment that a word pays.
enum Target {
    /// A payment or a tombstone.
    Known(Place),
    /// A payment that the ledger does not have.
    New(PaymentId),
}

/// A word, while the payments that it pays are looked for.
struct Spoken<'a> {
    state: &'a State,
    context: &'a Context<'a>,
    command: &'a MarkPaid,
}

impl Spoken<'_> {
    /// An operator's word creates a payment only if the log may lack it (Restored) and the word says
    /// what was paid.
    fn check(&self) -> Result<(), FactRefusal> {
        let MarkPaid { id, payment_hash, request, assertion, .. } = self.command;
        let known = self.state.place(id).is_some();
        let says_what = payment_hash.is_some() || request.is_some();
        if assertion.is_none() || known || (self.state.gap && says_what) {
            return check_assertion_text(assertion.as_ref());
        }
        Err(FactRefusal::UnknownPayment { id: *id })
    }

    /// The hash that the word names, or that of the request that comes with it.
    fn named_hash(&self) -> Option<PaymentHash> {
        self.command.payment_hash.or_else(|| self.asked_hash())
    }

    /// The hash of the request that comes with the word, if the ledger has no request.
    fn asked_hash(&self) -> Option<PaymentHash> {
        let MarkPaid { id, request, .. } = self.command;
        let place = self.state.place(id);
        let lacks = place.is_none_or(|place| self.state.is_adopted(place));
        request.as_ref().filter(|_| lacks)?.target.payment_hash()
    }

    /// The hash that is paid, as far as the word says: the one that it names, or that of a foreign part.
    fn hash(&self) -> Option<PaymentHash> {
        let part = self.command.part.as_ref();
        let foreign_part =
            || self.state.foreign_part_of(part?).map(|foreign_part| foreign_part.payment_hash);
        self.command.payment_hash.or_else(foreign_part).or_else(|| self.named_hash())
    }

    /// The hash of the part that is named, as far as the ledger knows it.
    fn part_hash(&self) -> Option<PaymentHash> {
        match whose::known(self.state, self.command.part.as_ref()?, None) {
            Known::Own(payment, part) => payment.part_hash(part).copied(),
            Known::ForeignPart(foreign_part) => Some(foreign_part.payment_hash),
            Known::Former(_, _, hash) => hash,
            Known::Nothing => None,
        }
    }

    fn targets(&self) -> Vec<Target> {
        let MarkPaid { id, part, payment_hash, .. } = self.command;
        // The id may be unknown to us: the part and the hash show which payments would otherwise pay
        // again (SEMANTICS 4).
        let owner = part.and_then(|part| self.owner_of_part(&part));
        let owner = owner.filter(|_| !faults::is(Fault::WordIgnoresPart));
        let named = self.state.place(id);
        let holder = self.hash().and_then(|hash| self.state.owner_of_hash(&hash));
        let holder = holder.filter(|_| !faults::is(Fault::WordIgnoresHash));
        // An engine that does not know our ids gives the hash as the id.
        let unnamed = *payment_hash == Some(PaymentHash::from_bytes(*id.as_bytes()));
        let mut places: Vec<Place> = Vec::new();
        for place in named.into_iter().chain(owner).chain(holder) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let unnamed = unnamed || faults::is(Fault::WordIgnoresId);
        let new = named.is_none() && (!unnamed || places.is_empty());
        let new = new.then_some(Target::New(*id));
        new.into_iter().chain(places.into_iter().map(Target::Known)).collect()
    }

    fn owner_of_part(&self, part: &PartId) -> Option<Place> {
        let hash = self.command.payment_hash;
        match whose::known(self.state, part, hash.as_ref()) {
            Known::Own(payment, _) => self.state.place(&payment.id),
            Known::ForeignPart(foreign_part) => self.payee(foreign_part),
            Known::Former(place, ..) => Some(place),
            Known::Nothing => None,
        }
    }

    /// Makes one of the payments paid, and adds the hashes that it paid. `first`: it is the payment that
    /// is named, or else the first owner.
    fn pay(
        &self,
        target: &Target,
        first: bool,
        hashes: &mut Vec<PaymentHash>,
    ) -> Decision<FactReply> {
        let MarkPaid { id, .. } = self.command;
        if let Target::Known(Place::Tombstone(handle)) = target
            && let Some(paid) = self.remembered_as_paid(*handle)
        {
            return paid;
        }
        let ending = Ending::ForeignParts(self.command.part.as_slice());
        let mut draft = match target {
            Target::Known(place) => Draft::at_place(self.state, self.context, *place, ending)
                .expect("a payment or a tombstone"),
            Target::New(id) => self.adopted(*id),
        };
        let before = draft.payment.status;
        self.pay_part(&mut draft, first);
        self.take_claimed_foreign_parts(&mut draft);
        // It is paid although no part shows it. Without this event it would be paid again (SEMANTICS 4).
        if draft.payment.status != Status::Fulfilled {
            let settlement = self.command.settlement;
            let known = (settlement.amount, settlement.fee);
            draft.sent(self.named_hash(), known, self.command.assertion.clone(), false);
        }
        for hash in self.paid_by(&draft, first) {
            draft.tell_paid(hash);
            hashes.push(hash);
            // Its proof may have come before, and be kept apart from payments.
            if let Some(preimage) = self.state.proof_of(&hash) {
                draft.prove_word(hash, preimage);
            }
        }
        // The word was about another payment: a human must see that this one counts as paid too (SEMANTICS 4).
        if !first && before != Status::Fulfilled {
            draft.tell_paid_with(*id);
        }
        draft.conclude(false);
        let own = [self.hash(), self.part_hash(), draft.payment.hash().copied()];
        let paid = own.into_iter().flatten().filter(|hash| draft.payment.has_paid(hash));
        hashes.extend(paid);
        draft.finish()
    }

    /// The hashes that this payment paid. The hash of a request counts for the named payment and for
    /// payments that have it; the hash of the part follows from the part for its owner.
    fn paid_by(&self, draft: &Draft<'_>, first: bool) -> impl Iterator<Item = PaymentHash> + use<> {
        let payment = &draft.payment;
        let has = |hash: &PaymentHash| payment.named_since(hash).is_some() || payment.holds(hash);
        let told = self.command.payment_hash;
        let named = self.named_hash().filter(|hash| told.is_some() || first || has(hash));
        let asked = self.asked_hash().filter(|_| first);
        // A part that the log lacked has its hash from this very word: what is known of that hash counts at the
        // first telling, and the second one changes nothing.
        let adopted = || payment.part_hash(payment.part(self.command.part.as_ref()?)?).copied();
        let of_part = self.part_hash().or_else(adopted);
        let of_part = of_part.filter(|_| first || named.is_none());
        named.into_iter().chain(asked).chain(of_part)
    }

    /// A payment that the ledger does not have. If its request names a hash that another payment has
    /// paid, the hash stays known as paid while this one lives.
    fn adopted(&self, id: PaymentId) -> Draft<'_> {
        let MarkPaid { payment_hash, request, .. } = self.command;
        let asked = request.as_ref().and_then(|request| request.target.payment_hash());
        let request = request.clone();
        let mut draft = Draft::adopted(self.state, self.context, id, *payment_hash, request);
        if let Some(asked) = asked.filter(|asked| self.state.is_paid(asked)) {
            others::keep_paid(self.state, self.context, &mut draft.events, (asked, None));
        }
        draft
    }

    /// The reply if this is the same fact reported again, about a remembered payment that was paid;
    /// `None` if it is not.
    fn remembered_as_paid(&self, handle: crate::base::slab::Handle) -> Option<Decision<FactReply>> {
        let tombstone = self.state.tombstones.get(handle);
        let hash = self.command.payment_hash;
        let part = self.command.part;
        let mut hashes = self.named_hash().into_iter().chain(self.asked_hash());
        let same_hash = hashes.all(|hash| tombstone.has_paid(&hash));
        let settled = |part: &PartId| {
            tombstone.former(part, hash.as_ref()).is_some_and(|(former, _)| former.settled)
        };
        let same_part = part.as_ref().is_none_or(settled);
        let same = tombstone.is_paid() && same_hash && same_part;
        let payment = Some((tombstone.id, Status::Fulfilled));
        same.then(|| Decision::nothing(FactReply { changed: false, payment }))
    }

    fn proof(&self) -> Proof {
        let settlement = self.command.settlement;
        let known = settlement.amount.is_some() || settlement.fee.is_some();
        Proof {
            preimage: None,
            payment_hash: None,
            settlement: known.then_some(settlement),
            assertion: self.command.assertion.clone(),
            invoice: Blob::EMPTY,
        }
    }

    /// Pays the part that is named, if it is this payment's, or if it is no payment's and this is the
    /// first.
    fn pay_part(&self, draft: &mut Draft<'_>, first: bool) {
        let MarkPaid { part: Some(part), payment_hash, .. } = self.command else { return };
        match whose::known(self.state, part, payment_hash.as_ref()) {
            Known::Own(payment, known) if payment.id == draft.id() => {
                let learned = draft.payment.part_hash(known).is_none();
                let payment_hash = self.hash().filter(|_| learned);
                // A part that is claimed already must not be claimed again: it would count as a second payment.
                if !known.status.is_settled() || payment_hash.is_some() {
                    draft.claim(*part, Proof { payment_hash, ..self.proof() });
                }
            }
            Known::ForeignPart(foreign_part) if self.takes(foreign_part, draft, first) => {
                draft.take_foreign_part(foreign_part);
                if !foreign_part.part.status.is_settled() {
                    draft.claim(*part, self.proof());
                }
            }
            Known::Former(place, former, hash) if self.state.id_at(place) == Some(&draft.id()) => {
                let own = draft.payment.hash().copied().or(draft.payment.proven_hash());
                let hash = hash.or(*payment_hash).or(own);
                if let Some(hash) = hash.filter(|_| !former.settled) {
                    self.adopt_and_claim(draft, *part, hash, true);
                }
            }
            // The log lacks this part. It is kept, so that its later claim does not count as a second
            // payment.
            Known::Nothing if first => {
                let known = self.state.place(&draft.id()).is_some();
                let hash = self.named_hash().or(draft.payment.hash().copied());
                if let Some(hash) = hash {
                    self.adopt_and_claim(draft, *part, hash, false);
                    if known {
                        draft.tell_unknown(*part);
                    }
                }
            }
            _ => {}
        }
    }

    /// The payment that a foreign part pays on a word: the one that its claim would pay, else the one
    /// under whose id it was reported.
    fn payee(&self, foreign_part: &ForeignPart) -> Option<Place> {
        let told = || self.state.place(&foreign_part.payment).filter(|_| !foreign_part.disowned);
        payee(self.state, foreign_part).or_else(told)
    }

    /// Whether a foreign part is this payment's; if it is no payment's, it is that of the payment that
    /// the word names.
    fn takes(&self, foreign_part: &ForeignPart, draft: &Draft<'_>, first: bool) -> bool {
        let payee = self.payee(foreign_part).and_then(|place| self.state.id_at(place));
        payee.map_or(first, |id| *id == draft.id())
    }

    fn adopt_and_claim(
        &self,
        draft: &mut Draft<'_>,
        part: PartId,
        payment_hash: PaymentHash,
        earlier_try: bool,
    ) {
        let settlement = self.command.settlement;
        let (amount, fee) = (settlement.amount, settlement.fee);
        let adopted = AdoptedPart { part, payment_hash, amount, fee, kind: UNKNOWN_KIND };
        draft.adopt(adopted, &self.command.id, AdoptionSource::Claimed, earlier_try);
        draft.claim(part, self.proof());
    }

    /// Takes the claimed foreign parts that waited for a word about this payment; a word that names a
    /// part says nothing about them.
    fn take_claimed_foreign_parts(&self, draft: &mut Draft<'_>) {
        if self.command.part.is_some() {
            return;
        }
        let id = draft.id();
        let foreign_parts = self.state.foreign_parts_of(&id).map(|(_, foreign_part)| foreign_part);
        let mut foreign_parts: Vec<_> =
            foreign_parts.filter(|foreign_part| foreign_part.awaits_word()).collect();
        foreign_parts.sort_by_key(|foreign_part| foreign_part.created_seq);
        for foreign_part in foreign_parts {
            draft.take_foreign_part(foreign_part);
        }
    }

    /// Adds what follows for others with the hashes that are paid now.
    fn tell_others(&self, events: &mut Vec<Event>, paid: &[PaymentId], hashes: Vec<PaymentHash>) {
        let payer = paid.first().copied();
        let by = PaidElsewhere { payer, proven: false };
        let mut over: Vec<_> = hashes.into_iter().chain(self.hash()).collect();
        over.sort_unstable();
        over.dedup();
        let over: Vec<_> = over.into_iter().map(|hash| (hash, by)).collect();
        let moved = |event: &Event| match event {
            Event::PartMoved { part, .. } => Some(*part),
            _ => None,
        };
        let moved: Vec<PartId> = events.iter().filter_map(moved).collect();
        let ending = Ending::ForeignParts(&moved);
        let news = News { paid: &over, proof: None, ending, done: paid };
        others::follow(self.state, self.context, events, &news);
    }
}
