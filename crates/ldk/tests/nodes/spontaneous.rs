//! Payments that nobody asked for.

use payonce_core::{Msat, PayRefusal, Preimage, Status};
use payonce_ldk::{Order, PayError, Paying, Terms};

use crate::{
    net::Outcome,
    shop::{AMOUNT, id, three},
};

#[test]
fn a_keysend_is_paid_once() {
    let mut shop = three();
    let preimage = Preimage::from_bytes([42; 32]);
    let order = Order::spontaneous(shop.net.id(2), preimage);
    let (amount, terms) = (Some(Msat(AMOUNT)), Terms::default());
    let now = shop.now;
    let first = shop.payer().pay(id(1), &order, amount, &terms, now).expect("accepted");
    assert!(matches!(first, Paying::Accepted { .. }));
    shop.settle();
    let paid = shop.payment_view(1).paid.expect("paid");
    assert_eq!((paid.preimage, paid.amount), (Some(preimage), amount));
    assert_eq!(shop.spent(), AMOUNT + paid.fee.expect("known").0);

    let repeat = shop.payer().pay(id(1), &order, amount, &terms, now).expect("a repeat");
    assert!(matches!(repeat, Paying::Repeat { view, .. } if view.paid == Some(paid)));
    // Whoever sees the preimage on the way could take a second payment with it.
    let other = shop.payer().pay(id(2), &order, amount, &terms, now).expect_err("refused");
    assert!(matches!(other, PayError::Refused(PayRefusal::HashInUse { .. })));
    assert_eq!(shop.net.claimed.len(), 1);
}

#[test]
fn a_keysend_survives_a_restart() {
    let mut shop = three();
    shop.net.default_outcome = Outcome::Hold;
    let order = Order::spontaneous(shop.net.id(2), Preimage::from_bytes([42; 32]));
    let (amount, terms) = (Some(Msat(AMOUNT)), Terms::default());
    shop.payer().pay(id(1), &order, amount, &terms, shop.now).expect("accepted");
    shop.net.pump();
    let report = shop.restart();
    assert_eq!(report.still_out.len(), 1);
    shop.net.default_outcome = Outcome::Claim;
    shop.settle();
    assert_eq!(shop.payment_view(1).status, Status::Fulfilled);
    assert_eq!(shop.net.claimed.len(), 1);
}
