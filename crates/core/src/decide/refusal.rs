//! Refusals: values with fields that say what was refused and what the caller can do. A refused
//! command records nothing.

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
        /// The payment.
        id: PaymentId,
        /// The first field that differs.
        field: RequestField,
    },
    /// The payment hash is another's.
    #[error("this payment hash belongs to {other}: one invoice is paid under one id")]
    HashInUse {
        /// Whose. A service names another payment only to its owner.
        other: HashHolder,
        /// Whether that payment is to the same payee; `None` where either does not say.
        same_payee: Option<bool>,
    },
    /// The amount is zero.
    #[error("the amount must be above zero")]
    ZeroAmount,
    /// An amount or fee is larger than there is money.
    #[error("{amount} is more than {limit}, all there is")]
    AmountTooLarge {
        /// The amount or fee.
        amount: Msat,
        /// The largest allowed.
        limit: Msat,
    },
    /// The instructions, the metadata, a text or a custom record are too long.
    #[error("the {field} have {bytes} bytes; the limit is {limit}")]
    TooLong {
        /// Which field.
        field: RequestField,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The expiry, or an offer's absolute deadline, is past.
    #[error("expired at {} ms, it is {} ms: ask for a new invoice", expiry.0, now.0)]
    Expired {
        /// The limit in time.
        expiry: UnixMillis,
        /// The command's now.
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
        /// The payment.
        id: PaymentId,
    },
    /// The payment does not wait for an invoice, or has another one.
    #[error("payment {id} waits for no invoice: it is {status}")]
    NotAwaitingInvoice {
        /// The payment.
        id: PaymentId,
        /// Its status.
        status: Status,
    },
    /// The payment hash is another's.
    #[error("this payment hash belongs to {other}: one invoice is paid under one id")]
    HashInUse {
        /// Whose.
        other: HashHolder,
    },
    /// The invoice's amount is zero.
    #[error("the amount must be above zero")]
    ZeroAmount,
    /// The invoice asks for more than the request allows.
    #[error("the invoice asks for {amount}, the request allows {limit}")]
    AmountTooLarge {
        /// The invoice's amount.
        amount: Msat,
        /// The request's.
        limit: Msat,
    },
    /// The invoice, the request, or the wait for the invoice is over.
    #[error("expired at {} ms, it is {} ms", expiry.0, now.0)]
    Expired {
        /// The limit in time.
        expiry: UnixMillis,
        /// The command's now.
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
        /// The payment.
        id: PaymentId,
    },
    /// The batch has no part.
    #[error("a batch has at least one part")]
    EmptyBatch,
    /// A part id is named twice or known already.
    #[error("part {part} is known already: part ids are never used again")]
    PartInUse {
        /// The part.
        part: PartId,
    },
    /// A delegated part takes all that is missing: nothing can go beside it.
    #[error("delegated part {part} must be alone in its batch")]
    DelegatedNotAlone {
        /// The part.
        part: PartId,
    },
    /// A part's amount is zero.
    #[error("part {part} has no amount")]
    ZeroAmount {
        /// The part.
        part: PartId,
    },
    /// A part's amount or fee is larger than there is money.
    #[error("{amount} is more than {limit}, all there is")]
    AmountTooLarge {
        /// The amount or fee.
        amount: Msat,
        /// The largest allowed.
        limit: Msat,
    },
    /// The payment admits no parts.
    #[error("payment {id} admits no parts: it is {status}")]
    NotOpen {
        /// The payment.
        id: PaymentId,
        /// Its status.
        status: Status,
    },
    /// The payment hash is out or paid elsewhere.
    #[error("this payment hash is out or paid under {other}")]
    HashInUse {
        /// Whose.
        other: HashHolder,
    },
    /// A part told under this id is out, or was paid and nobody has said whether it was this payment:
    /// one of an earlier try, or one with another hash.
    #[error(
        "part {part}, told under this payment, is out or paid: wait for its end, or say whose it is"
    )]
    PartOut {
        /// The part.
        part: PartId,
    },
    /// The payment's time is over.
    #[error("expired at {} ms, it is {} ms", expiry.0, now.0)]
    Expired {
        /// The limit in time.
        expiry: UnixMillis,
        /// The command's now.
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
    /// The retry policy's time is over.
    #[error("retries ended at {} ms, it is {} ms", until.0, now.0)]
    RetryTimePast {
        /// When it ended.
        until: UnixMillis,
        /// The command's now.
        now: UnixMillis,
    },
    /// Another batch came first.
    #[error("attempt {stated} is stale: the next is {expected}; ask again what is missing")]
    StaleAttempt {
        /// The attempt that the command states.
        stated: u32,
        /// The next attempt.
        expected: u32,
    },
    /// Everything is in flight.
    #[error("nothing is missing")]
    NothingMissing,
    /// The parts would exceed the amount by more than the allowance.
    #[error(
        "{in_flight} out and {added} more exceed {amount} by more than the allowance to {limit}"
    )]
    Overpays {
        /// In flight and claimed.
        in_flight: Msat,
        /// The batch's sum; the largest `u64` if it does not fit.
        added: Msat,
        /// The payment's amount.
        amount: Msat,
        /// The amount with the allowance.
        limit: Msat,
    },
    /// The fees would exceed the maximum.
    #[error("fees of {in_flight} out and {added} more exceed the maximum of {limit}")]
    FeesTooHigh {
        /// Fees in flight and claimed; the maximum where a part's fee is not known.
        in_flight: Msat,
        /// The batch's fees; the largest `u64` if they do not fit.
        added: Msat,
        /// The maximum.
        limit: Msat,
    },
    /// A hand-over's label is too long.
    #[error("a label of {bytes} bytes is above the limit of {limit}")]
    LabelTooLong {
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Too many parts in the batch, or in the payment.
    #[error("{known} parts and {added} more are above the limit of {limit}")]
    TooManyParts {
        /// The payment's parts so far; 0 where the batch alone is too large.
        known: usize,
        /// The batch's.
        added: usize,
        /// The limit.
        limit: usize,
    },
    /// Recovery is not finished.
    #[error("recovery is not finished: answer for the unresolved parts, then finish it")]
    Recovering,
    /// The log is Restored and its gap is not closed.
    #[error("the log lacks events that the node knew: tell the payments of the gap, then close it")]
    Restored,
}

/// Why a fact about a part was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FactRefusal {
    /// The ledger does not know the payment.
    #[error("payment {id} is not known: nothing of it is known to be out")]
    UnknownPayment {
        /// The payment.
        id: PaymentId,
    },
    /// The payment does not know the part.
    #[error("part {part} is not known: nothing of it is known to be out")]
    UnknownPart {
        /// The part.
        part: PartId,
    },
    /// The part is not claimed, so it cannot be final.
    #[error("part {part} is not claimed: it is {status}")]
    NotClaimed {
        /// The part.
        part: PartId,
        /// Where it stands.
        status: PartStatus,
    },
    /// The part is not in flight, so it cannot have been never sent.
    #[error("part {part} is not in flight: it is {status}")]
    NotInFlight {
        /// The part.
        part: PartId,
        /// Where it stands.
        status: PartStatus,
    },
    /// The log is older than the channel state: a part that it holds as dispatched may have been
    /// resolved in the gap.
    #[error("the log is restored: \"never sent\" cannot be known before its gap is closed")]
    Restored,
    /// An operator's word on a part that may still be on its channel.
    #[error("part {part} may still be on its channel: an operator's word counts from {from}")]
    AssertedTooEarly {
        /// The part.
        part: PartId,
        /// From when.
        from: AssertionLimit,
    },
    /// The node has listed the part as out since this opening: an operator's word against that must say
    /// so.
    #[error("the node lists part {part} as out: say that it failed although it is listed")]
    ListedAsOut {
        /// The part.
        part: PartId,
    },
    /// The end is one that the engine had shown before the hand-over, or it does not say which it is: it
    /// does not end this hand-over.
    #[error(
        "part {part} was handed over after the engine showed mark {seen}: only a later end is its"
    )]
    StaleEnd {
        /// The part.
        part: PartId,
        /// The last mark before the hand-over.
        seen: u64,
        /// The mark that was told.
        told: Option<u64>,
    },
    /// A hand-over was said several times, and not every saying is over.
    #[error(
        "part {part} was said {said} times and {over} are over: one that waits may still be paid"
    )]
    SayingsOut {
        /// The part.
        part: PartId,
        /// How often it was said.
        said: u32,
        /// How many sayings this answers.
        over: u32,
    },
    /// The hand-over's hash is out or paid elsewhere: said again it might pay a settled invoice.
    #[error("this payment hash is out or paid under {other}")]
    HashInUse {
        /// Whose.
        other: HashHolder,
    },
    /// Too many at once.
    #[error("{given} parts are above the limit of {limit}: list them in several commands")]
    TooMany {
        /// How many.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// A text or a report is too long.
    #[error("{bytes} bytes are above the limit of {limit}")]
    TooLong {
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The payment keeps no more reports.
    #[error("payment {id} keeps {limit} observations and no more")]
    TooManyObservations {
        /// The payment.
        id: PaymentId,
        /// The limit.
        limit: usize,
    },
}

/// From when an operator's word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertionLimit {
    /// From this block height on.
    Height(u32),
    /// From this moment on.
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

/// Why an [`Abandon`](crate::Abandon) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AbandonRefusal {
    /// The ledger does not know the payment.
    #[error("payment {id} is not known")]
    UnknownPayment {
        /// The payment.
        id: PaymentId,
    },
}

/// Why an [`Acknowledge`](crate::Acknowledge) was refused, whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcknowledgeRefusal {
    /// A notification of another log: the seq is in the outbox with other chain bytes.
    #[error("{given} is a notification of another log; here it is {known}")]
    OtherLog {
        /// The id given.
        given: NotificationId,
        /// The id in the outbox.
        known: NotificationId,
    },
    /// A notification that was never delivered.
    #[error("{given} lies beyond the durable head at seq {durable}")]
    Future {
        /// The id given.
        given: NotificationId,
        /// The last durable seq.
        durable: u64,
    },
    /// Too many at once.
    #[error("{given} ids are above the limit of {limit}: acknowledge them in several commands")]
    TooMany {
        /// How many.
        given: usize,
        /// The limit.
        limit: usize,
    },
}

/// Why a [`Tick`](crate::Tick) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TickRefusal {
    /// Recovery is not finished.
    #[error("recovery is not finished: answer for the unresolved parts, then finish it")]
    Recovering,
}

/// Why a [`FinishRecovery`](crate::FinishRecovery) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FinishRefusal {
    /// Recovery is finished already.
    #[error("recovery is finished already")]
    NotRecovering,
}

/// Why a [`CloseGap`](crate::CloseGap) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseGapRefusal {
    /// The log is not Restored.
    #[error("there is no gap: the log is not restored")]
    NotRestored,
}

/// Of commands that are never refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("never")]
pub enum NeverRefused {}

/// Why any [`Command`](crate::Command) was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Of a Pay.
    #[error(transparent)]
    Pay(#[from] PayRefusal),
    /// Of a ReceiveInvoice.
    #[error(transparent)]
    ReceiveInvoice(#[from] ReceiveInvoiceRefusal),
    /// Of a Dispatch.
    #[error(transparent)]
    Dispatch(#[from] DispatchRefusal),
    /// Of a fact about a part.
    #[error(transparent)]
    Fact(#[from] FactRefusal),
    /// Of an Abandon.
    #[error(transparent)]
    Abandon(#[from] AbandonRefusal),
    /// Of an Acknowledge.
    #[error(transparent)]
    Acknowledge(#[from] AcknowledgeRefusal),
    /// Of a Tick.
    #[error(transparent)]
    Tick(#[from] TickRefusal),
    /// Of a FinishRecovery.
    #[error(transparent)]
    Finish(#[from] FinishRefusal),
    /// Of a CloseGap.
    #[error(transparent)]
    CloseGap(#[from] CloseGapRefusal),
}

impl From<NeverRefused> for Refusal {
    fn from(never: NeverRefused) -> Self {
        match never {}
    }
}
