//! Medians and percentiles.

use std::time::Duration;

/// What was measured in one slice: how long it took, what it did, and each step's latency.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sample {
    /// From the first step's beginning to the last one's end; of steps that followed each other, what
    /// they took.
    pub(crate) elapsed: Duration,
    /// How many records were durable at its end.
    pub(crate) records: u64,
    /// How long each step took, in nanoseconds, in no order.
    pub(crate) latencies_ns: Vec<u64>,
}

impl Sample {
    /// Adds another slice of the same repeat.
    pub(crate) fn add(&mut self, other: Self) {
        self.elapsed += other.elapsed;
        self.records += other.records;
        self.latencies_ns.extend(other.latencies_ns);
    }

    /// Durable records a second, over the time that was measured.
    pub(crate) fn rate(&self) -> f64 {
        self.records as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency below which this share of the steps lies, in microseconds.
    pub(crate) fn percentile_us(&self, share: f64) -> f64 {
        let mut sorted = self.latencies_ns.clone();
        sorted.sort_unstable();
        percentile(&sorted, share) as f64 / 1_000.0
    }
}

/// In whole nanoseconds, at most 584 years.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How long steps took that followed each other.
pub(crate) fn total(latencies_ns: &[u64]) -> Duration {
    Duration::from_nanos(latencies_ns.iter().sum())
}

/// The value at this share of sorted values: the smallest that at least this share of them does not
/// exceed. Zero if there are none.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

/// The median; of an even number of values the mean of the two in the middle. NaN if there are none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&sorted, 0.5), 50);
        assert_eq!(percentile(&sorted, 0.99), 99);
        assert_eq!(percentile(&sorted, 1.0), 100);
        assert_eq!(percentile(&sorted, 0.0), 1);
        assert_eq!(percentile(&[7], 0.99), 7);
        assert_eq!(percentile(&[], 0.5), 0);
    }

    #[test]
    fn the_median_needs_no_order_and_ignores_one_outlier() {
        assert!((median([9.0, 1.0, 1_000.0, 2.0, 3.0]) - 3.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median([]).is_nan());
    }

    #[test]
    fn slices_add_up() {
        let slice = |ms, records, latencies: &[u64]| Sample {
            elapsed: Duration::from_millis(ms),
            records,
            latencies_ns: latencies.to_vec(),
        };
        let mut sample = slice(100, 10, &[5_000, 1_000]);
        sample.add(slice(300, 30, &[3_000]));
        assert!((sample.rate() - 100.0).abs() < 1e-9);
        assert!((sample.percentile_us(0.5) - 3.0).abs() < 1e-9);
    }
}
