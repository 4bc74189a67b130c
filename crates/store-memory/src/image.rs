//! What is kept: the log, its snapshots and its base.

use std::{ops::ControlFlow, sync::Arc};

use payonce_core::{Entry, Head, LedgerId, Snapshot, StoreError, StoredEntry};

/// How many snapshots are kept besides the base.
const SNAPSHOTS_KEPT: usize = 2;

/// What would be on disk if the process died now. Cloning copies one pointer an entry, not the
/// entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    ledger: LedgerId,
    /// The head before the first kept entry.
    start: Head,
    entries: Vec<Kept>,
    /// At most [`SNAPSHOTS_KEPT`], oldest first.
    snapshots: Vec<Arc<Snapshot>>,
    base: Option<Arc<Snapshot>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    first_seq: u64,
    after: Head,
    bytes: Arc<[u8]>,
}

impl Image {
    /// The image of a log without entries, snapshots or base.
    #[must_use]
    pub const fn new(ledger: LedgerId) -> Self {
        Self {
            ledger,
            start: Head::genesis(ledger),
            entries: Vec::new(),
            snapshots: Vec::new(),
            base: None,
        }
    }

    /// The id given at creation.
    #[must_use]
    pub const fn ledger_id(&self) -> LedgerId {
        self.ledger
    }

    /// The end of the log.
    #[must_use]
    pub fn head(&self) -> Head {
        self.entries.last().map_or(self.start, |entry| entry.after)
    }

    /// The heads at which the log can be cut, in order: before its first kept entry and after each.
    #[must_use]
    pub fn heads(&self) -> impl DoubleEndedIterator<Item = Head> + '_ {
        std::iter::once(self.start).chain(self.entries.iter().map(|entry| entry.after))
    }

    /// The kept entries, in order.
    #[must_use]
    pub fn entries(&self) -> impl ExactSizeIterator<Item = StoredEntry<'_>> {
        self.entries
            .iter()
            .map(|entry| StoredEntry { first_seq: entry.first_seq, bytes: &entry.bytes })
    }

    /// An older copy of this log: without the entries that end after `seq`, and without the
    /// snapshots taken there.
    #[must_use]
    pub fn cut_after(&self, seq: u64) -> Self {
        let mut older = self.clone();
        older.entries.retain(|entry| entry.after.seq <= seq);
        older.snapshots.retain(|snapshot| snapshot.at.seq <= seq);
        older
    }

    /// Appends the entries up to the first one that does not continue the log.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.check_continues(entries)?;
        self.entries.extend(entries.iter().map(|entry| Kept {
            first_seq: entry.first_seq(),
            after: entry.after(),
            bytes: entry.bytes().into(),
        }));
        Ok(())
    }

    pub(crate) fn check_continues(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut actual = self.head();
        for entry in entries {
            if entry.before() != actual {
                return Err(StoreError::NotNext { expected: entry.before(), actual });
            }
            actual = entry.after();
        }
        Ok(())
    }

    pub(crate) fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let from = from.max(1);
        let first = self.base.as_ref().map_or(1, |base| base.at.seq + 1);
        if from < first || from > self.head().seq + 1 {
            return Err(StoreError::Missing { needed: "history", requested: from });
        }
        let skipped = self.entries.partition_point(|entry| entry.first_seq < from);
        for entry in self.entries().skip(skipped) {
            if visit(entry).is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        if !self.heads().any(|head| head == at) {
            return Err(StoreError::Missing { needed: "end of an entry", requested: at.seq });
        }
        self.snapshots.retain(|snapshot| snapshot.at != at);
        let place = self.snapshots.partition_point(|snapshot| snapshot.at.seq < at.seq);
        self.snapshots.insert(place, Arc::new(Snapshot { at, bytes: bytes.to_vec() }));
        let superseded = self.snapshots.len().saturating_sub(SNAPSHOTS_KEPT);
        self.snapshots.drain(..superseded);
        Ok(())
    }

    pub(crate) fn load_snapshot(&self, at_most: u64) -> Option<&Snapshot> {
        let newest = self.snapshots.iter().rev().chain(&self.base);
        newest.map(|snapshot| &**snapshot).find(|snapshot| snapshot.at.seq <= at_most)
    }

    pub(crate) fn base(&self) -> Option<&Snapshot> {
        self.base.as_deref()
    }

    pub(crate) fn drop_history(&mut self, base: Head) -> Result<(), StoreError> {
        let snapshot = self.snapshots.iter().chain(&self.base).find(|snapshot| snapshot.at == base);
        let Some(snapshot) = snapshot.map(Arc::clone) else {
            return Err(StoreError::Missing { needed: "snapshot", requested: base.seq });
        };
        self.snapshots.retain(|other| other.at.seq > base.seq);
        self.base = Some(snapshot);
        self.start = base;
        self.entries.retain(|entry| entry.first_seq > base.seq);
        Ok(())
    }
}
