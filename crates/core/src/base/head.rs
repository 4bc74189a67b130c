//! The chain: each entry's hash covers the hash before it, the first covers the ledger id. Two
//! logs are compared by (seq, chain), never by seq alone.

use core::{fmt, str::FromStr};

use bitcoin_hashes::{HashEngine, sha256};

use crate::{
    base::ids::{LedgerId, LogHash, ParseIdError},
    base::wire::layout,
};

impl LogHash {
    /// The log hash after an entry of these bytes: `SHA256(this log hash || entry bytes)`.
    #[must_use]
    pub fn extend(&self, entry_bytes: &[u8]) -> Self {
        let mut engine = sha256::HashEngine::new();
        engine.input(self.as_bytes());
        engine.input(entry_bytes);
        Self::from_bytes(sha256::Hash::from_engine(engine).to_byte_array())
    }

    /// The first 8 bytes, by which notifications of two logs differ.
    #[must_use]
    pub fn prefix(&self) -> [u8; 8] {
        core::array::from_fn(|at| self.as_bytes()[at])
    }
}

/// The end of a log: its last seq and the log hash there. A node keeps the last head that it
/// knows durable with its channel state and gives it at opening, so that an older or another log
/// is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
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
        Self { seq: 0, chain: LogHash::from_bytes(*ledger.as_bytes()) }
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

layout! { record Head "a head" { seq, chain } }
