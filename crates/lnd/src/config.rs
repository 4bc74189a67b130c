//! How a node is reached, and what is vouched for.

use std::{fmt, fs, io, path::Path, str::FromStr, time::Duration};

use lightning_invoice::Currency;
use payonce_engine::{Memory, Wire};

/// The network of a node and of the invoices that it pays; as a text, LND's own word for it: `mainnet`,
/// `testnet`, `signet`, `regtest`, `simnet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Bitcoin's main network: money that is worth something.
    Mainnet,
    /// The public test network.
    Testnet,
    /// A signed test network.
    Signet,
    /// A chain of one's own, bitcoind's.
    Regtest,
    /// A chain of one's own, btcd's.
    Simnet,
}

impl Network {
    pub(crate) const fn currency(self) -> Currency {
        match self {
            Self::Mainnet => Currency::Bitcoin,
            Self::Testnet => Currency::BitcoinTestnet,
            Self::Signet => Currency::Signet,
            Self::Regtest => Currency::Regtest,
            Self::Simnet => Currency::Simnet,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
            Self::Simnet => "simnet",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let all = [Self::Mainnet, Self::Testnet, Self::Signet, Self::Regtest, Self::Simnet];
        let named = all.into_iter().find(|network| network.name() == text);
        named.ok_or_else(|| ParseNetworkError { text: text.to_owned() })
    }
}

/// A text that names no [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no network: say mainnet, testnet, signet, regtest or simnet")]
pub struct ParseNetworkError {
    /// The text as it was given.
    pub text: String,
}

/// How a node is reached, and what its operator vouches for.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Host and port of its gRPC, `127.0.0.1:10009`.
    pub address: String,
    /// Its certificate, PEM (`tls.cert`): the node must show this very one, or one that it signed.
    pub certificate: Vec<u8>,
    /// The macaroon, as in its file: needs `offchain:read` and `offchain:write`.
    pub macaroon: Vec<u8>,
    /// The network: invoices of another are refused.
    pub network: Network,
    /// Whether somebody may delete payments of this node (`DeletePayment`, `DeleteAllPayments`). A choice
    /// without a default: under [`Memory::Kept`] a hand-over that the node knows nothing of is said again,
    /// and has failed once its invoice is long expired. If somebody deletes all the same, one that was paid
    /// can look like that.
    pub memory: Memory,
    /// What lies between: a proxy that may send a request twice is [`Wire::MayRepeat`].
    pub wire: Wire,
    /// How long the node looks for routes, per hand-over; 60 s. Always set.
    pub attempt_timeout: Duration,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("address", &self.address)
            .field("network", &self.network)
            .field("memory", &self.memory)
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// A node with a direct connection, from what its files hold.
    #[must_use]
    pub fn new(
        address: impl Into<String>,
        certificate: impl Into<Vec<u8>>,
        macaroon: impl Into<Vec<u8>>,
        network: Network,
        memory: Memory,
    ) -> Self {
        Self {
            address: address.into(),
            certificate: certificate.into(),
            macaroon: macaroon.into(),
            network,
            memory,
            wire: Wire::Direct,
            attempt_timeout: Duration::from_secs(60),
        }
    }

    /// As [`new`](Self::new), reading the two files.
    ///
    /// # Errors
    /// If one of them cannot be read; the error names it.
    pub fn from_files(
        address: impl Into<String>,
        certificate: impl AsRef<Path>,
        macaroon: impl AsRef<Path>,
        network: Network,
        memory: Memory,
    ) -> io::Result<Self> {
        let read = |path: &Path| {
            let named = |error: io::Error| format!("{}: {error}", path.display());
            fs::read(path).map_err(|error| io::Error::new(error.kind(), named(error)))
        };
        let (certificate, macaroon) = (read(certificate.as_ref())?, read(macaroon.as_ref())?);
        Ok(Self::new(address, certificate, macaroon, network, memory))
    }

    /// With something between that may send a request twice, or not.
    #[must_use]
    pub const fn wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// With another time for finding routes.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }
}

/// Why a node's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The address is none.
    #[error("{address:?} is not HOST:PORT")]
    Address {
        /// The address as it was given.
        address: String,
    },
    /// There is no certificate in the PEM.
    #[error("the certificate cannot be read: {why}")]
    Certificate {
        /// Why it cannot be an address.
        why: String,
    },
    /// There is no macaroon.
    #[error("the macaroon is empty")]
    Macaroon,
}
