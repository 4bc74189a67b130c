//! Opening a log: all of its history, folded, next to reading and decoding the same files.

use std::{any::Any, path::Path, time::Instant};

use payonce_runtime::{SharedLedger, verify};
use payonce_store_fs::{FsReader, FsStore, Options};

use super::{Bench, OURS, history::History};
#[cfg(feature = "rivals")]
use crate::subjects::{Cqrs, Subject};
use crate::{
    Result, life::BEGIN, log_files::decode_all, report::Figure, stats::median, subjects::opening,
};

/// The baseline of the replays.
pub(crate) const DECODE: &str = "decode";

/// With `--quick` too: a shorter log lies in few segments, the newest of which is judged first and so
/// read twice.
const EVENTS: u64 = 2_000_000;
const PENDING: u64 = 500_000;

/// The ordinary way: a writer opens the log.
pub(crate) fn replay(bench: &Bench) -> Result<Vec<Figure>> {
    let (directory, _) = lived(bench)?;
    let mut figures = compare(bench, "replay", &directory, open)?;
    let decode = figures[0].value;
    figures.extend(rivals(bench)?.into_iter().map(|figure| {
        let ratio = figure.value / decode;
        figure.against(DECODE, ratio)
    }));
    Ok(figures)
}

/// cqrs-es, with fewer events: it reads the same number a second whatever their number.
#[cfg(feature = "rivals")]
fn rivals(bench: &Bench) -> Result<Vec<Figure>> {
    let name = Subject::name(&Cqrs);
    if !bench.takes_part(name) {
        return Ok(Vec::new());
    }
    let log = Cqrs::filled(&bench.place.fresh(name)?, bench.scale.count(EVENTS / 20))?;
    let mut rates = Vec::new();
    for _ in 0..bench.scale.repeats {
        rates.push(rate(|| Ok((log.replay()?, Box::new(()))))?);
    }
    Ok(vec![Figure::new("replay", name, median(rates), "events/s")])
}

#[cfg(not(feature = "rivals"))]
#[expect(clippy::unnecessary_wraps, reason = "stands for the one with rivals")]
fn rivals(_: &Bench) -> Result<Vec<Figure>> {
    Ok(Vec::new())
}

/// An auditor's way, on two threads too: no snapshot is trusted, and no lock taken.
pub(crate) fn replay_chain(bench: &Bench) -> Result<Vec<Figure>> {
    let (directory, events) = lived(bench)?;
    compare(bench, "replay-chain", &directory, |directory| {
        let state = verify(&FsReader::open(directory)?, 42)?;
        assert_eq!(state.head().seq, events, "all of it");
        Ok((events, Box::new(state)))
    })
}

/// Nothing is ever over: what is folded stays in memory.
pub(crate) fn replay_pending(bench: &Bench) -> Result<Vec<Figure>> {
    let directory = bench.place.fresh(OURS)?.join("log");
    let mut history = History::begin(&directory)?;
    history.leave_pending(bench.scale.count(PENDING))?;
    drop(history);
    compare(bench, "replay-pending", &directory, open)
}

fn lived(bench: &Bench) -> Result<(std::path::PathBuf, u64)> {
    let directory = bench.place.fresh(OURS)?.join("log");
    let mut history = History::begin(&directory)?;
    history.live_until(EVENTS)?;
    let events = history.ledger.head().seq;
    Ok((directory, events))
}

/// How many events were replayed, and what came of it: a node keeps it, so that freeing it is not
/// measured.
type Replayed = (u64, Box<dyn Any>);

/// Opens the log for writing, as the shared handle does: on two threads.
fn open(directory: &Path) -> Result<Replayed> {
    let (store, _) = FsStore::open(directory, Options::default())?;
    let alone = payonce_runtime::Options::default().snapshot_every_bytes(None);
    let recovery = SharedLedger::open(store, &opening(), alone, BEGIN)?;
    // One more was recorded: that it was opened.
    Ok((recovery.head().seq - 1, Box::new(recovery)))
}

/// Decodes and replays in turn.
fn compare(
    bench: &Bench,
    workload: &str,
    directory: &Path,
    replay: impl Fn(&Path) -> Result<Replayed>,
) -> Result<Vec<Figure>> {
    let mut decoded = Vec::new();
    let mut replayed = Vec::new();
    // The first reading fills the page cache.
    decode_all(directory)?;
    for _ in 0..bench.scale.repeats {
        decoded.push(rate(|| Ok((decode_all(directory)?.events, Box::new(()))))?);
        replayed.push(rate(|| replay(directory))?);
    }
    let ratios = replayed.iter().zip(&decoded).map(|(replayed, decoded)| replayed / decoded);
    let ratio = median(ratios);
    let row = |subject: &str, rate| Figure::new(workload, subject, rate, "events/s");
    Ok(vec![
        row(DECODE, median(decoded)).against(DECODE, 1.0),
        row(OURS, median(replayed)).against(DECODE, ratio),
    ])
}

fn rate(run: impl FnOnce() -> Result<Replayed>) -> Result<f64> {
    let begun = Instant::now();
    let (events, _kept) = run()?;
    Ok(events as f64 / begun.elapsed().as_secs_f64())
}
