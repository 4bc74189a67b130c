//! Events: replayed, late, unknown, without an id, and when the store fails.

use lightning::{
    bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey},
    events::{Event, PathFailure, PaymentFailureReason},
    ln::{channelmanager::PaymentId as EngineId, types::ChannelId},
    routing::router::{Path, RouteHop},
    types::features::{ChannelFeatures, NodeFeatures},
};
use payonce_core::{
    Anomaly, FailureReason, HashHolder, Msat, NotificationKind, Opening, PartId, PartStatus,
    PayRefusal, PaymentId, Remember, ShortChannelId, Status, limits,
};
use payonce_ldk::{Handled, Options, PathReport, PayError, Terms};
use payonce_store_memory::Failure;

use crate::script::{
    Listed, NOW, ScriptPayer, Stage, engine_hash, engine_id, failed, failed_as, hash, id, invoice,
    last_part, options, paid, parts, pay, secret, sent, status,
};

fn path(channels: &[u64]) -> Path {
    let key = SecretKey::from_slice(&[9; 32]).expect("a key");
    let hop = |channel: &u64| RouteHop {
        pubkey: PublicKey::from_secret_key(&Secp256k1::new(), &key),
        node_features: NodeFeatures::empty(),
        short_channel_id: *channel,
        channel_features: ChannelFeatures::empty(),
        fee_msat: 100 * channel,
        cltv_expiry_delta: 40,
        maybe_announced_channel: true,
    };
    Path { hops: channels.iter().map(hop).collect(), blinded_tail: None }
}

pub(crate) fn path_failed(part: &PartId, number: u8, channels: &[u64]) -> Event {
    Event::PaymentPathFailed {
        payment_id: Some(engine_id(part)),
        payment_hash: engine_hash(number),
        payment_failed_permanently: false,
        failure: PathFailure::OnPath { network_update: None },
        path: path(channels),
        short_channel_id: channels.last().copied(),
        error_code: None,
        error_data: None,
        hold_times: vec![3, 1],
    }
}

fn path_successful(part: &PartId, number: u8, channels: &[u64]) -> Event {
    Event::PaymentPathSuccessful {
        payment_id: engine_id(part),
        payment_hash: Some(engine_hash(number)),
        path: path(channels),
        hold_times: vec![2],
    }
}

fn one_out(stage: &Stage) -> (ScriptPayer, PartId) {
    one_out_with(stage, options().path_reports())
}

fn one_out_with(stage: &Stage, options: Options) -> (ScriptPayer, PartId) {
    let starting = stage.open_as(&Opening::new(Remember::Forever, 1), options).expect("sound");
    let (payer, _) = starting.finish(|_| Ok(()), NOW).expect("nothing refuses");
    pay(&payer, 1, &Terms::default()).expect("accepted");
    let part = last_part(&payer, 1);
    (payer, part)
}

#[test]
fn events_of_other_matters_are_passed_over() {
    let stage = Stage::new();
    let (payer, _) = one_out(&stage);
    let event = Event::ConnectionNeeded { node_id: path(&[1]).hops[0].pubkey, addresses: vec![] };
    let before = payer.ledger().head();
    assert_eq!(payer.handle_event(&event, NOW).expect("well"), Handled::NotOurs);
    assert_eq!(payer.ledger().head(), before);
}

#[test]
fn paths_are_observations_and_change_no_status() {
    let stage = Stage::new();
    let (payer, part) = one_out(&stage);
    let events = [path_failed(&part, 1, &[1, 2, 3]), path_successful(&part, 1, &[4, 5])];
    for event in &events {
        let handled = payer.handle_event(event, NOW).expect("recorded");
        assert_eq!(handled, Handled::Recorded { payment: Some(id(1)) });
    }
    assert_eq!(parts(&payer, 1), [(part, PartStatus::InFlight)]);
    let before = payer.ledger().head();
    for event in &events {
        let handled = payer.handle_event(event, NOW).expect("known");
        assert_eq!(handled, Handled::Unchanged { payment: Some(id(1)) });
    }
    assert_eq!(payer.ledger().head(), before, "replays record nothing");

    let reports: Vec<PathReport> = payer
        .ledger()
        .query(|state| {
            let payment = state.payment(&id(1)).expect("known");
            payment.observations().iter().filter_map(PathReport::of).collect()
        })
        .expect("well");
    let [failed, succeeded] = &reports[..] else { panic!("two were told: {reports:?}") };
    assert!(!failed.succeeded && succeeded.succeeded);
    // Hops take 100 msat a number of their channel; the last one's is what arrives.
    assert_eq!((failed.amount, failed.fee), (Msat(300), Msat(300)));
    assert_eq!(failed.failed_channel, Some(ShortChannelId(3)));
    assert_eq!(failed.channels, [1, 2, 3].map(ShortChannelId));
    assert_eq!(failed.hold_times, [3, 1]);
    assert_eq!((succeeded.amount, succeeded.fee), (Msat(500), Msat(400)));
    assert_eq!(succeeded.hold_times, [2]);
    assert_eq!(succeeded.failed_channel, None);
}

#[test]
fn paths_cost_nothing_unless_they_are_asked_for() {
    let stage = Stage::new();
    let (payer, part) = one_out_with(&stage, options());
    let before = payer.ledger().head();
    for event in [path_failed(&part, 1, &[1, 2, 3]), path_successful(&part, 1, &[4, 5])] {
        let handled = payer.handle_event(&event, NOW).expect("passed over");
        assert_eq!(handled, Handled::Unchanged { payment: Some(id(1)) });
    }
    assert_eq!(payer.ledger().head(), before);
}

#[test]
fn more_paths_than_are_kept_are_refused_and_not_replayed() {
    let stage = Stage::new();
    let (payer, part) = one_out(&stage);
    for channel in 0..limits::PAYMENT_OBSERVATIONS as u64 {
        let handled =
            payer.handle_event(&path_failed(&part, 1, &[channel]), NOW).expect("recorded");
        assert!(matches!(handled, Handled::Recorded { .. }));
    }
    let handled = payer.handle_event(&path_failed(&part, 1, &[999]), NOW).expect("not the store's");
    assert!(matches!(handled, Handled::Refused { .. }));
    payer.handle_event(&sent(Some(&part), 1, 50_000, 1), NOW).expect("recorded");
    assert_eq!(status(&payer, 1), Status::Fulfilled);
}

#[test]
fn a_failure_after_the_claim_is_ignored() {
    let stage = Stage::new();
    let (payer, part) = one_out(&stage);
    payer.handle_event(&sent(Some(&part), 1, 50_000, 9), NOW).expect("recorded");
    let reason = PaymentFailureReason::RetriesExhausted;
    for fate in [PartStatus::Claimed, PartStatus::Finalized] {
        let before = payer.ledger().head();
        let handled = payer.handle_event(&failed(&part, 1, reason), NOW).expect("ignored");
        assert_eq!(handled, Handled::Unchanged { payment: Some(id(1)) });
        assert_eq!(payer.ledger().head(), before);
        assert_eq!(parts(&payer, 1), [(part, fate)]);
        payer.tick(NOW).expect("well");
    }
    assert_eq!(paid(&payer, 1), Some((Some(Msat(50_000)), Some(Msat(9)))));
}

#[test]
fn a_claim_after_the_failure_corrects_it() {
    let stage = Stage::new();
    let (payer, part) = one_out(&stage);
    payer.handle_event(&failed(&part, 1, PaymentFailureReason::RouteNotFound), NOW).expect("ok");
    assert_eq!(status(&payer, 1), Status::Failed { reason: FailureReason::RouteNotFound });
    payer.handle_event(&sent(Some(&part), 1, 50_000, 9), NOW).expect("recorded");
    assert_eq!(status(&payer, 1), Status::Fulfilled);
}

#[test]
fn reasons_of_the_engine_become_reasons_of_the_payment() {
    use PaymentFailureReason as Theirs;
    let cases = [
        (Some(Theirs::RecipientRejected), FailureReason::RecipientRejected),
        (Some(Theirs::UserAbandoned), FailureReason::UserAbandoned),
        (Some(Theirs::RetriesExhausted), FailureReason::RetriesExhausted),
        (Some(Theirs::PaymentExpired), FailureReason::PaymentExpired),
        (Some(Theirs::RouteNotFound), FailureReason::RouteNotFound),
        (Some(Theirs::UnexpectedError), FailureReason::UnexpectedError),
        (Some(Theirs::UnknownRequiredFeatures), FailureReason::RecipientRejected),
        (Some(Theirs::InvoiceRequestExpired), FailureReason::InvoiceRequestExpired),
        (Some(Theirs::InvoiceRequestRejected), FailureReason::RecipientRejected),
        (Some(Theirs::BlindedPathCreationFailed), FailureReason::RouteNotFound),
        (None, FailureReason::UnexpectedError),
    ];
    for (theirs, ours) in cases {
        let stage = Stage::new();
        let (payer, part) = one_out(&stage);
        let (payment_id, payment_hash) = (engine_id(&part), Some(engine_hash(1)));
        let event = Event::PaymentFailed { payment_id, payment_hash, reason: theirs };
        payer.handle_event(&event, NOW).expect("recorded");
        assert_eq!(status(&payer, 1), Status::Failed { reason: ours }, "{theirs:?}");
    }
}

#[test]
fn what_nothing_can_help_ends_the_payment_whatever_its_policy() {
    use PaymentFailureReason as Theirs;
    let ends = [Theirs::RecipientRejected, Theirs::PaymentExpired];
    let goes_on = [
        Theirs::RetriesExhausted,
        Theirs::RouteNotFound,
        Theirs::UnexpectedError,
        Theirs::UserAbandoned,
    ];
    let outcome = |reason| {
        let stage = Stage::new();
        let (payer, _) = stage.start();
        let terms = Terms::default().retry(payonce_core::RetryPolicy::Attempts(5));
        pay(&payer, 1, &terms).expect("accepted");
        payer.handle_event(&failed(&last_part(&payer, 1), 1, reason), NOW).expect("recorded");
        status(&payer, 1)
    };
    assert!(ends.into_iter().all(|reason| matches!(outcome(reason), Status::Failed { .. })));
    assert!(goes_on.into_iter().all(|reason| outcome(reason) == Status::Pending));
}

#[test]
fn a_claim_without_an_id_goes_to_the_payment_that_holds_its_hash() {
    let stage = Stage::new();
    let (payer, part) = one_out(&stage);
    let event = sent(None, 1, 50_000, 4);
    payer.handle_event(&event, NOW).expect("recorded");
    assert_eq!(parts(&payer, 1), [(part, PartStatus::Claimed)]);
    payer.tick(NOW).expect("well");
    let before = payer.ledger().head();
    payer.handle_event(&event, NOW).expect("known");
    assert_eq!(payer.ledger().head(), before, "a replay records nothing");

    // Of no payment that is known: adopted, and its hash blocked.
    payer.handle_event(&sent(None, 2, 70_000, 4), NOW).expect("recorded");
    let adopted = PaymentId::from_payment_hash(hash(2));
    let view = payer.payment_view(&adopted).expect("well").expect("adopted");
    assert_eq!((view.status, view.adopted), (Status::Fulfilled, true));
    assert_eq!(view.paid.and_then(|paid| paid.preimage), Some(secret(2)));
    assert!(payer.pay(id(2), &invoice(2), None, &Terms::default(), NOW).is_err());
}

#[test]
fn a_path_without_an_id_is_kept_with_the_payment_that_holds_its_hash() {
    let stage = Stage::new();
    let (payer, _) = one_out(&stage);
    let nameless = |number, channels: &[u64]| match path_failed(
        &PartId::from_bytes([0; 32]),
        number,
        channels,
    ) {
        Event::PaymentPathFailed {
            payment_hash,
            payment_failed_permanently,
            failure,
            path,
            short_channel_id,
            error_code,
            error_data,
            hold_times,
            ..
        } => Event::PaymentPathFailed {
            payment_id: None,
            payment_hash,
            payment_failed_permanently,
            failure,
            path,
            short_channel_id,
            error_code,
            error_data,
            hold_times,
        },
        _ => panic!("made above"),
    };
    let handled = payer.handle_event(&nameless(1, &[1]), NOW).expect("recorded");
    assert_eq!(handled, Handled::Recorded { payment: Some(id(1)) });
    let handled = payer.handle_event(&nameless(2, &[1]), NOW).expect("nothing to keep it with");
    assert_eq!(handled, Handled::Unchanged { payment: None });
}

#[test]
fn events_of_unknown_payments_are_adopted_not_dropped() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let unknown = PartId::from_bytes([0xee; 32]);
    payer.handle_event(&sent(Some(&unknown), 1, 50_000, 2), NOW).expect("recorded");
    // LDK's id of a hand-over is no payment's: the hash is.
    assert_eq!(payer.payment_view(&PaymentId::from_bytes([0xee; 32])).expect("well"), None);
    let adopted = PaymentId::from_payment_hash(hash(1));
    let view = payer.payment_view(&adopted).expect("well").expect("adopted");
    assert_eq!(view.status, Status::Fulfilled);
    let paid = view.paid.expect("paid");
    assert_eq!((paid.amount, paid.fee), (Some(Msat(50_000)), Some(Msat(2))));
    // A failure tells that nothing of it is out.
    let other = PartId::from_bytes([0xdd; 32]);
    let handled = payer.handle_event(&failed(&other, 3, PaymentFailureReason::RouteNotFound), NOW);
    assert_eq!(handled.expect("well"), Handled::Unchanged { payment: None });
    // And of one that holds its hash, the claim is that payment's.
    pay(&payer, 2, &Terms::default()).expect("accepted");
    payer
        .handle_event(&sent(Some(&PartId::from_bytes([0xcc; 32])), 2, 50_000, 2), NOW)
        .expect("ok");
    assert_eq!(status(&payer, 2), Status::Fulfilled);
}

#[test]
fn money_under_another_hash_is_not_lost() {
    let stage = Stage::new();
    let (payer, part) = one_out(&stage);
    let handled = payer.handle_event(&sent(Some(&part), 2, 50_000, 2), NOW).expect("recorded");
    assert!(matches!(handled, Handled::Recorded { .. }), "{handled:?}");
    // It proves the hash that it fits, and says nothing of the part, whose hash is another.
    assert_eq!(parts(&payer, 1), [(part, PartStatus::InFlight)]);
    assert_eq!(status(&payer, 1), Status::Pending);
    let refused = payer.pay(id(2), &invoice(2), None, &Terms::default(), NOW);
    let refused = refused.expect_err("that hash is paid");
    let PayError::Refused(PayRefusal::HashInUse { other, .. }) = refused else {
        panic!("{refused}");
    };
    assert_eq!(other, HashHolder::Paid);
    // And its own claim is taken as ever.
    payer.handle_event(&sent(Some(&part), 1, 50_000, 2), NOW).expect("recorded");
    assert_eq!(status(&payer, 1), Status::Fulfilled);
}

/// LDK names only the hand-over, and may tell of one of an earlier try.
#[test]
fn a_claim_of_an_earlier_try_pays_the_payment_and_is_told() {
    let stage = Stage::new();
    let (payer, first) = one_out(&stage);
    payer.handle_event(&failed(&first, 1, PaymentFailureReason::RouteNotFound), NOW).expect("ok");
    let again = Terms::default().again_after(failed_as(&payer, 1).expect("it failed"));
    pay(&payer, 1, &again).expect("a new try");
    let second = last_part(&payer, 1);
    let event = sent(Some(&first), 1, 50_000, 9);
    let handled = payer.handle_event(&event, NOW).expect("recorded");
    assert_eq!(handled, Handled::Recorded { payment: Some(id(1)) });
    assert_eq!(status(&payer, 1), Status::Fulfilled);
    let told = payer.ledger().query(|state| {
        let mut anomalies = state.outbox().filter_map(|told| match told.kind {
            NotificationKind::Anomaly { anomaly, .. } => Some(anomaly),
            _ => None,
        });
        anomalies.next()
    });
    let in_flight = vec![second].into();
    let expected = Anomaly::Correction { payment: id(1), part: first, in_flight };
    assert_eq!(told.expect("well"), Some(expected), "the second one may pay as well");
    let before = payer.ledger().head();
    assert_eq!(
        payer.handle_event(&event, NOW).expect("known"),
        Handled::Unchanged { payment: Some(id(1)) }
    );
    assert_eq!(payer.ledger().head(), before, "a replay records nothing");
}

#[test]
fn only_the_stores_error_asks_for_a_replay() {
    let stage = Stage::new();
    let (payer, part) = one_out(&stage);
    stage.disk.fail_nth(1, Failure::BeforeEffect);
    stage.script.queue(sent(Some(&part), 1, 50_000, 2));
    let heard = std::cell::Cell::new(0);
    payonce_ldk::Engine::deliver_events(&*stage.script, &|event| {
        heard.set(heard.get() + 1);
        payer.handle_event(&event, NOW)?;
        Ok(())
    });
    assert_eq!((heard.get(), stage.script.events_left()), (1, 1), "the engine keeps the event");
    assert!(payer.payment_view(&id(1)).is_err(), "nothing is answered any more");
    drop(payer);

    // The next process takes it before it may pay.
    stage.script.list([Listed::Fulfilled(engine_id(&part), Some(engine_hash(1)))]);
    let (payer, report) = stage.start();
    assert_eq!(stage.script.events_left(), 0);
    assert_eq!(report.paid_without_proof, []);
    assert_eq!(paid(&payer, 1), Some((Some(Msat(50_000)), Some(Msat(2)))));
}

#[test]
fn a_replay_long_after_the_window_pays_nothing_and_invents_nothing() {
    let stage = Stage::new();
    let opening = payonce_core::Opening::new(Remember::Window, 1);
    let starting = stage.open_as(&opening, crate::script::options()).expect("sound");
    let (payer, _) = starting.finish(|_| Ok(()), NOW).expect("nothing refuses");
    pay(&payer, 1, &Terms::default()).expect("accepted");
    let part = last_part(&payer, 1);
    payer.handle_event(&failed(&part, 1, PaymentFailureReason::RouteNotFound), NOW).expect("ok");
    let unread =
        payer.ledger().query(|state| state.outbox().map(|note| note.id).collect::<Vec<_>>());
    let ids = unread.expect("well");
    payer.ledger().execute(payonce_core::Acknowledge { ids }, NOW).expect("known");
    assert_eq!(payer.payment_view(&id(1)).expect("well"), None, "forgotten");
    let before = payer.ledger().head();
    let event = failed(&part, 1, PaymentFailureReason::RouteNotFound);
    let handled = payer.handle_event(&event, NOW).expect("well");
    assert_eq!(handled, Handled::Unchanged { payment: None });
    assert_eq!(payer.ledger().head(), before);
}

#[test]
fn a_replay_about_a_remembered_payment_is_its_own() {
    let stage = Stage::new();
    let (payer, part) = one_out(&stage);
    let event = sent(Some(&part), 1, 50_000, 2);
    payer.handle_event(&event, NOW).expect("recorded");
    payer.tick(NOW).expect("off its channel");
    let unread = payer.ledger().query(|state| state.outbox().map(|note| note.id).collect());
    let ids = unread.expect("well");
    payer.ledger().execute(payonce_core::Acknowledge { ids }, NOW).expect("known");
    for minute in 1..10 {
        payer.tick(NOW.plus(minute * 60_000)).expect("well");
    }
    assert!(payer.payment_view(&id(1)).expect("well").expect("paid").remembered);
    let before = payer.ledger().head();
    let handled = payer.handle_event(&event, NOW).expect("well");
    assert_eq!(handled, Handled::Unchanged { payment: Some(id(1)) });
    assert_eq!(payer.ledger().head(), before);
}

#[test]
fn probes_free_the_hash_that_was_held_for_them() {
    let stage = Stage::new();
    let probe = EngineId([0xaa; 32]);
    stage.script.list([Listed::Pending(probe, engine_hash(1))]);
    let (payer, report) = stage.start();
    assert_eq!(report.unknown, [PartId::from_bytes([0xaa; 32])]);
    assert!(pay(&payer, 1, &Terms::default()).is_err(), "the hash is held");
    stage.script.list([]);
    let probed = Event::ProbeSuccessful {
        payment_id: probe,
        payment_hash: engine_hash(1),
        path: path(&[1]),
    };
    payer.handle_event(&probed, NOW).expect("recorded");
    pay(&payer, 1, &Terms::default()).expect("the hash is free");
    let _ = ChannelId::new_zero();
}
