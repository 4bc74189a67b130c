//! Replay on two threads: one reads and computes the chain, the other folds, and whichever has the
//! time decodes.

use std::{cell::Cell, ops::ControlFlow, sync::mpsc, thread};

use payonce_core::{
    EventSource, Head, LedgerId, Linker, Records, Replay, ReplayError, Snapshot, State, StoreError,
    StoredEntry,
};

/// How many entries, or bytes of events, are handed over at a time: enough that handing over costs
/// nothing, few enough to stay in a cache.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 64 << 10;
/// How many batches may wait to be folded.
const WAITING: usize = 8;
/// With so many batches handed over and not folded yet, who reads has the time to decode the next.
const BUSY: usize = 4;
/// A log of fewer events than this is folded before a thread is up.
const SHORT: u64 = 4 * BATCH as u64;

/// Replays a whole log from its beginning, trusting no snapshot but its base, as
/// [`payonce_core::verify`] does: a long one on two threads. `seed` keys the hash tables
/// ([`State::new`]).
///
/// ```
/// use payonce_core::{EventSource, LedgerId};
/// use payonce_store_memory::MemoryDisk;
///
/// let log = MemoryDisk::new(LedgerId::from_bytes([7; 32])).open();
/// let state = payonce_runtime::verify(&log, 42)?;
/// assert_eq!(state.head(), log.head()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ReplayError`] with the place of the first damage.
pub fn verify(source: &impl EventSource, seed: u64) -> Result<State, ReplayError> {
    let stored = source.head()?;
    let mut replay = Replay::from_beginning(source, seed)?;
    run(&mut replay, source, stored)?;
    let state = replay.finish(stored)?;
    state.check_base(source)?;
    Ok(state)
}

/// Folds every entry of a store after the present head, and demands that they lead to `stored`, as
/// [`Replay::run`] does: a long one on two threads.
///
/// # Errors
/// As [`Replay::run`]: of several damages the first.
pub fn replay<S: EventSource>(
    replay: &mut Replay,
    store: &S,
    stored: Head,
) -> Result<(), ReplayError> {
    run(replay, store, stored)
}

/// How much of the log was replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    /// The size of the replayed entries, in bytes.
    pub(crate) bytes: u64,
    /// How many times something was appended. Of what was there at the opening: how many entries there are,
    /// which is no fewer.
    pub(crate) appends: u64,
}

impl Amount {
    pub(crate) const fn plus(self, other: Self) -> Self {
        let bytes = self.bytes.saturating_add(other.bytes);
        Self { bytes, appends: self.appends.saturating_add(other.appends) }
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        let bytes = self.bytes.saturating_sub(other.bytes);
        Self { bytes, appends: self.appends.saturating_sub(other.appends) }
    }
}

/// Does what [`run`] does, and says how much that was.
pub(crate) fn run_counted(
    replay: &mut Replay,
    store: &impl EventSource,
    stored: Head,
) -> Result<Amount, ReplayError> {
    let counted = Counted { store, read: Cell::default() };
    run(replay, &counted, stored)?;
    Ok(counted.read.get())
}

/// A store, and how much was read from it.
struct Counted<'a, S> {
    store: &'a S,
    read: Cell<Amount>,
}

impl<S: EventSource> Counted<'_, S> {
    fn count<'a>(
        &'a self,
        visit: &'a mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> impl FnMut(StoredEntry<'_>) -> ControlFlow<()> + 'a {
        |entry| {
            let Amount { bytes, appends } = self.read.get();
            let bytes = bytes + entry.bytes.len() as u64;
            self.read.set(Amount { bytes, appends: appends + 1 });
            visit(entry)
        }
    }
}

impl<S: EventSource> EventSource for Counted<'_, S> {
    fn ledger_id(&self) -> LedgerId {
        self.store.ledger_id()
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.store.head()
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.store.replay(from, &mut self.count(visit))
    }

    fn find_damage(&self, from: u64) -> Result<(), StoreError> {
        self.store.find_damage(from)
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.store.load_snapshot(at_most)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.store.base()
    }
}

/// Does what [`Replay::run`] does, folding on a thread of its own.
///
/// # Errors
/// As [`Replay::run`]: of several damages the first.
pub(crate) fn run<S: EventSource>(
    replay: &mut Replay,
    store: &S,
    stored: Head,
) -> Result<(), ReplayError> {
    let head = replay.state().head();
    if stored.seq.saturating_sub(head.seq) < SHORT {
        return replay.run(store, stored);
    }
    let (full, to_fold) = mpsc::sync_channel::<Records>(WAITING);
    let (empty, to_fill) = mpsc::channel();
    let (folded, read) = thread::scope(|scope| {
        let replay = &mut *replay;
        let folding = scope.spawn(move || {
            to_fold.into_iter().try_for_each(|records| {
                replay.fold(&records)?;
                // Once everything is read, nobody fills it again.
                let _ = empty.send(records);
                Ok(())
            })
        });
        let read = read(store, head, &full, &to_fill);
        drop(full);
        let folded = folding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (folded, read)
    });
    // What was folded was read before.
    folded
        .and(read)
        .and_then(|()| replay.check_end(stored))
        .map_err(|error| error.placed(store, head.seq + 1))
}

/// Reads until the end, or until the other side has given up.
fn read(
    store: &impl EventSource,
    head: Head,
    full: &mpsc::SyncSender<Records>,
    to_fill: &mpsc::Receiver<Records>,
) -> Result<(), ReplayError> {
    let mut linker = Linker::new(head);
    let mut records = Records::default();
    let (mut folded, mut handed_over) = (Vec::new(), 0_usize);
    let mut failed = None;
    store.replay(head.seq + 1, &mut |stored| {
        if let Err(error) = linker.link(stored, &mut records) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        if records.entries() < BATCH && records.bytes() < BATCH_BYTES {
            return ControlFlow::Continue(());
        }
        let before = folded.len();
        folded.extend(to_fill.try_iter());
        handed_over -= folded.len() - before;
        if handed_over >= BUSY {
            records.decode();
        }
        let mut next = folded.pop().unwrap_or_default();
        next.clear();
        handed_over += 1;
        match full.send(std::mem::replace(&mut records, next)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    // Also what was read before a damage is folded: it may not fit, which is told first.
    let _ = full.send(records);
    failed.map_or(Ok(()), Err)
}
