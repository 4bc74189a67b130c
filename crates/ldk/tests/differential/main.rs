//! The differential run: random lives of node 0, and after each step what the ledger says is
//! compared with what LDK lists, and with what the channels hold.
//!
//! Seeds are fixed. `PAYONCE_LDK_SEED=<number>` plays one, `PAYONCE_LDK_SEEDS=<number>` so many, and
//! `PAYONCE_LDK_STEPS=<number>` steps of each.

#[path = "../net/mod.rs"]
mod net;

mod compare;
mod dice;
mod life;

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
    for seed in seeds {
        println!("seed {seed}: play it alone with PAYONCE_LDK_SEED={seed}");
        seen.add(&Life::new(seed).live(steps));
    }
    println!("{seen:?}");
    if from_environment("PAYONCE_LDK_SEED").is_none() {
        seen.assert_everything_happened();
    }
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
