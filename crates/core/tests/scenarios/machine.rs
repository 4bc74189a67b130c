//! Replies wait for what they were decided on (scenario 32).

use payonce_core::{
    Config, Dispatch, Entry, LedgerId, Machine, ReleaseError, Remember, Send, SendReply, State,
};

use crate::support::{T0, htlc, id, pay};

fn machine() -> Machine {
    let state = State::new(LedgerId::from_bytes([9; 32]), 1);
    let (mut machine, opened) =
        Machine::open(state, Config::new(Remember::Window), "tests", false, T0);
    machine.confirmed([opened]).expect("it is the first entry");
    let finish = machine.submit(payonce_core::FinishRecovery, T0);
    machine.confirmed(finish.entry).expect("it is the next entry");
    assert!(matches!(machine.release(finish.ticket), Ok(Ok(_))));
    machine
}

fn send() -> Send {
    Send { id: id("A"), request: pay("a", 1_000), again_after: None }
}

#[test]
fn s32_a_duplicate_waits_for_the_sync() {
    let mut machine = machine();
    let first = machine.submit(send(), T0);
    let second = machine.submit(send(), T0);
    assert!(second.entry.is_none(), "a duplicate records nothing");
    let question = machine.query(|state| state.counts().pending);
    let Err(ReleaseError::NotDurable(second)) = machine.release(second.ticket) else {
        panic!("the duplicate was readable before the sync");
    };
    let Err(ReleaseError::NotDurable(question)) = machine.release(question) else {
        panic!("the query was readable before the sync");
    };
    machine.confirmed(first.entry).expect("it is the next entry");
    assert!(matches!(machine.release(first.ticket), Ok(Ok(SendReply::Accepted))));
    assert!(matches!(machine.release(second), Ok(Ok(SendReply::Duplicate(_)))));
    assert_eq!(machine.release(question).ok(), Some(1));
}

#[test]
fn s32_if_the_sync_fails_nothing_is_readable() {
    let mut machine = machine();
    let first = machine.submit(send(), T0);
    let second = machine.submit(send(), T0);
    let refused =
        machine.submit(Dispatch { id: id("B"), attempt: 1, parts: vec![htlc("p", 1, 0)] }, T0);
    let question = machine.query(State::digest);
    machine.poison();
    assert!(matches!(machine.release(first.ticket), Err(ReleaseError::Poisoned(_))));
    assert!(matches!(machine.release(second.ticket), Err(ReleaseError::Poisoned(_))));
    assert!(matches!(machine.release(refused.ticket), Err(ReleaseError::Poisoned(_))));
    assert!(matches!(machine.release(question), Err(ReleaseError::Poisoned(_))));
    let _: Option<Entry> = first.entry;
}
