//! Opening from a snapshot: what is pending costs, what is over does not.

use std::{path::Path, time::Instant};

use payonce_runtime::SharedLedger;
use payonce_store_fs::{FsStore, Options};

use super::{Bench, OURS, history::History};
use crate::{Result, life::BEGIN, report::Figure, stats::median, subjects::opening};

const PENDING: u64 = 100_000;
const SHORT: u64 = 1_000_000;
const LONG: u64 = 10_000_000;

/// Two logs with the same payments pending; one has ten times the history.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Figure>> {
    // Ten times the scale of the others: the long history alone takes half a minute to write.
    let shorter = if bench.scale.divisor > 1 { 10 } else { 1 };
    let prepare = |events: u64| -> Result<_> {
        let directory = bench.place.fresh(OURS)?.join("log");
        let mut history = History::begin(&directory)?;
        history.live_until(events / shorter)?;
        history.leave_pending(PENDING)?;
        history.ledger.save_snapshot()?;
        Ok(directory)
    };
    let (short, long) = (prepare(SHORT)?, prepare(LONG)?);
    let mut seconds = (Vec::new(), Vec::new());
    for repeat in 0..=bench.scale.repeats * 3 {
        let pair = (open(&short)?, open(&long)?);
        // The first fills the page cache.
        if repeat > 0 {
            seconds.0.push(pair.0);
            seconds.1.push(pair.1);
        }
    }
    let ratio = median(seconds.0.iter().zip(&seconds.1).map(|(short, long)| short / long));
    let rate = |seconds| PENDING as f64 / median(seconds);
    let row = |subject: &str, rate| Figure::new("open-snapshot", subject, rate, "payments/s");
    let baseline = "payonce, a tenth of the history";
    Ok(vec![
        row(baseline, rate(seconds.0)).against(baseline, 1.0),
        row(OURS, rate(seconds.1)).against(baseline, ratio),
    ])
}

/// How long it takes until the recovery is there, in seconds: opened as the shared handle does, on
/// two threads.
fn open(directory: &Path) -> Result<f64> {
    let alone = payonce_runtime::Options::default().snapshot_every_bytes(None);
    let begun = Instant::now();
    let (store, _) = FsStore::open(directory, Options::default())?;
    let recovery = SharedLedger::open(store, &opening(), alone, BEGIN)?;
    let seconds = begun.elapsed().as_secs_f64();
    let pending = recovery.query(|state| state.counts().pending)?;
    assert_eq!(pending as u64, PENDING, "all that is pending");
    Ok(seconds)
}
