//! Waiting for a payment's outcome, by many.

use std::{pin::pin, thread};

use payonce_core::{
    Acknowledge, AdoptPart, ClaimPart, FailPart, Failure, FailureReason, Msat, PartKind, Status,
    UnixMillis,
};
use payonce_runtime::OutcomeError;

use crate::support::{NOW, Shared, disk, dispatch, id, open, part, poll_once, preimage, send};

fn claim(nth: u32) -> ClaimPart {
    ClaimPart::new(id(nth), part(nth), preimage(nth))
}

fn out(ledger: &Shared, nth: u32) {
    ledger.execute(send(nth), NOW).expect("accepted");
    ledger.execute(dispatch(nth), NOW).expect("recorded");
}

#[test]
fn many_wait_and_all_are_told() {
    let disk = disk();
    let ledger = open(&disk);
    out(&ledger, 1);
    out(&ledger, 2);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let ledger = ledger.clone();
            thread::spawn(move || ledger.outcome(id(1)))
        })
        .collect();
    let mut task = pin!(ledger.outcome_async(id(1)));
    let mut other = pin!(ledger.outcome_async(id(2)));
    assert!(poll_once(task.as_mut()).is_pending());
    assert!(poll_once(other.as_mut()).is_pending());
    ledger.execute(claim(1), NOW).expect("the proof");
    for thread in threads {
        let view = thread.join().expect("no panic").expect("known");
        assert_eq!(view.status, Status::Fulfilled);
        assert_eq!(view.paid.and_then(|paid| paid.preimage), Some(preimage(1)));
    }
    let told = futures_executor::block_on(task).expect("known");
    assert_eq!(told.status, Status::Fulfilled);
    assert!(poll_once(other.as_mut()).is_pending(), "another payment's outcome");
    let failure = Failure { permanent: true, ..Failure::default() };
    ledger.execute(FailPart { id: id(2), part: part(2), failure }, NOW).expect("known");
    let told = futures_executor::block_on(other).expect("known");
    assert_eq!(told.status, Status::Failed { reason: FailureReason::RecipientRejected });
}

#[test]
fn an_outcome_that_is_there_is_told_at_once() {
    let disk = disk();
    let ledger = open(&disk);
    out(&ledger, 1);
    ledger.execute(claim(1), NOW).expect("the proof");
    assert_eq!(ledger.outcome(id(1)).expect("known").status, Status::Fulfilled);
    let unknown = ledger.outcome(id(9)).expect_err("never sent");
    assert!(matches!(unknown, OutcomeError::UnknownPayment { id: of } if of == id(9)));
}

#[test]
fn an_outcome_is_not_told_before_it_is_durable() {
    let disk = disk();
    let ledger = open(&disk);
    out(&ledger, 1);
    let gate = disk.stall_nth(1);
    let claiming = {
        let ledger = ledger.clone();
        thread::spawn(move || ledger.execute(claim(1), NOW))
    };
    gate.wait_until_reached();
    let mut outcome = pin!(ledger.outcome_async(id(1)));
    assert!(poll_once(outcome.as_mut()).is_pending(), "decided, and not durable");
    gate.open();
    claiming.join().expect("no panic").expect("the proof");
    assert_eq!(futures_executor::block_on(outcome).expect("known").status, Status::Fulfilled);
}

#[test]
fn a_payment_forgotten_meanwhile_is_unknown() {
    let disk = disk();
    let ledger = open(&disk);
    out(&ledger, 1);
    let mut outcome = pin!(ledger.outcome_async(id(1)));
    assert!(poll_once(outcome.as_mut()).is_pending());
    let failure = Failure { permanent: true, ..Failure::default() };
    ledger.execute(FailPart { id: id(1), part: part(1), failure }, NOW).expect("known");
    let unread = ledger.query(|state| state.outbox().map(|at| at.id).collect()).expect("open");
    ledger.execute(Acknowledge { ids: unread }, NOW).expect("seen");
    let told = futures_executor::block_on(outcome).expect_err("gone");
    assert!(matches!(told, OutcomeError::UnknownPayment { .. }), "{told:?}");
}

#[test]
fn who_gives_up_leaves_nothing_behind() {
    let disk = disk();
    let ledger = open(&disk);
    out(&ledger, 1);
    for _ in 0..1_000 {
        let mut outcome = pin!(ledger.outcome_async(id(1)));
        assert!(poll_once(outcome.as_mut()).is_pending());
    }
    ledger.execute(claim(1), UnixMillis(NOW.0 + 1)).expect("the proof");
    assert_eq!(ledger.outcome(id(1)).expect("known").status, Status::Fulfilled);
}

/// In the gap it may have been tried again, and paid: who waits is told once the gap is closed.
#[test]
fn a_failure_is_not_told_while_the_log_is_restored() {
    let disk = disk();
    let ledger = open(&disk);
    out(&ledger, 1);
    out(&ledger, 2);
    let failure = Failure { permanent: true, ..Failure::default() };
    ledger.execute(FailPart { id: id(1), part: part(1), failure }, NOW).expect("known");
    let lacked = AdoptPart {
        id: id(3),
        part: part(3),
        payment_hash: preimage(3).payment_hash(),
        amount: Some(Msat(1_000)),
        fee: None,
        kind: PartKind::Delegated,
    };
    ledger.execute(lacked, NOW).expect("never refused");
    assert!(ledger.query(payonce_core::State::is_restored).expect("open"));
    let mut failed = pin!(ledger.outcome_async(id(1)));
    assert!(poll_once(failed.as_mut()).is_pending(), "it may have been paid");
    let waiting = {
        let ledger = ledger.clone();
        thread::spawn(move || ledger.outcome(id(1)))
    };
    ledger.execute(claim(2), NOW).expect("the proof");
    assert_eq!(ledger.outcome(id(2)).expect("known").status, Status::Fulfilled);
    assert!(poll_once(failed.as_mut()).is_pending());
    ledger.close_gap(NOW).expect("there is one");
    let told = futures_executor::block_on(failed).expect("known");
    assert_eq!(told.status, Status::Failed { reason: FailureReason::RecipientRejected });
    let told = waiting.join().expect("no panic").expect("known");
    assert_eq!(told.status, Status::Failed { reason: FailureReason::RecipientRejected });
}

/// Its node lists a part of it as out again: the payment may still be paid.
#[test]
fn a_failure_is_not_told_while_a_part_is_out_again() {
    for paid in [true, false] {
        let disk = disk();
        let ledger = open(&disk);
        out(&ledger, 1);
        let failed = FailPart { id: id(1), part: part(1), failure: Failure::permanent() };
        ledger.execute(failed.clone(), NOW).expect("known");
        assert!(matches!(ledger.outcome(id(1)).expect("known").status, Status::Failed { .. }));
        let listed = AdoptPart {
            id: id(1),
            part: part(1),
            payment_hash: preimage(1).payment_hash(),
            amount: Some(Msat(1_000)),
            fee: None,
            kind: PartKind::Delegated,
        };
        ledger.execute(listed, NOW).expect("never refused");
        if ledger.query(payonce_core::State::is_restored).expect("open") {
            ledger.close_gap(NOW).expect("there is one");
        }
        assert_eq!(ledger.query(|state| state.unresolved().len()).expect("open"), 1);
        let waiting = {
            let ledger = ledger.clone();
            thread::spawn(move || ledger.outcome(id(1)))
        };
        let mut task = pin!(ledger.outcome_async(id(1)));
        for _ in 0..3 {
            assert!(poll_once(task.as_mut()).is_pending(), "it is out");
            ledger.query(|_| ()).expect("open");
        }
        if paid {
            ledger.execute(claim(1), NOW).expect("the proof");
        } else {
            ledger.execute(failed, NOW).expect("known");
        }
        let told = [futures_executor::block_on(task), waiting.join().expect("no panic")];
        for view in told {
            let status = view.expect("known").status;
            assert_eq!(status == Status::Fulfilled, paid, "{status:?}");
        }
    }
}
