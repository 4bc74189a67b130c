//! The log as its keys tell it: what there is, in order, without a hole and without a fork.

use std::ops::Deref;

use lightning::util::persist::KVStoreSync;
use payonce_core::{Head, LedgerId};

use crate::{
    error::KvError,
    keys::{ChunkKey, Key},
    namespace::{Namespace, Space},
};

/// The keys in the namespace, by kind, each kind in the order of the log.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) has_record: bool,
    chunks: Vec<ChunkKey>,
    snapshots: Vec<Head>,
    bases: Vec<Head>,
    /// A name that is none of ours.
    pub(crate) foreign: Option<String>,
}

impl Listing {
    pub(crate) fn read<K: Deref<Target: KVStoreSync>>(space: &Space<K>) -> Result<Self, KvError> {
        let mut names = space.list()?;
        // The numbers in names have a fixed width: the order of names is that of the log.
        names.sort_unstable();
        names.dedup();
        let mut listing = Self::default();
        for name in names {
            match Key::parse(&name) {
                Some(Key::Record) => listing.has_record = true,
                Some(Key::Chunk(key)) => listing.chunks.push(key),
                Some(Key::Snapshot(at)) => listing.snapshots.push(at),
                Some(Key::Base(at)) => listing.bases.push(at),
                None => listing.foreign = Some(name),
            }
        }
        Ok(listing)
    }

    /// A key that is there, besides the record.
    pub(crate) fn any(&self) -> Option<String> {
        let chunk = self.chunks.first().map(|key| Key::Chunk(*key));
        let snapshot = self.snapshots.first().map(|at| Key::Snapshot(*at));
        let base = self.bases.first().map(|at| Key::Base(*at));
        let ours = chunk.or(snapshot).or(base).map(|key| key.to_string());
        ours.or_else(|| self.foreign.clone())
    }
}

/// What the keys tell. Chunks are continuous; the base, if there is one, lies among them or right
/// before the first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) ledger: LedgerId,
    /// 56 bytes an append since the base.
    pub(crate) chunks: Vec<ChunkKey>,
    /// Oldest first; also those that are damaged, or beyond the head.
    pub(crate) snapshots: Vec<Head>,
    /// Oldest first; the last is the base, the others were replaced by it.
    pub(crate) bases: Vec<Head>,
    pub(crate) head: Head,
}

impl Log {
    /// Puts the keys together, or says what is missing, doubled, or not of this log.
    pub(crate) fn of(
        listing: Listing,
        ledger: LedgerId,
        namespace: &Namespace,
    ) -> Result<Self, KvError> {
        if let Some(name) = listing.foreign {
            return Err(KvError::Foreign { place: namespace.place(name) });
        }
        let Listing { chunks, snapshots, bases, .. } = listing;
        let base = bases.last().copied();
        let start = base.unwrap_or(Head::genesis(ledger));
        let head = chunks.last().map_or(start, |newest| newest.after);
        let log = Self { ledger, chunks, snapshots, bases, head };
        log.check_links(namespace)?;
        log.check_start(namespace)?;
        log.check_base(namespace)?;
        Ok(log)
    }

    /// The snapshot that stands for dropped history.
    pub(crate) fn base(&self) -> Option<Head> {
        self.bases.last().copied()
    }

    /// Where history begins: at the base, or at the beginning.
    pub(crate) fn start(&self) -> Head {
        self.base().unwrap_or(Head::genesis(self.ledger))
    }

    /// The chunk that holds this seq or, if none does, the first after it.
    pub(crate) fn find(&self, seq: u64) -> usize {
        self.chunks.partition_point(|key| key.after.seq < seq)
    }

    /// How many chunks hold nothing but what the base stands for.
    pub(crate) fn covered(&self) -> usize {
        let base = self.base().map_or(0, |base| base.seq);
        self.chunks.partition_point(|key| key.after.seq <= base)
    }

    /// The snapshots that can be used, newest first.
    pub(crate) fn usable_snapshots(&self) -> impl Iterator<Item = Head> {
        let (base, head) = (self.base().map(|base| base.seq), self.head.seq);
        let newest = self.snapshots.iter().rev().copied();
        newest.filter(move |at| at.seq <= head && base.is_none_or(|base| at.seq > base))
    }

    fn check_links(&self, namespace: &Namespace) -> Result<(), KvError> {
        let place = |key: ChunkKey| namespace.place(Key::Chunk(key));
        for pair in self.chunks.windows(2) {
            let (before, next) = (pair[0], pair[1]);
            if next.first <= before.after.seq {
                let (first, second) = (place(before), place(next));
                return Err(KvError::Fork { seq: next.first, first, second });
            }
            let due = before.after.seq + 1;
            if next.first > due {
                return Err(KvError::Hole { from: due, to: next.first - 1, place: place(next) });
            }
            if next.before != before.after.chain.prefix() {
                return Err(KvError::Unlinked { place: place(next), before: place(before) });
            }
        }
        Ok(())
    }

    fn check_start(&self, namespace: &Namespace) -> Result<(), KvError> {
        let Some(first) = self.chunks.first() else { return Ok(()) };
        let place = namespace.place(Key::Chunk(*first));
        let start = self.start();
        match self.base() {
            None if first.first > 1 => {
                return Err(KvError::BaseMissing { place, first_seq: first.first });
            }
            _ if first.first > start.seq + 1 => {
                return Err(KvError::Hole { from: start.seq + 1, to: first.first - 1, place });
            }
            _ => {}
        }
        // Also where what the base stands for has not been removed: the ledger's id, then.
        let before = match first.first {
            1 => Head::genesis(self.ledger),
            first if first == start.seq + 1 => start,
            _ => return Ok(()),
        };
        if first.before == before.chain.prefix() {
            return Ok(());
        }
        let before = match self.base() {
            Some(base) if before == base => namespace.place(Key::Base(base)),
            _ => namespace.place(Key::Record),
        };
        Err(KvError::Unlinked { place, before })
    }

    /// Whether the base is on the chain is told by who can read a chunk.
    fn check_base(&self, namespace: &Namespace) -> Result<(), KvError> {
        let Some(base) = self.base() else { return Ok(()) };
        let place = |base| namespace.place(Key::Base(base));
        if let [.., other, _] = *self.bases
            && other.seq == base.seq
        {
            return Err(KvError::Fork { seq: base.seq, first: place(other), second: place(base) });
        }
        if base.seq > self.head.seq {
            let from = self.head.seq + 1;
            return Err(KvError::Hole { from, to: base.seq, place: place(base) });
        }
        Ok(())
    }

    /// Checks that a head that was durable is still there. It was the end of a chunk.
    pub(crate) fn check_vouched(&self, at: Head, namespace: &Namespace) -> Result<(), KvError> {
        let start = self.start();
        let place = || namespace.place(Key::Record);
        if at.seq > self.head.seq {
            return Err(KvError::Ahead { place: place(), at: at.seq, head: self.head.seq });
        }
        let is_there = if at.seq == start.seq {
            at == start
        } else {
            // What the base stands for is no longer to be seen.
            at.seq < start.seq
                || self.chunks.get(self.find(at.seq)).is_some_and(|key| key.after == at)
        };
        if is_there { Ok(()) } else { Err(KvError::OffChain { place: place(), at: at.seq }) }
    }
}
