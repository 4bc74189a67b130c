//! LDK's tests of its idempotency (`claimed_send_payment_idempotent`,
//! `abandoned_send_payment_idempotent`), through payonce.

use lightning::events::{EventsProvider as _, ReplayEvent};
use payonce_core::{FailureReason, Msat, PartStatus, RetryPolicy, Status};
use payonce_ldk::{HandOver, Paying, Terms};

use crate::{
    net::Outcome,
    shop::{AMOUNT, Shop, id, three, two},
};

/// How many ticks LDK remembers a paid id for (`IDEMPOTENCY_TIMEOUT_TICKS`).
const LDK_TICKS: usize = 7;

fn assert_blocked(
    shop: &Shop,
    order: &payonce_ldk::Order,
    terms: &Terms,
) -> payonce_core::PaymentView {
    let listed = shop.listed().len();
    let Paying::Repeat { view, .. } = shop.pay(1, order, terms) else {
        panic!("accepted twice");
    };
    assert_eq!(shop.listed().len(), listed, "a repeat never reaches LDK");
    view
}

#[test]
fn a_claimed_payments_id_is_blocked_through_ticks_and_event_handling() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default());
    shop.net.default_outcome = Outcome::Hold;
    assert!(matches!(shop.pay(1, &order, &terms), Paying::Accepted { .. }));
    shop.net.pump();
    assert_eq!(assert_blocked(&shop, &order, &terms).status, Status::Pending);

    // Claimed, but PaymentSent is not handled yet: for the user nothing has changed.
    shop.net.default_outcome = Outcome::Claim;
    shop.net.pump();
    for _ in 0..=LDK_TICKS {
        shop.tick();
    }
    assert_eq!(assert_blocked(&shop, &order, &terms).status, Status::Pending);

    shop.settle();
    assert_eq!(assert_blocked(&shop, &order, &terms).status, Status::Fulfilled);
    shop.tick();
    assert_eq!(shop.parts(1)[0].1, PartStatus::Claimed, "LDK still tracks it");
    for _ in 0..=LDK_TICKS {
        shop.tick();
    }
    assert!(shop.listed().is_empty(), "LDK has forgotten it");
    assert_eq!(shop.parts(1)[0].1, PartStatus::Finalized);
    assert_eq!(assert_blocked(&shop, &order, &terms).status, Status::Fulfilled);
    shop.assert_paid_once(1, &order, &terms);
    assert_eq!(shop.spent(), AMOUNT);
    assert_eq!(shop.net.claimed.len(), 1);
}

#[test]
fn a_paid_payment_is_answered_long_after_everybody_has_forgotten_it() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default());
    shop.pay(1, &order, &terms);
    shop.settle();
    let unread = shop.payer().ledger().query(|state| state.outbox().map(|note| note.id).collect());
    let ids: Vec<_> = unread.expect("well");
    shop.payer().ledger().execute(payonce_core::Acknowledge { ids }, shop.now).expect("known");
    for _ in 0..30 {
        shop.tick();
        let unread =
            shop.payer().ledger().query(|state| state.outbox().map(|note| note.id).collect());
        let ids: Vec<_> = unread.expect("well");
        shop.payer().ledger().execute(payonce_core::Acknowledge { ids }, shop.now).expect("known");
    }
    assert!(shop.payment_view(1).remembered);
    shop.assert_paid_once(1, &order, &terms);
    shop.restart();
    shop.assert_paid_once(1, &order, &terms);
}

#[test]
fn a_failed_payments_id_is_blocked_although_ldk_frees_its_own() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default());
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.net.pump();
    for _ in 0..=LDK_TICKS {
        shop.tick();
    }
    assert_eq!(assert_blocked(&shop, &order, &terms).status, Status::Pending);

    shop.net.default_outcome = Outcome::Fail;
    shop.net.pump();
    assert!(shop.listed().is_empty(), "LDK's id is free, and its PaymentFailed is not handled");
    assert_eq!(assert_blocked(&shop, &order, &terms).status, Status::Pending);
    shop.settle();
    let failed = Status::Failed { reason: FailureReason::RecipientRejected };
    let view = assert_blocked(&shop, &order, &terms);
    assert_eq!(view.status, failed);
    assert_eq!(shop.spent(), 0);

    // Whoever has read the failure may try again, under the same id, and LDK gets a fresh one.
    let first = shop.parts(1)[0].0;
    let again = terms.clone().again_after(view.failed.expect("it has failed"));
    shop.net.default_outcome = Outcome::Claim;
    assert!(matches!(shop.pay(1, &order, &again), Paying::Accepted { .. }));
    assert_ne!(shop.parts(1)[0].0, first);
    shop.settle();
    shop.assert_paid_once(1, &order, &again);
}

#[test]
fn an_abandoned_payment_fails_when_its_last_htlc_has() {
    let mut shop = three();
    let (order, terms) = (shop.invoice(2), Terms::default().retry(RetryPolicy::Attempts(9)));
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.net.pump();
    shop.payer().abandon(&id(1), shop.now).expect("known");
    shop.settle();
    let abandoned = Status::Abandoned { reason: FailureReason::UserAbandoned };
    assert_eq!(assert_blocked(&shop, &order, &terms).status, abandoned);
    shop.net.default_outcome = Outcome::Fail;
    shop.settle();
    let failed = Status::Failed { reason: FailureReason::UserAbandoned };
    assert_eq!(assert_blocked(&shop, &order, &terms).status, failed);
    shop.tick();
    assert!(shop.listed().is_empty(), "nothing is tried again");
    assert_eq!(shop.spent(), 0);
}

#[test]
fn an_abandoned_payment_may_still_be_paid() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default());
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.net.pump();
    shop.payer().abandon(&id(1), shop.now).expect("known");
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
}

#[test]
fn a_stale_failure_replayed_after_the_next_hand_over_changes_nothing() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default().retry(RetryPolicy::Attempts(1)));
    shop.net.disconnect(0, 1);
    // The only channel is not usable: LDK finds no route.
    let refused = shop.pay(1, &order, &terms);
    assert!(matches!(refused, Paying::Accepted { first: HandOver::Refused { .. } }));
    shop.net.connect(0, 1);
    shop.net.pump();
    let first = shop.parts(1)[0].0;
    shop.tick();
    shop.net.default_outcome = Outcome::Hold;
    shop.net.pump();
    let second = shop.parts(1)[1].0;

    let stale = lightning::events::Event::PaymentFailed {
        payment_id: lightning::ln::channelmanager::PaymentId(*first.as_bytes()),
        payment_hash: None,
        reason: Some(lightning::events::PaymentFailureReason::RetriesExhausted),
    };
    shop.payer().handle_event(&stale, shop.now).expect("well");
    assert_eq!(shop.parts(1), [(first, PartStatus::Failed), (second, PartStatus::InFlight)]);
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
}

#[test]
fn events_that_ldk_delivers_again_change_nothing() {
    let mut shop = two();
    let (order, terms) = (shop.invoice(1), Terms::default().retry(RetryPolicy::Attempts(1)));
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.net.pump();
    let first = shop.parts(1)[0].0;
    // The payee takes back what it has not claimed: LDK lists the payment no more.
    shop.net.default_outcome = Outcome::Fail;
    shop.net.pump();
    // Recorded, but the node's own part of the handler asks for a replay.
    let refuse = |event| {
        shop.payer().handle_event(&event, shop.now)?;
        Err(ReplayEvent())
    };
    for _ in 0..3 {
        shop.net.nodes[0].node.process_pending_events(&refuse);
    }
    let head = shop.payer().ledger().head();
    shop.net.nodes[0].node.process_pending_events(&refuse);
    assert_eq!(shop.payer().ledger().head(), head, "a replay records nothing");
    shop.settle();
    assert_eq!(shop.parts(1), [(first, PartStatus::Failed)]);
    assert_eq!(shop.spent(), 0);
}

#[test]
fn invoices_with_and_without_an_amount() {
    let mut shop = three();
    let (with, without) = (shop.invoice(2), payonce_ldk::Order::bolt11(shop.net.invoice(2, None)));
    shop.pay(1, &with, &Terms::default());
    shop.settle();
    shop.assert_paid_once(1, &with, &Terms::default());
    let spent = shop.spent();

    let (payer, amount) = (shop.payer(), Some(Msat(777_000)));
    payer.pay(id(2), &without, amount, &Terms::default(), shop.now).expect("accepted");
    shop.settle();
    let paid = shop.payment_view(2).paid.expect("paid");
    assert_eq!(paid.amount, amount);
    let fee = paid.fee.expect("known");
    assert!(fee.0 > 0, "node 1 forwards for a fee");
    assert_eq!(shop.spent(), spent + 777_000 + fee.0);
    assert_eq!(
        shop.net.claimed.iter().map(|(_, _, amount)| *amount).collect::<Vec<_>>(),
        [AMOUNT, 777_000]
    );
    let other = shop.payer().pay(id(2), &without, Some(Msat(777_001)), &Terms::default(), shop.now);
    assert!(other.is_err(), "another amount is another request");
}

#[test]
fn a_fee_limit_is_kept() {
    let mut shop = three();
    let order = shop.invoice(2);
    let terms = Terms::default().max_fee(Msat(1));
    let paying = shop.pay(1, &order, &terms);
    assert!(matches!(paying, Paying::Accepted { first: HandOver::Refused { .. } }));
    let failed = Status::Failed { reason: FailureReason::RouteNotFound };
    assert_eq!(shop.payment_view(1).status, failed);
    assert!(shop.listed().is_empty());
    let failure = shop.payment_view(1).failed.expect("it has failed");
    let enough = Terms::default().max_fee(Msat(100_000)).again_after(failure);
    shop.pay(1, &order, &enough);
    shop.settle();
    assert!(crate::shop::fee(&shop.payment_view(1)).0 <= 100_000);
    shop.assert_paid_once(1, &order, &enough);
}
