//! What time it is.

use payonce_core::UnixMillis;

/// Tells the time: recorded with everything, and compared with invoices' expiries.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch, UTC.
    fn now(&self) -> UnixMillis;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        payonce_runtime::now()
    }
}
