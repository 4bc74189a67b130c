//! A part that is out under a hash which is not its payment's: on its own, under its own hash. It
//! blocks the payment under whose id it was reported, and all others with its hash, until it is resolved.

use crate::{
    base::faults,
    base::faults::Fault,
    base::ids::{PaymentHash, PaymentId, Preimage},
    base::wire::{UnknownFields, layout},
    event::event::{AdoptedPart, AdoptionSource, Settlement},
    event::part::{Failure, PartStatus},
    payment::at::{At, Inconsistent},
    payment::part::Part,
};

/// A part that the node reported under a payment's id and that has another hash than that payment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ForeignPart {
    /// The seq of the event that made it known.
    pub created_seq: u64,
    /// The payment under whose id it was reported.
    pub payment: PaymentId,
    /// The hash under which it is out or was claimed: not its payment's when it was reported.
    pub payment_hash: PaymentHash,
    /// The preimage, once it was claimed.
    pub preimage: Option<Preimage>,
    /// Its amounts, kind and status.
    pub part: Part,
    /// Whether an operator said that it is not of that payment.
    pub disowned: bool,
    /// Fields that a newer program wrote and this one keeps.
    #[serde(skip_serializing_if = "UnknownFields::is_empty")]
    pub(crate) unknown: UnknownFields,
}

layout! {
    record ForeignPart "a foreign part" {
        created_seq, payment, payment_hash, part; 2 preimage, 4 disowned; .. unknown
    }
}

impl ForeignPart {
    pub(crate) fn adopted(
        at: At,
        payment: PaymentId,
        adopted: &AdoptedPart,
        source: AdoptionSource,
        earlier_try: bool,
    ) -> Self {
        let mut part = Part::adopted(at, adopted, source);
        part.details.change(|detail| detail.earlier_try = earlier_try);
        Self {
            created_seq: at.seq,
            payment,
            payment_hash: adopted.payment_hash,
            preimage: None,
            part,
            disowned: false,
            unknown: UnknownFields::NONE,
        }
    }

    /// Whether it blocks its payment, which then neither dispatches nor fails nor is forgotten: it is
    /// out, or it was paid and nobody has said whether it was this payment's. Sending again before that
    /// could pay twice.
    pub(crate) fn holds_payment(&self) -> bool {
        self.blocks_hash() && !self.disowned && !faults::is(Fault::ForeignPartsBlockNothing)
    }

    /// Whether its hash must not be paid: it is out, or paid.
    pub(crate) const fn blocks_hash(&self) -> bool {
        self.part.status.is_unresolved() || self.part.status.is_settled()
    }

    /// Whether it was claimed and waits for somebody's word.
    pub(crate) const fn awaits_word(&self) -> bool {
        self.part.status.is_settled() && !self.disowned
    }

    pub(crate) fn readopt(&mut self, at: At, adopted: &AdoptedPart, source: AdoptionSource) {
        self.part.readopt(at, adopted, source);
    }

    pub(crate) fn claim(&mut self, preimage: Option<Preimage>, settlement: Option<Settlement>) {
        self.preimage = self.preimage.or(preimage);
        self.part.claim(settlement, false);
    }

    pub(crate) fn finalize(&mut self) -> Result<(), Inconsistent> {
        if self.part.status != PartStatus::Claimed {
            return Err(Inconsistent);
        }
        self.part.status = PartStatus::Finalized;
        Ok(())
    }

    pub(crate) fn fail(&mut self, failure: &Failure) -> Result<(), Inconsistent> {
        self.part.fail(failure)
    }

    pub(crate) fn withdraw(&mut self, at: At) -> Result<(), Inconsistent> {
        self.part.withdraw(at)
    }

    pub(crate) fn disown(&mut self) -> Result<(), Inconsistent> {
        if !self.awaits_word() {
            return Err(Inconsistent);
        }
        self.disowned = true;
        Ok(())
    }
}
