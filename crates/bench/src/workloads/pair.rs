//! A subject and the floor, measured in turn, and the figures that come of them.

use super::{Bench, FLOOR};
use crate::{
    Result,
    flushes::{DeviceCounters, Work},
    report::Figure,
    stats::{Sample, median},
};

/// What one side did in a repeat, and what the device did for it.
#[derive(Debug, Default)]
pub(crate) struct Side {
    sample: Sample,
    work: Work,
}

impl Side {
    /// Runs a slice of it.
    fn run(
        &mut self,
        counters: Option<&DeviceCounters>,
        run: impl FnOnce() -> Result<Sample>,
    ) -> Result<()> {
        let before = counters.and_then(DeviceCounters::read).unwrap_or_default();
        self.sample.add(run()?);
        let after = counters.and_then(DeviceCounters::read).unwrap_or(before);
        self.work += after - before;
        Ok(())
    }

    fn per_record(&self, count: u64) -> f64 {
        count as f64 / self.sample.records.max(1) as f64
    }
}

/// One repeat of a subject, and of the floor whose slices alternated with its own.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    floor: Side,
    subject: Side,
    rounds: usize,
}

impl Pair {
    /// Runs a slice of each; who was last in a round is first in the next, so that neither always
    /// follows the other.
    ///
    /// # Errors
    /// Whatever either fails with.
    pub(crate) fn round(
        &mut self,
        counters: Option<&DeviceCounters>,
        floor: impl FnOnce() -> Result<Sample>,
        subject: impl FnOnce() -> Result<Sample>,
    ) -> Result<()> {
        self.rounds += 1;
        if self.rounds.is_multiple_of(2) {
            self.subject.run(counters, subject)?;
            self.floor.run(counters, floor)
        } else {
            self.floor.run(counters, floor)?;
            self.subject.run(counters, subject)
        }
    }
}

/// What the ratio of a workload compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    /// The medians of the latencies, and the tails too.
    Latency,
    /// The medians of the records a second.
    Rate,
}

/// The repeats of each subject.
#[derive(Debug, Default)]
pub(crate) struct Pairs<'a>(Vec<(&'a str, Vec<Pair>)>);

impl<'a> Pairs<'a> {
    pub(crate) fn add(&mut self, subject: &'a str, pair: Pair) {
        match self.0.iter_mut().find(|(name, _)| *name == subject) {
            Some((_, pairs)) => pairs.push(pair),
            None => self.0.push((subject, vec![pair])),
        }
    }

    /// The figures, in the order of the bench's subjects, the floor first.
    pub(crate) fn figures(
        mut self,
        bench: &Bench,
        workload: &str,
        compare: Compare,
    ) -> Vec<Figure> {
        self.0.sort_by_key(|(name, _)| bench.subjects.iter().position(|one| one.name() == *name));
        let all: Vec<_> = self.0.iter().flat_map(|(_, pairs)| pairs).collect();
        let floor = Medians { workload, subject: FLOOR, pairs: all, of: |pair| &pair.floor };
        let subjects = self.0.iter().map(|(subject, pairs)| Medians {
            workload,
            subject,
            pairs: pairs.iter().collect(),
            of: |pair| &pair.subject,
        });
        let reported = bench.place.device.is_some();
        std::iter::once(floor)
            .chain(subjects)
            .flat_map(|medians| medians.figures(compare, reported))
            .collect()
    }
}

/// The repeats of one subject, or of the floor.
struct Medians<'a> {
    workload: &'a str,
    subject: &'a str,
    pairs: Vec<&'a Pair>,
    of: fn(&Pair) -> &Side,
}

impl Medians<'_> {
    fn figures(&self, compare: Compare, device_reports: bool) -> Vec<Figure> {
        let p50 = |sample: &Sample| sample.percentile_us(0.5);
        let p99 = |sample: &Sample| sample.percentile_us(0.99);
        let tail = self.row("-p99", self.median(p99), "us");
        let mut figures = match compare {
            Compare::Latency => vec![
                self.row("", self.median(p50), "us, p50").against(FLOOR, 1.0 / self.ratio(p50)),
                // How many times the floor's: below 1 is better.
                tail.against(FLOOR, self.ratio(p99)),
            ],
            Compare::Rate => vec![
                self.row("", self.median(Sample::rate), "records/s")
                    .against(FLOOR, self.ratio(Sample::rate)),
                self.row("-p50", self.median(p50), "us"),
                tail,
            ],
        };
        if device_reports {
            let per = |count: fn(Work) -> u64| {
                median(self.pairs.iter().map(|pair| {
                    let side = (self.of)(pair);
                    side.per_record(count(side.work))
                }))
            };
            figures.push(self.row("-flushes", per(|work| work.flushes), "flushes/record"));
            figures.push(self.row("-device-bytes", per(|work| work.bytes), "bytes/record"));
        }
        figures
    }

    fn row(&self, end: &str, value: f64, unit: &str) -> Figure {
        Figure::new(&format!("{}{end}", self.workload), self.subject, value, unit)
    }

    fn median(&self, measure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.pairs.iter().map(|pair| measure(&(self.of)(pair).sample)))
    }

    /// To the floor of the same repeat.
    fn ratio(&self, measure: impl Fn(&Sample) -> f64) -> f64 {
        median(
            self.pairs
                .iter()
                .map(|pair| measure(&(self.of)(pair).sample) / measure(&pair.floor.sample)),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn side(us: u64, flushes: u64) -> Side {
        let latencies_ns = vec![us * 1_000; 10];
        let sample = Sample { elapsed: Duration::from_micros(us * 10), records: 10, latencies_ns };
        Side { sample, work: Work { flushes, bytes: 40_960 } }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_repeats_ratios() {
        // The disk slows down to a tenth in the second repeat; the subject is next to it.
        let repeats = [(100, 125), (1_000, 1_250), (100, 200)];
        let pairs: Vec<_> = repeats
            .into_iter()
            .map(|(floor, subject)| Pair {
                floor: side(floor, 10),
                subject: side(subject, 0),
                rounds: 1,
            })
            .collect();
        let medians = Medians {
            workload: "append-1",
            subject: "payonce",
            pairs: pairs.iter().collect(),
            of: |pair| &pair.subject,
        };
        let figures = medians.figures(Compare::Latency, true);
        assert_eq!(
            figures[0],
            Figure::new("append-1", "payonce", 200.0, "us, p50").against(FLOOR, 0.8)
        );
        assert_eq!(
            figures[1],
            Figure::new("append-1-p99", "payonce", 200.0, "us").against(FLOOR, 1.25)
        );
        // Who never flushes is shown to.
        assert_eq!(figures[2], Figure::new("append-1-flushes", "payonce", 0.0, "flushes/record"));
        let device = Figure::new("append-1-device-bytes", "payonce", 4_096.0, "bytes/record");
        assert_eq!(figures[3], device);

        let figures = medians.figures(Compare::Rate, false);
        let ratio = figures[0].ratio.expect("compared");
        assert!((ratio - 0.8).abs() < 1e-9, "{ratio}");
        assert!(
            figures.iter().all(|figure| !figure.workload.ends_with("-flushes")),
            "not reported"
        );
    }
}
