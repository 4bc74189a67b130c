//! Evolve, for one part: of a payment, or a foreign part.

use crate::{
    base::amount::Msat,
    base::bounded::Blob,
    base::faults,
    base::faults::Fault,
    base::limits,
    event::event::{AdoptedPart, AdoptionSource, Settlement},
    event::part::{Failure, PartKind, PartStatus, PartTerms, UNKNOWN_KIND},
    payment::at::{At, Inconsistent},
    payment::part::{Part, PartDetails},
};

impl Part {
    /// A part that was recorded before it was offered.
    pub(crate) fn dispatched(at: At, terms: &PartTerms, batch: u32) -> Self {
        let mut details = PartDetails::default();
        if terms.label.is_some() || !terms.unknown.is_empty() {
            details.change(|detail| {
                detail.label.clone_from(&terms.label);
                detail.unknown = terms.unknown.clone();
            });
        }
        Self {
            id: terms.id,
            amount: Some(terms.amount),
            fee: Some(terms.fee),
            kind: terms.kind,
            // In flight from the moment it is recorded, offered or not: what may have been sent must not
            // be sent again (SEMANTICS 3).
            status: PartStatus::InFlight,
            batch,
            epoch: at.epoch,
            recorded_at: at.now,
            adopted: false,
            corrected: false,
            details,
        }
    }

    /// A part that the log lacked.
    pub(crate) fn adopted(at: At, adopted: &AdoptedPart, source: AdoptionSource) -> Self {
        let mut part = Self {
            id: adopted.part,
            amount: adopted.amount,
            fee: adopted.fee,
            kind: adopted.kind,
            status: PartStatus::InFlight,
            batch: 0,
            epoch: at.epoch,
            recorded_at: at.now,
            adopted: source == AdoptionSource::Listed,
            corrected: false,
            details: PartDetails::default(),
        };
        if source == AdoptionSource::Listed {
            part.list(at);
        }
        part
    }

    /// The node lists it as out: so it is out, even if it was recorded as over.
    pub(crate) fn list(&mut self, at: At) {
        self.status = match self.status {
            // It is out and may be claimed. If it stayed resolved, its amount would be sent again
            // (SEMANTICS 4, AdoptPart).
            PartStatus::Failed | PartStatus::Withdrawn if !faults::is(Fault::ListedStaysOver) => {
                PartStatus::InFlight
            }
            PartStatus::Finalized if self.corrected => PartStatus::Claimed,
            status => status,
        };
        self.corrected = false;
        self.details.change(|detail| {
            detail.failure = None;
            detail.withdrawn_in = 0;
            detail.listed_in = at.epoch;
        });
    }

    /// Whether the node has ever listed it as out.
    pub(crate) fn was_listed(&self) -> bool {
        self.details.listed_in > 0 && !faults::is(Fault::ListedNeverSent)
    }

    /// Whether the node has listed it as out since this epoch.
    pub(crate) fn is_listed_since(&self, epoch: u64) -> bool {
        self.details.listed_in >= epoch
    }

    /// The payee took it. A part recorded as failed stays off the channel. `whole`: it was for a known
    /// amount, so an engine that reports less has forgotten a path.
    pub(crate) fn claim(&mut self, settlement: Option<Settlement>, whole: bool) {
        let reported = settlement.unwrap_or_default();
        if self.kind == PartKind::Delegated && !self.status.is_settled() {
            // What was counted of fees was a budget: only the engine knows what was spent.
            // For a listed part the listing said what it brings.
            let listed = |own: Option<Msat>| own.filter(|_| self.batch == 0);
            let less = reported.amount.is_none_or(|amount| Some(amount) < self.amount);
            if whole && self.amount.is_some() && less && !faults::is(Fault::LessIsBelieved) {
                let silent = reported.amount.is_none();
                self.fee = reported.fee.filter(|_| silent);
            } else {
                self.amount = reported.amount.or(listed(self.amount));
                self.fee = reported.fee.or(listed(self.fee));
            }
        } else {
            self.amount = self.amount.or(reported.amount);
            self.fee = self.fee.or(reported.fee);
        }
        // The money has left, so a claim counts more than an earlier failure (SEMANTICS 4).
        if self.status == PartStatus::Failed {
            self.corrected = true;
            self.details.if_kept(|detail| detail.failure = None);
        }
        self.details.if_kept(|detail| detail.withdrawn_in = 0);
        self.status = match self.status {
            PartStatus::InFlight | PartStatus::Withdrawn => PartStatus::Claimed,
            PartStatus::Failed => PartStatus::Finalized,
            settled @ (PartStatus::Claimed | PartStatus::Finalized) => settled,
        };
    }

    /// It failed; a failure of a claimed part takes it off the channel. A failure of a part that was
    /// reported never sent takes that back: it was out, and its attempt counts.
    pub(crate) fn fail(&mut self, failure: &Failure) -> Result<(), Inconsistent> {
        match self.status {
            PartStatus::InFlight | PartStatus::Withdrawn => {
                self.status = PartStatus::Failed;
                self.details.change(|detail| {
                    detail.failure = Some(failure.clone().into());
                    detail.withdrawn_in = 0;
                });
                Ok(())
            }
            PartStatus::Claimed => {
                // The payee has the preimage and the money: a failure after that brings nothing back
                // (SEMANTICS 4).
                self.status = PartStatus::Finalized;
                Ok(())
            }
            PartStatus::Finalized | PartStatus::Failed => Err(Inconsistent),
        }
    }

    /// It was never sent.
    pub(crate) fn withdraw(&mut self, at: At) -> Result<(), Inconsistent> {
        // *Never sent* must not replace another end: it would free an amount that has left (SEMANTICS
        // 4).
        if self.status != PartStatus::InFlight {
            return Err(Inconsistent);
        }
        self.status = PartStatus::Withdrawn;
        self.details.change(|detail| detail.withdrawn_in = at.epoch);
        Ok(())
    }

    /// Its hand-over made an invoice request, which somebody will be given.
    pub(crate) fn request_invoice(
        &mut self,
        invoice_request: &Blob<{ limits::INVOICE_REQUEST_BYTES }>,
    ) -> Result<(), Inconsistent> {
        let other =
            !self.details.invoice_request.is_empty() && !faults::is(Fault::InvoiceRequestReplaced);
        // Whoever holds the first one must find it honoured, and nobody may get a second one beside it
        // (SEMANTICS 4).
        if self.status != PartStatus::InFlight || invoice_request.is_empty() || other {
            return Err(Inconsistent);
        }
        self.details.change(|detail| detail.invoice_request = invoice_request.clone());
        Ok(())
    }

    /// The log turned out to lack something, so a *never sent* reported since `epoch`, about a part that
    /// an earlier writer dispatched, is doubtful. If it stood, its money could leave a second time.
    pub(crate) fn take_back_never_sent(&mut self, epoch: u64) -> bool {
        let taken = self.status == PartStatus::Withdrawn
            && !faults::is(Fault::NeverSentStandsInGap)
            && self.epoch < epoch
            && self.details.withdrawn_in >= epoch;
        if taken {
            self.status = PartStatus::InFlight;
            self.details.if_kept(|detail| detail.withdrawn_in = 0);
        }
        taken
    }

    /// The node reports it again: this adds terms that were not known, and if the node lists it as out,
    /// it is out even if it was recorded as over.
    pub(crate) fn readopt(&mut self, at: At, adopted: &AdoptedPart, source: AdoptionSource) {
        if self.batch == 0 && self.kind == UNKNOWN_KIND {
            self.kind = adopted.kind;
        }
        // Of a claimed delegated part only the engine's report counts.
        if !(self.status.is_settled() && self.kind == PartKind::Delegated) {
            self.amount = self.amount.or(adopted.amount);
            self.fee = self.fee.or(adopted.fee);
        }
        if source == AdoptionSource::Listed {
            self.adopted = true;
            self.list(at);
        }
    }
}
