//! The workloads, one file for each kind.

pub(crate) mod append;
pub(crate) mod append_async;
pub(crate) mod beside;
pub(crate) mod history;
pub(crate) mod memory;
pub(crate) mod open;
pub(crate) mod pair;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod replay;
pub(crate) mod size;
pub(crate) mod step;

use std::sync::Arc;

use crate::{
    Result,
    life::Entries,
    place::Place,
    report::{Figure, Report},
    subjects::Subject,
};

/// What the least that durability costs is called in reports.
pub(crate) const FLOOR: &str = "floor";
/// What payonce itself is called in reports.
pub(crate) const OURS: &str = "payonce";

/// What every workload is given.
pub(crate) struct Bench {
    pub(crate) place: Place,
    /// All that were built in and chosen.
    pub(crate) subjects: Vec<Box<dyn Subject>>,
    /// The records that all of them write.
    pub(crate) entries: Arc<Entries>,
    pub(crate) scale: Scale,
    /// The names that were chosen; none chooses all.
    pub(crate) chosen_subjects: Vec<String>,
}

impl Bench {
    /// Whether a subject that only some workloads have takes part.
    pub(crate) fn takes_part(&self, subject: &str) -> bool {
        self.chosen_subjects.is_empty() || self.chosen_subjects.iter().any(|name| name == subject)
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Interleaved repeats, of which the median is taken.
    pub(crate) repeats: usize,
    /// Divides counts that need not be large to be right, and times of slices.
    pub(crate) divisor: u64,
}

impl Scale {
    /// How many of them where a full run has `full`; at least one.
    pub(crate) fn count(&self, full: u64) -> u64 {
        (full / self.divisor).max(1)
    }
}

type Run = fn(&Bench) -> Result<Vec<Figure>>;

/// Every workload and its name, in the order of the report.
pub(crate) const ALL: &[(&str, Run)] = &[
    ("append-1", append::one),
    ("append-16", append::sixteen),
    ("append-64", append::sixty_four),
    ("append-async-64", append_async::run),
    ("append-batch-512", append::batch),
    ("append-beside-snapshot", beside::snapshots),
    ("append-beside-verify", beside::verifying),
    ("append-beside-drop", beside::dropping),
    ("replay", replay::replay),
    ("replay-chain", replay::replay_chain),
    ("replay-pending", replay::replay_pending),
    ("open-snapshot", open::run),
    ("step-pending", step::run),
    ("bytes", size::run),
    ("memory", memory::run),
    #[cfg(feature = "postgres")]
    ("postgres-1", postgres::one),
    #[cfg(feature = "postgres")]
    ("postgres-16", postgres::sixteen),
    #[cfg(feature = "postgres")]
    ("postgres-64", postgres::sixty_four),
    #[cfg(feature = "postgres")]
    ("postgres-replay", postgres::replay),
    #[cfg(feature = "postgres")]
    ("postgres-takeover", postgres::take_over),
];

/// Runs the chosen workloads; none chooses all.
///
/// # Errors
/// Of the first that fails, with its name.
pub(crate) fn run(bench: &Bench, chosen: &[String]) -> Result<Report> {
    let mut report = Report::default();
    for (name, workload) in ALL {
        if chosen.is_empty() || chosen.iter().any(|one| one == *name) {
            eprintln!("{name} ...");
            let figures = workload(bench).map_err(|error| format!("{name}: {error}"))?;
            report.add(figures);
        }
    }
    report.add(by_threads(&report));
    Ok(report)
}

/// How much more 64 threads do than one.
fn by_threads(report: &Report) -> Vec<Figure> {
    let one = report.find("append-1", OURS);
    let many = report.find("append-64", OURS);
    let times = one.zip(many).map(|(one, many)| many.value / (1e6 / one.value));
    let figure = |times| Figure::new("append-64-by-threads", OURS, times, "times append-1");
    times.map(figure).into_iter().collect()
}
