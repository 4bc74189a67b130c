//! The differential run: random lives of node 0, and after each step what the ledger says is
//! compared with what LDK lists, and with what the channels hold.
//!
//! Seeds are fixed, and say all but which of several threads is first. `PAYONCE_LDK_SEED=<number>` plays one,
//! `PAYONCE_LDK_SEEDS=<number>` so many, and `PAYONCE_LDK_STEPS=<number>` steps of each.

#[path = "../net/mod.rs"]
mod net;

mod compare;
mod dice;
mod life;
mod upsets;

use std::{
    any::Any,
    panic::{catch_unwind, resume_unwind},
};

use life::Life;

const SEEDS: u64 = 24;
const STEPS: usize = 120;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

#[expect(clippy::print_stdout, reason = "a failure shows the seed that found it")]
fn live(seeds: impl Iterator<Item = u64>) {
    let steps = from_environment("PAYONCE_LDK_STEPS")
        .map_or(STEPS, |steps| steps.try_into().expect("a few"));
    let mut seen = life::Seen::default();
    let (mut lives, mut cut_short) = (0, 0);
    for seed in seeds {
        lives += 1;
        println!("seed {seed}: play it alone with PAYONCE_LDK_SEED={seed}");
        match catch_unwind(|| Life::new(seed).live(steps)) {
            Ok(life) => seen.add(&life),
            Err(panic) if is_ldk_s_own(&*panic) => {
                println!("seed {seed}: LDK's test utilities ended it");
                cut_short += 1;
            }
            Err(panic) => resume_unwind(panic),
        }
    }
    println!("{seen:?}");
    assert!(cut_short * 20 <= lives, "{cut_short} of {lives} lives were not lived to their end");
    if from_environment("PAYONCE_LDK_SEED").is_none() {
        seen.assert_everything_happened();
    }
}

/// LDK's monitors for tests are written and read back at each update, and must be equal. Of one of a closed
/// channel that waits for several claims they sometimes are not: no fault of what is judged here.
fn is_ldk_s_own(panic: &(dyn Any + Send)) -> bool {
    panic.downcast_ref::<&str>() == Some(&"assertion failed: new_monitor == *monitor")
}

/// Two halves, so that two processors share them.
#[test]
fn odd_seeds() {
    run(1);
}

#[test]
fn even_seeds() {
    run(0);
}

fn run(parity: u64) {
    match from_environment("PAYONCE_LDK_SEED") {
        Some(seed) if seed % 2 == parity => live(std::iter::once(seed)),
        Some(_) => {}
        None => {
            let seeds = from_environment("PAYONCE_LDK_SEEDS").unwrap_or(SEEDS);
            live((1..=seeds).filter(|seed| seed % 2 == parity));
        }
    }
}
