//! Who drives what is in flight.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use payonce_core::{
    AdoptPart, Answer, DispatchReply, FailPart, Failure, Msat, PartId, PartKind, WithdrawPart,
};
use payonce_runtime::{SharedLedger, SharedRecovery};
use payonce_store_memory::{MemoryDisk, MemoryStore};

use crate::support::{
    NOW, Shared, disk, dispatch, id, open, opening, options, part, poll_once, preimage, send,
};

fn undriven(ledger: &Shared) -> Vec<PartId> {
    ledger.undriven().expect("open").into_iter().map(|at| at.part.id).collect()
}

fn accepted(ledger: &Shared, payments: std::ops::RangeInclusive<u32>) {
    ledger.execute_all(payments.map(send), NOW).expect("accepted");
}

#[test]
fn a_driver_that_is_dropped_lets_its_parts_go() {
    let disk = disk();
    let ledger = open(&disk);
    accepted(&ledger, 1..=3);
    let driver = ledger.dispatch(dispatch(1), NOW).expect("recorded");
    assert!(matches!(driver.reply(), DispatchReply::Recorded { .. }));
    assert_eq!(undriven(&ledger), [], "it is held");
    drop(driver);
    assert_eq!(undriven(&ledger), [part(1)]);
    let other = ledger.dispatch(dispatch(2), NOW).expect("recorded");
    assert!(matches!(other.handed_over(), DispatchReply::Recorded { .. }));
    ledger.execute(dispatch(3), NOW).expect("recorded");
    assert_eq!(undriven(&ledger), [part(1)], "handed over, and read");
    // A repeat drives nothing, and lets nothing go.
    drop(ledger.dispatch(dispatch(2), NOW).expect("a repeat"));
    assert_eq!(undriven(&ledger), [part(1)]);
    ledger.drive([part(1)]);
    assert_eq!(undriven(&ledger), []);
}

#[test]
fn a_panic_between_recorded_and_offered_is_noticed() {
    let disk = disk();
    let ledger = open(&disk);
    accepted(&ledger, 1..=1);
    let dying = ledger.clone();
    let died = std::thread::spawn(move || {
        let _driver = dying.dispatch(dispatch(1), NOW).expect("recorded");
        panic!("before it was offered");
    });
    assert!(died.join().is_err());
    assert_eq!(undriven(&ledger), [part(1)]);
    // Once it is resolved nobody has to drive it.
    let failure = Failure::default();
    ledger.execute(FailPart { id: id(1), part: part(1), failure }, NOW).expect("known");
    assert_eq!(undriven(&ledger), []);
}

/// Before it is ready the parts are withdrawn; afterwards they may have been offered.
#[test]
fn a_future_that_is_dropped_after_recorded_leaves_a_part_that_nobody_drives() {
    let disk = disk();
    let ledger = open(&disk);
    accepted(&ledger, 1..=2);
    let dispatching = ledger.clone();
    let read = Arc::new(AtomicBool::new(false));
    let reads = Arc::clone(&read);
    let mut caller = Box::pin(async move {
        let driver = dispatching.dispatch_async(dispatch(1), NOW).await.expect("recorded");
        reads.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
        driver.handed_over()
    });
    while !read.load(Ordering::Relaxed) {
        assert!(poll_once(caller.as_mut()).is_pending());
        std::thread::yield_now();
    }
    assert_eq!(undriven(&ledger), [], "it is held");
    drop(caller);
    let gate = disk.stall_nth(1);
    {
        let mut given_up = pin!(ledger.dispatch_async(dispatch(2), NOW));
        assert!(poll_once(given_up.as_mut()).is_pending());
        gate.wait_until_reached();
    }
    gate.open();
    assert_eq!(undriven(&ledger), [part(1)]);
    let listed = futures_executor::block_on(ledger.undriven_async()).expect("open");
    assert_eq!(listed.len(), 1);
}

fn reopen(disk: &MemoryDisk) -> SharedRecovery<MemoryStore> {
    SharedLedger::open(disk.open(), &opening(), options(), NOW).expect("sound")
}

#[test]
fn what_was_out_at_the_opening_is_driven_by_nobody_until_somebody_says_so() {
    let disk = disk();
    let ledger = open(&disk);
    accepted(&ledger, 1..=5);
    ledger.execute_all((1..=4).map(dispatch), NOW).expect("recorded");
    assert_eq!(undriven(&ledger), []);
    drop(ledger.close());
    let recovery = reopen(&disk);
    let listed = |recovery: &SharedRecovery<MemoryStore>| -> Vec<PartId> {
        recovery.undriven().expect("open").into_iter().map(|at| at.part.id).collect()
    };
    assert_eq!(listed(&recovery), [part(1), part(2), part(3), part(4)]);
    let never = WithdrawPart { id: id(1), part: part(1) };
    recovery.answer([Answer::NeverSent(never)], NOW).expect("open");
    let lists = AdoptPart {
        id: id(2),
        part: part(2),
        payment_hash: preimage(2).payment_hash(),
        amount: Some(Msat(1_000)),
        fee: None,
        kind: PartKind::Delegated,
    };
    recovery.answer([Answer::Adopted(lists)], NOW).expect("open");
    recovery.drive([part(3)]);
    assert_eq!(listed(&recovery), [part(4)]);
    let ledger = recovery.finish(NOW).expect("open");
    assert_eq!(undriven(&ledger), [part(4)]);
    ledger.execute(dispatch(5), NOW).expect("recorded");
    assert_eq!(undriven(&ledger), [part(4)]);
    // What one process took over the next one does not.
    drop(ledger.close());
    assert_eq!(listed(&reopen(&disk)), [part(2), part(3), part(4), part(5)]);
}
