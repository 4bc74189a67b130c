//! Terms: what a payer agrees to beyond what is paid.

use payonce_core::{Deadline, Msat, NotificationId, RetryPolicy};

use crate::order::route::RouteLimits;

/// The terms of a payment, beyond what is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// The most that may go to fees, all hand-overs together; without it LDK's default (1 % and 50
    /// sat) holds for each.
    pub max_fee: Option<Msat>,
    /// Whether LDK gets the payment again once it has given up: by default never. LDK retries by
    /// itself inside a hand-over.
    pub retry: RetryPolicy,
    /// How long an offer waits for its invoice over all hand-overs; 10 ticks. LDK gives up on one
    /// after one or two ticks of its own.
    pub wait: Deadline,
    /// What is demanded of the route beyond its fee; nothing.
    pub route: RouteLimits,
    /// The caller's own, at most [`limits::METADATA_BYTES`](payonce_core::limits::METADATA_BYTES).
    pub metadata: Vec<u8>,
    /// The PaymentFailed after which this id is tried anew.
    pub again_after: Option<NotificationId>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            max_fee: None,
            retry: RetryPolicy::Attempts(0),
            wait: Deadline::Ticks(10),
            route: RouteLimits::default(),
            metadata: Vec::new(),
            again_after: None,
        }
    }
}

impl Terms {
    /// With the most that may go to fees.
    #[must_use]
    pub const fn max_fee(mut self, fee: Msat) -> Self {
        self.max_fee = Some(fee);
        self
    }

    /// With a policy for further hand-overs.
    #[must_use]
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// With a limit to the wait for an offer's invoice.
    #[must_use]
    pub const fn wait(mut self, deadline: Deadline) -> Self {
        self.wait = deadline;
        self
    }

    /// With limits to the route.
    #[must_use]
    pub const fn route(mut self, limits: RouteLimits) -> Self {
        self.route = limits;
        self
    }

    /// With the caller's own bytes.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Vec<u8>>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// As a new try of a failed id.
    #[must_use]
    pub const fn again_after(mut self, failed: NotificationId) -> Self {
        self.again_after = Some(failed);
        self
    }
}
