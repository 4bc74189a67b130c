//! A part that is out under a hash which is not its payment's: on its own, under its own hash,
//! which it blocks until it has failed.

use bincode::{Decode, Encode};

use crate::{
    event::{AdoptedPart, Settlement, Word},
    evolve::{At, Misfit},
    ids::{PaymentHash, PaymentId, Preimage},
    part::{Failure, Fate, Part},
};

/// A part without a payment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct Stray {
    /// The seq of the event that made it known.
    pub created_seq: u64,
    /// The payment that the node named.
    pub payment: PaymentId,
    /// Its own hash.
    pub payment_hash: PaymentHash,
    /// The preimage, once it was claimed.
    pub preimage: Option<Preimage>,
    /// The part itself.
    pub part: Part,
    /// The seq of the last notification about it.
    pub(crate) notice: Option<u64>,
}

impl Stray {
    pub(crate) fn adopted(at: At, payment: PaymentId, adopted: &AdoptedPart, word: Word) -> Self {
        Self {
            created_seq: at.seq,
            payment,
            payment_hash: adopted.payment_hash,
            preimage: None,
            notice: None,
            part: Part::adopted(at, adopted, word, Some(payment)),
        }
    }

    /// Whether its hash must not be paid: it is out, or paid.
    pub(crate) const fn blocks(&self) -> bool {
        !matches!(self.part.fate, Fate::Failed | Fate::Withdrawn)
    }

    pub(crate) fn readopt(&mut self, adopted: &AdoptedPart, word: Word) {
        self.part.readopt(adopted, word);
    }

    pub(crate) fn claim(&mut self, preimage: Option<Preimage>, settlement: Option<Settlement>) {
        self.preimage = self.preimage.or(preimage);
        self.part.claim(settlement);
    }

    pub(crate) fn finalize(&mut self) -> Result<(), Misfit> {
        if self.part.fate != Fate::Claimed {
            return Err(Misfit);
        }
        self.part.fate = Fate::Finalized;
        Ok(())
    }

    pub(crate) fn fail(&mut self, failure: &Failure) -> Result<(), Misfit> {
        self.part.fail(failure)
    }

    pub(crate) fn withdraw(&mut self) -> Result<(), Misfit> {
        if self.part.fate != Fate::InFlight {
            return Err(Misfit);
        }
        self.part.fate = Fate::Withdrawn;
        Ok(())
    }
}
