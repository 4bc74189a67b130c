//! What was recorded as over and is paid after all, facts that do not fit, and an operator's word
//! (SEMANTICS 4).

use payonce_core::{
    Assertion, AssertionLimit, FactRefusal, FailPart, Failure, FinalizePart, MarkPaid, Msat,
    ObservationKind, ObservePart, PartStatus, RetryPolicy, Settlement, Tick,
};

use crate::support::{
    Scenario, but, delegated, hash, htlc, id, live, part, pay, permanent, play, window,
};

fn one_part_out(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
}

#[test]
fn a_claim_after_the_payment_failed() {
    play(window(), |s| {
        one_part_out(s);
        s.fail_with("A", "p", permanent()).recorded();
        s.unread(&["A part p failed", "A failed RecipientRejected"]);
        s.claim("A", "p", "a").recorded();
        s.unread(&[
            "A part p failed",
            "A failed RecipientRejected superseded",
            "A sent 1000 fee 10 correction",
            "A anomaly: part p paid after all, in flight []",
        ]);
        s.status("p", PartStatus::Finalized);
        s.finalize("A", "p").no_change();
        s.claim("A", "p", "a").no_change();
        s.acknowledge_all();
        s.is("A", "Fulfilled");
        s.ticks(8);
        s.is("A", "unknown");
    });
}

#[test]
fn a_claim_of_a_withdrawn_part() {
    play(window(), |s| {
        one_part_out(s);
        s.withdraw("A", "p").recorded();
        s.dispatch("A", 2, [htlc("q", 1_000, 20)]).recorded();
        s.claim("A", "p", "a").recorded();
        s.unread(&[
            "A sent 2000 fee 30 correction",
            "A anomaly: part p paid after all, in flight [q]",
        ]);
        s.status("p", PartStatus::Claimed);
        s.finalize("A", "p").recorded();
        s.fail("A", "q").recorded();
        s.acknowledge_all();
        s.ticks(8);
        s.is("A", "unknown");
    });
}

#[test]
fn a_correction_when_it_is_paid_already_says_so_once() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 500, 1), htlc("q", 500, 1)]).recorded();
        s.fail("A", "p").recorded();
        s.claim("A", "q", "a").recorded();
        s.claim("A", "p", "a").recorded();
        s.claim("A", "p", "a").no_change();
        s.unread(&[
            "A part p failed",
            "A sent 500 fee 1",
            "A anomaly: part p paid after all, in flight []",
            "A settled 1000 fee 2 by a",
        ]);
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1000 fee 2");
    });
}

/// Facts of a retry in every order: the same status, statuses and sums.
#[test]
fn a_failure_and_a_claim_of_one_part_in_any_order() {
    let lossy = || Failure { lost: Some(Msat(5)), ..Failure::default() };
    let mut digests = Vec::new();
    for claim_first in [false, true] {
        live(window(), |s| {
            one_part_out(s);
            if claim_first {
                s.claim("A", "p", "a").recorded();
            }
            s.fail_with("A", "p", lossy()).recorded();
            if !claim_first {
                s.claim("A", "p", "a").recorded();
            }
            s.status("p", PartStatus::Finalized);
            let payment = s.state().payment(&id("A")).expect("it is there");
            assert!(payment.avoid().is_empty(), "what paid was no failure");
            digests.push((
                payment.status(),
                payment.settled(),
                payment.in_flight(),
                payment.lost(),
            ));
        });
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0].3, Msat(0), "a part that paid lost nothing");
}

#[test]
fn dust_lost_to_fees_is_summed() {
    play(window(), |s| {
        one_part_out(s);
        s.fail_with("A", "p", Failure { lost: Some(Msat(350)), ..Failure::default() }).recorded();
        assert_eq!(s.state().payment(&id("A")).map(payonce_core::Payment::lost), Some(Msat(350)));
    });
}

#[test]
fn facts_that_do_not_fit_are_refused() {
    live(window(), |s| {
        let unknown = || FactRefusal::UnknownPayment { id: id("A") };
        s.fail("A", "p").refused(unknown());
        s.finalize("A", "p").refused(unknown());
        s.withdraw("A", "p").refused(unknown());
        s.abandon("A").refused(payonce_core::FactRefusal::UnknownPayment { id: id("A") });
        one_part_out(s);
        s.send("B", pay("b", 1)).accepted();
        let not_here = || FactRefusal::UnknownPart { part: part("u") };
        s.fail("A", "u").refused(not_here());
        s.finalize("A", "u").refused(not_here());
        s.withdraw("A", "u").refused(not_here());
        let early = |status| FactRefusal::NotClaimed { part: part("p"), status };
        s.finalize("A", "p").refused(early(PartStatus::InFlight));
        s.fail("A", "p").recorded();
        s.finalize("A", "p").refused(early(PartStatus::Failed));
    });
}

#[test]
fn per_part_notifications_can_be_switched_off() {
    let mut silent = window();
    silent.notify_parts = false;
    play(silent, |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 500, 1), htlc("q", 500, 1)]).recorded();
        s.fail("A", "p").recorded();
        s.claim("A", "q", "a").recorded();
        s.run(FinalizePart { id: id("A"), part: part("q") }).recorded();
        s.unread(&["A sent 500 fee 1"]);
    });
}

fn word() -> Failure {
    let assertion = Assertion::new("ops", "channel lost");
    Failure { assertion: Some(assertion), ..Failure::default() }
}

#[test]
fn an_operators_word_on_an_htlc() {
    play(window(), |s| {
        s.send("A", but(pay("a", 1_000), |request| request.retry = RetryPolicy::Attempts(0)))
            .accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        let from = AssertionLimit::Height(800_144);
        let early = || FactRefusal::AssertedTooEarly { part: part("p"), from };
        s.fail_with("A", "p", word()).refused(early());
        s.run(Tick::at_height(800_143)).ticked();
        s.fail_with("A", "p", word()).refused(early());
        s.run(Tick::at_height(800_144)).ticked();
        s.run(Tick::at_height(800_100)).ticked();
        s.fail_with("A", "p", word()).recorded();
        s.unread(&["A part p failed on the word of ops", "A failed RetriesExhausted"]);
        s.fail_with("A", "p", word()).no_change();
        s.claim("A", "p", "a").recorded();
        s.is("A", "Fulfilled");
    });
}

#[test]
fn an_operators_word_on_a_delegated_part() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        let moment = s.now().plus(14 * 24 * 60 * 60 * 1_000);
        s.fail_with("A", "d", word()).refused(FactRefusal::AssertedTooEarly {
            part: part("d"),
            from: AssertionLimit::Moment(moment),
        });
        s.set_clock(moment);
        s.fail_with("A", "d", word()).recorded();
        s.unread(&["A part d failed on the word of ops"]);
    });
}

#[test]
fn an_operators_word_has_its_limits() {
    live(window(), |s| {
        one_part_out(s);
        let long = "x".repeat(513);
        let assertion = Assertion::new("ops", &long);
        let failure = Failure { assertion: Some(assertion), ..Failure::default() };
        s.run(FailPart { id: id("A"), part: part("p"), failure })
            .refused(FactRefusal::TooLong { bytes: 513, limit: 512 });
    });
}

#[test]
fn observations_are_kept_and_bounded() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        let kind = ObservationKind::PathSucceeded;
        let seen = |bytes: Vec<u8>| ObservePart {
            id: id("A"),
            part: part("d"),
            kind,
            bytes: bytes.into(),
        };
        let (bytes, limit) = (513, 512);
        s.run(seen(vec![0; 513])).refused(FactRefusal::TooLong { bytes, limit });
        for n in 0..256_u16 {
            s.run(seen(n.to_be_bytes().into())).recorded();
        }
        s.run(seen(vec![0, 1])).no_change();
        let (id, limit) = (id("A"), 256);
        s.run(seen(vec![7; 512])).refused(FactRefusal::TooManyObservations { id, limit });
        s.is("A", "Pending");
        s.unread(&[]);
    });
}

fn told(hash_name: &str, settlement: Settlement) -> MarkPaid {
    let (part, payment_hash) = (Some(part("d")), Some(hash(hash_name)));
    let word = MarkPaid::new(id("A")).settlement(settlement);
    MarkPaid { part, payment_hash, ..word }
}

/// Paid, proof unknown: the claim fills in what is missing and is no second PaymentSent.
#[test]
fn a_later_claim_fills_the_proof_in() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.run(told("a", Settlement::default())).recorded();
        s.run(told("a", Settlement::default())).no_change();
        s.unread(&["A sent 1000 fee ?"]);
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by ? 1000 fee ?");
        s.claim_of("A", "d", "a", (1_000, 7)).recorded();
        s.claim_of("A", "d", "a", (1_000, 7)).no_change();
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a 1000 fee 7");
        s.unread(&["A sent 1000 fee ?", "A settled 1000 fee 7 by a"]);
    });
}

/// The hash that a word finds to be paid has its proof already: at the first telling, not at the second.
#[test]
fn a_word_for_a_part_that_nobody_knew_takes_the_earlier_proof() {
    play(window(), |s| {
        s.claim_of("B", "q", "a", (1_000, 7)).recorded();
        s.mark_paid("A", None).recorded();
        s.adopt("A", "x", "a", (1_000, 0)).recorded();
        let word = || MarkPaid::new(id("A")).part(part("p"));
        s.run(word()).recorded();
        s.run(word()).no_change();
        s.send("A", pay("a", 1_000)).duplicate("Fulfilled by a ? fee ? adopted");
    });
}

/// The hash that the node tells is blocked, whether it is the payment's or not.
#[test]
fn the_hash_of_a_payment_told_as_paid_is_blocked() {
    play(window(), |s| {
        s.send("A", crate::support::offer("o", 1_000, payonce_core::Deadline::Ticks(9))).accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.run(told("a", Settlement::default())).recorded();
        s.send("B", pay("a", 1_000)).hash_in_use("A");
    });
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.run(told("x", Settlement::default())).recorded();
        s.send("B", pay("x", 1_000)).hash_in_use("A");
    });
}
