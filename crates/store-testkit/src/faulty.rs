//! Stores that break the contract on purpose, each in one way: to test the suite, and whatever is
//! built on a store.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use payonce_core::{
    Entry, EventSource, EventStore, Exclusion, Fence, Head, LedgerId, Snapshot, SnapshotWriter,
    StoreError, StoredEntry,
};

use crate::harness::Harness;

/// Defines the faults and their list.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What is wrong with a [`FaultyStore`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Every fault, `None` included, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

faults! {
    /// Nothing: it keeps the contract.
    None,
    /// Entries above 100,000 bytes come back cut.
    CutsLargeEntries,
    /// The ledger id is another one after a restart.
    ForgetsItsName,
    /// Everything is gone after a restart.
    ForgetsOnReopen,
    /// The last entry is gone after a restart.
    LosesTheLastEntry,
    /// The entries of an append are written when the next call arrives, not when they are acknowledged.
    AcknowledgesBeforeWriting,
    /// Appends of more than 100 entries are kept in another order.
    ReordersLargeBatches,
    /// Of appends of more than 100 entries only the first 100 are kept.
    CutsLargeBatches,
    /// An append without entries is an error.
    RefusesEmptyBatches,
    /// An append is compared with the head by seq alone.
    AcceptsForks,
    /// Entries may leave seqs out.
    AcceptsGaps,
    /// Entries that are there already are acknowledged and ignored.
    IgnoresRepeats,
    /// Only the first entry of an append is compared with the entry before it.
    ComparesTheFirstEntryOnly,
    /// The entries of a refused append are kept up to the one that does not fit.
    KeepsSomeOfARefusedBatch,
    /// Goes on after a refused append.
    GoesOnAfterARefusal,
    /// Goes on after a failed append.
    GoesOnAfterAFailure,
    /// Is read as usual after a failure.
    ReadsWhenPoisoned,
    /// Does not report what failed first.
    ForgetsWhy,
    /// The entries of a failed append are kept without the first one.
    TearsABatch,
    /// A failed append takes effect after the next process has fenced, with that process's first append.
    WritesLate,
    /// Replay always begins with the first entry.
    ReplaysFromTheBeginning,
    /// Replay begins with the entry that contains the seq, not after it.
    ReplaysFromInsideAnEntry,
    /// Replay does not stop when `visit` breaks.
    NeverStops,
    /// Replay from beyond the head yields nothing and no error.
    ReplaysBeyondTheHead,
    /// A replay that does not begin at the first entry loses the last one.
    LosesWhenRead,
    /// A damaged entry is served as it is.
    ServesDamage,
    /// The log ends before a damaged entry.
    StopsAtDamage,
    /// A damaged entry is left out.
    SkipsDamage,
    /// Says that it excludes by a lock, and does not.
    LocksNobody,
    /// Says that it fences former writers, and does not.
    FencesNobody,
    /// Fences appends only: a former writer still saves snapshots and drops history.
    FencesAppendsOnly,
    /// Each fence has the number of the one before.
    RepeatsItsNumber,
    /// Never answers who owns it.
    StallsWhenAsked,
    /// Never confirms its owner.
    DisownsItsWriter,
    /// A new log has a snapshot.
    InventsASnapshot,
    /// Of the snapshots only the newest is kept.
    KeepsOneSnapshot,
    /// Snapshots are gone after a restart.
    ForgetsSnapshots,
    /// The oldest snapshot is served instead of the newest.
    ServesAStaleSnapshot,
    /// The newest snapshot is served, even if an older one was asked for.
    ServesALateSnapshot,
    /// The snapshot that was saved last is served.
    ServesTheLastSaved,
    /// Snapshots beyond the head are kept.
    AcceptsSnapshotsBeyondTheHead,
    /// Snapshots inside of an entry are kept.
    AcceptsSnapshotsInsideAnEntry,
    /// Snapshots of another chain are kept.
    AcceptsSnapshotsOfAFork,
    /// A refused snapshot poisons.
    PoisonedByARefusedSnapshot,
    /// A failed snapshot poisons.
    PoisonedByAFailedSnapshot,
    /// A failed dropping of history poisons.
    PoisonedByAFailedDropping,
    /// History is dropped although that failed.
    DropsWhenFailing,
    /// Saving a snapshot drops the history before it.
    DropsWhenSaving,
    /// A damaged snapshot is served as it is, a damaged base too.
    ServesDamagedSnapshots,
    /// A damaged snapshot is an error.
    RefusesDamagedSnapshots,
    /// A snapshot saved beside appends is acknowledged and not kept.
    LosesSnapshotsBesideAppends,
    /// A snapshot saved beside appends takes the log back to where its writer was made.
    ForgetsWhatIsAppendedBeside,
    /// A snapshot saved beside appends is not compared with the log.
    AcceptsAnySnapshotBesideAppends,
    /// A snapshot saved beside appends is served, however old.
    ServesWhatWasSavedBesideLast,
    /// A snapshot writer goes on after another writer has fenced.
    FencesNoSnapshotWriter,
    /// History is dropped without a snapshot.
    DropsWithoutASnapshot,
    /// The base is gone after a restart.
    ForgetsTheBase,
    /// The base goes with the snapshots that are too old.
    EvictsTheBase,
    /// A replay of dropped history yields what is left.
    ReplaysWhatIsLeft,
    /// Without an entry after the base, the log starts again from nothing after a restart.
    BeginsAnewAfterABase,
    /// The first base stays.
    KeepsTheFirstBase,
    /// An earlier base replaces a later one.
    GoesBackToAnEarlierBase,
    /// A damaged base is treated as if there were none.
    IgnoresADamagedBase,
}

/// A log in memory with a [`Fault`]. A clone is the same disk.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<Log>>);

#[derive(Debug, Clone)]
struct Kept {
    first_seq: u64,
    after: Head,
    bytes: Vec<u8>,
    damaged: bool,
}

#[derive(Debug, Clone)]
struct Saved {
    snapshot: Snapshot,
    damaged: bool,
}

#[derive(Debug)]
struct Log {
    fault: Fault,
    ledger: LedgerId,
    start: Head,
    entries: Vec<Kept>,
    /// Oldest first; saved last at the end.
    snapshots: Vec<Saved>,
    base: Option<Saved>,
    fences: u64,
    open: u32,
    fail_next: bool,
    /// Acknowledged and not written.
    unwritten: Vec<Kept>,
    /// Failed, and still on its way.
    late: Vec<Kept>,
}

impl Default for Log {
    fn default() -> Self {
        Self::new(LedgerId::from_bytes([0; 32]), Fault::None)
    }
}

impl Log {
    fn new(ledger: LedgerId, fault: Fault) -> Self {
        Self {
            fault,
            ledger,
            start: Head::genesis(ledger),
            entries: Vec::new(),
            snapshots: Vec::new(),
            base: None,
            fences: 0,
            open: 0,
            fail_next: false,
            unwritten: Vec::new(),
            late: Vec::new(),
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn head(&self) -> Head {
        self.entries.last().map_or(self.start, |entry| entry.after)
    }

    fn base_seq(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.snapshot.at.seq)
    }

    /// What a new process finds.
    fn restart(&mut self) {
        match self.fault {
            Fault::ForgetsOnReopen => *self = Self::new(self.ledger, self.fault),
            Fault::ForgetsItsName => self.ledger = LedgerId::from_bytes([0xff; 32]),
            Fault::LosesTheLastEntry => drop(self.entries.pop()),
            Fault::AcknowledgesBeforeWriting => {
                let lost = self.unwritten.len().min(self.entries.len());
                self.entries.truncate(self.entries.len() - lost);
                self.unwritten.clear();
            }
            Fault::ForgetsSnapshots => self.snapshots.clear(),
            Fault::ForgetsTheBase => self.base = None,
            Fault::BeginsAnewAfterABase if self.base.is_some() && self.entries.is_empty() => {
                self.start = Head::genesis(self.ledger);
            }
            _ => {}
        }
    }

    fn check_continues(&self, entries: &[Entry]) -> Result<(), (usize, StoreError)> {
        let mut actual = self.head();
        for (nth, entry) in entries.iter().enumerate() {
            let expected = entry.before();
            let fits = expected == actual
                || self.is(Fault::AcceptsForks) && expected.seq == actual.seq
                || self.is(Fault::AcceptsGaps) && nth == 0 && expected.seq > actual.seq
                || self.is(Fault::ComparesTheFirstEntryOnly) && nth > 0;
            if !fits {
                return Err((nth, StoreError::NotNext { expected, actual }));
            }
            actual = entry.after();
        }
        Ok(())
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.unwritten.clear();
        for late in std::mem::take(&mut self.late) {
            self.entries.push(late);
        }
        if self.is(Fault::IgnoresRepeats)
            && entries.last().is_some_and(|last| last.after().seq <= self.head().seq)
        {
            return Ok(());
        }
        if let Err((fitting, error)) = self.check_continues(entries) {
            if self.is(Fault::KeepsSomeOfARefusedBatch) {
                self.entries.extend(entries[..fitting].iter().map(keep));
            }
            return Err(error);
        }
        if std::mem::take(&mut self.fail_next) {
            let kept = entries[..entries.len() / 2].iter().map(keep);
            match self.fault {
                Fault::TearsABatch => self.entries.extend(entries.iter().skip(1).map(keep)),
                Fault::WritesLate => self.late = kept.collect(),
                _ => self.entries.extend(kept),
            }
            return Err(failure());
        }
        let mut kept: Vec<_> = entries.iter().map(keep).collect();
        if kept.len() > 100 {
            match self.fault {
                Fault::ReordersLargeBatches => kept[..100].reverse(),
                Fault::CutsLargeBatches => kept.truncate(100),
                _ => {}
            }
        }
        if self.is(Fault::AcknowledgesBeforeWriting) {
            self.unwritten.clone_from(&kept);
        }
        self.entries.extend(kept);
        Ok(())
    }

    fn replay(
        &mut self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let early = from.max(1) <= self.base_seq() && !self.is(Fault::ReplaysWhatIsLeft);
        let late = from > self.head().seq + 1 && !self.is(Fault::ReplaysBeyondTheHead);
        if early || late {
            return Err(StoreError::Missing { needed: "history", requested: from });
        }
        for entry in &self.entries {
            let wanted = match self.fault {
                Fault::ReplaysFromTheBeginning => true,
                Fault::ReplaysFromInsideAnEntry => entry.after.seq >= from,
                _ => entry.first_seq >= from,
            };
            match self.fault {
                _ if !wanted => continue,
                Fault::StopsAtDamage if entry.damaged => break,
                Fault::SkipsDamage if entry.damaged => continue,
                Fault::ServesDamage => {}
                _ if entry.damaged => return Err(corrupt()),
                _ => {}
            }
            let cut = if self.is(Fault::CutsLargeEntries) { 100_000 } else { usize::MAX };
            let bytes = &entry.bytes[..entry.bytes.len().min(cut)];
            let told = visit(StoredEntry { first_seq: entry.first_seq, bytes });
            if told.is_break() && !self.is(Fault::NeverStops) {
                break;
            }
        }
        if self.is(Fault::LosesWhenRead) && from > 1 && from <= self.head().seq {
            self.entries.pop();
        }
        Ok(())
    }

    /// Whether a snapshot may be taken here.
    fn is_state(&self, at: Head) -> bool {
        let mut heads =
            std::iter::once(self.start).chain(self.entries.iter().map(|kept| kept.after));
        if self.is(Fault::AcceptsSnapshotsOfAFork) {
            return heads.any(|head| head.seq == at.seq);
        }
        heads.any(|head| head == at)
            || self.is(Fault::AcceptsSnapshotsBeyondTheHead) && at.seq > self.head().seq
            || self.is(Fault::AcceptsSnapshotsInsideAnEntry)
                && at.seq < self.head().seq
                && !heads.any(|head| head.seq == at.seq)
    }

    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        if !self.is_state(at) {
            return Err(StoreError::Missing { needed: "end of an entry", requested: at.seq });
        }
        if std::mem::take(&mut self.fail_next) {
            return Err(failure());
        }
        let snapshot = Snapshot { at, bytes: bytes.to_vec() };
        self.snapshots.push(Saved { snapshot, damaged: false });
        if !self.is(Fault::ServesTheLastSaved) {
            self.snapshots.sort_by_key(|saved| saved.snapshot.at.seq);
        }
        if self.is(Fault::EvictsTheBase) && self.snapshots.len() > 2 {
            self.base = None;
        }
        if self.is(Fault::DropsWhenSaving) {
            self.entries.retain(|entry| entry.first_seq > at.seq);
            self.start = at;
        }
        let kept = if self.is(Fault::KeepsOneSnapshot) { 1 } else { 2 };
        let superseded = self.snapshots.len().saturating_sub(kept);
        self.snapshots.drain(..superseded);
        Ok(())
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        if self.is(Fault::InventsASnapshot) && self.snapshots.is_empty() && self.base.is_none() {
            return Ok(Some(Snapshot { at: self.start, bytes: Vec::new() }));
        }
        let late = self.is(Fault::ServesALateSnapshot);
        let mut all: Vec<_> = self.base.iter().chain(&self.snapshots).collect();
        if !self.is(Fault::ServesAStaleSnapshot) {
            all.reverse();
        }
        for saved in all.into_iter().filter(|saved| late || saved.snapshot.at.seq <= at_most) {
            let is_base = saved.snapshot.at.seq == self.base_seq();
            match self.fault {
                Fault::ServesDamagedSnapshots => {}
                Fault::RefusesDamagedSnapshots if saved.damaged => return Err(corrupt()),
                Fault::IgnoresADamagedBase if saved.damaged => continue,
                _ if saved.damaged && is_base => return Err(corrupt()),
                _ if saved.damaged => continue,
                _ => {}
            }
            return Ok(Some(saved.snapshot.clone()));
        }
        Ok(None)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        match &self.base {
            Some(base) if base.damaged => match self.fault {
                Fault::ServesDamagedSnapshots => Ok(Some(base.snapshot.clone())),
                Fault::IgnoresADamagedBase => Ok(None),
                _ => Err(corrupt()),
            },
            base => Ok(base.as_ref().map(|base| base.snapshot.clone())),
        }
    }

    fn drop_history(&mut self, at: Head) -> Result<(), StoreError> {
        let saved = self.snapshots.iter().chain(&self.base).find(|saved| saved.snapshot.at == at);
        let base = match saved.cloned() {
            Some(saved) => saved,
            None if self.is(Fault::DropsWithoutASnapshot)
                || self.is(Fault::GoesBackToAnEarlierBase) && at.seq < self.base_seq() =>
            {
                let bytes = Vec::new();
                Saved { snapshot: Snapshot { at, bytes }, damaged: false }
            }
            None => return Err(StoreError::Missing { needed: "snapshot", requested: at.seq }),
        };
        if std::mem::take(&mut self.fail_next) {
            if self.is(Fault::DropsWhenFailing) {
                self.entries.retain(|entry| entry.first_seq > at.seq);
            }
            return Err(failure());
        }
        if self.is(Fault::KeepsTheFirstBase) && self.base.is_some() {
            return Ok(());
        }
        self.base = Some(base);
        self.snapshots.retain(|saved| saved.snapshot.at.seq > at.seq);
        self.entries.retain(|entry| entry.first_seq > at.seq);
        self.start = at;
        Ok(())
    }
}

fn keep(entry: &Entry) -> Kept {
    let (first_seq, after) = (entry.first_seq(), entry.after());
    Kept { first_seq, after, bytes: entry.bytes().to_vec(), damaged: false }
}

fn failure() -> StoreError {
    StoreError::Backend("the disk failed".into())
}

fn corrupt() -> StoreError {
    StoreError::Corrupt { place: "memory".into(), what: "it fails its checksum".into() }
}

impl FaultyDisk {
    /// An empty log with this fault.
    #[must_use]
    pub fn new(ledger: LedgerId, fault: Fault) -> Self {
        Self(Arc::new(Mutex::new(Log::new(ledger, fault))))
    }

    /// Opens a handle, as a newly started process would.
    #[must_use]
    pub fn open(&self) -> FaultyStore {
        let mut log = self.lock();
        log.open += 1;
        FaultyStore { disk: self.clone(), ledger: log.ledger, fence: None, poisoned: None }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle on a [`FaultyDisk`].
#[derive(Debug)]
pub struct FaultyStore {
    disk: FaultyDisk,
    ledger: LedgerId,
    fence: Option<u64>,
    /// What the first failure said.
    poisoned: Option<Arc<str>>,
}

impl FaultyStore {
    fn check_usable(&self) -> Result<(), StoreError> {
        match &self.poisoned {
            None => Ok(()),
            Some(_) if self.disk.lock().is(Fault::ForgetsWhy) => {
                Err(StoreError::Poisoned { cause: "something failed".into() })
            }
            Some(cause) => Err(StoreError::Poisoned { cause: Arc::clone(cause) }),
        }
    }

    fn check_readable(&self) -> Result<(), StoreError> {
        if self.disk.lock().is(Fault::ReadsWhenPoisoned) { Ok(()) } else { self.check_usable() }
    }

    fn check_owner(&self, log: &Log) -> Result<(), StoreError> {
        let owns = self.fence == Some(log.fences) || log.is(Fault::FencesNobody);
        if owns { Ok(()) } else { Err(StoreError::Fenced { by: None }) }
    }
}

impl Drop for FaultyStore {
    fn drop(&mut self) {
        let mut log = self.disk.lock();
        log.open -= 1;
        if log.open == 0 {
            log.restart();
        }
    }
}

impl EventSource for FaultyStore {
    fn ledger_id(&self) -> LedgerId {
        self.ledger
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.check_readable()?;
        Ok(self.disk.lock().head())
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.check_readable()?;
        self.disk.lock().replay(from, visit)
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.check_readable()?;
        self.disk.lock().load_snapshot(at_most)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.check_readable()?;
        self.disk.lock().base()
    }
}

impl EventStore for FaultyStore {
    fn exclusion(&self) -> Exclusion {
        let locks = self.disk.lock().is(Fault::LocksNobody);
        if locks { Exclusion::Lock } else { Exclusion::Atomic }
    }

    fn fence(&mut self) -> Result<Fence, StoreError> {
        self.check_usable()?;
        let mut log = self.disk.lock();
        log.fences += 1;
        self.fence = Some(log.fences);
        let number = self.fence.filter(|_| log.fault != Fault::RepeatsItsNumber);
        Ok(Fence { head: log.head(), number: number.or(Some(1)) })
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.check_usable()?;
        let mut log = self.disk.lock();
        self.check_owner(&log)?;
        let outcome = match entries {
            [] if log.is(Fault::RefusesEmptyBatches) => Err(failure()),
            [] => Ok(()),
            _ => log.append(entries),
        };
        let goes_on = match outcome {
            Err(StoreError::NotNext { .. }) => log.is(Fault::GoesOnAfterARefusal),
            Err(_) => log.is(Fault::GoesOnAfterAFailure),
            Ok(()) => true,
        };
        self.poisoned = outcome.as_ref().err().filter(|_| !goes_on).map(StoreError::cause);
        outcome
    }

    fn confirm_owner(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        let fault = self.disk.lock().fault;
        match fault {
            Fault::StallsWhenAsked => loop {
                thread::park_timeout(Duration::MAX);
            },
            Fault::DisownsItsWriter => Err(StoreError::Fenced { by: None }),
            Fault::FencesAppendsOnly => Ok(()),
            _ => self.check_owner(&self.disk.lock()),
        }
    }

    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        self.check_usable()?;
        let mut log = self.disk.lock();
        if !log.is(Fault::FencesAppendsOnly) {
            self.check_owner(&log)?;
        }
        let outcome = log.save_snapshot(at, bytes);
        self.poisoned = match &outcome {
            Err(error @ StoreError::Missing { .. })
                if log.is(Fault::PoisonedByARefusedSnapshot) =>
            {
                Some(error.cause())
            }
            Err(error @ StoreError::Backend(_)) if log.is(Fault::PoisonedByAFailedSnapshot) => {
                Some(error.cause())
            }
            _ => None,
        };
        outcome
    }

    fn snapshot_writer(&self) -> Option<Box<dyn SnapshotWriter + Send>> {
        let entries = self.disk.lock().entries.clone();
        Some(Box::new(FaultyWriter { disk: self.disk.clone(), fence: self.fence, entries }))
    }

    fn drop_history(&mut self, base: Head) -> Result<(), StoreError> {
        self.check_usable()?;
        let mut log = self.disk.lock();
        if !log.is(Fault::FencesAppendsOnly) {
            self.check_owner(&log)?;
        }
        let outcome = log.drop_history(base);
        self.poisoned = match &outcome {
            Err(error @ StoreError::Backend(_)) if log.is(Fault::PoisonedByAFailedDropping) => {
                Some(error.cause())
            }
            _ => None,
        };
        outcome
    }
}

/// Saves snapshots while a [`FaultyStore`] appends.
struct FaultyWriter {
    disk: FaultyDisk,
    fence: Option<u64>,
    /// The log when this writer was made.
    entries: Vec<Kept>,
}

impl SnapshotWriter for FaultyWriter {
    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        let mut log = self.disk.lock();
        if self.fence != Some(log.fences) && !log.is(Fault::FencesNoSnapshotWriter) {
            return Err(StoreError::Fenced { by: None });
        }
        let snapshot = Snapshot { at, bytes: bytes.to_vec() };
        match log.fault {
            Fault::LosesSnapshotsBesideAppends if log.is_state(at) => Ok(()),
            Fault::AcceptsAnySnapshotBesideAppends if at.seq > log.base_seq() => {
                log.snapshots.push(Saved { snapshot, damaged: false });
                Ok(())
            }
            Fault::ServesWhatWasSavedBesideLast if log.is_state(at) => {
                log.snapshots.push(Saved { snapshot, damaged: false });
                Ok(())
            }
            Fault::ForgetsWhatIsAppendedBeside => {
                let saved = log.save_snapshot(at, bytes);
                log.entries.clone_from(&self.entries);
                saved
            }
            _ => log.save_snapshot(at, bytes),
        }
    }
}

/// The harness of a [`FaultyDisk`], able to bring every occasion about.
#[derive(Debug)]
pub struct FaultyHarness {
    fault: Fault,
    disk: FaultyDisk,
}

impl FaultyHarness {
    /// For stores with this fault.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, disk: FaultyDisk::default() }
    }
}

impl Harness for FaultyHarness {
    type Store = FaultyStore;

    fn create(&mut self, ledger: LedgerId) -> Result<FaultyStore, StoreError> {
        self.disk = FaultyDisk::new(ledger, self.fault);
        Ok(self.disk.open())
    }

    fn reopen(&mut self) -> Result<FaultyStore, StoreError> {
        Ok(self.disk.open())
    }

    fn fail_next_append(&mut self, _store: &mut FaultyStore) -> bool {
        self.disk.lock().fail_next = true;
        true
    }

    fn fail_next_maintenance(&mut self, _store: &mut FaultyStore) -> bool {
        self.disk.lock().fail_next = true;
        true
    }

    fn damage_entry(&mut self, first_seq: u64) -> bool {
        let mut log = self.disk.lock();
        let entry = log.entries.iter_mut().find(|entry| entry.first_seq == first_seq);
        entry.is_some_and(|entry| {
            entry.damaged = true;
            entry.bytes[0] ^= 1;
            true
        })
    }

    fn damage_snapshot(&mut self, at: u64) -> bool {
        let mut log = self.disk.lock();
        let Log { snapshots, base, .. } = &mut *log;
        let saved = snapshots.iter_mut().chain(base).find(|saved| saved.snapshot.at.seq == at);
        saved.is_some_and(|saved| {
            saved.damaged = true;
            saved.snapshot.bytes[0] ^= 1;
            true
        })
    }
}
