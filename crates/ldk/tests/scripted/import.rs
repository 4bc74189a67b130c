//! A table of another program: what it says is in the ledger after, and nobody is told of what is over.

use lightning::bitcoin::Network;
use payonce_core::{
    FailureReason, Listing, Msat, Opening, PartStatus, PayRefusal, Preimage, Refusal, Remember,
    Settlement, Status, StatusKind, UnixMillis,
};
use payonce_ldk::{
    ImportRefusal, ImportReport, PastOrder, PastOutcome, PastPayment, PayError, Paying, Terms,
    import,
};

use crate::script::{
    Asked, Listed, NOW, ScriptPayer, Stage, engine_hash, engine_id, failed, hash, id, invoice,
    paid, parts, pay, secret, sent, status,
};

const BEFORE: UnixMillis = UnixMillis(NOW.0 - 86_400_000);
const PART: fn(u8) -> payonce_core::PartId =
    |number| payonce_core::PartId::from_bytes([number; 32]);

const fn settlement(amount: u64, fee: u64) -> Settlement {
    Settlement { amount: Some(Msat(amount)), fee: Some(Msat(fee)) }
}

fn past(number: u8, outcome: PastOutcome) -> PastPayment {
    let (order, terms) = (invoice(number), Terms::default());
    let order = PastOrder::Order { order, amount: None, terms };
    let engine_id = engine_id(&PART(number));
    PastPayment { id: id(number), engine_id, at: BEFORE, order, outcome }
}

fn by_hash(number: u8, outcome: PastOutcome) -> PastPayment {
    let order = PastOrder::Invoice { payment_hash: hash(number), amount: Msat(50_000) };
    PastPayment { order, ..past(number, outcome) }
}

fn was_paid(number: u8) -> PastOutcome {
    let settlement = settlement(50_000, 7);
    PastOutcome::Paid { preimage: Some(secret(number)), payment_hash: None, settlement }
}

fn was_paid_without_proof() -> PastOutcome {
    PastOutcome::Paid { preimage: None, payment_hash: None, settlement: settlement(50_000, 7) }
}

const FAILED: PastOutcome = PastOutcome::Failed { reason: FailureReason::RouteNotFound };

fn import_into(stage: &Stage, table: Vec<PastPayment>) -> ImportReport {
    let opening = Opening::new(Remember::Forever, 1);
    import(stage.disk.open(), &opening, Network::Regtest, table, NOW).expect("the store is well")
}

fn unread(payer: &ScriptPayer) -> usize {
    payer.ledger().query(|state| state.outbox().count()).expect("well")
}

fn preimage(payer: &ScriptPayer, number: u8) -> Option<Preimage> {
    let view = payer.payment_view(&id(number)).expect("well").expect("known");
    view.paid.and_then(|paid| paid.preimage)
}

#[test]
fn what_is_over_is_history_and_no_news() {
    let stage = Stage::new();
    let table = vec![
        past(1, was_paid(1)),
        past(2, FAILED),
        past(3, was_paid_without_proof()),
        by_hash(4, FAILED),
        by_hash(5, was_paid(5)),
    ];
    let report = import_into(&stage, table.clone());
    assert_eq!((report.imported, report.known, &report.refused[..]), (5, 0, &[][..]));
    let (payer, start) = stage.start();
    assert_eq!((unread(&payer), start.restored), (0, false));
    assert_eq!(paid(&payer, 1), Some((Some(Msat(50_000)), Some(Msat(7)))));
    assert_eq!((preimage(&payer, 1), preimage(&payer, 3)), (Some(secret(1)), None));
    assert_eq!(status(&payer, 2), Status::Failed { reason: FailureReason::RouteNotFound });
    assert_eq!((status(&payer, 3), status(&payer, 5)), (Status::Fulfilled, Status::Fulfilled));

    // A repeat is answered and sends nothing; a new id for a paid invoice is refused.
    for number in 1..=3 {
        let again = pay(&payer, number, &Terms::default()).expect("a repeat");
        assert!(matches!(again, Paying::Repeat { .. }), "{number}");
    }
    let refused =
        pay(&payer, 5, &Terms::default()).expect_err("nobody knows whether it is the same");
    assert!(matches!(refused, PayError::Refused(PayRefusal::Conflict { .. })), "{refused}");
    let refused = payer.pay(id(9), &invoice(1), None, &Terms::default(), NOW).expect_err("paid");
    assert!(matches!(refused, PayError::Refused(PayRefusal::HashInUse { .. })), "{refused}");
    assert_eq!(stage.script.take_asked(), []);

    let page = payer.list(&Listing::new(10).oldest_first()).expect("well");
    assert_eq!(page.payments.len(), 5);
    assert!(page.payments.iter().all(|listed| listed.accepted_at == BEFORE));

    // All of it again: it is there once.
    drop(payer);
    let report = import_into(&stage, table);
    assert_eq!((report.imported, report.known, &report.refused[..]), (0, 5, &[][..]));
    let (payer, _) = stage.start();
    assert_eq!((unread(&payer), paid(&payer, 1)), (0, Some((Some(Msat(50_000)), Some(Msat(7))))));
}

#[test]
fn what_is_pending_ends_by_what_ldk_says() {
    let stage = Stage::new();
    let table = (1..=4).map(|number| past(number, PastOutcome::Pending)).collect();
    assert_eq!(import_into(&stage, table).imported, 4);
    // LDK lists one, has the end of two to tell, and knows nothing of the last.
    stage.script.list([Listed::Pending(engine_id(&PART(1)), engine_hash(1))]);
    stage.script.queue(sent(Some(&PART(2)), 2, 50_000, 3));
    stage.script.queue(failed(
        &PART(3),
        3,
        lightning::events::PaymentFailureReason::RetriesExhausted,
    ));
    let (payer, start) = stage.start();
    assert_eq!((start.still_out, start.unanswered), (vec![PART(1)], vec![PART(4)]));
    assert_eq!((start.never_sent, start.restored), (vec![], false));
    assert_eq!(status(&payer, 1), Status::Pending);
    assert_eq!(paid(&payer, 2), Some((Some(Msat(50_000)), Some(Msat(3)))));
    assert_eq!(status(&payer, 3).kind(), StatusKind::Failed);
    assert_eq!(unread(&payer), 2 + 2, "what ends now is news: the payment's end and its part's");

    // Nobody knows whether the old table missed its end: it is handed over by nobody.
    assert_eq!(parts(&payer, 4), [(PART(4), PartStatus::InFlight)]);
    assert_eq!(payer.drive(NOW.plus(3_000_000)).expect("well"), []);
    assert!(matches!(pay(&payer, 4, &Terms::default()), Ok(Paying::Repeat { .. })));
    let asked = stage.script.take_asked();
    assert!(!asked.iter().any(|asked| matches!(asked, Asked::HandOver { .. })), "{asked:?}");
    // Its proof comes after all.
    payer.handle_event(&sent(Some(&PART(4)), 4, 50_000, 0), NOW).expect("well");
    assert_eq!(status(&payer, 4), Status::Fulfilled);
}

#[test]
fn what_cannot_be_told_is_in_the_report_and_the_rest_is_told() {
    let stage = Stage::new();
    let twice = PastPayment { id: id(8), engine_id: engine_id(&PART(8)), ..past(1, FAILED) };
    let nothing = PastPayment {
        order: PastOrder::Invoice { payment_hash: hash(3), amount: Msat(0) },
        ..past(3, FAILED)
    };
    // The failed one stands before the one that paid the same invoice.
    let report = import_into(&stage, vec![twice, nothing, past(1, was_paid(1)), past(2, FAILED)]);
    assert_eq!(report.imported, 2);
    let refused: Vec<_> = report.refused.iter().map(|(id, _)| *id).collect();
    assert_eq!(refused, [id(8), id(3)]);
    assert!(matches!(
        report.refused[0].1,
        ImportRefusal::Ledger(Refusal::Pay(PayRefusal::HashInUse { .. }))
    ));
    assert!(matches!(
        report.refused[1].1,
        ImportRefusal::Ledger(Refusal::Pay(PayRefusal::ZeroAmount))
    ));
    let (payer, _) = stage.start();
    assert_eq!((status(&payer, 1), unread(&payer)), (Status::Fulfilled, 0));
}

#[test]
fn an_import_that_is_repeated_on_a_running_ledger_hides_no_news_of_it() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default()).expect("accepted");
    let part = crate::script::last_part(&payer, 1);
    payer.handle_event(&sent(Some(&part), 1, 50_000, 0), NOW).expect("well");
    let before = unread(&payer);
    assert!(before > 0);
    drop(payer);
    import_into(&stage, vec![past(1, was_paid(1))]);
    // The start adds that the part is off its channel.
    assert_eq!(unread(&stage.start().0), before + 1);
}
