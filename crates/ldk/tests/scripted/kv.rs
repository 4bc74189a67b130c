//! LDK's key-value stores, in memory: a blocking one, and one that takes its time.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use lightning::{
    io,
    util::{
        async_poll::AsyncResult,
        persist::{KVStore, KVStoreSync},
    },
};

/// A store in memory: its values, and every write in the order in which it took effect.
#[derive(Debug, Default)]
pub(crate) struct Values {
    values: Mutex<HashMap<String, Vec<u8>>>,
    writes: Mutex<Vec<(String, Vec<u8>)>>,
    /// Writes of this key fail.
    broken: Mutex<Option<&'static str>>,
    /// Readings of this key fail.
    unreadable: Mutex<Option<&'static str>>,
}

impl Values {
    pub(crate) fn put(&self, primary: &str, key: &str, value: &[u8]) -> Result<(), io::Error> {
        let name = format!("{primary}/{key}");
        if *self.broken.lock().expect("well") == Some(key) {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        self.values.lock().expect("well").insert(name.clone(), value.to_vec());
        self.writes.lock().expect("well").push((name, value.to_vec()));
        Ok(())
    }

    pub(crate) fn get(&self, primary: &str, key: &str) -> Result<Vec<u8>, io::Error> {
        if *self.unreadable.lock().expect("well") == Some(key) {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        let values = self.values.lock().expect("well");
        let value = values.get(&format!("{primary}/{key}")).cloned();
        value.ok_or(io::Error::from(io::ErrorKind::NotFound))
    }

    fn take(&self, primary: &str, key: &str) {
        self.values.lock().expect("well").remove(&format!("{primary}/{key}"));
    }

    fn keys(&self, primary: &str) -> Vec<String> {
        let start = format!("{primary}/");
        let values = self.values.lock().expect("well");
        values.keys().filter_map(|name| name.strip_prefix(&start)).map(str::to_owned).collect()
    }

    /// Writes of this key fail from now on.
    pub(crate) fn break_key(&self, key: Option<&'static str>) {
        *self.broken.lock().expect("well") = key;
    }

    /// Readings of this key fail from now on.
    pub(crate) fn hide_key(&self, key: Option<&'static str>) {
        *self.unreadable.lock().expect("well") = key;
    }

    /// Loses what is in a namespace.
    pub(crate) fn lose(&self, primary: &str) {
        for key in self.keys(primary) {
            self.take(primary, &key);
        }
    }

    /// What is in a namespace, by whole names.
    pub(crate) fn copy(&self, primary: &str) -> HashMap<String, Vec<u8>> {
        let start = format!("{primary}/");
        let values = self.values.lock().expect("well");
        let inside = values.iter().filter(|(name, _)| name.starts_with(&start));
        inside.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    pub(crate) fn put_all(&self, copied: &HashMap<String, Vec<u8>>) {
        self.values.lock().expect("well").extend(copied.clone());
    }

    pub(crate) fn written(&self) -> Vec<String> {
        let mut writes = self.writes.lock().expect("well");
        writes.drain(..).map(|(name, _)| name).collect()
    }
}

/// Blocking.
pub(crate) struct Now(pub(crate) Arc<Values>);

impl KVStoreSync for Now {
    fn read(&self, primary: &str, _: &str, key: &str) -> Result<Vec<u8>, io::Error> {
        self.0.get(primary, key)
    }

    fn write(&self, primary: &str, _: &str, key: &str, value: Vec<u8>) -> Result<(), io::Error> {
        self.0.put(primary, key, &value)
    }

    fn remove(&self, primary: &str, _: &str, key: &str, _: bool) -> Result<(), io::Error> {
        self.0.take(primary, key);
        Ok(())
    }

    fn list(&self, primary: &str, _: &str) -> Result<Vec<String>, io::Error> {
        Ok(self.0.keys(primary))
    }
}

/// Each write takes effect when it is polled for the second time.
#[derive(Clone)]
pub(crate) struct Later(pub(crate) Arc<Values>);

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

    fn remove(
        &self,
        primary: &str,
        _: &str,
        key: &str,
        _: bool,
    ) -> AsyncResult<'static, (), io::Error> {
        self.0.take(primary, key);
        Box::pin(async { Ok(()) })
    }

    fn list(&self, primary: &str, _: &str) -> AsyncResult<'static, Vec<String>, io::Error> {
        let keys = self.0.keys(primary);
        Box::pin(async move { Ok(keys) })
    }
}
