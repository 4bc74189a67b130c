//! Where a log is: in a directory, or in a PostgreSQL database.

use std::{
    convert::Infallible,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where a log is.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// A directory of segment files, or one of LDK's `FilesystemStore`.
    Directory(PathBuf),
    /// `postgres://USER@HOST/DATABASE#LEDGER`; the name of the ledger can be left out where there is one.
    Postgres(String),
}

impl Address {
    /// The directory, if it is one.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }

    /// As an argument of a command that a person may copy, without a password.
    pub(crate) fn quoted(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Postgres(_) => format!("'{self}'"),
        }
    }
}

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Whether a text names a database.
pub(crate) fn is_database(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

impl From<OsString> for Address {
    fn from(text: OsString) -> Self {
        match text.into_string() {
            Ok(text) if is_database(&text) => Self::Postgres(text),
            Ok(text) => Self::Directory(text.into()),
            Err(text) => Self::Directory(text.into()),
        }
    }
}

impl FromStr for Address {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(OsString::from(text).into())
    }
}

/// Never shows a password: what is said may end up in anybody's log.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Postgres(text) => f.write_str(&without_password(text)),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

fn without_password(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("postgres", text));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    // It may also stand among the parameters.
    let (query, name) =
        rest.split_once('#').map_or((rest, None), |(query, name)| (query, Some(name)));
    let (path, parameters) = query.split_once('?').unwrap_or((query, ""));
    let parameters: Vec<_> = parameters
        .split('&')
        .filter(|one| !one.is_empty() && !one.starts_with("password="))
        .collect();
    let parameters = parameters.join("&");
    let mut shown = format!("{scheme}://{authority}{path}");
    if !parameters.is_empty() {
        shown = format!("{shown}?{parameters}");
    }
    if let Some(name) = name {
        shown = format!("{shown}#{name}");
    }
    shown
}

/// A directory to write to. A database is written to by `copy` alone.
///
/// # Errors
/// What to do instead.
pub fn directory(text: &str) -> Result<PathBuf, String> {
    if is_database(text) {
        return Err(
            "this command writes to a directory: `payonce copy` writes to a database".into()
        );
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_ever_shown() {
        for (text, shown) in [
            (
                "postgres://ada:secret@db.example:5433/pay#node-1",
                "postgres://ada@db.example:5433/pay#node-1",
            ),
            (
                "postgres://ada@db/pay?password=secret&sslmode=require#a",
                "postgres://ada@db/pay?sslmode=require#a",
            ),
            ("postgresql://ada:se:cr@et@db?password=secret", "postgresql://ada@db"),
            ("postgres://db/pay", "postgres://db/pay"),
        ] {
            let address: Address = text.parse().expect("any text");
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("secret"));
        }
        assert_eq!("./postgres".parse(), Ok(Address::Directory("./postgres".into())));
    }
}
