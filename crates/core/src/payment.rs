//! One payment's state, and how an event changes it.

use alloc::{boxed::Box, sync::Arc};
use core::fmt;

use bincode::{Decode, Encode};

use crate::{
    amount::{Msat, UnixMillis},
    codec::{Blob, Many},
    event::{AdoptedPart, Event, Home, Invoice, Settlement, Word},
    ids::{PartId, PaymentHash, PaymentId, Preimage, ShortChannelId},
    notification::NotificationId,
    part::{Failure, Fate, Observation, Part, PartKind, PartTerms},
    request::{Deadline, Request, RequestDigests, RequestField, RetryPolicy, ShortDigest, Target},
};

/// Why a payment was given up.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureReason {
    /// The user asked for it.
    UserAbandoned,
    /// The payee refused.
    RecipientRejected,
    /// No attempt, no time or no room for parts is left.
    RetriesExhausted,
    /// The expiry passed.
    PaymentExpired,
    /// No invoice came for the offer before the deadline.
    InvoiceRequestExpired,
    /// The node found no route.
    RouteNotFound,
    /// The node met an error of its own.
    UnexpectedError,
    /// The ledger holds no request for it: the node had a part of it that the log lacked.
    Adopted,
}

/// Where a payment stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize,
)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// The offer is accepted, its payment hash unknown.
    AwaitingInvoice,
    /// Parts may be dispatched.
    Pending,
    /// Paid. Final.
    Fulfilled,
    /// No new parts; waits for the last one.
    Abandoned {
        /// Why: the first reason stays.
        reason: FailureReason,
    },
    /// Over, unpaid. Only a preimage can change it.
    Failed {
        /// Why.
        reason: FailureReason,
    },
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserAbandoned => "user abandoned",
            Self::RecipientRejected => "recipient rejected",
            Self::RetriesExhausted => "retries exhausted",
            Self::PaymentExpired => "payment expired",
            Self::InvoiceRequestExpired => "invoice request expired",
            Self::RouteNotFound => "route not found",
            Self::UnexpectedError => "unexpected error",
            Self::Adopted => "adopted",
        })
    }
}

impl fmt::Display for StatusKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AwaitingInvoice => "awaiting invoice",
            Self::Pending => "pending",
            Self::Fulfilled => "fulfilled",
            Self::Abandoned => "abandoned",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abandoned { reason } | Self::Failed { reason } => {
                write!(f, "{}: {reason}", self.kind())
            }
            _ => write!(f, "{}", self.kind()),
        }
    }
}

impl Status {
    /// The kind of status, without its reason.
    #[must_use]
    pub const fn kind(&self) -> StatusKind {
        match self {
            Self::AwaitingInvoice => StatusKind::AwaitingInvoice,
            Self::Pending => StatusKind::Pending,
            Self::Fulfilled => StatusKind::Fulfilled,
            Self::Abandoned { .. } => StatusKind::Abandoned,
            Self::Failed { .. } => StatusKind::Failed,
        }
    }

    /// Whether parts may still be dispatched: AwaitingInvoice or Pending.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::AwaitingInvoice | Self::Pending)
    }
}

/// A status without its reason: the key of the listing by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusKind {
    /// [`Status::AwaitingInvoice`].
    AwaitingInvoice,
    /// [`Status::Pending`].
    Pending,
    /// [`Status::Fulfilled`].
    Fulfilled,
    /// [`Status::Abandoned`].
    Abandoned,
    /// [`Status::Failed`].
    Failed,
}

impl StatusKind {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 5] =
        [Self::AwaitingInvoice, Self::Pending, Self::Fulfilled, Self::Abandoned, Self::Failed];
}

/// What is known of the request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Terms {
    /// All of it; once the payment is over its instructions are a digest.
    Full { request: Arc<Request>, instructions: Option<ShortDigest> },
    /// A digest a field: the payment came back from its tombstone.
    Digests(Box<RequestDigests>),
    /// Nothing: the payment was adopted.
    None,
}

/// Sums over parts. An unknown amount counts as nothing in `amount` and is told by `complete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Sums {
    /// What reaches the payee.
    pub amount: Msat,
    /// What the routes take.
    pub fee: Msat,
    /// Whether every part's amount is known.
    pub amount_complete: bool,
    /// Whether every part's fee is known.
    pub fee_complete: bool,
}

impl Sums {
    const NOTHING: Self =
        Self { amount: Msat::ZERO, fee: Msat::ZERO, amount_complete: true, fee_complete: true };

    fn plus(self, part: &Part) -> Self {
        Self {
            amount: self.amount.saturating_add(part.amount.unwrap_or_default()),
            fee: self.fee.saturating_add(part.fee.unwrap_or_default()),
            amount_complete: self.amount_complete && part.amount.is_some(),
            fee_complete: self.fee_complete && part.fee.is_some(),
        }
    }

    /// The amount, unless a part's is unknown.
    #[must_use]
    pub fn known_amount(&self) -> Option<Msat> {
        self.amount_complete.then_some(self.amount)
    }

    /// The fee, unless a part's is unknown.
    #[must_use]
    pub fn known_fee(&self) -> Option<Msat> {
        self.fee_complete.then_some(self.fee)
    }
}

/// When an offer's wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsUntil {
    /// Past when the tick number exceeds this.
    Tick(u64),
    /// Past at this moment.
    At(UnixMillis),
}

/// Whether a verdict is due once verdicts are no longer withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(crate) enum VerdictDue {
    No,
    /// A part was withdrawn, a notification read, or the payment abandoned.
    Yes,
    /// A part failed: the payment may be given up while others are out.
    PartFailed,
}

/// Since when a paid payment is quiet: no part unresolved, no notification unacknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct Quiet {
    /// The tick number at that moment.
    pub tick: u64,
    /// The seq of the event that made it quiet.
    pub seq: u64,
}

/// One obligation to pay, as the events so far leave it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) created_seq: u64,
    pub(crate) created_at: UnixMillis,
    pub(crate) terms: Terms,
    pub(crate) payment_hash: Option<PaymentHash>,
    pub(crate) preimage: Option<Preimage>,
    pub(crate) status: Status,
    pub(crate) status_seq: u64,
    pub(crate) amount: Option<Msat>,
    pub(crate) expiry: Option<UnixMillis>,
    pub(crate) until: Option<UnixMillis>,
    pub(crate) waits_until: Option<WaitsUntil>,
    pub(crate) invoice: Option<Invoice>,
    pub(crate) parts: Many<Part>,
    /// Parts of earlier tries, and those of a payment that came back from its tombstone.
    pub(crate) former: Many<ShortDigest>,
    pub(crate) batches: u32,
    pub(crate) unread: u32,
    pub(crate) failed_notice: Option<NotificationId>,
    pub(crate) quiet: Option<Quiet>,
    /// What happened while verdicts were withheld.
    pub(crate) verdict_due: VerdictDue,
    pub(crate) observations: Many<Observation>,
    /// What was paid, where no part tells: the payment came back from its tombstone, or was paid
    /// on the node's word alone.
    pub(crate) reported: Option<Settlement>,
}

/// Where an event stands: all that evolve may know besides the event and the state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) seq: u64,
    pub(crate) now: UnixMillis,
    pub(crate) epoch: u64,
    pub(crate) tick: u64,
    pub(crate) chain: [u8; 8],
    /// No verdicts are drawn: recovery is not finished, or the gap is not closed.
    pub(crate) withheld: bool,
}

/// An event that does not fit the state it is folded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misfit;

impl Payment {
    /// The id that the caller chose.
    #[must_use]
    pub const fn id(&self) -> &PaymentId {
        &self.id
    }

    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The seq of the event that brought it to its status.
    #[must_use]
    pub const fn status_seq(&self) -> u64 {
        self.status_seq
    }

    /// The seq of the event that made it known.
    #[must_use]
    pub const fn created_seq(&self) -> u64 {
        self.created_seq
    }

    /// When it became known.
    #[must_use]
    pub const fn created_at(&self) -> UnixMillis {
        self.created_at
    }

    /// The request, where the ledger holds it: not of adopted payments, nor of remembered ones
    /// that came back. Its instructions are empty once the payment is over.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match &self.terms {
            Terms::Full { request, .. } => Some(request),
            Terms::Digests(_) | Terms::None => None,
        }
    }

    /// Whether the ledger learnt of it from a part that it had not recorded.
    #[must_use]
    pub const fn is_adopted(&self) -> bool {
        matches!(self.terms, Terms::None)
    }

    /// Its payment hash, once known.
    #[must_use]
    pub const fn payment_hash(&self) -> Option<PaymentHash> {
        self.payment_hash
    }

    /// The proof of payment, once known.
    #[must_use]
    pub const fn preimage(&self) -> Option<Preimage> {
        self.preimage
    }

    /// What must reach the payee: the request's amount, or the invoice's where that is less.
    /// Unknown for payments without a request.
    #[must_use]
    pub const fn amount(&self) -> Option<Msat> {
        self.amount
    }

    /// When it must not be tried any more: the earlier of the request's and the invoice's expiry.
    #[must_use]
    pub const fn expiry(&self) -> Option<UnixMillis> {
        self.expiry
    }

    /// The invoice that came for the offer.
    #[must_use]
    pub const fn invoice(&self) -> Option<&Invoice> {
        self.invoice.as_ref()
    }

    /// Its parts, in the order in which they became known.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// One of its parts.
    #[must_use]
    pub fn part(&self, id: &PartId) -> Option<&Part> {
        self.parts.iter().find(|part| part.id == *id)
    }

    /// The reports of engines.
    #[must_use]
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// How many of its notifications are not acknowledged.
    #[must_use]
    pub const fn unread(&self) -> u32 {
        self.unread
    }

    /// Since when it is quiet, if it is.
    #[must_use]
    pub const fn quiet(&self) -> Option<Quiet> {
        self.quiet
    }

    /// The notification that said that it failed.
    #[must_use]
    pub const fn failed_notification(&self) -> Option<NotificationId> {
        self.failed_notice
    }

    /// What went to fees without paying anything: dust HTLCs lost on chain.
    #[must_use]
    pub fn lost(&self) -> Msat {
        self.parts.iter().fold(Msat::ZERO, |sum, part| sum.saturating_add(part.lost))
    }

    /// How many of its parts are in flight or claimed.
    #[must_use]
    pub fn unresolved(&self) -> usize {
        self.parts.iter().filter(|part| part.fate.is_unresolved()).count()
    }

    pub(crate) fn is_resolved(&self) -> bool {
        !self.parts.iter().any(|part| part.fate.is_unresolved())
    }

    /// The sums of the parts in flight.
    #[must_use]
    pub fn in_flight(&self) -> Sums {
        self.sums(|fate| fate == Fate::InFlight)
    }

    /// The sums of the parts claimed, on their channels or off them.
    #[must_use]
    pub fn settled(&self) -> Sums {
        match self.reported {
            Some(paid) if !self.has_settled_part() => Sums {
                amount: paid.amount.unwrap_or_default(),
                fee: paid.fee.unwrap_or_default(),
                amount_complete: paid.amount.is_some(),
                fee_complete: paid.fee.is_some(),
            },
            _ => self.sums(Fate::is_settled),
        }
    }

    fn has_settled_part(&self) -> bool {
        self.parts.iter().any(|part| part.fate.is_settled())
    }

    /// The sums of the parts in flight and claimed.
    pub(crate) fn counted(&self) -> Sums {
        self.sums(|fate| fate == Fate::InFlight || fate.is_settled())
    }

    fn sums(&self, counts: impl Fn(Fate) -> bool) -> Sums {
        self.parts.iter().filter(|part| counts(part.fate)).fold(Sums::NOTHING, Sums::plus)
    }

    /// How many batches count as attempts: those not wholly withdrawn. Adopted parts were
    /// dispatched as well: together they count as one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        let out = || self.parts.iter().filter(|part| part.fate != Fate::Withdrawn);
        let mut counted = u32::from(out().any(|part| part.batch == 0));
        let mut last = 0;
        for part in out() {
            if part.batch > last {
                last = part.batch;
                counted += 1;
            }
        }
        counted
    }

    /// What is not yet in flight nor settled, while parts may be dispatched; else nothing.
    #[must_use]
    pub fn missing(&self) -> Msat {
        let counted = self.counted();
        match self.amount {
            // A part of unknown amount may pay all of it.
            Some(amount) if self.status.is_open() && counted.amount_complete => {
                amount.saturating_sub(counted.amount)
            }
            _ => Msat::ZERO,
        }
    }

    /// What may still be spent on fees; `None` without a limit.
    #[must_use]
    pub fn fee_budget(&self) -> Option<Msat> {
        let limit = self.request()?.max_fee?;
        let counted = self.counted();
        // A part of unknown fee may spend all of it.
        Some(if counted.fee_complete { limit.saturating_sub(counted.fee) } else { Msat::ZERO })
    }

    /// The channels that failed its parts, each once, in order.
    #[must_use]
    pub fn avoid(&self) -> alloc::vec::Vec<ShortChannelId> {
        let mut avoid = alloc::vec::Vec::new();
        for channel in self.parts.iter().filter_map(|part| part.failed_channel) {
            if !avoid.contains(&channel) {
                avoid.push(channel);
            }
        }
        avoid
    }

    pub(crate) fn retry(&self) -> RetryPolicy {
        self.request().map_or(RetryPolicy::Manual, |request| request.retry)
    }

    /// Whether `part` belonged to an earlier life of this payment.
    pub(crate) fn is_former(&self, part: &PartId) -> bool {
        !self.former.is_empty() && self.former.contains(&ShortDigest::of(part))
    }

    /// Whether a claim with this hash is this payment's.
    pub(crate) fn takes(&self, hash: &PaymentHash) -> bool {
        self.payment_hash.is_none_or(|own| own == *hash)
    }

    /// How a request under this id differs from the one known: `None` if it is a repeat.
    pub(crate) fn difference(&self, request: &Request) -> Option<RequestField> {
        match &self.terms {
            Terms::Full { request: own, instructions } => {
                let mut own = RequestView::of(own, *instructions);
                own.first_difference(request)
            }
            Terms::Digests(own) => own.first_difference(&request.digests()),
            Terms::None => match (self.payment_hash, request.target.payment_hash()) {
                (Some(own), Some(other)) if own != other => Some(RequestField::Target),
                _ => None,
            },
        }
    }

    pub(crate) fn request_digests(&self) -> Option<RequestDigests> {
        match &self.terms {
            Terms::Full { request, instructions } => {
                let mut digests = request.digests();
                if let Some(dropped) = instructions {
                    digests.instructions = *dropped;
                }
                Some(digests)
            }
            Terms::Digests(digests) => Some((**digests).clone()),
            Terms::None => None,
        }
    }
}

/// A request whose instructions may be known by digest only.
struct RequestView<'a> {
    request: &'a Request,
    instructions: Option<ShortDigest>,
}

impl<'a> RequestView<'a> {
    const fn of(request: &'a Request, instructions: Option<ShortDigest>) -> Self {
        Self { request, instructions }
    }

    fn first_difference(&mut self, other: &Request) -> Option<RequestField> {
        use RequestField as Field;
        let own = self.request;
        let instructions_differ = match self.instructions {
            Some(digest) => digest != ShortDigest::of(&other.instructions),
            None => own.instructions != other.instructions,
        };
        [
            (own.target != other.target, Field::Target),
            (own.amount != other.amount, Field::Amount),
            (own.payee != other.payee, Field::Payee),
            (own.max_fee != other.max_fee, Field::MaxFee),
            (own.retry != other.retry, Field::Retry),
            (own.expiry != other.expiry, Field::Expiry),
            (instructions_differ, Field::Instructions),
            (own.metadata != other.metadata, Field::Metadata),
        ]
        .into_iter()
        .find_map(|(differs, field)| differs.then_some(field))
    }
}

/// Evolve, for one payment.
impl Payment {
    fn blank(at: At, id: PaymentId, status: Status) -> Self {
        Self {
            id,
            created_seq: at.seq,
            created_at: at.now,
            terms: Terms::None,
            payment_hash: None,
            preimage: None,
            status,
            status_seq: at.seq,
            amount: None,
            expiry: None,
            until: None,
            waits_until: None,
            invoice: None,
            parts: Many::default(),
            former: Many::default(),
            batches: 0,
            unread: 0,
            failed_notice: None,
            quiet: None,
            verdict_due: VerdictDue::No,
            observations: Many::default(),
            reported: None,
        }
    }

    pub(crate) fn accepted(at: At, id: PaymentId, request: Request) -> Self {
        let (status, waits_until) = match request.target {
            Target::Offer { deadline, .. } => {
                let until = match deadline {
                    Deadline::Ticks(ticks) => {
                        WaitsUntil::Tick(at.tick.saturating_add(u64::from(ticks)))
                    }
                    Deadline::At(moment) => WaitsUntil::At(moment),
                };
                (Status::AwaitingInvoice, Some(until))
            }
            Target::Invoice { .. } | Target::Spontaneous { .. } => (Status::Pending, None),
        };
        Self {
            payment_hash: request.target.payment_hash(),
            amount: Some(request.amount),
            expiry: request.expiry,
            until: match request.retry {
                RetryPolicy::Until(millis) => Some(at.now.plus(millis)),
                RetryPolicy::Manual | RetryPolicy::Attempts(_) => None,
            },
            waits_until,
            terms: Terms::Full { request: Arc::new(request), instructions: None },
            ..Self::blank(at, id, status)
        }
    }

    pub(crate) fn adopted(at: At, id: PaymentId, payment_hash: Option<PaymentHash>) -> Self {
        let status = Status::Abandoned { reason: FailureReason::Adopted };
        Self { payment_hash, ..Self::blank(at, id, status) }
    }

    pub(crate) fn recalled(at: At, tombstone: &crate::tombstone::Tombstone) -> Self {
        use crate::tombstone::Outcome;
        let (status, failed_notice) = match tombstone.outcome {
            Outcome::Paid { .. } => (Status::Fulfilled, None),
            Outcome::Failed { reason, notice } => (Status::Failed { reason }, Some(notice)),
        };
        let (preimage, reported) = match tombstone.outcome {
            Outcome::Paid { preimage, amount, fee } => (preimage, Some(Settlement { amount, fee })),
            Outcome::Failed { .. } => (None, None),
        };
        Self {
            payment_hash: tombstone.payment_hash,
            terms: match &tombstone.request {
                Some(digests) => Terms::Digests(digests.clone()),
                None => Terms::None,
            },
            former: tombstone.parts.clone(),
            preimage,
            reported,
            failed_notice,
            ..Self::blank(at, tombstone.id, status)
        }
    }

    /// Folds one event into the payment.
    pub(crate) fn evolve(&mut self, at: At, event: &Event) -> Result<(), Misfit> {
        match event {
            Event::InvoiceReceived { invoice, .. } => self.on_invoice(at, *invoice)?,
            Event::PartsDispatched { parts, .. } => self.on_dispatched(at, parts)?,
            Event::PartWithdrawn { part, .. } => self.on_withdrawn(at, part)?,
            Event::PartAdopted { part, home, word, .. } => self.on_adopted(at, part, *home, *word),
            Event::PartClaimed { part, preimage, settlement, .. } => {
                self.on_claimed(part, *preimage, *settlement)?;
            }
            Event::PartFinalized { part, notify, .. } => self.on_finalized(part, *notify)?,
            Event::PartFailed { part, failure, notify, .. } => {
                self.on_failed_part(at, part, failure, *notify)?;
            }
            Event::PartObserved { observation, .. } => self.observations.push(observation.clone()),
            Event::PaymentSent { payment_hash, amount, fee, .. } => {
                let told = Settlement { amount: *amount, fee: *fee };
                self.on_sent(at, *payment_hash, told)?;
            }
            Event::PaymentAbandoned { reason, .. } => self.on_abandoned(at, *reason)?,
            Event::PaymentFailed { reason, .. } => self.on_failed(at, *reason)?,
            Event::AnomalyNoted { .. } => self.unread += 1,
            _ => return Err(Misfit),
        }
        self.settle_quiet(at);
        Ok(())
    }

    /// One of the payment's notifications was acknowledged.
    pub(crate) fn on_acknowledged(&mut self, at: At) -> Result<(), Misfit> {
        self.unread = self.unread.checked_sub(1).ok_or(Misfit)?;
        if matches!(self.status, Status::Failed { .. }) {
            self.mark_verdict(at, VerdictDue::Yes);
        }
        self.settle_quiet(at);
        Ok(())
    }

    /// Any unquiet moment clears the quiet mark; it never moves otherwise.
    fn settle_quiet(&mut self, at: At) {
        let quiet = self.status == Status::Fulfilled && self.unread == 0 && self.is_resolved();
        self.quiet = match self.quiet {
            _ if !quiet => None,
            None => Some(Quiet { tick: at.tick, seq: at.seq }),
            since => since,
        };
    }

    fn enter(&mut self, at: At, status: Status) {
        self.status = status;
        self.status_seq = at.seq;
    }

    fn part_mut(&mut self, id: &PartId) -> Result<&mut Part, Misfit> {
        let index = self.parts.iter().position(|part| part.id == *id).ok_or(Misfit)?;
        self.parts.get_mut(index).ok_or(Misfit)
    }

    fn on_invoice(&mut self, at: At, invoice: Invoice) -> Result<(), Misfit> {
        if self.status != Status::AwaitingInvoice {
            return Err(Misfit);
        }
        self.payment_hash = Some(invoice.payment_hash);
        self.amount = Some(invoice.amount);
        self.expiry = match (self.expiry, invoice.expiry) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        self.invoice = Some(invoice);
        self.waits_until = None;
        self.enter(at, Status::Pending);
        Ok(())
    }

    fn on_dispatched(&mut self, at: At, parts: &[PartTerms]) -> Result<(), Misfit> {
        if !self.status.is_open() || parts.is_empty() {
            return Err(Misfit);
        }
        self.batches += 1;
        for terms in parts {
            self.parts.push(Part {
                id: terms.id,
                amount: Some(terms.amount),
                fee: Some(terms.fee),
                kind: terms.kind,
                fate: Fate::InFlight,
                batch: self.batches,
                epoch: at.epoch,
                recorded_at: at.now,
                failed_channel: None,
                permanent: false,
                lost: Msat::ZERO,
                corrected: false,
                adopted: false,
                told_as: None,
            });
        }
        Ok(())
    }

    /// Something that may end the payment happened: where verdicts are withheld, one is due.
    fn mark_verdict(&mut self, at: At, why: VerdictDue) {
        if at.withheld && self.status != Status::Fulfilled {
            self.verdict_due = self.verdict_due.max(why);
        }
    }

    fn on_withdrawn(&mut self, at: At, part: &PartId) -> Result<(), Misfit> {
        let part = self.part_mut(part)?;
        if part.fate != Fate::InFlight {
            return Err(Misfit);
        }
        part.fate = Fate::Withdrawn;
        self.mark_verdict(at, VerdictDue::Yes);
        Ok(())
    }

    fn on_adopted(&mut self, at: At, adopted: &AdoptedPart, home: Home, word: Word) {
        if let Ok(part) = self.part_mut(&adopted.part) {
            part.readopt(adopted, word);
        } else {
            self.parts.push(Part {
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
                corrected: false,
                adopted: word == Word::Listed,
                told_as: match home {
                    Home::HashHolder { told_as } => Some(Box::new(told_as)),
                    Home::Payment | Home::Stray => None,
                },
            });
        }
        self.payment_hash = self.payment_hash.or(Some(adopted.payment_hash));
        if self.status == Status::AwaitingInvoice {
            self.waits_until = None;
            self.enter(at, Status::Pending);
        }
    }

    fn on_claimed(
        &mut self,
        part: &PartId,
        preimage: Option<Preimage>,
        settlement: Option<Settlement>,
    ) -> Result<(), Misfit> {
        if let Some(preimage) = preimage {
            let hash = preimage.payment_hash();
            if !self.takes(&hash) {
                return Err(Misfit);
            }
            self.preimage = Some(preimage);
            self.payment_hash = Some(hash);
        }
        let part = self.part_mut(part)?;
        part.claim(settlement);
        Ok(())
    }

    fn on_finalized(&mut self, part: &PartId, notify: bool) -> Result<(), Misfit> {
        let part = self.part_mut(part)?;
        if part.fate != Fate::Claimed {
            return Err(Misfit);
        }
        part.fate = Fate::Finalized;
        self.unread += u32::from(notify);
        Ok(())
    }

    fn on_failed_part(
        &mut self,
        at: At,
        part: &PartId,
        failure: &Failure,
        notify: bool,
    ) -> Result<(), Misfit> {
        self.part_mut(part)?.fail(failure)?;
        self.unread += u32::from(notify);
        self.mark_verdict(at, VerdictDue::PartFailed);
        Ok(())
    }

    fn on_sent(
        &mut self,
        at: At,
        payment_hash: Option<PaymentHash>,
        told: Settlement,
    ) -> Result<(), Misfit> {
        if self.status == Status::Fulfilled {
            return Err(Misfit);
        }
        self.payment_hash = self.payment_hash.or(payment_hash);
        if !self.has_settled_part() {
            self.reported = Some(told);
        }
        self.enter(at, Status::Fulfilled);
        self.unread += 1;
        self.close();
        Ok(())
    }

    fn on_abandoned(&mut self, at: At, reason: FailureReason) -> Result<(), Misfit> {
        if !self.status.is_open() {
            return Err(Misfit);
        }
        self.enter(at, Status::Abandoned { reason });
        self.waits_until = None;
        self.mark_verdict(at, VerdictDue::Yes);
        Ok(())
    }

    fn on_failed(&mut self, at: At, reason: FailureReason) -> Result<(), Misfit> {
        let undecided = self.status.is_open() || matches!(self.status, Status::Abandoned { .. });
        if !undecided || !self.is_resolved() {
            return Err(Misfit);
        }
        self.enter(at, Status::Failed { reason });
        self.failed_notice = Some(NotificationId { seq: at.seq, chain: at.chain });
        self.unread += 1;
        self.close();
        Ok(())
    }

    /// The payment is over: nothing waits any more, and nobody resumes it.
    fn close(&mut self) {
        self.verdict_due = VerdictDue::No;
        self.waits_until = None;
        if let Terms::Full { request, instructions: dropped @ None } = &mut self.terms
            && !request.instructions.is_empty()
        {
            *dropped = Some(ShortDigest::of(&request.instructions));
            Arc::make_mut(request).instructions = Blob::default();
        }
    }
}

/// The kind of a part of which only its claim is known.
pub(crate) const UNKNOWN_KIND: PartKind = PartKind::Htlc { cltv_expiry: None, first_channel: None };

impl Part {
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
