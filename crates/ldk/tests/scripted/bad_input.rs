//! Orders that cannot be paid: each has a clear answer, and nothing reaches the engine.

use lightning::{
    bitcoin::{
        Network,
        secp256k1::{PublicKey, Secp256k1, SecretKey},
    },
    bolt11_invoice::Currency,
    offers::offer::{OfferBuilder, Quantity},
};
use payonce_core::{HashHolder, Msat, PayRefusal, RequestField};
use payonce_ldk::{Order, OrderRefusal, PayError, Terms};

use crate::script::{NOW, Stage, id, invoice, invoice_of, pay, secret};

fn refusal(order: &Order, amount: Option<u64>) -> PayError {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let before = payer.ledger().head();
    let refused = payer.pay(id(1), order, amount.map(Msat), &Terms::default(), NOW);
    assert_eq!(payer.ledger().head(), before, "a refusal records nothing");
    assert_eq!(stage.script.take_asked(), []);
    refused.expect_err("refused")
}

fn order_refusal(order: &Order, amount: Option<u64>) -> OrderRefusal {
    match refusal(order, amount) {
        PayError::Order(refusal) => refusal,
        other => panic!("{other}"),
    }
}

fn payee() -> PublicKey {
    PublicKey::from_secret_key(&Secp256k1::new(), &SecretKey::from_slice(&[5; 32]).expect("a key"))
}

#[test]
fn an_invoice_of_another_network() {
    let order = Order::bolt11(invoice_of(1, Some(50_000), Currency::Bitcoin));
    let expected =
        OrderRefusal::InvoiceOfOtherNetwork { invoice: Network::Bitcoin, node: Network::Regtest };
    assert_eq!(order_refusal(&order, None), expected);
    assert_eq!(expected.to_string(), "the invoice is for bitcoin, this node is on regtest");
}

#[test]
fn no_amount() {
    let open = Order::bolt11(invoice_of(1, None, Currency::Regtest));
    assert_eq!(order_refusal(&open, None), OrderRefusal::NoAmount);
    assert_eq!(
        order_refusal(&Order::spontaneous(payee(), secret(1)), None),
        OrderRefusal::NoAmount
    );
    let refund = Order::refund(payonce_core::UnixMillis(NOW.0 + 1), String::from("tea"));
    assert_eq!(order_refusal(&refund, None), OrderRefusal::NoAmount);
}

#[test]
fn an_amount_given_twice() {
    let twice = OrderRefusal::AmountGivenTwice { stated: Msat(50_000), given: Msat(50_000) };
    assert_eq!(order_refusal(&invoice(1), Some(50_000)), twice);
}

#[test]
fn an_amount_of_nothing() {
    let open = Order::bolt11(invoice_of(1, None, Currency::Regtest));
    assert!(matches!(refusal(&open, Some(0)), PayError::Refused(PayRefusal::ZeroAmount)));
}

#[test]
fn an_invoice_that_is_paid_under_another_id() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default()).expect("accepted");
    let refused = payer.pay(id(2), &invoice(1), None, &Terms::default(), NOW);
    let other = HashHolder::Payment(id(1));
    assert!(matches!(
        refused.expect_err("refused"),
        PayError::Refused(PayRefusal::HashInUse { other: found, same_payee: Some(true) })
            if found == other
    ));
    assert_eq!(stage.script.take_asked().len(), 1);
}

#[test]
fn an_id_that_is_known_for_something_else() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default()).expect("accepted");
    let terms = Terms::default().max_fee(Msat(1));
    assert!(matches!(
        pay(&payer, 1, &terms).expect_err("refused"),
        PayError::Refused(PayRefusal::Conflict { field: RequestField::MaxFee, .. })
    ));
    let other = payer.pay(id(1), &invoice(2), None, &Terms::default(), NOW);
    assert!(matches!(
        other.expect_err("refused"),
        PayError::Refused(PayRefusal::Conflict { field: RequestField::Target, .. })
    ));
}

#[test]
fn offers_that_cannot_be_paid() {
    let bitcoin = OfferBuilder::new(payee()).amount_msats(5).build().expect("valid");
    let node = Network::Regtest;
    let refused = order_refusal(&Order::offer(bitcoin), None);
    assert_eq!(refused, OrderRefusal::OfferOfOtherNetwork { node });

    let many = OfferBuilder::new(payee())
        .chain(node)
        .amount_msats(1_000)
        .supported_quantity(Quantity::Unbounded)
        .build()
        .expect("valid");
    let Order::Offer(mut order) = Order::offer(many) else { panic!("an offer") };
    order.quantity = Some(u64::MAX);
    let expected = OrderRefusal::QuantityTooLarge { quantity: u64::MAX, each: Msat(1_000) };
    assert_eq!(order_refusal(&Order::Offer(order), None), expected);

    let open = OfferBuilder::new(payee()).chain(node).build().expect("valid");
    assert_eq!(order_refusal(&Order::offer(open), None), OrderRefusal::NoAmount);
}

#[test]
fn instructions_that_are_no_order() {
    let encoded = invoice(1).encode();
    assert_eq!(Order::decode(&encoded, None), Ok(invoice(1)));
    assert!(Order::decode(&encoded[..encoded.len() - 1], None).is_err());
    assert!(Order::decode(&[&encoded[..], &[0]].concat(), None).is_err());
    assert!(Order::decode(b"lnbc1", None).is_err());
    assert!(Order::decode(&[], None).is_err());
    let keysend = Order::spontaneous(payee(), secret(3));
    assert!(Order::decode(&keysend.encode(), None).is_err());
    assert_eq!(Order::decode(&keysend.encode(), Some(secret(3))), Ok(keysend));
}
