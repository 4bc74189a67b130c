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

/// The core in its two-step form, for a runtime of your own; several entries may be in flight.
///
/// The order of calls, for each command:
///
/// 1. [`submit`](Self::submit) (or [`query`](Self::query)) gives a [`Step`]: an entry, if there is
///    something to record, and a [`Ticket`].
/// 2. Append the entries to the store, in the order in which they were made; any number at once.
///    For a step without an entry ask the store to `confirm_owner`.
/// 3. [`confirmed`](Self::confirmed) with the entries, or [`poison`](Self::poison) if the store
///    failed.
/// 4. [`release`](Self::release) the tickets; or give [`receipt`](Self::receipt)s to the threads that
///    have the tickets, which [`redeem`](Ticket::redeem) them by themselves.
///
/// An entry that is dropped, skipped or confirmed out of order poisons the machine: only opening
/// the log again shows what happened.
#[derive(Debug)]
pub struct Machine {
    state: State,
    config: Config,
    durable: Head,
    /// The `now` of the last entry: for operations that have none of their own.
    last_now: UnixMillis,
    in_flight: VecDeque<Head>,
    poisoned: bool,
    lost: Arc<AtomicBool>,
}

/// One command decided: what to append, and the sealed reply.
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
    /// Whether nothing that happens until its release can change the reply.
    stands: bool,
    machine: Arc<AtomicBool>,
}

/// Proof that everything up to a seq is durable: with it most replies can be read without the machine,
/// when many threads wait for it.
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
    /// The ticket, if only its machine can release it: the receipt is for an earlier seq or of another
    /// machine, or the reply must be updated at its release.
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
    /// The machine is poisoned and releases no reply any more.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// The outcome of an earlier entry is unknown; only opening the log again shows it.
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
        /// How many entries are not confirmed.
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
    /// A program with nothing else known about it.
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

    /// The configuration with which the machine was opened.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The end of what is known durable.
    #[must_use]
    pub const fn durable(&self) -> Head {
        self.durable
    }

    /// The `now` of the last entry: the time of operations that have none of their own, such as dropping
    /// history.
    #[must_use]
    pub const fn last_now(&self) -> UnixMillis {
        self.last_now
    }

    /// How many entries wait for their confirmation.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether it is poisoned: then it releases no reply any more.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned || self.lost.load(Ordering::Acquire)
    }

    /// Decides a command on the newest state, durable or not.
    pub fn submit<O: Operation>(
        &mut self,
        operation: O,
        now: UnixMillis,
    ) -> Step<Result<O::Reply, O::Refusal>> {
        self.submit_seen(operation, now, |_| {})
    }

    /// As [`submit`](Self::submit), and shows each event that was decided, in order, before it is known to
    /// be durable: to a runtime that keeps a note of whom to wake once it is.
    pub fn submit_seen<O: Operation>(
        &mut self,
        operation: O,
        now: UnixMillis,
        see: impl FnMut(&Event),
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
                decision.events.iter().for_each(see);
                let entry = self.record(now, self.state.epoch, &decision.events);
                Step { entry: Some(entry), ticket: self.answer(Ok(decision.reply)) }
            }
            Err(refusal) => Step { entry: None, ticket: self.answer(Err(refusal)) },
        }
    }

    /// Runs a query on the newest state. The result is a reply like any other: it waits until the head
    /// that it saw is durable.
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

    /// Proof of what is durable now, for threads that read their replies themselves.
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
        debug_assert!(self.durable.seq <= self.state.head.seq, "what is durable was decided");
        (ticket.refresh)(&mut ticket.reply, &self.state);
        Ok(ticket.reply)
    }

    /// The newest state, durable or not: for deciding, never for replies.
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

    /// What must be withdrawn because nobody will ever read this reply (the caller gave up): the parts
    /// of a Dispatch, otherwise nothing. A ticket that was never released proves that nobody got the
    /// right to offer them, whether or not their entry is durable yet. Empty for a ticket of another
    /// machine.
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
        self.state.fold_decided(&header, entry.after, events);
        assert_eq!(self.state.inconsistent, None, "decide proposes only events that fit");
        self.last_now = now;
        // Replies wait for their head: if a head did not rise, its reply would be released too early (`release`).
        let before = self.in_flight.back().unwrap_or(&self.durable).seq;
        debug_assert!(before < entry.after.seq, "each entry ends after the one before it");
        self.in_flight.push_back(entry.after);
        entry.loss = LossAlarm::of(&self.lost);
        entry
    }
}
