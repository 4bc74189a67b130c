//! A state together with what must be said beside it.

use std::ops::ControlFlow;

use payonce::{
    State, UnixMillis,
    audit::{EntryHeader, EventSource, Outline, ReplayError, Until},
    machine::Counts,
};

use crate::log::{Log, newest_state, past_state, seed};

/// How far back the last entry is looked for: no entry has more events.
const LOOK_BACK: u64 = 1 << 14;

/// The state of a log, now or then.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) state: State,
    /// How many of everything there are, also where the state has only what is live.
    pub(crate) counts: Counts,
    /// When its last entry was recorded; `None` for an empty log.
    pub(crate) last_entry: Option<UnixMillis>,
    /// The seq up to which a base stands for dropped history; 0 if nothing was dropped.
    pub(crate) base_seq: u64,
    /// The last seq known to be durable, where the store tells.
    pub(crate) vouched_seq: Option<u64>,
    pub(crate) torn_bytes: u64,
}

impl View {
    /// The state at the head.
    pub(crate) fn newest(log: &Log) -> Result<Self, ReplayError> {
        let state = newest_state(log)?;
        let counts = state.counts();
        Self::of(log, state, counts)
    }

    /// What is live at the head: all that those ask for who look after a node. Its state lacks the
    /// remembered payments, which are most of a ledger that remembers forever; they are counted.
    pub(crate) fn live(log: &Log) -> Result<Self, ReplayError> {
        Self::some(log, |_| false)
    }

    /// What is live at the head, and those remembered payments whose encoding `keep` admits.
    pub(crate) fn some(log: &Log, keep: impl FnMut(&[u8]) -> bool) -> Result<Self, ReplayError> {
        let Some(outline) = Outline::read(log, seed(), keep)? else { return Self::newest(log) };
        let counts = outline.counts();
        Self::of(log, outline.into_state(), counts)
    }

    /// The state as it was.
    pub(crate) fn at(log: &Log, until: Until) -> Result<Self, ReplayError> {
        let state = past_state(log, until)?;
        let counts = state.counts();
        Self::of(log, state, counts)
    }

    fn of(log: &Log, state: State, counts: Counts) -> Result<Self, ReplayError> {
        let base_seq = log.start()?.seq;
        let head = state.head().seq;
        let mut last_entry = None;
        log.replay((base_seq + 1).max(head.saturating_sub(LOOK_BACK)), &mut |entry| {
            if entry.first_seq > head {
                return ControlFlow::Break(());
            }
            last_entry = EntryHeader::read(entry.bytes).ok().map(|header| header.now);
            ControlFlow::Continue(())
        })?;
        let (vouched_seq, torn_bytes) = (log.vouched_seq(), log.torn_bytes());
        Ok(Self { state, counts, last_entry, base_seq, vouched_seq, torn_bytes })
    }
}
