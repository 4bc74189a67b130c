//! What was told is what was spent, once everything is known (SEMANTICS 5).

use payonce_core::{
    FactRefusal, Failure, Label, MarkPaid, MaxFee, Msat, NewPart, RetryPolicy, SayAgain, Settlement,
};

use crate::support::{but, delegated, htlc, id, live, offer, part, pay, play, window};

#[test]
fn s44_what_was_told_is_what_was_spent() {
    play(window(), |s| {
        s.send("A", but(pay("a", 3_000), |request| request.retry = RetryPolicy::Attempts(0)))
            .accepted();
        let parts = [htlc("p", 1_000, 10), htlc("q", 1_000, 20), htlc("r", 1_000, 30)];
        s.dispatch("A", 1, parts).recorded();
        s.claim("A", "p", "a").recorded();
        s.unread(&["A sent 3000 fee 60"]);
        s.fail("A", "q").recorded();
        s.unread(&["A sent 3000 fee 60"]);
        s.fail("A", "r").recorded();
        s.unread(&["A sent 3000 fee 60", "A settled 1000 fee 10 by a"]);
        s.finalize("A", "p").recorded();
        s.acknowledge_all();
        s.ticks(8);
        s.is("A", "unknown");
    });
}

#[test]
fn s44_a_late_proof_is_told() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.mark_paid("A", Some("p")).recorded();
        s.finalize("A", "p").recorded();
        s.acknowledge_all();
        s.claim("A", "p", "a").recorded();
        s.unread(&["A settled 1000 fee 1 by a"]);
    });
}

/// An engine that was restarted may know of one path alone: the payment was for the whole amount.
#[test]
fn an_engine_that_reports_less_leaves_the_amount() {
    play(window(), |s| {
        s.send("A", but(pay("a", 1_000_000), |request| request.max_fee = MaxFee::AtMost(Msat(50))))
            .accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.claim_of("A", "d", "a", (400_000, 7)).recorded();
        s.unread(&["A sent 1000000 fee ?"]);
    });
    // Of an offer whose invoice the ledger does not know only the engine knows.
    play(window(), |s| {
        s.send("O", offer("o", 1_000_000, payonce_core::Deadline::Ticks(9))).accepted();
        s.dispatch("O", 1, [delegated("d")]).recorded();
        s.claim_of("O", "d", "a", (400_000, 7)).recorded();
        s.unread(&["O sent 400000 fee 7"]);
    });
}

#[test]
fn an_engine_that_spends_more_than_it_was_allowed_is_told() {
    play(window(), |s| {
        s.send("A", but(pay("a", 1_000), |request| request.max_fee = MaxFee::AtMost(Msat(50))))
            .accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.claim_of("A", "d", "a", (1_200, 51)).recorded();
        s.unread(&["A sent 1200 fee 51", "A anomaly: part d spent more: 1200 fee 51"]);
    });
}

#[test]
fn the_reason_outlives_the_notification() {
    play(window(), |s| {
        s.send("A", but(pay("a", 1_000), |request| request.retry = RetryPolicy::Attempts(0)))
            .accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.fail_with("A", "p", Failure { code: Some(0x1007), ..Failure::default() }).recorded();
        s.acknowledge("A part p failed");
        let payment = s.state().payment(&id("A")).expect("its failure is unread");
        let failure = payment.part(&part("p")).and_then(payonce_core::Part::failure);
        assert_eq!(failure.and_then(|failure| failure.code), Some(0x1007));
    });
}

fn handed_over(name: &str, mark: u64) -> NewPart {
    let label = Label { engine: b"lnd".into(), mark: Some(mark) };
    NewPart::Delegated { id: part(name), label: Some(label) }
}

fn ended(mark: u64) -> Failure {
    Failure { mark: Some(mark), ..Failure::default() }
}

#[test]
fn s45_a_stale_end() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [handed_over("d", 0)]).recorded();
        s.fail_with("A", "d", ended(1)).recorded();
        s.dispatch("A", 2, [handed_over("e", 1)]).recorded();
        s.crash();
        let stale = |told| FactRefusal::StaleEnd { part: part("e"), seen: 1, told };
        s.fail_with("A", "e", ended(1)).refused(stale(Some(1)));
        s.fail("A", "e").refused(stale(None));
        s.finish();
        s.out(&["e"]);
        s.due(&[]);
        s.fail_with("A", "e", ended(2)).recorded();
        s.due(&["A"]);
    });
}

#[test]
fn s48_a_saying_that_arrives_late() {
    // A repeat is another saying: it cannot be known whether the first one went out.
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [handed_over("d", 0)]).recorded();
        s.restart();
        s.run(SayAgain { id: id("A"), part: part("d") }).recorded();
        let waits = FactRefusal::SayingsOut { part: part("d"), said: 2, over: 1 };
        s.fail_with("A", "d", ended(1)).refused(waits);
        s.out(&["d"]);
        s.fail_with("A", "d", Failure { sayings: 2, ..ended(1) }).recorded();
        s.out(&[]);
    });
}

#[test]
fn an_operators_word_that_it_is_paid_has_a_name() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        let word = payonce_core::Assertion::new("ops", "the payee says so");
        let settlement = Settlement { amount: Some(Msat(1_000)), fee: None };
        s.run(MarkPaid::new(id("A")).settlement(settlement).asserted(word.clone())).recorded();
        s.unread(&["A sent 1000 fee ?"]);
        let payment = s.state().payment(&id("A")).expect("it is live");
        assert_eq!(payment.paid_asserted(), Some(&word));
        // It makes no payment that nobody asked for.
        s.run(MarkPaid::new(id("Z")).asserted(word.clone()))
            .refused(FactRefusal::UnknownPayment { id: id("Z") });
    });
}
