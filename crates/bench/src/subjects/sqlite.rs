//! SQLite through rusqlite: WAL, `synchronous=FULL`, one connection behind a mutex. It has no group
//! commit: writers take turns.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use rusqlite::Connection;

use super::{Log, Subject, Writer};
use crate::{Result, life::Record};

const INSERT: &str = "INSERT INTO records (bytes) VALUES (?1)";

/// `rusqlite`.
pub(crate) struct Sqlite;

impl Subject for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Log>> {
        let connection = Connection::open(directory.join("records.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, bytes BLOB)", ())?;
        let durable: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        assert_eq!(durable, 2, "FULL");
        Ok(Box::new(Open(Mutex::new(connection))))
    }
}

struct Open(Mutex<Connection>);

impl Log for Open {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + Send + '_>> {
        Ok(Box::new(self))
    }
}

impl Writer for &Open {
    fn commit(&mut self, record: Record) -> Result<()> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One statement is one transaction.
        connection.prepare_cached(INSERT)?.execute([&*record.bytes])?;
        Ok(())
    }

    fn commit_all(&mut self, records: Vec<Record>) -> Result<()> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction()?;
        for record in records {
            transaction.prepare_cached(INSERT)?.execute([&*record.bytes])?;
        }
        Ok(transaction.commit()?)
    }
}
