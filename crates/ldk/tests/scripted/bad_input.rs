//! Orders that cannot be paid: each has a clear answer, and nothing reaches the engine.

use lightning::{
    bitcoin::{
        Network,
        secp256k1::{PublicKey, Secp256k1, SecretKey},
    },
    bolt11_invoice::Currency,
    offers::offer::{OfferBuilder, Quantity},
    onion_message::dns_resolution::HumanReadableName,
};
use payonce_core::{HashHolder, Msat, PayRefusal, Payment, Request, RequestField, State};
use payonce_ldk::{OfferedQuantity, Order, OrderRefusal, PayError, Paying, Terms};

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
fn an_amount_that_the_payee_would_refuse() {
    let stated = Msat(50_000);
    for (given, refused) in [
        (49_999, OrderRefusal::AmountTooSmall { stated, given: Msat(49_999) }),
        (100_001, OrderRefusal::AmountTooLarge { stated, given: Msat(100_001) }),
    ] {
        assert_eq!(order_refusal(&invoice(1), Some(given)), refused);
    }
    for taken in [50_000, 100_000] {
        let stage = Stage::new();
        let (payer, _) = stage.start();
        let paying = payer.pay(id(1), &invoice(1), Some(Msat(taken)), &Terms::default(), NOW);
        assert!(matches!(paying, Ok(Paying::Accepted { .. })), "{taken}");
    }
}

#[test]
fn records_that_no_onion_holds() {
    let tlvs = |tlvs: &[u64]| {
        let tlvs = tlvs.iter().map(|number| (*number, vec![1])).collect::<Vec<_>>();
        let Order::Bolt11(mut order) = invoice(1) else { panic!("an invoice") };
        order.custom_tlvs.clone_from(&tlvs);
        let Order::Spontaneous(mut keysend) = Order::spontaneous(payee(), secret(1)) else {
            panic!("spontaneous")
        };
        keysend.custom_tlvs = tlvs;
        [(Order::Bolt11(order), None), (Order::Spontaneous(keysend), Some(1_000))]
    };
    for numbers in [&[65_535][..], &[70_000, 70_000], &[5_482_373_484]] {
        for (order, amount) in tlvs(numbers) {
            assert_eq!(order_refusal(&order, amount), OrderRefusal::CustomTlvs, "{numbers:?}");
        }
    }
    let many: Vec<u64> = (70_000..70_065).collect();
    for (order, amount) in tlvs(&many) {
        let PayError::Refused(PayRefusal::TooLong { field, .. }) = refusal(&order, amount) else {
            panic!("too many")
        };
        assert_eq!(field, RequestField::CustomRecords);
    }
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

    let offer = |quantity| {
        let offer = OfferBuilder::new(payee()).chain(node).amount_msats(1_000);
        offer.supported_quantity(quantity).build().expect("valid")
    };
    let three = Quantity::Bounded(3.try_into().expect("above zero"));
    for (quantity, given, offered) in [
        (Quantity::One, 1, OfferedQuantity::One),
        (three, 0, OfferedQuantity::AtMost(3)),
        (three, 4, OfferedQuantity::AtMost(3)),
        (Quantity::Unbounded, 0, OfferedQuantity::AnyAboveZero),
    ] {
        let Order::Offer(mut order) = Order::offer(offer(quantity)) else { panic!("an offer") };
        order.quantity = Some(given);
        let refused = order_refusal(&Order::Offer(order), None);
        assert_eq!(refused, OrderRefusal::Quantity { given, offered });
    }
    let name = HumanReadableName::from_encoded("tea@example.com").expect("a name");
    let named = Order::named_offer(name, offer(Quantity::Unbounded));
    let Order::Offer(mut order) = named else { panic!("an offer") };
    order.quantity = Some(2);
    assert_eq!(order_refusal(&Order::Offer(order), None), OrderRefusal::QuantityOfNamedOffer);

    let Order::Offer(mut order) = Order::offer(offer(Quantity::One)) else { panic!("an offer") };
    order.payer_note = Some("x".repeat(513));
    assert!(matches!(
        refusal(&Order::Offer(order), None),
        PayError::Refused(PayRefusal::TooLong { field: RequestField::PayerNote, .. })
    ));
}

/// The request that the ledger holds for this order.
fn request_of(order: &Order, amount: Option<u64>) -> Request {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    payer.pay(id(1), order, amount.map(Msat), &Terms::default(), NOW).expect("accepted");
    let of = |state: &State| state.payment(&id(1)).and_then(Payment::request).cloned();
    payer.ledger().query(of).expect("well").expect("live")
}

#[test]
fn instructions_that_are_no_order() {
    let request = request_of(&invoice(1), None);
    assert_eq!(Order::of_request(&request), Ok(invoice(1)));
    let written = request.instructions.as_bytes().to_vec();
    let with = |bytes: &[u8]| Order::of_request(&request.clone().instructions(bytes));
    assert!(with(&written[..written.len() - 1]).is_err());
    assert!(with(&[&written[..], &[0]].concat()).is_err());
    assert!(with(b"lnbc1").is_err());
    assert!(with(&[]).is_err());

    let order = Order::spontaneous(payee(), secret(3));
    let keysend = request_of(&order, Some(1_000));
    assert_eq!(Order::of_request(&keysend), Ok(order));
    assert!(with(keysend.instructions.as_bytes()).is_err(), "a target without a preimage");
}
