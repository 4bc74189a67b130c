//! The writer's handle.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use payonce_core::{
    Entry, EventSource, EventStore, Exclusion, Head, LedgerId, Snapshot, SnapshotWriter,
    StoreError, StoredEntry,
};

use crate::{
    disk::{Disk, DiskFile, write_full},
    error::FsError,
    frame,
    history::{Chain, History, Verified},
    names::{self, io_error},
    options::Options,
    real::RealDisk,
    recovery::{self, RecoveryReport},
    segment::{FRAMES_AT, SegmentHeader},
    shared::{DetachedWriter, Shared, evict_snapshots},
    snapshot,
};

/// A log in a directory, open for writing. A second writer gets [`FsError::Locked`] for as long as
/// this handle lives.
///
/// After any failed write or sync the handle is poisoned: what is on the disk is known again only
/// once the log has been opened anew. A failed sync is never tried again, and what was found at
/// opening but may never have reached the disk is written again before it is trusted.
#[derive(Debug)]
pub struct FsStore<D: Disk = RealDisk> {
    history: History<D>,
    active: Active<D::File>,
    options: Options,
    poisoned: bool,
    shared: Arc<Shared<D>>,
}

/// The newest segment, to which entries are appended.
#[derive(Debug)]
struct Active<F> {
    file: F,
    /// The length of the file: zeros are reserved from the end of the entries up to here.
    size: usize,
    /// The frames of a batch; kept so that an append allocates nothing.
    frames: Vec<u8>,
}

impl FsStore {
    /// Creates a log in this directory, which is created if need be; its parent must exist.
    ///
    /// # Errors
    /// [`FsError::AlreadyExists`] if there is a log, [`FsError::NotEmpty`] if there is anything
    /// else, [`FsError::Gone`] if there was a log; any other that the file system causes.
    pub fn create(
        directory: impl AsRef<Path>,
        ledger: LedgerId,
        options: Options,
    ) -> Result<(Self, RecoveryReport), FsError> {
        let disk = RealDisk::new(directory.as_ref());
        match disk.create_directory() {
            Ok(()) => Self::create_on(disk, ledger, options),
            Err(source) => Err(FsError::Io { action: "create", place: disk.place(""), source }),
        }
    }

    /// Opens the log in this directory.
    ///
    /// # Errors
    /// [`FsError::NotALedger`] if there is none, [`FsError::Locked`] while another handle writes;
    /// any other says what is damaged or missing, and nothing was modified.
    pub fn open(
        directory: impl AsRef<Path>,
        options: Options,
    ) -> Result<(Self, RecoveryReport), FsError> {
        Self::open_on(RealDisk::new(directory.as_ref()), options)
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
        let lock = recovery::create(&disk, ledger, &options)?;
        Self::recover(disk, lock, options)
    }

    /// Opens the log on this disk.
    ///
    /// # Errors
    /// As [`FsStore::open`].
    pub fn open_on(disk: D, options: Options) -> Result<(Self, RecoveryReport), FsError> {
        options.check()?;
        let lock = recovery::lock(&disk)?;
        Self::recover(disk, lock, options)
    }

    fn recover(
        disk: D,
        lock: D::File,
        options: Options,
    ) -> Result<(Self, RecoveryReport), FsError> {
        let (history, file, size, report) = recovery::recover(disk, &lock)?;
        let active = Active { file, size, frames: Vec::new() };
        let shared = Shared::new(&history, lock);
        Ok((Self { history, active, options, poisoned: false, shared }, report))
    }

    /// Reads every byte of the log, its base and its snapshots, and checks it.
    ///
    /// # Errors
    /// [`FsError`] with the place of the first damage.
    pub fn verify(&self) -> Result<Verified, FsError> {
        self.history.verify()
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        if self.poisoned { Err(StoreError::Poisoned) } else { self.shared.check_usable() }
    }

    /// Runs a writing call; after any error but a plain refusal nothing more is answered.
    fn write(
        &mut self,
        call: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.check_usable()?;
        // Set first, so that a panic in between poisons too.
        self.poisoned = true;
        let outcome = call(self);
        self.poisoned = !matches!(outcome, Ok(()) | Err(StoreError::Missing { .. }));
        if self.poisoned {
            self.shared.fail();
        } else {
            self.shared.show(&self.history);
        }
        outcome
    }

    /// Appends what fits into one segment with one write and one sync; returns how many entries.
    fn append_some(&mut self, entries: &[Entry]) -> Result<usize, StoreError> {
        if !self.fits(&entries[0]) {
            self.roll()?;
        }
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
        self.history.end = end;
        self.history.head = entries[count - 1].after();
        Ok(count)
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
        let header = SegmentHeader {
            ledger: self.history.ledger,
            salt,
            before: self.history.head,
            previous: newest.first_seq(),
        };
        let create = || recovery::create_segment(disk, &header, &self.options);
        let (file, size) = self.shared.change_names(create)?;
        self.active.file = file;
        self.active.size = size;
        self.history.segments.push(header);
        self.history.end = FRAMES_AT;
        Ok(())
    }

    /// Reserves space up to `end` by writing zeros, so that an append neither changes the file's
    /// length nor can meet a full disk half way.
    fn reserve(&mut self, end: usize) -> Result<(), FsError> {
        if end <= self.active.size {
            return Ok(());
        }
        let size = end.next_multiple_of(self.options.preallocated());
        recovery::write_zeros(&self.active.file, self.active.size..size)
            .map_err(self.failed("reserve space in"))?;
        self.active.file.sync().map_err(self.failed("sync"))?;
        self.active.size = size;
        Ok(())
    }

    /// What to say when something failed on the newest segment.
    fn failed(&self, action: &'static str) -> impl FnOnce(std::io::Error) -> FsError {
        let history = &self.history;
        move |source| io_error(action, &history.disk, &history.newest().name())(source)
    }

    /// Gives the snapshot at this head, read back and checked, the name of a base.
    fn promote(&mut self, at: Head) -> Result<(), StoreError> {
        let history = &self.history;
        if history.base == Some(at) {
            return Ok(());
        }
        let missing = StoreError::Missing { needed: "readable snapshot", requested: at.seq };
        let name = names::snapshot(at.seq);
        match snapshot::read(&history.disk, &name, history.ledger, at.seq) {
            Ok(snapshot) if snapshot.at == at && history.contains(at)? => {}
            Err(error @ FsError::Io { .. }) if !error.is_not_found() => return Err(error.into()),
            _ => return Err(missing),
        }
        let base = names::base(at.seq);
        self.shared.change_names(|| {
            history.disk.rename(&name, &base).map_err(io_error("rename", &history.disk, &name))?;
            history.sync_names()
        })?;
        self.history.base = Some(at);
        Ok(())
    }

    /// Removes what the base stands for. A crash may leave any of it: the next opening finishes.
    fn drop_below_base(&mut self) -> Result<(), StoreError> {
        let listing = crate::history::Listing::read(&self.history.disk)?;
        let mut dropped = self.history.below_base();
        let older = listing.bases.iter().rev().skip(1);
        dropped.extend(older.map(|at| names::base(*at)));
        self.shared.change_names(|| {
            self.history.remove(&dropped)?;
            evict_snapshots(&self.history)
        })
    }
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
        self.history.replay(from, Chain::Checked, visit)
    }

    fn replay_unchained(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.check_usable()?;
        self.history.replay(from, Chain::LeftToReader, visit)
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

    fn fence(&mut self) -> Result<Head, StoreError> {
        self.check_usable()?;
        Ok(self.history.head)
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(|store| {
            let mut actual = store.history.head;
            for entry in entries {
                if entry.before() != actual {
                    return Err(StoreError::NotNext { expected: entry.before(), actual });
                }
                actual = entry.after();
            }
            let mut rest = entries;
            while !rest.is_empty() {
                let done = store.append_some(rest)?;
                rest = &rest[done..];
            }
            Ok(())
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
