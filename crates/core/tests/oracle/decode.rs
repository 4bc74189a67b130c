//! Reads what docs/FORMAT.md describes, and was written from it: bytes to JSON. The tables below are
//! those of the document; what reads them knows nothing of payments.

use serde_json::{Map, Value, json};

/// The bytes are not what the document allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad(pub(crate) &'static str);

type Fields = &'static [(&'static str, &'static Type)];
/// A variant's name and what it holds.
type Variants = &'static [(&'static str, Option<&'static Type>)];

enum Type {
    U8,
    /// A number of at most so many bits.
    Number(u32),
    Bool,
    /// So many bytes.
    Raw(usize),
    Preimage,
    NotificationId,
    /// At most so many bytes.
    Blob(u64),
    Text(u64),
    Option(&'static Type),
    List(u64, &'static Type),
    Record(Fields),
    /// A record and a record behind it that is there only if there is anything in it: their fields
    /// stand side by side.
    Extended(Fields, Fields),
    Enum(Variants),
    /// The variant's name stands beside its fields, under this key.
    Tagged(&'static str, Variants),
}

use Type::{
    Blob, Bool, Enum, Extended, List, NotificationId, Number, Option as Maybe, Preimage, Raw,
    Record, Tagged, Text, U8,
};

const U16: &Type = &Number(16);
const U32: &Type = &Number(32);
const U64: &Type = &Number(64);
const BOOL: &Type = &Bool;
const ID: &Type = &Raw(32);
const SOME_U32: &Type = &Maybe(U32);
const SOME_U64: &Type = &Maybe(U64);
const SOME_ID: &Type = &Maybe(ID);
const SOME_PREIMAGE: &Type = &Maybe(&Preimage);
const SOME_NOTIFICATION: &Type = &Maybe(&NotificationId);

// Chapter 5.

const DEADLINE: &Type = &Enum(&[("ticks", Some(U32)), ("at", Some(U64))]);
const TARGET: &Type = &Enum(&[
    ("invoice", Some(&Record(&[("payment_hash", ID)]))),
    ("spontaneous", Some(&Record(&[("preimage", &Preimage)]))),
    ("offer", Some(&Record(&[("offer_hash", ID), ("deadline", DEADLINE)]))),
]);
const REQUEST: &Type = &Record(&[
    ("target", TARGET),
    ("amount", U64),
    ("payee", &Maybe(&Raw(33))),
    ("max_fee", &Enum(&[("unlimited", None), ("at_most", Some(U64))])),
    ("retry", &Enum(&[("manual", None), ("attempts", Some(U32)), ("until", Some(U64))])),
    ("backoff", &Record(&[("first_ms", U64), ("max_ms", U64)])),
    ("expiry", SOME_U64),
    ("instructions", &Blob(16_384)),
    ("metadata", &Blob(1_024)),
]);
const INVOICE: &Type = &Record(&[("payment_hash", ID), ("amount", U64), ("expiry", SOME_U64)]);
const KIND: &Type = &Enum(&[
    ("htlc", Some(&Record(&[("cltv_expiry", SOME_U32), ("first_channel", SOME_U64)]))),
    ("delegated", None),
]);
const LABEL: &Type = &Maybe(&Record(&[("engine", &Blob(64)), ("mark", SOME_U64)]));
const TERMS: &Type =
    &Record(&[("id", ID), ("amount", U64), ("fee", U64), ("kind", KIND), ("label", LABEL)]);
const ADOPTED: &Type = &Record(&[
    ("part", ID),
    ("payment_hash", ID),
    ("amount", SOME_U64),
    ("fee", SOME_U64),
    ("kind", KIND),
]);
const SETTLEMENT: &Type = &Maybe(&Record(&[("amount", SOME_U64), ("fee", SOME_U64)]));
const ASSERTION: &Type =
    &Record(&[("by", &Text(64)), ("why", &Text(512)), ("although_listed", BOOL)]);
const SOME_ASSERTION: &Type = &Maybe(ASSERTION);
const FAILURE: &Type = &Record(&[
    ("permanent", BOOL),
    ("channel", SOME_U64),
    ("code", &Maybe(U16)),
    ("lost", SOME_U64),
    ("mark", SOME_U64),
    ("sayings", U32),
    ("retry_after_ms", SOME_U64),
    ("assertion", SOME_ASSERTION),
]);
const OBSERVED: &Type =
    &Enum(&[("path_succeeded", None), ("path_failed", None), ("other", Some(&U8))]);
const OBSERVATION: &Type = &Record(&[("part", ID), ("kind", OBSERVED), ("bytes", &Blob(512))]);
const REASON: &Type = &Enum(&[
    ("user_abandoned", None),
    ("recipient_rejected", None),
    ("retries_exhausted", None),
    ("payment_expired", None),
    ("invoice_request_expired", None),
    ("route_not_found", None),
    ("unexpected_error", None),
    ("adopted", None),
    ("paid_elsewhere", None),
]);
const PAID_ELSEWHERE: &Type = &Record(&[("payer", SOME_ID), ("proven", BOOL)]);
const OTHER_HASH: &Type = &Record(&[("payment", ID), ("part", ID), ("payment_hash", ID)]);
const CORRECTION: &Type =
    &Record(&[("payment", ID), ("part", ID), ("in_flight", &List(1_024, ID))]);
const OUT_AGAIN: &Type = &Record(&[("payment", ID), ("part", ID), ("others", &List(1_024, ID))]);
const PAID_TWICE: &Type =
    &Record(&[("payment", ID), ("part", ID), ("first_payment", SOME_ID), ("first_part", SOME_ID)]);
const SPENT_MORE: &Type =
    &Record(&[("payment", ID), ("part", ID), ("amount", SOME_U64), ("fee", SOME_U64)]);
const ANOMALY: &Type = &Tagged(
    "anomaly",
    &[
        ("correction", Some(CORRECTION)),
        ("unknown_part", Some(&Record(&[("payment", ID), ("part", ID)]))),
        ("foreign_claim", Some(OTHER_HASH)),
        ("stray", Some(OTHER_HASH)),
        ("out_again", Some(OUT_AGAIN)),
        ("paid_twice", Some(PAID_TWICE)),
        ("spent_more", Some(SPENT_MORE)),
        ("paid_with_another", Some(&Record(&[("payment", ID), ("named", ID)]))),
        ("false_preimage", Some(OTHER_HASH)),
    ],
);
const HOME: &Type = &Enum(&[
    ("payment", None),
    ("hash_holder", Some(&Record(&[("told_as", ID)]))),
    ("stray", None),
]);
const WORD: &Type = &Enum(&[("listed", None), ("claimed", None)]);
const DELIVERY: &Type = &Enum(&[("notify", None), ("repeat", Some(U64)), ("folded", None)]);

// Chapter 4.

const ONE_PAYMENT: &Type = &Record(&[("id", ID)]);
const ONE_PART: &Type = &Record(&[("id", ID), ("part", ID)]);
const ONE_HASH: &Type = &Record(&[("payment_hash", ID)]);
const GIVEN_UP: &Type = &Record(&[("id", ID), ("reason", REASON)]);
const EVENT: &Type = &Tagged(
    "event",
    &[
        ("opened", Some(&Record(&[("epoch", U64), ("restored", BOOL), ("program", &Text(64))]))),
        ("recovered", None),
        ("gap_found", None),
        ("gap_closed", None),
        (
            "ticked",
            Some(&Record(&[
                ("tick", U64),
                ("reference", U64),
                ("unfinished", BOOL),
                ("doubted", SOME_U64),
            ])),
        ),
        ("height_told", Some(&Record(&[("height", U32)]))),
        (
            "payment_accepted",
            Some(&Record(&[("id", ID), ("request", REQUEST), ("again_after", SOME_NOTIFICATION)])),
        ),
        (
            "payment_adopted",
            Some(&Record(&[("id", ID), ("payment_hash", SOME_ID), ("request", &Maybe(REQUEST))])),
        ),
        ("payment_recalled", Some(ONE_PAYMENT)),
        ("invoice_received", Some(&Record(&[("id", ID), ("invoice", INVOICE)]))),
        ("invoice_dropped", Some(ONE_PAYMENT)),
        (
            "parts_dispatched",
            Some(&Record(&[("id", ID), ("attempt", U32), ("parts", &List(256, TERMS))])),
        ),
        ("part_said_again", Some(ONE_PART)),
        ("parts_listed", Some(&Record(&[("parts", &List(4_096, ID))]))),
        ("part_withdrawn", Some(ONE_PART)),
        (
            "part_adopted",
            Some(&Record(&[
                ("id", ID),
                ("part", ADOPTED),
                ("home", HOME),
                ("word", WORD),
                ("earlier_try", BOOL),
            ])),
        ),
        ("part_moved", Some(ONE_PART)),
        ("part_disowned", Some(&Record(&[("id", ID), ("part", ID), ("assertion", ASSERTION)]))),
        (
            "part_claimed",
            Some(&Record(&[
                ("id", ID),
                ("part", ID),
                ("preimage", SOME_PREIMAGE),
                ("payment_hash", SOME_ID),
                ("settlement", SETTLEMENT),
            ])),
        ),
        ("part_finalized", Some(&Record(&[("id", ID), ("part", ID), ("notify", BOOL)]))),
        (
            "part_failed",
            Some(&Record(&[
                ("id", ID),
                ("part", ID),
                ("failure", FAILURE),
                ("notify", BOOL),
                ("rest_ms", U64),
            ])),
        ),
        ("part_observed", Some(&Record(&[("id", ID), ("observation", OBSERVATION)]))),
        (
            "preimage_learned",
            Some(&Record(&[("id", ID), ("payment_hash", ID), ("preimage", &Preimage)])),
        ),
        (
            "payment_sent",
            Some(&Record(&[
                ("id", ID),
                ("payment_hash", SOME_ID),
                ("amount", SOME_U64),
                ("fee", SOME_U64),
                ("correction", BOOL),
                ("assertion", SOME_ASSERTION),
            ])),
        ),
        ("payment_settled", Some(&Record(&[("id", ID), ("amount", SOME_U64), ("fee", SOME_U64)]))),
        ("paid_elsewhere", Some(&Record(&[("id", ID), ("by", PAID_ELSEWHERE)]))),
        ("payment_abandoned", Some(GIVEN_UP)),
        ("payment_failed", Some(GIVEN_UP)),
        ("payment_forgotten", Some(&Record(&[("id", ID), ("remembered", BOOL)]))),
        ("hash_held", Some(ONE_HASH)),
        ("hash_released", Some(ONE_HASH)),
        (
            "hash_paid",
            Some(&Record(&[("payment_hash", ID), ("preimage", SOME_PREIMAGE), ("payer", SOME_ID)])),
        ),
        ("hash_forgotten", Some(ONE_HASH)),
        ("anomaly_noted", Some(&Record(&[("anomaly", ANOMALY), ("delivery", DELIVERY)]))),
        ("acknowledged", Some(&Record(&[("seq", U64)]))),
    ],
);

// Chapter 6.

const MANY: u64 = (1 << 32) - 1;
const DIGEST: &Type = &Raw(8);
const SOME_DIGEST: &Type = &Maybe(DIGEST);
const FATE: &Type = &Enum(&[
    ("in_flight", None),
    ("claimed", None),
    ("finalized", None),
    ("failed", None),
    ("withdrawn", None),
]);
const PART: &Type = &Extended(
    &[
        ("id", ID),
        ("amount", SOME_U64),
        ("fee", SOME_U64),
        ("kind", KIND),
        ("fate", FATE),
        ("batch", U32),
        ("epoch", U64),
        ("recorded_at", U64),
        ("adopted", BOOL),
        ("corrected", BOOL),
    ],
    &[
        ("named_id", SOME_ID),
        ("payment_hash", SOME_ID),
        ("preimage", SOME_PREIMAGE),
        ("failure", &Maybe(FAILURE)),
        ("earlier_try", BOOL),
        ("listed_in", U64),
        ("withdrawn_in", U64),
        ("label", LABEL),
        ("said_again", U32),
    ],
);
const TRIES: &Type = &List(
    MANY,
    &Record(&[
        ("payment_hash", SOME_ID),
        ("named_seq", SOME_U64),
        ("paid", BOOL),
        ("preimage", SOME_PREIMAGE),
        ("parts", &List(MANY, &Record(&[("digest", DIGEST), ("settled", BOOL)]))),
    ]),
);
const DIGESTS: &Type = &Record(&[
    ("target", DIGEST),
    ("amount", DIGEST),
    ("payee", DIGEST),
    ("max_fee", DIGEST),
    ("retry", DIGEST),
    ("expiry", DIGEST),
    ("instructions", DIGEST),
    ("metadata", DIGEST),
]);
const PAYMENT_TERMS: &Type = &Enum(&[
    ("full", Some(&Record(&[("request", REQUEST), ("instructions", SOME_DIGEST)]))),
    ("digests", Some(DIGESTS)),
    ("none", None),
]);
const ONE_REASON: &Type = &Record(&[("reason", REASON)]);
const STATUS: &Type = &Tagged(
    "status",
    &[
        ("awaiting_invoice", None),
        ("pending", None),
        ("fulfilled", None),
        ("abandoned", Some(ONE_REASON)),
        ("failed", Some(ONE_REASON)),
    ],
);
const WAIT: &Type = &Enum(&[("tick", Some(U64)), ("at", Some(U64))]);
const MOMENT: &Type = &Maybe(&Record(&[("at", U64), ("tick", U64)]));
const PAYMENT: &Type = &Record(&[
    ("id", ID),
    ("created_seq", U64),
    ("created_at", U64),
    ("terms", PAYMENT_TERMS),
    ("payment_hash", SOME_ID),
    ("preimage", SOME_PREIMAGE),
    ("proven_hash", SOME_ID),
    ("own_hash_paid", BOOL),
    ("status", STATUS),
    ("status_seq", U64),
    ("amount", SOME_U64),
    ("expiry", SOME_U64),
    ("waits_until", &Maybe(WAIT)),
    ("invoice", &Maybe(INVOICE)),
    ("parts", &List(MANY, PART)),
    ("former", TRIES),
    ("batches", U32),
    ("unread", U32),
    ("failed_notice", SOME_NOTIFICATION),
    ("failure_superseded", BOOL),
    ("quiet", &Maybe(&Record(&[("tick", U64), ("seq", U64)]))),
    ("verdict_due", &Enum(&[("no", None), ("yes", None), ("part_failed", None)])),
    ("observations", &List(MANY, OBSERVATION)),
    ("reported", SETTLEMENT),
    ("remembered", SETTLEMENT),
    ("told", &Maybe(&Record(&[("amount", SOME_U64), ("fee", SOME_U64), ("proof", BOOL)]))),
    ("asserted", SOME_ASSERTION),
    ("paid_elsewhere", &Maybe(PAID_ELSEWHERE)),
    ("retries_since", MOMENT),
    ("rests_until", MOMENT),
]);
const PAID: &Type = &Record(&[
    ("preimage", SOME_PREIMAGE),
    ("proven_hash", SOME_ID),
    ("amount", SOME_U64),
    ("fee", SOME_U64),
]);
const OUTCOME: &Type = &Enum(&[
    ("paid", Some(PAID)),
    (
        "failed",
        Some(&Record(&[
            ("reason", REASON),
            ("notice", &NotificationId),
            ("paid_elsewhere", &Maybe(PAID_ELSEWHERE)),
        ])),
    ),
]);
const TOMBSTONE: &Type = &Record(&[
    ("id", ID),
    ("accepted_seq", U64),
    ("payment_hash", SOME_ID),
    ("outcome", OUTCOME),
    ("request", &Maybe(DIGESTS)),
    ("tries", TRIES),
]);
const STRAY: &Type = &Record(&[
    ("created_seq", U64),
    ("payment", ID),
    ("payment_hash", ID),
    ("preimage", SOME_PREIMAGE),
    ("part", PART),
    ("disowned", BOOL),
]);
const HASH_PAID: &Type = &Record(&[
    ("created_seq", U64),
    ("payment_hash", ID),
    ("preimage", SOME_PREIMAGE),
    ("idle_since", SOME_U64),
]);
const CONTENT: &Type = &Enum(&[
    (
        "sent",
        Some(&Record(&[
            ("payment", ID),
            ("amount", SOME_U64),
            ("fee", SOME_U64),
            ("correction", BOOL),
        ])),
    ),
    ("settled", Some(&Record(&[("payment", ID), ("amount", SOME_U64), ("fee", SOME_U64)]))),
    (
        "failed",
        Some(&Record(&[
            ("payment", ID),
            ("hash", SOME_ID),
            ("reason", REASON),
            ("superseded", BOOL),
            ("paid_elsewhere", &Maybe(PAID_ELSEWHERE)),
        ])),
    ),
    ("part_succeeded", Some(&Record(&[("payment", ID), ("part", ID)]))),
    ("part_failed", Some(&Record(&[("payment", ID), ("part", ID), ("failure", FAILURE)]))),
    ("anomaly", Some(&Record(&[("anomaly", ANOMALY), ("repeats", U32)]))),
]);
const UNREAD: &Type = &Record(&[("seq", U64), ("chain", DIGEST), ("content", CONTENT)]);
const SNAPSHOT: &Type = &Record(&[
    ("format", &U8),
    ("ledger", ID),
    ("seq", U64),
    ("chain", ID),
    ("epoch", U64),
    ("recovering", BOOL),
    ("recovery_since", U64),
    ("gap", BOOL),
    ("misfit", SOME_U64),
    ("tick", U64),
    ("tick_reference", SOME_U64),
    ("tick_unfinished", BOOL),
    ("tick_doubted", SOME_U64),
    ("first_reading", U64),
    ("height", SOME_U32),
    ("anomalies_unread", U32),
    ("anomalies_folded", U64),
    ("payments", &List(MANY, PAYMENT)),
    ("tombstones", &List(MANY, TOMBSTONE)),
    ("strays", &List(MANY, STRAY)),
    ("hashes_paid", &List(MANY, HASH_PAID)),
    ("held", &List(MANY, ID)),
    ("outbox", &List(MANY, UNREAD)),
]);

/// One snapshot.
pub(crate) fn snapshot(bytes: &[u8]) -> Result<Value, Bad> {
    if bytes.first() != Some(&1) {
        return Err(Bad("not version 1"));
    }
    let mut rest = bytes;
    let state = read(SNAPSHOT, &mut rest)?;
    if rest.is_empty() { Ok(state) } else { Err(Bad("bytes left over")) }
}

// Chapter 2.

const HEADER: &Type =
    &Record(&[("format", &U8), ("first_seq", U64), ("now", U64), ("epoch", U64), ("events", U32)]);

/// One entry: its header and its events.
pub(crate) fn entry(bytes: &[u8]) -> Result<Value, Bad> {
    if bytes.first() != Some(&1) {
        return Err(Bad("not version 1"));
    }
    if bytes.len() > 1 << 20 {
        return Err(Bad("larger than 1 MiB"));
    }
    let mut rest = bytes;
    let header = read(HEADER, &mut rest)?;
    let (first, count) = (header["first_seq"].as_u64(), header["events"].as_u64());
    let (Some(first @ 1..), Some(count @ 1..)) = (first, count) else {
        return Err(Bad("without events, or from seq 0"));
    };
    first.checked_add(count).ok_or(Bad("seqs beyond 64 bits"))?;
    let events: Result<Vec<_>, _> = (0..count).map(|_| read(EVENT, &mut rest)).collect();
    let value = json!({ "header": header, "events": events? });
    if rest.is_empty() { Ok(value) } else { Err(Bad("bytes left over")) }
}

fn read(what: &Type, rest: &mut &[u8]) -> Result<Value, Bad> {
    Ok(match what {
        U8 => take(rest, 1)?[0].into(),
        Number(bits) => number(rest, *bits)?.into(),
        Bool => flag(rest)?.into(),
        Raw(count) => hex(take(rest, *count)?).into(),
        Preimage => {
            take(rest, 32)?;
            "hidden".into()
        }
        NotificationId => {
            let seq = number(rest, 64)?;
            format!("{seq}-{}", hex(take(rest, 8)?)).into()
        }
        Blob(limit) => hex(counted(rest, *limit)?).into(),
        Text(limit) => {
            let text = std::str::from_utf8(counted(rest, *limit)?);
            text.map_err(|_| Bad("text that is not UTF-8"))?.into()
        }
        Maybe(inner) if flag(rest)? => read(inner, rest)?,
        Maybe(_) => Value::Null,
        List(limit, inner) => {
            let count = count(rest, *limit)?;
            (0..count).map(|_| read(inner, rest)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Record(fields) => record(fields, rest)?.into(),
        Extended(fields, more) => {
            let mut all = record(fields, rest)?;
            if flag(rest)? {
                let before = *rest;
                all.extend(record(more, rest)?);
                let said = &before[..before.len() - rest.len()];
                if said.iter().all(|byte| *byte == 0) {
                    return Err(Bad("a record that is there with nothing in it"));
                }
            }
            all.into()
        }
        Enum(variants) => match variant(rest, variants)? {
            (name, None) => (*name).into(),
            (name, Some(inner)) => json!({ *name: read(inner, rest)? }),
        },
        Tagged(tag, variants) => {
            let (name, inner) = variant(rest, variants)?;
            let mut fields = inner.map_or(Ok(json!({})), |inner| read(inner, rest))?;
            fields[*tag] = (*name).into();
            fields
        }
    })
}

fn record(fields: Fields, rest: &mut &[u8]) -> Result<Map<String, Value>, Bad> {
    let read = |(name, inner): &(&str, &Type)| Ok(((*name).to_owned(), read(inner, rest)?));
    fields.iter().map(read).collect()
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Bad> {
    let (taken, left) = rest.split_at_checked(count).ok_or(Bad("the bytes end too early"))?;
    *rest = left;
    Ok(taken)
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Chapter 1: a number in as few bytes as possible.
fn number(rest: &mut &[u8], bits: u32) -> Result<u64, Bad> {
    let (width, least) = match take(rest, 1)?[0] {
        small @ ..=250 => return Ok(small.into()),
        251 => (2, 251),
        252 => (4, 1 << 16),
        253 => (8, 1 << 32),
        _ => return Err(Bad("no number begins so")),
    };
    let bytes = take(rest, width)?;
    let value = bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte));
    if value < least {
        return Err(Bad("a number in a longer form than needed"));
    }
    if bits < 64 && value >> bits > 0 { Err(Bad("a number too large")) } else { Ok(value) }
}

fn flag(rest: &mut &[u8]) -> Result<bool, Bad> {
    match take(rest, 1)?[0] {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Bad("neither no nor yes")),
    }
}

fn count(rest: &mut &[u8], limit: u64) -> Result<u64, Bad> {
    let count = number(rest, 64)?;
    if count > limit { Err(Bad("a count above its limit")) } else { Ok(count) }
}

fn counted<'a>(rest: &mut &'a [u8], limit: u64) -> Result<&'a [u8], Bad> {
    let count = count(rest, limit)?;
    take(rest, usize::try_from(count).map_err(|_| Bad("the bytes end too early"))?)
}

fn variant(
    rest: &mut &[u8],
    variants: Variants,
) -> Result<&'static (&'static str, Option<&'static Type>), Bad> {
    let number = usize::try_from(number(rest, 32)?).map_err(|_| Bad("no such variant"))?;
    variants.get(number).ok_or(Bad("no such variant"))
}
