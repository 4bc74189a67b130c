//! Where in the key-value store the log is, and reaching its keys there.

use std::{fmt, ops::Deref};

use lightning::{
    io,
    util::persist::{KVSTORE_NAMESPACE_KEY_ALPHABET, KVSTORE_NAMESPACE_KEY_MAX_LEN, KVStoreSync},
};

use crate::{error::KvError, keys::Key};

/// A namespace that holds one log and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    primary: String,
    secondary: String,
}

impl Namespace {
    /// A namespace of this name. The primary one may not be empty: that is where LDK keeps its
    /// manager. The secondary one may.
    ///
    /// # Errors
    /// [`KvError::Namespace`] when a name is longer than a key-value store takes (120 letters), or
    /// has others than `a-z`, `A-Z`, `0-9`, `_` and `-`.
    pub fn new(primary: &str, secondary: &str) -> Result<Self, KvError> {
        let refused = |what, name: &str| Err(KvError::Namespace { what, name: name.into() });
        if primary.is_empty() {
            return refused("a primary namespace that is not empty", primary);
        }
        for name in [primary, secondary] {
            if name.len() > KVSTORE_NAMESPACE_KEY_MAX_LEN {
                return refused("at most 120 letters", name);
            }
            if !name.chars().all(|letter| KVSTORE_NAMESPACE_KEY_ALPHABET.contains(letter)) {
                return refused("letters of `a-z`, `A-Z`, `0-9`, `_` and `-` only", name);
            }
        }
        Ok(Self { primary: primary.into(), secondary: secondary.into() })
    }

    /// The primary namespace, as LDK's stores call it: the first part of every key.
    #[must_use]
    pub fn primary(&self) -> &str {
        &self.primary
    }

    /// The secondary namespace: the part of every key that tells the ledgers of one store apart.
    #[must_use]
    pub fn secondary(&self) -> &str {
        &self.secondary
    }

    /// Where a key is, for messages.
    pub(crate) fn place(&self, key: impl fmt::Display) -> String {
        format!("{self}/{key}")
    }
}

/// `payonce`, without a secondary namespace.
impl Default for Namespace {
    fn default() -> Self {
        Self { primary: "payonce".into(), secondary: String::new() }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { primary, secondary } = self;
        if secondary.is_empty() { f.write_str(primary) } else { write!(f, "{primary}/{secondary}") }
    }
}

/// A namespace of a key-value store.
pub(crate) struct Space<K> {
    pub(crate) kv: K,
    pub(crate) namespace: Namespace,
}

impl<K: Deref<Target: KVStoreSync>> Space<K> {
    pub(crate) fn place(&self, key: Key) -> String {
        self.namespace.place(key)
    }

    /// The names of all keys, in any order.
    pub(crate) fn list(&self) -> Result<Vec<String>, KvError> {
        let Namespace { primary, secondary } = &self.namespace;
        self.kv.list(primary, secondary).map_err(|cause| KvError::Io {
            action: "list",
            place: self.namespace.to_string(),
            cause,
        })
    }

    /// The value of a key that was listed or written.
    pub(crate) fn read(&self, key: Key) -> Result<Vec<u8>, KvError> {
        let Namespace { primary, secondary } = &self.namespace;
        self.kv.read(primary, secondary, &key.to_string()).map_err(|cause| {
            let place = self.place(key);
            match cause.kind() {
                io::ErrorKind::NotFound => KvError::Gone { place },
                _ => KvError::Io { action: "read", place, cause },
            }
        })
    }

    pub(crate) fn write(&self, key: Key, value: Vec<u8>) -> Result<(), KvError> {
        let Namespace { primary, secondary } = &self.namespace;
        let written = self.kv.write(primary, secondary, &key.to_string(), value);
        written.map_err(|cause| KvError::Io { action: "write", place: self.place(key), cause })
    }

    /// Removes a key, never lazily: what is removed after it must not be gone before it.
    pub(crate) fn remove(&self, key: Key) -> Result<(), KvError> {
        let Namespace { primary, secondary } = &self.namespace;
        let removed = self.kv.remove(primary, secondary, &key.to_string(), false);
        removed.map_err(|cause| KvError::Io { action: "remove", place: self.place(key), cause })
    }
}
