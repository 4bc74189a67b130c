//! Offers and refunds: the payment hash comes later, LDK pays by itself.

use lightning::ln::{
    channelmanager::RecentPaymentDetails,
    msgs::{ChannelMessageHandler as _, OnionMessageHandler as _},
};
use payonce_core::{FailureReason, Msat, PartStatus, RetryPolicy, Status, UnixMillis};
use payonce_ldk::{HandOver, Order, Paying, Terms};

use crate::{
    net::{Net, Outcome},
    shop::{AMOUNT, Shop, id, two},
};

fn offer(shop: &Shop, payee: usize) -> Order {
    Order::offer(shop.net.offer(payee, AMOUNT))
}

#[test]
fn an_offer_is_paid_once_for_each_id() {
    let mut shop = two();
    let (order, terms) = (offer(&shop, 1), Terms::default());
    assert!(matches!(shop.pay(1, &order, &terms), Paying::Accepted { .. }));
    assert_eq!(shop.payment_view(1).status, Status::AwaitingInvoice);
    assert!(matches!(shop.listed()[..], [RecentPaymentDetails::AwaitingInvoice { .. }]));
    assert!(matches!(shop.pay(1, &order, &terms), Paying::Repeat { .. }));
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
    assert_eq!(shop.net.claimed.len(), 1);
    let hash = shop
        .payer()
        .ledger()
        .query(|state| state.payment(&id(1)).and_then(payonce_core::Payment::payment_hash));
    assert_eq!(hash.expect("well").map(|hash| *hash.as_bytes()), Some(shop.net.claimed[0].1.0));

    // Another id is another payment of the same offer.
    assert!(matches!(shop.pay(2, &order, &terms), Paying::Accepted { .. }));
    shop.settle();
    assert_eq!(shop.payment_view(2).status, Status::Fulfilled);
    assert_eq!(shop.net.claimed.len(), 2);
}

#[test]
fn an_offer_is_paid_once_although_two_invoices_arrive() {
    let mut shop = two();
    let (order, terms) = (offer(&shop, 1), Terms::default());
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    let (payer, payee) = (shop.net.id(0), shop.net.id(1));
    // One request, answered twice: each answer is an invoice with a hash of its own.
    let request = shop.net.nodes[0].onion_messenger.next_onion_message_for_peer(payee);
    let request = request.expect("it was sent");
    for _ in 0..2 {
        shop.net.nodes[1].onion_messenger.handle_onion_message(payer, &request);
    }
    let mut invoices = 0;
    while let Some(invoice) = shop.net.nodes[1].onion_messenger.next_onion_message_for_peer(payer) {
        invoices += 1;
        shop.net.nodes[0].onion_messenger.handle_onion_message(payee, &invoice);
        // And the first one once more.
        shop.net.nodes[0].onion_messenger.handle_onion_message(payee, &invoice);
    }
    assert_eq!(invoices, 2);
    shop.net.settle(0);
    shop.settle();
    assert_eq!(shop.net.claimable.len(), 1);
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
    assert_eq!(shop.net.claimed.len(), 1);
    assert_eq!(shop.parts(1).len(), 1);
}

#[test]
fn an_offer_that_nobody_answers_ends_when_ldk_gives_up() {
    let mut shop = two();
    let (order, terms) = (offer(&shop, 1), Terms::default().retry(RetryPolicy::Attempts(1)));
    shop.net.disconnect(0, 1);
    shop.net.connect(0, 1);
    shop.pay(1, &order, &terms);
    let payee = shop.net.id(1);
    let lose = |shop: &Shop| {
        while shop.net.nodes[0].onion_messenger.next_onion_message_for_peer(payee).is_some() {}
    };
    lose(&shop);
    for _ in 0..3 {
        shop.net.nodes[0].node.timer_tick_occurred();
        lose(&shop);
    }
    shop.handle_events();
    assert_eq!(shop.payment_view(1).status, Status::AwaitingInvoice, "another request may follow");
    assert_eq!(shop.parts(1)[0].1, PartStatus::Failed);
    shop.tick();
    assert_eq!(shop.parts(1).len(), 2);
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
}

#[test]
fn an_offer_whose_wait_is_over_fails_only_when_ldk_has_let_go() {
    let mut shop = two();
    let order = offer(&shop, 1);
    let wait = payonce_core::Deadline::At(UnixMillis(shop.now.0 + 1));
    let terms = Terms::default().retry(RetryPolicy::Attempts(5)).wait(wait);
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.settle();
    for _ in 0..3 {
        shop.tick();
    }
    assert_eq!(shop.payment_view(1).status, Status::AwaitingInvoice, "its HTLC is out");
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
}

#[test]
fn an_offer_survives_restarts_before_and_after_its_invoice() {
    let mut shop = two();
    let (order, terms) = (offer(&shop, 1), Terms::default());
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    let part = shop.parts(1)[0].0;
    assert_eq!(shop.restart().still_out, [part]);
    // LDK asks again once it hears anything from a peer.
    shop.net.nodes[0].node.message_received();
    shop.settle();
    assert_eq!(shop.restart().still_out, [part]);
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
    assert_eq!(shop.net.claimed.len(), 1);
}

#[test]
fn an_offer_that_ldk_never_got_is_requested_again() {
    let mut shop = two();
    let (order, terms) = (offer(&shop, 1), Terms::default());
    let before = shop.net.image(0);
    shop.pay(1, &order, &terms);
    let lost = shop.parts(1)[0].0;
    // The request is on its way when the process dies, and LDK has not written that it waits.
    let payee = shop.net.id(1);
    let request = shop.net.nodes[0].onion_messenger.next_onion_message_for_peer(payee);
    let (_, report) = shop.reload(&before);
    assert_eq!(report.never_sent, [lost]);
    shop.net.connect_all();
    shop.net.pump();
    // It arrives all the same: LDK asks no more for that invoice.
    let payer = shop.net.id(0);
    shop.net.nodes[1].onion_messenger.handle_onion_message(payer, &request.expect("sent"));
    shop.settle();
    assert_eq!(shop.net.claimed.len(), 0);
    shop.payer().drive(shop.now).expect("well");
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
    assert_eq!(shop.net.claimed.len(), 1);
}

fn give_refund(shop: &Shop, order: &Order) -> lightning::offers::refund::Refund {
    let amount = Some(Msat(AMOUNT));
    let paying = shop.payer().pay(id(1), order, amount, &Terms::default(), shop.now);
    let Paying::Accepted { first: HandOver::Refund { refund, .. } } = paying.expect("accepted")
    else {
        panic!("no refund");
    };
    *refund
}

fn refund_again(shop: &Shop, order: &Order) -> Option<lightning::offers::refund::Refund> {
    let amount = Some(Msat(AMOUNT));
    match shop.payer().pay(id(1), order, amount, &Terms::default(), shop.now).expect("a repeat") {
        Paying::Repeat { refund, .. } => refund.map(|refund| *refund),
        other => panic!("accepted twice: {other:?}"),
    }
}

#[test]
fn a_refund_is_given_out_again_and_paid_once() {
    let mut shop = two();
    let expiry = UnixMillis(shop.now.0 + 3_600_000);
    let order = Order::refund(expiry, String::from("tea that was cold"));
    let refund = give_refund(&shop, &order);
    assert_eq!(refund.amount_msats(), AMOUNT);
    assert_eq!(refund_again(&shop, &order), Some(refund.clone()), "a repeat gives the same one");
    assert_eq!(shop.restart().still_out.len(), 1);
    assert_eq!(refund_again(&shop, &order), Some(refund.clone()), "after a restart too");

    for _ in 0..2 {
        shop.net.nodes[1].node.request_refund_payment(&refund).expect("an invoice");
    }
    shop.settle();
    assert_eq!(shop.payment_view(1).status, Status::Fulfilled);
    assert_eq!((shop.spent(), shop.net.claimed.len()), (AMOUNT, 1));
    assert_eq!(refund_again(&shop, &order), None, "its holder was paid");
}

#[test]
fn a_refund_that_is_revoked_is_not_paid() {
    let mut shop = two();
    let order = Order::refund(UnixMillis(shop.now.0 + 3_600_000), String::from("tea"));
    let refund = give_refund(&shop, &order);
    shop.payer().abandon(&id(1), shop.now).expect("known");
    shop.settle();
    let failed = Status::Failed { reason: FailureReason::UserAbandoned };
    assert_eq!(shop.payment_view(1).status, failed);
    shop.net.nodes[1].node.request_refund_payment(&refund).expect("an invoice");
    shop.settle();
    assert_eq!((shop.spent(), shop.net.claimed.len()), (0, 0));
    assert_eq!(refund_again(&shop, &order), None);
}

#[test]
fn an_invoice_that_ldk_leaves_to_its_user_is_paid_once() {
    let mut net = Net::with_channels(2, &[(0, 1, 1_000_000, 0)]);
    let mut config = net.nodes[0].node.get_current_config();
    config.manually_handle_bolt12_invoices = true;
    net.nodes[0].node.set_current_config(config);
    net.default_outcome = Outcome::Claim;
    let mut shop = Shop::over(net);
    let (order, terms) = (offer(&shop, 1), Terms::default());
    shop.pay(1, &order, &terms);
    shop.settle();
    shop.assert_paid_once(1, &order, &terms);
    assert_eq!(shop.net.claimed.len(), 1);
}
