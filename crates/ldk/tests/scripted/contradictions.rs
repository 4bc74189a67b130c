//! What cannot be, and is told all the same: by a second process, about a hand-over that was never sent, in
//! figures that no payment has. Each has a clear answer, and nothing is lost.

use lightning::events::{Event, PaymentFailureReason};
use payonce_core::{Anomaly, Msat, NotificationKind, PartStatus, Status};
use payonce_ldk::{HandOver, Handled, PayError, Terms};

use crate::{
    script::{
        Asked, Listed, NOW, ScriptPayer, Stage, engine_hash, engine_id, failed, id, last_part,
        paid, parts, pay, sent, status,
    },
    starts::{crashed_with_one_out, pay_offer},
};

fn anomalies(payer: &ScriptPayer) -> Vec<Anomaly> {
    let anomaly = |kind: NotificationKind| match kind {
        NotificationKind::Anomaly { anomaly, .. } => Some(anomaly),
        _ => None,
    };
    let told = payer.ledger().query(|state| state.outbox().map(|told| told.kind).collect());
    let told: Vec<NotificationKind> = told.expect("well");
    told.into_iter().filter_map(anomaly).collect()
}

/// Two processes on one log, and LDK behind both: the later one has it, and the earlier one gives LDK
/// nothing more and takes no event from it.
#[test]
fn a_second_process_takes_the_ledger_and_the_first_one_gives_ldk_nothing_more() {
    let stage = Stage::new();
    let (first, _) = stage.start();
    pay(&first, 1, &Terms::default()).expect("accepted");
    let part = last_part(&first, 1);
    stage.script.list([Listed::Pending(engine_id(&part), engine_hash(1))]);
    let (second, report) = stage.start();
    assert_eq!(report.still_out, [part]);
    stage.script.take_asked();

    let told = sent(Some(&part), 1, 50_000, 1);
    let refused = pay(&first, 2, &Terms::default()).expect_err("it has the ledger no more");
    assert!(matches!(refused, PayError::Interrupted(_)), "{refused:?}");
    let kept = first.handle_event(&told, NOW).expect_err("LDK must keep the event");
    assert!(kept.to_string().contains("deliver it again"), "{kept}");
    first.abandon(&id(1), NOW).expect_err("it has the ledger no more");
    first.tick(NOW).expect_err("it has the ledger no more");
    first.hand_over(&id(1), NOW).expect_err("it has the ledger no more");
    assert_eq!(stage.script.take_asked(), [], "nothing reaches LDK");

    second.handle_event(&told, NOW).expect("recorded");
    assert_eq!(status(&second, 1), Status::Fulfilled);
    pay(&second, 2, &Terms::default()).expect("accepted");
    assert_eq!(stage.script.take_asked().len(), 1);
}

/// The start took it for never sent, and LDK says that it failed: the ledger holds that nothing is out.
#[test]
fn a_failure_of_a_part_that_was_withdrawn_changes_nothing() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    let (payer, report) = stage.start();
    assert_eq!(report.never_sent, [part]);
    let before = payer.ledger().head();
    let event = failed(&part, 1, PaymentFailureReason::RetriesExhausted);
    let handled = payer.handle_event(&event, NOW).expect("well");
    assert_eq!(handled, Handled::Unchanged { payment: Some(id(1)) });
    assert_eq!((payer.ledger().head(), status(&payer, 1)), (before, Status::Pending));
    let driven = payer.drive(NOW).expect("well");
    assert!(matches!(driven[..], [(_, HandOver::Started { .. })]), "its attempt was given back");
}

/// LDK says that it paid what the start took for never sent, after it was handed over anew: the payment is
/// paid, LDK tries nothing more for it, and somebody is told.
#[test]
fn a_claim_of_a_part_that_was_withdrawn_pays_and_stops_the_one_after_it() {
    let stage = Stage::new();
    let first = crashed_with_one_out(&stage, &Terms::default());
    let (payer, _) = stage.start();
    payer.drive(NOW).expect("well");
    let second = last_part(&payer, 1);
    assert_ne!(first, second);
    stage.script.take_asked();
    payer.handle_event(&sent(Some(&first), 1, 50_000, 3), NOW).expect("recorded");
    assert_eq!(status(&payer, 1), Status::Fulfilled);
    assert_eq!(parts(&payer, 1), [(first, PartStatus::Claimed), (second, PartStatus::InFlight)]);
    let told = anomalies(&payer);
    assert!(
        matches!(&told[..], [Anomaly::Correction { part, in_flight, .. }]
            if *part == first && in_flight.iter().eq([&second])),
        "{told:?}"
    );
    payer.tick(NOW.plus(60_000)).expect("well");
    assert_eq!(stage.script.take_asked(), [Asked::Abandon(engine_id(&second))]);
    let event = failed(&second, 1, PaymentFailureReason::UserAbandoned);
    payer.handle_event(&event, NOW).expect("recorded");
    assert_eq!(paid(&payer, 1), Some((Some(Msat(50_000)), Some(Msat(3)))));
    // Had the second one paid as well, it would be told.
    payer.handle_event(&sent(Some(&second), 1, 50_000, 4), NOW).expect("recorded");
    let told = anomalies(&payer);
    assert!(
        told.iter().any(|told| matches!(told, Anomaly::PaidTwice { part, .. } if *part == second)),
        "{told:?}"
    );
}

#[test]
fn an_engine_that_reports_nothing_paid_is_not_believed() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default()).expect("accepted");
    payer.handle_event(&sent(Some(&last_part(&payer, 1)), 1, 0, 0), NOW).expect("recorded");
    assert_eq!(paid(&payer, 1), Some((Some(Msat(50_000)), None)), "the invoice says it");
    // Of an offer nobody else says it: then it is not known, which is not nothing.
    pay_offer(&payer, 2).expect("accepted");
    payer.handle_event(&sent(Some(&last_part(&payer, 2)), 2, 0, 0), NOW).expect("recorded");
    assert_eq!(status(&payer, 2), Status::Fulfilled);
    assert_eq!(paid(&payer, 2), Some((None, None)));
    // Nor is it where nothing is said at all.
    pay(&payer, 3, &Terms::default()).expect("accepted");
    let mut silent = sent(Some(&last_part(&payer, 3)), 3, 0, 0);
    let Event::PaymentSent { amount_msat, fee_paid_msat, .. } = &mut silent else { panic!("sent") };
    (*amount_msat, *fee_paid_msat) = (None, None);
    payer.handle_event(&silent, NOW).expect("recorded");
    assert_eq!(paid(&payer, 3), Some((Some(Msat(50_000)), None)));
    assert_eq!(anomalies(&payer), []);
}

/// Money that has left is booked as it left, and somebody is told.
#[test]
fn an_engine_that_reports_more_than_asked_is_booked_and_told() {
    for (amount, fee) in [(60_000, 5), (50_000, 11), (u64::MAX, u64::MAX)] {
        let stage = Stage::new();
        let (payer, _) = stage.start();
        pay(&payer, 1, &Terms::default().max_fee(Msat(10))).expect("accepted");
        let part = last_part(&payer, 1);
        let handled = payer.handle_event(&sent(Some(&part), 1, amount, fee), NOW);
        assert_eq!(handled.expect("recorded"), Handled::Recorded { payment: Some(id(1)) });
        assert_eq!(status(&payer, 1), Status::Fulfilled, "{amount} + {fee}");
        let told = anomalies(&payer);
        let spent =
            |told: &Anomaly| matches!(told, Anomaly::SpentMore { part: of, .. } if *of == part);
        assert!(told.iter().any(spent), "{amount} + {fee}: {told:?}");
        if amount < u64::MAX {
            assert_eq!(paid(&payer, 1), Some((Some(Msat(amount)), Some(Msat(fee)))));
        }
        // And the ledger opens again.
        drop(payer);
        let (payer, _) = stage.start();
        assert_eq!(status(&payer, 1), Status::Fulfilled);
    }
}
