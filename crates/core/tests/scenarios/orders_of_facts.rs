//! The order of the facts of one recovery must not decide whether money may leave (scenarios 39, 40, 49).

use payonce_core::{Command, FailPart, Failure, FinalizePart, MarkPaid, WithdrawPart};

use crate::support::{
    Scenario, adopted, claimed, delegated, forever, htlc, id, live, offer, part, pay, window,
};

type Base = (&'static str, fn(&mut Scenario));

fn out(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
}

fn failed(s: &mut Scenario) {
    out(s);
    s.fail("A", "p").recorded();
    s.abandon("A").recorded();
}

fn tried_anew(s: &mut Scenario) {
    failed(s);
    let failure = s.notification("A failed UserAbandoned");
    s.send_again("A", pay("b", 1_000), failure).accepted();
}

const BASES: [Base; 6] = [
    ("a part in flight", out),
    ("nothing sent", |s| s.send("A", pay("a", 1_000)).accepted()),
    ("failed", failed),
    ("a second try with another hash", tried_anew),
    ("an offer handed over", |s| {
        s.send("A", offer("o", 1_000, payonce_core::Deadline::Ticks(1_000))).accepted();
        s.dispatch("A", 1, [delegated("p")]).recorded();
    }),
    ("an offer", |s| {
        s.send("A", offer("o", 1_000, payonce_core::Deadline::Ticks(1_000))).accepted();
    }),
];

/// Everything that a node may say of part p of A at a start, with one other part beside it.
fn facts() -> Vec<(&'static str, Command)> {
    let fact = |name| (id("A"), part(name));
    let word = |name: Option<&str>, hash: Option<&str>| -> Command {
        let word = MarkPaid::new(id("A"));
        let part = name.map(part);
        MarkPaid { part, payment_hash: hash.map(crate::support::hash), ..word }.into()
    };
    let fail = |name: &str| -> Command {
        FailPart { id: id("A"), part: part(name), failure: Failure::default() }.into()
    };
    let (own, p) = fact("p");
    vec![
        ("out under a", adopted("A", "p", "a").into()),
        ("out under c", adopted("A", "p", "c").into()),
        ("failed", fail("p")),
        ("claimed with a", claimed("A", "p", "a").into()),
        ("claimed with c", claimed("A", "p", "c").into()),
        ("paid", word(Some("p"), None)),
        ("paid, a", word(Some("p"), Some("a"))),
        ("paid, c", word(Some("p"), Some("c"))),
        ("A paid", word(None, None)),
        ("A paid, a", word(None, Some("a"))),
        ("gone", FinalizePart { id: own, part: p }.into()),
        ("never sent", WithdrawPart { id: own, part: p }.into()),
        ("q out", adopted("A", "q", "a").into()),
        ("q claimed", claimed("A", "q", "a").into()),
        ("q failed", fail("q")),
    ]
}

/// Whether money may leave for A after these facts, told in this order.
fn may_leave(base: fn(&mut Scenario), config: payonce_core::Config, facts: &[&Command]) -> bool {
    let mut may = None;
    live(config, |s| {
        base(s);
        s.crash();
        for fact in facts {
            // Refused or taken: what matters is what may be sent afterwards.
            let _ = s.run((*fact).clone());
        }
        s.finish();
        if s.state().is_restored() {
            s.close_gap().recorded();
        }
        let due = !s.state().due(s.now()).is_empty();
        let attempt = s.state().remaining(&id("A")).map_or(1, |missing| missing.attempt);
        let offer = s.state().payment(&id("A")).is_some_and(payonce_core::Payment::is_offer);
        let batch = if offer { delegated("n") } else { htlc("n", 1_000, 10) };
        let batch = s.dispatch("A", attempt, [batch]).is_answer();
        assert_eq!(due, batch, "due is what may be dispatched");
        may = Some(due);
    });
    may.expect("it was played")
}

#[test]
fn s40_no_pair_of_facts_depends_on_its_order() {
    let facts = facts();
    for (name, base) in BASES {
        for config in [window(), forever()] {
            for (nth, (one, first)) in facts.iter().enumerate() {
                for (other, second) in &facts[nth + 1..] {
                    let told = may_leave(base, config, &[first, second]);
                    let swapped = may_leave(base, config, &[second, first]);
                    assert_eq!(
                        told, swapped,
                        "{name}: {one}, then {other}: {told}; the other way round: {swapped}"
                    );
                }
            }
        }
    }
}
