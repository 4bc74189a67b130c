//! What can be wrong with a log in PostgreSQL, and what to do about it.

use std::{error::Error, time::Duration};

use payonce_core::{Head, LedgerId, StoreError, TakenOver, UnixMillis};
use tokio_postgres::error::SqlState;

/// Why a log could not be created, opened, read or written.
///
/// Unless it says otherwise nothing was written. After an append or a fence every error but
/// [`StoreError::NotNext`] and [`StoreError::Fenced`] leaves its outcome unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The connection string is wrong.
    #[error("the connection string cannot be used: {what}")]
    Connection {
        /// What is wrong with it.
        what: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be used: {what}")]
    Tls {
        /// What is wrong: a certificate that cannot be read, say.
        what: String,
    },
    /// No server answers at the address: it is down, or the address is wrong.
    #[error(
        "no PostgreSQL server answers at {place}: {cause}; is it running, and is the address right?"
    )]
    Unreachable {
        /// Hosts, ports and database.
        place: String,
        /// What the network says.
        cause: String,
    },
    /// The server does not let this user in.
    #[error(
        "the server at {place} does not let user {user:?} in: {cause}; check the password, the user, \
         and pg_hba.conf"
    )]
    NotLetIn {
        /// Hosts, ports and database.
        place: String,
        /// The user of the connection string.
        user: String,
        /// What the server says.
        cause: String,
    },
    /// There is no such database.
    #[error("there is no database {name:?} at {place}: create it, or name another one (dbname=…)")]
    NoDatabase {
        /// The database that was asked for.
        name: String,
        /// Hosts, ports and database.
        place: String,
    },
    /// The server is older than any that this store was written for.
    #[error("the server has version {found}; payonce needs PostgreSQL 14 or newer")]
    OldServer {
        /// The server's version, as it states it.
        found: String,
    },
    /// The server takes no writes.
    #[error(
        "the server at {place} is a standby and takes no writes: connect to the primary (name all hosts \
         and target_session_attrs=read-write), or promote this one"
    )]
    Standby {
        /// Hosts, ports and database.
        place: String,
    },
    /// The database takes no writes.
    #[error("the database at {place} is set read-only (default_transaction_read_only)")]
    ReadOnly {
        /// Hosts, ports and database.
        place: String,
    },
    /// The server would acknowledge what it could still lose.
    #[error(
        "{setting} is {found:?}, but {needed} is needed, or a payment that was acknowledged could be lost \
         and paid again: {remedy}"
    )]
    NotDurable {
        /// The server's setting, as PostgreSQL names it.
        setting: &'static str,
        /// The value it has for this connection.
        found: String,
        /// What it must be.
        needed: String,
        /// What an operator or the caller can change.
        remedy: String,
    },
    /// A pooler gave this session's statements to another server process.
    #[error(
        "a pooler between this program and the server gives its statements to changing sessions: connect \
         to the server itself, or let it pool by session"
    )]
    Pooler,
    /// The database has no tables of payonce.
    #[error("there are no tables of payonce in {place}: create a ledger, or name another database")]
    NoSchema {
        /// Hosts, ports and database.
        place: String,
    },
    /// The tables were made by a newer version of this store.
    #[error(
        "{place} has schema version {found}; this program reads up to {known}: use the newer program"
    )]
    NewerSchema {
        /// Where the version is stated.
        place: String,
        /// The version that the tables have.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The tables are of an older version, and this user may not change them.
    #[error(
        "{place} has schema version {found} and needs {needed}: migrate it as the owner of the schema"
    )]
    OlderSchema {
        /// Where the version is stated.
        place: String,
        /// The version that the tables have.
        found: u32,
        /// The version that this program writes.
        needed: u32,
    },
    /// There is no ledger of this name.
    #[error("there is no ledger {name:?} in {place}: there are {}; create it, or name another one", listed(.known))]
    NoLedger {
        /// The name that was asked for.
        name: String,
        /// Hosts, ports and database.
        place: String,
        /// The names that there are, the first few.
        known: Vec<String>,
    },
    /// A ledger would be created where there is one.
    #[error("there is a ledger {name:?} in {place} already: open it")]
    AlreadyExists {
        /// The name, which is taken.
        name: String,
        /// Hosts, ports and database.
        place: String,
    },
    /// No ledger can have this name.
    #[error(
        "{name:?} cannot be the name of a ledger: it needs 1 to 100 characters and no control characters"
    )]
    Name {
        /// The name that was given.
        name: String,
    },
    /// Another ledger stands under this name than the one that was opened.
    #[error("ledger {name:?} is now {found}, and was {expected}: it was deleted and created anew")]
    OtherLedger {
        /// The name, which stayed.
        name: String,
        /// The id of the ledger that is there now.
        found: LedgerId,
        /// The id that was opened.
        expected: LedgerId,
    },
    /// The caller asked not to take over from a writer that is alive.
    #[error(
        "{holder:?} wrote to this ledger {ago:?} ago by the database's clock, and a writer seen within \
         {within:?} is not taken over: stop it, or wait"
    )]
    WriterAlive {
        /// The writer, in its own words ([`Opening::holder`](payonce_core::Opening::holder)).
        holder: String,
        /// How long ago it was seen.
        ago: Duration,
        /// The time that was asked for.
        within: Duration,
    },
    /// The user lacks a right.
    #[error("user {user:?} may not do that: {cause}; grant it what docs/OPERATING.md lists")]
    NoRight {
        /// The user of the connection string.
        user: String,
        /// What the server says.
        cause: String,
    },
    /// A table does not say what was written.
    #[error("{place}: {what}")]
    Damaged {
        /// The table and the row.
        place: String,
        /// What it says, and what it should say.
        what: String,
    },
    /// The server did not answer in time.
    #[error(
        "{doing} took longer than {limit:?}: the server, the network, or the standby that must confirm it \
         does not answer"
    )]
    Late {
        /// What the server was asked to do, as a noun: "an append".
        doing: &'static str,
        /// How long the store waited ([`Config`](crate::Config) has the limits).
        limit: Duration,
    },
    /// The server warned where nothing may be amiss: COMMIT can answer though no standby has what was
    /// committed.
    #[error("the server answered {doing} with a warning, so what it did is unknown: {warning}")]
    Warned {
        /// What the server was asked to do, as a noun.
        doing: &'static str,
        /// What the server said.
        warning: String,
    },
    /// The demand on replication was given up while a commit waited for it.
    #[error(
        "synchronous_standby_names was emptied while {doing}: no standby may have what was committed, so \
         what it did is unknown"
    )]
    ReplicationOff {
        /// What waited for a standby, as a noun.
        doing: &'static str,
    },
    /// The connection broke or the server failed.
    #[error("{doing} failed: {cause}")]
    Failed {
        /// What the server was asked to do, as a noun.
        doing: &'static str,
        /// What the server or the network says.
        cause: String,
    },
    /// Entries that do not continue the head.
    #[error("the entries continue {expected}, but the log ends at {actual}")]
    NotNext {
        /// The head that the entries continue.
        expected: Head,
        /// The head of the log.
        actual: Head,
    },
    /// Another writer has taken over.
    #[error("{holder:?} has taken this ledger over at {} ms", .at.0)]
    Fenced {
        /// The new writer, in its own words ([`Opening::holder`](payonce_core::Opening::holder)).
        holder: String,
        /// When, by the database's clock.
        at: UnixMillis,
    },
    /// There is nothing at this seq.
    #[error("no {needed} at seq {requested}")]
    Missing {
        /// What was needed there.
        needed: &'static str,
        /// The seq asked for.
        requested: u64,
    },
    /// A seq that no table holds.
    #[error("seq {0} is beyond what a table can hold")]
    SeqTooLarge(u64),
    /// A writing call before [`fence`](payonce_core::EventStore::fence).
    #[error("this handle is not the writer yet: fence it first")]
    NotFenced,
    /// An order that no request can be made of.
    #[error("order of payment {payment}: {what}")]
    Order {
        /// The payment id, in hex.
        payment: String,
        /// Which of its columns cannot be used, and why.
        what: String,
    },
    /// The store's own thread failed.
    #[error("the thread that speaks with the server failed: {0}")]
    Thread(std::io::Error),
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// An error and what is behind it, in one line.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

impl PostgresError {
    /// What the server or the network said while something was asked of a session.
    pub(crate) fn failed(doing: &'static str, error: &tokio_postgres::Error) -> Self {
        // What this session prepared stands in another one.
        let elsewhere = [&SqlState::INVALID_SQL_STATEMENT_NAME, &SqlState::DUPLICATE_PSTATEMENT];
        if elsewhere.into_iter().any(|code| is_code(error, code)) {
            return Self::Pooler;
        }
        Self::Failed { doing, cause: with_sources(error) }
    }

    pub(crate) fn damaged(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged { place: place.into(), what: what.into() }
    }
}

pub(crate) fn is_code(error: &tokio_postgres::Error, code: &SqlState) -> bool {
    error.code() == Some(code)
}

impl From<PostgresError> for StoreError {
    fn from(error: PostgresError) -> Self {
        match error {
            PostgresError::NotNext { expected, actual } => Self::NotNext { expected, actual },
            PostgresError::Fenced { holder, at } => {
                Self::Fenced { by: Some(TakenOver { holder: holder.into(), at }) }
            }
            PostgresError::NewerSchema { place, found, known } => {
                Self::NewerVersion { place, found, known }
            }
            PostgresError::WriterAlive { .. } => Self::Locked { holder: error.to_string() },
            PostgresError::Damaged { place, what } => Self::Corrupt { place, what },
            PostgresError::Missing { needed, requested } => Self::Missing { needed, requested },
            PostgresError::NoLedger { ref place, .. }
            | PostgresError::OtherLedger { name: ref place, .. } => {
                Self::Corrupt { place: place.clone(), what: error.to_string() }
            }
            other => Self::Backend(Box::new(other)),
        }
    }
}
