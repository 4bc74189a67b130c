//! Images of a state that goes on, and what a runtime of its own asks of a machine.

use std::thread;

use payonce_core::{
    Abandon, Acknowledge, AdoptPart, BlockHash, ClaimPart, CloseGap, Command, Config, Deadline,
    Dispatch, FailPart, FailureReason, FinalizePart, FinishRecovery, Head, Image, Ledger, LedgerId,
    Machine, Msat, Opening, PartId, PartKind, Pay, PayReply, PaymentId, ReceiveInvoice,
    ReleaseError, Remember, Reply, State, Tick, UnblockHash, UnixMillis, WithdrawPart,
};
use payonce_store_memory::MemoryDisk;

use crate::support::{T0, hash, htlc, id, offer, part, pay, permanent, preimage};

fn machine(remember: Remember) -> Machine {
    let state = State::new(LedgerId::from_bytes([9; 32]), 1);
    let (mut machine, opened) = Machine::open(state, Config::new(remember), "tests", false, T0);
    machine.confirmed([opened]).expect("it is the first entry");
    run(&mut machine, FinishRecovery, T0);
    machine
}

fn run(machine: &mut Machine, command: impl Into<Command>, now: UnixMillis) -> Reply {
    let step = machine.submit(command.into(), now);
    machine.confirmed(step.entry).expect("it is the next entry");
    match machine.release(step.ticket) {
        Ok(Ok(reply)) => reply,
        other => panic!("not done: {other:?}"),
    }
}

fn ask<T: std::fmt::Debug>(machine: &Machine, ask: impl FnOnce(&State) -> T) -> T {
    machine.release(machine.query(ask)).expect("nothing is in flight")
}

/// A whole life of the `n`th payment, part of a life, or a part that is out on its own: every list of
/// a state grows and shrinks.
fn live(machine: &mut Machine, n: u32, now: UnixMillis) {
    let (name, one) = (format!("p{n}"), format!("q{n}"));
    let (payment, a_part) = (id(&name), part(&one));
    run(machine, Pay::new(payment, pay(&name, 1_000).metadata(name.as_bytes())), now);
    let parts = vec![htlc(&one, 600, 1), htlc(&format!("r{n}"), 400, 1)];
    if !n.is_multiple_of(5) {
        run(machine, Dispatch { id: payment, attempt: 1, parts }, now);
    }
    match n % 5 {
        1 => {
            run(machine, ClaimPart::new(payment, a_part, preimage(&name)), now);
            run(machine, FinalizePart { id: payment, part: a_part }, now);
            let failed =
                FailPart { id: payment, part: part(&format!("r{n}")), failure: permanent() };
            run(machine, failed, now);
        }
        2 => {
            for failed in [a_part, part(&format!("r{n}"))] {
                run(machine, FailPart { id: payment, part: failed, failure: permanent() }, now);
            }
        }
        3 => {
            let adopted = AdoptPart {
                id: payment,
                part: part(&format!("s{n}")),
                payment_hash: hash("another"),
                amount: None,
                fee: Some(Msat(1)),
                kind: PartKind::Delegated,
            };
            run(machine, adopted, now);
            // What the log lacked makes it Restored.
            run(machine, CloseGap, now);
            // Some for one engine, some for another as well, some for none.
            let engine = ["", "lnd 1", "lnd 2"][n as usize / 5 % 3];
            run(machine, BlockHash::new(hash(&one)).engine(engine), now);
            run(machine, BlockHash::new(hash(&one)).engine("lnd 1"), now);
        }
        4 if n % 10 == 4 => {
            let earlier = format!("q{}", n - 1);
            run(machine, UnblockHash::new(hash(&earlier)), now);
            run(machine, UnblockHash::new(hash(&earlier)).engine("lnd 1"), now);
        }
        _ => {}
    }
    // Those of an even seq wait longer.
    let ids: Vec<_> = ask(machine, |state| {
        state
            .outbox()
            .map(|at| at.id)
            .filter(|at| !n.is_multiple_of(3) || !at.seq.is_multiple_of(2))
            .collect()
    });
    run(machine, Acknowledge { ids }, now);
    run(machine, Tick::new(), now);
}

/// Every image gives what the state had given when it was taken, whatever happened since, and so
/// does one that is encoded on another thread while more happens.
#[test]
fn an_image_stays_what_the_state_was() {
    for remember in [Remember::Window, Remember::Forever] {
        let mut machine = machine(remember);
        let mut taken: Vec<(Image, Head, Vec<u8>)> = Vec::new();
        let mut elsewhere = Vec::new();
        let mut most_unread = 0;
        for n in 0..400 {
            live(&mut machine, n, T0.plus(u64::from(n) * 30_000));
            let (image, head, bytes) =
                ask(&machine, |state| (state.image(), state.head(), state.encode()));
            most_unread = most_unread.max(ask(&machine, State::counts).unread);
            if n % 40 == 0 {
                let image = image.clone();
                elsewhere.push((thread::spawn(move || image.encode()), bytes.clone()));
            }
            taken.push((image, head, bytes));
        }
        for (image, head, bytes) in &taken {
            assert_eq!(image.head(), *head);
            assert!(image.encode() == *bytes, "the image at {head} changed");
            let again = State::decode(bytes, 7).expect("an encoded state");
            assert!(again.encode() == *bytes && again.image().encode() == *bytes);
        }
        for (encoding, bytes) in elsewhere {
            assert!(encoding.join().expect("nothing panics") == bytes);
        }
        assert!(most_unread > 1, "the outbox grew and shrank");
        let counts = ask(&machine, State::counts);
        assert!(counts.foreign_parts > 30 && counts.blocked > 30, "{counts:?}");
        assert_eq!(counts.remembered > 30, remember == Remember::Forever, "{counts:?}");
    }
}

#[test]
fn an_image_goes_to_other_threads() {
    fn check<T: std::marker::Send + Sync>() {}
    check::<Image>();
}

/// An image is a reply like any other: it is had once its head is durable.
#[test]
fn an_image_waits_for_its_head() {
    let mut machine = machine(Remember::Window);
    let step = machine.submit(Pay::new(id("A"), pay("a", 1_000)), T0);
    let Err(ReleaseError::NotDurable(image)) = machine.release(machine.query(State::image)) else {
        panic!("its head is not durable");
    };
    machine.confirmed(step.entry).expect("it is the next entry");
    let image = machine.release(image).expect("its head is durable");
    assert_eq!(image.head(), machine.durable());
    assert_eq!(image.encode(), machine.snapshot().expect("nothing is in flight").bytes);
}

fn withdrawn(names: &[&str]) -> Vec<WithdrawPart> {
    names.iter().map(|name| WithdrawPart { id: id("A"), part: part(name) }).collect()
}

/// A batch whose caller is gone: its parts are withdrawn, before or after its entry is durable, and
/// the payment can be dispatched again.
#[test]
fn a_batch_that_nobody_will_read_is_withdrawn() {
    for durable_first in [false, true] {
        let mut machine = machine(Remember::Window);
        run(&mut machine, Pay::new(id("A"), pay("a", 1_000)), T0);
        let parts = vec![htlc("p", 600, 1), htlc("q", 400, 1)];
        let step = machine.submit(Dispatch { id: id("A"), attempt: 1, parts: parts.clone() }, T0);
        let mut entries: Vec<_> = step.entry.into_iter().collect();
        if durable_first {
            machine.confirmed(entries.drain(..)).expect("in order");
        }
        let orphans = machine.forfeit(step.ticket);
        assert_eq!(orphans, withdrawn(&["p", "q"]));
        for orphan in orphans {
            entries.extend(machine.submit(orphan, T0).entry);
        }
        machine.confirmed(entries).expect("in order");
        assert_eq!(ask(&machine, State::counts).unresolved_parts, 0);
        let missing = ask(&machine, |state| state.remaining(&id("A"))).expect("it is pending");
        assert_eq!((missing.amount, missing.attempt), (Msat(1_000), 2));
    }
}

/// The right to offer is the recorded batch's alone; a reply to anything else takes nothing along.
#[test]
fn other_replies_forfeit_nothing() {
    let mut machine = machine(Remember::Window);
    let step = machine.submit(Pay::new(id("A"), pay("a", 1_000)), T0);
    machine.confirmed(step.entry).expect("in order");
    assert_eq!(machine.forfeit(step.ticket), []);
    let dispatch = Dispatch { id: id("A"), attempt: 1, parts: vec![htlc("p", 1_000, 1)] };
    run(&mut machine, dispatch.clone(), T0);
    let duplicate = machine.submit(Command::from(dispatch), T0);
    assert_eq!(machine.forfeit(duplicate.ticket), [], "a duplicate never is the right to offer");
    let refused = machine.submit(Dispatch { id: id("B"), attempt: 1, parts: vec![] }, T0);
    assert_eq!(machine.forfeit(refused.ticket), []);
    let tick = machine.submit(Tick::new(), T0);
    assert_eq!(machine.forfeit(tick.ticket), []);
}

#[test]
fn a_ticket_of_another_machine_forfeits_nothing() {
    let mut own = machine(Remember::Window);
    run(&mut own, Pay::new(id("A"), pay("a", 1_000)), T0);
    let step = own.submit(
        Command::from(Dispatch { id: id("A"), attempt: 1, parts: vec![htlc("p", 1_000, 1)] }),
        T0,
    );
    let other = machine(Remember::Window);
    assert_eq!(other.forfeit(step.ticket), []);
    own.confirmed(step.entry).expect("in order");
}

/// Read too late: the reply says that the batch was overtaken, and if nobody reads even that, its
/// parts are still to be withdrawn.
#[test]
fn an_overtaken_batch_is_withdrawn_too() {
    use payonce_core::Release;

    let mut machine = machine(Remember::Window);
    run(&mut machine, Pay::new(id("A"), pay("a", 1_000)), T0);
    let parts = vec![htlc("p", 1_000, 1)];
    let step = machine.submit(Dispatch { id: id("A"), attempt: 1, parts }, T0);
    machine.confirmed(step.entry).expect("in order");
    run(&mut machine, Abandon { id: id("A"), reason: FailureReason::UserAbandoned }, T0);
    let Ok(Ok(reply)) = machine.release(step.ticket) else { panic!("it is durable") };
    assert_eq!(reply.forfeit(), withdrawn(&["p"]));
}

/// A runtime of its own takes recovery and ledger apart and goes on with the two-step form.
#[test]
fn taken_apart_they_go_on() {
    let disk = MemoryDisk::new(LedgerId::from_bytes([9; 32]));
    let opening = Opening::new(Remember::Window, 1);
    let recovery = Ledger::open(disk.open(), &opening, T0).expect("it is empty");
    let (mut machine, mut store, lacks) = recovery.into_parts();
    assert!(!lacks && ask(&machine, State::is_recovering));
    let step = machine.submit(FinishRecovery, T0);
    payonce_core::EventStore::append(&mut store, step.entry.as_slice()).expect("it is the owner");
    machine.confirmed(step.entry).expect("in order");
    assert!(!ask(&machine, State::is_recovering));
    drop(store);

    let unknown = Head { seq: 99, ..Head::genesis(LedgerId::from_bytes([9; 32])) };
    let opening = opening.known_head(unknown);
    let recovery = Ledger::open(disk.open(), &opening, T0).expect("it is sound");
    let (_, store, lacks) = recovery.into_parts();
    assert!(lacks, "the log has no such head");
    drop(store);

    let recovery = Ledger::open(disk.open(), &opening, T0).expect("it is sound");
    let mut ledger = recovery.finish(T0).expect("nothing fails");
    ledger.close_gap(T0).expect("nothing fails");
    let reply = ledger.execute(Pay::new(id("A"), pay("a", 1_000)), T0).expect("accepted");
    assert_eq!(reply, PayReply::Accepted);
    let (head, (machine, _store)) = (ledger.head(), ledger.into_parts());
    assert_eq!(machine.durable(), head);
}

#[test]
fn since_when_the_oldest_is_unresolved() {
    let mut machine = machine(Remember::Window);
    let since = |machine: &Machine| ask(machine, State::oldest_unresolved_since);
    let (t1, t2, t3) = (T0.plus(1), T0.plus(2), T0.plus(3));
    assert_eq!(since(&machine), None);
    run(&mut machine, Pay::new(id("offer"), offer("o", 1_000, Deadline::Ticks(9))), t1);
    run(&mut machine, Pay::new(id("A"), pay("a", 1_000)), t2);
    run(&mut machine, Pay::new(id("B"), pay("b", 1_000)), t3);
    assert_eq!(since(&machine), Some(t1), "the offer");
    let received = ReceiveInvoice {
        id: id("offer"),
        payment_hash: hash("o"),
        amount: Msat(1_000),
        expiry: None,
    };
    run(&mut machine, received, t3);
    assert_eq!(since(&machine), Some(t2), "the offer came to Pending after the others");
    let (payment, one): (PaymentId, PartId) = (id("A"), part("p"));
    let parts = vec![htlc("p", 1_000, 1)];
    run(&mut machine, Dispatch { id: payment, attempt: 1, parts }, t3);
    run(&mut machine, Abandon { id: payment, reason: FailureReason::UserAbandoned }, t3);
    assert_eq!(since(&machine), Some(t2), "abandoned, and still out");
    run(&mut machine, ClaimPart::new(payment, one, preimage("a")), t3);
    assert_eq!(since(&machine), Some(t3), "what is paid is not unresolved");
    run(&mut machine, Abandon { id: id("B"), reason: FailureReason::UserAbandoned }, t3);
    assert_eq!(since(&machine), Some(t1), "nor is what has failed");
    run(&mut machine, Abandon { id: id("offer"), reason: FailureReason::UserAbandoned }, t3);
    assert_eq!(since(&machine), None);
}
