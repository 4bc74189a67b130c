//! The ledgers of a database: one row each.

use payonce_core::{Head, LedgerId, LogHash, Snapshot, UnixMillis};
use tokio_postgres::Row;

use crate::{
    config::Config,
    error::PostgresError,
    schema,
    session::{Params, Purpose, Session},
    upkeep,
};

/// How many names an error lists.
const NAMES_LISTED: i64 = 10;

/// A ledger's row, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct LedgerRow {
    pub(crate) number: i64,
    pub(crate) ledger: LedgerId,
    pub(crate) head: Head,
    /// The head of the base, if history was dropped.
    pub(crate) base: Option<Head>,
    pub(crate) fence: i64,
    pub(crate) holder: String,
    pub(crate) fenced_at: UnixMillis,
    /// How many milliseconds ago its writer was seen, by the database's clock.
    pub(crate) seen_ago_ms: Option<i64>,
    /// The server process that read it.
    pub(crate) process: i32,
}

const COLUMNS: &str = "number, ledger_id, head_seq, head_hash, base_seq, base_hash, fence, \
     coalesce(holder, 'nobody'), \
     coalesce((extract(epoch from fenced_at) * 1000)::bigint, 0), \
     (extract(epoch from clock_timestamp() - seen_at) * 1000)::bigint, pg_backend_pid()";

pub(crate) fn seq_of(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or_default()
}

pub(crate) fn to_column(seq: u64) -> Result<i64, PostgresError> {
    i64::try_from(seq).map_err(|_| PostgresError::SeqTooLarge(seq))
}

/// 32 bytes out of a row.
pub(crate) fn hash(place: &str, bytes: &[u8]) -> Result<[u8; 32], PostgresError> {
    let wrong = |_| PostgresError::damaged(place, format!("{} bytes instead of 32", bytes.len()));
    bytes.try_into().map_err(wrong)
}

fn head(place: &str, seq: i64, bytes: &[u8]) -> Result<Head, PostgresError> {
    Ok(Head { seq: seq_of(seq), chain: LogHash::from_bytes(hash(place, bytes)?) })
}

impl LedgerRow {
    fn read(name: &str, row: &Row) -> Result<Self, PostgresError> {
        let place = format!("payonce.ledgers, {name:?}");
        let base = match (row.get::<_, i64>(4), row.get::<_, Option<&[u8]>>(5)) {
            (0, None) => None,
            (seq, Some(bytes)) if seq > 0 => Some(head(&place, seq, bytes)?),
            _ => return Err(PostgresError::damaged(place, "base_seq and base_hash do not fit")),
        };
        let millis = u64::try_from(row.get::<_, i64>(8)).unwrap_or_default();
        Ok(Self {
            number: row.get(0),
            ledger: LedgerId::from_bytes(hash(&place, row.get(1))?),
            head: head(&place, row.get(2), row.get(3))?,
            base,
            fence: row.get(6),
            holder: row.get(7),
            fenced_at: UnixMillis(millis),
            seen_ago_ms: row.get(9),
            process: row.get(10),
        })
    }

    /// Reads the row of a ledger.
    pub(crate) async fn find(
        config: &Config,
        session: &Session,
        name: &str,
    ) -> Result<Self, PostgresError> {
        let text = format!("select {COLUMNS} from payonce.ledgers where name = $1");
        match session.query(config, "looking for the ledger", &text, &[&name]).await?.first() {
            Some(row) => Self::read(name, row),
            None => Err(PostgresError::NoLedger {
                name: name.into(),
                place: config.place(),
                known: names(config, session, NAMES_LISTED).await?,
            }),
        }
    }

    pub(crate) fn fenced(&self) -> PostgresError {
        PostgresError::Fenced { holder: self.holder.clone(), at: self.fenced_at }
    }
}

/// The names of the ledgers, in order, so many at most.
pub(crate) async fn names(
    config: &Config,
    session: &Session,
    most: i64,
) -> Result<Vec<String>, PostgresError> {
    let text = "select name from payonce.ledgers order by name limit $1";
    let rows = session.query(config, "listing the ledgers", text, &[&most]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Creates a ledger, empty or with a base alone, and the tables if there are none.
pub(crate) async fn create(
    config: &Config,
    name: &str,
    ledger: LedgerId,
    base: Option<Snapshot>,
) -> Result<LedgerRow, PostgresError> {
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(PostgresError::Name { name: name.into() });
    }
    let session = Session::open(config, Purpose::Writing).await?;
    schema::migrate(config, &session).await?;
    // The row and its base, or neither.
    upkeep::run(config, &session, "begin").await?;
    let inserted = insert(config, &session, name, ledger, base.as_ref()).await;
    upkeep::end(config, &session, inserted).await?;
    LedgerRow::find(config, &session, name).await
}

async fn insert(
    config: &Config,
    session: &Session,
    name: &str,
    ledger: LedgerId,
    base: Option<&Snapshot>,
) -> Result<(), PostgresError> {
    let text = "insert into payonce.ledgers \
                (name, ledger_id, head_seq, head_hash, base_seq, base_hash) \
                values ($1, $2, $3, $4, $3, $5) on conflict (name) do nothing returning number";
    let head = base.map_or(Head::genesis(ledger), |base| base.at);
    let (seq, bytes) = (to_column(head.seq)?, ledger.as_bytes().as_slice());
    let chain = head.chain.as_bytes().as_slice();
    let base_chain = base.map(|_| chain);
    let params: Params<'_> = &[&name, &bytes, &seq, &chain, &base_chain];
    let row = session.query(config, "creating a ledger", text, params).await?;
    let Some(row) = row.first() else {
        return Err(PostgresError::AlreadyExists { name: name.into(), place: config.place() });
    };
    match base {
        Some(Snapshot { at, bytes }) => {
            upkeep::write_snapshot(config, session, row.get(0), *at, bytes).await
        }
        None => Ok(()),
    }
}

/// Opens a ledger that is there.
pub(crate) async fn open(config: &Config, name: &str) -> Result<LedgerRow, PostgresError> {
    let session = Session::open(config, Purpose::Reading).await?;
    schema::check(config, &session).await?;
    LedgerRow::find(config, &session, name).await
}
