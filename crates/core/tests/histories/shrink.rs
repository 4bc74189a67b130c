//! A failing history made short: steps are dropped as long as the verdict stays.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use std::collections::BTreeSet;

use crate::{
    Convicted, History,
    judge::{Act, Conviction, Rules, Verdict},
    trial::{Swaps, Trial},
};

/// What a history is convicted of, played from its acts alone.
pub fn replay(rules: Rules, history: &History) -> Result<(), Conviction> {
    played(rules, history).0
}

/// Also whether the node contradicts itself in it.
fn played(rules: Rules, history: &History) -> (Result<(), Conviction>, bool) {
    let mut trial = Trial::new(rules, Swaps::All);
    let acts = history.iter().try_for_each(|(now, act)| trial.play(*now, act).map(drop));
    (acts.and_then(|()| trial.come_to_rest()), trial.judge.is_disputed())
}

fn convicts(rules: Rules, history: &History, (verdict, disputed): (Verdict, bool)) -> bool {
    let (found, contradicts) = played(rules, history);
    (disputed || !contradicts) && found.is_err_and(|found| found.verdict == verdict)
}

/// Drops steps, many at first, as long as the verdict stays, and the node contradicts itself no more than
/// before.
pub fn shortened(rules: Rules, history: &History, verdict: (Verdict, bool)) -> History {
    let mut history = history.clone();
    let mut size = history.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < history.len() {
            let end = (at + size).min(history.len());
            let mut shorter = history.clone();
            shorter.drain(at..end);
            if convicts(rules, &shorter, verdict) {
                history = shorter;
            } else {
                at = end;
            }
        }
        size = if size == 1 && history.len() > 1 && again(rules, &history, verdict) {
            1
        } else {
            size / 2
        };
    }
    history
}

/// Whether a single step more can go.
fn again(rules: Rules, history: &History, verdict: (Verdict, bool)) -> bool {
    (0..history.len()).any(|at| {
        let mut shorter = history.clone();
        shorter.remove(at);
        convicts(rules, &shorter, verdict)
    })
}

/// Some short histories that differ in what is done.
pub fn different<'a>(
    all: impl Iterator<Item = &'a Convicted>,
    most: usize,
) -> Vec<(&'a Convicted, History, Conviction)> {
    let (mut seen, mut kept) = (BTreeSet::new(), Vec::new());
    for found in all.take(20 * most) {
        if kept.len() == most {
            break;
        }
        let history =
            shortened(found.rules, &found.history, (found.conviction.verdict, found.disputed));
        let conviction = replay(found.rules, &history).err();
        let conviction = conviction.unwrap_or_else(|| found.conviction.clone());
        if seen.insert(shape(&history)) {
            kept.push((found, history, conviction));
        }
    }
    kept
}

/// The kinds of its last acts.
fn shape(history: &History) -> String {
    let kind = |act: &Act| {
        let text = format!("{act:?}");
        text.split([' ', '{']).next().unwrap_or_default().to_owned()
    };
    let last = history.iter().rev().take(2).map(|(_, act)| kind(act));
    last.collect::<Vec<_>>().join(" ")
}

/// Plays a history and says what was answered and what the judge thinks then.
pub fn trace(rules: Rules, history: &History) {
    let mut trial = Trial::new(rules, Swaps::All);
    for (now, act) in history {
        let played = trial.play(*now, act);
        crate::say(&format!("  {act:?}: {played:?}\n{}", trial.judge.tell()));
    }
    crate::say(&format!("  at rest: {:?}\n{}", trial.come_to_rest(), trial.judge.tell()));
}
