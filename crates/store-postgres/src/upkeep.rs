//! Snapshots and the dropping of history, beside appends: what takes long holds nobody up, and the
//! fence is checked in the transaction that makes it count.

use std::sync::Arc;

use payonce_core::Head;

use crate::{
    config::{Config, DroppedHistory},
    error::PostgresError,
    ledgers::{LedgerRow, to_column},
    reading,
    session::{Params, Session},
    shared::{Shared, connected},
};

/// How many bytes of a state go into one row.
const CHUNK_BYTES: usize = 1 << 20;

/// How many snapshots are kept besides the base.
const SNAPSHOTS_KEPT: usize = 2;

/// How many events' worth of seqs a transaction drops at most: none holds rows, or the log of a
/// standby, for long.
const DROP_SEQS: u64 = 20_000;

/// Locks the ledger's row against other writers until the transaction ends, and checks the fence.
async fn own(shared: &Shared, session: &Session, fence: i64) -> Result<LedgerRow, PostgresError> {
    let text = "select 1 from payonce.ledgers where number = $1 for update";
    session.query(&shared.config, "locking the ledger", text, &[&shared.number]).await?;
    let row = shared.row(session).await?;
    if row.fence == fence { Ok(row) } else { Err(row.fenced()) }
}

pub(crate) async fn run(
    config: &Config,
    session: &Session,
    text: &str,
) -> Result<(), PostgresError> {
    Session::ask(config, "keeping the ledger", session.client.batch_execute(text)).await
}

/// Ends a transaction. A commit that answers with a warning is no commit.
pub(crate) async fn end<T>(
    config: &Config,
    session: &Session,
    outcome: Result<T, PostgresError>,
) -> Result<T, PostgresError> {
    match outcome {
        Ok(done) => {
            let commit = session.client.batch_execute("commit");
            session.ask_durably(config, "keeping the ledger", commit).await?;
            Ok(done)
        }
        Err(error) => {
            run(config, session, "rollback").await?;
            Err(error)
        }
    }
}

/// Keeps a snapshot at a head at which an entry ends.
pub(crate) async fn save_snapshot(
    shared: Arc<Shared>,
    fence: i64,
    at: Head,
    state: Vec<u8>,
) -> Result<(), PostgresError> {
    let mut slot = shared.upkeep.lock().await;
    let session = connected(&shared.config, &mut slot).await?;
    let outcome = try_save(&shared, session, fence, at, &state).await;
    keep_if_sound(&mut slot, outcome)
}

/// A session on which something failed is not used again: nobody knows what it still does.
fn keep_if_sound<T>(
    slot: &mut Option<Session>,
    outcome: Result<T, PostgresError>,
) -> Result<T, PostgresError> {
    let is_sound = matches!(
        outcome,
        Ok(_) | Err(PostgresError::Missing { .. } | PostgresError::Fenced { .. })
    );
    if !is_sound {
        *slot = None;
    }
    outcome
}

async fn try_save(
    shared: &Shared,
    session: &Session,
    fence: i64,
    at: Head,
    state: &[u8],
) -> Result<(), PostgresError> {
    let row = shared.row(session).await?;
    if row.fence != fence {
        return Err(row.fenced());
    }
    if row.base == Some(at) {
        return Ok(());
    }
    let is_covered = row.base.is_some_and(|base| at.seq <= base.seq);
    if is_covered || !reading::contains(shared, session, at).await? {
        return Err(PostgresError::Missing { needed: "end of an entry", requested: at.seq });
    }
    let newer = reading::kept(shared, session, at.seq + 1, u64::MAX).await?;
    if newer.len() >= SNAPSHOTS_KEPT {
        return Ok(());
    }
    run(&shared.config, session, "begin").await?;
    let written = async {
        write_snapshot(&shared.config, session, shared.number, at, state).await?;
        // Last, so that appends wait for no more than the commit.
        let row = own(shared, session, fence).await?;
        if row.base.is_some_and(|base| at.seq <= base.seq) {
            return Err(PostgresError::Missing { needed: "end of an entry", requested: at.seq });
        }
        evict(shared, session, &row).await
    };
    end(&shared.config, session, written.await).await
}

/// Writes the rows of a snapshot, in the transaction that is open.
pub(crate) async fn write_snapshot(
    config: &Config,
    session: &Session,
    ledger: i64,
    at: Head,
    state: &[u8],
) -> Result<(), PostgresError> {
    let doing = "saving a snapshot";
    let (seq, checksum) = (to_column(at.seq)?, reading::checksum(at, state));
    let chunks = i32::try_from(state.chunks(CHUNK_BYTES).len())
        .map_err(|_| PostgresError::Failed { doing, cause: "a state of more than 2 PiB".into() })?;
    let former = "delete from payonce.snapshots where ledger = $1 and seq = $2";
    session.execute(config, doing, former, &[&ledger, &seq]).await?;
    let text = "insert into payonce.snapshots (ledger, seq, log_hash, checksum, chunks) \
                values ($1, $2, $3, $4, $5)";
    let (chain, checksum) = (at.chain.as_bytes().as_slice(), checksum.as_slice());
    let params: Params<'_> = &[&ledger, &seq, &chain, &checksum, &chunks];
    Session::ask(config, doing, session.client.execute(text, params)).await?;
    let text = "insert into payonce.snapshot_chunks (ledger, seq, chunk, bytes) \
                values ($1, $2, $3, $4)";
    let statement = session.statement(config, doing, text).await?;
    for (chunk, bytes) in (0_i32..).zip(state.chunks(CHUNK_BYTES)) {
        let params: Params<'_> = &[&ledger, &seq, &chunk, &bytes];
        Session::ask(config, doing, session.client.execute(&statement, params)).await?;
    }
    Ok(())
}

/// Removes the snapshots that nobody needs any more: the two newest stay, and the base.
async fn evict(shared: &Shared, session: &Session, row: &LedgerRow) -> Result<(), PostgresError> {
    let base = row.base.map_or(0, |base| base.seq);
    let kept = reading::kept(shared, session, base + 1, u64::MAX).await?;
    let oldest = match kept.get(SNAPSHOTS_KEPT - 1) {
        Some(oldest) => oldest.at.seq,
        None => base + 1,
    };
    let text = "delete from payonce.snapshots where ledger = $1 and seq < $2 and seq <> $3";
    let (oldest, base) = (to_column(oldest)?, to_column(base)?);
    session
        .execute(&shared.config, "removing old snapshots", text, &[&shared.number, &oldest, &base])
        .await?;
    Ok(())
}

/// Makes a snapshot the base, and then drops what it stands for. The base counts from the first
/// transaction on; what a crash leaves before it is read by nobody, and the next call drops it.
pub(crate) async fn drop_history(
    shared: Arc<Shared>,
    fence: i64,
    base: Head,
) -> Result<(), PostgresError> {
    let mut slot = shared.upkeep.lock().await;
    let session = connected(&shared.config, &mut slot).await?;
    let outcome = try_drop(&shared, session, fence, base).await;
    keep_if_sound(&mut slot, outcome)
}

async fn try_drop(
    shared: &Shared,
    session: &Session,
    fence: i64,
    base: Head,
) -> Result<(), PostgresError> {
    if shared.row(session).await?.base != Some(base) {
        // Read back before anything is dropped for it, and while appends go on.
        let kept = reading::kept(shared, session, base.seq, base.seq).await?;
        let sound = match kept.first().filter(|kept| kept.at == base) {
            Some(kept) => reading::state(shared, session, kept).await?.is_some(),
            None => false,
        };
        if !sound {
            // Who may not drop is told that instead.
            let row = shared.row(session).await?;
            return Err(if row.fence == fence { missing(base) } else { row.fenced() });
        }
    }
    run(&shared.config, session, "begin").await?;
    end(&shared.config, session, set_base(shared, session, fence, base).await).await?;
    loop {
        run(&shared.config, session, "begin").await?;
        let dropped = drop_some(shared, session, fence, base).await;
        if !end(&shared.config, session, dropped).await? {
            return Ok(());
        }
    }
}

fn missing(base: Head) -> PostgresError {
    PostgresError::Missing { needed: "readable snapshot", requested: base.seq }
}

async fn set_base(
    shared: &Shared,
    session: &Session,
    fence: i64,
    base: Head,
) -> Result<(), PostgresError> {
    let row = own(shared, session, fence).await?;
    if row.base == Some(base) {
        return Ok(());
    }
    let is_covered = row.base.is_some_and(|present| base.seq <= present.seq);
    if base.seq == 0 || is_covered || !reading::contains(shared, session, base).await? {
        return Err(missing(base));
    }
    // It was read back, and nobody but this writer's own snapshots can have removed it since.
    let kept = reading::kept(shared, session, base.seq, base.seq).await?;
    if kept.first().is_none_or(|kept| kept.at != base) {
        return Err(missing(base));
    }
    let text = "update payonce.ledgers set base_seq = $2, base_hash = $3 where number = $1";
    let (seq, chain) = (to_column(base.seq)?, base.chain.as_bytes().as_slice());
    session
        .execute(&shared.config, "setting the base", text, &[&shared.number, &seq, &chain])
        .await?;
    let row = LedgerRow { base: Some(base), ..row };
    evict(shared, session, &row).await
}

/// Drops some of what the base stands for, the oldest first; tells whether there was any.
async fn drop_some(
    shared: &Shared,
    session: &Session,
    fence: i64,
    base: Head,
) -> Result<bool, PostgresError> {
    let doing = "dropping history";
    own(shared, session, fence).await?;
    let oldest = "select min(seq) from payonce.entries where ledger = $1";
    let oldest = session.query(&shared.config, doing, oldest, &[&shared.number]).await?;
    let oldest: Option<i64> = oldest.first().and_then(|row| row.get(0));
    let Some(oldest) = oldest.map(i64::unsigned_abs).filter(|oldest| *oldest <= base.seq) else {
        return Ok(false);
    };
    let last = (oldest + DROP_SEQS).min(base.seq);
    let text = match shared.config.dropped_history {
        DroppedHistory::Deleted => "delete from payonce.entries where ledger = $1 and seq <= $2",
        DroppedHistory::Archived => {
            "with gone as (delete from payonce.entries where ledger = $1 and seq <= $2 \
             returning ledger, seq, log_hash, bytes) \
             insert into payonce.archive select ledger, seq, log_hash, bytes from gone \
             on conflict do nothing"
        }
    };
    let last = to_column(last)?;
    session.execute(&shared.config, doing, text, &[&shared.number, &last]).await?;
    Ok(true)
}
