//! The request: what is to be paid, to whom, and within which limits.

use alloc::{boxed::Box, vec::Vec};
use core::ops::Deref;

use crate::{
    base::amount::{Msat, UnixMillis},
    base::bounded::{Blob, List, Text},
    base::ids::{NodeId, OfferHash, PaymentHash, Preimage, sha256},
    base::limits,
    base::wire::{
        DecodeError, Optional, Sink, Source, UnknownFields, Wire, encoded, layout, optional,
    },
};

/// An invoice, a spontaneous payment, or an offer whose invoice comes later.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

/// What kind of target is paid: a key of listings.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// [`Target::Invoice`].
    Invoice,
    /// [`Target::Spontaneous`].
    Spontaneous,
    /// [`Target::Offer`].
    Offer,
}

impl Target {
    /// Its kind, without what it names.
    #[must_use]
    pub const fn kind(&self) -> TargetKind {
        match self {
            Self::Invoice { .. } => TargetKind::Invoice,
            Self::Spontaneous { .. } => TargetKind::Spontaneous,
            Self::Offer { .. } => TargetKind::Offer,
        }
    }

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

/// The invoice deadline: how long an offer waits for its invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// A number of ticks: past when the tick number exceeds the one at acceptance by more than this.
    Ticks(u32),
    /// Until this moment, by the clock.
    At(UnixMillis),
}

/// Whether and how long new batches may follow the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryPolicy {
    /// The caller decides: dispatches again, or abandons.
    Manual,
    /// This many further batches after the first one.
    Attempts(u32),
    /// Until the retry deadline, this many milliseconds after the acceptance, by the clock or by ticks.
    /// The first batch may come later.
    Until(u64),
}

/// How long a payment rests between a failure and its next attempt, unless the engine says so itself:
/// twice as long after each attempt, up to a limit. No Dispatch is refused because of it; it decides
/// from when [`State::due`](crate::State::due) lists the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Backoff {
    /// The rest after the first attempt, in milliseconds.
    pub first_ms: u64,
    /// The longest rest, in milliseconds.
    pub max_ms: u64,
}

impl Backoff {
    /// No rest: due again at once.
    pub const NONE: Self = Self { first_ms: 0, max_ms: 0 };

    /// How long to rest after this many attempts, in milliseconds.
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

/// The most that may be paid in fees, all parts of a payment together. There is no default: without a
/// choice there would be either no limit or one that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxFee {
    /// No limit: whatever the routes take.
    Unlimited,
    /// No more than this, in msat.
    AtMost(Msat),
}

impl From<Msat> for MaxFee {
    fn from(limit: Msat) -> Self {
        Self::AtMost(limit)
    }
}

impl MaxFee {
    /// The limit in msat; `None` without one.
    #[must_use]
    pub const fn limit(self) -> Option<Msat> {
        match self {
            Self::Unlimited => None,
            Self::AtMost(limit) => Some(limit),
        }
    }
}

/// A record of the caller's own that travels with the payment to the payee (a TLV of the onion's
/// payload, BOLT 4; keysend's messages and podcasts' value records are such).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CustomRecord {
    /// Its type: 65,536 or above.
    pub tag: u64,
    /// What it holds, at most [`limits::CUSTOM_RECORD_BYTES`].
    pub value: Blob<{ limits::CUSTOM_RECORD_BYTES }>,
}

/// One obligation to pay. The same request under the same id is a repeat; any difference is a
/// conflict.
///
/// A later version may add fields: make it with [`new`](Self::new) or [`invoice`](Self::invoice) and the
/// methods that set the others.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Request {
    /// An invoice, a spontaneous payment, or an offer: whose hash is paid, and how it becomes known.
    pub target: Target,
    /// The amount that the payee must receive, in msat, above zero.
    pub amount: Msat,
    /// The payee's key; `None` if it is not known. A HashInUse refusal says
    /// with it whether the other payment is to the same payee.
    pub payee: Option<NodeId>,
    /// The most that may be paid in fees, in msat, all parts together.
    pub max_fee: MaxFee,
    /// Whether and how long to try again.
    pub retry: RetryPolicy,
    /// How long to rest before the next attempt; compared with the retry policy.
    pub backoff: Backoff,
    /// From when the payment must not be tried any more: the invoice's expiry. `None` for never.
    pub expiry: Option<UnixMillis>,
    /// The invoice or the offer itself, at most [`limits::INSTRUCTIONS_BYTES`], so that a payment
    /// can be resumed after a crash. Compared by digest; dropped from state once the payment is
    /// over.
    pub instructions: Blob<{ limits::INSTRUCTIONS_BYTES }>,
    /// The caller's own bytes, at most [`limits::METADATA_BYTES`]; opaque to the ledger.
    pub metadata: Blob<{ limits::METADATA_BYTES }>,
    /// Fields that few requests have; they can be read as if they were fields of the request.
    #[serde(flatten)]
    pub details: RequestDetails,
}

/// Fields that few requests have, kept apart so that other requests need no memory for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RequestDetail {
    /// The name that the user paid, where the offer or the invoice was found by it (BIP 353:
    /// `user@example.com`), at most [`limits::PAYEE_NAME_BYTES`].
    pub payee_name: Text<{ limits::PAYEE_NAME_BYTES }>,
    /// How many items of an offer are paid for (BOLT 12, `invreq_quantity`).
    pub quantity: Option<u64>,
    /// A note that the payee gets (BOLT 12, `invreq_payer_note`), at most
    /// [`limits::PAYER_NOTE_BYTES`].
    pub payer_note: Text<{ limits::PAYER_NOTE_BYTES }>,
    /// Custom records that go to the payee with the payment, by rising tag.
    pub custom_records: List<CustomRecord, { limits::CUSTOM_RECORDS }>,
    /// Whose payment it is, where one ledger serves several: opaque, at most
    /// [`limits::TENANT_BYTES`].
    pub tenant: Blob<{ limits::TENANT_BYTES }>,
    /// A field of a made-up format version, for the tests of upgrades: how urgent it is.
    #[cfg(payonce_format_2)]
    pub urgency: Option<u32>,
    /// A field of a made-up format version, for the tests of upgrades, which is not compared.
    #[cfg(payonce_format_2)]
    pub remark: Text<{ limits::PAYER_NOTE_BYTES }>,
    /// Fields that a newer program wrote and this one keeps. A request that has some is not the same
    /// as any that this program can make.
    #[serde(default, skip_serializing_if = "UnknownFields::is_empty")]
    pub unknown: UnknownFields,
}

impl RequestDetail {
    const NOTHING: Self = Self {
        payee_name: Text::EMPTY,
        quantity: None,
        payer_note: Text::EMPTY,
        custom_records: List::EMPTY,
        tenant: Blob::EMPTY,
        #[cfg(payonce_format_2)]
        urgency: None,
        #[cfg(payonce_format_2)]
        remark: Text::EMPTY,
        unknown: UnknownFields::NONE,
    };
}

/// A [`RequestDetail`] that takes no memory while all its fields are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestDetails(Option<Box<RequestDetail>>);

impl Deref for RequestDetails {
    type Target = RequestDetail;

    fn deref(&self) -> &RequestDetail {
        static NOTHING: RequestDetail = RequestDetail::NOTHING;
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl From<RequestDetail> for RequestDetails {
    fn from(detail: RequestDetail) -> Self {
        Self((detail != RequestDetail::NOTHING).then(|| Box::new(detail)))
    }
}

impl RequestDetails {
    /// Changes them; afterwards they take memory only if a field is not empty.
    pub fn change(&mut self, change: impl FnOnce(&mut RequestDetail)) {
        let mut detail = self.0.take().map_or(RequestDetail::NOTHING, |kept| *kept);
        change(&mut detail);
        *self = detail.into();
    }
}

/// Writes all fields, also empty ones.
impl serde::Serialize for RequestDetails {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for RequestDetails {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RequestDetail::deserialize(deserializer).map(Self::from)
    }
}

optional! { [] Backoff; }
layout! { record CustomRecord "a custom record" { tag, value } }
layout! { record Backoff "a backoff" { first_ms, max_ms } }
layout! {
    enum Target "a target" {
        0 Invoice { payment_hash },
        1 Spontaneous { preimage },
        2 Offer { offer_hash, deadline },
    }
}
layout! { enum Deadline "a deadline" { 0 Ticks(ticks), 1 At(moment) } }
layout! { enum RetryPolicy "a retry policy" { 0 Manual, 1 Attempts(attempts), 2 Until(millis) } }
layout! { enum MaxFee "a maximum fee" { 0 Unlimited, 1 AtMost(limit) } }
layout! {
    record Request "a request" {
        target, amount, max_fee, retry;
        8 payee, 10 backoff, 12 expiry, 14 instructions, 16 metadata;
        details: RequestDetail {
            18 payee_name,
            20 quantity,
            22 payer_note,
            24 custom_records,
            26 tenant,
            #[cfg(payonce_format_2)]
            28 @ 2 urgency,
            #[cfg(payonce_format_2)]
            29 remark,
        }
    }
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
            details: RequestDetails::default(),
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

    /// With the name that the user paid.
    #[must_use]
    pub fn payee_name(mut self, name: &str) -> Self {
        self.details.change(|detail| detail.payee_name = name.into());
        self
    }

    /// With how many items of an offer are paid for.
    #[must_use]
    pub fn quantity(mut self, quantity: u64) -> Self {
        self.details.change(|detail| detail.quantity = Some(quantity));
        self
    }

    /// With a note that the payee gets.
    #[must_use]
    pub fn payer_note(mut self, note: &str) -> Self {
        self.details.change(|detail| detail.payer_note = note.into());
        self
    }

    /// With records that travel with the payment; kept by rising tag.
    #[must_use]
    pub fn custom_records(mut self, records: impl IntoIterator<Item = CustomRecord>) -> Self {
        let mut records: Vec<_> = records.into_iter().collect();
        records.sort_by_key(|record| record.tag);
        self.details.change(|detail| detail.custom_records = records.into());
        self
    }

    /// With whose payment it is.
    #[must_use]
    pub fn tenant(mut self, tenant: impl AsRef<[u8]>) -> Self {
        self.details.change(|detail| detail.tenant = tenant.as_ref().into());
        self
    }
}

impl Request {
    /// The first field that is longer than it may be, with its size and its limit in bytes; of custom
    /// records that are too many how many there are and may be.
    pub(crate) fn too_long(&self) -> Option<(RequestField, usize, usize)> {
        use RequestField as Field;
        let records = &self.details.custom_records;
        let longest = records.iter().map(|record| record.value.len()).max().unwrap_or(0);
        [
            (Field::Instructions, self.instructions.len(), limits::INSTRUCTIONS_BYTES),
            (Field::Metadata, self.metadata.len(), limits::METADATA_BYTES),
            (Field::PayeeName, self.details.payee_name.len(), limits::PAYEE_NAME_BYTES),
            (Field::PayerNote, self.details.payer_note.len(), limits::PAYER_NOTE_BYTES),
            (Field::CustomRecords, records.len(), limits::CUSTOM_RECORDS),
            (Field::CustomRecords, longest, limits::CUSTOM_RECORD_BYTES),
            (Field::Tenant, self.details.tenant.len(), limits::TENANT_BYTES),
        ]
        .into_iter()
        .find(|(_, size, limit)| size > limit)
    }
}

/// Makes, from one table in the order in which a repeat is compared, all that depends on which fields a
/// request has: number (that of the layout), version that brought it, name, text, and what is compared;
/// behind `not` those that no repeat is compared by, with odd numbers. A digest is kept of every one, so
/// that the state does not depend on which of them a program knows.
macro_rules! compared {
    ($($(#[doc = $doc:literal])* $(#[cfg($cfg:meta)])? $number:literal $(@ $since:literal)? $name:ident $text:literal
        ($($($field:ident).+),*) $digest:expr;)*
        not $($(#[cfg($odd_cfg:meta)])? $odd_number:literal $odd_field:ident;)*) => {
        /// A field of a request, in the order in which a repeat is compared.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum RequestField {
            $($(#[doc = $doc])* $(#[cfg($cfg)])? $name,)*
            /// A field that this program does not know ([`RequestDetail::unknown`]).
            Unknown,
        }

        impl core::fmt::Display for RequestField {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self {
                    $($(#[cfg($cfg)])? Self::$name => $text,)*
                    Self::Unknown => "unknown field",
                })
            }
        }

        impl RequestField {
            /// The field with this number, unless it is one that is not compared.
            fn numbered(number: u64) -> Option<Self> {
                match number {
                    $($(#[cfg($cfg)])? $number => Some(Self::$name),)*
                    $($(#[cfg($odd_cfg)])? $odd_number => None,)*
                    _ => Some(Self::Unknown),
                }
            }

            /// The version that brought it.
            const fn since(self) -> u8 {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => 1 $(* $since)?,)*
                    Self::Unknown => 1,
                }
            }
        }

        impl Request {
            /// The digests by which a repeat is compared, field by field.
            pub(crate) fn digests(&self) -> RequestDigests {
                let mut digests = Vec::with_capacity(8);
                $($(#[cfg($cfg)])? {
                    let digest: fn(&Self) -> Option<ShortDigest> = $digest;
                    digests.extend(digest(self).map(|digest| ($number, digest)));
                })*
                $($(#[cfg($odd_cfg)])? {
                    let digest = late(&self.details.$odd_field);
                    digests.extend(digest.map(|digest| ($odd_number, digest)));
                })*
                for field in self.details.unknown.as_slice() {
                    digests.push((field.tag, ShortDigest::of_bytes(&field.bytes)));
                }
                RequestDigests::sorted(digests)
            }

            /// The first field that differs, in the documented order. One that the program which
            /// stored this request could not say (it knew `vocabulary` at most) is not compared; of
            /// instructions that were dropped there is a digest.
            pub(crate) fn first_difference(
                &self,
                other: &Self,
                dropped: Option<ShortDigest>,
                vocabulary: u8,
            ) -> Option<RequestField> {
                $($(#[cfg($cfg)])? {
                    let differs = match dropped {
                        Some(digest) if $number == INSTRUCTIONS => {
                            Some(digest) != late(&other.instructions)
                        }
                        _ => $(self.$($field).+ != other.$($field).+)||*,
                    };
                    if differs && RequestField::$name.since() <= vocabulary {
                        return Some(RequestField::$name);
                    }
                })*
                (self.details.unknown != other.details.unknown).then_some(RequestField::Unknown)
            }
        }
    };
}

/// The digest of what stands in a field of the tail; nothing of a default.
fn late<T: Optional>(value: &T) -> Option<ShortDigest> {
    (!value.is_default()).then(|| {
        let mut sink = Sink::with_capacity(64);
        value.put_field(&mut sink);
        ShortDigest::of_bytes(&sink.bytes)
    })
}

compared! {
    /// [`Request::target`].
    0 Target "target" (target) |request| Some(ShortDigest::of(&request.target));
    /// [`Request::amount`].
    2 Amount "amount" (amount) |request| Some(ShortDigest::of(&request.amount));
    /// [`Request::payee`].
    8 Payee "payee" (payee) |request| late(&request.payee);
    /// [`Request::max_fee`].
    4 MaxFee "maximum fee" (max_fee) |request| Some(ShortDigest::of(&request.max_fee));
    /// [`Request::retry`] and [`Request::backoff`].
    6 Retry "retry policy" (retry, backoff) |request| Some(ShortDigest::of(&(request.retry, request.backoff)));
    /// [`Request::expiry`].
    12 Expiry "expiry" (expiry) |request| late(&request.expiry);
    /// [`Request::instructions`].
    14 Instructions "instructions" (instructions) |request| late(&request.instructions);
    /// [`Request::metadata`].
    16 Metadata "metadata" (metadata) |request| late(&request.metadata);
    /// [`RequestDetail::payee_name`].
    18 PayeeName "payee name" (details.payee_name) |request| late(&request.details.payee_name);
    /// [`RequestDetail::quantity`].
    20 Quantity "quantity" (details.quantity) |request| late(&request.details.quantity);
    /// [`RequestDetail::payer_note`].
    22 PayerNote "payer note" (details.payer_note) |request| late(&request.details.payer_note);
    /// [`RequestDetail::custom_records`].
    24 CustomRecords "custom records" (details.custom_records) |request| late(&request.details.custom_records);
    /// [`RequestDetail::tenant`].
    26 Tenant "tenant" (details.tenant) |request| late(&request.details.tenant);
    /// [`RequestDetail::urgency`].
    #[cfg(payonce_format_2)]
    28 @ 2 Urgency "urgency" (details.urgency) |request| late(&request.details.urgency);
    not
    #[cfg(payonce_format_2)]
    29 remark;
}

/// The number of the payee among the digests.
const PAYEE: u64 = 8;
/// The number of the instructions among the digests.
const INSTRUCTIONS: u64 = 14;

/// The first 8 bytes of the SHA-256 of an encoded field or a part id. Somebody who finds a second field
/// with the same digest gets the reply Duplicate instead of Conflict: never a second payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShortDigest([u8; 8]);

layout! { newtype ShortDigest }

impl ShortDigest {
    pub(crate) fn of<T: Wire>(value: &T) -> Self {
        Self::of_bytes(&encoded(value))
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let digest = sha256(bytes);
        Self(core::array::from_fn(|at| digest[at]))
    }

    /// The digest of instructions, as it stands among those of a request.
    pub(crate) fn of_instructions(request: &Request) -> Option<Self> {
        late(&request.instructions)
    }
}

/// What a request is compared by: the digest of each field that is not at its default, by the number of
/// the field. All that is left of it when its payment has become a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestDigests(List<(u64, ShortDigest), { limits::TAIL_FIELDS }>);

impl Wire for RequestDigests {
    fn put(&self, sink: &mut Sink) {
        self.0.put(sink);
    }

    fn take(source: &mut Source<'_>) -> Result<Self, DecodeError> {
        let digests = List::take(source)?;
        if !digests.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(source.not_canonical());
        }
        Ok(Self(digests))
    }
}

impl RequestDigests {
    fn sorted(mut digests: Vec<(u64, ShortDigest)>) -> Self {
        digests.sort_unstable_by_key(|(number, _)| *number);
        Self(digests.into())
    }

    /// The digest of a field; nothing of one at its default.
    fn of(&self, number: u64) -> Option<ShortDigest> {
        self.0.iter().find(|(own, _)| *own == number).map(|(_, digest)| *digest)
    }

    /// Whether the payee was this one; `None` where none was stated.
    pub(crate) fn same_payee(&self, payee: &NodeId) -> Option<bool> {
        self.of(PAYEE).map(|own| Some(own) == late(&Some(*payee)))
    }

    /// With the digest of instructions that were dropped.
    pub(crate) fn with_instructions(self, digest: ShortDigest) -> Self {
        let mut digests = self.0.into_vec();
        digests.push((INSTRUCTIONS, digest));
        Self::sorted(digests)
    }

    /// The first field whose digests differ, as [`Request::first_difference`] compares whole requests.
    pub(crate) fn first_difference(&self, other: &Self, vocabulary: u8) -> Option<RequestField> {
        let numbers = self.0.iter().chain(other.0.iter()).map(|(number, _)| *number);
        let differing = numbers.filter(|number| self.of(*number) != other.of(*number));
        let fields = differing.filter_map(RequestField::numbered);
        fields.filter(|field| field.since() <= vocabulary).min_by_key(|field| *field as u8)
    }
}
