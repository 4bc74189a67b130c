//! A replay in its two halves, as a runtime on two threads puts them together.

use std::ops::ControlFlow;

use payonce_core::{
    ClaimPart, Dispatch, EventSource, EventStore, FinalizePart, Head, Ledger, LedgerId, Linker,
    Opening, Pay, Records, Remember, Replay, ReplayError, StoredEntry, relay::in_turn, verify,
};
use payonce_store_memory::{MemoryDisk, MemoryStore};

use crate::support::{T0, htlc, id, part, pay, preimage};

const LEDGER: LedgerId = LedgerId::from_bytes([9; 32]);

/// A log of some payments.
fn lived() -> MemoryStore {
    let disk = MemoryDisk::new(LEDGER);
    let recovery = Ledger::open(disk.open(), &Opening::new(Remember::Forever, 1), T0);
    let mut ledger = recovery.expect("it is empty").finish(T0).expect("nothing fails");
    for n in 0..20 {
        let (name, one) = (format!("p{n}"), format!("q{n}"));
        let (payment, own) = (id(&name), part(&one));
        ledger.execute(Pay::new(payment, pay(&name, 1_000)), T0).expect("accepted");
        let parts = vec![htlc(&one, 1_000, 1)];
        ledger.execute(Dispatch { id: payment, attempt: 1, parts }, T0).expect("recorded");
        if n % 2 == 0 {
            ledger.execute(ClaimPart::new(payment, own, preimage(&name)), T0).expect("claimed");
            ledger.execute(FinalizePart { id: payment, part: own }, T0).expect("finalized");
        }
    }
    ledger.into_store()
}

fn entries(store: &MemoryStore) -> Vec<(u64, Vec<u8>)> {
    let mut entries = Vec::new();
    let each = &mut |stored: StoredEntry<'_>| {
        entries.push((stored.first_seq, stored.bytes.to_vec()));
        ControlFlow::Continue(())
    };
    store.replay(1, each).expect("nothing fails");
    entries
}

fn stored((first_seq, bytes): &(u64, Vec<u8>)) -> StoredEntry<'_> {
    StoredEntry { first_seq: *first_seq, bytes }
}

/// Whoever folds decodes what the other side did not.
#[test]
fn linked_in_batches_and_folded_it_is_the_same_state() {
    let store = lived();
    let whole = verify(&store, 1).expect("sound");
    let entries = entries(&store);
    for (batch, ahead) in [(1, 0), (1, 1), (3, 2), (7, 3), (1_000, 10), (1_000, 1_000)] {
        let mut linker = Linker::new(Head::genesis(LEDGER));
        let mut replay = Replay::new(LEDGER, 2).watch(Some(whole.head()));
        let mut records = Records::default();
        for some in entries.chunks(batch) {
            records.clear();
            assert!(records.is_empty() && records.entries() == 0);
            for (nth, entry) in some.iter().enumerate() {
                linker.link(stored(entry), &mut records).expect("sound");
                if nth + 1 == ahead {
                    records.decode();
                }
            }
            assert_eq!(records.entries(), some.len());
            replay.fold(&records).expect("it fits");
        }
        assert!(replay.contains_known());
        replay.check_end(whole.head()).expect("it is the end");
        assert_eq!(replay.finish(whole.head()).expect("the same").digest(), whole.digest());
    }
}

#[test]
fn what_is_not_next_is_refused_by_either_half() {
    let store = lived();
    let entries = entries(&store);
    let mut linker = Linker::new(Head::genesis(LEDGER));
    let mut records = Records::default();
    linker.link(stored(&entries[0]), &mut records).expect("sound");
    let missing = linker.link(stored(&entries[2]), &mut records);
    assert!(matches!(missing, Err(ReplayError::Missing { .. })), "{missing:?}");
    let (first_seq, bytes) = &entries[1];
    let cut = StoredEntry { first_seq: *first_seq, bytes: &bytes[..1] };
    let unreadable = linker.link(cut, &mut records);
    assert!(matches!(unreadable, Err(ReplayError::Entry { .. })), "{unreadable:?}");
    assert_eq!(records.entries(), 1, "nothing of what is refused is added");
    linker.link(stored(&entries[1]), &mut records).expect("it is still the next one");

    let mut replay = Replay::new(LEDGER, 1);
    replay.fold(&records).expect("it fits");
    let again = replay.fold(&records);
    assert!(matches!(again, Err(ReplayError::Missing { .. })), "{again:?}");
    let elsewhere = replay.check_end(store.head().expect("nothing fails"));
    assert!(matches!(elsewhere, Err(ReplayError::HeadDiffers { .. })), "{elsewhere:?}");
}

/// An event that does not decode is met by the fold, whether or not it was tried ahead; what is
/// before it is folded.
#[test]
fn what_does_not_decode_is_told_by_the_fold() {
    let store = lived();
    let mut entries = entries(&store);
    let bytes = &mut entries[5].1;
    bytes.truncate(bytes.len() - 1);
    for ahead in [false, true] {
        let mut linker = Linker::new(Head::genesis(LEDGER));
        let mut records = Records::default();
        for entry in &entries {
            linker.link(stored(entry), &mut records).expect("it has a header");
        }
        if ahead {
            records.decode();
        }
        let mut replay = Replay::new(LEDGER, 1);
        let told = replay.fold(&records);
        assert!(matches!(told, Err(ReplayError::Entry { seq, .. }) if seq == entries[5].0));
        assert_eq!(replay.state().head().seq + 1, entries[5].0, "up to there");
    }
}

/// A runtime's own way through the log is used, and what it says stands.
#[test]
fn opening_by_another_way() {
    let opening = Opening::new(Remember::Forever, 1);
    let mut ways = 0;
    let recovery = Ledger::open_by(lived(), &opening, T0, in_turn, |replay, store, head| {
        ways += 1;
        replay.run(store, head)
    });
    let recovery = recovery.expect("sound");
    assert_eq!(ways, 1);
    let mut store = recovery.into_store();
    store.fence().expect("nobody else writes");
    let lazy = Ledger::open_by(store, &opening, T0, in_turn, |_, _, _| Ok(()));
    assert!(lazy.is_err(), "a way that folds nothing does not lead to the head");
}
