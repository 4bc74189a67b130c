//! Events: what the log records. Past tense, and complete: folding them needs no
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
    /// The payment hash that the invoice states, and that the payment has from now on.
    pub payment_hash: PaymentHash,
    /// The invoice's amount in msat, above zero and at most the request's.
    pub amount: Msat,
    /// When the invoice expires; `None` if it has none.
    pub expiry: Option<UnixMillis>,
}

/// A part that the node has out and that the log lacks, or has as failed or withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct AdoptedPart {
    /// The part's id: the one that the node gave it.
    pub part: PartId,
    /// The hash of the HTLC, which need not be that of the payment that the node named.
    pub payment_hash: PaymentHash,
    /// What reaches the payee, in msat; `None` if the node does not know.
    pub amount: Option<Msat>,
    /// What the route takes in fees, in msat; `None` if the node does not know.
    pub fee: Option<Msat>,
    /// Whether it is an HTLC of the node's own or is with an engine.
    pub kind: PartKind,
}

/// What an adopted part became.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// A part of the payment named in the event, which is the one that the node named.
    Payment,
    /// A part of the payment named in the event, which holds the part's hash; the node named another one.
    HashHolder {
        /// The payment that the node named.
        named_id: PaymentId,
    },
    /// A foreign part, under its own hash.
    ForeignPart,
}

/// Why a part was adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdoptionSource {
    /// The node listed the part as out.
    Listed,
    /// The node reported the part's claim, and the log had no such part.
    Claimed,
}

/// What an engine reports about a part that it paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Settlement {
    /// What reached the payee, in msat; `None` if the engine does not say.
    pub amount: Option<Msat>,
    /// What the routes took in fees, in msat; `None` if the engine does not say.
    pub fee: Option<Msat>,
}

/// How the user learns of an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// As a notification of its own.
    Notify,
    /// Counted on the notification with this seq.
    Repeat(u64),
    /// Only by a counter: too many anomalies are unread.
    Folded,
}

layout! { record Invoice "an invoice" { payment_hash, amount, expiry } }
layout! { record AdoptedPart "an adopted part" { part, payment_hash, amount, fee, kind } }
layout! { enum Attribution "an attribution" { 0 Payment, 1 HashHolder { named_id }, 2 ForeignPart } }
layout! { enum AdoptionSource "a source" { 0 Listed, 1 Claimed } }
layout! { record Settlement "a settlement" { amount, fee } }
layout! { enum Delivery "a delivery" { 0 Notify, 1 Repeat(seq), 2 Folded } }

/// One thing that happened, complete: folding it needs no configuration and no clock.
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
        /// The newest format version that the writer knows.
        format: u8,
        /// Who opened it: a host and a process, say. Empty if that was not given.
        holder: Text<{ limits::HOLDER_BYTES }>,
        /// The store's own number of this fence, if the store counts them: a writer with a lower number
        /// is shut out.
        fence: Option<u64>,
    },
    /// Recovery is finished: every unresolved part has its answer, or stays in flight without one.
    Recovered,
    /// The log turned out to lack something that the node knows: it is Restored from now on.
    GapFound,
    /// The caller has reported the payments of the gap: the log is no longer Restored.
    GapClosed,
    /// A tick counted, moved the reference back, left work for the next call or finished it, or read a
    /// clock that is not believed. A tick that changes nothing records no event.
    Ticked {
        /// The tick number from now on: one more than before if the tick counts.
        tick: u64,
        /// The moment from which the next tick's interval is measured.
        reference: UnixMillis,
        /// Whether more is due at this tick than its entry holds.
        unfinished: bool,
        /// A reading that was not believed, because it is more than an hour past the reference; the next
        /// reading that agrees with it is believed.
        doubted: Option<UnixMillis>,
    },
    /// The node reported the block height while parts were at or past their CLTV expiry.
    HeightTold {
        /// The height in blocks, as the node's tick brought it.
        height: u32,
    },
    /// A request was accepted.
    PaymentAccepted {
        /// The id that the caller chose; known already if this is a new try.
        id: PaymentId,
        /// What is to be paid.
        request: Request,
        /// The failure that it follows, for a new try of a failed id.
        again_after: Option<NotificationId>,
    },
    /// The node reported a payment that the ledger did not have.
    PaymentAdopted {
        /// The id that the node named: new to the ledger.
        id: PaymentId,
        /// Its hash; `None` if the node did not know it.
        payment_hash: Option<PaymentHash>,
        /// The request, where an operator names it.
        request: Option<Box<Request>>,
    },
    /// A remembered payment came back with its outcome.
    PaymentRecalled {
        /// The id of the tombstone that is a live payment again.
        id: PaymentId,
    },
    /// The invoice for an offer came.
    InvoiceReceived {
        /// The offer's payment; it becomes Pending.
        id: PaymentId,
        /// The invoice's hash, amount and expiry as the caller stated them.
        invoice: Invoice,
    },
    /// An offer dropped its hash, after its hand-over failed or the hash was paid elsewhere: it awaits
    /// an invoice again.
    InvoiceDropped {
        /// The offer's payment; it becomes AwaitingInvoice.
        id: PaymentId,
    },
    /// A batch was dispatched. Recorded before anything is offered.
    PartsDispatched {
        /// The payment that the parts pay: Pending, or AwaitingInvoice for a delegated part.
        id: PaymentId,
        /// The attempt's number, from 1.
        attempt: u32,
        /// The terms of each part, in the order of the command; a delegated one is alone.
        parts: List<PartTerms, { limits::BATCH_PARTS }>,
    },
    /// A hand-over is given to its engine once more. Recorded before the engine is called.
    PartSaidAgain {
        /// The payment that the hand-over is for.
        id: PaymentId,
        /// The delegated part, under the id that the engine had got before.
        part: PartId,
    },
    /// The node listed known parts as out.
    PartsListed {
        /// The ids of the parts, of one payment or of several.
        parts: List<PartId, { limits::LISTED_PARTS }>,
    },
    /// A part was never sent.
    PartWithdrawn {
        /// The payment that the part would have paid; for a foreign part the one under whose id it was
        /// reported.
        id: PaymentId,
        /// The part, in flight until now; it counts nowhere any more.
        part: PartId,
    },
    /// The node has a part out that the log lacked, or had as resolved.
    PartAdopted {
        /// The payment that it belongs to; for a foreign part the one that the node named.
        id: PaymentId,
        /// What the node knows of the part.
        part: AdoptedPart,
        /// Whether it is the payment's own part or a foreign part.
        attribution: Attribution,
        /// Whether the node listed it as out or reported its claim.
        source: AdoptionSource,
        /// Whether it was dispatched in an earlier try of the payment.
        earlier_try: bool,
    },
    /// A foreign part turned out to be this payment's part: its claim pays the payment.
    PartMoved {
        /// The payment that has the part from now on.
        id: PaymentId,
        /// The part, a foreign part until now.
        part: PartId,
    },
    /// An operator said that a foreign part is not of the payment under whose id it was reported.
    PartDisowned {
        /// The payment under whose id it was reported.
        id: PaymentId,
        /// The claimed foreign part; it blocks that payment no more.
        part: PartId,
        /// Who says so, and why.
        assertion: Assertion,
    },
    /// The payee took a part.
    PartClaimed {
        /// The payment; for a foreign part the one that was named.
        id: PaymentId,
        /// The part that the payee took, the payment's own or a foreign part.
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
        /// The payment that the part paid; for a foreign part the one under whose id it was reported.
        id: PaymentId,
        /// The part, claimed until now.
        part: PartId,
        /// Whether it is a notification.
        notify: bool,
    },
    /// A part failed irrevocably.
    PartFailed {
        /// The payment that the part was of; for a foreign part the one under whose id it was reported.
        id: PaymentId,
        /// The part, which is failed now; if it was claimed, it is finalized.
        part: PartId,
        /// Why it failed, and whether another route can help.
        failure: Failure,
        /// Whether it is a notification.
        notify: bool,
        /// How long the payment rests before its next attempt, in milliseconds.
        rest_ms: u64,
    },
    /// An engine reported on a part.
    PartObserved {
        /// The payment whose part the report is about.
        id: PaymentId,
        /// The part, the kind of the report, and the report's bytes.
        observation: Observation,
    },
    /// The proof of a payment's hash became known, without a part that was claimed with it.
    PreimageLearned {
        /// The payment that has paid this hash.
        id: PaymentId,
        /// The hash: the payment's own, or that of an earlier try.
        payment_hash: PaymentHash,
        /// 32 bytes whose SHA-256 is that hash.
        preimage: Preimage,
    },
    /// The payment is paid. A notification.
    PaymentSent {
        /// The payment; it becomes Fulfilled.
        id: PaymentId,
        /// The hash, if the node reported it for a payment that had none; otherwise `None`.
        payment_hash: Option<PaymentHash>,
        /// What was in flight and settled at that moment, in msat; `None` when it is not known.
        amount: Option<Msat>,
        /// The fees of the same parts, in msat; `None` when they are not known.
        fee: Option<Msat>,
        /// Whether it corrects an earlier notification of failure, or the ledger knew nothing of the
        /// payment before.
        correction: bool,
        /// Who says so, where it is an operator's word.
        assertion: Option<Assertion>,
    },
    /// What was notified about a paid payment has changed: the final sums, or the proof. A notification.
    PaymentSettled {
        /// The payment, which is Fulfilled.
        id: PaymentId,
        /// What reached the payee, in msat; `None` when it is not known.
        amount: Option<Msat>,
        /// What the routes took, in msat; `None` when it is not known.
        fee: Option<Msat>,
    },
    /// The hash that a payment holds was paid by another payment or outside the ledger.
    PaidElsewhere {
        /// The payment that holds the hash.
        id: PaymentId,
        /// By whom, and on what evidence.
        by: PaidElsewhere,
    },
    /// The payment is given up and dispatches no new parts; it ends when the last one resolves.
    PaymentAbandoned {
        /// The payment; it becomes Abandoned.
        id: PaymentId,
        /// Why it was given up; no later reason replaces this one.
        reason: FailureReason,
    },
    /// The payment is over, unpaid. A notification.
    PaymentFailed {
        /// The payment; it becomes Failed, or was superseded and is so again.
        id: PaymentId,
        /// Why it was given up: the first reason, if there were several.
        reason: FailureReason,
    },
    /// The payment left the ledger.
    PaymentForgotten {
        /// The id; it is free again, unless it is remembered.
        id: PaymentId,
        /// Whether a tombstone with its outcome stays.
        remembered: bool,
    },
    /// A hand-over made an invoice request (BOLT 12), which whoever is given it answers with an invoice.
    /// Recorded before anybody is given it.
    InvoiceRequested {
        /// The payment that the hand-over is for, AwaitingInvoice or Pending.
        id: PaymentId,
        /// The part, in flight, of which no other invoice request is kept.
        part: PartId,
        /// The invoice request, as it is sent; never empty.
        invoice_request: Blob<{ limits::INVOICE_REQUEST_BYTES }>,
    },
    /// A hash is blocked: something is out under it.
    HashBlocked {
        /// The hash under which something is out, of which the node knows no more.
        payment_hash: PaymentHash,
        /// The engine that has it out; empty where none was named.
        engine: Blob<{ limits::LABEL_BYTES }>,
    },
    /// A block of a hash has ended.
    HashUnblocked {
        /// The hash. If this was its last block, a payment with it may be dispatched again, if nothing else
        /// forbids that.
        payment_hash: PaymentHash,
        /// The engine whose block it was; empty for the block of none.
        engine: Blob<{ limits::LABEL_BYTES }>,
    },
    /// A hash is known as paid although no part shows it.
    HashPaid {
        /// The hash that nobody may pay any more.
        payment_hash: PaymentHash,
        /// The proof, if known.
        preimage: Option<Preimage>,
        /// The payment that paid it according to somebody's word; the paid hash is kept with that
        /// payment. `None` if it is kept apart from payments.
        payer: Option<PaymentId>,
    },
    /// A paid hash is no longer needed, and no longer kept.
    HashForgotten {
        /// The hash; from now on the ledger does not know that it was paid.
        payment_hash: PaymentHash,
    },
    /// Something happened that should not have.
    AnomalyNoted {
        /// What happened, and to which part, payment or hash.
        anomaly: Anomaly,
        /// How the user learns of it.
        delivery: Delivery,
    },
    /// History up to a head is about to be dropped: a snapshot with this digest is the log's base from
    /// then on. Recorded first, so that the chain covers what stands for the dropped history.
    HistoryDropped {
        /// The head up to which the base stands for the log.
        base: Head,
        /// The digest of the base's bytes as they are kept.
        digest: StateDigest,
        /// The seq of the previous base, if there was one: it is still the base if the drop was
        /// interrupted.
        replaces: Option<u64>,
    },
    /// The user has acknowledged a notification.
    Acknowledged {
        /// The seq of the notification.
        seq: u64,
    },
    /// An event of a made-up format version, for the tests of upgrades.
    #[cfg(payonce_format_2)]
    Remarked {
        /// The payment that is remarked on.
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
            Self::InvoiceRequested { .. } => "invoice_requested",
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
            | Self::InvoiceRequested { id, .. }
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
        29 "hash_blocked" HashBlocked { payment_hash; 2 engine }
        30 "hash_unblocked" HashUnblocked { payment_hash; 2 engine }
        31 "hash_paid" HashPaid { payment_hash; 2 preimage, 4 payer }
        32 "hash_forgotten" HashForgotten { payment_hash; }
        33 "history_dropped" HistoryDropped { base, digest; 2 replaces }
        34 "anomaly_noted" AnomalyNoted { anomaly, delivery; }
        35 "acknowledged" Acknowledged { seq; }
        36 "invoice_requested" InvoiceRequested { id, part, invoice_request; }
        #[cfg(payonce_format_2)]
        37 @ 2 "remarked" Remarked { id; }
    }
}
