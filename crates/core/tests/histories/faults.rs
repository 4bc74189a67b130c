//! Planted faults: built with `--cfg payonce_faults` the core can break one of its rules on request. Each is
//! convicted by the judge within a million steps, by more than what is open without it, or by the test that
//! is named for it.
//!
//! `PAYONCE_FAULTS_EVERY` takes every so many faults alone.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use payonce_core::faults;

use crate::{OPEN, STEPS, beyond, number, run, say, tally};

/// Faults that no history of the judge can show, and the test that convicts each.
const NAMED: &[(&str, &str)] = &[];

/// How a fault is convicted, if it is.
fn conviction(fault: u32) -> Option<String> {
    faults::plant(fault);
    let played = catch_unwind(AssertUnwindSafe(|| run(STEPS)));
    faults::plant(0);
    match played {
        // The core noticed by itself.
        Err(_) => Some("a broken invariant".into()),
        Ok((_, convicted, _)) => {
            let beyond = beyond(&tally(&convicted), OPEN);
            (!beyond.is_empty()).then(|| format!("{} histories: {beyond:?}", convicted.len()))
        }
    }
}

#[test]
fn every_planted_fault_is_convicted() {
    let every = number("PAYONCE_FAULTS_EVERY").unwrap_or(1);
    let mut free = Vec::new();
    for fault in (1..=faults::COUNT).filter(|fault| u64::from(*fault) % every == 0) {
        let name = faults::name(fault);
        let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, test)| *test);
        let found = conviction(fault).or_else(|| named.map(|test| format!("by {test}")));
        say(&format!("{fault} {name}: {}", found.as_deref().unwrap_or("NOT CONVICTED")));
        if found.is_none() {
            free.push(name);
        }
    }
    assert!(free.is_empty(), "faults that nothing convicts: {free:?}");
}
