//! The ledger is put back to before a payment, and LDK says afterwards that it was paid. The user follows
//! the guide: they mark what they know to be paid, under their own id, and close the gap.

use lightning::events::ReplayEvent;
use payonce_core::{Assertion, MarkPaid, Opening, PaymentHash, PaymentId, Remember, Status};
use payonce_ldk::{Order, Paying, Starting, Terms};
use payonce_store_memory::MemoryDisk;

use crate::shop::{AMOUNT, Shop, id, two};

/// Node 0 starts with the ledger of before, and knows the head of after.
fn start_with_older_ledger(shop: &mut Shop, older: payonce_store_memory::Image) {
    let head = shop.disk.image().head();
    shop.disk = MemoryDisk::from_image(older);
    shop.stop();
    let image = shop.net.image(0);
    shop.net.crash(0);
    shop.net.load(0, &image).expect("LDK loads it");
    let node = &shop.net.nodes[0];
    let opening = Opening::new(Remember::Forever, 1).known_head(head);
    let (store, options) = (shop.disk.open(), shop.options.clone());
    let starting = Starting::open(store, &opening, node.node, node.keys_manager, options, shop.now);
    let others = |_| Ok::<(), ReplayEvent>(());
    let (payer, report) =
        starting.expect("a sound log").finish(others, shop.now).expect("the store is well");
    assert!(report.restored, "{report:?}");
    shop.run(payer);
    shop.net.connect_all();
}

/// The user says that their id is paid, with the hash that the payee's receipt names, and goes on.
fn say_that_it_is_paid(shop: &Shop) {
    let hash = PaymentHash::from_bytes(shop.net.claimed[0].1.0);
    let word = Assertion::new("the owner", "the goods came before the disk was put back");
    let paid = MarkPaid::new(id(1)).payment_hash(hash).asserted(word);
    let ledger = shop.payer().ledger();
    assert!(ledger.execute(paid, shop.now).expect("recorded").changed);
    ledger.close_gap(shop.now).expect("there is one");
}

fn assert_not_paid_again(shop: &mut Shop, order: &Order) {
    let (spent, paid) = (shop.spent(), shop.net.claimed.len());
    let again = shop.pay(1, order, &Terms::default());
    assert!(
        matches!(&again, Paying::Repeat { view, .. } if view.status == Status::Fulfilled),
        "{again:?}"
    );
    shop.tick();
    shop.payer().drive(shop.now).expect("well");
    shop.settle();
    assert_eq!((shop.spent(), shop.net.claimed.len()), (spent, paid));
    assert_eq!((spent, paid), (AMOUNT, 1));
}

#[test]
fn an_offer_whose_event_is_still_to_come_is_paid_once() {
    let mut shop = two();
    let order = Order::offer(shop.net.offer(1, AMOUNT));
    let older = shop.disk.image();
    shop.pay(1, &order, &Terms::default());
    let part = shop.parts(1)[0].0;
    // LDK has not delivered PaymentSent when the process dies.
    shop.net.pump();
    start_with_older_ledger(&mut shop, older);
    let under_ldks_id = shop.payer().payment_view(&PaymentId::from_bytes(*part.as_bytes()));
    assert_eq!(under_ldks_id.expect("well"), None, "LDK's id is no payment's");
    say_that_it_is_paid(&shop);
    assert_not_paid_again(&mut shop, &order);
}

#[test]
fn an_offer_whose_event_was_handled_is_paid_once() {
    let mut shop = two();
    let order = Order::offer(shop.net.offer(1, AMOUNT));
    let older = shop.disk.image();
    shop.pay(1, &order, &Terms::default());
    shop.settle();
    assert_eq!(shop.payment_view(1).status, Status::Fulfilled);
    start_with_older_ledger(&mut shop, older);
    say_that_it_is_paid(&shop);
    assert_not_paid_again(&mut shop, &order);
}

#[test]
fn an_invoice_that_was_paid_in_a_gap_is_paid_once() {
    let mut shop = two();
    let order = shop.invoice(1);
    let older = shop.disk.image();
    shop.pay(1, &order, &Terms::default());
    shop.settle();
    start_with_older_ledger(&mut shop, older);
    say_that_it_is_paid(&shop);
    assert_not_paid_again(&mut shop, &order);
}
