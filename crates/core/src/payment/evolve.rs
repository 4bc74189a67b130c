//! Evolve, for one payment.

use crate::{
    base::bounded::Blob,
    base::faults,
    base::faults::Fault,
    base::ids::{PartId, PaymentHash, PaymentId, Preimage},
    base::vocabulary::Vocabulary,
    event::event::{AdoptedPart, AdoptionSource, Attribution, Event, Invoice, Settlement},
    event::hash_paid::PaidElsewhere,
    event::notification::NotificationId,
    event::part::{Assertion, Failure, PartStatus, PartTerms},
    event::request::{Deadline, Request, RetryPolicy, ShortDigest, Target},
    event::status::{FailureReason, Status},
    payment::at::{At, Inconsistent},
    payment::details::{Detail, Details, Idle, Rest, Since, Told, WaitsUntil},
    payment::former,
    payment::part::Part,
    payment::parts::Parts,
    payment::payment::{ConclusionDue, Payment, Terms},
    payment::timing::ticks_of,
    payment::tombstone::{Outcome, Tombstone},
};

impl Payment {
    fn blank(at: At, id: PaymentId, status: Status, terms: Terms, details: Details) -> Self {
        Self {
            id,
            created_seq: at.seq,
            created_at: at.now,
            terms,
            status,
            status_seq: at.seq,
            status_at: at.now,
            parts: Parts::None,
            batches: 0,
            unread: 0,
            conclusion_due: ConclusionDue::No,
            details,
        }
    }

    pub(crate) fn accepted(at: At, id: PaymentId, request: Request) -> Self {
        let mut details = Details::default();
        let status = match &request.target {
            Target::Offer { deadline, .. } => {
                details.kept().waits_until = Some(match deadline {
                    Deadline::Ticks(ticks) => {
                        WaitsUntil::Tick(at.tick.saturating_add(u64::from(*ticks)))
                    }
                    Deadline::At(moment) => WaitsUntil::At(*moment),
                });
                Status::AwaitingInvoice
            }
            Target::Spontaneous { preimage } => {
                // We chose this preimage ourselves, so it proves nothing: only a claim shows that the
                // payee has the money (SEMANTICS 4).
                details.kept().payment_hash = Some(preimage.payment_hash());
                Status::Pending
            }
            Target::Invoice { .. } => Status::Pending,
        };
        if matches!(request.retry, RetryPolicy::Until(_)) {
            // No earlier than the last counted tick: otherwise a clock that was behind at the acceptance
            // would end the retries at once (SEMANTICS 6).
            let since = Since { at: at.now.max(at.reference), tick: at.tick };
            details.kept().retries_since = Some(since);
        }
        // A repeat is compared only by what this writer could say: a false Conflict would drive the
        // caller to a new id, which pays again (SEMANTICS 2).
        if at.vocabulary > Vocabulary::default() {
            details.kept().vocabulary = at.vocabulary;
        }
        Self::blank(at, id, status, Terms::Full(request), details)
    }

    pub(crate) fn adopted(
        at: At,
        id: PaymentId,
        payment_hash: Option<PaymentHash>,
        request: Option<&Request>,
    ) -> Self {
        // Nobody asked this ledger for the payment, so it must not send anything more for it (SEMANTICS
        // 7).
        let status = Status::Abandoned { reason: FailureReason::Adopted };
        let detail = Detail { payment_hash, ..Detail::default() };
        let mut payment = Self::blank(at, id, status, Terms::None, detail.into());
        if let Some(request) = request {
            // What is known of a request that was paid elsewhere is for comparing repeats alone.
            payment.terms = Terms::Digests(request.digests().into());
            let (asked, named_seq) = (request.target.payment_hash(), Some(at.seq));
            let detail = payment.details.kept();
            detail.payment_hash = asked.or(payment_hash);
            if asked.is_some() {
                former::group(&mut detail.former, asked).named_seq = named_seq;
            }
        }
        payment
    }

    pub(crate) fn recalled(at: At, tombstone: &Tombstone) -> Self {
        let mut detail = Detail {
            payment_hash: tombstone.payment_hash,
            former: tombstone.tries.clone(),
            asserted: tombstone.asserted.clone(),
            vocabulary: tombstone.vocabulary,
            unknown: tombstone.unknown.clone(),
            ..Detail::default()
        };
        let status = match tombstone.outcome {
            Outcome::Paid { preimage, proven_hash, amount, fee } => {
                let settlement = Settlement { amount, fee };
                detail.preimage = preimage;
                detail.proven_hash = proven_hash;
                // It counts as settled. Otherwise another part that is claimed now would not be noticed
                // as a second payment (SEMANTICS 4).
                detail.remembered = Some(settlement);
                detail.told = Some(Told { settlement, proof: preimage.is_some() });
                Status::Fulfilled
            }
            Outcome::Failed { reason, notification, paid_elsewhere } => {
                detail.failed_notification = Some(notification);
                detail.paid_elsewhere = paid_elsewhere;
                Status::Failed { reason }
            }
        };
        let terms = match &tombstone.request {
            Some(digests) => Terms::Digests(digests.clone()),
            None => Terms::None,
        };
        let payment = Self::blank(at, tombstone.id, status, terms, detail.into());
        Self { created_seq: at.seq, ..payment }
    }

    /// A new try in place of one that failed: what was reported under the id still belongs to it.
    pub(crate) fn follows(&mut self, old: &Self) {
        // Unread notifications of the old try also keep the id from being forgotten, or nobody would see them (SEMANTICS 6).
        self.unread = old.unread;
        let detail = self.details.kept();
        detail.former = old.tries();
        detail.failed_notification = old.failed_notification();
    }

    /// Folds one event into the payment.
    pub(crate) fn evolve(&mut self, at: At, event: &Event) -> Result<(), Inconsistent> {
        match event {
            Event::InvoiceReceived { invoice, .. } => self.on_invoice(at, *invoice)?,
            Event::InvoiceDropped { .. } => self.on_invoice_dropped(at)?,
            Event::PartsDispatched { parts, .. } => self.on_dispatched(at, parts)?,
            Event::PartSaidAgain { part, .. } => self.on_said_again(part)?,
            Event::PartWithdrawn { part, .. } => self.on_withdrawn(at, part)?,
            Event::PartAdopted { part, attribution, source, earlier_try, .. } => {
                self.on_adopted(at, part, (*attribution, *source, *earlier_try));
            }
            Event::PartClaimed { part, preimage, payment_hash, settlement, invoice, .. } => {
                self.on_claimed(at, part, (*preimage, *payment_hash), *settlement)?;
                if !invoice.is_empty() {
                    let details = &mut self.part_mut(part)?.details;
                    details.change(|detail| detail.invoice = invoice.clone());
                }
            }
            Event::PartFinalized { part, notify, .. } => self.on_finalized(part, *notify)?,
            Event::PartFailed { part, failure, notify, rest_ms, .. } => {
                self.on_failed_part(at, part, (failure, *notify, *rest_ms))?;
            }
            Event::PartObserved { observation, .. } => {
                self.details.kept().observations.push(observation.clone());
            }
            Event::InvoiceRequested { part, invoice_request, .. } => {
                // A payment that is over or given up would be paid by whoever was given it now (SEMANTICS 4).
                self.status.is_open().then_some(()).ok_or(Inconsistent)?;
                self.part_mut(part)?.request_invoice(invoice_request)?;
            }
            Event::PreimageLearned { payment_hash, preimage, .. } => {
                self.on_preimage(at, *payment_hash, *preimage)?;
            }
            Event::HashPaid { payment_hash, .. } => self.on_hash_paid(*payment_hash)?,
            Event::PaymentSent { payment_hash, amount, fee, assertion, .. } => {
                let told = Settlement { amount: *amount, fee: *fee };
                self.on_sent(at, *payment_hash, told, assertion.as_ref())?;
            }
            Event::PaymentSettled { amount, fee, .. } => {
                self.on_settled(Settlement { amount: *amount, fee: *fee })?;
            }
            Event::PaidElsewhere { by, .. } => self.on_paid_elsewhere(at, *by)?,
            Event::PaymentAbandoned { reason, .. } => self.on_abandoned(at, *reason)?,
            Event::PaymentFailed { reason, .. } => self.on_failed(at, *reason)?,
            // An unread anomaly keeps its payment from being forgotten: otherwise nobody could look for
            // the money (SEMANTICS 5).
            Event::AnomalyNoted { .. } => self.unread += 1,
            _ => return Err(Inconsistent),
        }
        self.review(at);
        Ok(())
    }

    /// One of the payment's notifications was acknowledged.
    pub(crate) fn on_acknowledged(&mut self, at: At) -> Result<(), Inconsistent> {
        self.unread = self.unread.checked_sub(1).ok_or(Inconsistent)?;
        if matches!(self.status, Status::Failed { .. }) {
            self.mark_conclusion(at, ConclusionDue::Yes);
        }
        self.review(at);
        Ok(())
    }

    /// Updates what depends on what is out or blocked. A failure that was notified is superseded once
    /// anything is out again: whoever believed it would pay a second time.
    pub(crate) fn review(&mut self, at: At) {
        let over = self.is_resolved() && !at.blocked;
        let stands = faults::is(Fault::FailureStands);
        if matches!(self.status, Status::Failed { .. }) && !over && !stands {
            self.details.kept().failure_superseded = true;
        }
        // Idle time starts again after anything was out or unread. Otherwise the id would be free too
        // early, and a late repeat would pay again (SEMANTICS 6).
        let idle = self.status == Status::Fulfilled && self.unread == 0 && over;
        if idle != self.details.idle.is_some() {
            self.details.kept().idle = idle.then_some(Idle { tick: at.tick, seq: at.seq });
        }
        // A tick that forgets the payment relies on it (decide/tick.rs).
        debug_assert!(self.idle().is_none() || self.is_over(), "idle is only what is over");
    }

    fn enter(&mut self, at: At, status: Status) {
        self.status = status;
        self.status_seq = at.seq;
        self.status_at = at.now;
    }

    fn part_mut(&mut self, id: &PartId) -> Result<&mut Part, Inconsistent> {
        let index = self.parts.iter().position(|part| part.id == *id).ok_or(Inconsistent)?;
        self.parts.get_mut(index).ok_or(Inconsistent)
    }

    fn each_part(&mut self, mut change: impl FnMut(&mut Part)) {
        for index in 0..self.parts.len() {
            change(self.parts.get_mut(index).expect("it is below their number"));
        }
    }

    fn on_invoice(&mut self, at: At, invoice: Invoice) -> Result<(), Inconsistent> {
        // A second invoice, while the first may still be paid, would be a second payment (SEMANTICS 2).
        if self.status != Status::AwaitingInvoice {
            return Err(Inconsistent);
        }
        let detail = self.details.kept();
        detail.payment_hash = Some(invoice.payment_hash);
        detail.invoice = Some(invoice);
        self.enter(at, Status::Pending);
        Ok(())
    }

    fn on_invoice_dropped(&mut self, at: At) -> Result<(), Inconsistent> {
        // If the hash were dropped while anything is out under it, another payment could pay it too
        // (SEMANTICS 4, An offer).
        if self.status != Status::Pending || !self.is_offer() || !self.is_resolved() {
            return Err(Inconsistent);
        }
        let named_seq = self.created_seq;
        let detail = self.details.kept();
        let dropped = detail.payment_hash.take();
        detail.invoice = None;
        detail.paid_elsewhere = None;
        // Whatever still turns up under it is of this obligation.
        let of = former::group(&mut detail.former, dropped);
        of.named_seq = of.named_seq.or(Some(named_seq));
        self.enter(at, Status::AwaitingInvoice);
        Ok(())
    }

    fn on_dispatched(&mut self, at: At, parts: &[PartTerms]) -> Result<(), Inconsistent> {
        // A new part of a payment that is over would pay a second time, or after the refund (SEMANTICS 3, row 6).
        if !self.status.is_open() || parts.is_empty() {
            return Err(Inconsistent);
        }
        // This number is never used again, not even after a withdrawal: otherwise two workers could
        // dispatch the same missing amount (SEMANTICS 3, row 12).
        self.batches += 1;
        // An offer may let its hash go: its parts keep theirs.
        let own_hash = self.hash().copied().filter(|_| self.is_offer());
        for terms in parts {
            let mut part = Part::dispatched(at, terms, self.batches);
            if own_hash.is_some() {
                part.details.change(|detail| detail.payment_hash = own_hash);
            }
            self.parts.push(part);
        }
        self.details.if_kept(|detail| detail.rests_until = None);
        Ok(())
    }

    fn on_said_again(&mut self, part: &PartId) -> Result<(), Inconsistent> {
        let part = self.part_mut(part)?;
        if part.status != PartStatus::InFlight {
            return Err(Inconsistent);
        }
        // Every saying is counted: until each has its end, the hand-over may still be paid (SEMANTICS 4,
        // Fail).
        part.details.change(|detail| detail.said_again = detail.said_again.saturating_add(1));
        Ok(())
    }

    /// Something happened that may end the payment: if conclusions are withheld, one is now due.
    pub(crate) fn mark_conclusion(&mut self, at: At, why: ConclusionDue) {
        if at.withheld && self.status != Status::Fulfilled {
            self.conclusion_due = self.conclusion_due.max(why);
        }
    }

    fn on_withdrawn(&mut self, at: At, part: &PartId) -> Result<(), Inconsistent> {
        // From here on its amount may be sent again, so this is only for parts that were never sent (SEMANTICS 4).
        self.part_mut(part)?.withdraw(at)?;
        self.mark_conclusion(at, ConclusionDue::Yes);
        Ok(())
    }

    fn on_adopted(
        &mut self,
        at: At,
        adopted: &AdoptedPart,
        (attribution, source, earlier_try): (Attribution, AdoptionSource, bool),
    ) {
        // An adopted payment has no request of its own: the first hash that becomes known is its.
        if self.hash().is_none() && matches!(self.terms, Terms::None) {
            self.details.kept().payment_hash = Some(adopted.payment_hash);
        }
        if let Ok(part) = self.part_mut(&adopted.part) {
            part.readopt(at, adopted, source);
        } else {
            let mut part = Part::adopted(at, adopted, source);
            if let Attribution::HashHolder { named_id } = attribution {
                part.details.change(|detail| detail.named_id = Some(named_id));
            }
            if earlier_try {
                part.details.change(|detail| detail.earlier_try = true);
            }
            self.parts.push(part);
        }
        self.learn_part_hash(&adopted.part, adopted.payment_hash);
        // A part for one of its invoices is out. If it went on waiting, it would take a second invoice
        // and pay both (SEMANTICS 1).
        if self.status == Status::AwaitingInvoice {
            self.enter(at, Status::Pending);
        }
    }

    /// Records the hash of a part whose hash was not known; the part keeps it if the payment's own hash
    /// may be another.
    fn learn_part_hash(&mut self, part: &PartId, payment_hash: PaymentHash) {
        let own = self.is_offer() || self.hash() != Some(&payment_hash);
        if let Ok(part) = self.part_mut(part)
            && own
            && part.details.payment_hash.is_none()
        {
            part.details.change(|detail| detail.payment_hash = Some(payment_hash));
        }
    }

    /// A foreign part of it, or of another payment, turned out to be this one's part.
    pub(crate) fn take_foreign_part(
        &mut self,
        at: At,
        foreign_part: &crate::payment::foreign_part::ForeignPart,
    ) {
        let mut part = foreign_part.part.clone();
        let own = self.is_offer() || self.hash() != Some(&foreign_part.payment_hash);
        part.details.change(|detail| {
            detail.payment_hash = own.then_some(foreign_part.payment_hash);
            detail.preimage = foreign_part.preimage.filter(|_| own);
            if foreign_part.payment != self.id {
                detail.named_id = Some(foreign_part.payment);
            }
        });
        self.parts.push(part);
        // The payment keeps its first proof; the part keeps this one in any case, so no proof is lost.
        if foreign_part.preimage.is_some() && self.details.preimage.is_none() {
            let detail = self.details.kept();
            detail.preimage = foreign_part.preimage;
            detail.proven_hash = own.then_some(foreign_part.payment_hash);
        }
        self.review(at);
    }

    fn on_claimed(
        &mut self,
        at: At,
        part: &PartId,
        (preimage, told_hash): (Option<Preimage>, Option<PaymentHash>),
        settlement: Option<Settlement>,
    ) -> Result<(), Inconsistent> {
        // A hand-over of an invoice that is known, or of no offer, is for all of it.
        let own = self.part(part).ok_or(Inconsistent)?.details.payment_hash;
        let invoiced = own.is_some_and(|own| self.named_since(&own).is_some());
        let whole = if self.is_offer() { invoiced } else { self.hash().is_some() };
        if let Some(told) = told_hash {
            if self.hash().is_none() && matches!(self.terms, Terms::None) {
                self.details.kept().payment_hash = Some(told);
            }
            self.learn_part_hash(part, told);
        }
        let own_hash = self.hash().copied();
        let index = self.parts.iter().position(|own| own.id == *part).ok_or(Inconsistent)?;
        let hash = self.part_hash(&self.parts[index]).copied();
        if let Some(preimage) = preimage {
            // What is folded as proof is one: a log that says otherwise is not ours.
            if hash.is_none_or(|hash| !at.proves(&preimage, &hash)) {
                return Err(Inconsistent);
            }
            if self.details.preimage.is_none() {
                let detail = self.details.kept();
                detail.preimage = Some(preimage);
                detail.proven_hash = hash.filter(|_| hash != own_hash);
            }
        }
        // A proof that is not the payment's first is kept with its part.
        let second = hash != own_hash || preimage != self.details.preimage;
        let part = self.parts.get_mut(index).ok_or(Inconsistent)?;
        if second && preimage.is_some() {
            part.details.change(|detail| detail.preimage = preimage);
        }
        part.claim(settlement, whole);
        Ok(())
    }

    fn on_preimage(
        &mut self,
        at: At,
        payment_hash: PaymentHash,
        preimage: Preimage,
    ) -> Result<(), Inconsistent> {
        // With a false proof an unpaid payment would look paid, and the user would lose the goods (SEMANTICS 4, Claim).
        if !at.proves(&preimage, &payment_hash) {
            return Err(Inconsistent);
        }
        let own = self.hash() == Some(&payment_hash);
        let detail = self.details.kept();
        if detail.preimage.is_none() {
            detail.preimage = Some(preimage);
            detail.proven_hash = (!own).then_some(payment_hash);
        }
        let first = detail.preimage == Some(preimage);
        // The hash is known as paid although no part shows it. Without this mark it could be dispatched again and paid twice (SEMANTICS 4).
        detail.own_hash_paid |= own;
        // The first proof is the payment's; a second one stands beside its hash.
        if !own || !first {
            let of = former::group(&mut detail.former, Some(payment_hash));
            of.paid = true;
            of.preimage = Some(preimage);
        }
        Ok(())
    }

    fn on_finalized(&mut self, part: &PartId, notify: bool) -> Result<(), Inconsistent> {
        let part = self.part_mut(part)?;
        // A part that left its channel without a claim may be paid or failed. A wrong guess would lose
        // the goods or the refund (SEMANTICS 4).
        if part.status != PartStatus::Claimed {
            return Err(Inconsistent);
        }
        part.status = PartStatus::Finalized;
        self.unread += u32::from(notify);
        Ok(())
    }

    fn on_failed_part(
        &mut self,
        at: At,
        part: &PartId,
        (failure, notify, rest_ms): (&Failure, bool, u64),
    ) -> Result<(), Inconsistent> {
        self.part_mut(part)?.fail(failure)?;
        self.unread += u32::from(notify);
        self.mark_conclusion(at, ConclusionDue::PartFailed);
        if rest_ms > 0 && self.status.is_open() {
            // Bounded by ticks as well: one reading in the far future must not end all retries.
            // And of two failures the later end counts, whatever the clock read at the second.
            let tick = at.tick.saturating_add(ticks_of(rest_ms));
            let until = at.now.plus(rest_ms);
            let detail = self.details.kept();
            let earlier = detail.rests_until.filter(|_| !faults::is(Fault::RestCutShort));
            let (until, tick) =
                earlier.map_or((until, tick), |rest| (until.max(rest.at), tick.max(rest.tick)));
            detail.rests_until = Some(Rest { at: until, tick });
        }
        Ok(())
    }

    fn on_sent(
        &mut self,
        at: At,
        payment_hash: Option<PaymentHash>,
        settlement: Settlement,
        assertion: Option<&Assertion>,
    ) -> Result<(), Inconsistent> {
        // A second PaymentSent would make the user deliver or book twice (SEMANTICS 5).
        if self.status == Status::Fulfilled && !faults::is(Fault::TwoPaymentsSent) {
            return Err(Inconsistent);
        }
        // One that came back has the hash that it was remembered with, and no other.
        let came_back = matches!(self.terms, Terms::Digests(_));
        if self.hash().is_none() && payment_hash.is_some() && !came_back {
            self.details.kept().payment_hash = payment_hash;
        }
        let by_part = self.has_settled_part();
        let own = payment_hash.is_none() || payment_hash.as_ref() == self.hash();
        let detail = self.details.kept();
        if !by_part {
            detail.reported = Some(settlement);
        }
        // Paid without a part and without a proof: on somebody's word, for its own hash or the one told.
        match payment_hash.filter(|_| !own) {
            _ if by_part || detail.preimage.is_some() => {}
            None => detail.own_hash_paid = true,
            told => former::group(&mut detail.former, told).paid = true,
        }
        // Kept, so that PaymentSettled can correct the sums in the user's books or add the proof (SEMANTICS 4).
        detail.told = Some(Told { settlement, proof: detail.preimage.is_some() });
        detail.asserted = assertion.cloned();
        detail.failure_superseded = false;
        self.enter(at, Status::Fulfilled);
        self.unread += 1;
        self.close();
        Ok(())
    }

    /// A word says that it paid a hash, and nothing else of the payment shows that.
    fn on_hash_paid(&mut self, payment_hash: PaymentHash) -> Result<(), Inconsistent> {
        // From here on this payment shows that the hash is paid. Otherwise the hash could be paid again
        // once its earlier record is forgotten (SEMANTICS 4).
        if self.status != Status::Fulfilled || self.has_paid(&payment_hash) {
            return Err(Inconsistent);
        }
        if self.hash().is_none() && matches!(self.terms, Terms::None) {
            self.details.kept().payment_hash = Some(payment_hash);
        }
        let own = self.hash() == Some(&payment_hash);
        let detail = self.details.kept();
        if own {
            detail.own_hash_paid = true;
        } else {
            former::group(&mut detail.former, Some(payment_hash)).paid = true;
        }
        Ok(())
    }

    fn on_settled(&mut self, settlement: Settlement) -> Result<(), Inconsistent> {
        if self.status != Status::Fulfilled {
            return Err(Inconsistent);
        }
        let detail = self.details.kept();
        detail.told = Some(Told { settlement, proof: detail.preimage.is_some() });
        self.unread += 1;
        Ok(())
    }

    fn on_paid_elsewhere(&mut self, at: At, by: PaidElsewhere) -> Result<(), Inconsistent> {
        if self.status == Status::Fulfilled {
            return Err(Inconsistent);
        }
        // The payment must send nothing more: the invoice is settled, and the payee would keep a second
        // payment (SEMANTICS 4).
        self.details.kept().paid_elsewhere = Some(by);
        self.mark_conclusion(at, ConclusionDue::Yes);
        Ok(())
    }

    fn on_abandoned(&mut self, at: At, reason: FailureReason) -> Result<(), Inconsistent> {
        if !self.status.is_open() {
            return Err(Inconsistent);
        }
        // Not failed yet: a part that is out may still be claimed after the user was refunded (SEMANTICS
        // 4, Fail).
        self.enter(at, Status::Abandoned { reason });
        self.rest_no_more();
        self.mark_conclusion(at, ConclusionDue::Yes);
        Ok(())
    }

    fn on_failed(&mut self, at: At, reason: FailureReason) -> Result<(), Inconsistent> {
        let again = matches!(self.status, Status::Failed { .. }) && self.details.failure_superseded;
        let undecided = self.status.is_open() || matches!(self.status, Status::Abandoned { .. });
        // If a payment failed while a part may still be claimed, the user would be refunded for a paid payment (SEMANTICS 1).
        if !(undecided || again) || !self.is_resolved() || at.blocked {
            return Err(Inconsistent);
        }
        self.enter(at, Status::Failed { reason });
        let detail = self.details.kept();
        detail.failed_notification = Some(NotificationId { seq: at.seq, chain: at.chain });
        detail.failure_superseded = false;
        self.unread += 1;
        self.close();
        Ok(())
    }

    /// The payment is over: its deadlines and its instructions are no longer needed.
    fn close(&mut self) {
        self.conclusion_due = ConclusionDue::No;
        self.rest_no_more();
        if let Terms::Full(request) = &mut self.terms
            && !request.instructions.is_empty()
        {
            // The digest is kept, so that a repeat with another invoice is a Conflict and is not answered as paid (SEMANTICS 2).
            self.details.kept().instructions = ShortDigest::of_instructions(request);
            request.instructions = Blob::EMPTY;
        }
    }

    fn rest_no_more(&mut self) {
        self.details.if_kept(|detail| {
            detail.waits_until = None;
            detail.rests_until = None;
        });
    }

    /// The node listed a part of it as out.
    pub(crate) fn list(&mut self, at: At, index: usize) {
        if let Some(part) = self.parts.get_mut(index) {
            part.list(at);
        }
        self.review(at);
    }

    /// Takes back each *never sent* that the gap makes doubtful; tells whether there was one.
    pub(crate) fn take_back_never_sent(&mut self, at: At, since: u64) -> bool {
        let mut taken = false;
        self.each_part(|part| taken |= part.take_back_never_sent(since));
        if taken {
            self.review(at);
        }
        taken
    }
}
