//! A log to read: a directory of store-fs, or a namespace of LDK's `FilesystemStore`.

use std::{
    error::Error,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use payonce::{
    Head, LedgerId, State, StoreError, StoredEntry,
    audit::{EventSource, FsReader, Replay, ReplayError, Snapshot, Until, replay, state_at},
    store_fs::FsError,
};

use crate::io::Failure;

/// Keys hash tables of a process that answers one question: nobody who chooses hashes can know it.
pub(crate) fn seed() -> u64 {
    getrandom::u64().unwrap_or(42)
}

/// A log in a directory, read-only.
#[derive(Debug)]
pub enum Log {
    /// Segment files.
    Fs(Box<FsReader>),
    /// A key a batch, in LDK's `FilesystemStore`.
    #[cfg(feature = "kv")]
    Kv(Box<crate::kv::Kv>),
}

impl Log {
    /// Opens what is in this directory.
    ///
    /// # Errors
    /// [`Failure::Refused`].
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        Self::find(directory)?.map_err(|error| unreadable(directory, error))
    }

    /// As [`open`](Self::open), with what is wrong with the log apart: its writer may be at work.
    fn find(directory: &Path) -> Result<Result<Self, ReplayError>, Failure> {
        let error = match FsReader::open(directory) {
            Ok(reader) => return Ok(Ok(Self::Fs(Box::new(reader)))),
            Err(error) => error,
        };
        #[cfg(feature = "kv")]
        if matches!(error, FsError::NotALedger { .. })
            && let Some(kv) = crate::kv::Kv::find(directory)?
        {
            return Ok(Ok(Self::Kv(Box::new(kv))));
        }
        Ok(Err(StoreError::from(error).into()))
    }

    /// The last seq that is known to be durable.
    #[must_use]
    pub fn vouched_seq(&self) -> Option<u64> {
        match self {
            Self::Fs(reader) => Some(reader.vouched_seq()),
            #[cfg(feature = "kv")]
            Self::Kv(_) => None,
        }
    }

    /// How many bytes of an unfinished write follow the last entry.
    #[must_use]
    pub fn torn_bytes(&self) -> u64 {
        match self {
            Self::Fs(reader) => reader.torn_bytes(),
            #[cfg(feature = "kv")]
            Self::Kv(_) => 0,
        }
    }

    fn source(&self) -> &dyn EventSource {
        match self {
            Self::Fs(reader) => reader.as_ref(),
            #[cfg(feature = "kv")]
            Self::Kv(kv) => &**kv,
        }
    }
}

impl EventSource for Log {
    fn ledger_id(&self) -> LedgerId {
        self.source().ledger_id()
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.source().head()
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.source().replay(from, visit)
    }

    fn find_damage(&self, from: u64) -> Result<(), StoreError> {
        self.source().find_damage(from)
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.source().load_snapshot(at_most)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.source().base()
    }
}

/// What is said of a log that cannot be read.
pub(crate) fn unreadable(directory: &Path, error: ReplayError) -> Failure {
    let damaged = match &error {
        ReplayError::Store(StoreError::Corrupt { what, .. }) => {
            !what.starts_with("there is no payonce log") && !what.contains("is not a directory")
        }
        ReplayError::Store(_) => false,
        _ => true,
    };
    let mut text = error.to_string();
    // The store names the place in its own text too.
    if let ReplayError::Store(StoreError::Corrupt { place, what }) = &error
        && what.contains(place.as_str())
    {
        text.clone_from(what);
    }
    if damaged {
        let shown = directory.display();
        text = format!(
            "{text}\n  to see how far it is sound:   payonce verify {shown}\n  to keep what is readable:     \
             payonce salvage {shown} NEW_DIRECTORY\n  then docs/OPERATING.md, \"The log does not open\""
        );
    }
    Failure::Refused(text)
}

/// Whether a writer has changed what was to be read: to be read anew.
pub(crate) fn is_changing(error: &ReplayError) -> bool {
    let ReplayError::Store(StoreError::Backend(error)) = error else { return false };
    let mut error: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(inner) = error {
        if matches!(inner.downcast_ref(), Some(FsError::Changing { .. })) {
            return true;
        }
        error = inner.source();
    }
    false
}

/// How often a log that its writer changes is read anew.
const ATTEMPTS: u32 = 20;

/// Reads a log, and reads it anew if its writer drops history meanwhile. `read` must start from the
/// beginning each time.
///
/// # Errors
/// [`Failure::Refused`], also if it never stays the same for long enough.
pub(crate) fn reading<T>(
    directory: &Path,
    mut read: impl FnMut(&Log) -> Result<T, ReplayError>,
) -> Result<T, Failure> {
    for attempt in 1.. {
        let error = match Log::find(directory)?.and_then(|log| read(&log)) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if attempt == ATTEMPTS || !is_changing(&error) {
            return Err(unreadable(directory, error));
        }
        // The writer has dropped history meanwhile: nothing tells when it is done with it.
        thread::sleep(Duration::from_millis(20 * u64::from(attempt)));
    }
    unreachable!("the last attempt returns")
}

/// The state at the head, from the newest snapshot that can be read.
pub(crate) fn newest_state(log: &impl EventSource) -> Result<State, ReplayError> {
    let head = log.head()?;
    let seed = seed();
    let state = state_from_snapshot(log, head, seed)?;
    let mut fold = match state {
        Some(state) => Replay::from_state(state),
        None => Replay::from_beginning(log, seed)?,
    };
    replay(&mut fold, log, head)?;
    fold.finish(head)
}

fn state_from_snapshot(
    log: &impl EventSource,
    head: Head,
    seed: u64,
) -> Result<Option<State>, ReplayError> {
    let mut at_most = Some(head.seq);
    while let Some(limit) = at_most
        && let Some(snapshot) = log.load_snapshot(limit)?
    {
        match State::decode(&snapshot.bytes, seed) {
            Ok(state) if state.head() == snapshot.at && state.ledger_id() == log.ledger_id() => {
                return Ok(Some(state));
            }
            _ => at_most = snapshot.at.seq.checked_sub(1),
        }
    }
    Ok(None)
}

/// The state as it was.
pub(crate) fn past_state(log: &Log, until: Until) -> Result<State, ReplayError> {
    state_at(log, until, seed())
}

/// The files of a log's directory.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) bytes: u64,
    /// The seqs of the snapshots.
    pub(crate) snapshots: Vec<u64>,
    pub(crate) segments: usize,
}

/// Looks at the directory; what vanishes meanwhile is passed over.
pub(crate) fn files(directory: &Path) -> Files {
    let mut files = Files::default();
    let mut waiting: Vec<PathBuf> = vec![directory.into()];
    while let Some(next) = waiting.pop() {
        let Ok(entries) = fs::read_dir(next) else { continue };
        for entry in entries.flatten() {
            let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
            if meta.is_dir() {
                waiting.push(path);
                continue;
            }
            files.bytes += meta.len();
            let name = entry.file_name().to_string_lossy().into_owned();
            match name.rsplit_once('.') {
                Some((seq, "snap")) => files.snapshots.extend(seq.parse::<u64>().ok()),
                Some((_, "log")) => files.segments += 1,
                _ => {}
            }
        }
    }
    files.snapshots.sort_unstable();
    files
}
