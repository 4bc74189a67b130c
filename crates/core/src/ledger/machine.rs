//! The machine: one state that runs ahead of the disk, in the two-step form. A step gives an entry
//! to persist and a reply that cannot be read before what it was decided on is durable.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::{
    base::amount::UnixMillis, base::bounded::Text, base::head::Head, base::wire::FORMAT_VERSION,
    decide::command::WithdrawPart, decide::config::Config, decide::decision::Context,
    decide::operation::Operation, decide::reply::Release, event::event::Event, log::entry::Entry,
    log::loss::LossAlarm, log::store::Snapshot, state::state::State,
};

/// The core in its two-step form, for runtimes of their own; several entries may be in flight.
///
/// The order of calls, for each command:
///
/// 1. [`submit`](Self::submit) (or [`query`](Self::query)) gives a [`Step`]: an entry, if there is
///    something to record, and a [`Ticket`].
/// 2. Append the entries to the store, in the order in which they were made; any number at once.
///    For a step without an entry ask the store to `confirm_owner`.
/// 3. [`confirmed`](Self::confirmed) with the entries, or [`poison`](Self::poison) if the store
///    failed.
/// 4. [`release`](Self::release) the tickets; or give [`receipt`](Self::receipt)s to those who hold
///    them, who [`redeem`](Ticket::redeem) them by themselves.
///
/// An entry that is dropped, skipped or confirmed out of order poisons the machine: only opening
/// the log again tells what happened.
#[derive(Debug)]
pub struct Machine {
    state: State,
    config: Config,
    durable: Head,
    /// When the last entry was decided: for what has no time of its own.
    last_now: UnixMillis,
    in_flight: VecDeque<Head>,
    poisoned: bool,
    lost: Arc<AtomicBool>,
}

/// One command decided.
#[derive(Debug)]
#[must_use = "an entry must be persisted and confirmed"]
pub struct Step<T> {
    /// What to append to the log; `None` if there is nothing to record.
    pub entry: Option<Entry>,
    /// The reply, sealed until it may be read.
    pub ticket: Ticket<T>,
}

/// A reply that cannot be read before the head on which it was decided is durable.
#[must_use = "a reply is read by releasing its ticket"]
pub struct Ticket<T> {
    reply: T,
    seq: u64,
    refresh: fn(&mut T, &State),
    /// Whether there is nothing to refresh.
    stands: bool,
    machine: Arc<AtomicBool>,
}

/// Proof that everything up to a seq is durable: reads most replies away from the machine, where
/// many wait for it.
#[derive(Debug, Clone)]
pub struct Receipt {
    seq: u64,
    machine: Arc<AtomicBool>,
}

impl<T> core::fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Ticket(sealed until seq {})", self.seq)
    }
}

impl<T> Ticket<T> {
    /// The seq that must be durable before the reply can be read.
    #[must_use]
    pub const fn waits_for(&self) -> u64 {
        self.seq
    }

    /// Reads the reply, as [`Machine::release`] would have done when the receipt was given.
    ///
    /// # Errors
    /// The ticket, if only its machine can release it: the receipt does not reach as far, is of
    /// another machine, or the reply tells how things stand at its release.
    pub fn redeem(self, receipt: &Receipt) -> Result<T, Self> {
        let covered = self.seq <= receipt.seq && Arc::ptr_eq(&self.machine, &receipt.machine);
        if covered && self.stands { Ok(self.reply) } else { Err(self) }
    }
}

/// Why a reply cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError<T> {
    /// What it was decided on is not durable yet. The ticket is handed back.
    #[error("the reply waits for seq {}, which is not durable yet", .0.seq)]
    NotDurable(Ticket<T>),
    /// The ticket is of another machine. It is handed back.
    #[error("the ticket is of another machine")]
    OtherMachine(Ticket<T>),
    /// The machine is poisoned: it answers nothing any more.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// The outcome of an earlier entry is unknown; only opening the log again tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger is poisoned: open the log again to learn what happened")]
#[non_exhaustive]
pub struct Poisoned;

/// Why a snapshot cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Entries are in flight: the state runs ahead of the log.
    #[error("{entries} entries are in flight: take the snapshot once they are durable")]
    InFlight {
        /// How many.
        entries: usize,
    },
    /// The machine is poisoned.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// Who opens a log, as its Opened event records it. Longer texts are cut at their limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenedBy<'a> {
    /// The writer's name and version.
    pub program: &'a str,
    /// Who runs it: a host and a process, say.
    pub holder: &'a str,
    /// The store's own number of this taking-over ([`Fence::number`](crate::Fence::number)).
    pub fence: Option<u64>,
}

impl<'a> From<&'a str> for OpenedBy<'a> {
    /// By a program of which no more is said.
    fn from(program: &'a str) -> Self {
        Self { program, ..Self::default() }
    }
}

impl Machine {
    /// Opens a replayed state for writing: recovery begins. `restored` says that the log lacks a
    /// head that the node knew durable. The entry is the first to append.
    ///
    /// # Panics
    /// If the state is inconsistent; [`Replay::finish`](crate::Replay::finish) refuses those.
    pub fn open<'a>(
        state: State,
        config: Config,
        by: impl Into<OpenedBy<'a>>,
        restored: bool,
        now: UnixMillis,
    ) -> (Self, Entry) {
        let by = by.into();
        assert_eq!(state.inconsistent, None, "a log with an event that does not fit is not opened");
        let epoch = state.epoch + 1;
        let opened = Event::Opened {
            epoch,
            restored,
            program: Text::from(by.program).cut(),
            format: FORMAT_VERSION,
            holder: Text::from(by.holder).cut(),
            fence: by.fence,
        };
        let mut machine = Self {
            durable: state.head,
            last_now: now,
            state,
            config,
            in_flight: VecDeque::new(),
            poisoned: false,
            lost: Arc::new(AtomicBool::new(false)),
        };
        let entry = machine.record(now, epoch, &[opened]);
        (machine, entry)
    }

    /// How it decides.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The end of what is known durable.
    #[must_use]
    pub const fn durable(&self) -> Head {
        self.durable
    }

    /// When the last entry was decided: the time of what has none of its own, as dropping history.
    #[must_use]
    pub const fn last_now(&self) -> UnixMillis {
        self.last_now
    }

    /// How many entries wait for their confirmation.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether it answers nothing any more.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned || self.lost.load(Ordering::Acquire)
    }

    /// Decides a command against the newest state, durable or not.
    pub fn submit<O: Operation>(
        &mut self,
        operation: O,
        now: UnixMillis,
    ) -> Step<Result<O::Reply, O::Refusal>> {
        let context = Context { now, config: &self.config, durable_seq: self.durable.seq };
        match operation.decide(&self.state, &context) {
            Ok(decision) if decision.events.is_empty() => {
                Step { entry: None, ticket: self.answer(Ok(decision.reply)) }
            }
            // A poisoned machine records nothing more, and its tickets are never released.
            Ok(decision) if self.is_poisoned() => {
                Step { entry: None, ticket: self.answer(Ok(decision.reply)) }
            }
            Ok(decision) => {
                let entry = self.record(now, self.state.epoch, &decision.events);
                Step { entry: Some(entry), ticket: self.answer(Ok(decision.reply)) }
            }
            Err(refusal) => Step { entry: None, ticket: self.answer(Err(refusal)) },
        }
    }

    /// Asks the newest state. The answer is a reply like any other: it waits for the head it saw.
    pub fn query<T>(&self, ask: impl FnOnce(&State) -> T) -> Ticket<T> {
        self.ticket(ask(&self.state), |_, _| {}, true)
    }

    /// Takes back entries that are durable now, in the order in which they were made.
    ///
    /// # Errors
    /// [`Poisoned`] when they are not the next ones: the machine is poisoned then.
    pub fn confirmed(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<Head, Poisoned> {
        for mut entry in entries {
            let own = entry.loss.is_of(&self.lost);
            let next = self.in_flight.front() == Some(&entry.after);
            if self.is_poisoned() || !own || !next {
                self.poisoned = true;
                return Err(Poisoned);
            }
            entry.loss.disarm();
            self.in_flight.pop_front();
            self.durable = entry.after;
        }
        if self.is_poisoned() { Err(Poisoned) } else { Ok(self.durable) }
    }

    /// Says that an append failed: its outcome is unknown, and nothing is answered any more.
    pub const fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Proof of what is durable now, for who reads replies elsewhere.
    ///
    /// # Errors
    /// [`Poisoned`].
    pub fn receipt(&self) -> Result<Receipt, Poisoned> {
        if self.is_poisoned() {
            return Err(Poisoned);
        }
        Ok(Receipt { seq: self.durable.seq, machine: Arc::clone(&self.lost) })
    }

    /// Reads a reply.
    ///
    /// # Errors
    /// [`ReleaseError`], with the ticket handed back where it can still be released.
    pub fn release<T>(&self, mut ticket: Ticket<T>) -> Result<T, ReleaseError<T>> {
        if !Arc::ptr_eq(&ticket.machine, &self.lost) {
            return Err(ReleaseError::OtherMachine(ticket));
        }
        if self.is_poisoned() {
            return Err(ReleaseError::Poisoned(Poisoned));
        }
        if ticket.seq > self.durable.seq {
            return Err(ReleaseError::NotDurable(ticket));
        }
        (ticket.refresh)(&mut ticket.reply, &self.state);
        Ok(ticket.reply)
    }

    /// The newest state, durable or not: for deciding, never for answering.
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// The state, while all of it is durable.
    ///
    /// # Errors
    /// [`SnapshotError`] while entries are in flight, or when the machine is poisoned.
    pub fn durable_state(&self) -> Result<&State, SnapshotError> {
        if self.is_poisoned() {
            return Err(SnapshotError::Poisoned(Poisoned));
        }
        match self.in_flight.len() {
            0 => Ok(&self.state),
            entries => Err(SnapshotError::InFlight { entries }),
        }
    }

    /// A snapshot of the durable state.
    ///
    /// # Errors
    /// [`SnapshotError`] while entries are in flight, or when the machine is poisoned.
    pub fn snapshot(&self) -> Result<Snapshot, SnapshotError> {
        let state = self.durable_state()?;
        Ok(Snapshot { at: state.head, bytes: state.encode() })
    }

    /// What must be withdrawn because nobody will ever read this reply (a caller that gave up): the
    /// parts of a Dispatch's batch, nothing otherwise. A ticket that was never released is proof
    /// that nobody was given the right to offer them, whether or not their entry is durable yet. A
    /// ticket of another machine gives nothing.
    #[must_use = "parts that nobody withdraws stay in flight"]
    pub fn forfeit<T: Release, E>(&self, ticket: Ticket<Result<T, E>>) -> Vec<WithdrawPart> {
        match ticket.reply {
            Ok(reply) if Arc::ptr_eq(&ticket.machine, &self.lost) => reply.forfeit(),
            _ => Vec::new(),
        }
    }

    fn answer<T: Release, E>(&self, reply: Result<T, E>) -> Ticket<Result<T, E>> {
        let stands = reply.as_ref().map_or(true, Release::stands);
        let refresh = |reply: &mut Result<T, E>, state: &State| {
            if let Ok(reply) = reply {
                reply.refresh(state);
            }
        };
        self.ticket(reply, refresh, stands)
    }

    fn ticket<T>(&self, reply: T, refresh: fn(&mut T, &State), stands: bool) -> Ticket<T> {
        let machine = Arc::clone(&self.lost);
        Ticket { reply, seq: self.state.head.seq, refresh, stands, machine }
    }

    fn record(&mut self, now: UnixMillis, epoch: u64, events: &[Event]) -> Entry {
        let (header, mut entry) = Entry::encoded(self.state.head, epoch, now, events)
            .expect("the limits of commands keep every entry readable and below its limit");
        self.state.fold(&header, entry.after, events);
        assert_eq!(self.state.inconsistent, None, "decide proposes only events that fit");
        self.last_now = now;
        self.in_flight.push_back(entry.after);
        entry.loss = LossAlarm::of(&self.lost);
        entry
    }
}
