//! What a reading of the rules by others found: holds that end, hashes that are paid while something is
//! out, words and listings that come late.

use payonce_core::{
    BlockHash, ClaimPart, Deadline, DispatchRefusal, ListParts, MarkPaid, NotificationId,
    PartStatus, RetryPolicy, SayAgain, Status,
};

use crate::support::{
    Scenario, but, delegated, forever, hash, htlc, id, live, offer, part, pay, permanent, preimage,
    window,
};

/// Two ticks are far enough apart to count; a paid payment is forgotten at the eighth.
const LONG: usize = 9;

/// The engine tells that the offer O was paid under the hash of this name.
fn pay_offer_with(s: &mut Scenario, name: &str) {
    let claim = ClaimPart::new(id("O"), part("d"), preimage(name));
    s.run(claim.payment_hash(hash(name))).recorded();
}

fn hand_over_offer(s: &mut Scenario) {
    s.send("O", offer("o", 1_000, Deadline::Ticks(100))).accepted();
    s.dispatch("O", 1, [delegated("d")]).recorded();
}

/// 5.4: a paid hash is known "no sooner [forgotten] than the last live payment that holds it is gone",
/// and whoever holds it never pays it again.
#[test]
fn an_offer_never_pays_an_invoice_that_was_paid_elsewhere_while_its_part_was_out() {
    live(window(), |s| {
        hand_over_offer(s);
        s.send("B", offer("b", 1_000, Deadline::Ticks(100))).accepted();
        s.invoice("B", "a", 1_000).recorded();
        s.dispatch("B", 1, [htlc("q", 1_000, 0)]).recorded();
        pay_offer_with(s, "a");
        s.finalize("O", "d").recorded();
        s.acknowledge_all();
        s.ticks(LONG);
        s.is("O", "unknown");
        s.fail("B", "q").recorded();
        s.is("B", "AwaitingInvoice");
        s.dispatch("B", 2, [htlc("r", 1_000, 0)])
            .refused(DispatchRefusal::NotOpen { id: id("B"), status: Status::AwaitingInvoice });
    });
}

/// The same, told during a recovery.
#[test]
fn an_offer_lets_an_invoice_go_that_a_recovery_tells_was_paid_elsewhere() {
    live(window(), |s| {
        hand_over_offer(s);
        s.send("B", offer("b", 1_000, Deadline::Ticks(100))).accepted();
        s.invoice("B", "a", 1_000).recorded();
        s.crash();
        pay_offer_with(s, "a");
        s.finish();
        s.is("B", "AwaitingInvoice");
    });
}

/// ... and it is not paid again once the payer is forgotten.
#[test]
fn an_offer_never_pays_an_invoice_that_a_recovery_told_was_paid_elsewhere() {
    live(window(), |s| {
        hand_over_offer(s);
        s.send("B", offer("b", 1_000, Deadline::Ticks(100))).accepted();
        s.invoice("B", "a", 1_000).recorded();
        s.crash();
        pay_offer_with(s, "a");
        s.finish();
        s.finalize("O", "d").recorded();
        s.acknowledge_all();
        s.ticks(LONG);
        s.is("O", "unknown");
        let outcome = s.dispatch("B", 1, [htlc("q", 1_000, 0)]);
        assert!(!outcome.is_answer(), "the paid invoice is paid again: {outcome:?}");
    });
}

/// Whoever holds a paid hash is given up, also when that is told while conclusions are withheld.
#[test]
fn who_holds_a_hash_that_a_recovery_tells_is_paid_is_given_up_when_it_finishes() {
    live(window(), |s| {
        hand_over_offer(s);
        s.send("A", pay("a", 1_000)).accepted();
        s.crash();
        pay_offer_with(s, "a");
        s.finish();
        s.is("A", "Failed(PaidElsewhere)");
    });
}

/// A fails under a, is tried anew under b, and its first part is listed as out again: a foreign part of A.
fn earlier_part_out(s: &mut Scenario) {
    let once = |name| but(pay(name, 1_000), |request| request.retry = RetryPolicy::Attempts(0));
    s.send("A", once("a")).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 0)]).recorded();
    s.fail("A", "p").recorded();
    let failed = s.notification("A failed RetriesExhausted");
    s.send_again("A", once("b"), failed).accepted();
    s.adopt("A", "p", "a", (1_000, 0)).recorded();
    s.due(&[]);
}

/// 5.7: a gap that is found takes back every *never sent* told since this opening of a part dispatched
/// under an earlier epoch, whatever keeps it; in both orders.
#[test]
fn a_gap_takes_back_the_never_sent_of_a_part_that_stands_beside_its_payment() {
    live(forever(), |s| {
        earlier_part_out(s);
        s.crash();
        // It was listed: no later word makes it never sent, gap or not.
        s.withdraw("A", "p").no_change();
        // The log lacks this one.
        s.adopt("C", "u", "c", (5, 0)).recorded();
        s.status("p", PartStatus::InFlight);
        s.finish();
        s.close_gap().recorded();
        s.due(&[]);
    });
}

/// 5.4: a hash that is paid is over for everybody: a hand-over under it is not said again, or the
/// engine may pay an invoice that is settled.
#[test]
fn a_hand_over_of_a_hash_that_is_paid_elsewhere_is_not_said_again() {
    live(window(), |s| {
        hand_over_offer(s);
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [delegated("e")]).recorded();
        pay_offer_with(s, "a");
        s.is("A", "Abandoned(PaidElsewhere)");
        let outcome = s.run(SayAgain { id: id("A"), part: part("e") });
        assert!(!outcome.is_answer(), "said again: {outcome:?}");
    });
}

/// A fails under a, is read, and only its tombstone is left.
fn buried(s: &mut Scenario) -> NotificationId {
    s.send("A", pay("a", 1_000)).accepted();
    s.abandon("A").recorded();
    let failed = s.notification("A failed UserAbandoned");
    s.acknowledge_all();
    s.is("A", "remembered Failed(UserAbandoned)");
    failed
}

/// 5.2, 5.4: a hash that is blocked, or out as a foreign part's, forbids `again_after` for every payment with
/// that hash, remembered ones included.
#[test]
fn a_remembered_payment_whose_hash_is_blocked_is_not_tried_anew() {
    live(forever(), |s| {
        let failed = buried(s);
        s.run(BlockHash::new(hash("a"))).recorded();
        let outcome = s.send_again("A", pay("b", 1_000), failed);
        assert!(!outcome.is_answer(), "tried anew: {outcome:?}");
    });
}

#[test]
fn a_remembered_payment_whose_hash_is_out_as_a_strays_is_not_tried_anew() {
    live(forever(), |s| {
        let failed = buried(s);
        s.send("B", pay("c", 1_000)).accepted();
        s.crash();
        s.adopt("B", "x", "a", (1_000, 0)).recorded();
        s.finish();
        s.close_gap().recorded();
        let outcome = s.send_again("A", pay("b", 1_000), failed);
        assert!(!outcome.is_answer(), "tried anew: {outcome:?}");
    });
}

/// 5.3, 7: the number of batches recorded in this try, withdrawn ones included: an attempt given back
/// counts only for rule 6.
#[test]
fn a_withdrawn_batch_uses_up_its_number() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 0)]).recorded();
        s.withdraw("A", "p").recorded();
        let stale = DispatchRefusal::StaleAttempt { stated: 1, expected: 2 };
        s.dispatch("A", 1, [htlc("q", 1_000, 0)]).refused(stale);
        assert_eq!(s.remaining("A").attempt, 2);
    });
}

/// 5.3, 6: a part of an earlier try is no batch of this one.
#[test]
fn a_part_of_an_earlier_try_is_no_attempt_of_this_one() {
    live(forever(), |s| {
        let once = but(pay("a", 1_000), |request| request.retry = RetryPolicy::Attempts(0));
        s.send("A", once.clone()).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 0)]).recorded();
        s.fail("A", "p").recorded();
        let failed = s.notification("A failed RetriesExhausted");
        s.send_again("A", once, failed).accepted();
        s.adopt("A", "p", "a", (1_000, 0)).recorded();
        s.fail("A", "p").recorded();
        s.is("A", "Pending");
        s.due(&["A"]);
    });
}

/// The same set of facts gives the same: a word that brings a hash makes it known as paid, whether or
/// not its payment was paid already.
#[test]
fn a_later_word_makes_its_hash_known_as_paid() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.mark_paid("A", None).recorded();
        let _ = s.run(MarkPaid::new(id("A")).payment_hash(hash("b")));
        let outcome = s.send("C", pay("b", 1_000));
        assert!(!outcome.is_answer(), "a hash that is paid is accepted: {outcome:?}");
    });
}

#[test]
fn a_word_about_a_remembered_payment_makes_its_hash_known_as_paid() {
    live(forever(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.mark_paid("A", None).recorded();
        s.acknowledge_all();
        s.ticks(LONG);
        s.is("A", "remembered Fulfilled");
        let _ = s.run(MarkPaid::new(id("A")).payment_hash(hash("b")));
        let outcome = s.send("C", pay("b", 1_000));
        assert!(!outcome.is_answer(), "a hash that is paid is accepted: {outcome:?}");
    });
}

/// 5.4: the part decides. *Gone* is a fact about a part, not a word about an id.
#[test]
fn a_part_of_an_earlier_try_that_is_gone_pays_its_payment_alone() {
    live(forever(), |s| {
        earlier_part_failed(s);
        s.crash();
        s.finalize("X", "p").recorded();
        s.finish();
        s.is("A", "Fulfilled");
        s.is("X", "unknown");
    });
}

fn earlier_part_failed(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 0)]).recorded();
    s.abandon("A").recorded();
    s.fail("A", "p").recorded();
    let failed = s.notification("A failed UserAbandoned");
    s.send_again("A", pay("b", 1_000), failed).accepted();
}

/// A part of B's that is out under A's hash: a foreign part of B. The log lacked it.
fn strays_under_anothers_hash(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.send("B", pay("b", 1_000)).accepted();
    s.crash();
    s.adopt("B", "x", "a", (1_000, 0)).recorded();
    s.finish();
    s.close_gap().recorded();
}

/// 5.7: *gone* of a part whose claim the log lacks is *paid, proof unknown*: a foreign part pays whoever asked
/// for its hash, with or without a proof, in both orders.
#[test]
fn a_stray_that_is_gone_pays_whom_its_claim_would_pay() {
    live(window(), |s| {
        strays_under_anothers_hash(s);
        s.crash();
        s.finalize("B", "x").recorded();
        s.finish();
        s.is("A", "Fulfilled");
        s.is("B", "Pending");
    });
}

/// 5.4: a word that names a part makes the part's own hash known as paid, and whoever holds that is given
/// up or paid: it would pay a settled invoice.
#[test]
fn a_word_about_a_stray_is_a_word_about_its_hash() {
    live(window(), |s| {
        strays_under_anothers_hash(s);
        s.mark_paid("B", Some("x")).recorded();
        s.is("B", "Fulfilled");
        assert!(s.state().payment(&id("A")).is_some_and(|a| a.status() != Status::Pending));
    });
}

/// 5.4: the payment of a foreign part's id is paid "if the ledger remembers Forever", unless another's own
/// *request* names its hash: a payment that was made up from facts has none.
#[test]
fn a_claim_pays_the_payment_under_which_it_is_told_and_not_one_without_a_request() {
    live(forever(), |s| {
        s.send("A", pay("b", 1_000)).accepted();
        s.crash();
        s.adopt("X", "y", "a", (1_000, 0)).recorded();
        // Of a first try of A that the log lacks.
        s.claim("A", "p", "a").recorded();
        s.finish();
        s.close_gap().recorded();
        s.is("A", "Fulfilled");
    });
}

/// The same where the ledger forgets: nothing leaves for A until somebody says whose it was.
#[test]
fn a_claim_holds_the_payment_under_which_it_is_told_whoever_else_has_no_request_for_it() {
    live(window(), |s| {
        s.send("A", pay("b", 1_000)).accepted();
        s.crash();
        s.claim("X", "y", "a").recorded();
        s.claim("A", "p", "a").recorded();
        s.finish();
        s.due(&[]);
    });
}

/// 5.7: in one recovery the stronger fact about a part stands, in any order: also where the parts that
/// are out are listed many at once.
#[test]
fn a_listing_stands_against_a_never_sent_that_was_told_before_it() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 0)]).recorded();
        s.crash();
        s.withdraw("A", "p").recorded();
        let _ = s.run(ListParts { parts: vec![part("p")] });
        s.finish();
        s.status("p", PartStatus::InFlight);
        s.due(&[]);
    });
}

#[test]
fn a_listing_stands_against_a_failure_that_was_told_before_it() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 0)]).recorded();
        s.crash();
        s.fail("A", "p").recorded();
        let _ = s.run(ListParts { parts: vec![part("p")] });
        s.finish();
        s.status("p", PartStatus::InFlight);
        s.due(&[]);
    });
}

/// 5.4: whoever holds a hash that becomes paid is given up at once; an offer lets that hash go.
#[test]
fn an_offer_lets_its_invoice_go_when_that_is_paid_elsewhere() {
    live(window(), |s| {
        hand_over_offer(s);
        s.send("B", offer("b", 1_000, Deadline::Ticks(100))).accepted();
        s.invoice("B", "a", 1_000).recorded();
        pay_offer_with(s, "a");
        s.is("B", "AwaitingInvoice");
    });
}

/// ... and never pays it, however long ago the payer was forgotten.
#[test]
fn an_offer_never_pays_an_invoice_that_was_paid_elsewhere() {
    live(window(), |s| {
        hand_over_offer(s);
        s.send("B", offer("b", 1_000, Deadline::Ticks(100))).accepted();
        s.invoice("B", "a", 1_000).recorded();
        pay_offer_with(s, "a");
        s.finalize("O", "d").recorded();
        s.acknowledge_all();
        s.ticks(LONG);
        s.is("O", "unknown");
        let outcome = s.dispatch("B", 1, [htlc("q", 1_000, 0)]);
        assert!(!outcome.is_answer(), "the paid invoice is paid again: {outcome:?}");
    });
}

/// A claimed foreign part that awaits a word holds its payment, also once it is off its channel. What is
/// decided here does not fit: the log would not open any more.
#[test]
fn a_claimed_stray_that_leaves_its_channel_still_awaits_a_word() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.claim("A", "x", "z").recorded();
        s.abandon("A").recorded();
        s.fail("A", "x").recorded();
        s.is("A", "Abandoned(UserAbandoned)");
    });
}

/// A part under a blocked hash fails: with it the payment holds that hash no more, and ends.
#[test]
fn a_payment_is_not_held_by_the_hash_of_a_part_that_has_just_failed() {
    live(window(), |s| {
        s.send("A", offer("o", 1_000, Deadline::Ticks(100))).accepted();
        s.crash();
        s.adopt("A", "p", "x", (1_000, 0)).recorded();
        s.run(BlockHash::new(hash("x"))).recorded();
        s.finish();
        s.close_gap().recorded();
        s.fail_with("A", "p", permanent()).recorded();
        s.is("A", "Failed(RecipientRejected)");
    });
}

/// The same of a paid one, which becomes idle and is forgotten.
#[test]
fn a_paid_payment_becomes_quiet_when_its_last_part_fails_under_a_blocked_hash() {
    live(window(), |s| {
        s.send("A", offer("o", 1_000, Deadline::Ticks(100))).accepted();
        s.mark_paid("A", None).recorded();
        s.crash();
        s.adopt("A", "p", "x", (1_000, 0)).recorded();
        s.run(BlockHash::new(hash("x"))).recorded();
        s.finish();
        s.close_gap().recorded();
        s.acknowledge_all();
        s.fail("A", "p").recorded();
        s.acknowledge_all();
        s.ticks(LONG);
        s.is("A", "unknown");
    });
}

/// 5.4: anything out forbids forgetting. A disowned foreign part is on its channel until it is finalized.
#[test]
fn a_disowned_stray_is_kept_while_it_is_on_its_channel() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 0)]).recorded();
        s.claim("A", "p", "a").recorded();
        s.finalize("A", "p").recorded();
        s.claim("A", "x", "z").recorded();
        s.disown("x").recorded();
        s.acknowledge_all();
        // Something for which ticks count.
        s.send("T", offer("t", 1_000, Deadline::Ticks(100))).accepted();
        s.ticks(2 * LONG);
        s.out(&["x"]);
        s.finalize("A", "x").recorded();
        s.ticks(LONG);
        s.is("A", "unknown");
    });
}

/// A remembered payment that a word brings back is forgotten again like any other.
#[test]
fn a_remembered_payment_that_a_word_brings_back_becomes_quiet() {
    live(forever(), |s| {
        s.mark_paid("A", None).recorded();
        s.acknowledge_all();
        s.ticks(LONG);
        s.is("A", "remembered Fulfilled");
        s.run(MarkPaid::new(id("A")).payment_hash(hash("a"))).recorded();
        s.acknowledge_all();
        s.ticks(LONG);
        s.is("A", "remembered Fulfilled");
    });
}

/// 5.7: a part that is off its channel at a start is told once, also where nobody knew it.
#[test]
fn a_part_gone_at_a_start_that_nobody_knew_is_told_once() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.crash();
        s.finalize("A", "p").recorded();
        s.status("p", PartStatus::Finalized);
        s.finalize("A", "p").no_change();
    });
}
