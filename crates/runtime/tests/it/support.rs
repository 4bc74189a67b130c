//! What the tests share: names, commands, and ledgers on the reference store.

use std::{
    future::Future,
    ops::ControlFlow,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    task::{Context, Poll, Waker},
    thread::{self, JoinHandle},
};

use payonce_core::{
    Backoff, Dispatch, Entry, EventSource, EventStore, Exclusion, Fence, Head, LedgerId, MaxFee,
    Msat, NewPart, Opening, PartId, Pay, PayRefusal, PayReply, PaymentId, Preimage, Remember,
    Request, RetryPolicy, Snapshot, SnapshotWriter, StoreError, StoredEntry, UnixMillis,
};
use payonce_runtime::{ExecuteError, Options, SharedLedger, Unavailable};
use payonce_store_memory::{MemoryDisk, MemoryStore};

pub(crate) const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

pub(crate) type Shared = SharedLedger<MemoryStore>;

pub(crate) fn disk() -> MemoryDisk {
    MemoryDisk::new(LedgerId::from_bytes([7; 32]))
}

pub(crate) fn opening() -> Opening {
    Opening::new(Remember::Window, 42)
}

/// No snapshots by itself: what the store is asked for is what the test makes it ask for.
pub(crate) const fn options() -> Options {
    Options::DEFAULT.snapshot_every_bytes(None)
}

pub(crate) fn open_with(disk: &MemoryDisk, options: Options) -> Shared {
    let recovery = SharedLedger::open(disk.open(), &opening(), options, NOW).expect("sound");
    recovery.finish(NOW).expect("nothing fails")
}

pub(crate) fn open(disk: &MemoryDisk) -> Shared {
    open_with(disk, options())
}

pub(crate) fn preimage(nth: u32) -> Preimage {
    let mut bytes = [0x11; 32];
    bytes[..4].copy_from_slice(&nth.to_be_bytes());
    Preimage::from_bytes(bytes)
}

pub(crate) fn id(nth: u32) -> PaymentId {
    PaymentId::from_payment_hash(preimage(nth).payment_hash())
}

pub(crate) fn part(nth: u32) -> PartId {
    let mut bytes = [0x22; 32];
    bytes[..4].copy_from_slice(&nth.to_be_bytes());
    PartId::from_bytes(bytes)
}

pub(crate) fn send(nth: u32) -> Pay {
    let hash = preimage(nth).payment_hash();
    let request = Request::invoice(hash, Msat(1_000), MaxFee::Unlimited, RetryPolicy::Manual);
    Pay::new(id(nth), request.backoff(Backoff::NONE))
}

pub(crate) fn dispatch(nth: u32) -> Dispatch {
    let parts = vec![NewPart::htlc(part(nth), Msat(1_000), Msat(10), 900_000)];
    Dispatch { id: id(nth), attempt: 1, parts }
}

/// Starts a thread that sends a payment.
pub(crate) fn sender<S: EventStore + Send + 'static>(
    ledger: &SharedLedger<S>,
    nth: u32,
) -> JoinHandle<Result<PayReply, ExecuteError<PayRefusal, Unavailable>>> {
    let ledger = ledger.clone();
    thread::spawn(move || ledger.execute(send(nth), NOW))
}

/// Polls once, with nobody to wake.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// How many operations the store was asked for while `act` ran.
pub(crate) fn operations(disk: &MemoryDisk, act: impl FnOnce()) -> u64 {
    let before = disk.operations();
    act();
    disk.operations() - before
}

/// Waits until so many commands wait for the next append.
pub(crate) fn wait_for_queue<S: EventStore + Send + 'static>(
    ledger: &SharedLedger<S>,
    commands: usize,
) {
    while ledger.queued() < commands {
        thread::yield_now();
    }
}

type Act = Arc<Mutex<dyn FnMut() + Send>>;

/// A snapshot whose failure leaves the log itself in doubt.
#[derive(Clone, Default)]
struct Doubt {
    to_come: Arc<AtomicBool>,
    is_here: Arc<AtomicBool>,
}

impl Doubt {
    fn check(&self) -> Result<(), StoreError> {
        if self.is_here.load(Ordering::SeqCst) {
            Err(StoreError::Poisoned { cause: "in doubt".into() })
        } else {
            Ok(())
        }
    }

    fn save(&self) -> Result<(), StoreError> {
        if !self.to_come.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.is_here.store(true, Ordering::SeqCst);
        Err(StoreError::Backend(Box::new(std::io::Error::other("the sync of a name failed"))))
    }
}

/// Saves nothing.
struct Beside {
    doubt: Doubt,
    before_answer: Act,
}

impl SnapshotWriter for Beside {
    fn save_snapshot(&mut self, _: Head, _: &[u8]) -> Result<(), StoreError> {
        let outcome = self.doubt.save();
        (self.before_answer.lock().expect("nobody panics"))();
        outcome
    }
}

/// The reference store as one that keeps others out by a lock, and so needs no asking, and that
/// saves no snapshots beside appends; with what a test wants to happen.
pub(crate) struct Wrapped {
    store: MemoryStore,
    after_append: Box<dyn FnMut() + Send>,
    before_reading: Box<dyn Fn() + Send>,
    fails_beside: Arc<AtomicBool>,
    doubt: Doubt,
    saves_beside: Option<Act>,
    dropped: Option<Sender<String>>,
}

impl Wrapped {
    pub(crate) fn new(disk: &MemoryDisk) -> Self {
        Self {
            store: disk.open(),
            after_append: Box::new(|| {}),
            before_reading: Box::new(|| {}),
            fails_beside: Arc::default(),
            doubt: Doubt::default(),
            saves_beside: None,
            dropped: None,
        }
    }

    pub(crate) fn after_append(mut self, act: impl FnMut() + Send + 'static) -> Self {
        self.after_append = Box::new(act);
        self
    }

    pub(crate) fn panics_when(self, panics: &Arc<AtomicBool>) -> Self {
        let panics = Arc::clone(panics);
        self.after_append(move || assert!(!panics.load(Ordering::Relaxed), "told to panic"))
    }

    pub(crate) fn before_reading(mut self, act: impl Fn() + Send + 'static) -> Self {
        self.before_reading = Box::new(act);
        self
    }

    pub(crate) fn panics_when_read(self, panics: &Arc<AtomicBool>) -> Self {
        let panics = Arc::clone(panics);
        self.before_reading(move || assert!(!panics.load(Ordering::Relaxed), "told to panic"))
    }

    /// Snapshots and dropping fail as on a full disk, which leaves the log alone.
    pub(crate) fn fails_beside_when(mut self, fails: &Arc<AtomicBool>) -> Self {
        self.fails_beside = Arc::clone(fails);
        self
    }

    pub(crate) fn leaves_doubt_when(mut self, doubt: &Arc<AtomicBool>) -> Self {
        self.doubt.to_come = Arc::clone(doubt);
        self
    }

    /// Snapshots are saved beside appends, by who does this before it answers.
    pub(crate) fn saves_beside(mut self, before_answer: impl FnMut() + Send + 'static) -> Self {
        self.saves_beside = Some(Arc::new(Mutex::new(before_answer)));
        self
    }

    fn beside(&self) -> Result<(), StoreError> {
        let fails = self.fails_beside.load(Ordering::Relaxed);
        let full = || StoreError::Backend(Box::new(std::io::Error::other("the disk is full")));
        if fails { Err(full()) } else { Ok(()) }
    }

    pub(crate) fn tells_when_dropped(mut self, tell: Sender<String>) -> Self {
        self.dropped = Some(tell);
        self
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        if let Some(tell) = &self.dropped {
            let thread = thread::current().name().unwrap_or_default().to_owned();
            tell.send(thread).expect("the test listens");
        }
    }
}

impl EventSource for Wrapped {
    fn ledger_id(&self) -> LedgerId {
        self.store.ledger_id()
    }
    fn head(&self) -> Result<Head, StoreError> {
        self.doubt.check()?;
        self.store.head()
    }
    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        (self.before_reading)();
        self.store.replay(from, visit)
    }
    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.store.load_snapshot(at_most)
    }
    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.store.base()
    }
}

impl EventStore for Wrapped {
    fn exclusion(&self) -> Exclusion {
        Exclusion::Lock
    }
    fn fence(&mut self) -> Result<Fence, StoreError> {
        self.store.fence()
    }
    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let outcome = self.doubt.check().and_then(|()| self.store.append(entries));
        (self.after_append)();
        outcome
    }
    fn confirm_owner(&mut self) -> Result<(), StoreError> {
        panic!("a store with a lock needs no asking")
    }
    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        self.beside()?;
        self.doubt.save()?;
        self.store.save_snapshot(at, bytes)
    }
    fn snapshot_writer(&self) -> Option<Box<dyn SnapshotWriter + Send>> {
        let before_answer = Arc::clone(self.saves_beside.as_ref()?);
        Some(Box::new(Beside { doubt: self.doubt.clone(), before_answer }))
    }
    fn drop_history(&mut self, base: Head) -> Result<(), StoreError> {
        self.beside()?;
        self.store.drop_history(base)
    }
}

pub(crate) fn open_wrapped(store: Wrapped) -> SharedLedger<Wrapped> {
    let recovery = SharedLedger::open(store, &opening(), options(), NOW).expect("sound");
    recovery.finish(NOW).expect("nothing fails")
}
