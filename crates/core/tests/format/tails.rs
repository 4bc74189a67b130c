//! Tails: what a newer program wrote is kept, or refused by the record's name and the field's tag;
//! whatever else is wrong with one is refused by both, too.

use payonce_core::{
    Config, DecodeError, Entry, FinishRecovery, Head, Machine, Operation, Pay, PayRefusal,
    PaymentId, Record, Remember, RequestField, State, Step, TailFault, UnixMillis, UnknownFields,
    limits,
};

use crate::{LEDGER, NOW, oracle};

const ID: [u8; 32] = [7; 32];
const PART: [u8; 32] = [8; 32];
const HASH: [u8; 32] = [9; 32];

/// The shortest form of a number.
fn number(number: usize) -> Vec<u8> {
    let bytes = (number as u64).to_le_bytes();
    match number {
        0..=250 => vec![bytes[0]],
        251..=0xffff => [&[251], &bytes[..2]].concat(),
        _ => [&[252], &bytes[..4]].concat(),
    }
}

/// A tail of these fields, as they are given.
fn tail(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let fields = fields
        .iter()
        .flat_map(|(tag, bytes)| [vec![*tag], number(bytes.len()), bytes.to_vec()].concat());
    fields.collect()
}

/// So many fields, and then they.
fn counted(fields: &[(u8, &[u8])]) -> Vec<u8> {
    [number(fields.len()), tail(fields)].concat()
}

/// A snapshot of an empty log up to its prelude's tail, and what must follow for one with these lists.
fn prelude(seq: u8) -> Vec<u8> {
    [&[0x81][..], LEDGER.as_bytes(), &[seq], LEDGER.as_bytes(), &[1]].concat()
}

type Bytes = Vec<u8>;

/// A record whose tail is given: its name in errors, and all bytes with that tail.
struct Place {
    record: &'static str,
    snapshot: bool,
    with: fn(Bytes) -> Bytes,
}

fn event(number: u8, rest: &[&[u8]]) -> Bytes {
    [&[0x81, 1, 0, 1, 1, number], &rest.concat()[..]].concat()
}

/// A snapshot with one item in the list with this number, and no other.
fn listed(list: usize, item: &[&[u8]]) -> Bytes {
    let before = vec![0; list];
    let after = vec![0; 5 - list];
    let no_fields = [0];
    [prelude(9), no_fields.to_vec(), before, vec![1], item.concat(), after].concat()
}

/// Everything that has a tail, in entries and in snapshots.
fn places() -> Vec<Place> {
    let entry = |record, with| Place { record, snapshot: false, with };
    let snapshot = |record, with| Place { record, snapshot: true, with };
    vec![
        entry("recovered", |tail| event(1, &[&tail])),
        entry("payment_accepted", |tail| event(6, &[&ID, &[0], &HASH, &[1, 0, 0], &[0], &tail])),
        entry("a request", |tail| event(6, &[&ID, &[0], &HASH, &[1, 0, 0], &tail, &[0]])),
        entry("a part", |tail| event(11, &[&ID, &[1, 1], &PART, &[1, 1, 1], &tail, &[0]])),
        entry("a failure", |tail| event(20, &[&ID, &PART, &tail, &[0]])),
        snapshot("a snapshot", |tail| [prelude(0), tail, vec![0; 6]].concat()),
        snapshot("a payment", |tail| listed(0, &[&ID, &[1, 0, 2, 1, 1, 0], &tail])),
        snapshot("a remembered payment", |tail| {
            listed(1, &[&ID, &[1, 0, 0, 0, 0, 0, 0, 0], &tail])
        }),
        snapshot("a part", |tail| {
            let part = [&PART[..], &[1, 0, 0, 1, 0], &tail].concat();
            listed(2, &[&[1], &ID, &HASH, &part, &[0]])
        }),
        snapshot("a foreign part", |tail| {
            let part = [&PART[..], &[1, 0, 0, 1, 0], &[0]].concat();
            listed(2, &[&[1], &ID, &HASH, &part, &tail])
        }),
        snapshot("a paid hash", |tail| listed(3, &[&[1], &HASH, &tail])),
    ]
}

impl Place {
    fn read(&self, tail: Bytes) -> Result<Bytes, DecodeError> {
        let bytes = (self.with)(tail);
        if self.snapshot {
            let state = State::decode(&bytes, 1)?;
            assert_eq!(state.encode(), bytes, "{}: two encodings", self.record);
        } else {
            let before = Head::genesis(LEDGER);
            let Record { header, events, unknown, .. } =
                Record::read(before, &bytes).map_err(|error| match error {
                    payonce_core::ReplayError::Entry { error, .. } => error,
                    other => panic!("{other}"),
                })?;
            let again = Entry::with_unknown(before, header.epoch, header.now, &events, &unknown);
            let again = again.expect("it was read");
            assert_eq!(again.bytes(), bytes, "{}: two encodings", self.record);
        }
        Ok(bytes)
    }

    /// That both decoders refuse it, and the library by the record and the tag.
    fn refuses(&self, bytes: Bytes, tag: u64, fault: TailFault) {
        let whole = (self.with)(bytes.clone());
        let oracle = if self.snapshot { oracle::snapshot(&whole) } else { oracle::entry(&whole) };
        oracle.expect_err(self.record);
        let expected = DecodeError::Tail { inside: self.record, tag, fault };
        assert_eq!(self.read(bytes).expect_err(self.record), expected);
    }
}

#[test]
fn a_record_without_anything_in_its_tail_is_read() {
    for place in places() {
        place.read(vec![0]).unwrap_or_else(|error| panic!("{}: {error}", place.record));
    }
}

#[test]
fn odd_fields_that_are_not_known_are_kept_as_they_are() {
    for place in places() {
        let fields = [(1, &b""[..]), (99, b"nobody knows"), (249, &[0; 300])];
        let bytes = place.read(counted(&fields)).expect(place.record);
        let oracle = if place.snapshot { oracle::snapshot(&bytes) } else { oracle::entry(&bytes) };
        let shown = oracle.expect("the other decoder reads it").to_string();
        assert!(shown.contains("6e6f626f6479206b6e6f7773"), "{}: {shown}", place.record);
    }
}

#[test]
fn even_fields_that_are_not_known_are_refused_by_name() {
    for place in places() {
        place.refuses(counted(&[(0, b"")]), 0, TailFault::Unknown);
        place.refuses(counted(&[(1, b""), (200, b"more")]), 200, TailFault::Unknown);
    }
}

#[test]
fn tags_that_do_not_rise_are_refused_by_name() {
    for place in places() {
        place.refuses(counted(&[(99, b"one"), (99, b"one")]), 99, TailFault::NotRising);
        place.refuses(counted(&[(101, b"one"), (99, b"two")]), 99, TailFault::NotRising);
    }
}

#[test]
fn fields_that_are_too_long_are_refused_by_name() {
    for place in places() {
        for length in [&[253, 255, 255, 255, 255, 255, 255, 255, 255][..], &[251, 255, 255]] {
            let beyond = [&[1, 99], length, b"short"].concat();
            place.refuses(beyond, 99, TailFault::TooLong);
        }
        let most = vec![5; limits::UNKNOWN_FIELD_BYTES];
        place.read(counted(&[(99, &most)])).expect(place.record);
        let more = vec![5; limits::UNKNOWN_FIELD_BYTES + 1];
        place.refuses(counted(&[(99, &more)]), 99, TailFault::TooLong);
        // A tail of a megabyte, in one field and in many.
        let megabyte = vec![5; 1_000_000];
        place.refuses(counted(&[(99, &megabyte)]), 99, TailFault::TooLong);
        let many: Vec<_> = (0..=limits::TAIL_FIELDS).map(|_| (99, &most[..])).collect();
        let refused = place.read(counted(&many)).expect_err(place.record);
        assert_eq!(refused, DecodeError::OverLimit { inside: place.record });
    }
}

#[test]
fn a_field_that_says_what_leaving_it_out_says_is_refused_by_name() {
    // Acknowledged notifications, batches, tick: numbers that are 0; the default backoff; no bytes.
    let backoff = [251, 0xe8, 3, 252, 0xe0, 0x93, 4, 0];
    let cases: [(&str, u8, &[u8]); 6] = [
        ("a snapshot", 8, &[0]),
        ("a payment", 20, &[0]),
        ("a payment", 16, &[0]),
        ("a request", 10, &backoff),
        ("a request", 14, &[]),
        ("a failure", 12, &[0]),
    ];
    for (record, tag, bytes) in cases {
        let place = places().into_iter().find(|place| place.record == record).expect(record);
        place.refuses(counted(&[(tag, bytes)]), tag.into(), TailFault::Default);
    }
}

fn id() -> PaymentId {
    PaymentId::from_bytes(ID)
}

fn submit<O: Operation<Reply: std::fmt::Debug>>(
    machine: &mut Machine,
    operation: O,
) -> Result<O::Reply, O::Refusal> {
    let Step { entry, ticket } = machine.submit(operation, NOW);
    machine.confirmed(entry).expect("in order");
    machine.release(ticket).expect("durable")
}

/// What was written with fields that are not known goes on being it: in the state, through a snapshot,
/// as a tombstone; and nobody can repeat what nobody can say.
#[test]
fn a_state_keeps_what_it_does_not_know() {
    let request = tail(&[(99, b"not known")]);
    let accepted = event(6, &[&ID, &[0], &HASH, &[1, 0, 0], &[1], &request, &[0]]);
    let dispatched =
        event(11, &[&ID, &[1, 1], &PART, &[1, 0, 1], &[1], &tail(&[(101, b"nor this")]), &[0]]);
    let opened = b"\x00\x01\x00\x01\x00";
    let entry = |first_seq: u8, events: &[&[u8]]| {
        let header = [0x81, first_seq, 0, 1, u8::try_from(events.len()).expect("few")];
        [&header[..], &events.concat()].concat()
    };
    let log = [entry(1, &[opened, &[1, 0]]), entry(3, &[&accepted[5..], &dispatched[5..]])];
    let mut head = Head::genesis(LEDGER);
    let mut state = State::new(LEDGER, 1);
    for bytes in &log {
        let Record { header, after, events, .. } = Record::read(head, bytes).expect("sound");
        state.fold(&header, after, &events);
        head = after;
    }
    assert_eq!(state.inconsistent(), None);
    let kept = state.encode();
    for known_to_nobody in [&b"not known"[..], b"nor this"] {
        assert!(kept.windows(known_to_nobody.len()).any(|some| some == known_to_nobody));
    }
    let state = State::decode(&kept, 2).expect("its own bytes");
    assert_eq!(state.encode(), kept);

    let request = state.payment(&id()).and_then(|payment| payment.request().cloned());
    let mut plain = request.expect("it was accepted");
    plain.details.change(|detail| detail.unknown = UnknownFields::default());
    let (mut machine, opened) =
        Machine::open(state, Config::new(Remember::Forever), "tails", false, UnixMillis(1));
    machine.confirmed([opened]).expect("in order");
    submit(&mut machine, FinishRecovery).expect("nothing fails");
    let refused = submit(&mut machine, Pay::new(id(), plain)).expect_err("not what was asked");
    assert!(
        matches!(refused, PayRefusal::Conflict { field: RequestField::Unknown, .. }),
        "{refused}"
    );
}
