//! The handle.

use std::{
    fmt,
    ops::ControlFlow,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use payonce_core::{
    Entry, EventSource, EventStore, Exclusion, Fence, Head, LedgerId, Snapshot, SnapshotWriter,
    StoreError, StoredEntry, TakenOver,
};
use tokio::{sync::Notify, time::Instant};

use crate::{
    config::Config,
    error::PostgresError,
    ledgers,
    reading::{self, Cursor, Read},
    schema,
    session::{Purpose, Session},
    shared::Shared,
    thread::Thread,
    upkeep,
    writing::{self, Batch},
};

/// A ledger in a PostgreSQL database.
///
/// It becomes the writer with [`fence`](EventStore::fence), which shuts any former writer out; before
/// that it writes nothing, and shows the log up to where it ended when it was opened or
/// [refreshed](Self::refresh). After any failed append the handle is poisoned: what is there is known
/// again only once the log has been opened anew.
///
/// It has a thread of its own that speaks with the server, so that it can be called from a thread and
/// from a task; the calls block.
pub struct PostgresStore {
    shared: Arc<Shared>,
    health: Health,
    head: Head,
    /// Until when this handle may answer without asking the database again counts from here.
    confirmed: Option<Instant>,
    /// Wakes who tells followers.
    told: Option<Arc<Notify>>,
}

#[derive(Debug, Clone)]
enum Health {
    /// Not the writer yet.
    Opened,
    /// The writer, by the number of its fence.
    Writer(i64),
    /// Another writer took over.
    Fenced(Option<TakenOver>),
    /// A call left the log unknown, and said so.
    Poisoned(Arc<str>),
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("place", &self.shared.config.place())
            .field("name", &self.shared.name)
            .field("ledger", &self.shared.ledger)
            .field("head", &self.head)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Creates an empty ledger of this name, and the tables of payonce if the database has none, for
    /// which the user needs the right to create a schema.
    ///
    /// # Errors
    /// [`PostgresError::AlreadyExists`] if there is a ledger of this name; any other says what the
    /// server or its settings lack.
    pub fn create(config: Config, name: &str, ledger: LedgerId) -> Result<Self, PostgresError> {
        Self::create_with(config, name, ledger, None)
    }

    /// As [`create`](Self::create), for a ledger whose history up to a base was dropped: a copy of another
    /// one ([`payonce_core::copy`]), whose entries after its base are appended next. The log says itself
    /// which base is its own, and opening checks it ([`payonce_core::State::check_base`]).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_from(
        config: Config,
        name: &str,
        ledger: LedgerId,
        base: &Snapshot,
    ) -> Result<Self, PostgresError> {
        Self::create_with(config, name, ledger, Some(base.clone()))
    }

    fn create_with(
        config: Config,
        name: &str,
        ledger: LedgerId,
        base: Option<Snapshot>,
    ) -> Result<Self, PostgresError> {
        let (thread, asked, own) = (Thread::start()?, config.clone(), name.to_owned());
        let row = thread.wait(async move { ledgers::create(&asked, &own, ledger, base).await })?;
        Ok(Self::of(Shared::new(config, name, &row, thread), row.head))
    }

    /// Opens the ledger of this name and modifies nothing. A standby will do until it is to be the
    /// writer.
    ///
    /// # Errors
    /// [`PostgresError::NoLedger`] or [`PostgresError::NoSchema`] if there is none; any other says what
    /// the server lacks.
    pub fn open(config: Config, name: &str) -> Result<Self, PostgresError> {
        let (thread, asked, own) = (Thread::start()?, config.clone(), name.to_owned());
        let row = thread.wait(async move { ledgers::open(&asked, &own).await })?;
        Ok(Self::of(Shared::new(config, name, &row, thread), row.head))
    }

    const fn of(shared: Arc<Shared>, head: Head) -> Self {
        Self { shared, health: Health::Opened, head, confirmed: None, told: None }
    }

    /// The names of all ledgers in the database, in order.
    ///
    /// # Errors
    /// [`PostgresError`] with what the server lacks.
    pub fn list(config: &Config) -> Result<Vec<String>, PostgresError> {
        let (thread, config) = (Thread::start()?, config.clone());
        thread.wait(async move {
            let session = Session::open(&config, Purpose::Reading).await?;
            schema::check(&config, &session).await?;
            ledgers::names(&config, &session, i64::MAX).await
        })
    }

    /// Brings the tables of payonce to this program's version, or creates them: what an administrator
    /// runs, as their owner, before programs with fewer rights use them. Several at once are safe.
    ///
    /// # Errors
    /// [`PostgresError::NewerSchema`] if they are newer; any other says what the server lacks.
    pub fn migrate(config: &Config) -> Result<(), PostgresError> {
        let (thread, config) = (Thread::start()?, config.clone());
        thread.wait(async move {
            let session = Session::open(&config, Purpose::Writing).await?;
            schema::migrate(&config, &session).await
        })
    }

    /// The name of the ledger.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Looks where the log ends now, on a handle that is not the writer.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot say.
    pub fn refresh(&mut self) -> Result<Head, StoreError> {
        self.check_usable()?;
        if matches!(self.health, Health::Opened) {
            let shared = Arc::clone(&self.shared);
            self.head = self.shared.wait(async move {
                let session = shared.reader().await?;
                let row = shared.row(&session).await?;
                shared.give_back(session);
                Ok(row.head)
            })?;
        }
        Ok(self.head)
    }

    /// Closes the handle and says in the database that its writer is over, so that a successor that
    /// spares writers seen lately need not wait. Dropping the handle is as safe, and says nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if another writer has taken over meanwhile; any other if the database
    /// was not told. The handle is closed in any case.
    pub fn close(self) -> Result<(), StoreError> {
        let Health::Writer(fence) = self.health else { return self.check_usable() };
        let shared = Arc::clone(&self.shared);
        let head = self.head;
        Ok(self.shared.wait(writing::release(shared, fence, head))?)
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        match &self.health {
            Health::Opened | Health::Writer(_) => Ok(()),
            Health::Fenced(by) => Err(StoreError::Fenced { by: by.clone() }),
            Health::Poisoned(cause) => Err(StoreError::Poisoned { cause: Arc::clone(cause) }),
        }
    }

    fn check_writer(&self) -> Result<i64, StoreError> {
        self.check_usable()?;
        match self.health {
            Health::Writer(fence) => Ok(fence),
            _ => Err(PostgresError::NotFenced.into()),
        }
    }

    /// Notes what a writing call says: after an error nothing more is answered.
    fn poison<T>(&mut self, outcome: Result<T, PostgresError>) -> Result<T, StoreError> {
        let outcome = self.note_fenced(outcome);
        if let Err(error) = &outcome
            && !matches!(self.health, Health::Fenced(_))
        {
            self.health = Health::Poisoned(error.cause());
        }
        outcome
    }

    /// Notes if another writer took over; any other error is of the call alone.
    fn note_fenced<T>(&mut self, outcome: Result<T, PostgresError>) -> Result<T, StoreError> {
        let outcome = outcome.map_err(StoreError::from);
        if let Err(StoreError::Fenced { by }) = &outcome {
            self.health = Health::Fenced(by.clone());
        }
        outcome
    }

    fn check_continues(&self, entries: &[Entry]) -> Result<(), PostgresError> {
        let mut actual = self.head;
        for entry in entries {
            if entry.before() != actual {
                return Err(PostgresError::NotNext { expected: entry.before(), actual });
            }
            actual = entry.after();
        }
        Ok(())
    }

    /// Starts reading what a cursor comes to next, while its reader visits what came before.
    fn read_on(&self, cursor: Cursor) -> Receiver<Result<Read, PostgresError>> {
        let (answer, answers) = sync_channel(1);
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(async move {
            // Whoever asked may have broken off.
            let _ = answer.send(reading::next(shared, cursor).await);
        });
        answers
    }
}

impl EventSource for PostgresStore {
    fn ledger_id(&self) -> LedgerId {
        self.shared.ledger
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.check_usable()?;
        Ok(self.head)
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.check_usable()?;
        let (shared, to) = (Arc::clone(&self.shared), self.head);
        let mut cursor = self.shared.wait(reading::replay(shared, from, to))?;
        let mut coming = cursor.take().map(|cursor| self.read_on(cursor));
        while let Some(answers) = coming {
            let ended = || Err(PostgresError::Thread(std::io::Error::other("it ended")));
            let Read { rows, rest } = answers.recv().unwrap_or_else(|_| ended())?;
            coming = rest.map(|cursor| self.read_on(cursor));
            for (first_seq, row) in &rows {
                let entry = StoredEntry { first_seq: *first_seq, bytes: Read::bytes(row) };
                // An entry that began before it is no part of what was asked for.
                if *first_seq >= from && visit(entry).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.check_usable()?;
        let (shared, at_most) = (Arc::clone(&self.shared), at_most.min(self.head.seq));
        Ok(self.shared.wait(reading::load_snapshot(shared, at_most))?)
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.check_usable()?;
        Ok(self.shared.wait(reading::base(Arc::clone(&self.shared)))?)
    }
}

impl EventStore for PostgresStore {
    fn exclusion(&self) -> Exclusion {
        Exclusion::Atomic
    }

    fn fence(&mut self) -> Result<Fence, StoreError> {
        self.check_usable()?;
        let sent = Instant::now();
        let fenced = self.shared.wait(writing::fence(Arc::clone(&self.shared)));
        let (number, head) = self.poison(fenced)?;
        self.health = Health::Writer(number);
        self.head = head;
        self.confirmed = Some(sent);
        if self.shared.config.notify {
            self.told = Some(crate::follower::tell(&self.shared));
        }
        Ok(Fence { head, number: u64::try_from(number).ok() })
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let fence = self.check_writer()?;
        let Some(last) = entries.last().map(Entry::after) else { return Ok(()) };
        let batches = self.check_continues(entries).and_then(|()| Batch::split(entries));
        let batches = self.poison(batches)?;
        let shared = Arc::clone(&self.shared);
        let appended = self.shared.wait(writing::append(shared, fence, batches));
        self.confirmed = Some(self.poison(appended)?);
        self.head = last;
        if let Some(told) = &self.told {
            told.notify_one();
        }
        Ok(())
    }

    fn confirm_owner(&mut self) -> Result<(), StoreError> {
        let fence = self.check_writer()?;
        let within: Duration = self.shared.config.confirm_within;
        if self.confirmed.is_some_and(|sent| sent.elapsed() < within) {
            return Ok(());
        }
        let (shared, head) = (Arc::clone(&self.shared), self.head);
        let confirmed = self.shared.wait(writing::confirm(shared, fence, head));
        self.confirmed = Some(self.note_fenced(confirmed)?);
        Ok(())
    }

    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        let fence = self.check_writer()?;
        let (shared, state) = (Arc::clone(&self.shared), bytes.to_vec());
        let saved = self.shared.wait(upkeep::save_snapshot(shared, fence, at, state));
        self.note_fenced(saved)
    }

    fn snapshot_writer(&self) -> Option<Box<dyn SnapshotWriter + Send>> {
        let Health::Writer(fence) = self.health else { return None };
        Some(Box::new(Beside { shared: Arc::clone(&self.shared), fence }))
    }

    fn drop_history(&mut self, base: Head) -> Result<(), StoreError> {
        let fence = self.check_writer()?;
        let shared = Arc::clone(&self.shared);
        let dropped = self.shared.wait(upkeep::drop_history(shared, fence, base));
        self.note_fenced(dropped)
    }
}

/// Saves snapshots beside appends.
struct Beside {
    shared: Arc<Shared>,
    fence: i64,
}

impl SnapshotWriter for Beside {
    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        let (shared, state) = (Arc::clone(&self.shared), bytes.to_vec());
        Ok(self.shared.wait(upkeep::save_snapshot(shared, self.fence, at, state))?)
    }
}
