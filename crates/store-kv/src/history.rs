//! The log as it lies in its namespace: finding it, and reading its values.

use std::ops::{ControlFlow, Deref};

use lightning::util::persist::KVStoreSync;
use payonce_core::{Head, Snapshot, StoreError, StoredEntry};

use crate::{
    error::KvError,
    keys::Key,
    log::{Listing, Log},
    namespace::Space,
    value::{self, Chunk, Record},
};

/// The log, and where its values are.
pub(crate) struct History<K> {
    pub(crate) space: Space<K>,
    pub(crate) log: Log,
    /// A head that was durable, as the record states it.
    pub(crate) vouched: Head,
}

impl<K: Deref<Target: KVStoreSync>> History<K> {
    /// Finds the log in its namespace.
    pub(crate) fn open(space: Space<K>) -> Result<Self, KvError> {
        let (log, vouched) = find(&space)?;
        let history = Self { space, log, vouched };
        history.check()?;
        Ok(history)
    }

    /// Finds the log anew: what another handle has done since is seen.
    pub(crate) fn reopen(&mut self) -> Result<(), KvError> {
        let (log, vouched) = find(&self.space)?;
        if log.ledger != self.log.ledger {
            let place = self.space.place(Key::Record);
            let (found, expected) = (log.ledger, self.log.ledger);
            return Err(KvError::OtherLedger { place, found, expected });
        }
        (self.log, self.vouched) = (log, vouched);
        self.check()
    }

    /// Lists the keys anew and makes sure that nobody else has written. Any fork shows here.
    pub(crate) fn check_alone(&self) -> Result<(), StoreError> {
        let (ours, ledger) = (&self.log, self.log.ledger);
        let found = Log::of(Listing::read(&self.space)?, ledger, &self.space.namespace)?;
        if (found.head, found.base()) == (ours.head, ours.base()) {
            Ok(())
        } else if found.head.seq >= ours.head.seq {
            Err(StoreError::Fenced { by: None })
        } else {
            let key = ours.chunks.last().map_or(Key::Record, |newest| Key::Chunk(*newest));
            Err(KvError::Gone { place: self.space.place(key) }.into())
        }
    }

    /// Checks what the keys alone do not tell: the newest chunk, a base inside a chunk, and that no
    /// snapshot knows of more than there is.
    fn check(&self) -> Result<(), KvError> {
        self.log.check_vouched(self.vouched, &self.space.namespace)?;
        if let Some(newest) = self.log.chunks.len().checked_sub(1) {
            self.read_chunk(newest)?;
        }
        if let Some(base) = self.log.base()
            && !self.contains(base)?
        {
            return Err(KvError::OffChain {
                place: self.space.place(Key::Base(base)),
                at: base.seq,
            });
        }
        self.check_none_ahead()
    }

    fn check_none_ahead(&self) -> Result<(), KvError> {
        let head = self.log.head.seq;
        for &at in self.log.snapshots.iter().filter(|at| at.seq > head) {
            match self.read_snapshot(Key::Snapshot(at), at) {
                Ok(_) => {
                    let place = self.space.place(Key::Snapshot(at));
                    return Err(KvError::Ahead { place, at: at.seq, head });
                }
                Err(error @ (KvError::Io { .. } | KvError::NewerVersion { .. })) => {
                    return Err(error);
                }
                // A damaged one proves nothing.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Reads a chunk and checks every byte of it, also that it continues the one before.
    pub(crate) fn read_chunk(&self, nth: usize) -> Result<Chunk, KvError> {
        let key = self.log.chunks[nth];
        let place = self.space.place(Key::Chunk(key));
        let value = self.space.read(Key::Chunk(key))?;
        let chunk = Chunk::decode(value, self.log.ledger, key, &place)?;
        let before = match nth.checked_sub(1) {
            Some(before) => {
                Some((self.log.chunks[before].after, Key::Chunk(self.log.chunks[before])))
            }
            None if key.first == 1 => Some((Head::genesis(self.log.ledger), Key::Record)),
            None => self
                .log
                .base()
                .filter(|base| base.seq + 1 == key.first)
                .map(|base| (base, Key::Base(base))),
        };
        match before {
            Some((at, before)) if at != chunk.before => {
                Err(KvError::Unlinked { place, before: self.space.place(before) })
            }
            _ => Ok(chunk),
        }
    }

    /// Reads a snapshot or a base and checks every byte of it.
    pub(crate) fn read_snapshot(&self, key: Key, at: Head) -> Result<Snapshot, KvError> {
        let value = self.space.read(key)?;
        value::decode_snapshot(value, self.log.ledger, at, &self.space.place(key))
    }

    /// Whether history holds an entry that ends at this head, or begins there.
    pub(crate) fn contains(&self, at: Head) -> Result<bool, KvError> {
        let start = self.log.start();
        let nth = self.log.find(at.seq);
        match self.log.chunks.get(nth) {
            _ if at.seq < start.seq => Ok(false),
            // A base inside a chunk must be there too, which only a reading tells.
            Some(key) if key.first <= at.seq && at.seq < key.after.seq => {
                let chunk = self.read_chunk(nth)?;
                Ok(chunk.entries.iter().any(|entry| entry.after == at))
            }
            Some(key) if key.after.seq == at.seq => Ok(key.after == at),
            _ => Ok(at == start),
        }
    }

    /// Yields the entries whose first seq is `from` or above, in order.
    pub(crate) fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let from = from.max(1);
        let first = self.log.base().map_or(1, |base| base.seq + 1);
        if from < first || from > self.log.head.seq + 1 {
            return Err(StoreError::Missing { needed: "history", requested: from });
        }
        for nth in self.log.find(from)..self.log.chunks.len() {
            let chunk = self.read_chunk(nth)?;
            for entry in chunk.entries.iter().filter(|entry| entry.first_seq >= from) {
                let (first_seq, bytes) = (entry.first_seq, chunk.bytes(entry));
                if visit(StoredEntry { first_seq, bytes }).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The newest readable snapshot on this log's chain at or before `at_most`, the base included.
    pub(crate) fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, KvError> {
        for at in self.log.usable_snapshots().filter(|at| at.seq <= at_most) {
            // An accelerator: whatever is wrong with one costs time and nothing else.
            if let Ok(snapshot) = self.read_snapshot(Key::Snapshot(at), at)
                && self.contains(at)?
            {
                return Ok(Some(snapshot));
            }
        }
        if self.log.start().seq <= at_most { self.base() } else { Ok(None) }
    }

    /// The snapshot that stands for dropped history.
    pub(crate) fn base(&self) -> Result<Option<Snapshot>, KvError> {
        let base = self.log.base();
        base.map(|at| self.read_snapshot(Key::Base(at), at)).transpose()
    }

    /// Checks every byte of the log, its base and its snapshots.
    pub(crate) fn verify(&self) -> Result<Verified, KvError> {
        let record = self.space.read(Key::Record)?;
        Record::decode(&record, &self.space.place(Key::Record))?;
        self.base()?;
        let start = self.log.start().seq;
        let mut entries = 0;
        for nth in self.log.covered()..self.log.chunks.len() {
            let chunk = self.read_chunk(nth)?;
            entries += chunk.entries.iter().filter(|entry| entry.first_seq > start).count() as u64;
        }
        let mut damaged_snapshots = Vec::new();
        for &at in &self.log.snapshots {
            let key = Key::Snapshot(at);
            let is_history = at.seq < start || self.contains(at)?;
            if !is_history || self.read_snapshot(key, at).is_err() {
                damaged_snapshots.push(self.space.place(key));
            }
        }
        Ok(Verified { entries, head: self.log.head, damaged_snapshots })
    }
}

/// A log that was read through and found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many entries were read.
    pub entries: u64,
    /// Where the log ends.
    pub head: Head,
    /// The snapshots that are unreadable or not of this log. They cost time and no data.
    pub damaged_snapshots: Vec<String>,
}

/// Reads the record and puts the keys together.
fn find<K: Deref<Target: KVStoreSync>>(space: &Space<K>) -> Result<(Log, Head), KvError> {
    let listing = Listing::read(space)?;
    let place = space.place(Key::Record);
    if !listing.has_record {
        return Err(match listing.any() {
            Some(found) => KvError::RecordMissing { place, found: space.namespace.place(found) },
            None => KvError::NotALedger { place: space.namespace.to_string() },
        });
    }
    // Before the other keys are judged: a newer version may have others.
    let Record { ledger, vouched } = Record::decode(&space.read(Key::Record)?, &place)?;
    Ok((Log::of(listing, ledger, &space.namespace)?, vouched))
}
