//! Evolve, for one payment.

use alloc::sync::Arc;

use crate::{
    amount::{Msat, UnixMillis},
    codec::{Blob, Many},
    event::{AdoptedPart, Event, Home, Invoice, Settlement, Word},
    ids::{PartId, PaymentHash, PaymentId, Preimage},
    notification::NotificationId,
    part::{Failure, Fate, Part, PartTerms},
    payment::{Payment, Quiet, Terms, VerdictDue, WaitsUntil},
    request::{Deadline, Request, RetryPolicy, ShortDigest, Target},
    status::{FailureReason, Status},
    tombstone::{Outcome, Tombstone},
};

/// Where an event stands: all that evolve may know besides the event and the state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) seq: u64,
    pub(crate) now: UnixMillis,
    pub(crate) epoch: u64,
    pub(crate) tick: u64,
    pub(crate) chain: [u8; 8],
    /// No verdicts are drawn: recovery is not finished, or the gap is not closed.
    pub(crate) withheld: bool,
}

/// An event that does not fit the state it is folded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misfit;

impl Payment {
    fn blank(at: At, id: PaymentId, status: Status) -> Self {
        Self {
            id,
            created_seq: at.seq,
            created_at: at.now,
            terms: Terms::None,
            payment_hash: None,
            preimage: None,
            status,
            status_seq: at.seq,
            amount: None,
            expiry: None,
            until: None,
            waits_until: None,
            invoice: None,
            parts: Many::default(),
            former: Many::default(),
            batches: 0,
            unread: 0,
            failed_notice: None,
            quiet: None,
            verdict_due: VerdictDue::No,
            observations: Many::default(),
            reported: None,
        }
    }

    pub(crate) fn accepted(at: At, id: PaymentId, request: Request) -> Self {
        let (status, waits_until) = match request.target {
            Target::Offer { deadline, .. } => {
                let until = match deadline {
                    Deadline::Ticks(ticks) => {
                        WaitsUntil::Tick(at.tick.saturating_add(u64::from(ticks)))
                    }
                    Deadline::At(moment) => WaitsUntil::At(moment),
                };
                (Status::AwaitingInvoice, Some(until))
            }
            Target::Invoice { .. } | Target::Spontaneous { .. } => (Status::Pending, None),
        };
        Self {
            payment_hash: request.target.payment_hash(),
            amount: Some(request.amount),
            expiry: request.expiry,
            until: match request.retry {
                RetryPolicy::Until(millis) => Some(at.now.plus(millis)),
                RetryPolicy::Manual | RetryPolicy::Attempts(_) => None,
            },
            waits_until,
            terms: Terms::Full { request: Arc::new(request), instructions: None },
            ..Self::blank(at, id, status)
        }
    }

    pub(crate) fn adopted(at: At, id: PaymentId, payment_hash: Option<PaymentHash>) -> Self {
        let status = Status::Abandoned { reason: FailureReason::Adopted };
        Self { payment_hash, ..Self::blank(at, id, status) }
    }

    pub(crate) fn recalled(at: At, tombstone: &Tombstone) -> Self {
        let (status, failed_notice) = match tombstone.outcome {
            Outcome::Paid { .. } => (Status::Fulfilled, None),
            Outcome::Failed { reason, notice } => (Status::Failed { reason }, Some(notice)),
        };
        let (preimage, reported) = match tombstone.outcome {
            Outcome::Paid { preimage, amount, fee } => (preimage, Some(Settlement { amount, fee })),
            Outcome::Failed { .. } => (None, None),
        };
        Self {
            payment_hash: tombstone.payment_hash,
            terms: match &tombstone.request {
                Some(digests) => Terms::Digests(digests.clone()),
                None => Terms::None,
            },
            former: tombstone.parts.clone(),
            preimage,
            reported,
            failed_notice,
            ..Self::blank(at, tombstone.id, status)
        }
    }

    /// Folds one event into the payment.
    pub(crate) fn evolve(&mut self, at: At, event: &Event) -> Result<(), Misfit> {
        match event {
            Event::InvoiceReceived { invoice, .. } => self.on_invoice(at, *invoice)?,
            Event::PartsDispatched { parts, .. } => self.on_dispatched(at, parts)?,
            Event::PartWithdrawn { part, .. } => self.on_withdrawn(at, part)?,
            Event::PartAdopted { part, home, word, .. } => self.on_adopted(at, part, *home, *word),
            Event::PartClaimed { part, preimage, settlement, .. } => {
                self.on_claimed(part, *preimage, *settlement)?;
            }
            Event::PartFinalized { part, notify, .. } => self.on_finalized(part, *notify)?,
            Event::PartFailed { part, failure, notify, .. } => {
                self.on_failed_part(at, part, failure, *notify)?;
            }
            Event::PartObserved { observation, .. } => self.observations.push(observation.clone()),
            Event::PaymentSent { payment_hash, amount, fee, .. } => {
                let told = Settlement { amount: *amount, fee: *fee };
                self.on_sent(at, *payment_hash, told)?;
            }
            Event::PaymentAbandoned { reason, .. } => self.on_abandoned(at, *reason)?,
            Event::PaymentFailed { reason, .. } => self.on_failed(at, *reason)?,
            Event::AnomalyNoted { .. } => self.unread += 1,
            _ => return Err(Misfit),
        }
        self.settle_quiet(at);
        Ok(())
    }

    /// One of the payment's notifications was acknowledged.
    pub(crate) fn on_acknowledged(&mut self, at: At) -> Result<(), Misfit> {
        self.unread = self.unread.checked_sub(1).ok_or(Misfit)?;
        if matches!(self.status, Status::Failed { .. }) {
            self.mark_verdict(at, VerdictDue::Yes);
        }
        self.settle_quiet(at);
        Ok(())
    }

    /// Any unquiet moment clears the quiet mark; it never moves otherwise.
    fn settle_quiet(&mut self, at: At) {
        let quiet = self.status == Status::Fulfilled && self.unread == 0 && self.is_resolved();
        self.quiet = match self.quiet {
            _ if !quiet => None,
            None => Some(Quiet { tick: at.tick, seq: at.seq }),
            since => since,
        };
    }

    fn enter(&mut self, at: At, status: Status) {
        self.status = status;
        self.status_seq = at.seq;
    }

    fn part_mut(&mut self, id: &PartId) -> Result<&mut Part, Misfit> {
        let index = self.parts.iter().position(|part| part.id == *id).ok_or(Misfit)?;
        self.parts.get_mut(index).ok_or(Misfit)
    }

    fn on_invoice(&mut self, at: At, invoice: Invoice) -> Result<(), Misfit> {
        if self.status != Status::AwaitingInvoice {
            return Err(Misfit);
        }
        self.payment_hash = Some(invoice.payment_hash);
        self.amount = Some(invoice.amount);
        self.expiry = match (self.expiry, invoice.expiry) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        self.invoice = Some(invoice);
        self.waits_until = None;
        self.enter(at, Status::Pending);
        Ok(())
    }

    fn on_dispatched(&mut self, at: At, parts: &[PartTerms]) -> Result<(), Misfit> {
        if !self.status.is_open() || parts.is_empty() {
            return Err(Misfit);
        }
        self.batches += 1;
        for terms in parts {
            self.parts.push(Part {
                id: terms.id,
                amount: Some(terms.amount),
                fee: Some(terms.fee),
                kind: terms.kind,
                fate: Fate::InFlight,
                batch: self.batches,
                epoch: at.epoch,
                recorded_at: at.now,
                failed_channel: None,
                permanent: false,
                lost: Msat::ZERO,
                corrected: false,
                adopted: false,
                told_as: None,
            });
        }
        Ok(())
    }

    /// Something that may end the payment happened: where verdicts are withheld, one is due.
    fn mark_verdict(&mut self, at: At, why: VerdictDue) {
        if at.withheld && self.status != Status::Fulfilled {
            self.verdict_due = self.verdict_due.max(why);
        }
    }

    fn on_withdrawn(&mut self, at: At, part: &PartId) -> Result<(), Misfit> {
        let part = self.part_mut(part)?;
        if part.fate != Fate::InFlight {
            return Err(Misfit);
        }
        part.fate = Fate::Withdrawn;
        self.mark_verdict(at, VerdictDue::Yes);
        Ok(())
    }

    fn on_adopted(&mut self, at: At, adopted: &AdoptedPart, home: Home, word: Word) {
        if let Ok(part) = self.part_mut(&adopted.part) {
            part.readopt(adopted, word);
        } else {
            let told_as = match home {
                Home::HashHolder { told_as } => Some(told_as),
                Home::Payment | Home::Stray => None,
            };
            self.parts.push(Part::adopted(at, adopted, word, told_as));
        }
        self.payment_hash = self.payment_hash.or(Some(adopted.payment_hash));
        if self.status == Status::AwaitingInvoice {
            self.waits_until = None;
            self.enter(at, Status::Pending);
        }
    }

    fn on_claimed(
        &mut self,
        part: &PartId,
        preimage: Option<Preimage>,
        settlement: Option<Settlement>,
    ) -> Result<(), Misfit> {
        if let Some(preimage) = preimage {
            let hash = preimage.payment_hash();
            if !self.takes(&hash) {
                return Err(Misfit);
            }
            self.preimage = Some(preimage);
            self.payment_hash = Some(hash);
        }
        let part = self.part_mut(part)?;
        part.claim(settlement);
        Ok(())
    }

    fn on_finalized(&mut self, part: &PartId, notify: bool) -> Result<(), Misfit> {
        let part = self.part_mut(part)?;
        if part.fate != Fate::Claimed {
            return Err(Misfit);
        }
        part.fate = Fate::Finalized;
        self.unread += u32::from(notify);
        Ok(())
    }

    fn on_failed_part(
        &mut self,
        at: At,
        part: &PartId,
        failure: &Failure,
        notify: bool,
    ) -> Result<(), Misfit> {
        self.part_mut(part)?.fail(failure)?;
        self.unread += u32::from(notify);
        self.mark_verdict(at, VerdictDue::PartFailed);
        Ok(())
    }

    fn on_sent(
        &mut self,
        at: At,
        payment_hash: Option<PaymentHash>,
        told: Settlement,
    ) -> Result<(), Misfit> {
        if self.status == Status::Fulfilled {
            return Err(Misfit);
        }
        self.payment_hash = self.payment_hash.or(payment_hash);
        if !self.has_settled_part() {
            self.reported = Some(told);
        }
        self.enter(at, Status::Fulfilled);
        self.unread += 1;
        self.close();
        Ok(())
    }

    fn on_abandoned(&mut self, at: At, reason: FailureReason) -> Result<(), Misfit> {
        if !self.status.is_open() {
            return Err(Misfit);
        }
        self.enter(at, Status::Abandoned { reason });
        self.waits_until = None;
        self.mark_verdict(at, VerdictDue::Yes);
        Ok(())
    }

    fn on_failed(&mut self, at: At, reason: FailureReason) -> Result<(), Misfit> {
        let undecided = self.status.is_open() || matches!(self.status, Status::Abandoned { .. });
        if !undecided || !self.is_resolved() {
            return Err(Misfit);
        }
        self.enter(at, Status::Failed { reason });
        self.failed_notice = Some(NotificationId { seq: at.seq, chain: at.chain });
        self.unread += 1;
        self.close();
        Ok(())
    }

    /// The payment is over: nothing waits any more, and nobody resumes it.
    fn close(&mut self) {
        self.verdict_due = VerdictDue::No;
        self.waits_until = None;
        if let Terms::Full { request, instructions: dropped @ None } = &mut self.terms
            && !request.instructions.is_empty()
        {
            *dropped = Some(ShortDigest::of(&request.instructions));
            Arc::make_mut(request).instructions = Blob::default();
        }
    }
}
