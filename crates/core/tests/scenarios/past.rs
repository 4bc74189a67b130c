//! The state as it was, judged by the states that a living ledger had: they were decided on, never replayed.

use std::collections::BTreeMap;

use payonce_core::{
    Abandon, ClaimPart, Dispatch, EntryHeader, FailPart, Failure, FailureReason, FinalizePart,
    Head, Ledger, LedgerId, Opening, Operation, Pay, Remember, ReplayError, State, StoreError,
    Tick, UnixMillis, Until, state_at,
};
use payonce_store_memory::{MemoryDisk, MemoryStore};

use crate::support::{T0, htlc, id, part, pay, preimage};

/// A ledger, and what it was after each entry, by the entry's last seq.
struct Life {
    disk: MemoryDisk,
    ledger: Ledger<MemoryStore>,
    lived: BTreeMap<u64, Vec<u8>>,
}

impl Life {
    fn begin(disk: MemoryDisk) -> Self {
        let opening = Opening::new(Remember::Forever, 1);
        let recovery = Ledger::open(disk.open(), &opening, T0).expect("the log is sound");
        let ledger = recovery.finish(T0).expect("nothing fails");
        let mut life = Self { disk, ledger, lived: BTreeMap::new() };
        life.note();
        life
    }

    fn note(&mut self) {
        let now = self.ledger.query(|state| (state.head().seq, state.encode()));
        let (seq, bytes) = now.expect("nothing fails");
        self.lived.insert(seq, bytes);
    }

    fn tell<O: Operation>(&mut self, operation: O, now: UnixMillis) {
        assert!(self.ledger.execute(operation, now).is_ok());
        self.note();
    }

    /// The first seq and the moment of each entry.
    fn entries(&self) -> Vec<(u64, UnixMillis)> {
        let image = self.disk.image();
        let header = |bytes: &[u8]| EntryHeader::read(bytes).expect("an entry");
        let entries = image.entries().map(|entry| (entry.first_seq, header(entry.bytes).now));
        entries.collect()
    }
}

/// A payment that fails once and is paid, one that is given up; the clock goes back in between.
fn lived(snapshots: bool) -> Life {
    let mut life = Life::begin(MemoryDisk::new(LedgerId::from_bytes([9; 32])));
    let at = |minutes: u64| T0.plus(minutes * 60_000);
    life.tell(Pay::new(id("A"), pay("a", 1_000)), at(1));
    let parts = vec![htlc("p", 400, 1), htlc("q", 600, 1)];
    life.tell(Dispatch { id: id("A"), attempt: 1, parts }, at(2));
    life.tell(FailPart { id: id("A"), part: part("p"), failure: Failure::default() }, at(5));
    if snapshots {
        life.ledger.save_snapshot().expect("room");
    }
    life.tell(Pay::new(id("B"), pay("b", 2_000)), at(4));
    let parts = vec![htlc("r", 400, 1)];
    life.tell(Dispatch { id: id("A"), attempt: 2, parts }, at(6));
    life.tell(Tick::at_height(800_000), at(6));
    for name in ["q", "r"] {
        life.tell(ClaimPart::new(id("A"), part(name), preimage("a")), at(7));
        life.tell(FinalizePart { id: id("A"), part: part(name) }, at(8));
    }
    life.tell(Abandon { id: id("B"), reason: FailureReason::UserAbandoned }, at(9));
    if snapshots {
        life.ledger.save_snapshot().expect("room");
    }
    life.tell(Tick::at_height(800_001), at(10));
    life
}

#[test]
fn at_every_seq_it_is_what_the_ledger_was() {
    for snapshots in [false, true] {
        let life = lived(snapshots);
        let (store, entries) = (life.disk.open(), life.entries());
        let mut compared = 0;
        for (nth, (first, _)) in entries.iter().enumerate() {
            let last = entries.get(nth + 1).map_or(life.ledger.head().seq, |(next, _)| next - 1);
            let Some(lived) = life.lived.get(&last) else { continue };
            // Inside an entry there is no state: all of its seqs have that of its end.
            for seq in *first..=last {
                let told = state_at(&store, Until::Seq(seq), seq).expect("it is there");
                assert_eq!((told.head().seq, &told.encode()), (last, lived), "at {seq}");
                compared += 1;
            }
        }
        assert!(compared > life.lived.len(), "entries of several events too: {compared}");
        let empty = state_at(&store, Until::Seq(0), 1).expect("the beginning");
        assert_eq!(empty.encode(), State::new(LedgerId::from_bytes([9; 32]), 3).encode());
        let beyond = state_at(&store, Until::Seq(life.ledger.head().seq + 1), 1).map(drop);
        assert!(
            matches!(beyond, Err(ReplayError::Store(StoreError::Missing { .. }))),
            "{beyond:?}"
        );
    }
}

#[test]
fn at_every_moment_it_is_what_the_ledger_was_before_the_first_later_entry() {
    let life = lived(true);
    let (store, entries) = (life.disk.open(), life.entries());
    for moment in
        (0..=12).flat_map(|minutes| [T0.plus(minutes * 60_000), T0.plus(minutes * 60_000 + 1)])
    {
        let told = state_at(&store, Until::Time(moment), 5).expect("it is there");
        let later = entries.iter().find(|(_, at)| *at > moment);
        let last = later.map_or(life.ledger.head().seq, |(first, _)| first - 1);
        assert_eq!(told.head().seq, last, "at {} ms", moment.0);
        if let Some(lived) = life.lived.get(&last) {
            assert_eq!(&told.encode(), lived, "at {} ms", moment.0);
        }
    }
    let before = state_at(&store, Until::Time(UnixMillis(T0.0 - 1)), 5).expect("nothing yet");
    assert_eq!(before.head(), Head::genesis(LedgerId::from_bytes([9; 32])));
}

/// What was dropped cannot be told, and is not made up.
#[test]
fn before_a_base_nothing_is_told() {
    let mut life = lived(true);
    let at = life.ledger.save_snapshot().expect("room");
    life.ledger.drop_history(at, 1).expect("it is the newest");
    let store = life.disk.open();
    let told = state_at(&store, Until::Seq(at.seq), 1).expect("the base");
    assert_eq!(Some(&told.encode()), life.lived.get(&at.seq));
    let gone = state_at(&store, Until::Seq(at.seq - 1), 1).map(drop);
    assert!(matches!(gone, Err(ReplayError::Store(StoreError::Missing { .. }))), "{gone:?}");
}
