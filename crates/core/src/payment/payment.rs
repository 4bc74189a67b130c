//! One payment's state: what it is, what is missing, and how a repeat of its request compares.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    base::amount::{Msat, UnixMillis},
    base::bounded::Many,
    base::ids::{NodeId, PartId, PaymentHash, PaymentId, Preimage, ShortChannelId},
    base::wire::{DecodeError, Sink, Source, Wire, layout, optional},
    event::event::{Invoice, Settlement},
    event::hash_paid::PaidElsewhere,
    event::notification::NotificationId,
    event::part::{Assertion, Observation, PartStatus},
    event::request::{Request, RequestDigests, RequestField, RetryPolicy, Target},
    event::status::Status,
    payment::details::{Detail, Details, Idle},
    payment::former,
    payment::former::{FormerPart, FormerTry},
    payment::part::Part,
    payment::parts::Parts,
};

/// What is known of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Terms {
    /// All of it; once the payment is over its instructions are a digest.
    Full(Request),
    /// A digest of each field: the payment came back from its tombstone.
    Digests(Box<RequestDigests>),
    /// Nothing: the payment was adopted.
    None,
}

/// Sums over parts, in msat. An unknown amount or fee counts as 0, and `amount_complete` or
/// `fee_complete` is then false.
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

    /// The amount in msat; `None` if a part's is unknown.
    #[must_use]
    pub fn known_amount(&self) -> Option<Msat> {
        self.amount_complete.then_some(self.amount)
    }

    /// The fee in msat; `None` if a part's is unknown.
    #[must_use]
    pub fn known_fee(&self) -> Option<Msat> {
        self.fee_complete.then_some(self.fee)
    }
}

/// Whether a conclusion is due once conclusions are no longer withheld.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConclusionDue {
    #[default]
    No,
    /// A part was withdrawn, a notification read, or the payment abandoned.
    Yes,
    /// A part failed: the payment may be given up while others are out.
    PartFailed,
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
    pub(crate) status_at: UnixMillis,
    pub(crate) parts: Parts,
    pub(crate) batches: u32,
    pub(crate) unread: u32,
    /// What happened while conclusions were withheld.
    pub(crate) conclusion_due: ConclusionDue,
    pub(crate) details: Details,
}

impl Payment {
    /// The id that the caller chose.
    #[must_use]
    pub const fn id(&self) -> &PaymentId {
        &self.id
    }

    /// The status that the events so far gave it.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The seq of the event that gave it its status.
    #[must_use]
    pub const fn status_seq(&self) -> u64 {
        self.status_seq
    }

    /// When it got its status: the `now` of that command.
    #[must_use]
    pub const fn status_at(&self) -> UnixMillis {
        self.status_at
    }

    /// The seq of the event that made it known.
    #[must_use]
    pub const fn created_seq(&self) -> u64 {
        self.created_seq
    }

    /// When it became known: the `now` of that command.
    #[must_use]
    pub const fn created_at(&self) -> UnixMillis {
        self.created_at
    }

    /// The request; `None` for adopted payments, and for remembered ones that came back. Its
    /// instructions are empty once the payment is over.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match &self.terms {
            Terms::Full(request) => Some(request),
            Terms::Digests(_) | Terms::None => None,
        }
    }

    /// Whether the node reported it, without a request in the log.
    #[must_use]
    pub const fn is_adopted(&self) -> bool {
        matches!(self.terms, Terms::None)
    }

    /// Whether it pays an offer or a refund, whose hash comes with the invoice.
    #[must_use]
    pub fn is_offer(&self) -> bool {
        self.request().is_some_and(|request| matches!(request.target, Target::Offer { .. }))
    }

    /// Its payment hash, once known: the request's or the invoice's; for an offer without its invoice,
    /// that of a hand-over which is settled or out.
    #[must_use]
    pub fn payment_hash(&self) -> Option<PaymentHash> {
        let of = |counts: fn(PartStatus) -> bool| {
            let mut parts = self.parts.iter().filter(move |part| counts(part.status));
            parts.find_map(|part| part.details.payment_hash)
        };
        let handed = || of(PartStatus::is_settled).or_else(|| of(PartStatus::is_unresolved));
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
        let counts = |part: &Part| part.status.is_unresolved() || part.status.is_settled();
        self.hash() == Some(payment_hash)
            || self.parts.iter().any(|part| {
                part.details.payment_hash.as_ref() == Some(payment_hash) && counts(part)
            })
    }

    /// Whether a part of it is out under this hash.
    pub(crate) fn is_out_under(&self, payment_hash: &PaymentHash) -> bool {
        let mut out = self.parts.iter().filter(|part| part.status.is_unresolved());
        out.any(|part| self.part_hash(part).is_none_or(|own| own == payment_hash))
    }

    /// Whether this payment has paid this hash.
    pub(crate) fn has_paid(&self, payment_hash: &PaymentHash) -> bool {
        let own = self.hash() == Some(payment_hash);
        let mut settled = self.parts.iter().filter(|part| part.status.is_settled());
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
        let mut settled = self.parts.iter().filter(|part| part.status.is_settled());
        differs(self.proven_hash().as_ref())
            || (self.details.own_hash_paid && differs(self.hash()))
            || settled.any(|part| differs(self.part_hash(part)))
    }

    /// The seq from which a request of it, or its invoice, has named this hash, in any of its tries;
    /// `None` if none has.
    pub(crate) fn named_since(&self, payment_hash: &PaymentHash) -> Option<u64> {
        let former =
            self.details.former.iter().find(|of| {
                of.named_seq.is_some() && of.payment_hash.as_ref() == Some(payment_hash)
            });
        let own = self.names(payment_hash).then_some(self.created_seq);
        former.and_then(|of| of.named_seq).or(own)
    }

    /// Whether the request of this try, or its invoice, names this hash. If only the digests of the
    /// request are known, the earlier tries show it.
    pub(crate) fn names(&self, payment_hash: &PaymentHash) -> bool {
        let invoiced = || self.invoice().map(|invoice| invoice.payment_hash);
        let named = match &self.terms {
            Terms::Full(request) => request.target.payment_hash().or_else(invoiced),
            Terms::Digests(_) | Terms::None => None,
        };
        named.as_ref() == Some(payment_hash)
    }

    /// Its other hashes, each once: those of its parts and of its earlier tries.
    pub(crate) fn other_hashes(&self) -> Vec<PaymentHash> {
        let parts = self.parts.iter().filter_map(|part| part.details.payment_hash);
        let former = self.details.former.iter().filter_map(|of| of.payment_hash);
        let mut hashes: Vec<_> = parts.chain(former).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes.retain(|hash| self.hash() != Some(hash));
        hashes
    }

    /// Whether it has only its own hash, as nearly all payments.
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

    /// Which payment has paid its hash instead; `None` if none has.
    #[must_use]
    pub fn paid_elsewhere(&self) -> Option<PaidElsewhere> {
        self.details.paid_elsewhere
    }

    /// The operator's word that it is paid; `None` if it was not an operator's.
    #[must_use]
    pub fn paid_asserted(&self) -> Option<&Assertion> {
        self.details.asserted.as_ref()
    }

    /// What must reach the payee, in msat: the request's amount, or the invoice's if that is less.
    /// `None` for payments without a request.
    #[must_use]
    pub fn amount(&self) -> Option<Msat> {
        let requested = || self.request().map(|request| request.amount);
        self.invoice().map(|invoice| invoice.amount).or_else(requested)
    }

    /// The earlier of the request's and the invoice's expiry: from then on it is not tried any more.
    /// `None` if neither has one.
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

    /// The part with this id; `None` if it is of another payment or of an earlier try.
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

    /// Since when it is idle; `None` if it is not.
    #[must_use]
    pub fn idle(&self) -> Option<Idle> {
        self.details.idle
    }

    /// Whether it is paid, with nothing unresolved and nothing unread: what may be forgotten.
    pub(crate) fn is_over(&self) -> bool {
        self.status == Status::Fulfilled && self.is_resolved() && self.unread == 0
    }

    /// The id of its latest PaymentFailed; `None` if there was none.
    #[must_use]
    pub fn failed_notification(&self) -> Option<NotificationId> {
        self.details.failed_notification
    }

    /// What went to fees without paying anything, in msat: dust HTLCs lost on chain.
    #[must_use]
    pub fn lost(&self) -> Msat {
        let failures = self.parts.iter().filter_map(Part::failure);
        failures
            .fold(Msat::ZERO, |sum, failure| sum.saturating_add(failure.lost.unwrap_or_default()))
    }

    /// How many of its parts are in flight or claimed.
    #[must_use]
    pub fn unresolved(&self) -> usize {
        self.parts.iter().filter(|part| part.status.is_unresolved()).count()
    }

    pub(crate) fn is_resolved(&self) -> bool {
        !self.parts.iter().any(|part| part.status.is_unresolved())
    }

    /// The sums of the parts in flight.
    #[must_use]
    pub fn in_flight(&self) -> Sums {
        self.sums(|status| status == PartStatus::InFlight)
    }

    /// The sums of what was paid: the settled parts, with what a payment that came back had paid before;
    /// without settled parts, what it was said to have paid.
    #[must_use]
    pub fn settled(&self) -> Sums {
        let sums = match self.details.reported {
            Some(reported) if !self.has_settled_part() => Sums::NOTHING.plus_told(reported),
            _ => self.sums(PartStatus::is_settled),
        };
        self.details.remembered.map_or(sums, |before| sums.plus_told(before))
    }

    pub(crate) fn has_settled_part(&self) -> bool {
        self.parts.iter().any(|part| part.status.is_settled())
    }

    /// The sums of the parts in flight and settled.
    pub(crate) fn counted(&self) -> Sums {
        self.sums(|status| status == PartStatus::InFlight || status.is_settled())
    }

    fn sums(&self, counts: impl Fn(PartStatus) -> bool) -> Sums {
        self.sums_of(|part| counts(part.status))
    }

    fn sums_of(&self, counts: impl Fn(&Part) -> bool) -> Sums {
        self.parts.iter().filter(|part| counts(part)).fold(Sums::NOTHING, Sums::plus)
    }

    /// The number to state with the next batch: the number of batches of this try so far, including
    /// withdrawn ones, plus one. So two workers that saw the same remaining amount cannot both dispatch
    /// it.
    #[must_use]
    pub const fn next_attempt(&self) -> u32 {
        self.batches.saturating_add(1)
    }

    /// How many batches count as attempts: those with a part that is not withdrawn. Adopted parts of
    /// this try were dispatched as well: all together count as one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        let out = || self.parts.iter().filter(|part| part.status != PartStatus::Withdrawn);
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

    /// What is neither in flight nor settled, in msat, while parts may be dispatched; otherwise 0.
    #[must_use]
    pub fn remaining_amount(&self) -> Msat {
        let counted = self.counted();
        // A hand-over of the offer is out for an invoice that is not known: it may pay all of it.
        let handed = self.is_offer()
            && self.details.invoice.is_none()
            && self
                .parts
                .iter()
                .any(|part| part.status.is_unresolved() || part.status.is_settled());
        match self.amount() {
            // A part of unknown amount may pay all of it.
            Some(amount) if self.status.is_open() && counted.amount_complete && !handed => {
                amount.saturating_sub(counted.amount)
            }
            _ => Msat::ZERO,
        }
    }

    /// What may still be spent on fees, in msat; `None` without a limit.
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

    /// What is kept of a part of an earlier try, or of a part from before the payment was remembered. If
    /// a hash is given, a part with another hash does not count.
    pub(crate) fn former(
        &self,
        part: &PartId,
        payment_hash: Option<&PaymentHash>,
    ) -> Option<(FormerPart, Option<PaymentHash>)> {
        former::find(&self.details.former, part, payment_hash)
    }

    /// Whether a part with this hash can be this payment's own: the payment has this hash, or it pays an
    /// offer, whose hand-overs each have a hash of their own.
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

    /// The first field in which a request differs from the known one; `None` if it is a repeat.
    pub(crate) fn difference(&self, request: &Request) -> Option<RequestField> {
        match &self.terms {
            Terms::Full(own) => {
                let detail = &self.details;
                own.first_difference(request, detail.instructions, detail.vocabulary.0)
            }
            Terms::Digests(own) => {
                own.first_difference(&request.digests(), self.details.vocabulary.0)
            }
            Terms::None => match (self.payment_hash(), request.target.payment_hash()) {
                (Some(own), Some(other)) if own != other => Some(RequestField::Target),
                _ => None,
            },
        }
    }

    pub(crate) fn request_digests(&self) -> Option<RequestDigests> {
        match &self.terms {
            Terms::Full(request) => {
                let digests = request.digests();
                Some(match self.details.instructions {
                    Some(dropped) => digests.with_instructions(dropped),
                    None => digests,
                })
            }
            Terms::Digests(digests) => Some((**digests).clone()),
            Terms::None => None,
        }
    }
}

impl Payment {
    /// All its tries as they will be remembered, this one with them.
    pub(crate) fn tries(&self) -> Many<FormerTry> {
        let mut tries = self.details.former.clone();
        if let Some(own) = self.hash().copied() {
            let (paid, named) = (self.has_paid(&own), self.names(&own));
            let group = former::group(&mut tries, Some(own));
            group.named_seq = group.named_seq.or(named.then_some(self.created_seq));
            group.paid |= paid;
        }
        for part in self.parts.iter() {
            former::add(&mut tries, self.part_hash(part).copied(), part);
        }
        tries
    }
}

layout! { enum ConclusionDue "a conclusion" { 0 No, 1 Yes, 2 PartFailed } }
optional! { [] ConclusionDue; }
layout! { enum Terms "terms" { 0 Full(request), 1 Digests(digests), 2 None } }

impl Payment {
    /// The hash that follows from the request or the invoice, and is therefore not encoded.
    fn told_hash(terms: &Terms, invoice: Option<&Invoice>) -> Option<PaymentHash> {
        let invoiced = invoice.map(|invoice| invoice.payment_hash);
        match terms {
            Terms::Full(request) => invoiced.or_else(|| request.target.payment_hash()),
            Terms::Digests(_) | Terms::None => invoiced,
        }
    }

    /// The hash as it is kept in memory: not at all if the request has it.
    fn kept_hash(terms: &Terms, told: Option<PaymentHash>) -> Option<PaymentHash> {
        let asked = |request: &Request| matches!(request.target, Target::Invoice { .. });
        told.filter(|_| !matches!(terms, Terms::Full(request) if asked(request)))
    }
}

/// The layout of docs/FORMAT.md: fields that an ordinary pending payment lacks are in the tail.
impl Wire for Payment {
    fn put(&self, sink: &mut Sink) {
        self.id.put(sink);
        self.created_seq.put(sink);
        self.created_at.put(sink);
        self.terms.put(sink);
        self.status.put(sink);
        self.status_seq.put(sink);
        self.status_at.put(sink);
        let detail = &*self.details;
        let told = Self::told_hash(&self.terms, detail.invoice.as_ref());
        let hash = detail.payment_hash.filter(|_| told.is_none());
        layout!(@put sink, "a payment", detail.unknown.as_slice();
            2 () &hash,
            4 () &detail.preimage,
            6 () &detail.proven_hash,
            8 () &detail.own_hash_paid,
            10 () &detail.instructions,
            12 () &detail.waits_until,
            14 () &detail.invoice,
            16 () &self.parts,
            18 () &detail.former,
            20 () &self.batches,
            22 () &self.unread,
            24 () &detail.failed_notification,
            26 () &detail.failure_superseded,
            28 () &detail.idle,
            30 () &self.conclusion_due,
            32 () &detail.observations,
            34 () &detail.reported,
            36 () &detail.remembered,
            38 () &detail.told,
            40 () &detail.asserted,
            42 () &detail.paid_elsewhere,
            44 () &detail.retries_since,
            46 () &detail.rests_until,
            48 () &detail.vocabulary);
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        source.record("a payment", |source| {
            let mut payment = Self {
                id: Wire::take(source)?,
                created_seq: Wire::take(source)?,
                created_at: Wire::take(source)?,
                terms: Wire::take(source)?,
                status: Wire::take(source)?,
                status_seq: Wire::take(source)?,
                status_at: Wire::take(source)?,
                parts: Parts::default(),
                batches: 0,
                unread: 0,
                conclusion_due: ConclusionDue::No,
                details: Details::default(),
            };
            let mut detail = Detail::default();
            detail.unknown = layout!(@take source;
                2 () detail.payment_hash,
                4 () detail.preimage,
                6 () detail.proven_hash,
                8 () detail.own_hash_paid,
                10 () detail.instructions,
                12 () detail.waits_until,
                14 () detail.invoice,
                16 () payment.parts,
                18 () detail.former,
                20 () payment.batches,
                22 () payment.unread,
                24 () detail.failed_notification,
                26 () detail.failure_superseded,
                28 () detail.idle,
                30 () payment.conclusion_due,
                32 () detail.observations,
                34 () detail.reported,
                36 () detail.remembered,
                38 () detail.told,
                40 () detail.asserted,
                42 () detail.paid_elsewhere,
                44 () detail.retries_since,
                46 () detail.rests_until,
                48 () detail.vocabulary)?
            .into();
            let told = Self::told_hash(&payment.terms, detail.invoice.as_ref());
            if told.is_some() && detail.payment_hash.is_some() {
                return Err(source.malformed("a hash beside what tells it"));
            }
            let kept = Self::kept_hash(&payment.terms, told);
            detail.payment_hash = detail.payment_hash.or(kept);
            payment.details = detail.into();
            Ok(payment)
        })
    }
}
