//! Waiting for notifications, by threads and by tasks.

use std::{sync::mpsc::channel, task::Poll, thread};

use futures_executor::block_on;
use payonce_core::{Abandon, Acknowledge, ClaimPart, FailureReason, NotificationKind, PaymentId};
use payonce_runtime::Unavailable;
use payonce_store_memory::Failure;

use crate::support::{NOW, Shared, disk, dispatch, id, open, part, poll_once, preimage, send};

fn fail(ledger: &Shared, nth: u32) {
    ledger.execute(send(nth), NOW).expect("accepted");
    let reason = FailureReason::UserAbandoned;
    ledger.execute(Abandon { id: id(nth), reason }, NOW).expect("abandoned");
}

fn failed(kind: &NotificationKind) -> PaymentId {
    match kind {
        NotificationKind::PaymentFailed { payment, .. } => *payment,
        other => panic!("a failure: {other:?}"),
    }
}

#[test]
fn what_is_unread_comes_first_then_what_comes_each_once_and_in_order() {
    let disk = disk();
    let ledger = open(&disk);
    (0..150).for_each(|nth| fail(&ledger, nth));
    let (told, tells) = channel();
    let mut reader = ledger.notifications();
    let thread = thread::spawn(move || {
        for _ in 0..300 {
            let next = reader.next().expect("open");
            told.send((next.id, failed(&next.kind))).expect("somebody listens");
        }
        reader
    });
    let first: Vec<_> = tells.iter().take(150).collect();
    // It waits now, or will: what comes reaches it either way, acknowledged meanwhile or not.
    (150..300).for_each(|nth| fail(&ledger, nth));
    let rest: Vec<_> = tells.iter().collect();
    let mut reader = thread.join().expect("it ended");
    let told: Vec<_> = first.into_iter().chain(rest).collect();
    assert_eq!(
        told.iter().map(|told| told.1).collect::<Vec<_>>(),
        (0..300).map(id).collect::<Vec<_>>()
    );
    assert!(reader.try_next().expect("open").is_none());
    // Acknowledged ones do not come again at the next start, the others do.
    let ids = told[..299].iter().map(|told| told.0).collect();
    ledger.execute(Acknowledge { ids }, NOW).expect("read");
    drop(reader);
    drop(ledger.close().expect("the store"));
    let ledger = open(&disk);
    let mut reader = ledger.notifications();
    assert_eq!(failed(&reader.next().expect("open").kind), id(299));
    assert!(reader.try_next().expect("open").is_none());
}

#[test]
fn a_task_is_woken_and_a_dropped_future_loses_nothing() {
    let disk = disk();
    let ledger = open(&disk);
    let mut reader = ledger.notifications();
    {
        let mut next = Box::pin(reader.next_async());
        assert!(matches!(poll_once(next.as_mut()), Poll::Pending), "there is nothing");
    }
    ledger.execute(send(1), NOW).expect("accepted");
    ledger.execute(dispatch(1), NOW).expect("recorded");
    let claim = ClaimPart::new(id(1), part(1), preimage(1));
    ledger.execute(claim, NOW).expect("claimed");
    let next = block_on(reader.next_async()).expect("open");
    let NotificationKind::PaymentSent { preimage: proof, .. } = next.kind else {
        panic!("it is paid: {next:?}")
    };
    assert_eq!(proof, Some(preimage(1)));
}

#[test]
fn closing_and_poison_end_the_wait() {
    let disk = disk();
    let ledger = open(&disk);
    let mut reader = ledger.notifications();
    let waiter = thread::spawn(move || reader.next());
    drop(ledger.close());
    assert!(matches!(waiter.join().expect("no panic"), Err(Unavailable::Closed)));
    let ledger = open(&disk);
    let mut reader = ledger.notifications();
    disk.fail_nth(1, Failure::BeforeEffect);
    assert!(ledger.execute(send(9), NOW).is_err());
    assert!(matches!(block_on(reader.next_async()), Err(Unavailable::Poisoned { .. })));
}
