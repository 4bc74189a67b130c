//! What the network tells of parts, in every order (scenarios 3, 5 to 8, 30, 31).

use payonce_core::{Msat, PartStatus, Payment, RetryPolicy};

use crate::support::{Scenario, but, htlc, id, pay, permanent, play, window};

fn one_part_out(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
}

#[test]
fn s03_abandon_then_success() {
    play(window(), |s| {
        one_part_out(s);
        s.abandon("A").recorded();
        s.is("A", "Abandoned(UserAbandoned)");
        s.unread(&[]);
        s.claim("A", "p", "a").recorded();
        s.unread(&["A sent 1000 fee 10"]);
        s.is("A", "Fulfilled");
    });
}

#[test]
fn s05_success_then_a_failure_of_the_same_part() {
    play(window(), |s| {
        one_part_out(s);
        s.claim("A", "p", "a").recorded();
        s.acknowledge_all();
        assert_eq!(s.state().payment(&id("A")).and_then(Payment::idle), None);
        s.fail("A", "p").recorded();
        s.unread(&[]);
        s.is("A", "Fulfilled");
        s.out(&[]);
        assert!(s.state().payment(&id("A")).is_some_and(|payment| payment.idle().is_some()));
        s.ticks(8);
        s.is("A", "unknown");
    });
}

#[test]
fn s06_duplicate_facts_after_a_reconnect() {
    play(window(), |s| {
        one_part_out(s);
        s.send("B", pay("b", 500)).accepted();
        s.dispatch("B", 1, [htlc("q", 500, 5)]).recorded();
        s.claim("A", "p", "a").recorded();
        s.claim("A", "p", "a").no_change();
        s.finalize("A", "p").recorded();
        s.finalize("A", "p").no_change();
        s.claim("A", "p", "a").no_change();
        s.fail("B", "q").recorded();
        s.fail("B", "q").no_change();
        s.unread(&["A sent 1000 fee 10", "A part p succeeded", "B part q failed"]);
    });
}

#[test]
fn s07_three_parts_in_any_order() {
    let orders = [
        ["p", "q", "r"],
        ["p", "r", "q"],
        ["q", "p", "r"],
        ["q", "r", "p"],
        ["r", "p", "q"],
        ["r", "q", "p"],
    ];
    for claimed in orders {
        play(window(), |s| {
            s.send("A", pay("a", 3_000)).accepted();
            s.dispatch("A", 1, [htlc("p", 500, 1), htlc("q", 1_000, 2), htlc("r", 1_500, 3)])
                .recorded();
            for name in claimed {
                s.claim("A", name, "a").recorded();
            }
            for name in ["q", "p", "r"] {
                s.finalize("A", name).recorded();
            }
            s.unread(&[
                "A sent 3000 fee 6",
                "A part q succeeded",
                "A part p succeeded",
                "A part r succeeded",
            ]);
        });
    }
}

#[test]
fn s08_one_part_fails_the_other_pays() {
    play(window(), |s| {
        s.send("A", but(pay("a", 2_000), |request| request.retry = RetryPolicy::Attempts(0)))
            .accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1), htlc("q", 1_000, 1)]).recorded();
        s.fail("A", "p").recorded();
        s.unread(&["A part p failed"]);
        s.is("A", "Abandoned(RetriesExhausted)");
        s.claim("A", "q", "a").recorded();
        s.unread(&["A part p failed", "A sent 1000 fee 1"]);
    });
}

#[test]
fn s30_abandon_with_a_part_out_then_the_part_fails() {
    play(window(), |s| {
        one_part_out(s);
        s.abandon("A").recorded();
        s.due(&[]);
        assert_eq!(s.remaining("A").amount, Msat(0));
        s.fail("A", "p").recorded();
        s.due(&[]);
        s.unread(&["A part p failed", "A failed UserAbandoned"]);
    });
}

#[test]
fn s31_withdrawn_after_all() {
    play(window(), |s| {
        one_part_out(s);
        s.fail("A", "p").recorded();
        s.dispatch("A", 2, [htlc("q", 1_000, 20)]).recorded();
        s.claim("A", "p", "a").recorded();
        s.unread(&[
            "A part p failed",
            "A sent 2000 fee 30 correction",
            "A anomaly: part p paid after all, in flight [q]",
        ]);
        s.status("p", PartStatus::Finalized);
        s.status("q", PartStatus::InFlight);
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1000 fee 10");
    });
}

#[test]
fn a_permanent_failure_ends_the_payment_whatever_is_left() {
    play(window(), |s| {
        s.send("A", pay("a", 2_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1), htlc("q", 1_000, 1)]).recorded();
        s.fail_with("A", "p", permanent()).recorded();
        s.is("A", "Abandoned(RecipientRejected)");
        s.fail("A", "q").recorded();
        s.unread(&["A part p failed", "A part q failed", "A failed RecipientRejected"]);
    });
}
