//! Dispatch: what is checked, and in which order (SEMANTICS 3).

use payonce_core::{
    AdoptPart, BlockHash, Deadline, Dispatch, DispatchRefusal as Refusal, FactRefusal,
    FailureReason, HashHolder, Msat, NewPart, PartKind, PartStatus, RetryPolicy, ShortChannelId,
    Status,
};

use crate::support::{
    but, delegated, forever, hash, htlc, id, live, offer, part, pay, play, seconds, window,
};

/// What may be wrong with a batch, in the documented order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    PartKnown,
    NotOpen,
    HashInUse,
    Expired,
    UsedUp,
    Stale,
    NothingMissing,
    Overpays,
    Fees,
    TooMany,
}

const WRONGS: [Wrong; 10] = [
    Wrong::PartKnown,
    Wrong::NotOpen,
    Wrong::HashInUse,
    Wrong::Expired,
    Wrong::UsedUp,
    Wrong::Stale,
    Wrong::NothingMissing,
    Wrong::Overpays,
    Wrong::Fees,
    Wrong::TooMany,
];

/// Every combination of wrongs: the first in the documented order wins.
#[test]
fn dispatch_is_checked_in_order() {
    for case in 0..1_u16 << WRONGS.len() {
        dispatch_with(|wrong| case & 1 << wrong as u16 != 0);
    }
}

fn dispatch_with(is: impl Fn(Wrong) -> bool) {
    live(window(), |s| {
        let expiry = s.now().plus(seconds(10));
        let retry = RetryPolicy::Attempts(u32::from(!is(Wrong::UsedUp)));
        let max_fee = Msat(100).into();
        s.send(
            "A",
            but(pay("a", 1_000), |request| {
                request.expiry = Some(expiry);
                request.retry = retry;
                request.max_fee = max_fee;
            }),
        )
        .accepted();
        let first = if is(Wrong::NothingMissing) { 1_000 } else { 600 };
        s.dispatch("A", 1, [htlc("p", first, 10)]).recorded();
        if is(Wrong::NotOpen) {
            s.abandon("A").recorded();
        }
        if is(Wrong::HashInUse) {
            s.run(BlockHash::new(hash("a"))).recorded();
        }
        if is(Wrong::Expired) {
            s.pass(seconds(10));
        }
        let (parts, added, fees) = batch(&is);
        let attempt = if is(Wrong::Stale) { 1 } else { 2 };
        let (now, count) = (s.now(), parts.len());
        let outcome = s.run(Dispatch { id: id("A"), attempt, parts });
        let Some(wrong) = WRONGS.into_iter().find(|wrong| is(*wrong)) else {
            return outcome.recorded();
        };
        let reason = FailureReason::UserAbandoned;
        outcome.refused(match wrong {
            Wrong::PartKnown => Refusal::PartInUse { part: part("p") },
            Wrong::NotOpen => {
                Refusal::NotOpen { id: id("A"), status: Status::Abandoned { reason } }
            }
            Wrong::HashInUse => Refusal::HashInUse { other: HashHolder::Blocked },
            Wrong::Expired => Refusal::Expired { expiry, now },
            Wrong::UsedUp => Refusal::AttemptsUsedUp { attempts: 1, retries: 0 },
            Wrong::Stale => Refusal::StaleAttempt { stated: 1, expected: 2 },
            Wrong::NothingMissing => Refusal::NothingMissing,
            Wrong::Overpays => Refusal::Overpays {
                in_flight: Msat(first),
                added: Msat(added),
                amount: Msat(1_000),
                limit: Msat(1_100),
            },
            Wrong::Fees => {
                Refusal::FeesTooHigh { in_flight: Msat(10), added: Msat(fees), limit: Msat(100) }
            }
            Wrong::TooMany => Refusal::TooManyParts { known: 0, added: count, limit: 256 },
        });
    });
}

/// The parts, their sum and their fees.
fn batch(is: &impl Fn(Wrong) -> bool) -> (Vec<NewPart>, u64, u64) {
    let count = if is(Wrong::TooMany) { 257 } else { 2 };
    let amount = if is(Wrong::Overpays) { 501 } else { 1 };
    let fee = if is(Wrong::Fees) { 91 } else { 0 };
    let mut parts: Vec<_> = (0..count).map(|n| htlc(&format!("q{n}"), 1, 0)).collect();
    parts[1] = htlc(if is(Wrong::PartKnown) { "p" } else { "q1" }, amount, fee);
    (parts, amount + count - 1, fee)
}

#[test]
fn before_all_that_come_the_payment_and_the_batch() {
    live(window(), |s| {
        s.dispatch("A", 1, []).refused(Refusal::UnknownPayment { id: id("A") });
        s.send("A", pay("a", 1_000)).accepted();
        s.send("B", pay("b", 1_000)).accepted();
        s.dispatch("A", 1, []).refused(Refusal::EmptyBatch);
        s.dispatch("A", 1, [htlc("p", 1, 0), htlc("p", 2, 0)])
            .refused(Refusal::PartInUse { part: part("p") });
        s.dispatch("A", 1, [htlc("p", 500, 0), htlc("q", 500, 0)]).recorded();
        s.dispatch("B", 1, [htlc("p", 500, 0)]).refused(Refusal::PartInUse { part: part("p") });
        s.dispatch("A", 2, [htlc("p", 500, 0)]).refused(Refusal::PartInUse { part: part("p") });
        s.dispatch("A", 2, [htlc("p", 501, 0), htlc("q", 500, 0)])
            .refused(Refusal::PartInUse { part: part("p") });
        let fates = [("p", PartStatus::InFlight), ("q", PartStatus::InFlight)];
        s.dispatch("A", 9, [htlc("q", 500, 0), htlc("p", 500, 0)]).duplicate_batch(&fates);
        s.abandon("A").recorded();
        s.dispatch("A", 1, []).refused(Refusal::EmptyBatch);
        s.dispatch("A", 1, [htlc("p", 500, 0), htlc("q", 500, 0)]).duplicate_batch(&fates);
        s.claim("A", "p", "a").recorded();
        let fates = [("p", PartStatus::Claimed), ("q", PartStatus::InFlight)];
        s.dispatch("A", 1, [htlc("p", 500, 0), htlc("q", 500, 0)]).duplicate_batch(&fates);
    });
}

#[test]
fn what_is_not_a_part() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 0, 0)]).refused(Refusal::ZeroAmount { part: part("p") });
        let (amount, limit) = (Msat(u64::MAX), Msat::MAX);
        s.dispatch("A", 1, [htlc("p", u64::MAX, 0)])
            .refused(Refusal::AmountTooLarge { amount, limit });
        s.dispatch("A", 1, [htlc("p", 1, u64::MAX)])
            .refused(Refusal::AmountTooLarge { amount, limit });
        s.dispatch("A", 1, [htlc("p", 1, 0), delegated("d")])
            .refused(Refusal::DelegatedNotAlone { part: part("d") });
        let parts: Vec<_> = (0..256).map(|n| htlc(&format!("p{n}"), Msat::MAX.0, 0)).collect();
        let amount = Msat(1_000);
        let (in_flight, added, limit) = (Msat(0), Msat(u64::MAX), Msat(1_100));
        s.run(Dispatch { id: id("A"), attempt: 1, parts }).refused(Refusal::Overpays {
            in_flight,
            added,
            amount,
            limit,
        });
    });
}

#[test]
fn a_tombstone_admits_no_parts() {
    play(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.abandon("A").recorded();
        s.acknowledge_all();
        let status = Status::Failed { reason: FailureReason::UserAbandoned };
        s.dispatch("A", 1, [htlc("p", 1_000, 0)]).refused(Refusal::NotOpen { id: id("A"), status });
    });
}

#[test]
fn an_offer_without_its_invoice_takes_delegated_parts_only() {
    play(window(), |s| {
        s.send("A", offer("o", 1_000, Deadline::Ticks(9))).accepted();
        let status = Status::AwaitingInvoice;
        s.dispatch("A", 1, [htlc("p", 1_000, 0)]).refused(Refusal::NotOpen { id: id("A"), status });
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.dispatch("A", 2, [delegated("e")]).refused(Refusal::NothingMissing);
    });
}

/// It counts the whole missing amount and the whole remaining fee budget.
#[test]
fn a_delegated_part_counts_all_that_is_left() {
    play(window(), |s| {
        s.send("A", but(pay("a", 1_000), |request| request.max_fee = Msat(50).into())).accepted();
        s.dispatch("A", 1, [htlc("p", 400, 10)]).recorded();
        s.dispatch("A", 2, [delegated("d")]).recorded();
        let delegated = s.state().payment(&id("A")).and_then(|at| at.part(&part("d"))).cloned();
        let delegated = delegated.expect("it was recorded");
        assert_eq!((delegated.amount, delegated.fee), (Some(Msat(600)), Some(Msat(40))));
        assert_eq!(s.remaining("A").fee_budget, Some(Msat(0)));
        s.fail("A", "d").recorded();
        assert_eq!(s.remaining("A").fee_budget, Some(Msat(40)));
        s.due(&["A"]);
    });
}

/// No deadline acts while an engine has it in hand; afterwards it does.
#[test]
fn no_deadline_acts_while_a_delegated_part_is_unresolved() {
    play(window(), |s| {
        let expiry = Some(s.now().plus(seconds(10)));
        s.send("A", but(pay("a", 1_000), |request| request.expiry = expiry)).accepted();
        s.dispatch("A", 1, [htlc("p", 400, 10)]).recorded();
        s.dispatch("A", 2, [delegated("d")]).recorded();
        s.pass(seconds(20));
        s.fail("A", "p").recorded();
        s.is("A", "Pending");
        s.tick();
        s.is("A", "Pending");
        s.fail("A", "d").recorded();
        s.is("A", "Failed(PaymentExpired)");
    });
}

#[test]
fn a_batch_wholly_withdrawn_gives_its_attempt_back() {
    play(window(), |s| {
        s.send("A", but(pay("a", 1_000), |request| request.retry = RetryPolicy::Attempts(1)))
            .accepted();
        s.dispatch("A", 1, [htlc("p", 500, 1), htlc("q", 500, 1)]).recorded();
        s.withdraw("A", "p").recorded();
        assert_eq!(s.remaining("A").attempt, 2, "a part of it is out");
        s.withdraw("A", "q").recorded();
        s.withdraw("A", "q").no_change();
        assert_eq!(s.remaining("A").attempt, 2, "its number is used up all the same");
        s.unread(&[]);
        s.dispatch("A", 1, [htlc("p", 500, 1), htlc("q", 500, 1)])
            .duplicate_batch(&[("p", PartStatus::Withdrawn), ("q", PartStatus::Withdrawn)]);
        s.dispatch("A", 2, [htlc("r", 1_000, 1)]).recorded();
        s.fail("A", "r").recorded();
        s.dispatch("A", 3, [htlc("t", 1_000, 1)]).recorded();
        s.fail("A", "t").recorded();
        s.is("A", "Failed(RetriesExhausted)");
    });
}

#[test]
fn only_a_part_in_flight_was_never_sent() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 500, 1), htlc("q", 500, 1)]).recorded();
        s.fail("A", "p").recorded();
        s.withdraw("A", "p")
            .refused(FactRefusal::NotInFlight { part: part("p"), status: PartStatus::Failed });
        s.claim("A", "q", "a").recorded();
        s.withdraw("A", "q")
            .refused(FactRefusal::NotInFlight { part: part("q"), status: PartStatus::Claimed });
    });
}

/// A payment that is withdrawn when its time is over fails in the same entry.
#[test]
fn withdrawn_with_no_time_left_fails_at_once() {
    play(window(), |s| {
        let expiry = Some(s.now().plus(seconds(10)));
        s.send("A", but(pay("a", 1_000), |request| request.expiry = expiry)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.pass(seconds(10));
        s.withdraw("A", "p").recorded();
        s.unread(&["A failed PaymentExpired"]);
    });
}

#[test]
fn until_lets_the_first_batch_come_later() {
    play(window(), |s| {
        let retry = RetryPolicy::Until(seconds(60));
        let until = s.now().plus(seconds(60));
        s.send("A", but(pay("a", 1_000), |request| request.retry = retry)).accepted();
        s.pass(seconds(600));
        s.due(&["A"]);
        s.dispatch("A", 1, [htlc("p", 400, 1)]).recorded();
        s.due(&[]);
        let now = s.now();
        s.dispatch("A", 2, [htlc("q", 600, 1)]).refused(Refusal::RetryTimePast { until, now });
        s.withdraw("A", "p").recorded();
        s.due(&["A"]);
        s.tick();
        s.is("A", "Pending");
    });
}

#[test]
fn a_channel_is_avoided_once() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        for (attempt, name, channel) in [(1, "p", 5), (2, "q", 9), (3, "r", 5)] {
            s.dispatch("A", attempt, [htlc(name, 1_000, 1)]).recorded();
            s.fail_with("A", name, crate::support::routed_over(channel)).recorded();
        }
        assert_eq!(s.remaining("A").avoid, [ShortChannelId(5), ShortChannelId(9)]);
    });
}

#[test]
fn overdue_parts_are_found_by_their_height() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        assert_eq!(s.state().overdue(799_999).len(), 0);
        assert_eq!(s.state().overdue(800_000).len(), 1);
        s.claim("A", "p", "a").recorded();
        assert_eq!(s.state().overdue(800_001).len(), 1, "claimed is unresolved");
        s.finalize("A", "p").recorded();
        assert_eq!(s.state().overdue(u32::MAX).len(), 0);
    });
}

/// What is out may have cost more than was allowed, on a channel's word; then nothing more may be
/// spent, and a part without a fee is refused as well.
#[test]
fn fees_that_are_out_above_the_maximum_leave_no_room() {
    for added in [0, 1] {
        play(window(), |s| {
            s.send("A", but(pay("a", 1_000), |request| request.max_fee = Msat(50).into()))
                .accepted();
            s.crash();
            s.adopt("A", "u", "a", (600, 60)).recorded();
            s.finish();
            s.close_gap().recorded();
            let (in_flight, added) = (Msat(60), Msat(added));
            let refusal = Refusal::FeesTooHigh { in_flight, added, limit: Msat(50) };
            s.dispatch("A", 1, [htlc("q", 400, added.0)]).refused(refusal);
            s.dispatch("A", 1, [delegated("d")]).refused(Refusal::FeesTooHigh {
                in_flight,
                added: Msat::ZERO,
                limit: Msat(50),
            });
        });
    }
}

/// A part whose fee nobody knows may spend all that is allowed: beside it only a free part fits.
#[test]
fn an_unknown_fee_that_is_out_leaves_no_room() {
    play(window(), |s| {
        s.send("A", but(pay("a", 1_000), |request| request.max_fee = Msat(50).into())).accepted();
        s.crash();
        let kind = PartKind::Htlc { cltv_expiry: Some(900_000), first_channel: None };
        let (amount, fee) = (Some(Msat(600)), None);
        let (id, payment_hash) = (id("A"), hash("a"));
        s.run(AdoptPart { id, part: part("u"), payment_hash, amount, fee, kind }).recorded();
        s.finish();
        s.close_gap().recorded();
        let refusal = Refusal::FeesTooHigh { in_flight: Msat(50), added: Msat(1), limit: Msat(50) };
        s.dispatch("A", 1, [htlc("q", 400, 1)]).refused(refusal);
        s.dispatch("A", 1, [htlc("q", 400, 0)]).recorded();
    });
}
