//! What is given to the engine, and what its answers come to.

use lightning::{
    events::PaymentFailureReason, ln::channelmanager::PaymentId as EngineId,
    offers::parse::Bolt12SemanticError,
};
use payonce_core::{
    FailureReason, Listing, Msat, PartStatus, PayRefusal, RetryPolicy, Status, StatusKind,
    UnixMillis,
};
use payonce_ldk::{EngineRefusal, HandOver, Order, PayError, Paying, Taken, Terms};

use crate::script::{
    Asked, NOW, Stage, failed, failed_as, id, invoice, last_part, paid, parts, pay, sent, status,
};

const TWICE: RetryPolicy = RetryPolicy::Attempts(1);

#[test]
fn a_repeat_never_reaches_the_engine() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let terms = Terms::default();
    let first = pay(&payer, 1, &terms).expect("accepted");
    let part = last_part(&payer, 1);
    assert_eq!(first, Paying::Accepted { first: HandOver::Started { part } });
    let id_at_engine = EngineId(*part.as_bytes());
    let asked = Asked::HandOver { id: id_at_engine, amount_msat: 50_000, max_fee_msat: None };
    assert_eq!(stage.script.take_asked(), [asked]);

    assert!(matches!(
        pay(&payer, 1, &terms).expect("a repeat"),
        Paying::Repeat { view, refund: None } if view.status == Status::Pending
    ));
    payer.handle_event(&sent(Some(&part), 1, 50_000, 7), NOW).expect("recorded");
    let Paying::Repeat { view, .. } = pay(&payer, 1, &terms).expect("a repeat") else {
        panic!("paid twice");
    };
    let paid = view.paid.expect("it is paid");
    assert_eq!((paid.amount, paid.fee), (Some(Msat(50_000)), Some(Msat(7))));
    assert_eq!(paid.preimage, Some(crate::script::secret(1)));
    assert_eq!(stage.script.take_asked(), []);
}

/// What a node's own table was for: the history, and what each payment was.
#[test]
fn payments_are_listed_with_their_orders() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    for number in 1..=3 {
        pay(&payer, number, &Terms::default().metadata([number])).expect("accepted");
    }
    let part = last_part(&payer, 1);
    payer.handle_event(&sent(Some(&part), 1, 50_000, 7), NOW).expect("recorded");
    let first = payer.list(&Listing::new(2)).expect("a page");
    let rest = payer.list(&Listing::new(2).after(first.next.expect("more"))).expect("a page");
    let listed: Vec<_> = first.payments.iter().chain(&rest.payments).collect();
    let ids: Vec<_> = listed.iter().map(|payment| payment.view.id).collect();
    assert_eq!(ids, [id(3), id(2), id(1)], "the newest first");
    for (payment, number) in listed.into_iter().zip([3, 2, 1]) {
        let request = payment.request.as_ref().expect("known");
        assert_eq!(Order::of_request(request), Ok(crate::script::invoice(number)));
        assert_eq!(request.metadata.as_bytes(), [number]);
    }
    let paid = payer.list(&Listing::new(9).statuses([StatusKind::Fulfilled])).expect("a page");
    assert_eq!(paid.payments.len(), 1);
}

#[test]
fn an_id_is_fresh_for_every_hand_over() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default().retry(TWICE)).expect("accepted");
    let first = last_part(&payer, 1);
    let reason = PaymentFailureReason::RetriesExhausted;
    payer.handle_event(&failed(&first, 1, reason), NOW).expect("recorded");
    assert_eq!(status(&payer, 1), Status::Pending);
    assert_eq!(stage.script.take_asked().len(), 1, "an event gives nothing to the engine");

    assert_eq!(payer.tick(NOW).expect("well").driven, [], "it rests for a second");
    let ticked = payer.tick(NOW.plus(1_000)).expect("well");
    let second = last_part(&payer, 1);
    assert_eq!(ticked.driven, [(id(1), HandOver::Started { part: second })]);
    assert_ne!(first, second);
    assert_eq!(parts(&payer, 1), [(first, PartStatus::Failed), (second, PartStatus::InFlight)]);

    // Told again after the next hand-over, it still names the first one.
    payer.handle_event(&failed(&first, 1, reason), NOW).expect("recorded");
    assert_eq!(parts(&payer, 1), [(first, PartStatus::Failed), (second, PartStatus::InFlight)]);
    assert_eq!(status(&payer, 1), Status::Pending);

    payer.handle_event(&failed(&second, 1, reason), NOW).expect("recorded");
    let reason = FailureReason::RetriesExhausted;
    assert_eq!(status(&payer, 1), Status::Failed { reason });
}

#[test]
fn an_engine_that_knows_a_fresh_id_already_has_it() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    stage.script.answer(Ok(Taken::Before));
    pay(&payer, 1, &Terms::default()).expect("accepted");
    assert_eq!(parts(&payer, 1)[0].1, PartStatus::InFlight);
}

#[test]
fn an_error_of_the_call_fails_the_part_and_leaves_its_reason() {
    let cases = [
        (EngineRefusal::RouteNotFound, FailureReason::RouteNotFound),
        (EngineRefusal::Expired, FailureReason::PaymentExpired),
        (EngineRefusal::OnionTooLarge, FailureReason::UnexpectedError),
        (EngineRefusal::InvalidAmount, FailureReason::UnexpectedError),
        (
            EngineRefusal::Bolt12(Bolt12SemanticError::UnsupportedChain),
            FailureReason::UnexpectedError,
        ),
    ];
    for (number, (refusal, reason)) in (1..).zip(cases) {
        let stage = Stage::new();
        let (payer, _) = stage.start();
        stage.script.answer(Err(refusal.clone()));
        let paying = pay(&payer, number, &Terms::default()).expect("accepted");
        let part = last_part(&payer, number);
        let first = HandOver::Refused { part, refusal };
        assert_eq!(paying, Paying::Accepted { first });
        assert_eq!(status(&payer, number), Status::Failed { reason });
    }
}

#[test]
fn a_refusal_that_may_pass_is_tried_again_at_the_next_tick_and_not_before() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    for _ in 0..2 {
        stage.script.answer(Err(EngineRefusal::RouteNotFound));
    }
    let day = RetryPolicy::Until(86_400_000);
    pay(&payer, 1, &Terms::default().retry(day)).expect("accepted");
    assert_eq!(stage.script.take_asked().len(), 1);
    payer.tick(NOW.plus(60_000)).expect("well");
    assert_eq!(stage.script.take_asked().len(), 1);
    payer.tick(NOW.plus(120_000)).expect("well");
    assert_eq!(stage.script.take_asked().len(), 1);
    assert_eq!(parts(&payer, 1).len(), 3);
    // One that cannot pass is not, whatever the policy.
    stage.script.answer(Err(EngineRefusal::Expired));
    pay(&payer, 2, &Terms::default().retry(day)).expect("accepted");
    assert_eq!(status(&payer, 2), Status::Failed { reason: FailureReason::PaymentExpired });
}

/// Whether the time for retries is over is the ledger's to say, by more than one reading.
#[test]
fn one_wrong_reading_of_the_clock_gives_nothing_up() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let day = 86_400_000;
    pay(&payer, 1, &Terms::default().retry(RetryPolicy::Until(day))).expect("accepted");
    payer.tick(NOW).expect("well");
    let event = failed(&last_part(&payer, 1), 1, PaymentFailureReason::RouteNotFound);
    payer.handle_event(&event, NOW.plus(2 * day)).expect("recorded");
    assert_eq!(status(&payer, 1), Status::Pending);
    // Its rest, which began at that reading, is over by ticks.
    let ticks = (1..=3).map(|minute| payer.tick(NOW.plus(minute * 60_000)).expect("well"));
    let driven: Vec<_> = ticks.flat_map(|ticked| ticked.driven).collect();
    assert!(matches!(driven[..], [(_, HandOver::Started { .. })]), "{driven:?}");
    // Two readings that agree are believed.
    payer
        .handle_event(&failed(&last_part(&payer, 1), 1, PaymentFailureReason::RouteNotFound), NOW)
        .expect("recorded");
    for minute in 0..2 {
        payer.tick(NOW.plus(2 * day + minute * 60_000)).expect("well");
    }
    assert!(matches!(status(&payer, 1), Status::Failed { .. }));
}

#[test]
fn the_fee_budget_reaches_the_engine() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default().max_fee(Msat(123))).expect("accepted");
    let asked = stage.script.take_asked();
    assert!(matches!(asked[..], [Asked::HandOver { max_fee_msat: Some(123), .. }]));
}

#[test]
fn by_hand_only_the_caller_hands_over_again() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default().retry(RetryPolicy::Manual)).expect("accepted");
    let first = last_part(&payer, 1);
    let reason = PaymentFailureReason::RouteNotFound;
    payer.handle_event(&failed(&first, 1, reason), NOW).expect("recorded");
    assert_eq!(payer.tick(NOW.plus(60_000)).expect("well").driven, []);
    assert!(matches!(payer.hand_over(&id(1), NOW), Ok(HandOver::Started { .. })));
    assert_eq!(parts(&payer, 1).len(), 2);
    // Nothing is missing while that is out.
    assert!(matches!(payer.hand_over(&id(1), NOW), Ok(HandOver::NotAdmitted { .. })));
    assert_eq!(payer.hand_over(&id(9), NOW).expect("well"), HandOver::Over);
}

#[test]
fn what_was_accepted_and_not_handed_over_is_due_after_a_start() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let (terms, network) = (Terms::default().retry(TWICE), lightning::bitcoin::Network::Regtest);
    let request = invoice(1).request(None, &terms, network).expect("an order");
    payer.ledger().execute(payonce_core::Pay::new(id(1), request), NOW).expect("accepted");
    drop(payer);
    let (payer, _) = stage.start();
    assert_eq!(stage.script.take_asked(), []);
    let driven = payer.drive(NOW).expect("well");
    assert!(matches!(driven[..], [(_, HandOver::Started { .. })]));
    assert_eq!(stage.script.take_asked().len(), 1);
}

#[test]
fn a_failed_id_is_tried_anew_only_after_the_failure_that_it_names() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default()).expect("accepted");
    let first = last_part(&payer, 1);
    let reason = PaymentFailureReason::RouteNotFound;
    payer.handle_event(&failed(&first, 1, reason), NOW).expect("recorded");
    assert!(matches!(pay(&payer, 1, &Terms::default()), Ok(Paying::Repeat { .. })));
    let failure = failed_as(&payer, 1).expect("it failed");
    let again = Terms::default().again_after(failure);
    assert!(matches!(pay(&payer, 1, &again), Ok(Paying::Accepted { .. })));
    let second = last_part(&payer, 1);

    // The failure of the earlier try, replayed, and then the claim of the later one.
    payer.handle_event(&failed(&first, 1, reason), NOW).expect("recorded");
    assert_eq!(parts(&payer, 1), [(second, PartStatus::InFlight)]);
    payer.handle_event(&sent(Some(&second), 1, 50_000, 3), NOW).expect("recorded");
    assert_eq!(paid(&payer, 1), Some((Some(Msat(50_000)), Some(Msat(3)))));
}

#[test]
fn abandoning_is_told_to_the_engine_again_until_it_is_heard() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default().retry(TWICE)).expect("accepted");
    let part = EngineId(*last_part(&payer, 1).as_bytes());
    stage.script.take_asked();
    let abandoned = Status::Abandoned { reason: FailureReason::UserAbandoned };
    assert_eq!(payer.abandon(&id(1), NOW).expect("known").status, abandoned);
    assert_eq!(stage.script.take_asked(), [Asked::Abandon(part)]);
    payer.tick(NOW).expect("well");
    assert_eq!(stage.script.take_asked(), [Asked::Abandon(part)]);
    let reason = PaymentFailureReason::UserAbandoned;
    let part = last_part(&payer, 1);
    payer.handle_event(&failed(&part, 1, reason), NOW).expect("recorded");
    assert_eq!(status(&payer, 1), Status::Failed { reason: FailureReason::UserAbandoned });
    payer.tick(NOW).expect("well");
    assert_eq!(stage.script.take_asked(), []);
    assert!(payer.abandon(&id(9), NOW).is_err());
}

#[test]
fn a_claimed_part_is_final_when_the_engine_forgets_it() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default()).expect("accepted");
    let part = last_part(&payer, 1);
    payer.handle_event(&sent(Some(&part), 1, 50_000, 0), NOW).expect("recorded");
    let listed = crate::script::Listed::Fulfilled(EngineId(*part.as_bytes()), None);
    stage.script.list([listed]);
    assert_eq!(payer.tick(NOW).expect("well").finalized, 0);
    assert_eq!(parts(&payer, 1), [(part, PartStatus::Claimed)]);
    stage.script.list([]);
    assert_eq!(payer.tick(NOW).expect("well").finalized, 1);
    assert_eq!(parts(&payer, 1), [(part, PartStatus::Finalized)]);
    assert_eq!(payer.tick(NOW).expect("well").finalized, 0);
}

#[test]
fn an_expired_invoice_that_is_paid_is_answered_paid() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let later = UnixMillis(NOW.0 + 3_600_001);
    let terms = Terms::default();
    let refused = payer.pay(id(2), &invoice(2), None, &terms, later).expect_err("it has expired");
    assert!(matches!(refused, PayError::Refused(PayRefusal::Expired { .. })));
    pay(&payer, 1, &terms).expect("accepted");
    let part = last_part(&payer, 1);
    payer.handle_event(&sent(Some(&part), 1, 50_000, 0), NOW).expect("recorded");
    let repeat = payer.pay(id(1), &invoice(1), None, &terms, later).expect("a repeat");
    assert!(matches!(repeat, Paying::Repeat { view, .. } if view.paid.is_some()));
}
