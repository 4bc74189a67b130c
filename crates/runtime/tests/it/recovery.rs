//! Recovery through the shared handle.

use std::thread;

use payonce_core::{
    AdoptPart, Answer, ClaimPart, Head, PartKind, PartStatus, PayRefusal, PayReply, Status,
    WithdrawPart,
};
use payonce_runtime::{ExecuteError, SharedLedger};

use crate::support::{NOW, disk, dispatch, id, open, opening, options, part, preimage, send};

#[test]
fn what_is_out_is_listed_answered_and_then_paid_on() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute_all((1..4).map(send), NOW).expect("accepted");
    ledger.execute_all((1..4).map(dispatch), NOW).expect("recorded");
    drop(ledger);
    let recovery = SharedLedger::open(disk.open(), &opening(), options(), NOW).expect("sound");
    let unresolved = recovery.unresolved().expect("open");
    assert_eq!(unresolved.len(), 3);
    assert!(unresolved.iter().all(|part| part.another_writer));
    let engine = {
        let recovery = recovery.clone();
        thread::spawn(move || {
            let claimed = Answer::Claimed(ClaimPart::new(id(1), part(1), preimage(1)));
            recovery.answer([claimed], NOW)
        })
    };
    let never_sent = Answer::NeverSent(WithdrawPart { id: id(2), part: part(2) });
    let told = recovery.answer([never_sent, Answer::StillInFlight], NOW).expect("open");
    assert!(told.iter().all(Result::is_ok));
    engine.join().expect("no panic").expect("open")[0].expect("the proof");
    let unread = recovery.query(|state| state.outbox().map(|at| at.id).collect()).expect("open");
    recovery.acknowledge(payonce_core::Acknowledge { ids: unread }, NOW).expect("seen");
    let late = recovery.clone();
    let ledger = recovery.finish(NOW).expect("nothing fails");
    assert!(late.clone().finish(NOW).is_ok(), "finished already");
    let due = ledger.query(|state| state.due(NOW)).expect("open");
    assert_eq!(due.iter().map(|lacks| lacks.id).collect::<Vec<_>>(), [id(2)]);
    let fate = ledger.query(|state| state.part(&part(3))).expect("open");
    assert_eq!(fate, Some((id(3), PartStatus::InFlight)), "no answer: it waits");
    let fact = Answer::Claimed(ClaimPart::new(id(3), part(3), preimage(3)));
    late.answer([fact], NOW).expect("open")[0].expect("a fact like any other");
    assert_eq!(ledger.outcome(id(3)).expect("known").status, Status::Fulfilled);
}

#[test]
fn nothing_new_is_accepted_before_recovery_is_finished() {
    let disk = disk();
    let recovery = SharedLedger::open(disk.open(), &opening(), options(), NOW).expect("sound");
    let head = recovery.head();
    drop(recovery.close().expect("the first to close"));
    let recovery = SharedLedger::open(disk.open(), &opening(), options(), NOW).expect("sound");
    assert!(recovery.head().seq > head.seq, "the next opening began anew");
    let ledger = recovery.finish(NOW).expect("nothing fails");
    assert_eq!(ledger.execute(send(1), NOW).expect("finished"), PayReply::Accepted);
}

#[test]
fn a_restored_log_is_told_and_its_gap_closed() {
    let disk = disk();
    let known = Head { seq: 99, chain: payonce_core::LogHash::from_bytes([1; 32]) };
    let opening = opening().known_head(known);
    let recovery = SharedLedger::open(disk.open(), &opening, options(), NOW).expect("sound");
    assert!(recovery.lacks_known_head());
    assert!(recovery.is_restored().expect("open"));
    let adopted = AdoptPart {
        id: id(1),
        part: part(1),
        payment_hash: preimage(1).payment_hash(),
        amount: None,
        fee: None,
        kind: PartKind::Htlc { cltv_expiry: Some(900_000), first_channel: None },
    };
    futures_executor::block_on(async {
        let told = recovery.answer_async([Answer::Adopted(adopted)], NOW).await.expect("open");
        assert!(told[0].is_ok());
        let parts = recovery.query_async(|state| state.counts().unresolved_parts).await;
        assert_eq!(parts.expect("open"), 1);
        let ledger = recovery.finish_async(NOW).await.expect("nothing fails");
        let refused = ledger.execute(send(2), NOW).expect_err("restored");
        assert!(matches!(refused, ExecuteError::Refused(PayRefusal::Restored)), "{refused:?}");
        ledger.close_gap_async(NOW).await.expect("there is a gap");
        assert!(matches!(ledger.close_gap(NOW), Err(ExecuteError::Refused(_))), "there is none");
        assert_eq!(ledger.execute(send(2), NOW).expect("closed"), PayReply::Accepted);
    });
}

#[test]
fn a_long_log_opens_as_one_thread_would_fold_it() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute_all((0..3_000).map(send), NOW).expect("accepted");
    ledger.execute_all((0..3_000).map(dispatch), NOW).expect("recorded");
    drop(ledger.close());
    let recovery = SharedLedger::open(disk.open(), &opening(), options(), NOW).expect("sound");
    assert!(recovery.head().seq > 6_000, "long enough for the second thread");
    let opened = recovery.query(payonce_core::State::digest).expect("open");
    let folded = payonce_core::verify(&disk.open(), 7).expect("sound");
    assert_eq!(opened, folded.digest());
    // A head that is not in the log is missed on two threads too.
    let head = payonce_core::Head { seq: 3_000, chain: payonce_core::LogHash::from_bytes([1; 32]) };
    let opening = opening().known_head(head);
    let restored = SharedLedger::open(disk.open(), &opening, options(), NOW).expect("sound");
    assert!(restored.lacks_known_head(), "looked for on the way");
}
