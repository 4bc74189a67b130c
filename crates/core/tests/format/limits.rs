//! What would not decode is not encoded: every text, blob and list of an event at its limit, and one
//! above it.

use std::mem::discriminant;

use payonce_core::{
    Anomaly, Assertion, Blob, CustomRecord, DecodeError, Delivery, EncodeError, Entry, Event,
    Failure, Head, Label, List, MaxFee, Msat, Observation, ObservationKind, PartId, PartKind,
    PartTerms, PaymentHash, PaymentId, Request, RetryPolicy, UnknownField, UnknownFields,
    decode_events, limits,
};

use crate::{LEDGER, NOW};

const ID: PaymentId = PaymentId::from_bytes([0xa0; 32]);
const PART: PartId = PartId::from_bytes([0x01; 32]);

type Sized = (&'static str, usize, fn(usize) -> Event);

fn request(change: impl FnOnce(&mut Request)) -> Event {
    let hash = PaymentHash::from_bytes([0x4a; 32]);
    let (max_fee, retry) = (MaxFee::Unlimited, RetryPolicy::Manual);
    let mut request = Request::invoice(hash, Msat(1_000), max_fee, retry);
    change(&mut request);
    Event::PaymentAccepted { id: ID, request, again_after: None }
}

fn records(count: usize, bytes: usize) -> List<CustomRecord, { limits::CUSTOM_RECORDS }> {
    let value: Blob<{ limits::CUSTOM_RECORD_BYTES }> = vec![1; bytes].into();
    (0..count as u64).map(|tag| CustomRecord { tag, value: value.clone() }).collect()
}

fn asserted(by: usize, why: usize) -> Event {
    let (by, why) = ("b".repeat(by).as_str().into(), "w".repeat(why).as_str().into());
    let assertion = Some(Assertion { by, why, although_listed: false });
    let failure = Failure { assertion, ..Failure::default() };
    Event::PartFailed { id: ID, part: PART, failure, notify: false, rest_ms: 0 }
}

fn dispatched(parts: usize, engine: usize) -> Event {
    let label = Some(Label { engine: vec![1; engine].into(), mark: None });
    let (amount, fee, kind) = (Msat(1), Msat(1), PartKind::Delegated);
    let terms = PartTerms { id: PART, amount, fee, kind, label, unknown: UnknownFields::default() };
    let parts = vec![terms; parts].into();
    Event::PartsDispatched { id: ID, attempt: 1, parts }
}

fn corrected(parts: usize) -> Event {
    let in_flight = vec![PART; parts].into();
    let anomaly = Anomaly::Correction { payment: ID, part: PART, in_flight };
    Event::AnomalyNoted { anomaly, delivery: Delivery::Notify }
}

fn opened(program: usize, holder: usize) -> Event {
    Event::Opened {
        epoch: 1,
        restored: false,
        program: "p".repeat(program).as_str().into(),
        format: 1,
        holder: "h".repeat(holder).as_str().into(),
        fence: None,
    }
}

const ALL: [Sized; 19] = [
    ("program", limits::PROGRAM_BYTES, |len| opened(len, 1)),
    ("holder", limits::HOLDER_BYTES, |len| opened(1, len)),
    ("payee name", limits::PAYEE_NAME_BYTES, |len| {
        request(|request| {
            request.details.change(|detail| detail.payee_name = "n".repeat(len).as_str().into());
        })
    }),
    ("payer note", limits::PAYER_NOTE_BYTES, |len| {
        request(|request| {
            request.details.change(|detail| detail.payer_note = "n".repeat(len).as_str().into());
        })
    }),
    ("tenant", limits::TENANT_BYTES, |len| {
        request(|request| request.details.change(|detail| detail.tenant = vec![1; len].into()))
    }),
    ("custom records", limits::CUSTOM_RECORDS, |len| {
        request(|request| request.details.change(|detail| detail.custom_records = records(len, 1)))
    }),
    ("custom record", limits::CUSTOM_RECORD_BYTES, |len| {
        request(|request| request.details.change(|detail| detail.custom_records = records(1, len)))
    }),
    ("paid invoice", limits::PAID_INVOICE_BYTES, |len| Event::PartClaimed {
        id: ID,
        part: PART,
        preimage: None,
        payment_hash: None,
        settlement: None,
        invoice: vec![1; len].into(),
    }),
    ("invoice request", limits::INVOICE_REQUEST_BYTES, |len| Event::InvoiceRequested {
        id: ID,
        part: PART,
        invoice_request: vec![1; len].into(),
    }),
    ("instructions", limits::INSTRUCTIONS_BYTES, |len| {
        request(|request| request.instructions = vec![1; len].into())
    }),
    ("metadata", limits::METADATA_BYTES, |len| {
        request(|request| request.metadata = vec![1; len].into())
    }),
    ("parts of a batch", limits::BATCH_PARTS, |len| dispatched(len, 1)),
    ("label", limits::LABEL_BYTES, |len| dispatched(1, len)),
    ("who blocks", limits::LABEL_BYTES, |len| Event::HashBlocked {
        payment_hash: PaymentHash::from_bytes([0x4a; 32]),
        engine: vec![1; len].into(),
    }),
    ("parts listed", limits::LISTED_PARTS, |len| Event::PartsListed {
        parts: vec![PART; len].into(),
    }),
    ("who asserts", limits::ASSERTED_BY_BYTES, |len| asserted(len, 1)),
    ("why", limits::ASSERTED_WHY_BYTES, |len| asserted(1, len)),
    ("observation", limits::OBSERVATION_BYTES, |len| Event::PartObserved {
        id: ID,
        observation: Observation {
            part: PART,
            kind: ObservationKind::PathFailed,
            bytes: vec![1; len].into(),
        },
    }),
    ("parts of a correction", limits::PAYMENT_PARTS, corrected),
];

fn encode(event: Event) -> Result<Entry, EncodeError> {
    Entry::new(Head::genesis(LEDGER), 1, NOW, &[event])
}

#[test]
fn what_is_above_a_limit_becomes_no_entry() {
    for (what, limit, event) in ALL {
        let entry = encode(event(limit)).unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut read = Vec::new();
        decode_events(entry.bytes(), |_, event| read.push(event)).expect(what);
        assert_eq!(read, [event(limit)], "{what}");

        let refused = encode(event(limit + 1)).expect_err(what);
        let above = EncodeError::Unreadable(DecodeError::OverLimit { inside: "" });
        assert_eq!(discriminant(&refused), discriminant(&above), "{what}: {refused}");
        assert!(refused.to_string().contains("above its limit"), "{what}: {refused}");
    }
}

/// Such a header can be written and not be read: found only by decoding what was encoded.
#[test]
fn what_would_not_read_back_becomes_no_entry() {
    let before = |seq| Head { seq, ..Head::genesis(LEDGER) };
    let last = Entry::new(before(u64::MAX - 2), 1, NOW, &[Event::Recovered]);
    assert_eq!(last.expect("the last that can be read").after().seq, u64::MAX - 1);
    let refused = Entry::new(before(u64::MAX - 1), 1, NOW, &[Event::Recovered]);
    let malformed = EncodeError::Unreadable(DecodeError::Malformed {
        inside: "an entry's header",
        what: format!("1 events from seq {}", u64::MAX),
    });
    assert_eq!(refused.expect_err("it has no next"), malformed);
}

/// What no `take` reads, no `put` encodes: fields that a program cannot know and a log cannot have.
#[test]
fn unknown_fields_that_would_not_be_read_are_not_encoded() {
    let field = |tag, bytes: usize| UnknownField { tag, bytes: vec![1; bytes].into() };
    let many = (0..=limits::TAIL_FIELDS as u64).map(|nth| field(201 + 2 * nth, 1)).collect();
    let hostile: [Vec<UnknownField>; 6] = [
        vec![field(200, 1)],
        vec![field(201, 1), field(201, 1)],
        vec![field(203, 1), field(201, 1)],
        vec![field(201, limits::UNKNOWN_FIELD_BYTES + 1)],
        vec![field(u64::MAX, 1)],
        many,
    ];
    let encode = |event: Event, unknown: Option<UnknownFields>| {
        let unknown: Vec<_> = unknown.into_iter().map(|fields| (1, fields)).collect();
        Entry::with_unknown(Head::genesis(LEDGER), 1, NOW, &[event], &unknown)
    };
    for fields in hostile {
        let fields = UnknownFields::from(fields);
        let of_event = encode(Event::Recovered, Some(fields.clone()));
        let of_request = encode(
            request(|request| request.details.change(|detail| detail.unknown = fields.clone())),
            None,
        );
        let failure = Failure { unknown: fields.clone(), ..Failure::default() };
        let of_failure = encode(
            Event::PartFailed { id: ID, part: PART, failure, notify: false, rest_ms: 0 },
            None,
        );
        for encoded in [of_event, of_request, of_failure] {
            assert!(matches!(encoded, Err(EncodeError::Unreadable(_))), "{fields:?}");
        }
    }
    let odd = UnknownFields::from(vec![field(201, limits::UNKNOWN_FIELD_BYTES), field(203, 1)]);
    let entry = encode(Event::Recovered, Some(odd)).expect("any program may keep these");
    assert!(decode_events(entry.bytes(), |_, _| ()).is_ok());
}

/// Beyond the largest seq there is no entry.
#[test]
fn an_entry_without_a_place_is_not_encoded() {
    for seq in [u64::MAX, u64::MAX - 1] {
        let before = Head { seq, ..Head::genesis(LEDGER) };
        let entry = Entry::new(before, 1, NOW, &[Event::Recovered, Event::Recovered]);
        assert!(matches!(entry, Err(EncodeError::Unreadable(_))), "after {seq}");
    }
}
