//! Evolve: state + event -> state. Total: an event that does not fit leaves a misfit mark with its
//! seq, which opening and verifying refuse; it is never dropped in silence.

mod part;
mod payment;

use alloc::sync::Arc;

use crate::{
    amount::UnixMillis,
    chain::Head,
    codec::EntryHeader,
    event::{AdoptedPart, Delivery, Event, Home, Settlement, Word},
    ids::{PartId, PaymentId, Preimage},
    notification::{Anomaly, NotificationId, Unread, UnreadContent},
    part::{Failure, PartTerms},
    payment::{Payment, VerdictDue},
    request::{Request, ShortDigest},
    slab::Handle,
    state::{PartPlace, Place, State},
    status::Status,
    stray::Stray,
    tombstone::Tombstone,
};

pub(crate) use self::payment::{At, Misfit};

/// Where an event stands in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its seq.
    pub seq: u64,
    /// When its command was decided.
    pub now: UnixMillis,
    /// The epoch of its writer.
    pub epoch: u64,
    /// The first 8 bytes of the chain hash of its entry.
    pub chain: [u8; 8],
}

impl State {
    /// Folds one event. The state's head does not move: an entry's end does that
    /// ([`State::fold`]).
    pub fn evolve(&mut self, position: &Position, event: &Event) {
        let at = self.at(position);
        if self.try_evolve(at, event).is_err() {
            self.misfit = self.misfit.or(Some(position.seq));
        }
    }

    /// Folds the events of one entry and moves the head to its end.
    pub fn fold(&mut self, header: &EntryHeader, after: Head, events: &[Event]) {
        for (seq, event) in (header.first_seq..).zip(events) {
            let position =
                Position { seq, now: header.now, epoch: header.epoch, chain: after.chain.prefix() };
            self.evolve(&position, event);
        }
        self.head = after;
    }

    pub(crate) const fn at(&self, position: &Position) -> At {
        At {
            seq: position.seq,
            now: position.now,
            epoch: position.epoch,
            tick: self.tick,
            chain: position.chain,
            withheld: self.withholds_verdicts(),
        }
    }

    fn try_evolve(&mut self, at: At, event: &Event) -> Result<(), Misfit> {
        match event {
            Event::Opened { epoch, restored, .. } => self.on_opened(*epoch, *restored),
            Event::Recovered => self.on_recovered(),
            Event::GapFound => self.on_gap_found(),
            Event::GapClosed => self.on_gap_closed(),
            Event::Ticked { tick, reference, unfinished } => {
                self.on_ticked(*tick, *reference, *unfinished)
            }
            Event::PaymentAccepted { id, request, .. } => self.on_accepted(at, id, request),
            Event::PaymentAdopted { id, payment_hash } => {
                self.absent(id)?;
                self.insert_payment(Payment::adopted(at, *id, *payment_hash));
                Ok(())
            }
            Event::PaymentRecalled { id } => self.on_recalled(at, id),
            Event::PartsDispatched { id, parts, .. } => self.on_dispatched(at, id, parts, event),
            Event::PartAdopted { id, part, home: Home::Stray, word } => {
                self.on_stray(at, id, part, *word)
            }
            Event::PartAdopted { id, part, .. } => {
                self.change(at, id, self.part_place(&part.part), event).map(drop)
            }
            Event::PartWithdrawn { id, part } => match self.part_place(part) {
                Some(PartPlace::Stray(stray)) => self.change_stray(stray, Stray::withdraw),
                own => self.change(at, id, own, event).map(drop),
            },
            Event::PartClaimed { id, part, preimage, settlement } => {
                self.on_claimed(at, id, part, (*preimage, *settlement), event)
            }
            Event::PartFinalized { id, part, notify } => {
                self.on_part_finalized(at, id, part, *notify, event)
            }
            Event::PartFailed { id, part, failure, notify } => {
                self.on_part_failed(at, id, part, (failure, *notify), event)
            }
            Event::PaymentSent { id, amount, fee, correction, .. } => {
                let (amount, fee, correction) = (*amount, *fee, *correction);
                let handle = self.change(at, id, None, event)?;
                self.supersede_failure(handle);
                let payment = *id;
                self.post(at, UnreadContent::Sent { payment, amount, fee, correction })
            }
            Event::PaymentFailed { id, reason } => {
                let handle = self.change(at, id, None, event)?;
                let (payment, hash) = (*id, self.payments.get(handle).payment_hash());
                let (reason, superseded) = (*reason, false);
                self.post(at, UnreadContent::Failed { payment, hash, reason, superseded })
            }
            Event::InvoiceReceived { id, .. }
            | Event::PaymentAbandoned { id, .. }
            | Event::PartObserved { id, .. } => self.change(at, id, None, event).map(drop),
            Event::PaymentForgotten { id, remembered } => self.on_forgotten(id, *remembered),
            Event::HashHeld { payment_hash } => fits(self.held.insert(*payment_hash)),
            Event::HashReleased { payment_hash } => fits(self.held.remove(payment_hash)),
            Event::AnomalyNoted { anomaly, delivery } => {
                self.on_anomaly(at, anomaly, *delivery, event)
            }
            Event::Acknowledged { seq } => self.on_acknowledged(at, *seq),
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
    ) -> Result<Handle, Misfit> {
        let (handle, part) = match touched {
            None => (self.live(id).ok_or(Misfit)?.0, None),
            Some(PartPlace::Payment(owner, index)) => {
                fits(self.payments.get(owner).id == *id)?;
                (owner, Some(index))
            }
            Some(PartPlace::Stray(_)) => return Err(Misfit),
        };
        self.change_payment(handle, part, |payment| payment.evolve(at, event))?;
        Ok(handle)
    }

    fn absent(&self, id: &PaymentId) -> Result<(), Misfit> {
        fits(self.place(id).is_none())
    }

    fn stray(&self, part: &PartId) -> Option<Handle> {
        match self.part_place(part)? {
            PartPlace::Stray(handle) => Some(handle),
            PartPlace::Payment(..) => None,
        }
    }

    fn post(&mut self, at: At, content: UnreadContent) -> Result<(), Misfit> {
        fits(self.outbox.push(at.seq, Unread { chain: at.chain, content }))
    }

    fn on_opened(&mut self, epoch: u64, restored: bool) -> Result<(), Misfit> {
        fits(self.epoch.checked_add(1) == Some(epoch))?;
        self.epoch = epoch;
        self.recovering = true;
        self.gap |= restored;
        Ok(())
    }

    fn on_recovered(&mut self) -> Result<(), Misfit> {
        fits(self.recovering)?;
        self.recovering = false;
        self.clear_verdicts();
        Ok(())
    }

    fn on_gap_found(&mut self) -> Result<(), Misfit> {
        fits(!self.gap)?;
        self.gap = true;
        Ok(())
    }

    fn on_gap_closed(&mut self) -> Result<(), Misfit> {
        fits(self.gap)?;
        self.gap = false;
        self.clear_verdicts();
        Ok(())
    }

    /// Once verdicts are no longer withheld, those that were due have been drawn.
    fn clear_verdicts(&mut self) {
        if self.withholds_verdicts() {
            return;
        }
        let drawn: alloc::vec::Vec<_> =
            self.undecided().filter_map(|payment| self.live(&payment.id)).map(|at| at.0).collect();
        for handle in drawn {
            self.change_payment(handle, None, |payment| payment.verdict_due = VerdictDue::No);
        }
    }

    fn on_ticked(
        &mut self,
        tick: u64,
        reference: UnixMillis,
        unfinished: bool,
    ) -> Result<(), Misfit> {
        fits(tick == self.tick || Some(tick) == self.tick.checked_add(1))?;
        self.tick = tick;
        self.tick_reference = Some(reference);
        self.tick_unfinished = unfinished;
        Ok(())
    }

    fn on_accepted(&mut self, at: At, id: &PaymentId, request: &Request) -> Result<(), Misfit> {
        let mut payment = Payment::accepted(at, *id, request.clone());
        match self.place(id) {
            None => {
                self.insert_payment(payment);
            }
            Some(Place::Payment(handle)) => {
                let old = self.payments.get(handle);
                fits(matches!(old.status, Status::Failed { .. }) && old.is_resolved())?;
                let parts = old.parts.iter().map(|part| ShortDigest::of(&part.id));
                let former = old.rare.former.iter().copied().chain(parts).collect();
                payment.unread = old.unread;
                let rare = payment.rare.kept();
                rare.former = former;
                rare.failed_notice = old.failed_notification();
                self.replace_payment(handle, payment);
            }
            Some(Place::Tombstone(handle)) => {
                fits(!self.tombstones.get(handle).is_paid())?;
                payment.rare.kept().former = self.remove_tombstone(handle).parts;
                self.insert_payment(payment);
            }
            Some(Place::Stray(_)) => return Err(Misfit),
        }
        Ok(())
    }

    fn on_recalled(&mut self, at: At, id: &PaymentId) -> Result<(), Misfit> {
        let Some(Place::Tombstone(handle)) = self.place(id) else { return Err(Misfit) };
        let tombstone = self.remove_tombstone(handle);
        self.insert_payment(Payment::recalled(at, &tombstone));
        Ok(())
    }

    fn on_dispatched(
        &mut self,
        at: At,
        id: &PaymentId,
        parts: &[PartTerms],
        event: &Event,
    ) -> Result<(), Misfit> {
        let known = |part: &PartTerms| self.part_place(&part.id).is_some();
        fits(!parts.iter().any(known) && !has_doubles(parts.iter().map(|part| part.id)))?;
        self.change(at, id, None, event).map(drop)
    }

    fn on_stray(
        &mut self,
        at: At,
        id: &PaymentId,
        part: &AdoptedPart,
        word: Word,
    ) -> Result<(), Misfit> {
        match self.part_place(&part.part) {
            None => self.insert_stray(Stray::adopted(at, *id, part, word)),
            Some(PartPlace::Stray(handle)) => {
                self.change_stray(handle, |stray| stray.readopt(part, word));
            }
            Some(PartPlace::Payment(..)) => return Err(Misfit),
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
    ) -> Result<(), Misfit> {
        let handle = match self.part_place(part) {
            Some(PartPlace::Stray(handle)) => handle,
            own => return self.change(at, id, own, event).map(drop),
        };
        let own = self.strays.get(handle).payment_hash;
        fits(preimage.is_none_or(|preimage| preimage.payment_hash() == own))?;
        self.change_stray(handle, |stray| stray.claim(preimage, settlement));
        Ok(())
    }

    fn on_part_finalized(
        &mut self,
        at: At,
        id: &PaymentId,
        part: &PartId,
        notify: bool,
        event: &Event,
    ) -> Result<(), Misfit> {
        match self.part_place(part) {
            Some(PartPlace::Stray(handle)) => return self.change_stray(handle, Stray::finalize),
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
    ) -> Result<(), Misfit> {
        match self.part_place(part) {
            Some(PartPlace::Stray(handle)) => {
                return self.change_stray(handle, |stray| stray.fail(failure));
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
    fn supersede_failure(&mut self, handle: Handle) {
        let notice = self.payments.get(handle).failed_notification();
        if let Some(NotificationId { seq, .. }) = notice
            && let Some(Unread { content: UnreadContent::Failed { superseded, .. }, .. }) =
                self.outbox.get_mut(seq)
        {
            *superseded = true;
        }
    }

    fn on_forgotten(&mut self, id: &PaymentId, remembered: bool) -> Result<(), Misfit> {
        let (handle, payment) = self.live(id).ok_or(Misfit)?;
        fits(payment.is_resolved() && payment.unread == 0)?;
        let outcome = Tombstone::outcome(payment).ok_or(Misfit)?;
        let payment = self.remove_payment(handle);
        if remembered {
            self.insert_tombstone(Tombstone::of(&payment, outcome));
        }
        Ok(())
    }

    fn on_anomaly(
        &mut self,
        at: At,
        anomaly: &Anomaly,
        delivery: Delivery,
        event: &Event,
    ) -> Result<(), Misfit> {
        match delivery {
            Delivery::Notify => {
                if anomaly.is_of_payment() {
                    self.change(at, anomaly.payment(), None, event)?;
                } else {
                    self.anomalies_unread += 1;
                    let stray = self.stray(anomaly.part()).ok_or(Misfit)?;
                    self.change_stray(stray, |stray| stray.notice = Some(at.seq));
                }
                let anomaly = Arc::new(anomaly.clone());
                self.post(at, UnreadContent::Anomaly { anomaly, repeats: 0 })?;
            }
            Delivery::Repeat(seq) => match self.outbox.get_mut(seq) {
                Some(Unread { content: UnreadContent::Anomaly { repeats, .. }, .. }) => {
                    *repeats = repeats.saturating_add(1);
                }
                _ => return Err(Misfit),
            },
            Delivery::Folded => self.anomalies_folded += 1,
        }
        Ok(())
    }

    fn on_acknowledged(&mut self, at: At, seq: u64) -> Result<(), Misfit> {
        let unread = self.outbox.remove(seq).ok_or(Misfit)?;
        match unread.content.owner() {
            Some(id) => {
                let (handle, _) = self.live(id).ok_or(Misfit)?;
                self.change_payment(handle, None, |payment| payment.on_acknowledged(at))
            }
            None => {
                self.anomalies_unread = self.anomalies_unread.checked_sub(1).ok_or(Misfit)?;
                Ok(())
            }
        }
    }
}

fn fits(does: bool) -> Result<(), Misfit> {
    if does { Ok(()) } else { Err(Misfit) }
}

pub(crate) fn has_doubles<T: Ord>(items: impl ExactSizeIterator<Item = T>) -> bool {
    if items.len() < 2 {
        return false;
    }
    let mut items: alloc::vec::Vec<_> = items.collect();
    items.sort_unstable();
    items.windows(2).any(|pair| pair[0] == pair[1])
}
