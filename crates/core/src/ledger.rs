//! The ledger: a machine and a blocking store, one durable step at a time.

use alloc::{string::String, vec::Vec};
use core::ops::ControlFlow;

use crate::{
    amount::UnixMillis,
    chain::{Entry, Head},
    command::Operation,
    config::{Config, Remember},
    machine::{Machine, Poisoned, ReleaseError, SnapshotError, Ticket},
    recovery::Recovery,
    relay::{Relay, in_turn},
    replay::{Replay, ReplayError, verify},
    state::State,
    store::{EventSource, EventStore, Exclusion, Snapshot, StoreError},
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

/// Why the ledger answers nothing, or this question not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store failed. The ledger is poisoned.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An earlier failure left the outcome unknown.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The log cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// No snapshot at or below the head given can become the base.
    #[error("there is no snapshot at or before seq {seq}: save one and store its head first")]
    NoSnapshot {
        /// The seq of the head given.
        seq: u64,
    },
    /// The head given is not in this log.
    #[error("the log does not contain {head}")]
    UnknownHead {
        /// The head given.
        head: Head,
    },
    /// The state in memory is not the fold of its log: a snapshot that it was opened from lied.
    #[error("the state at {at} is not what the log says: delete its snapshots and open it again")]
    StateDiffers {
        /// The head.
        at: Head,
    },
    /// A snapshot is not the state of the log at its head.
    #[error("the snapshot at {at} is not the state of the log there; nothing was dropped")]
    SnapshotDiffers {
        /// The snapshot's head.
        at: Head,
    },
}

/// Why a command has no reply: two cases by nature.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R: core::error::Error> {
    /// It was refused; nothing was recorded.
    #[error(transparent)]
    Refused(R),
    /// The ledger answers nothing.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Finds the snapshot that may become the log's base: the newest one at or before `stored`, a head
/// that the node has stored. The log is replayed up to its end: it must contain `stored`, and the
/// snapshot must be its state. `seed` keys the hash tables. Gives the snapshot's head.
///
/// # Errors
/// [`LedgerError`] if there is none, or with the place of the first damage. Nothing was changed.
pub fn check_base(
    store: &(impl EventSource + ?Sized),
    stored: Head,
    seed: u64,
) -> Result<Head, LedgerError> {
    let snapshot = store.load_snapshot(stored.seq)?;
    let Snapshot { at, bytes } = snapshot.ok_or(LedgerError::NoSnapshot { seq: stored.seq })?;
    let mut replay = Replay::from_beginning(store, seed)?.watch(Some(stored));
    let mut same = replay.state().head() == at && replay.state().encode() == bytes;
    let mut failed = None;
    let from = replay.state().head().seq + 1;
    store.replay(from, &mut |entry| {
        if let Err(error) = replay.entry(entry) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        if replay.state().head() == at {
            same = replay.state().encode() == bytes;
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if !replay.contains_known() {
        return Err(LedgerError::UnknownHead { head: stored });
    }
    if same { Ok(at) } else { Err(LedgerError::SnapshotDiffers { at }) }
}

/// What each of several commands answers, in their order.
pub type Answers<O> = Vec<Result<<O as Operation>::Reply, <O as Operation>::Refusal>>;

/// A machine on a blocking store: every call returns once what it answers is durable.
///
/// The methods, in the order in which a reader needs them: [`open`](Self::open) gives a
/// [`Recovery`], which gives a ledger; [`execute`](Self::execute) takes commands and facts;
/// [`query`](Self::query) asks; [`save_snapshot`](Self::save_snapshot) and
/// [`drop_history`](Self::drop_history) keep the log short.
#[derive(Debug)]
pub struct Ledger<S> {
    machine: Machine,
    store: S,
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
        let stored = store.fence()?;
        let mut replay = Self::nearest(&store, opening, relay)?.watch(opening.known_head);
        run(&mut replay, &store, stored)?;
        let restored = !replay.contains_known();
        let state = replay.finish(stored)?;
        let (machine, opened) =
            Machine::open(state, opening.config, &opening.program, restored, now);
        let mut ledger = Self { machine, store };
        ledger.append([opened]).map_err(|error| match error {
            LedgerError::Store(error) => OpenError::from(error),
            _ => OpenError::from(StoreError::Poisoned),
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

    /// Decides a command or a fact, makes it durable, and answers.
    ///
    /// # Errors
    /// [`ExecuteError::Refused`] with nothing recorded, or [`ExecuteError::Ledger`] when the store
    /// failed: then the outcome is unknown and the ledger is poisoned.
    pub fn execute<O: Operation>(
        &mut self,
        operation: O,
        now: UnixMillis,
    ) -> Result<O::Reply, ExecuteError<O::Refusal>> {
        let step = self.machine.submit(operation, now);
        self.settle(step.entry)?;
        self.release(step.ticket)?.map_err(ExecuteError::Refused)
    }

    /// Decides several commands and makes them durable with one append: each is decided against
    /// the state after those before it, and each has its own answer.
    ///
    /// # Errors
    /// [`LedgerError`] when the store failed: of all of them the outcome is unknown, at most the
    /// first ones took effect, and the ledger is poisoned.
    pub fn execute_all<O: Operation>(
        &mut self,
        operations: impl IntoIterator<Item = O>,
        now: UnixMillis,
    ) -> Result<Answers<O>, LedgerError> {
        let steps = operations.into_iter().map(|operation| self.machine.submit(operation, now));
        let (entries, tickets): (Vec<_>, Vec<_>) =
            steps.map(|step| (step.entry, step.ticket)).unzip();
        self.settle(entries.into_iter().flatten())?;
        tickets.into_iter().map(|ticket| self.release(ticket)).collect()
    }

    /// Asks the state.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger is poisoned or another writer has taken the log over.
    pub fn query<T>(&mut self, ask: impl FnOnce(&State) -> T) -> Result<T, LedgerError> {
        let ticket = self.machine.query(ask);
        self.settle(None)?;
        self.release(ticket)
    }

    /// The end of the log: what a node keeps with its channel state and gives at the next opening.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.machine.durable()
    }

    /// The machine.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Closes the ledger and hands the store back.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }

    /// Takes the ledger apart, for runtimes of their own: from here on the machine's two-step form
    /// says what is appended and when a reply may be read.
    #[must_use]
    pub fn into_parts(self) -> (Machine, S) {
        (self.machine, self.store)
    }

    /// Keeps a snapshot of the present state, so that the next opening replays only what follows.
    /// Gives its head.
    ///
    /// # Errors
    /// [`LedgerError`] when the store failed; the ledger is poisoned then.
    pub fn save_snapshot(&mut self) -> Result<Head, LedgerError> {
        let snapshot = self.machine.snapshot().map_err(|error| match error {
            SnapshotError::Poisoned(poisoned) => LedgerError::Poisoned(poisoned),
            SnapshotError::InFlight { .. } => LedgerError::Poisoned(Poisoned),
        })?;
        self.keep_house(|store| store.save_snapshot(snapshot.at, &snapshot.bytes))?;
        Ok(snapshot.at)
    }

    /// Drops history: the newest snapshot at or before `stored`, the last head that the node has
    /// stored, becomes the log's base. It is read back and compared with the log first. Gives the
    /// base's head.
    ///
    /// # Errors
    /// [`LedgerError`]; history is complete then, unless the store failed while dropping it.
    pub fn drop_history(&mut self, stored: Head, seed: u64) -> Result<Head, LedgerError> {
        if self.machine.is_poisoned() {
            return Err(Poisoned.into());
        }
        let at = check_base(&self.store, stored, seed)?;
        self.keep_house(|store| store.drop_history(at))?;
        Ok(at)
    }

    /// Replays the whole log and compares it with the present state, the whole of it: nothing was
    /// edited, nothing is missing, and no snapshot that it was opened from told anything else.
    ///
    /// # Errors
    /// [`LedgerError::Replay`] with the place of the first damage; [`LedgerError::StateDiffers`] when
    /// the log is sound and the state is not its fold.
    pub fn verify(&self, seed: u64) -> Result<(), LedgerError> {
        let state = verify(&self.store, seed)?;
        let (replayed, stored) = (state.head(), self.head());
        if replayed != stored {
            return Err(ReplayError::HeadDiffers { replayed, stored }.into());
        }
        let own = self.machine.durable_state().map_err(|_| Poisoned)?;
        if own.digest() == state.digest() {
            Ok(())
        } else {
            Err(LedgerError::StateDiffers { at: stored })
        }
    }

    /// Appends what was recorded, or makes sure that this is still the writer.
    fn settle(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<(), LedgerError> {
        let entries: Vec<Entry> = entries.into_iter().collect();
        if self.machine.is_poisoned() {
            return Err(Poisoned.into());
        }
        if entries.is_empty() {
            self.poison_on_error(EventStore::confirm_owner)
        } else {
            self.append(entries)
        }
    }

    fn append(
        &mut self,
        entries: impl AsRef<[Entry]> + IntoIterator<Item = Entry>,
    ) -> Result<(), LedgerError> {
        self.poison_on_error(|store| store.append(entries.as_ref()))?;
        self.machine.confirmed(entries)?;
        Ok(())
    }

    /// Saving snapshots and dropping history may be refused before anything is touched; then no
    /// outcome is unknown.
    fn keep_house(
        &mut self,
        call: impl FnOnce(&mut S) -> Result<(), StoreError>,
    ) -> Result<(), LedgerError> {
        match call(&mut self.store) {
            Err(error @ StoreError::Missing { .. }) => Err(error.into()),
            outcome => self.poison_on_error(|_| outcome),
        }
    }

    fn poison_on_error(
        &mut self,
        call: impl FnOnce(&mut S) -> Result<(), StoreError>,
    ) -> Result<(), LedgerError> {
        call(&mut self.store).map_err(|error| {
            self.machine.poison();
            error.into()
        })
    }

    fn release<T>(&self, ticket: Ticket<T>) -> Result<T, LedgerError> {
        self.machine.release(ticket).map_err(|error| match error {
            ReleaseError::Poisoned(poisoned) => poisoned.into(),
            ReleaseError::NotDurable(_) | ReleaseError::OtherMachine(_) => Poisoned.into(),
        })
    }
}
