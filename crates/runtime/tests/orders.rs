//! The orders in which a few threads can meet at the front: who leads, who is told, who closes. A
//! thread that nobody wakes is found as a deadlock.
//!
//! ```sh
//! RUSTFLAGS="--cfg payonce_shuttle" cargo test --release --target-dir target/orders -p payonce-runtime --test orders
//! ```

#![cfg(payonce_shuttle)]

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Wake, Waker},
};

use payonce_core::{
    Backoff, ClaimPart, Dispatch, LedgerId, MaxFee, Msat, NewPart, Opening, PartId, PartStatus,
    Pay, PayRefusal, PayReply, PaymentId, Preimage, Remember, Request, RetryPolicy, Status,
    UnixMillis,
};
use payonce_runtime::{ExecuteError, MaintenanceError, Options, SharedLedger, Unavailable};
use payonce_store_memory::{Failure, MemoryDisk, MemoryStore};
use shuttle::{
    Config, Runner,
    future::block_on,
    scheduler::{PctScheduler, RandomScheduler},
    sync::Mutex,
    thread,
};

/// How many orders each scheduler tries of each model.
const ORDERS: usize = 10_000;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

type Shared = SharedLedger<MemoryStore>;

/// Runs a model in many orders: at random, and with few changes of the running thread, which finds
/// most faults (Burckhardt and others, "A randomized scheduler with probabilistic guarantees", 2010).
/// A failing order is printed, and run again with `shuttle::replay`.
fn many_orders(model: impl Fn() + Copy + Sync + Send + 'static) {
    let mut config = Config::new();
    // The core decides on the stack of a model's thread.
    config.stack_size = 1 << 20;
    Runner::new(RandomScheduler::new(ORDERS), config.clone()).run(model);
    Runner::new(PctScheduler::new(3, ORDERS), config).run(model);
}

fn open(disk: &MemoryDisk, queue: usize) -> Shared {
    let options = Options::DEFAULT.snapshot_every_bytes(None).queue_commands(queue);
    let opening = Opening::new(Remember::Window, 42);
    let recovery = SharedLedger::open(disk.open(), &opening, options, NOW).expect("sound");
    recovery.finish(NOW).expect("nothing fails")
}

fn new(queue: usize) -> (MemoryDisk, Shared) {
    let disk = MemoryDisk::new(LedgerId::from_bytes([7; 32]));
    let ledger = open(&disk, queue);
    (disk, ledger)
}

fn preimage(nth: u8) -> Preimage {
    Preimage::from_bytes([nth; 32])
}

fn id(nth: u8) -> PaymentId {
    PaymentId::from_payment_hash(preimage(nth).payment_hash())
}

fn part(nth: u8) -> PartId {
    PartId::from_bytes([nth; 32])
}

fn send(nth: u8) -> Pay {
    let hash = preimage(nth).payment_hash();
    let request = Request::invoice(hash, Msat(1_000), MaxFee::Unlimited, RetryPolicy::Manual);
    Pay::new(id(nth), request.backoff(Backoff::NONE))
}

fn dispatch(nth: u8) -> Dispatch {
    let parts = vec![NewPart::htlc(part(nth), Msat(1_000), Msat(10), 900_000)];
    Dispatch { id: id(nth), attempt: 1, parts }
}

/// A thread that sends a payment.
fn sender(
    ledger: &Shared,
    nth: u8,
) -> thread::JoinHandle<Result<PayReply, ExecuteError<PayRefusal, Unavailable>>> {
    let ledger = ledger.clone();
    thread::spawn(move || ledger.execute(send(nth), NOW))
}

fn accepted(ledger: &Shared, nth: u8) {
    assert_eq!(ledger.execute(send(nth), NOW).expect("accepted"), PayReply::Accepted);
}

/// What is on disk, as an auditor finds it.
fn pending(disk: &MemoryDisk) -> usize {
    payonce_core::verify(&disk.open(), 1).expect("sound").counts().pending
}

#[test]
fn threads_hand_the_lead_over() {
    many_orders(|| {
        let (disk, ledger) = new(16);
        let callers = [1, 2].map(|nth| sender(&ledger, nth));
        accepted(&ledger, 3);
        for caller in callers {
            assert_eq!(caller.join().expect("no panic").expect("accepted"), PayReply::Accepted);
        }
        assert_eq!(pending(&disk), 3);
        assert!(ledger.close().is_some());
    });
}

#[test]
fn a_task_is_served_beside_a_thread() {
    many_orders(|| {
        let (disk, ledger) = new(16);
        let caller = sender(&ledger, 1);
        let reply = block_on(ledger.execute_async(send(2), NOW)).expect("accepted");
        assert_eq!(reply, PayReply::Accepted);
        assert_eq!(caller.join().expect("no panic").expect("accepted"), PayReply::Accepted);
        assert_eq!(pending(&disk), 2);
        assert!(ledger.close().is_some());
    });
}

#[test]
fn nobody_who_waits_for_room_is_left_behind() {
    many_orders(|| {
        let (disk, ledger) = new(1);
        let callers = [1, 2].map(|nth| sender(&ledger, nth));
        accepted(&ledger, 3);
        for caller in callers {
            assert_eq!(caller.join().expect("no panic").expect("accepted"), PayReply::Accepted);
        }
        assert_eq!(pending(&disk), 3);
    });
}

#[test]
fn a_store_that_fails_is_told_to_all() {
    for failure in [Failure::BeforeEffect, Failure::AfterEffect] {
        many_orders(move || {
            let (disk, ledger) = new(16);
            disk.fail_nth(1, failure);
            let caller = sender(&ledger, 1);
            let own = ledger.execute(send(2), NOW);
            let other = caller.join().expect("no panic");
            for reply in [own, other] {
                let told = reply.expect_err("the first append failed");
                assert!(
                    matches!(
                        told,
                        ExecuteError::Unavailable(Unavailable::Poisoned { cause: Some(_) })
                    ),
                    "{told:?}"
                );
            }
            assert!(ledger.check().is_err());
            drop(ledger.close());
        });
    }
}

/// Also who was to lead next, and had not begun to, when something beside the appends ended it all.
#[test]
fn a_store_that_fails_beside_the_appends_is_told_to_all() {
    for nth in 1..=6 {
        many_orders(move || {
            let (disk, ledger) = new(16);
            accepted(&ledger, 9);
            let base = ledger.save_snapshot().expect("nothing fails yet");
            disk.fail_nth(nth, Failure::BeforeEffect);
            let callers = [1, 2].map(|nth| sender(&ledger, nth));
            let dropped = ledger.drop_history(base, 1);
            let replies = callers.map(|caller| caller.join().expect("no panic"));
            let recorded = replies.iter().filter(|reply| reply.is_ok()).count();
            for reply in replies {
                match reply {
                    Ok(reply) => assert_eq!(reply, PayReply::Accepted),
                    Err(ExecuteError::Unavailable(Unavailable::Poisoned { .. })) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
            // A read that fails ends nothing.
            let ended = recorded < 2 || matches!(dropped, Err(MaintenanceError::Unavailable(_)));
            assert_eq!(ledger.check().is_err(), ended, "{dropped:?}");
            // More of them if it ended between what became durable and its being told.
            assert!(pending(&disk) > recorded, "what was told is there");
            // Nobody is waited for who will never come.
            drop(ledger.close());
        });
    }
}

#[test]
fn closing_loses_nothing_that_was_taken() {
    many_orders(|| {
        let (disk, ledger) = new(16);
        let caller = sender(&ledger, 1);
        let closer = {
            let ledger = ledger.clone();
            thread::spawn(move || ledger.close().is_some())
        };
        let first = ledger.close().is_some();
        assert!(first ^ closer.join().expect("no panic"), "one gets the store");
        match caller.join().expect("no panic") {
            Ok(reply) => assert_eq!((reply, pending(&disk)), (PayReply::Accepted, 1)),
            Err(ExecuteError::Unavailable(Unavailable::Closed)) => assert_eq!(pending(&disk), 0),
            Err(other) => panic!("{other:?}"),
        }
    });
}

#[test]
fn the_last_handle_lets_the_writer_finish() {
    many_orders(|| {
        let (disk, ledger) = new(16);
        {
            let mut given_up = pin!(ledger.execute_async(send(1), NOW));
            let _ = given_up.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        drop(ledger);
        // The writer thread ends by itself, or a deadlock is found; what it wrote is whole.
        assert!(pending(&disk) <= 1);
    });
}

#[test]
fn a_dispatch_given_up_leaves_no_right_behind() {
    many_orders(|| {
        let (disk, ledger) = new(16);
        accepted(&ledger, 1);
        let read = {
            let mut given_up = pin!(ledger.execute_async(dispatch(1), NOW));
            given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        let kept = if read { PartStatus::InFlight } else { PartStatus::Withdrawn };
        let fate = ledger.query(|state| state.part(&part(1))).expect("open");
        assert_eq!(fate, Some((id(1), kept)));
        assert!(ledger.close().is_some());
        let state = payonce_core::verify(&disk.open(), 1).expect("sound");
        assert_eq!(state.counts().unresolved_parts, usize::from(read));
    });
}

#[test]
fn an_outcome_is_never_missed() {
    many_orders(|| {
        let (_disk, ledger) = new(16);
        accepted(&ledger, 1);
        ledger.execute(dispatch(1), NOW).expect("recorded");
        let waiter = {
            let ledger = ledger.clone();
            thread::spawn(move || ledger.outcome(id(1)))
        };
        ledger.execute(ClaimPart::new(id(1), part(1), preimage(1)), NOW).expect("the proof");
        let view = waiter.join().expect("no panic").expect("known");
        assert_eq!(view.status, Status::Fulfilled);
    });
}

#[test]
fn who_is_told_of_an_outcome_twice_keeps_it_from_nobody() {
    many_orders(|| {
        let (_disk, ledger) = new(16);
        accepted(&ledger, 1);
        ledger.execute(dispatch(1), NOW).expect("recorded");
        // More than one thread tells; who has seen the outcome by itself does not wait to tell on.
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let ledger = ledger.clone();
                thread::spawn(move || ledger.outcome(id(1)))
            })
            .collect();
        ledger.execute(ClaimPart::new(id(1), part(1), preimage(1)), NOW).expect("the proof");
        for waiter in waiters {
            let view = waiter.join().expect("no panic").expect("known");
            assert_eq!(view.status, Status::Fulfilled);
        }
    });
}

#[test]
fn a_subscriber_misses_nothing() {
    many_orders(|| {
        let (_disk, ledger) = new(16);
        let mut subscription = ledger.subscribe(ledger.head().seq + 1);
        let reader = thread::spawn(move || subscription.read());
        accepted(&ledger, 1);
        let confirmed = reader.join().expect("no panic").expect("open");
        assert_eq!(confirmed.events.len(), 1);
    });
}

/// A task of an executor that has shut down: told once, it is dropped, which may take locks of the
/// ledger. Under one of them that is a deadlock.
struct Gone(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Gone {
    /// Polls a task that may have to wait, and leaves it to its waker.
    fn task(task: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        let gone = Arc::new(Self(Mutex::new(None)));
        let waker = Waker::from(Arc::clone(&gone));
        let mut task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task);
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            *gone.0.lock().expect("nobody panics") = Some(task);
        }
        gone
    }
}

impl Wake for Gone {
    fn wake(self: Arc<Self>) {
        let task = self.0.lock().expect("nobody panics").take();
        drop(task);
    }
}

/// Waits for an outcome, for the next entry, for an old one, for room, each as a task.
fn waiting_tasks(ledger: &Shared) -> [Arc<Gone>; 4] {
    let (one, two) = (ledger.clone(), ledger.clone());
    let mut next = ledger.subscribe(ledger.head().seq + 1);
    let mut old = ledger.subscribe(1);
    [
        Gone::task(async move { drop(one.outcome_async(id(1)).await) }),
        Gone::task(async move { drop(next.read_async().await) }),
        Gone::task(async move { drop(old.read_async().await) }),
        Gone::task(async move { drop(two.execute_async(send(2), NOW).await) }),
    ]
}

#[test]
fn whoever_is_woken_by_closing_may_drop_its_task() {
    many_orders(|| {
        let (_disk, ledger) = new(1);
        accepted(&ledger, 1);
        let caller = sender(&ledger, 3);
        let tasks = waiting_tasks(&ledger);
        drop(ledger.close());
        drop(caller.join().expect("no panic"));
        drop(tasks);
    });
}

#[test]
fn whoever_is_woken_by_the_last_handle_may_drop_its_task() {
    many_orders(|| {
        let (disk, ledger) = new(16);
        accepted(&ledger, 1);
        let mut next = ledger.subscribe(ledger.head().seq + 1);
        let mut old = ledger.subscribe(1);
        let tasks = [
            Gone::task(async move { drop(next.read_async().await) }),
            Gone::task(async move { drop(old.read_async().await) }),
        ];
        let caller = sender(&ledger, 2);
        drop(ledger);
        assert_eq!(caller.join().expect("no panic").expect("accepted"), PayReply::Accepted);
        drop(tasks);
        assert_eq!(pending(&disk), 2);
    });
}

#[test]
fn whoever_is_woken_by_a_store_that_fails_may_drop_its_task() {
    for nth in 1..=3 {
        many_orders(move || {
            let (disk, ledger) = new(16);
            accepted(&ledger, 1);
            disk.fail_nth(nth, Failure::BeforeEffect);
            let tasks = waiting_tasks(&ledger);
            let caller = sender(&ledger, 3);
            drop(caller.join().expect("no panic"));
            drop(ledger.close());
            drop(tasks);
        });
    }
}

/// A verification beside payments, and one that closing ends.
#[test]
fn who_reads_history_holds_nobody_up() {
    many_orders(|| {
        let (disk, ledger) = new(16);
        accepted(&ledger, 1);
        let caller = sender(&ledger, 2);
        let verifying = {
            let ledger = ledger.clone();
            thread::spawn(move || ledger.verify(1))
        };
        assert_eq!(caller.join().expect("no panic").expect("accepted"), PayReply::Accepted);
        assert!(ledger.close().is_some());
        match verifying.join().expect("no panic") {
            Ok(_) | Err(MaintenanceError::Unavailable(Unavailable::Closed)) => {}
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(pending(&disk), 2);
    });
}

/// A maintenance task that is dropped, whenever that is.
#[test]
fn keeping_house_for_a_task_that_is_gone_ends_by_itself() {
    many_orders(|| {
        let (disk, ledger) = new(16);
        accepted(&ledger, 1);
        {
            let mut given_up = pin!(ledger.save_snapshot_async());
            let _ = given_up.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        let caller = sender(&ledger, 2);
        drop(ledger);
        assert_eq!(caller.join().expect("no panic").expect("accepted"), PayReply::Accepted);
        assert_eq!(pending(&disk), 2);
    });
}
