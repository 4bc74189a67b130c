//! A subscription to what is confirmed, from any seq, without a gap.

use std::{collections::VecDeque, ops::ControlFlow, sync::Arc};

use payonce_core::{
    DecodeError, EntryHeader, Event, EventSource, EventStore, StoreError, StoredEntry,
    decode_events,
};

use crate::{
    base::error::Unavailable,
    base::waiter::{Parker, Sleeper, Waiter},
    commit::commit::Commit,
    commit::feed::Fed,
    commit::front::Guard,
    handle::handle::SharedLedger,
};

/// How many bytes of entries a subscriber that lags behind reads from the store at once.
const CHUNK_BYTES: usize = 4 << 20;

/// The events of one command, durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// When it was decided, by which writer; the seq of its first event.
    pub header: EntryHeader,
    /// Its events, in order, numbered from the header's first seq.
    pub events: Vec<Event>,
}

/// Why a subscription cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// The ledger is closed or poisoned. All that was confirmed before was told.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The ledger is closed or poisoned, and not all that was confirmed before was told: what is
    /// missing had left memory. Once the log is open again, subscribe from `next_seq`.
    #[error(
        "not told: what was confirmed from seq {next_seq} up to {confirmed_seq}; subscribe again from there"
    )]
    Lagged {
        /// The first seq that was not told.
        next_seq: u64,
        /// The last seq that was confirmed.
        confirmed_seq: u64,
        /// Why it cannot be read any more.
        source: Unavailable,
    },
    /// The log no longer holds the seq: its history was dropped. Ask the state, and subscribe anew
    /// from the head.
    #[error("the log no longer holds seq {seq}: its history was dropped")]
    Dropped {
        /// The seq asked for.
        seq: u64,
    },
    /// The store failed, or what it holds is damaged.
    #[error(transparent)]
    Store(StoreError),
    /// An entry of the log does not decode.
    #[error("the entry at seq {seq} cannot be read: {error}")]
    Entry {
        /// The seq of the first event in the entry that could not be read.
        seq: u64,
        /// What is wrong with its bytes.
        error: DecodeError,
    },
}

/// Confirmed entries, each once, in order, without a gap. One that is never read costs nothing, and
/// holds nobody up: what has left memory by the time that it is asked for is read from the store.
pub struct Subscription<S: EventStore + Send + 'static> {
    commit: Arc<Commit<S>>,
    next_seq: u64,
    behind: VecDeque<Confirmed>,
}

impl<S: EventStore + Send + 'static> std::fmt::Debug for Subscription<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("next_seq", &self.next_seq).finish_non_exhaustive()
    }
}

/// What a look for the next entry gives.
enum Found {
    Here(Arc<Fed>),
    /// It is in the store; this seq is the last one confirmed.
    InStore(u64),
    NotYet,
}

impl<S: EventStore + Send + 'static> SharedLedger<S> {
    /// Subscribes to what is confirmed, from this seq on; 0 and 1 are the log's beginning. From the
    /// [`head`](Self::head)'s seq plus one come only entries that are yet to be made. Where the seq
    /// lies inside an entry, that entry comes first, whole.
    #[must_use]
    pub fn subscribe(&self, from: u64) -> Subscription<S> {
        self.commit().lock().feed.add_reader();
        let commit = Arc::clone(self.commit());
        Subscription { commit, next_seq: from.max(1), behind: VecDeque::new() }
    }
}

impl<S: EventStore + Send + 'static> Subscription<S> {
    /// The seq from which it goes on: where to subscribe again after a restart.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Waits for the next entry.
    ///
    /// # Errors
    /// [`SubscriptionError`]; the same entry is tried again at the next call.
    pub fn read(&mut self) -> Result<Confirmed, SubscriptionError> {
        loop {
            if let Some(confirmed) = self.try_read()? {
                return Ok(confirmed);
            }
            let parker = Parker::new();
            let front = self.commit.lock();
            if self.put(front, Waiter::Thread(Arc::clone(&parker))) {
                parker.wait();
            }
        }
    }

    /// The next entry, if it is confirmed by now.
    ///
    /// # Errors
    /// [`SubscriptionError`]; the same entry is tried again at the next call.
    pub fn try_read(&mut self) -> Result<Option<Confirmed>, SubscriptionError> {
        loop {
            if let Some(confirmed) = self.behind.pop_front() {
                return Ok(Some(self.give(confirmed)));
            }
            match self.look()? {
                Found::Here(fed) => {
                    let confirmed = decode(fed.first_seq, &fed.bytes)?;
                    return Ok(Some(self.give(confirmed)));
                }
                Found::NotYet => return Ok(None),
                Found::InStore(until) => {
                    let from = self.next_seq;
                    let fetched = self.commit.with_store(|store| fetch(store, from, until));
                    self.behind = fetched.map_err(|source| self.lagged(until, source))??;
                }
            }
        }
    }

    /// [`read`](Self::read) for tasks. A dropped future loses no entry.
    ///
    /// # Errors
    /// [`SubscriptionError`]; the same entry is tried again at the next call.
    pub async fn read_async(&mut self) -> Result<Confirmed, SubscriptionError> {
        loop {
            if let Some(confirmed) = self.behind.pop_front() {
                return Ok(self.give(confirmed));
            }
            match self.look()? {
                Found::Here(fed) => {
                    let confirmed = decode(fed.first_seq, &fed.bytes)?;
                    return Ok(self.give(confirmed));
                }
                Found::NotYet => {
                    let sleeper = Sleeper::new();
                    let waits = self.put(self.commit.lock(), Waiter::Task(Arc::clone(&sleeper)));
                    if waits {
                        sleeper.wait().await;
                    }
                }
                Found::InStore(until) => {
                    let from = self.next_seq;
                    let fetching =
                        self.commit.with_store_async(move |store| fetch(store, from, until));
                    let fetched = fetching.await;
                    self.behind = fetched.map_err(|source| self.lagged(until, source))??;
                }
            }
        }
    }

    fn give(&mut self, confirmed: Confirmed) -> Confirmed {
        self.next_seq = confirmed.header.last_seq() + 1;
        confirmed
    }

    /// The ledger ended before the rest was read.
    const fn lagged(&self, confirmed_seq: u64, source: Unavailable) -> SubscriptionError {
        SubscriptionError::Lagged { next_seq: self.next_seq, confirmed_seq, source }
    }

    fn look(&self) -> Result<Found, SubscriptionError> {
        let front = self.commit.lock();
        let durable = front.machine.durable().seq;
        if self.next_seq > durable {
            front.check_open()?;
            return Ok(Found::NotYet);
        }
        match front.feed.at(self.next_seq) {
            Some(fed) => Ok(Found::Here(Arc::clone(fed))),
            None => Ok(Found::InStore(durable)),
        }
    }

    /// Puts a waiter up, unless there is something by now, or nothing will ever be.
    fn put(&self, mut front: Guard<'_, S>, waiter: Waiter) -> bool {
        let waits = self.next_seq > front.machine.durable().seq && front.check_open().is_ok();
        if waits {
            front.feed.put(waiter);
        }
        waits
    }
}

impl<S: EventStore + Send + 'static> Drop for Subscription<S> {
    fn drop(&mut self) {
        self.commit.lock().feed.remove_reader();
    }
}

fn decode(seq: u64, bytes: &[u8]) -> Result<Confirmed, SubscriptionError> {
    let mut events = Vec::new();
    let header = decode_events(bytes, |_, event| events.push(event))
        .map_err(|error| SubscriptionError::Entry { seq, error })?;
    Ok(Confirmed { header, events })
}

/// Reads from the entry that holds `from` on, up to `until` at most.
fn fetch(
    store: &impl EventSource,
    from: u64,
    until: u64,
) -> Result<VecDeque<Confirmed>, SubscriptionError> {
    let mut back = 0;
    loop {
        let start = from.saturating_sub(back).max(1);
        match fetch_from(store, start, from, until) {
            Ok(found) if found.front().is_some_and(|first| first.header.first_seq <= from) => {
                return Ok(found);
            }
            // Inside an entry: it begins further back, if the log still holds it.
            Ok(_) if start > 1 => back = 2 * back + 1,
            Ok(_) | Err(SubscriptionError::Store(StoreError::Missing { .. })) => {
                return Err(SubscriptionError::Dropped { seq: from });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Reads the entries that end at `from` or later, of those that begin at `start` or later.
fn fetch_from(
    store: &impl EventSource,
    start: u64,
    from: u64,
    until: u64,
) -> Result<VecDeque<Confirmed>, SubscriptionError> {
    let mut found = VecDeque::new();
    let mut bytes = 0;
    let mut damage = None;
    let mut visit = |entry: StoredEntry<'_>| {
        if entry.first_seq > until || bytes > CHUNK_BYTES {
            return ControlFlow::Break(());
        }
        match decode(entry.first_seq, entry.bytes) {
            Ok(confirmed) if confirmed.header.last_seq() < from => {}
            Ok(confirmed) => {
                bytes += entry.bytes.len();
                found.push_back(confirmed);
            }
            Err(error) => damage = Some(error),
        }
        if damage.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.replay(start, &mut visit).map_err(SubscriptionError::Store)?;
    damage.map_or(Ok(found), Err)
}
