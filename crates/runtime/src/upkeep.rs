//! What the keeper goes by: how much log there is, and what is due.

use payonce_core::Head;

use crate::options::Options;

/// How much of the log there is, and what of it a snapshot covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upkeep {
    /// Whether the rest is known by now: a ledger that was opened elsewhere is looked through first.
    pub(crate) is_known: bool,
    /// Where the log begins: the seq of its base, 0 if it has none.
    pub(crate) base_seq: u64,
    /// The seq of the newest snapshot, or that of the base.
    pub(crate) snapshot_seq: u64,
    /// Bytes of entries since then: what opening replays.
    pub(crate) bytes_since_snapshot: u64,
    /// At how many of them the next snapshot is tried, if the last one failed.
    retry_at_bytes: u64,
    /// The last head that the node has stored, as far as it told.
    pub(crate) stored: Option<Head>,
    /// Up to which stored seq dropping was tried by itself.
    tried_seq: u64,
}

/// What the keeper is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Save a snapshot.
    Snapshot,
    /// Drop history up to this stored head.
    Drop(Head),
}

impl Upkeep {
    /// Of a log that begins at its base, whose newest snapshot is at `snapshot_seq`, with so many
    /// bytes after it.
    pub(crate) const fn new(base_seq: u64, snapshot_seq: u64, bytes_since_snapshot: u64) -> Self {
        Self {
            is_known: true,
            base_seq,
            snapshot_seq,
            bytes_since_snapshot,
            retry_at_bytes: 0,
            stored: None,
            tried_seq: 0,
        }
    }

    /// Of a log that was opened elsewhere.
    pub(crate) const fn unknown() -> Self {
        Self { is_known: false, ..Self::new(0, 0, 0) }
    }

    /// What was found in a log that was opened elsewhere, as it was when it was handed over.
    pub(crate) fn found(&mut self, base_seq: u64, snapshot_seq: u64, bytes_since_snapshot: u64) {
        self.is_known = true;
        self.base_seq = self.base_seq.max(base_seq);
        if snapshot_seq > self.snapshot_seq {
            self.snapshot_seq = snapshot_seq;
        }
        self.bytes_since_snapshot += bytes_since_snapshot;
    }

    pub(crate) const fn appended(&mut self, bytes: usize) {
        self.bytes_since_snapshot += bytes as u64;
    }

    /// A snapshot of this seq was kept, when so many bytes were counted.
    pub(crate) fn kept(&mut self, seq: u64, counted_bytes: u64) {
        if seq > self.snapshot_seq {
            self.snapshot_seq = seq;
            self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_sub(counted_bytes);
        }
        self.retry_at_bytes = 0;
    }

    /// None was kept: the next one is tried after as many bytes again.
    pub(crate) const fn not_kept(&mut self, every_bytes: u64) {
        self.retry_at_bytes = self.bytes_since_snapshot.saturating_add(every_bytes);
    }

    /// History up to here was dropped.
    pub(crate) fn dropped(&mut self, base_seq: u64) {
        self.base_seq = self.base_seq.max(base_seq);
        self.snapshot_seq = self.snapshot_seq.max(base_seq);
    }

    /// The node has stored this head.
    pub(crate) fn stored(&mut self, head: Head) {
        if self.stored.is_none_or(|known| known.seq < head.seq) {
            self.stored = Some(head);
        }
    }

    /// Dropping up to this stored seq was tried: no more of it before the node has stored a later
    /// one.
    pub(crate) const fn tried(&mut self, stored_seq: u64) {
        self.tried_seq = stored_seq;
    }

    /// How many events the newest snapshot covers: what could be dropped, had the node stored a head
    /// there or later.
    pub(crate) const fn history_events(&self) -> u64 {
        self.snapshot_seq - self.base_seq
    }

    /// What is due.
    pub(crate) fn due(&self, options: &Options) -> Option<Due> {
        let every = options.snapshot_every_bytes;
        if every.is_some_and(|every| self.bytes_since_snapshot >= every.max(self.retry_at_bytes)) {
            return Some(Due::Snapshot);
        }
        let most = options.history_events?;
        let stored = self.stored.filter(|head| head.seq > self.tried_seq.max(self.base_seq))?;
        (self.history_events() > most).then_some(Due::Drop(stored))
    }
}

#[cfg(test)]
mod tests {
    use payonce_core::LedgerId;

    use super::*;

    fn head(seq: u64) -> Head {
        Head { seq, ..Head::genesis(LedgerId::from_bytes([7; 32])) }
    }

    #[test]
    fn a_snapshot_is_due_after_so_many_bytes_and_again_after_a_failure() {
        let options = Options::DEFAULT.snapshot_every_bytes(Some(100));
        let mut upkeep = Upkeep::new(0, 10, 60);
        assert_eq!(upkeep.due(&options), None);
        upkeep.appended(40);
        assert_eq!(upkeep.due(&options), Some(Due::Snapshot));
        upkeep.not_kept(100);
        assert_eq!(upkeep.due(&options), None, "not at once");
        upkeep.appended(100);
        assert_eq!(upkeep.due(&options), Some(Due::Snapshot));
        upkeep.appended(30);
        upkeep.kept(20, 200);
        assert_eq!((upkeep.snapshot_seq, upkeep.bytes_since_snapshot), (20, 30));
        upkeep.kept(15, 30);
        assert_eq!((upkeep.snapshot_seq, upkeep.bytes_since_snapshot), (20, 30), "an older one");
    }

    #[test]
    fn history_is_dropped_only_if_asked_for_and_once_for_each_stored_head() {
        let never = Options::DEFAULT.snapshot_every_bytes(None);
        let options = never.history_events(Some(50));
        let mut upkeep = Upkeep::new(0, 51, 0);
        assert_eq!(upkeep.due(&options), None, "the node has stored nothing");
        upkeep.stored(head(60));
        upkeep.stored(head(55));
        assert_eq!(upkeep.due(&never), None);
        assert_eq!(upkeep.due(&options), Some(Due::Drop(head(60))));
        upkeep.tried(60);
        assert_eq!(upkeep.due(&options), None);
        upkeep.stored(head(61));
        assert_eq!(upkeep.due(&options), Some(Due::Drop(head(61))));
        upkeep.dropped(51);
        assert_eq!((upkeep.history_events(), upkeep.due(&options)), (0, None));
    }
}
