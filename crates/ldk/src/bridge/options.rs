//! Options: what a payer must be told about its node.

use core::time::Duration;

use lightning::{bitcoin::Network, routing::router::RouteParametersConfig};

use crate::bridge::names::Retry;

/// Whether the channel state that was loaded is the latest that any signature was based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelState {
    /// The monitors are the last ones that were written, and no other process drives the channels.
    /// A hand-over that LDK does not know was never sent, then, and is made again.
    Latest,
    /// They may be from a backup, or another process may still be alive: nothing counts as never
    /// sent.
    MayBeOlder,
}

/// What a payer must be told about its node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The network that the node is on.
    pub network: Network,
    /// Whether what LDK loaded can testify.
    pub channel_state: ChannelState,
    /// Whether the manager was read by [`read_manager`](crate::read_manager); false. If it was not, a
    /// start fails where LDK may have failed what is out.
    pub manager_read_twice: bool,
    /// How often or how long LDK retries inside one hand-over; 10 seconds.
    pub retry: Retry,
    /// How LDK routes; the most that may go to fees comes from the payment, where it states it.
    pub route: RouteParametersConfig,
    /// Whether what LDK tells of each path is kept as an observation ([`PathReport`](crate::PathReport)); it
    /// is not: each is a write to the store inside LDK's event handler, and only 256 are kept of a payment.
    pub path_reports: bool,
    /// How the ledger is shared; with a snapshot every 1,000 appends, since a node's key-value store reads
    /// each one by a call of its own.
    pub ledger: payonce_runtime::Options,
}

impl Options {
    /// With LDK's defaults for routing.
    #[must_use]
    pub fn new(network: Network, channel_state: ChannelState) -> Self {
        Self {
            network,
            channel_state,
            manager_read_twice: false,
            retry: Retry::Timeout(Duration::from_secs(10)),
            route: RouteParametersConfig::default(),
            path_reports: false,
            ledger: payonce_runtime::Options::DEFAULT.snapshot_every_appends(Some(1_000)),
        }
    }

    /// With a manager that was read by [`read_manager`](crate::read_manager).
    #[must_use]
    pub const fn manager_read_twice(mut self) -> Self {
        self.manager_read_twice = true;
        self
    }

    /// With reports on paths kept.
    #[must_use]
    pub const fn path_reports(mut self) -> Self {
        self.path_reports = true;
        self
    }

    /// With LDK's own retries inside one hand-over.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// With this way of sharing the ledger.
    #[must_use]
    pub const fn ledger(mut self, options: payonce_runtime::Options) -> Self {
        self.ledger = options;
        self
    }

    /// With LDK's routing parameters.
    #[must_use]
    pub const fn route(mut self, route: RouteParametersConfig) -> Self {
        self.route = route;
        self
    }
}
