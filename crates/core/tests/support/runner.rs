//! The one runner of all scripts.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use payonce_core::{Config, Remember};
use payonce_store_memory::Failure;

use super::scenario::Scenario;

/// How a script is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// One process from the beginning to the end.
    Live,
    /// After every step the process dies, and the log is opened again from its bytes.
    Reopened,
    /// This operation of the store, counted from 1, crashes the process, and the log is opened
    /// again.
    Crash { operation: u64, failure: Failure },
}

/// A ledger that forgets after the window.
pub(crate) fn window() -> Config {
    Config::new(Remember::Window)
}

/// A ledger that remembers forever.
pub(crate) fn forever() -> Config {
    Config::new(Remember::Forever)
}

/// Plays a script in all three ways.
pub(crate) fn play(config: Config, script: impl Fn(&mut Scenario)) {
    let operations = play_once(config, Mode::Live, &script);
    play_once(config, Mode::Reopened, &script);
    for operation in 1..=operations {
        for failure in [Failure::BeforeEffect, Failure::AfterEffect] {
            play_once(config, Mode::Crash { operation, failure }, &script);
        }
    }
}

/// Gives the number of operations of the store.
fn play_once(config: Config, mode: Mode, script: &impl Fn(&mut Scenario)) -> u64 {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut scenario = Scenario::begin(config, mode);
        script(&mut scenario);
        scenario.end()
    }));
    played.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        match message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into())) {
            Some(message) => panic!("{mode:?}: {message}"),
            None => resume_unwind(panic),
        }
    })
}

/// Plays a script once, live: for tables and large numbers.
pub(crate) fn live(config: Config, script: impl FnOnce(&mut Scenario)) {
    script(&mut Scenario::begin(config, Mode::Live));
}
