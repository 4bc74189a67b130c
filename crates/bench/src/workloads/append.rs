//! Durable records: one at a time, from many threads, and in batches, each next to the floor.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use super::{
    Bench, FLOOR,
    pair::{Compare, Pair, Pairs},
};
use crate::{
    Result,
    floor::Floor,
    life::Payer,
    report::Figure,
    stats::{Sample, nanoseconds, total},
    subjects::{Log, Writer},
};

/// A workload of this kind.
#[derive(Debug, Clone, Copy)]
struct Plan {
    name: &'static str,
    /// How many threads commit at the same time.
    lanes: usize,
    /// Commands of a call; 1 is a commit of one.
    batch: usize,
    /// How long a slice takes.
    slice: Duration,
    /// Slices of a repeat, floor and subject in turn.
    slices: usize,
}

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

fn run(bench: &Bench, plan: Plan) -> Result<Vec<Figure>> {
    let mut floor = Floor::create(&bench.place.fresh(FLOOR)?)?;
    let mut pairs = Pairs::default();
    for repeat in 0..bench.scale.repeats {
        // Each repeat begins with another subject, so that none always follows the same one.
        for at in 0..bench.subjects.len() {
            let subject = &bench.subjects[(at + repeat) % bench.subjects.len()];
            if !subject.takes(plan.lanes) {
                continue;
            }
            let log = subject.open(&bench.place.fresh(subject.name())?)?;
            if let Some(pair) = repeat_of(bench, plan, &*log, &mut floor)? {
                pairs.add(subject.name(), pair);
            }
        }
    }
    let compare = if plan.lanes * plan.batch == 1 { Compare::Latency } else { Compare::Rate };
    Ok(pairs.figures(bench, plan.name, compare))
}

/// Some slices of a subject, each beside one of the floor.
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
    let counters = bench.place.device.as_ref();
    // Files are made and caches filled before anything is measured.
    slice(&mut writers, &mut payers, plan.batch, time)?;
    let mut pair = Pair::default();
    for _ in 0..plan.slices {
        pair.round(
            counters,
            || floor.run(&bench.entries, plan.lanes * plan.batch, time),
            || slice(&mut writers, &mut payers, plan.batch, time),
        )?;
    }
    Ok(Some(pair))
}

/// Lets every writer commit its payer's steps, one after the other, until the time is up.
///
/// # Errors
/// Of the first that fails.
pub(crate) fn slice(
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
    let alone = lanes.len() == 1;
    let latencies_ns: Vec<u64> = lanes.into_iter().flat_map(|lane| lane.latencies_ns).collect();
    let records = (latencies_ns.len() * batch) as u64;
    // Who is alone makes the next commands while nobody commits: that is not the log's time.
    let elapsed = if alone { total(&latencies_ns) } else { ended - begun };
    Ok(Sample { elapsed, records, latencies_ns })
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
            step = Instant::now();
            writer.commit_all(records)?;
        } else {
            let record = payer.next();
            step = Instant::now();
            writer.commit(record)?;
        }
        ended = Instant::now();
        latencies_ns.push(nanoseconds(ended - step));
    }
    Ok(Lane { begun, ended, latencies_ns })
}
