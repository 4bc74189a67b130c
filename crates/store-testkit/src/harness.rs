//! What a store's author writes, and what runs a case.

use std::{
    fmt,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use payonce_core::{EventStore, LedgerId, StoreError};

use crate::cases::Case;

/// How the suite reaches a store. One harness serves one case and has one log.
pub trait Harness {
    /// The store under test.
    type Store: EventStore;

    /// The hooks that this harness does not have, on purpose. A case that needs one passes then and shows
    /// nothing.
    const LEFT_OUT: &'static [Hook] = &[];

    /// Creates an empty log. Called once, before everything else.
    ///
    /// # Errors
    /// Whatever the store says; the case fails.
    fn create(&mut self, ledger: LedgerId) -> Result<Self::Store, StoreError>;

    /// Opens the log as a newly started process would. The case fences it. Also called while
    /// another handle is open, to see how a second writer is kept out.
    ///
    /// # Errors
    /// Whatever the store says.
    fn reopen(&mut self) -> Result<Self::Store, StoreError>;

    /// Ends a handle as a dying process would: whatever it has not made durable is lost. Dropping
    /// is right for a store that does nothing when it is dropped.
    fn kill(&mut self, store: Self::Store) {
        drop(store);
    }

    /// Makes the next append on this handle fail, after any prefix of its entries. Returns `false` if
    /// this store's harness cannot do that.
    fn fail_next_append(&mut self, _store: &mut Self::Store) -> bool {
        false
    }

    /// Makes the next saving of a snapshot, or dropping of history, on this handle fail, as a full disk
    /// would make it fail. Returns `false` if this store's harness cannot do that.
    fn fail_next_maintenance(&mut self, _store: &mut Self::Store) -> bool {
        false
    }

    /// Changes one byte of the stored entry whose first seq this is, while no handle is open.
    /// Returns `false` if this store's harness cannot do that.
    fn damage_entry(&mut self, _first_seq: u64) -> bool {
        false
    }

    /// Changes one byte of the stored state of the snapshot taken at this seq, or of the base if it
    /// was taken there, while no handle is open. Returns `false` if this store's harness cannot do
    /// that.
    fn damage_snapshot(&mut self, _at: u64) -> bool {
        false
    }
}

/// What a [`Harness`] can do beyond creating and opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// [`Harness::fail_next_append`].
    FailNextAppend,
    /// [`Harness::fail_next_maintenance`].
    FailNextMaintenance,
    /// [`Harness::damage_entry`].
    DamageEntry,
    /// [`Harness::damage_snapshot`].
    DamageSnapshot,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FailNextAppend => "fail_next_append",
            Self::FailNextMaintenance => "fail_next_maintenance",
            Self::DamageEntry => "damage_entry",
            Self::DamageSnapshot => "damage_snapshot",
        })
    }
}

/// The outcome of a case in which no breach was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Shown {
    /// The store does what the sentence says.
    Held,
    /// Nothing was shown: a store of this kind leaves no occasion for it.
    NoOccasion(&'static str),
    /// Nothing was shown: the harness has no such hook.
    LeftOut(Hook),
}

/// How a store breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{case} (sentence {sentence} of the contract): {what}")]
#[non_exhaustive]
pub struct Breach {
    /// The case that shows it.
    pub case: &'static str,
    /// The number of the sentence in the contract.
    pub sentence: u8,
    /// What the store did.
    pub what: String,
}

/// Runs one case on a fresh harness, in a thread of its own: a store that does not answer within
/// `limit` breaks the contract too.
///
/// # Errors
/// The [`Breach`], if there is one.
pub fn run<H: Harness + 'static>(
    make: impl FnOnce() -> H + Send + 'static,
    case: Case<H>,
    limit: Duration,
) -> Result<Shown, Breach> {
    let (answer, answers) = mpsc::channel();
    let Case { name, sentence, check } = case;
    thread::spawn(move || {
        // Nobody listens any more once the limit has passed.
        let _ = answer.send(check(&mut make()));
    });
    let what = match answers.recv_timeout(limit) {
        Ok(Ok(shown)) => return Ok(shown),
        Ok(Err(what)) => what,
        Err(RecvTimeoutError::Timeout) => format!("it did not answer within {limit:?}"),
        Err(RecvTimeoutError::Disconnected) => "it panicked".into(),
    };
    Err(Breach { case: name, sentence, what })
}
