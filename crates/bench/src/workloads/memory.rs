//! How much memory a pending payment takes.

use payonce_core::{Machine, Operation};

use super::{Bench, OURS};
use crate::{
    Result,
    heap::Count,
    life::{BEGIN, Planned, machine},
    report::Figure,
};

/// Tables double as they fill: over one doubling a payment's share falls to the half.
const FROM: u64 = 100_000;
const STEPS: u64 = 8;

/// A pending payment with one part in flight: on average over a doubling of everything that
/// doubles, and at its worst.
pub(crate) fn run(_: &Bench) -> Result<Vec<Figure>> {
    let _count = Count::begin();
    let mut machine = machine();
    let mut pending = 0;
    let mut shares = Vec::new();
    for step in 0..=STEPS {
        let until = FROM + FROM * step / STEPS;
        while pending < until {
            let planned = Planned::new(pending);
            record(&mut machine, planned.send(BEGIN));
            record(&mut machine, planned.dispatch());
            pending += 1;
        }
        shares.push(Count::live_bytes() as f64 / pending as f64);
    }
    assert_eq!(machine.durable_state()?.counts().pending as u64, pending, "all are pending");
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let worst = shares.iter().copied().fold(0.0, f64::max);
    let row = |subject: &str, value| Figure::new("memory", subject, value, "bytes/payment");
    Ok(vec![row(OURS, mean), row("payonce, worst", worst)])
}

fn record(machine: &mut Machine, operation: impl Operation) {
    let step = machine.submit(operation, BEGIN);
    machine.confirmed([step.entry.expect("recorded")]).expect("in order");
}
