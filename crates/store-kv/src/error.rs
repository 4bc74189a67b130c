//! What can be wrong with a log in a key-value store.

use lightning::io;
use payonce_core::{DecodeError, LedgerId, StoreError};

/// Why a log could not be created, opened or read. Unless it says otherwise nothing was modified.
///
/// A *place* is the namespace and the key, separated by `/`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// The key-value store failed.
    #[error("the key-value store cannot {action} {place}: {cause}")]
    Io {
        /// What was tried, in a word: read, write, list, remove.
        action: &'static str,
        /// On which key, or in which namespace.
        place: String,
        /// What the key-value store says.
        cause: io::Error,
    },
    /// No key-value store takes a namespace of this name.
    #[error("the namespace {name:?} cannot be used: it needs {what}")]
    Namespace {
        /// What a name must be, in words.
        what: &'static str,
        /// The name that was refused.
        name: String,
    },
    /// There is nothing in the namespace.
    #[error("there is no payonce log in {place}: create one, or look elsewhere")]
    NotALedger {
        /// The namespace that was looked in.
        place: String,
    },
    /// A log would be created where there is one.
    #[error("there is a payonce log in {place} already: open it")]
    AlreadyExists {
        /// The namespace that holds a ledger already.
        place: String,
    },
    /// A log would be created where there is something else.
    #[error("{place} is in use: a new log needs an empty namespace")]
    NotEmpty {
        /// A key that is there.
        place: String,
    },
    /// There are keys of a log, and its creation record is gone.
    #[error("{place} is missing, but there is {found}")]
    RecordMissing {
        /// The key of the missing record.
        place: String,
        /// A key that is there.
        found: String,
    },
    /// A key that is none of ours.
    #[error("{place} is no key of a payonce log: a log needs a namespace of its own")]
    Foreign {
        /// The key that is none of a log.
        place: String,
    },
    /// A key was listed or written, and has no value.
    #[error("{place} was there and is gone")]
    Gone {
        /// The key whose record is gone.
        place: String,
    },
    /// A value is not what was written.
    #[error("{place} is damaged: {damage}")]
    Damaged {
        /// The key of the damaged record.
        place: String,
        /// What is wrong with its bytes.
        damage: Damage,
    },
    /// A value belongs to another log.
    #[error("{place} belongs to ledger {found}, not to {expected}")]
    OtherLedger {
        /// The key of the other ledger's record.
        place: String,
        /// The ledger that it belongs to.
        found: LedgerId,
        /// The ledger of the log.
        expected: LedgerId,
    },
    /// A value was written by a newer version of the store.
    #[error("{place} has format version {found}; this program reads up to {known}")]
    NewerVersion {
        /// The key of the newer record.
        place: String,
        /// The version that the record states.
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
        /// The key of the old record.
        place: String,
    },
    /// Two keys hold the same seq: there were two writers, and either may have paid.
    #[error(
        "two writers wrote to this log: {first} and {second} both hold seq {seq}; \
         find out what each of them paid before one is removed"
    )]
    Fork {
        /// The first seq that both hold.
        seq: u64,
        /// The key of one of the two records.
        first: String,
        /// The key of the other record.
        second: String,
    },
    /// Entries of the log are missing.
    #[error("the entries from seq {from} to {to} are missing before {place}")]
    Hole {
        /// The first seq that is missing.
        from: u64,
        /// The last seq that is missing.
        to: u64,
        /// The key that follows them, or states that they were there.
        place: String,
    },
    /// The chain does not lead from one key to the next.
    #[error("{place} does not continue {before}: the chain differs")]
    Unlinked {
        /// The key of the record that does not continue.
        place: String,
        /// The key before it.
        before: String,
    },
    /// The log starts after seq 1 and the snapshot that stands for its beginning is missing.
    #[error("{place} starts at seq {first_seq}, and there is no base for what was before")]
    BaseMissing {
        /// The first key of the log.
        place: String,
        /// The seq that it starts with.
        first_seq: u64,
    },
    /// A key states a seq that the log does not reach: the log lost its end, or was replaced by an
    /// older one.
    #[error("{place} knows of seq {at}, but the log ends at seq {head}: its end is missing")]
    Ahead {
        /// The key of the record that knows more.
        place: String,
        /// The seq that it states.
        at: u64,
        /// Where the log ends.
        head: u64,
    },
    /// A key states a head that is none of this log.
    #[error("{place} states the chain at seq {at}, but it is none of this log")]
    OffChain {
        /// The key of the record that states it.
        place: String,
        /// The seq that it states.
        at: u64,
    },
    /// A writing call before [`fence`](payonce_core::EventStore::fence).
    #[error("this handle is not the writer yet: fence it first")]
    NotFenced,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The value does not start as it should under its name.
    #[error("it does not start with the magic bytes of such a value")]
    Magic,
    /// The value's header is cut off or fails its checksum.
    #[error("the header fails its checksum")]
    Header,
    /// The value is not as long as its header says.
    #[error("it has {found} bytes after the header, not {expected}")]
    Length {
        /// The bytes that are there.
        found: u64,
        /// The bytes that should be there.
        expected: u64,
    },
    /// What follows the header fails its checksum.
    #[error("what follows the header fails its checksum")]
    Body,
    /// What passes its checksum is not a sequence of entries.
    #[error("the entries are not framed as entries are")]
    Framing,
    /// What passes its checksum is not an entry.
    #[error("no entry: {0}")]
    NoEntry(DecodeError),
    /// An entry stands at the wrong place.
    #[error("an entry starts at seq {found}, not {expected}")]
    OutOfPlace {
        /// The first seq that the record states.
        found: u64,
        /// The seq that should start there.
        expected: u64,
    },
    /// The value is sound and is not what its name says.
    #[error("its contents are not those that its name states")]
    Name,
}

impl KvError {
    pub(crate) const fn damaged(place: String, damage: Damage) -> Self {
        Self::Damaged { place, damage }
    }
}

impl From<KvError> for StoreError {
    fn from(error: KvError) -> Self {
        match error {
            KvError::NewerVersion { place, found, known } => {
                Self::NewerVersion { place, found, known }
            }
            KvError::Unreleased { place } => Self::Unreleased { place },
            KvError::Damaged { place, damage } => Self::Corrupt { place, what: damage.to_string() },
            KvError::Io { .. } | KvError::Namespace { .. } | KvError::NotFenced => {
                Self::Backend(Box::new(error))
            }
            KvError::NotALedger { ref place }
            | KvError::AlreadyExists { ref place }
            | KvError::NotEmpty { ref place }
            | KvError::RecordMissing { ref place, .. }
            | KvError::Foreign { ref place }
            | KvError::Gone { ref place }
            | KvError::OtherLedger { ref place, .. }
            | KvError::Fork { first: ref place, .. }
            | KvError::Hole { ref place, .. }
            | KvError::Unlinked { ref place, .. }
            | KvError::BaseMissing { ref place, .. }
            | KvError::Ahead { ref place, .. }
            | KvError::OffChain { ref place, .. } => {
                Self::Corrupt { place: place.clone(), what: error.to_string() }
            }
        }
    }
}
