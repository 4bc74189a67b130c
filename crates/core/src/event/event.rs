//! Events: the facts that the log holds. Past tense, and complete: folding them needs no
//! configuration and no clock.
//!
//! The table at the end is their layout (docs/FORMAT.md).

use alloc::boxed::Box;

use crate::{
    base::amount::{Msat, UnixMillis},
    base::bounded::{Blob, List, Text},
    base::head::Head,
    base::ids::{PartId, PaymentHash, PaymentId, Preimage},
    base::limits,
    base::state_digest::StateDigest,
    base::wire::layout,
    event::hash_paid::PaidElsewhere,
    event::notification::{Anomaly, NotificationId},
    event::part::{Assertion, Failure, Observation, PartKind, PartTerms},
    event::request::Request,
    event::status::FailureReason,
};

/// The invoice that came for an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Invoice {
    /// Its payment hash.
    pub payment_hash: PaymentHash,
    /// Its amount: at most the request's.
    pub amount: Msat,
    /// Its expiry.
    pub expiry: Option<UnixMillis>,
}

/// A part that the node has and the log has not, or holds as failed or withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct AdoptedPart {
    /// Its name.
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

/// Where an adopted part went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// To the payment named in the event.
    Payment,
    /// To the payment named in the event, which holds its hash; the node names this other one.
    HashHolder {
        /// The payment under which the node knows the part.
        named_id: PaymentId,
    },
    /// To none: a foreign part under its own hash.
    ForeignPart,
}

/// On whose word a part was adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdoptionSource {
    /// The node listed it as out.
    Listed,
    /// Its claim arrived.
    Claimed,
}

/// What an engine reports of a part that it paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Settlement {
    /// What reached the payee.
    pub amount: Option<Msat>,
    /// What the routes took.
    pub fee: Option<Msat>,
}

/// How an anomaly reaches the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// As a notification of its own.
    Notify,
    /// Counted on the notification with this seq.
    Repeat(u64),
    /// Only counted: too many are unread.
    Folded,
}

layout! { record Invoice "an invoice" { payment_hash, amount, expiry } }
layout! { record AdoptedPart "an adopted part" { part, payment_hash, amount, fee, kind } }
layout! { enum Attribution "an attribution" { 0 Payment, 1 HashHolder { named_id }, 2 ForeignPart } }
layout! { enum AdoptionSource "a source" { 0 Listed, 1 Claimed } }
layout! { record Settlement "a settlement" { amount, fee } }
layout! { enum Delivery "a delivery" { 0 Notify, 1 Repeat(seq), 2 Folded } }

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A writer opened the log. Recovery begins.
    Opened {
        /// The epoch of the writer: one more than the last.
        epoch: u64,
        /// Whether the log lacked a head that the node knew durable.
        restored: bool,
        /// The writer's name and version.
        program: Text<{ limits::PROGRAM_BYTES }>,
        /// The newest format version that the writer knows: what it could have said.
        format: u8,
        /// Who opened it: a host and a process, say. Empty where nobody said.
        holder: Text<{ limits::HOLDER_BYTES }>,
        /// The store's own number of this taking-over, where the store counts them: a writer with a
        /// lower one is shut out.
        fence: Option<u64>,
    },
    /// Recovery is finished: every unresolved part has its answer or waits for one.
    Recovered,
    /// The log turned out to lack something that the node did: it is Restored.
    GapFound,
    /// The caller has told the payments of the gap.
    GapClosed,
    /// The timer ticked.
    Ticked {
        /// The tick number from now on: one more than before if the tick counts.
        tick: u64,
        /// The moment from which the next tick's interval is measured.
        reference: UnixMillis,
        /// Whether more is due at this tick than its entry holds.
        unfinished: bool,
        /// A reading that was not believed, because it lies more than an hour past the reference:
        /// the next one that agrees with it is.
        doubted: Option<UnixMillis>,
    },
    /// The node told the block height, where parts are at or past theirs.
    HeightTold {
        /// The height.
        height: u32,
    },
    /// A request was accepted.
    PaymentAccepted {
        /// The payment.
        id: PaymentId,
        /// What is to be paid.
        request: Request,
        /// The failure that it follows, for a new try of a failed id.
        again_after: Option<NotificationId>,
    },
    /// The ledger learnt of a payment that it does not hold.
    PaymentAdopted {
        /// The payment.
        id: PaymentId,
        /// Its hash, if known.
        payment_hash: Option<PaymentHash>,
        /// The request, where an operator names it.
        request: Option<Box<Request>>,
    },
    /// A remembered payment came back with its outcome.
    PaymentRecalled {
        /// The payment.
        id: PaymentId,
    },
    /// The invoice for an offer came.
    InvoiceReceived {
        /// The payment.
        id: PaymentId,
        /// The invoice.
        invoice: Invoice,
    },
    /// An offer let its hash go, after its hand-over failed or the hash was paid elsewhere: it awaits
    /// an invoice again.
    InvoiceDropped {
        /// The payment.
        id: PaymentId,
    },
    /// A batch was dispatched. Recorded before anything is offered.
    PartsDispatched {
        /// The payment.
        id: PaymentId,
        /// The attempt's number, from 1.
        attempt: u32,
        /// The parts.
        parts: List<PartTerms, { limits::BATCH_PARTS }>,
    },
    /// A hand-over is said to its engine again. Recorded before it is.
    PartSaidAgain {
        /// The payment.
        id: PaymentId,
        /// The part.
        part: PartId,
    },
    /// The node listed known parts as out.
    PartsListed {
        /// The parts.
        parts: List<PartId, { limits::LISTED_PARTS }>,
    },
    /// A part was never sent.
    PartWithdrawn {
        /// The payment.
        id: PaymentId,
        /// The part.
        part: PartId,
    },
    /// The node has a part that the log lacked or held as over.
    PartAdopted {
        /// The payment it belongs to; for a foreign part the one that the node named.
        id: PaymentId,
        /// The part.
        part: AdoptedPart,
        /// Where it went.
        attribution: Attribution,
        /// On whose word.
        source: AdoptionSource,
        /// Whether it was dispatched in an earlier try of the payment.
        earlier_try: bool,
    },
    /// A part that stood under a hash of its own turned out to be this payment's: its claim pays it.
    PartMoved {
        /// The payment.
        id: PaymentId,
        /// The part.
        part: PartId,
    },
    /// An operator said that a part is not of the payment under which it was told.
    PartDisowned {
        /// The payment under which it was told.
        id: PaymentId,
        /// The part.
        part: PartId,
        /// Who says so, and why.
        assertion: Assertion,
    },
    /// The payee took a part.
    PartClaimed {
        /// The payment; for a foreign part the one that was named.
        id: PaymentId,
        /// The part.
        part: PartId,
        /// The preimage; `None` when the node knows only that it was paid.
        preimage: Option<Preimage>,
        /// The hash, of a part of which it was not known (a hand-over of an offer).
        payment_hash: Option<PaymentHash>,
        /// What an engine reported.
        settlement: Option<Settlement>,
        /// The BOLT 12 invoice that was paid, as it was signed: with the preimage it is the proof of
        /// payment.
        invoice: Blob<{ limits::PAID_INVOICE_BYTES }>,
    },
    /// A claimed part is irrevocably off the channel.
    PartFinalized {
        /// The payment.
        id: PaymentId,
        /// The part.
        part: PartId,
        /// Whether it is a notification.
        notify: bool,
    },
    /// A part failed irrevocably.
    PartFailed {
        /// The payment.
        id: PaymentId,
        /// The part.
        part: PartId,
        /// Why.
        failure: Failure,
        /// Whether it is a notification.
        notify: bool,
        /// How long the payment rests before its next attempt, in milliseconds.
        rest_ms: u64,
    },
    /// An engine reported on a part.
    PartObserved {
        /// The payment.
        id: PaymentId,
        /// What it reported.
        observation: Observation,
    },
    /// The proof of a payment's hash became known, without a part that it claims.
    PreimageLearned {
        /// The payment.
        id: PaymentId,
        /// The hash: the payment's own, or that of an earlier try.
        payment_hash: PaymentHash,
        /// The proof.
        preimage: Preimage,
    },
    /// The payment is paid. A notification.
    PaymentSent {
        /// The payment.
        id: PaymentId,
        /// The hash, where the node told it of a payment that had none.
        payment_hash: Option<PaymentHash>,
        /// What was in flight and claimed at that moment; `None` when it is not known.
        amount: Option<Msat>,
        /// The fees of the same parts; `None` when they are not known.
        fee: Option<Msat>,
        /// Whether it corrects what was said before: a failure, or nothing at all.
        correction: bool,
        /// Who says so, where it is an operator's word.
        assertion: Option<Assertion>,
    },
    /// What was told of a paid payment has changed: the final sums, or the proof. A notification.
    PaymentSettled {
        /// The payment.
        id: PaymentId,
        /// What reached the payee; `None` when it is not known.
        amount: Option<Msat>,
        /// What the routes took; `None` when it is not known.
        fee: Option<Msat>,
    },
    /// The hash that a payment holds was paid elsewhere.
    PaidElsewhere {
        /// The payment that holds the hash.
        id: PaymentId,
        /// By whom, and on what evidence.
        by: PaidElsewhere,
    },
    /// No new parts; the payment waits for the last one.
    PaymentAbandoned {
        /// The payment.
        id: PaymentId,
        /// Why.
        reason: FailureReason,
    },
    /// The payment is over, unpaid. A notification.
    PaymentFailed {
        /// The payment.
        id: PaymentId,
        /// Why.
        reason: FailureReason,
    },
    /// The payment left the ledger.
    PaymentForgotten {
        /// The payment.
        id: PaymentId,
        /// Whether a tombstone with its outcome stays.
        remembered: bool,
    },
    /// A hash is blocked: something is out under it.
    HashBlocked {
        /// The hash.
        payment_hash: PaymentHash,
    },
    /// A blocked hash is free again.
    HashUnblocked {
        /// The hash.
        payment_hash: PaymentHash,
    },
    /// A hash is known as paid, which no part says.
    HashPaid {
        /// The hash.
        payment_hash: PaymentHash,
        /// The proof, if known.
        preimage: Option<Preimage>,
        /// The payment that somebody's word says paid it: it tells the hash from here on. Without one the
        /// hash is kept by itself.
        payer: Option<PaymentId>,
    },
    /// A hash that is paid is needed no more.
    HashForgotten {
        /// The hash.
        payment_hash: PaymentHash,
    },
    /// Something happened that should not have.
    AnomalyNoted {
        /// What.
        anomaly: Anomaly,
        /// How the user learns of it.
        delivery: Delivery,
    },
    /// History up to a head is about to be dropped: its state, as these bytes, is the log's base from
    /// then on. Recorded first, so that the chain covers what stands for what it no longer holds.
    HistoryDropped {
        /// The head up to which the base stands for the log.
        base: Head,
        /// The digest of the base's bytes as they are kept.
        digest: StateDigest,
        /// The seq of the base before, where there was one: it is the base still if the drop was cut
        /// short.
        replaces: Option<u64>,
    },
    /// The user has handled a notification.
    Acknowledged {
        /// The seq of the notification.
        seq: u64,
    },
    /// An event of a version that there is not.
    #[cfg(payonce_format_2)]
    Remarked {
        /// The payment.
        id: PaymentId,
    },
}

impl Event {
    /// Its name, as in JSON: for tables, logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Recovered => "recovered",
            Self::GapFound => "gap_found",
            Self::GapClosed => "gap_closed",
            Self::Ticked { .. } => "ticked",
            Self::HeightTold { .. } => "height_told",
            Self::PaymentAccepted { .. } => "payment_accepted",
            Self::PaymentAdopted { .. } => "payment_adopted",
            Self::PaymentRecalled { .. } => "payment_recalled",
            Self::InvoiceReceived { .. } => "invoice_received",
            Self::InvoiceDropped { .. } => "invoice_dropped",
            Self::PartsDispatched { .. } => "parts_dispatched",
            Self::PartSaidAgain { .. } => "part_said_again",
            Self::PartsListed { .. } => "parts_listed",
            Self::PartWithdrawn { .. } => "part_withdrawn",
            Self::PartAdopted { .. } => "part_adopted",
            Self::PartMoved { .. } => "part_moved",
            Self::PartDisowned { .. } => "part_disowned",
            Self::PartClaimed { .. } => "part_claimed",
            Self::PartFinalized { .. } => "part_finalized",
            Self::PartFailed { .. } => "part_failed",
            Self::PartObserved { .. } => "part_observed",
            Self::PreimageLearned { .. } => "preimage_learned",
            Self::PaymentSent { .. } => "payment_sent",
            Self::PaymentSettled { .. } => "payment_settled",
            Self::PaidElsewhere { .. } => "paid_elsewhere",
            Self::PaymentAbandoned { .. } => "payment_abandoned",
            Self::PaymentFailed { .. } => "payment_failed",
            Self::PaymentForgotten { .. } => "payment_forgotten",
            Self::HashBlocked { .. } => "hash_blocked",
            Self::HashUnblocked { .. } => "hash_unblocked",
            Self::HashPaid { .. } => "hash_paid",
            Self::HashForgotten { .. } => "hash_forgotten",
            Self::HistoryDropped { .. } => "history_dropped",
            Self::AnomalyNoted { .. } => "anomaly_noted",
            Self::Acknowledged { .. } => "acknowledged",
            #[cfg(payonce_format_2)]
            Self::Remarked { .. } => "remarked",
        }
    }

    /// The payment that the event is about, if it is about one.
    #[must_use]
    pub fn payment(&self) -> Option<&PaymentId> {
        match self {
            Self::PaymentAccepted { id, .. }
            | Self::PaymentAdopted { id, .. }
            | Self::PaymentRecalled { id }
            | Self::InvoiceReceived { id, .. }
            | Self::InvoiceDropped { id }
            | Self::PartsDispatched { id, .. }
            | Self::PartSaidAgain { id, .. }
            | Self::PartMoved { id, .. }
            | Self::PartDisowned { id, .. }
            | Self::PreimageLearned { id, .. }
            | Self::PaymentSettled { id, .. }
            | Self::PaidElsewhere { id, .. }
            | Self::PartWithdrawn { id, .. }
            | Self::PartAdopted { id, .. }
            | Self::PartClaimed { id, .. }
            | Self::PartFinalized { id, .. }
            | Self::PartFailed { id, .. }
            | Self::PartObserved { id, .. }
            | Self::PaymentSent { id, .. }
            | Self::PaymentAbandoned { id, .. }
            | Self::PaymentFailed { id, .. }
            | Self::PaymentForgotten { id, .. } => Some(id),
            Self::AnomalyNoted { anomaly, .. } => Some(anomaly.payment()),
            Self::Opened { .. }
            | Self::Recovered
            | Self::GapFound
            | Self::GapClosed
            | Self::Ticked { .. }
            | Self::HeightTold { .. }
            | Self::PartsListed { .. }
            | Self::HashPaid { .. }
            | Self::HashForgotten { .. }
            | Self::HistoryDropped { .. }
            | Self::HashBlocked { .. }
            | Self::HashUnblocked { .. }
            | Self::Acknowledged { .. } => None,
            #[cfg(payonce_format_2)]
            Self::Remarked { id } => Some(id),
        }
    }
}

layout! {
    tailed enum Event {
        0 "opened" Opened { epoch, program, format; 2 restored, 4 holder, 6 fence }
        1 "recovered" Recovered { ; }
        2 "gap_found" GapFound { ; }
        3 "gap_closed" GapClosed { ; }
        4 "ticked" Ticked { tick, reference; 2 unfinished, 4 doubted }
        5 "height_told" HeightTold { height; }
        6 "payment_accepted" PaymentAccepted { id, request; 2 again_after }
        7 "payment_adopted" PaymentAdopted { id; 2 payment_hash, 4 request }
        8 "payment_recalled" PaymentRecalled { id; }
        9 "invoice_received" InvoiceReceived { id, invoice; }
        10 "invoice_dropped" InvoiceDropped { id; }
        11 "parts_dispatched" PartsDispatched { id, attempt, parts; }
        12 "part_said_again" PartSaidAgain { id, part; }
        13 "parts_listed" PartsListed { parts; }
        14 "part_withdrawn" PartWithdrawn { id, part; }
        15 "part_adopted" PartAdopted { id, part, attribution, source; 2 earlier_try }
        16 "part_moved" PartMoved { id, part; }
        17 "part_disowned" PartDisowned { id, part, assertion; }
        18 "part_claimed" PartClaimed { id, part; 2 preimage, 4 payment_hash, 6 settlement, 8 invoice }
        19 "part_finalized" PartFinalized { id, part; 2 notify }
        20 "part_failed" PartFailed { id, part, failure; 2 notify, 4 rest_ms }
        21 "part_observed" PartObserved { id, observation; }
        22 "preimage_learned" PreimageLearned { id, payment_hash, preimage; }
        23 "payment_sent" PaymentSent {
            id; 2 payment_hash, 4 amount, 6 fee, 8 correction, 10 assertion
        }
        24 "payment_settled" PaymentSettled { id; 2 amount, 4 fee }
        25 "paid_elsewhere" PaidElsewhere { id, by; }
        26 "payment_abandoned" PaymentAbandoned { id, reason; }
        27 "payment_failed" PaymentFailed { id, reason; }
        28 "payment_forgotten" PaymentForgotten { id; 2 remembered }
        29 "hash_blocked" HashBlocked { payment_hash; }
        30 "hash_unblocked" HashUnblocked { payment_hash; }
        31 "hash_paid" HashPaid { payment_hash; 2 preimage, 4 payer }
        32 "hash_forgotten" HashForgotten { payment_hash; }
        33 "history_dropped" HistoryDropped { base, digest; 2 replaces }
        34 "anomaly_noted" AnomalyNoted { anomaly, delivery; }
        35 "acknowledged" Acknowledged { seq; }
        #[cfg(payonce_format_2)]
        36 @ 2 "remarked" Remarked { id; }
    }
}
