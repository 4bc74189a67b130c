//! What a payer can say beside the invoice: the payee gets it, and the ledger keeps it.

use lightning::{
    events::PaymentPurpose,
    ln::channelmanager::RecipientOnionFields,
    offers::{invoice_request::InvoiceRequestFields, offer::Quantity},
    onion_message::dns_resolution::HumanReadableName,
};
use payonce_core::{Acknowledge, FailureReason, ListedPayment, Listing, Msat, RetryPolicy, Status};
use payonce_ldk::{HandOver, Order, Paying, RouteLimits, Terms};

use crate::{
    net::Outcome,
    shop::{AMOUNT, Shop, id, three, two},
};

const RECORD: (u64, &[u8]) = (65_537, b"for the cup");

fn records_received(shop: &Shop) -> Vec<(u64, Vec<u8>)> {
    let (fields, _) = shop.net.received.values().next().expect("it came");
    fields.as_ref().map(RecipientOnionFields::custom_tlvs).cloned().unwrap_or_default()
}

fn request_received(shop: &Shop) -> InvoiceRequestFields {
    let (_, purpose) = shop.net.received.values().next().expect("it came");
    match purpose {
        PaymentPurpose::Bolt12OfferPayment { payment_context, .. } => {
            payment_context.invoice_request.clone()
        }
        other => panic!("not for an offer: {other:?}"),
    }
}

fn listed(shop: &Shop) -> ListedPayment {
    shop.payer().list(&Listing::new(1)).expect("well").payments.remove(0)
}

fn pay_more(shop: &Shop, order: &Order, amount: u64) -> Paying {
    let terms = Terms::default();
    shop.payer().pay(id(1), order, Some(Msat(amount)), &terms, shop.now).expect("not refused")
}

#[test]
fn more_than_the_invoice_asks_for_is_paid_once() {
    for offered in [false, true] {
        let mut shop = two();
        let order = if offered { Order::offer(shop.net.offer(1, AMOUNT)) } else { shop.invoice(1) };
        pay_more(&shop, &order, AMOUNT + 1_000);
        shop.settle();
        assert_eq!(shop.net.claimed.len(), 1);
        assert_eq!(shop.net.claimed[0].2, AMOUNT + 1_000, "the payee has it");
        let paid = shop.payment_view(1).paid.expect("paid");
        assert_eq!((paid.amount, shop.spent()), (Some(Msat(AMOUNT + 1_000)), AMOUNT + 1_000));
        assert!(matches!(pay_more(&shop, &order, AMOUNT + 1_000), Paying::Repeat { .. }));
    }
}

#[test]
fn more_than_the_invoice_asks_for_is_paid_after_a_restart_too() {
    let mut shop = two();
    let (order, before) = (shop.invoice(1), shop.net.image(0));
    pay_more(&shop, &order, AMOUNT + 1_000);
    // LDK never got it.
    shop.reload(&before);
    shop.net.connect_all();
    shop.net.pump();
    shop.payer().drive(shop.now).expect("well");
    shop.settle();
    assert_eq!(shop.spent(), AMOUNT + 1_000);
}

#[test]
fn records_beside_an_invoice_reach_the_payee() {
    let mut shop = two();
    let Order::Bolt11(mut order) = shop.invoice(1) else { panic!("an invoice") };
    order.custom_tlvs = vec![(RECORD.0, RECORD.1.to_vec())];
    let (order, terms) = (Order::Bolt11(order), Terms::default().max_fee(Msat(10_000)));
    shop.pay(1, &order, &terms);
    shop.settle();
    assert_eq!(records_received(&shop), [(RECORD.0, RECORD.1.to_vec())]);
    shop.assert_paid_once(1, &order, &terms);
    assert_eq!(Order::of_request(&listed(&shop).request.expect("known")), Ok(order));
}

#[test]
fn a_quantity_and_a_note_reach_the_payee() {
    let mut shop = two();
    let offer = shop.net.nodes[1].node.create_offer_builder().expect("an offer");
    let offer = offer.amount_msats(AMOUNT).supported_quantity(Quantity::Unbounded);
    let Order::Offer(mut order) = Order::offer(offer.build().expect("an offer")) else {
        panic!("an offer")
    };
    order.quantity = Some(3);
    order.payer_note = Some(String::from("no sugar"));
    let (order, terms) = (Order::Offer(order), Terms::default());
    shop.pay(1, &order, &terms);
    shop.settle();
    let request = request_received(&shop);
    assert_eq!(request.quantity, Some(3));
    assert_eq!(request.payer_note_truncated.map(|note| note.0).as_deref(), Some("no sugar"));
    assert_eq!(shop.spent(), 3 * AMOUNT);
    shop.assert_paid_once(1, &order, &terms);
    let asked = listed(&shop).request.expect("known");
    assert_eq!((asked.details.quantity, asked.details.payer_note.as_str()), (Some(3), "no sugar"));
    assert_eq!(Order::of_request(&asked), Ok(order));
}

#[test]
fn the_name_that_was_paid_reaches_the_payee() {
    let mut shop = two();
    let name = HumanReadableName::from_encoded("tea@example.com").expect("a name");
    let (order, terms) = (Order::named_offer(name, shop.net.offer(1, AMOUNT)), Terms::default());
    shop.pay(1, &order, &terms);
    // The name is in the ledger: it is said again where LDK never got the first hand-over.
    shop.settle();
    assert_eq!(request_received(&shop).human_readable_name, Some(name));
    shop.assert_paid_once(1, &order, &terms);
    let asked = listed(&shop).request.expect("known");
    assert_eq!(asked.details.payee_name.as_str(), "tea@example.com");
    assert_eq!(Order::of_request(&asked), Ok(order));
}

#[test]
fn limits_to_the_route_are_one_payments_own_and_survive_a_restart() {
    let mut shop = three();
    let far = shop.invoice(2);
    // The last hop's delta alone is more than that.
    let near = RouteLimits::default().max_total_cltv_expiry_delta(40);
    let terms = Terms::default().route(near).retry(RetryPolicy::Attempts(1));
    let paying = shop.pay(1, &far, &terms);
    assert!(
        matches!(paying, Paying::Accepted { first: HandOver::Refused { .. } }),
        "no route is that short: {paying:?}"
    );
    shop.restart();
    shop.settle();
    let driven = shop.payer().drive(shop.now.plus(600_000)).expect("well");
    assert!(matches!(driven[..], [(_, HandOver::Refused { .. })]), "{driven:?}");
    let failed = Status::Failed { reason: FailureReason::RouteNotFound };
    assert_eq!(shop.payment_view(1).status, failed);

    let (order, terms) = (shop.invoice(2), Terms::default());
    shop.pay(2, &order, &terms);
    shop.settle();
    shop.assert_paid_once(2, &order, &terms);
}

#[test]
fn the_invoice_that_an_offer_was_paid_with_is_kept_as_its_proof() {
    let mut shop = two();
    let offer = shop.net.offer(1, AMOUNT);
    let signer = offer.issuer_signing_pubkey();
    let (order, terms) = (Order::offer(offer), Terms::default());
    shop.net.default_outcome = Outcome::Hold;
    shop.pay(1, &order, &terms);
    shop.settle();
    assert_eq!(shop.payer().paid_invoice(&listed(&shop)).expect("well"), None, "not paid yet");
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    let proof = shop.payer().paid_invoice(&listed(&shop)).expect("well").expect("kept");
    assert_eq!(Some(proof.signing_pubkey()), signer);
    let preimage = shop.payment_view(1).paid.and_then(|paid| paid.preimage).expect("proven");
    assert_eq!(proof.payment_hash().0, *preimage.payment_hash().as_bytes());

    // It outlives the payment's place in the state, and a restart.
    for _ in 0..20 {
        let unread = shop.payer().ledger().query(|state| state.outbox().map(|it| it.id).collect());
        let ids = unread.expect("well");
        shop.payer().ledger().execute(Acknowledge { ids }, shop.now).expect("well");
        shop.tick();
    }
    shop.restart();
    let is_live = |shop: &Shop| {
        shop.payer().ledger().query(|state| state.payment(&id(1)).is_some()).expect("well")
    };
    assert!(!is_live(&shop), "it is only remembered");
    assert_eq!(shop.payer().paid_invoice(&listed(&shop)).expect("well"), Some(proof));
}
