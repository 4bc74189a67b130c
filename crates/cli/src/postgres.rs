//! A ledger in a PostgreSQL database: its address, and opening it.

use payonce::{LedgerId, audit::Snapshot};
use payonce_store_postgres::{Config, PostgresError, PostgresStore};

use crate::{address::Address, io::Failure};

/// What an address of a database says.
pub(crate) struct Database {
    pub(crate) config: Config,
    /// The ledger, if it is named.
    name: Option<String>,
    shown: String,
}

impl Database {
    /// Reads `postgres://…#LEDGER`. What the address leaves out, the environment can say, as with other
    /// clients: `PGPASSWORD`, so that no password stands in the list of processes, and `PGSSLROOTCERT`.
    ///
    /// # Errors
    /// [`Failure::Refused`].
    pub(crate) fn read(address: &Address, text: &str) -> Result<Self, Failure> {
        let (connection, name) = match text.rsplit_once('#') {
            Some((connection, name)) => (connection, Some(decoded(name)?)),
            None => (text, None),
        };
        let refused = |error| Failure::refused(format!("{address}: {error}"));
        let mut config: Config = connection.parse().map_err(refused)?;
        if let (None, Some(password)) =
            (config.connection.get_password(), std::env::var_os("PGPASSWORD"))
        {
            config.connection.password(password.into_encoded_bytes());
        }
        if let Some(pem) = std::env::var_os("PGSSLROOTCERT") {
            config.root_certificates = Some(pem.into());
        }
        let config = config.holder(format!("payonce, process {}", std::process::id()));
        Ok(Self { config, name, shown: address.to_string() })
    }

    /// The name of the ledger: the one that is given, or the only one that there is.
    ///
    /// # Errors
    /// [`Failure::Refused`] if it is not clear which is meant.
    pub(crate) fn name(&self) -> Result<String, Failure> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let mut names = match PostgresStore::list(&self.config) {
            Err(PostgresError::NoSchema { .. }) => Vec::new(),
            listed => listed.map_err(Failure::refused)?,
        };
        let shown = &self.shown;
        match (names.pop(), names.len()) {
            (Some(name), 0) => Ok(name),
            (None, _) => Err(Failure::refused(format!(
                "there is no ledger in {shown}; a new one needs a name: {shown}#NAME"
            ))),
            (Some(last), _) => {
                names.push(last);
                let names = names.join(", ");
                Err(Failure::refused(format!(
                    "{shown} has several ledgers, {names}: name one, {shown}#NAME"
                )))
            }
        }
    }

    /// Opens the ledger and modifies nothing.
    ///
    /// # Errors
    /// [`Failure::Refused`].
    pub(crate) fn open(&self) -> Result<PostgresStore, Failure> {
        PostgresStore::open(self.config.clone(), &self.name()?).map_err(Failure::refused)
    }

    /// Whether there is a ledger, or could be.
    ///
    /// # Errors
    /// [`Failure::Refused`] if the database does not answer, or not to this user.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match PostgresStore::open(self.config.clone(), &self.name()?) {
            Err(PostgresError::NoLedger { .. } | PostgresError::NoSchema { .. }) => Ok(()),
            opened => opened.map(drop).map_err(Failure::refused),
        }
    }

    /// Opens the ledger, or creates it with this id, behind the base of a log whose history was dropped.
    ///
    /// # Errors
    /// [`Failure::Refused`].
    pub(crate) fn open_or_create(
        &self,
        id: LedgerId,
        base: Option<&Snapshot>,
    ) -> Result<PostgresStore, Failure> {
        let (name, config) = (self.name()?, || self.config.clone());
        let opened = match PostgresStore::open(config(), &name) {
            Err(PostgresError::NoLedger { .. } | PostgresError::NoSchema { .. }) => match base {
                Some(base) => PostgresStore::create_from(config(), &name, id, base),
                None => PostgresStore::create(config(), &name, id),
            },
            opened => opened,
        };
        opened.map_err(Failure::refused)
    }
}

/// A name out of an address, in which other characters stand as `%` and two digits.
fn decoded(name: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &others[2..] } else { others };
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::refused(format!("{name:?} is no name of a ledger")))
}
