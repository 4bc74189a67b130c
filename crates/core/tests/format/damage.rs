//! Damaged bytes: errors, or other bytes that mean what they say. Never a panic, never an
//! allocation that the bytes do not warrant.

use payonce_core::{
    DecodeError, Entry, EntryHeader, Event, Head, MaxFee, Msat, PartTerms, PaymentHash, PaymentId,
    Record, Request, RetryPolicy, State, Text, decode_events, limits,
};

use crate::{LEDGER, NOW, first_entry, golden, oracle, samples, states};

/// Whether the library reads these bytes, and that it reads them as what they are.
pub(crate) fn reads(bytes: &[u8]) -> bool {
    let Ok(header) = EntryHeader::read(bytes) else { return false };
    let before = Head { seq: header.first_seq - 1, ..Head::genesis(LEDGER) };
    let Ok(read) = Record::read(before, bytes) else { return false };
    let Record { header, events, unknown, .. } = read;
    let again = Entry::with_unknown(before, header.epoch, header.now, &events, &unknown);
    assert_eq!(again.expect("it was read").bytes(), bytes, "two encodings of the same events");
    true
}

fn reads_state(bytes: &[u8]) -> bool {
    let Ok(state) = State::decode(bytes, 1) else { return false };
    assert_eq!(state.encode(), bytes, "two encodings of the same state");
    true
}

fn error(bytes: &[u8]) -> DecodeError {
    decode_events(bytes, |_, _| ()).expect_err("it should not be read")
}

/// The bytes with one byte changed: in every way, or in longer ones in every bit.
fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let every = bytes.len() < 90;
    let changes = move || (1..=255_u8).filter(move |change| every || change.is_power_of_two());
    let places = (0..bytes.len()).flat_map(move |at| changes().map(move |change| (at, change)));
    places.map(|(at, change)| {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= change;
        flipped
    })
}

#[test]
fn every_truncation_is_an_error() {
    for (name, bytes) in golden::entries() {
        for len in 0..bytes.len() {
            assert!(!reads(&bytes[..len]), "{name} cut at {len}");
        }
    }
    for (name, bytes) in golden::snapshots() {
        for len in 0..bytes.len() {
            assert!(!reads_state(&bytes[..len]), "{name} cut at {len}");
        }
    }
}

/// The decoder written from the document agrees on which bytes mean something.
#[test]
fn every_flip_is_an_error_or_means_what_it_says() {
    for (name, bytes) in golden::entries() {
        for flipped in flips(&bytes) {
            assert_eq!(reads(&flipped), oracle::entry(&flipped).is_ok(), "{name}: {flipped:02x?}");
        }
    }
}

#[test]
fn every_flip_of_a_snapshot_is_an_error_or_means_what_it_says() {
    for (name, bytes) in golden::snapshots() {
        // Of the large ones a bit or two in every byte: each try encodes the whole state again.
        let large = bytes.len() > 1_000;
        let tries = flips(&bytes).step_by(if large { 7 } else { 1 });
        let sound = tries.filter(|flipped| reads_state(flipped)).count();
        assert!(sound > 0, "{name}: an id with a flipped bit is an id");
    }
}

#[test]
fn versions_that_this_program_does_not_know() {
    let mut bytes = first_entry(&[Event::Recovered]).bytes().to_vec();
    let mut state = states::all().remove(0).1.encode();
    // The first byte of 2^64 - 1 as a number is 253; 1 was the first byte of what was never released.
    for found in [0, 1, 2, 127, 128, 130, 253, 255] {
        (bytes[0], state[0]) = (found, found);
        let expected = match found {
            1 => DecodeError::Unreleased,
            0..=128 => DecodeError::NoSuchVersion { found },
            _ => DecodeError::NewerVersion { found: found - 128, known: 1 },
        };
        assert_eq!(error(&bytes), expected);
        assert_eq!(EntryHeader::read(&bytes), Err(expected.clone()));
        assert_eq!(State::decode(&state, 1).expect_err("unknown version"), expected);
    }
}

#[test]
fn bytes_left_over() {
    let mut bytes = first_entry(&[Event::Recovered]).bytes().to_vec();
    bytes.extend([0, 0]);
    assert_eq!(error(&bytes), DecodeError::LeftOver { inside: "an entry", left: 2 });
    let mut state = states::all().remove(0).1.encode();
    state.push(0);
    assert_eq!(
        State::decode(&state, 1).expect_err("a byte too many"),
        DecodeError::LeftOver { inside: "a snapshot", left: 1 }
    );
}

/// An entry with one event whose seq is written in `seq`.
fn acknowledged(seq: &[u8]) -> Vec<u8> {
    // Version, first seq, now, epoch, one event: Acknowledged, and its tail.
    [&[0x81, 1, 0, 1, 1, 35], seq, &[0]].concat()
}

#[test]
fn numbers_have_one_form() {
    let forms: [(&[u8], u64); 7] = [
        (&[250], 250),
        (&[251, 251, 0], 251),
        (&[251, 255, 255], 65_535),
        (&[252, 0, 0, 1, 0], 65_536),
        (&[252, 255, 255, 255, 255], u64::from(u32::MAX)),
        (&[253, 0, 0, 0, 0, 1, 0, 0, 0], 1 << 32),
        (&[253, 255, 255, 255, 255, 255, 255, 255, 255], u64::MAX),
    ];
    for (form, value) in forms {
        let mut read = Vec::new();
        decode_events(&acknowledged(form), |_, event| read.push(event)).expect("the one form");
        assert_eq!(read, [Event::Acknowledged { seq: value }]);
    }
    let longer: [&[u8]; 5] = [
        &[251, 250, 0],
        &[252, 255, 255, 0, 0],
        &[252, 5, 0, 0, 0],
        &[253, 255, 255, 255, 255, 0, 0, 0, 0],
        &[253, 5, 0, 0, 0, 0, 0, 0, 0],
    ];
    for form in longer {
        let expected = DecodeError::NotCanonical { inside: "acknowledged" };
        assert_eq!(error(&acknowledged(form)), expected, "{form:?}");
    }
    // The number of an event, and a number in the header, in a longer form.
    let tag = [0x81, 1, 0, 1, 1, 251, 1, 0];
    assert_eq!(error(&tag), DecodeError::NotCanonical { inside: "an event" });
    let header = [0x81, 251, 1, 0, 0, 1, 1, 1];
    assert_eq!(error(&header), DecodeError::NotCanonical { inside: "an entry's header" });
    for first in [254, 255] {
        let bytes = acknowledged(&[first; 20]);
        assert!(matches!(error(&bytes), DecodeError::Malformed { .. }), "{first}");
    }
}

#[test]
fn headers_without_sense() {
    // No events; from seq 0; beyond the last seq.
    let last = [253, 255, 255, 255, 255, 255, 255, 255, 255];
    let headers: [&[u8]; 3] = [
        &[0x81, 1, 0, 1, 0],
        &[0x81, 0, 0, 1, 1, 1],
        &[&[0x81][..], &last, &[0, 1, 1, 1]].concat(),
    ];
    for header in headers {
        assert!(matches!(error(header), DecodeError::Malformed { .. }), "{header:?}");
    }
}

/// Counts in every place that has one, each above its limit, and absurd ones: were anything made of
/// them before they are checked, there would be no memory for it.
#[test]
fn counts_above_their_limit() {
    let absurd = u64::MAX.to_le_bytes();
    for (name, before, limit) in counts() {
        let limit = u32::try_from(limit).expect("limits are small");
        let over = (limit + 1).to_le_bytes();
        let over = match limit {
            ..65_535 if limit + 1 < 251 => vec![over[0]],
            ..65_535 => vec![251, over[0], over[1]],
            _ => [&[252], &over[..]].concat(),
        };
        for count in [over, [&[253], &absurd[..]].concat()] {
            let bytes = [&before[..], &count, &[0; 600]].concat();
            let refused = error(&bytes);
            assert!(matches!(refused, DecodeError::OverLimit { .. }), "{name}: {refused}");
        }
    }
}

/// Entries that end right before a count, and its limit. A field of a tail before it has 600 bytes.
fn counts() -> Vec<(&'static str, Vec<u8>, usize)> {
    let header = [0x81, 1, 0, 1, 1];
    let id = [7; 32];
    let long = |tag: u8| [1, tag, 251, 0x58, 2];
    let event = |number: u8, rest: &[&[u8]]| [&header[..], &[number], &rest.concat()].concat();
    // A failure up to who asserts it, and a request up to its records: an invoice, 1 msat, no maximum,
    // manual.
    let failure: &[&[u8]] = &[&id, &id, &long(16)];
    let request: &[&[u8]] = &[&id, &[0], &id, &[1, 0, 0], &long(24)];
    // A batch up to the label of its part.
    let label: &[&[u8]] = &[&id, &[1, 1], &id, &[1, 1, 1], &long(2)];
    vec![
        ("program", event(0, &[&[1]]), limits::PROGRAM_BYTES),
        ("custom records", event(6, request), limits::CUSTOM_RECORDS),
        ("custom record", event(6, &[request, &[&[1, 1]]].concat()), limits::CUSTOM_RECORD_BYTES),
        ("parts", event(11, &[&id, &[1]]), limits::BATCH_PARTS),
        ("by", event(20, failure), limits::ASSERTED_BY_BYTES),
        ("why", event(20, &[failure, &[&[0]]].concat()), limits::ASSERTED_WHY_BYTES),
        ("observation", event(21, &[&id, &id, &[0]]), limits::OBSERVATION_BYTES),
        ("invoice request", event(36, &[&id, &id]), limits::INVOICE_REQUEST_BYTES),
        ("in flight", event(34, &[&[0], &id, &id]), limits::PAYMENT_PARTS),
        ("others", event(34, &[&[4], &id, &id]), limits::PAYMENT_PARTS),
        ("label", event(11, label), limits::LABEL_BYTES),
        ("listed", event(13, &[]), limits::LISTED_PARTS),
        ("fields of a tail", event(1, &[]), limits::TAIL_FIELDS),
    ]
}

/// What is as large as its limit allows is read back; what is larger is not even encoded.
#[test]
fn limits_are_reached_and_not_passed() {
    let sized = |instructions: usize, metadata: usize| {
        let hash = PaymentHash::from_bytes([7; 32]);
        let request = Request::invoice(hash, Msat(1), MaxFee::Unlimited, RetryPolicy::Manual);
        let request = request.instructions(vec![1; instructions]).metadata(vec![1; metadata]);
        let id = PaymentId::from_bytes([7; 32]);
        let events = [Event::PaymentAccepted { id, request, again_after: None }];
        Entry::new(Head::genesis(LEDGER), 1, NOW, &events).map(|entry| reads(entry.bytes()))
    };
    assert_eq!(sized(limits::INSTRUCTIONS_BYTES, limits::METADATA_BYTES), Ok(true));
    sized(limits::INSTRUCTIONS_BYTES + 1, 0).expect_err("instructions too long");
    sized(0, limits::METADATA_BYTES + 1).expect_err("metadata too long");
    let batch = |count: usize| {
        let samples = samples::entries();
        let (_, events) = samples.iter().find(|(name, _)| *name == "parts-dispatched").expect("");
        let Event::PartsDispatched { id, attempt, parts } = &events[0] else { panic!("a sample") };
        let parts: Vec<PartTerms> = parts.iter().cycle().take(count).cloned().collect();
        let events = [Event::PartsDispatched { id: *id, attempt: *attempt, parts: parts.into() }];
        Entry::new(Head::genesis(LEDGER), 1, NOW, &events).map(|entry| reads(entry.bytes()))
    };
    assert_eq!(batch(limits::BATCH_PARTS), Ok(true));
    batch(limits::BATCH_PARTS + 1).expect_err("too many parts");
    let named = |bytes: usize| {
        let program = Text::from("p".repeat(bytes).as_str());
        let (format, holder) = (1, Text::default());
        let events =
            [Event::Opened { epoch: 1, restored: false, program, format, holder, fence: None }];
        Entry::new(Head::genesis(LEDGER), 1, NOW, &events).map(|entry| reads(entry.bytes()))
    };
    assert_eq!(named(limits::PROGRAM_BYTES), Ok(true));
    named(limits::PROGRAM_BYTES + 1).expect_err("a name too long");
}

#[test]
fn an_entry_is_at_most_a_mebibyte() {
    let observed = |count: usize| {
        let samples = samples::entries();
        let name = "part-observed-path-failed";
        let (_, events) = samples.into_iter().find(|(other, _)| *other == name).expect("a sample");
        let events: Vec<_> = events.into_iter().cycle().take(count).collect();
        Entry::new(Head::genesis(LEDGER), 1, NOW, &events).map(|entry| entry.bytes().len())
    };
    let each = observed(2).expect("small") - observed(1).expect("small");
    let most = limits::ENTRY_BYTES / each;
    assert!(observed(most - 1).is_ok_and(|bytes| bytes <= limits::ENTRY_BYTES));
    observed(most + 1).expect_err("too large");
    let bytes = vec![1; limits::ENTRY_BYTES + 1];
    assert_eq!(error(&bytes), DecodeError::OverLimit { inside: "an entry" });
}

/// A xorshift: random enough to be garbage, the same in every run.
struct Garbage(u64);

impl Garbage {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_le_bytes()[3]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut garbage = Garbage(0x9e37_79b9_7f4a_7c15);
    for round in 0..20_000 {
        let mut bytes = garbage.bytes(round % 200);
        assert!(!reads(&bytes) || oracle::entry(&bytes).is_ok());
        reads_state(&bytes);
        // Past the version and into the events.
        let head = [0x81, 1, 0, 1, 1 + (garbage.byte() & 3), garbage.byte() % 36];
        bytes.splice(..0, head);
        assert_eq!(reads(&bytes), oracle::entry(&bytes).is_ok(), "round {round}: {bytes:02x?}");
    }
}
