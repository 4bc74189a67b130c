//! What can be wrong with a directory of segment files. Each text says what to do; docs/OPERATING.md
//! has a chapter on it, "The log does not open".

use std::io;

use payonce_core::{DecodeError, LedgerId, StoreError};

use crate::names;

/// Why a log could not be created, opened or read. Unless it says otherwise nothing was modified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsError {
    /// The operating system refused.
    #[error("cannot {action} {place}: {reason}; {}", advice(reason.kind()))]
    Io {
        /// What was tried, as a verb and its object: "sync the directory".
        action: &'static str,
        /// The path of the file or directory that it was tried on.
        place: String,
        /// What the operating system says. It is part of the text, so it is no `source`.
        reason: io::Error,
    },
    /// The options cannot work.
    #[error("{option} is {value}; it must be from {least} to {most}")]
    Option {
        /// The field of [`Options`](crate::Options) that cannot work.
        option: &'static str,
        /// The value that was given, in bytes.
        value: u64,
        /// The least value that works, in bytes.
        least: u64,
        /// The largest value that works, in bytes.
        most: u64,
    },
    /// Another writer has the log open. (A child process that the writer was starting when it ended has
    /// it open for a moment too: between its fork and its exec it has the writer's locks. Opening waits
    /// for such a child for a quarter of a second.)
    #[error(
        "another writer{} has the log open and holds {place}: stop it and open again; never delete \
         a file of the log to get past this, two writers would lose each other's payments",
        process(*holder)
    )]
    Locked {
        /// What it has locked: the lock file, the directory, or the newest segment.
        place: String,
        /// The number of the process that has the lock, as the lock file says; `None` if it does not say.
        holder: Option<u32>,
    },
    /// There is a file where the directory should be.
    #[error("{place} is not a directory: give the directory that holds the log")]
    NotADirectory {
        /// The path at which a directory was expected.
        place: String,
    },
    /// There is no payonce log in the directory.
    #[error(
        "there is no payonce log in {place}: if there was one, mount its volume, correct the path \
         or restore it; create one only for the first start of a node"
    )]
    NotALedger {
        /// The directory that was looked through.
        place: String,
    },
    /// A log would be created in a directory that has other files.
    #[error("{place} holds {found} already: a new log needs an empty directory of its own")]
    NotEmpty {
        /// The directory that is not empty.
        place: String,
        /// The name of a file in it.
        found: String,
    },
    /// A log would be created where there is one already.
    #[error("there is a payonce log in {place} already: open it, it is not the first start")]
    AlreadyExists {
        /// The directory that has a log.
        place: String,
    },
    /// The lock file, or the file `newest`, says that there was a log, and its segments are not there.
    #[error(
        "{place} belongs to the log of ledger {ledger}, but no segment of it is there: restore the \
         segments; a new log in their place would pay again what was paid"
    )]
    Gone {
        /// The file that says so.
        place: String,
        /// The ledger that it names.
        ledger: LedgerId,
    },
    /// The newest segment is not there: the log has lost its end.
    #[error(
        "{place} is missing, the newest segment: the log has lost its end; restore the file; only \
         if it is lost for good, remove {record} and open with the head that the node knows"
    )]
    NewestMissing {
        /// The path where the newest segment should be.
        place: String,
        /// The path of the file `newest`, which names it.
        record: String,
    },
    /// The newest segment ends before the seq at which its last writer left it: the log has lost its
    /// end, though nothing that is left is damaged.
    #[error(
        "{place} ends at seq {head}, but its writer left it at seq {at}: the log has lost its end; \
         restore the file; only if it is lost for good, remove {record} and open with the head that \
         the node knows"
    )]
    EndMissing {
        /// The path of the newest segment.
        place: String,
        /// The path of the file `newest`, which says where it ended.
        record: String,
        /// The seq at which its last writer left it.
        at: u64,
        /// The seq at which it ends now.
        head: u64,
    },
    /// Bytes are not what was written.
    #[error("{place} is damaged at byte {offset}: {damage}; {}", restore(place))]
    Damaged {
        /// The path of the file, of the log or a snapshot.
        place: String,
        /// Where the damage begins, in bytes from the file's start.
        offset: u64,
        /// What is wrong with the bytes.
        damage: Damage,
    },
    /// A file belongs to another ledger's log.
    #[error(
        "{place} belongs to ledger {found}, not to {expected}: move it to where it belongs, and \
         restore the one of this log if it took its place"
    )]
    OtherLedger {
        /// The path of the file that does not belong.
        place: String,
        /// The ledger that it belongs to.
        found: LedgerId,
        /// The ledger of the log.
        expected: LedgerId,
    },
    /// A file was written by a newer version of the store.
    #[error(
        "{place} has format version {found}; this program reads up to {known}: use a newer one"
    )]
    NewerVersion {
        /// The path of the file that is too new.
        place: String,
        /// The format version that its header states.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// Written by a program before the first release, whose formats no program reads any more.
    #[error(
        "{place} was written before the first release, in a format that is read by nobody any more: \
         start a new ledger once nothing of this one is unresolved"
    )]
    Unreleased {
        /// The path of the file that is too old.
        place: String,
    },
    /// Two files say that they start with the same seq.
    #[error(
        "{first} and {second} both start at seq {seq}: move the one that is a copy out of the \
         directory"
    )]
    SameSeq {
        /// The seq that both headers state.
        seq: u64,
        /// The path of one of the two files.
        first: String,
        /// The path of the other one.
        second: String,
    },
    /// A file's name does not match its contents.
    #[error("{place} starts at seq {first_seq}: give it back its name, {name}")]
    Misnamed {
        /// The path of the file, as it is named now.
        place: String,
        /// The seq that its header states.
        first_seq: u64,
        /// The name that it should have.
        name: String,
    },
    /// The middle of the log is missing.
    #[error(
        "history is missing before seq {before}: {place} does not follow what is there; restore \
         the files in between"
    )]
    Gap {
        /// The first file after the gap.
        place: String,
        /// The seq that it starts with.
        before: u64,
    },
    /// The log starts after seq 1 and the snapshot that stands for its beginning is missing.
    #[error(
        "{place} starts at seq {first_seq}, and there is no base for what was before: restore the \
         file that ends in .base, or the segments before it"
    )]
    BaseMissing {
        /// The path of the oldest segment there is.
        place: String,
        /// The seq that it starts with.
        first_seq: u64,
    },
    /// A snapshot was taken at a seq that the log does not reach: the log lost its end, or was
    /// replaced by an older one.
    #[error(
        "{place} was taken at seq {at}, but the log ends at seq {head}: its end is missing; restore \
         the newest segments; only if they are lost for good, remove {place} and open with the head \
         that the node knows"
    )]
    Ahead {
        /// The path of the snapshot that is ahead.
        place: String,
        /// The seq at which it was taken.
        at: u64,
        /// Where the log ends.
        head: u64,
    },
    /// A base is not a state of this log.
    #[error(
        "{place} was taken at seq {at}, but is no state of this log: the chain differs; restore the \
         base of this log"
    )]
    OffChain {
        /// The path of the base that does not belong.
        place: String,
        /// The seq at which it was taken.
        at: u64,
    },
    /// A writer changes the files too quickly to be read twice with the same result, or has dropped what
    /// was to be read.
    #[error("{place} changes while it is read: a writer is at work; try again")]
    Changing {
        /// The path of the file that changes.
        place: String,
    },
    /// The writer's open file is not what others find under its name: the outcome of its last call is
    /// unknown.
    #[error(
        "{place} is not the file that this writer holds any more: it was removed, the directory was \
         moved or replaced, or another writer has opened the log; stop all writers, restore what was \
         removed, see which directory is the right one, and open that"
    )]
    Replaced {
        /// The path at which another file is now, or none.
        place: String,
    },
    /// Somebody truncated the newest segment while its writer had it open, as log rotation does.
    #[error(
        "{place} was cut under its writer: it has {size} bytes and had {expected}; stop whatever cut \
         it (a rotation of logs, perhaps), restore the file and open again"
    )]
    Cut {
        /// The path of the segment that was cut.
        place: String,
        /// How many bytes it has now.
        size: u64,
        /// How many bytes its writer had left in it.
        expected: u64,
    },
    /// Somebody wrote to the newest segment while it was opened: another writer that locks do not keep
    /// out.
    #[error(
        "{place} was written to by somebody else while it was opened: there is another writer that \
         the locks of this file system do not keep out; stop it before this one is opened again"
    )]
    Contested {
        /// The path of the segment that somebody wrote to.
        place: String,
    },
}

/// What to do about an error of the operating system.
fn advice(kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind as Kind;

    match kind {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            "make room on the disk and open again"
        }
        Kind::PermissionDenied => {
            "run as the user that owns the directory, or give the whole directory to this one"
        }
        Kind::ReadOnlyFilesystem => {
            "see in the system's log why it is read-only, and mount it for writing"
        }
        Kind::NotFound => "see that the path is right and its volume mounted",
        Kind::InvalidInput => "move it away, and restore the file of the log if there was one",
        Kind::Unsupported => "keep the log on a file system that is supported",
        _ => "see in the system's log what the disk says, then open again",
    }
}

fn process(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |process| format!(" (process {process})"))
}

/// What to do about a damaged file.
fn restore(place: &str) -> &'static str {
    if place.ends_with(names::NEWEST) {
        "if all segments are there it can be removed, and is made anew"
    } else if [names::LOCK, names::RESERVE, names::SPARE].iter().any(|name| place.ends_with(name)) {
        "move it away if it is somebody else's"
    } else {
        "restore the file from a copy"
    }
}

/// What is wrong with the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The file does not start with payonce's magic bytes.
    #[error("it does not start with the magic bytes of a payonce file")]
    Magic,
    /// The file is larger than the available memory.
    #[error("it is larger than there is memory for")]
    TooLarge,
    /// The file ends too early.
    #[error("it ends too early")]
    Short,
    /// A file's header fails its checksum.
    #[error("the file header fails its checksum")]
    FileHeader,
    /// A frame's header is not blank and fails its checksum.
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
    /// An entry is at the wrong place.
    #[error("the entry here starts at seq {found}, not {expected}")]
    OutOfPlace {
        /// The first seq that the entry states.
        found: u64,
        /// The seq that should start here.
        expected: u64,
    },
    /// Bytes pass their checksum and are not an entry.
    #[error("no entry: {0}")]
    NoEntry(DecodeError),
    /// Bytes that should be zero are not.
    #[error("bytes where nothing was written")]
    NotZero,
    /// A file before the newest one ends too early, or not where the next file starts.
    #[error("the file ends at seq {found}, but the next one starts after seq {expected}")]
    Ends {
        /// The last seq that the file's entries lead to.
        found: u64,
        /// The last seq before the next file.
        expected: u64,
    },
    /// A file's entries do not lead to the log hash that the next one starts with.
    #[error("the chain of the entries does not lead to the next file")]
    Chain,
    /// A snapshot fails its checksum.
    #[error("the snapshot fails its checksum")]
    Snapshot,
    /// The lock file has contents that payonce does not write.
    #[error("it is not the lock file of a payonce log")]
    Lock,
}

impl FsError {
    /// Whether a file is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.is_io(|reason| reason == io::ErrorKind::NotFound)
    }

    /// Whether the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        self.is_io(|reason| {
            matches!(reason, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        })
    }

    /// Whether it is unknown afterwards which names the directory has: then the log itself may be
    /// affected.
    pub(crate) fn leaves_names_unknown(&self) -> bool {
        matches!(self, Self::Io { action, .. } if *action == names::SYNC_NAMES)
            || matches!(self, Self::Replaced { .. })
    }

    fn is_io(&self, is_meant: impl FnOnce(io::ErrorKind) -> bool) -> bool {
        matches!(self, Self::Io { reason, .. } if is_meant(reason.kind()))
    }

    /// The error that a reader reports instead: a file that is missing was removed by the writer.
    pub(crate) fn beside_a_writer(self) -> Self {
        match self {
            Self::Io { place, ref reason, .. } if reason.kind() == io::ErrorKind::NotFound => {
                Self::Changing { place }
            }
            other => other,
        }
    }
}

impl From<FsError> for StoreError {
    fn from(error: FsError) -> Self {
        match error {
            FsError::Locked { ref place, holder } => {
                let holder = process(holder);
                Self::Locked { holder: format!("{place}{holder}; stop it, never delete the file") }
            }
            FsError::NewerVersion { place, found, known } => {
                Self::NewerVersion { place, found, known }
            }
            FsError::Unreleased { place } => Self::Unreleased { place },
            FsError::Damaged { place, offset, damage } => {
                let advice = restore(&place);
                let what = format!("{damage}; {advice}");
                Self::Corrupt { place: format!("{place} byte {offset}"), what }
            }
            FsError::Io { .. }
            | FsError::Option { .. }
            | FsError::Changing { .. }
            | FsError::Replaced { .. }
            | FsError::Cut { .. }
            | FsError::Contested { .. } => Self::Backend(Box::new(error)),
            FsError::NotADirectory { ref place }
            | FsError::NotALedger { ref place }
            | FsError::NotEmpty { ref place, .. }
            | FsError::AlreadyExists { ref place }
            | FsError::Gone { ref place, .. }
            | FsError::NewestMissing { ref place, .. }
            | FsError::EndMissing { ref place, .. }
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
