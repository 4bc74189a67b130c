//! LDK's key-value store in an SQLite database, as nodes write it for themselves.

use std::{path::Path, sync::Mutex};

use lightning::{
    io::{Error, ErrorKind},
    util::persist::KVStoreSync,
};
use rusqlite::{Connection, OptionalExtension as _, params};

pub(crate) struct SqliteKv(Mutex<Connection>);

impl SqliteKv {
    pub(crate) fn open(path: &Path) -> Self {
        let connection = Connection::open(path).expect("a database");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE IF NOT EXISTS kv (
                     first TEXT NOT NULL, second TEXT NOT NULL, key TEXT NOT NULL,
                     value BLOB NOT NULL, PRIMARY KEY (first, second, key)
                 );",
            )
            .expect("a table");
        Self(Mutex::new(connection))
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, Error> {
        let connection = self.0.lock().expect("no test panics under the lock");
        work(&connection).map_err(|error| Error::new(ErrorKind::Other, error.to_string()))
    }
}

impl KVStoreSync for SqliteKv {
    fn read(&self, first: &str, second: &str, key: &str) -> Result<Vec<u8>, Error> {
        let value = self.with(|connection| {
            let sql = "SELECT value FROM kv WHERE first = ?1 AND second = ?2 AND key = ?3";
            connection.query_row(sql, params![first, second, key], |row| row.get(0)).optional()
        })?;
        value.ok_or(Error::from(ErrorKind::NotFound))
    }

    fn write(&self, first: &str, second: &str, key: &str, value: Vec<u8>) -> Result<(), Error> {
        self.with(|connection| {
            let sql = "INSERT OR REPLACE INTO kv VALUES (?1, ?2, ?3, ?4)";
            connection.execute(sql, params![first, second, key, value]).map(drop)
        })
    }

    fn remove(&self, first: &str, second: &str, key: &str, _: bool) -> Result<(), Error> {
        self.with(|connection| {
            let sql = "DELETE FROM kv WHERE first = ?1 AND second = ?2 AND key = ?3";
            connection.execute(sql, params![first, second, key]).map(drop)
        })
    }

    fn list(&self, first: &str, second: &str) -> Result<Vec<String>, Error> {
        self.with(|connection| {
            let mut query =
                connection.prepare("SELECT key FROM kv WHERE first = ?1 AND second = ?2")?;
            let keys = query.query_map(params![first, second], |row| row.get(0))?;
            keys.collect()
        })
    }
}
