//! The names of the keys (docs/FORMAT-store-kv.md, "Keys"): a listing alone tells where the log
//! ends, and shows a hole or a fork.

use std::fmt;

use payonce_core::{Head, LogHash};

const RECORD: &str = "ledger";
const CHUNK: &str = "log";
const SNAPSHOT: &str = "snap";
const BASE: &str = "base";

/// The name of a chunk: the entries that one write holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkKey {
    /// The seq of its first event; at least 1.
    pub(crate) first: u64,
    /// The head before it, of the chain as much as fits into a name.
    pub(crate) before: [u8; 8],
    /// The head after it.
    pub(crate) after: Head,
}

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Record,
    Chunk(ChunkKey),
    /// Taken at this head.
    Snapshot(Head),
    /// Taken at this head.
    Base(Head),
}

impl Key {
    /// Reads a name; `None` if it is none of ours, letter for letter.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let key = Self::read(name)?;
        (key.to_string() == name).then_some(key)
    }

    fn read(name: &str) -> Option<Self> {
        if name == RECORD {
            return Some(Self::Record);
        }
        let mut parts = name.split('-');
        let key = match parts.next()? {
            CHUNK => {
                let (first, last) = (number(parts.next()?)?, number(parts.next()?)?);
                let before = number(parts.next()?)?.to_be_bytes();
                let after = Head { seq: last, chain: parts.next()?.parse().ok()? };
                // The next seq must be a number too.
                let is_range = 1 <= first && first <= last && last < u64::MAX;
                Self::Chunk(is_range.then_some(ChunkKey { first, before, after })?)
            }
            SNAPSHOT => Self::Snapshot(head(&mut parts)?),
            BASE => Self::Base(head(&mut parts)?),
            _ => return None,
        };
        parts.next().is_none().then_some(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record => f.write_str(RECORD),
            Self::Chunk(ChunkKey { first, before, after: Head { seq, chain } }) => {
                let before = u64::from_be_bytes(*before);
                write!(f, "{CHUNK}-{first:016x}-{seq:016x}-{before:016x}-{chain}")
            }
            Self::Snapshot(Head { seq, chain }) => write!(f, "{SNAPSHOT}-{seq:016x}-{chain}"),
            Self::Base(Head { seq, chain }) => write!(f, "{BASE}-{seq:016x}-{chain}"),
        }
    }
}

fn number(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

fn head<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Option<Head> {
    let seq = number(parts.next()?)?;
    let chain: LogHash = parts.next()?.parse().ok()?;
    (seq < u64::MAX).then_some(Head { seq, chain })
}

#[cfg(test)]
mod tests {
    use lightning::util::persist::{KVSTORE_NAMESPACE_KEY_ALPHABET, KVSTORE_NAMESPACE_KEY_MAX_LEN};

    use super::*;

    fn keys() -> [Key; 4] {
        let after = Head { seq: u64::MAX - 1, chain: LogHash::from_bytes([0xab; 32]) };
        let chunk = ChunkKey { first: 0x12, before: [0, 1, 2, 3, 4, 5, 6, 0xff], after };
        [Key::Record, Key::Chunk(chunk), Key::Snapshot(after), Key::Base(after)]
    }

    #[test]
    fn names_are_what_a_key_value_store_takes_and_read_back() {
        for key in keys() {
            let name = key.to_string();
            assert!(name.len() <= KVSTORE_NAMESPACE_KEY_MAX_LEN, "{name}");
            assert!(name.chars().all(|letter| KVSTORE_NAMESPACE_KEY_ALPHABET.contains(letter)));
            assert_eq!(Key::parse(&name), Some(key));
        }
    }

    #[test]
    fn no_other_name_is_ours() {
        for name in keys().map(|key| key.to_string()) {
            for at in 0..name.len() {
                let mut cut = name.clone();
                cut.remove(at);
                assert_eq!(Key::parse(&cut), None, "{cut}");
                for letter in ["+", "A", "_", "-", "g"] {
                    let mut changed = name.clone();
                    changed.replace_range(at..=at, letter);
                    assert!(changed == name || Key::parse(&changed).is_none(), "{changed}");
                }
            }
            assert_eq!(Key::parse(&format!("{name}-")), None);
            assert_eq!(Key::parse(&format!("{name}0")), None);
        }
        let chain = LogHash::from_bytes([1; 32]);
        for (first, last) in [(0, 1), (2, 1), (1, u64::MAX)] {
            let name = format!("log-{first:016x}-{last:016x}-{:016x}-{chain}", 0);
            assert_eq!(Key::parse(&name), None, "{name}");
        }
    }
}
