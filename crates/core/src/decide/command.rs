//! Commands: what a caller asks for, and the facts that a node tells. Each is a value of its own
//! type, with its own reply and its own refusal; [`Command`] holds any of them.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    base::amount::{Msat, UnixMillis},
    base::bounded::Blob,
    base::ids::{PartId, PaymentHash, PaymentId, Preimage, ShortChannelId},
    base::limits,
    event::event::Settlement,
    event::notification::NotificationId,
    event::part::{Assertion, Failure, Label, ObservationKind, PartKind},
    event::request::Request,
    event::status::FailureReason,
};

/// Accepts a request to pay, or answers a repeat.
///
/// The name hides the marker trait in a module that imports both: there, import it as
/// `Pay`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pay {
    /// The payment, named by the caller before the first call.
    pub id: PaymentId,
    /// What is to be paid.
    pub request: Request,
    /// The PaymentFailed after which this id is tried anew; without it a failed id answers its
    /// failure.
    pub again_after: Option<NotificationId>,
}

impl Pay {
    /// The first try of a payment, or a repeat of it.
    #[must_use]
    pub const fn new(id: PaymentId, request: Request) -> Self {
        Self { id, request, again_after: None }
    }

    /// A new try of a failed id: names the PaymentFailed that it follows.
    #[must_use]
    pub const fn again_after(mut self, failed: NotificationId) -> Self {
        self.again_after = Some(failed);
        self
    }
}

/// Takes the invoice that came for an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveInvoice {
    /// The payment.
    pub id: PaymentId,
    /// The invoice's hash.
    pub payment_hash: PaymentHash,
    /// The invoice's amount.
    pub amount: Msat,
    /// The invoice's expiry.
    pub expiry: Option<UnixMillis>,
}

/// Records a batch before any of it is offered to a channel. Only the reply
/// [`DispatchReply::Recorded`](crate::DispatchReply::Recorded) is the right to offer the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// The payment.
    pub id: PaymentId,
    /// The number of the attempt, from 1: the one that [`Remaining`](crate::Remaining) tells.
    pub attempt: u32,
    /// The parts; one alone if it is delegated.
    pub parts: Vec<NewPart>,
}

/// A part to dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewPart {
    /// An HTLC of the node's own.
    Htlc {
        /// The part's name: random, never used before.
        id: PartId,
        /// What reaches the payee, above zero.
        amount: Msat,
        /// What the route takes.
        fee: Msat,
        /// The block height at which the first hop's HTLC expires.
        cltv_expiry: u32,
        /// The channel through which it leaves, if the node states it.
        first_channel: Option<ShortChannelId>,
    },
    /// A hand-over of the whole missing amount, with the remaining fee budget, to an engine that
    /// routes and retries by itself.
    Delegated {
        /// The part's name, which is also the id given to the engine.
        id: PartId,
        /// Which engine gets it, and the last mark that it showed for the hash.
        label: Option<Label>,
    },
}

impl NewPart {
    /// An HTLC that leaves through a channel which the node does not state.
    #[must_use]
    pub const fn htlc(id: PartId, amount: Msat, fee: Msat, cltv_expiry: u32) -> Self {
        Self::Htlc { id, amount, fee, cltv_expiry, first_channel: None }
    }

    /// A hand-over to the only engine there is, which shows no marks.
    #[must_use]
    pub const fn delegated(id: PartId) -> Self {
        Self::Delegated { id, label: None }
    }

    /// The part's name.
    #[must_use]
    pub const fn id(&self) -> &PartId {
        match self {
            Self::Htlc { id, .. } | Self::Delegated { id, .. } => id,
        }
    }
}

/// Says a hand-over to its engine again, under the same part: for engines that pay one id or one
/// hash once. Only its reply is the right to say it; from then on the hand-over has failed only when
/// every saying is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SayAgain {
    /// The payment.
    pub id: PaymentId,
    /// The part.
    pub part: PartId,
}

/// The fact that a dispatched part was never sent: no commitment with its HTLC was ever signed or
/// queued. A part that may have been sent stays in flight. A hand-over that was tried and refused
/// is a [`FailPart`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawPart {
    /// The payment.
    pub id: PaymentId,
    /// The part.
    pub part: PartId,
}

/// The fact that the payee took a part. Told as soon as the preimage is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPart {
    /// The payment.
    pub id: PaymentId,
    /// The part.
    pub part: PartId,
    /// The preimage.
    pub preimage: Preimage,
    /// The payment hash that the engine reports, if it does. It must be the preimage's: else the
    /// preimage proves nothing by itself.
    pub payment_hash: Option<PaymentHash>,
    /// What an engine reports to have paid: for a delegated part, or one that the ledger does not
    /// know.
    pub settlement: Option<Settlement>,
    /// The BOLT 12 invoice that was paid, as it was signed: with the preimage the proof of payment. At
    /// most [`limits::PAID_INVOICE_BYTES`]; a longer one is not kept, for a claim is never refused.
    pub invoice: Blob<{ limits::PAID_INVOICE_BYTES }>,
}

impl ClaimPart {
    /// The claim of an HTLC of the node's own: what it paid is what was recorded.
    #[must_use]
    pub const fn new(id: PaymentId, part: PartId, preimage: Preimage) -> Self {
        Self { id, part, preimage, payment_hash: None, settlement: None, invoice: Blob::EMPTY }
    }

    /// With the payment hash that the engine reports.
    #[must_use]
    pub const fn payment_hash(mut self, payment_hash: PaymentHash) -> Self {
        self.payment_hash = Some(payment_hash);
        self
    }

    /// With what the engine reports to have paid.
    #[must_use]
    pub const fn settlement(mut self, settlement: Settlement) -> Self {
        self.settlement = Some(settlement);
        self
    }

    /// With the BOLT 12 invoice that was paid.
    #[must_use]
    pub fn invoice(mut self, invoice: impl AsRef<[u8]>) -> Self {
        self.invoice = invoice.as_ref().into();
        self
    }
}

/// The fact that a claimed part is irrevocably off the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalizePart {
    /// The payment.
    pub id: PaymentId,
    /// The part.
    pub part: PartId,
}

/// The fact that a part failed irrevocably: its HTLC is in neither side's unrevoked commitment, or
/// the transaction that kills it is buried as deep as the node's reorg limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailPart {
    /// The payment.
    pub id: PaymentId,
    /// The part.
    pub part: PartId,
    /// Why.
    pub failure: Failure,
}

/// An engine's report on a part. Changes no status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservePart {
    /// The payment.
    pub id: PaymentId,
    /// The part.
    pub part: PartId,
    /// What it is about.
    pub kind: ObservationKind,
    /// Opaque; at most [`limits::OBSERVATION_BYTES`].
    pub bytes: Blob<{ limits::OBSERVATION_BYTES }>,
}

/// The fact that the node has a part out which the log lacks, or holds as failed or withdrawn.
/// Never refused. If the log lacked it the ledger is Restored from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptPart {
    /// The payment that the node names.
    pub id: PaymentId,
    /// The part.
    pub part: PartId,
    /// Its payment hash.
    pub payment_hash: PaymentHash,
    /// What reaches the payee, if the node knows.
    pub amount: Option<Msat>,
    /// What the route takes, if the node knows.
    pub fee: Option<Msat>,
    /// What carries it.
    pub kind: PartKind,
}

/// The fact that a payment was paid, of which the node has no proof. Pays the payment that it names,
/// and also the owner of the part or of the hash that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkPaid {
    /// The payment. Where an engine has none of our ids, its [hash as an
    /// id](PaymentId::from_payment_hash).
    pub id: PaymentId,
    /// The part that paid it, if the node knows.
    pub part: Option<PartId>,
    /// The hash, if the node knows: for a payment that the ledger does not hold.
    pub payment_hash: Option<PaymentHash>,
    /// What was paid, if the node knows.
    pub settlement: Settlement,
    /// Who says so and why, where it is an operator's word and not the node's. Of a payment that the
    /// ledger does not hold it is taken only while the log is Restored.
    pub assertion: Option<Assertion>,
    /// The request that was paid, for a payment that the ledger does not hold: what a repeat is
    /// compared with.
    pub request: Option<Box<Request>>,
}

impl MarkPaid {
    /// The node's word for a payment, of which it knows no more.
    #[must_use]
    pub fn new(id: PaymentId) -> Self {
        Self {
            id,
            part: None,
            payment_hash: None,
            settlement: Settlement::default(),
            assertion: None,
            request: None,
        }
    }

    /// With the part that paid it.
    #[must_use]
    pub const fn part(mut self, part: PartId) -> Self {
        self.part = Some(part);
        self
    }

    /// With the hash that was paid.
    #[must_use]
    pub const fn payment_hash(mut self, payment_hash: PaymentHash) -> Self {
        self.payment_hash = Some(payment_hash);
        self
    }

    /// With what was paid.
    #[must_use]
    pub const fn settlement(mut self, settlement: Settlement) -> Self {
        self.settlement = settlement;
        self
    }

    /// As an operator's word.
    #[must_use]
    pub fn asserted(mut self, assertion: Assertion) -> Self {
        self.assertion = Some(assertion);
        self
    }

    /// With the request that was paid.
    #[must_use]
    pub fn request(mut self, request: Request) -> Self {
        self.request = Some(Box::new(request));
        self
    }
}

/// The operator's word that a part told under a payment's id is not of this payment: it ends what a
/// claimed one holds up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisownPart {
    /// The part.
    pub part: PartId,
    /// Who says so, and why.
    pub assertion: Assertion,
}

/// The fact that the node has these parts out, all of which the ledger knows: what an [`AdoptPart`]
/// of a known part says, for many at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListParts {
    /// The parts; at most [`limits::LISTED_PARTS`].
    pub parts: Vec<PartId>,
}

/// Blocks a hash of which the node knows only that something is out under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHash {
    /// The hash.
    pub payment_hash: PaymentHash,
}

/// Ends a [`BlockHash`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnblockHash {
    /// The hash.
    pub payment_hash: PaymentHash,
}

/// Asks that nothing more is tried. A request, not a result: what is out may still pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandon {
    /// The payment.
    pub id: PaymentId,
    /// Why.
    pub reason: FailureReason,
}

/// Says that the user has handled notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledge {
    /// Their exact ids; at most [`limits::ACKNOWLEDGE_IDS`].
    pub ids: Vec<NotificationId>,
}

/// The node's timer, about once a minute. One call does a bounded amount of work and says whether
/// more is due now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tick {
    /// The block height, where the node has HTLCs of its own: from when an operator's word can fail a
    /// part whose channel can no longer tell.
    pub height: Option<u32>,
}

impl Tick {
    /// Without a height.
    #[must_use]
    pub const fn new() -> Self {
        Self { height: None }
    }

    /// At this block height.
    #[must_use]
    pub const fn at_height(height: u32) -> Self {
        Self { height: Some(height) }
    }
}

/// Ends recovery: draws the conclusions that it withheld. One call does a bounded amount of work and
/// says whether more is due. [`Recovery::finish`](crate::Recovery::finish) calls it to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishRecovery;

/// Says that the caller has told the payments of the gap in a Restored log. Draws the conclusions
/// that were withheld; one call does a bounded amount of work and says whether more is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseGap;
