//! The core's moments from and to those of `std`, whose clock the core does not read.

use std::time::{Duration, SystemTime};

use payonce_core::UnixMillis;

/// The present moment, by the system's clock: what commands take as their `now`.
#[must_use]
pub fn now() -> UnixMillis {
    unix_millis(SystemTime::now())
}

/// A moment of `std`, whole milliseconds, rounded down; before 1970 it is 0.
#[must_use]
pub fn unix_millis(moment: SystemTime) -> UnixMillis {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A moment of the core; `None` beyond what the system can tell.
#[must_use]
pub fn system_time(moment: UnixMillis) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(moment.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_go_there_and_back() {
        let moment = UnixMillis(1_790_000_000_123);
        assert_eq!(unix_millis(system_time(moment).expect("in range")), moment);
        assert_eq!(unix_millis(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), UnixMillis(0));
        assert!(now() > UnixMillis(1_600_000_000_000));
    }
}
