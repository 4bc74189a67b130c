//! What the disk does for tests: images, failures before and after the effect, stalls.

use std::{ops::ControlFlow, thread};

use payonce_core::{Entry, Event, EventSource, EventStore, Head, LedgerId, StoreError, UnixMillis};
use payonce_store_memory::{Failure, MemoryDisk, MemoryStore};

fn ledger() -> LedgerId {
    LedgerId::from_bytes([7; 32])
}

fn entry(before: Head, tag: u64) -> Entry {
    Entry::new(before, 1, UnixMillis(tag), &[Event::Recovered, Event::GapFound]).expect("small")
}

fn batch(mut head: Head, count: u64) -> Vec<Entry> {
    let mut next = |tag| {
        let entry = entry(head, tag);
        head = entry.after();
        entry
    };
    (0..count).map(&mut next).collect()
}

fn opened(disk: &MemoryDisk) -> (MemoryStore, Head) {
    let mut store = disk.open();
    let head = store.fence().expect("a sound disk").head;
    (store, head)
}

fn seqs(store: &MemoryStore) -> Vec<u64> {
    let mut seqs = Vec::new();
    store
        .replay(1, &mut |stored| {
            seqs.push(stored.first_seq);
            ControlFlow::Continue(())
        })
        .expect("a sound disk");
    seqs
}

#[test]
fn an_image_is_what_was_acknowledged_and_stays_as_it_was() {
    let disk = MemoryDisk::new(ledger());
    let (mut store, head) = opened(&disk);
    let entries = batch(head, 2);
    store.append(&entries[..1]).expect("continues");
    let image = disk.image();
    store.append(&entries[1..]).expect("continues");

    assert_eq!(image.head(), entries[0].after());
    assert_eq!(disk.image().head(), entries[1].after());
    assert_eq!(disk.image().cut_after(2), image);
    assert_eq!(disk.image().cut_after(3), image, "an entry is never cut in two");
    let (reopened, head) = opened(&MemoryDisk::from_image(image));
    assert_eq!(head, entries[0].after());
    assert_eq!(seqs(&reopened), [1]);
}

#[test]
fn a_failed_append_takes_effect_as_planned_and_poisons() {
    for (failure, kept) in [
        (Failure::BeforeEffect, vec![]),
        (Failure::AfterEntries(0), vec![]),
        (Failure::AfterEntries(2), vec![1, 3]),
        (Failure::AfterEntries(9), vec![1, 3, 5]),
        (Failure::AfterEffect, vec![1, 3, 5]),
    ] {
        let disk = MemoryDisk::new(ledger());
        let (mut store, head) = opened(&disk);
        disk.fail_nth(1, failure);
        let outcome = store.append(&batch(head, 3));
        assert!(matches!(outcome, Err(StoreError::Backend(_))), "{failure:?}: {outcome:?}");
        assert!(matches!(store.append(&[]), Err(StoreError::Poisoned { .. })));
        assert!(matches!(store.base(), Err(StoreError::Poisoned { .. })));
        assert!(matches!(store.fence(), Err(StoreError::Poisoned { .. })));
        assert_eq!(seqs(&opened(&disk).0), kept, "{failure:?}");
    }
}

#[test]
fn every_operation_is_counted_and_can_fail() {
    let script = |disk: &MemoryDisk| -> Result<(), StoreError> {
        let mut store = disk.open();
        let head = store.fence()?.head;
        let entries = batch(head, 2);
        store.append(&entries)?;
        store.confirm_owner()?;
        store.save_snapshot(entries[0].after(), b"state")?;
        store.load_snapshot(u64::MAX)?;
        store.drop_history(entries[0].after())?;
        store.base()?;
        store.replay(3, &mut |_| ControlFlow::Continue(()))
    };
    let disk = MemoryDisk::new(ledger());
    script(&disk).expect("nothing planned");
    assert_eq!(disk.operations(), 8);
    for nth in 1..=8 {
        for failure in [Failure::BeforeEffect, Failure::AfterEffect] {
            let disk = MemoryDisk::new(ledger());
            disk.fail_nth(nth, failure);
            let outcome = script(&disk);
            assert!(matches!(outcome, Err(StoreError::Backend(_))), "{nth} {failure:?}");
            assert_eq!(disk.operations(), nth);
        }
    }
}

#[test]
fn a_stalled_append_takes_effect_only_once_its_gate_opens() {
    let disk = MemoryDisk::new(ledger());
    let (mut store, head) = opened(&disk);
    let gate = disk.stall_nth(1);
    assert!(!gate.is_reached());
    let appending = thread::spawn(move || store.append(&batch(head, 1)));
    gate.wait_until_reached();
    assert_eq!(disk.image().head(), head);
    gate.open();
    appending.join().expect("no panic").expect("continues");
    assert_eq!(disk.image().head().seq, 2);
}

#[test]
fn a_stalled_append_can_fail() {
    let disk = MemoryDisk::new(ledger());
    let (mut store, head) = opened(&disk);
    let gate = disk.stall_nth(1);
    disk.fail_nth(1, Failure::BeforeEffect);
    let appending = thread::spawn(move || store.append(&batch(head, 1)));
    gate.wait_until_reached();
    drop(gate);
    let outcome = appending.join().expect("no panic");
    assert!(matches!(outcome, Err(StoreError::Backend(_))), "{outcome:?}");
    assert_eq!(disk.image().head(), head);
}

#[test]
fn a_handle_that_never_fenced_cannot_write() {
    let disk = MemoryDisk::new(ledger());
    let mut store = disk.open();
    let outcome = store.append(&batch(Head::genesis(ledger()), 1));
    assert!(matches!(outcome, Err(StoreError::Fenced { .. })), "{outcome:?}");
}
