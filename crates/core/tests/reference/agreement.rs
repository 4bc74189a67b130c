//! The core beside the reference: told the same, they must answer the same.

#![allow(unreachable_pub, reason = "a module of several test crates")]

use payonce_core::{
    Config, Msat, NotificationId, PartId, PaymentId, Remember, SameHash, State, UnixMillis,
};

use crate::{
    histories::{self, History, Step},
    journal::Journal,
    reference::{self, Bytes, Note, Settings},
    translate,
};

/// The core, and which of its notifications is which of the reference's.
pub struct Core {
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
    pub fn new(history: &History) -> Self {
        let journal = Journal::new(config(&history.model.settings), UnixMillis(history.now));
        Self { journal, numbers: vec![] }
    }

    /// Takes a step that the reference has taken, and compares.
    pub fn take(&mut self, history: &History, step: Step) {
        let now = UnixMillis(history.now);
        match step {
            Step::Do(op) => {
                let command = self.command(&op);
                let told = self.journal.run(command, now);
                self.agree_on_outbox(&history.model.outbox);
                let told = translate::outcome(&told, &|id| self.number(id));
                assert_eq!(Some(told), history.last, "the answer to {op:?}");
            }
            Step::Lose(op) => {
                let command = self.command(&op);
                self.journal.lose(command, now);
                self.journal.reopen(false, now);
                self.agree_on_outbox(&history.model.outbox);
            }
            Step::Reopen(restored) => {
                self.journal.reopen(restored, now);
                self.agree_on_outbox(&history.model.outbox);
            }
        }
    }

    /// Compares how everything stands.
    pub fn agree(&self, history: &History) {
        let state = self.journal.state();
        agree_on_payments(self, state, history);
        agree_on_parts(state, history);
        agree_on_lists(state, history);
    }

    /// Dies and opens again: what is replayed is what was live.
    pub fn reopen(&mut self, history: &History) {
        self.journal.reopen(false, UnixMillis(history.now));
    }

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
