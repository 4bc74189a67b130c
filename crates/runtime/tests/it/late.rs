//! A store that answers late while a task does maintenance: the task's thread is free meanwhile, whoever
//! needs the store is answered afterwards, and a future that is dropped leaves nothing undone.

use std::{future::Future, pin::Pin, task::Poll};

use payonce_core::{Head, PayReply};
use payonce_runtime::{ExecuteError, MaintenanceError, Unavailable};
use payonce_store_memory::{Failure, Gate, MemoryDisk};

use crate::support::{NOW, Shared, disk, open, poll_once, send};

type Maintenance<'a> = Pin<Box<dyn Future<Output = Result<Head, MaintenanceError>> + Send + 'a>>;

/// A call of a task, and which of the store's operations it stalls at: each first asks whether the
/// ledger still owns the store, or reads.
struct Call {
    name: &'static str,
    stalls_at: u64,
    begin: fn(&Shared, Head) -> Maintenance<'_>,
}

const CALLS: [Call; 3] = [
    Call {
        name: "save_snapshot_async",
        stalls_at: 2,
        begin: |ledger, _| Box::pin(ledger.save_snapshot_async()),
    },
    Call {
        name: "drop_history_async",
        stalls_at: 1,
        begin: |ledger, stored| Box::pin(ledger.drop_history_async(stored, 1)),
    },
    Call {
        name: "verify_async",
        stalls_at: 1,
        begin: |ledger, _| Box::pin(ledger.verify_async(1)),
    },
];

/// A ledger with a payment, and the snapshot to which its history may be dropped.
fn begun() -> (MemoryDisk, Shared, Head) {
    let disk = disk();
    let ledger = open(&disk);
    ledger.execute(send(1), NOW).expect("accepted");
    let stored = ledger.save_snapshot().expect("kept");
    ledger.execute(send(2), NOW).expect("accepted");
    (disk, ledger, stored)
}

/// Polls until the store stalls. On this thread, which opens the gate later: if the call blocked,
/// this would never end.
fn reach(gate: &Gate, call: &mut Maintenance<'_>) {
    while !gate.is_reached() {
        assert!(poll_once(call.as_mut()).is_pending());
        std::thread::yield_now();
    }
}

#[test]
fn the_task_waits_and_others_are_answered_afterwards() {
    for Call { name, stalls_at, begin } in CALLS {
        let (disk, ledger, stored) = begun();
        let gate = disk.stall_nth(stalls_at);
        let mut call = begin(&ledger, stored);
        reach(&gate, &mut call);
        let mut other = Box::pin(ledger.execute_async(send(3), NOW));
        assert!(poll_once(other.as_mut()).is_pending(), "{name}");
        assert!(poll_once(call.as_mut()).is_pending(), "{name}");
        gate.open();
        let (told, other) = futures_executor::block_on(async { (call.await, other.await) });
        assert!(told.expect(name).seq <= ledger.head().seq, "{name}");
        assert_eq!(other.expect(name), PayReply::Accepted);
        assert_eq!(ledger.query(|state| state.counts().pending).expect(name), 3);
    }
}

#[test]
fn a_dropped_future_leaves_the_ledger_as_it_was() {
    for Call { name, stalls_at, begin } in CALLS {
        let (disk, ledger, stored) = begun();
        let gate = disk.stall_nth(stalls_at);
        {
            let mut given_up = begin(&ledger, stored);
            reach(&gate, &mut given_up);
        }
        gate.open();
        assert_eq!(ledger.execute(send(3), NOW).expect(name), PayReply::Accepted);
        assert!(ledger.close().is_some(), "{name}");
        let pending = open(&disk).query(|state| state.counts().pending).expect(name);
        assert_eq!(pending, 3, "{name}");
    }
}

/// Closing waits for what is being written, and ends what is being read.
#[test]
fn closing_waits_for_it() {
    for Call { name, stalls_at, begin } in CALLS {
        let (disk, ledger, stored) = begun();
        let gate = disk.stall_nth(stalls_at);
        let mut call = begin(&ledger, stored);
        reach(&gate, &mut call);
        let mut closing = Box::pin(ledger.clone().close_async());
        assert!(poll_once(closing.as_mut()).is_pending(), "{name}");
        gate.open();
        let (told, store) = futures_executor::block_on(async { (call.await, closing.await) });
        match told {
            Ok(_) => assert_eq!(name, "save_snapshot_async"),
            Err(MaintenanceError::Unavailable(Unavailable::Closed)) => {
                assert_ne!(name, "save_snapshot_async");
            }
            Err(other) => panic!("{name}: {other:?}"),
        }
        assert!(store.is_some(), "{name}");
        let refused = ledger.execute(send(3), NOW).expect_err(name);
        assert!(matches!(refused, ExecuteError::Unavailable(Unavailable::Closed)), "{refused:?}");
    }
}

/// Whichever of the store's operations fails: nothing is answered any more only where the store says
/// that the log itself is in doubt.
#[test]
fn a_failure_that_comes_late_is_told_to_the_task_and_to_the_others() {
    let mut ends = [0, 0];
    for Call { name, begin, .. } in CALLS {
        for nth in 1.. {
            let (disk, ledger, stored) = begun();
            let gate = disk.stall_nth(nth);
            disk.fail_nth(nth, Failure::BeforeEffect);
            let mut call = begin(&ledger, stored);
            let mut told = poll_once(call.as_mut());
            while told.is_pending() && !gate.is_reached() {
                std::thread::yield_now();
                told = poll_once(call.as_mut());
            }
            if let Poll::Ready(told) = told {
                told.expect(name);
                assert!(nth > 1, "{name} uses the store");
                break;
            }
            let mut other = Box::pin(ledger.execute_async(send(3), NOW));
            assert!(poll_once(other.as_mut()).is_pending(), "{name}");
            gate.open();
            let (told, other) = futures_executor::block_on(async { (call.await, other.await) });
            let goes_on = match told.expect_err(name) {
                MaintenanceError::Ledger(_) | MaintenanceError::Store(_) => true,
                MaintenanceError::Unavailable(_) => false,
                other => panic!("{name}, {nth}: {other:?}"),
            };
            ends[usize::from(goes_on)] += 1;
            assert_eq!(ledger.check().is_ok(), goes_on, "{name}, {nth}");
            match other {
                Ok(reply) => assert_eq!((reply, goes_on), (PayReply::Accepted, true)),
                Err(ExecuteError::Unavailable(Unavailable::Poisoned { cause: Some(_) })) => {
                    assert!(!goes_on, "{name}, {nth}");
                }
                Err(other) => panic!("{name}, {nth}: {other:?}"),
            }
        }
    }
    assert!(ends.iter().all(|times| *times > 1), "both are met: {ends:?}");
}
