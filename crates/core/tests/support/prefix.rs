//! The prefix property: the log is the state.

use payonce_core::{EventSource, Position, Replay, State, StoredEntry, decode_events};
use payonce_store_memory::{Image, MemoryDisk};

use super::{
    answers::{self, Named},
    names::T0,
    outlines,
};

/// For every n, folding the first n events from nothing equals the state after event n; a snapshot
/// at the end of any entry plus the rest equals the whole, and answers like it. Each fold has a seed of its own.
pub(super) fn check(image: &Image) {
    let entries: Vec<_> = image.entries().collect();
    let named = Named::by(image);
    let whole = replayed(image, entries.len(), 1);
    for end in 0..=entries.len() {
        let mut growing = replayed(image, end, 2 + end as u64);
        let snapshot = growing.encode();
        let restored = State::decode(&snapshot, 77).expect("it was encoded");
        assert_eq!(restored.digest(), growing.digest());
        answers::assert_same(&restored, &growing, &named);
        if let Some(entry) = entries.get(end) {
            check_inside(image, end, entry, &mut growing);
        }
        let mut rest = Replay::from_state(State::decode(&snapshot, 78).expect("it was encoded"));
        for entry in &entries[end..] {
            rest.entry(*entry).expect("the rest fits the snapshot");
        }
        assert_eq!(rest.state().digest(), whole.digest(), "a snapshot after entry {end}");
        let before = replayed(image, end, 79);
        outlines::check(&snapshot, &before, &entries[end..], &whole, T0.plus(60_000_000));
    }
}

/// Within an entry: event by event on a state that lives on, and from nothing for every n.
fn check_inside(image: &Image, end: usize, entry: &StoredEntry<'_>, growing: &mut State) {
    let events = events(entry);
    for n in 1..=events.len() {
        let (position, event) = &events[n - 1];
        growing.evolve(position, event);
        let mut fresh = replayed(image, end, 1_000 + n as u64);
        events[..n].iter().for_each(|(position, event)| fresh.evolve(position, event));
        assert_eq!(fresh.digest(), growing.digest(), "event {}", position.seq);
        assert_eq!(fresh.inconsistent(), None, "event {}", position.seq);
    }
}

fn replayed(image: &Image, entries: usize, seed: u64) -> State {
    let mut replay = Replay::new(image.ledger_id(), seed);
    for entry in image.entries().take(entries) {
        replay.entry(entry).expect("the log is sound");
    }
    let head = replay.state().head();
    replay.finish(head).expect("it ends where it ends")
}

fn events(entry: &StoredEntry<'_>) -> Vec<(Position, payonce_core::Event)> {
    let header = payonce_core::EntryHeader::read(entry.bytes).expect("the log is sound");
    let mut events = Vec::new();
    let chain = [7; 8];
    decode_events(entry.bytes, |seq, event| {
        let position = Position { seq, now: header.now, epoch: header.epoch, chain };
        events.push((position, event));
    })
    .expect("the log is sound");
    events
}

/// What an auditor replays.
pub(super) fn audited(disk: &MemoryDisk) -> State {
    let store = MemoryDisk::from_image(disk.image()).open();
    let state = payonce_core::verify(&store, 99).expect("the log is sound");
    assert_eq!(state.head(), store.head().expect("nothing is planned"));
    state
}
