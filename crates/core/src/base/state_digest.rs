//! The digest of an encoded state.

use core::fmt;

use hex_conservative::DisplayHex;

use crate::{
    base::ids::sha256,
    base::wire::{DecodeError, layout, stated_version},
};

/// The SHA-256 of a state's encoding, and the format version of that encoding. Two states with the same
/// digest are the same; digests of different versions cannot be compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateDigest {
    /// The format version in which the state was encoded.
    pub format: u8,
    /// The SHA-256 of the encoding: 32 bytes.
    pub sha256: [u8; 32],
}

layout! { record StateDigest "a digest" { format, sha256 } }

impl StateDigest {
    /// The digest of a snapshot's bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when they do not begin with a version that this program reads.
    pub fn of(snapshot: &[u8]) -> Result<Self, DecodeError> {
        let first = snapshot.first().ok_or(DecodeError::Truncated { inside: "a snapshot" })?;
        Ok(Self { format: stated_version(*first)?, sha256: sha256(snapshot) })
    }
}

impl fmt::Display for StateDigest {
    /// The version, `:`, 64 hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.format, self.sha256.as_hex())
    }
}

impl fmt::Debug for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateDigest({self})")
    }
}

impl serde::Serialize for StateDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
