//! What only the writer does: each statement carries its fence, and is refused when that is stale.

use std::{sync::Arc, time::Duration};

use futures_util::future::join;
use payonce_core::{Entry, Head};
use tokio::time::{Instant, sleep};
use tokio_postgres::Row;

use crate::{
    error::PostgresError,
    ledgers::{LedgerRow, hash, seq_of, to_column},
    session::{Params, Purpose, Session},
    shared::{Shared, connected},
};

/// How many bytes of entries go into one statement, unless one entry has more.
const STATEMENT_BYTES: usize = 4 << 20;

/// For how long a fence waits before it looks who stands in its way.
const PATIENCE: Duration = Duration::from_secs(1);

/// What must hold in the very statement that writes: the server process and its settings are those
/// that were checked. A pooler changes the first, a reload the second; either could acknowledge what
/// is not durable.
fn guard(shared: &Shared, process: i32) -> String {
    let commit = match shared.config.replication.synchronous_commit() {
        "on" => "'on', 'remote_apply'",
        _ => "'remote_apply'",
    };
    let standby = if shared.config.replication.is_demanded() {
        "and current_setting('synchronous_standby_names') <> ''"
    } else {
        ""
    };
    format!(
        "pg_backend_pid() = {process} and current_setting('synchronous_commit') in ({commit}) \
         and coalesce(current_setting('fsync', true), 'on') = 'on' \
         and coalesce(current_setting('full_page_writes', true), 'on') = 'on' {standby}"
    )
}

/// Runs a statement that writes, and, where a standby is demanded, asks afterwards on the same way
/// whether it still was: emptying `synchronous_standby_names` lets commits that wait for a standby go
/// without a warning.
async fn durably<T>(
    shared: &Shared,
    session: &Session,
    doing: &'static str,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, PostgresError> {
    if !shared.config.replication.is_demanded() {
        return session.ask_durably(&shared.config, doing, statement).await;
    }
    let still = "select current_setting('synchronous_standby_names') <> ''";
    // Sent in this order, one behind the other.
    let both = async {
        let (answer, still) = join(statement, session.client.query_one(still, &[])).await;
        Ok((answer?, still?.get::<_, bool>(0)))
    };
    let (answer, still) = session.ask_durably(&shared.config, doing, both).await?;
    if still { Ok(answer) } else { Err(PostgresError::ReplicationOff { doing }) }
}

/// Takes the log over: raises the fence and reads the head, in one statement and so in one step, which
/// waits for every append that was under way. Its commit lies behind all of them, so what a standby
/// must confirm for it, it has confirmed for the head.
pub(crate) async fn fence(shared: Arc<Shared>) -> Result<(i64, Head), PostgresError> {
    let mut slot = shared.writer.lock().await;
    let session = connected(&shared.config, &mut slot).await?;
    let outcome = Box::pin(try_fence(&shared, session)).await;
    if outcome.is_err() {
        *slot = None;
    }
    outcome
}

async fn try_fence(shared: &Shared, session: &Session) -> Result<(i64, Head), PostgresError> {
    let text = format!(
        "update payonce.ledgers set fence = fence + 1, holder = $2, fenced_at = clock_timestamp(), \
         seen_at = clock_timestamp() where number = $1 and {} \
         and ($3::double precision is null or seen_at is null \
              or seen_at + make_interval(secs => $3) < clock_timestamp()) \
         returning fence, head_seq, head_hash, ledger_id",
        guard(shared, session.process)
    );
    let spared = shared.config.spare_writer_seen_within.map(|time| time.as_secs_f64());
    let holder = &shared.config.holder;
    let (number, name) = (&shared.number, &shared.name);
    let params: Params<'_> = &[number, holder, &spared];
    let statement = session.client.query_opt(&text, params);
    let fencing = durably(shared, session, "taking the ledger over", statement);
    tokio::pin!(fencing);
    let row = loop {
        tokio::select! {
            outcome = &mut fencing => break outcome?,
            () = sleep(PATIENCE) => clear_the_way(shared, session.process).await,
        }
    };
    let Some(row) = row else { return Err(why_refused(shared, session, None).await?) };
    fenced(shared, name, &row)
}

fn fenced(shared: &Shared, name: &str, row: &Row) -> Result<(i64, Head), PostgresError> {
    let place = format!("payonce.ledgers, {name:?}");
    let found = payonce_core::LedgerId::from_bytes(hash(&place, row.get(3))?);
    if found != shared.ledger {
        let (name, expected) = (name.into(), shared.ledger);
        return Err(PostgresError::OtherLedger { name, found, expected });
    }
    let chain = payonce_core::LogHash::from_bytes(hash(&place, row.get(2))?);
    Ok((row.get(0), Head { seq: seq_of(row.get(1)), chain }))
}

/// Ends the sessions of payonce's own that hold this ledger's row: that of a writer whose network was
/// cut in the middle of an append, say. What such an append did is decided by then, one way or the
/// other. A session of anybody else is left alone.
async fn clear_the_way(shared: &Shared, process: i32) {
    let text = "select pid, pg_terminate_backend(pid) from pg_stat_activity \
                where pid = any(pg_blocking_pids($1)) and application_name = 'payonce'";
    let cleared = async {
        let session = Session::open(&shared.config, Purpose::Reading).await?;
        let doing = "ending a former writer's session";
        session.query(&shared.config, doing, text, &[&process]).await
    };
    match cleared.await {
        Ok(rows) => {
            for row in rows {
                let process: i32 = row.get(0);
                tracing::warn!(
                    process,
                    "ended the session of a former writer that held the ledger"
                );
            }
        }
        Err(error) => tracing::warn!(%error, "cannot end the session that holds the ledger"),
    }
}

/// Why a statement that carries the fence changed nothing.
async fn why_refused(
    shared: &Shared,
    session: &Session,
    own: Option<(i64, Head)>,
) -> Result<PostgresError, PostgresError> {
    let row = shared.row(session).await?;
    if let Some((fence, expected)) = own {
        if row.fence != fence {
            return Ok(row.fenced());
        }
        if row.head != expected {
            return Ok(PostgresError::NotNext { expected, actual: row.head });
        }
    }
    if row.process != session.process {
        return Ok(PostgresError::Pooler);
    }
    // A session of its own finds what is wrong with the settings.
    drop(Session::open(&shared.config, Purpose::Writing).await?);
    Ok(why_spared(shared, &row).unwrap_or_else(|| PostgresError::Failed {
        doing: "writing to the ledger",
        cause: "the server changed nothing, and its settings changed meanwhile".into(),
    }))
}

fn why_spared(shared: &Shared, row: &LedgerRow) -> Option<PostgresError> {
    let within = shared.config.spare_writer_seen_within?;
    // A clock that was set back, or a standby's that is behind: seen just now.
    let ago = Duration::from_millis(row.seen_ago_ms?.try_into().unwrap_or(0));
    (ago <= within).then(|| PostgresError::WriterAlive { holder: row.holder.clone(), ago, within })
}

/// Entries as the columns of a statement.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    before: Option<Head>,
    after: Option<Head>,
    seqs: Vec<i64>,
    hashes: Vec<Vec<u8>>,
    bytes: Vec<Vec<u8>>,
    size: usize,
}

impl Batch {
    /// The statements that entries go into: one, unless they are large.
    pub(crate) fn split(entries: &[Entry]) -> Result<Vec<Self>, PostgresError> {
        let mut batches: Vec<Self> = Vec::new();
        for entry in entries {
            let size = entry.bytes().len();
            if batches.last().is_none_or(|last| last.size + size > STATEMENT_BYTES) {
                batches.push(Self { before: Some(entry.before()), ..Self::default() });
            }
            let last = batches.last_mut().expect("one was pushed");
            last.after = Some(entry.after());
            last.seqs.push(to_column(entry.after().seq)?);
            last.hashes.push(entry.after().chain.as_bytes().to_vec());
            last.bytes.push(entry.bytes().to_vec());
            last.size += size;
        }
        Ok(batches)
    }
}

/// Appends the batches in their order; each is there whole or not at all. Tells when the last one was
/// sent: at that moment this was the writer.
pub(crate) async fn append(
    shared: Arc<Shared>,
    fence: i64,
    batches: Vec<Batch>,
) -> Result<Instant, PostgresError> {
    let mut slot = shared.writer.lock().await;
    let (mut sent, mut written) = (Instant::now(), 0);
    for batch in batches {
        let appended = async {
            let session = connected(&shared.config, &mut slot).await?;
            sent = Instant::now();
            append_batch(&shared, session, fence, &batch).await
        };
        if let Err(error) = appended.await {
            *slot = None;
            return Err(partly(error, written));
        }
        written += batch.seqs.len();
    }
    Ok(sent)
}

/// A refusal says that nothing was written. Where a batch went as several statements and some of them
/// were, it may not: a caller would take payments for refused that are recorded.
fn partly(error: PostgresError, written: usize) -> PostgresError {
    match error {
        PostgresError::NotNext { .. } | PostgresError::Fenced { .. } if written > 0 => {
            let cause = format!("its first {written} entries were written, and then: {error}");
            PostgresError::Failed { doing: "an append", cause }
        }
        other => other,
    }
}

/// One statement: the head moves and the entries stand, or neither.
async fn append_batch(
    shared: &Shared,
    session: &Session,
    fence: i64,
    batch: &Batch,
) -> Result<(), PostgresError> {
    let doing = "an append";
    let (Some(before), Some(after)) = (batch.before, batch.after) else { return Ok(()) };
    let text = format!(
        "with owner as (update payonce.ledgers set head_seq = $5, head_hash = $6, \
         seen_at = clock_timestamp() \
         where number = $1 and fence = $2 and head_seq = $3 and head_hash = $4 and {} \
         returning number) \
         insert into payonce.entries (ledger, seq, log_hash, bytes) \
         select owner.number, e.seq, e.log_hash, e.bytes from owner \
         cross join unnest($7::bigint[], $8::bytea[], $9::bytea[]) as e (seq, log_hash, bytes)",
        guard(shared, session.process)
    );
    let statement = session.statement(&shared.config, doing, &text).await?;
    let (first, last) = (to_column(before.seq)?, to_column(after.seq)?);
    let (from, to) = (before.chain.as_bytes().as_slice(), after.chain.as_bytes().as_slice());
    let Batch { seqs, hashes, bytes, .. } = batch;
    let params: Params<'_> =
        &[&shared.number, &fence, &first, &from, &last, &to, seqs, hashes, bytes];
    let written = durably(shared, session, doing, session.client.execute(&statement, params));
    match written.await? {
        0 => Err(why_refused(shared, session, Some((fence, before))).await?),
        rows if rows == seqs.len() as u64 => Ok(()),
        rows => {
            let cause = format!("{rows} rows were written instead of {}", seqs.len());
            Err(PostgresError::Failed { doing, cause })
        }
    }
}

/// Confirms that this is still the writer: by a write, which needs the standby's word where an append
/// does. A mere question could be answered by a primary that was cut off and replaced.
pub(crate) async fn confirm(
    shared: Arc<Shared>,
    fence: i64,
    head: Head,
) -> Result<Instant, PostgresError> {
    let mut slot = shared.writer.lock().await;
    let session = connected(&shared.config, &mut slot).await?;
    let sent = Instant::now();
    let outcome = confirm_by(&shared, session, fence, head, "clock_timestamp()").await;
    if outcome.is_err() {
        *slot = None;
    }
    outcome.map(|()| sent)
}

/// Says that this writer is over, so that the next one need not wait.
pub(crate) async fn release(
    shared: Arc<Shared>,
    fence: i64,
    head: Head,
) -> Result<(), PostgresError> {
    let mut slot = shared.writer.lock().await;
    let session = connected(&shared.config, &mut slot).await?;
    confirm_by(&shared, session, fence, head, "null").await
}

async fn confirm_by(
    shared: &Shared,
    session: &Session,
    fence: i64,
    head: Head,
    seen_at: &str,
) -> Result<(), PostgresError> {
    let doing = "confirming the writer";
    let text = format!(
        "update payonce.ledgers set seen_at = {seen_at} \
         where number = $1 and fence = $2 and head_seq = $3 and head_hash = $4 and {}",
        guard(shared, session.process)
    );
    let statement = session.statement(&shared.config, doing, &text).await?;
    let seq = to_column(head.seq)?;
    let chain = head.chain.as_bytes().as_slice();
    let params: Params<'_> = &[&shared.number, &fence, &seq, &chain];
    let asked = session.client.execute(&statement, params);
    match durably(shared, session, doing, asked).await? {
        0 => Err(why_refused(shared, session, Some((fence, head))).await?),
        _ => Ok(()),
    }
}
