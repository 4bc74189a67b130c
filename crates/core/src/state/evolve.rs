//! Evolve: state + event -> state. Total: an event that does not fit marks the state inconsistent at its
//! seq, and opening and verifying refuse such a log; no event is dropped in silence.

use alloc::sync::Arc;

use crate::{
    base::amount::UnixMillis,
    base::faults,
    base::faults::Fault,
    base::head::Head,
    base::ids::{PartId, PaymentHash, PaymentId, Preimage},
    base::slab::Handle,
    base::wire::UnknownFields,
    event::blocked_hash::BlockedHash,
    event::event::{AdoptedPart, AdoptionSource, Attribution, Delivery, Event, Settlement},
    event::hash_paid::HashPaid,
    event::notification::{Anomaly, NotificationId, Unread, UnreadContent},
    event::part::{Failure, PartTerms},
    event::request::Request,
    event::status::Status,
    log::entry::EntryHeader,
    payment::at::{At, Inconsistent},
    payment::foreign_part::ForeignPart,
    payment::payment::{ConclusionDue, Payment},
    payment::tombstone::Tombstone,
    state::place::{PartPlace, Place},
    state::state::{Ending, State},
};

/// Where an event stands in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The event's number in the log, from 1.
    pub seq: u64,
    /// When its command was decided, as its entry states.
    pub now: UnixMillis,
    /// The epoch of the writer that recorded it.
    pub epoch: u64,
    /// The first 8 bytes of the log hash of its entry.
    pub chain: [u8; 8],
}

impl State {
    /// Folds one event. The state's head does not move: an entry's end does that
    /// ([`State::fold`]).
    pub fn evolve(&mut self, position: &Position, event: &Event) {
        self.evolve_at(self.at(position), event);
    }

    fn evolve_at(&mut self, at: At, event: &Event) {
        if self.try_evolve(at, event).is_err() {
            // If a claim that does not fit were skipped, a paid payment would look unpaid. So the log
            // does not open (SEMANTICS 8).
            self.inconsistent = self.inconsistent.or(Some(at.seq));
        }
    }

    /// Folds the events of one entry and moves the head to its end. An entry of another writer than
    /// the one that opened the log last does not fit: two writers' entries must not merge into one
    /// sound log.
    pub fn fold(&mut self, header: &EntryHeader, after: Head, events: &[Event]) {
        self.fold_entry(header, after, events, false);
    }

    /// As [`fold`](Self::fold), for events that were decided on this very state.
    pub(crate) fn fold_decided(&mut self, header: &EntryHeader, after: Head, events: &[Event]) {
        self.fold_entry(header, after, events, true);
    }

    fn fold_entry(&mut self, header: &EntryHeader, after: Head, events: &[Event], decided: bool) {
        let opens = matches!(events.first(), Some(Event::Opened { .. }));
        let epoch = if opens { self.epoch.checked_add(1) } else { Some(self.epoch) };
        if epoch != Some(header.epoch) && !faults::is(Fault::OtherEpochFolds) {
            // Two writers do not see each other's dispatches. If both wrote to one log, both could pay
            // the same invoice (SEMANTICS 7).
            self.inconsistent = self.inconsistent.or(Some(header.first_seq));
        }
        for (seq, event) in (header.first_seq..).zip(events) {
            let position =
                Position { seq, now: header.now, epoch: header.epoch, chain: after.chain.prefix() };
            self.evolve_at(At { decided, ..self.at(&position) }, event);
        }
        self.head = after;
    }

    pub(crate) fn at(&self, position: &Position) -> At {
        At {
            seq: position.seq,
            now: position.now,
            epoch: position.epoch,
            tick: self.tick,
            chain: position.chain,
            withheld: self.withholds_conclusions(),
            reference: self.tick_reference.unwrap_or(self.first_reading),
            blocked: false,
            vocabulary: self.vocabulary,
            decided: false,
        }
    }

    fn try_evolve(&mut self, at: At, event: &Event) -> Result<(), Inconsistent> {
        match event {
            Event::Opened { .. }
            | Event::Recovered
            | Event::GapFound
            | Event::GapClosed
            | Event::Ticked { .. }
            | Event::HeightTold { .. }
            | Event::HistoryDropped { .. } => self.try_evolve_log(at, event),
            #[cfg(payonce_format_2)]
            Event::Remarked { .. } => Ok(()),
            Event::PaymentAccepted { id, request, .. } => self.on_accepted(at, id, request),
            Event::PaymentAdopted { id, payment_hash, request } => {
                self.absent(id)?;
                let request = request.as_deref();
                self.insert_payment(Payment::adopted(at, *id, *payment_hash, request));
                Ok(())
            }
            Event::PaymentRecalled { id } => self.on_recalled(at, id),
            Event::PartsDispatched { id, parts, .. } => self.on_dispatched(at, id, parts, event),
            Event::PartAdopted {
                id,
                part,
                attribution: Attribution::ForeignPart,
                source,
                earlier_try,
            } => self.on_foreign_part(at, id, part, (*source, *earlier_try)),
            Event::PartAdopted { id, part, .. } => {
                self.change(at, id, self.part_place(&part.part), event).map(drop)
            }
            Event::PartsListed { parts } => self.on_listed(at, parts),
            Event::PartMoved { id, part } => self.on_moved(at, id, part),
            Event::PartDisowned { part, .. } => self.on_disowned(at, part),
            Event::PartWithdrawn { id, part } => match self.part_place(part) {
                Some(PartPlace::ForeignPart(foreign_part)) => {
                    self.change_foreign_part_at(at, foreign_part, |foreign_part| {
                        foreign_part.withdraw(at)
                    })
                }
                own => self.change(at, id, own, event).map(drop),
            },
            Event::PartSaidAgain { id, part } | Event::InvoiceRequested { id, part, .. } => {
                self.change(at, id, self.part_place(part), event).map(drop)
            }
            Event::PartClaimed { id, part, preimage, settlement, .. } => {
                self.on_claimed(at, id, part, (*preimage, *settlement), event)
            }
            Event::PartFinalized { id, part, notify } => {
                self.on_part_finalized(at, id, part, *notify, event)
            }
            Event::PartFailed { id, part, failure, notify, .. } => {
                self.on_part_failed(at, id, part, (failure, *notify), event)
            }
            Event::PaymentSent { .. }
            | Event::PaymentSettled { .. }
            | Event::PaymentFailed { .. } => self.on_outcome(at, event),
            Event::InvoiceReceived { id, .. }
            | Event::InvoiceDropped { id }
            | Event::PreimageLearned { id, .. }
            | Event::PaidElsewhere { id, .. }
            | Event::PaymentAbandoned { id, .. }
            | Event::HashPaid { payer: Some(id), .. }
            | Event::PartObserved { id, .. } => self.change(at, id, None, event).map(drop),
            Event::PaymentForgotten { id, remembered } => self.on_forgotten(id, *remembered),
            Event::HashBlocked { payment_hash, engine } => {
                // Something is out under this hash. If a payment that holds it failed or dispatched now,
                // the money could leave twice (SEMANTICS 7).
                let (payment_hash, engine) = (*payment_hash, engine.clone());
                fits(self.blocked.insert(BlockedHash { payment_hash, engine }))?;
                self.review_holders(at, &payment_hash);
                Ok(())
            }
            Event::HashUnblocked { payment_hash, engine } => {
                let (payment_hash, engine) = (*payment_hash, engine.clone());
                fits(self.blocked.remove(&BlockedHash { payment_hash, engine }))?;
                self.review_holders(at, &payment_hash);
                Ok(())
            }
            Event::HashPaid { payment_hash, preimage, payer: None } => {
                self.on_hash_paid(at, payment_hash, *preimage);
                Ok(())
            }
            Event::HashForgotten { payment_hash } => self.on_hash_forgotten(payment_hash),
            Event::AnomalyNoted { anomaly, delivery } => {
                self.on_anomaly(at, anomaly, *delivery, event)
            }
            Event::Acknowledged { seq } => self.on_acknowledged(at, *seq),
        }
    }

    /// Folds an outcome of a payment, and puts its notification into the outbox.
    fn on_outcome(&mut self, at: At, event: &Event) -> Result<(), Inconsistent> {
        match event {
            Event::PaymentSent { id, amount, fee, correction, .. } => {
                let (amount, fee, correction) = (*amount, *fee, *correction);
                self.change(at, id, None, event)?;
                self.supersede_failure(id);
                // An earlier failure may still be unread. If the user acted on it now, a paid payment
                // would be refunded (SEMANTICS 4).
                let payment = *id;
                self.post(at, UnreadContent::Sent { payment, amount, fee, correction })
            }
            Event::PaymentSettled { id, amount, fee } => {
                self.change(at, id, None, event)?;
                let (payment, amount, fee) = (*id, *amount, *fee);
                self.post(at, UnreadContent::Settled { payment, amount, fee })
            }
            Event::PaymentFailed { id, reason } => {
                let handle = self.change(at, id, None, event)?;
                let known = self.payments.get(handle);
                let (payment, hash) = (*id, known.payment_hash());
                // Copied into the notification, since a new try clears it: before a refund the user must
                // know that the invoice itself is settled.
                let (reason, paid_elsewhere) = (*reason, known.details.paid_elsewhere);
                let superseded = false;
                self.post(
                    at,
                    UnreadContent::Failed { payment, hash, reason, superseded, paid_elsewhere },
                )
            }
            _ => Err(Inconsistent),
        }
    }

    /// Folds an event into the payment that it names; `touched` is the place of the part that it names,
    /// if that is known.
    fn change(
        &mut self,
        at: At,
        id: &PaymentId,
        touched: Option<PartPlace>,
        event: &Event,
    ) -> Result<Handle, Inconsistent> {
        let (handle, part) = match touched {
            None => (self.live(id).ok_or(Inconsistent)?.0, None),
            Some(PartPlace::Payment(owner, index)) => {
                // The part decides which payment it belongs to (SEMANTICS 4). Otherwise its money would
                // be counted for another payment.
                fits(self.payments.get(owner).id == *id)?;
                (owner, Some(index))
            }
            Some(PartPlace::ForeignPart(_)) => return Err(Inconsistent),
        };
        let own = self.at_payment(at, handle);
        let superseded = self.payments.get(handle).details.failure_superseded;
        self.change_payment(handle, part, |payment| payment.evolve(own, event))?;
        let now = self.at_payment(at, handle);
        if now.blocked != own.blocked {
            // If its last part under a blocked hash resolved, it no longer holds that hash.
            self.change_payment(handle, None, |payment| payment.review(now));
        }
        if !superseded && self.payments.get(handle).details.failure_superseded {
            self.supersede_failure(id);
        }
        Ok(handle)
    }

    /// The same position, with whether something other than its own parts blocks this payment.
    pub(super) fn at_payment(&self, at: At, handle: Handle) -> At {
        At { blocked: self.is_blocked(self.payments.get(handle), Ending::Nothing), ..at }
    }

    /// Something other than its own parts began or ceased to block this payment.
    fn review(&mut self, at: At, handle: Handle) {
        let at = self.at_payment(at, handle);
        let superseded = self.payments.get(handle).details.failure_superseded;
        self.change_payment(handle, None, |payment| {
            payment.mark_conclusion(at, ConclusionDue::Yes);
            payment.review(at);
        });
        let payment = self.payments.get(handle);
        if !superseded && payment.details.failure_superseded {
            let id = payment.id;
            self.supersede_failure(&id);
        }
    }

    /// As [`review`](Self::review), for all that hold a hash.
    fn review_holders(&mut self, at: At, payment_hash: &PaymentHash) {
        for handle in self.holders(payment_hash) {
            self.review(at, handle);
        }
    }

    /// Changes a foreign part, and reviews the payments that it blocks.
    pub(super) fn change_foreign_part_at(
        &mut self,
        at: At,
        handle: Handle,
        change: impl FnOnce(&mut ForeignPart) -> Result<(), Inconsistent>,
    ) -> Result<(), Inconsistent> {
        self.change_foreign_part(handle, change)?;
        let foreign_part = self.foreign_parts.get(handle);
        let (payment, payment_hash) = (foreign_part.payment, foreign_part.payment_hash);
        self.review_blocked_by_foreign_part(at, &payment, &payment_hash);
        Ok(())
    }

    fn review_blocked_by_foreign_part(
        &mut self,
        at: At,
        payment: &PaymentId,
        payment_hash: &PaymentHash,
    ) {
        let named = self.live(payment).map(|(handle, _)| handle);
        let holders = self.holders(payment_hash).into_iter();
        for handle in named.into_iter().chain(holders.filter(|holder| Some(*holder) != named)) {
            self.review(at, handle);
        }
    }

    fn absent(&self, id: &PaymentId) -> Result<(), Inconsistent> {
        fits(self.place(id).is_none())
    }

    fn post(&mut self, at: At, content: UnreadContent) -> Result<(), Inconsistent> {
        fits(self.outbox.push(at.seq, Unread { chain: at.chain, content }))
    }

    fn on_accepted(
        &mut self,
        at: At,
        id: &PaymentId,
        request: &Request,
    ) -> Result<(), Inconsistent> {
        let mut payment = Payment::accepted(at, *id, request.clone());
        match self.place(id) {
            None => {
                self.insert_payment(payment);
            }
            Some(Place::Payment(handle)) => {
                let old = self.payments.get(handle);
                // A part of the earlier try that is out may still be claimed: then a new try would be a
                // second payment (SEMANTICS 2).
                let over = old.is_resolved() && !self.is_blocked(old, Ending::Nothing);
                fits(matches!(old.status, Status::Failed { .. }) && over)?;
                // Parts of the earlier try stay this payment's: if one is claimed late, the user learns that it was paid twice (SEMANTICS 4).
                payment.follows(old);
                self.supersede_failure(id);
                self.replace_payment(handle, payment);
            }
            Some(Place::Tombstone(handle)) => {
                let old = self.tombstones.get(handle);
                // A remembered payment that was paid must not be tried again: that would be a second payment (SEMANTICS 1).
                fits(!old.is_paid() && !self.is_hash_blocked(old.payment_hash.as_ref()))?;
                // So a late claim of a part from before still finds this payment, and a second payment
                // is noticed (SEMANTICS 4).
                payment.details.kept().former = self.remove_tombstone(handle).tries;
                self.insert_payment(payment);
            }
            Some(Place::ForeignPart(_) | Place::HashPaid(_)) => return Err(Inconsistent),
        }
        Ok(())
    }

    fn on_recalled(&mut self, at: At, id: &PaymentId) -> Result<(), Inconsistent> {
        let Some(Place::Tombstone(handle)) = self.place(id) else { return Err(Inconsistent) };
        let tombstone = self.remove_tombstone(handle);
        let handle = self.insert_payment(Payment::recalled(at, &tombstone));
        self.review(at, handle);
        Ok(())
    }

    fn on_dispatched(
        &mut self,
        at: At,
        id: &PaymentId,
        parts: &[PartTerms],
        event: &Event,
    ) -> Result<(), Inconsistent> {
        let known = |part: &PartTerms| self.part_place(&part.id).is_some();
        // If two HTLCs had one part id, the failure of one would free the amount of the other, which is
        // out (SEMANTICS 3, row 4).
        fits(!parts.iter().any(known) && !has_doubles(parts.iter().map(|part| part.id)))?;
        self.change(at, id, None, event).map(drop)
    }

    fn on_foreign_part(
        &mut self,
        at: At,
        id: &PaymentId,
        part: &AdoptedPart,
        (source, earlier_try): (AdoptionSource, bool),
    ) -> Result<(), Inconsistent> {
        match self.part_place(&part.part) {
            None => {
                // It blocks the payment of its id and all payments with its hash from now on: they could
                // pay a second time (SEMANTICS 3, row 8).
                self.insert_foreign_part(ForeignPart::adopted(at, *id, part, source, earlier_try));
                self.review_blocked_by_foreign_part(at, id, &part.payment_hash);
                Ok(())
            }
            Some(PartPlace::ForeignPart(handle)) => {
                self.change_foreign_part_at(at, handle, |foreign_part| {
                    foreign_part.readopt(at, part, source);
                    Ok(())
                })
            }
            Some(PartPlace::Payment(..)) => Err(Inconsistent),
        }
    }

    fn on_listed(&mut self, at: At, parts: &[PartId]) -> Result<(), Inconsistent> {
        for part in parts {
            match self.part_place(part).ok_or(Inconsistent)? {
                PartPlace::ForeignPart(handle) => {
                    self.change_foreign_part_at(at, handle, |foreign_part| {
                        foreign_part.part.list(at);
                        Ok(())
                    })?;
                }
                PartPlace::Payment(handle, index) => {
                    let at = self.at_payment(at, handle);
                    let superseded = self.payments.get(handle).details.failure_superseded;
                    self.change_payment(handle, Some(index), |payment| payment.list(at, index));
                    let payment = self.payments.get(handle);
                    if !superseded && payment.details.failure_superseded {
                        let id = payment.id;
                        self.supersede_failure(&id);
                    }
                }
            }
        }
        Ok(())
    }

    fn on_moved(&mut self, at: At, id: &PaymentId, part: &PartId) -> Result<(), Inconsistent> {
        let Some(PartPlace::ForeignPart(handle)) = self.part_place(part) else {
            return Err(Inconsistent);
        };
        let (owner, _) = self.live(id).ok_or(Inconsistent)?;
        // The part moves and is not copied: counted in two places, the sums would show money that never left.
        let foreign_part = self.remove_foreign_part(handle);
        let own = self.at_payment(at, owner);
        self.change_payment(owner, None, |payment| payment.take_foreign_part(own, &foreign_part));
        self.review_blocked_by_foreign_part(at, &foreign_part.payment, &foreign_part.payment_hash);
        Ok(())
    }

    fn on_disowned(&mut self, at: At, part: &PartId) -> Result<(), Inconsistent> {
        let Some(PartPlace::ForeignPart(handle)) = self.part_place(part) else {
            return Err(Inconsistent);
        };
        // The part is not this payment's, but its hash is paid: it must not be paid again under any id (SEMANTICS 4).
        self.change_foreign_part_at(at, handle, ForeignPart::disown)?;
        let foreign_part = self.foreign_parts.get(handle);
        let (payment_hash, preimage) = (foreign_part.payment_hash, foreign_part.preimage);
        self.on_hash_paid(at, &payment_hash, preimage);
        Ok(())
    }

    /// A hash is paid and no payment shows it, or not for as long as it must be known. It is kept once;
    /// a later proof is filled in.
    fn on_hash_paid(&mut self, at: At, payment_hash: &PaymentHash, preimage: Option<Preimage>) {
        // It is needed until its anomaly has been read for long enough.
        let told = self.index.anomalies_unread.contains_key(&(0, *payment_hash));
        let idle_since = (!told).then_some(at.tick);
        if let Some(handle) = self.hash_paid(payment_hash) {
            self.change_hash_paid(handle, |paid| {
                // A proof is added and never replaced: without it nothing shows that the payee got the
                // money.
                paid.preimage = paid.preimage.or(preimage);
                paid.idle_since = idle_since;
            });
            return;
        }
        let (created_seq, payment_hash) = (at.seq, *payment_hash);
        self.insert_hash_paid(HashPaid {
            created_seq,
            payment_hash,
            preimage,
            idle_since,
            unknown: UnknownFields::NONE,
        });
    }

    fn on_hash_forgotten(&mut self, payment_hash: &PaymentHash) -> Result<(), Inconsistent> {
        let handle = self.hash_paid(payment_hash).ok_or(Inconsistent)?;
        self.remove_hash_paid(handle);
        // Disowned parts were kept only because of this hash. Parts that are out or wait for a word
        // stay, or their money would be forgotten.
        let disowned = self.places_of(payment_hash).filter_map(|place| match place {
            Place::ForeignPart(handle) if self.foreign_parts.get(handle).disowned => Some(handle),
            _ => None,
        });
        for handle in disowned.collect::<alloc::vec::Vec<_>>() {
            self.remove_foreign_part(handle);
        }
        Ok(())
    }

    fn on_claimed(
        &mut self,
        at: At,
        id: &PaymentId,
        part: &PartId,
        (preimage, settlement): (Option<Preimage>, Option<Settlement>),
        event: &Event,
    ) -> Result<(), Inconsistent> {
        let handle = match self.part_place(part) {
            Some(PartPlace::ForeignPart(handle)) => handle,
            own => return self.change(at, id, own, event).map(drop),
        };
        let own = self.foreign_parts.get(handle).payment_hash;
        // A preimage of another hash must not mark this hash as paid: the user would deliver goods that
        // are not paid (SEMANTICS 4).
        fits(preimage.is_none_or(|preimage| at.proves(&preimage, &own)))?;
        self.change_foreign_part_at(at, handle, |foreign_part| {
            foreign_part.claim(preimage, settlement);
            Ok(())
        })
    }

    fn on_part_finalized(
        &mut self,
        at: At,
        id: &PaymentId,
        part: &PartId,
        notify: bool,
        event: &Event,
    ) -> Result<(), Inconsistent> {
        match self.part_place(part) {
            Some(PartPlace::ForeignPart(handle)) => {
                return self.change_foreign_part_at(at, handle, ForeignPart::finalize);
            }
            own => self.change(at, id, own, event)?,
        };
        if notify {
            self.post(at, UnreadContent::PartSucceeded { payment: *id, part: *part })?;
        }
        Ok(())
    }

    fn on_part_failed(
        &mut self,
        at: At,
        id: &PaymentId,
        part: &PartId,
        (failure, notify): (&Failure, bool),
        event: &Event,
    ) -> Result<(), Inconsistent> {
        match self.part_place(part) {
            Some(PartPlace::ForeignPart(handle)) => {
                return self
                    .change_foreign_part_at(at, handle, |foreign_part| foreign_part.fail(failure));
            }
            own => self.change(at, id, own, event)?,
        };
        if notify {
            let failure = Arc::new(failure.clone());
            self.post(at, UnreadContent::PartFailed { payment: *id, part: *part, failure })?;
        }
        Ok(())
    }

    /// Marks an unread failure as no longer true: acted on now, it would refund what is paid or may
    /// still be.
    pub(super) fn supersede_failure(&mut self, id: &PaymentId) {
        let notification = self.live(id).and_then(|(_, payment)| payment.failed_notification());
        if let Some(NotificationId { seq, .. }) = notification
            && let Some(Unread { content: UnreadContent::Failed { superseded, .. }, .. }) =
                self.outbox.get_mut(seq)
        {
            *superseded = true;
        }
    }

    fn on_forgotten(&mut self, id: &PaymentId, remembered: bool) -> Result<(), Inconsistent> {
        let (handle, payment) = self.live(id).ok_or(Inconsistent)?;
        let over = payment.is_resolved() && !self.is_blocked(payment, Ending::Nothing);
        // If it were forgotten while anything is out or unread, the id would be free too early: a repeat
        // would pay again, or the user would never learn the outcome (SEMANTICS 6).
        fits(over && payment.unread == 0)?;
        let outcome = Tombstone::outcome(payment).ok_or(Inconsistent)?;
        // Foreign parts that were reported under its id and failed are forgotten with it.
        let gone =
            self.foreign_parts_of(id).filter(|(_, foreign_part)| !foreign_part.blocks_hash());
        let gone: alloc::vec::Vec<_> = gone.map(|(handle, _)| handle).collect();
        let mut foreign_parts: alloc::vec::Vec<_> =
            gone.into_iter().map(|handle| self.remove_foreign_part(handle)).collect();
        foreign_parts.sort_by_key(|foreign_part| foreign_part.created_seq);
        let payment = self.remove_payment(handle);
        // With a tombstone a late repeat gets the outcome. Without one (`Window`) it pays again from
        // here on (SEMANTICS 6).
        if remembered {
            self.insert_tombstone(Tombstone::of(&payment, outcome, &foreign_parts));
        }
        Ok(())
    }

    fn on_anomaly(
        &mut self,
        at: At,
        anomaly: &Anomaly,
        delivery: Delivery,
        event: &Event,
    ) -> Result<(), Inconsistent> {
        match delivery {
            Delivery::Notify => {
                match anomaly.repeats_by() {
                    // It keeps its payment from being forgotten until it is acknowledged: otherwise
                    // nobody could look for the money (SEMANTICS 5).
                    None => drop(self.change(at, anomaly.payment(), None, event)?),
                    Some(key) => {
                        self.anomalies_unread += 1;
                        fits(self.index.anomalies_unread.insert(key, at.seq).is_none())?;
                        self.needs_hash(&key);
                    }
                }
                let anomaly = Arc::new(anomaly.clone());
                self.post(at, UnreadContent::Anomaly { anomaly, repeats: 0 })?;
            }
            Delivery::Repeat(seq) => match self.outbox.get_mut(seq) {
                Some(Unread { content: UnreadContent::Anomaly { repeats, .. }, .. }) => {
                    *repeats = repeats.saturating_add(1);
                }
                _ => return Err(Inconsistent),
            },
            // The claim itself has an event of its own: only the number of notifications is limited, never what is recorded (SEMANTICS 9).
            Delivery::Folded => self.anomalies_folded += 1,
        }
        Ok(())
    }

    /// Keeps a paid hash known while an anomaly about it is unread.
    fn needs_hash(&mut self, (_, payment_hash): &(u8, PaymentHash)) {
        if let Some(handle) = self.hash_paid(payment_hash) {
            self.change_hash_paid(handle, |paid| paid.idle_since = None);
        }
    }

    fn on_acknowledged(&mut self, at: At, seq: u64) -> Result<(), Inconsistent> {
        // Only once: if it were counted twice, another unread notification of the payment would count as
        // read, and nobody would see it (SEMANTICS 5).
        let unread = self.outbox.remove(seq).ok_or(Inconsistent)?;
        match &unread.content {
            UnreadContent::Anomaly { anomaly, .. } if !anomaly.is_of_payment() => {
                self.anomalies_unread = self.anomalies_unread.checked_sub(1).ok_or(Inconsistent)?;
                let key = anomaly.repeats_by().ok_or(Inconsistent)?;
                self.index.anomalies_unread.remove(&key);
                if let Some(handle) = self.hash_paid(&key.1) {
                    self.change_hash_paid(handle, |paid| {
                        paid.idle_since = Some(at.tick);
                    });
                }
                Ok(())
            }
            content => {
                let id = content.owner().ok_or(Inconsistent)?;
                let (handle, _) = self.live(id).ok_or(Inconsistent)?;
                let at = self.at_payment(at, handle);
                self.change_payment(handle, None, |payment| payment.on_acknowledged(at))
            }
        }
    }
}

pub(super) fn fits(does: bool) -> Result<(), Inconsistent> {
    if does { Ok(()) } else { Err(Inconsistent) }
}

pub(crate) fn has_doubles<T: Ord>(items: impl ExactSizeIterator<Item = T>) -> bool {
    if items.len() < 2 {
        return false;
    }
    let mut items: alloc::vec::Vec<_> = items.collect();
    items.sort_unstable();
    items.windows(2).any(|pair| pair[0] == pair[1])
}
