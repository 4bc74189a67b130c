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
        /// What was tried.
        action: &'static str,
        /// On which file.
        place: String,
        /// What the operating system says. It is part of the text, so it is no `source`.
        reason: io::Error,
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
    /// Another writer has the log open. (So has, for a moment, a child that the writer's process was
    /// starting when it ended: between its fork and its exec it holds what the writer held. Opening
    /// waits for such a one for a quarter of a second.)
    #[error(
        "another writer{} has the log open and holds {place}: stop it and open again; never delete \
         a file of the log to get past this, two writers would lose each other's payments",
        process(*holder)
    )]
    Locked {
        /// What it holds: the lock file, the directory, or the newest segment.
        place: String,
        /// The process that holds it, as the lock file tells.
        holder: Option<u32>,
    },
    /// There is a file where the directory should be.
    #[error("{place} is not a directory: give the directory that holds the log")]
    NotADirectory {
        /// The path.
        place: String,
    },
    /// There is no log of ours in the directory.
    #[error(
        "there is no payonce log in {place}: if there was one, mount its volume, correct the path \
         or restore it; create one only for the first start of a node"
    )]
    NotALedger {
        /// The directory.
        place: String,
    },
    /// A log would be created in a directory that holds files of somebody else.
    #[error("{place} holds {found} already: a new log needs an empty directory of its own")]
    NotEmpty {
        /// The directory.
        place: String,
        /// The name of a file in it.
        found: String,
    },
    /// A log would be created where there is one.
    #[error("there is a payonce log in {place} already: open it, it is not the first start")]
    AlreadyExists {
        /// The directory.
        place: String,
    },
    /// The lock file, or the record of the newest segment, says that there was a log, and its
    /// segments are not there.
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
        /// The segment.
        place: String,
        /// The record that names it.
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
        /// The segment.
        place: String,
        /// The record that says where it ended.
        record: String,
        /// Where it ended.
        at: u64,
        /// Where it ends now.
        head: u64,
    },
    /// Bytes are not what was written.
    #[error("{place} is damaged at byte {offset}: {damage}; {}", restore(place))]
    Damaged {
        /// The file.
        place: String,
        /// Where in the file.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// A file belongs to another log.
    #[error(
        "{place} belongs to ledger {found}, not to {expected}: move it to where it belongs, and \
         restore the one of this log if it took its place"
    )]
    OtherLedger {
        /// The file.
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
        /// The file.
        place: String,
        /// Its version.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// Written by a program before the first release, whose formats are read by nobody any more.
    #[error(
        "{place} was written before the first release, in a format that is read by nobody any more: \
         start a new ledger once nothing of this one is unresolved"
    )]
    Unreleased {
        /// The file.
        place: String,
    },
    /// Two files say that they start with the same seq.
    #[error(
        "{first} and {second} both start at seq {seq}: move the one that is a copy out of the \
         directory"
    )]
    SameSeq {
        /// The seq.
        seq: u64,
        /// One file.
        first: String,
        /// The other file.
        second: String,
    },
    /// A file's name is not the one that its contents demand.
    #[error("{place} starts at seq {first_seq}: give it back its name, {name}")]
    Misnamed {
        /// The file.
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
        /// The first file.
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
        /// The snapshot.
        place: String,
        /// Where it was taken.
        at: u64,
        /// Where the log ends.
        head: u64,
    },
    /// A base that is no state of this log.
    #[error(
        "{place} was taken at seq {at}, but is no state of this log: the chain differs; restore the \
         base of this log"
    )]
    OffChain {
        /// The snapshot.
        place: String,
        /// Where it was taken.
        at: u64,
    },
    /// Something else changes the files too quickly to be read twice alike, or has dropped what was
    /// to be read.
    #[error("{place} changes while it is read: a writer is at work; try again")]
    Changing {
        /// The file.
        place: String,
    },
    /// What the writer holds is not what others find under its name: the outcome of its last call
    /// is unknown.
    #[error(
        "{place} is not the file that this writer holds any more: it was removed, the directory was \
         moved or replaced, or another writer has opened the log; stop all writers, restore what was \
         removed, see which directory is the right one, and open that"
    )]
    Replaced {
        /// The file.
        place: String,
    },
    /// Somebody cut the newest segment while its writer held it, as a rotation of logs does.
    #[error(
        "{place} was cut under its writer: it has {size} bytes and had {expected}; stop whatever cut \
         it (a rotation of logs, perhaps), restore the file and open again"
    )]
    Cut {
        /// The segment.
        place: String,
        /// Its size now.
        size: u64,
        /// The size that it had.
        expected: u64,
    },
    /// Somebody wrote to the newest segment while it was opened: a writer that no lock keeps out.
    #[error(
        "{place} was written to by somebody else while it was opened: there is another writer that \
         the locks of this file system do not keep out; stop it before this one is opened again"
    )]
    Contested {
        /// The file.
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
    ForeignPart,
    /// A file before the newest one ends too early or not where the next one starts.
    #[error("the file ends at seq {found}, but the next one starts after seq {expected}")]
    Ends {
        /// Its last seq.
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
    /// The lock file holds something else.
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

    /// Whether it leaves unknown which names the directory has: the log itself may be concerned.
    pub(crate) fn leaves_names_unknown(&self) -> bool {
        matches!(self, Self::Io { action, .. } if *action == names::SYNC_NAMES)
            || matches!(self, Self::Replaced { .. })
    }

    fn is_io(&self, is_meant: impl FnOnce(io::ErrorKind) -> bool) -> bool {
        matches!(self, Self::Io { reason, .. } if is_meant(reason.kind()))
    }

    /// What a reader says of it: a writer removes what a base stands for.
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
