//! Evolve: state + event -> state. Total: an event that does not fit marks the state inconsistent with its
//! seq, which opening and verifying refuse; it is never dropped in silence.

use alloc::sync::Arc;

use crate::{
    base::amount::UnixMillis,
    base::faults,
    base::faults::Fault,
    base::head::Head,
    base::ids::{PartId, PaymentHash, PaymentId, Preimage},
    base::slab::Handle,
    base::vocabulary::Vocabulary,
    base::wire::UnknownFields,
    event::event::{AdoptedPart, AdoptionSource, Attribution, Delivery, Event, Settlement},
    event::hash_paid::HashPaid,
    event::notification::{Anomaly, NotificationId, Unread, UnreadContent},
    event::part::{Failure, PartStatus, PartTerms},
    event::request::Request,
    event::status::Status,
    log::entry::EntryHeader,
    payment::at::{At, Inconsistent},
    payment::foreign_part::ForeignPart,
    payment::part::Part,
    payment::payment::{ConclusionDue, Payment},
    payment::tombstone::Tombstone,
    state::place::{PartPlace, Place},
    state::state::{Dropped, Ending, State},
};

/// Where an event stands in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its seq.
    pub seq: u64,
    /// When its command was decided.
    pub now: UnixMillis,
    /// The epoch of its writer.
    pub epoch: u64,
    /// The first 8 bytes of the log hash of its entry.
    pub chain: [u8; 8],
}

impl State {
    /// Folds one event. The state's head does not move: an entry's end does that
    /// ([`State::fold`]).
    pub fn evolve(&mut self, position: &Position, event: &Event) {
        let at = self.at(position);
        if self.try_evolve(at, event).is_err() {
            self.inconsistent = self.inconsistent.or(Some(position.seq));
        }
    }

    /// Folds the events of one entry and moves the head to its end. An entry of another writer than
    /// the one that opened the log last does not fit: two writers' entries must not merge into one
    /// sound log.
    pub fn fold(&mut self, header: &EntryHeader, after: Head, events: &[Event]) {
        let opens = matches!(events.first(), Some(Event::Opened { .. }));
        let epoch = if opens { self.epoch.checked_add(1) } else { Some(self.epoch) };
        if epoch != Some(header.epoch) && !faults::is(Fault::OtherEpochFolds) {
            self.inconsistent = self.inconsistent.or(Some(header.first_seq));
        }
        for (seq, event) in (header.first_seq..).zip(events) {
            let position =
                Position { seq, now: header.now, epoch: header.epoch, chain: after.chain.prefix() };
            self.evolve(&position, event);
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
        }
    }

    /// Folds an event of the log itself, which is of no payment.
    fn try_evolve_log(&mut self, at: At, event: &Event) -> Result<(), Inconsistent> {
        match event {
            Event::Opened { epoch, restored, format, .. } => {
                self.vocabulary = Vocabulary(*format);
                self.on_opened(at, *epoch, *restored)
            }
            Event::HistoryDropped { base, digest, replaces } => {
                self.on_history_dropped(at, Dropped { base: *base, digest: *digest }, *replaces)
            }
            Event::Recovered => self.on_recovered(),
            Event::GapFound => self.on_gap_found(at),
            Event::GapClosed => self.on_gap_closed(),
            Event::Ticked { tick, reference, unfinished, doubted } => {
                self.on_ticked((*tick, *reference), *unfinished, *doubted)
            }
            Event::HeightTold { height } => {
                self.height = Some(*height);
                Ok(())
            }
            _ => Err(Inconsistent),
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
            Event::PartSaidAgain { id, part } => {
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
            Event::HashBlocked { payment_hash } => {
                fits(self.blocked.insert(*payment_hash))?;
                self.review_holders(at, payment_hash);
                Ok(())
            }
            Event::HashUnblocked { payment_hash } => {
                fits(self.blocked.remove(payment_hash))?;
                self.review_holders(at, payment_hash);
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

    /// Folds what a payment came to, and puts it into the outbox.
    fn on_outcome(&mut self, at: At, event: &Event) -> Result<(), Inconsistent> {
        match event {
            Event::PaymentSent { id, amount, fee, correction, .. } => {
                let (amount, fee, correction) = (*amount, *fee, *correction);
                self.change(at, id, None, event)?;
                self.supersede_failure(id);
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

    /// Folds an event into the payment that it names; `touched` is where the part that it names is
    /// known, if it is.
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
            // With its last part under a hash that is blocked it holds that hash no more.
            self.change_payment(handle, None, |payment| payment.review(now));
        }
        if !superseded && self.payments.get(handle).details.failure_superseded {
            self.supersede_failure(id);
        }
        Ok(handle)
    }

    /// The same place, for one payment: whether something beside its parts holds it.
    fn at_payment(&self, at: At, handle: Handle) -> At {
        At { blocked: self.is_blocked(self.payments.get(handle), Ending::Nothing), ..at }
    }

    /// Something that holds this payment, beside its parts, began or ended.
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

    /// Changes a foreign part, and tells those whom it holds.
    fn change_foreign_part_at(
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

    fn on_opened(&mut self, at: At, epoch: u64, restored: bool) -> Result<(), Inconsistent> {
        fits(self.epoch.checked_add(1) == Some(epoch))?;
        self.epoch = epoch;
        // One that died before it finished its recovery leaves it to the next.
        if !self.recovering {
            self.recovery_since = epoch;
        }
        self.recovering = true;
        self.gap |= restored;
        let first = if epoch == 1 { at.now } else { self.first_reading };
        self.first_reading = first.min(at.now);
        Ok(())
    }

    fn on_recovered(&mut self) -> Result<(), Inconsistent> {
        fits(self.recovering)?;
        self.recovering = false;
        self.clear_conclusions();
        Ok(())
    }

    /// What the log lacks may have happened to any part that an earlier writer dispatched: *never
    /// sent* is not known of it any more. Only those of this opening are taken back.
    fn on_gap_found(&mut self, at: At) -> Result<(), Inconsistent> {
        fits(!self.gap)?;
        self.gap = true;
        let (at, since) = (At { withheld: true, ..at }, self.recovery_since);
        let doubtful = |part: &Part| {
            part.status == PartStatus::Withdrawn && part.details.withdrawn_in >= since
        };
        let places = self
            .payments
            .handles()
            .filter(|handle| self.payments.get(*handle).parts.iter().any(doubtful));
        let foreign_parts = self.foreign_parts.handles();
        let foreign_parts =
            foreign_parts.filter(|handle| doubtful(&self.foreign_parts.get(*handle).part));
        let foreign_parts: alloc::vec::Vec<_> = foreign_parts.collect();
        for handle in places.collect::<alloc::vec::Vec<_>>() {
            let at = self.at_payment(at, handle);
            let id = self.payments.get(handle).id;
            let taken =
                self.change_parts(handle, |payment| payment.take_back_never_sent(at, since));
            if taken && self.payments.get(handle).details.failure_superseded {
                self.supersede_failure(&id);
            }
        }
        for handle in foreign_parts {
            self.change_foreign_part_at(at, handle, |foreign_part| {
                foreign_part.part.take_back_never_sent(since);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The base that it replaces stands for the log until the drop is done, and if it is cut short.
    fn on_history_dropped(
        &mut self,
        at: At,
        dropped: Dropped,
        replaces: Option<u64>,
    ) -> Result<(), Inconsistent> {
        let known = self.dropped.iter().any(|known| Some(known.base.seq) == replaces);
        let rises = dropped.base.seq < at.seq && replaces.is_none_or(|seq| seq <= dropped.base.seq);
        if !rises || replaces.is_some() != known {
            return Err(Inconsistent);
        }
        self.dropped.items_mut().retain(|known| Some(known.base.seq) == replaces);
        self.dropped.push(dropped);
        Ok(())
    }

    fn on_gap_closed(&mut self) -> Result<(), Inconsistent> {
        fits(self.gap)?;
        self.gap = false;
        self.clear_conclusions();
        Ok(())
    }

    /// Once conclusions are no longer withheld, those that were due have been drawn.
    fn clear_conclusions(&mut self) {
        if self.withholds_conclusions() {
            return;
        }
        let drawn: alloc::vec::Vec<_> =
            self.undecided().filter_map(|payment| self.live(&payment.id)).map(|at| at.0).collect();
        for handle in drawn {
            self.change_payment(handle, None, |payment| payment.conclusion_due = ConclusionDue::No);
        }
    }

    fn on_ticked(
        &mut self,
        (tick, reference): (u64, UnixMillis),
        unfinished: bool,
        doubted: Option<UnixMillis>,
    ) -> Result<(), Inconsistent> {
        fits(tick == self.tick || Some(tick) == self.tick.checked_add(1))?;
        self.tick = tick;
        self.tick_reference = Some(reference);
        self.tick_unfinished = unfinished;
        self.tick_doubted = doubted;
        Ok(())
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
                let over = old.is_resolved() && !self.is_blocked(old, Ending::Nothing);
                fits(matches!(old.status, Status::Failed { .. }) && over)?;
                payment.follows(old);
                self.supersede_failure(id);
                self.replace_payment(handle, payment);
            }
            Some(Place::Tombstone(handle)) => {
                let old = self.tombstones.get(handle);
                fits(!old.is_paid() && !self.is_hash_blocked(old.payment_hash.as_ref()))?;
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
        self.change_foreign_part_at(at, handle, ForeignPart::disown)?;
        let foreign_part = self.foreign_parts.get(handle);
        let (payment_hash, preimage) = (foreign_part.payment_hash, foreign_part.preimage);
        self.on_hash_paid(at, &payment_hash, preimage);
        Ok(())
    }

    /// A hash is paid of which no payment tells, or not for as long as it must be known. Known once; a
    /// proof is filled in.
    fn on_hash_paid(&mut self, at: At, payment_hash: &PaymentHash, preimage: Option<Preimage>) {
        // It is needed until its anomaly has been read for long enough.
        let told = self.index.anomalies_unread.contains_key(&(0, *payment_hash));
        let idle_since = (!told).then_some(at.tick);
        if let Some(handle) = self.hash_paid(payment_hash) {
            self.change_hash_paid(handle, |paid| {
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
        fits(preimage.is_none_or(|preimage| preimage.payment_hash() == own))?;
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

    /// A failure that the user has not read is no longer true.
    fn supersede_failure(&mut self, id: &PaymentId) {
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
        fits(over && payment.unread == 0)?;
        let outcome = Tombstone::outcome(payment).ok_or(Inconsistent)?;
        // What was told under its id and failed goes with it.
        let gone =
            self.foreign_parts_of(id).filter(|(_, foreign_part)| !foreign_part.blocks_hash());
        let gone: alloc::vec::Vec<_> = gone.map(|(handle, _)| handle).collect();
        let mut foreign_parts: alloc::vec::Vec<_> =
            gone.into_iter().map(|handle| self.remove_foreign_part(handle)).collect();
        foreign_parts.sort_by_key(|foreign_part| foreign_part.created_seq);
        let payment = self.remove_payment(handle);
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
            Delivery::Folded => self.anomalies_folded += 1,
        }
        Ok(())
    }

    /// A paid hash of which an anomaly is unread stays known.
    fn needs_hash(&mut self, (_, payment_hash): &(u8, PaymentHash)) {
        if let Some(handle) = self.hash_paid(payment_hash) {
            self.change_hash_paid(handle, |paid| paid.idle_since = None);
        }
    }

    fn on_acknowledged(&mut self, at: At, seq: u64) -> Result<(), Inconsistent> {
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

fn fits(does: bool) -> Result<(), Inconsistent> {
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
