//! Refusals: values with fields that say what was refused and what the caller can do. A refused
//! command records nothing.

use core::convert::Infallible;

use crate::{
    base::amount::{Msat, UnixMillis},
    base::ids::{PartId, PaymentId},
    event::notification::NotificationId,
    event::part::PartStatus,
    event::request::RequestField,
    event::status::Status,
    state::state::HashHolder,
};

/// Why a [`Pay`](crate::Pay) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayRefusal {
    /// The id is known with another request.
    #[error("payment {id} is known with different {field}: use a new id for another request")]
    Conflict {
        /// The id that is known with another request.
        id: PaymentId,
        /// The first field that differs.
        field: RequestField,
    },
    /// The payment hash is another's.
    #[error(
        "this payment hash belongs to {other}: one invoice is paid under one id, and tried again under it"
    )]
    HashInUse {
        /// Who has the hash. A service names another payment only to its owner.
        other: HashHolder,
        /// Whether that payment is to the same payee; `None` where either does not say.
        same_payee: Option<bool>,
    },
    /// Nothing would be paid: an invoice without an amount needs one that the user chose.
    #[error("the amount must be above zero")]
    ZeroAmount,
    /// An amount or a fee is above 21 million BTC.
    #[error("{amount} is more than {limit}, all there is")]
    AmountTooLarge {
        /// The amount or fee asked for, in msat.
        amount: Msat,
        /// The largest amount allowed, in msat.
        limit: Msat,
    },
    /// The instructions, the metadata, a text or a custom record are too long.
    #[error("the {field} have {bytes} bytes; the limit is {limit}")]
    TooLong {
        /// The field that is too long.
        field: RequestField,
        /// How long it is, in bytes.
        bytes: usize,
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// The request's unknown fields ([`RequestDetail::unknown`](crate::RequestDetail::unknown)) are none
    /// that a log can have: one has an even tag or a known one, is repeated, out of order or too long.
    #[error("the request has unknown fields that would not be read back: leave them out")]
    UnreadableFields,
    /// The expiry, or an invoice deadline that is a moment, is past.
    #[error("expired at {} ms, it is {} ms: ask for a new invoice", expiry.0, now.0)]
    Expired {
        /// The moment that is past.
        expiry: UnixMillis,
        /// The `now` of the command that was refused.
        now: UnixMillis,
    },
    /// Recovery is not finished.
    #[error("recovery is not finished: answer for the unresolved parts, then finish it")]
    Recovering,
    /// The log is Restored and its gap is not closed.
    #[error("the log lacks events that the node knew: tell the payments of the gap, then close it")]
    Restored,
}

/// Why a [`ReceiveInvoice`](crate::ReceiveInvoice) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveInvoiceRefusal {
    /// The ledger does not know the payment.
    #[error("payment {id} is not known")]
    UnknownPayment {
        /// The id that the command names.
        id: PaymentId,
    },
    /// The payment does not wait for an invoice, or has another one.
    #[error("payment {id} waits for no invoice: it is {status}")]
    NotAwaitingInvoice {
        /// The id that the command names.
        id: PaymentId,
        /// The status in which it stands.
        status: Status,
    },
    /// The payment hash is another's.
    #[error("this payment hash belongs to {other}: one invoice is paid under one id")]
    HashInUse {
        /// Who has the hash. A service names another payment only to its owner.
        other: HashHolder,
    },
    /// The invoice's amount is zero.
    #[error("the amount must be above zero")]
    ZeroAmount,
    /// The invoice asks for more than the request allows.
    #[error("the invoice asks for {amount}, the request allows {limit}")]
    AmountTooLarge {
        /// What the invoice asks for, in msat.
        amount: Msat,
        /// What the request allows, in msat.
        limit: Msat,
    },
    /// A deadline is past: the expiry of the invoice or of the request, the invoice deadline, or the
    /// retry deadline.
    #[error("expired at {} ms, it is {} ms", expiry.0, now.0)]
    Expired {
        /// The moment that is past.
        expiry: UnixMillis,
        /// The `now` of the command that was refused.
        now: UnixMillis,
    },
    /// Recovery is not finished.
    #[error("recovery is not finished: answer for the unresolved parts, then finish it")]
    Recovering,
    /// The log is Restored and its gap is not closed.
    #[error("the log lacks events that the node knew: tell the payments of the gap, then close it")]
    Restored,
}

/// Why a [`Dispatch`](crate::Dispatch) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchRefusal {
    /// The ledger does not know the payment.
    #[error("payment {id} is not known: send it first")]
    UnknownPayment {
        /// The id that the command names.
        id: PaymentId,
    },
    /// The batch has no part.
    #[error("a batch has at least one part")]
    EmptyBatch,
    /// A part id is named twice or known already.
    #[error("part {part} is known already: part ids are never used again")]
    PartInUse {
        /// The part id that cannot be used: choose fresh random bytes.
        part: PartId,
    },
    /// A delegated part takes all that is missing: it must be alone in its batch.
    #[error("delegated part {part} must be alone in its batch")]
    DelegatedNotAlone {
        /// The delegated part of the batch.
        part: PartId,
    },
    /// A part's amount is zero.
    #[error("part {part} has no amount")]
    ZeroAmount {
        /// The part without an amount.
        part: PartId,
    },
    /// A part's amount or fee is above 21 million BTC.
    #[error("{amount} is more than {limit}, all there is")]
    AmountTooLarge {
        /// The amount or fee asked for, in msat.
        amount: Msat,
        /// The largest amount allowed, in msat.
        limit: Msat,
    },
    /// The payment admits no parts.
    #[error("payment {id} admits no parts: it is {status}")]
    NotOpen {
        /// The id that the command names.
        id: PaymentId,
        /// The status in which it stands.
        status: Status,
    },
    /// The payment hash is out or paid elsewhere.
    #[error("this payment hash is out or paid under {other}")]
    HashInUse {
        /// Who has the hash out or paid.
        other: HashHolder,
    },
    /// A part reported under this id is out, or was paid and nobody has said whether it was this
    /// payment's: a part of an earlier try, or one with another hash.
    #[error(
        "part {part}, told under this payment, is out or paid: wait for its end, or say whose it is"
    )]
    PartOut {
        /// The part to wait for, or to report about.
        part: PartId,
    },
    /// The expiry, or an invoice deadline that is a moment, is past.
    #[error("expired at {} ms, it is {} ms", expiry.0, now.0)]
    Expired {
        /// The moment that is past.
        expiry: UnixMillis,
        /// The `now` of the command that was refused.
        now: UnixMillis,
    },
    /// The retry policy allows no further attempt.
    #[error("no attempt is left: {attempts} made, {retries} retries allowed")]
    AttemptsUsedUp {
        /// How many attempts were made.
        attempts: u32,
        /// How many may follow the first.
        retries: u32,
    },
    /// The retry deadline is past.
    #[error("retries ended at {} ms, it is {} ms", until.0, now.0)]
    RetryTimePast {
        /// The retry deadline, by the clock.
        until: UnixMillis,
        /// The `now` of the command that was refused.
        now: UnixMillis,
    },
    /// Another batch came first.
    #[error("attempt {stated} is stale: the next is {expected}; ask again what is missing")]
    StaleAttempt {
        /// The attempt that the command states.
        stated: u32,
        /// The number that the next attempt must state.
        expected: u32,
    },
    /// Nothing is missing: the whole amount is in flight or settled.
    #[error("nothing is missing")]
    NothingMissing,
    /// The parts would exceed the amount by more than the allowance.
    #[error(
        "{in_flight} out and {added} more exceed {amount} by more than the allowance to {limit}"
    )]
    Overpays {
        /// What is in flight and settled already, in msat.
        in_flight: Msat,
        /// The batch's sum in msat; the largest `u64` if it does not fit.
        added: Msat,
        /// What the payee must receive, in msat.
        amount: Msat,
        /// The most that may be out, in msat: the amount with the allowance.
        limit: Msat,
    },
    /// The fees would exceed the maximum.
    #[error("fees of {in_flight} out and {added} more exceed the maximum of {limit}")]
    FeesTooHigh {
        /// Fees in flight and settled, in msat; the maximum where a part's fee is not known.
        in_flight: Msat,
        /// The batch's fees in msat; the largest `u64` if they do not fit.
        added: Msat,
        /// The request's maximum fee, in msat.
        limit: Msat,
    },
    /// A hand-over's label is too long.
    #[error("a label of {bytes} bytes is above the limit of {limit}")]
    LabelTooLong {
        /// How long it is, in bytes.
        bytes: usize,
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// Too many parts in the batch, or in the payment.
    #[error("{known} parts and {added} more are above the limit of {limit}")]
    TooManyParts {
        /// The payment's parts so far, withdrawn ones not counted; 0 where the batch alone is too large.
        known: usize,
        /// How many parts the batch has.
        added: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Recovery is not finished.
    #[error("recovery is not finished: answer for the unresolved parts, then finish it")]
    Recovering,
    /// The log is Restored and its gap is not closed.
    #[error("the log lacks events that the node knew: tell the payments of the gap, then close it")]
    Restored,
}

/// Why a fact about a part, or an [`Abandon`](crate::Abandon), was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FactRefusal {
    /// The ledger does not know the payment.
    #[error("payment {id} is not known: nothing of it is known to be out")]
    UnknownPayment {
        /// The id that the fact names.
        id: PaymentId,
    },
    /// The payment does not know the part.
    #[error("part {part} is not known: nothing of it is known to be out")]
    UnknownPart {
        /// The part id that the fact names.
        part: PartId,
    },
    /// The part is not claimed, so it cannot be final.
    #[error("part {part} is not claimed: it is {status}")]
    NotClaimed {
        /// The part that was said to be final.
        part: PartId,
        /// The status in which it stands.
        status: PartStatus,
    },
    /// The part is not in flight: *never sent* cannot be true of it, nothing more is said of it to its
    /// engine, and nobody may be given its invoice request.
    #[error("part {part} is not in flight: it is {status}")]
    NotInFlight {
        /// The part that the fact names.
        part: PartId,
        /// The status in which it stands.
        status: PartStatus,
    },
    /// The log is older than the channel state: a part that it has as dispatched may have been resolved
    /// in the gap.
    #[error("the log is restored: \"never sent\" cannot be known before its gap is closed")]
    Restored,
    /// An operator's word about a part that may still be on its channel.
    #[error("part {part} may still be on its channel: an operator's word counts from {from}")]
    AssertedTooEarly {
        /// The part of which the operator spoke.
        part: PartId,
        /// The height or the moment from which the word is taken.
        from: AssertionLimit,
    },
    /// The node has listed the part as out since this opening: an operator's word against that must say
    /// `although_listed`.
    #[error("the node lists part {part} as out: say that it failed although it is listed")]
    ListedAsOut {
        /// The part that the node listed.
        part: PartId,
    },
    /// The reported end has no mark, or one that the engine had shown before the hand-over: it may be
    /// the end of an earlier try.
    #[error(
        "part {part} was handed over after the engine showed mark {seen}: only a later end is its"
    )]
    StaleEnd {
        /// The part, which stays in flight.
        part: PartId,
        /// The last mark that the engine had shown before the hand-over.
        seen: u64,
        /// The mark that came with the end; `None` if there was none.
        told: Option<u64>,
    },
    /// A hand-over was given to its engine several times, and not every saying is over.
    #[error(
        "part {part} was said {said} times and {over} are over: one that waits may still be paid"
    )]
    SayingsOut {
        /// The part, which stays in flight.
        part: PartId,
        /// How often it was said.
        said: u32,
        /// How many sayings the failure says are over.
        over: u32,
    },
    /// The hand-over's hash is out or paid elsewhere: said again it might pay a settled invoice.
    #[error("this payment hash is out or paid under {other}")]
    HashInUse {
        /// Who has the hash out or paid.
        other: HashHolder,
    },
    /// Too many at once.
    #[error("{given} parts are above the limit of {limit}: list them in several commands")]
    TooMany {
        /// How many parts were named.
        given: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A text or a report is too long.
    #[error("{bytes} bytes are above the limit of {limit}")]
    TooLong {
        /// How long it is, in bytes.
        bytes: usize,
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// The part is of no payment that is open: whoever were given its invoice request would be paid
    /// although the payment is over or given up.
    #[error("part {part} is of no open payment: give out no invoice request of it")]
    NotOpen {
        /// The part, whose engine is to give it up.
        part: PartId,
    },
    /// Nothing was given as invoice request.
    #[error("the invoice request of part {part} is empty")]
    EmptyInvoiceRequest {
        /// The part that it was given for.
        part: PartId,
    },
    /// Another invoice request is kept for the part, and may have been given out: a second one could be
    /// paid beside it.
    #[error("part {part} has another invoice request: give out the one that is kept")]
    OtherInvoiceRequest {
        /// The part, whose invoice request stays.
        part: PartId,
    },
    /// The payment keeps no more reports.
    #[error("payment {id} keeps {limit} observations and no more")]
    TooManyObservations {
        /// The payment that keeps no more reports.
        id: PaymentId,
        /// How many reports a payment keeps.
        limit: usize,
    },
}

/// From when an operator's word is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertionLimit {
    /// From this block height on.
    Height(u32),
    /// From this moment on, by the command's `now`.
    Moment(UnixMillis),
}

impl core::fmt::Display for AssertionLimit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Height(height) => write!(f, "block height {height}"),
            Self::Moment(moment) => write!(f, "{} ms", moment.0),
        }
    }
}

/// Why an [`Acknowledge`](crate::Acknowledge) was refused, whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcknowledgeRefusal {
    /// The id is of another log: the seq is in the outbox with another log hash.
    #[error("{given} is a notification of another log; here it is {known}")]
    OtherLog {
        /// The id that the command names.
        given: NotificationId,
        /// The id that the outbox has for this seq.
        known: NotificationId,
    },
    /// The id is of a notification that was never delivered: its seq is not durable yet.
    #[error("{given} lies beyond the durable head at seq {durable}")]
    Future {
        /// The id that the command names, whose seq no event has yet.
        given: NotificationId,
        /// The last seq that is durable: nothing after it was delivered.
        durable: u64,
    },
    /// Too many at once.
    #[error("{given} ids are above the limit of {limit}: acknowledge them in several commands")]
    TooMany {
        /// How many ids were given.
        given: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// Why a [`Tick`](crate::Tick), a [`FinishRecovery`](crate::FinishRecovery) or a
/// [`CloseGap`](crate::CloseGap) was refused: the ledger is not in the phase for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhaseRefusal {
    /// No tick before recovery is finished: a part whose time is counted in ticks could be given up
    /// before the node has said what became of it.
    #[error("recovery is not finished: answer for the unresolved parts, then finish it")]
    Recovering,
    /// Recovery is finished already.
    #[error("recovery is finished already")]
    NotRecovering,
    /// The log is not Restored, so nothing is missing in it.
    #[error("there is no gap: the log is not restored")]
    NotRestored,
}

/// Why any [`Command`](crate::Command) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Why the request was not accepted.
    #[error(transparent)]
    Pay(#[from] PayRefusal),
    /// Why the invoice was not taken.
    #[error(transparent)]
    ReceiveInvoice(#[from] ReceiveInvoiceRefusal),
    /// Why the batch was not recorded.
    #[error(transparent)]
    Dispatch(#[from] DispatchRefusal),
    /// Why the fact was not recorded, or the payment not given up.
    #[error(transparent)]
    Fact(#[from] FactRefusal),
    /// Why no notification was acknowledged.
    #[error(transparent)]
    Acknowledge(#[from] AcknowledgeRefusal),
    /// Why a Tick, a FinishRecovery or a CloseGap did nothing.
    #[error(transparent)]
    Phase(#[from] PhaseRefusal),
}

impl From<Infallible> for Refusal {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
