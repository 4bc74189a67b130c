//! Claims (SEMANTICS 4): a true preimage is never refused and never lost. Whatever part it came with, it
//! proves its hash, and no other payment may pay that hash any more.

use alloc::{vec, vec::Vec};

use crate::{
    base::bounded::Blob,
    base::faults::Fault,
    base::ids::{PartId, PaymentHash, PaymentId},
    base::{faults, limits},
    decide::command::ClaimPart,
    decide::config::Remember,
    decide::decision::{Context, Decision, apart, deliver, unchanged},
    decide::draft::{Draft, Proof},
    decide::foreign::{Told, claimed_foreign_part, of_nobody},
    decide::others,
    decide::others::News,
    decide::refusal::FactRefusal,
    decide::reply::FactReply,
    event::event::{AdoptedPart, AdoptionSource, Attribution, Event},
    event::hash_paid::PaidElsewhere,
    event::notification::Anomaly,
    event::part::UNKNOWN_KIND,
    event::status::Status,
    payment::foreign_part::ForeignPart,
    payment::former::FormerPart,
    payment::part::Part,
    payment::payment::Payment,
    state::place::Place,
    state::state::{Ending, State},
    state::whose,
    state::whose::Known,
};

pub(crate) fn claim(
    state: &State,
    context: &Context<'_>,
    command: ClaimPart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let hash = command.preimage.payment_hash();
    let claim = Claim { state, context, command: &command, hash };
    Ok(match whose::known(state, &command.part, Some(&hash)) {
        Known::Own(payment, part) => claim.of_own(payment, part),
        Known::ForeignPart(foreign_part) => claim.of_foreign_part(foreign_part),
        Known::Former(place, part, _) => claim.of_former(place, part),
        // The part is known, and had another hash: the bytes do not prove that it was paid.
        Known::Nothing if claim.had_another_hash() => claim.elsewhere(),
        // The engine says which hash it paid: a preimage of another hash does not prove that one.
        Known::Nothing if claim.contradicts() => claim.elsewhere(),
        Known::Nothing => claim.of_unknown(),
    })
}

/// A claim, while its payment is looked for.
struct Claim<'a> {
    state: &'a State,
    context: &'a Context<'a>,
    command: &'a ClaimPart,
    /// The hash that the preimage proves.
    hash: PaymentHash,
}

impl Claim<'_> {
    /// Whether the engine reports another hash than the preimage's.
    fn contradicts(&self) -> bool {
        self.command.payment_hash.is_some_and(|told| told != self.hash)
    }

    /// Whether a payment had this part in an earlier try, with another hash, and no hash came with the
    /// claim.
    fn had_another_hash(&self) -> bool {
        let ClaimPart { part, payment_hash, .. } = self.command;
        let known = matches!(whose::known(self.state, part, None), Known::Former(..));
        known && payment_hash.is_none() && !faults::is(Fault::AnyBytesProve)
    }

    fn part(&self) -> PartId {
        self.command.part
    }

    fn proof(&self, payment_hash: Option<PaymentHash>) -> Proof {
        Proof {
            preimage: Some(self.command.preimage),
            payment_hash,
            settlement: self.command.settlement,
            assertion: None,
            // A claim is never refused because of what comes with the preimage.
            invoice: match self.command.invoice.len() {
                0..=limits::PAID_INVOICE_BYTES => self.command.invoice.clone(),
                _ => Blob::EMPTY,
            },
        }
    }

    /// Ends the draft of the payment that has paid the hash, and adds what follows for other payments
    /// with it.
    fn finish(&self, draft: Draft<'_>, ending: Ending<'_>) -> Decision<FactReply> {
        let id = draft.id();
        // All other payments with this hash are given up because of this: if it were wrong, nobody would pay the invoice.
        debug_assert!(draft.payment.has_paid(&self.hash), "the payer has paid the hash");
        let mut decision = draft.finish();
        self.follow(&mut decision.events, Some(id), ending);
        decision
    }

    fn follow(&self, events: &mut Vec<Event>, payer: Option<PaymentId>, ending: Ending<'_>) {
        let paid = &[(self.hash, PaidElsewhere { payer, proven: true })];
        let proof = Some(self.command.preimage);
        let news = News { paid, proof, ending, done: payer.as_slice() };
        others::follow(self.state, self.context, events, &news);
    }

    fn of_own(&self, payment: &Payment, part: &Part) -> Decision<FactReply> {
        let own = payment.part_hash(part);
        // A false "paid" would lose the goods: only what fits the part's own hash pays it (SEMANTICS 4).
        let fits = own.map_or(!self.contradicts(), |own| *own == self.hash);
        if !fits {
            return self.elsewhere();
        }
        // Told twice, it is one payment: counted twice, the books would show money that never left.
        if part.status.is_settled() && payment.proof_of(&self.hash).is_some() {
            return unchanged(payment);
        }
        let learned = own.is_none().then_some(self.hash);
        let mut draft = Draft::of(self.state, self.context, payment);
        draft.claim(part.id, self.proof(learned));
        self.finish(draft, Ending::Nothing)
    }

    fn of_foreign_part(&self, foreign_part: &ForeignPart) -> Decision<FactReply> {
        if foreign_part.payment_hash != self.hash {
            return self.elsewhere();
        }
        if foreign_part.part.status.is_settled() && foreign_part.preimage.is_some() {
            return apart(Vec::new());
        }
        claimed_foreign_part(self.state, self.context, foreign_part, self.proof(None)).1
    }

    /// A part of an earlier try, or of a remembered payment, was claimed.
    fn of_former(&self, place: Place, former: FormerPart) -> Decision<FactReply> {
        if former.settled || Self::is_hidden(place) {
            // Its claim is recorded already; only the proof may be new.
            return self.prove(place, true);
        }
        let draft = Draft::at_place(self.state, self.context, place, Ending::Nothing);
        let mut draft = draft.expect("a part of an earlier try belongs to a payment");
        let id = draft.id();
        draft.adopt(self.adopted(), &id, AdoptionSource::Claimed, true);
        draft.claim(self.part(), self.proof(None));
        self.finish(draft, Ending::Nothing)
    }

    fn is_hidden(place: Place) -> bool {
        matches!(place, Place::Tombstone(_)) && faults::is(Fault::RememberedSecondPayment)
    }

    /// The claim of a part that the ledger does not know: under a known id it pays that payment, if the
    /// hash can be its own; under an unknown id the payment that has the hash; else a payment that the
    /// ledger does not have was paid.
    fn of_unknown(&self) -> Decision<FactReply> {
        let ClaimPart { id, .. } = self.command;
        let Some(place) = self.state.place(id) else {
            return match self.state.owner_of_hash(&self.hash) {
                Some(owner) => self.pays(owner),
                None => self.of_unknown_payment(),
            };
        };
        let takes = match place {
            Place::Payment(handle) => self.state.payments.get(handle).takes(&self.hash),
            Place::Tombstone(handle) => self.state.tombstones.get(handle).takes(&self.hash),
            Place::ForeignPart(_) | Place::HashPaid(_) => false,
        };
        let named = self.state.namer_for(id, &self.hash, u64::MAX);
        // If everything is remembered, the part cannot belong to a forgotten payment. Otherwise it may,
        // and reporting this one as paid would lose the goods (SEMANTICS 4).
        let forever = self.context.config.remember == Remember::Forever;
        // Bytes that fit nothing known and were not brought with their hash pay nobody; the part was told
        // under this id all the same, and holds it until somebody says whose it was.
        // Of a payment that is known by its parts alone it may be all that the log lacks.
        let adopted = self.state.is_adopted(place);
        let is_proof = self.is_true() || adopted;
        if takes && is_proof && !(named.is_some() && adopted) {
            self.pays(place)
        } else if let Some(owner) = named {
            self.pays(owner)
        } else if forever && is_proof {
            self.pays(place)
        } else {
            let (part, source) = (self.adopted(), AdoptionSource::Claimed);
            let (attribution, earlier_try) = (Attribution::ForeignPart, false);
            let mut events = self.recall(place);
            events.push(Event::PartAdopted { id: *id, part, attribution, source, earlier_try });
            let told = Told { payment: *id, part: self.part(), payment_hash: self.hash };
            of_nobody(self.state, self.context, &told, self.proof(None), events)
        }
    }

    /// A remembered payment comes back when a part of it is out or was paid.
    fn recall(&self, place: Place) -> Vec<Event> {
        match place {
            Place::Tombstone(handle) => {
                vec![Event::PaymentRecalled { id: self.state.tombstones.get(handle).id }]
            }
            _ => Vec::new(),
        }
    }

    fn pays(&self, place: Place) -> Decision<FactReply> {
        let draft = Draft::at_place(self.state, self.context, place, Ending::Nothing);
        let mut draft = draft.expect("a payment or a tombstone");
        draft.adopt(self.adopted(), &self.command.id, AdoptionSource::Claimed, false);
        draft.claim(self.part(), self.proof(None));
        draft.tell_unknown(self.part());
        self.finish(draft, Ending::Nothing)
    }

    fn of_unknown_payment(&self) -> Decision<FactReply> {
        let id = self.command.id;
        let mut draft = Draft::adopted(self.state, self.context, id, Some(self.hash), None);
        draft.adopt(self.adopted(), &id, AdoptionSource::Claimed, false);
        // PaymentSent is marked as a correction, which says that the payment was not known.
        draft.claim(self.part(), self.proof(None));
        self.finish(draft, Ending::Nothing)
    }

    fn adopted(&self) -> AdoptedPart {
        let reported = self.command.settlement.unwrap_or_default();
        AdoptedPart {
            part: self.part(),
            payment_hash: self.hash,
            amount: reported.amount,
            fee: reported.fee,
            kind: UNKNOWN_KIND,
        }
    }

    /// Whether the preimage fits a hash that the ledger knows, or the one that came with it. Any other
    /// bytes prove nothing.
    fn is_true(&self) -> bool {
        self.command.payment_hash == Some(self.hash)
            || self.state.places_of(&self.hash).next().is_some()
            || self.state.blocked.contains(&self.hash)
            || faults::is(Fault::AnyBytesProve)
    }

    /// The preimage is not the part's, and the part stays as it is. What the preimage does prove is
    /// recorded: a hash that a payment holds, one that is blocked, or one that came with the claim.
    fn elsewhere(&self) -> Decision<FactReply> {
        if let Some(owner) = self.state.owner_of_hash(&self.hash)
            && !faults::is(Fault::TruePreimageLost)
        {
            return self.prove(owner, false);
        }
        let (payment, part) = (self.command.id, self.part());
        let payment_hash = self.hash;
        let out = self.state.places_of(&self.hash).next().is_some();
        let blocked = self.state.blocked.contains(&self.hash);
        let brought =
            self.command.payment_hash == Some(self.hash) && !faults::is(Fault::TruePreimageLost);
        // Any bytes have a hash. If nothing knows that hash, they prove no payment (SEMANTICS 4, Claim).
        if !(out || blocked || brought) {
            let anomaly = Anomaly::FalsePreimage { payment, part, payment_hash };
            let told = self.state.is_told(&anomaly);
            return apart(if told { Vec::new() } else { vec![deliver(self.state, anomaly)] });
        }
        if self.state.proof_of(&self.hash).is_some() {
            return apart(Vec::new());
        }
        let preimage = Some(self.command.preimage);
        let anomaly = Anomaly::ForeignClaim { payment, part, payment_hash };
        let noted = deliver(self.state, anomaly);
        let paid = Event::HashPaid { payment_hash, preimage, payer: None };
        let mut events = vec![noted, paid];
        self.follow(&mut events, None, Ending::Nothing);
        apart(events)
    }

    /// The preimage proves a hash of this payment, by no part that it has now. `by_part`: by the claimed
    /// part, which paid the payment before.
    fn prove(&self, place: Place, by_part: bool) -> Decision<FactReply> {
        if let Place::Tombstone(handle) = place {
            let tombstone = self.state.tombstones.get(handle);
            if tombstone.has_paid(&self.hash) && tombstone.proof_of(&self.hash).is_some() {
                let payment = Some((tombstone.id, Status::Fulfilled));
                return Decision::nothing(FactReply { changed: false, payment });
            }
        }
        let draft = Draft::at_place(self.state, self.context, place, Ending::Nothing);
        let mut draft = draft.expect("a payment or a tombstone");
        if draft.payment.proof_of(&self.hash).is_some() {
            return unchanged(&draft.payment);
        }
        let id = draft.id();
        let own = PaidElsewhere { payer: Some(id), proven: true };
        let again =
            draft.payment.status == Status::Fulfilled && draft.payment.has_paid_another(&self.hash);
        // Two parts were claimed under one hash, so money left twice: a human must know (SEMANTICS 4).
        let elsewhere = self.state.payer_of(&self.hash, &id).filter(|_| by_part);
        let second = elsewhere.or(again.then_some(own));
        draft.prove(self.hash, self.command.preimage);
        if let Some(first) = second {
            draft.tell_second(self.part(), first);
        }
        self.finish(draft, Ending::Nothing)
    }
}
