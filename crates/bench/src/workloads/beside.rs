//! Appends beside snapshots: what a caller notices while a large state is encoded and written.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use payonce_runtime::{Options, SharedLedger};
use payonce_store_fs::FsStore;

use super::{Bench, OURS, history::History};
use crate::{
    Result,
    life::{BEGIN, Payer},
    report::Figure,
    stats::{Sample, median, nanoseconds},
};

const PENDING: u64 = 100_000;
const LANE: u64 = 1;
const SLICE: Duration = Duration::from_secs(1);

/// One thread's durable steps with nothing beside them, and while another thread keeps one snapshot
/// after the other.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let mut history = History::begin(&bench.place.fresh(OURS)?.join("log"))?;
    history.leave_pending(PENDING)?;
    let options = Options::default().snapshot_every_bytes(None);
    let ledger = SharedLedger::from_ledger(history.ledger, options);
    let mut payer = Payer::new(&bench.entries, LANE);
    let time = SLICE / u32::try_from(bench.scale.divisor).unwrap_or(1);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..bench.scale.repeats {
        alone.push(steps(&ledger, &mut payer, |begun| begun.elapsed() < time)?);
        beside.push(beside_snapshots(&ledger, &mut payer, time)?);
    }
    let row = |subject: &str, samples: &[Sample], share| {
        let value = median(samples.iter().map(|sample| sample.percentile_us(share)));
        let end = if share > 0.5 { "-p99" } else { "" };
        let unit = if share > 0.5 { "us" } else { "us, p50" };
        Figure::new(&format!("append-beside-snapshot{end}"), subject, value, unit)
    };
    let without = "payonce, no snapshot";
    let ratio = |share: f64| {
        let pairs = alone.iter().zip(&beside);
        median(
            pairs.map(|(alone, beside)| beside.percentile_us(share) / alone.percentile_us(share)),
        )
    };
    Ok(vec![
        row(without, &alone, 0.5).against(without, 1.0),
        row(OURS, &beside, 0.5).against(without, ratio(0.5)),
        row(without, &alone, 0.99).against(without, 1.0),
        row(OURS, &beside, 0.99).against(without, ratio(0.99)),
    ])
}

/// Steps for so long, and then until the snapshot is kept that was begun.
fn beside_snapshots(
    ledger: &SharedLedger<FsStore>,
    payer: &mut Payer,
    time: Duration,
) -> Result<Sample> {
    let saving = AtomicBool::new(true);
    let begun = Instant::now();
    thread::scope(|scope| {
        let keeper = scope.spawn(|| {
            let kept = loop {
                match ledger.save_snapshot() {
                    Ok(_) if begun.elapsed() < time => {}
                    last => break last,
                }
            };
            saving.store(false, Ordering::Release);
            kept
        });
        let sample = steps(ledger, payer, |_| saving.load(Ordering::Acquire));
        keeper.join().expect("no panic")?;
        sample
    })
}

fn steps(
    ledger: &SharedLedger<FsStore>,
    payer: &mut Payer,
    go_on: impl Fn(Instant) -> bool,
) -> Result<Sample> {
    let mut sample = Sample::default();
    let begun = Instant::now();
    while go_on(begun) {
        let command = payer.next().command;
        let step = Instant::now();
        ledger.execute(command, BEGIN)?;
        sample.latencies_ns.push(nanoseconds(step.elapsed()));
    }
    Ok(sample)
}
