//! Reading without writing: audits, copies, a log that another process is writing.

use std::{ops::ControlFlow, path::Path};

use payonce_core::{EventSource, Head, LedgerId, Snapshot, StoreError, StoredEntry};

use crate::{
    disk::Disk,
    error::FsError,
    history::{self, Chain, History, Listing, Tail, Verified},
    newest::Newest,
    planted,
    real::{self, RealDisk},
    segment::{self, SegmentHeader},
};

/// How often the reader tries again when the log changes while it is read.
const ATTEMPTS: usize = 64;

/// A log in a directory as it was when it was opened, for reading. Takes no lock and modifies
/// nothing: it can be opened while another process writes, and on a read-only file system.
///
/// A writer that drops history meanwhile removes what is to be read. That is reported as
/// [`FsError::Changing`]: open it again.
#[derive(Debug)]
pub struct FsReader<D: Disk = RealDisk> {
    history: History<D>,
    vouched: u64,
    torn_bytes: u64,
}

impl FsReader {
    /// Opens the log in this directory.
    ///
    /// # Errors
    /// [`FsError::NotALedger`] if there is none; any other says what is damaged or missing.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, FsError> {
        Self::open_on(&real::open(directory.as_ref())?)
    }
}

impl<D: Disk> FsReader<D> {
    /// Opens the log on this disk.
    ///
    /// # Errors
    /// As [`FsReader::open`].
    pub fn open_on(disk: &D) -> Result<Self, FsError> {
        let mut last = Self::read(disk)?;
        for _ in 1..ATTEMPTS {
            let Err(error) = &last.1 else { break };
            // The writer may drop a file between the listing of the directory and its reading, or while
            // the directory is listed: what is missing then is no damage.
            let is_believed = planted::is_planted(planted::BELIEVES_A_LISTING);
            if !error.is_not_found() && (is_believed || Listing::read(disk)? == last.0) {
                break;
            }
            last = Self::read(disk)?;
        }
        last.1.map_err(FsError::beside_a_writer)
    }

    /// What is there, and what was listed.
    fn read(disk: &D) -> Result<(Listing, Result<Self, FsError>), FsError> {
        // Read first: the writer names a newest segment only once it is there.
        let record = Newest::find(disk)?;
        let listing = Listing::read(disk)?;
        let read = History::read(disk.clone(), &listing, (None, record), read_newest);
        let read = read.map(|(history, findings)| {
            let tail = findings.tail;
            Self { history, vouched: tail.vouched, torn_bytes: tail.torn.len() as u64 }
        });
        Ok((listing, read))
    }
}

impl<D: Disk> FsReader<D> {
    /// The last seq that is known to be durable, since a later entry says so. The entries after it were
    /// found, but their writer may not have synced them yet: a crash may still remove them. Of the last append
    /// nothing says so, also after an orderly end: that is no loss.
    #[must_use]
    pub const fn vouched_seq(&self) -> u64 {
        self.vouched
    }

    /// Where the base was taken that stands for dropped history; `None` if nothing was dropped.
    #[must_use]
    pub const fn base_head(&self) -> Option<Head> {
        self.history.base
    }

    /// How many bytes of a write that is under way, or that a crash tore, follow the last entry.
    #[must_use]
    pub const fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Reads every byte of the log, its base and its snapshots, and checks it: the bytes. What they mean,
    /// [`payonce_core::verify`] checks by folding them; an audit needs both.
    ///
    /// # Errors
    /// [`FsError`] with the place of the first damage.
    pub fn verify(&self) -> Result<Verified, FsError> {
        self.history.verify().map_err(FsError::beside_a_writer)
    }
}

/// The log as it was when it was opened, without what was appended since. If its writer has dropped
/// history meanwhile, the error is [`FsError::Changing`]: opened again, the log begins at the new base.
impl<D: Disk> EventSource for FsReader<D> {
    fn ledger_id(&self) -> LedgerId {
        self.history.ledger
    }

    fn head(&self) -> Result<Head, StoreError> {
        Ok(self.history.head)
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.history.replay(from, Chain::LeftToReader, FsError::beside_a_writer, visit)
    }

    fn find_damage(&self, from: u64) -> Result<(), StoreError> {
        let visit = &mut |_: StoredEntry<'_>| ControlFlow::Continue(());
        self.history.replay(from, Chain::Checked, FsError::beside_a_writer, visit)
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        // A snapshot that was saved since is not part of this reading.
        let at_most = at_most.min(self.history.head.seq);
        Ok(self.history.load_snapshot(at_most).map_err(FsError::beside_a_writer)?)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.history.base().map_err(FsError::beside_a_writer)?)
    }
}

/// Reads the newest segment. If it does not end in blank space, it is judged only after two equal
/// readings, since a writer may be in the middle of a write.
fn read_newest<D: Disk>(disk: &D, header: &SegmentHeader, wanted: &[u64]) -> Result<Tail, FsError> {
    let place = disk.place(&header.name());
    let mut before = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut bytes = Vec::new();
        segment::read_file(disk, header, &mut bytes)?;
        let seen = bytes.clone();
        let judged = history::judge(&mut bytes, *header, &place, wanted);
        if matches!(&judged, Ok(tail) if tail.torn.is_empty()) || seen == before {
            return judged;
        }
        before = seen;
    }
    Err(FsError::Changing { place })
}
