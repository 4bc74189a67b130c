//! What is not the ledger's own runs while nothing is locked: wakers, the tasks that they drop, and
//! what a caller asked for and nobody can read any more.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use payonce_runtime::SharedLedger;
use payonce_store_memory::Failure;

use crate::support::{
    NOW, Shared, Wrapped, disk, id, open, open_with, open_wrapped, options, poll_once, send,
    sender, wait_for_queue,
};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type Act = Box<dyn FnOnce() + Send>;

/// After so long something is locked that should not be.
const STUCK: Duration = Duration::from_secs(10);

/// Foreign code: needs the ledger, on another thread, and says whether it got it.
struct Foreign {
    needs: Mutex<Option<Act>>,
    /// A task that goes with it: an executor that has shut down drops its tasks when it is told.
    task: Mutex<Option<Task>>,
    free: Sender<bool>,
}

impl Foreign {
    fn new(needs: impl FnOnce() + Send + 'static) -> (Arc<Self>, Receiver<bool>) {
        let (free, is_free) = channel();
        let needs: Act = Box::new(needs);
        let foreign = Self { needs: Mutex::new(Some(needs)), task: Mutex::new(None), free };
        (Arc::new(foreign), is_free)
    }

    /// What needs the front and the store.
    fn asks(ledger: &Shared) -> (Arc<Self>, Receiver<bool>) {
        let ledger = ledger.clone();
        Self::new(move || drop(ledger.query(payonce_core::State::counts)))
    }

    fn run(&self) {
        let needs = self.needs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(needs) = needs else { return };
        let (done, is_done) = channel();
        thread::spawn(move || {
            needs();
            let _ = done.send(());
        });
        let free = is_done.recv_timeout(STUCK).is_ok();
        if free {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(task);
        }
        let _ = self.free.send(free);
    }

    /// Polls a task that is to wait, and gives it to this waker.
    fn hold(self: &Arc<Self>, mut task: Task) {
        let waker = Waker::from(Arc::clone(self));
        assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        *self.task.lock().expect("nobody panics") = Some(task);
    }
}

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.run();
    }
}

/// Runs foreign code when it is dropped.
struct Dropped(Arc<Foreign>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.run();
    }
}

fn assert_free(is_free: &Receiver<bool>) {
    assert!(is_free.recv_timeout(2 * STUCK).expect("it was run"), "something was locked");
}

/// A task that waits for the outcome itself: its first look was answered.
fn outcome(ledger: &Shared) -> Task {
    let waiting = ledger.clone();
    let mut task: Task = Box::pin(async move { drop(waiting.outcome_async(id(1)).await) });
    for _ in 0..3 {
        assert!(poll_once(task.as_mut()).is_pending());
        ledger.query(|_| ()).expect("open");
    }
    task
}

fn next_entry<S>(ledger: &SharedLedger<S>) -> Task
where
    S: payonce_core::EventStore + Send + 'static,
{
    let mut subscription = ledger.subscribe(ledger.head().seq + 1);
    Box::pin(async move { drop(subscription.read_async().await) })
}

fn old_entry(ledger: &Shared) -> Task {
    let mut subscription = ledger.subscribe(1);
    Box::pin(async move { drop(subscription.read_async().await) })
}

#[test]
fn closing_wakes_who_waits_for_an_outcome() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    let (foreign, is_free) = Foreign::asks(&ledger);
    foreign.hold(outcome(&ledger));
    drop(ledger.close());
    assert_free(&is_free);
}

#[test]
fn closing_wakes_a_subscriber() {
    let disk = disk();
    let ledger = open(&disk);
    let (foreign, is_free) = Foreign::asks(&ledger);
    foreign.hold(next_entry(&ledger));
    drop(ledger.close());
    assert_free(&is_free);
}

#[test]
fn closing_as_a_task_wakes_a_subscriber() {
    let disk = disk();
    let ledger = open(&disk);
    let (foreign, is_free) = Foreign::asks(&ledger);
    foreign.hold(next_entry(&ledger));
    drop(futures_executor::block_on(ledger.close_async()));
    assert_free(&is_free);
}

#[test]
fn the_last_handle_wakes_a_subscriber() {
    let disk = disk();
    let ledger = open(&disk);
    let mut other = ledger.subscribe(1);
    let (foreign, is_free) = Foreign::new(move || drop(other.try_read()));
    foreign.hold(next_entry(&ledger));
    drop(ledger);
    assert_free(&is_free);
}

#[test]
fn closing_wakes_who_waits_for_room() {
    let disk = disk();
    let ledger = open_with(&disk, options().queue_commands(1));
    let gate = disk.stall_nth(1);
    let first = sender(&ledger, 1);
    gate.wait_until_reached();
    let second = sender(&ledger, 2);
    wait_for_queue(&ledger, 1);
    let (foreign, is_free) = Foreign::new({
        let ledger = ledger.clone();
        move || drop(ledger.check())
    });
    let waiting = ledger.clone();
    foreign.hold(Box::pin(async move { drop(waiting.execute_async(send(3), NOW).await) }));
    let closing = thread::spawn(move || drop(ledger.close()));
    assert_free(&is_free);
    gate.open();
    for thread in [first, second] {
        thread.join().expect("no panic").expect("written");
    }
    closing.join().expect("no panic");
}

#[test]
fn a_store_that_fails_wakes_everybody() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    let (one, one_is_free) = Foreign::asks(&ledger);
    let (other, other_is_free) = Foreign::asks(&ledger);
    one.hold(outcome(&ledger));
    other.hold(next_entry(&ledger));
    disk.fail_nth(1, Failure::BeforeEffect);
    ledger.execute(send(2), NOW).expect_err("the store failed");
    assert_free(&one_is_free);
    assert_free(&other_is_free);
}

/// What was read for a task, on the writer thread.
#[test]
fn what_was_fetched_wakes_its_task() {
    let disk = disk();
    let ledger = open_with(&disk, options().feed_bytes(0));
    ledger.execute(send(1), NOW).expect("accepted");
    let (foreign, is_free) = Foreign::asks(&ledger);
    let gate = disk.stall_nth(1);
    foreign.hold(old_entry(&ledger));
    gate.wait_until_reached();
    gate.open();
    assert_free(&is_free);
}

/// What was to be read for a task, and never will be.
#[test]
fn what_is_not_fetched_any_more_wakes_its_task() {
    let disk = disk();
    let ledger = open_with(&disk, options().feed_bytes(0));
    ledger.execute(send(1), NOW).expect("accepted");
    // The writer thread is kept busy, and then meets a store that fails.
    let gate = disk.stall_nth(1);
    disk.fail_nth(1, Failure::BeforeEffect);
    let mut failing = Box::pin(ledger.execute_async(send(2), NOW));
    assert!(poll_once(failing.as_mut()).is_pending());
    gate.wait_until_reached();
    let (foreign, is_free) = Foreign::asks(&ledger);
    foreign.hold(old_entry(&ledger));
    gate.open();
    assert_free(&is_free);
    futures_executor::block_on(failing).expect_err("the store failed");
}

/// A store that panics on the writer thread while it is read.
#[test]
fn a_store_that_panics_while_it_is_read_wakes_everybody() {
    let disk = disk();
    let panics = Arc::new(AtomicBool::new(false));
    let store = Wrapped::new(&disk).panics_when_read(&panics);
    let ledger = open_wrapped(store);
    ledger.execute(send(1), NOW).expect("accepted");
    let (foreign, is_free) = Foreign::new({
        let ledger = ledger.clone();
        move || drop(ledger.check())
    });
    foreign.hold(next_entry(&ledger));
    panics.store(true, Ordering::Relaxed);
    let mut late = ledger.subscribe(1);
    futures_executor::block_on(late.read_async()).expect_err("poisoned");
    assert_free(&is_free);
}

/// Who waits for the store to be free, and is told by the writer thread.
#[test]
fn who_waits_to_close_is_woken() {
    let disk = disk();
    let ledger = open_with(&disk, options().feed_bytes(0));
    ledger.execute(send(1), NOW).expect("accepted");
    let gate = disk.stall_nth(1);
    let mut late = Box::pin(old_entry(&ledger));
    assert!(poll_once(late.as_mut()).is_pending());
    gate.wait_until_reached();
    let (foreign, is_free) = Foreign::asks(&ledger);
    let closing = ledger.clone();
    foreign.hold(Box::pin(async move { drop(closing.close_async().await) }));
    gate.open();
    assert_free(&is_free);
}

/// A future is polled with another waker, and the first one is dropped.
#[test]
fn a_waker_that_is_replaced_is_dropped_by_itself() {
    struct Replaced(Dropped);
    impl Wake for Replaced {
        fn wake(self: Arc<Self>) {
            let Self(Dropped(foreign)) = &*self;
            foreign.run();
        }
    }
    let disk = disk();
    let ledger = open(&disk);
    let (foreign, is_free) = Foreign::new({
        let ledger = ledger.clone();
        // Tells the task whose waker is being replaced.
        move || drop(ledger.close())
    });
    let mut task = next_entry(&ledger);
    let first = Waker::from(Arc::new(Replaced(Dropped(foreign))));
    assert!(task.as_mut().poll(&mut Context::from_waker(&first)).is_pending());
    drop(first);
    let _ = poll_once(task.as_mut());
    assert_free(&is_free);
}

/// What was asked for, and can never be read because the store failed.
#[test]
fn an_answer_that_nobody_can_read_is_dropped_by_itself() {
    let disk = disk();
    for as_a_task in [false, true] {
        let ledger = open(&disk);
        let (foreign, is_free) = Foreign::asks(&ledger);
        let answer = Dropped(foreign);
        disk.fail_nth(1, Failure::BeforeEffect);
        let told = if as_a_task {
            futures_executor::block_on(ledger.query_async(move |_| answer)).err()
        } else {
            ledger.query(move |_| answer).err()
        };
        assert!(told.is_some(), "the store failed");
        assert_free(&is_free);
    }
}

/// A waker that outlives its future is not kept by the ledger for ever, and is dropped by itself.
#[test]
fn a_future_that_is_dropped_drops_its_waker_by_itself() {
    struct Kept(#[allow(dead_code, reason = "dropped")] Dropped);
    impl Wake for Kept {
        fn wake(self: Arc<Self>) {}
    }
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    let (foreign, is_free) = Foreign::asks(&ledger);
    let waker = Waker::from(Arc::new(Kept(Dropped(foreign))));
    let mut task = outcome(&ledger);
    assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    drop(task);
    assert_free(&is_free);
}
