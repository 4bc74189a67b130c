//! The ledger: a machine and a blocking store, one durable step at a time.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    base::amount::UnixMillis,
    base::head::Head,
    decide::operation::Operation,
    ledger::base::check_base,
    ledger::ledger_error::{LedgerError, PoisonedBy},
    ledger::listing::{ListError, list},
    ledger::machine::{Machine, Poisoned, ReleaseError, SnapshotError, Ticket},
    ledger::replay::verify,
    ledger::replay_error::ReplayError,
    log::entry::Entry,
    log::store::{EventStore, StoreError},
    state::listing::{Listing, Page},
    state::state::State,
};

/// Why a command has no reply: it was refused (`R`), or the ledger does not answer (`U`, of a
/// [`Ledger`] its [`LedgerError`], of a shared handle `Unavailable`).
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R: core::error::Error, U: core::error::Error = LedgerError> {
    /// It was refused; nothing was recorded.
    #[error(transparent)]
    Refused(R),
    /// The ledger does not answer; the error says what is known of the command.
    #[error(transparent)]
    Unavailable(#[from] U),
}

/// What each of several commands gets, in their order.
pub type Replies<O> = Vec<Result<<O as Operation>::Reply, <O as Operation>::Refusal>>;

/// A machine on a blocking store: every call returns once its reply is durable.
///
/// The methods, in the order in which a reader needs them: [`open`](Self::open) gives a
/// [`Recovery`](crate::Recovery), which gives a ledger; [`execute`](Self::execute) takes commands and
/// facts; [`query`](Self::query) asks; [`save_snapshot`](Self::save_snapshot) and
/// [`drop_history`](Self::drop_history) keep the log short.
#[derive(Debug)]
pub struct Ledger<S> {
    machine: Machine,
    store: S,
    /// The text of the failure that poisoned the machine.
    cause: Option<Arc<str>>,
}

impl<S: EventStore> Ledger<S> {
    /// A machine, and the store in which its log is.
    pub(crate) const fn of(machine: Machine, store: S) -> Self {
        Self { machine, store, cause: None }
    }

    /// Decides a command or a fact, makes it durable, and returns the reply.
    ///
    /// # Errors
    /// [`ExecuteError::Refused`] with nothing recorded, or [`ExecuteError::Unavailable`] when the store
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

    /// Decides several commands and makes them durable with one append: each is decided on the state
    /// after those before it, and each has its own reply.
    ///
    /// # Errors
    /// [`LedgerError`] when the store failed: the outcome of all of them is unknown, at most the first
    /// ones took effect, and the ledger is poisoned.
    pub fn execute_all<O: Operation>(
        &mut self,
        operations: impl IntoIterator<Item = O>,
        now: UnixMillis,
    ) -> Result<Replies<O>, LedgerError> {
        let steps = operations.into_iter().map(|operation| self.machine.submit(operation, now));
        let (entries, tickets): (Vec<_>, Vec<_>) =
            steps.map(|step| (step.entry, step.ticket)).unzip();
        self.settle(entries.into_iter().flatten())?;
        tickets.into_iter().map(|ticket| self.release(ticket)).collect()
    }

    /// Runs a query on the state.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger is poisoned or another writer has taken the log over.
    pub fn query<T>(&mut self, ask: impl FnOnce(&State) -> T) -> Result<T, LedgerError> {
        let ticket = self.machine.query(ask);
        self.settle(None)?;
        self.release(ticket)
    }

    /// Lists payments, live and remembered, a page at a time. What the state no longer has of them (the
    /// requests of those that are only remembered, the instructions of those that are over) is read from
    /// the log, as far as it reaches back.
    ///
    /// # Errors
    /// [`ExecuteError::Refused`] with why there is no such page, or with the damage in the log.
    pub fn list(&mut self, listing: &Listing) -> Result<Page, ExecuteError<ListError>> {
        list(listing, |rest| {
            let selected = self.query(|state| state.select(rest))?;
            let page = selected
                .map_err(ListError::from)
                .and_then(|selection| Ok(selection.complete(&self.store, rest)?));
            page.map_err(ExecuteError::Refused)
        })
    }

    /// The end of the log: what a node keeps with its channel state and gives at the next opening.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.machine.durable()
    }

    /// The machine, to read its configuration and heads.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The store in which the log is, for reading it directly.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Closes the ledger and hands the store back.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }

    /// Takes the ledger apart, for a runtime of your own: use the machine's two-step form to append
    /// entries and to read replies.
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
        self.maintain(|store| store.save_snapshot(snapshot.at, &snapshot.bytes))?;
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
        self.maintain(|store| store.drop_history(base.at()))?;
        Ok(base.at())
    }

    /// Replays the whole log and compares it with the present state, the whole of it: nothing was
    /// edited, nothing is missing, and the snapshot that it was opened from was right.
    ///
    /// # Errors
    /// [`LedgerError::Replay`] with the place of the first damage; [`LedgerError::StateDiffers`] when
    /// the log is sound but does not fold to the present state.
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

    /// Appends what was recorded; without entries, confirms that this is still the writer.
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

    pub(crate) fn append(
        &mut self,
        entries: impl AsRef<[Entry]> + IntoIterator<Item = Entry>,
    ) -> Result<(), LedgerError> {
        self.poison_on_error(|store| store.append(entries.as_ref()))?;
        self.machine.confirmed(entries)?;
        Ok(())
    }

    /// Saves a snapshot or drops history. A failure is of that call alone, unless the store answers
    /// nothing any more: then the log itself is unknown.
    fn maintain(
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
