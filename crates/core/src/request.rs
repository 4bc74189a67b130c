//! The request: what is to be paid, to whom, and within which limits.

use bincode::{Decode, Encode};

use crate::{
    amount::{Msat, UnixMillis},
    codec::{Blob, encode_into},
    ids::{NodeId, OfferHash, PaymentHash, Preimage, sha256},
    limits,
};

/// What is paid.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A BOLT 11 or BOLT 12 invoice.
    Invoice {
        /// The hash in the invoice.
        payment_hash: PaymentHash,
    },
    /// A spontaneous payment (keysend): the payer chooses the preimage.
    Spontaneous {
        /// The preimage; its SHA-256 is the payment hash.
        preimage: Preimage,
    },
    /// An offer or a refund: the payment hash comes later, with the invoice.
    Offer {
        /// The SHA-256 of the offer or the refund.
        offer_hash: OfferHash,
        /// How long to wait for the invoice.
        deadline: Deadline,
    },
}

impl Target {
    /// The payment hash, where it is known from the start.
    #[must_use]
    pub fn payment_hash(&self) -> Option<PaymentHash> {
        match self {
            Self::Invoice { payment_hash } => Some(*payment_hash),
            Self::Spontaneous { preimage } => Some(preimage.payment_hash()),
            Self::Offer { .. } => None,
        }
    }
}

/// How long a payment waits for its invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// So many ticks: past when the tick number exceeds that at acceptance by more than this.
    Ticks(u32),
    /// Until this moment.
    At(UnixMillis),
}

/// Whether and how long new batches may follow the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryPolicy {
    /// The caller decides: dispatches again, or abandons.
    Manual,
    /// So many batches after the first one.
    Attempts(u32),
    /// As long as this many milliseconds since acceptance have not passed, by the clock or by
    /// ticks. The first batch may come later.
    Until(u64),
}

/// How long a payment rests between a failure and its next attempt, unless the engine says so
/// itself: twice as long after each attempt, up to a limit. It refuses no Dispatch; it says from
/// when [`State::due`](crate::State::due) lists the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct Backoff {
    /// After the first attempt, in milliseconds.
    pub first_ms: u64,
    /// At most, in milliseconds.
    pub max_ms: u64,
}

impl Backoff {
    /// None: due again at once.
    pub const NONE: Self = Self { first_ms: 0, max_ms: 0 };

    /// How long to rest after so many attempts, in milliseconds.
    #[must_use]
    pub const fn after(self, attempts: u32) -> u64 {
        let doublings = attempts.saturating_sub(1);
        let rest = if doublings < self.first_ms.leading_zeros() {
            self.first_ms << doublings
        } else {
            u64::MAX
        };
        if self.first_ms == 0 {
            0
        } else if rest < self.max_ms {
            rest
        } else {
            self.max_ms
        }
    }
}

impl Default for Backoff {
    /// A second, then twice as long each time, five minutes at most.
    fn default() -> Self {
        Self { first_ms: 1_000, max_ms: 300_000 }
    }
}

/// The most that may be paid in fees, all parts of a payment together. A choice without a default:
/// a limit that nobody set must not be a limit that nobody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxFee {
    /// Whatever the routes take.
    Unlimited,
    /// At most this.
    AtMost(Msat),
}

impl From<Msat> for MaxFee {
    fn from(limit: Msat) -> Self {
        Self::AtMost(limit)
    }
}

impl MaxFee {
    /// The limit, if there is one.
    #[must_use]
    pub const fn limit(self) -> Option<Msat> {
        match self {
            Self::Unlimited => None,
            Self::AtMost(limit) => Some(limit),
        }
    }
}

/// One obligation to pay. The same request under the same id is a repeat; any difference is a
/// conflict.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct Request {
    /// What is paid.
    pub target: Target,
    /// The amount that the payee must receive, above zero.
    pub amount: Msat,
    /// The payee's key, if it is known.
    pub payee: Option<NodeId>,
    /// The most that may be paid in fees, all parts together.
    pub max_fee: MaxFee,
    /// Whether and how long to try again.
    pub retry: RetryPolicy,
    /// How long to rest before the next attempt; compared with the retry policy.
    pub backoff: Backoff,
    /// When the payment must not be tried any more: the invoice's expiry.
    pub expiry: Option<UnixMillis>,
    /// The invoice or the offer itself, at most [`limits::INSTRUCTIONS_BYTES`], so that a payment
    /// can be resumed after a crash. Compared by digest; dropped from state once the payment is
    /// over.
    pub instructions: Blob<{ limits::INSTRUCTIONS_BYTES }>,
    /// The caller's own, at most [`limits::METADATA_BYTES`].
    pub metadata: Blob<{ limits::METADATA_BYTES }>,
}

impl Request {
    /// A request for an amount, with the two choices that have no default. No expiry of its own;
    /// the [default backoff](Backoff::default).
    #[must_use]
    pub fn new(target: Target, amount: Msat, max_fee: MaxFee, retry: RetryPolicy) -> Self {
        Self {
            target,
            amount,
            payee: None,
            max_fee,
            retry,
            backoff: Backoff::default(),
            expiry: None,
            instructions: Blob::default(),
            metadata: Blob::default(),
        }
    }

    /// A request to pay the invoice with this hash.
    #[must_use]
    pub fn invoice(
        payment_hash: PaymentHash,
        amount: Msat,
        max_fee: MaxFee,
        retry: RetryPolicy,
    ) -> Self {
        Self::new(Target::Invoice { payment_hash }, amount, max_fee, retry)
    }

    /// With the payee's key.
    #[must_use]
    pub const fn payee(mut self, payee: NodeId) -> Self {
        self.payee = Some(payee);
        self
    }

    /// With another limit of fees.
    #[must_use]
    pub fn max_fee(mut self, limit: impl Into<MaxFee>) -> Self {
        self.max_fee = limit.into();
        self
    }

    /// With another retry policy.
    #[must_use]
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// With another rest before the next attempt.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// With the moment from which it must not be tried any more.
    #[must_use]
    pub const fn expiry(mut self, moment: UnixMillis) -> Self {
        self.expiry = Some(moment);
        self
    }

    /// With the invoice or the offer itself.
    #[must_use]
    pub fn instructions(mut self, instructions: impl AsRef<[u8]>) -> Self {
        self.instructions = instructions.as_ref().into();
        self
    }

    /// With the caller's own bytes.
    #[must_use]
    pub fn metadata(mut self, metadata: impl AsRef<[u8]>) -> Self {
        self.metadata = metadata.as_ref().into();
        self
    }

    /// The digests by which a repeat is compared, field by field.
    pub(crate) fn digests(&self) -> RequestDigests {
        RequestDigests {
            target: ShortDigest::of(&self.target),
            amount: ShortDigest::of(&self.amount),
            payee: ShortDigest::of(&self.payee),
            max_fee: ShortDigest::of(&self.max_fee),
            retry: ShortDigest::of(&(self.retry, self.backoff)),
            expiry: ShortDigest::of(&self.expiry),
            instructions: ShortDigest::of(&self.instructions),
            metadata: ShortDigest::of(&self.metadata),
        }
    }
}

/// A field of a request, in the order in which a repeat is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestField {
    /// [`Request::target`].
    Target,
    /// [`Request::amount`].
    Amount,
    /// [`Request::payee`].
    Payee,
    /// [`Request::max_fee`].
    MaxFee,
    /// [`Request::retry`] and [`Request::backoff`].
    Retry,
    /// [`Request::expiry`].
    Expiry,
    /// [`Request::instructions`].
    Instructions,
    /// [`Request::metadata`].
    Metadata,
}

impl core::fmt::Display for RequestField {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Target => "target",
            Self::Amount => "amount",
            Self::Payee => "payee",
            Self::MaxFee => "maximum fee",
            Self::Retry => "retry policy",
            Self::Expiry => "expiry",
            Self::Instructions => "instructions",
            Self::Metadata => "metadata",
        })
    }
}

/// The first 8 bytes of the SHA-256 of an encoded field or a part id. Who could find a second
/// field with the same digest gains an answer "already known" instead of "conflict": never a
/// second payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(crate) struct ShortDigest([u8; 8]);

impl ShortDigest {
    pub(crate) fn of<T: Encode>(value: &T) -> Self {
        let mut bytes = alloc::vec::Vec::with_capacity(64);
        encode_into(value, &mut bytes);
        let digest = sha256(&bytes);
        Self(core::array::from_fn(|at| digest[at]))
    }
}

/// What is left of a request when its payment has become a tombstone: a digest a field.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RequestDigests {
    target: ShortDigest,
    amount: ShortDigest,
    payee: ShortDigest,
    max_fee: ShortDigest,
    retry: ShortDigest,
    expiry: ShortDigest,
    pub(crate) instructions: ShortDigest,
    metadata: ShortDigest,
}

impl RequestDigests {
    /// Whether the payee was this one; `None` where none was stated.
    pub(crate) fn same_payee(&self, payee: &NodeId) -> Option<bool> {
        let none = ShortDigest::of(&Option::<NodeId>::None);
        (self.payee != none).then(|| self.payee == ShortDigest::of(&Some(*payee)))
    }

    /// The first field that differs, in the documented order.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<RequestField> {
        use RequestField as Field;
        [
            (self.target != other.target, Field::Target),
            (self.amount != other.amount, Field::Amount),
            (self.payee != other.payee, Field::Payee),
            (self.max_fee != other.max_fee, Field::MaxFee),
            (self.retry != other.retry, Field::Retry),
            (self.expiry != other.expiry, Field::Expiry),
            (self.instructions != other.instructions, Field::Instructions),
            (self.metadata != other.metadata, Field::Metadata),
        ]
        .into_iter()
        .find_map(|(differs, field)| differs.then_some(field))
    }
}
