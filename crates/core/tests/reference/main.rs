//! Random histories, told to the core and to the naive reference alike: every reply, every refusal,
//! every notification and every query must agree, through crashes and lost entries.

#[path = "../common/journal.rs"]
mod journal;
#[path = "../oracle/reference.rs"]
mod reference;

mod histories;
mod translate;

use payonce_core::{
    Config, Msat, NotificationId, PartId, PaymentId, Remember, SameHash, State, UnixMillis,
};
use proptest::{prelude::*, test_runner::FileFailurePersistence};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use crate::{
    histories::{History, Step},
    journal::Journal,
    reference::{Bytes, Note, Settings},
};

struct Histories;

impl ReferenceStateMachine for Histories {
    type State = History;
    type Transition = (u64, Step);

    fn init_state() -> BoxedStrategy<History> {
        histories::settings().prop_map(History::new).boxed()
    }

    fn transitions(history: &History) -> BoxedStrategy<(u64, Step)> {
        let history = history.clone();
        let random = (any::<u8>(), any::<[u8; 8]>());
        random.prop_map(move |(what, bytes)| history.choose(what, bytes)).boxed()
    }

    fn apply(mut history: History, (now, step): &(u64, Step)) -> History {
        history.now = *now;
        history.last = match step {
            Step::Do(op) => Some(history.model.apply(*now, op)),
            Step::Lose(_) => {
                history.model.reopen(false);
                None
            }
            Step::Reopen(restored) => {
                history.model.reopen(*restored);
                None
            }
        };
        history
    }
}

/// The core, and which of its notifications is which of the reference's.
struct Core {
    journal: Journal,
    numbers: Vec<(u64, NotificationId)>,
}

fn config(settings: &Settings) -> Config {
    let mut config =
        Config::new(if settings.forever { Remember::Forever } else { Remember::Window });
    config.same_hash = if settings.same_hash { SameHash::Allow } else { SameHash::Refuse };
    config.overpay_percent = u8::try_from(settings.overpay_percent).expect("a percentage");
    config.idempotency_ticks = u32::try_from(settings.idempotency_ticks).expect("few ticks");
    config.min_tick_interval_ms = settings.min_tick_interval;
    config.notify_parts = settings.notify_parts;
    config.assertion_margin_blocks = u32::try_from(settings.assertion_blocks).expect("few blocks");
    config.assertion_delegated_age_ms = settings.assertion_age;
    config
}

impl Core {
    fn number(&self, id: &NotificationId) -> u64 {
        let known = self.numbers.iter().find(|(_, known)| known == id);
        known.expect("a reply names a notification that was in the outbox").0
    }

    /// The id of a notification; of another log, or beyond the head, if the reference says so.
    fn id(&self, number: u64, own: bool) -> NotificationId {
        let known = self.numbers.iter().find(|(known, _)| *known == number).map(|(_, id)| *id);
        let beyond = NotificationId { seq: self.journal.state().head().seq + 1, chain: [0; 8] };
        let mut id = known.unwrap_or(beyond);
        if !own {
            id.chain[0] ^= 1;
        }
        id
    }

    fn command(&self, op: &reference::Op) -> payonce_core::Command {
        translate::command(op, &|number, own| self.id(number, own))
    }

    /// One payment's notifications are told in the order of their posting, each with the same id
    /// for ever. Between payments no order is promised.
    fn agree_on_outbox(&mut self, expected: &[Note]) {
        let state = self.journal.state();
        let told = state.outbox().map(|told| (told.id, translate::note(&told.notice)));
        let mut told: Vec<_> = told.map(|(id, (owner, says))| (owner, id, says)).collect();
        let mut expected: Vec<_> = expected.iter().collect();
        told.sort_by_key(|(owner, id, _)| (*owner, id.seq));
        expected.sort_by_key(|note| (note.owner, note.number));
        let says: Vec<_> = told.iter().map(|(owner, _, says)| (owner, says)).collect();
        let wanted: Vec<_> = expected.iter().map(|note| (&note.owner, &note.says)).collect();
        assert_eq!(says, wanted, "the outbox");
        for ((_, id, _), note) in told.iter().zip(expected) {
            match self.numbers.iter().find(|(number, _)| *number == note.number) {
                Some((_, known)) => assert_eq!(known, id, "another id at another delivery"),
                None => self.numbers.push((note.number, *id)),
            }
        }
    }
}

impl StateMachineTest for Core {
    type SystemUnderTest = Self;
    type Reference = Histories;

    fn init_test(history: &History) -> Self {
        let journal = Journal::new(config(&history.model.settings), UnixMillis(history.now));
        Self { journal, numbers: vec![] }
    }

    fn apply(mut core: Self, history: &History, (now, step): (u64, Step)) -> Self {
        let now = UnixMillis(now);
        match step {
            Step::Do(op) => {
                let command = core.command(&op);
                let told = core.journal.run(command, now);
                core.agree_on_outbox(&history.model.outbox);
                let told = translate::outcome(&told, &|id| core.number(id));
                assert_eq!(Some(told), history.last, "the answer to {op:?}");
            }
            Step::Lose(op) => {
                let command = core.command(&op);
                core.journal.lose(command, now);
                core.journal.reopen(false, now);
                core.agree_on_outbox(&history.model.outbox);
            }
            Step::Reopen(restored) => {
                core.journal.reopen(restored, now);
                core.agree_on_outbox(&history.model.outbox);
            }
        }
        core
    }

    fn check_invariants(core: &Self, history: &History) {
        let state = core.journal.state();
        agree_on_payments(core, state, history);
        agree_on_parts(state, history);
        agree_on_lists(state, history);
    }

    fn teardown(mut core: Self, history: History) {
        core.journal.reopen(false, UnixMillis(history.now));
    }
}

fn agree_on_payments(core: &Core, state: &State, history: &History) {
    let model = &history.model;
    for id in histories::payments() {
        let stands = state.standing(&PaymentId::from_bytes(id));
        let stands = stands.map(|stands| translate::standing(&stands, &|id| core.number(id)));
        assert_eq!(stands, model.standing(id), "how payment {} stands", id[0]);
    }
    for wanted in &model.payments {
        let id = PaymentId::from_bytes(wanted.id);
        let payment = state.payment(&id).expect("the reference holds it");
        let hash = payment.payment_hash().map(|hash| *hash.as_bytes());
        assert_eq!(hash, wanted.hash, "the hash of payment {}", wanted.id[0]);
        assert_eq!(payment.lost().0, wanted.lost(), "what payment {} lost", wanted.id[0]);
        assert_eq!(
            payment.quiet().map(|quiet| quiet.tick),
            wanted.quiet_since,
            "payment {}",
            wanted.id[0]
        );
        if !payment.status().is_open() {
            continue;
        }
        let missing = state.missing(&id).expect("it is held");
        assert_eq!(missing.amount, Msat(wanted.missing()), "missing of {}", wanted.id[0]);
        assert_eq!(missing.fee_budget.map(|fee| fee.0), wanted.fee_budget(), "{}", wanted.id[0]);
        assert_eq!(u64::from(missing.attempt), wanted.next_attempt(), "{}", wanted.id[0]);
        let avoid: Vec<u64> = missing.avoid.iter().map(|channel| channel.0).collect();
        assert_eq!(avoid, wanted.avoid(), "avoided by payment {}", wanted.id[0]);
    }
}

fn agree_on_parts(state: &State, history: &History) {
    let model = &history.model;
    let own = model.payments.iter();
    let own = own.flat_map(|payment| payment.parts.iter().map(|part| (payment.id, part)));
    let strays = model.strays.iter().map(|stray| (stray.payment, &stray.part));
    let all: Vec<_> = own.chain(strays).collect();
    for id in histories::parts() {
        let told = state.part(&PartId::from_bytes(id));
        let told = told.map(|(owner, fate)| (*owner.as_bytes(), translate::fate_word(fate)));
        let wanted = all.iter().find(|(_, part)| part.id == id);
        let wanted = wanted.map(|(owner, part)| (*owner, part.fate.word()));
        assert_eq!(told, wanted, "part {}", id[0]);
    }
    let unresolved = |fate: &str| fate == "in flight" || fate == "claimed";
    let out = all.iter().filter(|(_, part)| unresolved(part.fate.word())).count();
    assert_eq!(state.unresolved().len(), out, "unresolved parts");
    assert_eq!(state.counts().unresolved_parts, out, "counted unresolved parts");
}

fn agree_on_lists(state: &State, history: &History) {
    let (model, now) = (&history.model, history.now);
    let due = state.due(UnixMillis(now));
    let due: Vec<Bytes> = due.iter().map(|short| *short.id.as_bytes()).collect();
    assert_eq!(due, model.due(now), "what is due");
    for height in [99_u32, 100] {
        let told = state.overdue(height);
        let mut told: Vec<Bytes> = told.iter().map(|late| *late.part.id.as_bytes()).collect();
        let mut wanted = model.overdue(u64::from(height));
        told.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(told, wanted, "what is overdue at {height}");
    }
    let mut held = model.held.clone();
    held.sort_unstable();
    let told: Vec<Bytes> = state.held().map(|hash| *hash.as_bytes()).collect();
    assert_eq!(told, held, "held hashes");
    assert_eq!(state.counts().remembered, model.stones.len(), "remembered payments");
    assert_eq!(state.counts().strays, model.strays.len(), "strays");
    assert_eq!(state.tick(), model.tick, "the tick number");
    assert_eq!(state.is_recovering(), model.recovering);
    assert_eq!(state.is_restored(), model.gap);
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
    fn the_core_answers_as_the_reference_does(sequential 1..150 => Core);
}
