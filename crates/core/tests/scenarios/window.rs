//! How long an id is blocked, and what a repeat is told (scenarios 1, 2, 4, 20).

use payonce_core::{Msat, PayRefusal, Request, RequestField};

use crate::support::{Scenario, but, forever, htlc, id, pay, permanent, play, window};

fn r1() -> Request {
    pay("a", 1_000)
}

fn r2() -> Request {
    but(pay("a", 1_000), |request| request.max_fee = Msat(5).into())
}

fn conflict() -> PayRefusal {
    PayRefusal::Conflict { id: id("A"), field: RequestField::MaxFee }
}

fn paid_and_idle(s: &mut Scenario) {
    s.send("A", r1()).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    s.send("A", r1()).duplicate("Pending missing 0");
    s.send("A", r2()).refused(conflict());
    s.claim("A", "p", "a").recorded();
    s.finalize("A", "p").recorded();
    s.unread(&["A sent 1000 fee 10", "A part p succeeded"]);
    s.ticks(20);
    s.send("A", r1()).duplicate("Fulfilled by a 1000 fee 10");
    s.acknowledge("A sent 1000 fee 10");
    s.acknowledge("A part p succeeded");
    s.unread(&[]);
    s.send("A", r1()).duplicate("Fulfilled by a 1000 fee 10");
    s.ticks(7);
    s.send("A", r2()).refused(conflict());
    s.tick();
}

#[test]
fn s01_the_window() {
    play(window(), |s| {
        paid_and_idle(s);
        s.is("A", "unknown");
        s.send("A", r2()).accepted();
    });
}

#[test]
fn s01_remembered_forever() {
    play(forever(), |s| {
        paid_and_idle(s);
        s.is("A", "remembered Fulfilled");
        s.send("A", r2()).refused(conflict());
        s.send("A", r1()).duplicate("Fulfilled by a 1000 fee 10 remembered");
    });
}

fn failed_after_a_hundred_ticks(s: &mut Scenario) {
    s.send("A", r1()).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    let log = s.log().len();
    s.ticks(100);
    s.unread(&[]);
    assert!(s.log().len() <= log + 200 * 2, "ticks alone record nothing");
    s.send("A", r1()).duplicate("Pending missing 0");
    s.fail_with("A", "p", permanent()).recorded();
    s.unread(&["A part p failed", "A failed RecipientRejected"]);
    s.send("A", r1()).duplicate("Failed(RecipientRejected)");
}

#[test]
fn s02_ticks_never_free_an_unresolved_payment() {
    play(window(), |s| {
        failed_after_a_hundred_ticks(s);
        s.acknowledge_all();
        s.is("A", "unknown");
        s.send("A", r2()).accepted();
    });
}

#[test]
fn s02_a_remembered_failure_is_followed_by_name() {
    play(forever(), |s| {
        failed_after_a_hundred_ticks(s);
        let failure = s.notification("A failed RecipientRejected");
        s.acknowledge_all();
        s.is("A", "remembered Failed(RecipientRejected)");
        s.send("A", r1()).duplicate("Failed(RecipientRejected) remembered");
        s.send_again("A", r1(), failure).accepted();
        s.is("A", "Pending");
    });
}

#[test]
fn s04_abandon_with_nothing_out() {
    play(window(), |s| {
        s.send("A", r1()).accepted();
        s.abandon("A").recorded();
        s.unread(&["A failed UserAbandoned"]);
        s.abandon("A").no_change();
        s.unread(&["A failed UserAbandoned"]);
    });
}

#[test]
fn s20_replay_does_not_repeat_effects() {
    play(window(), |s| {
        s.send("A", r1()).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.claim("A", "p", "a").recorded();
        s.unread(&["A sent 1000 fee 10"]);
        s.acknowledge("A sent 1000 fee 10");
        for _ in 0..3 {
            s.restart();
            s.unread(&[]);
        }
        s.finalize("A", "p").recorded();
        s.unread(&["A part p succeeded"]);
    });
}

/// Not in the order in which they were made, also where a snapshot brought them back.
#[test]
fn payments_are_forgotten_in_the_order_in_which_they_became_quiet() {
    play(window(), |s| {
        for (name, part, secret) in [("A", "p", "a"), ("B", "q", "b")] {
            s.send(name, pay(secret, 1_000)).accepted();
            s.dispatch(name, 1, [htlc(part, 1_000, 10)]).recorded();
            s.claim(name, part, secret).recorded();
        }
        s.finalize("B", "q").recorded();
        s.acknowledge_all();
        s.ticks(3);
        s.finalize("A", "p").recorded();
        s.acknowledge_all();
        s.ticks(5);
        s.is("A", "Fulfilled");
        s.is("B", "unknown");
        s.ticks(3);
        s.is("A", "unknown");
    });
}
