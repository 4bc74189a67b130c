//! Ids that nobody chose: the core has no randomness.

use payonce_core::{LedgerId, PartId};

/// A new part id, from the operating system's randomness: what a node names an HTLC by before it dispatches
/// it. Two are never the same.
///
/// # Panics
/// If the operating system gives no randomness: an id that could be guessed or drawn twice would make two
/// HTLCs one.
#[must_use]
pub fn random_part_id() -> PartId {
    PartId::from_bytes(random())
}

/// A new ledger id, from the operating system's randomness: what a ledger is created under, once.
///
/// # Panics
/// If the operating system gives no randomness: two ledgers with one id could be taken for each other.
#[must_use]
pub fn random_ledger_id() -> LedgerId {
    LedgerId::from_bytes(random())
}

/// A seed for [`Opening::new`](payonce_core::Opening::new), from the operating system's randomness: another
/// one at each start, so that nobody can choose ids that slow the tables down. It changes no result.
///
/// # Panics
/// If the operating system gives no randomness: a seed that is known protects nothing.
#[must_use]
pub fn random_seed() -> u64 {
    u64::from_ne_bytes(random())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let all: std::collections::HashSet<_> = (0..1_000).map(|_| random_part_id()).collect();
        assert_eq!(all.len(), 1_000);
        let all: std::collections::HashSet<_> = (0..1_000).map(|_| random_ledger_id()).collect();
        assert_eq!(all.len(), 1_000);
        let all: std::collections::HashSet<_> = (0..1_000).map(|_| random_seed()).collect();
        assert_eq!(all.len(), 1_000);
    }
}
