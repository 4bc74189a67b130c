//! The ledger: a machine and a blocking store, one durable step at a time.

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{fmt, ops::ControlFlow};

use crate::{
    amount::UnixMillis,
    chain::Head,
    command::{Operation, sealed},
    config::{Config, Remember},
    decide::{Context, Decision},
    entry::Entry,
    event::Event,
    machine::{Machine, OpenedBy, Poisoned, ReleaseError, SnapshotError, Ticket},
    recovery::Recovery,
    refusal::NeverRefused,
    relay::{Relay, in_turn},
    replay::{Replay, ReplayError, verify},
    reply::FactReply,
    state::{Dropped, State},
    state_digest::StateDigest,
    store::{EventSource, EventStore, Exclusion, Fence, Snapshot, StoreError},
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

/// Why the ledger answers nothing, or this question not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store failed. The ledger is poisoned, unless this was the error of a snapshot or of
    /// dropping history alone.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An earlier failure left the outcome unknown.
    #[error(transparent)]
    Poisoned(#[from] PoisonedBy),
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

/// The ledger is poisoned, and what the first failure said, if it was the store's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoisonedBy {
    /// What the store's first failure said.
    pub cause: Option<Arc<str>>,
}

impl fmt::Display for PoisonedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            None => Poisoned.fmt(f),
            Some(cause) => write!(f, "{Poisoned} ({cause})"),
        }
    }
}

impl core::error::Error for PoisonedBy {}

impl From<Poisoned> for LedgerError {
    fn from(_: Poisoned) -> Self {
        Self::Poisoned(PoisonedBy { cause: None })
    }
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
/// snapshot must be its state, in whatever version it was written. `seed` keys the hash tables.
///
/// # Errors
/// [`LedgerError`] if there is none, or with the place of the first damage. Nothing was changed.
pub fn check_base(
    store: &(impl EventSource + ?Sized),
    stored: Head,
    seed: u64,
) -> Result<CheckedBase, LedgerError> {
    let snapshot = store.load_snapshot(stored.seq)?;
    let snapshot = snapshot.ok_or(LedgerError::NoSnapshot { seq: stored.seq })?;
    let mut base = BaseCheck::new(&snapshot, store, seed)?;
    let at = snapshot.at;
    drop(snapshot);
    let mut replay = Replay::from_beginning(store, seed)?.watch(Some(stored));
    base.compare(replay.state());
    let mut failed = None;
    let from = replay.state().head().seq + 1;
    store.replay(from, &mut |entry| {
        if let Err(error) = replay.entry(entry) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        base.compare(replay.state());
        ControlFlow::Continue(())
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if !replay.contains_known() {
        return Err(LedgerError::UnknownHead { head: stored });
    }
    base.finish().ok_or(LedgerError::SnapshotDiffers { at })
}

/// A snapshot on its way to become a base: whether it is the state of the log at its head. A snapshot
/// that an older program wrote may be encoded otherwise and be the same state all the same, so states
/// are compared: as this program encodes them both.
#[derive(Debug)]
pub struct BaseCheck {
    base: CheckedBase,
    state: StateDigest,
    same: bool,
}

impl BaseCheck {
    /// Begins with a snapshot, which may be dropped afterwards.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not readable, or the store's base is not.
    pub fn new(
        snapshot: &Snapshot,
        store: &(impl EventSource + ?Sized),
        seed: u64,
    ) -> Result<Self, LedgerError> {
        let unreadable = |_| LedgerError::SnapshotDiffers { at: snapshot.at };
        let digest = StateDigest::of(&snapshot.bytes).map_err(unreadable)?;
        let state = State::decode(&snapshot.bytes, seed).map_err(unreadable)?.digest();
        let replaces = store.base()?.map(|base| base.at.seq);
        let base = CheckedBase { at: snapshot.at, digest, replaces };
        Ok(Self { base, state, same: false })
    }

    /// Compares it with the state of the log, if that is the one at its head.
    pub fn compare(&mut self, state: &State) {
        if state.head() == self.base.at {
            self.same = state.digest() == self.state;
        }
    }

    /// The base, if it was the state of the log.
    #[must_use]
    pub fn finish(self) -> Option<CheckedBase> {
        self.same.then_some(self.base)
    }
}

/// A snapshot that is the state of its log and may become its base. It is an operation: its decision
/// records that, which must be durable before the store drops what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedBase {
    at: Head,
    digest: StateDigest,
    replaces: Option<u64>,
}

impl CheckedBase {
    /// Its head.
    #[must_use]
    pub const fn at(&self) -> Head {
        self.at
    }
}

impl sealed::Sealed for CheckedBase {}

impl Operation for CheckedBase {
    type Reply = FactReply;
    type Refusal = NeverRefused;

    fn decide(
        self,
        state: &State,
        _context: &Context<'_>,
    ) -> Result<Decision<FactReply>, NeverRefused> {
        let Self { at: base, digest, replaces } = self;
        let known = state.dropped.contains(&Dropped { base, digest });
        let event = Event::HistoryDropped { base, digest, replaces };
        let events = if known { Vec::new() } else { alloc::vec![event] };
        Ok(Decision { reply: FactReply { changed: !known, payment: None }, events })
    }
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
    /// What the failure said that poisoned the machine.
    cause: Option<Arc<str>>,
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
        let mut ledger = Self { machine, store, cause: None };
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
    /// [`LedgerError`] when the store failed: the ledger goes on, unless the log itself is unknown
    /// now.
    pub fn save_snapshot(&mut self) -> Result<Head, LedgerError> {
        let snapshot = self.machine.snapshot().map_err(|error| match error {
            SnapshotError::Poisoned(_) | SnapshotError::InFlight { .. } => self.poisoned(),
        })?;
        self.keep_house(|store| store.save_snapshot(snapshot.at, &snapshot.bytes))?;
        Ok(snapshot.at)
    }

    /// Drops history: the newest snapshot at or before `stored`, the last head that the node has
    /// stored, becomes the log's base. It is read back and compared with the log first, and what
    /// becomes the base is recorded. Gives the base's head.
    ///
    /// # Errors
    /// [`LedgerError`]; history is complete then, unless the store failed while dropping it. The
    /// ledger goes on, unless the log itself is unknown now.
    pub fn drop_history(&mut self, stored: Head, seed: u64) -> Result<Head, LedgerError> {
        if self.machine.is_poisoned() {
            return Err(self.poisoned());
        }
        let base = check_base(&self.store, stored, seed)?;
        let step = self.machine.submit(base, self.machine.last_now());
        self.settle(step.entry)?;
        match self.release(step.ticket)? {
            Ok(_) => {}
            Err(never) => match never {},
        }
        self.keep_house(|store| store.drop_history(base.at()))?;
        Ok(base.at())
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
            return Err(self.poisoned());
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

    /// Saves a snapshot or drops history. A failure is of that call alone, unless the store answers
    /// nothing any more: then the log itself is unknown.
    fn keep_house(
        &mut self,
        call: impl FnOnce(&mut S) -> Result<(), StoreError>,
    ) -> Result<(), LedgerError> {
        match call(&mut self.store) {
            Err(error) if self.store.head().is_ok() => Err(error.into()),
            outcome => self.poison_on_error(|_| outcome),
        }
    }

    fn poison_on_error(
        &mut self,
        call: impl FnOnce(&mut S) -> Result<(), StoreError>,
    ) -> Result<(), LedgerError> {
        call(&mut self.store).map_err(|error| {
            self.machine.poison();
            self.cause.get_or_insert_with(|| error.cause());
            error.into()
        })
    }

    fn poisoned(&self) -> LedgerError {
        LedgerError::Poisoned(PoisonedBy { cause: self.cause.clone() })
    }

    fn release<T>(&self, ticket: Ticket<T>) -> Result<T, LedgerError> {
        self.machine.release(ticket).map_err(|error| match error {
            ReleaseError::Poisoned(_)
            | ReleaseError::NotDurable(_)
            | ReleaseError::OtherMachine(_) => self.poisoned(),
        })
    }
}
