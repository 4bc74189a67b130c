//! What can be wrong with a directory of segment files.

use std::io;

use payonce_core::{DecodeError, LedgerId, StoreError};

/// Why a log could not be created, opened or read. Unless it says otherwise nothing was modified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsError {
    /// The operating system refused.
    #[error("cannot {action} {place}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        place: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The options cannot work.
    #[error("{option} is {value}; it must be from {least} to {most}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its value.
        value: u64,
        /// The least value.
        least: u64,
        /// The largest value.
        most: u64,
    },
    /// Another handle has the log open for writing.
    #[error("another handle has the log open for writing and holds {place}")]
    Locked {
        /// The lock file.
        place: String,
    },
    /// There is a file where the directory should be.
    #[error("{place} is not a directory")]
    NotADirectory {
        /// The path.
        place: String,
    },
    /// There is no log of ours in the directory.
    #[error("there is no payonce log in {place}")]
    NotALedger {
        /// The directory.
        place: String,
    },
    /// A log would be created in a directory that holds files of somebody else.
    #[error("{place} is in use: a new log needs an empty directory")]
    NotEmpty {
        /// The directory.
        place: String,
    },
    /// A log would be created where there is one.
    #[error("there is a payonce log in {place} already: open it")]
    AlreadyExists {
        /// The directory.
        place: String,
    },
    /// The lock file says that there was a log, and its segments are not there.
    #[error("{place} belongs to the log of ledger {ledger}, but no segment of it is there")]
    Gone {
        /// The lock file.
        place: String,
        /// The ledger that it names.
        ledger: LedgerId,
    },
    /// Bytes are not what was written.
    #[error("{place} is damaged at byte {offset}: {damage}")]
    Damaged {
        /// The file.
        place: String,
        /// Where in the file.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// A file belongs to another log.
    #[error("{place} belongs to ledger {found}, not to {expected}")]
    OtherLedger {
        /// The file.
        place: String,
        /// The ledger that it belongs to.
        found: LedgerId,
        /// The ledger of the log.
        expected: LedgerId,
    },
    /// A file was written by a newer version of the store.
    #[error("{place} has format version {found}; this program reads up to {known}")]
    NewerVersion {
        /// The file.
        place: String,
        /// Its version.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// Two files say that they start with the same seq.
    #[error("{first} and {second} both start at seq {seq}")]
    SameSeq {
        /// The seq.
        seq: u64,
        /// One file.
        first: String,
        /// The other file.
        second: String,
    },
    /// A file's name is not the one that its contents demand.
    #[error("{place} starts at seq {first_seq}: its name should be {name}")]
    Misnamed {
        /// The file.
        place: String,
        /// The seq that its header states.
        first_seq: u64,
        /// The name that it should have.
        name: String,
    },
    /// The middle of the log is missing.
    #[error("history is missing before seq {before}: {place} does not follow what is there")]
    Gap {
        /// The first file after the gap.
        place: String,
        /// The seq that it starts with.
        before: u64,
    },
    /// The log starts after seq 1 and the snapshot that stands for its beginning is missing.
    #[error("{place} starts at seq {first_seq}, and there is no base for what was before")]
    BaseMissing {
        /// The first file.
        place: String,
        /// The seq that it starts with.
        first_seq: u64,
    },
    /// A snapshot was taken at a seq that the log does not reach: the log lost its end, or was
    /// replaced by an older one.
    #[error("{place} was taken at seq {at}, but the log ends at seq {head}: its end is missing")]
    Ahead {
        /// The snapshot.
        place: String,
        /// Where it was taken.
        at: u64,
        /// Where the log ends.
        head: u64,
    },
    /// A base that is no state of this log.
    #[error("{place} was taken at seq {at}, but is no state of this log: the chain differs")]
    OffChain {
        /// The snapshot.
        place: String,
        /// Where it was taken.
        at: u64,
    },
    /// Something else changes the newest file too quickly to be read twice alike.
    #[error("{place} changes while it is read: try again")]
    Changing {
        /// The file.
        place: String,
    },
}

/// What is wrong with the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The file does not start as one of ours does.
    #[error("it does not start with the magic bytes of a payonce file")]
    Magic,
    /// The file is larger than there is memory for.
    #[error("it is larger than there is memory for")]
    TooLarge,
    /// The file ends too early.
    #[error("it ends too early")]
    Short,
    /// A file's header fails its checksum.
    #[error("the file header fails its checksum")]
    FileHeader,
    /// A frame's header is there and fails its checksum.
    #[error("a frame header fails its checksum")]
    FrameHeader,
    /// A frame's body fails its checksum although all of its sectors were written.
    #[error("an entry fails its checksum")]
    Body,
    /// An entry is missing although a later one shows that it had been durable.
    #[error("the entry at seq {seq} was durable and is missing")]
    Vouched {
        /// The seq of its first event.
        seq: u64,
    },
    /// An entry stands at the wrong place.
    #[error("the entry here starts at seq {found}, not {expected}")]
    OutOfPlace {
        /// Its first seq.
        found: u64,
        /// The seq that should start here.
        expected: u64,
    },
    /// What passes its checksum is not an entry.
    #[error("no entry: {0}")]
    NoEntry(DecodeError),
    /// Bytes that should be zero are not.
    #[error("bytes where nothing was written")]
    Stray,
    /// A file before the newest one ends too early or not where the next one starts.
    #[error("the file ends at seq {found}, but the next one starts after seq {expected}")]
    Ends {
        /// Its last seq.
        found: u64,
        /// The last seq before the next file.
        expected: u64,
    },
    /// A file's entries do not lead to the chain hash that the next one starts with.
    #[error("the chain of the entries does not lead to the next file")]
    Chain,
    /// A snapshot fails its checksum.
    #[error("the snapshot fails its checksum")]
    Snapshot,
    /// The lock file holds something else.
    #[error("it is not the lock file of a payonce log")]
    Lock,
}

impl FsError {
    /// Whether a file is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl From<FsError> for StoreError {
    fn from(error: FsError) -> Self {
        match error {
            FsError::Locked { place } => Self::Locked { holder: place },
            FsError::NewerVersion { place, found, known } => {
                Self::NewerVersion { place, found, known }
            }
            FsError::Damaged { place, offset, damage } => {
                Self::Corrupt { place: format!("{place} byte {offset}"), what: damage.to_string() }
            }
            FsError::Io { .. } | FsError::Option { .. } | FsError::Changing { .. } => {
                Self::Backend(Box::new(error))
            }
            FsError::NotADirectory { ref place }
            | FsError::NotALedger { ref place }
            | FsError::NotEmpty { ref place }
            | FsError::AlreadyExists { ref place }
            | FsError::Gone { ref place, .. }
            | FsError::OtherLedger { ref place, .. }
            | FsError::SameSeq { first: ref place, .. }
            | FsError::Misnamed { ref place, .. }
            | FsError::Gap { ref place, .. }
            | FsError::BaseMissing { ref place, .. }
            | FsError::Ahead { ref place, .. }
            | FsError::OffChain { ref place, .. } => {
                Self::Corrupt { place: place.clone(), what: error.to_string() }
            }
        }
    }
}
