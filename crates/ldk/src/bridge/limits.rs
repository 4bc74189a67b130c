//! The limits of one hand-over.

use lightning::routing::router::{PaymentParameters, RouteParameters, RouteParametersConfig};

use crate::bridge::names::Retry;

/// How LDK pays inside one hand-over.
#[derive(Debug, Clone, Copy)]
pub struct HandOverLimits {
    /// What must reach the payee, in msat.
    pub amount_msat: u64,
    /// Routing, with the most that may go to fees.
    pub route: RouteParametersConfig,
    /// How often or how long LDK retries by itself.
    pub retry: Retry,
}

impl HandOverLimits {
    /// The route to a payee within these limits.
    pub(crate) fn route_to(&self, payee: PaymentParameters) -> RouteParameters {
        let config = self.route;
        let payee = payee
            .with_max_total_cltv_expiry_delta(config.max_total_cltv_expiry_delta)
            .with_max_path_count(config.max_path_count)
            .with_max_channel_saturation_power_of_half(config.max_channel_saturation_power_of_half);
        let mut route = RouteParameters::from_payment_params_and_value(payee, self.amount_msat);
        if let Some(max_fee) = config.max_total_routing_fee_msat {
            route.max_total_routing_fee_msat = Some(max_fee);
        }
        route
    }
}
