//! Tasks: any executor, no blocked thread, and futures that are dropped at each point at which they
//! wait.

use std::{pin::pin, sync::Arc};

use payonce_core::{DispatchReply, PartStatus, PayReply, Status, Tick, UnixMillis};
use payonce_runtime::ExecuteError;

use crate::support::{
    NOW, Wrapped, disk, dispatch, id, open, open_with, open_wrapped, options, part, poll_once,
    send, sender,
};

#[test]
fn a_task_is_answered_once_its_batch_is_durable_and_never_blocks() {
    let disk = disk();
    let ledger = open(&disk);
    let gate = disk.stall_nth(1);
    // Polled on this thread, which opens the gate later: if it blocked, this would never end.
    let mut first = pin!(ledger.execute_async(send(1), NOW));
    assert!(poll_once(first.as_mut()).is_pending());
    gate.wait_until_reached();
    let mut second = pin!(ledger.execute_async(dispatch(1), NOW));
    let mut asked = pin!(ledger.query_async(|state| state.part(&part(1))));
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(asked.as_mut()).is_pending());
    gate.open();
    let told = futures_executor::block_on(async { (first.await, second.await, asked.await) });
    assert!(matches!(told.0, Ok(PayReply::Accepted)));
    assert!(matches!(told.1, Ok(DispatchReply::Recorded { .. })));
    assert!(matches!(told.2, Ok(Some((_, PartStatus::InFlight)))));
}

#[test]
fn a_dropped_future_loses_no_entry() {
    let disk = disk();
    let ledger = open(&disk);
    {
        let mut given_up = pin!(ledger.execute_async(send(1), NOW));
        assert!(poll_once(given_up.as_mut()).is_pending());
    }
    let reply = ledger.execute(send(1), NOW).expect("known");
    assert!(matches!(reply, PayReply::Duplicate(_)), "{reply:?}");
    {
        let never_polled = ledger.execute_async(send(2), NOW);
        drop(never_polled);
    }
    assert_eq!(ledger.execute(send(2), NOW).expect("new"), PayReply::Accepted);
}

/// What became of a part whose dispatch was given up, in the state and after a reopening.
fn fates(
    ledger: crate::support::Shared,
    disk: &payonce_store_memory::MemoryDisk,
) -> [PartStatus; 2] {
    let fate = |state: &payonce_core::State| state.part(&part(1)).expect("recorded").1;
    let before = ledger.query(fate).expect("open");
    drop(ledger.close());
    [before, open(disk).query(fate).expect("open")]
}

#[test]
fn a_right_to_offer_that_nobody_took_is_given_back() {
    // Given up while the batch is forming or being written.
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    let gate = disk.stall_nth(1);
    {
        let mut given_up = pin!(ledger.execute_async(dispatch(1), NOW));
        assert!(poll_once(given_up.as_mut()).is_pending());
        gate.wait_until_reached();
    }
    gate.open();
    let lacks = ledger.query(|state| state.remaining(&id(1))).expect("open").expect("known");
    assert_eq!(
        (lacks.amount, lacks.attempt),
        (payonce_core::Msat(1_000), 2),
        "its number is not used again"
    );
    assert_eq!(fates(ledger, &disk), [PartStatus::Withdrawn; 2]);
}

#[test]
fn a_right_to_offer_that_was_durable_but_never_read_is_given_back_too() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    {
        let mut given_up = pin!(ledger.execute_async(dispatch(1), NOW));
        assert!(poll_once(given_up.as_mut()).is_pending());
        while !ledger.query(|state| state.part(&part(1)).is_some()).expect("open") {}
        // The query was released: the dispatch is durable, and its reply is not read.
    }
    assert_eq!(fates(ledger, &disk), [PartStatus::Withdrawn; 2]);
}

/// Another caller's clock was a year ahead, once: what is given back is given back at the time at
/// which it was asked for.
#[test]
fn what_is_given_back_knows_no_other_callers_clock() {
    let disk = disk();
    let ledger = open(&disk);
    let mut expires = send(1);
    expires.request.expiry = Some(UnixMillis(NOW.0 + 3_600_000));
    ledger.execute(expires, NOW).expect("accepted");
    ledger.execute(send(2), UnixMillis(NOW.0 + 31_536_000_000)).expect("accepted");
    let gate = disk.stall_nth(1);
    {
        let mut given_up = pin!(ledger.execute_async(dispatch(1), NOW));
        assert!(poll_once(given_up.as_mut()).is_pending());
        gate.wait_until_reached();
    }
    gate.open();
    let (status, told) = ledger
        .query(|state| (state.payment_view(&id(1)).map(|at| at.status), state.outbox().count()))
        .expect("open");
    assert_eq!((status, told), (Some(Status::Pending), 0), "it did not expire");
    assert_eq!(fates(ledger, &disk), [PartStatus::Withdrawn; 2]);
}

#[test]
fn a_repeat_of_a_dispatch_that_was_given_up_takes_nothing_from_its_first() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    let first = ledger.execute(dispatch(1), NOW).expect("recorded");
    assert!(matches!(first, DispatchReply::Recorded { .. }));
    let gate = disk.stall_nth(1);
    {
        let mut repeat = pin!(ledger.execute_async(dispatch(1), NOW));
        assert!(poll_once(repeat.as_mut()).is_pending());
        gate.wait_until_reached();
    }
    gate.open();
    assert_eq!(fates(ledger, &disk), [PartStatus::InFlight; 2], "its first caller has the right");
}

#[test]
fn all_of_a_call_with_several_dispatches_is_given_back() {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute_all([send(1), send(2)], NOW).expect("accepted");
    let gate = disk.stall_nth(1);
    {
        let mut both = pin!(ledger.execute_all_async([dispatch(1), dispatch(2)], NOW));
        assert!(poll_once(both.as_mut()).is_pending());
        gate.wait_until_reached();
    }
    gate.open();
    let out = ledger.query(payonce_core::State::unresolved).expect("open");
    assert_eq!(out, []);
}

#[test]
fn tokio_is_served_as_any_executor() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("tokio");
    let disk = disk();
    // A store whose client must not be used inside an async runtime.
    let store = Wrapped::new(&disk).after_append(|| {
        assert!(tokio::runtime::Handle::try_current().is_err(), "the store inside a runtime");
    });
    let ledger = open_wrapped(store);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..64)
            .map(|task| {
                let ledger = ledger.clone();
                tokio::spawn(async move {
                    for nth in 0..20 {
                        let nth = task * 20 + nth;
                        ledger.execute_async(send(nth), NOW).await.expect("accepted");
                        ledger.execute_async(dispatch(nth), NOW).await.expect("recorded");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        let pending = ledger.query_async(|state| state.counts().unresolved_parts).await;
        assert_eq!(pending.expect("open"), 64 * 20);
        ledger.verify_async(1).await.expect("sound");
        assert!(ledger.close_async().await.is_some());
    });
}

#[test]
fn threads_and_tasks_share_batches() {
    let disk = disk();
    let ledger = open_with(&disk, options().queue_commands(8));
    let tasks = {
        let ledger = ledger.clone();
        std::thread::spawn(move || {
            futures_executor::block_on(async {
                for nth in 0..200 {
                    ledger.execute_async(send(nth), NOW).await.expect("accepted");
                }
            });
        })
    };
    let threads: Vec<_> = (200..400).map(|nth| sender(&ledger, nth)).collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no panic").expect("accepted"), PayReply::Accepted);
    }
    tasks.join().expect("no panic");
    assert_eq!(ledger.query(|state| state.counts().pending).expect("open"), 400);
}

#[test]
fn a_task_is_refused_by_value() {
    let disk = disk();
    let ledger = open(&disk);
    let refused = futures_executor::block_on(ledger.execute_async(dispatch(1), NOW));
    assert!(matches!(refused, Err(ExecuteError::Refused(_))), "{refused:?}");
    let ticked =
        futures_executor::block_on(ledger.execute_async(Tick::new(), NOW)).expect("allowed");
    assert!(!ticked.counted);
}

#[test]
fn a_waker_may_drop_its_task_when_woken() {
    // A task whose last waker is dropped while it is told: nothing of the ledger is locked then.
    struct Drops(std::sync::Mutex<Option<Arc<crate::support::Shared>>>);
    impl std::task::Wake for Drops {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().expect("no panic").take());
        }
    }
    let disk = disk();
    let ledger = Arc::new(open(&disk));
    let drops = Arc::new(Drops(std::sync::Mutex::new(Some(Arc::clone(&ledger)))));
    let waker = std::task::Waker::from(Arc::clone(&drops));
    let calling = (*ledger).clone();
    drop(ledger);
    let mut call = Box::pin(async move { calling.execute_async(send(1), NOW).await });
    let mut context = std::task::Context::from_waker(&waker);
    while call.as_mut().poll(&mut context).is_pending() {
        std::thread::yield_now();
    }
    assert_eq!(open(&disk).query(|state| state.counts().pending).expect("open"), 1);
}
