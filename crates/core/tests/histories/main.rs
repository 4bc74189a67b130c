//! Random histories of a node that does what nodes do, and of everything that can go wrong between it, the
//! ledger and the disk, under the judge.
//!
//! How it is organised: `world.rs` is the node and what it tells, `rows.rs` counts what was reached,
//! `faults.rs` plants faults. The acts, the judge and the core in its words come from `oracle` and
//! `common`.
//!
//! `PAYONCE_JUDGE_STEPS` says how many steps; `PAYONCE_JUDGE_ROWS` says how many histories must reach each verdict and each row.
//! `PAYONCE_JUDGE_DISPUTED` shows also those in which the node contradicts itself.
//! `PAYONCE_JUDGE_SEED` plays one history alone; `PAYONCE_JUDGE_SHOW` short histories of each verdict are
//! printed, with `PAYONCE_JUDGE_TRACE` also what was answered.

#![cfg_attr(payonce_faults, allow(dead_code, reason = "a fault is convicted, not shown"))]

#[path = "../oracle/judge.rs"]
mod judge;
#[path = "../common/translation.rs"]
mod translation;
#[path = "../common/trial.rs"]
mod trial;

mod cases;
#[cfg(payonce_faults)]
mod faults;
mod rows;
mod shrink;
mod world;

#[cfg(not(payonce_faults))]
use std::time::Instant;
use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    judge::{Act, Conviction, Rules, Verdict},
    rows::Rows,
    trial::{Swaps, Trial},
    world::World,
};

/// A history as it was played.
type History = Vec<(u64, Act)>;

/// Of so many histories in which the node contradicts itself the judge and the core may disagree about one:
/// there is not always one answer. About the others they never do.
#[cfg(not(payonce_faults))]
const DISPUTED_PER_CONVICTION: u64 = 5_000;

/// Without any variable so many steps are judged, always the same histories.
const STEPS: u64 = 1_000_000;

type Tally = BTreeMap<Verdict, usize>;

fn tally(convicted: &[Convicted]) -> Tally {
    let mut tally = Tally::new();
    for found in convicted {
        *tally.entry(found.conviction.verdict).or_default() += 1;
    }
    tally
}

struct Convicted {
    seed: u64,
    rules: Rules,
    history: History,
    conviction: Conviction,
    /// The node had contradicted itself.
    disputed: bool,
}

/// Plays the history of a seed.
fn play(seed: u64, rows: &mut Rows) -> Result<u64, Convicted> {
    let mut world = World::new(seed);
    let rules = world.rules();
    let mut trial = Trial::new(rules, Swaps::One(seed | 1));
    let mut history = History::new();
    let length = world.length();
    let mut judged = Ok(());
    for _ in 0..length {
        let (now, act) = world.next(&trial.core);
        history.push((now, act));
        let (now, act) = &history[history.len() - 1];
        match trial.play(*now, act) {
            Ok(outcome) => world.learn(act, &outcome),
            Err(conviction) => {
                judged = Err(conviction);
                break;
            }
        }
        rows.count(&trial.core);
    }
    let judged = judged.and_then(|()| trial.come_to_rest());
    let disputed = trial.judge.is_disputed();
    rows.end(&trial.judge.reached, disputed);
    match judged {
        Ok(()) => Ok(trial.steps),
        Err(conviction) => Err(Convicted { seed, rules, history, conviction, disputed }),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.replace('_', "").parse().expect("a number"))
}

/// Says how far it came, past the capture of a test's output.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}

/// When to stop before all steps are judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Never,
    /// At the first history that is convicted.
    #[cfg(payonce_faults)]
    Convicted,
}

/// Plays histories until so many steps are judged.
fn run(steps: u64, stop: Stop) -> (Rows, Vec<Convicted>, u64) {
    let (next, done) = (AtomicU64::new(1), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let worker = || {
        let (mut rows, mut convicted) = (Rows::default(), Vec::new());
        while done.load(Ordering::Relaxed) < steps {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            match play(seed, &mut rows) {
                Ok(steps) => _ = done.fetch_add(steps, Ordering::Relaxed),
                Err(found) => {
                    let stops = stop != Stop::Never;
                    let played = if stops { steps } else { found.history.len() as u64 };
                    done.fetch_add(played, Ordering::Relaxed);
                    convicted.push(found);
                }
            }
        }
        (rows, convicted)
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker")).collect()
    });
    let (mut rows, mut convicted) = (Rows::default(), Vec::new());
    for (some, found) in parts {
        rows.merge(some);
        convicted.extend(found);
    }
    (rows, convicted, done.into_inner())
}

fn tell(found: &Convicted, history: &History, conviction: &Conviction) {
    let Convicted { seed, rules, .. } = found;
    say(&format!(
        "{} ({}) seed {seed}: {}\n  {rules:?}",
        conviction.verdict.name(),
        conviction.verdict.says().trim(),
        conviction.about
    ));
    for (now, act) in history {
        say(&format!("  {now} {act:?}"));
    }
    if std::env::var("PAYONCE_JUDGE_TRACE").is_ok() {
        shrink::trace(*rules, history);
    }
}

#[cfg(not(payonce_faults))]
#[test]
fn no_history_breaks_an_obligation() {
    let steps = number("PAYONCE_JUDGE_STEPS").unwrap_or(STEPS);
    let began = Instant::now();
    let (rows, convicted, done) = match number("PAYONCE_JUDGE_SEED") {
        Some(seed) => {
            let mut rows = Rows::default();
            let found = play(seed, &mut rows).err();
            (rows, found.into_iter().collect(), 1)
        }
        None => run(steps, Stop::Never),
    };
    let took = began.elapsed().as_secs_f64();
    say(&format!("{done} steps judged in {took:.1} s, {} histories", rows.histories()));
    say(&rows.table());
    let tally = tally(&convicted);
    for (verdict, count) in &tally {
        say(&format!("convicted {count} times: {}", verdict.name()));
    }
    let disputed = convicted.iter().filter(|found| found.disputed).count();
    say(&format!(
        "the node contradicts itself in {} histories, {disputed} of those convicted",
        rows.disputed()
    ));
    let only = number("PAYONCE_JUDGE_DISPUTED").unwrap_or(0) == 0;
    let convicted: Vec<_> =
        convicted.into_iter().filter(|found| !(only && found.disputed)).collect();
    let shown = number("PAYONCE_JUDGE_SHOW").unwrap_or(1);
    for verdict in tally.keys() {
        let all = convicted.iter().filter(|found| found.conviction.verdict == *verdict);
        let shown = usize::try_from(shown).expect("few");
        for (found, history, conviction) in shrink::different(all, shown) {
            tell(found, &history, &conviction);
        }
    }
    assert!(convicted.is_empty(), "the judge convicted {} histories: {tally:?}", convicted.len());
    let most = rows.disputed() / DISPUTED_PER_CONVICTION;
    assert!(disputed as u64 <= most, "more than {most} in which the node contradicts itself");
    if number("PAYONCE_JUDGE_SEED").is_none() {
        let missed = rows.missed(number("PAYONCE_JUDGE_ROWS").unwrap_or(1));
        assert!(missed.is_empty(), "too few histories reached {missed:#?}");
    }
}
