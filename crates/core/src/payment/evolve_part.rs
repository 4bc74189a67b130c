//! Evolve, for one part: of a payment, or a foreign part.

use crate::{
    base::amount::Msat,
    base::faults,
    base::faults::Fault,
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

    /// The node lists it as out: it is, although it was recorded as over.
    pub(crate) fn list(&mut self, at: At) {
        self.status = match self.status {
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

    /// The payee took it. A part recorded as failed stays off the channel, and lost nothing. `whole`:
    /// it was to bring a known amount, of which an engine that reports less has forgotten a path.
    pub(crate) fn claim(&mut self, settlement: Option<Settlement>, whole: bool) {
        let reported = settlement.unwrap_or_default();
        if self.kind == PartKind::Delegated && !self.status.is_settled() {
            // What was counted of fees was a budget: only the engine knows what was spent.
            // Of one that was listed its listing told what it brings.
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

    /// It failed; a failure of a claimed part takes it off the channel. One of a part that was told
    /// never sent takes that back: it was out, and its attempt counts.
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
                self.status = PartStatus::Finalized;
                Ok(())
            }
            PartStatus::Finalized | PartStatus::Failed => Err(Inconsistent),
        }
    }

    /// It was never sent.
    pub(crate) fn withdraw(&mut self, at: At) -> Result<(), Inconsistent> {
        if self.status != PartStatus::InFlight {
            return Err(Inconsistent);
        }
        self.status = PartStatus::Withdrawn;
        self.details.change(|detail| detail.withdrawn_in = at.epoch);
        Ok(())
    }

    /// The log turned out to lack something: a *never sent* told since `epoch`, about a part that an
    /// earlier writer dispatched, is not known any more. Left standing, its money could leave a second
    /// time.
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

    /// The node tells of it again: terms that were not known, and, if it lists it as out, that it
    /// is on its channel although it was recorded as over.
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
