//! Limits to a payment's route, beyond its fee: its own where it states them, else the payer's.

use lightning::routing::router::RouteParametersConfig;

/// What a payment demands of its route. Each limit that it does not state is that of
/// [`Options::route`](crate::Options::route). The most that may go to fees is
/// [`Terms::max_fee`](crate::Terms::max_fee).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteLimits {
    /// The most that the HTLCs' time locks may come to over the whole route, in blocks: how long a payee or
    /// a hop that says nothing can keep the money.
    pub max_total_cltv_expiry_delta: Option<u32>,
    /// The most paths that the payment may be split into.
    pub max_path_count: Option<u8>,
    /// How much of a channel's capacity a path may use, as a power of one half: 0 for all of it, 1 for half.
    pub max_channel_saturation_power_of_half: Option<u8>,
}

impl RouteLimits {
    /// With the most blocks that the time locks may come to.
    #[must_use]
    pub const fn max_total_cltv_expiry_delta(mut self, blocks: u32) -> Self {
        self.max_total_cltv_expiry_delta = Some(blocks);
        self
    }

    /// With the most paths.
    #[must_use]
    pub const fn max_path_count(mut self, paths: u8) -> Self {
        self.max_path_count = Some(paths);
        self
    }

    /// With the share of a channel's capacity that a path may use, as a power of one half.
    #[must_use]
    pub const fn max_channel_saturation_power_of_half(mut self, power: u8) -> Self {
        self.max_channel_saturation_power_of_half = Some(power);
        self
    }

    /// The payer's routing within these limits.
    pub(crate) fn over(self, payers: RouteParametersConfig) -> RouteParametersConfig {
        let mut route = payers;
        if let Some(blocks) = self.max_total_cltv_expiry_delta {
            route.max_total_cltv_expiry_delta = blocks;
        }
        if let Some(paths) = self.max_path_count {
            route.max_path_count = paths;
        }
        if let Some(power) = self.max_channel_saturation_power_of_half {
            route.max_channel_saturation_power_of_half = power;
        }
        route
    }
}
