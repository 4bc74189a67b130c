//! The acceptance scenarios 38 to 51 that no other file plays.

use payonce_core::{Deadline, FactRefusal, FailureReason, MarkPaid, Msat, RetryPolicy, UnixMillis};

use crate::support::{
    Scenario, T0, adopted, but, delegated, forever, hash, htlc, id, live, offer, pay, play,
    seconds, window,
};

const YEAR_2099: UnixMillis = UnixMillis(4_070_908_800_000);

fn tried_anew(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    s.fail("A", "p").recorded();
    s.abandon("A").recorded();
    let failure = s.notification("A failed UserAbandoned");
    s.send_again("A", pay("b", 1_000), failure).accepted();
}

#[test]
fn s38_the_part_decides_whose_it_is() {
    for config in [window(), forever()] {
        for fact in ["claim", "listed", "word"] {
            play(config, |s| {
                tried_anew(s);
                s.crash();
                match fact {
                    "claim" => s.claim("Z", "p", "a").recorded(),
                    "listed" => s.run(adopted("Z", "p", "a")).recorded(),
                    _ => {
                        let word = MarkPaid::new(id("Z")).part(crate::support::part("p"));
                        s.run(word.payment_hash(hash("a"))).recorded();
                    }
                }
                s.finish();
                assert!(!s.state().is_restored());
                s.due(&[]);
                s.is("A", if fact == "listed" { "Pending" } else { "Fulfilled" });
                assert_eq!(s.state().owner_of(&crate::support::part("p")), Some(id("A")));
            });
        }
    }
}

#[test]
fn s39_what_is_told_under_an_id_holds_it() {
    play(window(), |s| {
        tried_anew(s);
        s.crash();
        s.run(adopted("A", "p", "a")).recorded();
        s.finish();
        s.due(&[]);
        s.ticks(20);
        s.abandon("A").recorded();
        s.is("A", "Abandoned(UserAbandoned)");
        s.claim("A", "p", "a").recorded();
        s.is("A", "Fulfilled");
        s.due(&[]);
    });
}

/// The log has the first request, but not its part.
#[test]
fn s39_a_part_of_an_earlier_try_that_the_log_lacks() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.abandon("A").recorded();
        let failure = s.notification("A failed UserAbandoned");
        s.send_again("A", pay("b", 1_000), failure).accepted();
        s.crash();
        s.run(adopted("A", "p", "a")).recorded();
        s.finish();
        s.close_gap().recorded();
        s.due(&[]);
        s.claim("A", "p", "a").recorded();
        s.is("A", "Fulfilled");
    });
}

/// The log lacks the whole first try.
#[test]
fn s39_an_earlier_try_that_the_log_lacks() {
    for config in [window(), forever()] {
        play(config, |s| {
            s.send("A", pay("b", 1_000)).accepted();
            s.crash();
            s.run(adopted("A", "p", "a")).recorded();
            s.finish();
            s.close_gap().recorded();
            s.due(&[]);
            s.claim("A", "p", "a").recorded();
            let forgets_nothing = config.remember == payonce_core::Remember::Forever;
            s.is("A", if forgets_nothing { "Fulfilled" } else { "Pending" });
            s.due(&[]);
        });
    }
}

#[test]
fn s41_both_hand_overs_of_an_offer_are_claimed() {
    play(forever(), |s| {
        s.send("A", offer("o", 1_000, Deadline::Ticks(99))).accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.fail("A", "d").recorded();
        s.is("A", "AwaitingInvoice");
        s.crash();
        s.run(adopted("A", "d", "a")).recorded();
        s.finish();
        s.is("A", "Pending");
        s.fail("A", "d").recorded();
        s.is("A", "AwaitingInvoice");
        s.dispatch("A", 3, [delegated("e")])
            .refused(payonce_core::DispatchRefusal::StaleAttempt { stated: 3, expected: 2 });
        s.dispatch("A", 2, [delegated("e")]).recorded();
        s.claim_of("A", "e", "b", (1_000, 5)).recorded();
        s.is("A", "Fulfilled");
        s.claim_of("A", "d", "a", (1_000, 5)).recorded();
        s.notification("A anomaly: part d paid a second time, first A by e");
        s.send("X", pay("a", 5)).hash_in_use("A");
        s.send("X", pay("b", 5)).hash_in_use("A");
    });
}

#[test]
fn s42_paid_is_over_for_everybody() {
    play(window(), |s| {
        s.send("O", offer("o", 1_000, Deadline::Ticks(99))).accepted();
        s.dispatch("O", 1, [delegated("d")]).recorded();
        s.send("A", pay("a", 1_000)).accepted();
        s.due(&["A"]);
        s.claim_of("O", "d", "a", (1_000, 5)).recorded();
        s.is("A", "Failed(PaidElsewhere)");
        s.unread(&["O sent 1000 fee 5", "A failed PaidElsewhere by O"]);
        s.finalize("O", "d").recorded();
        s.acknowledge_all();
        s.ticks(8);
        s.is("O", "unknown");
        s.due(&[]);
    });
}

/// Its payer is forgotten, and the failure still unread: a new try must not pay the settled invoice.
#[test]
fn s42_a_paid_hash_is_known_as_long_as_a_payment_holds_it() {
    play(window(), |s| {
        s.send("O", offer("o", 1_000, Deadline::Ticks(99))).accepted();
        s.dispatch("O", 1, [delegated("d")]).recorded();
        s.send("A", pay("a", 1_000)).accepted();
        s.claim_of("O", "d", "a", (1_000, 5)).recorded();
        s.finalize("O", "d").recorded();
        for text in ["O sent 1000 fee 5", "O part d succeeded"] {
            s.acknowledge(text);
        }
        s.ticks(8);
        s.is("O", "unknown");
        let failure = s.notification("A failed PaidElsewhere by O");
        s.send_again("A", pay("a", 1_000), failure).hash_in_use("Paid");
        s.send("B", pay("a", 1_000)).hash_in_use("A");
    });
}

#[test]
fn s43_back_from_the_dead() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.fail("A", "p").recorded();
        s.abandon("A").recorded();
        s.crash();
        s.run(adopted("A", "p", "a")).recorded();
        s.finish();
        s.unread(&[
            "A part p failed",
            "A failed UserAbandoned superseded",
            "A anomaly: part p is out again, others []",
        ]);
        s.send("A", pay("a", 1_000)).duplicate("Failed(UserAbandoned) 1 out");
        let view = s.state().payment_view(&id("A")).expect("it is live");
        assert!(!view.is_over(), "who waits for its outcome waits");
        s.acknowledge_all();
        s.is("A", "Failed(UserAbandoned)");
    });
}

#[test]
fn s46_a_wrong_clock_at_acceptance() {
    play(window(), |s| {
        let request = but(pay("a", 1_000), |request| request.retry = RetryPolicy::Until(60_000));
        s.set_clock(YEAR_2099);
        s.send("A", request).accepted();
        s.set_clock(T0.plus(seconds(1)));
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.fail("A", "p").recorded();
        s.due(&["A"]);
        s.ticks(3);
        s.due(&[]);
        s.is("A", "Failed(RetriesExhausted)");
    });
}

/// No reading but the wrong one was ever near: ticks bound it all the same.
#[test]
fn s46_ticks_bound_a_duration() {
    play(window(), |s| {
        let request = but(pay("a", 1_000), |request| request.retry = RetryPolicy::Until(60_000));
        s.send("A", request).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.fail("A", "p").recorded();
        let begun = s.now();
        for n in 1..=2 {
            s.set_clock(begun.plus(n));
            s.pass(30_000 * (n - 1));
            s.tick_now();
            s.due(&["A"]);
        }
        s.pass(29_999);
        s.tick_now();
        s.is("A", "Failed(RetriesExhausted)");
    });
}

#[test]
fn s46_one_tick_in_2099_fails_nothing() {
    play(window(), |s| {
        let expiry = Some(s.now().plus(seconds(600)));
        s.send("A", but(pay("a", 1_000), |request| request.expiry = expiry)).accepted();
        s.send("O", offer("o", 9, Deadline::At(s.now().plus(seconds(600))))).accepted();
        let right = s.now();
        s.set_clock(YEAR_2099);
        s.tick_now();
        s.is("A", "Pending");
        s.is("O", "AwaitingInvoice");
        s.set_clock(right.plus(seconds(60)));
        s.tick_now();
        s.is("A", "Pending");
        s.set_clock(right.plus(seconds(601)));
        s.tick_now();
        s.is("A", "Failed(PaymentExpired)");
        s.is("O", "Failed(InvoiceRequestExpired)");
    });
}

#[test]
fn s49_never_sent_then_a_gap() {
    for told_first in [true, false] {
        play(window(), |s| {
            s.send("A", pay("a", 1_000)).accepted();
            s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
            s.crash();
            if told_first {
                s.withdraw("A", "p").recorded();
                s.run(adopted("Z", "z", "z")).recorded();
            } else {
                s.run(adopted("Z", "z", "z")).recorded();
                s.withdraw("A", "p").refused(FactRefusal::Restored);
            }
            s.finish();
            s.close_gap().recorded();
            s.out(&["p", "z"]);
            s.due(&[]);
        });
    }
}

#[test]
fn s50_an_old_claim_under_a_reused_id() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.claim("A", "p", "a").recorded();
        s.finalize("A", "p").recorded();
        s.acknowledge_all();
        s.ticks(8);
        s.is("A", "unknown");
        s.send("A", pay("b", 1_000)).accepted();
        s.claim("A", "p", "a").recorded();
        s.is("A", "Pending");
        s.unread(&["A anomaly: part p paid a"]);
        s.due(&[]);
        s.ticks(20);
        s.due(&[]);
        s.disown("p").recorded();
        s.due(&["A"]);
        s.send("B", pay("a", 5)).hash_in_use("stray p");
    });
    // Or it was this obligation after all.
    play(window(), |s| {
        s.send("A", pay("b", 1_000)).accepted();
        s.claim("A", "p", "a").recorded();
        s.mark_paid("A", None).recorded();
        s.is("A", "Fulfilled");
        s.finalize("A", "p").recorded();
        s.acknowledge_all();
        s.ticks(8);
        s.is("A", "unknown");
    });
}

#[test]
fn s51_told_again() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.abandon("A").recorded();
        s.fail("A", "p").recorded();
        let first = s.notification("A failed UserAbandoned");
        s.crash();
        s.run(adopted("A", "p", "a")).recorded();
        s.finish();
        s.fail("A", "p").recorded();
        let second = s.notification("A failed UserAbandoned");
        assert_ne!(first, second);
        s.send_again("A", pay("a", 1_000), first).duplicate("Failed(UserAbandoned)");
        s.send_again("A", pay("a", 1_000), second).accepted();
    });
}

/// A rest between attempts survives a restart, refuses no dispatch, and no wrong clock makes it last.
#[test]
fn a_payment_rests_before_it_is_due_again() {
    live(window(), |s| {
        let backoff = payonce_core::Backoff { first_ms: 10_000, max_ms: 15_000 };
        s.send("A", but(pay("a", 1_000), |request| request.backoff = backoff)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.fail("A", "p").recorded();
        s.due(&[]);
        s.restart();
        s.pass(9_999);
        s.due(&[]);
        s.pass(1);
        s.due(&["A"]);
        s.dispatch("A", 2, [htlc("q", 1_000, 10)]).recorded();
        s.fail("A", "q").recorded();
        s.due(&[]);
        s.dispatch("A", 3, [htlc("r", 1_000, 10)]).recorded();
        let right = s.now();
        s.set_clock(YEAR_2099);
        s.fail("A", "r").recorded();
        s.set_clock(right);
        s.due(&[]);
        s.ticks(2);
        s.due(&["A"]);
    });
}

#[test]
fn a_duplicate_names_what_was_given_up_and_why() {
    play(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.claim("Z", "z", "a").recorded();
        s.is("A", "Fulfilled");
        s.send("B", but(pay("a", 5), |request| request.amount = Msat(5))).hash_in_use("A");
        assert_eq!(FailureReason::PaidElsewhere.to_string(), "paid elsewhere");
    });
}

/// What is paid while conclusions wait is over for the others once they are drawn.
#[test]
fn s42_paid_during_a_recovery() {
    play(window(), |s| {
        s.send("O", offer("o", 1_000, Deadline::Ticks(99))).accepted();
        s.dispatch("O", 1, [delegated("d")]).recorded();
        s.send("A", pay("a", 1_000)).accepted();
        s.crash();
        s.claim_of("O", "d", "a", (1_000, 5)).recorded();
        s.finish();
        s.is("A", "Failed(PaidElsewhere)");
    });
    play(window(), |s| {
        s.send("O", offer("o", 1_000, Deadline::Ticks(99))).accepted();
        s.dispatch("O", 1, [delegated("d")]).recorded();
        s.send("P", offer("p", 1_000, Deadline::Ticks(99))).accepted();
        s.invoice("P", "a", 900).recorded();
        s.is("P", "Pending");
        s.crash();
        s.claim_of("O", "d", "a", (1_000, 5)).recorded();
        s.finish();
        // Only its invoice is settled: it waits for another one.
        s.is("P", "AwaitingInvoice");
        s.due(&["P"]);
        s.invoice("P", "b", 900).recorded();
    });
}

/// A claimed foreign part that a word makes a payment's own holds nobody else any more.
#[test]
fn a_word_releases_whom_a_claimed_part_held() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.run(adopted("A", "u", "x")).recorded();
        s.close_gap().recorded();
        s.claim("A", "u", "x").recorded();
        s.abandon("A").recorded();
        s.is("A", "Abandoned(UserAbandoned)");
        s.mark_paid("A", None).recorded();
        s.is("A", "Fulfilled");
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by x 1000 fee 10");
        s.send("X", pay("x", 5)).hash_in_use("A");
    });
}
