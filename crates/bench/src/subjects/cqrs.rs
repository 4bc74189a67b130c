//! cqrs-es on SQLite through sqlx: WAL, `synchronous=FULL`, one connection (more would only be told
//! that the database is locked). The same commands, decided by an aggregate for each payment, and
//! events as a user of cqrs-es writes them: JSON is its format.

use std::{path::Path, sync::Arc};

use cqrs_es::{
    Aggregate, CqrsFramework, DomainEvent, EventEnvelope, Query,
    event_sink::EventSink,
    persist::{PersistedEventStore, QueryReplay},
};
use payonce_core::{Command, PaymentId};
use serde::{Deserialize, Serialize};
use sqlite_es::{SqliteCqrs, SqliteEventRepository};
use sqlx::{
    Pool, Sqlite,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::runtime::Runtime;

use super::{AsyncWriter, Committing, Log, Subject, Writer};
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
    ///
    /// # Errors
    /// The database's.
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
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn replay(&self) -> Result<u64> {
        let fold = Fold::default();
        let repository = SqliteEventRepository::new(self.pool.clone());
        let replay: QueryReplay<_, _, Payment> = QueryReplay::new(repository, fold.clone());
        self.runtime.block_on(replay.replay_all())?;
        let folded = fold.0.lock().map_err(|_| "poisoned")?;
        Ok(folded.events)
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

/// One payment as cqrs-es keeps it: what it needs to refuse a step out of order.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Payment {
    last: Option<Event>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    Accepted { payment_hash: String, amount_msat: u64, max_fee_msat: u64, expiry_ms: u64 },
    Dispatched { part: String, amount_msat: u64, fee_msat: u64 },
    Claimed { part: String, preimage: String },
    Finalized { part: String },
}

/// Says that a step does not follow the one before.
#[derive(Debug, thiserror::Error)]
#[error("this step does not follow the last one")]
pub(crate) struct OutOfOrder;

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Accepted { .. } => "Accepted",
            Self::Dispatched { .. } => "Dispatched",
            Self::Claimed { .. } => "Claimed",
            Self::Finalized { .. } => "Finalized",
        }
        .into()
    }

    fn event_version(&self) -> String {
        "1".into()
    }
}

impl Aggregate for Payment {
    const TYPE: &'static str = "payment";
    type Command = Command;
    type Event = Event;
    type Error = OutOfOrder;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> std::result::Result<(), OutOfOrder> {
        let (_, event) = event_of(&command).map_err(|_| OutOfOrder)?;
        let follows = matches!(
            (&self.last, &event),
            (None, Event::Accepted { .. })
                | (Some(Event::Accepted { .. }), Event::Dispatched { .. })
                | (Some(Event::Dispatched { .. }), Event::Claimed { .. })
                | (Some(Event::Claimed { .. }), Event::Finalized { .. })
        );
        if !follows {
            return Err(OutOfOrder);
        }
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        self.last = Some(event);
    }
}

/// The payment that a command is about, and what cqrs-es records of it.
fn event_of(command: &Command) -> Result<(String, Event)> {
    let (id, event): (&PaymentId, _) = match command {
        Command::Pay(send) => (
            &send.id,
            Event::Accepted {
                payment_hash: send.request.target.payment_hash().ok_or("no hash")?.to_string(),
                amount_msat: send.request.amount.0,
                max_fee_msat: send.request.max_fee.limit().map_or(0, |fee| fee.0),
                expiry_ms: send.request.expiry.map_or(0, |expiry| expiry.0),
            },
        ),
        Command::Dispatch(dispatch) => match &dispatch.parts[..] {
            [payonce_core::NewPart::Htlc { id, amount, fee, .. }] => (
                &dispatch.id,
                Event::Dispatched { part: id.to_string(), amount_msat: amount.0, fee_msat: fee.0 },
            ),
            _ => return Err("not one HTLC".into()),
        },
        Command::ClaimPart(claim) => (
            &claim.id,
            Event::Claimed { part: claim.part.to_string(), preimage: claim.preimage.to_string() },
        ),
        Command::FinalizePart(done) => (&done.id, Event::Finalized { part: done.part.to_string() }),
        _ => return Err("not a step of these payments".into()),
    };
    Ok((id.to_string(), event))
}

/// What a replay folds into: every payment, as payonce's replay does.
#[derive(Debug, Default, Clone)]
struct Fold(Arc<std::sync::Mutex<Folded>>);

#[derive(Debug, Default)]
pub(crate) struct Folded {
    events: u64,
    payments: std::collections::HashMap<String, Payment>,
}

#[async_trait::async_trait]
impl Query<Payment> for Fold {
    async fn dispatch(&self, id: &str, events: &[EventEnvelope<Payment>]) {
        let Ok(mut folded) = self.0.lock() else { return };
        for event in events {
            folded.events += 1;
            if let Some(payment) = folded.payments.get_mut(id) {
                payment.apply(event.payload.clone());
            } else {
                let payment = Payment { last: Some(event.payload.clone()) };
                folded.payments.insert(id.into(), payment);
            }
        }
    }
}
