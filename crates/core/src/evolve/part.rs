//! Evolve, for one part: of a payment, or a stray.

use alloc::boxed::Box;

use crate::{
    amount::Msat,
    event::{AdoptedPart, Settlement, Word},
    evolve::payment::{At, Misfit},
    ids::PaymentId,
    part::{Failure, Fate, Part, PartKind, UNKNOWN_KIND},
};

impl Part {
    /// A part that the log lacked.
    pub(crate) fn adopted(
        at: At,
        adopted: &AdoptedPart,
        word: Word,
        told_as: Option<PaymentId>,
    ) -> Self {
        Self {
            id: adopted.part,
            amount: adopted.amount,
            fee: adopted.fee,
            kind: adopted.kind,
            fate: Fate::InFlight,
            batch: 0,
            epoch: at.epoch,
            recorded_at: at.now,
            failed_channel: None,
            permanent: false,
            lost: Msat::ZERO,
            adopted: word == Word::Listed,
            corrected: false,
            told_as: told_as.map(Box::new),
        }
    }

    /// The payee took it. A part recorded as failed stays off the channel, and lost nothing.
    pub(crate) fn claim(&mut self, settlement: Option<Settlement>) {
        let reported = settlement.unwrap_or_default();
        if self.kind == PartKind::Delegated && !self.fate.is_settled() {
            // What was counted was a budget; only the engine knows what was spent.
            (self.amount, self.fee) = (reported.amount, reported.fee);
        } else {
            self.amount = self.amount.or(reported.amount);
            self.fee = self.fee.or(reported.fee);
        }
        if self.fate == Fate::Failed {
            self.corrected = true;
            self.permanent = false;
            self.failed_channel = None;
            self.lost = Msat::ZERO;
        }
        self.fate = match self.fate {
            Fate::InFlight | Fate::Withdrawn => Fate::Claimed,
            Fate::Failed => Fate::Finalized,
            settled @ (Fate::Claimed | Fate::Finalized) => settled,
        };
    }

    /// It failed; a failure of a claimed part takes it off the channel.
    pub(crate) fn fail(&mut self, failure: &Failure) -> Result<(), Misfit> {
        match self.fate {
            Fate::InFlight => {
                self.fate = Fate::Failed;
                self.failed_channel = failure.channel;
                self.permanent = failure.permanent;
                self.lost = failure.lost.unwrap_or_default();
                Ok(())
            }
            Fate::Claimed => {
                self.fate = Fate::Finalized;
                Ok(())
            }
            Fate::Finalized | Fate::Failed | Fate::Withdrawn => Err(Misfit),
        }
    }

    /// The node tells of it again: terms that were not known, and, if it lists it as out, that it
    /// is on its channel although it was recorded as over.
    pub(crate) fn readopt(&mut self, adopted: &AdoptedPart, word: Word) {
        if self.batch == 0 && self.kind == UNKNOWN_KIND {
            self.kind = adopted.kind;
        }
        // Of a claimed delegated part only the engine's report counts.
        if !(self.fate.is_settled() && self.kind == PartKind::Delegated) {
            self.amount = self.amount.or(adopted.amount);
            self.fee = self.fee.or(adopted.fee);
        }
        if word == Word::Listed {
            self.adopted = true;
            self.fate = match self.fate {
                Fate::Failed | Fate::Withdrawn => Fate::InFlight,
                Fate::Finalized if self.corrected => Fate::Claimed,
                fate => fate,
            };
            self.corrected = false;
            self.permanent = false;
            self.failed_channel = None;
            self.lost = Msat::ZERO;
        }
    }
}
