//! A state together with what must be said beside it.

use std::ops::ControlFlow;

use payonce::{
    State, UnixMillis,
    audit::{EntryHeader, EventSource, ReplayError, Until},
};

use crate::log::{Log, newest_state, past_state};

/// How far back the last entry is looked for: no entry has more events.
const LOOK_BACK: u64 = 1 << 14;

/// The state of a log, now or then.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) state: State,
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
        Self::of(log, newest_state(log)?)
    }

    /// The state as it was.
    pub(crate) fn at(log: &Log, until: Until) -> Result<Self, ReplayError> {
        Self::of(log, past_state(log, until)?)
    }

    fn of(log: &Log, state: State) -> Result<Self, ReplayError> {
        let base_seq = log.base()?.map_or(0, |base| base.at.seq);
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
        Ok(Self { state, last_entry, base_seq, vouched_seq, torn_bytes })
    }
}
