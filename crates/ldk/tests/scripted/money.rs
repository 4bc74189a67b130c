//! Money and books: nothing paid twice, nothing told that is not known.

use lightning::events::PaymentFailureReason;
use payonce_core::{FailureReason, Msat, PartStatus, RetryPolicy, Status};
use payonce_ldk::{EngineRefusal, PayError, Paying, Taken, Terms};
use payonce_store_memory::Failure;

use crate::script::{
    Asked, Listed, NOW, Stage, engine_hash, engine_id, failed, id, last_part, paid, parts, pay,
    sent, status,
};

/// LDK rebuilds what it knows of a payment from its monitors, path by path, and takes the first path's
/// amount for the whole. Of an invoice of ours the ledger knows better.
#[test]
fn an_amount_below_the_invoices_is_one_path_of_it() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default()).expect("accepted");
    let part = last_part(&payer, 1);
    payer.handle_event(&sent(Some(&part), 1, 20_000, 3), NOW).expect("recorded");
    assert_eq!(
        paid(&payer, 1),
        Some((Some(Msat(50_000)), None)),
        "the fee is that of one path too"
    );
    assert_eq!(status(&payer, 1), Status::Fulfilled);
}

#[test]
fn what_payonce_gave_up_itself_is_no_wish_of_the_user() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let terms = Terms::default().retry(RetryPolicy::Attempts(3));
    pay(&payer, 1, &terms).expect("accepted");
    let first = last_part(&payer, 1);
    let event = failed(&first, 1, PaymentFailureReason::RetriesExhausted);
    payer.handle_event(&event, NOW).expect("recorded");
    payer.tick(NOW.plus(60_000)).expect("well");
    let second = last_part(&payer, 1);
    assert_ne!(first, second);
    drop(payer);
    // An older manager has the first one still: it is out again, and LDK is told to give it up.
    let listed = |part| Listed::Pending(engine_id(part), engine_hash(1));
    stage.script.take_asked();
    stage.script.list([listed(&first), listed(&second)]);
    let (payer, report) = stage.start();
    assert_eq!(report.adopted, [first]);
    assert_eq!(stage.script.take_asked(), [Asked::Abandon(engine_id(&first))]);
    stage.script.list([listed(&second)]);
    let event = failed(&first, 1, PaymentFailureReason::UserAbandoned);
    payer.handle_event(&event, NOW).expect("recorded");
    assert_eq!(parts(&payer, 1), [(first, PartStatus::Failed), (second, PartStatus::InFlight)]);
    assert_eq!(status(&payer, 1), Status::Pending, "nobody gave the payment up");
    // Nor does it end with its last hand-over, as long as another may follow.
    stage.script.list([]);
    let event = failed(&second, 1, PaymentFailureReason::UserAbandoned);
    payer.handle_event(&event, NOW).expect("recorded");
    assert_eq!(status(&payer, 1), Status::Pending);
    assert_eq!(payer.drive(NOW.plus(120_000)).expect("well").len(), 1);
}

/// The newer hand-over is the last that is allowed: it may end by itself, whatever the older one comes to.
#[test]
fn the_last_hand_over_is_not_given_up_with_an_older_one() {
    for reason in [PaymentFailureReason::UserAbandoned, PaymentFailureReason::PaymentExpired] {
        let stage = Stage::new();
        let (payer, _) = stage.start();
        let terms = Terms::default().retry(RetryPolicy::Attempts(1));
        pay(&payer, 1, &terms).expect("accepted");
        let first = last_part(&payer, 1);
        let event = failed(&first, 1, PaymentFailureReason::RouteNotFound);
        payer.handle_event(&event, NOW).expect("recorded");
        payer.tick(NOW.plus(60_000)).expect("well");
        let second = last_part(&payer, 1);
        drop(payer);
        let listed = |part| Listed::Pending(engine_id(part), engine_hash(1));
        stage.script.list([listed(&first), listed(&second)]);
        let (payer, _) = stage.start();
        stage.script.list([listed(&second)]);
        payer.handle_event(&failed(&first, 1, reason), NOW).expect("recorded");
        stage.script.take_asked();
        payer.tick(NOW.plus(120_000)).expect("well");
        assert_eq!(stage.script.take_asked(), [], "{reason:?}: the second one goes on");
        drop(payer);
        let (payer, _) = stage.start();
        assert_eq!(stage.script.take_asked(), [], "{reason:?}: after a start too");
        payer.handle_event(&sent(Some(&second), 1, 50_000, 1), NOW).expect("recorded");
        assert_eq!(status(&payer, 1), Status::Fulfilled);
    }
}

#[test]
fn the_users_own_wish_ends_the_payment() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let terms = Terms::default().retry(RetryPolicy::Attempts(3));
    pay(&payer, 1, &terms).expect("accepted");
    let part = last_part(&payer, 1);
    payer.abandon(&id(1), NOW).expect("known");
    let event = failed(&part, 1, PaymentFailureReason::UserAbandoned);
    payer.handle_event(&event, NOW).expect("recorded");
    assert_eq!(status(&payer, 1), Status::Failed { reason: FailureReason::UserAbandoned });
    assert_eq!(payer.drive(NOW.plus(60_000)).expect("well"), []);
}

/// The store fails at each of its writes, before and after it took effect. LDK may have the payment: no
/// answer says that it has not.
#[test]
fn a_store_that_fails_leaves_an_outcome_that_is_unknown_and_says_so() {
    let answers = [Ok(Taken::Now), Err(EngineRefusal::RouteNotFound)];
    for answer in answers {
        for failure in [Failure::BeforeEffect, Failure::AfterEffect] {
            for write in 1..=4 {
                let stage = Stage::new();
                let (payer, _) = stage.start();
                stage.script.answer(answer.clone());
                stage.disk.fail_nth(write, failure);
                match pay(&payer, 1, &Terms::default()) {
                    Ok(paying) => assert!(matches!(paying, Paying::Accepted { .. })),
                    Err(error) => {
                        assert!(matches!(error, PayError::Interrupted(_)), "{error:?}");
                        let text = error.to_string();
                        assert!(text.contains("not known"), "{text}");
                        assert!(!text.contains("nothing"), "{text}");
                    }
                }
            }
        }
    }
}
