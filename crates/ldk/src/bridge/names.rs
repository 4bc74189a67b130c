//! What the lines of LDK have in different modules.

pub(crate) use lightning::ln::channelmanager::{
    Bolt11PaymentError, Bolt12PaymentError, Retry, RetryableSendFailure,
};
