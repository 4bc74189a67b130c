//! Appends beside snapshots, verifications and droppings of history: what a caller notices while a
//! large state is encoded and written, or a long log is read.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use payonce_core::Head;
use payonce_runtime::{Options, SharedLedger};
use payonce_store_fs::FsStore;

use super::{Bench, OURS, history::History};
use crate::{
    Result,
    heap::Count,
    life::{BEGIN, Payer},
    report::Figure,
    stats::{Sample, median, nanoseconds},
};

const PENDING: u64 = 100_000;
const LANE: u64 = 1;
const SLICE: Duration = Duration::from_secs(1);
/// How long a log is read.
const EVENTS: u64 = 1_000_000;
const SEED: u64 = 42;

type Shared = SharedLedger<FsStore>;

/// What is done beside the steps; the head is that of the newest snapshot.
type Work = fn(&Shared, Head) -> Result<()>;

/// One thread's durable steps with nothing beside them, and while another thread keeps one snapshot
/// after the other.
pub(crate) fn snapshots(bench: &Bench) -> Result<Vec<Figure>> {
    let mut history = History::begin(&bench.place.fresh(OURS)?.join("log"))?;
    history.leave_pending(PENDING)?;
    let ledger = shared(history);
    let mut payer = Payer::new(&bench.entries, LANE);
    let time = SLICE / u32::try_from(bench.scale.divisor).unwrap_or(1);
    let mut steps = Compared::default();
    for _ in 0..bench.scale.repeats {
        steps.compare(&ledger, &mut payer, time, || {
            let begun = Instant::now();
            while begun.elapsed() < time {
                ledger.save_snapshot()?;
            }
            Ok(())
        })?;
    }
    Ok(steps.figures("append-beside-snapshot", "payonce, no snapshot"))
}

/// The same while another thread verifies the log.
pub(crate) fn verifying(bench: &Bench) -> Result<Vec<Figure>> {
    reading(bench, "append-beside-verify", |ledger, _| {
        ledger.verify(SEED)?;
        Ok(())
    })
}

/// The same while another thread drops history.
pub(crate) fn dropping(bench: &Bench) -> Result<Vec<Figure>> {
    reading(bench, "append-beside-drop", |ledger, snapshot| {
        ledger.drop_history(snapshot, SEED)?;
        Ok(())
    })
}

/// Steps beside what reads a log of many events: a fresh one each time, since one that was dropped is
/// short. And how much memory that takes.
fn reading(bench: &Bench, workload: &str, work: Work) -> Result<Vec<Figure>> {
    let time = SLICE / u32::try_from(bench.scale.divisor).unwrap_or(1);
    let mut steps = Compared::default();
    for _ in 0..bench.scale.repeats {
        let (ledger, snapshot) = long_log(bench)?;
        let mut payer = Payer::new(&bench.entries, LANE);
        steps.compare(&ledger, &mut payer, time, || work(&ledger, snapshot))?;
    }
    let without = "payonce, nothing beside";
    let mut figures = steps.figures(workload, without);
    let _count = Count::begin();
    let (ledger, snapshot) = long_log(bench)?;
    let alone = Count::live_bytes() as f64;
    Count::forget_peak();
    work(&ledger, snapshot)?;
    let beside = Count::peak_bytes() as f64;
    let row = |subject: &str, bytes: f64| {
        let figure = Figure::new(&format!("{workload}-memory"), subject, bytes / 1e6, "MB");
        figure.against(without, bytes / alone)
    };
    figures.extend([row(without, alone), row(OURS, beside)]);
    Ok(figures)
}

/// A log of so many events, with a snapshot at its end: payments that are pending, and payments that
/// are over and not yet forgotten.
fn long_log(bench: &Bench) -> Result<(Shared, Head)> {
    let mut history = History::begin(&bench.place.fresh(OURS)?.join("log"))?;
    history.leave_pending(bench.scale.count(PENDING))?;
    while history.ledger.head().seq < bench.scale.count(EVENTS) {
        history.pay(500)?;
    }
    let ledger = shared(history);
    let snapshot = ledger.save_snapshot()?;
    Ok((ledger, snapshot))
}

fn shared(history: History) -> Shared {
    SharedLedger::from_ledger(history.ledger, Options::default().snapshot_every_bytes(None))
}

/// Steps with nothing beside them, and with something, in turn.
#[derive(Default)]
struct Compared {
    alone: Vec<Sample>,
    beside: Vec<Sample>,
}

impl Compared {
    /// One repeat: steps for so long, and then steps until the work is done.
    fn compare(
        &mut self,
        ledger: &Shared,
        payer: &mut Payer,
        time: Duration,
        work: impl FnOnce() -> Result<()> + Send,
    ) -> Result<()> {
        let begun = Instant::now();
        self.alone.push(steps(ledger, payer, || begun.elapsed() < time)?);
        let working = AtomicBool::new(true);
        let beside = thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let done = work();
                working.store(false, Ordering::Release);
                done
            });
            let sample = steps(ledger, payer, || working.load(Ordering::Acquire));
            worker.join().expect("no panic")?;
            sample
        })?;
        self.beside.push(beside);
        Ok(())
    }

    /// The median, the 99th percentile and the longest of the steps.
    fn figures(&self, workload: &str, without: &str) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (end, share, unit) in
            [("", 0.5, "us, p50"), ("-p99", 0.99, "us"), ("-longest", 1.0, "us")]
        {
            let at = |sample: &Sample| sample.percentile_us(share);
            let pairs = self.alone.iter().zip(&self.beside);
            let ratio = median(pairs.map(|(alone, beside)| at(beside) / at(alone)));
            let row = |subject: &str, samples: &[Sample], ratio| {
                let value = median(samples.iter().map(at));
                let figure = Figure::new(&format!("{workload}{end}"), subject, value, unit);
                figure.against(without, ratio)
            };
            figures.extend([row(without, &self.alone, 1.0), row(OURS, &self.beside, ratio)]);
        }
        figures
    }
}

fn steps(ledger: &Shared, payer: &mut Payer, go_on: impl Fn() -> bool) -> Result<Sample> {
    let mut sample = Sample::default();
    while go_on() {
        let command = payer.next().command;
        let step = Instant::now();
        ledger.execute(command, BEGIN)?;
        sample.latencies_ns.push(nanoseconds(step.elapsed()));
    }
    Ok(sample)
}
