//! The handle.

use std::{
    fmt,
    ops::{ControlFlow, Deref},
    sync::Arc,
};

use lightning::util::persist::KVStoreSync;
use payonce_core::{
    Entry, EventSource, EventStore, Exclusion, Fence, Head, LedgerId, Snapshot, StoreError,
    StoredEntry,
};

use crate::{
    error::KvError,
    history::{History, Verified},
    keys::Key,
    log::Listing,
    namespace::{Namespace, Space},
    value::{self, Record},
};

/// How many snapshots are kept besides the base.
const SNAPSHOTS_KEPT: usize = 2;

/// A log in a namespace of a key-value store, as LDK's pointers hold one (`Arc<K>`, `&K`).
///
/// It becomes the writer with [`fence`](EventStore::fence); before that it writes nothing, which
/// is what an auditor wants. Nothing keeps a second writer out ([`Exclusion::None`]): that there is
/// none is the caller's word. Where the word was wrong, the two forks show as
/// [`KvError::Fork`] when the keys are listed next: at opening, at a fence, and when a snapshot is
/// saved or history is dropped. A writer that finds there that another one went on is
/// [`StoreError::Fenced`].
///
/// After any failed append the handle is poisoned: what is there is known again only once the log
/// has been opened anew. A failed snapshot or dropping of history is an error of that call alone,
/// unless it was the base that could not be written, or the log is found not to be as this handle
/// left it.
pub struct KvStore<K> {
    history: History<K>,
    health: Health,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Health {
    /// Not the writer yet.
    Opened,
    Writer,
    /// Another writer went on.
    Fenced,
    /// A call left the log unknown, and said so.
    Poisoned(Arc<str>),
}

impl<K> fmt::Debug for KvStore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { history, health } = self;
        f.debug_struct("KvStore")
            .field("namespace", &history.space.namespace)
            .field("ledger", &history.log.ledger)
            .field("head", &history.log.head)
            .field("health", health)
            .finish_non_exhaustive()
    }
}

impl<K: Deref<Target: KVStoreSync>> KvStore<K> {
    /// Creates an empty log in this namespace, which must be empty.
    ///
    /// # Errors
    /// [`KvError::AlreadyExists`] if there is a log, [`KvError::NotEmpty`] if there is anything
    /// else; [`KvError::Io`] if the key-value store fails: then there is a log or none.
    pub fn create(kv: K, namespace: Namespace, ledger: LedgerId) -> Result<Self, KvError> {
        let space = Space { kv, namespace };
        let listing = Listing::read(&space)?;
        if listing.has_record {
            return Err(KvError::AlreadyExists { place: space.namespace.to_string() });
        }
        if let Some(found) = listing.any() {
            return Err(KvError::NotEmpty { place: space.namespace.place(found) });
        }
        let record = Record { ledger, vouched: Head::genesis(ledger) };
        space.write(Key::Record, record.encode())?;
        Ok(Self { history: History::open(space)?, health: Health::Opened })
    }

    /// Opens the log in this namespace: lists its keys, reads the record and the newest chunk, and
    /// modifies nothing.
    ///
    /// # Errors
    /// [`KvError::NotALedger`] if there is none; any other says what is damaged, missing, or there
    /// twice.
    pub fn open(kv: K, namespace: Namespace) -> Result<Self, KvError> {
        let history = History::open(Space { kv, namespace })?;
        Ok(Self { history, health: Health::Opened })
    }

    /// The namespace in which this ledger's keys are.
    #[must_use]
    pub const fn namespace(&self) -> &Namespace {
        &self.history.space.namespace
    }

    /// Reads every byte of the log, its base and its snapshots, and checks it.
    ///
    /// # Errors
    /// [`KvError`] with the key of the first damage.
    pub fn verify(&self) -> Result<Verified, KvError> {
        self.history.verify()
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        match &self.health {
            Health::Opened | Health::Writer => Ok(()),
            Health::Fenced => Err(StoreError::Fenced { by: None }),
            Health::Poisoned(cause) => Err(StoreError::Poisoned { cause: Arc::clone(cause) }),
        }
    }

    fn check_writer(&self) -> Result<(), StoreError> {
        match self.health {
            Health::Opened => Err(KvError::NotFenced.into()),
            _ => self.check_usable(),
        }
    }

    /// Runs a writing call; after any error nothing more is answered.
    fn write<T>(
        &mut self,
        call: impl FnOnce(&mut History<K>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.run(call, |_| true)
    }

    /// Saves a snapshot or drops history: a key-value store that fails meanwhile fails that call
    /// alone. What else is wrong is wrong with the log: another writer's keys, or missing ones.
    fn maintain<T>(
        &mut self,
        call: impl FnOnce(&mut History<K>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.run(call, |error| {
            !matches!(error, StoreError::Missing { .. } | StoreError::Backend(_))
        })
    }

    fn run<T>(
        &mut self,
        call: impl FnOnce(&mut History<K>) -> Result<T, StoreError>,
        poisons: impl FnOnce(&StoreError) -> bool,
    ) -> Result<T, StoreError> {
        // Set first, so that a panic in between poisons too.
        self.health = Health::Poisoned("a call panicked".into());
        let outcome = call(&mut self.history);
        self.health = match &outcome {
            Err(StoreError::Fenced { .. }) => Health::Fenced,
            Err(error) if poisons(error) => Health::Poisoned(error.cause()),
            _ => Health::Writer,
        };
        outcome
    }
}

impl<K: Deref<Target: KVStoreSync>> History<K> {
    /// Makes what was found durable before it is built upon: the write of the newest chunk, or of
    /// the record, may have failed after it became visible. Every earlier chunk was acknowledged
    /// before the next was written.
    fn settle(&mut self) -> Result<(), KvError> {
        if let Some(newest) = self.log.chunks.len().checked_sub(1) {
            let value = self.read_chunk(newest)?.into_value();
            self.space.write(Key::Chunk(self.log.chunks[newest]), value)?;
        }
        self.vouch()
    }

    /// States in the record that the log reaches its present head, so that it is missed if it goes.
    fn vouch(&mut self) -> Result<(), KvError> {
        let record = Record { ledger: self.log.ledger, vouched: self.log.head };
        self.space.write(Key::Record, record.encode())?;
        self.vouched = self.log.head;
        Ok(())
    }

    fn check_continues(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut actual = self.log.head;
        for entry in entries {
            if entry.before() != actual {
                return Err(StoreError::NotNext { expected: entry.before(), actual });
            }
            actual = entry.after();
        }
        Ok(())
    }

    /// Appends a batch: one write, or, if it is large, several in its order.
    fn append(&mut self, mut entries: &[Entry]) -> Result<(), KvError> {
        while !entries.is_empty() {
            let (key, value, count) = value::encode_chunk(self.log.ledger, entries);
            self.space.write(Key::Chunk(key), value)?;
            self.log.chunks.push(key);
            self.log.head = key.after;
            entries = &entries[count..];
            if self.vouched.seq == 0 {
                // From now on a namespace with nothing but the record is no empty log.
                self.vouch()?;
            }
        }
        Ok(())
    }

    fn save_snapshot(&mut self, at: Head, state: &[u8]) -> Result<(), StoreError> {
        self.check_alone()?;
        if !self.contains(at)? {
            return Err(StoreError::Missing { needed: "end of an entry", requested: at.seq });
        }
        let newer = self.log.usable_snapshots().filter(|other| other.seq > at.seq).count();
        if newer >= SNAPSHOTS_KEPT || self.log.base() == Some(at) {
            return Ok(());
        }
        let value = value::encode_snapshot(self.log.ledger, at, state);
        self.space.write(Key::Snapshot(at), value)?;
        if !self.log.snapshots.contains(&at) {
            self.log.snapshots.push(at);
            self.log.snapshots.sort_unstable_by_key(|at| at.seq);
        }
        Ok(self.evict_snapshots()?)
    }

    /// Removes the snapshots that nobody needs any more. One beyond the head stays: it is damaged,
    /// and may be all that is left of a lost end.
    fn evict_snapshots(&mut self) -> Result<(), KvError> {
        let kept: Vec<_> = self.log.usable_snapshots().take(SNAPSHOTS_KEPT).collect();
        let head = self.log.head.seq;
        let is_needed = |at: &Head| kept.contains(at) || at.seq > head;
        while let Some(nth) = self.log.snapshots.iter().position(|at| !is_needed(at)) {
            self.space.remove(Key::Snapshot(self.log.snapshots[nth]))?;
            self.log.snapshots.remove(nth);
        }
        Ok(())
    }

    /// The state at this head, read back and checked, if it is not the base already.
    fn state_of_base(&self, at: Head) -> Result<Option<Vec<u8>>, StoreError> {
        self.check_alone()?;
        if self.log.base() == Some(at) {
            return Ok(None);
        }
        let missing = StoreError::Missing { needed: "readable snapshot", requested: at.seq };
        if !self.log.usable_snapshots().any(|snapshot| snapshot == at) {
            return Err(missing);
        }
        match self.read_snapshot(Key::Snapshot(at), at) {
            Ok(snapshot) if self.contains(at)? => Ok(Some(snapshot.bytes)),
            Err(error @ KvError::Io { .. }) => Err(error.into()),
            _ => Err(missing),
        }
    }

    fn write_base(&mut self, at: Head, state: &[u8]) -> Result<(), KvError> {
        self.space.write(Key::Base(at), value::encode_snapshot(self.log.ledger, at, state))?;
        self.log.bases.push(at);
        Ok(())
    }

    /// Removes what the base stands for, the oldest chunk first: what a crash leaves is continuous,
    /// and the next fence finishes. Nothing goes before the base was read back; one that was found
    /// is written again, since its write may have failed after it became visible.
    fn drop_below_base(&mut self, was_found: bool) -> Result<(), KvError> {
        let covered = self.log.covered();
        if covered > 0 || self.log.bases.len() > 1 {
            let base = self.base()?.expect("it stands for something");
            if was_found {
                let value = value::encode_snapshot(self.log.ledger, base.at, &base.bytes);
                self.space.write(Key::Base(base.at), value)?;
            }
            // What could not be removed is still known, so that the next call begins with it.
            for _ in 0..covered {
                self.space.remove(Key::Chunk(self.log.chunks[0]))?;
                self.log.chunks.remove(0);
            }
            while self.log.bases.len() > 1 {
                self.space.remove(Key::Base(self.log.bases[0]))?;
                self.log.bases.remove(0);
            }
        }
        self.evict_snapshots()
    }
}

impl<K: Deref<Target: KVStoreSync>> EventSource for KvStore<K> {
    fn ledger_id(&self) -> LedgerId {
        self.history.log.ledger
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.check_usable()?;
        Ok(self.history.log.head)
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.check_usable()?;
        self.history.replay(from, visit)
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.check_usable()?;
        Ok(self.history.load_snapshot(at_most)?)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.check_usable()?;
        Ok(self.history.base()?)
    }
}

impl<K: Deref<Target: KVStoreSync>> EventStore for KvStore<K> {
    fn exclusion(&self) -> Exclusion {
        Exclusion::None
    }

    /// Lists the keys anew, makes durable what was found, and finishes a dropping of history that a
    /// crash interrupted.
    fn fence(&mut self) -> Result<Fence, StoreError> {
        self.check_usable()?;
        self.write(|history| {
            history.reopen()?;
            history.settle()?;
            history.drop_below_base(true)?;
            Ok(history.log.head.into())
        })
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.check_writer()?;
        self.write(|history| {
            history.check_continues(entries)?;
            Ok(history.append(entries)?)
        })
    }

    fn confirm_owner(&mut self) -> Result<(), StoreError> {
        self.check_writer()
    }

    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        self.check_writer()?;
        self.maintain(|history| history.save_snapshot(at, bytes))
    }

    fn drop_history(&mut self, base: Head) -> Result<(), StoreError> {
        self.check_writer()?;
        let state = self.maintain(|history| history.state_of_base(base))?;
        if let Some(state) = &state {
            // Where the log begins is unknown after a failure: that is no matter of this call alone.
            self.write(|history| Ok(history.write_base(base, state)?))?;
        }
        self.maintain(|history| Ok(history.drop_below_base(state.is_none())?))
    }
}
