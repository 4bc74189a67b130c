//! How many bytes of log a payment leaves, from Pay until it is forgotten.

use super::{Bench, OURS, history::History};
use crate::{Result, log_files::decode_all, report::Figure};

const PAYMENTS: u64 = 1_000;
/// Kept on quiet ticks 1 to 7, gone on the 8th, and one to begin counting.
const TICKS: u64 = 9;
/// What LND's database grows by for such a payment, in bytes (docs/BENCHMARKS.md).
const LND: f64 = 2_200.0;

/// On a node that pays a thousand between two ticks, and one alone, which bears its ticks alone.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let many = bytes_a_payment(bench, PAYMENTS)?;
    let alone = bytes_a_payment(bench, 1)?;
    let row = |subject: &str, value: f64| {
        Figure::new("bytes", subject, value, "bytes/payment").against("lnd", value / LND)
    };
    Ok(vec![row("lnd", LND), row(OURS, many), row("payonce, alone", alone)])
}

fn bytes_a_payment(bench: &Bench, payments: u64) -> Result<f64> {
    let directory = bench.place.fresh(OURS)?.join("log");
    let mut history = History::begin(&directory)?;
    let before = decode_all(&directory)?.bytes;
    history.pay(payments)?;
    for _ in 0..TICKS {
        history.tick()?;
    }
    let left = history.ledger.query(payonce_core::State::counts)?;
    assert_eq!((left.fulfilled, left.unread), (0, 0), "all are forgotten");
    let after = decode_all(&directory)?.bytes;
    Ok((after - before) as f64 / payments as f64)
}
