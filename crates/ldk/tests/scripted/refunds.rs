//! Refunds: LDK makes one when it takes the hand-over. Whoever holds it can be paid with it, so it is kept
//! before anybody is given it.

use std::sync::Arc;

use lightning::{
    bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey},
    blinded_path::message::{BlindedMessagePath, MessageContext, MessageForwardNode},
    events::PaymentFailureReason,
    offers::refund::{Refund, RefundBuilder},
    sign::{RandomBytes, ReceiveAuthKey},
};
use payonce_core::{
    Assertion, FactRefusal, MarkPaid, Msat, Opening, PartId, Remember, Status, UnixMillis, limits,
};
use payonce_ldk::{HandOver, Order, Paying, Taken, Terms};

use crate::{
    events::path_failed,
    script::{Asked, Listed, NOW, ScriptPayer, Stage, engine_id, failed, id, options, status},
};

const EXPIRY: UnixMillis = UnixMillis(NOW.0 + 3_600_000);

fn order(description: &str) -> Order {
    Order::refund(EXPIRY, description.to_owned())
}

/// What LDK would make, with this description.
fn refund(description: &str) -> Box<Refund> {
    let key = SecretKey::from_slice(&[0x21; 32]).expect("a key");
    let key = PublicKey::from_secret_key(&Secp256k1::new(), &key);
    let builder = RefundBuilder::new(vec![7; 16], key, 50_000).expect("an amount that there is");
    Box::new(builder.description(description.to_owned()).build().expect("a refund"))
}

fn give(payer: &ScriptPayer, order: &Order) -> HandOver {
    let paying = payer.pay(id(1), order, Some(Msat(50_000)), &Terms::default(), NOW);
    match paying.expect("accepted") {
        Paying::Accepted { first } => first,
        other => panic!("{other:?}"),
    }
}

/// The refund that a repeat gives.
fn again(payer: &ScriptPayer, order: &Order) -> Option<Box<Refund>> {
    match payer.pay(id(1), order, Some(Msat(50_000)), &Terms::default(), NOW).expect("a repeat") {
        Paying::Repeat { refund, .. } => refund,
        other => panic!("accepted twice: {other:?}"),
    }
}

/// LDK's events are read by another thread, and may be ahead of the call that gave it the payment.
#[test]
fn a_refund_is_kept_however_many_paths_were_reported() {
    let stage = Stage::new();
    let opening = Opening::new(Remember::Forever, 1);
    let starting = stage.open_as(&opening, options().path_reports()).expect("the log is sound");
    let (payer, _) = starting.finish(|_| Ok(()), NOW).expect("nothing refuses");
    let payer = Arc::new(payer);
    let reader = Arc::clone(&payer);
    stage.script.meanwhile(move |taken| {
        let part = PartId::from_bytes(taken.0);
        for channel in 0..limits::PAYMENT_OBSERVATIONS as u64 {
            reader.handle_event(&path_failed(&part, 1, &[channel]), NOW).expect("recorded");
        }
    });
    let (order, made) = (order("tea that was cold"), refund("tea that was cold"));
    stage.script.answer(Ok(Taken::Refund(made.clone())));
    let HandOver::Refund { part, refund } = give(&payer, &order) else { panic!("no refund") };
    assert_eq!(refund, made);
    assert_eq!(again(&payer, &order), Some(made.clone()), "its holder must find it honoured");
    drop(payer);
    stage.script.list([Listed::AwaitingInvoice(engine_id(&part))]);
    let (payer, report) = stage.start();
    assert_eq!(report.still_out, [part]);
    assert_eq!(again(&payer, &order), Some(made), "after a restart too");
}

/// What the ledger would not keep is given to nobody, and LDK is told not to wait for its invoice.
#[test]
fn a_refund_that_is_too_long_to_keep_is_given_to_nobody() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let made = refund(&"x".repeat(limits::INVOICE_REQUEST_BYTES));
    let bytes = <Refund as AsRef<[u8]>>::as_ref(&made).len();
    stage.script.answer(Ok(Taken::Refund(made)));
    let order = order("tea");
    let given = give(&payer, &order);
    let HandOver::NotKept { part, refusal } = given else { panic!("kept: {given:?}") };
    let limit = limits::INVOICE_REQUEST_BYTES;
    assert_eq!(refusal, FactRefusal::TooLong { bytes, limit });
    let asked = stage.script.take_asked();
    assert!(
        matches!(asked[..], [Asked::HandOver { .. }, Asked::Abandon(id)] if id == engine_id(&part))
    );
    assert_eq!(again(&payer, &order), None);
    // LDK says that it gave it up: the payment fails.
    let event = failed(&part, 1, PaymentFailureReason::UserAbandoned);
    payer.handle_event(&event, NOW).expect("recorded");
    assert!(matches!(status(&payer, 1), Status::Failed { .. }));
}

/// Given up on another thread while LDK made the refund.
#[test]
fn a_refund_of_a_payment_that_was_given_up_meanwhile_is_given_to_nobody() {
    let stage = Stage::new();
    let payer = Arc::new(stage.start().0);
    let user = Arc::clone(&payer);
    stage.script.meanwhile(move |_| {
        user.abandon(&id(1), NOW).expect("known");
    });
    stage.script.answer(Ok(Taken::Refund(refund("tea"))));
    let given = give(&payer, &order("tea"));
    let HandOver::NotKept { part, refusal } = given else { panic!("kept: {given:?}") };
    assert_eq!(refusal, FactRefusal::NotOpen { part });
    assert_eq!(stage.script.take_asked().last(), Some(&Asked::Abandon(engine_id(&part))));
    assert_eq!(again(&payer, &order("tea")), None);
}

/// An operator says that it is paid: the refund is given out no more, and LDK is told to stop.
#[test]
fn a_refund_of_a_payment_that_is_paid_on_a_word_is_given_out_no_more() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let (order, made) = (order("tea"), refund("tea"));
    stage.script.answer(Ok(Taken::Refund(made.clone())));
    let HandOver::Refund { part, .. } = give(&payer, &order) else { panic!("no refund") };
    assert_eq!(again(&payer, &order), Some(made));
    let word = Assertion::new("the owner", "it was paid in cash");
    payer.ledger().execute(MarkPaid::new(id(1)).asserted(word), NOW).expect("recorded");
    assert_eq!(again(&payer, &order), None);
    stage.script.take_asked();
    payer.tick(NOW).expect("well");
    assert_eq!(stage.script.take_asked(), [Asked::Abandon(engine_id(&part))]);
}

/// LDK's own refunds are far below what is kept: three blinded paths, each padded to four hops, with a context
/// longer than LDK's.
#[test]
fn a_refund_with_all_of_ldks_paths_is_far_below_the_limit() {
    let secp = Secp256k1::new();
    let key = |byte| {
        PublicKey::from_secret_key(&secp, &SecretKey::from_slice(&[byte; 32]).expect("a key"))
    };
    let entropy = RandomBytes::new([3; 32]);
    let path = |byte| {
        let first = [MessageForwardNode { node_id: key(byte), short_channel_id: None }];
        let context = MessageContext::Custom(vec![7; 80]);
        let receive = ReceiveAuthKey([5; 32]);
        let (payer, padding) = (key(9), 2);
        BlindedMessagePath::new_with_dummy_hops(
            &first, payer, padding, receive, context, &entropy, &secp,
        )
    };
    let builder = RefundBuilder::new(vec![7; 16], key(9), 50_000).expect("an amount that there is");
    let builder = builder.path(path(1)).path(path(2)).path(path(3));
    let note = builder.payer_note("x".repeat(limits::PAYER_NOTE_BYTES));
    let refund = note.description("tea that was cold".to_owned()).build().expect("a refund");
    let bytes = <Refund as AsRef<[u8]>>::as_ref(&refund).len();
    assert_eq!(
        refund.paths().iter().map(|path| path.blinded_hops().len()).collect::<Vec<_>>(),
        [4; 3]
    );
    // 2,609, of which the note is 512.
    assert!(bytes < 3_000 && 5 * bytes < limits::INVOICE_REQUEST_BYTES, "{bytes}");
}
