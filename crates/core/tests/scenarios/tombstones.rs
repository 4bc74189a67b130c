//! Remember::Forever (SEMANTICS 6).

use payonce_core::{
    DispatchRefusal, MarkPaid, Msat, NotificationId, PayRefusal, RequestField, Settlement,
};

use crate::support::{Scenario, but, forever, htlc, id, part, pay, play, window};

/// A paid with p; B failed with q; both remembered. Gives B's failure.
fn remembered(s: &mut Scenario) -> NotificationId {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    s.claim("A", "p", "a").recorded();
    s.finalize("A", "p").recorded();
    s.send("B", pay("b", 500)).accepted();
    s.dispatch("B", 1, [htlc("q", 500, 5)]).recorded();
    s.abandon("B").recorded();
    s.fail("B", "q").recorded();
    let failure = s.notification("B failed UserAbandoned");
    s.acknowledge_all();
    s.ticks(8);
    s.is("A", "remembered Fulfilled");
    s.is("B", "remembered Failed(UserAbandoned)");
    failure
}

#[test]
fn facts_told_again_of_a_remembered_payment_change_nothing() {
    play(forever(), |s| {
        remembered(s);
        s.claim("A", "p", "a").no_change();
        s.finalize("A", "p").no_change();
        s.fail("A", "p").no_change();
        s.fail("B", "q").no_change();
        s.abandon("A").no_change();
        s.abandon("B").no_change();
        s.mark_paid("A", None).no_change();
        s.unread(&[]);
    });
}

#[test]
fn remembered_part_ids_are_never_used_again() {
    play(forever(), |s| {
        let failure = remembered(s);
        s.send("C", pay("c", 500)).accepted();
        for name in ["p", "q"] {
            s.dispatch("C", 1, [htlc(name, 500, 1)])
                .refused(DispatchRefusal::PartInUse { part: part(name) });
        }
        s.send_again("B", pay("b", 500), failure).accepted();
        s.dispatch("B", 1, [htlc("q", 500, 1)])
            .refused(DispatchRefusal::PartInUse { part: part("q") });
        s.dispatch("B", 1, [htlc("r", 500, 1)]).recorded();
    });
}

#[test]
fn a_remembered_failure_that_paid_after_all() {
    play(forever(), |s| {
        remembered(s);
        s.claim("B", "q", "b").recorded();
        s.is("B", "Fulfilled");
        s.unread(&["B sent ? fee ? correction", "B anomaly: part q paid after all, in flight []"]);
        s.send("B", pay("b", 500)).duplicate("Fulfilled by b ? fee ?");
        s.finalize("B", "q").recorded();
        s.acknowledge_all();
        s.ticks(8);
        s.is("B", "remembered Fulfilled");
    });
}

/// Only the latest failure opens the id, once, and only while it is failed.
#[test]
fn a_new_try_names_the_failure_that_it_follows() {
    for config in [window(), forever()] {
        play(config, |s| {
            s.send("A", pay("a", 1_000)).accepted();
            s.abandon("A").recorded();
            let first = s.notification("A failed UserAbandoned");
            let other = NotificationId { seq: first.seq, chain: [0; 8] };
            s.send_again("A", pay("a", 1_000), other).duplicate("Failed(UserAbandoned)");
            s.send_again("A", pay("b", 900), first).accepted();
            s.unread(&["A failed UserAbandoned superseded"]);
            s.is("A", "Pending");
            s.send_again("A", pay("b", 900), first).duplicate("Pending missing 900");
            let field = RequestField::Target;
            s.send_again("A", pay("c", 900), first)
                .refused(PayRefusal::Conflict { id: id("A"), field });
            s.restart();
            s.abandon("A").recorded();
            s.send_again("A", pay("b", 900), first).duplicate("Failed(UserAbandoned)");
            s.acknowledge("A failed UserAbandoned superseded");
            s.acknowledge("A failed UserAbandoned");
        });
    }
}

#[test]
fn a_new_try_is_still_checked() {
    play(forever(), |s| {
        let failure = remembered(s);
        s.send_again("B", pay("a", 500), failure).hash_in_use("A");
        s.send_again("B", pay("b", 0), failure).refused(PayRefusal::ZeroAmount);
        s.is("B", "remembered Failed(UserAbandoned)");
        let request = but(pay("d", 700), |request| request.max_fee = Msat(3).into());
        s.send_again("B", request, failure).accepted();
        assert_eq!(s.remaining("B").amount, Msat(700));
    });
}

/// With something of it out a failed id is not open to a new try.
#[test]
fn no_new_try_while_anything_is_out() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.abandon("A").recorded();
        s.fail("A", "p").recorded();
        let failure = s.notification("A failed UserAbandoned");
        s.crash();
        s.adopt("A", "p", "a", (1_000, 1)).recorded();
        s.finish();
        s.send_again("A", pay("a", 1_000), failure).duplicate("Failed(UserAbandoned) 1 out");
        s.acknowledge("A failed UserAbandoned superseded");
        s.fail("A", "p").recorded();
        s.send_again("A", pay("a", 1_000), failure).duplicate("Failed(UserAbandoned)");
        let failure = s.notification("A failed UserAbandoned");
        s.send_again("A", pay("a", 1_000), failure).accepted();
    });
}

#[test]
fn a_claim_of_an_earlier_try_names_what_is_out() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.abandon("A").recorded();
        s.fail("A", "p").recorded();
        let failure = s.notification("A failed UserAbandoned");
        s.acknowledge("A part p failed");
        s.send_again("A", pay("a", 1_000), failure).accepted();
        s.dispatch("A", 1, [htlc("q", 1_000, 1)]).recorded();
        s.claim("A", "p", "a").recorded();
        s.is("A", "Fulfilled");
        s.unread(&[
            "A failed UserAbandoned superseded",
            "A sent ? fee ? correction",
            "A anomaly: part p paid after all, in flight [q]",
        ]);
    });
}

/// Told paid without proof after it came back failed: the part that paid is counted once.
#[test]
fn a_remembered_failure_told_paid_and_then_claimed() {
    play(forever(), |s| {
        remembered(s);
        let settlement = Settlement { amount: Some(Msat(500)), fee: Some(Msat(5)) };
        s.run(MarkPaid::new(id("B")).settlement(settlement)).recorded();
        s.send("B", pay("b", 500)).duplicate("Fulfilled by ? 500 fee 5");
        s.claim_of("B", "q", "b", (500, 5)).recorded();
        s.send("B", pay("b", 500)).duplicate("Fulfilled by b 500 fee 5");
    });
}

/// What paid it is told again, and beside it a part that the log lacked.
#[test]
fn a_remembered_payment_that_came_back_and_paid_twice() {
    play(forever(), |s| {
        remembered(s);
        s.crash();
        s.adopt("A", "u", "a", (300, 1)).recorded();
        s.finish();
        s.close_gap().recorded();
        s.claim("A", "p", "a").no_change();
        s.claim("A", "u", "a").recorded();
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1300 fee 11");
        s.finalize("A", "u").recorded();
        s.acknowledge_all();
        s.ticks(8);
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1300 fee 11 remembered");
    });
}

/// A was paid on the node's word alone with p, or is proved too, and is remembered.
fn remembered_paid(s: &mut Scenario, proved: bool) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    if proved {
        s.claim("A", "p", "a").recorded();
    } else {
        s.mark_paid("A", Some("p")).recorded();
    }
    s.finalize("A", "p").recorded();
    s.acknowledge_all();
    s.ticks(8);
    s.is("A", "remembered Fulfilled");
}

/// The proof is filled in. Nothing else is new: neither what was paid, nor that the part paid.
#[test]
fn the_proof_of_a_remembered_payment_comes_late() {
    for reported in [false, true] {
        play(forever(), |s| {
            remembered_paid(s, false);
            s.send("A", pay("a", 1_000)).duplicate("Fulfilled by ? 1000 fee 10 remembered");
            if reported {
                s.claim_of("A", "p", "a", (1_000, 10)).recorded();
            } else {
                s.claim("A", "p", "a").recorded();
            }
            s.unread(&["A settled 1000 fee 10 by a"]);
            s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1000 fee 10");
            s.finalize("A", "p").no_change();
            s.acknowledge_all();
            s.ticks(8);
            s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1000 fee 10 remembered");
        });
    }
}

/// An older channel lists the part that paid once more, and its claim is seen once more. It is in the
/// books.
#[test]
fn what_paid_a_remembered_payment_is_listed_and_claimed_again() {
    play(forever(), |s| {
        remembered_paid(s, true);
        s.crash();
        s.adopt("A", "p", "a", (1_000, 10)).no_change();
        s.finish();
        s.out(&[]);
        s.claim("A", "p", "a").no_change();
        s.unread(&[]);
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1000 fee 10 remembered");
    });
}

/// A second payment of a remembered id is recorded and told, whichever part made it.
#[test]
fn another_part_of_a_remembered_payment_is_a_second_payment() {
    for known in [true, false] {
        play(forever(), |s| {
            s.send("A", pay("a", 1_000)).accepted();
            s.dispatch("A", 1, [htlc("f", 1_000, 10)]).recorded();
            s.fail("A", "f").recorded();
            s.dispatch("A", 2, [htlc("p", 1_000, 10)]).recorded();
            s.claim("A", "p", "a").recorded();
            s.finalize("A", "p").recorded();
            s.acknowledge_all();
            s.ticks(8);
            let part = if known { "f" } else { "u" };
            s.claim_of("A", part, "a", (1_000, 10)).recorded();
            let told: &[&str] =
                if known { &["A anomaly: part f paid after all, in flight []"] } else { &[] };
            let twice = format!("A anomaly: part {part} paid a second time, first A by ?");
            let more = ["A settled 2000 fee 20 by a", "A anomaly: unknown part u paid"];
            let more = if known { &more[..1] } else { &more[..] };
            let all: Vec<_> =
                told.iter().copied().chain([&*twice]).chain(more.iter().copied()).collect();
            s.unread(&all);
            s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 2000 fee 20");
        });
    }
}

/// The node's word about the part that paid, once the payment has come back through another one.
#[test]
fn a_payment_that_came_back_is_told_paid_again() {
    play(forever(), |s| {
        remembered_paid(s, true);
        s.crash();
        s.adopt("A", "u", "a", (300, 1)).recorded();
        s.finish();
        s.close_gap().recorded();
        s.fail("A", "u").recorded();
        s.mark_paid("A", Some("p")).no_change();
        s.unread(&[]);
        s.out(&[]);
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1000 fee 10");
        s.ticks(8);
        s.is("A", "remembered Fulfilled");
    });
}

/// Paid on the node's word after all, then proved: one correction.
#[test]
fn a_remembered_failure_told_paid_with_its_part_is_corrected_once() {
    play(forever(), |s| {
        remembered(s);
        s.mark_paid("B", Some("q")).recorded();
        let told = ["B sent ? fee ? correction", "B anomaly: part q paid after all, in flight []"];
        s.unread(&told);
        s.claim("B", "q", "b").recorded();
        s.unread(&[told[0], told[1], "B settled ? fee ? by b"]);
        s.claim("B", "q", "b").no_change();
    });
}
