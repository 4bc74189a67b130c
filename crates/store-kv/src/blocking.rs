//! An async key-value store, as a blocking one.

use std::{future::Future, ops::Deref, sync::mpsc};

use lightning::{
    io,
    util::{
        native_async::FutureSpawner,
        persist::{KVStore, KVStoreSync},
    },
};

use crate::line;

/// An async [`KVStore`] for [`KvStore`](crate::KvStore), which blocks: each call is spawned on an executor,
/// and the calling thread waits for it.
///
/// So the calling thread must be none that the executor needs. A `SharedLedger` whose calls are all those
/// for tasks (`..._async`) reads and writes its store on a thread of its own; `payonce-ldk` opens it on one,
/// too. What is left is [`KvStore::open`](crate::KvStore::open) and `create`: call them where blocking is
/// allowed (tokio: `spawn_blocking`).
///
/// An executor that drops a call, since it is shutting down, fails it: nobody knows what it came to.
#[derive(Debug)]
pub struct BlockingKv<K, F> {
    kv: K,
    spawner: F,
}

impl<K, F> BlockingKv<K, F> {
    /// `kv` is a pointer to the store (`Arc<K>`), `spawner` an executor.
    pub const fn new(kv: K, spawner: F) -> Self {
        Self { kv, spawner }
    }
}

impl<K, F: FutureSpawner> BlockingKv<K, F> {
    fn wait<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, io::Error>> + Send + 'static,
    ) -> Result<T, io::Error> {
        let (done, answer) = mpsc::sync_channel(1);
        line::spawn(&self.spawner, async move {
            // Whoever asked waits below.
            let _unheard = done.send(call.await);
        });
        let dropped = "the executor dropped a call of the key-value store";
        answer.recv().unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::Other, dropped)))
    }
}

impl<K: Deref<Target: KVStore>, F: FutureSpawner> KVStoreSync for BlockingKv<K, F> {
    fn read(&self, primary: &str, secondary: &str, key: &str) -> Result<Vec<u8>, io::Error> {
        self.wait(self.kv.read(primary, secondary, key))
    }

    fn write(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        value: Vec<u8>,
    ) -> Result<(), io::Error> {
        self.wait(self.kv.write(primary, secondary, key, value))
    }

    fn remove(
        &self,
        primary: &str,
        secondary: &str,
        key: &str,
        lazy: bool,
    ) -> Result<(), io::Error> {
        self.wait(self.kv.remove(primary, secondary, key, lazy))
    }

    fn list(&self, primary: &str, secondary: &str) -> Result<Vec<String>, io::Error> {
        self.wait(self.kv.list(primary, secondary))
    }
}
