//! Orderly shutdown.

use std::{
    pin::pin,
    sync::mpsc::{Receiver, channel},
    task::Poll,
    thread,
};

use payonce_core::PayReply;
use payonce_runtime::{ExecuteError, OutcomeError, SubscriptionError, Unavailable};

use crate::support::{
    NOW, Wrapped, disk, id, open, open_wrapped, poll_once, send, sender, wait_for_queue,
};

#[test]
fn closing_writes_what_was_submitted_and_hands_the_store_back() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(0), NOW).expect("accepted");
    let clone = ledger.clone();
    let gate = disk.stall_nth(1);
    let first = sender(&ledger, 1);
    gate.wait_until_reached();
    let second = sender(&ledger, 2);
    wait_for_queue(&ledger, 1);
    let waiting = ledger.clone();
    let mut outcome = pin!(waiting.outcome_async(id(0)));
    assert!(poll_once(outcome.as_mut()).is_pending());
    let closing = thread::spawn(move || ledger.close());
    while clone.check().is_ok() {
        thread::yield_now();
    }
    gate.open();
    for caller in [first, second] {
        assert_eq!(caller.join().expect("no panic").expect("written"), PayReply::Accepted);
    }
    let store = closing.join().expect("no panic").expect("the first to close");
    assert_eq!(payonce_core::verify(&store, 1).expect("sound").counts().pending, 3);
    assert!(matches!(
        poll_once(outcome),
        Poll::Ready(Err(OutcomeError::Unavailable(Unavailable::Closed)))
    ));
    assert!(matches!(clone.query(|_| ()), Err(Unavailable::Closed)));
    assert!(clone.close().is_none(), "handed back already");
}

#[test]
fn a_closed_ledger_answers_so_everywhere() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(0), NOW).expect("accepted");
    let clone = ledger.clone();
    let mut subscription = ledger.subscribe(1);
    let mut told = 0;
    while subscription.try_read().expect("open").is_some() {
        told += 1;
    }
    assert_eq!(told, 3);
    assert!(ledger.close().is_some());
    let closed = |unavailable: &Unavailable| matches!(unavailable, Unavailable::Closed);
    assert!(
        matches!(clone.execute(send(1), NOW), Err(ExecuteError::Unavailable(at)) if closed(&at))
    );
    assert!(matches!(clone.execute_all([send(1)], NOW), Err(at) if closed(&at)));
    assert!(matches!(clone.tick(NOW), Err(ExecuteError::Unavailable(at)) if closed(&at)));
    assert!(matches!(clone.outcome(id(0)), Err(OutcomeError::Unavailable(at)) if closed(&at)));
    assert!(matches!(subscription.read(), Err(SubscriptionError::Unavailable(at)) if closed(&at)));
    assert!(clone.save_snapshot().is_err());
    assert!(clone.verify(1).is_err());
    let told = futures_executor::block_on(async {
        let executed = clone.execute_async(send(1), NOW).await.is_err();
        executed && clone.verify_async(1).await.is_err() && clone.close_async().await.is_none()
    });
    assert!(told);
}

/// Waits until the store is dropped; tells on which thread.
fn dropped(told: &Receiver<String>) -> String {
    told.recv().expect("the store tells when it is dropped")
}

#[test]
fn the_last_handle_closes_the_ledger() {
    let disk = disk();
    let (tell, told) = channel();
    let ledger = open_wrapped(Wrapped::new(&disk).tells_when_dropped(tell));
    let clone = ledger.clone();
    let subscription = ledger.subscribe(1);
    drop(ledger);
    clone.execute(send(0), NOW).expect("still open");
    assert!(told.try_recv().is_err());
    drop(clone);
    dropped(&told);
    drop(subscription);
}

#[test]
fn the_store_of_tasks_is_dropped_on_the_writer_thread() {
    let disk = disk();
    let (tell, told) = channel();
    let ledger = open_wrapped(Wrapped::new(&disk).tells_when_dropped(tell));
    futures_executor::block_on(ledger.execute_async(send(0), NOW)).expect("accepted");
    {
        // Submitted and given up: it is written before the store goes.
        let mut given_up = pin!(ledger.execute_async(send(1), NOW));
        let _ = poll_once(given_up.as_mut());
    }
    drop(ledger);
    assert_eq!(dropped(&told), "payonce-writer");
    assert_eq!(open(&disk).query(|state| state.counts().pending).expect("open"), 2);
}

#[test]
fn closing_as_a_task_waits_without_blocking() {
    let disk = disk();
    let ledger = open(&disk);
    let gate = disk.stall_nth(1);
    let first = sender(&ledger, 1);
    gate.wait_until_reached();
    let mut closing = pin!(ledger.close_async());
    assert!(poll_once(closing.as_mut()).is_pending());
    gate.open();
    let store = futures_executor::block_on(closing).expect("the first to close");
    assert_eq!(first.join().expect("no panic").expect("written"), PayReply::Accepted);
    assert_eq!(payonce_core::verify(&store, 1).expect("sound").counts().pending, 1);
}
