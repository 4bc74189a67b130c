//! Attempts, budgets and limits (scenarios 9 to 11, 13, 14, 29).

use payonce_core::{DispatchRefusal, Msat, PartStatus, Request, RetryPolicy, ShortChannelId};

use crate::support::{but, htlc, pay, play, routed_over, seconds, window};

fn retrying(attempts: u32) -> Request {
    but(pay("a", 2_000), |request| request.retry = RetryPolicy::Attempts(attempts))
}

#[test]
fn s09_partial_retry_with_budget() {
    play(window(), |s| {
        let request = but(pay("a", 2_000_000), |request| request.max_fee = Msat(50_000).into());
        s.send("A", request).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000_000, 1_000), htlc("q", 1_000_000, 1_000)]).recorded();
        s.fail_with("A", "p", routed_over(77)).recorded();
        let missing = s.remaining("A");
        assert_eq!(missing.amount, Msat(1_000_000));
        assert_eq!(missing.fee_budget, Some(Msat(49_000)));
        assert_eq!(missing.avoid, [ShortChannelId(77)]);
        assert_eq!(missing.attempt, 2);
        s.due(&["A"]);
    });
}

#[test]
fn s10_batching() {
    play(window(), |s| {
        s.send("A", retrying(1)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1), htlc("q", 1_000, 1)]).recorded();
        s.fail("A", "p").recorded();
        s.fail("A", "q").recorded();
        s.unread(&["A part p failed", "A part q failed"]);
        assert_eq!((s.remaining("A").amount, s.remaining("A").attempt), (Msat(2_000), 2));
        s.dispatch("A", 2, [htlc("r", 2_000, 1)]).recorded();
        s.acknowledge_all();
        s.fail("A", "r").recorded();
        s.unread(&["A part r failed", "A failed RetriesExhausted"]);
    });
}

#[test]
fn s11_no_retries_at_all() {
    play(window(), |s| {
        s.send("A", retrying(0)).accepted();
        s.dispatch("A", 1, [htlc("p", 2_000, 1)]).recorded();
        s.fail("A", "p").recorded();
        s.unread(&["A part p failed", "A failed RetriesExhausted"]);
        s.due(&[]);
        s.out(&[]);
    });
}

#[test]
fn s13_overpay_and_fee_limits() {
    play(window(), |s| {
        let request = but(pay("a", 1_000), |request| request.max_fee = Msat(100).into());
        s.send("A", request).accepted();
        s.dispatch("A", 1, [htlc("p", 600, 40)]).recorded();
        s.restart();
        let log = s.log();
        let (in_flight, amount, limit) = (Msat(600), Msat(1_000), Msat(1_100));
        s.dispatch("A", 2, [htlc("q", 501, 1)]).refused(DispatchRefusal::Overpays {
            in_flight,
            added: Msat(501),
            amount,
            limit,
        });
        let (in_flight, added, limit) = (Msat(40), Msat(61), Msat(100));
        s.dispatch("A", 2, [htlc("q", 400, 61)]).refused(DispatchRefusal::FeesTooHigh {
            in_flight,
            added,
            limit,
        });
        assert_eq!(s.log()[..log.len()], log, "the log is unchanged byte for byte");
        s.dispatch("A", 2, [htlc("q", 500, 60)]).recorded();
        s.dispatch("A", 3, [htlc("r", 1, 0)]).refused(DispatchRefusal::NothingMissing);
    });
}

#[test]
fn s14_retry_deadline() {
    play(window(), |s| {
        let retry = RetryPolicy::Until(seconds(60));
        s.send("A", but(pay("a", 1_000), |request| request.retry = retry)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.pass(seconds(61));
        s.fail("A", "p").recorded();
        s.unread(&["A part p failed", "A failed RetriesExhausted"]);
    });
}

#[test]
fn s14_expiry_with_nothing_in_flight() {
    play(window(), |s| {
        let expiry = Some(s.now().plus(seconds(90)));
        s.send("A", but(pay("a", 1_000), |request| request.expiry = expiry)).accepted();
        s.tick();
        s.unread(&[]);
        s.pass(seconds(29));
        s.tick_now();
        s.unread(&[]);
        s.pass(seconds(1));
        s.due(&[]);
        s.tick_now();
        s.unread(&["A failed PaymentExpired"]);
    });
}

#[test]
fn s29_dispatch_repeated() {
    play(window(), |s| {
        s.send("A", retrying(0)).accepted();
        s.dispatch("A", 1, [htlc("p", 2_000, 1)]).recorded();
        s.dispatch("A", 1, [htlc("p", 2_000, 1)]).duplicate_batch(&[("p", PartStatus::InFlight)]);
        s.dispatch("A", 7, [htlc("p", 2_000, 1)]).duplicate_batch(&[("p", PartStatus::InFlight)]);
        s.fail("A", "p").recorded();
        s.is("A", "Failed(RetriesExhausted)");
        s.dispatch("A", 1, [htlc("p", 2_000, 1)]).duplicate_batch(&[("p", PartStatus::Failed)]);
    });
}

#[test]
fn s29_two_workers_with_one_attempt_number() {
    play(window(), |s| {
        s.send("A", retrying(5)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.dispatch("A", 1, [htlc("q", 1_000, 1)])
            .refused(DispatchRefusal::StaleAttempt { stated: 1, expected: 2 });
        s.dispatch("A", 2, [htlc("q", 1_000, 1)]).recorded();
    });
}
