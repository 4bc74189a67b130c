//! One connection to the server, set up so that what it acknowledges is durable, and so that nothing
//! the server says on the side goes unheard.

use std::{
    collections::HashMap,
    fmt,
    future::{Future, poll_fn},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Connection, Row, Statement, error::SqlState, types::ToSql,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    config::Config,
    error::{PostgresError, is_code, with_sources},
};

/// What a statement is given.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It writes: the server must be a primary that loses nothing it acknowledged.
    Writing,
    /// It reads: a standby will do.
    Reading,
}

/// A connection that is set up.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// The server process, which must stay the same: a pooler may change it.
    pub(crate) process: i32,
    pub(crate) is_standby: bool,
    /// Those that were prepared, by their text.
    statements: Mutex<HashMap<String, Statement>>,
    heard: Arc<Heard>,
    driver: JoinHandle<()>,
}

/// What the server said unasked.
#[derive(Default)]
struct Heard {
    warnings: AtomicU64,
    last_warning: Mutex<String>,
    notified: Notify,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, is_standby, .. } = self;
        f.debug_struct("Session")
            .field("process", process)
            .field("is_standby", is_standby)
            .finish_non_exhaustive()
    }
}

impl Drop for Session {
    /// Closes the socket at once: what was asked last is no use to anybody any more.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// As the database, the user or the server has them; this store's own are set after they were read.
const SETTINGS: &str = "select pg_is_in_recovery(), current_setting('transaction_read_only'), \
     current_setting('server_version_num')::int, current_setting('server_version'), \
     coalesce(current_setting('fsync', true), 'on'), \
     coalesce(current_setting('full_page_writes', true), 'on'), \
     current_setting('synchronous_commit'), \
     coalesce(current_setting('synchronous_standby_names', true), ''), pg_backend_pid()";

/// The oldest version that is supported.
const OLDEST: i32 = 140_000;

impl Session {
    /// Connects, and refuses a server that will not do.
    pub(crate) async fn open(config: &Config, purpose: Purpose) -> Result<Self, PostgresError> {
        config.check()?;
        let late = PostgresError::Unreachable {
            place: config.place(),
            cause: format!("no answer within {:?}", config.limit),
        };
        let opening = async {
            let session = Self::connect(config).await?;
            session.set_up(config, purpose).await
        };
        timeout(config.limit, opening).await.unwrap_or(Err(late))
    }

    async fn connect(config: &Config) -> Result<Self, PostgresError> {
        let connected = config.connection.connect(tls(config)?).await;
        let (client, connection) = connected.map_err(|error| refused(config, &error))?;
        let heard = Arc::new(Heard::default());
        let driver = tokio::spawn(drive(connection, Arc::clone(&heard)));
        let statements = Mutex::default();
        Ok(Self { client, process: 0, is_standby: false, statements, heard, driver })
    }

    async fn set_up(mut self, config: &Config, purpose: Purpose) -> Result<Self, PostgresError> {
        let doing = "looking at the server's settings";
        let failed = |error| PostgresError::failed(doing, &error);
        let settings = self.client.query_one(SETTINGS, &[]).await.map_err(failed)?;
        self.is_standby = settings.get(0);
        self.process = settings.get(8);
        check_version(&settings)?;
        if purpose == Purpose::Writing {
            check_writable(config, &settings)?;
            check_durable(config, &settings)?;
        }
        let set = own_settings(config, purpose, settings.get(6));
        self.client.batch_execute(&set).await.map_err(failed)?;
        Ok(self)
    }

    /// Asks something that may take no longer than the limit.
    pub(crate) async fn ask<T>(
        config: &Config,
        doing: &'static str,
        asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PostgresError> {
        match timeout(config.limit, asked).await {
            Err(_) => Err(PostgresError::Late { doing, limit: config.limit }),
            Ok(Err(error)) if is_code(&error, &SqlState::INSUFFICIENT_PRIVILEGE) => {
                let cause = with_sources(&error);
                Err(PostgresError::NoRight { user: config.user().into(), cause })
            }
            Ok(outcome) => outcome.map_err(|error| PostgresError::failed(doing, &error)),
        }
    }

    /// The rows that a question has.
    pub(crate) async fn query(
        &self,
        config: &Config,
        doing: &'static str,
        text: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, PostgresError> {
        Self::ask(config, doing, self.client.query(text, params)).await
    }

    /// Runs a statement; tells how many rows it changed.
    pub(crate) async fn execute(
        &self,
        config: &Config,
        doing: &'static str,
        text: &str,
        params: Params<'_>,
    ) -> Result<u64, PostgresError> {
        Self::ask(config, doing, self.client.execute(text, params)).await
    }

    /// As [`ask`](Self::ask), for what must be durable once it is answered: a warning meanwhile says
    /// that it may not be.
    pub(crate) async fn ask_durably<T>(
        &self,
        config: &Config,
        doing: &'static str,
        asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PostgresError> {
        let before = self.heard.warnings.load(Ordering::Acquire);
        let answer = Self::ask(config, doing, asked).await?;
        if self.heard.warnings.load(Ordering::Acquire) == before {
            return Ok(answer);
        }
        let warning = self.heard.last_warning.lock().unwrap_or_else(PoisonError::into_inner);
        Err(PostgresError::Warned { doing, warning: warning.clone() })
    }

    /// A statement that is asked again and again.
    pub(crate) async fn statement(
        &self,
        config: &Config,
        doing: &'static str,
        text: &str,
    ) -> Result<Statement, PostgresError> {
        let statements = || self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = statements().get(text) {
            return Ok(statement.clone());
        }
        let statement = Self::ask(config, doing, self.client.prepare(text)).await?;
        statements().insert(text.into(), statement.clone());
        Ok(statement)
    }

    /// Waits for a notification, or the end of the connection.
    pub(crate) async fn notified(&self) {
        self.heard.notified.notified().await;
    }
}

/// Moves what is sent and what comes, in order: a warning is noted before the answer that it belongs
/// to is handed over.
async fn drive<S, T>(mut connection: Connection<S, T>, heard: Arc<Heard>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            AsyncMessage::Notice(notice) => {
                let text = format!("{}: {}", notice.severity(), notice.message());
                tracing::warn!(notice = text, detail = notice.detail(), "the server warns");
                *heard.last_warning.lock().unwrap_or_else(PoisonError::into_inner) = text;
                heard.warnings.fetch_add(1, Ordering::Release);
            }
            AsyncMessage::Notification(_) => heard.notified.notify_one(),
            _ => {}
        }
    }
    heard.notified.notify_one();
}

fn tls(config: &Config) -> Result<MakeRustlsConnect, PostgresError> {
    let refused = |what: String| PostgresError::Tls { what };
    let mut roots = rustls::RootCertStore::empty();
    let found = match &config.root_certificates {
        Some(file) => {
            let read = rustls_native_certs::load_certs_from_paths(Some(file), None);
            if let Some(error) = read.errors.first() {
                return Err(refused(format!("{}: {error}", file.display())));
            }
            if read.certs.is_empty() {
                return Err(refused(format!("{} holds no certificate", file.display())));
            }
            read.certs
        }
        // What the system has; if that is nothing, no server's certificate will do.
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(found);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(client))
}

/// Why no connection came about.
fn refused(config: &Config, error: &tokio_postgres::Error) -> PostgresError {
    let (place, cause) = (config.place(), with_sources(error));
    let is_any = |codes: &[SqlState]| codes.iter().any(|code| is_code(error, code));
    let user = || config.user().to_owned();
    if is_any(&[SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION])
        || cause.contains("password missing")
    {
        PostgresError::NotLetIn { place, user: user(), cause }
    } else if is_any(&[SqlState::INVALID_CATALOG_NAME]) {
        PostgresError::NoDatabase { name: config.database().into(), place }
    } else if is_any(&[SqlState::INSUFFICIENT_PRIVILEGE]) {
        PostgresError::NoRight { user: user(), cause }
    } else if cause.contains("does not allow writes") {
        PostgresError::Standby { place }
    } else if cause.contains("TLS") {
        PostgresError::Tls { what: cause }
    } else {
        PostgresError::Unreachable { place, cause }
    }
}

fn check_version(settings: &Row) -> Result<(), PostgresError> {
    if settings.get::<_, i32>(2) < OLDEST {
        return Err(PostgresError::OldServer { found: settings.get(3) });
    }
    Ok(())
}

fn check_writable(config: &Config, settings: &Row) -> Result<(), PostgresError> {
    if settings.get(0) {
        return Err(PostgresError::Standby { place: config.place() });
    }
    if settings.get::<_, &str>(1) != "off" {
        return Err(PostgresError::ReadOnly { place: config.place() });
    }
    Ok(())
}

/// Refuses settings under which a payment that was acknowledged can be lost, and is paid again.
fn check_durable(config: &Config, settings: &Row) -> Result<(), PostgresError> {
    for (column, setting) in [(4, "fsync"), (5, "full_page_writes")] {
        let found: &str = settings.get(column);
        if found != "on" {
            let remedy = format!("set {setting} = on in postgresql.conf and reload");
            let (found, needed) = (found.into(), "on".into());
            return Err(PostgresError::NotDurable { setting, found, needed, remedy });
        }
    }
    let (commit, needed) = (settings.get::<_, &str>(6), config.replication.synchronous_commit());
    if commit != "remote_apply" && commit != needed {
        let remedy =
            format!("alter role … set synchronous_commit = {needed}, or set it in postgresql.conf");
        let (setting, found) = ("synchronous_commit", commit.into());
        return Err(PostgresError::NotDurable { setting, found, needed: needed.into(), remedy });
    }
    if config.replication.is_demanded() && settings.get::<_, &str>(7).trim().is_empty() {
        return Err(PostgresError::NotDurable {
            setting: "synchronous_standby_names",
            found: String::new(),
            needed: "the name of a standby at least".into(),
            remedy: "set it in postgresql.conf, or demand no replication".into(),
        });
    }
    Ok(())
}

/// What this session needs, whatever the database or the user says: every statement is its own
/// transaction at `read committed`; warnings come; a dead peer is noticed; and `synchronous_commit`
/// stays as it was found to be, whatever a later reload says.
fn own_settings(config: &Config, purpose: Purpose, commit: &str) -> String {
    let limit = config.limit.as_millis();
    let statement = if purpose == Purpose::Writing { limit } else { 0 };
    let commit =
        if commit == "remote_apply" { commit } else { config.replication.synchronous_commit() };
    format!(
        "set application_name = 'payonce'; set search_path = pg_catalog; \
         set client_min_messages = warning; set default_transaction_isolation = 'read committed'; \
         set synchronous_commit = {commit}; set statement_timeout = {statement}; \
         set lock_timeout = 0; set idle_in_transaction_session_timeout = {limit}; \
         set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3"
    )
}
