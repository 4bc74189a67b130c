//! Replies wait for what they were decided on, and what poisons a machine (scenario 32, append before act).

use std::ops::ControlFlow;

use payonce_core::{
    Abandon, Acknowledge, AcknowledgeRefusal, ClaimPart, Command, Config, Dispatch, DispatchReply,
    Entry, Event, FORMAT_VERSION, FailPart, Failure, FailureReason, Ledger, LedgerId, Machine,
    NewPart, Opening, Operation, Pay, PayReply, Release, ReleaseError, Remember, SnapshotError,
    State, Status, Ticket, WithdrawPart, history, limits,
};
use payonce_store_memory::MemoryDisk;

use crate::support::{T0, htlc, id, part, pay, preimage};

fn machine() -> Machine {
    let state = State::new(LedgerId::from_bytes([9; 32]), 1);
    let config = Config::new(Remember::Window);
    let (mut machine, opened) = Machine::open(state, config, "tests", false, T0);
    machine.confirmed([opened]).expect("it is the first entry");
    done(&mut machine, payonce_core::FinishRecovery);
    machine
}

/// One step to its end.
fn done<O>(machine: &mut Machine, operation: O) -> O::Reply
where
    O: Operation,
    O::Reply: Release,
{
    let step = machine.submit(operation, T0);
    machine.confirmed(step.entry).expect("it is the next entry");
    match machine.release(step.ticket) {
        Ok(Ok(reply)) => reply,
        Ok(Err(refusal)) => panic!("refused: {refusal}"),
        Err(error) => panic!("{error}"),
    }
}

fn send() -> Pay {
    Pay { id: id("A"), request: pay("a", 1_000), again_after: None }
}

fn dispatch(parts: Vec<NewPart>) -> Dispatch {
    Dispatch { id: id("A"), attempt: 1, parts }
}

#[track_caller]
fn waits<T>(machine: &Machine, ticket: Ticket<T>) -> Ticket<T> {
    match machine.release(ticket) {
        Err(ReleaseError::NotDurable(ticket)) => ticket,
        _ => panic!("the reply was readable before it was durable, or is lost"),
    }
}

#[track_caller]
fn poisoned<T>(machine: &Machine, ticket: Ticket<T>) {
    assert!(matches!(machine.release(ticket), Err(ReleaseError::Poisoned(_))));
}

#[test]
fn s32_a_duplicate_waits_for_the_sync() {
    let mut machine = machine();
    let first = machine.submit(send(), T0);
    let second = machine.submit(send(), T0);
    assert!(second.entry.is_none(), "a duplicate records nothing");
    let refused = machine.submit(dispatch(vec![]), T0);
    let question = machine.query(|state| state.counts().pending);
    let second = waits(&machine, second.ticket);
    let refused = waits(&machine, refused.ticket);
    let question = waits(&machine, question);
    let own = waits(&machine, first.ticket);
    machine.confirmed(first.entry).expect("it is the next entry");
    assert!(matches!(machine.release(own), Ok(Ok(PayReply::Accepted))));
    assert!(matches!(machine.release(second), Ok(Ok(PayReply::Duplicate(_)))));
    assert!(matches!(machine.release(refused), Ok(Err(_))));
    assert_eq!(machine.release(question).ok(), Some(1));
}

#[test]
fn s32_if_the_sync_fails_nothing_is_readable() {
    let mut machine = machine();
    let first = machine.submit(send(), T0);
    let second = machine.submit(send(), T0);
    let refused = machine.submit(dispatch(vec![]), T0);
    let question = machine.query(State::digest);
    machine.poison();
    poisoned(&machine, first.ticket);
    poisoned(&machine, second.ticket);
    poisoned(&machine, refused.ticket);
    poisoned(&machine, question);
    let later = machine.submit(send(), T0);
    assert!(later.entry.is_none(), "a poisoned machine records nothing");
    poisoned(&machine, later.ticket);
    poisoned(&machine, machine.query(State::digest));
    assert!(matches!(machine.snapshot(), Err(SnapshotError::Poisoned(_))));
    assert!(machine.confirmed(first.entry).is_err());
}

/// Several entries in flight: each reply waits for its own, in order.
#[test]
fn entries_are_confirmed_in_order() {
    let mut machine = machine();
    let first = machine.submit(send(), T0);
    let second = machine.submit(dispatch(vec![htlc("p", 1_000, 1)]), T0);
    assert_eq!(machine.in_flight(), 2);
    assert!(matches!(machine.snapshot(), Err(SnapshotError::InFlight { entries: 2 })));
    machine.confirmed(first.entry).expect("it is the next entry");
    assert!(matches!(machine.release(first.ticket), Ok(Ok(PayReply::Accepted))));
    let ticket = waits(&machine, second.ticket);
    machine.confirmed(second.entry).expect("it is the next entry");
    assert!(matches!(machine.release(ticket), Ok(Ok(DispatchReply::Recorded { .. }))));
    assert!(machine.snapshot().is_ok());
}

#[test]
fn a_skipped_entry_poisons() {
    let mut machine = machine();
    let first = machine.submit(send(), T0);
    let second = machine.submit(dispatch(vec![htlc("p", 1_000, 1)]), T0);
    assert!(machine.confirmed(second.entry).is_err(), "the first is missing");
    assert!(machine.is_poisoned());
    assert!(machine.confirmed(first.entry).is_err());
    poisoned(&machine, first.ticket);
}

#[test]
fn a_dropped_entry_poisons() {
    let mut machine = machine();
    let first = machine.submit(send(), T0);
    drop(first.entry);
    assert!(machine.is_poisoned());
    poisoned(&machine, first.ticket);
}

#[test]
fn the_entry_and_the_ticket_of_another_machine() {
    let (mut one, mut other) = (machine(), machine());
    let foreign = other.submit(send(), T0);
    let Err(ReleaseError::OtherMachine(ticket)) = one.release(foreign.ticket) else {
        panic!("it is the ticket of another machine");
    };
    assert!(!one.is_poisoned(), "a ticket handed to the wrong machine harms nobody");
    let own = one.submit(send(), T0);
    assert!(one.confirmed(foreign.entry).is_err(), "the bytes are equal, the entry is not its own");
    poisoned(&one, own.ticket);
    assert!(other.is_poisoned(), "its entry is gone");
    poisoned(&other, ticket);
}

/// A receipt reads what was durable when it was given, and nothing that later commands change.
#[test]
fn what_a_receipt_reads() {
    let (mut one, other) = (machine(), machine());
    let early = one.receipt().expect("it answers");
    let accepted = one.submit(send(), T0);
    let ticket = accepted.ticket.redeem(&early).expect_err("it is not durable yet");
    one.confirmed(accepted.entry).expect("it is the next entry");
    let ticket = ticket.redeem(&early).expect_err("the receipt was given before");
    let late = one.receipt().expect("it answers");
    let foreign = other.receipt().expect("it answers");
    let ticket = ticket.redeem(&foreign).expect_err("the receipt is another machine's");
    assert!(matches!(ticket.redeem(&late), Ok(Ok(PayReply::Accepted))));

    let query = one.query(|state| state.counts().pending);
    assert_eq!(query.redeem(&late).ok(), Some(1));
    let refused = one.submit(dispatch(Vec::new()), T0);
    assert!(matches!(refused.ticket.redeem(&late), Ok(Err(_))), "nothing changes a refusal");

    let right = one.submit(dispatch(vec![htlc("p", 1_000, 1)]), T0);
    let right_as_command = one.submit(Command::from(dispatch(vec![htlc("p", 1_000, 1)])), T0);
    one.confirmed(right.entry).expect("it is the next entry");
    let late = one.receipt().expect("it answers");
    let Err(ticket) = right.ticket.redeem(&late) else {
        panic!("whether it is still right to offer, its machine alone says");
    };
    assert!(matches!(one.release(ticket), Ok(Ok(DispatchReply::Recorded { .. }))));
    assert!(right_as_command.ticket.redeem(&late).is_ok(), "a repeat gives no right");

    one.poison();
    assert!(one.receipt().is_err(), "a poisoned machine gives none");
}

/// What happened while a batch was being written takes the right to offer away.
#[test]
fn a_batch_overtaken_before_its_release() {
    let overtaking: [(Command, Option<Status>); 4] = [
        (
            Abandon { id: id("A"), reason: FailureReason::UserAbandoned }.into(),
            Some(Status::Abandoned { reason: FailureReason::UserAbandoned }),
        ),
        (ClaimPart::new(id("A"), part("p"), preimage("a")).into(), Some(Status::Fulfilled)),
        (WithdrawPart { id: id("A"), part: part("p") }.into(), Some(Status::Pending)),
        (
            FailPart { id: id("A"), part: part("p"), failure: Failure::default() }.into(),
            Some(Status::Pending),
        ),
    ];
    for (command, expected) in overtaking {
        let mut machine = machine();
        done(&mut machine, send());
        let batch = machine.submit(dispatch(vec![htlc("p", 1_000, 1)]), T0);
        let other = machine.submit(command, T0);
        machine.confirmed([batch.entry, other.entry].into_iter().flatten()).expect("in order");
        let Ok(Ok(DispatchReply::Overtaken { status, parts, .. })) = machine.release(batch.ticket)
        else {
            panic!("it is no longer right to offer the parts");
        };
        assert_eq!((status, parts), (expected, vec![part("p")]));
    }
}

/// Forgotten, and accepted anew, before the first batch's reply is read.
#[test]
fn a_batch_of_a_payment_that_was_forgotten_meanwhile() {
    for again in [false, true] {
        let mut machine = machine();
        done(&mut machine, send());
        let batch = machine.submit(dispatch(vec![htlc("p", 1_000, 1)]), T0);
        machine.confirmed(batch.entry).expect("it is the next entry");
        done(&mut machine, Abandon { id: id("A"), reason: FailureReason::UserAbandoned });
        done(&mut machine, FailPart { id: id("A"), part: part("p"), failure: Failure::default() });
        let unread = machine.query(|state| state.outbox().map(|at| at.id).collect());
        let ids = machine.release(unread).expect("it is durable");
        done(&mut machine, Acknowledge { ids });
        if again {
            done(&mut machine, send());
        }
        let Ok(Ok(DispatchReply::Overtaken { status, .. })) = machine.release(batch.ticket) else {
            panic!("it is no longer right to offer the part");
        };
        assert_eq!(status, again.then_some(Status::Pending));
    }
}

/// What the user cannot have seen cannot be acknowledged, also when it is on its way to the disk.
#[test]
fn a_notification_in_flight_is_the_future() {
    let mut machine = machine();
    done(&mut machine, send());
    let abandon = machine.submit(Abandon { id: id("A"), reason: FailureReason::UserAbandoned }, T0);
    let durable = machine.durable();
    let entry: Entry = abandon.entry.expect("it records the failure");
    let failed = payonce_core::NotificationId {
        seq: entry.first_seq(),
        chain: entry.after().chain.prefix(),
    };
    let acknowledge = machine.submit(Acknowledge { ids: vec![failed] }, T0);
    machine.confirmed([entry]).expect("it is the next entry");
    let refusal = AcknowledgeRefusal::Future { given: failed, durable: durable.seq };
    assert_eq!(machine.release(acknowledge.ticket).ok(), Some(Err(refusal)));
    assert_eq!(done(&mut machine, Acknowledge { ids: vec![failed] }).acknowledged, 1);
}

/// Two ledgers with the same history are the same bit for bit, whatever their seeds.
#[test]
fn nothing_observable_depends_on_the_seed() {
    let digests = [1, u64::MAX].map(|seed| {
        let disk = MemoryDisk::new(LedgerId::from_bytes([9; 32]));
        let opening = Opening::new(Remember::Forever, seed);
        let recovery = Ledger::open(disk.open(), &opening, T0).expect("it is empty");
        let mut ledger = recovery.finish(T0).expect("nothing fails");
        for n in 0..200_u8 {
            let payment = payonce_core::PaymentId::from_bytes([n; 32]);
            let request = pay(&format!("h{n}"), u64::from(n) + 1);
            ledger
                .execute(Pay { id: payment, request, again_after: None }, T0)
                .expect("it is accepted");
        }
        let due = ledger.query(|state| state.due(T0)).expect("up");
        (ledger.head(), due, ledger.query(State::digest).expect("up"))
    });
    assert_eq!(digests[0], digests[1]);
}

/// Who opens, what its program can say, and the store's own number of the taking-over are recorded.
#[test]
fn an_opening_says_who_took_the_ledger_over() {
    let disk = MemoryDisk::new(LedgerId::from_bytes([9; 32]));
    let mut opening = Opening::new(Remember::Window, 1);
    for (holder, number) in [("node-a", 1), ("node-b", 2)] {
        opening.holder = holder.into();
        drop(Ledger::open(disk.open(), &opening, T0).expect("it opens"));
        let mut last = None;
        let log = disk.open();
        history(&log, |record| {
            last = record.events.into_iter().next();
            ControlFlow::Continue(())
        })
        .expect("sound");
        let Some(Event::Opened { holder: told, fence, format, .. }) = last else {
            panic!("an opening: {last:?}")
        };
        assert_eq!((told.as_str(), fence, format), (holder, Some(number), FORMAT_VERSION));
    }
}

/// With the preimage the invoice is the proof of an offer's payment: it is kept, and one that is too long
/// costs no claim.
#[test]
fn the_invoice_that_was_paid_is_kept() {
    for (invoice, kept) in [(vec![7; 300], 300), (vec![7; limits::PAID_INVOICE_BYTES + 1], 0)] {
        let disk = MemoryDisk::new(LedgerId::from_bytes([9; 32]));
        let recovery = Ledger::open(disk.open(), &Opening::new(Remember::Forever, 1), T0);
        let mut ledger = recovery.expect("it opens").finish(T0).expect("nothing fails");
        ledger.execute(Pay::new(id("A"), pay("a", 1_000)), T0).expect("accepted");
        let parts = vec![htlc("p", 1_000, 1)];
        ledger.execute(Dispatch { id: id("A"), attempt: 1, parts }, T0).expect("recorded");
        let claim = ClaimPart::new(id("A"), part("p"), preimage("a")).invoice(&invoice);
        assert!(ledger.execute(claim, T0).expect("a claim is never refused").changed);
        ledger.save_snapshot().expect("kept");
        drop(ledger);
        let recovery = Ledger::open(disk.open(), &Opening::new(Remember::Forever, 1), T0);
        let mut ledger = recovery.expect("it opens").finish(T0).expect("nothing fails");
        let told = ledger.query(|state| {
            let payment = state.payment(&id("A")).expect("known");
            (payment.status(), payment.parts()[0].paid_invoice().len())
        });
        assert_eq!(told.expect("it answers"), (Status::Fulfilled, kept));
    }
}
