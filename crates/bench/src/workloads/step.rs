//! One durable step while many payments are pending, next to a store that writes one blob whole, as
//! LDK writes its manager.

use std::time::Instant;

use payonce_core::Command;

use super::{Bench, OURS, history::History};
use crate::{
    Result,
    life::Payer,
    report::Figure,
    stats::{Sample, median, nanoseconds},
};

const PENDING: [u64; 3] = [10, 1_000, 100_000];
/// Of each ledger in a repeat, in rounds: a disk's speed drifts.
const STEPS: usize = 100;
const STEPS_A_ROUND: usize = 20;
const LANE: u64 = 1;

/// A step at each number of pending payments and a write of each blob, in turn.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let mut ledgers = Vec::new();
    for pending in PENDING {
        let mut history = History::begin(&bench.place.fresh(OURS)?.join("log"))?;
        history.leave_pending(pending)?;
        ledgers.push((history, Payer::new(&bench.entries, LANE), Vec::new()));
    }
    let mut blobs = Blobs::begin(bench)?;
    for _ in 0..bench.scale.repeats {
        let mut samples = PENDING.map(|_| Sample::default());
        for round in 0..STEPS / STEPS_A_ROUND {
            for at in 0..ledgers.len() {
                // Each round begins with another ledger.
                let nth = (at + round) % ledgers.len();
                let (history, payer, _) = &mut ledgers[nth];
                for _ in 0..STEPS_A_ROUND {
                    step(history, payer.next().command, &mut samples[nth])?;
                }
            }
        }
        for ((_, _, p50s), sample) in ledgers.iter_mut().zip(&samples) {
            p50s.push(sample.percentile_us(0.5));
        }
        blobs.repeat()?;
    }
    let ours: Vec<f64> = ledgers.into_iter().map(|(_, _, p50s)| p50s).map(median).collect();
    let row = |subject: &str, value| Figure::new("step-pending", subject, value, "us, p50");
    let (few, most) = ("payonce, 10 pending", ours[2]);
    let mut figures = vec![
        row(few, ours[0]).against(few, 1.0),
        row("payonce, 1,000 pending", ours[1]).against(few, ours[0] / ours[1]),
        row(OURS, most).against(few, ours[0] / most),
    ];
    figures.extend(
        blobs.medians().into_iter().map(|(name, p50)| row(name, p50).against(OURS, most / p50)),
    );
    Ok(figures)
}

fn step(history: &mut History, command: Command, sample: &mut Sample) -> Result<()> {
    let begun = Instant::now();
    history.ledger.execute(command, history.now)?;
    sample.latencies_ns.push(nanoseconds(begun.elapsed()));
    Ok(())
}

/// The blobs that the other side writes.
#[cfg(feature = "rivals")]
struct Blobs {
    store: Option<crate::subjects::BlobStore>,
    p50s: Vec<(&'static str, usize, Vec<f64>)>,
}

#[cfg(feature = "rivals")]
impl Blobs {
    fn begin(bench: &Bench) -> Result<Self> {
        let name = crate::subjects::Subject::name(&crate::subjects::Files);
        let store = if bench.takes_part(name) {
            Some(crate::subjects::BlobStore::open(&bench.place.fresh(name)?))
        } else {
            None
        };
        let p50s = vec![
            ("filesystem-store, 64 KiB", 64 << 10, Vec::new()),
            ("filesystem-store, 1 MiB", 1 << 20, Vec::new()),
        ];
        Ok(Self { store, p50s })
    }

    fn repeat(&mut self) -> Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        for (_, bytes, p50s) in &mut self.p50s {
            let mut sample = Sample::default();
            for nth in 0..STEPS / 4 {
                // Another byte, another blob.
                let blob = vec![nth.to_le_bytes()[0]; *bytes];
                let begun = Instant::now();
                store.write(blob)?;
                sample.latencies_ns.push(nanoseconds(begun.elapsed()));
            }
            p50s.push(sample.percentile_us(0.5));
        }
        Ok(())
    }

    fn medians(self) -> Vec<(&'static str, f64)> {
        let measured = self.p50s.into_iter().filter(|(_, _, p50s)| !p50s.is_empty());
        measured.map(|(name, _, p50s)| (name, median(p50s))).collect()
    }
}

/// Nobody is on the other side.
#[cfg(not(feature = "rivals"))]
struct Blobs;

#[cfg(not(feature = "rivals"))]
#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "stands for the one with rivals")]
impl Blobs {
    fn begin(_: &Bench) -> Result<Self> {
        Ok(Self)
    }

    fn repeat(&mut self) -> Result<()> {
        Ok(())
    }

    fn medians(self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
}
