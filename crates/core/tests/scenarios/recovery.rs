//! What an opening asks and what the node answers (scenarios 12, 15 to 19, 36, 37).

use payonce_core::{
    Answer, Dispatch, DispatchRefusal, Ledger, LedgerId, Msat, Opening, PartStatus, Pay,
    PayRefusal, Remember, RetryPolicy, ShortChannelId,
};

use crate::support::{
    Scenario, T0, adopted, but, forever, htlc, id, part, pay, play, routed_over, window,
};

fn one_part_out(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
}

#[test]
fn s12_maybe_sent() {
    play(window(), |s| {
        let request = but(pay("a", 1_000), |request| request.max_fee = Msat(10).into());
        s.send("A", request.clone()).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        for _ in 0..3 {
            s.crash();
            s.out(&["p"]);
            s.finish();
            s.out(&["p"]);
            s.ticks(10);
        }
        assert_eq!(s.remaining("A").amount, Msat(0));
        assert_eq!(s.remaining("A").fee_budget, Some(Msat(0)));
        s.dispatch("A", 2, [htlc("q", 1, 0)]).refused(DispatchRefusal::NothingMissing);
        s.send("A", request).duplicate("Pending missing 0");
        s.fail("A", "p").recorded();
        s.due(&["A"]);
    });
}

#[test]
fn s15_retries_survive_a_restart() {
    play(window(), |s| {
        let retry = RetryPolicy::Attempts(2);
        s.send(
            "A",
            but(pay("a", 1_000), |request| {
                request.max_fee = Msat(50).into();
                request.retry = retry;
            }),
        )
        .accepted();
        s.dispatch("A", 1, [htlc("p", 600, 5), htlc("q", 400, 3)]).recorded();
        s.fail_with("A", "p", routed_over(5)).recorded();
        let before = s.remaining("A");
        s.restart();
        assert_eq!(s.remaining("A"), before);
        assert_eq!((before.amount, before.fee_budget), (Msat(600), Some(Msat(47))));
        assert_eq!((before.avoid, before.attempt), (vec![ShortChannelId(5)], 2));
        s.due(&["A"]);
        s.dispatch("A", 2, [htlc("r", 600, 1)]).recorded();
        s.fail("A", "r").recorded();
        s.dispatch("A", 3, [htlc("t", 600, 1)]).recorded();
        s.fail("A", "t").recorded();
        s.is("A", "Abandoned(RetriesExhausted)");
    });
}

/// The runner crashes Pay's append both ways; this says what its caller then finds.
#[test]
fn s16_crash_around_an_append() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.is("A", "Pending");
        s.due(&["A"]);
        s.out(&[]);
        s.send("A", pay("a", 1_000)).duplicate("Pending missing 1000");
    });
}

fn dispatched_and_crashed(s: &mut Scenario) {
    let retry = RetryPolicy::Attempts(0);
    s.send("A", but(pay("a", 1_000), |request| request.retry = retry)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    s.crash();
    s.out(&["p"]);
}

#[test]
fn s17_never_sent() {
    play(window(), |s| {
        dispatched_and_crashed(s);
        s.withdraw("A", "p").recorded();
        s.finish();
        s.unread(&[]);
        assert_eq!((s.remaining("A").amount, s.remaining("A").attempt), (Msat(1_000), 2));
        s.due(&["A"]);
        s.dispatch("A", 2, [htlc("q", 1_000, 10)]).recorded();
    });
}

#[test]
fn s17_in_flight_or_no_answer() {
    play(window(), |s| {
        dispatched_and_crashed(s);
        s.finish();
        s.due(&[]);
        s.out(&["p"]);
        s.is("A", "Pending");
    });
}

type Stage = fn(&mut Scenario);

/// In every status of A: adopted, then claimed.
#[test]
fn s18_a_part_that_the_log_lacks_is_claimed() {
    let unknown = |_: &mut Scenario| {};
    let pending = |s: &mut Scenario| s.send("A", pay("a", 1_000)).accepted();
    let abandoned = |s: &mut Scenario| {
        one_part_out(s);
        s.abandon("A").recorded();
    };
    let failed = |s: &mut Scenario| {
        s.send("A", pay("a", 1_000)).accepted();
        s.abandon("A").recorded();
    };
    let paid = |s: &mut Scenario| {
        one_part_out(s);
        s.claim("A", "p", "a").recorded();
    };
    let stages: [(&str, Stage); 5] = [
        ("Abandoned(Adopted)", unknown),
        ("Pending", pending),
        ("Abandoned(UserAbandoned)", abandoned),
        ("Failed(UserAbandoned)", failed),
        ("Fulfilled", paid),
    ];
    for (status, stage) in stages {
        play(window(), |s| {
            stage(s);
            lost_an_entry(s);
            s.adopt("A", "u", "a", (1_000, 10)).recorded();
            s.finish();
            s.is("A", status);
            s.send("B", pay("a", 1_000)).refused(PayRefusal::Restored);
            s.claim("A", "u", "a").recorded();
            s.close_gap().recorded();
            s.is("A", "Fulfilled");
            let sent = s.state().outbox().filter(|at| is_sent(&at.kind)).count();
            assert_eq!(sent, 1, "one PaymentSent, whatever came before");
            s.status("u", PartStatus::Claimed);
        });
    }
}

fn is_sent(notice: &payonce_core::NotificationKind) -> bool {
    matches!(notice, payonce_core::NotificationKind::PaymentSent { .. })
}

/// The log lacks the last thing that the node did.
fn lost_an_entry(s: &mut Scenario) {
    let mark = s.mark();
    s.send("Z", pay("z", 1)).accepted();
    s.put_back_to(mark);
}

#[test]
fn s18_its_failure_is_told_again_because_it_was_superseded() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.abandon("A").recorded();
        s.unread(&["A failed UserAbandoned"]);
        lost_an_entry(s);
        s.adopt("A", "u", "a", (1_000, 10)).recorded();
        s.finish();
        s.close_gap().recorded();
        s.is("A", "Failed(UserAbandoned)");
        s.send("A", pay("a", 1_000)).duplicate("Failed(UserAbandoned) 1 out");
        s.unread(&["A failed UserAbandoned superseded"]);
        s.acknowledge_all();
        s.is("A", "Failed(UserAbandoned)");
        s.fail("A", "u").recorded();
        s.unread(&["A part u failed", "A failed UserAbandoned"]);
        s.acknowledge_all();
        s.is("A", "unknown");
    });
}

#[test]
fn s18_an_adopted_id_is_blocked() {
    play(window(), |s| {
        s.crash();
        s.adopt("A", "u", "a", (1_000, 10)).recorded();
        s.adopt("A", "u", "a", (1_000, 10)).no_change();
        s.finish();
        assert!(s.state().is_restored(), "the log turned out to lack a part");
        s.close_gap().recorded();
        s.send("A", pay("a", 700)).duplicate("Abandoned(Adopted) adopted");
        s.send("B", pay("a", 700)).hash_in_use("A");
        s.fail("A", "u").recorded();
        s.unread(&["A part u failed", "A failed Adopted"]);
    });
}

/// Told before the adoption or after it, a claim leaves the same.
#[test]
fn s18_claims_before_adoptions() {
    let before: fn(&mut Scenario) = |s| {
        s.claim("A", "u", "a").recorded();
        s.adopt("A", "u", "a", (1_000, 10)).recorded();
    };
    let after: fn(&mut Scenario) = |s| {
        s.adopt("A", "u", "a", (1_000, 10)).recorded();
        s.claim("A", "u", "a").recorded();
    };
    for known in [false, true] {
        for order in [before, after] {
            play(window(), |s| {
                if known {
                    s.send("A", pay("a", 1_000)).accepted();
                }
                s.crash();
                order(s);
                s.finish();
                s.is("A", "Fulfilled");
                s.status("u", PartStatus::Claimed);
                assert!(s.state().is_restored());
                s.close_gap().recorded();
                let adopted = if known { "" } else { " adopted" };
                s.send("A", pay("a", 1_000))
                    .duplicate(&format!("Fulfilled by a 1000 fee 10{adopted}"));
            });
        }
    }
}

#[test]
fn s19_crash_in_the_middle_of_a_claim() {
    for acknowledged in [false, true] {
        play(window(), |s| {
            one_part_out(s);
            s.claim("A", "p", "a").recorded();
            s.unread(&["A sent 1000 fee 10"]);
            if acknowledged {
                s.acknowledge_all();
            }
            s.crash();
            s.out(&["p"]);
            s.claim("A", "p", "a").no_change();
            s.finish();
            s.unread(if acknowledged { &[] } else { &["A sent 1000 fee 10"] });
            s.is("A", "Fulfilled");
        });
    }
}

fn paid_in_the_gap(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    let mark = s.mark();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    s.claim("A", "p", "a").recorded();
    s.finalize("A", "p").recorded();
    s.put_back_to(mark);
    s.finish();
}

#[test]
fn s36_restored_after_a_payment_completed_in_the_gap() {
    for config in [window(), forever()] {
        play(config, |s| {
            paid_in_the_gap(s);
            s.due(&[]);
            s.dispatch("A", 1, [htlc("q", 1_000, 10)]).refused(DispatchRefusal::Restored);
            s.ticks(20);
            s.unread(&[]);
            s.is("A", "Pending");
            s.mark_paid("A", None).recorded();
            s.send("A", pay("a", 1_000)).duplicate("Fulfilled by ? ? fee ?");
            s.close_gap().recorded();
            s.send("A", pay("a", 1_000)).duplicate("Fulfilled by ? ? fee ?");
            s.unread(&["A sent ? fee ?"]);
        });
    }
}

#[test]
fn s36_nothing_fails_in_the_gap() {
    play(window(), |s| {
        let expiry = Some(s.now().plus(1_000));
        s.send("A", but(pay("a", 1_000), |request| request.expiry = expiry)).accepted();
        s.send("B", pay("b", 1_000)).accepted();
        let mark = s.mark();
        s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
        s.put_back_to(mark);
        s.finish();
        s.ticks(20);
        s.abandon("B").recorded();
        s.unread(&[]);
        s.is("B", "Abandoned(UserAbandoned)");
        s.restart();
        s.unread(&[]);
        s.close_gap().recorded();
        s.unread(&["B failed UserAbandoned"]);
        s.tick();
        s.unread(&["B failed UserAbandoned", "A failed PaymentExpired"]);
    });
}

#[test]
fn s37_an_adopted_part_under_another_id() {
    play(window(), |s| {
        s.send("B", pay("b", 1_000)).accepted();
        s.due(&["B"]);
        s.crash();
        s.adopt("X", "u", "b", (1_000, 10)).recorded();
        s.finish();
        s.close_gap().recorded();
        s.is("X", "unknown");
        s.due(&[]);
        s.out(&["u"]);
        s.claim("X", "u", "b").recorded();
        s.is("B", "Fulfilled");
        s.unread(&["B sent 1000 fee 10"]);
    });
}

#[test]
fn what_an_opening_lists() {
    play(window(), |s| {
        one_part_out(s);
        s.send("B", pay("b", 500)).accepted();
        s.dispatch("B", 1, [htlc("q", 250, 1), htlc("r", 250, 1)]).recorded();
        s.claim("B", "q", "b").recorded();
        s.fail("B", "r").recorded();
        s.crash();
        s.adopt("A", "u", "x", (9, 1)).recorded();
        let listed = s.state().unresolved();
        let told: Vec<_> = listed
            .iter()
            .map(|out| (out.part.id, out.part.status, out.another_writer, out.foreign))
            .collect();
        assert_eq!(told[0], (part("p"), PartStatus::InFlight, true, false));
        assert_eq!(told[1], (part("q"), PartStatus::Claimed, true, false));
        assert_eq!((told[2].0, told[2].1, told[2].3), (part("u"), PartStatus::InFlight, true));
        assert_eq!(told.len(), 3);
        s.finish();
    });
}

/// While recovering no payment becomes Failed, whatever is told; finishing draws the conclusions.
#[test]
fn verdicts_wait_for_the_end_of_recovery() {
    play(window(), |s| {
        s.send("A", but(pay("a", 1_000), |request| request.retry = RetryPolicy::Attempts(0)))
            .accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.send("B", pay("b", 1_000)).accepted();
        s.dispatch("B", 1, [htlc("q", 1_000, 1)]).recorded();
        s.abandon("B").recorded();
        s.crash();
        s.fail("A", "p").recorded();
        s.withdraw("B", "q").recorded();
        s.is("A", "Pending");
        s.is("B", "Abandoned(UserAbandoned)");
        s.unread(&["A part p failed"]);
        s.acknowledge_all();
        s.finish();
        s.unread(&["A failed RetriesExhausted", "B failed UserAbandoned"]);
    });
}

/// A failure that was read while recovering is forgotten at its end, not before.
#[test]
fn a_failure_read_while_recovering() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.abandon("A").recorded();
        s.crash();
        s.acknowledge("A failed UserAbandoned");
        s.is("A", "Failed(UserAbandoned)");
        s.finish();
        s.is("A", "unknown");
    });
}

#[test]
fn never_sent_ends_an_abandoned_payment() {
    play(window(), |s| {
        one_part_out(s);
        s.abandon("A").recorded();
        s.withdraw("A", "p").recorded();
        s.unread(&["A failed UserAbandoned"]);
    });
}

/// A start that lists many parts records one event for them all.
#[test]
fn what_is_listed_at_a_start_is_one_event() {
    let disk = payonce_store_memory::MemoryDisk::new(LedgerId::from_bytes([9; 32]));
    let opening = Opening::new(Remember::Window, 1);
    let open = || Ledger::open(disk.open(), &opening, T0).expect("the log is sound");
    let mut ledger = open().finish(T0).expect("nothing fails");
    let names: Vec<String> = (0..40).map(|n| format!("p{n}")).collect();
    for name in &names {
        ledger.execute(Pay::new(id(name), pay(name, 1_000)), T0).expect("accepted");
        let parts = vec![htlc(name, 1_000, 1)];
        ledger.execute(Dispatch { id: id(name), attempt: 1, parts }, T0).expect("recorded");
    }
    drop(ledger);
    let mut recovery = open();
    let before = recovery.head().seq;
    let listed = || names.iter().map(|name| Answer::Adopted(adopted(name, name, name)));
    let replies = recovery.answer(listed(), T0).expect("nothing fails");
    assert_eq!(replies.len(), names.len());
    assert!(replies.iter().all(|reply| reply.is_ok_and(|reply| !reply.changed)));
    assert_eq!(recovery.head().seq, before + 1);
    recovery.answer(listed(), T0).expect("nothing fails");
    assert_eq!(recovery.head().seq, before + 1, "listed once a recovery");
}
