//! What a handle, its thread and its snapshot writers share.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use payonce_core::LedgerId;

use crate::{
    config::Config,
    error::PostgresError,
    ledgers::LedgerRow,
    session::{Purpose, Session},
    thread::Thread,
};

/// How many sessions are kept for reading.
const READERS_KEPT: usize = 2;

/// A ledger in a database, and the sessions through which it is reached.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) name: String,
    pub(crate) number: i64,
    pub(crate) ledger: LedgerId,
    /// That of appends and confirmations.
    pub(crate) writer: tokio::sync::Mutex<Option<Session>>,
    /// That of snapshots and dropping: one at a time, beside appends.
    pub(crate) upkeep: tokio::sync::Mutex<Option<Session>>,
    readers: Mutex<Vec<Session>>,
    thread: Thread,
}

impl Shared {
    pub(crate) fn new(config: Config, name: &str, row: &LedgerRow, thread: Thread) -> Arc<Self> {
        Arc::new(Self {
            config,
            name: name.into(),
            number: row.number,
            ledger: row.ledger,
            writer: None.into(),
            upkeep: None.into(),
            readers: Mutex::default(),
            thread,
        })
    }

    /// Runs a future on the store's thread, to its end, while the caller waits.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, PostgresError>> + Send + 'static,
    ) -> Result<T, PostgresError> {
        self.thread.wait(work)
    }

    /// Starts a future on the store's thread.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.thread.spawn(work);
    }

    /// A session for reading, to be given back once nothing more comes through it.
    pub(crate) async fn reader(&self) -> Result<Session, PostgresError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match kept {
            Some(session) if !session.client.is_closed() => Ok(session),
            _ => Session::open(&self.config, Purpose::Reading).await,
        }
    }

    pub(crate) fn give_back(&self, session: Session) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT {
            readers.push(session);
        }
    }

    /// The row of this ledger, which must still be the same ledger.
    pub(crate) async fn row(&self, session: &Session) -> Result<LedgerRow, PostgresError> {
        let row = LedgerRow::find(&self.config, session, &self.name).await?;
        if row.ledger == self.ledger && row.number == self.number {
            return Ok(row);
        }
        let (name, found, expected) = (self.name.clone(), row.ledger, self.ledger);
        Err(PostgresError::OtherLedger { name, found, expected })
    }
}

/// The session in a slot, connected anew where it is not.
pub(crate) async fn connected<'a>(
    config: &Config,
    slot: &'a mut Option<Session>,
) -> Result<&'a Session, PostgresError> {
    if slot.as_ref().is_none_or(|session| session.client.is_closed()) {
        *slot = Some(Session::open(config, Purpose::Writing).await?);
    }
    Ok(slot.as_ref().expect("it was filled"))
}
