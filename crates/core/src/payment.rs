//! One payment's state: what it is, what it lacks, how a repeat of its request compares.

use alloc::boxed::Box;

use bincode::{
    Decode, Encode,
    de::Decoder,
    enc::Encoder,
    error::{DecodeError, EncodeError},
};

use crate::{
    amount::{Msat, UnixMillis},
    event::{Invoice, Settlement},
    ids::{PartId, PaymentHash, PaymentId, Preimage, ShortChannelId},
    notification::NotificationId,
    part::{Fate, Observation, Part},
    parts::Parts,
    rare::{Aside, Rare},
    request::{Request, RequestDigests, RequestField, RetryPolicy, ShortDigest, Target},
    status::Status,
};

/// What is known of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Terms {
    /// All of it; once the payment is over its instructions are a digest.
    Full(Request),
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

    fn plus_told(self, told: Settlement) -> Self {
        Self {
            amount: self.amount.saturating_add(told.amount.unwrap_or_default()),
            fee: self.fee.saturating_add(told.fee.unwrap_or_default()),
            amount_complete: self.amount_complete && told.amount.is_some(),
            fee_complete: self.fee_complete && told.fee.is_some(),
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) created_seq: u64,
    pub(crate) created_at: UnixMillis,
    pub(crate) terms: Terms,
    pub(crate) status: Status,
    pub(crate) status_seq: u64,
    pub(crate) parts: Parts,
    pub(crate) batches: u32,
    pub(crate) unread: u32,
    /// What happened while verdicts were withheld.
    pub(crate) verdict_due: VerdictDue,
    pub(crate) rare: Aside,
}

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
            Terms::Full(request) => Some(request),
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
    pub fn payment_hash(&self) -> Option<PaymentHash> {
        self.hash().copied()
    }

    pub(crate) fn hash(&self) -> Option<&PaymentHash> {
        match &self.terms {
            Terms::Full(Request { target: Target::Invoice { payment_hash }, .. }) => {
                Some(payment_hash)
            }
            _ => self.rare.payment_hash.as_ref(),
        }
    }

    /// The proof of payment, once known.
    #[must_use]
    pub fn preimage(&self) -> Option<Preimage> {
        self.rare.preimage
    }

    /// What must reach the payee: the request's amount, or the invoice's where that is less.
    /// Unknown for payments without a request.
    #[must_use]
    pub fn amount(&self) -> Option<Msat> {
        let requested = || self.request().map(|request| request.amount);
        self.invoice().map(|invoice| invoice.amount).or_else(requested)
    }

    /// When it must not be tried any more: the earlier of the request's and the invoice's expiry.
    #[must_use]
    pub fn expiry(&self) -> Option<UnixMillis> {
        let requested = self.request().and_then(|request| request.expiry);
        let invoiced = self.invoice().and_then(|invoice| invoice.expiry);
        match (requested, invoiced) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// When the time for retries ends, for a request that limits it.
    pub(crate) fn until(&self) -> Option<UnixMillis> {
        match self.retry() {
            RetryPolicy::Until(millis) => Some(self.created_at.plus(millis)),
            RetryPolicy::Manual | RetryPolicy::Attempts(_) => None,
        }
    }

    /// The invoice that came for the offer.
    #[must_use]
    pub fn invoice(&self) -> Option<&Invoice> {
        self.rare.invoice.as_ref()
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
        &self.rare.observations
    }

    /// How many of its notifications are not acknowledged.
    #[must_use]
    pub const fn unread(&self) -> u32 {
        self.unread
    }

    /// Since when it is quiet, if it is.
    #[must_use]
    pub fn quiet(&self) -> Option<Quiet> {
        self.rare.quiet
    }

    /// The notification that said that it failed.
    #[must_use]
    pub fn failed_notification(&self) -> Option<NotificationId> {
        self.rare.failed_notice
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
        match self.rare.reported {
            Some(paid) if self.came_back_paid() => {
                // What it is remembered with holds what those paid that it had then.
                let new = |part: &Part| part.fate.is_settled() && !self.is_former(&part.id);
                self.sums_of(new).plus_told(paid)
            }
            Some(paid) if !self.has_settled_part() => Sums::NOTHING.plus_told(paid),
            _ => self.sums(Fate::is_settled),
        }
    }

    /// Whether it came back from the tombstone of a paid payment: the parts that paid it are known
    /// by their digests alone.
    pub(crate) fn came_back_paid(&self) -> bool {
        // Every other way to this status comes after the event that made the payment known.
        self.status == Status::Fulfilled && self.status_seq == self.created_seq
    }

    /// Whether this part paid it, most likely, before it was remembered: which of its former parts
    /// did is not.
    pub(crate) fn paid_before_with(&self, part: &PartId) -> bool {
        self.came_back_paid() && self.is_former(part)
    }

    pub(crate) fn has_settled_part(&self) -> bool {
        self.parts.iter().any(|part| part.fate.is_settled())
    }

    /// The sums of the parts in flight and claimed.
    pub(crate) fn counted(&self) -> Sums {
        self.sums(|fate| fate == Fate::InFlight || fate.is_settled())
    }

    fn sums(&self, counts: impl Fn(Fate) -> bool) -> Sums {
        self.sums_of(|part| counts(part.fate))
    }

    fn sums_of(&self, counts: impl Fn(&Part) -> bool) -> Sums {
        self.parts.iter().filter(|part| counts(part)).fold(Sums::NOTHING, Sums::plus)
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
        match self.amount() {
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
        !self.rare.former.is_empty() && self.rare.former.contains(&ShortDigest::of(part))
    }

    /// Whether a claim with this hash is this payment's.
    pub(crate) fn takes(&self, hash: &PaymentHash) -> bool {
        self.hash().is_none_or(|own| own == hash)
    }

    /// How a request under this id differs from the one known: `None` if it is a repeat.
    pub(crate) fn difference(&self, request: &Request) -> Option<RequestField> {
        match &self.terms {
            Terms::Full(own) => RequestView { request: own, instructions: self.rare.instructions }
                .first_difference(request),
            Terms::Digests(own) => own.first_difference(&request.digests()),
            Terms::None => match (self.payment_hash(), request.target.payment_hash()) {
                (Some(own), Some(other)) if own != other => Some(RequestField::Target),
                _ => None,
            },
        }
    }

    pub(crate) fn request_digests(&self) -> Option<RequestDigests> {
        match &self.terms {
            Terms::Full(request) => {
                let mut digests = request.digests();
                if let Some(dropped) = self.rare.instructions {
                    digests.instructions = dropped;
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

impl RequestView<'_> {
    fn first_difference(&self, other: &Request) -> Option<RequestField> {
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

/// The layout of docs/FORMAT.md, where what follows from the request is written out.
impl Encode for Payment {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let rare = &*self.rare;
        self.id.encode(encoder)?;
        self.created_seq.encode(encoder)?;
        self.created_at.encode(encoder)?;
        match &self.terms {
            Terms::Full(request) => (0_u32, request, rare.instructions).encode(encoder)?,
            Terms::Digests(digests) => (1_u32, digests).encode(encoder)?,
            Terms::None => 2_u32.encode(encoder)?,
        }
        self.hash().encode(encoder)?;
        rare.preimage.encode(encoder)?;
        self.status.encode(encoder)?;
        self.status_seq.encode(encoder)?;
        self.amount().encode(encoder)?;
        self.expiry().encode(encoder)?;
        self.until().encode(encoder)?;
        rare.waits_until.encode(encoder)?;
        rare.invoice.encode(encoder)?;
        self.parts.encode(encoder)?;
        rare.former.encode(encoder)?;
        self.batches.encode(encoder)?;
        self.unread.encode(encoder)?;
        rare.failed_notice.encode(encoder)?;
        rare.quiet.encode(encoder)?;
        self.verdict_due.encode(encoder)?;
        rare.observations.encode(encoder)?;
        rare.reported.encode(encoder)
    }
}

/// What is written out must be what follows.
impl<C> Decode<C> for Payment {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (id, created_seq, created_at) = Decode::decode(decoder)?;
        let (terms, instructions) = decode_terms(decoder)?;
        let mut payment_hash: Option<PaymentHash> = Decode::decode(decoder)?;
        if let Terms::Full(Request { target: Target::Invoice { payment_hash: own }, .. }) = &terms
            && payment_hash.take() != Some(*own)
        {
            return Err(DecodeError::Other("the hash is the invoice's"));
        }
        let preimage = Decode::decode(decoder)?;
        let (status, status_seq) = Decode::decode(decoder)?;
        let follows = <(Option<Msat>, Option<UnixMillis>, Option<UnixMillis>)>::decode(decoder)?;
        let (waits_until, invoice) = Decode::decode(decoder)?;
        let parts = Decode::decode(decoder)?;
        let former = Decode::decode(decoder)?;
        let (batches, unread) = Decode::decode(decoder)?;
        let (failed_notice, quiet) = Decode::decode(decoder)?;
        let verdict_due = Decode::decode(decoder)?;
        let (observations, reported) = Decode::decode(decoder)?;
        let rare = Rare {
            payment_hash,
            preimage,
            instructions,
            waits_until,
            invoice,
            former,
            failed_notice,
            quiet,
            observations,
            reported,
        };
        let payment = Self {
            id,
            created_seq,
            created_at,
            terms,
            status,
            status_seq,
            parts,
            batches,
            unread,
            verdict_due,
            rare: rare.into(),
        };
        if follows != (payment.amount(), payment.expiry(), payment.until()) {
            return Err(DecodeError::Other("the limits are the request's and the invoice's"));
        }
        Ok(payment)
    }
}

/// What is known of the request, and the digest of instructions that were dropped.
fn decode_terms<D: Decoder>(decoder: &mut D) -> Result<(Terms, Option<ShortDigest>), DecodeError> {
    match u32::decode(decoder)? {
        0 => Ok((Terms::Full(Request::decode(decoder)?), Decode::decode(decoder)?)),
        1 => Ok((Terms::Digests(Decode::decode(decoder)?), None)),
        2 => Ok((Terms::None, None)),
        _ => Err(DecodeError::Other("there are three kinds of terms")),
    }
}
