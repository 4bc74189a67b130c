//! Opening a log: what its writer says of itself, and the fold up to its head.

use alloc::string::{String, ToString};

use crate::{
    base::amount::UnixMillis,
    base::head::Head,
    decide::config::{Config, Remember},
    ledger::ledger::Ledger,
    ledger::ledger_error::LedgerError,
    ledger::machine::{Machine, OpenedBy},
    ledger::recovery::Recovery,
    ledger::replay::Replay,
    ledger::replay_error::ReplayError,
    log::store::{EventStore, Exclusion, Fence, Snapshot, StoreError},
    state::relay::{Relay, in_turn},
    state::state::State,
};

/// How a log is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Opening {
    /// How the ledger decides.
    pub config: Config,
    /// The writer's name and version, recorded; cut at
    /// [`limits::PROGRAM_BYTES`](crate::limits::PROGRAM_BYTES).
    pub program: String,
    /// Who opens it: a host and a process, say, recorded for whoever finds the log taken over; cut at
    /// [`limits::HOLDER_BYTES`](crate::limits::HOLDER_BYTES).
    pub holder: String,
    /// Random and secret: keys the hash tables, since payees choose payment hashes.
    pub seed: u64,
    /// The last head that the node knows durable, kept with its channel state. A log that does not
    /// contain it is opened as Restored.
    pub known_head: Option<Head>,
    /// The caller's word that there is only one writer, for stores that cannot tell
    /// ([`Exclusion::None`]).
    pub single_writer: bool,
}

impl Opening {
    /// With the choice that has no default, and a seed for the hash tables.
    #[must_use]
    pub fn new(remember: Remember, seed: u64) -> Self {
        Self {
            config: Config::new(remember),
            program: String::from(concat!("payonce-core ", env!("CARGO_PKG_VERSION"))),
            holder: String::new(),
            seed,
            known_head: None,
            single_writer: false,
        }
    }

    /// With the last head that the node knows durable.
    #[must_use]
    pub const fn known_head(mut self, head: Head) -> Self {
        self.known_head = Some(head);
        self
    }
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store cannot keep a second writer out, and the caller has not vouched for it.
    #[error("the store cannot keep a second writer out: vouch for it with `single_writer`")]
    NoExclusion,
    /// The log cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Replay(error.into())
    }
}

impl<S: EventStore> Ledger<S> {
    /// Opens a log for writing: fences it, replays it, records the opening, and asks for what
    /// became of everything that is out.
    ///
    /// # Errors
    /// [`OpenError`] when the log is damaged or the store fails.
    pub fn open(store: S, opening: &Opening, now: UnixMillis) -> Result<Recovery<S>, OpenError> {
        Self::open_by(store, opening, now, in_turn, Replay::run)
    }

    /// As [`open`](Self::open), for runtimes of their own: `relay` does what [`in_turn`] does with a
    /// snapshot's payments, and `run` what [`Replay::run`] does, on several threads, say.
    ///
    /// # Errors
    /// [`OpenError`] when the log is damaged or the store fails.
    pub fn open_by(
        mut store: S,
        opening: &Opening,
        now: UnixMillis,
        relay: Relay,
        run: impl FnOnce(&mut Replay, &S, Head) -> Result<(), ReplayError>,
    ) -> Result<Recovery<S>, OpenError> {
        if store.exclusion() == Exclusion::None && !opening.single_writer {
            return Err(OpenError::NoExclusion);
        }
        let Fence { head: stored, number } = store.fence()?;
        let mut replay = Self::nearest(&store, opening, relay)?.watch(opening.known_head);
        run(&mut replay, &store, stored)?;
        let restored = !replay.contains_known();
        let state = replay.finish(stored)?;
        state.check_base(&store)?;
        let (program, holder) = (opening.program.as_str(), opening.holder.as_str());
        let by = OpenedBy { program, holder, fence: number };
        let (machine, opened) = Machine::open(state, opening.config, by, restored, now);
        let mut ledger = Self::of(machine, store);
        ledger.append([opened]).map_err(|error| match error {
            LedgerError::Store(error) => OpenError::from(error),
            // The machine is new: its first entry is the next one.
            other => OpenError::from(StoreError::Poisoned { cause: other.to_string().into() }),
        })?;
        Ok(Recovery::of(ledger, restored))
    }

    /// The fold to begin with: the newest snapshot that can be read and is not behind the head to
    /// look for; else the beginning of history.
    fn nearest(store: &S, opening: &Opening, relay: Relay) -> Result<Replay, ReplayError> {
        let mut at_most = opening.known_head.map_or(u64::MAX, |head| head.seq);
        while let Some(Snapshot { at, bytes }) = store.load_snapshot(at_most)? {
            match State::decode_by(&bytes, opening.seed, relay) {
                Ok(state) if state.head() == at && state.ledger_id() == store.ledger_id() => {
                    return Ok(Replay::from_state(state));
                }
                _ => match at.seq.checked_sub(1) {
                    Some(below) => at_most = below,
                    None => break,
                },
            }
        }
        Replay::from_beginning(store, opening.seed)
    }
}
