//! The acceptance scenarios that need a disk, each readable as its script: 16, 17, 19, 20, 26, 27,
//! 28, 32, 34, 47.

use std::{collections::BTreeSet, io::ErrorKind};

use payonce_core::{
    Acknowledge, Answer, ClaimPart, Dispatch, EventSource, ExecuteError, FinalizePart, Head,
    Ledger, LedgerError, Machine, MarkPaid, MaxFee, Msat, NewPart, NotificationId,
    NotificationKind, OpenError, Opening, PartId, Pay, PayReply, PaymentHash, PaymentId, Preimage,
    Recovery, ReleaseError, Remember, Replay, Request, RetryPolicy, State, StatusKind, Tick,
    UnixMillis, WithdrawPart, verify,
};
use payonce_store_fs::{
    Disk, FsStore, Options,
    model::{Fault, Image, ModelDisk},
};

use crate::support::{self, SMALL};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const SEED: u64 = 7;

type Disked = FsStore<ModelDisk>;

fn id(name: u8) -> PaymentId {
    PaymentId::from_bytes([name; 32])
}

fn part(name: u8) -> PartId {
    PartId::from_bytes([name; 32])
}

fn preimage(name: u8) -> Preimage {
    Preimage::from_bytes([name; 32])
}

fn request(payment_hash: PaymentHash, amount: Msat) -> Request {
    Request::invoice(payment_hash, amount, MaxFee::Unlimited, RetryPolicy::Attempts(0))
}

fn send(name: u8) -> Pay {
    Pay::new(id(name), request(preimage(name).payment_hash(), Msat(1_000_000)))
}

fn dispatch(name: u8, part_name: u8) -> Dispatch {
    let part = NewPart::Htlc {
        id: part(part_name),
        amount: Msat(1_000_000),
        fee: Msat(1_000),
        cltv_expiry: 800_000,
        first_channel: None,
    };
    Dispatch { id: id(name), attempt: 1, parts: vec![part] }
}

fn claim(name: u8, part_name: u8) -> ClaimPart {
    ClaimPart::new(id(name), part(part_name), preimage(name))
}

fn finalize(name: u8, part_name: u8) -> FinalizePart {
    FinalizePart { id: id(name), part: part(part_name) }
}

fn opening() -> Opening {
    Opening::new(Remember::Window, SEED)
}

/// A new log on a new disk, open and recovered.
fn new() -> (ModelDisk, Ledger<Disked>) {
    let disk = ModelDisk::default();
    let (store, _) = FsStore::create_on(disk.clone(), support::ledger(), SMALL).expect("empty");
    let recovery = Ledger::open(store, &opening(), NOW).expect("empty");
    (disk, recovery.finish(NOW).expect("sound"))
}

fn recovery_on<D: Disk>(disk: D) -> Recovery<FsStore<D>> {
    let (store, _) = FsStore::open_on(disk, SMALL).expect("a crash is no damage");
    Ledger::open(store, &opening(), NOW).expect("sound")
}

/// What the machine finds after it crashed now: everything that was synced, and nothing else.
fn crashed(disk: &ModelDisk) -> ModelDisk {
    ModelDisk::from_image(&disk.crash_images(disk.changes(), 1)[0])
}

fn due(ledger: &mut Ledger<Disked>) -> Vec<PaymentId> {
    let due = ledger.query(|state| state.due(NOW)).expect("sound");
    due.into_iter().map(|remaining| remaining.id).collect()
}

fn outbox(ledger: &mut Ledger<Disked>) -> Vec<(NotificationId, NotificationKind)> {
    let outbox = |state: &State| state.outbox().map(|told| (told.id, told.kind)).collect();
    ledger.query(outbox).expect("sound")
}

#[test]
fn scenario_16_crash_around_an_append() {
    let mut found = BTreeSet::new();
    for nth in 1.. {
        let (disk, mut ledger) = new();
        let before = disk.changes();
        disk.fail_nth(nth, Fault::Error(ErrorKind::Other));
        let sent = ledger.execute(send(1), NOW);
        if sent.is_ok() {
            break;
        }
        // The reply cannot be read; the ledger is poisoned.
        assert!(matches!(sent, Err(ExecuteError::Unavailable(LedgerError::Store(_)))), "{sent:?}");
        assert!(matches!(ledger.query(|_| ()), Err(LedgerError::Poisoned(_))));
        drop(ledger);
        for point in before..=disk.changes() {
            for image in disk.crash_images(point, 64) {
                let recovery = recovery_on(ModelDisk::from_image(&image));
                let mut ledger = recovery.finish(NOW).expect("sound");
                // A is unknown, or Pending without parts; a repeat is right in both.
                let was_due = due(&mut ledger);
                let repeat = ledger.execute(send(1), NOW).expect("right in both");
                match repeat {
                    PayReply::Accepted => assert_eq!(was_due, []),
                    PayReply::Duplicate(view) => {
                        assert_eq!(view.status.kind(), StatusKind::Pending);
                        assert_eq!(was_due, [id(1)]);
                    }
                }
                found.insert(was_due.len());
            }
        }
    }
    assert_eq!(found, BTreeSet::from([0, 1]), "both were met");
}

#[test]
fn scenario_17_crash_after_the_dispatch_is_durable_before_the_htlc_is_offered() {
    let never_sent = Answer::NeverSent(WithdrawPart { id: id(1), part: part(1) });
    for (answers, is_due) in
        [(vec![never_sent], true), (vec![Answer::StillInFlight], false), (vec![], false)]
    {
        let (disk, mut ledger) = new();
        ledger.execute(send(1), NOW).expect("sound");
        ledger.execute(dispatch(1, 1), NOW).expect("sound");
        let mut recovery = recovery_on(crashed(&disk));
        let unresolved = recovery.unresolved().expect("sound");
        assert_eq!(unresolved.len(), 1);
        assert!(unresolved[0].part.id == part(1) && unresolved[0].another_writer);
        for answer in recovery.answer(answers, NOW).expect("sound") {
            answer.expect("a known part");
        }
        let mut ledger = recovery.finish(NOW).expect("sound");
        assert_eq!(due(&mut ledger), if is_due { vec![id(1)] } else { vec![] });
        if is_due {
            let missing = ledger.query(|state| state.remaining(&id(1))).expect("sound");
            let missing = missing.expect("pending");
            // The attempt is given back; its number is not, so that no two batches share one.
            assert_eq!((missing.amount, missing.attempt), (Msat(1_000_000), 2));
            let again = Dispatch { attempt: missing.attempt, ..dispatch(1, 2) };
            ledger.execute(again, NOW).expect("with Attempts(0) too");
        }
    }
}

#[test]
fn scenario_19_crash_in_the_middle_of_a_claim() {
    for acknowledge in [false, true] {
        let (disk, mut ledger) = new();
        ledger.execute(send(1), NOW).expect("sound");
        ledger.execute(dispatch(1, 1), NOW).expect("sound");
        let before = disk.changes();
        ledger.execute(claim(1, 1), NOW).expect("sound");
        let delivered = outbox(&mut ledger);
        let [(delivered, NotificationKind::PaymentSent { .. })] = delivered[..] else {
            panic!("one")
        };
        if acknowledge {
            let ids = vec![delivered];
            ledger.execute(Acknowledge { ids }, NOW).expect("in the outbox");
        }
        drop(ledger);
        let (mut durable, mut acknowledged) = (BTreeSet::new(), BTreeSet::new());
        for point in before..=disk.changes() {
            for image in disk.crash_images(point, 64) {
                let mut recovery = recovery_on(ModelDisk::from_image(&image));
                let is_paid = |state: &State| {
                    let payment = state.payment(&id(1)).expect("known");
                    payment.status().kind() == StatusKind::Fulfilled
                };
                let was_paid = recovery.query(is_paid).expect("sound");
                // The node still has the preimage and tells it again.
                let told = Answer::Claimed(claim(1, 1));
                let told = recovery.answer([told], NOW).expect("sound");
                assert!(matches!(&told[..], [Ok(told)] if told.changed != was_paid), "{told:?}");
                let mut ledger = recovery.finish(NOW).expect("sound");
                let again = outbox(&mut ledger);
                assert!(again.len() <= 1, "one PaymentSent in effect, never PaymentFailed");
                for (again, notice) in &again {
                    assert!(matches!(
                        notice,
                        NotificationKind::PaymentSent { correction: false, .. }
                    ));
                    // The same id at each delivery; that of an entry that never was, is another.
                    assert_eq!(*again == delivered, was_paid);
                }
                assert!(!again.is_empty() || acknowledge && was_paid);
                durable.insert(was_paid);
                acknowledged.insert(again.is_empty());
            }
        }
        assert_eq!(durable, BTreeSet::from([false, true]), "the preimage durable or not");
        assert_eq!(acknowledged.contains(&true), acknowledge);
    }
}

#[test]
fn scenario_20_replay_does_not_repeat_effects() {
    let (mut disk, mut ledger) = new();
    ledger.execute(send(1), NOW).expect("sound");
    ledger.execute(dispatch(1, 1), NOW).expect("sound");
    ledger.execute(claim(1, 1), NOW).expect("sound");
    ledger.execute(finalize(1, 1), NOW).expect("sound");
    let [(sent, _), (part, NotificationKind::PartSucceeded { .. })] = outbox(&mut ledger)[..]
    else {
        panic!("two")
    };
    ledger.execute(Acknowledge { ids: vec![sent] }, NOW).expect("in the outbox");
    for nth in 0..10 {
        if nth == 5 {
            ledger.save_snapshot().expect("sound");
        }
        drop(ledger);
        disk = crashed(&disk);
        ledger = recovery_on(disk.clone()).finish(NOW).expect("sound");
        let told: Vec<_> = outbox(&mut ledger).into_iter().map(|(id, _)| id).collect();
        assert_eq!(told, [part], "what was acknowledged stays so, what was not comes again");
    }
}

/// What the ledger was after each entry.
type States = Vec<(Head, Vec<u8>)>;

/// A small history: two paid, two in flight, over several segments.
fn history() -> (ModelDisk, Ledger<Disked>, States) {
    let (disk, mut ledger) = new();
    let mut states = States::new();
    let mut note = |ledger: &mut Ledger<Disked>| {
        let state = ledger.query(State::encode).expect("sound");
        states.push((ledger.head(), state));
    };
    for name in 1..=4 {
        let mut send = send(name);
        // A kilobyte of zeros changes nothing.
        send.request.metadata = (&[0; 1_024]).into();
        ledger.execute(send, NOW).expect("sound");
        note(&mut ledger);
        ledger.execute(dispatch(name, name), NOW).expect("sound");
        note(&mut ledger);
        if name % 2 == 0 {
            ledger.execute(claim(name, name), NOW).expect("sound");
            note(&mut ledger);
            ledger.execute(finalize(name, name), NOW).expect("sound");
            note(&mut ledger);
        }
    }
    (disk, ledger, states)
}

#[test]
fn scenario_26_prefix_property() {
    let (disk, ledger, states) = history();
    let store = ledger.into_store();
    // For every n: folding the first n entries equals the state after entry n.
    let mut replay = Replay::new(support::ledger(), SEED);
    let mut folded = 0;
    store
        .replay(1, &mut |entry| {
            replay.entry(entry).expect("sound");
            if let Some((_, state)) = states.iter().find(|(at, _)| *at == replay.state().head()) {
                assert_eq!(replay.state().encode(), *state);
                folded += 1;
            }
            std::ops::ControlFlow::Continue(())
        })
        .expect("sound");
    assert_eq!(folded, states.len());
    let (head, whole) = states.last().expect("not empty");
    drop(store);
    // A snapshot at the end of any entry plus the rest equals the whole.
    for (at, state) in &states {
        use payonce_core::EventStore;

        let disk = ModelDisk::from_image(&disk.image());
        let (mut store, _) = FsStore::open_on(disk.clone(), SMALL).expect("sound");
        store.save_snapshot(*at, state).expect("the end of an entry");
        drop(store);
        let (store, _) = FsStore::open_on(disk, SMALL).expect("sound");
        let snapshot = store.load_snapshot(u64::MAX).expect("sound").expect("saved");
        assert_eq!(snapshot.at, *at);
        let state = State::decode(&snapshot.bytes, SEED).expect("an encoded state");
        let mut replay = Replay::from_state(state);
        replay.entries(&store).expect("sound");
        assert_eq!(replay.finish(*head).expect("the same head").encode(), *whole);
    }
}

/// Opens an image with what the node knows; the state before the opening, and whether it is
/// Restored.
fn opened(image: &Image, known: Option<Head>) -> Result<(Head, bool), String> {
    let disk = ModelDisk::from_image(image);
    let (store, _) = FsStore::open_on(disk, SMALL).map_err(|error| error.to_string())?;
    let found = store.head().expect("sound");
    let mut opening = opening();
    opening.known_head = known;
    let recovery = Ledger::open(store, &opening, NOW).map_err(|error| error.to_string())?;
    Ok((found, recovery.lacks_known_head()))
}

#[test]
fn scenario_27_cut_the_file_at_every_byte_of_its_unacknowledged_tail() {
    let (disk, ledger, states) = history();
    // As a crash leaves it: of a log that was closed it is known where it ended.
    let image = disk.image();
    drop(ledger);
    let newest = support::segments(&image).pop().expect("some");
    let size = image[&newest].len();
    let last = *support::frames(&image[&newest]).last().expect("some");
    let [.., (before, _), (after, _)] = &states[..] else { panic!("several") };
    let zeroed = (last.next_multiple_of(512)..size).step_by(512).map(|from| (from, size));
    let cut = (last..size).map(|from| (from, from));
    for (from, length) in zeroed.chain(cut) {
        let mut image = image.clone();
        let bytes = image.get_mut(&newest).expect("it is there");
        bytes.truncate(length);
        bytes[from..].fill(0);
        let (found, restored) = opened(&image, Some(*before)).expect("torn, not damaged");
        assert!(found == *before || found == *after, "{from}..{length}: {found}");
        assert!(!restored);
        // The node was told that the last entry is durable: then it is missed.
        let (found, restored) = opened(&image, Some(*after)).expect("torn, not damaged");
        assert_eq!(restored, found != *after);
    }
    // A deeper cut, opened with the head that the node knows => Restored.
    let first = support::frames(&image[&newest])[0];
    let mut deeper = image.clone();
    deeper.get_mut(&newest).expect("it is there").truncate(first + 40);
    assert!(opened(&deeper, Some(*after)).expect("torn, not damaged").1);
    // Damage before a seq that a later frame vouches for => refused.
    let mut damaged = image;
    let sector = first / 512 * 512 + 512;
    damaged.get_mut(&newest).expect("it is there")[sector..sector + 512].fill(0);
    let refused = opened(&damaged, None).expect_err("a later frame vouches");
    assert!(refused.contains(&newest) && refused.contains("durable"), "{refused}");
}

#[test]
fn scenario_28_flip_any_byte_of_acknowledged_history() {
    let (disk, mut ledger, _) = history();
    let at = ledger.save_snapshot().expect("sound");
    ledger.execute(claim(1, 1), NOW).expect("sound");
    let whole = verify(ledger.store(), SEED).expect("sound").digest();
    drop(ledger);
    let image = disk.image();
    let names = support::segments(&image);
    assert!(names.len() > 2, "{names:?}");
    for name in &names {
        let frames = support::frames(&image[name]);
        for byte in (0..512).step_by(16).chain(512..*frames.last().expect("some") + 20) {
            let mut image = image.clone();
            image.get_mut(name).expect("it is there")[byte] ^= 0x20;
            let disk = ModelDisk::from_image(&image);
            // From an opening only in what it reads; then from verify and a full replay.
            let refused = match FsStore::open_on(disk, SMALL) {
                Err(error) => error.to_string(),
                Ok((store, _)) => {
                    assert!(Some(name) != names.last(), "the newest is always read");
                    let error = verify(&store, SEED).expect_err("a full replay");
                    match Ledger::open(store, &opening(), NOW) {
                        Ok(mut recovery) => {
                            assert!(recovery.head().seq > at.seq, "from the snapshot");
                            recovery.unresolved().expect("sound");
                        }
                        Err(error) => assert!(matches!(error, OpenError::Replay(_)), "{error}"),
                    }
                    error.to_string()
                }
            };
            assert!(refused.contains(".log"), "byte {byte} of {name}: {refused}");
        }
    }
    let (store, _) = FsStore::open_on(ModelDisk::from_image(&image), SMALL).expect("sound");
    assert_eq!(verify(&store, SEED).expect("sound").digest(), whole);
}

#[test]
fn scenario_32_a_reply_waits_for_what_it_was_decided_on() {
    use payonce_core::EventStore;

    for fails in [false, true] {
        let (disk, ledger) = new();
        let mut store = ledger.into_store();
        let state = verify(&store, SEED).expect("sound");
        let config = opening().config;
        let (mut machine, opened) = Machine::open(state, config, "test", false, NOW);
        store.append(std::slice::from_ref(&opened)).expect("sound");
        machine.confirmed([opened]).expect("the first");
        let finished = machine.submit(payonce_core::FinishRecovery, NOW);
        if let Some(entry) = finished.entry {
            store.append(std::slice::from_ref(&entry)).expect("sound");
            machine.confirmed([entry]).expect("the next");
        }
        // Two callers, one batch: the second one's answer has nothing of its own to record.
        let first = machine.submit(send(1), NOW);
        let second = machine.submit(send(1), NOW);
        assert!(second.entry.is_none());
        let unread = |outcome| match outcome {
            Err(ReleaseError::NotDurable(ticket)) => ticket,
            other => panic!("read too early: {other:?}"),
        };
        let ticket = unread(machine.release(second.ticket));
        let entry = first.entry.expect("something to record");
        if fails {
            // The write arrives and the sync fails.
            disk.fail_nth(2, Fault::Error(ErrorKind::Other));
        }
        let appended = store.append(std::slice::from_ref(&entry));
        assert_eq!(appended.is_err(), fails);
        if fails {
            machine.poison();
            assert!(matches!(machine.release(ticket), Err(ReleaseError::Poisoned(_))));
            assert!(matches!(machine.release(first.ticket), Err(ReleaseError::Poisoned(_))));
            drop(entry);
        } else {
            machine.confirmed([entry]).expect("the next");
            let reply = machine.release(ticket).expect("durable").expect("a repeat");
            assert!(matches!(reply, PayReply::Duplicate(_)), "{reply:?}");
            let reply = machine.release(first.ticket).expect("durable").expect("new");
            assert_eq!(reply, PayReply::Accepted);
        }
    }
}

#[test]
fn scenario_34_a_tick_with_100_000_forgets() {
    const PAYMENTS: u32 = 100_000;
    let named = |nth: u32| {
        let mut name = [0; 32];
        name[..4].copy_from_slice(&nth.to_le_bytes());
        name
    };
    let directory = support::directory();
    let path = directory.path().join("log");
    let create = FsStore::create(&path, support::ledger(), Options::default());
    let recovery = Ledger::open(create.expect("empty").0, &opening(), NOW).expect("empty");
    let mut ledger = recovery.finish(NOW).expect("sound");
    let all: Vec<u32> = (0..PAYMENTS).collect();
    for some in all.chunks(10_000) {
        let sends = some.iter().map(|nth| {
            let hash = PaymentHash::from_bytes(named(*nth));
            Pay::new(PaymentId::from_bytes(named(*nth)), request(hash, Msat(1_000)))
        });
        for sent in ledger.execute_all(sends, NOW).expect("sound") {
            assert_eq!(sent.expect("new"), PayReply::Accepted);
        }
        let paid = some.iter().map(|nth| MarkPaid::new(PaymentId::from_bytes(named(*nth))));
        for told in ledger.execute_all(paid, NOW).expect("sound") {
            assert!(told.expect("known").changed);
        }
        while let told @ [_, ..] = &ledger
            .query(|state| state.outbox().take(4_096).map(|told| told.id).collect::<Vec<_>>())
            .expect("sound")[..]
        {
            ledger.execute(Acknowledge { ids: told.to_vec() }, NOW).expect("in the outbox");
        }
    }
    let (mut forgotten, mut entries) = (0, 0);
    for minute in 1..=9 {
        let now = UnixMillis(NOW.0 + minute * 60_000);
        loop {
            let before = ledger.head();
            let ticked = ledger.execute(Tick::new(), now).expect("never refused");
            forgotten += ticked.forgotten;
            entries += usize::from(ticked.forgotten > 0 && ledger.head() != before);
            if !ticked.more {
                break;
            }
        }
        assert_eq!(forgotten, if minute < 8 { 0 } else { PAYMENTS as usize }, "minute {minute}");
    }
    assert!(entries > 1, "in several entries");
    let digest = ledger.query(State::digest).expect("sound");
    drop(ledger);
    let (store, report) = FsStore::open(&path, Options::default()).expect("sound");
    assert!(report.cut.is_none());
    assert_eq!(verify(&store, SEED).expect("sound").digest(), digest);
}

/// Whichever sync the disk refuses, one while the segment grows included.
#[test]
fn scenario_47_a_disk_that_refused_one_write_while_the_file_grew() {
    const PAYMENTS: u16 = 200;

    let named = |nth: u16| {
        let mut name = [7; 32];
        name[..2].copy_from_slice(&nth.to_be_bytes());
        name
    };
    let send = |nth: u16| {
        let request = request(PaymentHash::from_bytes(named(nth)), Msat(1_000));
        Pay::new(PaymentId::from_bytes(named(nth)), request)
    };
    let mut refused_while_growing = 0;
    for nth in 1..40 {
        let (disk, mut ledger) = new();
        disk.fail_nth_sync(nth);
        let bytes = |disk: &ModelDisk| disk.image().values().map(Vec::len).sum::<usize>();
        let (mut known, mut before) = (0, bytes(&disk));
        while ledger.execute(send(known), NOW).is_ok() {
            (known, before) = (known + 1, bytes(&disk));
        }
        refused_while_growing += u32::from(bytes(&disk) > before);
        drop(ledger);
        // Reopened as documented.
        let mut ledger = recovery_on(disk.clone()).finish(NOW).expect("sound");
        for nth in known..known + PAYMENTS {
            ledger.execute(send(nth), NOW).expect("the disk works again");
        }
        // The file cache is dropped: what the disk does not have is not there.
        let left = crashed(&disk);
        let mut ledger = recovery_on(left).finish(NOW).expect("sound");
        for nth in 0..known + PAYMENTS {
            let id = PaymentId::from_bytes(named(nth));
            let is_there = ledger.query(|state| state.payment(&id).is_some()).expect("sound");
            assert!(is_there, "payment {nth} of {}", known + PAYMENTS);
        }
    }
    assert!(refused_while_growing > 3, "{refused_while_growing}");
}
