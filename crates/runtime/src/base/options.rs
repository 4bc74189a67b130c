//! What can be chosen.

/// How a shared handle works. May differ from one opening to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How many commands may wait for the next batch, 4,096 by default and at least 1. A call
    /// beyond them waits for room ([`try_execute`](crate::SharedLedger::try_execute) does not). One
    /// call with several commands counts as many and is taken whole once there is any room.
    pub queue_commands: usize,
    /// After how many bytes of log a snapshot is saved by itself; 64 MiB by default, `None` for
    /// never. What opening has to replay is a little more than this at most, however short the runs:
    /// what was there already counts.
    pub snapshot_every_bytes: Option<u64>,
    /// After how many appends a snapshot is saved by itself; `None`, the default, for never. For stores that
    /// keep each append under a key of its own: opening reads those since the snapshot, one call each. Where
    /// the last snapshot was large it is so many more: an append for each 4 KiB of it, so that snapshots write
    /// no more than that an append.
    pub snapshot_every_appends: Option<u64>,
    /// Drops history by itself once the newest snapshot covers more than so many events of it; `None`,
    /// the default, for never. Only up to the newest snapshot at or before the last head that the node
    /// said it [has stored](crate::SharedLedger::head_stored), and never past that head. Since a store
    /// keeps the newest snapshots alone, a node that tells its stored heads more rarely than snapshots
    /// are taken drops nothing. It folds that history once, beside payments, and needs the memory of
    /// one more state meanwhile.
    pub history_events: Option<u64>,
    /// How many bytes of confirmed entries are kept in memory for subscribers, 1 MiB by default; one
    /// that reads more slowly is fed from the store.
    pub feed_bytes: usize,
}

impl Options {
    /// What [`Default`] gives, as a constant.
    pub const DEFAULT: Self = Self {
        queue_commands: 4_096,
        snapshot_every_bytes: Some(64 << 20),
        snapshot_every_appends: None,
        history_events: None,
        feed_bytes: 1 << 20,
    };

    /// With this many commands waiting at most.
    #[must_use]
    pub const fn queue_commands(mut self, commands: usize) -> Self {
        self.queue_commands = commands;
        self
    }

    /// With a snapshot every so many bytes of log, or none.
    #[must_use]
    pub const fn snapshot_every_bytes(mut self, bytes: Option<u64>) -> Self {
        self.snapshot_every_bytes = bytes;
        self
    }

    /// With a snapshot every so many appends, or none.
    #[must_use]
    pub const fn snapshot_every_appends(mut self, appends: Option<u64>) -> Self {
        self.snapshot_every_appends = appends;
        self
    }

    /// With history dropped once a snapshot covers more than so many events of it, or never.
    #[must_use]
    pub const fn history_events(mut self, events: Option<u64>) -> Self {
        self.history_events = events;
        self
    }

    /// With so many bytes of entries kept for subscribers.
    #[must_use]
    pub const fn feed_bytes(mut self, bytes: usize) -> Self {
        self.feed_bytes = bytes;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}
