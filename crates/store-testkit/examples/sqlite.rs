//! A store on SQLite, written against the contract alone, and the suite run on it.
//!
//! `cargo run -p payonce-store-testkit --example sqlite`

use std::{ops::ControlFlow, path::PathBuf, sync::Arc, time::Duration};

use payonce_core::{
    Entry, EventSource, EventStore, Exclusion, Fence, Head, LedgerId, LogHash, Snapshot,
    StoreError, StoredEntry,
};
use payonce_store_testkit::{Harness, Hook, all, run};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS log (ledger BLOB NOT NULL, fences INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS entry
        (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, chain BLOB NOT NULL, bytes BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS snapshot
        (seq INTEGER PRIMARY KEY, chain BLOB NOT NULL, sum BLOB NOT NULL, bytes BLOB NOT NULL,
         base INTEGER NOT NULL);";

/// A log in one SQLite file. The last handle to fence writes; a transaction checks that it is.
pub(crate) struct SqliteStore {
    database: Connection,
    ledger: LedgerId,
    fence: i64,
    failed: Option<Failed>,
}

/// Why a handle answers nothing any more.
enum Failed {
    Fenced,
    /// An append failed, and said so.
    Poisoned(Arc<str>),
}

fn backend(error: rusqlite::Error) -> StoreError {
    StoreError::Backend(Box::new(error))
}

fn head_in(row: &Row<'_>, seq: &str, chain: &str) -> rusqlite::Result<Head> {
    let seq: i64 = row.get(seq)?;
    Ok(Head { seq: seq.cast_unsigned(), chain: LogHash::from_bytes(row.get(chain)?) })
}

/// A seq as SQLite has it; one that is larger than any lies beyond every log.
fn sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

impl SqliteStore {
    /// Opens the file, or creates it for this ledger.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn open(file: &PathBuf, ledger: LedgerId) -> Result<Self, StoreError> {
        let database = Connection::open(file).map_err(backend)?;
        database.execute_batch(SCHEMA).map_err(backend)?;
        let created = "INSERT INTO log SELECT ?1, 0 WHERE NOT EXISTS (SELECT 1 FROM log)";
        database.execute(created, [ledger.as_bytes()]).map_err(backend)?;
        let found = database.query_row("SELECT ledger FROM log", [], |row| row.get(0));
        let ledger = LedgerId::from_bytes(found.map_err(backend)?);
        Ok(Self { database, ledger, fence: -1, failed: None })
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        match &self.failed {
            None => Ok(()),
            Some(Failed::Fenced) => Err(StoreError::Fenced { by: None }),
            Some(Failed::Poisoned(cause)) => Err(StoreError::Poisoned { cause: Arc::clone(cause) }),
        }
    }

    /// Appends, or makes sure that it could. After a failure nobody knows what was committed.
    fn write(
        &mut self,
        change: impl FnOnce(&Connection, Head) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let outcome = self.maintain(change);
        if let Err(error) = &outcome
            && self.failed.is_none()
        {
            self.failed = Some(Failed::Poisoned(error.cause()));
        }
        outcome
    }

    /// Runs a change as one transaction that only the present writer can commit. Whatever becomes of a
    /// snapshot, the log is as it was.
    fn maintain(
        &mut self,
        change: impl FnOnce(&Connection, Head) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.check_usable()?;
        let (ledger, fence) = (self.ledger, self.fence);
        let attempt = || {
            let transaction =
                self.database.transaction_with_behavior(TransactionBehavior::Immediate);
            let transaction = transaction.map_err(backend)?;
            let owner =
                transaction.query_row("SELECT fences FROM log", [], |row| row.get::<_, i64>(0));
            if owner.map_err(backend)? != fence {
                return Err(StoreError::Fenced { by: None });
            }
            let head = head(&transaction, ledger)?;
            change(&transaction, head)?;
            transaction.commit().map_err(backend)
        };
        let outcome = attempt();
        if let Err(StoreError::Fenced { .. }) = outcome {
            self.failed = Some(Failed::Fenced);
        }
        outcome
    }
}

fn head(database: &Connection, ledger: LedgerId) -> Result<Head, StoreError> {
    let query = "SELECT last AS seq, chain FROM entry UNION ALL
                 SELECT seq, chain FROM snapshot WHERE base ORDER BY seq DESC LIMIT 1";
    let found = database.query_row(query, [], |row| head_in(row, "seq", "chain")).optional();
    Ok(found.map_err(backend)?.unwrap_or(Head::genesis(ledger)))
}

/// Whether an entry ends at this head.
fn has(database: &Connection, at: Head) -> Result<bool, StoreError> {
    let query = "SELECT 1 FROM entry WHERE last = ?1 AND chain = ?2 UNION ALL
                 SELECT 1 FROM snapshot WHERE seq = ?1 AND chain = ?2 AND base";
    let mut query = database.prepare_cached(query).map_err(backend)?;
    query.exists(params![sql(at.seq), at.chain.as_bytes()]).map_err(backend)
}

fn base_seq(database: &Connection) -> Result<Option<u64>, StoreError> {
    let query = "SELECT seq FROM snapshot WHERE base";
    let found = database.query_row(query, [], |row| row.get::<_, i64>(0)).optional();
    Ok(found.map_err(backend)?.map(i64::cast_unsigned))
}

/// The snapshots that a query finds; `None` for one that is damaged.
fn snapshots(
    database: &Connection,
    filter: &str,
    seq: u64,
) -> Result<Vec<Option<Snapshot>>, StoreError> {
    let query = format!("SELECT * FROM snapshot WHERE {filter} ORDER BY seq DESC");
    let mut query = database.prepare_cached(&query).map_err(backend)?;
    let read = |row: &Row<'_>| {
        let (at, bytes) = (head_in(row, "seq", "chain")?, row.get::<_, Vec<u8>>("bytes")?);
        let sound = at.chain.extend(&bytes).as_bytes() == &row.get::<_, [u8; 32]>("sum")?;
        Ok(sound.then_some(Snapshot { at, bytes }))
    };
    let found = query.query_map([sql(seq)], read).map_err(backend)?;
    found.collect::<Result<_, _>>().map_err(backend)
}

fn corrupt(place: String) -> StoreError {
    StoreError::Corrupt { place, what: "it fails its checksum".into() }
}

impl EventSource for SqliteStore {
    fn ledger_id(&self) -> LedgerId {
        self.ledger
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.check_usable()?;
        head(&self.database, self.ledger)
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (head, base) = (self.head()?, self.base()?.map(|base| base.at));
        let start = base.unwrap_or(Head::genesis(self.ledger));
        if from.max(1) <= base.map_or(0, |base| base.seq) || from > head.seq + 1 {
            return Err(StoreError::Missing { needed: "history", requested: from });
        }
        let mut query = self.database.prepare_cached("SELECT * FROM entry ORDER BY first");
        let mut rows =
            query.as_mut().map_err(|_| corrupt("entry".into()))?.query([]).map_err(backend)?;
        let mut chain = start.chain;
        while let Some(row) = rows.next().map_err(backend)? {
            let first_seq = row.get::<_, i64>("first").map_err(backend)?.cast_unsigned();
            let bytes =
                row.get_ref("bytes").and_then(|bytes| Ok(bytes.as_blob()?)).map_err(backend)?;
            chain = chain.extend(bytes);
            if chain != head_in(row, "last", "chain").map_err(backend)?.chain {
                return Err(corrupt(format!("entry at seq {first_seq}")));
            }
            if first_seq >= from && visit(StoredEntry { first_seq, bytes }).is_break() {
                return Ok(());
            }
        }
        if chain == head.chain { Ok(()) } else { Err(corrupt("the last entry".into())) }
    }

    fn load_snapshot(&self, at_most: u64) -> Result<Option<Snapshot>, StoreError> {
        self.check_usable()?;
        let found = snapshots(&self.database, "NOT base AND seq <= ?1", at_most)?;
        match found.into_iter().flatten().next() {
            None => Ok(self.base()?.filter(|base| base.at.seq <= at_most)),
            found => Ok(found),
        }
    }

    fn base(&self) -> Result<Option<Snapshot>, StoreError> {
        self.check_usable()?;
        match snapshots(&self.database, "base AND ?1", 1)?.pop() {
            None => Ok(None),
            Some(Some(base)) => Ok(Some(base)),
            Some(None) => Err(corrupt("the base".into())),
        }
    }
}

impl EventStore for SqliteStore {
    fn exclusion(&self) -> Exclusion {
        Exclusion::Atomic
    }

    fn fence(&mut self) -> Result<Fence, StoreError> {
        self.check_usable()?;
        let query = "UPDATE log SET fences = fences + 1 RETURNING fences";
        self.fence = self.database.query_row(query, [], |row| row.get(0)).map_err(backend)?;
        Ok(Fence { head: self.head()?, number: Some(self.fence.unsigned_abs()) })
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(|database, mut actual| {
            let insert = "INSERT INTO entry VALUES (?1, ?2, ?3, ?4)";
            let mut insert = database.prepare_cached(insert).map_err(backend)?;
            for entry in entries {
                let (expected, after) = (entry.before(), entry.after());
                if expected != actual {
                    return Err(StoreError::NotNext { expected, actual });
                }
                let (first, last) = (sql(entry.first_seq()), sql(after.seq));
                let row = params![first, last, after.chain.as_bytes(), entry.bytes()];
                insert.execute(row).map_err(backend)?;
                actual = after;
            }
            Ok(())
        })
    }

    fn confirm_owner(&mut self) -> Result<(), StoreError> {
        self.write(|_, _| Ok(()))
    }

    fn save_snapshot(&mut self, at: Head, bytes: &[u8]) -> Result<(), StoreError> {
        self.maintain(|database, _| {
            if !has(database, at)? {
                return Err(StoreError::Missing { needed: "end of an entry", requested: at.seq });
            }
            let (chain, sum) = (at.chain.as_bytes(), at.chain.extend(bytes));
            let row = params![sql(at.seq), chain, sum.as_bytes(), bytes];
            // The base stays, and so do the two newest.
            let insert = "INSERT OR IGNORE INTO snapshot VALUES (?1, ?2, ?3, ?4, 0)";
            database.execute(insert, row).map_err(backend)?;
            let evict = "DELETE FROM snapshot WHERE NOT base AND seq NOT IN
                         (SELECT seq FROM snapshot WHERE NOT base ORDER BY seq DESC LIMIT 2)";
            database.execute(evict, []).map(drop).map_err(backend)
        })
    }

    fn drop_history(&mut self, base: Head) -> Result<(), StoreError> {
        self.maintain(|database, _| {
            let at = snapshots(database, "seq = ?1", base.seq)?;
            let is_there = at.into_iter().flatten().any(|snapshot| snapshot.at == base);
            if !is_there || !has(database, base)? || base_seq(database)? > Some(base.seq) {
                return Err(StoreError::Missing { needed: "snapshot", requested: base.seq });
            }
            for change in [
                "DELETE FROM entry WHERE last <= ?1",
                "DELETE FROM snapshot WHERE seq < ?1",
                "UPDATE snapshot SET base = 1 WHERE seq = ?1",
            ] {
                database.execute(change, [sql(base.seq)]).map_err(backend)?;
            }
            Ok(())
        })
    }
}

/// How the suite gets at it.
pub(crate) struct Sqlite(tempfile::TempDir);

impl Sqlite {
    /// In a directory of its own.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory for temporary files"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("payments.sqlite")
    }

    fn change(&self, change: &str, seq: u64) -> bool {
        let database = Connection::open(self.file()).expect("it exists");
        database.execute(change, [sql(seq)]).is_ok_and(|changed| changed == 1)
    }
}

impl Harness for Sqlite {
    type Store = SqliteStore;
    const LEFT_OUT: &'static [Hook] = &[Hook::FailNextMaintenance];

    fn create(&mut self, ledger: LedgerId) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.file(), ledger)
    }

    fn reopen(&mut self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.file(), LedgerId::from_bytes([0; 32]))
    }

    fn fail_next_append(&mut self, store: &mut SqliteStore) -> bool {
        let trigger = "CREATE TEMP TRIGGER fail AFTER INSERT ON entry WHEN NEW.first % 3 = 0
                       BEGIN SELECT RAISE(ABORT, 'told to fail'); END";
        store.database.execute_batch(trigger).is_ok()
    }

    fn damage_entry(&mut self, first_seq: u64) -> bool {
        self.change(
            "UPDATE entry SET bytes = CAST(bytes || x'00' AS BLOB) WHERE first = ?1",
            first_seq,
        )
    }

    fn damage_snapshot(&mut self, at: u64) -> bool {
        self.change("UPDATE snapshot SET bytes = CAST(bytes || x'00' AS BLOB) WHERE seq = ?1", at)
    }
}

/// Runs the suite and says what it showed.
#[allow(clippy::print_stdout, reason = "an example speaks to who runs it")]
pub(crate) fn main() -> Result<(), payonce_store_testkit::Breach> {
    for case in all::<Sqlite>() {
        let shown = run(Sqlite::new, case, Duration::from_secs(60))?;
        println!("{}. {:58} {shown:?}", case.sentence, case.name);
    }
    Ok(())
}
