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

/// The locks of a writer, for the life of its handle; the newest segment is locked as well.
#[derive(Debug)]
pub(crate) struct Held<F> {
    /// The open lock file: its lock is held for as long as it is open.
    pub(crate) lock: F,
    /// The directory itself: deleting files does not end this lock.
    pub(crate) _directory: F,
}

/// What a store and its snapshot writers share; it lives as long as the store's handle and any save
/// under way.
#[derive(Debug)]
pub(crate) struct Shared<D: Disk> {
    disk: D,
    /// The log as of the last acknowledged append.
    seen: Mutex<History<D>>,
    /// Locked while snapshots or the base are read or changed.
    snapshots: Mutex<()>,
    /// Locked while names are changed and synced. The system may report a failed sync only once: whoever
    /// gets the error sets `fault` before anyone syncs again.
    names: Mutex<()>,
    /// The text of the first failure that left the log unknown.
    fault: OnceLock<Arc<str>>,
    /// Dropping it releases the locks.
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

    /// Updates what snapshot writers see to what is acknowledged now.
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

    /// Marks the log as unknown from now on, with the first cause.
    pub(crate) fn fail(&self, cause: Arc<str>) {
        let _ = self.fault.set(cause);
    }

    /// The lock for reading or changing snapshots and the base.
    pub(crate) fn snapshots(&self) -> MutexGuard<'_, ()> {
        locked(&self.snapshots)
    }

    /// Changes names, unless the log is unknown or the directory was replaced. If the sync of the names
    /// fails, the log is unknown, since its own names are among them; any other failure is of this call
    /// alone.
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

/// Locks a mutex, also after a panic: nothing is ever left half done under these locks.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether two newer snapshots would at once evict one taken here.
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

/// Saves snapshots while the store appends. It keeps the locks only while it saves: once the store's
/// handle is closed it must not write any more, since another writer may have opened the log.
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
