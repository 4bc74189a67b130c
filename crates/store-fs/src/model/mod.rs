//! A disk in memory that records what is done to it and enumerates what a crash may leave. The crash
//! tests of the store rely on it, so it knows nothing of the store's format.
//!
//! What it assumes of a medium: synced contents are certain; of unsynced writes any subset of their
//! 512-byte sectors is there; names are certain only once their directory was synced, and of
//! unsynced changes of names any subset is there. A write that comes back short wrote whole words of
//! 8 bytes.
//!
//! It models the worst: after a failed sync, what that sync did not write is not written by a later one
//! either, although it can still be read. Where the file had grown since its last good sync, it is not
//! even written by a later one after it was written again: it reads as zeros once the machine has
//! forgotten it. Changes of names that a failed sync of the directory should have kept stay
//! uncertain for ever.

mod crash;
pub mod damage;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::disk::{Access, Disk, DiskFile, Listed, Stamp};

/// Stands for the directory among the files that are locked.
const DIRECTORY: usize = usize::MAX;

/// The files of a disk, by name: what would be found after a crash, or is found now.
pub type Image = BTreeMap<String, Vec<u8>>;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// With this error, and without any effect.
    Error(io::ErrorKind),
    /// With this error, after it had its effect.
    After(io::ErrorKind),
    /// A write writes half of what it should, which is no error; any other fails with `EIO`.
    Short,
    /// A write writes half of what it should, and the next one finds the disk full; any other finds
    /// the disk full at once.
    ShortThenFull,
}

/// A disk in memory. A clone is the same disk.
#[derive(Debug, Clone)]
pub struct ModelDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What was there at the start, all of it durable.
    start: Image,
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    locked: BTreeSet<usize>,
    /// How often each file is open: one that is open takes space, whether or not it has a name.
    open: BTreeMap<usize, usize>,
    trace: Vec<Change>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    /// From this operation on all fail.
    failing: Option<(u64, Fault)>,
    /// How many syncs there were, of files and of the directory, and which one fails.
    syncs: u64,
    failing_sync: Option<u64>,
    full_at: Option<u64>,
    read_only: bool,
    lies: bool,
    salts: u64,
}

/// One change, as it was recorded. Files are numbered in the order in which they appeared: first
/// those of the start, by name.
#[derive(Debug, Clone)]
enum Change {
    Created { name: String, file: usize },
    Renamed { from: String, to: String, file: usize },
    Removed { name: String },
    NamesSynced,
    Written { file: usize, offset: usize, bytes: Vec<u8> },
    Synced { file: usize },
    SyncFailed { file: usize },
    NamesSyncFailed,
}

impl Default for ModelDisk {
    fn default() -> Self {
        Self::from_image(&Image::new())
    }
}

impl ModelDisk {
    /// A disk with these files, all of them durable.
    #[must_use]
    pub fn from_image(image: &Image) -> Self {
        let names = image.keys().cloned().zip(0..).collect();
        let files = image.values().cloned().collect();
        // Other salts than those of the disk that the image was taken of.
        let salts = image.values().map(|bytes| bytes.len() as u64).sum();
        let start = image.clone();
        Self(Arc::new(Mutex::new(State { start, names, files, salts, ..State::default() })))
    }

    /// The files as they can be read now: what is left when the process dies and the machine lives.
    #[must_use]
    pub fn image(&self) -> Image {
        let state = self.lock();
        let file = |(name, file): (&String, &usize)| (name.clone(), state.files[*file].clone());
        state.names.iter().map(file).collect()
    }

    /// How many changes were recorded: the crash points are 0 to this number.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.lock().trace.len()
    }

    /// What a crash after the first `point` changes may leave: distinct images, all of them if
    /// there are at most `most`, otherwise a choice that begins with the extremes.
    #[must_use]
    pub fn crash_images(&self, point: usize, most: usize) -> Vec<Image> {
        let state = self.lock();
        crash::images(&state.start, &state.trace[..point], most)
    }

    /// After how many changes the first sync failed.
    #[must_use]
    pub fn first_failed_sync(&self) -> Option<usize> {
        let is_failed =
            |change: &Change| matches!(change, Change::SyncFailed { .. } | Change::NamesSyncFailed);
        self.lock().trace.iter().position(is_failed)
    }

    /// How many operations there were, reading ones included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Tells the `nth` operation from now to fail; 1 is the next one.
    pub fn fail_nth(&self, nth: u64, fault: Fault) {
        let mut state = self.lock();
        let operation = state.operations.saturating_add(nth);
        state.faults.insert(operation, fault);
    }

    /// Tells the `nth` operation from now and all after it to fail, until [`fail_no_more`].
    ///
    /// [`fail_no_more`]: Self::fail_no_more
    pub fn fail_from(&self, nth: u64, fault: Fault) {
        let mut state = self.lock();
        state.failing = Some((state.operations.saturating_add(nth), fault));
    }

    /// Tells the `nth` sync from now, of a file or of the directory, to fail; 1 is the next one.
    pub fn fail_nth_sync(&self, nth: u64) {
        let mut state = self.lock();
        state.failing_sync = Some(state.syncs.saturating_add(nth));
    }

    /// How many syncs there were, of files and of the directory.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Forgets what was planned to fail.
    pub fn fail_no_more(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.failing = None;
    }

    /// Ends every lock: they exclude nobody any more, as on some network file
    /// systems.
    pub fn forget_locks(&self) {
        self.lock().locked.clear();
    }

    /// Makes every change fail as on a read-only file system, or work again.
    pub fn set_read_only(&self, read_only: bool) {
        self.lock().read_only = read_only;
    }

    /// Acknowledges every sync from now on without doing it: a crash test must notice this.
    pub fn lie_about_syncs(&self) {
        self.lock().lies = true;
    }

    /// Limits the bytes of all files together, or lifts the limit.
    pub fn set_full_at(&self, bytes: Option<u64>) {
        self.lock().full_at = bytes;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The fault of the present operation.
    fn fault(&self) -> Option<Fault> {
        let failing = self.failing.filter(|(from, _)| self.operations >= *from);
        self.faults.get(&self.operations).copied().or(failing.map(|(_, fault)| fault))
    }

    /// Counts an operation; fails it if that was planned.
    fn begin(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.fault() {
            None | Some(Fault::After(_)) => Ok(()),
            Some(Fault::Error(kind)) => Err(kind.into()),
            Some(Fault::Short) => Err(io::Error::other("input/output error")),
            Some(Fault::ShortThenFull) => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn begin_change(&mut self) -> io::Result<()> {
        self.begin()?;
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    /// Counts a sync; fails it if that was planned, before or after its effect: a caller cannot tell
    /// which.
    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        self.begin_change()?;
        if self.failing_sync == Some(self.syncs) {
            return Err(io::Error::other("input/output error"));
        }
        self.end(())
    }

    /// Ends an operation that had its effect; fails it if that was planned.
    fn end<T>(&self, done: T) -> io::Result<T> {
        match self.fault() {
            Some(Fault::After(kind)) => Err(kind.into()),
            _ => Ok(done),
        }
    }

    /// How much the present write writes, if it is to come back short.
    fn short_write(&mut self, offset: usize, len: usize) -> Option<usize> {
        match self.fault()? {
            Fault::Error(_) | Fault::After(_) => return None,
            Fault::Short => {}
            Fault::ShortThenFull => {
                let next = self.operations + 1;
                self.faults.insert(next, Fault::Error(io::ErrorKind::StorageFull));
            }
        }
        // Whole words of 8 bytes, as seen in the file.
        let end = (offset + len / 2) / 8 * 8;
        end.checked_sub(offset).filter(|len| *len > 0)
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// How many of `len` bytes at `offset` fit on the disk.
    fn room(&self, file: usize, offset: usize, len: usize) -> usize {
        let Some(full_at) = self.full_at else { return len };
        let taken: BTreeSet<_> = self.names.values().chain(self.open.keys()).collect();
        let used: usize = taken.into_iter().map(|file| self.files[*file].len()).sum();
        let free = usize::try_from(full_at).unwrap_or(usize::MAX).saturating_sub(used);
        len.min((self.files[file].len() + free).saturating_sub(offset))
    }
}

impl Disk for ModelDisk {
    type File = ModelFile;

    fn list(&self) -> io::Result<Vec<Listed>> {
        let mut state = self.lock();
        state.begin()?;
        let listed = |name: &String| Listed { name: name.into(), is_file: true };
        state.end(state.names.keys().map(listed).collect())
    }

    fn open(&self, name: &str, access: Access) -> io::Result<ModelFile> {
        let mut state = self.lock();
        if access == Access::Read {
            state.begin()?;
        } else {
            state.begin_change()?;
        }
        let file = match (state.find(name), access) {
            (Ok(_), Access::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Err(_), Access::CreateNew) => {
                let file = state.files.len();
                state.files.push(Vec::new());
                state.names.insert(name.into(), file);
                state.trace.push(Change::Created { name: name.into(), file });
                file
            }
            (found, _) => found?,
        };
        state.end(())?;
        *state.open.entry(file).or_default() += 1;
        drop(state);
        Ok(ModelFile { disk: self.clone(), file, has_lock: false.into() })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.begin_change()?;
        let file = state.find(from)?;
        state.names.remove(from);
        state.names.insert(to.into(), file);
        state.trace.push(Change::Renamed { from: from.into(), to: to.into(), file });
        state.end(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.begin_change()?;
        state.find(name)?;
        state.names.remove(name);
        state.trace.push(Change::Removed { name: name.into() });
        state.end(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.lock();
        let outcome = state.sync();
        state.trace.push(match outcome {
            Ok(()) => Change::NamesSynced,
            Err(_) => Change::NamesSyncFailed,
        });
        outcome
    }

    fn try_hold(&self) -> io::Result<Option<ModelFile>> {
        let directory = ModelFile { disk: self.clone(), file: DIRECTORY, has_lock: false.into() };
        Ok(directory.try_lock()?.then_some(directory))
    }

    fn leads_to(&self, name: &str, file: &ModelFile) -> io::Result<bool> {
        let mut state = self.lock();
        state.begin()?;
        state.end(state.names.get(name) == Some(&file.file))
    }

    fn fresh_salt(&self) -> io::Result<u64> {
        let mut state = self.lock();
        state.begin()?;
        state.salts += 1;
        state.end(state.salts.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn process(&self) -> u32 {
        1
    }

    fn place(&self, name: &str) -> String {
        format!("model/{name}")
    }
}

/// An open file of a [`ModelDisk`].
#[derive(Debug)]
pub struct ModelFile {
    disk: ModelDisk,
    file: usize,
    has_lock: AtomicBool,
}

impl DiskFile for ModelFile {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.disk.lock();
        state.begin()?;
        state.end(state.files[self.file].len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        state.begin()?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = state.files[self.file].get(offset..).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        state.end(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let fits = state.room(self.file, offset, bytes.len());
        let len = match state.begin_change() {
            Ok(()) if fits == 0 => return Err(io::ErrorKind::StorageFull.into()),
            Ok(()) => fits,
            Err(error) => state.short_write(offset, fits).ok_or(error)?,
        };
        let bytes = bytes[..len].to_vec();
        crash::put(&mut state.files[self.file], offset, &bytes);
        state.trace.push(Change::Written { file: self.file, offset, bytes });
        state.end(len)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        state.begin_change()?;
        if state.room(self.file, 0, bytes) < bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let bytes = vec![0; bytes];
        crash::put(&mut state.files[self.file], 0, &bytes);
        state.trace.push(Change::Written { file: self.file, offset: 0, bytes });
        state.end(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let outcome = state.sync();
        match outcome {
            Ok(()) if state.lies => {}
            Ok(()) => state.trace.push(Change::Synced { file: self.file }),
            Err(_) => state.trace.push(Change::SyncFailed { file: self.file }),
        }
        outcome
    }

    /// Every file has the same stamp, as if a copy or a change could not be noticed: code that relies on
    /// the stamp alone fails the tests.
    fn stamp(&self) -> io::Result<Stamp> {
        let mut state = self.disk.lock();
        state.begin()?;
        state.end(Stamp { inode: 1, changed_nanos: 1 })
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.disk.lock();
        state.begin()?;
        if state.locked.insert(self.file) {
            self.has_lock.store(true, Ordering::Relaxed);
        }
        state.end(self.has_lock.load(Ordering::Relaxed))
    }
}

impl Drop for ModelFile {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if *self.has_lock.get_mut() {
            state.locked.remove(&self.file);
        }
        if let Some(open) = state.open.get_mut(&self.file) {
            *open -= 1;
            if *open == 0 {
                state.open.remove(&self.file);
            }
        }
    }
}
