//! Commands: what a caller asks for, and the facts that a node reports. Each is a value of its own
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

/// Asks for a payment: accepts the request, or answers a repeat of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pay {
    /// The payment, named by the caller before the first call.
    pub id: PaymentId,
    /// What is to be paid, and within which limits.
    pub request: Request,
    /// The PaymentFailed after which this id is tried again; without it, a failed id is answered with
    /// its failure.
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
    /// The offer's payment, in AwaitingInvoice.
    pub id: PaymentId,
    /// The hash that the invoice states.
    pub payment_hash: PaymentHash,
    /// The invoice's amount in msat, above zero and at most the request's.
    pub amount: Msat,
    /// When the invoice expires; `None` if it does not say.
    pub expiry: Option<UnixMillis>,
}

/// Records a batch before any of it is offered to a channel. Only the reply
/// [`DispatchReply::Recorded`](crate::DispatchReply::Recorded) is the right to offer the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// The payment to dispatch for, accepted before.
    pub id: PaymentId,
    /// The number of the attempt, from 1: the one in [`Remaining`](crate::Remaining).
    pub attempt: u32,
    /// The parts; one alone if it is delegated.
    pub parts: Vec<NewPart>,
}

/// What the node states of a part before it offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewPart {
    /// An HTLC of the node's own.
    Htlc {
        /// The part's name: random, never used before.
        id: PartId,
        /// What reaches the payee, in msat, above zero.
        amount: Msat,
        /// What the route takes in fees, in msat.
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

    /// A hand-over to an engine that is the only one and shows no marks.
    #[must_use]
    pub const fn delegated(id: PartId) -> Self {
        Self::Delegated { id, label: None }
    }

    /// The id that the node chose for the part.
    #[must_use]
    pub const fn id(&self) -> &PartId {
        match self {
            Self::Htlc { id, .. } | Self::Delegated { id, .. } => id,
        }
    }
}

/// Gives a hand-over to its engine once more, under the same part: for engines that pay one id or one
/// hash only once. Call the engine only after the reply; from then on the hand-over has failed only when
/// every saying is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SayAgain {
    /// The payment that the hand-over is for.
    pub id: PaymentId,
    /// The delegated part, still in flight.
    pub part: PartId,
}

/// The fact that a dispatched part was never sent: no commitment with its HTLC was ever signed or
/// queued. A part that may have been sent stays in flight. A hand-over that was tried and refused
/// is a [`FailPart`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawPart {
    /// The payment that the node dispatched the part for; the part decides if this is another.
    pub id: PaymentId,
    /// The part that was never sent.
    pub part: PartId,
}

/// The fact that the payee took a part. Report it as soon as the preimage is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPart {
    /// The payment that the node knows the part under; the part decides if this is another.
    pub id: PaymentId,
    /// The part that the payee took.
    pub part: PartId,
    /// 32 bytes that prove the claim: their SHA-256 is the part's payment hash.
    pub preimage: Preimage,
    /// The payment hash that the engine reports; `None` if it does not. It must be the preimage's hash,
    /// or the preimage proves nothing.
    pub payment_hash: Option<PaymentHash>,
    /// What an engine reports to have paid, in msat: for a delegated part, or one that the ledger does
    /// not know; `None` otherwise.
    pub settlement: Option<Settlement>,
    /// The BOLT 12 invoice that was paid, as it was signed: with the preimage the proof of payment. At
    /// most [`limits::PAID_INVOICE_BYTES`]; a longer one is not kept, since a claim is never refused.
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
    /// The payment that the node knows the part under; the part decides if this is another.
    pub id: PaymentId,
    /// The part, claimed before (at a start it need not be).
    pub part: PartId,
}

/// The fact that a part failed irrevocably: its HTLC is in neither side's unrevoked commitment, or
/// the transaction that kills it is buried as deep as the node's reorg limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailPart {
    /// The payment that the node knows the part under; the part decides if this is another.
    pub id: PaymentId,
    /// The part, in flight until now; a claimed one is merely finalized.
    pub part: PartId,
    /// Why it failed, and whether another route can help.
    pub failure: Failure,
}

/// An engine's report on a part. Changes no status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservePart {
    /// The payment that the engine works for.
    pub id: PaymentId,
    /// The part that the engine reports on.
    pub part: PartId,
    /// Whether a path succeeded or failed, or a kind of the engine's own.
    pub kind: ObservationKind,
    /// The engine's own bytes, at most [`limits::OBSERVATION_BYTES`]; opaque to the ledger.
    pub bytes: Blob<{ limits::OBSERVATION_BYTES }>,
}

/// The fact that a hand-over made an invoice request (BOLT 12; a *refund* in LDK), which whoever is given
/// it answers with an invoice. Give it out only after the reply: one that the ledger does not keep is lost
/// with the process, and a second one could be given out in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInvoice {
    /// The payment that the hand-over is for; the part decides if this is another.
    pub id: PaymentId,
    /// The part that was handed over, still in flight.
    pub part: PartId,
    /// The invoice request, as it is sent; from 1 to [`limits::INVOICE_REQUEST_BYTES`] bytes, opaque to the
    /// ledger.
    pub invoice_request: Blob<{ limits::INVOICE_REQUEST_BYTES }>,
}

/// The fact that the node has a part out that the log lacks, or has as failed or withdrawn. Never
/// refused. If the log lacked it, the ledger is Restored from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptPart {
    /// The payment that the node knows the part under; it need not be the part's payment.
    pub id: PaymentId,
    /// The part that is out.
    pub part: PartId,
    /// The hash of its HTLC, or of the engine's entry.
    pub payment_hash: PaymentHash,
    /// What reaches the payee, in msat; `None` if the node does not know.
    pub amount: Option<Msat>,
    /// What the route takes in fees, in msat; `None` if the node does not know.
    pub fee: Option<Msat>,
    /// Whether it is an HTLC of the node's own or is with an engine.
    pub kind: PartKind,
}

/// The fact that a payment was paid, without a proof. It pays the payment that it names, and also the
/// owners of the part and of the hash that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkPaid {
    /// The payment. If the engine does not know our ids: its [hash as an
    /// id](PaymentId::from_payment_hash).
    pub id: PaymentId,
    /// The part that paid it; `None` if the node does not know.
    pub part: Option<PartId>,
    /// The hash that was paid; `None` if the node does not know. For a payment that the ledger does not
    /// have.
    pub payment_hash: Option<PaymentHash>,
    /// The amount and the fee, in msat, each `None` if the node does not know.
    pub settlement: Settlement,
    /// Who says so and why, if it is an operator's word; `None` for the node's. For a payment that the
    /// ledger does not have, an operator's word is taken only while the log is Restored.
    pub assertion: Option<Assertion>,
    /// The request that was paid, for a payment that the ledger does not have: a repeat is compared with
    /// it.
    pub request: Option<Box<Request>>,
}

impl MarkPaid {
    /// The node's word that a payment was paid, with nothing else known.
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

    /// Names the part that paid it, where the node knows.
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

    /// Makes it an operator's word.
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

/// An operator's word that a part reported under a payment's id is not of this payment: a claimed
/// foreign part then no longer blocks the payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisownPart {
    /// The foreign part, claimed and blocking the payment under whose id it was reported.
    pub part: PartId,
    /// Who says so, and why.
    pub assertion: Assertion,
}

/// The fact that the node has these parts out, all of which the ledger knows: what an [`AdoptPart`]
/// of a known part says, for many at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListParts {
    /// The ids of the parts, of any payments; at most [`limits::LISTED_PARTS`].
    pub parts: Vec<PartId>,
}

/// The fact that something is out under a hash, about which the node knows nothing else. The hash is
/// blocked, once for each engine that has something out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHash {
    /// The payment hash under which something is out.
    pub payment_hash: PaymentHash,
    /// The engine that has it out, in at most [`limits::LABEL_BYTES`]; empty for none.
    pub engine: Blob<{ limits::LABEL_BYTES }>,
}

impl BlockHash {
    /// Something is out, with no engine that is named.
    #[must_use]
    pub const fn new(payment_hash: PaymentHash) -> Self {
        Self { payment_hash, engine: Blob::EMPTY }
    }

    /// This engine, as in a [`Label`], has it out.
    #[must_use]
    pub fn engine(mut self, engine: impl Into<Blob<{ limits::LABEL_BYTES }>>) -> Self {
        self.engine = engine.into();
        self
    }
}

/// Says that what [`BlockHash`] told of is out no more. It ends the block of one engine, or that of none: what
/// another has out is out still, and the hash is free only once it has no block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnblockHash {
    /// The payment hash that was blocked.
    pub payment_hash: PaymentHash,
    /// The engine that has it out no more, in at most [`limits::LABEL_BYTES`]; empty for the block of none.
    pub engine: Blob<{ limits::LABEL_BYTES }>,
}

impl UnblockHash {
    /// Ends the block of no engine.
    #[must_use]
    pub const fn new(payment_hash: PaymentHash) -> Self {
        Self { payment_hash, engine: Blob::EMPTY }
    }

    /// Ends the block of this engine.
    #[must_use]
    pub fn engine(mut self, engine: impl Into<Blob<{ limits::LABEL_BYTES }>>) -> Self {
        self.engine = engine.into();
        self
    }
}

/// Asks that nothing more is tried. This is a request and not a result: parts that are out may still pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandon {
    /// The payment to give up, open until now.
    pub id: PaymentId,
    /// The reason to record; that of an earlier giving up stays.
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
    /// The current block height, if the node has HTLCs of its own; `None` otherwise. An operator's word
    /// can fail an HTLC only once a tick has brought a height far enough past its CLTV expiry.
    pub height: Option<u32>,
}

impl Tick {
    /// A tick without a block height.
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

/// Ends recovery: draws the conclusions that were withheld. One call does a bounded amount of work and
/// says whether more is due. [`Recovery::finish`](crate::Recovery::finish) calls it to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishRecovery;

/// Says that the caller has reported the payments of the gap in a Restored log. Draws the conclusions
/// that were withheld; one call does a bounded amount of work and says whether more is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseGap;
