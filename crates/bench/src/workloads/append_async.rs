//! Durable records from 64 async tasks on one runtime, next to the floor.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, sync::Barrier};

use super::{
    Bench, FLOOR,
    pair::{Compare, Pair, Pairs},
};
use crate::{
    Result,
    floor::Floor,
    life::Payer,
    report::Figure,
    stats::{Sample, nanoseconds},
    subjects::AsyncWriter,
};

const TASKS: u64 = 64;
const SLICE: Duration = Duration::from_millis(500);
const SLICES: usize = 2;

/// Subjects that have no async interface of their own are not measured.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let mut floor = Floor::create(&bench.place.fresh(FLOOR)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut pairs = Pairs::default();
    for _ in 0..bench.scale.repeats {
        for subject in &bench.subjects {
            let log = subject.open(&bench.place.fresh(subject.name())?)?;
            let writers: Option<Vec<_>> = (0..TASKS).map(|_| log.async_writer()).collect();
            let Some(writers) = writers else { continue };
            pairs.add(subject.name(), repeat(bench, &runtime, writers, &mut floor)?);
        }
    }
    Ok(pairs.figures(bench, "append-async-64", Compare::Rate))
}

fn repeat(
    bench: &Bench,
    runtime: &Runtime,
    writers: Vec<Box<dyn AsyncWriter>>,
    floor: &mut Floor,
) -> Result<Pair> {
    let payers = (0..TASKS).map(|task| Payer::new(&bench.entries, task));
    let mut tasks: Vec<_> =
        writers.into_iter().zip(payers).map(|(writer, payer)| Task { writer, payer }).collect();
    let time = SLICE / u32::try_from(bench.scale.divisor).unwrap_or(1);
    let counters = bench.place.device.as_ref();
    let mut pair = Pair::default();
    for _ in 0..SLICES {
        let records_a_sync = usize::try_from(TASKS)?;
        let subject = || {
            let (sample, back) = runtime.block_on(slice(std::mem::take(&mut tasks), time))?;
            tasks = back;
            Ok(sample)
        };
        pair.round(counters, || floor.run(&bench.entries, records_a_sync, time), subject)?;
    }
    Ok(pair)
}

/// One async task's side: what it writes with, and what.
struct Task {
    writer: Box<dyn AsyncWriter>,
    payer: Payer,
}

/// Lets every task commit its payer's steps, one after the other, until the time is up.
async fn slice(tasks: Vec<Task>, time: Duration) -> Result<(Sample, Vec<Task>)> {
    let start = Arc::new(Barrier::new(tasks.len()));
    let running: Vec<_> =
        tasks.into_iter().map(|task| tokio::spawn(run_task(task, time, start.clone()))).collect();
    let (mut latencies_ns, mut back) = (Vec::new(), Vec::new());
    let (mut begun, mut ended) = (None::<Instant>, None::<Instant>);
    for task in running {
        let done = task.await??;
        begun = Some(begun.map_or(done.begun, |begun| begun.min(done.begun)));
        ended = Some(ended.map_or(done.ended, |ended| ended.max(done.ended)));
        latencies_ns.extend(done.latencies_ns);
        back.push(done.task);
    }
    let elapsed = ended.zip(begun).map(|(ended, begun)| ended - begun).ok_or("no tasks")?;
    Ok((Sample { elapsed, records: latencies_ns.len() as u64, latencies_ns }, back))
}

struct Done {
    task: Task,
    begun: Instant,
    ended: Instant,
    latencies_ns: Vec<u64>,
}

async fn run_task(mut task: Task, time: Duration, start: Arc<Barrier>) -> Result<Done> {
    let mut latencies_ns = Vec::with_capacity(1 << 12);
    start.wait().await;
    let begun = Instant::now();
    let mut ended = begun;
    while begun.elapsed() < time {
        let record = task.payer.next();
        let step = Instant::now();
        task.writer.commit(record).await?;
        ended = Instant::now();
        latencies_ns.push(nanoseconds(ended - step));
    }
    Ok(Done { task, begun, ended, latencies_ns })
}
