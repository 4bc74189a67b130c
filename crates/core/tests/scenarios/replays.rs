//! A replay in its two halves, as a runtime on two threads puts them together.

use std::ops::ControlFlow;

use payonce_core::{
    Acknowledge, ClaimPart, Dispatch, EventSource, EventStore, FinalizePart, Head, Ledger,
    LedgerId, Linker, Opening, Outline, Pay, Records, Remember, Replay, ReplayError, State,
    StoredEntry, Tick, verify,
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
    let recovery = Ledger::open_by(lived(), &opening, T0, |replay, store, head| {
        ways += 1;
        replay.run(store, head)
    });
    let recovery = recovery.expect("sound");
    assert_eq!(ways, 1);
    let mut store = recovery.into_store();
    store.fence().expect("nobody else writes");
    let lazy = Ledger::open_by(store, &opening, T0, |_, _, _| Ok(()));
    assert!(lazy.is_err(), "a way that folds nothing does not lead to the head");
}

/// The ledger of [`lived`] after the paid half of its payments is merely remembered, with a snapshot.
fn remembered() -> Ledger<MemoryStore> {
    let mut store = lived();
    store.fence().expect("nobody else writes");
    let recovery = Ledger::open(store, &Opening::new(Remember::Forever, 1), T0).expect("sound");
    let mut ledger = recovery.finish(T0).expect("nothing fails");
    let unread = ledger.query(|state: &State| state.outbox().map(|told| told.id).collect());
    ledger.execute(Acknowledge { ids: unread.expect("it is open") }, T0).expect("unread");
    for minute in 1..=9 {
        ledger.execute(Tick::new(), T0.plus(minute * 60_000)).expect("a tick");
    }
    ledger.save_snapshot().expect("room");
    ledger
}

/// Of the newest snapshot and what follows; the whole state where a remembered payment is needed.
#[test]
fn an_outline_counts_what_it_passes_over_and_says_when_it_cannot() {
    assert!(
        Outline::read(&lived(), 1, |_| false).expect("sound").is_none(),
        "there is no snapshot"
    );
    let later = T0.plus(600_000);
    for claims_late in [false, true] {
        let mut ledger = remembered();
        ledger.execute(Pay::new(id("new"), pay("new", 1_000)), later).expect("accepted");
        if claims_late {
            let late = ClaimPart::new(id("p0"), part("late"), preimage("p0"));
            ledger.execute(late, later).expect("true");
        }
        let store = ledger.into_store();
        let whole = verify(&store, 1).expect("sound");
        let outline = Outline::read(&store, 2, |_| false).expect("sound");
        assert_eq!(outline.is_none(), claims_late, "a second payment brings it back");
        let p0 = id("p0");
        let own = |encoded: &[u8]| encoded.windows(32).any(|some| some == p0.as_bytes());
        let kept = Outline::read(&store, 2, own).expect("sound").expect("it has what it needs");
        assert_eq!(kept.counts(), whole.counts());
        assert_eq!(kept.state().payment_view(&p0), whole.payment_view(&p0));
        let Some(outline) = outline else { continue };
        assert_eq!(outline.counts(), whole.counts());
        assert_eq!((outline.counts().remembered, outline.counts().pending), (10, 11));
        assert!(outline.state().payment_view(&p0).is_none(), "it is passed over");
        assert_eq!(outline.into_state().head(), whole.head());
    }
}
