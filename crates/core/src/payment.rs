//! One payment's state: what it is, what it lacks, how a repeat of its request compares.

use alloc::{boxed::Box, vec::Vec};

use bincode::{
    Decode, Encode,
    de::Decoder,
    enc::Encoder,
    error::{DecodeError, EncodeError},
};

use crate::{
    amount::{Msat, UnixMillis},
    details::{Detail, Details},
    event::{Invoice, Settlement},
    former::{self, FormerPart},
    hash_paid::PaidElsewhere,
    ids::{NodeId, PartId, PaymentHash, PaymentId, Preimage, ShortChannelId},
    notification::NotificationId,
    part::{Assertion, Fate, Observation, Part},
    parts::Parts,
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
    pub(crate) details: Details,
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

    /// Whether it pays an offer or a refund, whose hash comes with the invoice.
    #[must_use]
    pub fn is_offer(&self) -> bool {
        self.request().is_some_and(|request| matches!(request.target, Target::Offer { .. }))
    }

    /// Its payment hash, once known: the request's or the invoice's; of an offer without its invoice
    /// that of a hand-over which is settled or out.
    #[must_use]
    pub fn payment_hash(&self) -> Option<PaymentHash> {
        let of = |counts: fn(Fate) -> bool| {
            let mut parts = self.parts.iter().filter(move |part| counts(part.fate));
            parts.find_map(|part| part.details.payment_hash)
        };
        let handed = || of(Fate::is_settled).or_else(|| of(Fate::is_unresolved));
        self.hash().copied().or_else(handed)
    }

    /// The hash of the request or of the invoice.
    pub(crate) fn hash(&self) -> Option<&PaymentHash> {
        match &self.terms {
            Terms::Full(Request { target: Target::Invoice { payment_hash }, .. }) => {
                Some(payment_hash)
            }
            _ => self.details.payment_hash.as_ref(),
        }
    }

    /// The hash of one of its parts, if known. Each hand-over of an offer has its own.
    pub(crate) fn part_hash<'a>(&'a self, part: &'a Part) -> Option<&'a PaymentHash> {
        let inherited = || self.hash().filter(|_| !self.is_offer());
        part.details.payment_hash.as_ref().or_else(inherited)
    }

    /// Whether money of this payment is out, settled or to be sent under this hash: that of its
    /// request or invoice, and that of each part unresolved or settled.
    pub(crate) fn holds(&self, payment_hash: &PaymentHash) -> bool {
        let counts = |part: &Part| part.fate.is_unresolved() || part.fate.is_settled();
        self.hash() == Some(payment_hash)
            || self.parts.iter().any(|part| {
                part.details.payment_hash.as_ref() == Some(payment_hash) && counts(part)
            })
    }

    /// Whether a part of it is out under this hash.
    pub(crate) fn is_out_under(&self, payment_hash: &PaymentHash) -> bool {
        let mut out = self.parts.iter().filter(|part| part.fate.is_unresolved());
        out.any(|part| self.part_hash(part).is_none_or(|own| own == payment_hash))
    }

    /// Whether this payment has paid this hash.
    pub(crate) fn has_paid(&self, payment_hash: &PaymentHash) -> bool {
        let own = self.hash() == Some(payment_hash);
        let mut settled = self.parts.iter().filter(|part| part.fate.is_settled());
        (own && self.details.own_hash_paid)
            || settled.any(|part| self.part_hash(part) == Some(payment_hash))
            || self
                .details
                .former
                .iter()
                .any(|of| of.paid && of.payment_hash.as_ref() == Some(payment_hash))
    }

    /// Whether this payment is known to have paid another hash than this one.
    pub(crate) fn has_paid_another(&self, payment_hash: &PaymentHash) -> bool {
        let differs =
            |other: Option<&PaymentHash>| other.is_some_and(|other| other != payment_hash);
        let mut settled = self.parts.iter().filter(|part| part.fate.is_settled());
        differs(self.proven_hash().as_ref())
            || (self.details.own_hash_paid && differs(self.hash()))
            || settled.any(|part| differs(self.part_hash(part)))
    }

    /// Since which seq a request of it, or its invoice, has named this hash, in any of its tries.
    pub(crate) fn named_since(&self, payment_hash: &PaymentHash) -> Option<u64> {
        let former =
            self.details.former.iter().find(|of| {
                of.named_seq.is_some() && of.payment_hash.as_ref() == Some(payment_hash)
            });
        let own = self.names(payment_hash).then_some(self.created_seq);
        former.and_then(|of| of.named_seq).or(own)
    }

    /// Whether the request of this try, or its invoice, names this hash. Of a request that is known by
    /// its digests alone the earlier tries tell.
    pub(crate) fn names(&self, payment_hash: &PaymentHash) -> bool {
        let invoiced = || self.invoice().map(|invoice| invoice.payment_hash);
        let named = match &self.terms {
            Terms::Full(request) => request.target.payment_hash().or_else(invoiced),
            Terms::Digests(_) | Terms::None => None,
        };
        named.as_ref() == Some(payment_hash)
    }

    /// The hashes of it beside its own, each once: of its parts and of its earlier tries.
    pub(crate) fn other_hashes(&self) -> Vec<PaymentHash> {
        let parts = self.parts.iter().filter_map(|part| part.details.payment_hash);
        let former = self.details.former.iter().filter_map(|of| of.payment_hash);
        let mut hashes: Vec<_> = parts.chain(former).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes.retain(|hash| self.hash() != Some(hash));
        hashes
    }

    /// Whether it has only its own hash: nearly always.
    pub(crate) fn has_one_hash(&self) -> bool {
        self.details.former.is_empty() && self.parts.iter().all(|part| part.details.is_empty())
    }

    /// The proof of payment, once known.
    #[must_use]
    pub fn preimage(&self) -> Option<Preimage> {
        self.details.preimage
    }

    /// The hash that the proof of payment proves.
    #[must_use]
    pub fn proven_hash(&self) -> Option<PaymentHash> {
        self.details.preimage?;
        self.details.proven_hash.or_else(|| self.hash().copied())
    }

    /// The proof that this hash was paid, if this payment has it.
    pub(crate) fn proof_of(&self, payment_hash: &PaymentHash) -> Option<Preimage> {
        let first = self.details.preimage.filter(|_| self.proven_hash() == Some(*payment_hash));
        let of_part = || {
            let own = |part: &&Part| self.part_hash(part) == Some(payment_hash);
            self.parts.iter().filter(own).find_map(|part| part.details.preimage)
        };
        let of_former = || {
            let mut former = self.details.former.iter();
            former.find(|of| of.payment_hash.as_ref() == Some(payment_hash))?.preimage
        };
        first.or_else(of_part).or_else(of_former)
    }

    /// Who has paid its hash instead, if somebody did.
    #[must_use]
    pub fn paid_elsewhere(&self) -> Option<PaidElsewhere> {
        self.details.paid_elsewhere
    }

    /// Who said that it is paid, where that was an operator.
    #[must_use]
    pub fn paid_asserted(&self) -> Option<&Assertion> {
        self.details.asserted.as_ref()
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

    /// The invoice that came for the offer.
    #[must_use]
    pub fn invoice(&self) -> Option<&Invoice> {
        self.details.invoice.as_ref()
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
        &self.details.observations
    }

    /// How many of its notifications are not acknowledged.
    #[must_use]
    pub const fn unread(&self) -> u32 {
        self.unread
    }

    /// Since when it is quiet, if it is.
    #[must_use]
    pub fn quiet(&self) -> Option<Quiet> {
        self.details.quiet
    }

    /// The notification that said that it failed.
    #[must_use]
    pub fn failed_notification(&self) -> Option<NotificationId> {
        self.details.failed_notice
    }

    /// What went to fees without paying anything: dust HTLCs lost on chain.
    #[must_use]
    pub fn lost(&self) -> Msat {
        let failures = self.parts.iter().filter_map(Part::failure);
        failures
            .fold(Msat::ZERO, |sum, failure| sum.saturating_add(failure.lost.unwrap_or_default()))
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

    /// The sums of what was paid: of the parts claimed, on their channels or off them, with what a
    /// payment that came back had paid before; without such parts, what it was said to have paid.
    #[must_use]
    pub fn settled(&self) -> Sums {
        let sums = match self.details.reported {
            Some(reported) if !self.has_settled_part() => Sums::NOTHING.plus_told(reported),
            _ => self.sums(Fate::is_settled),
        };
        self.details.remembered.map_or(sums, |before| sums.plus_told(before))
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

    /// The number to state with the next batch: that of the batches of this try so far, withdrawn ones
    /// with them, plus one. Two workers that saw the same gap cannot both fill it.
    #[must_use]
    pub const fn next_attempt(&self) -> u32 {
        self.batches.saturating_add(1)
    }

    /// How many batches count as attempts: those not wholly withdrawn. Adopted parts of this try were
    /// dispatched as well: together they count as one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        let out = || self.parts.iter().filter(|part| part.fate != Fate::Withdrawn);
        let adopted = |part: &Part| part.batch == 0 && !part.details.earlier_try;
        let mut counted = u32::from(out().any(adopted));
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
        // The invoice for which an offer's hand-over is out is not known: it may be paid whole.
        let handed = self.is_offer()
            && self.details.invoice.is_none()
            && self.parts.iter().any(|part| part.fate.is_unresolved() || part.fate.is_settled());
        match self.amount() {
            // A part of unknown amount may pay all of it.
            Some(amount) if self.status.is_open() && counted.amount_complete && !handed => {
                amount.saturating_sub(counted.amount)
            }
            _ => Msat::ZERO,
        }
    }

    /// What may still be spent on fees; `None` without a limit.
    #[must_use]
    pub fn fee_budget(&self) -> Option<Msat> {
        let limit = self.request()?.max_fee.limit()?;
        let counted = self.counted();
        // A part of unknown fee may spend all of it.
        Some(if counted.fee_complete { limit.saturating_sub(counted.fee) } else { Msat::ZERO })
    }

    /// The channels that failed its parts, each once, in order.
    #[must_use]
    pub fn avoid(&self) -> Vec<ShortChannelId> {
        let mut avoid = Vec::new();
        for channel in self.parts.iter().filter_map(|part| part.failure()?.channel) {
            if !avoid.contains(&channel) {
                avoid.push(channel);
            }
        }
        avoid
    }

    pub(crate) fn retry(&self) -> RetryPolicy {
        self.request().map_or(RetryPolicy::Manual, |request| request.retry)
    }

    /// What is left of a part of an earlier try, or of before it was remembered. With a hash told, a
    /// part that had another one is not meant.
    pub(crate) fn former(
        &self,
        part: &PartId,
        payment_hash: Option<&PaymentHash>,
    ) -> Option<(FormerPart, Option<PaymentHash>)> {
        former::find(&self.details.former, part, payment_hash)
    }

    /// Whether a part with this hash can be one of this payment's own: its hash is that one, or it is
    /// an offer's, each of whose hand-overs has its own.
    pub(crate) fn takes(&self, payment_hash: &PaymentHash) -> bool {
        self.hash().is_none_or(|own| own == payment_hash)
    }

    /// Whether its payee is this one; `None` where it is not known.
    pub(crate) fn same_payee(&self, payee: &NodeId) -> Option<bool> {
        match &self.terms {
            Terms::Full(request) => request.payee.as_ref().map(|own| own == payee),
            Terms::Digests(digests) => digests.same_payee(payee),
            Terms::None => None,
        }
    }

    /// How a request under this id differs from the one known: `None` if it is a repeat.
    pub(crate) fn difference(&self, request: &Request) -> Option<RequestField> {
        match &self.terms {
            Terms::Full(own) => {
                RequestView { request: own, instructions: self.details.instructions }
                    .first_difference(request)
            }
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
                if let Some(dropped) = self.details.instructions {
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
            ((own.retry, own.backoff) != (other.retry, other.backoff), Field::Retry),
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
        let detail = &*self.details;
        self.id.encode(encoder)?;
        self.created_seq.encode(encoder)?;
        self.created_at.encode(encoder)?;
        match &self.terms {
            Terms::Full(request) => (0_u32, request, detail.instructions).encode(encoder)?,
            Terms::Digests(digests) => (1_u32, digests).encode(encoder)?,
            Terms::None => 2_u32.encode(encoder)?,
        }
        self.hash().encode(encoder)?;
        detail.preimage.encode(encoder)?;
        detail.proven_hash.encode(encoder)?;
        detail.own_hash_paid.encode(encoder)?;
        self.status.encode(encoder)?;
        self.status_seq.encode(encoder)?;
        self.amount().encode(encoder)?;
        self.expiry().encode(encoder)?;
        detail.waits_until.encode(encoder)?;
        detail.invoice.encode(encoder)?;
        self.parts.encode(encoder)?;
        detail.former.encode(encoder)?;
        self.batches.encode(encoder)?;
        self.unread.encode(encoder)?;
        detail.failed_notice.encode(encoder)?;
        detail.failure_superseded.encode(encoder)?;
        detail.quiet.encode(encoder)?;
        self.verdict_due.encode(encoder)?;
        detail.observations.encode(encoder)?;
        detail.reported.encode(encoder)?;
        detail.remembered.encode(encoder)?;
        detail.told.encode(encoder)?;
        detail.asserted.encode(encoder)?;
        detail.paid_elsewhere.encode(encoder)?;
        detail.retries_since.encode(encoder)?;
        detail.rests_until.encode(encoder)
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
        let (preimage, proven_hash, own_hash_paid) = Decode::decode(decoder)?;
        let (status, status_seq) = Decode::decode(decoder)?;
        let follows = <(Option<Msat>, Option<UnixMillis>)>::decode(decoder)?;
        let (waits_until, invoice) = Decode::decode(decoder)?;
        let parts = Decode::decode(decoder)?;
        let former = Decode::decode(decoder)?;
        let (batches, unread) = Decode::decode(decoder)?;
        let (failed_notice, failure_superseded, quiet) = Decode::decode(decoder)?;
        let verdict_due = Decode::decode(decoder)?;
        let (observations, reported, remembered, told) = Decode::decode(decoder)?;
        let (asserted, paid_elsewhere) = Decode::decode(decoder)?;
        let (retries_since, rests_until) = Decode::decode(decoder)?;
        let detail = Detail {
            payment_hash,
            preimage,
            proven_hash,
            own_hash_paid,
            instructions,
            waits_until,
            invoice,
            former,
            failed_notice,
            failure_superseded,
            quiet,
            observations,
            reported,
            remembered,
            told,
            asserted,
            paid_elsewhere,
            retries_since,
            rests_until,
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
            details: detail.into(),
        };
        if follows != (payment.amount(), payment.expiry()) {
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
