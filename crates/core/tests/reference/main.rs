//! Random histories, told to the core and to the naive reference alike: every reply, every refusal,
//! every notification and every query must agree, through crashes and lost entries.

#[path = "../common/journal.rs"]
mod journal;
#[path = "../oracle/reference.rs"]
mod reference;

mod agreement;
mod histories;
mod translate;

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use crate::{
    agreement::Core,
    histories::{History, Step},
};

struct Histories;

impl ReferenceStateMachine for Histories {
    type State = History;
    type Transition = (u64, Step);

    fn init_state() -> BoxedStrategy<History> {
        any::<u8>().prop_map(|bits| History::new(histories::settings(bits))).boxed()
    }

    fn transitions(history: &History) -> BoxedStrategy<(u64, Step)> {
        let history = history.clone();
        let random = (any::<u8>(), any::<[u8; 8]>());
        random.prop_map(move |(what, bytes)| history.choose(what, bytes)).boxed()
    }

    fn apply(mut history: History, (now, step): &(u64, Step)) -> History {
        history.take(*now, step);
        history
    }
}

struct Comparison;

impl StateMachineTest for Comparison {
    type SystemUnderTest = Core;
    type Reference = Histories;

    fn init_test(history: &History) -> Core {
        Core::new(history)
    }

    fn apply(mut core: Core, history: &History, (_, step): (u64, Step)) -> Core {
        core.take(history, step);
        core
    }

    fn check_invariants(core: &Core, history: &History) {
        core.agree(history);
    }

    fn teardown(mut core: Core, history: History) {
        core.reopen(&history);
    }
}

fn enough() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        // Each takes about a millisecond.
        cases: default.cases * 16,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/reference/regressions.txt"
        )))),
        ..default
    }
}

prop_state_machine! {
    #![proptest_config(enough())]

    #[test]
    fn the_core_answers_as_the_reference_does(sequential 1..150 => Comparison);
}
