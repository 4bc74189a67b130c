//! An entry and a state say everything in one way: no number written longer than it must be, no field
//! that says otherwise than what it follows from.

use payonce_core::{Entry, Head, State};

use crate::{LEDGER, NOW, damage, samples, states};

/// Reads bytes that may be no state; if they are one, they are its one encoding.
fn reads_back(bytes: &[u8]) -> bool {
    State::decode(bytes, 1).is_ok_and(|state| {
        assert!(state.encode() == bytes, "two encodings of one state");
        true
    })
}

/// A byte that is a number makes no state if it is written longer; one inside an id may make another
/// state of what follows it.
#[test]
fn no_number_of_a_state_can_be_written_longer() {
    let (mut others, mut refused) = (0, 0);
    for (name, state) in states::different() {
        let bytes = state.encode();
        assert!(reads_back(&bytes), "{name}");
        for at in 0..bytes.len() {
            for wider in widened(&bytes[at..]) {
                let longer = [&bytes[..at], &wider, &bytes[at + 1..]].concat();
                if reads_back(&longer) {
                    others += 1;
                } else {
                    refused += 1;
                }
            }
        }
    }
    assert!(others < refused / 1_000, "hardly any is a state: {others}, not {refused}");
}

/// The byte at the front as a number of two, four and eight bytes.
fn widened(bytes: &[u8]) -> [Vec<u8>; 3] {
    [(251, 2), (252, 4), (253, 8)].map(|(width, len)| {
        let mut wider = vec![width, bytes[0]];
        wider.resize(1 + len, 0);
        wider
    })
}

/// Numbers that take three bytes or more, as longer ones.
#[test]
fn no_long_number_of_a_state_can_be_written_longer() {
    for (_, state) in states::different() {
        let bytes = state.encode();
        for at in 0..bytes.len().saturating_sub(5) {
            let (width, len, longer) = match bytes[at] {
                251 => (252, 2, 4),
                252 => (253, 4, 8),
                _ => continue,
            };
            let mut number = vec![width];
            number.extend(&bytes[at + 1..=at + len]);
            number.resize(1 + longer, 0);
            let longer = [&bytes[..at], &number, &bytes[at + 1 + len..]].concat();
            reads_back(&longer);
        }
    }
}

/// One byte changed anywhere, to any of some others: another state, or none.
#[test]
fn whatever_is_changed_reads_back_as_itself_or_not_at_all() {
    let (mut read, mut refused) = (0, 0);
    for (_, state) in states::different() {
        let mut bytes = state.encode();
        for at in 0..bytes.len() {
            let was = bytes[at];
            for byte in [was ^ 1, was.wrapping_add(1), 0, 1, 251, 255] {
                bytes[at] = byte;
                if reads_back(&bytes) {
                    read += 1;
                } else {
                    refused += 1;
                }
            }
            bytes[at] = was;
        }
    }
    assert!(read > 1_000 && refused > 1_000, "both happen: {read} and {refused}");
}

/// Every byte of an entry as a number that is written longer: near its end, where a reader sees no
/// further, as well as before.
#[test]
fn no_number_of_an_entry_can_be_written_longer() {
    let (mut others, mut refused) = (0, 0);
    for (name, events) in samples::entries() {
        let entry = Entry::new(Head::genesis(LEDGER), 1, NOW, &events).expect(name);
        let bytes = entry.bytes();
        for at in 0..bytes.len() {
            for wider in widened(&bytes[at..]) {
                let longer = [&bytes[..at], &wider, &bytes[at + 1..]].concat();
                if damage::reads(&longer) {
                    others += 1;
                } else {
                    refused += 1;
                }
            }
        }
    }
    assert!(others < refused / 50, "hardly any is an entry: {others}, not {refused}");
}
