//! Where the database is, and what it must promise.

use std::{path::PathBuf, str::FromStr, time::Duration};

use tokio_postgres::config::{Host, SslMode};

use crate::error::PostgresError;

/// What a commit waits for before an append is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replication {
    /// `synchronous_commit` is `on` at least. Where `synchronous_standby_names` is empty, a payment
    /// that was acknowledged lasts as long as this one server's disk.
    NotDemanded,
    /// `synchronous_standby_names` is set too: as many standbys as it says have written the entry to
    /// their disks.
    Flushed,
    /// As `Flushed`, with `synchronous_commit = remote_apply`: readers of the standbys see it too.
    Applied,
}

impl Replication {
    /// The lowest `synchronous_commit` that will do.
    pub(crate) const fn synchronous_commit(self) -> &'static str {
        match self {
            Self::NotDemanded | Self::Flushed => "on",
            Self::Applied => "remote_apply",
        }
    }

    pub(crate) const fn is_demanded(self) -> bool {
        !matches!(self, Self::NotDemanded)
    }
}

/// What becomes of entries that a base stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DroppedHistory {
    /// They go into the table `payonce.archive`, for whoever audits.
    Archived,
    /// They are deleted.
    Deleted,
}

/// A database, and how it is used.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Hosts, user, password, database, TLS: as `tokio-postgres` has them.
    pub connection: tokio_postgres::Config,
    /// A PEM file with the certificates that are trusted, instead of those that the system trusts.
    pub root_certificates: Option<PathBuf>,
    /// What a commit waits for; `NotDemanded` by default.
    pub replication: Replication,
    /// How long a call may take, 30 s by default. An append that takes longer is unknown.
    pub limit: Duration,
    /// For how long a confirmation of ownership, or an append, lets this handle answer without asking
    /// the database again; 500 ms by default. A writer that was taken over can go on answering from
    /// memory for as long as this, and no longer. Zero asks for every answer.
    pub confirm_within: Duration,
    /// Refuses to take over from another writer that was seen alive within this time, by the
    /// database's clock; `None`, the default, takes over at once. A writer is seen at its appends and
    /// confirmations.
    pub spare_writer_seen_within: Option<Duration>,
    /// Who this is, for whoever finds the log taken over: a host and a process, say.
    pub holder: String,
    /// Tells followers of each append by `NOTIFY`, apart from the append; `true` by default.
    pub notify: bool,
    /// What becomes of history that is dropped; archived by default.
    pub dropped_history: DroppedHistory,
}

impl Config {
    /// With this connection and the defaults.
    #[must_use]
    pub fn new(connection: tokio_postgres::Config) -> Self {
        Self {
            connection,
            root_certificates: None,
            replication: Replication::NotDemanded,
            limit: Duration::from_secs(30),
            confirm_within: Duration::from_millis(500),
            spare_writer_seen_within: None,
            holder: format!("process {}", std::process::id()),
            notify: true,
            dropped_history: DroppedHistory::Archived,
        }
    }

    /// With this demand on replication.
    #[must_use]
    pub const fn replication(mut self, replication: Replication) -> Self {
        self.replication = replication;
        self
    }

    /// With this name of who writes.
    #[must_use]
    pub fn holder(mut self, holder: impl Into<String>) -> Self {
        self.holder = holder.into();
        self
    }

    /// With this limit of a call.
    #[must_use]
    pub const fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// With this time for which a confirmation counts.
    #[must_use]
    pub const fn confirm_within(mut self, time: Duration) -> Self {
        self.confirm_within = time;
        self
    }

    /// With this time for which another writer is spared.
    #[must_use]
    pub const fn spare_writer_seen_within(mut self, time: Duration) -> Self {
        self.spare_writer_seen_within = Some(time);
        self
    }

    /// With followers told of each append, or left to look by themselves.
    #[must_use]
    pub const fn notify(mut self, notify: bool) -> Self {
        self.notify = notify;
        self
    }

    /// With dropped history archived or deleted.
    #[must_use]
    pub const fn dropped_history(mut self, dropped: DroppedHistory) -> Self {
        self.dropped_history = dropped;
        self
    }

    /// With the certificates in this PEM file trusted, and no others.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// What cannot be used, before anything is sent to anybody.
    pub(crate) fn check(&self) -> Result<(), PostgresError> {
        let refused = |what: &str| Err(PostgresError::Connection { what: what.into() });
        let hosts = self.connection.get_hosts();
        if hosts.is_empty() && self.connection.get_hostaddrs().is_empty() {
            return refused("it names no host: say host=…");
        }
        if self.connection.get_user().is_none() {
            return refused("it names no user: say user=…");
        }
        let is_near = |host: &Host| match host {
            Host::Tcp(name) => {
                name == "localhost"
                    || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        // `prefer` would go on in the clear if whoever answers says that it cannot encrypt.
        if self.connection.get_ssl_mode() == SslMode::Prefer && !hosts.iter().all(is_near) {
            return refused(
                "towards another machine say sslmode=require, or sslmode=disable where the network \
                 itself is encrypted",
            );
        }
        if self.limit.is_zero() {
            return refused("the limit of a call is zero");
        }
        Ok(())
    }

    /// Where it leads, without the password.
    pub(crate) fn place(&self) -> String {
        let hosts = self.connection.get_hosts().iter().zip(
            self.connection.get_ports().iter().copied().chain(std::iter::repeat(
                self.connection.get_ports().first().copied().unwrap_or(5_432),
            )),
        );
        let hosts: Vec<_> = hosts
            .map(|(host, port)| match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            })
            .collect();
        format!("{}/{}", hosts.join(","), self.database())
    }

    pub(crate) fn database(&self) -> &str {
        self.connection.get_dbname().or_else(|| self.connection.get_user()).unwrap_or_default()
    }

    pub(crate) fn user(&self) -> &str {
        self.connection.get_user().unwrap_or_default()
    }
}

impl FromStr for Config {
    type Err = PostgresError;

    /// Reads a `postgres://` address or `key=value` pairs, as libpq has them.
    fn from_str(text: &str) -> Result<Self, PostgresError> {
        let connection = tokio_postgres::Config::from_str(text).map_err(|error| {
            PostgresError::Connection { what: crate::error::with_sources(&error) }
        })?;
        let config = Self::new(connection);
        config.check()?;
        Ok(config)
    }
}
