//! A log to read: a directory of store-fs, a namespace of LDK's `FilesystemStore`, or a ledger in a
//! PostgreSQL database.

use std::{
    error::Error,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use payonce::{
    Head, LedgerId, State,
    audit::{
        EventSource, FsReader, Replay, ReplayError, Snapshot, StoreError, StoredEntry, Until,
        replay, state_at,
    },
    store_fs::FsError,
};

use crate::{address::Address, io::Failure};

/// Keys hash tables of a process that answers one question: nobody who chooses hashes can know it.
pub(crate) fn seed() -> u64 {
    getrandom::u64().unwrap_or(42)
}

/// A log of any store, opened to be read and never to be written.
#[derive(Debug)]
pub enum Log {
    /// Segment files in a directory, of a running node or a copy.
    Fs(Box<FsReader>),
    /// A key a batch, in LDK's `FilesystemStore`.
    #[cfg(feature = "kv")]
    Kv(Box<crate::kv::Kv>),
    /// Rows of a database.
    #[cfg(feature = "postgres")]
    Postgres(Box<payonce_store_postgres::PostgresStore>),
}

impl Log {
    /// Opens what is there.
    ///
    /// # Errors
    /// [`Failure::Refused`].
    pub fn open(address: &Address) -> Result<Self, Failure> {
        Self::find(address)?.map_err(|error| unreadable(address, error))
    }

    /// As [`open`](Self::open), with what is wrong with the log apart: its writer may be at work.
    fn find(address: &Address) -> Result<Result<Self, ReplayError>, Failure> {
        match address {
            Address::Directory(directory) => Self::find_in(directory),
            #[cfg(feature = "postgres")]
            Address::Postgres(text) => {
                let store = crate::postgres::Database::read(address, text)?.open()?;
                Ok(Ok(Self::Postgres(Box::new(store))))
            }
            #[cfg(not(feature = "postgres"))]
            Address::Postgres(_) => Err(no_postgres(address)),
        }
    }

    fn find_in(directory: &Path) -> Result<Result<Self, ReplayError>, Failure> {
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
            // What was committed is durable.
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.head().ok().map(|head| head.seq),
        }
    }

    /// How many bytes of an unfinished write follow the last entry.
    #[must_use]
    pub fn torn_bytes(&self) -> u64 {
        match self {
            Self::Fs(reader) => reader.torn_bytes(),
            #[cfg(feature = "kv")]
            Self::Kv(_) => 0,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => 0,
        }
    }

    /// The head before the first entry that is left: the base's that stands for dropped history, or that
    /// of an empty log.
    pub(crate) fn start(&self) -> Result<Head, StoreError> {
        let base = match self {
            // A base is as large as a snapshot: it was read when the log was opened.
            Self::Fs(reader) => reader.base_head(),
            #[cfg(any(feature = "kv", feature = "postgres"))]
            _ => self.base()?.map(|base| base.at),
        };
        Ok(base.unwrap_or_else(|| Head::genesis(self.ledger_id())))
    }

    /// The seqs of its snapshots, in order.
    pub(crate) fn snapshot_seqs(&self, address: &Address) -> Result<Vec<u64>, StoreError> {
        if let (Self::Fs(_), Some(directory)) = (self, address.directory()) {
            // A damaged one is found by its name alone.
            return Ok(files(directory).snapshots);
        }
        let (mut seqs, mut at_most) = (Vec::new(), Some(self.head()?.seq));
        while let Some(limit) = at_most
            && let Some(snapshot) = self.load_snapshot(limit)?
        {
            seqs.push(snapshot.at.seq);
            at_most = snapshot.at.seq.checked_sub(1);
        }
        seqs.reverse();
        Ok(seqs)
    }

    fn source(&self) -> &dyn EventSource {
        match self {
            Self::Fs(reader) => reader.as_ref(),
            #[cfg(feature = "kv")]
            Self::Kv(kv) => &**kv,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.as_ref(),
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
pub(crate) fn unreadable(address: &Address, error: ReplayError) -> Failure {
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
        let shown = address.quoted();
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

/// Whether history was dropped under a reader of a database, which says no more than that it is gone.
fn was_dropped(address: &Address, error: &ReplayError) -> bool {
    let missing = matches!(error, ReplayError::Store(StoreError::Missing { .. }));
    missing && address.directory().is_none()
}

/// How often a log that its writer changes is read anew.
const ATTEMPTS: u32 = 20;

/// Reads a log, and reads it anew if its writer drops history meanwhile. `read` must start from the
/// beginning each time.
///
/// # Errors
/// [`Failure::Refused`], also if it never stays the same for long enough.
pub(crate) fn reading<T>(
    address: &Address,
    mut read: impl FnMut(&Log) -> Result<T, ReplayError>,
) -> Result<T, Failure> {
    for attempt in 1.. {
        let error = match Log::find(address)?.and_then(|log| read(&log)) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if attempt == ATTEMPTS || !(is_changing(&error) || was_dropped(address, &error)) {
            return Err(unreadable(address, error));
        }
        // The writer has dropped history meanwhile: nothing tells when it is done with it.
        thread::sleep(Duration::from_millis(20 * u64::from(attempt)));
    }
    unreachable!("the last attempt returns")
}

/// What is said where this program cannot read databases.
#[cfg(not(feature = "postgres"))]
pub(crate) fn no_postgres(address: &Address) -> Failure {
    Failure::refused(format!(
        "{address}: this program was built without databases: cargo install --features postgres"
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a store says whose files the writer changes at the moment.
    fn changing() -> ReplayError {
        let error = FsError::Changing { place: "a segment".into() };
        ReplayError::Store(StoreError::Backend(Box::new(error)))
    }

    fn small_log(own: &tempfile::TempDir) -> Address {
        let path = own.path().join("log");
        crate::demo::write(&path, 2, 7, payonce::Remember::Forever).expect("room");
        Address::Directory(path)
    }

    #[test]
    fn what_changes_is_read_anew_and_in_the_end_told_as_changing() {
        let own = tempfile::tempdir().expect("a directory");
        let address = small_log(&own);
        let mut readings = 0;
        let settled = reading(&address, |log| {
            readings += 1;
            if readings < 3 { Err(changing()) } else { Ok(log.head()?) }
        });
        assert!(settled.is_ok() && readings == 3);
        let mut readings = 0;
        let never: Result<(), _> = reading(&address, |_| {
            readings += 1;
            Err(changing())
        });
        let Err(Failure::Refused(says)) = never else { panic!("it never settles") };
        assert!(says.contains("changes while it is read") && says.contains("try again"), "{says}");
        assert!(!says.contains("salvage"), "it is not damaged: {says}");
        assert_eq!(readings, ATTEMPTS);
    }

    #[test]
    fn what_is_damaged_is_read_once() {
        let own = tempfile::tempdir().expect("a directory");
        let address = small_log(&own);
        let mut readings = 0;
        let damaged: Result<(), _> = reading(&address, |_| {
            readings += 1;
            Err(ReplayError::Inconsistent { seq: 7 })
        });
        let Err(Failure::Refused(says)) = damaged else { panic!("it is damaged") };
        assert!(says.contains("payonce salvage") && readings == 1, "{says}");
    }
}
