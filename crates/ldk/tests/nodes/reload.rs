//! Restarts: with everything written, and with a manager that is older than its monitors.

use lightning::{
    ln::msgs::{ChannelMessageHandler as _, MessageSendEvent},
    types::payment::PaymentHash,
};
use payonce_core::{FailureReason, PartStatus, RetryPolicy, Status};
use payonce_ldk::{HandOver, Paying, Terms};

use crate::{
    net::{Loaded, Outcome},
    shop::{AMOUNT, Shop, id, three, two},
};

#[test]
fn a_success_that_comes_after_a_restart() {
    let mut shop = three();
    let (order, terms) = (shop.invoice(2), Terms::default());
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.net.pump();
    let part = shop.parts(1)[0].0;
    let report = shop.restart();
    assert_eq!(report.still_out, [part]);
    assert!(matches!(shop.pay(1, &order, &terms), Paying::Repeat { .. }));
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
}

#[test]
fn a_failure_that_comes_after_a_restart_is_followed_by_the_next_hand_over() {
    let mut shop = three();
    let (order, terms) = (shop.invoice(2), Terms::default().retry(RetryPolicy::Attempts(1)));
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.net.pump();
    let first = shop.parts(1)[0].0;
    shop.restart();
    // The channel to the payee is gone: a failure on the way, not the payee's.
    shop.net.disconnect(0, 1);
    shop.net.disconnect(1, 2);
    shop.net.connect_all();
    shop.net.default_outcome = Outcome::Fail;
    shop.settle();
    let failed = shop.payment_view(1);
    assert_eq!(failed.status, Status::Failed { reason: FailureReason::RecipientRejected });
    assert_eq!(shop.parts(1), [(first, PartStatus::Failed)]);
    let again = terms.clone().again_after(failed.failed.expect("it has failed"));
    shop.net.default_outcome = Outcome::Claim;
    assert!(matches!(shop.pay(1, &order, &again), Paying::Accepted { .. }));
    shop.settle();
    shop.assert_paid_once(1, &order, &again);
}

#[test]
fn retries_go_on_after_a_restart_with_the_same_budget() {
    let mut shop = two();
    let order = shop.invoice(1);
    let terms = Terms::default().retry(RetryPolicy::Attempts(2));
    shop.net.disconnect(0, 1);
    assert!(matches!(
        shop.pay(1, &order, &terms),
        Paying::Accepted { first: HandOver::Refused { .. } }
    ));
    shop.restart();
    shop.net.disconnect(0, 1);
    assert_eq!(shop.payer().drive(shop.now).expect("well"), [], "it rests for a second");
    shop.now = shop.now.plus(60_000);
    let driven = shop.payer().drive(shop.now).expect("well");
    assert!(matches!(driven[..], [(_, HandOver::Refused { .. })]));
    shop.restart();
    shop.now = shop.now.plus(60_000);
    let driven = shop.payer().drive(shop.now).expect("well");
    assert!(matches!(driven[..], [(_, HandOver::Refused { .. } | HandOver::Started { .. })]));
    shop.settle();
    assert_eq!(shop.parts(1).len(), 3, "one try and two retries");
    assert_eq!(shop.payer().drive(shop.now).expect("well"), []);
}

#[test]
fn a_hand_over_that_ldk_never_got_is_made_again_once() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default());
    let before = shop.net.image(0);
    // LDK took it, and nothing of that was written: the monitor is the one from before as well.
    shop.pay(1, &order, &terms);
    let lost = shop.parts(1)[0].0;
    let (loaded, report) = shop.reload(&before);
    assert_eq!((loaded, &report.never_sent[..]), (Loaded::Open, &[lost][..]));
    shop.net.connect_all();
    shop.net.pump();
    assert!(matches!(shop.pay(1, &order, &terms), Paying::Repeat { .. }), "a repeat sends nothing");
    shop.payer().drive(shop.now).expect("well");
    shop.settle();
    assert_eq!(shop.parts(1)[0], (lost, PartStatus::Withdrawn));
    shop.assert_paid_once(1, &order, &terms);
    assert_eq!(shop.net.claimed.len(), 1);
}

/// The manager is older than the hand-over, the monitors hold its HTLC: LDK closes the channel and
/// lists what the monitor knows.
fn out_with_an_older_manager(outcome: Outcome) -> (Shop, payonce_ldk::Order) {
    let mut shop = two();
    let order = shop.invoice(1);
    let older = shop.net.image(0).manager;
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &Terms::default());
    shop.net.pump();
    let part = shop.parts(1)[0].0;
    let image = crate::net::Image { manager: older, ..shop.net.image(0) };
    let (loaded, report) = shop.reload(&image);
    assert_eq!(loaded, Loaded::Closing);
    assert_eq!((report.still_out, report.never_sent), (vec![part], vec![]));
    assert!(matches!(shop.pay(1, &order, &Terms::default()), Paying::Repeat { .. }));
    shop.net.default_outcome = outcome;
    (shop, order)
}

fn mine_until_over(shop: &mut Shop) {
    for _ in 0..400 {
        shop.net.mine_blocks(1);
        shop.settle();
        if !shop.net.awaits_blocks() {
            return;
        }
    }
    panic!("the chain never decides");
}

#[test]
fn a_payment_that_an_older_manager_forgot_is_claimed_on_chain_once() {
    let (mut shop, order) = out_with_an_older_manager(Outcome::Claim);
    mine_until_over(&mut shop);
    let view = shop.payment_view(1);
    assert_eq!(view.status, Status::Fulfilled);
    assert_eq!(view.paid.and_then(|paid| paid.amount).map(|amount| amount.0), Some(AMOUNT));
    let Paying::Repeat { view: repeat, .. } = shop.pay(1, &order, &Terms::default()) else {
        panic!("paid twice");
    };
    assert_eq!(repeat, view);
    assert_eq!(shop.net.claimed.len(), 1);
    // And the same after another restart, long after.
    let report = shop.reload(&shop.net.image(0)).1;
    assert_eq!(report.never_sent, []);
    assert_eq!(shop.payment_view(1).paid, view.paid);
}

#[test]
fn a_payment_that_an_older_manager_forgot_times_out_on_chain() {
    let (mut shop, _) = out_with_an_older_manager(Outcome::Hold);
    mine_until_over(&mut shop);
    assert!(
        matches!(shop.payment_view(1).status, Status::Failed { .. }),
        "{:?}",
        shop.payment_view(1)
    );
    assert_eq!(shop.net.claimed.len(), 0);
}

#[test]
fn a_completed_payment_is_not_paid_again_by_an_older_manager() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default());
    let older = shop.net.image(0).manager;
    shop.pay(1, &order, &terms);
    shop.settle();
    assert_eq!(shop.payment_view(1).status, Status::Fulfilled);
    let paid = shop.payment_view(1).paid;
    // From before the payment; the monitors are the newest.
    let image = crate::net::Image { manager: older, ..shop.net.image(0) };
    let (loaded, report) = shop.reload(&image);
    assert_eq!(loaded, Loaded::Closing);
    assert_eq!(report.never_sent, []);
    shop.settle();
    assert_eq!(shop.payment_view(1).paid, paid);
    assert!(matches!(shop.pay(1, &order, &terms), Paying::Repeat { .. }));
    mine_until_over(&mut shop);
    assert_eq!(shop.payment_view(1).paid, paid);
    assert_eq!(shop.net.claimed.len(), 1);
}

#[test]
fn a_manager_that_holds_a_claimed_htlc_fails_it_and_the_ledger_knows_better() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default().retry(RetryPolicy::Attempts(3)));
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.net.pump();
    // Written while the HTLC is out; then it is claimed, and PaymentSent handled.
    let older = shop.net.image(0).manager;
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    let paid = shop.payment_view(1).paid.expect("paid");
    let image = crate::net::Image { manager: older, ..shop.net.image(0) };
    let (loaded, _) = shop.reload(&image);
    assert_eq!(loaded, Loaded::Closing);
    shop.settle();
    shop.tick();
    shop.settle();
    assert_eq!(shop.payment_view(1).status, Status::Fulfilled);
    assert_eq!(shop.payment_view(1).paid, Some(paid));
    assert_eq!(shop.parts(1).len(), 1, "nothing was handed over again");
    assert_eq!(shop.net.claimed.len(), 1);
}

#[test]
fn fulfilled_then_restarted_then_failed_is_paid() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default());
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.net.pump();
    let payee = shop.net.image(1);
    // The payee shows the preimage, and dies before it has committed to anything.
    shop.net.default_outcome = Outcome::Claim;
    shop.net.others_act();
    shop.net.collect_mail();
    let letter = shop.net.mail.pop_front().expect("the preimage comes");
    let MessageSendEvent::UpdateHTLCs { updates, .. } = letter.message else {
        panic!("{letter:?}")
    };
    let fulfill = updates.update_fulfill_htlcs[0].clone();
    shop.net.nodes[0].node.handle_update_fulfill_htlc(shop.net.id(1), fulfill);
    shop.handle_events();
    assert_eq!(shop.payment_view(1).status, Status::Fulfilled);
    shop.net.crash(1);
    shop.net.load(1, &payee).expect("LDK loads it");
    shop.net.connect_all();
    shop.net.pump();
    let hash = shop
        .payer()
        .ledger()
        .query(|state| state.payment(&id(1)).and_then(payonce_core::Payment::payment_hash));
    let hash = hash.expect("well").expect("an invoice has one");
    shop.net.nodes[1].node.fail_htlc_backwards(&PaymentHash(*hash.as_bytes()));
    shop.settle();
    // It gave the money back: the payment stays paid, as the preimage proves.
    assert_eq!(shop.spent(), 0);
    assert_eq!(shop.payment_view(1).status, Status::Fulfilled);
    assert!(matches!(
        shop.pay(1, &order, &terms),
        Paying::Repeat { view, .. } if view.paid.is_some()
    ));
    shop.tick();
    assert_eq!(shop.parts(1).len(), 1);
}

#[test]
fn a_claim_whose_event_was_not_handled_is_told_at_the_next_start() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default());
    shop.pay(1, &order, &terms);
    shop.net.pump();
    assert_eq!(shop.payment_view(1).status, Status::Pending, "PaymentSent waits in LDK's queue");
    let part = shop.parts(1)[0].0;
    let report = shop.restart();
    assert_eq!((report.paid_without_proof, report.never_sent), (vec![], vec![]));
    assert_eq!(shop.parts(1), [(part, PartStatus::Claimed)]);
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
}

#[test]
fn an_abandoned_payment_stays_abandoned_although_ldk_forgets_it() {
    let mut shop = two();
    let order = shop.invoice(1);
    let terms = Terms::default().retry(RetryPolicy::Attempts(5));
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.net.pump();
    let before = shop.net.image(0);
    shop.payer().abandon(&id(1), shop.now).expect("known");
    shop.reload(&before);
    shop.net.connect_all();
    assert!(matches!(
        shop.listed()[..],
        [lightning::ln::channelmanager::RecentPaymentDetails::Abandoned { .. }]
    ));
    shop.net.default_outcome = Outcome::Fail;
    shop.settle();
    let failed = Status::Failed { reason: FailureReason::UserAbandoned };
    assert_eq!(shop.payment_view(1).status, failed);
}
