//! One append and one sync for all that came while the one before was being written; no reply
//! before what it was decided on is durable.

use std::{pin::pin, task::Poll, thread};

use payonce_core::{
    Dispatch, DispatchReply, FactReply, PayRefusal, PayReply, Status, WithdrawPart,
};
use payonce_runtime::ExecuteError;

use crate::support::{
    NOW, Wrapped, disk, dispatch, id, open, open_wrapped, operations, part, poll_once, send,
    sender, wait_for_queue,
};

#[test]
fn what_comes_during_an_append_goes_into_the_next_one_together() {
    let disk = disk();
    let ledger = open(&disk);
    let gate = disk.stall_nth(1);
    let first = sender(&ledger, 0);
    gate.wait_until_reached();
    let others: Vec<_> = (1..16).map(|nth| sender(&ledger, nth)).collect();
    wait_for_queue(&ledger, 15);
    let more = operations(&disk, || {
        gate.open();
        for caller in [first].into_iter().chain(others) {
            assert_eq!(caller.join().expect("no panic").expect("accepted"), PayReply::Accepted);
        }
    });
    assert_eq!(more, 1, "fifteen commands, one append");
    assert_eq!(disk.image().entries().count(), 2 + 16, "opened, recovered, sixteen sends");
}

#[test]
fn one_call_with_many_commands_is_one_append() {
    let disk = disk();
    let ledger = open(&disk);
    let more = operations(&disk, || {
        let replies = ledger.execute_all((0..512).map(send), NOW).expect("nothing fails");
        assert!(replies.iter().all(|reply| *reply == Ok(PayReply::Accepted)));
    });
    assert_eq!(more, 1);
    let twice = ledger.execute_all([send(600), send(600), send(0)], NOW).expect("nothing fails");
    assert!(matches!(
        twice[..],
        [Ok(PayReply::Accepted), Ok(PayReply::Duplicate(_)), Ok(PayReply::Duplicate(_))]
    ));
    let none = ledger.execute_all(Vec::<payonce_core::Pay>::new(), NOW).expect("nothing fails");
    assert_eq!(none, []);
}

#[test]
fn a_reply_waits_for_what_it_was_decided_on() {
    let disk = disk();
    let ledger = open_wrapped(Wrapped::new(&disk));
    let gate = disk.stall_nth(1);
    let first = {
        let ledger = ledger.clone();
        thread::spawn(move || ledger.execute(send(1), NOW))
    };
    gate.wait_until_reached();
    // A repeat, a refusal and a query: no events, and all decided on what is not durable.
    let mut repeat = pin!(ledger.execute_async(send(1), NOW));
    let mut refused = pin!(ledger.execute_async(WithdrawPart { id: id(1), part: part(9) }, NOW));
    let mut asked = pin!(ledger.query_async(|state| state.counts().pending));
    assert!(poll_once(repeat.as_mut()).is_pending());
    assert!(poll_once(refused.as_mut()).is_pending());
    assert!(poll_once(asked.as_mut()).is_pending());
    assert_eq!(ledger.head().seq, 2, "nothing more is durable");
    gate.open();
    assert_eq!(first.join().expect("no panic").expect("accepted"), PayReply::Accepted);
    let Poll::Ready(Ok(PayReply::Duplicate(known))) = poll_once(repeat) else {
        panic!("released with the batch that it was decided on")
    };
    assert_eq!(known.status, Status::Pending);
    assert!(matches!(poll_once(refused), Poll::Ready(Err(ExecuteError::Refused(_)))));
    assert!(matches!(poll_once(asked), Poll::Ready(Ok(1))));
}

#[test]
fn a_query_of_a_durable_state_asks_a_locked_store_nothing() {
    let disk = disk();
    let ledger = open_wrapped(Wrapped::new(&disk));
    let more = operations(&disk, || {
        assert_eq!(ledger.query(|state| state.counts().pending).expect("open"), 0);
    });
    assert_eq!(more, 0);
}

#[test]
fn a_store_that_can_be_taken_over_is_asked_after_the_reply_was_decided() {
    let disk = disk();
    let ledger = open(&disk);
    let more = operations(&disk, || {
        assert_eq!(ledger.query(|state| state.counts().pending).expect("owner"), 0);
    });
    assert_eq!(more, 1, "confirm_owner");
    // Taken over while an append of ours is at the gate: its ownership was checked by then or not,
    // but a query that comes later must ask anew.
    let gate = disk.stall_nth(2);
    ledger.execute(send(1), NOW).expect("still the owner");
    let query = {
        let ledger = ledger.clone();
        thread::spawn(move || ledger.query(|state| state.counts().pending))
    };
    gate.wait_until_reached();
    let _other = open(&disk);
    gate.open();
    let answer = query.join().expect("no panic");
    assert!(answer.is_err(), "another writer has the log: {answer:?}");
}

#[test]
fn two_threads_that_dispatch_the_same_attempt_get_one_right_to_offer() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    let workers: Vec<_> = (0..8)
        .map(|nth| {
            let ledger = ledger.clone();
            let Dispatch { id, attempt, mut parts } = dispatch(1);
            // Four repeat one batch, four bring batches of their own.
            if nth >= 4 {
                parts = dispatch(nth).parts;
            }
            thread::spawn(move || ledger.execute(Dispatch { id, attempt, parts }, NOW))
        })
        .collect();
    let replies: Vec<_> =
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect();
    let rights = replies.iter().filter(|reply| matches!(reply, Ok(DispatchReply::Recorded { .. })));
    assert_eq!(rights.count(), 1, "{replies:?}");
}

#[test]
fn a_dispatch_overtaken_while_it_was_written_is_no_right_to_offer() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    let gate = disk.stall_nth(1);
    let worker = {
        let ledger = ledger.clone();
        thread::spawn(move || ledger.execute(dispatch(1), NOW))
    };
    gate.wait_until_reached();
    let withdrawn = {
        let ledger = ledger.clone();
        thread::spawn(move || ledger.execute(WithdrawPart { id: id(1), part: part(1) }, NOW))
    };
    wait_for_queue(&ledger, 1);
    gate.open();
    let reply = worker.join().expect("no panic").expect("recorded");
    assert!(matches!(reply, DispatchReply::Overtaken { .. }), "{reply:?}");
    let fact: FactReply = withdrawn.join().expect("no panic").expect("in flight");
    assert!(fact.changed);
}

/// Whoever waits while another thread commits reads most replies by a receipt; a right not.
#[test]
fn a_dispatch_overtaken_while_it_waited_is_no_right_to_offer() {
    let disk = disk();
    let ledger = open(&disk);
    for number in 1..=16 {
        ledger.execute(send(number), NOW).expect("accepted");
    }
    let gate = disk.stall_nth(1);
    let leader = {
        let ledger = ledger.clone();
        thread::spawn(move || ledger.execute(send(17), NOW))
    };
    gate.wait_until_reached();
    let mut dispatched = Vec::new();
    let mut withdrawn = Vec::new();
    for number in 1..=16 {
        let on = ledger.clone();
        dispatched.push(thread::spawn(move || on.execute(dispatch(number), NOW)));
        wait_for_queue(&ledger, 2 * dispatched.len() - 1);
        let on = ledger.clone();
        let withdraw = WithdrawPart { id: id(number), part: part(number) };
        withdrawn.push(thread::spawn(move || on.execute(withdraw, NOW)));
        wait_for_queue(&ledger, 2 * withdrawn.len());
    }
    gate.open();
    leader.join().expect("no panic").expect("accepted");
    for worker in dispatched {
        let reply = worker.join().expect("no panic").expect("recorded");
        assert!(matches!(reply, DispatchReply::Overtaken { .. }), "{reply:?}");
    }
    for worker in withdrawn {
        let fact: FactReply = worker.join().expect("no panic").expect("in flight");
        assert!(fact.changed);
    }
}

#[test]
fn refusals_come_back_as_values() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    let mut other = send(1);
    other.request.amount = payonce_core::Msat(2_000);
    let error = ledger.execute(other, NOW).expect_err("another amount");
    assert!(matches!(error, ExecuteError::Refused(PayRefusal::Conflict { .. })), "{error:?}");
}

#[test]
fn many_threads_agree_with_the_log() {
    let disk = disk();
    let ledger = open(&disk);
    thread::scope(|scope| {
        for thread in 0..16 {
            let ledger = ledger.clone();
            scope.spawn(move || {
                for nth in 0..50 {
                    let nth = thread * 50 + nth;
                    ledger.execute(send(nth), NOW).expect("accepted");
                    let reply = ledger.execute(dispatch(nth), NOW).expect("recorded");
                    assert!(matches!(reply, DispatchReply::Recorded { .. }));
                    assert!(ledger.query(|state| state.part(&part(nth)).is_some()).expect("open"));
                }
            });
        }
    });
    let digest = ledger.query(payonce_core::State::digest).expect("open");
    let store = ledger.close().expect("the first to close");
    assert_eq!(payonce_core::verify(&store, 1).expect("sound").digest(), digest);
}
