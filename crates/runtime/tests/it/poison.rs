//! A store that fails or panics: everybody is told, nobody waits for ever.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use payonce_core::{PayReply, StoreError};
use payonce_runtime::{ExecuteError, MaintenanceError, OutcomeError, Unavailable};
use payonce_store_memory::Failure;

use crate::support::{
    NOW, Wrapped, disk, id, open, open_wrapped, poll_once, send, sender, wait_for_queue,
};

fn is_poisoned(unavailable: &Unavailable) -> bool {
    matches!(unavailable, Unavailable::Poisoned { .. })
}

#[test]
fn poison_reaches_every_caller() {
    for failure in [Failure::BeforeEffect, Failure::AfterEffect] {
        let disk = disk();
        let ledger = open(&disk);
        ledger.execute(send(0), NOW).expect("accepted");
        disk.fail_nth(1, failure);
        let gate = disk.stall_nth(1);
        let first = sender(&ledger, 1);
        gate.wait_until_reached();
        let mut outcome = pin!(ledger.outcome_async(id(0)));
        let mut subscription = ledger.subscribe(ledger.head().seq + 1);
        let mut fed = pin!(subscription.read_async());
        assert!(poll_once(outcome.as_mut()).is_pending());
        assert!(poll_once(fed.as_mut()).is_pending());
        let others: Vec<_> = (2..10).map(|nth| sender(&ledger, nth)).collect();
        wait_for_queue(&ledger, 8);
        let mut task = pin!(ledger.execute_async(send(10), NOW));
        assert!(poll_once(task.as_mut()).is_pending());
        gate.open();
        for caller in [first].into_iter().chain(others) {
            let error = caller.join().expect("no panic").expect_err("the store failed");
            let ExecuteError::Unavailable(Unavailable::Poisoned { cause: Some(cause) }) = error
            else {
                panic!("{error:?}")
            };
            assert!(matches!(*cause, StoreError::Backend(_)), "{cause:?}");
        }
        let Poll::Ready(Err(ExecuteError::Unavailable(unavailable))) = poll_once(task) else {
            panic!("the task is told")
        };
        assert!(is_poisoned(&unavailable));
        let Poll::Ready(Err(OutcomeError::Unavailable(unavailable))) = poll_once(outcome) else {
            panic!("who waits for an outcome is told")
        };
        assert!(is_poisoned(&unavailable));
        assert!(matches!(poll_once(fed), Poll::Ready(Err(_))), "the subscriber is told");
        let later = ledger.query(payonce_core::State::counts).expect_err("nothing is answered");
        assert!(is_poisoned(&later));
        assert!(
            matches!(ledger.verify(1), Err(MaintenanceError::Unavailable(at)) if is_poisoned(&at))
        );
        let found = open(&disk).query(|state| state.counts().pending).expect("reopened");
        assert_eq!(found, if failure == Failure::AfterEffect { 2 } else { 1 });
    }
}

#[test]
fn of_a_batch_at_most_a_prefix_took_effect() {
    let disk = disk();
    let ledger = open(&disk);
    disk.fail_nth(1, Failure::AfterEntries(3));
    let error = ledger.execute_all((0..8).map(send), NOW).expect_err("the store failed");
    assert!(is_poisoned(&error));
    let reopened = open(&disk);
    let repeats = reopened.execute_all((0..8).map(send), NOW).expect("nothing fails");
    let known = repeats.iter().take_while(|reply| matches!(reply, Ok(PayReply::Duplicate(_))));
    assert_eq!(known.count(), 3);
    assert!(repeats[3..].iter().all(|reply| *reply == Ok(PayReply::Accepted)));
}

#[test]
fn a_store_that_panics_ends_the_ledger_and_not_its_callers() {
    let disk = disk();
    let panics = Arc::new(AtomicBool::new(false));
    let ledger = open_wrapped(Wrapped::new(&disk).panics_when(&panics));
    panics.store(true, Ordering::Relaxed);
    let gate = disk.stall_nth(1);
    let first = {
        let ledger = ledger.clone();
        std::thread::spawn(move || ledger.execute(send(1), NOW))
    };
    gate.wait_until_reached();
    let second = {
        let ledger = ledger.clone();
        std::thread::spawn(move || ledger.execute(send(2), NOW))
    };
    wait_for_queue(&ledger, 1);
    gate.open();
    assert!(first.join().is_err(), "the panic is the caller's whose call met it");
    let error = second.join().expect("no panic").expect_err("poisoned");
    assert!(matches!(error, ExecuteError::Unavailable(Unavailable::Poisoned { cause: None })));
}

#[test]
fn a_store_that_panics_on_the_writer_thread_tells_the_task() {
    let disk = disk();
    let panics = Arc::new(AtomicBool::new(false));
    let ledger = open_wrapped(Wrapped::new(&disk).panics_when(&panics));
    panics.store(true, Ordering::Relaxed);
    let told = futures_executor::block_on(ledger.execute_async(send(1), NOW));
    assert!(
        matches!(told, Err(ExecuteError::Unavailable(Unavailable::Poisoned { .. }))),
        "{told:?}"
    );
    let told = futures_executor::block_on(ledger.verify_async(1));
    assert!(told.is_err());
}

#[test]
fn a_query_that_panics_harms_nobody_else() {
    let disk = disk();
    let ledger = open(&disk);
    let asking = ledger.clone();
    let panicked = std::thread::spawn(move || asking.query(|_| panic!("the caller's own")));
    assert!(panicked.join().is_err());
    assert_eq!(ledger.execute(send(1), NOW).expect("goes on"), PayReply::Accepted);
}

#[test]
fn being_shut_out_is_told_as_the_store_tells_it() {
    let disk = disk();
    let ledger = open(&disk);
    let other = open(&disk);
    let error = ledger.execute(send(1), NOW).expect_err("taken over");
    let ExecuteError::Unavailable(Unavailable::Poisoned { cause: Some(cause) }) = error else {
        panic!("{error:?}")
    };
    assert!(matches!(*Arc::clone(&cause), StoreError::Fenced { .. }));
    assert_eq!(other.execute(send(1), NOW).expect("the writer"), PayReply::Accepted);
}

/// Collects what the log is told.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        use std::fmt::Write;
        let mut line = event.metadata().level().to_string();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            let _ = write!(line, " {field}={value:?}");
        });
        self.0.lock().expect("nobody panics").push(line);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// The snapshot failed and left the log in doubt, and an append met that first: what failed is told,
/// and not that something did.
#[test]
fn the_first_cause_is_told_to_everybody_and_to_the_log() {
    let lines = Lines::default();
    let poisoned = || -> Vec<String> {
        let lines = lines.0.lock().expect("nobody panics");
        lines.iter().filter(|line| line.starts_with("ERROR")).cloned().collect()
    };
    let disk = disk();
    let doubt = Arc::new(AtomicBool::new(false));
    let ledger = open_wrapped(Wrapped::new(&disk).leaves_doubt_when(&doubt));
    ledger.execute(send(0), NOW).expect("accepted");
    doubt.store(true, Ordering::Relaxed);
    // With one subscriber alone tracing asks the thread that meets a line first, which may be another test's and
    // has none: the line is silent then, for everybody.
    let _second = tracing::Dispatch::new(Lines::default());
    let saved = tracing::subscriber::with_default(lines.clone(), || ledger.save_snapshot());
    let told = saved.expect_err("told to fail");
    let MaintenanceError::Unavailable(first) = told else { panic!("{told:?}") };
    let ExecuteError::Unavailable(later) = ledger.execute(send(1), NOW).expect_err("poisoned")
    else {
        panic!("not refused")
    };
    let asked = ledger.check().expect_err("poisoned");
    let kept = ledger.save_snapshot().expect_err("poisoned");
    let MaintenanceError::Unavailable(kept) = kept else { panic!("{kept:?}") };
    for told in [first, later, asked, kept] {
        let Unavailable::Poisoned { cause: Some(cause) } = told else { panic!("{told:?}") };
        assert!(cause.to_string().contains("the sync of a name failed"), "{cause}");
    }
    assert_eq!(poisoned().len(), 1, "{:?}", poisoned());
    assert!(poisoned()[0].contains("the sync of a name failed"), "{:?}", poisoned());
}

/// As above, where an append learns of the doubt while the snapshot's failure is on its way.
#[test]
fn an_append_that_meets_the_doubt_first_waits_for_its_cause() {
    let disk = disk();
    let doubt = Arc::new(AtomicBool::new(false));
    let (failing, fails) = std::sync::mpsc::channel();
    let (answered, answer) = std::sync::mpsc::channel();
    let (appended, appends) = std::sync::mpsc::channel();
    let store = Wrapped::new(&disk)
        .leaves_doubt_when(&doubt)
        .after_append(move || appended.send(()).expect("the test listens"))
        .saves_beside(move || {
            failing.send(()).expect("the test listens");
            answer.recv().expect("the test answers");
        });
    let ledger = open_wrapped(store);
    ledger.execute(send(0), NOW).expect("accepted");
    while appends.try_recv().is_ok() {}
    doubt.store(true, Ordering::Relaxed);
    let saving = {
        let ledger = ledger.clone();
        std::thread::spawn(move || ledger.save_snapshot())
    };
    // The store is in doubt, and has not said why.
    fails.recv().expect("it saves");
    let caller = sender(&ledger, 1);
    appends.recv().expect("it appends");
    answered.send(()).expect("it waits");
    let error = caller.join().expect("no panic").expect_err("poisoned");
    let ExecuteError::Unavailable(Unavailable::Poisoned { cause: Some(cause) }) = error else {
        panic!("{error:?}")
    };
    assert!(cause.to_string().contains("the sync of a name failed"), "{cause}");
    saving.join().expect("no panic").expect_err("told to fail");
}

#[test]
fn a_store_that_panics_while_history_is_read_ends_the_ledger() {
    let disk = disk();
    for as_a_task in [false, true] {
        let panics = Arc::new(AtomicBool::new(false));
        let ledger = open_wrapped(Wrapped::new(&disk).panics_when_read(&panics));
        ledger.execute(send(1), NOW).expect("accepted");
        panics.store(true, Ordering::Relaxed);
        if as_a_task {
            let told = futures_executor::block_on(ledger.verify_async(1));
            assert!(matches!(told, Err(MaintenanceError::Unavailable(at)) if is_poisoned(&at)));
        } else {
            let verifying = ledger.clone();
            let panicked = std::thread::spawn(move || verifying.verify(1)).join();
            assert!(panicked.is_err(), "the panic is the caller's whose call met it");
        }
        assert!(is_poisoned(&ledger.check().expect_err("ended")));
        drop(ledger.close());
    }
}
