//! The head that is kept with LDK's manager: durable before the manager is, whoever writes that.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use lightning::{
    io,
    util::persist::{KVStore, KVStoreSync},
};
use payonce_core::{Head, LedgerId, Opening, Remember};
use payonce_ldk::{HeadError, HeadKeeper, Terms};

use crate::{
    kv::{Later, Now, Values},
    script::{Stage, options, pay},
};

const HEAD: &str = "payonce_head/head";
const MANAGER: &str = "/manager";

fn ledger_id() -> LedgerId {
    LedgerId::from_bytes([7; 32])
}

#[test]
fn the_head_is_written_before_the_manager_and_found_at_the_next_start() {
    let stage = Stage::new();
    let values = Arc::new(Values::default());
    let keeper = HeadKeeper::new(Arc::new(Now(Arc::clone(&values))));
    assert_eq!(keeper.head(ledger_id()).expect("none"), None);
    let manager = |bytes: &[u8]| keeper.write("", "", "manager", bytes.to_vec());
    manager(b"0").expect("written");
    assert_eq!(values.written(), [MANAGER], "there is no ledger yet");

    let (payer, report) = stage.start();
    assert!(report.without_head);
    keeper.watch(payer.ledger());
    pay(&payer, 1, &Terms::default()).expect("accepted");
    manager(b"1").expect("written");
    assert_eq!(values.written(), [HEAD, MANAGER]);
    let head: Head = payer.ledger().head();
    assert_eq!(keeper.head(ledger_id()).expect("there is one"), Some(head));
    manager(b"2").expect("written");
    keeper.write("", "", "scorer", vec![3]).expect("written");
    keeper.write("monitors", "", "manager", vec![3]).expect("written");
    assert_eq!(values.written(), [MANAGER, "/scorer", "monitors/manager"], "the head is the same");

    // A ledger from before is seen; the one that is there is not mistaken for it.
    drop(payer);
    let opening = Opening::new(Remember::Forever, 1).known_head(head);
    let starting = stage.open_as(&opening, options()).expect("sound");
    let (_, report) = starting.finish(|_| Ok(()), crate::script::NOW).expect("nothing refuses");
    assert!(!report.without_head && !report.restored);
    let older = Stage::new();
    let starting = older.open_as(&opening, options()).expect("sound");
    let (_, report) = starting.finish(|_| Ok(()), crate::script::NOW).expect("nothing refuses");
    assert!(report.restored);
}

#[test]
fn no_manager_is_written_without_its_head() {
    let stage = Stage::new();
    let values = Arc::new(Values::default());
    let keeper = HeadKeeper::new(Arc::new(Now(Arc::clone(&values))));
    let (payer, _) = stage.start();
    keeper.watch(payer.ledger());
    values.break_key(Some("head"));
    let refused = keeper.write("", "", "manager", vec![1]).expect_err("the head was not written");
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(values.written(), [] as [&str; 0]);
    values.break_key(None);
    keeper.write("", "", "manager", vec![1]).expect("written");
    assert_eq!(values.written(), [HEAD, MANAGER]);
}

#[test]
fn a_head_of_another_ledger_or_no_head_at_all_is_said_to_be_one() {
    let values = Arc::new(Values::default());
    let keeper = HeadKeeper::new(Arc::new(Now(Arc::clone(&values))));
    let stage = Stage::new();
    keeper.watch(stage.start().0.ledger());
    keeper.write("", "", "manager", vec![1]).expect("written");
    let other = LedgerId::from_bytes([8; 32]);
    let error = keeper.head(other).expect_err("another's");
    assert!(matches!(error, HeadError::OtherLedger { found, expected }
        if (found, expected) == (ledger_id(), other)));
    assert!(error.to_string().contains("another node's"), "{error}");
    values.put("payonce_head", "head", &[1; 72]).expect("written");
    assert!(matches!(keeper.head(other), Err(HeadError::Damaged { bytes: 72 })));
    values.put("payonce_head", "head", &[2; 73]).expect("written");
    assert!(matches!(keeper.head(other), Err(HeadError::Damaged { bytes: 73 })), "a newer version");
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// As LDK demands of a store: of two calls the later one wins, in whatever order they are polled.
#[test]
fn asynchronous_writes_take_turns() {
    let stage = Stage::new();
    let values = Arc::new(Values::default());
    let keeper = HeadKeeper::new(Arc::new(Later(Arc::clone(&values))));
    let (payer, _) = stage.start();
    keeper.watch(payer.ledger());
    let write = |bytes: &[u8]| KVStore::write(&keeper, "", "", "manager", bytes.to_vec());
    let (mut first, mut second) = (write(b"1"), write(b"2"));
    assert!((0..9).all(|_| poll(second.as_mut()).is_pending()), "the first one is not over");
    while poll(first.as_mut()).is_pending() {}
    while poll(second.as_mut()).is_pending() {}
    assert_eq!(values.get("", "manager").expect("written"), b"2");
    let head = pin!(keeper.head_async(ledger_id()));
    let Poll::Ready(Ok(Some(head))) = poll(head) else { panic!("there is one") };
    assert_eq!(head, payer.ledger().head());

    // One that is dropped is over; the next goes on.
    pay(&payer, 1, &Terms::default()).expect("accepted");
    values.written();
    let (mut third, mut fourth) = (write(b"3"), write(b"4"));
    assert!(poll(third.as_mut()).is_pending());
    drop(third);
    while poll(fourth.as_mut()).is_pending() {}
    assert_eq!(values.written(), [HEAD, MANAGER]);
    assert_eq!(values.get("", "manager").expect("written"), b"4");
}
