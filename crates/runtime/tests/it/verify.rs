//! Replay on two threads: of a sound log and of every kind of damage it says what one thread says.

use std::ops::ControlFlow;

use payonce_core::{
    Entry, Event, EventSource, Head, LedgerId, ReplayError, Snapshot, StoreError, StoredEntry,
    decode_events,
};
use payonce_store_memory::MemoryDisk;

use crate::support::{NOW, disk, dispatch, open, send};

/// A log that somebody had in hand.
#[derive(Clone)]
struct Source {
    ledger: LedgerId,
    head: Head,
    entries: Vec<(u64, Vec<u8>)>,
    /// After how many entries the store fails.
    fails_after: usize,
}

impl EventSource for Source {
    fn ledger_id(&self) -> LedgerId {
        self.ledger
    }

    fn head(&self) -> Result<Head, StoreError> {
        Ok(self.head)
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        for (nth, (first_seq, bytes)) in self.entries.iter().enumerate() {
            if nth == self.fails_after {
                return Err(StoreError::Missing { needed: "history", requested: *first_seq });
            }
            let entry = StoredEntry { first_seq: *first_seq, bytes };
            if *first_seq >= from && visit(entry).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn load_snapshot(&self, _: u64) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
    }
}

/// Long enough for many batches.
fn lived() -> Source {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute_all((0..3_000).map(send), NOW).expect("accepted");
    ledger.execute_all((0..3_000).map(dispatch), NOW).expect("recorded");
    drop(ledger.close());
    source(&disk)
}

fn source(disk: &MemoryDisk) -> Source {
    let store = disk.open();
    let mut entries = Vec::new();
    let each = &mut |stored: StoredEntry<'_>| {
        entries.push((stored.first_seq, stored.bytes.to_vec()));
        ControlFlow::Continue(())
    };
    store.replay(1, each).expect("nothing fails");
    let head = store.head().expect("nothing fails");
    Source { ledger: store.ledger_id(), head, entries, fails_after: usize::MAX }
}

impl Source {
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.entries[at].1);
    }

    /// Puts another event in the place of those of one entry.
    fn put(&mut self, at: usize, event: Event) {
        let (first_seq, bytes) = &mut self.entries[at];
        let header = decode_events(bytes, |_, _| ()).expect("sound");
        // Only its seq matters for what is encoded.
        let before = Head { seq: *first_seq - 1, chain: self.head.chain };
        let entry = Entry::new(before, header.epoch, header.now, &[event]).expect("encodable");
        *bytes = entry.bytes().to_vec();
    }
}

/// Both ways, which must agree.
fn verify(source: &Source) -> Result<(), ReplayError> {
    let [two, one] = [payonce_runtime::verify(source, 3), payonce_core::verify(source, 5)];
    let told = |outcome: &Result<payonce_core::State, ReplayError>| match outcome {
        Ok(state) => format!("{:?}", state.digest()),
        Err(error) => format!("{error:?}"),
    };
    assert_eq!(told(&two), told(&one));
    two.map(drop)
}

#[test]
fn a_sound_log_is_verified() {
    let source = lived();
    assert!(source.entries.len() > 6_000);
    verify(&source).expect("sound");
    let short = Source { entries: Vec::new(), head: Head::genesis(source.ledger), ..source };
    verify(&short).expect("empty");
}

/// Of which few make a batch.
#[test]
fn a_log_of_large_entries_is_verified() {
    let disk = disk();
    let ledger = open(&disk);
    let large = |nth| {
        let mut send = send(nth);
        send.request.instructions = vec![1; payonce_core::limits::INSTRUCTIONS_BYTES].into();
        send
    };
    ledger.execute_all((0..1_100).map(large), NOW).expect("accepted");
    drop(ledger.close());
    verify(&source(&disk)).expect("sound");
}

/// History was dropped: what is verified is its base and what follows.
#[test]
fn a_log_that_starts_from_a_base_is_verified() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute_all((0..3_000).map(send), NOW).expect("accepted");
    let base = ledger.save_snapshot().expect("kept");
    ledger.execute_all((0..3_000).map(dispatch), NOW).expect("recorded");
    assert_eq!(ledger.drop_history(base, 1).expect("dropped"), base);
    drop(ledger.close());
    let store = disk.open();
    let [two, one] = [payonce_runtime::verify(&store, 3), payonce_core::verify(&store, 5)];
    assert_eq!(two.expect("sound").digest(), one.expect("sound").digest());
}

#[test]
fn every_kind_of_damage_is_told_wherever_it_is() {
    let sound = lived();
    let last = sound.entries.len() - 1;
    for at in [0, 1, 255, 256, 1_000, 5_000, last - 1, last] {
        let damaged = |damage: &dyn Fn(&mut Source)| {
            let mut source = sound.clone();
            damage(&mut source);
            verify(&source).expect_err("damaged")
        };
        let cut = damaged(&|source| source.change(at, |bytes| bytes.truncate(bytes.len() - 1)));
        assert!(matches!(cut, ReplayError::Entry { .. }), "at {at}: {cut:?}");
        let headless = damaged(&|source| source.change(at, |bytes| bytes.truncate(1)));
        assert!(matches!(headless, ReplayError::Entry { .. }), "at {at}: {headless:?}");
        let newer = damaged(&|source| source.change(at, |bytes| bytes[0] = u8::MAX));
        assert!(matches!(newer, ReplayError::Entry { .. }), "at {at}: {newer:?}");
        let inconsistent = damaged(&|source| source.put(at, Event::GapClosed));
        assert!(
            matches!(inconsistent, ReplayError::Inconsistent { .. }),
            "at {at}: {inconsistent:?}"
        );
        match damaged(&|source| drop(source.entries.remove(at))) {
            ReplayError::Missing { .. } => {
                assert_ne!(at, last, "the end is not missed by a next one");
            }
            ReplayError::HeadDiffers { .. } => assert_eq!(at, last, "only the end leaves no hole"),
            other => panic!("at {at}: {other:?}"),
        }
        let failing = damaged(&|source| source.fails_after = at);
        assert!(matches!(failing, ReplayError::Store(_)), "at {at}: {failing:?}");
    }
}

/// What does not fit is told before what cannot be read behind it.
#[test]
fn of_two_damages_the_first_is_told() {
    let mut source = lived();
    source.put(4_000, Event::GapClosed);
    source.change(4_001, |bytes| bytes.truncate(1));
    let told = verify(&source).expect_err("damaged");
    assert!(matches!(told, ReplayError::Inconsistent { .. }), "{told:?}");
}

#[test]
fn an_edited_log_does_not_lead_to_its_head() {
    let mut source = lived();
    source.head.chain = payonce_core::LogHash::from_bytes([1; 32]);
    let told = verify(&source).expect_err("another head");
    assert!(matches!(told, ReplayError::HeadDiffers { .. }), "{told:?}");
}
