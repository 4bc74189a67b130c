//! Opening a log: what its writer says of itself, and the fold up to its head.

use alloc::string::{String, ToString};
use core::ops::ControlFlow;

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
    log::entry::EntryHeader,
    log::store::{EventSource, EventStore, Exclusion, Fence, Snapshot, StoreError},
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
    /// Who opens it, and where its operators reach it: a host, a process, an address of the service.
    /// Recorded so that a writer whose log was taken over can see by whom, and that a person who finds
    /// the log held (`payonce resolve`) knows where to turn; cut at
    /// [`limits::HOLDER_BYTES`](crate::limits::HOLDER_BYTES).
    pub holder: String,
    /// A random and secret key for the hash tables, since payees choose payment hashes.
    pub seed: u64,
    /// The last head that the node knows durable, kept with its channel state. A log that does not
    /// contain it is opened as Restored.
    pub known_head: Option<Head>,
    /// The caller's word that there is only one writer, for stores that cannot tell
    /// ([`Exclusion::None`]).
    pub single_writer: bool,
}

impl Opening {
    /// An opening with the one choice that has no default, and a seed for the hash tables.
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
    /// The store cannot keep a second writer out, and the caller has not said that there is none
    /// ([`Opening::single_writer`]).
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

/// Becomes the writer, if the store or the caller excludes a second one.
fn fence(store: &mut impl EventStore, opening: &Opening) -> Result<Fence, OpenError> {
    if store.exclusion() == Exclusion::None && !opening.single_writer {
        return Err(OpenError::NoExclusion);
    }
    Ok(store.fence()?)
}

/// Whether a log leads from one head to a later one, by its chain alone. For a head before the base this
/// cannot be known, and the answer is no.
fn leads_to(store: &(impl EventSource + ?Sized), from: Head, to: Head) -> Result<bool, StoreError> {
    let mut head = from;
    let walked = store.replay(from.seq + 1, &mut |entry| {
        let header = EntryHeader::read(entry.bytes);
        let Some(header) = header.ok().filter(|header| header.first_seq == head.seq + 1) else {
            return ControlFlow::Break(());
        };
        head = Head { seq: header.last_seq(), chain: head.chain.extend(entry.bytes) };
        if head.seq < to.seq { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    match walked {
        Err(StoreError::Missing { .. }) => Ok(false),
        walked => walked.map(|()| head == to),
    }
}

impl<S: EventStore> Ledger<S> {
    /// Opens a log for writing: fences it, replays it, records the opening, and returns the recovery,
    /// which asks what became of everything that is out.
    ///
    /// # Errors
    /// [`OpenError`] when the log is damaged or the store fails.
    pub fn open(store: S, opening: &Opening, now: UnixMillis) -> Result<Recovery<S>, OpenError> {
        Self::open_by(store, opening, now, Replay::run)
    }

    /// As [`open`](Self::open), for a runtime of your own: `run` does what [`Replay::run`] does, on two
    /// threads, say.
    ///
    /// # Errors
    /// [`OpenError`] when the log is damaged or the store fails.
    pub fn open_by(
        mut store: S,
        opening: &Opening,
        now: UnixMillis,
        run: impl FnOnce(&mut Replay, &S, Head) -> Result<(), ReplayError>,
    ) -> Result<Recovery<S>, OpenError> {
        let fence = fence(&mut store, opening)?;
        let stored = fence.head;
        let mut replay = Self::nearest(&store, opening)?.watch(opening.known_head);
        run(&mut replay, &store, stored)?;
        let restored = !replay.contains_known();
        Self::opened(store, replay, fence, restored, opening, now)
    }

    /// As [`open`](Self::open), but continues a fold that was kept up to date by a standby, so that a
    /// takeover reads only the last entries. If the fold is not of the store's log, or is ahead of it
    /// (its primary's last entries were lost), it is not used, and this is [`open`](Self::open).
    ///
    /// # Errors
    /// [`OpenError`] when the log is damaged or the store fails.
    pub fn open_from(
        mut store: S,
        warm: Replay,
        opening: &Opening,
        now: UnixMillis,
    ) -> Result<Recovery<S>, OpenError> {
        let fence = fence(&mut store, opening)?;
        let (stored, at) = (fence.head, warm.state().head());
        let known = opening.known_head;
        let is_of_the_log = warm.state().ledger_id() == store.ledger_id()
            && at.seq <= stored.seq
            && leads_to(&store, at, stored)?;
        let behind = known.filter(|known| known.seq < at.seq);
        let mut replay = if is_of_the_log {
            // What lies before the fold is looked for in the log, what follows by the fold.
            warm.watch(known.filter(|known| known.seq >= at.seq))
        } else {
            Self::nearest(&store, opening)?.watch(known)
        };
        replay.run(&store, stored)?;
        let mut restored = !replay.contains_known();
        if is_of_the_log && let Some(known) = behind {
            restored |= !leads_to(&store, known, at)?;
        }
        Self::opened(store, replay, fence, restored, opening, now)
    }

    /// Records the opening of a log that was replayed to its end.
    fn opened(
        store: S,
        replay: Replay,
        Fence { head: stored, number }: Fence,
        restored: bool,
        opening: &Opening,
        now: UnixMillis,
    ) -> Result<Recovery<S>, OpenError> {
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

    /// The fold to begin with: the newest readable snapshot at or before the head to look for; else the
    /// beginning of history.
    fn nearest(store: &S, opening: &Opening) -> Result<Replay, ReplayError> {
        let mut at_most = opening.known_head.map_or(u64::MAX, |head| head.seq);
        while let Some(Snapshot { at, bytes }) = store.load_snapshot(at_most)? {
            match State::decode(&bytes, opening.seed) {
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
