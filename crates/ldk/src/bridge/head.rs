//! The head: where the ledger ends, kept with LDK's manager, whoever writes that.
//!
//! LDK's background processor encodes the manager and writes it by itself. A manager that has forgotten an
//! event must never be on disk without a head that covers it: a ledger from before that event would
//! look complete, and pay again what the event says is paid. So the head is read after the manager was
//! encoded, and is durable before the manager is.

use core::ops::Deref;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lightning::{
    io,
    util::persist::{
        CHANNEL_MANAGER_PERSISTENCE_KEY, CHANNEL_MANAGER_PERSISTENCE_PRIMARY_NAMESPACE,
        CHANNEL_MANAGER_PERSISTENCE_SECONDARY_NAMESPACE, KVStore, KVStoreSync,
    },
};
use payonce_core::{EventStore, Head, LedgerId, LogHash};
use payonce_runtime::SharedLedger;
use tokio::sync::oneshot;

use crate::bridge::line::{self, AsyncResult};

/// Where the head is kept. A ledger in the same key-value store has a namespace of its own.
const NAMESPACE: &str = "payonce_head";
const KEY: &str = "head";
const VERSION: u8 = 1;
/// Version, ledger id, seq (big-endian), log hash.
const BYTES: usize = 1 + 32 + 8 + 32;

/// A ledger, as far as the head goes.
trait Witness: Send + Sync {
    fn id(&self) -> LedgerId;
    fn head(&self) -> Head;
    fn stored(&self, head: Head);
}

impl<S: EventStore + Send + 'static> Witness for SharedLedger<S> {
    fn id(&self) -> LedgerId {
        self.ledger_id()
    }

    fn head(&self) -> Head {
        self.head()
    }

    fn stored(&self, head: Head) {
        self.head_stored(head);
    }
}

/// A key-value store that keeps the ledger's head with LDK's manager: give it to LDK in place of the node's
/// own, to the background processor above all. Before each write of the manager it writes the head; all
/// else it passes on.
///
/// `K` is a pointer to the node's own store: to a [`KVStoreSync`], or to an async [`KVStore`].
///
/// [`Starting::in_store`](crate::Starting::in_store) does the rest. Where the ledger is elsewhere:
///
/// 1. `let store = Arc::new(HeadKeeper::new(kv));`
/// 2. at a start, [`head`](Self::head) for [`Opening::known_head`](payonce_core::Opening::known_head);
/// 3. [`watch`](Self::watch) the ledger of the payer that has started, before anything writes the manager.
pub struct HeadKeeper<K> {
    store: K,
    shared: Arc<Shared>,
    /// One write of the manager at a time.
    order: Mutex<()>,
    /// The newest asynchronous write of the manager: told when it is over.
    newest: Mutex<Option<oneshot::Receiver<()>>>,
}

struct Shared {
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    ledger: Option<Arc<dyn Witness>>,
    /// What is on disk, as far as this process has written it.
    stored: Option<Head>,
}

impl<K> fmt::Debug for HeadKeeper<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.shared.lock().stored;
        f.debug_struct("HeadKeeper").field("stored", &stored).finish_non_exhaustive()
    }
}

/// Why a stored head cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The key-value store failed.
    #[error("the head that is kept with the manager cannot be read: {0}")]
    Io(io::Error),
    /// It is of another ledger: the channels and the log do not belong together.
    #[error(
        "the head that is kept with the manager is of ledger {found}, the log is ledger {expected}: one \
         of them is another node's, or a new log was created beside old channels"
    )]
    OtherLedger {
        /// Whose head it is.
        found: LedgerId,
        /// The id of the ledger that the log is of.
        expected: LedgerId,
    },
    /// It is damaged, or a newer version's.
    #[error(
        "the head that is kept with the manager is damaged, or a newer version's: {bytes} bytes"
    )]
    Damaged {
        /// How long it is.
        bytes: usize,
    },
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be written before a manager that was encoded just now.
    fn due(&self) -> Option<(Head, Vec<u8>)> {
        let watched = self.lock();
        let ledger = watched.ledger.as_ref()?;
        let head = ledger.head();
        (watched.stored != Some(head)).then(|| (head, encode(ledger.id(), head)))
    }

    fn stored(&self, head: Head) {
        let mut watched = self.lock();
        watched.stored = Some(head);
        let ledger = watched.ledger.clone();
        drop(watched);
        if let Some(ledger) = ledger {
            ledger.stored(head);
        }
    }
}

impl<K> HeadKeeper<K> {
    /// Around the node's own store. It writes no head before it watches a ledger.
    #[must_use]
    pub fn new(store: K) -> Self {
        let shared = Arc::new(Shared { watched: Mutex::default() });
        Self { store, shared, order: Mutex::default(), newest: Mutex::default() }
    }

    /// Watches a payer's ledger, in place of any other. It holds a handle of it: to close the ledger,
    /// [`close`](SharedLedger::close) it, or drop this as well.
    pub fn watch<S: EventStore + Send + 'static>(&self, ledger: &SharedLedger<S>) {
        let mut watched = self.shared.lock();
        *watched = Watched { ledger: Some(Arc::new(ledger.clone())), stored: None };
    }

    /// The node's own store.
    #[must_use]
    pub const fn store(&self) -> &K {
        &self.store
    }
}

impl<K: Deref<Target: KVStoreSync>> HeadKeeper<K> {
    /// The head that is kept with the manager, of this ledger; `None` if none was ever written.
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn head(&self, ledger: LedgerId) -> Result<Option<Head>, HeadError> {
        decode(self.store.read(NAMESPACE, "", KEY), ledger)
    }

    /// Whether a head was ever written, of whichever ledger.
    pub(crate) fn has_head(&self) -> Result<bool, HeadError> {
        is_there(self.store.read(NAMESPACE, "", KEY))
    }

    /// Whether LDK has ever written its manager.
    pub(crate) fn has_manager(&self) -> Result<bool, HeadError> {
        is_there(self.store.read(
            CHANNEL_MANAGER_PERSISTENCE_PRIMARY_NAMESPACE,
            CHANNEL_MANAGER_PERSISTENCE_SECONDARY_NAMESPACE,
            CHANNEL_MANAGER_PERSISTENCE_KEY,
        ))
    }
}

impl<K: Deref<Target: KVStore>> HeadKeeper<K> {
    /// [`head`](Self::head) over an async store.
    ///
    /// # Errors
    /// [`HeadError`].
    pub async fn head_async(&self, ledger: LedgerId) -> Result<Option<Head>, HeadError> {
        decode(self.store.read(NAMESPACE, "", KEY).await, ledger)
    }
}

fn is_there(read: Result<Vec<u8>, io::Error>) -> Result<bool, HeadError> {
    match read {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(HeadError::Io(error)),
    }
}

fn encode(ledger: LedgerId, head: Head) -> Vec<u8> {
    let seq = head.seq.to_be_bytes();
    [&[VERSION], &ledger.as_bytes()[..], &seq, head.chain.as_bytes()].concat()
}

fn decode(read: Result<Vec<u8>, io::Error>, expected: LedgerId) -> Result<Option<Head>, HeadError> {
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(HeadError::Io(error)),
    };
    let damaged = HeadError::Damaged { bytes: bytes.len() };
    let Ok(bytes) = <[u8; BYTES]>::try_from(bytes) else { return Err(damaged) };
    let (version, bytes) = bytes.split_first().expect("it is not empty");
    let (ledger, bytes) = bytes.split_first_chunk::<32>().expect("it is that long");
    let (seq, chain) = bytes.split_first_chunk::<8>().expect("it is that long");
    if *version != VERSION {
        return Err(damaged);
    }
    let found = LedgerId::from_bytes(*ledger);
    if found != expected {
        return Err(HeadError::OtherLedger { found, expected });
    }
    let chain = LogHash::from_bytes(chain.try_into().expect("what is left"));
    Ok(Some(Head { seq: u64::from_be_bytes(*seq), chain }))
}

fn is_manager(primary: &str, secondary: &str, key: &str) -> bool {
    primary == CHANNEL_MANAGER_PERSISTENCE_PRIMARY_NAMESPACE
        && secondary == CHANNEL_MANAGER_PERSISTENCE_SECONDARY_NAMESPACE
        && key == CHANNEL_MANAGER_PERSISTENCE_KEY
}

impl<K: Deref<Target: KVStoreSync>> KVStoreSync for HeadKeeper<K> {
    fn read(&self, primary: &str, secondary: &str, key: &str) -> Result<Vec<u8>, io::Error> {
        self.store.read(primary, secondary, key)
    }

    fn write(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        value: Vec<u8>,
    ) -> Result<(), io::Error> {
        if !is_manager(primary, secondary, key) {
            return self.store.write(primary, secondary, key, value);
        }
        let _one_at_a_time = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((head, bytes)) = self.shared.due() {
            self.store.write(NAMESPACE, "", KEY, bytes)?;
            self.shared.stored(head);
        }
        self.store.write(primary, secondary, key, value)
    }

    fn remove(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        lazy: bool,
    ) -> Result<(), io::Error> {
        self.store.remove(primary, secondary, key, lazy)
    }

    fn list(&self, primary: &str, secondary: &str) -> Result<Vec<String>, io::Error> {
        self.store.list(primary, secondary)
    }
}

impl<K> KVStore for HeadKeeper<K>
where
    K: Deref<Target: KVStore> + Clone + Send + Sync + 'static,
{
    fn read(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
    ) -> AsyncResult<'static, Vec<u8>, io::Error> {
        line::boxed(self.store.read(primary, secondary, key))
    }

    fn write(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        value: Vec<u8>,
    ) -> AsyncResult<'static, (), io::Error> {
        if !is_manager(primary, secondary, key) {
            return line::boxed(self.store.write(primary, secondary, key, value));
        }
        // What LDK asks of a store: the later of two calls wins, in whatever order they are polled. The
        // manager is handed on only once its head is durable, so the calls take turns.
        let (done, newest) = oneshot::channel::<()>();
        let before = self.newest().replace(newest);
        let due = self.shared.due();
        let (store, shared) = (self.store.clone(), Arc::clone(&self.shared));
        let key = key.to_owned();
        Box::pin(async move {
            let _until_this_is_over = done;
            if let Some(before) = before {
                // An error says that it is over: it was dropped.
                let _over = before.await;
            }
            if let Some((head, bytes)) = due {
                store.write(NAMESPACE, "", KEY, bytes).await?;
                shared.stored(head);
            }
            let (primary, secondary) = (
                CHANNEL_MANAGER_PERSISTENCE_PRIMARY_NAMESPACE,
                CHANNEL_MANAGER_PERSISTENCE_SECONDARY_NAMESPACE,
            );
            store.write(primary, secondary, &key, value).await
        })
    }

    fn remove(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        lazy: bool,
    ) -> AsyncResult<'static, (), io::Error> {
        line::boxed(self.store.remove(primary, secondary, key, lazy))
    }

    fn list(&self, primary: &str, secondary: &str) -> AsyncResult<'static, Vec<String>, io::Error> {
        line::boxed(self.store.list(primary, secondary))
    }
}

impl<K> HeadKeeper<K> {
    fn newest(&self) -> MutexGuard<'_, Option<oneshot::Receiver<()>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
