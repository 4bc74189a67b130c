//! Durable records: one at a time, from many threads, and in batches, each next to the floor.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use super::{Bench, FLOOR};
use crate::{
    Result,
    floor::{Floor, nanoseconds},
    flushes::{DeviceCounters, Work},
    life::Payer,
    report::Figure,
    stats::{Sample, median},
    subjects::{Log, Writer},
};

/// A workload of this kind.
#[derive(Debug, Clone, Copy)]
struct Plan {
    name: &'static str,
    /// Threads.
    lanes: usize,
    /// Commands of a call; 1 is a commit of one.
    batch: usize,
    /// How long a slice takes.
    slice: Duration,
    /// Slices of a repeat, floor and subject in turn.
    slices: usize,
}

/// More steps than a lane can take in a slice.
const STEPS_A_SECOND: u64 = 20_000;
/// Steps of a lane before the first slice.
const WARM_UP: usize = 8;

pub(crate) fn one(bench: &Bench) -> Result<Vec<Figure>> {
    run(bench, Plan { name: "append-1", lanes: 1, batch: 1, slice: ms(250), slices: 4 })
}

pub(crate) fn sixteen(bench: &Bench) -> Result<Vec<Figure>> {
    run(bench, Plan { name: "append-16", lanes: 16, batch: 1, slice: ms(500), slices: 2 })
}

pub(crate) fn sixty_four(bench: &Bench) -> Result<Vec<Figure>> {
    run(bench, Plan { name: "append-64", lanes: 64, batch: 1, slice: ms(500), slices: 2 })
}

pub(crate) fn batch(bench: &Bench) -> Result<Vec<Figure>> {
    run(bench, Plan { name: "append-batch-512", lanes: 1, batch: 512, slice: ms(500), slices: 2 })
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// One repeat of a subject, and of the floor that was measured in turn with it.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    pub(crate) floor: Sample,
    pub(crate) floor_work: Work,
    pub(crate) subject: Sample,
    pub(crate) work: Work,
}

fn run(bench: &Bench, plan: Plan) -> Result<Vec<Figure>> {
    let mut floor = Floor::create(&bench.place.fresh(FLOOR)?)?;
    let mut pairs: Vec<(&str, Vec<Pair>)> = Vec::new();
    for repeat in 0..bench.scale.repeats {
        // Each repeat begins with another subject, so that none always follows the same one.
        for at in 0..bench.subjects.len() {
            let subject = &bench.subjects[(at + repeat) % bench.subjects.len()];
            if !subject.takes(plan.lanes) {
                continue;
            }
            let log = subject.open(&bench.place.fresh(subject.name())?)?;
            if let Some(pair) = repeat_of(bench, plan, &*log, &mut floor)? {
                match pairs.iter_mut().find(|(name, _)| *name == subject.name()) {
                    Some((_, pairs)) => pairs.push(pair),
                    None => pairs.push((subject.name(), vec![pair])),
                }
            }
        }
    }
    pairs.sort_by_key(|(name, _)| bench.subjects.iter().position(|one| one.name() == *name));
    Ok(figures(plan.name, plan.lanes * plan.batch == 1, &pairs))
}

/// Some slices of a subject, each after one of the floor.
fn repeat_of(bench: &Bench, plan: Plan, log: &dyn Log, floor: &mut Floor) -> Result<Option<Pair>> {
    let mut writers = Vec::new();
    for lane in 0..plan.lanes {
        writers.push(log.writer(lane)?);
    }
    if plan.batch > 1 && !writers[0].has_batches() {
        return Ok(None);
    }
    let mut payers: Vec<Payer> =
        (0..plan.lanes as u64).map(|payer| Payer::new(&bench.entries, payer)).collect();
    let time = plan.slice / u32::try_from(bench.scale.divisor).unwrap_or(1);
    let steps = most_steps(time) * plan.batch;
    let counters = bench.place.device.as_ref();
    // Files are made and caches filled before anything is measured.
    for payer in &mut payers {
        payer.prepare(WARM_UP * plan.batch);
    }
    slice(&mut writers, &mut payers, plan.batch, time)?;
    let mut pair = Pair::default();
    for _ in 0..plan.slices {
        let (sample, work) =
            counted(counters, || floor.run(&bench.entries, plan.lanes * plan.batch, time))?;
        pair.floor.add(sample);
        pair.floor_work += work;
        for payer in &mut payers {
            payer.prepare(steps);
        }
        let (sample, work) =
            counted(counters, || slice(&mut writers, &mut payers, plan.batch, time))?;
        pair.subject.add(sample);
        pair.work += work;
    }
    Ok(Some(pair))
}

fn most_steps(time: Duration) -> usize {
    usize::try_from(nanoseconds(time) * STEPS_A_SECOND / 1_000_000_000).unwrap_or(1).max(16)
}

/// Runs something and tells what the device did meanwhile.
pub(crate) fn counted(
    counters: Option<&DeviceCounters>,
    run: impl FnOnce() -> Result<Sample>,
) -> Result<(Sample, Work)> {
    let before = counters.and_then(DeviceCounters::read).unwrap_or_default();
    let sample = run()?;
    let after = counters.and_then(DeviceCounters::read).unwrap_or(before);
    Ok((sample, after - before))
}

/// Lets every writer commit its payer's steps, one after the other, until the time is up.
fn slice(
    writers: &mut [Box<dyn Writer + Send + '_>],
    payers: &mut [Payer],
    batch: usize,
    time: Duration,
) -> Result<Sample> {
    let start = Barrier::new(writers.len());
    let lanes = thread::scope(|scope| {
        let lanes: Vec<_> = writers
            .iter_mut()
            .zip(payers)
            .map(|(writer, payer)| {
                let start = &start;
                scope.spawn(move || lane(&mut **writer, payer, batch, time, start))
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    let begun = lanes.iter().map(|lane| lane.begun).min().expect("a lane");
    let ended = lanes.iter().map(|lane| lane.ended).max().expect("a lane");
    let latencies_ns: Vec<u64> = lanes.into_iter().flat_map(|lane| lane.latencies_ns).collect();
    let records = (latencies_ns.len() * batch) as u64;
    Ok(Sample { elapsed: ended - begun, records, latencies_ns })
}

struct Lane {
    begun: Instant,
    ended: Instant,
    latencies_ns: Vec<u64>,
}

fn lane(
    writer: &mut dyn Writer,
    payer: &mut Payer,
    batch: usize,
    time: Duration,
    start: &Barrier,
) -> Result<Lane> {
    let mut latencies_ns = Vec::with_capacity(1 << 14);
    start.wait();
    let begun = Instant::now();
    let mut ended = begun;
    while begun.elapsed() < time {
        let step;
        if batch > 1 {
            let records = payer.next_batch(batch);
            if records.len() < batch {
                break;
            }
            step = Instant::now();
            writer.commit_all(records)?;
        } else {
            let Some(record) = payer.next() else { break };
            step = Instant::now();
            writer.commit(record)?;
        }
        ended = Instant::now();
        latencies_ns.push(nanoseconds(ended - step));
    }
    Ok(Lane { begun, ended, latencies_ns })
}

/// The figures of a workload. `by_latency`: the ratio is that of the medians of the latencies, else
/// of the rates.
pub(crate) fn figures(
    workload: &str,
    by_latency: bool,
    pairs: &[(&str, Vec<Pair>)],
) -> Vec<Figure> {
    let floors = pairs.iter().flat_map(|(_, pairs)| pairs);
    let floor_of = |of: fn(&Pair) -> f64| median(floors.clone().map(of));
    let mut figures = Vec::new();
    let row = |subject: &str, kind: &str, value, unit: &str| {
        Figure::new(&format!("{workload}{kind}"), subject, value, unit)
    };
    let main = |subject: &str, value: f64, ratio: f64| {
        let unit = if by_latency { "us, p50" } else { "records/s" };
        row(subject, "", value, unit).against(FLOOR, ratio)
    };
    if by_latency {
        figures.push(main(FLOOR, floor_of(|pair| pair.floor.percentile_us(0.5)), 1.0));
    } else {
        figures.push(main(FLOOR, floor_of(|pair| pair.floor.rate()), 1.0));
        figures.push(row(FLOOR, "-p50", floor_of(|pair| pair.floor.percentile_us(0.5)), "us"));
    }
    figures.push(row(FLOOR, "-p99", floor_of(|pair| pair.floor.percentile_us(0.99)), "us"));
    figures.extend(device(workload, FLOOR, pairs.iter().flat_map(|(_, pairs)| pairs), |pair| {
        (pair.floor_work, pair.floor.records)
    }));
    for (name, pairs) in pairs {
        let of = |of: fn(&Pair) -> f64| median(pairs.iter().map(of));
        if by_latency {
            let ratio = of(|pair| pair.floor.percentile_us(0.5) / pair.subject.percentile_us(0.5));
            figures.push(main(name, of(|pair| pair.subject.percentile_us(0.5)), ratio));
        } else {
            let ratio = of(|pair| pair.subject.rate() / pair.floor.rate());
            figures.push(main(name, of(|pair| pair.subject.rate()), ratio));
            figures.push(row(name, "-p50", of(|pair| pair.subject.percentile_us(0.5)), "us"));
        }
        let p99 = row(name, "-p99", of(|pair| pair.subject.percentile_us(0.99)), "us");
        // How many times the floor's: below 1 is better.
        let tail = of(|pair| pair.subject.percentile_us(0.99) / pair.floor.percentile_us(0.99));
        figures.push(if by_latency { p99.against(FLOOR, tail) } else { p99 });
        figures
            .extend(device(workload, name, pairs.iter(), |pair| (pair.work, pair.subject.records)));
    }
    figures
}

/// What the device was asked for, per record.
fn device<'a>(
    workload: &str,
    subject: &str,
    pairs: impl Iterator<Item = &'a Pair> + Clone,
    of: impl Fn(&Pair) -> (Work, u64),
) -> Vec<Figure> {
    let per = |count: fn(Work) -> u64| {
        median(pairs.clone().map(|pair| {
            let (work, records) = of(pair);
            count(work) as f64 / records.max(1) as f64
        }))
    };
    let flushes = per(|work| work.flushes);
    if flushes == 0.0 {
        // Not reported.
        return Vec::new();
    }
    let row = |kind: &str, value, unit: &str| {
        Figure::new(&format!("{workload}-{kind}"), subject, value, unit)
    };
    vec![
        row("flushes", flushes, "flushes/record"),
        row("device-bytes", per(|work| work.bytes), "bytes/record"),
    ]
}
