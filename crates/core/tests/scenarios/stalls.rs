//! A store that stalls, and one that fails on any call (scenario 32, append before act).

use std::{sync::mpsc, thread};

use payonce_core::{
    Abandon, Answer, ExecuteError, FailureReason, Ledger, LedgerError, LedgerId, Opening, Pay,
    PayReply, Remember, State, WithdrawPart,
};
use payonce_store_memory::{Failure, MemoryDisk, MemoryStore};

use crate::support::{T0, htlc, id, part, pay};

fn disk() -> MemoryDisk {
    MemoryDisk::new(LedgerId::from_bytes([9; 32]))
}

fn open(disk: &MemoryDisk) -> Ledger<MemoryStore> {
    let opening = Opening::new(Remember::Window, 1);
    let recovery = Ledger::open(disk.open(), &opening, T0).expect("the log is sound");
    recovery.finish(T0).expect("nothing fails")
}

fn send() -> Pay {
    Pay { id: id("A"), request: pay("a", 1_000), again_after: None }
}

/// While its append blocks no reply is ready; when it then fails, everybody is told so.
#[test]
fn s32_while_the_append_stalls_nothing_is_answered() {
    for failure in [None, Some(Failure::BeforeEffect), Some(Failure::AfterEffect)] {
        let disk = disk();
        let mut ledger = open(&disk);
        let gate = disk.stall_nth(1);
        if let Some(failure) = failure {
            disk.fail_nth(1, failure);
        }
        let (answers, answered) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                let told = ledger.execute(send(), T0);
                answers.send(told.is_ok()).expect("somebody listens");
                let asked = ledger.query(State::digest);
                answers.send(asked.is_ok()).expect("somebody listens");
                let poisoned = matches!(asked, Err(LedgerError::Poisoned(_)));
                answers.send(poisoned).expect("somebody listens");
            });
            gate.wait_until_reached();
            assert_eq!(answered.try_recv(), Err(mpsc::TryRecvError::Empty));
            gate.open();
        });
        let answers: Vec<_> = answered.iter().collect();
        let fine = failure.is_none();
        assert_eq!(answers, [fine, fine, !fine], "{failure:?}");
        let mut reopened = open(&disk);
        let reply = reopened.execute(send(), T0).expect("a repeat is right in both");
        let recorded = failure != Some(Failure::BeforeEffect);
        assert_eq!(matches!(reply, PayReply::Duplicate(_)), recorded);
    }
}

/// At every call that a ledger makes of its store: an error, and nothing is answered after it.
#[test]
fn a_store_that_fails_on_any_call() {
    type Call = fn(&mut Ledger<MemoryStore>) -> bool;
    let calls: [(&str, Call); 5] = [
        ("a command", |ledger| ledger.execute(send(), T0).is_ok()),
        ("several commands", |ledger| ledger.execute_all([send(), send()], T0).is_ok()),
        ("a query", |ledger| ledger.query(State::digest).is_ok()),
        ("a refusal", |ledger| {
            let reason = FailureReason::UserAbandoned;
            let unknown = Abandon { id: id("Z"), reason };
            !matches!(ledger.execute(unknown, T0), Err(ExecuteError::Unavailable(_)))
        }),
        ("closing no gap", |ledger| ledger.close_gap(T0).is_ok()),
    ];
    for (name, call) in calls {
        for failure in [Failure::BeforeEffect, Failure::AfterEffect] {
            let disk = disk();
            let mut ledger = open(&disk);
            disk.fail_nth(1, failure);
            assert!(!call(&mut ledger), "{name} was answered");
            assert!(ledger.machine().is_poisoned(), "{name}");
            for (after, call) in calls {
                assert!(!call(&mut ledger), "{after} was answered after {name} had failed");
            }
        }
    }
}

/// Of a batch of answers whose append fails a prefix stays; telling them again is right.
#[test]
fn a_batch_of_answers_is_one_append() {
    for kept in 0..=3 {
        let disk = disk();
        let mut ledger = open(&disk);
        ledger.execute(send(), T0).expect("nothing fails");
        let parts = ["p", "q", "r"].map(|name| htlc(name, 300, 0));
        let batch = payonce_core::Dispatch { id: id("A"), attempt: 1, parts: parts.into() };
        ledger.execute(batch, T0).expect("nothing fails");
        drop(ledger);
        let answers = || {
            ["p", "q", "r"]
                .map(|name| Answer::NeverSent(WithdrawPart { id: id("A"), part: part(name) }))
        };
        let opening = Opening::new(Remember::Window, 1);
        let mut recovery = Ledger::open(disk.open(), &opening, T0).expect("the log is sound");
        let before = disk.operations();
        disk.fail_nth(1, Failure::AfterEntries(kept));
        assert!(recovery.answer(answers(), T0).is_err());
        assert_eq!(disk.operations(), before + 1);
        assert!(recovery.query(State::digest).is_err(), "it is poisoned");
        let mut recovery = Ledger::open(disk.open(), &opening, T0).expect("the log is sound");
        let told = recovery.answer(answers(), T0).expect("nothing fails");
        let changed = told.iter().filter(|reply| reply.as_ref().is_ok_and(|reply| reply.changed));
        assert_eq!(changed.count(), 3 - kept);
        let ledger = recovery.finish(T0).expect("nothing fails");
        let state = ledger.machine().durable_state().expect("nothing is in flight");
        assert_eq!(state.due(T0).len(), 1);
        assert_eq!(state.unresolved().len(), 0);
    }
}
