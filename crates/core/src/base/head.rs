//! The chain: each entry's hash covers the hash before it, the first covers the ledger id. Two
//! logs are compared by (seq, chain), never by seq alone.

use core::{fmt, str::FromStr};

use bitcoin_hashes::{HashEngine, sha256};
use hex_conservative::DisplayHex;

use crate::{
    base::ids::{LedgerId, ParseIdError},
    base::wire::layout,
};

/// The hash of everything up to the end of one entry: `SHA256(previous log hash || entry bytes)`,
/// where the ledger id stands before the first entry. 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogHash([u8; 32]);

impl LogHash {
    /// Wraps the bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The log hash after an entry of these bytes.
    #[must_use]
    pub fn extend(&self, entry_bytes: &[u8]) -> Self {
        let mut engine = sha256::HashEngine::new();
        engine.input(&self.0);
        engine.input(entry_bytes);
        Self(sha256::Hash::from_engine(engine).to_byte_array())
    }

    /// The first 8 bytes, which tell notifications of two logs apart.
    #[must_use]
    pub fn prefix(&self) -> [u8; 8] {
        core::array::from_fn(|at| self.0[at])
    }
}

impl fmt::Display for LogHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.as_hex(), f)
    }
}

impl fmt::Debug for LogHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogHash({self})")
    }
}

impl serde::Serialize for LogHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The end of a log: its last seq and the log hash there. A node keeps the last head that it
/// knows durable with its channel state and gives it at opening, so that an older or another log
/// is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Head {
    /// The number of the last event; 0 for an empty log.
    pub seq: u64,
    /// The log hash of the entry that ends there; the ledger id's bytes for an empty log.
    pub chain: LogHash,
}

impl Head {
    /// The head of an empty log.
    #[must_use]
    pub const fn genesis(ledger: LedgerId) -> Self {
        Self { seq: 0, chain: LogHash(*ledger.as_bytes()) }
    }
}

impl FromStr for LogHash {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        LedgerId::from_str(text)
            .map(|bytes| Self(*bytes.as_bytes()))
            .map_err(|error| ParseIdError { what: "LogHash", ..error })
    }
}

impl FromStr for Head {
    type Err = ParseIdError;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused = || ParseIdError { what: "Head", expected_bytes: 40, refused: text.into() };
        let (seq, chain) = text
            .strip_prefix("seq ")
            .and_then(|rest| rest.split_once(" chain "))
            .ok_or_else(refused)?;
        Ok(Self { seq: seq.parse().map_err(|_| refused())?, chain: chain.parse()? })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seq {} chain {}", self.seq, self.chain)
    }
}

layout! { newtype LogHash }
layout! { record Head "a head" { seq, chain } }
