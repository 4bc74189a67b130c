//! A full queue: who may wait waits, who may not is told, and nobody is lost.

use std::pin::pin;

use payonce_core::PayReply;
use payonce_runtime::{ExecuteError, Unavailable};

use crate::support::{NOW, disk, open_with, options, poll_once, send, sender, wait_for_queue};

#[test]
fn a_full_queue_is_told_or_waited_for() {
    let disk = disk();
    let ledger = open_with(&disk, options().queue_commands(2));
    let gate = disk.stall_nth(1);
    let first = sender(&ledger, 0);
    gate.wait_until_reached();
    let queued = [sender(&ledger, 1), sender(&ledger, 2)];
    wait_for_queue(&ledger, 2);
    let error = ledger.try_execute(send(3), NOW).expect_err("full");
    assert!(
        matches!(error, ExecuteError::Unavailable(Unavailable::Full { limit: 2 })),
        "{error:?}"
    );
    let waiting: Vec<_> = (4..10).map(|nth| sender(&ledger, nth)).collect();
    let mut task = pin!(ledger.execute_async(send(10), NOW));
    assert!(poll_once(task.as_mut()).is_pending());
    {
        // Given up while it waits for room: nothing was submitted.
        let mut dropped = pin!(ledger.execute_async(send(11), NOW));
        assert!(poll_once(dropped.as_mut()).is_pending());
    }
    assert_eq!(ledger.queued(), 2);
    gate.open();
    for caller in [first].into_iter().chain(queued).chain(waiting) {
        assert_eq!(caller.join().expect("no panic").expect("accepted"), PayReply::Accepted);
    }
    assert_eq!(futures_executor::block_on(task).expect("accepted"), PayReply::Accepted);
    let known = ledger.query(|state| state.counts().pending).expect("open");
    assert_eq!(known, 10, "0, 1, 2, 4 to 9 and 10");
    assert_eq!(ledger.try_execute(send(3), NOW).expect("room again"), PayReply::Accepted);
}

#[test]
fn one_call_may_be_larger_than_the_queue() {
    let disk = disk();
    let ledger = open_with(&disk, options().queue_commands(0));
    let replies = ledger.execute_all((0..100).map(send), NOW).expect("taken whole");
    assert_eq!(replies.len(), 100);
}
