//! cqrs-es on SQLite through sqlx: WAL, `synchronous=FULL`, one connection (more would only be told
//! that the database is locked). The same commands, decided by an aggregate for each payment, and
//! events as a user of cqrs-es writes them: JSON is its format.

use std::{path::Path, sync::Arc};

use cqrs_es::{Aggregate, CqrsFramework, DomainEvent, persist::PersistedEventStore};
use sqlite_es::{SqliteCqrs, SqliteEventRepository};
use sqlx::{
    Pool, Sqlite,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::runtime::Runtime;

use super::{
    AsyncWriter, Committing, Log, Subject, Writer,
    aggregate::{self, Payment, event_of},
};
use crate::{
    Result,
    life::{BEGIN, Planned, Record},
};

/// `cqrs-es`.
pub(crate) struct Cqrs;

/// Of `sqlite-es`, as its README gives it.
const TABLE: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence integer CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload text NOT NULL,
    metadata text NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
) STRICT";

const INSERT: &str = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, '{}')";

impl Subject for Cqrs {
    fn name(&self) -> &'static str {
        "cqrs-es"
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Log>> {
        Ok(Box::new(Self::create(directory)?))
    }
}

impl Cqrs {
    fn create(directory: &Path) -> Result<Open> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let options = SqliteConnectOptions::new()
            .filename(directory.join("events.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = runtime.block_on(async {
            // Whoever waits, waits for the connection: with 64 writers that may take a while.
            let pool = SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(std::time::Duration::from_mins(10))
                .connect_with(options)
                .await?;
            sqlx::query(TABLE).execute(&pool).await?;
            Ok::<_, sqlx::Error>(pool)
        })?;
        let store = PersistedEventStore::new_event_store(SqliteEventRepository::new(pool.clone()));
        let framework = Arc::new(CqrsFramework::new(store, vec![], ()));
        Ok(Open { runtime, pool, framework })
    }

    /// A database with so many events of whole payments.
    pub(crate) fn filled(directory: &Path, events: u64) -> Result<Open> {
        let open = Self::create(directory)?;
        open.runtime.block_on(fill(&open.pool, events))?;
        Ok(open)
    }
}

async fn fill(pool: &Pool<Sqlite>, events: u64) -> Result<()> {
    // What the framework would write, in one transaction.
    let mut transaction = pool.begin().await?;
    let life = |planned: &Planned| {
        [
            planned.send(BEGIN).into(),
            planned.dispatch().into(),
            planned.claim().into(),
            planned.finalize().into(),
        ]
    };
    for number in 0..events / 4 {
        let planned = Planned::new(number);
        for (sequence, command) in (1_i64..).zip(life(&planned)) {
            let (id, event) = event_of(&command)?;
            sqlx::query(INSERT)
                .bind(Payment::TYPE)
                .bind(id)
                .bind(sequence)
                .bind(event.event_type())
                .bind(event.event_version())
                .bind(serde_json::to_string(&event)?)
                .execute(&mut *transaction)
                .await?;
        }
    }
    Ok(transaction.commit().await?)
}

/// An open database. Its runtime runs the connection.
pub(crate) struct Open {
    runtime: Runtime,
    pool: Pool<Sqlite>,
    framework: Arc<SqliteCqrs<Payment>>,
}

impl Open {
    /// Replays all events into a fold of all payments, as the framework does it; returns how many.
    pub(crate) fn replay(&self) -> Result<u64> {
        aggregate::replay(&self.runtime, SqliteEventRepository::new(self.pool.clone()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.runtime.block_on(self.pool.close());
    }
}

impl Log for Open {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + Send + '_>> {
        Ok(Box::new(self))
    }

    fn async_writer(&self) -> Option<Box<dyn AsyncWriter>> {
        Some(Box::new(Task(Arc::clone(&self.framework))))
    }
}

impl Writer for &Open {
    fn commit(&mut self, record: Record) -> Result<()> {
        let (id, _) = event_of(&record.command)?;
        Ok(self.runtime.block_on(self.framework.execute(&id, record.command))?)
    }

    fn commit_all(&mut self, records: Vec<Record>) -> Result<()> {
        records.into_iter().try_for_each(|record| self.commit(record))
    }

    fn has_batches(&self) -> bool {
        false
    }
}

struct Task(Arc<SqliteCqrs<Payment>>);

impl AsyncWriter for Task {
    fn commit(&mut self, record: Record) -> Committing<'_> {
        Box::pin(async move {
            let (id, _) = event_of(&record.command)?;
            Ok(self.0.execute(&id, record.command).await?)
        })
    }
}
