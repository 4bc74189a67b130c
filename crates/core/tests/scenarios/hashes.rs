//! One hash is paid under one id (scenarios 24, 25).

use payonce_core::{PartStatus, SameHash};

use crate::support::{Scenario, htlc, pay, play, window};

fn one_part_out(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
}

#[test]
fn s24_wrong_preimage() {
    play(window(), |s| {
        one_part_out(s);
        s.claim("A", "p", "x").recorded();
        s.unread(&["A anomaly: no preimage for part p"]);
        s.status("p", PartStatus::InFlight);
        s.is("A", "Pending");
        s.send("X", pay("x", 5)).accepted();
    });
}

#[test]
fn s24_unknown_part_right_preimage() {
    play(window(), |s| {
        one_part_out(s);
        s.claim("A", "u", "a").recorded();
        s.unread(&["A sent ? fee ?", "A anomaly: unknown part u paid"]);
        s.is("A", "Fulfilled");
        s.out(&["p", "u"]);
        s.claim("A", "u", "a").no_change();
    });
}

#[test]
fn s24_unknown_part_wrong_preimage() {
    play(window(), |s| {
        one_part_out(s);
        s.claim("A", "u", "x").recorded();
        s.unread(&["A anomaly: part u paid x"]);
        s.is("A", "Pending");
        s.send("B", pay("x", 5)).hash_in_use("stray u");
        s.acknowledge_all();
        s.send("B", pay("x", 5)).hash_in_use("stray u");
    });
}

#[test]
fn s24_a_claim_of_an_unknown_payment() {
    play(window(), |s| {
        s.claim("A", "u", "a").recorded();
        s.unread(&["A sent ? fee ? correction"]);
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a ? fee ? adopted");
        s.send("B", pay("a", 1_000)).hash_in_use("A");
        s.claim("A", "u", "a").no_change();
    });
}

#[test]
fn s24_a_claim_of_a_forgotten_payment() {
    play(window(), |s| {
        one_part_out(s);
        s.fail("A", "p").recorded();
        s.abandon("A").recorded();
        s.acknowledge_all();
        s.is("A", "unknown");
        s.claim("A", "p", "a").recorded();
        s.unread(&["A sent ? fee ? correction"]);
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a ? fee ? adopted");
        s.send("B", pay("a", 1_000)).hash_in_use("A");
    });
}

#[test]
fn s25_one_hash_under_another_id() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.send("B", pay("a", 1_000)).hash_in_use("A");
    });
    let mut allowed = window();
    allowed.same_hash = SameHash::Allow;
    play(allowed, |s| {
        one_part_out(s);
        s.send("B", pay("a", 1_000)).accepted();
        s.dispatch("B", 1, [htlc("q", 1_000, 10)]).hash_in_use("A");
        s.due(&[]);
        s.fail("A", "p").recorded();
        s.due(&["A", "B"]);
        s.dispatch("B", 1, [htlc("q", 1_000, 10)]).recorded();
        s.due(&[]);
    });
}
