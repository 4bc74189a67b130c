//! The writer's handle: appends, snapshots, dropping history.

use std::{convert, ops::ControlFlow, path::Path, sync::Arc};

use payonce_core::{
    Entry, EventSource, EventStore, Exclusion, Fence, Head, LedgerId, Snapshot, SnapshotWriter,
    StoreError, StoredEntry,
};

use crate::{
    disk::{Disk, DiskFile, write_full, write_zeros},
    error::FsError,
    frame,
    history::{Chain, History, Listing, Verified},
    names::{self, io_error},
    newest::{Closed, Newest},
    options::Options,
    real::{self, RealDisk},
    recovery::{self, Recovered, RecoveryReport},
    reserve,
    segment::{FRAMES_AT, SegmentHeader},
    shared::{DetachedWriter, Held, Shared, evict_snapshots},
    snapshot,
};

/// A log in a directory, open for writing. A second writer gets [`FsError::Locked`] for as long as this
/// handle lives: the lock file, the directory and the newest segment are locked, and files are opened
/// relative to the open directory, not by a path that could change. An append is acknowledged only if
/// the newest segment is still what others find under its name; a writer whose directory was replaced,
/// or whose log another writer has taken, is poisoned with [`FsError::Replaced`], and one whose segment
/// somebody has cut with [`FsError::Cut`].
///
/// After any failed append the handle is poisoned: what is on the disk is known only once the log has
/// been opened again. A failed sync is never tried again. A failed snapshot or dropping of
/// history is an error of that call alone, unless the names in the directory are unknown.
///
/// [`close`](Self::close) the handle, or drop it: that records a clean close, and the next opening need
/// not rewrite the newest segment.
#[derive(Debug)]
pub struct FsStore<D: Disk = RealDisk> {
    history: History<D>,
    active: Active<D::File>,
    options: Options,
    state: Doing,
    shared: Arc<Shared<D>>,
}

/// What a handle is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// No writing call is under way.
    Rests,
    /// A writing call is under way; if another call finds this, that one has panicked.
    Writes,
    /// The handle was closed.
    Closed,
}

/// The newest segment, to which entries are appended.
#[derive(Debug)]
struct Active<F> {
    file: F,
    name: String,
    /// The length of the file: zeros are reserved from the end of the entries up to here.
    size: usize,
    /// The frames of one append; kept so that an append allocates nothing.
    frames: Vec<u8>,
}

impl FsStore {
    /// Creates a log in this directory, which is created if it does not exist; its parent must exist.
    /// Only for the first start of a node: never do it because [`open`](Self::open) found nothing, since
    /// a volume may not be mounted.
    ///
    /// # Errors
    /// [`FsError::AlreadyExists`] if there is a log, [`FsError::NotEmpty`] if there is anything
    /// else, [`FsError::Gone`] if there was a log; or another error of the file system.
    pub fn create(
        directory: impl AsRef<Path>,
        ledger: LedgerId,
        options: Options,
    ) -> Result<(Self, RecoveryReport), FsError> {
        options.check()?;
        Self::create_on(real::create(directory.as_ref())?, ledger, options)
    }

    /// As [`create`](Self::create), for a log whose history up to a base was dropped: a copy of another
    /// one, an import. Use the other log's own base, and append its entries after that base next: the
    /// chain shows where an entry belongs, and the log itself names its base
    /// ([`payonce_core::State::check_base`]).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_from(
        directory: impl AsRef<Path>,
        ledger: LedgerId,
        base: &Snapshot,
        options: Options,
    ) -> Result<(Self, RecoveryReport), FsError> {
        options.check()?;
        let disk = real::create(directory.as_ref())?;
        let held = recovery::create(&disk, ledger, Some(base), &options)?;
        Self::recover(disk, held, options)
    }

    /// Opens the log in this directory. Never creates one.
    ///
    /// # Errors
    /// [`FsError::NotALedger`] if there is none, [`FsError::Locked`] while another handle writes;
    /// any other says what is damaged or missing, and nothing was modified.
    pub fn open(
        directory: impl AsRef<Path>,
        options: Options,
    ) -> Result<(Self, RecoveryReport), FsError> {
        Self::open_on(real::open(directory.as_ref())?, options)
    }
}

impl<D: Disk> FsStore<D> {
    /// Creates a log on this disk.
    ///
    /// # Errors
    /// As [`FsStore::create`].
    pub fn create_on(
        disk: D,
        ledger: LedgerId,
        options: Options,
    ) -> Result<(Self, RecoveryReport), FsError> {
        options.check()?;
        let held = recovery::create(&disk, ledger, None, &options)?;
        Self::recover(disk, held, options)
    }

    /// Opens the log on this disk.
    ///
    /// # Errors
    /// As [`FsStore::open`].
    pub fn open_on(disk: D, options: Options) -> Result<(Self, RecoveryReport), FsError> {
        options.check()?;
        let held = recovery::lock(&disk)?;
        Self::recover(disk, held, options)
    }

    fn recover(
        disk: D,
        held: Held<D::File>,
        options: Options,
    ) -> Result<(Self, RecoveryReport), FsError> {
        let Recovered { history, file, size, report } = recovery::recover(disk, &held, &options)?;
        let active = Active { file, name: history.newest().name(), size, frames: Vec::new() };
        let shared = Shared::new(&history, held);
        Ok((Self { history, active, options, state: Doing::Rests, shared }, report))
    }

    /// Records a clean close, as dropping the handle does, and reports if that failed: then nothing is
    /// lost, and the next opening rewrites the newest segment.
    ///
    /// # Errors
    /// [`FsError`]; a poisoned handle records nothing and returns no error.
    pub fn close(mut self) -> Result<(), FsError> {
        self.leave()
    }

    /// Records the clean close in the file `newest`.
    fn leave(&mut self) -> Result<(), FsError> {
        let was = std::mem::replace(&mut self.state, Doing::Closed);
        if was != Doing::Rests || self.shared.check_usable().is_err() {
            return Ok(());
        }
        self.record_end()
    }

    /// Records in the file `newest` where the log ends, and which file the newest segment is.
    fn record_end(&self) -> Result<(), FsError> {
        let (history, active) = (&self.history, &self.active);
        let disk = &history.disk;
        let stamp = active.file.stamp().map_err(io_error("look at", disk, &active.name))?;
        let closed = Closed { head: history.head, end: history.end as u64, stamp };
        let (ledger, first_seq) = (history.ledger, history.newest().first_seq());
        let record = Newest { ledger, first_seq, closed: Some(closed) };
        self.shared.check_ours(&active.name, &active.file)?;
        self.shared.last_names(|| record.write(disk))
    }

    /// Reads every byte of the log, its base and its snapshots, and checks it.
    ///
    /// # Errors
    /// [`FsError`] with the place of the first damage.
    pub fn verify(&self) -> Result<Verified, FsError> {
        self.history.verify()
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        self.shared.check_usable()?;
        if self.state == Doing::Rests { Ok(()) } else { Err(panicked()) }
    }

    /// Runs a writing call and updates what the snapshot writers see. A failure that leaves the log
    /// unknown is reported to [`Shared::fail`].
    fn write(
        &mut self,
        call: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.check_usable()?;
        self.state = Doing::Writes;
        let outcome = call(self);
        self.state = Doing::Rests;
        if self.shared.check_usable().is_ok() {
            self.shared.show(&self.history);
        }
        outcome
    }

    fn append_all(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut actual = self.history.head;
        for entry in entries {
            if entry.before() != actual {
                return Err(StoreError::NotNext { expected: entry.before(), actual });
            }
            actual = entry.after();
        }
        let mut rest = entries;
        while !rest.is_empty() {
            let done = self.append_some(rest)?;
            rest = &rest[done..];
        }
        Ok(())
    }

    /// Appends what fits into one segment with one write and one sync; returns how many entries.
    fn append_some(&mut self, entries: &[Entry]) -> Result<usize, StoreError> {
        if !self.fits(&entries[0]) {
            self.roll()?;
        }
        self.check_whole()?;
        let header = *self.history.newest();
        let vouched = header.relative(self.history.head.seq).expect("the segment has room");
        let start = self.history.end;
        self.active.frames.clear();
        let mut count = 0;
        for entry in entries {
            let end = start + self.active.frames.len();
            let Some(seq) = header.relative(entry.first_seq()) else { break };
            if count > 0 && end + frame::most_bytes(entry.bytes().len()) > self.options.segment() {
                break;
            }
            frame::write(&mut self.active.frames, start, entry.bytes(), header.salt, seq, vouched);
            count += 1;
        }
        let end = start + self.active.frames.len();
        self.reserve(end)?;
        let active = &self.active;
        write_full(&active.file, &active.frames, start as u64).map_err(self.failed("write"))?;
        active.file.sync().map_err(self.failed("sync"))?;
        // Only after the sync: if another writer takes the name away later, it finds these entries in
        // the file.
        self.shared.check_ours(&active.name, &active.file)?;
        self.history.end = end;
        self.history.head = entries[count - 1].after();
        Ok(count)
    }

    /// Checks that nobody has truncated the newest segment since the last append: what was cut is lost,
    /// and what would be appended would be after a hole. If it was cut, records where it ended, for the
    /// next opening.
    fn check_whole(&self) -> Result<(), FsError> {
        let (disk, active) = (&self.history.disk, &self.active);
        let size = active.file.size().map_err(io_error("measure", disk, &active.name))?;
        let expected = active.size as u64;
        if size >= expected {
            return Ok(());
        }
        // The cut is reported whether or not it can be recorded.
        let _ = self.record_end();
        Err(FsError::Cut { place: disk.place(&active.name), size, expected })
    }

    /// Whether the newest segment takes this entry. An empty one takes any.
    fn fits(&self, entry: &Entry) -> bool {
        let header = self.history.newest();
        let end = self.history.end + frame::most_bytes(entry.bytes().len());
        self.history.end == FRAMES_AT
            || (end <= self.options.segment() && header.relative(entry.first_seq()).is_some())
    }

    /// Makes the next segment the newest. Everything before is durable already.
    fn roll(&mut self) -> Result<(), StoreError> {
        let disk = &self.history.disk;
        let newest = self.history.newest();
        let salt = disk.fresh_salt().map_err(io_error("draw a salt for", disk, &newest.name()))?;
        let ledger = self.history.ledger;
        let (before, previous) = (self.history.head, newest.first_seq());
        let header = SegmentHeader { ledger, salt, before, previous };
        let record = Newest { ledger, first_seq: header.first_seq(), closed: None };
        let (file, size) = self.shared.change_names(|| {
            let create = || recovery::create_segment(disk, &header, &self.options);
            let created = reserve::for_append(disk, create)?;
            // Once the segment is there for certain, and before anything in it is acknowledged.
            reserve::for_append(disk, || record.write(disk))?;
            // Another writer that opened the log meanwhile did not see the new segment, but has replaced
            // the last one.
            self.shared.check_ours(&self.active.name, &self.active.file)?;
            Ok(created)
        })?;
        self.active = Active { file, name: header.name(), size, frames: Vec::new() };
        self.history.segments.push(header);
        self.history.end = FRAMES_AT;
        Ok(())
    }

    /// Reserves space up to `end` by writing zeros, so that an append does not change the file's length
    /// and cannot run out of space half way.
    fn reserve(&mut self, end: usize) -> Result<(), FsError> {
        if end <= self.active.size {
            return Ok(());
        }
        let size = end.next_multiple_of(self.options.preallocated());
        let range = self.active.size..size;
        // A write that found no room has written nothing that a sync could lose, so it can be repeated.
        reserve::for_append(&self.history.disk, || {
            write_zeros(&self.active.file, range.clone()).map_err(self.failed("reserve space in"))
        })?;
        self.active.file.sync().map_err(self.failed("sync"))?;
        self.active.size = size;
        Ok(())
    }

    /// The error for a failure on the newest segment.
    fn failed(&self, action: &'static str) -> impl FnOnce(std::io::Error) -> FsError {
        let history = &self.history;
        move |source| io_error(action, &history.disk, &history.newest().name())(source)
    }

    /// Renames the snapshot at this head to a base, after reading it back and checking it. An earlier
    /// call that failed may have done so already.
    fn promote(&mut self, at: Head) -> Result<(), StoreError> {
        let history = &self.history;
        if history.base == Some(at) {
            return Ok(());
        }
        let missing = || StoreError::Missing { needed: "readable snapshot", requested: at.seq };
        let listing = Listing::read(&history.disk)?;
        let (name, base) = (names::snapshot(at.seq), names::base(at.seq));
        let is_named = listing.bases.contains(&at.seq);
        if !is_named && !listing.snapshots.contains(&at.seq) {
            return Err(missing());
        }
        let found = if is_named { &base } else { &name };
        match snapshot::check(&history.disk, found, history.ledger, at.seq) {
            Ok(taken) if taken == at && history.contains(at)? => {}
            Err(error @ FsError::Io { .. }) if !error.is_not_found() => return Err(error.into()),
            _ => return Err(missing()),
        }
        let (disk, active) = (&history.disk, &self.active);
        self.shared.change_names(|| {
            self.shared.check_ours(&active.name, &active.file)?;
            if is_named {
                return snapshot::write_anew(disk, &base);
            }
            disk.rename(&name, &base).map_err(io_error("rename", disk, &name))?;
            names::sync(disk)
        })?;
        self.history.base = Some(at);
        Ok(())
    }

    /// Removes what the base stands for. A crash or a failure may leave any of it: the next dropping
    /// of history or the next opening finishes.
    fn drop_below_base(&mut self) -> Result<(), StoreError> {
        let listing = Listing::read(&self.history.disk)?;
        let dropped = self.history.forget_below_base(&listing);
        self.shared.change_names(|| {
            self.history.remove(&dropped)?;
            evict_snapshots(&self.history)?;
            reserve::take(&self.history.disk, &self.options).map(drop)
        })
    }
}

impl<D: Disk> Drop for FsStore<D> {
    fn drop(&mut self) {
        // A failure here only costs the next opening time; `close` reports it.
        let _ = self.leave();
    }
}

/// The error of a handle after a call on it has panicked half way.
fn panicked() -> StoreError {
    StoreError::Poisoned { cause: "a call panicked".into() }
}

impl<D: Disk> EventSource for FsStore<D> {
    fn ledger_id(&self) -> LedgerId {
        self.history.ledger
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.check_usable()?;
        Ok(self.history.head)
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.check_usable()?;
        self.history.replay(from, Chain::LeftToReader, convert::identity, visit)
    }

    fn find_damage(&self, from: u64) -> Result<(), StoreError> {
        self.check_usable()?;
        let visit = &mut |_: StoredEntry<'_>| ControlFlow::Continue(());
        self.history.replay(from, Chain::Checked, convert::identity, visit)
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.check_usable()?;
        let _snapshots = self.shared.snapshots();
        Ok(self.history.load_snapshot(at_most)?)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.check_usable()?;
        Ok(self.history.base()?)
    }
}

impl<D: Disk> EventStore for FsStore<D> {
    fn exclusion(&self) -> Exclusion {
        Exclusion::Lock
    }

    fn fence(&mut self) -> Result<Fence, StoreError> {
        self.check_usable()?;
        Ok(self.history.head.into())
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(|store| {
            store.append_all(entries).inspect_err(|error| store.shared.fail(error.cause()))
        })
    }

    fn confirm_owner(&mut self) -> Result<(), StoreError> {
        self.check_usable()
    }

    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(|store| {
            let _snapshots = store.shared.snapshots();
            store.shared.save(&store.history, at, bytes)
        })
    }

    fn snapshot_writer(&self) -> Option<Box<dyn SnapshotWriter + Send>> {
        Some(Box::new(DetachedWriter::of(&self.shared)))
    }

    fn drop_history(&mut self, base: Head) -> Result<(), StoreError> {
        self.write(|store| {
            let shared = Arc::clone(&store.shared);
            let _snapshots = shared.snapshots();
            store.promote(base)?;
            store.drop_below_base()
        })
    }
}
