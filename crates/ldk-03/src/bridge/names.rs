//! What the lines of LDK have in different modules.

pub(crate) use lightning::ln::outbound_payment::{
    Bolt11PaymentError, Bolt12PaymentError, Retry, RetryableSendFailure,
};
