//! Planted faults: built with `--cfg payonce_faults` the core can break one of its rules on request. Each is
//! convicted by the judge, in one of the cases or within a million steps of random histories, or by the check
//! that is named for it.
//!
//! `PAYONCE_FAULTS_EVERY` takes every so many faults alone.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use payonce_core::{
    EntryHeader, Event, FORMAT_VERSION, Head, LedgerId, LogHash, State, UnixMillis, faults,
};

use crate::{STEPS, Stop, cases, number, run, say};

/// Faults that no history of one ledger can show, and what each must fail.
const NAMED: &[(&str, fn() -> bool)] =
    &[("an entry of another writer folds", refuses_another_writer)];

/// Whether a log refuses an entry of a writer that did not open it last.
fn refuses_another_writer() -> bool {
    let mut state = State::new(LedgerId::from_bytes([7; 32]), 1);
    let opened = Event::Opened {
        epoch: 1,
        restored: false,
        program: "one".into(),
        format: FORMAT_VERSION,
        holder: "".into(),
        fence: None,
    };
    for (seq, epoch, event) in [(1, 1, opened), (2, 2, Event::GapFound)] {
        let now = UnixMillis(1_000);
        let header = EntryHeader { format: FORMAT_VERSION, first_seq: seq, now, epoch, events: 1 };
        state.fold(&header, Head { seq, chain: LogHash::from_bytes([1; 32]) }, &[event]);
    }
    state.inconsistent() == Some(2)
}

/// How a fault is convicted, if it is.
fn conviction(fault: u32) -> Option<String> {
    faults::plant(fault);
    let played = catch_unwind(AssertUnwindSafe(|| {
        let (_, convicted, _) = run(STEPS, Stop::Convicted);
        let seed = convicted
            .first()
            .map(|found| format!("{}, seed {}", found.conviction.verdict.name(), found.seed));
        seed.or_else(|| cases::convictions().into_iter().next())
    }));
    faults::plant(0);
    match played {
        // The core noticed by itself.
        Err(_) => Some("a broken invariant".into()),
        Ok(found) => found,
    }
}

/// Whether a check holds, and no longer with the fault.
fn fails_with(fault: u32, check: fn() -> bool) -> bool {
    let held = check();
    faults::plant(fault);
    let holds = check();
    faults::plant(0);
    held && !holds
}

#[test]
fn every_planted_fault_is_convicted() {
    let every = number("PAYONCE_FAULTS_EVERY").unwrap_or(1);
    let mut free = Vec::new();
    for fault in (1..=faults::COUNT).filter(|fault| u64::from(*fault) % every == 0) {
        let name = faults::name(fault);
        let named = NAMED.iter().find(|(known, _)| *known == name);
        let found = match named {
            Some((_, check)) => fails_with(fault, *check).then(|| "its own check".into()),
            None => conviction(fault),
        };
        say(&format!("{fault} {name}: {}", found.as_deref().unwrap_or("NOT CONVICTED")));
        if found.is_none() {
            free.push(name);
        }
    }
    assert!(free.is_empty(), "faults that nothing convicts: {free:?}");
}
