//! Evolve, for one payment.

use core::mem;

use crate::{
    amount::{Msat, UnixMillis},
    event::{AdoptedPart, Event, Home, Invoice, Settlement, Word},
    ids::{PartId, PaymentHash, PaymentId, Preimage},
    notification::NotificationId,
    part::{Failure, Fate, Part, PartTerms},
    parts::Parts,
    payment::{Payment, Quiet, Terms, VerdictDue, WaitsUntil},
    rare::{Aside, Rare},
    request::{Deadline, Request, ShortDigest, Target},
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
    fn blank(at: At, id: PaymentId, status: Status, terms: Terms, rare: Aside) -> Self {
        Self {
            id,
            created_seq: at.seq,
            created_at: at.now,
            terms,
            status,
            status_seq: at.seq,
            parts: Parts::None,
            batches: 0,
            unread: 0,
            verdict_due: VerdictDue::No,
            rare,
        }
    }

    pub(crate) fn accepted(at: At, id: PaymentId, request: Request) -> Self {
        let mut rare = Aside::default();
        let status = match &request.target {
            Target::Offer { deadline, .. } => {
                rare.kept().waits_until = Some(match deadline {
                    Deadline::Ticks(ticks) => {
                        WaitsUntil::Tick(at.tick.saturating_add(u64::from(*ticks)))
                    }
                    Deadline::At(moment) => WaitsUntil::At(*moment),
                });
                Status::AwaitingInvoice
            }
            Target::Spontaneous { preimage } => {
                rare.kept().payment_hash = Some(preimage.payment_hash());
                Status::Pending
            }
            Target::Invoice { .. } => Status::Pending,
        };
        Self::blank(at, id, status, Terms::Full(request), rare)
    }

    pub(crate) fn adopted(at: At, id: PaymentId, payment_hash: Option<PaymentHash>) -> Self {
        let status = Status::Abandoned { reason: FailureReason::Adopted };
        let rare = Rare { payment_hash, ..Rare::default() };
        Self::blank(at, id, status, Terms::None, rare.into())
    }

    pub(crate) fn recalled(at: At, tombstone: &Tombstone) -> Self {
        let mut rare = Rare {
            payment_hash: tombstone.payment_hash,
            former: tombstone.parts.clone(),
            ..Rare::default()
        };
        let status = match tombstone.outcome {
            Outcome::Paid { preimage, amount, fee } => {
                rare.preimage = preimage;
                rare.reported = Some(Settlement { amount, fee });
                Status::Fulfilled
            }
            Outcome::Failed { reason, notice } => {
                rare.failed_notice = Some(notice);
                Status::Failed { reason }
            }
        };
        let terms = match &tombstone.request {
            Some(digests) => Terms::Digests(digests.clone()),
            None => Terms::None,
        };
        Self::blank(at, tombstone.id, status, terms, rare.into())
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
            Event::PartObserved { observation, .. } => {
                self.rare.kept().observations.push(observation.clone());
            }
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
        if quiet != self.rare.quiet.is_some() {
            self.rare.kept().quiet = quiet.then_some(Quiet { tick: at.tick, seq: at.seq });
        }
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
        let rare = self.rare.kept();
        rare.payment_hash = Some(invoice.payment_hash);
        rare.invoice = Some(invoice);
        rare.waits_until = None;
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
        self.learn_hash(adopted.payment_hash);
        if self.status == Status::AwaitingInvoice {
            self.wait_no_more();
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
            self.rare.kept().preimage = Some(preimage);
            self.learn_hash(hash);
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
        if let Some(payment_hash) = payment_hash {
            self.learn_hash(payment_hash);
        }
        if !self.has_settled_part() {
            self.rare.kept().reported = Some(told);
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
        self.wait_no_more();
        self.mark_verdict(at, VerdictDue::Yes);
        Ok(())
    }

    fn on_failed(&mut self, at: At, reason: FailureReason) -> Result<(), Misfit> {
        let undecided = self.status.is_open() || matches!(self.status, Status::Abandoned { .. });
        if !undecided || !self.is_resolved() {
            return Err(Misfit);
        }
        self.enter(at, Status::Failed { reason });
        self.rare.kept().failed_notice = Some(NotificationId { seq: at.seq, chain: at.chain });
        self.unread += 1;
        self.close();
        Ok(())
    }

    /// The payment is over: nothing waits any more, and nobody resumes it.
    fn close(&mut self) {
        self.verdict_due = VerdictDue::No;
        self.wait_no_more();
        if let Terms::Full(request) = &mut self.terms
            && !request.instructions.is_empty()
        {
            let dropped = mem::take(&mut request.instructions);
            self.rare.kept().instructions = Some(ShortDigest::of(&dropped));
        }
    }

    fn wait_no_more(&mut self) {
        self.rare.if_kept(|rare| rare.waits_until = None);
    }

    /// The first hash that becomes known stays.
    fn learn_hash(&mut self, payment_hash: PaymentHash) {
        if self.hash().is_none() {
            self.rare.kept().payment_hash = Some(payment_hash);
        }
    }
}
