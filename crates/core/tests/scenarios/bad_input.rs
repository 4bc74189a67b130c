//! Bytes that are no entry and no snapshot, and logs that do not add up: an error each, never a
//! panic.

use std::ops::ControlFlow;

use payonce_core::{
    DecodeError, Entry, Event, EventSource, EventStore, FORMAT_VERSION, FailPart, Failure, Head,
    Ledger, LedgerError, LedgerId, OpenError, Opening, Pay, PayRefusal, Remember, Replay,
    ReplayError, Snapshot, State, StoreError, StoredEntry, UnknownField, UnknownFields,
    decode_events, limits, verify,
};
use payonce_store_memory::{MemoryDisk, MemoryStore};

use crate::support::{Scenario, T0, hash, htlc, id, live, offer, part, pay, window};

fn a_rich_log(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 500, 1), htlc("q", 500, 1)]).recorded();
    s.fail("A", "p").recorded();
    s.claim("A", "q", "a").recorded();
    s.claim("A", "p", "a").recorded();
    s.claim("A", "u", "x").recorded();
    s.send("O", offer("o", 5, payonce_core::Deadline::Ticks(3))).accepted();
    s.finalize("A", "q").recorded();
    s.acknowledge("A part p failed");
    s.run(payonce_core::BlockHash::new(hash("h"))).recorded();
    s.tick();
}

fn decoded(bytes: &[u8]) -> Result<(), DecodeError> {
    decode_events(bytes, |_, _| ()).map(drop)
}

#[test]
fn an_entry_cut_or_changed_at_every_byte() {
    live(window(), |s| {
        a_rich_log(s);
        for bytes in s.log() {
            assert_eq!(decoded(&bytes), Ok(()));
            for cut in 0..bytes.len() {
                assert!(decoded(&bytes[..cut]).is_err(), "{cut} of {} bytes", bytes.len());
            }
            for at in 0..bytes.len() {
                for flipped in [1, 0x80, 0xff] {
                    let mut other = bytes.clone();
                    other[at] ^= flipped;
                    // It may be another entry; it never says the same.
                    let same = decoded(&other).is_ok() && said(&other) == said(&bytes);
                    assert!(!same, "byte {at}");
                }
            }
            let mut longer = bytes.clone();
            longer.push(0);
            assert!(decoded(&longer).is_err(), "a byte is left over");
        }
    });
}

/// Header and events, as far as they decode.
fn said(bytes: &[u8]) -> (Option<payonce_core::EntryHeader>, Vec<Event>) {
    let mut events = Vec::new();
    let header = decode_events(bytes, |_, event| events.push(event));
    (header.ok(), events)
}

#[test]
fn a_snapshot_cut_or_changed_at_every_byte() {
    live(window(), |s| {
        a_rich_log(s);
        let bytes = s.state().encode();
        assert_eq!(State::decode(&bytes, 3).map(|state| state.encode()).as_deref(), Ok(&bytes[..]));
        for cut in 0..bytes.len() {
            assert!(State::decode(&bytes[..cut], 3).is_err(), "{cut} of {} bytes", bytes.len());
        }
        for at in 0..bytes.len() {
            for flipped in [1, 0x80, 0xff] {
                let mut other = bytes.clone();
                other[at] ^= flipped;
                if let Ok(state) = State::decode(&other, 3) {
                    assert_eq!(state.encode(), other, "it is what it says");
                }
            }
        }
    });
}

#[test]
fn a_newer_format_says_so() {
    live(window(), |s| {
        let known = FORMAT_VERSION;
        let found = known + 1;
        let newer = DecodeError::NewerVersion { found, known };
        let mut entry = s.log().remove(0);
        entry[0] = 0x80 + found;
        assert_eq!(decoded(&entry), Err(newer.clone()));
        let mut snapshot = s.state().encode();
        snapshot[0] = 0x80 + found;
        assert_eq!(State::decode(&snapshot, 1).map(drop), Err(newer));
        entry[0] = 0;
        assert_eq!(decoded(&entry), Err(DecodeError::NoSuchVersion { found: 0 }));
        assert!(matches!(decoded(&[]), Err(DecodeError::Truncated { .. })));
    });
}

fn ledger_id() -> LedgerId {
    LedgerId::from_bytes([9; 32])
}

/// A log with these events, an entry each.
fn log_of(events: &[Event]) -> MemoryStore {
    let mut store = MemoryDisk::new(ledger_id()).open();
    let mut head = store.fence().expect("nothing is planned").head;
    for event in events {
        let entry = Entry::new(head, 1, T0, std::slice::from_ref(event)).expect("it is one event");
        head = entry.after();
        store.append(&[entry]).expect("nothing is planned");
    }
    store
}

fn opened(epoch: u64) -> Event {
    Event::Opened {
        epoch,
        restored: false,
        program: "tests".into(),
        format: FORMAT_VERSION,
        holder: "".into(),
        fence: None,
    }
}

/// Evolve drops no event: one that does not fit is named, and such a log is not opened.
#[test]
fn an_event_that_does_not_fit_is_named() {
    let inconsistencies = [
        Event::Recovered,
        Event::GapClosed,
        opened(7),
        Event::Ticked { tick: 9, reference: T0, unfinished: false, doubted: None },
        Event::PaymentSent {
            id: id("A"),
            payment_hash: None,
            amount: None,
            fee: None,
            correction: false,
            assertion: None,
        },
        Event::PaymentForgotten { id: id("A"), remembered: false },
        Event::Acknowledged { seq: 1 },
        Event::HashUnblocked { payment_hash: hash("a"), engine: "".into() },
    ];
    for inconsistent in inconsistencies {
        let store = log_of(&[opened(1), Event::Recovered, inconsistent.clone(), Event::GapFound]);
        let error = verify(&store, 1).map(drop).expect_err("it does not fit");
        assert!(matches!(error, ReplayError::Inconsistent { seq: 3 }), "{inconsistent:?}: {error}");
    }
}

#[test]
fn a_hole_an_edit_and_a_swap_are_noticed() {
    live(window(), |s| {
        a_rich_log(s);
        let log = s.log();
        let head = s.state().head();
        let sound = replay(&log).expect("it is the log as written").finish(head);
        assert_eq!(sound.map(|state| state.digest()).ok(), Some(s.state().digest()));
        for at in 0..log.len() - 1 {
            let mut holed = log.clone();
            holed.remove(at);
            assert!(!leads_to(&holed, head), "entry {at} is missing");
            let mut swapped = log.clone();
            swapped.swap(at, at + 1);
            assert!(!leads_to(&swapped, head), "entries {at} and {} are swapped", at + 1);
        }
        for at in 0..log.len() {
            for byte in 0..log[at].len() {
                let mut edited = log.clone();
                edited[at][byte] ^= 1;
                assert!(!leads_to(&edited, head), "byte {byte} of entry {at} is edited");
            }
        }
        let mut shorter = log;
        shorter.pop();
        assert!(!leads_to(&shorter, head), "the last entry is missing");
    });
}

fn replay(log: &[Vec<u8>]) -> Result<Replay, ReplayError> {
    let mut replay = Replay::new(ledger_id(), 1);
    let mut first_seq = 1;
    for bytes in log {
        replay.entry(StoredEntry { first_seq, bytes })?;
        first_seq = replay.state().head().seq + 1;
    }
    Ok(replay)
}

fn leads_to(log: &[Vec<u8>], head: Head) -> bool {
    replay(log).is_ok_and(|replay| replay.finish(head).is_ok())
}

/// The entries of one ledger never fit another.
#[test]
fn a_log_of_another_ledger() {
    let store = log_of(&[opened(1), Event::Recovered]);
    let mut replay = Replay::new(LedgerId::from_bytes([8; 32]), 1);
    store
        .replay(1, &mut |entry| {
            replay.entry(entry).expect("its seqs are in order");
            ControlFlow::Continue(())
        })
        .expect("nothing is planned");
    let stored = store.head().expect("nothing is planned");
    assert!(matches!(replay.finish(stored), Err(ReplayError::HeadDiffers { .. })));
}

/// Two writers' entries must not merge into one sound log.
#[test]
fn an_entry_of_another_writer_does_not_fit() {
    for epoch in [0, 2, 77, u64::MAX] {
        let mut store = log_of(&[opened(1), Event::Recovered]);
        let head = store.head().expect("nothing is planned");
        let entry = Entry::new(head, epoch, T0, &[Event::GapFound]).expect("it is one event");
        store.append(&[entry]).expect("nothing is planned");
        let error = verify(&store, 1).map(drop).expect_err("it is of another writer");
        assert!(matches!(error, ReplayError::Inconsistent { seq: 3 }), "epoch {epoch}: {error}");
    }
}

/// Numbers that only count up, at their end: no log has come there, and the next one would not fit.
#[test]
fn a_snapshot_with_a_number_at_its_end_is_none() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        let bytes = s.state().encode();
        // Version, ledger id, head: then the epoch and the tail, two fields, of which the first is in
        // which epoch recovery began.
        let epoch_at = 1 + 32 + 1 + 32;
        assert_eq!(bytes[epoch_at..epoch_at + 5], [1, 2, 4, 1, 1]);
        let last = [0xfd, 255, 255, 255, 255, 255, 255, 255, 255];
        let tick = [&[1, 3, 4, 1, 1, 8, 9][..], &last].concat();
        for (what, of, forged_as) in [("epoch", 1, last.to_vec()), ("tick", 5, tick)] {
            let mut forged = bytes.clone();
            forged.splice(epoch_at..epoch_at + of, forged_as);
            let error = State::decode(&forged, 1).map(drop).expect_err(what);
            assert!(matches!(error, DecodeError::Malformed { .. }), "{what}: {error}");
        }
    });
}

/// A snapshot that leaves a payment out opens: it is an accelerator. Verifying compares states.
#[test]
fn a_snapshot_that_lies_is_found_by_verifying() {
    let disk = MemoryDisk::new(ledger_id());
    let opening = Opening::new(Remember::Window, 1);
    let open = |disk: &MemoryDisk| {
        let recovery = Ledger::open(disk.open(), &opening, T0).expect("it opens");
        recovery.finish(T0).expect("nothing fails")
    };
    let mut ledger = open(&disk);
    ledger.execute(Pay::new(id("A"), pay("a", 1_000)), T0).expect("accepted");
    ledger.verify(1).expect("it is sound");
    let head = ledger.head();
    drop(ledger);
    // The state of a log of the same length in which another payment was accepted.
    let other = MemoryDisk::new(ledger_id());
    let mut lies = open(&other);
    lies.execute(Pay::new(id("B"), pay("b", 1_000)), T0).expect("accepted");
    let mut bytes = lies.machine().snapshot().expect("nothing is in flight").bytes;
    let chain = 1 + 32 + 1;
    bytes[chain..chain + 32].copy_from_slice(head.chain.as_bytes());
    let mut store = disk.open();
    store.fence().expect("nothing is planned");
    store.save_snapshot(head, &bytes).expect("nothing is planned");
    drop(store);
    let mut ledger = open(&disk);
    assert!(ledger.query(|state| state.payment(&id("A")).is_none()).expect("it answers"));
    let error = ledger.verify(1).expect_err("the snapshot lied");
    assert!(matches!(error, LedgerError::StateDiffers { .. }), "{error}");
}

/// A ledger with some history, whose snapshot may become its base.
fn with_a_snapshot(disk: &MemoryDisk) -> Ledger<MemoryStore> {
    let opening = Opening::new(Remember::Window, 1);
    let recovery = Ledger::open(disk.open(), &opening, T0).expect("it opens");
    let mut ledger = recovery.finish(T0).expect("nothing fails");
    ledger.execute(Pay::new(id("A"), pay("a", 1_000)), T0).expect("accepted");
    ledger.save_snapshot().expect("kept");
    ledger
}

/// The chain covers entries and no states: what becomes a base is recorded first, and a base that the
/// log does not name is none.
#[test]
fn a_base_that_the_log_does_not_name_is_refused() {
    let opening = Opening::new(Remember::Window, 1);
    let disk = MemoryDisk::new(ledger_id());
    let mut ledger = with_a_snapshot(&disk);
    let base = ledger.drop_history(ledger.head(), 1).expect("dropped");
    assert!(ledger.head().seq > base.seq, "it was recorded");
    assert_eq!(ledger.drop_history(ledger.head(), 1).expect("the same again"), base);
    ledger.save_snapshot().expect("kept");
    let next = ledger.drop_history(ledger.head(), 1).expect("dropped");
    drop(ledger);
    let state = verify(&disk.open(), 1).expect("the log names its base");
    assert!(Ledger::open(disk.open(), &opening, T0).is_ok());

    let other = MemoryDisk::new(ledger_id());
    let mut store = with_a_snapshot(&other).into_store();
    store
        .drop_history(store.load_snapshot(u64::MAX).expect("").expect("kept").at)
        .expect("dropped");
    drop(store);
    let differs = |error: &ReplayError| matches!(error, ReplayError::BaseDiffers { .. });
    assert!(verify(&other.open(), 1).is_err_and(|error| differs(&error)));
    match Ledger::open(other.open(), &opening, T0) {
        Err(OpenError::Replay(error)) if differs(&error) => {}
        other => panic!("a base that nobody recorded: {:?}", other.map(drop)),
    }
    // The base that is named, with a byte of a height in it that was never told.
    let mut lie = disk.open().base().expect("sound").expect("it was dropped");
    assert_eq!(lie.at, next);
    let at = lie.bytes.len() - 7;
    assert_eq!(state.check_base(&Based(&disk.open(), lie.clone())).map_err(|_| ()), Ok(()));
    lie.bytes[at] ^= 1;
    assert!(state.check_base(&Based(&disk.open(), lie)).is_err_and(|error| differs(&error)));
}

/// A log with another base.
struct Based<'a>(&'a MemoryStore, Snapshot);

impl EventSource for Based<'_> {
    fn ledger_id(&self) -> LedgerId {
        self.0.ledger_id()
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.0.head()
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.0.replay(from, visit)
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.0.load_snapshot(at_most)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        Ok(Some(self.1.clone()))
    }
}

/// An older program's log, and a snapshot of a newer one: an accelerator that does not help.
#[test]
fn a_newer_snapshot_that_is_no_base_is_passed_over() {
    let disk = MemoryDisk::new(ledger_id());
    let mut ledger = with_a_snapshot(&disk);
    ledger.execute(Pay::new(id("B"), pay("b", 1_000)), T0).expect("accepted");
    let head = ledger.head();
    let mut store = ledger.into_store();
    store.save_snapshot(head, &[0x80 + FORMAT_VERSION + 1, 1, 2, 3]).expect("kept");
    drop(store);
    let opening = Opening::new(Remember::Window, 1);
    let recovery = Ledger::open(disk.open(), &opening, T0).expect("passed over");
    let mut ledger = recovery.finish(T0).expect("nothing fails");
    assert!(ledger.query(|state| state.payment(&id("B")).is_some()).expect("it answers"));
    ledger.verify(1).expect("the same state");
    // As a base it is the log.
    let mut store = ledger.into_store();
    store.drop_history(head).expect("dropped");
    drop(store);
    match Ledger::open(disk.open(), &opening, T0) {
        Err(OpenError::Replay(ReplayError::Base { error, .. })) => {
            assert!(matches!(error, DecodeError::NewerVersion { .. }), "{error}");
        }
        other => panic!("a base that is not read: {:?}", other.map(drop)),
    }
}

/// Lists of unknown fields that no log can have: they come from a request read from somewhere else.
fn unreadable_fields() -> Vec<Vec<UnknownField>> {
    let field = |tag, bytes: usize| UnknownField { tag, bytes: vec![1; bytes].into() };
    vec![
        // Even: a program that does not know it must not read past it.
        vec![field(200, 1)],
        vec![field(201, 1), field(201, 1)],
        vec![field(203, 1), field(201, 1)],
        vec![field(201, limits::UNKNOWN_FIELD_BYTES + 1)],
        vec![field(u64::MAX, 1)],
        (0..=limits::TAIL_FIELDS as u64).map(|nth| field(201 + 2 * nth, 1)).collect(),
    ]
}

#[test]
fn a_request_with_fields_that_would_not_read_back_is_refused() {
    for fields in unreadable_fields() {
        live(window(), |s| {
            let before = s.log();
            let request = pay("a", 1_000);
            let mut strange = request.clone();
            strange.details.change(|detail| detail.unknown = fields.clone().into());
            s.send("A", strange).refused(PayRefusal::UnreadableFields);
            assert_eq!(s.log(), before, "nothing is recorded");
            s.send("A", request).accepted();
        });
    }
    live(window(), |s| {
        let mut newer = pay("a", 1_000);
        let odd = UnknownField { tag: 201, bytes: vec![1].into() };
        newer.details.change(|detail| detail.unknown = vec![odd].into());
        s.send("A", newer).accepted();
    });
}

#[test]
fn a_failure_with_fields_that_would_not_read_back_is_recorded_without_them() {
    for fields in unreadable_fields() {
        live(window(), |s| {
            s.send("A", pay("a", 1_000)).accepted();
            s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
            let failure = Failure { permanent: true, unknown: fields.into(), ..Failure::default() };
            s.run(FailPart { id: id("A"), part: part("p"), failure }).recorded();
            assert_eq!(last_failure(s).unknown, UnknownFields::default());
            assert!(last_failure(s).permanent, "all else of it is kept");
        });
    }
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        let newer = UnknownFields::from(vec![UnknownField { tag: 201, bytes: vec![1].into() }]);
        s.fail_with("A", "p", Failure { unknown: newer.clone(), ..Failure::default() }).recorded();
        assert_eq!(last_failure(s).unknown, newer, "what may be passed over is kept");
    });
}

/// The newest failure in the log.
fn last_failure(s: &Scenario) -> Failure {
    let mut newest = None;
    for bytes in s.log() {
        let read = decode_events(&bytes, |_, event| {
            if let Event::PartFailed { failure, .. } = event {
                newest = Some(failure);
            }
        });
        assert!(read.is_ok());
    }
    newest.expect("a part has failed")
}
