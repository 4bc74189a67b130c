//! The witness as a row of the user's own database, as docs/INTEGRATING-API.md shows it.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use payonce_core::{Head, LedgerId, LogHash, Opening, Remember, Status};
use payonce_engine::{Key, StartError, Starting, Witness, Witnessed};
use payonce_store_fs::FsStore;
use rusqlite::{Connection, params};

use crate::till::{Till, preimage, request};

// The guide shows this code.
const TABLE: &str = "CREATE TABLE ledger_head (
    ledger TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL)";

/// The head of one ledger, a row of `ledger_head`. Its database is none that is put back together with the
/// log.
struct Row {
    database: Mutex<Connection>,
    ledger: String,
}

impl Row {
    /// Once, when the service is set up: fails where the ledger has a row already.
    fn create(database: &Connection, ledger: &str) -> rusqlite::Result<()> {
        let row = params![ledger, 0, [0_u8; 32]];
        database.execute("INSERT INTO ledger_head VALUES (?1, ?2, ?3)", row).map(|_| ())
    }

    /// At every start. Never makes a row: one that begins anew has seen nothing.
    fn open(database: Connection, ledger: &str) -> io::Result<Self> {
        database.pragma_update(None, "synchronous", "FULL").map_err(io::Error::other)?;
        let row = Self { database: Mutex::new(database), ledger: ledger.into() };
        row.load()?;
        Ok(row)
    }
}

impl Witness for Row {
    fn load(&self) -> io::Result<Option<Head>> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = "SELECT seq, hash FROM ledger_head WHERE ledger = ?1";
        let head = database.query_row(sql, [&self.ledger], |row| {
            Ok(Head { seq: row.get(0)?, chain: LogHash::from_bytes(row.get(1)?) })
        });
        head.map(|head| (head.seq > 0).then_some(head)).map_err(io::Error::other)
    }

    fn store(&self, head: Head) -> io::Result<()> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = "UPDATE ledger_head SET seq = ?2, hash = ?3 WHERE ledger = ?1 AND seq <= ?2";
        let row = params![self.ledger, head.seq, head.chain.as_bytes()];
        match database.execute(sql, row).map_err(io::Error::other)? {
            1 => Ok(()),
            _ => Err(io::Error::other("the ledger has no row, or one with a later head")),
        }
    }
}
// Up to here.

async fn open(dir: &Path, database: Connection) -> Result<Starting<FsStore>, StartError> {
    let log = payonce_store_fs::Options::default();
    let (store, _) = FsStore::open(dir.join("log"), log).expect("opens");
    let row = Row::open(database, "payouts").map_err(StartError::Witness)?;
    let opening = Opening::new(Remember::Forever, 1);
    let options = payonce_runtime::Options::DEFAULT;
    Starting::open(store, opening, Witnessed::By(Arc::new(row)), options).await
}

fn set_up(dir: &Path) -> impl Fn() -> Connection {
    let path = dir.join("database");
    let connect = move || Connection::open(&path).expect("a database");
    connect().execute(TABLE, []).expect("a table");
    let log = payonce_store_fs::Options::default();
    let ledger = LedgerId::from_bytes([1; 32]);
    drop(FsStore::create(dir.join("log"), ledger, log).expect("a new log"));
    connect
}

#[test]
fn a_row_keeps_the_newest_head() {
    let dir = tempfile::tempdir().expect("a directory");
    let connect = set_up(dir.path());
    assert!(Row::open(connect(), "payouts").is_err(), "none is made by opening");
    Row::create(&connect(), "payouts").expect("new");
    Row::create(&connect(), "payouts").expect_err("one is there");
    let row = Row::open(connect(), "payouts").expect("there");
    assert_eq!(row.load().expect("read"), None);
    for seq in [7, 8] {
        let head = Head { seq, chain: LogHash::from_bytes([3; 32]) };
        row.store(head).expect("stored");
        let other = Row::open(connect(), "payouts").expect("there");
        assert_eq!(other.load().expect("read"), Some(head));
    }
    row.store(Head { seq: 6, chain: LogHash::from_bytes([3; 32]) }).expect_err("heads only grow");
}

/// A log put back from an older copy is noticed, and nothing new is paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_shows_a_log_that_was_put_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let connect = set_up(dir.path());
    let old = dir.path().join("old");
    copy(&dir.path().join("log"), &old);
    Row::create(&connect(), "payouts").expect("new");
    let till = Till::new(Key::PaymentHash);
    let starting = open(dir.path(), connect()).await.expect("opens");
    let (payer, report) =
        starting.engine("till", Arc::clone(&till) as _).finish().await.expect("starts");
    assert!(!report.unwitnessed && !report.restored);
    let (id, first) = request(1);
    payer.pay(id, first).await.expect("accepted");
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    payer.stop().await;
    assert!(payer.ledger().clone().close_async().await.is_some());

    std::fs::remove_dir_all(dir.path().join("log")).expect("lost");
    copy(&old, &dir.path().join("log"));
    let starting = open(dir.path(), connect()).await.expect("opens");
    let (payer, report) =
        starting.engine("till", Arc::clone(&till) as _).finish().await.expect("starts");
    assert!(report.restored);
    let (id, second) = request(2);
    assert!(payer.pay(id, second).await.is_err());
    payer.stop().await;
}

/// Without its row nothing goes out: a log put back from before it would not show that it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_out_without_the_row() {
    let dir = tempfile::tempdir().expect("a directory");
    let connect = set_up(dir.path());
    assert!(matches!(open(dir.path(), connect()).await, Err(StartError::Witness(_))));
    Row::create(&connect(), "payouts").expect("new");
    let till = Till::new(Key::PaymentHash);
    let starting = open(dir.path(), connect()).await.expect("opens");
    let (payer, _) =
        starting.engine("till", Arc::clone(&till) as _).finish().await.expect("starts");
    connect().execute("DELETE FROM ledger_head", []).expect("deleted");
    let (id, request) = request(3);
    payer.pay(id, request).await.expect("accepted");
    till.asked_times(4).await;
    assert_eq!(till.payouts(&preimage(3).payment_hash()), 0);
    Row::create(&connect(), "payouts").expect("mended");
    assert_eq!(payer.outcome(id).await.expect("an end").status, Status::Fulfilled);
    assert_eq!(till.payouts(&preimage(3).payment_hash()), 1);
    payer.stop().await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a directory");
    for file in std::fs::read_dir(from).expect("a directory") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

#[test]
fn the_guide_shows_this_code() {
    let (own, guide) =
        (include_str!("row.rs"), include_str!("../../../../docs/INTEGRATING-API.md"));
    let shown = own.split("// The guide shows this code.\n").nth(1).expect("a beginning");
    let shown = shown.split("// Up to here.").next().expect("an end");
    assert!(guide.contains(shown.trim_end()), "docs/INTEGRATING-API.md shows other code");
}
