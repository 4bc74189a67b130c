//! The persistence trait: what a store must promise so that a payment is paid once.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::ops::ControlFlow;

use crate::{base::amount::UnixMillis, base::head::Head, base::ids::LedgerId, log::entry::Entry};

/// How a store keeps a second writer out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exclusion {
    /// Ownership is checked in the same atomic step as every write (a database transaction): a
    /// writer that was taken over can never write again.
    Atomic,
    /// A lock lasts for the life of the handle; meanwhile no second writer can open.
    Lock,
    /// Not at all. Opening asks for the caller's explicit word that there is only one writer.
    None,
}

/// One stored entry, as [`EventSource::replay`] yields it.
#[derive(Debug, Clone, Copy)]
pub struct StoredEntry<'a> {
    /// The seq of its first event.
    pub first_seq: u64,
    /// Its bytes, exactly as they were appended.
    pub bytes: &'a [u8],
}

/// A saved state and the head at which it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The end of the entry after which the state was taken.
    pub at: Head,
    /// The encoded state, opaque to the store.
    pub bytes: Vec<u8>,
}

/// Which writer has taken a log over, as far as the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver {
    /// A description: a host and a process, say.
    pub holder: Arc<str>,
    /// When, by the store's own clock.
    pub at: UnixMillis,
}

fn told(by: Option<&TakenOver>) -> String {
    by.map_or_else(String::new, |by| format!(" ({} at {} ms)", by.holder, by.at.0))
}

/// The log as [`EventStore::fence`] found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// Its head, read after the former writer was shut out.
    pub head: Head,
    /// The store's own number of this taking-over, where it counts them: higher than every one before.
    /// Recorded in the Opened event; the epoch of entries is the core's and another number.
    pub number: Option<u64>,
}

impl From<Head> for Fence {
    /// The fence of a store that does not count them.
    fn from(head: Head) -> Self {
        Self { head, number: None }
    }
}

/// What went wrong in a store.
///
/// After any error of [`append`](EventStore::append) its outcome is unknown, and the store refuses
/// everything until it is opened again. An error of another call is of that call alone, unless the
/// store says [`Poisoned`](Self::Poisoned) afterwards.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The entries do not continue the log's head. Nothing was written.
    #[error("the entries continue {expected}, but the log ends at {actual}")]
    NotNext {
        /// The head that the entries continue.
        expected: Head,
        /// The head of the log.
        actual: Head,
    },
    /// Another writer has taken the log over. Nothing was written.
    #[error("another writer has taken this log over{}: open it again to take it back", told(by.as_ref()))]
    Fenced {
        /// Which writer, and when; `None` if the store does not know.
        by: Option<TakenOver>,
    },
    /// Another writer holds the log, and the store excludes a second one by a lock.
    #[error("the log is locked by another writer: {holder}")]
    Locked {
        /// What is known of the holder, or where the lock is.
        holder: String,
    },
    /// An earlier call failed with an unknown outcome.
    #[error("an earlier failure left the log in an unknown state ({cause}): open it again")]
    Poisoned {
        /// What the first failure said: that of the call which met it.
        cause: Arc<str>,
    },
    /// What is stored is damaged, incomplete, or not ours; nothing was changed.
    #[error("damaged at {place}: {what}")]
    Corrupt {
        /// Where: a file and an offset, a key, a row.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The log was written by a newer version of the store.
    #[error("{place} has format version {found}; this program reads up to {known}")]
    NewerVersion {
        /// Where the version is stated.
        place: String,
        /// The version that is stated there.
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
        /// The file or the key.
        place: String,
    },
    /// History up to `requested` cannot be dropped or replayed: the log has no such entry end, no
    /// readable snapshot there, or no longer that history.
    #[error("no {needed} at seq {requested}")]
    Missing {
        /// What was needed there: an entry's end, a snapshot, history.
        needed: &'static str,
        /// The seq asked for.
        requested: u64,
    },
    /// The medium or the database failed; the text is its own.
    #[error(transparent)]
    Backend(Box<dyn core::error::Error + Send + Sync>),
}

impl StoreError {
    /// The cause that a poisoned store reports after this failure: what the first failure said.
    #[must_use]
    pub fn cause(&self) -> Arc<str> {
        match self {
            Self::Poisoned { cause } => Arc::clone(cause),
            other => other.to_string().into(),
        }
    }
}

/// Reading a log: what an auditor needs, and half of every store. A read-only handle implements this
/// trait alone.
pub trait EventSource {
    /// The id given when the log was created.
    fn ledger_id(&self) -> LedgerId;

    /// The end of the log, as this handle sees it.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`] after an error that left the log unknown; any other with the damage.
    fn head(&self) -> Result<Head, StoreError>;

    /// Yields the entries whose first seq is `from` or above, in order, until `visit` breaks. From
    /// the head's seq plus one there are none. The store need not compute their chain: the reader does
    /// that, and asks [`find_damage`](Self::find_damage) for the place where it differs.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when `from` lies at or before the base's end, or beyond the head
    /// plus one; [`StoreError::Corrupt`] with the place of any damage.
    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// Looks for the place of a damage that only the chain shows, in the entries from `from` on: an
    /// entry that was edited and whose checksum was made right again. A store that cannot find it does
    /// not override this.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the place; others as [`replay`](Self::replay).
    fn find_damage(&self, from: u64) -> Result<(), StoreError> {
        let _ = from;
        Ok(())
    }

    /// The newest readable snapshot whose seq is at most `at_most`, the base included. One that is
    /// damaged or not on the log's chain is passed over, unless it is the base.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the base is damaged.
    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError>;

    /// The snapshot that stands for dropped history, if any was dropped. A log without a base
    /// starts at seq 1.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is damaged or missing although the log starts after seq 1.
    fn base(&self) -> Result<Option<Snapshot>, StoreError>;
}

/// Where the log is kept. Small and blocking; it suits both a local file and a replicated database.
///
/// A handle is opened by the store's own constructor and becomes the writer with
/// [`fence`](Self::fence). The contract, each sentence backed by a case of the conformance suite
/// (`payonce-store-testkit`):
///
/// 1. **A store moves bytes.** An entry comes back exactly as it was appended. The core encodes,
///    hashes and chains.
/// 2. **`append` is all or nothing per entry, prefix-ordered over the entries of one call, and durable
///    when it returns `Ok`.** It refuses entries that do not continue the head, or each other.
/// 3. **After any error of `append` or `fence` the outcome is unknown** and every later call
///    answers [`StoreError::Poisoned`], with the text of the first failure (or
///    [`StoreError::Fenced`], if that was the error), until the store is opened again. A failed sync
///    is never tried again. **A failed `save_snapshot` or `drop_history` is an error of that call
///    alone**: the log goes on, and the call can be made again. If it leaves the log itself unknown
///    (its directory, say), it poisons like an append.
/// 4. **`replay` yields all acknowledged entries** and at most a prefix of the append whose outcome was
///    unknown, in order. Anything else that is damaged is an error that names the place. Never
///    fewer entries and `Ok`.
/// 5. **One writer.** [`exclusion`](Self::exclusion) says how. Where a writer can be taken over,
///    `fence` shuts the former one out first and reads the head after; from then on its `append`,
///    `save_snapshot`, `drop_history` and `confirm_owner` answer [`StoreError::Fenced`]. Once `fence`
///    has returned, nothing that an earlier handle asked for can take effect any more, including calls that
///    are still on their way: the head is final. If the store counts its fences, each has a higher number
///    than all before.
/// 6. **A snapshot is an accelerator, never the truth.** Missing or damaged, it costs time, not
///    data; it never replaces a newer one. The two newest are kept. A
///    [`snapshot_writer`](Self::snapshot_writer) saves them while appends go on, under the same rules,
///    does not affect what is appended meanwhile, and answers [`StoreError::Fenced`], with nothing
///    written, once its store's handle is closed (where a lock excludes) or another writer has
///    fenced.
/// 7. **A base is history.** [`drop_history`](Self::drop_history) turns a snapshot into the log's
///    base, kept under the same guarantees as the log: checksummed, never evicted, an error when
///    damaged.
pub trait EventStore: EventSource {
    /// How a second writer is kept out.
    fn exclusion(&self) -> Exclusion;

    /// Takes the log over as its only writer and returns its head, read after the former writer was shut
    /// out, with the number of this fence if the store counts them. Called once, before all other calls
    /// of this trait except [`exclusion`](Self::exclusion). A store that excludes by a lock has the lock
    /// already.
    ///
    /// # Errors
    /// Any [`StoreError`]; the log is unchanged.
    fn fence(&mut self) -> Result<Fence, StoreError>;

    /// Appends entries that continue the head and each other, durably. Without entries it is `Ok` and
    /// does nothing.
    ///
    /// # Errors
    /// [`StoreError::NotNext`] and [`StoreError::Fenced`] when nothing was written; any other with the
    /// outcome unknown: at most a prefix of the entries is there.
    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError>;

    /// Confirms that this handle is still the writer, asked before a reply without events is
    /// released: from the database, or from an append or an earlier confirmation within a time
    /// that the store's constructor states. Always `Ok` for a store with a lock.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another writer has taken the log over.
    fn confirm_owner(&mut self) -> Result<(), StoreError>;

    /// Keeps a snapshot, durably. `at` is the end of an entry of this log.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when no entry of this log ends there; nothing is written then. After any
    /// other error the snapshot may be there or not, and the log is as it was.
    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError>;

    /// A writer that saves snapshots on another thread while this handle goes on appending; `None` if
    /// the store does not support that. There may be several; they and this handle save one at a time.
    fn snapshot_writer(&self) -> Option<Box<dyn SnapshotWriter + Send>> {
        None
    }

    /// Makes the snapshot at `base` the log's base and drops the entries up to it, as far as the
    /// store can (whole segments, say). Entries after it stay. Naming the present base again is
    /// `Ok`.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no readable snapshot with exactly this head, or it
    /// lies before the present base; nothing is dropped then. After any other error the base may be this
    /// one or the former, and any part of the history that it stands for may be left.
    fn drop_history(&mut self, base: Head) -> Result<(), StoreError>;
}

/// Saves snapshots while a store appends: [`EventStore::snapshot_writer`].
pub trait SnapshotWriter {
    /// Keeps a snapshot, durably, as [`EventStore::save_snapshot`] does. `at` is the end of an entry
    /// that the store has appended and acknowledged.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when no such entry ends there, [`StoreError::Fenced`] when the
    /// store's handle is closed or another writer has taken the log over: nothing is written then.
    /// After any other error the snapshot may be there or not, as with [`EventStore::save_snapshot`].
    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError>;
}

macro_rules! forward {
    ($($pointer:ty),*) => {
        $(
            impl<S: EventSource + ?Sized> EventSource for $pointer {
                fn ledger_id(&self) -> LedgerId {
                    (**self).ledger_id()
                }
                fn head(&self) -> Result<Head, StoreError> {
                    (**self).head()
                }
                fn replay(
                    &self,
                    from: u64,
                    visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
                ) -> Result<(), StoreError> {
                    (**self).replay(from, visit)
                }
                fn find_damage(&self, from: u64) -> Result<(), StoreError> {
                    (**self).find_damage(from)
                }
                fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
                    (**self).load_snapshot(at_most)
                }
                fn base(&self) -> Result<Option<Snapshot>, StoreError> {
                    (**self).base()
                }
            }

            impl<S: EventStore + ?Sized> EventStore for $pointer {
                fn exclusion(&self) -> Exclusion {
                    (**self).exclusion()
                }
                fn fence(&mut self) -> Result<Fence, StoreError> {
                    (**self).fence()
                }
                fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
                    (**self).append(entries)
                }
                fn confirm_owner(&mut self) -> Result<(), StoreError> {
                    (**self).confirm_owner()
                }
                fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
                    (**self).save_snapshot(at, bytes)
                }
                fn snapshot_writer(&self) -> Option<Box<dyn SnapshotWriter + Send>> {
                    (**self).snapshot_writer()
                }
                fn drop_history(&mut self, base: Head) -> Result<(), StoreError> {
                    (**self).drop_history(base)
                }
            }
        )*
    };
}

forward!(Box<S>, &mut S);
