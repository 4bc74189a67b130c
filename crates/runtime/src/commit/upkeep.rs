//! What the keeper goes by: how much log there is, and what is due.

use payonce_core::Head;

use crate::{base::options::Options, open::replay::Amount};

/// How much of the log there is, and what of it a snapshot covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upkeep {
    /// Whether the rest is known by now: a ledger that was opened elsewhere is looked through first.
    pub(crate) is_known: bool,
    /// Where the log begins: the seq of its base, 0 if it has none.
    pub(crate) base_seq: u64,
    /// The seq of the newest snapshot, or that of the base.
    pub(crate) snapshot_seq: u64,
    /// What was appended since then: what opening replays.
    pub(crate) since_snapshot: Amount,
    /// At how much of it the next snapshot is tried, if the last one failed.
    retry_at: Amount,
    /// How large the last snapshot was that this process kept; 0 before.
    snapshot_bytes: u64,
    /// The last head that the node has stored, as far as it told.
    pub(crate) stored: Option<Head>,
    /// Up to which stored seq dropping was tried by itself.
    tried_seq: u64,
}

/// How many bytes of a snapshot are worth one append less to read at the next opening.
const BYTES_PER_APPEND: u64 = 4 << 10;

/// What the keeper is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// A snapshot is to be saved.
    Snapshot,
    /// Drop history up to this stored head.
    Drop(Head),
}

impl Upkeep {
    /// Of a log that begins at its base, whose newest snapshot is at `snapshot_seq`, with so much after it.
    pub(crate) const fn new(base_seq: u64, snapshot_seq: u64, since_snapshot: Amount) -> Self {
        Self {
            is_known: true,
            base_seq,
            snapshot_seq,
            since_snapshot,
            retry_at: Amount { bytes: 0, appends: 0 },
            snapshot_bytes: 0,
            stored: None,
            tried_seq: 0,
        }
    }

    /// Of a log that was opened elsewhere.
    pub(crate) const fn unknown() -> Self {
        Self { is_known: false, ..Self::new(0, 0, Amount { bytes: 0, appends: 0 }) }
    }

    /// What was found in a log that was opened elsewhere, as it was when it was handed over.
    pub(crate) fn found(&mut self, base_seq: u64, snapshot_seq: u64, since_snapshot: Amount) {
        self.is_known = true;
        self.base_seq = self.base_seq.max(base_seq);
        if snapshot_seq > self.snapshot_seq {
            self.snapshot_seq = snapshot_seq;
        }
        self.since_snapshot = self.since_snapshot.plus(since_snapshot);
    }

    pub(crate) const fn appended(&mut self, bytes: usize) {
        self.since_snapshot = self.since_snapshot.plus(Amount { bytes: bytes as u64, appends: 1 });
    }

    /// A snapshot of this seq was kept, so large, when so much was counted.
    pub(crate) fn kept(&mut self, seq: u64, counted: Amount, snapshot_bytes: u64) {
        if seq > self.snapshot_seq {
            self.snapshot_seq = seq;
            self.snapshot_bytes = snapshot_bytes;
            self.since_snapshot = self.since_snapshot.minus(counted);
        }
        self.retry_at = Amount::default();
    }

    /// None was kept: the next one is tried after as much again.
    pub(crate) fn not_kept(&mut self, options: &Options) {
        let every = Amount {
            bytes: options.snapshot_every_bytes.unwrap_or(u64::MAX),
            appends: options.snapshot_every_appends.unwrap_or(u64::MAX),
        };
        self.retry_at = self.since_snapshot.plus(every);
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

    /// Which maintenance is due now; `None` if none is.
    pub(crate) fn due(&self, options: &Options) -> Option<Due> {
        let Amount { bytes, appends } = self.since_snapshot;
        let every = options.snapshot_every_bytes.map(|every| every.max(self.retry_at.bytes));
        let worth = self.snapshot_bytes / BYTES_PER_APPEND;
        let every_appends = options.snapshot_every_appends;
        let every_appends = every_appends.map(|every| every.max(self.retry_at.appends).max(worth));
        if every.is_some_and(|every| bytes >= every)
            || every_appends.is_some_and(|every| appends >= every)
        {
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

    const fn amount(bytes: u64, appends: u64) -> Amount {
        Amount { bytes, appends }
    }

    #[test]
    fn a_snapshot_is_due_after_so_many_bytes_and_again_after_a_failure() {
        let options = Options::DEFAULT.snapshot_every_bytes(Some(100));
        let mut upkeep = Upkeep::new(0, 10, amount(60, 0));
        assert_eq!(upkeep.due(&options), None);
        upkeep.appended(40);
        assert_eq!(upkeep.due(&options), Some(Due::Snapshot));
        upkeep.not_kept(&options);
        assert_eq!(upkeep.due(&options), None, "not at once");
        upkeep.appended(100);
        assert_eq!(upkeep.due(&options), Some(Due::Snapshot));
        upkeep.appended(30);
        upkeep.kept(20, amount(200, 2), 10);
        assert_eq!((upkeep.snapshot_seq, upkeep.since_snapshot), (20, amount(30, 1)));
        upkeep.kept(15, amount(30, 1), 10);
        assert_eq!(
            (upkeep.snapshot_seq, upkeep.since_snapshot),
            (20, amount(30, 1)),
            "an older one"
        );
    }

    #[test]
    fn a_snapshot_is_due_after_so_many_appends_and_more_rarely_where_it_is_large() {
        let options = Options::DEFAULT.snapshot_every_appends(Some(3));
        let mut upkeep = Upkeep::new(0, 10, amount(60, 1));
        upkeep.appended(40);
        assert_eq!(upkeep.due(&options), None);
        upkeep.appended(40);
        assert_eq!(upkeep.due(&options), Some(Due::Snapshot));
        assert_eq!(upkeep.due(&Options::DEFAULT), None, "nobody asked for it");
        upkeep.not_kept(&options);
        assert_eq!(upkeep.due(&options), None, "not at once");
        upkeep.kept(20, amount(140, 3), 5 * BYTES_PER_APPEND);
        for appends in 0..5 {
            assert_eq!(
                upkeep.due(&options),
                None,
                "{appends} appends are worth less than it costs"
            );
            upkeep.appended(10);
        }
        assert_eq!(upkeep.due(&options), Some(Due::Snapshot));
    }

    #[test]
    fn history_is_dropped_only_if_asked_for_and_once_for_each_stored_head() {
        let never = Options::DEFAULT.snapshot_every_bytes(None);
        let options = never.history_events(Some(50));
        let mut upkeep = Upkeep::new(0, 51, amount(0, 0));
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
