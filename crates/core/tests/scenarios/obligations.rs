//! Obligations: what is told under an id holds it through all its tries, a true preimage is never lost, and
//! what is paid is over for everybody (SEMANTICS 4 and 7).

use payonce_core::{
    Assertion, BlockHash, Command, Deadline, FailPart, Failure, MarkPaid, PayRefusal, RequestField,
    SameHash,
};

use crate::support::{
    Scenario, delegated, forever, hash, htlc, id, live, offer, part, pay, permanent, play, window,
};

/// The node's word about a payment, by what it knows.
fn paid(payment: &str, name: Option<&str>, hash_name: Option<&str>) -> Command {
    let (part, payment_hash) = (name.map(part), hash_name.map(hash));
    MarkPaid { part, payment_hash, ..MarkPaid::new(id(payment)) }.into()
}

/// A is tried under hash a with part p, which fails.
fn failed_once(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    s.fail_with("A", "p", permanent()).recorded();
    s.is("A", "Failed(RecipientRejected)");
}

/// A second try of A, under hash b.
fn tried_again(s: &mut Scenario) {
    failed_once(s);
    let failed = s.notification("A failed RecipientRejected");
    s.send_again("A", pay("b", 1_000), failed).accepted();
}

/// Nothing may leave for A.
#[track_caller]
fn nothing_leaves(s: &mut Scenario) {
    s.due(&[]);
    let attempt = s.remaining("A").attempt;
    assert!(!s.dispatch("A", attempt, [htlc("n", 1_000, 10)]).is_answer(), "a batch is recorded");
}

#[test]
fn the_part_decides_whose_it_is() {
    for config in [window(), forever()] {
        play(config, |s| {
            tried_again(s);
            s.crash();
            s.claim("Z", "p", "a").recorded();
            s.finish();
            s.is("A", "Fulfilled");
            s.is("Z", "unknown");
        });
        play(config, |s| {
            tried_again(s);
            s.crash();
            s.adopt("Z", "p", "a", (1_000, 10)).recorded();
            s.finish();
            s.is("Z", "unknown");
            nothing_leaves(s);
        });
        play(config, |s| {
            tried_again(s);
            s.crash();
            s.run(paid("Z", Some("p"), Some("a"))).recorded();
            s.finish();
            s.is("A", "Fulfilled");
            s.is("Z", "Fulfilled");
        });
    }
}

#[test]
fn a_stray_holds_the_id_that_it_names() {
    for config in [window(), forever()] {
        play(config, |s| {
            tried_again(s);
            s.crash();
            s.adopt("A", "p", "a", (1_000, 10)).recorded();
            s.finish();
            nothing_leaves(s);
            s.abandon("A").recorded();
            s.is("A", "Abandoned(UserAbandoned)");
            s.acknowledge_all();
            s.is("A", "Abandoned(UserAbandoned)");
            s.fail("A", "p").recorded();
            s.is("A", "Failed(UserAbandoned)");
        });
    }
}

#[test]
fn a_part_of_a_try_that_the_log_lost_holds_the_id() {
    for config in [window(), forever()] {
        play(config, |s| {
            failed_once(s);
            let before = s.mark();
            let failed = s.notification("A failed RecipientRejected");
            s.send_again("A", pay("b", 1_000), failed).accepted();
            s.dispatch("A", 1, [htlc("q", 1_000, 10)]).recorded();
            s.put_back_to(before);
            s.adopt("A", "q", "b", (1_000, 10)).recorded();
            s.finish();
            s.close_gap().recorded();
            let failed = s.state().payment_view(&id("A")).and_then(|view| view.failed);
            let failed = failed.expect("it is failed until the part is resolved");
            // It is no new try, so it is compared with the first one.
            let field = RequestField::Target;
            let conflict = PayRefusal::Conflict { id: id("A"), field };
            s.send_again("A", pay("c", 1_000), failed).refused(conflict);
        });
    }
}

#[test]
fn paid_on_the_nodes_word_is_paid_in_both_orders() {
    for listed_first in [true, false] {
        play(forever(), |s| {
            tried_again(s);
            s.crash();
            if listed_first {
                s.adopt("A", "p", "a", (1_000, 10)).recorded();
            }
            s.run(paid("A", Some("p"), Some("a"))).recorded();
            if !listed_first {
                assert!(s.adopt("A", "p", "a", (1_000, 10)).is_answer());
            }
            s.finish();
            s.is("A", "Fulfilled");
        });
    }
}

#[test]
fn the_word_with_the_own_hash_of_a_stray_pays() {
    play(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.run(BlockHash::new(hash("c"))).recorded();
        s.adopt("A", "p", "c", (1_000, 10)).recorded();
        s.run(paid("A", Some("p"), Some("a"))).recorded();
        s.is("A", "Fulfilled");
    });
}

#[test]
fn s41_every_hand_over_of_an_offer_has_its_own_invoice() {
    play(forever(), |s| {
        s.send("A", offer("o", 1_000, Deadline::Ticks(9))).accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.fail("A", "d").recorded();
        s.crash();
        s.adopt("A", "d", "a", (1_000, 10)).recorded();
        s.finish();
        s.fail("A", "d").recorded();
        s.dispatch("A", 2, [delegated("e")]).recorded();
        s.claim("A", "e", "b").recorded();
        s.is("A", "Fulfilled");
    });
}

#[test]
fn a_true_preimage_pays_whose_hash_it_fits() {
    // The payment's own, of a part that was listed under another hash.
    play(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.adopt("A", "p", "c", (1_000, 10)).recorded();
        s.claim("A", "p", "a").recorded();
        s.is("A", "Fulfilled");
    });
    // Another payment's, of a part of this one: that stays as it is.
    play(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.send("B", pay("b", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.claim("A", "p", "b").recorded();
        s.is("A", "Pending");
        s.out(&["p"]);
        s.is("B", "Fulfilled");
    });
    // After the node's word: the proof is filled in.
    play(forever(), |s| {
        tried_again(s);
        s.run(paid("A", Some("p"), Some("a"))).recorded();
        s.claim("A", "p", "a").recorded();
        let view = s.state().payment_view(&id("A")).expect("it is known");
        assert!(view.paid.is_some_and(|paid| paid.preimage.is_some()));
    });
    // Of a foreign part: the payment that asked for its hash is paid.
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.send("B", pay("b", 1_000)).accepted();
        s.adopt("A", "p", "b", (1_000, 10)).recorded();
        s.close_gap().recorded();
        s.claim("A", "p", "b").recorded();
        s.is("B", "Fulfilled");
    });
}

#[test]
fn any_other_bytes_prove_nothing() {
    play(window(), |s| {
        tried_again(s);
        s.abandon("A").recorded();
        assert!(s.claim("A", "p", "z").is_answer());
        s.is("A", "Failed(UserAbandoned)");
    });
}

#[test]
fn what_is_listed_as_out_was_not_never_sent() {
    for listed_first in [true, false] {
        play(window(), |s| {
            s.send("A", pay("a", 1_000)).accepted();
            s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
            s.crash();
            if listed_first {
                assert!(s.adopt("A", "p", "a", (1_000, 10)).is_answer());
                let _ = s.withdraw("A", "p");
            } else {
                s.withdraw("A", "p").recorded();
                s.adopt("A", "p", "a", (1_000, 10)).recorded();
            }
            s.finish();
            s.out(&["p"]);
            s.due(&[]);
        });
    }
}

#[test]
fn a_paid_hash_is_over_for_everybody() {
    let mut config = window();
    config.same_hash = SameHash::Allow;
    play(config, |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.send("B", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.claim("A", "p", "a").recorded();
        s.finalize("A", "p").recorded();
        assert!(!s.send("C", pay("a", 1_000)).is_answer(), "a paid hash is accepted");
        s.acknowledge_all();
        s.ticks(9);
        s.due(&[]);
    });
    // An offer is paid under the hash of an invoice that is pending.
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.send("B", offer("o", 1_000, Deadline::Ticks(99))).accepted();
        s.dispatch("B", 1, [delegated("d")]).recorded();
        s.claim("B", "d", "a").recorded();
        s.finalize("B", "d").recorded();
        s.acknowledge_all();
        s.ticks(9);
        s.due(&[]);
    });
}

#[test]
fn s43_a_failure_is_superseded_when_its_part_is_out_again() {
    for config in [window(), forever()] {
        play(config, |s| {
            failed_once(s);
            s.crash();
            s.adopt("A", "p", "a", (1_000, 10)).recorded();
            s.finish();
            s.notification("A failed RecipientRejected superseded");
        });
    }
}

#[test]
fn a_second_payment_of_a_remembered_id_is_told() {
    play(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.fail("A", "p").recorded();
        s.dispatch("A", 2, [htlc("q", 1_000, 10)]).recorded();
        s.claim("A", "q", "a").recorded();
        s.finalize("A", "q").recorded();
        s.acknowledge_all();
        s.ticks(9);
        s.is("A", "remembered Fulfilled");
        s.claim("A", "p", "a").recorded();
        s.notification("A anomaly: part p paid after all, in flight []");
    });
}

/// The node listed it as out just now; the height is whatever the operator types.
#[test]
fn an_operators_word_does_not_beat_what_the_node_lists() {
    let assertion = Assertion::new("op", "a typo");
    let failure = Failure { assertion: Some(assertion), ..Failure::default() };
    let said = FailPart { id: id("A"), part: part("d"), failure };
    live(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.fail_with("A", "d", permanent()).recorded();
        s.pass(20 * 24 * 3_600_000);
        s.adopt("A", "d", "a", (1_000, 10)).recorded();
        assert!(!s.run(said.clone()).is_answer(), "the word is taken");
    });
    play(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("d", 1_000, 10)]).recorded();
        assert!(!s.run(said.clone()).is_answer(), "the word is taken");
    });
}

#[test]
fn paid_under_an_unknown_id_pays_both() {
    play(window(), |s| {
        s.send("B", pay("b", 1_000)).accepted();
        s.run(paid("A", None, Some("b"))).recorded();
        s.is("A", "Fulfilled");
        s.is("B", "Fulfilled");
    });
}
