//! Why bytes cannot be read.

use alloc::string::String;
use core::fmt;

/// Why bytes are not an entry, an event or a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Written by a newer program, and not expressible in a version that this one reads.
    #[error("format version {found} is newer than {known}: read it with a newer program")]
    NewerVersion {
        /// The version that the bytes state.
        found: u8,
        /// The newest version that this program reads.
        known: u8,
    },
    /// Written by a program before the first release, whose version 1 was another one.
    #[error(
        "written before the first release: that format is read by nobody any more; start a new \
         ledger once nothing of this one is unresolved"
    )]
    Unreleased,
    /// A format version that never was.
    #[error("there is no format version that begins with byte {found}")]
    NoSuchVersion {
        /// The byte that states the version.
        found: u8,
    },
    /// The stated version is not the lowest one that can express this.
    #[error("{inside} states version {stated}, but version {lowest} is the lowest that can say it")]
    NotLowestVersion {
        /// What was being read.
        inside: &'static str,
        /// The version that the bytes state.
        stated: u8,
        /// The lowest version that can express it.
        lowest: u8,
    },
    /// The bytes end too early.
    #[error("the bytes end inside {inside}")]
    Truncated {
        /// What was being read.
        inside: &'static str,
    },
    /// A count or a length is above its limit.
    #[error("a count or length in {inside} is above its limit")]
    OverLimit {
        /// What was being read.
        inside: &'static str,
    },
    /// A field of a record's tail cannot be read.
    #[error("the field with tag {tag} in the tail of {inside} {fault}")]
    Tail {
        /// The record whose tail has the field.
        inside: &'static str,
        /// The field's tag; the tags of one tail rise strictly.
        tag: u64,
        /// What is wrong with it.
        fault: TailFault,
    },
    /// A variant that this version does not have.
    #[error("{inside} has no variant {number}")]
    UnknownVariant {
        /// What was being read.
        inside: &'static str,
        /// The number in the bytes, which is no variant's.
        number: u64,
    },
    /// The bytes have no meaning here.
    #[error("the bytes are no {inside}: {what}")]
    Malformed {
        /// What was being read.
        inside: &'static str,
        /// What does not fit.
        what: String,
    },
    /// The bytes are not the one encoding of their value.
    #[error("the bytes are not the one encoding of {inside}")]
    NotCanonical {
        /// What was being read.
        inside: &'static str,
    },
    /// Bytes are left over.
    #[error("{left} bytes are left over after {inside}")]
    LeftOver {
        /// What was read to its end.
        inside: &'static str,
        /// How many bytes are left.
        left: usize,
    },
    /// The entry is not at the place that it states.
    #[error("the entry says that it starts at seq {stated}, but it follows seq {after}")]
    OutOfPlace {
        /// The first seq stated in the entry.
        stated: u64,
        /// The last seq before it.
        after: u64,
    },
}

/// What is wrong with a field in a tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TailFault {
    /// Its tag is even and this program does not know it: its writer says that reading the record
    /// without it would be wrong.
    Unknown,
    /// Its tag does not rise above the one before: it is repeated or out of order.
    NotRising,
    /// It has more bytes than a field may have, or than are there.
    TooLong,
    /// It has its default, which is expressed by leaving the field out.
    Default,
}

impl fmt::Display for TailFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "is not known to this program and cannot be passed over",
            Self::NotRising => "is repeated or out of order",
            Self::TooLong => "is longer than it may be or than the bytes that are there",
            Self::Default => "says what is said by leaving it out",
        })
    }
}
