//! What a store and its snapshot writers have in common, and how either saves a snapshot.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use payonce_core::{Head, SnapshotWriter, StoreError};

use crate::{
    disk::Disk,
    error::FsError,
    history::{History, Listing},
    names, snapshot,
};

/// How many snapshots are kept besides the base.
const SNAPSHOTS_KEPT: usize = 2;

/// Lives as long as the store's handle, and as long as a save that is under way.
#[derive(Debug)]
pub(crate) struct Shared<D: Disk> {
    /// The log as it was acknowledged last.
    seen: Mutex<History<D>>,
    /// Held by whoever reads or changes snapshots and the base.
    snapshots: Mutex<()>,
    /// Held by whoever changes names and syncs them. An error of a sync may be told only once: who
    /// is told says so in `failed` before the next one syncs.
    names: Mutex<()>,
    failed: AtomicBool,
    /// Closing it gives the lock up.
    _lock: D::File,
}

impl<D: Disk> Shared<D> {
    pub(crate) fn new(history: &History<D>, lock: D::File) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::new(history.clone()),
            snapshots: Mutex::new(()),
            names: Mutex::new(()),
            failed: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// Shows what is acknowledged now.
    pub(crate) fn show(&self, history: &History<D>) {
        let mut seen = locked(&self.seen);
        seen.head = history.head;
        if seen.newest() != history.newest() || seen.base != history.base {
            seen.segments.clone_from(&history.segments);
            seen.base = history.base;
        }
    }

    pub(crate) fn check_usable(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) { Err(StoreError::Poisoned) } else { Ok(()) }
    }

    /// Says that the outcome of a writing call is unknown.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// For whoever reads or changes snapshots and the base.
    pub(crate) fn snapshots(&self) -> MutexGuard<'_, ()> {
        locked(&self.snapshots)
    }

    /// Changes names, unless an earlier change failed.
    pub(crate) fn change_names<T>(
        &self,
        change: impl FnOnce() -> Result<T, FsError>,
    ) -> Result<T, StoreError> {
        let _names = locked(&self.names);
        self.check_usable()?;
        Ok(change().inspect_err(|_| self.fail())?)
    }

    /// Saves a snapshot of the log; called with the snapshots locked.
    pub(crate) fn save(
        &self,
        history: &History<D>,
        at: Head,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        if !history.contains(at)? {
            return Err(StoreError::Missing { needed: "end of an entry", requested: at.seq });
        }
        if is_superseded(history, at.seq)? {
            return Ok(());
        }
        snapshot::prepare(&history.disk, history.ledger, at, bytes)?;
        self.change_names(|| {
            names::publish(&history.disk, &names::snapshot(at.seq))?;
            evict_snapshots(history)
        })
    }
}

/// Nothing is ever left half done under these locks.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether two newer snapshots would evict one taken here at once.
fn is_superseded<D: Disk>(history: &History<D>, at: u64) -> Result<bool, FsError> {
    let listing = Listing::read(&history.disk)?;
    let newer = listing.snapshots.iter().filter(|other| **other > at).count();
    Ok(newer >= SNAPSHOTS_KEPT || history.base.is_some_and(|base| base.seq == at))
}

/// Removes the snapshots that nobody needs any more.
pub(crate) fn evict_snapshots<D: Disk>(history: &History<D>) -> Result<(), FsError> {
    let listing = Listing::read(&history.disk)?;
    let base = history.base.map_or(0, |base| base.seq);
    let kept_from = listing.snapshots.len().saturating_sub(SNAPSHOTS_KEPT);
    let evicted = listing.snapshots.iter().enumerate();
    let evicted = evicted.filter(|(nth, at)| *nth < kept_from || **at <= base);
    let evicted: Vec<_> = evicted.map(|(_, at)| names::snapshot(*at)).collect();
    history.remove(&evicted)
}

/// Saves snapshots while the store appends. It keeps the lock only while it saves: once the store's
/// handle is closed it may not write any more, since somebody else may have opened the log.
pub(crate) struct DetachedWriter<D: Disk> {
    store: Weak<Shared<D>>,
}

impl<D: Disk> DetachedWriter<D> {
    pub(crate) fn of(store: &Arc<Shared<D>>) -> Self {
        Self { store: Arc::downgrade(store) }
    }
}

impl<D: Disk> SnapshotWriter for DetachedWriter<D> {
    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        let shared = self.store.upgrade().ok_or(StoreError::Fenced)?;
        let _snapshots = shared.snapshots();
        shared.check_usable()?;
        let history = locked(&shared.seen).clone();
        let outcome = shared.save(&history, at, bytes);
        if !matches!(outcome, Ok(()) | Err(StoreError::Missing { .. })) {
            shared.fail();
        }
        outcome
    }
}
