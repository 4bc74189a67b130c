//! cqrs-es on PostgreSQL through sqlx: the same aggregate as on SQLite, a pool of as many connections
//! as there are threads.

use std::sync::Arc;

use postgres_es::{PostgresCqrs, PostgresEventRepository, postgres_cqrs};
use sqlx::{Pool, Postgres, postgres::PgPoolOptions};
use tokio::runtime::Runtime;

use super::{
    Log, Writer,
    aggregate::{self, Payment, event_of},
};
use crate::{Result, life::Record};

/// Of `postgres-es`, as its README gives it.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

/// cqrs-es on a server that runs.
pub(crate) struct CqrsPostgres {
    runtime: Runtime,
    pool: Pool<Postgres>,
    framework: Arc<PostgresCqrs<Payment>>,
}

impl CqrsPostgres {
    /// Connects, and makes its table where it is not there.
    pub(crate) fn open(port: u16, connections: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let address = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
        let pool = runtime.block_on(async {
            let pool = PgPoolOptions::new().max_connections(connections).connect(&address).await?;
            sqlx::query(TABLE).execute(&pool).await?;
            Ok::<_, sqlx::Error>(pool)
        })?;
        let framework = Arc::new(postgres_cqrs(pool.clone(), vec![], ()));
        Ok(Self { runtime, pool, framework })
    }

    /// As [`aggregate::replay`].
    pub(crate) fn replay(&self) -> Result<u64> {
        aggregate::replay(&self.runtime, PostgresEventRepository::new(self.pool.clone()))
    }
}

impl Drop for CqrsPostgres {
    fn drop(&mut self) {
        self.runtime.block_on(self.pool.close());
    }
}

impl Log for CqrsPostgres {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + Send + '_>> {
        Ok(Box::new(self))
    }
}

impl Writer for &CqrsPostgres {
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
