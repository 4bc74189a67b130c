//! Importing: what a node's own table of payments says, told to a ledger before its first start.
//!
//! Each payment is recorded as if the ledger had been there: accepted, handed over to LDK under the id that
//! LDK knows, and ended, each at the moment of the table. What is over needs no user: its notifications are
//! acknowledged here.

use std::collections::HashSet;

use lightning::{bitcoin::Network, ln::channelmanager::PaymentId as EngineId};
use payonce_core::{
    Abandon, Acknowledge, ClaimPart, Command, Dispatch, EventStore, FailPart, Failure,
    FailureReason, FinalizePart, MarkPaid, MaxFee, Msat, NewPart, Notification, OpenError, Opening,
    Part, PartId, Pay, PaymentHash, PaymentId, Preimage, Refusal, Request, RetryPolicy, Settlement,
    State, Status, UnixMillis, limits,
};
use payonce_runtime::{SharedLedger, Unavailable};

use crate::{
    bridge::border, bridge::imported, order::order::Order, order::request::OrderRefusal,
    order::terms::Terms, payer::error::Interrupted,
};

/// A payment as the node's own table has it.
#[derive(Debug, Clone)]
pub struct PastPayment {
    /// The id under which the caller's own table has it.
    pub id: PaymentId,
    /// The id that LDK got. Where the table has one id for both, the same bytes.
    pub engine_id: EngineId,
    /// When it was made.
    pub at: UnixMillis,
    /// What it pays: an order, or the hash alone.
    pub order: PastOrder,
    /// How it stands in the caller's own table.
    pub outcome: PastOutcome,
}

/// What was paid, as far as the table tells.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one at a time, at an import")]
pub enum PastOrder {
    /// All of it: a later repeat is answered with the outcome if it is the same.
    Order {
        /// The order as it was given to LDK.
        order: Order,
        /// The amount, where the order does not say it.
        amount: Option<Msat>,
        /// The terms on which the node's code would pay it again.
        terms: Terms,
    },
    /// The hash alone: a later repeat is refused as in conflict, since nobody knows whether it is the same.
    Invoice {
        /// The payment hash, where no order is left.
        payment_hash: PaymentHash,
        /// What was to be paid.
        amount: Msat,
    },
}

/// How a payment stands, as the table has it.
#[derive(Debug, Clone, Copy)]
pub enum PastOutcome {
    /// Paid: LDK's `PaymentSent` was handled.
    Paid {
        /// The preimage, if the table has it.
        preimage: Option<Preimage>,
        /// Of an offer without a preimage: the payment hash, if the table has it.
        payment_hash: Option<PaymentHash>,
        /// What was paid and what it cost, as far as it is known.
        settlement: Settlement,
    },
    /// `PaymentFailed` was handled, or LDK took nothing.
    Failed {
        /// Why it failed, as the caller told its user.
        reason: FailureReason,
    },
    /// LDK may have it.
    Pending,
}

/// What an import came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// How many payments are in the ledger now that were not.
    pub imported: usize,
    /// How many were there before, by an import that was broken off, say.
    pub known: usize,
    /// Those of which something was refused, and why. Of two that failed with one hash the second is among
    /// them; one that is pending or paid should be looked at.
    pub refused: Vec<(PaymentId, ImportRefusal)>,
}

/// Why a payment was not imported, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportRefusal {
    /// The order can never have been paid like this.
    #[error(transparent)]
    Order(#[from] OrderRefusal),
    /// The ledger refused it.
    #[error(transparent)]
    Ledger(#[from] Refusal),
}

/// Why nothing more was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed. Open it again and import all of it again: what is there is not there twice.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<Unavailable> for ImportError {
    fn from(error: Unavailable) -> Self {
        Self::Interrupted(error.into())
    }
}

/// Imports a node's own table into a ledger that was created for it, before the first
/// [`Starting`](crate::Starting) opens that. Nothing is sent, and nobody is notified of what is over. What is
/// pending is compared with LDK at the start: what LDK lists is out, its events end it, and what it does not
/// list stays in flight ([`StartReport::unanswered`](crate::StartReport::unanswered)), since nobody knows
/// whether that table missed its end.
///
/// It may be repeated, all of it, after a crash. It blocks for two writes to the store a payment; in a task,
/// call it on a thread of its own.
///
/// # Errors
/// [`ImportError`], where the log cannot be opened or the store fails. A payment that is refused is no error:
/// it is in the report.
pub fn import<S: EventStore + Send + 'static>(
    store: S,
    opening: &Opening,
    network: Network,
    payments: impl IntoIterator<Item = PastPayment>,
    now: UnixMillis,
) -> Result<ImportReport, ImportError> {
    let options = payonce_runtime::Options::DEFAULT;
    let ledger = SharedLedger::open(store, opening, options, now)?.finish(now)?;
    let mut payments: Vec<_> = payments.into_iter().collect();
    // What is paid comes first: a hash that is paid is refused to all others, never the other way round.
    payments.sort_by_key(|payment| (payment.outcome.rank(), payment.at));
    let mut report = ImportReport::default();
    for some in payments.chunks(limits::WORK_PAYMENTS) {
        for payment in some {
            import_one(&ledger, network, payment, &mut report)?;
        }
        acknowledge(&ledger, some, now)?;
    }
    drop(ledger.close());
    Ok(report)
}

fn import_one<S: EventStore + Send + 'static>(
    ledger: &SharedLedger<S>,
    network: Network,
    payment: &PastPayment,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    let request = match payment.order.request(network) {
        Ok(request) => request,
        Err(refusal) => {
            report.refused.push((payment.id, refusal.into()));
            return Ok(());
        }
    };
    // It was accepted before it expired, whenever the table's row was written.
    let last = request.expiry.map(|expiry| UnixMillis(expiry.0.saturating_sub(1)));
    let at = last.map_or(payment.at, |last| last.min(payment.at));
    let there = ledger.query(|state| There::of(state, payment))?;
    let mut answers = Vec::new();
    if there == There::Nothing {
        answers = ledger.execute_all(payment.beginning(request), at)?;
    }
    if there != There::All && answers.iter().all(Result::is_ok) {
        answers.extend(ledger.execute_all(payment.end(), at)?);
    }
    match answers.into_iter().find_map(Result::err) {
        Some(refusal) => report.refused.push((payment.id, refusal.into())),
        None if there == There::Nothing => report.imported += 1,
        None => report.known += 1,
    }
    Ok(())
}

/// What of a payment the ledger has: an import may have been broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    /// It was handed over.
    Beginning,
    All,
}

impl There {
    fn of(state: &State, payment: &PastPayment) -> Self {
        let status = state.payment_view(&payment.id).map(|view| view.status);
        let handed = state.owner_of(&payment.part()) == Some(payment.id);
        match (status, payment.outcome) {
            (Some(Status::Fulfilled), _)
            | (Some(Status::Failed { .. }), PastOutcome::Failed { .. }) => Self::All,
            (Some(_), PastOutcome::Pending) if handed => Self::All,
            _ if handed => Self::Beginning,
            _ => Self::Nothing,
        }
    }
}

/// Nobody is told of what was over before there was a ledger.
fn acknowledge<S: EventStore + Send + 'static>(
    ledger: &SharedLedger<S>,
    payments: &[PastPayment],
    now: UnixMillis,
) -> Result<(), ImportError> {
    let ids: HashSet<_> = payments.iter().map(|payment| payment.id).collect();
    let unread: Vec<_> = ledger.query(|state| {
        let ours = |notification: &Notification| {
            let id = notification.kind.payment();
            ids.contains(id) && is_imported(state, id)
        };
        state.outbox().filter(ours).map(|notification| notification.id).collect()
    })?;
    for some in unread.chunks(limits::ACKNOWLEDGE_IDS) {
        let acknowledge = Command::Acknowledge(Acknowledge { ids: some.to_vec() });
        // They are in the outbox: none is refused.
        ledger.execute_all([acknowledge], now)?;
    }
    Ok(())
}

/// Whether all that was ever handed over of it was imported: what this program did itself, the user must see.
fn is_imported(state: &State, id: &PaymentId) -> bool {
    let parts = state.payment(id).map(payonce_core::Payment::parts).unwrap_or_default();
    !parts.is_empty() && parts.iter().all(|part: &Part| imported::is_imported(part))
}

impl PastOutcome {
    const fn rank(&self) -> u8 {
        match self {
            Self::Paid { .. } => 0,
            Self::Pending => 1,
            Self::Failed { .. } => 2,
        }
    }
}

impl PastOrder {
    fn request(&self, network: Network) -> Result<Request, OrderRefusal> {
        match self {
            Self::Order { order, amount, terms } => order.request(*amount, terms, network),
            Self::Invoice { payment_hash, amount } => {
                let (fee, retry) = (MaxFee::Unlimited, RetryPolicy::Attempts(0));
                Ok(Request::invoice(*payment_hash, *amount, fee, retry))
            }
        }
    }
}

impl PastPayment {
    fn part(&self) -> PartId {
        border::part_id(&self.engine_id)
    }

    fn beginning(&self, request: Request) -> [Command; 2] {
        let part = NewPart::Delegated { id: self.part(), label: Some(imported::label()) };
        [
            Command::Pay(Pay::new(self.id, request)),
            Command::Dispatch(Dispatch { id: self.id, attempt: 1, parts: vec![part] }),
        ]
    }

    fn end(&self) -> Vec<Command> {
        let (id, part) = (self.id, self.part());
        match self.outcome {
            PastOutcome::Pending => Vec::new(),
            PastOutcome::Failed { reason } => vec![
                Command::Abandon(Abandon { id, reason }),
                Command::FailPart(FailPart { id, part, failure: Failure::default() }),
            ],
            PastOutcome::Paid { preimage: Some(preimage), settlement, .. } => {
                let claim = ClaimPart::new(id, part, preimage).settlement(settlement);
                vec![
                    Command::ClaimPart(claim.payment_hash(preimage.payment_hash())),
                    Command::FinalizePart(FinalizePart { id, part }),
                ]
            }
            PastOutcome::Paid { preimage: None, payment_hash, settlement } => {
                let word = MarkPaid::new(id).part(part).settlement(settlement);
                vec![
                    Command::MarkPaid(MarkPaid { payment_hash, ..word }),
                    Command::FinalizePart(FinalizePart { id, part }),
                ]
            }
        }
    }
}
