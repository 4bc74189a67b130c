//! Parts that the node has and the log has not, foreign parts, and what a gap forbids (SEMANTICS 7).

use payonce_core::{
    AdoptPart, Deadline, DispatchRefusal, FactRefusal, Msat, PartKind, PartStatus, PayRefusal,
    PhaseRefusal, RetryPolicy,
};

use crate::support::{
    Scenario, but, delegated, forever, hash, htlc, id, live, offer, part, pay, play, window,
};

/// A part of which the node knows no amount.
fn of_unknown_amount(kind: PartKind) -> AdoptPart {
    let (amount, fee) = (None, None);
    AdoptPart { id: id("A"), part: part("u"), payment_hash: hash("a"), amount, fee, kind }
}

/// It may pay all of it: as long as it is out nothing is missing.
#[test]
fn a_part_of_unknown_amount_leaves_nothing_missing() {
    let htlc_kind = PartKind::Htlc { cltv_expiry: None, first_channel: None };
    for kind in [htlc_kind, PartKind::Delegated] {
        play(window(), |s| {
            s.send("A", but(pay("a", 1_000), |request| request.max_fee = Msat(9).into()))
                .accepted();
            s.crash();
            s.run(of_unknown_amount(kind)).recorded();
            s.finish();
            s.close_gap().recorded();
            assert_eq!(s.remaining("A").amount, Msat(0));
            assert_eq!(s.remaining("A").fee_budget, Some(Msat(0)));
            s.due(&[]);
            s.dispatch("A", 1, [htlc("q", 1_000, 0)]).refused(DispatchRefusal::NothingMissing);
            s.fail("A", "u").recorded();
            s.due(&["A"]);
        });
    }
}

#[test]
fn an_adopted_part_was_an_attempt() {
    play(window(), |s| {
        s.send("A", but(pay("a", 1_000), |request| request.retry = RetryPolicy::Attempts(0)))
            .accepted();
        s.crash();
        s.adopt("A", "u", "a", (1_000, 1)).recorded();
        s.finish();
        s.close_gap().recorded();
        s.fail("A", "u").recorded();
        s.unread(&["A part u failed", "A failed RetriesExhausted"]);
    });
}

#[test]
fn an_offer_takes_the_hash_and_becomes_pending() {
    play(window(), |s| {
        s.send("A", offer("o", 1_000, Deadline::Ticks(1))).accepted();
        s.crash();
        s.adopt("A", "u", "a", (400, 1)).recorded();
        s.finish();
        s.is("A", "Pending");
        s.close_gap().recorded();
        s.ticks(5);
        s.is("A", "Pending");
        assert_eq!(s.remaining("A").payment_hash, Some(hash("a")));
        // Its invoice is not known: it may be for no more than this.
        assert_eq!(s.remaining("A").amount, Msat(0));
        s.due(&[]);
        s.send("B", pay("a", 1)).hash_in_use("A");
    });
}

/// Recorded as over, but on its channel: it is out again, and that is no gap.
#[test]
fn a_part_recorded_as_over_is_out_again() {
    for withdrawn in [false, true] {
        play(window(), |s| {
            s.send("A", pay("a", 1_000)).accepted();
            s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
            if withdrawn {
                s.withdraw("A", "p").recorded();
            } else {
                s.fail("A", "p").recorded();
            }
            s.due(&["A"]);
            s.crash();
            s.adopt("A", "p", "a", (1_000, 10)).recorded();
            s.adopt("A", "p", "a", (1_000, 10)).no_change();
            s.finish();
            assert!(!s.state().is_restored());
            s.status("p", PartStatus::InFlight);
            s.due(&[]);
            s.claim("A", "p", "a").recorded();
            s.status("p", PartStatus::Claimed);
        });
    }
}

/// Adoption and claim of a part recorded as failed, in both orders.
#[test]
fn a_failed_part_adopted_and_claimed_in_any_order() {
    for claim_first in [false, true] {
        play(window(), |s| {
            s.send("A", pay("a", 1_000)).accepted();
            s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
            s.fail("A", "p").recorded();
            s.crash();
            if claim_first {
                s.claim("A", "p", "a").recorded();
            }
            s.adopt("A", "p", "a", (1_000, 10)).recorded();
            if !claim_first {
                s.claim("A", "p", "a").recorded();
            }
            s.finish();
            s.status("p", PartStatus::Claimed);
            assert!(!s.state().is_restored());
            s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1000 fee 10");
        });
    }
}

/// An engine's budget is not what it spent, whichever is told first.
#[test]
fn a_delegated_part_adopted_and_claimed_in_any_order() {
    let budget = || AdoptPart {
        amount: Some(Msat(1_000)),
        fee: Some(Msat(50)),
        ..of_unknown_amount(PartKind::Delegated)
    };
    // The amount that was handed over is what the engine was to bring; of what is told after its
    // claim nothing counts.
    let (listed, claimed) = ("Fulfilled by a 1000 fee ? adopted", "Fulfilled by a ? fee ? adopted");
    for (claim_first, told) in [(false, listed), (true, claimed)] {
        play(window(), |s| {
            s.crash();
            if claim_first {
                s.claim("A", "u", "a").recorded();
            }
            s.run(budget()).recorded();
            if !claim_first {
                s.claim("A", "u", "a").recorded();
            }
            s.finish();
            s.close_gap().recorded();
            s.send("A", pay("a", 1)).duplicate(told);
        });
    }
}

fn with_a_stray(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.crash();
    s.adopt("A", "u", "x", (300, 1)).recorded();
    s.adopt("A", "u", "x", (300, 1)).no_change();
    s.finish();
    s.close_gap().recorded();
    s.unread(&["A anomaly: part u is out under x"]);
    s.out(&["u"]);
    s.is("A", "Pending");
    s.send("X", pay("x", 300)).hash_in_use("stray u");
    s.due(&[]);
    s.dispatch("A", 1, [htlc("q", 1_000, 1)]).refused(DispatchRefusal::PartOut { part: part("u") });
}

#[test]
fn a_stray_blocks_its_own_hash_until_it_has_failed() {
    play(window(), |s| {
        with_a_stray(s);
        s.fail("A", "u").recorded();
        s.fail("A", "u").no_change();
        s.out(&[]);
        s.send("X", pay("x", 300)).accepted();
        s.due(&["A", "X"]);
    });
}

#[test]
fn a_stray_that_is_claimed_blocks_its_hash_and_its_payment() {
    play(window(), |s| {
        with_a_stray(s);
        s.claim("A", "u", "x").recorded();
        s.claim("A", "u", "x").no_change();
        s.finalize("A", "u").recorded();
        s.out(&[]);
        s.unread(&["A anomaly: part u is out under x", "A anomaly: part u paid x"]);
        s.acknowledge_all();
        s.send("X", pay("x", 300)).hash_in_use("stray u");
        s.is("A", "Pending");
        s.due(&[]);
        s.ticks(20);
        s.abandon("A").recorded();
        s.is("A", "Abandoned(UserAbandoned)");
        s.disown("u").recorded();
        s.disown("u").no_change();
        s.unread(&["A failed UserAbandoned"]);
        s.send("X", pay("x", 300)).hash_in_use("stray u");
        s.ticks(8);
        s.send("X", pay("x", 300)).accepted();
    });
}

#[test]
fn a_stray_is_no_part_to_dispatch() {
    play(window(), |s| {
        with_a_stray(s);
        s.dispatch("A", 1, [htlc("u", 300, 1)])
            .refused(DispatchRefusal::PartInUse { part: part("u") });
    });
}

/// The hash of a foreign part is out: its payment may not be dispatched either.
#[test]
fn a_stray_under_the_hash_of_another_payment_blocks_it() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.send("B", pay("b", 1_000)).accepted();
        s.crash();
        s.adopt("A", "u", "b", (1_000, 1)).recorded();
        s.finish();
        s.close_gap().recorded();
        s.due(&[]);
        s.dispatch("B", 1, [htlc("q", 1_000, 1)]).hash_in_use("stray u");
        s.fail("A", "u").recorded();
        s.due(&["A", "B"]);
    });
}

#[test]
fn a_remembered_payment_comes_back_with_its_outcome() {
    play(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.claim("A", "p", "a").recorded();
        s.finalize("A", "p").recorded();
        s.acknowledge_all();
        s.ticks(8);
        s.is("A", "remembered Fulfilled");
        s.crash();
        s.adopt("A", "q", "a", (1_000, 1)).recorded();
        s.finish();
        s.close_gap().recorded();
        s.is("A", "Fulfilled");
        s.out(&["q"]);
        s.unread(&[]);
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1000 fee 10");
        s.ticks(20);
        s.is("A", "Fulfilled");
        s.fail("A", "q").recorded();
        s.ticks(8);
        s.is("A", "remembered Fulfilled");
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1000 fee 10 remembered");
    });
}

#[test]
fn a_remembered_failure_comes_back_failed() {
    play(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.abandon("A").recorded();
        s.fail("A", "p").recorded();
        let failure = s.notification("A failed UserAbandoned");
        s.acknowledge_all();
        s.crash();
        s.adopt("A", "p", "a", (1_000, 10)).recorded();
        s.finish();
        assert!(!s.state().is_restored(), "the log had recorded that it went out");
        s.is("A", "Failed(UserAbandoned)");
        s.send_again("A", pay("a", 1_000), failure).duplicate("Failed(UserAbandoned) 1 out");
        s.unread(&["A anomaly: part p is out again, others []"]);
        s.claim("A", "p", "a").recorded();
        s.is("A", "Fulfilled");
    });
}

#[test]
fn what_a_gap_forbids() {
    play(window(), |s| {
        s.close_gap().refused(PhaseRefusal::NotRestored);
        s.send("A", pay("a", 1_000)).accepted();
        s.send("O", offer("o", 9, Deadline::Ticks(1))).accepted();
        s.dispatch("A", 1, [htlc("p", 400, 1)]).recorded();
        let mark = s.mark();
        s.claim("A", "p", "a").recorded();
        s.put_back_to(mark);
        s.withdraw("A", "p").refused(FactRefusal::Restored);
        s.finish();
        s.due(&[]);
        s.send("B", pay("b", 1)).refused(PayRefusal::Restored);
        s.dispatch("A", 2, [htlc("q", 1, 0)]).refused(DispatchRefusal::Restored);
        s.dispatch("O", 1, [delegated("d")]).refused(DispatchRefusal::Restored);
        s.invoice("O", "x", 9).refused(payonce_core::ReceiveInvoiceRefusal::Restored);
        s.fail_with("A", "p", crate::support::permanent()).recorded();
        s.ticks(9);
        s.is("A", "Pending");
        s.is("O", "AwaitingInvoice");
        s.restart();
        assert!(s.state().is_restored(), "an opening does not close it");
        s.close_gap().recorded();
        s.unread(&["A part p failed", "A failed RecipientRejected"]);
        s.tick();
        s.is("O", "Failed(InvoiceRequestExpired)");
    });
}

/// A failed with p out under the hash a; tried anew under the hash b.
fn tried_anew_under_another_hash(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    s.abandon("A").recorded();
    s.fail("A", "p").recorded();
    let failure = s.notification("A failed UserAbandoned");
    s.send_again("A", pay("b", 1_000), failure).accepted();
    s.due(&["A"]);
}

/// One obligation: what an earlier try paid is paid, whichever is told first.
#[test]
fn a_part_of_an_earlier_try_under_another_hash() {
    for adopted in [false, true] {
        play(window(), |s| {
            tried_anew_under_another_hash(s);
            s.crash();
            if adopted {
                s.adopt("A", "p", "a", (1_000, 10)).recorded();
            }
            s.finish();
            if adopted {
                s.due(&[]);
                let out = DispatchRefusal::PartOut { part: part("p") };
                s.dispatch("A", 1, [htlc("q", 1_000, 1)]).refused(out);
            }
            s.claim("A", "p", "a").recorded();
            s.claim("A", "p", "a").no_change();
            s.is("A", "Fulfilled");
            s.due(&[]);
            s.send("B", pay("a", 1)).hash_in_use("A");
        });
    }
}

#[test]
fn a_part_of_an_earlier_try_that_is_out_blocks_until_it_has_failed() {
    play(window(), |s| {
        tried_anew_under_another_hash(s);
        s.crash();
        s.adopt("A", "p", "a", (1_000, 10)).recorded();
        s.finish();
        s.due(&[]);
        s.abandon("A").recorded();
        s.is("A", "Abandoned(UserAbandoned)");
        s.fail("A", "p").recorded();
        s.is("A", "Failed(UserAbandoned)");
    });
}

/// Of a part that was first seen by its claim nothing else is known, until the node lists it: then
/// also at which height it expires.
#[test]
fn a_part_first_seen_by_its_claim_learns_its_height() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.crash();
        s.claim("A", "u", "a").recorded();
        assert_eq!(s.state().overdue(u32::MAX), [], "it may expire at any height");
        let kind = PartKind::Htlc { cltv_expiry: Some(800_000), first_channel: None };
        s.run(of_unknown_amount(kind)).recorded();
        assert_eq!(s.state().overdue(799_999).len(), 0);
        assert_eq!(s.state().overdue(800_000).len(), 1);
        s.finalize("A", "u").recorded();
        assert_eq!(s.state().overdue(u32::MAX), []);
    });
}
