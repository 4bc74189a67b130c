//! What every handle does: entries in order, snapshots, the base.

use std::{pin::Pin, sync::Arc};

use bitcoin_hashes::{HashEngine, sha256};
use futures_util::StreamExt;
use payonce_core::{EntryHeader, Head, LogHash, Snapshot};
use tokio::time::timeout;
use tokio_postgres::{Row, RowStream};

use crate::{
    error::PostgresError,
    ledgers::{LedgerRow, hash, seq_of, to_column},
    session::Session,
    shared::Shared,
};

/// How many bytes of entries are handed over at once, a little more at most.
const BATCH_BYTES: usize = 512 << 10;

/// One moment of the database for several questions.
const ONE_MOMENT: &str = "begin isolation level repeatable read read only";

fn place(shared: &Shared, seq: u64) -> String {
    format!("payonce.entries, ledger {:?}, seq {seq}", shared.name)
}

/// A replay under way: rows come as they are asked for, so that no more than a batch is held.
pub(crate) struct Cursor {
    session: Session,
    rows: Pin<Box<RowStream>>,
    /// The end of the entry before.
    before: Head,
    /// Where the log ends, as its reader knows it.
    to: Head,
}

/// Entries that were read and lead on from those before, each with its first seq.
pub(crate) struct Read {
    pub(crate) rows: Vec<(u64, Row)>,
    /// What follows, if anything does.
    pub(crate) rest: Option<Cursor>,
}

impl Read {
    /// The bytes of an entry.
    pub(crate) fn bytes(row: &Row) -> &[u8] {
        row.get(2)
    }
}

/// Begins a replay of the entries from a seq up to a head.
pub(crate) async fn replay(
    shared: Arc<Shared>,
    from: u64,
    to: Head,
) -> Result<Option<Cursor>, PostgresError> {
    let missing = || PostgresError::Missing { needed: "history", requested: from };
    if from == 0 || from > to.seq + 1 {
        return Err(missing());
    }
    let session = shared.reader().await?;
    let config = &shared.config;
    let doing = "a replay";
    Session::ask(config, doing, session.client.batch_execute(ONE_MOMENT)).await?;
    let row = shared.row(&session).await?;
    if row.base.is_some_and(|base| from <= base.seq) {
        return Err(missing());
    }
    let before = before(&shared, &session, &row, from).await?;
    let text = "select seq, log_hash, bytes from payonce.entries \
                where ledger = $1 and seq > $2 and seq <= $3 order by seq";
    let statement = session.statement(config, doing, text).await?;
    let (first, last) = (to_column(before.seq)?, to_column(to.seq)?);
    let params = [&shared.number, &first, &last];
    let rows = Session::ask(config, doing, session.client.query_raw(&statement, params)).await?;
    Ok(Some(Cursor { session, rows: Box::pin(rows), before, to }))
}

/// The end of the last entry that begins before `from`: the chain leads on from there.
async fn before(
    shared: &Shared,
    session: &Session,
    row: &LedgerRow,
    from: u64,
) -> Result<Head, PostgresError> {
    let base = row.base.unwrap_or(Head::genesis(shared.ledger));
    let text = "select seq, log_hash from payonce.entries \
                where ledger = $1 and seq > $2 and seq < $3 order by seq desc limit 1";
    let (first, from) = (to_column(base.seq)?, to_column(from)?);
    match session
        .query(&shared.config, "a replay", text, &[&shared.number, &first, &from])
        .await?
        .first()
    {
        None => Ok(base),
        Some(row) => {
            let seq = seq_of(row.get(0));
            let chain = LogHash::from_bytes(hash(&place(shared, seq), row.get(1))?);
            Ok(Head { seq, chain })
        }
    }
}

/// The next entries. Each must continue the one before, and the last must be the head: a row that was
/// changed, added or removed by hand is noticed at its place.
pub(crate) async fn next(shared: Arc<Shared>, mut cursor: Cursor) -> Result<Read, PostgresError> {
    let mut read = Read { rows: Vec::new(), rest: None };
    let mut bytes = 0;
    while bytes < BATCH_BYTES {
        let (doing, limit) = ("a replay", shared.config.limit);
        let row = timeout(limit, cursor.rows.next());
        match row.await.map_err(|_| PostgresError::Late { doing, limit })? {
            Some(Ok(row)) => {
                let before = cursor.before;
                cursor.before = follow(&shared, before, &row)?;
                bytes += Read::bytes(&row).len();
                read.rows.push((before.seq + 1, row));
            }
            Some(Err(error)) => return Err(PostgresError::failed(doing, &error)),
            None => {
                end(&shared, cursor).await?;
                return Ok(read);
            }
        }
    }
    read.rest = Some(cursor);
    Ok(read)
}

/// Checks one entry against the one before and gives the head after it.
fn follow(shared: &Shared, before: Head, row: &Row) -> Result<Head, PostgresError> {
    let (seq, bytes) = (seq_of(row.get(0)), Read::bytes(row));
    let damaged = |what: String| Err(PostgresError::Damaged { place: place(shared, seq), what });
    let chain = before.chain.extend(bytes);
    if chain.as_bytes().as_slice() != row.get::<_, &[u8]>(1) {
        return damaged(format!("the chain does not lead here from seq {}", before.seq));
    }
    // What chains is as it was written; a row can still stand under another seq.
    match EntryHeader::read(bytes) {
        Ok(header) if header.first_seq == before.seq + 1 && header.last_seq() == seq => {
            Ok(Head { seq, chain })
        }
        Ok(header) => damaged(format!(
            "the entry has the seqs {} to {}, and follows {}",
            header.first_seq,
            header.last_seq(),
            before.seq
        )),
        // The core says so better, or knows what this store does not.
        Err(_) => Ok(Head { seq, chain }),
    }
}

/// The rows have ended, which must be at the head.
async fn end(shared: &Shared, cursor: Cursor) -> Result<(), PostgresError> {
    let Cursor { session, rows, before, to } = cursor;
    drop(rows);
    if before != to {
        let what = format!("the entries end with {before}, but the log ends at {to}");
        return Err(PostgresError::Damaged { place: place(shared, before.seq), what });
    }
    done(shared, session).await
}

/// Ends a moment and gives its session back.
async fn done(shared: &Shared, session: Session) -> Result<(), PostgresError> {
    let ended = session.client.batch_execute("commit");
    Session::ask(&shared.config, "ending a question", ended).await?;
    shared.give_back(session);
    Ok(())
}

/// What the row of a snapshot says of its chunks.
pub(crate) struct Kept {
    pub(crate) at: Head,
    checksum: [u8; 32],
    chunks: i32,
}

/// What covers a snapshot: where it was taken, and its state.
pub(crate) fn checksum(at: Head, state: &[u8]) -> [u8; 32] {
    let mut engine = sha256::HashEngine::new();
    engine.input(&at.seq.to_be_bytes());
    engine.input(at.chain.as_bytes());
    engine.input(state);
    sha256::Hash::from_engine(engine).to_byte_array()
}

/// Whether an entry of the log ends exactly there.
pub(crate) async fn contains(
    shared: &Shared,
    session: &Session,
    at: Head,
) -> Result<bool, PostgresError> {
    let text = "select 1 from payonce.entries where ledger = $1 and seq = $2 and log_hash = $3";
    // No entry ends beyond what a column can say.
    let Ok(seq) = to_column(at.seq) else { return Ok(false) };
    let chain = at.chain.as_bytes().as_slice();
    let found = session
        .query(&shared.config, "looking for an entry", text, &[&shared.number, &seq, &chain])
        .await?;
    Ok(!found.is_empty())
}

/// The headers of the snapshots that are not before `from`, the newest first.
pub(crate) async fn kept(
    shared: &Shared,
    session: &Session,
    from: u64,
    at_most: u64,
) -> Result<Vec<Kept>, PostgresError> {
    let text = "select seq, log_hash, checksum, chunks from payonce.snapshots \
                where ledger = $1 and seq >= $2 and seq <= $3 order by seq desc";
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    let from = to_column(from)?;
    let rows = session
        .query(&shared.config, "looking for snapshots", text, &[&shared.number, &from, &at_most])
        .await?;
    let header = |row: &Row| {
        let seq = seq_of(row.get(0));
        let place = snapshot_place(shared, seq);
        let chain = LogHash::from_bytes(hash(&place, row.get(1))?);
        let checksum = hash(&place, row.get(2))?;
        Ok(Kept { at: Head { seq, chain }, checksum, chunks: row.get(3) })
    };
    rows.iter().map(header).collect()
}

fn snapshot_place(shared: &Shared, seq: u64) -> String {
    format!("payonce.snapshots, ledger {:?}, seq {seq}", shared.name)
}

/// The state of a snapshot, if it is what was saved.
pub(crate) async fn state(
    shared: &Shared,
    session: &Session,
    kept: &Kept,
) -> Result<Option<Vec<u8>>, PostgresError> {
    let text = "select chunk, bytes from payonce.snapshot_chunks \
                where ledger = $1 and seq = $2 order by chunk";
    let seq = to_column(kept.at.seq)?;
    let asked = session.client.query_raw(text, [&shared.number, &seq]);
    let rows = Session::ask(&shared.config, "reading a snapshot", asked).await?;
    let mut rows = Box::pin(rows);
    let (mut state, mut chunks) = (Vec::new(), 0);
    let (doing, limit) = ("reading a snapshot", shared.config.limit);
    loop {
        let row = timeout(limit, rows.next()).await;
        let Some(row) = row.map_err(|_| PostgresError::Late { doing, limit })? else { break };
        let row = row.map_err(|error| PostgresError::failed(doing, &error))?;
        chunks += 1;
        state.extend_from_slice(row.get(1));
    }
    Ok((chunks == kept.chunks && checksum(kept.at, &state) == kept.checksum).then_some(state))
}

/// The newest snapshot at or before a seq that is sound and on the chain.
pub(crate) async fn load_snapshot(
    shared: Arc<Shared>,
    at_most: u64,
) -> Result<Option<Snapshot>, PostgresError> {
    let session = shared.reader().await?;
    let begun = session.client.batch_execute(ONE_MOMENT);
    Session::ask(&shared.config, "loading a snapshot", begun).await?;
    let row = shared.row(&session).await?;
    let base = row.base.map_or(0, |base| base.seq);
    let mut found = None;
    for kept in kept(&shared, &session, base, at_most).await? {
        if row.base.is_some_and(|base| base.seq == kept.at.seq) {
            break;
        }
        if let Some(bytes) = state(&shared, &session, &kept).await?
            && contains(&shared, &session, kept.at).await?
        {
            found = Some(Snapshot { at: kept.at, bytes });
            break;
        }
    }
    if found.is_none() && base <= at_most {
        found = base_of(&shared, &session, &row).await?;
    }
    done(&shared, session).await?;
    Ok(found)
}

/// The snapshot that stands for dropped history.
pub(crate) async fn base(shared: Arc<Shared>) -> Result<Option<Snapshot>, PostgresError> {
    let session = shared.reader().await?;
    let begun = session.client.batch_execute(ONE_MOMENT);
    Session::ask(&shared.config, "reading the base", begun).await?;
    let row = shared.row(&session).await?;
    let found = base_of(&shared, &session, &row).await?;
    done(&shared, session).await?;
    Ok(found)
}

async fn base_of(
    shared: &Shared,
    session: &Session,
    row: &LedgerRow,
) -> Result<Option<Snapshot>, PostgresError> {
    let Some(at) = row.base else { return Ok(None) };
    let damaged = |what: &str| {
        let place = format!("the base, {}", snapshot_place(shared, at.seq));
        PostgresError::Damaged { place, what: what.into() }
    };
    let found = kept(shared, session, at.seq, at.seq).await?;
    let found = found.first().ok_or_else(|| damaged("it is missing"))?;
    if found.at != at {
        return Err(damaged("it is of another head"));
    }
    match state(shared, session, found).await? {
        Some(bytes) => Ok(Some(Snapshot { at, bytes })),
        None => Err(damaged("it fails its checksum")),
    }
}
