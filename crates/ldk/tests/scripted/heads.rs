//! The head that is kept with LDK's manager: durable before the manager is, whoever writes that.

use std::{
    collections::HashMap,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use lightning::{
    io,
    util::{
        async_poll::AsyncResult,
        persist::{KVStore, KVStoreSync},
    },
};
use payonce_core::{Head, LedgerId, Opening, Remember};
use payonce_ldk::{HeadError, HeadKeeper, Terms};

use crate::script::{Stage, options, pay};

/// A store in memory: its values, and every write in the order in which it took effect.
#[derive(Debug, Default)]
struct Values {
    values: Mutex<HashMap<String, Vec<u8>>>,
    writes: Mutex<Vec<(String, Vec<u8>)>>,
    /// Writes of this key fail.
    broken: Mutex<Option<&'static str>>,
}

impl Values {
    fn put(&self, primary: &str, key: &str, value: &[u8]) -> Result<(), io::Error> {
        let name = format!("{primary}/{key}");
        if *self.broken.lock().expect("well") == Some(key) {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        self.values.lock().expect("well").insert(name.clone(), value.to_vec());
        self.writes.lock().expect("well").push((name, value.to_vec()));
        Ok(())
    }

    fn get(&self, primary: &str, key: &str) -> Result<Vec<u8>, io::Error> {
        let values = self.values.lock().expect("well");
        let value = values.get(&format!("{primary}/{key}")).cloned();
        value.ok_or(io::Error::from(io::ErrorKind::NotFound))
    }

    fn written(&self) -> Vec<String> {
        let mut writes = self.writes.lock().expect("well");
        writes.drain(..).map(|(name, _)| name).collect()
    }
}

/// Blocking.
struct Now(Arc<Values>);

impl KVStoreSync for Now {
    fn read(&self, primary: &str, _: &str, key: &str) -> Result<Vec<u8>, io::Error> {
        self.0.get(primary, key)
    }

    fn write(&self, primary: &str, _: &str, key: &str, value: Vec<u8>) -> Result<(), io::Error> {
        self.0.put(primary, key, &value)
    }

    fn remove(&self, _: &str, _: &str, _: &str, _: bool) -> Result<(), io::Error> {
        panic!("nothing is removed")
    }

    fn list(&self, _: &str, _: &str) -> Result<Vec<String>, io::Error> {
        panic!("nothing is listed")
    }
}

/// Each write takes effect when it is polled for the second time.
#[derive(Clone)]
struct Later(Arc<Values>);

struct Writing {
    values: Arc<Values>,
    name: (String, String),
    value: Vec<u8>,
    polled: bool,
}

impl Future for Writing {
    type Output = Result<(), io::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if !std::mem::replace(&mut self.polled, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.values.put(&self.name.0, &self.name.1, &self.value))
    }
}

impl KVStore for Later {
    fn read(&self, primary: &str, _: &str, key: &str) -> AsyncResult<'static, Vec<u8>, io::Error> {
        let read = self.0.get(primary, key);
        Box::pin(async move { read })
    }

    fn write(
        &self,
        primary: &str,
        _: &str,
        key: &str,
        value: Vec<u8>,
    ) -> AsyncResult<'static, (), io::Error> {
        let name = (primary.to_owned(), key.to_owned());
        Box::pin(Writing { values: Arc::clone(&self.0), name, value, polled: false })
    }

    fn remove(&self, _: &str, _: &str, _: &str, _: bool) -> AsyncResult<'static, (), io::Error> {
        panic!("nothing is removed")
    }

    fn list(&self, _: &str, _: &str) -> AsyncResult<'static, Vec<String>, io::Error> {
        panic!("nothing is listed")
    }
}

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
    *values.broken.lock().expect("well") = Some("head");
    let refused = keeper.write("", "", "manager", vec![1]).expect_err("the head was not written");
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(values.written(), [] as [&str; 0]);
    *values.broken.lock().expect("well") = None;
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
