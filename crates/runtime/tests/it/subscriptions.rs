//! Subscriptions: every confirmed entry once, in order, from any seq.

use std::{ops::ControlFlow, pin::pin, thread};

use payonce_core::{EventSource, LedgerId, history};
use payonce_runtime::{Confirmed, SharedLedger, Subscription, SubscriptionError, Unavailable};
use payonce_store_fs::FsStore;

use crate::support::{
    NOW, Shared, disk, dispatch, open, open_with, opening, options, poll_once, send, sender,
};

/// The entries that the log holds from the one on in which `from` lies.
fn held(log: &impl EventSource, from: u64) -> Vec<Confirmed> {
    let mut subscribed = Vec::new();
    history(log, |record| {
        if record.header.last_seq() >= from {
            subscribed.push(Confirmed { header: record.header, events: record.events });
        }
        ControlFlow::Continue(())
    })
    .expect("sound");
    subscribed
}

fn drain<S: payonce_core::EventStore + Send + 'static>(
    subscription: &mut Subscription<S>,
) -> Vec<Confirmed> {
    let mut told = Vec::new();
    while let Some(confirmed) = subscription.try_read().expect("open") {
        told.push(confirmed);
    }
    told
}

fn live(ledger: &Shared, payments: std::ops::Range<u32>) {
    for nth in payments {
        ledger.execute_all([send(nth)], NOW).expect("accepted");
        ledger.execute(dispatch(nth), NOW).expect("recorded");
    }
}

#[test]
fn from_any_seq_without_a_gap() {
    let disk = disk();
    let ledger = open(&disk);
    live(&ledger, 0..20);
    // An entry of several events, so that a seq can lie inside one.
    let failed: Vec<_> = (0..3)
        .map(|nth| payonce_core::FailPart {
            id: crate::support::id(nth),
            part: crate::support::part(nth),
            failure: payonce_core::Failure { permanent: true, ..Default::default() },
        })
        .collect();
    ledger.execute_all(failed, NOW).expect("known");
    let log = disk.open();
    let last = ledger.head().seq;
    let entries = held(&log, 1);
    assert!(entries.iter().any(|entry| entry.events.len() > 1));
    for from in 0..=last {
        let mut subscription = ledger.subscribe(from);
        assert_eq!(drain(&mut subscription), held(&log, from), "from {from}");
        assert_eq!(subscription.next_seq(), last + 1);
    }
    let mut none = ledger.subscribe(last + 1);
    assert_eq!(drain(&mut none), []);
}

#[test]
fn live_entries_follow_those_of_the_past() {
    for feed_bytes in [0, 300, 1 << 20] {
        let disk = disk();
        let ledger = open_with(&disk, options().feed_bytes(feed_bytes));
        live(&ledger, 0..5);
        let mut subscription = ledger.subscribe(1);
        let mut told = Vec::new();
        for round in 1..10 {
            live(&ledger, round * 5..(round + 1) * 5);
            told.push(subscription.read().expect("open"));
            if round % 3 == 0 {
                told.extend(drain(&mut subscription));
            }
        }
        told.extend(drain(&mut subscription));
        assert_eq!(told, held(&disk.open(), 1), "with {feed_bytes} bytes kept");
    }
}

#[test]
fn a_subscriber_sees_all_that_many_threads_do() {
    let disk = disk();
    let ledger = open_with(&disk, options().feed_bytes(2_000));
    let mut subscription = ledger.subscribe(1);
    let threads: Vec<_> = (0..100).map(|nth| sender(&ledger, nth)).collect();
    let reader = thread::spawn(move || {
        (0..102).map(|_| subscription.read().expect("open")).collect::<Vec<_>>()
    });
    for thread in threads {
        thread.join().expect("no panic").expect("accepted");
    }
    assert_eq!(reader.join().expect("no panic"), held(&disk.open(), 1));
}

#[test]
fn a_task_is_fed_and_a_dropped_future_loses_no_entry() {
    let disk = disk();
    let ledger = open(&disk);
    live(&ledger, 0..3);
    let mut subscription = ledger.subscribe(1);
    let mut told = Vec::new();
    futures_executor::block_on(async {
        for _ in 0..8 {
            told.push(subscription.read_async().await.expect("open"));
        }
    });
    for nth in 3..6 {
        {
            let mut given_up = pin!(subscription.read_async());
            assert!(poll_once(given_up.as_mut()).is_pending());
        }
        ledger.execute(send(nth), NOW).expect("accepted");
        told.push(futures_executor::block_on(subscription.read_async()).expect("open"));
    }
    assert_eq!(told, held(&disk.open(), 1));
}

#[test]
fn who_never_reads_holds_nobody_up() {
    let disk = disk();
    let ledger = open_with(&disk, options().feed_bytes(500));
    let mut idle = ledger.subscribe(1);
    live(&ledger, 0..200);
    assert_eq!(drain(&mut idle), held(&disk.open(), 1));
}

#[test]
fn dropped_history_is_told() {
    let disk = disk();
    let ledger = open(&disk);
    live(&ledger, 0..5);
    let mut late = ledger.subscribe(1);
    let base = ledger.save_snapshot().expect("saved");
    ledger.drop_history(base, 1).expect("dropped");
    live(&ledger, 5..6);
    let told = late.try_read().expect_err("no longer held");
    assert!(matches!(told, SubscriptionError::Dropped { seq: 1 }), "{told:?}");
    let mut anew = ledger.subscribe(base.seq + 1);
    // What was dropped is recorded: one entry more.
    assert_eq!(drain(&mut anew).len(), 3);
}

#[test]
fn a_log_on_disk_feeds_a_subscriber_that_lags_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let id = LedgerId::from_bytes([7; 32]);
    let fs = payonce_store_fs::Options { segment_bytes: 4 << 10, ..Default::default() };
    let (store, _) = FsStore::create(directory.path(), id, fs).expect("empty");
    let recovery =
        SharedLedger::open(store, &opening(), options().feed_bytes(0), NOW).expect("sound");
    let ledger = recovery.finish(NOW).expect("nothing fails");
    ledger.execute_all((0..300).map(send), NOW).expect("accepted");
    let mut subscription = ledger.subscribe(7);
    let told = drain(&mut subscription);
    let store = ledger.close().expect("the first to close");
    assert_eq!(told, held(&store, 7));
}

/// What was confirmed and not told is named, with where to go on once the log is open again.
#[test]
fn who_lagged_when_the_ledger_closed_is_told_so() {
    for as_a_task in [false, true] {
        let disk = disk();
        let ledger = open_with(&disk, options().feed_bytes(64));
        let mut subscription = ledger.subscribe(1);
        live(&ledger, 0..3);
        let confirmed = ledger.head().seq;
        drop(ledger.close());
        let mut told = 0;
        let end = loop {
            let read = if as_a_task {
                futures_executor::block_on(subscription.read_async())
            } else {
                subscription.read()
            };
            match read {
                Ok(entry) => told = entry.header.last_seq(),
                Err(end) => break end,
            }
        };
        assert!(told < confirmed, "it lags");
        let SubscriptionError::Lagged { next_seq, confirmed_seq, source } = end else {
            panic!("{end:?}")
        };
        assert_eq!((next_seq, confirmed_seq), (told + 1, confirmed));
        assert!(matches!(source, Unavailable::Closed), "{source:?}");
        let reopened = open(&disk);
        let mut anew = reopened.subscribe(next_seq);
        assert_eq!(anew.read().expect("open").header.first_seq, next_seq);
    }
}

#[test]
fn who_lagged_when_the_ledger_was_poisoned_is_told_so() {
    let disk = disk();
    let ledger = open_with(&disk, options().feed_bytes(64));
    let mut subscription = ledger.subscribe(1);
    live(&ledger, 0..3);
    disk.fail_nth(1, payonce_store_memory::Failure::BeforeEffect);
    ledger.execute(send(9), NOW).expect_err("the store failed");
    let end = subscription.try_read().expect_err("it lags");
    let SubscriptionError::Lagged { next_seq: 1, source, .. } = end else { panic!("{end:?}") };
    assert!(matches!(source, Unavailable::Poisoned { cause: Some(_) }), "{source:?}");
}

#[test]
fn who_lags_by_nothing_is_told_of_the_end_alone() {
    let disk = disk();
    let ledger = open(&disk);
    let mut subscription = ledger.subscribe(ledger.head().seq + 1);
    live(&ledger, 0..3);
    drop(ledger.close());
    assert_eq!(std::iter::from_fn(|| subscription.read().ok()).count(), 6);
    let end = subscription.read().expect_err("closed");
    assert!(matches!(end, SubscriptionError::Unavailable(Unavailable::Closed)), "{end:?}");
}
