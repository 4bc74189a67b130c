//! What a store and its snapshot writers have in common, and how either saves a snapshot.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use payonce_core::{Head, SnapshotWriter, StoreError};

use crate::{
    disk::Disk,
    error::FsError,
    history::{History, Listing},
    names::{self, LOCK},
    planted, snapshot,
};

/// How many snapshots are kept besides the base.
const SNAPSHOTS_KEPT: usize = 2;

/// What a writer holds for the life of its handle, to keep others out; the newest segment is locked
/// as well.
#[derive(Debug)]
pub(crate) struct Held<F> {
    /// The lock file.
    pub(crate) lock: F,
    /// The directory itself: nobody can delete this lock by a name.
    pub(crate) _directory: F,
}

/// Lives as long as the store's handle, and as long as a save that is under way.
#[derive(Debug)]
pub(crate) struct Shared<D: Disk> {
    disk: D,
    /// The log as it was acknowledged last.
    seen: Mutex<History<D>>,
    /// Held by whoever reads or changes snapshots and the base.
    snapshots: Mutex<()>,
    /// Held by whoever changes names and syncs them. An error of a sync may be told only once: who
    /// is told says so in `fault` before the next one syncs.
    names: Mutex<()>,
    /// What the first failure said that left the log unknown.
    fault: OnceLock<Arc<str>>,
    /// Closing it gives the locks up.
    held: Held<D::File>,
}

impl<D: Disk> Shared<D> {
    pub(crate) fn new(history: &History<D>, held: Held<D::File>) -> Arc<Self> {
        Arc::new(Self {
            disk: history.disk.clone(),
            seen: Mutex::new(history.clone()),
            snapshots: Mutex::new(()),
            names: Mutex::new(()),
            fault: OnceLock::new(),
            held,
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
        match self.fault.get() {
            None => Ok(()),
            Some(cause) => Err(StoreError::Poisoned { cause: Arc::clone(cause) }),
        }
    }

    /// Says that the log is unknown from now on. The first cause stays.
    pub(crate) fn fail(&self, cause: Arc<str>) {
        let _ = self.fault.set(cause);
    }

    /// For whoever reads or changes snapshots and the base.
    pub(crate) fn snapshots(&self) -> MutexGuard<'_, ()> {
        locked(&self.snapshots)
    }

    /// Changes names, unless the log is unknown, or the directory is not ours any more. If the sync
    /// of the names fails the log is unknown, since its own names are among them; any other failure
    /// is that of this call alone.
    pub(crate) fn change_names<T>(
        &self,
        change: impl FnOnce() -> Result<T, FsError>,
    ) -> Result<T, StoreError> {
        let _names = locked(&self.names);
        self.check_usable()?;
        let changed = self.check_ours(LOCK, &self.held.lock).and_then(|()| change());
        changed.map_err(|error| {
            let unknown = error.leaves_names_unknown();
            let error = StoreError::from(error);
            if unknown {
                self.fail(error.cause());
            }
            error
        })
    }

    /// Changes names for the last time.
    pub(crate) fn last_names<T>(
        &self,
        change: impl FnOnce() -> Result<T, FsError>,
    ) -> Result<T, FsError> {
        let _names = locked(&self.names);
        change()
    }

    /// Checks that this file, held open, is what others find under its name.
    pub(crate) fn check_ours(&self, name: &str, file: &D::File) -> Result<(), FsError> {
        let disk = &self.disk;
        if planted::is_planted(planted::LOOKS_NOWHERE)
            || disk.leads_to(name, file).map_err(names::io_error("look for", disk, name))?
        {
            Ok(())
        } else {
            Err(FsError::Replaced { place: disk.place(name) })
        }
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
        let shared = self.store.upgrade().ok_or(StoreError::Fenced { by: None })?;
        let _snapshots = shared.snapshots();
        shared.check_usable()?;
        let history = locked(&shared.seen).clone();
        shared.save(&history, at, bytes)
    }
}
