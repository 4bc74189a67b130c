//! The state as it was: reading a log up to a seq or a moment.

use core::ops::ControlFlow;

use crate::{
    base::amount::UnixMillis,
    ledger::replay::Replay,
    ledger::replay_error::ReplayError,
    log::entry::EntryHeader,
    log::store::{EventSource, StoreError},
    state::state::State,
};

/// How far a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Up to the end of the entry that holds this seq: an entry is one step, and there is no state
    /// between its events. 0 is the empty log.
    Seq(u64),
    /// Up to the first entry that was recorded later than this.
    Time(UnixMillis),
}

/// The state of a log as it was, from the nearest snapshot before that is readable. `seed` keys the hash
/// tables ([`State::new`]). Only what is read is checked: the entries after that snapshot. To check the
/// whole log use [`verify`](crate::verify).
///
/// # Errors
/// [`StoreError::Missing`] for a seq beyond the head, or before what is left of the history; otherwise
/// [`ReplayError`] with the place of the first damage.
pub fn state_at(
    source: &(impl EventSource + ?Sized),
    until: Until,
    seed: u64,
) -> Result<State, ReplayError> {
    let head = source.head()?;
    let base = source.base()?.map_or(0, |base| base.at.seq);
    if let Until::Seq(seq) = until
        && !(base..=head.seq).contains(&seq)
    {
        return Err(StoreError::Missing { needed: "history", requested: seq }.into());
    }
    let mut replay = match until {
        Until::Seq(seq) => nearest(source, seq, seed)?,
        // Times are only in the entries.
        Until::Time(_) => Replay::from_beginning(source, seed)?,
    };
    let mut failed = None;
    source.replay(replay.state().head().seq + 1, &mut |entry| {
        let last = replay.state().head().seq;
        let over = match until {
            Until::Seq(seq) => Ok(last >= seq),
            Until::Time(time) => EntryHeader::read(entry.bytes).map(|header| header.now > time),
        };
        let read = match over {
            Ok(true) => return ControlFlow::Break(()),
            Ok(false) => replay.entry(entry),
            Err(error) => Err(ReplayError::Entry { seq: entry.first_seq, error }),
        };
        match read {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or_else(|| Ok(replay.into_state()), Err)
}

/// The fold to begin with: the newest readable snapshot at or before this seq, else the beginning of
/// what is left.
fn nearest(
    source: &(impl EventSource + ?Sized),
    seq: u64,
    seed: u64,
) -> Result<Replay, ReplayError> {
    let mut at_most = Some(seq);
    while let Some(limit) = at_most
        && let Some(snapshot) = source.load_snapshot(limit)?
    {
        match State::decode(&snapshot.bytes, seed) {
            Ok(state) if state.head() == snapshot.at && state.ledger_id() == source.ledger_id() => {
                return Ok(Replay::from_state(state));
            }
            _ => at_most = snapshot.at.seq.checked_sub(1),
        }
    }
    Replay::from_beginning(source, seed)
}
