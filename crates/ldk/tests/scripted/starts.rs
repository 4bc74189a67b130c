//! Starts: what the ledger holds against what the engine lists.

use lightning::{
    events::{Event, PaymentFailureReason, ReplayEvent},
    ln::channelmanager::PaymentId as EngineId,
    offers::offer::OfferBuilder,
};
use payonce_core::{
    Assertion, FactRefusal, FailPart, Failure, FailureReason, MarkPaid, Msat, Opening, PartId,
    PartStatus, PayRefusal, PaymentId, Remember, RetryPolicy, Status,
};
use payonce_ldk::{
    ChannelState, EngineRefusal, ExecuteError, HandOver, Options, Order, PayError, Paying,
    StartError, Terms,
};

use crate::script::{
    Asked, Listed, NOW, ScriptPayer, Stage, engine_hash, engine_id, failed, failed_as, hash, id,
    invoice, last_part, options, paid, parts, pay, secret, sent, status,
};

/// A payment that is out when the process dies.
pub(crate) fn crashed_with_one_out(stage: &Stage, terms: &Terms) -> PartId {
    let (payer, _) = stage.start();
    pay(&payer, 1, terms).expect("accepted");
    stage.script.take_asked();
    last_part(&payer, 1)
}

fn offer() -> Order {
    let key = lightning::bitcoin::secp256k1::SecretKey::from_slice(&[5; 32]).expect("a key");
    let payee = key.public_key(&lightning::bitcoin::secp256k1::Secp256k1::new());
    let builder = OfferBuilder::new(payee).chain(lightning::bitcoin::Network::Regtest);
    Order::offer(builder.amount_msats(5_000).build().expect("valid"))
}

pub(crate) fn pay_offer(payer: &ScriptPayer, number: u8) -> Result<payonce_ldk::Paying, PayError> {
    payer.pay(id(number), &offer(), None, &Terms::default(), NOW)
}

#[test]
fn what_the_engine_lists_is_still_out() {
    for listed in [Listed::Pending, Listed::Abandoned] {
        let stage = Stage::new();
        let part = crashed_with_one_out(&stage, &Terms::default());
        stage.script.list([listed(engine_id(&part), engine_hash(1))]);
        let (payer, report) = stage.start();
        assert_eq!(report.still_out, [part]);
        assert_eq!(parts(&payer, 1), [(part, PartStatus::InFlight)]);
        assert_eq!(payer.drive(NOW).expect("well"), []);
        assert_eq!(stage.script.take_asked(), []);
    }
}

#[test]
fn what_the_engine_never_got_is_due_again_with_its_attempt() {
    for retry in [RetryPolicy::Attempts(0), RetryPolicy::Manual] {
        let stage = Stage::new();
        let part = crashed_with_one_out(&stage, &Terms::default().retry(retry));
        let (payer, report) = stage.start();
        assert_eq!(report.never_sent, [part]);
        assert_eq!(parts(&payer, 1), [(part, PartStatus::Withdrawn)]);
        let driven = payer.drive(NOW).expect("well");
        assert!(matches!(driven[..], [(_, HandOver::Started { .. })]), "one attempt was allowed");
        assert_ne!(last_part(&payer, 1), part);
    }
}

#[test]
fn never_sent_is_not_known_of_channels_that_nobody_vouches_for() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    let options = Options::new(options().network, ChannelState::MayBeOlder);
    let starting = stage.open_as(&Opening::new(Remember::Forever, 1), options).expect("sound");
    let (payer, report) = starting.finish(|_| Ok(()), NOW).expect("nothing refuses");
    assert_eq!((report.never_sent, report.unanswered), (vec![], vec![part]));
    assert_eq!(parts(&payer, 1), [(part, PartStatus::InFlight)]);
    assert_eq!(payer.drive(NOW).expect("well"), []);
}

#[test]
fn never_sent_is_not_known_of_a_log_that_is_older_than_the_channels() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    let backup = stage.disk.image();
    let (payer, _) = stage.start();
    let head = stage.disk.image().head();
    drop(payer);
    let restored =
        Stage { disk: payonce_store_memory::MemoryDisk::from_image(backup), ..Stage::new() };
    let opening = Opening::new(Remember::Forever, 1).known_head(head);
    let starting = restored.open_as(&opening, options()).expect("sound");
    let (payer, report) = starting.finish(|_| Ok(()), NOW).expect("nothing refuses");
    assert!(report.restored);
    assert_eq!((report.never_sent, report.unanswered), (vec![], vec![part]));
    assert!(pay(&payer, 2, &Terms::default()).is_err(), "nothing new before the gap is closed");
    payer.ledger().close_gap(NOW).expect("there is one");
    pay(&payer, 2, &Terms::default()).expect("accepted");
    assert_eq!(parts(&payer, 1), [(part, PartStatus::InFlight)]);
}

#[test]
fn events_are_told_before_anything_is_never_sent() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    stage.script.queue(failed(&part, 1, PaymentFailureReason::RouteNotFound));
    let (payer, report) = stage.start();
    assert_eq!(report.never_sent, []);
    assert_eq!(status(&payer, 1), Status::Failed { reason: FailureReason::RouteNotFound });
    assert_eq!(payer.drive(NOW).expect("well"), []);
}

#[test]
fn the_nodes_own_handler_gets_every_event_after_it_is_recorded() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    stage.script.queue(sent(Some(&part), 1, 50_000, 1));
    let seen = std::cell::RefCell::new(Vec::new());
    let disk = stage.disk.clone();
    let before = disk.image().head();
    let others = |event| {
        assert_ne!(disk.image().head().seq, before.seq, "recorded first");
        seen.borrow_mut().push(event);
        Ok(())
    };
    stage.open().finish(others, NOW).expect("nothing refuses");
    assert!(matches!(seen.borrow()[..], [Event::PaymentSent { .. }]));
}

#[test]
fn a_handler_that_refuses_an_event_leaves_the_start_unfinished() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    stage.script.queue(Event::ConnectionNeeded {
        node_id: lightning::bitcoin::secp256k1::PublicKey::from_slice(&[2; 33]).expect("a point"),
        addresses: Vec::new(),
    });
    stage.script.queue(sent(Some(&part), 1, 50_000, 1));
    let unfinished = stage.open().finish(|_| Err(ReplayEvent()), NOW).expect_err("refused");
    assert!(matches!(unfinished.error, StartError::EventsUndelivered));
    assert_eq!(stage.script.events_left(), 2);
    let (payer, report) = unfinished.starting.finish(|_| Ok(()), NOW).expect("nothing refuses");
    assert_eq!(report.never_sent, [], "the claim was behind it");
    assert_eq!(status(&payer, 1), Status::Fulfilled);
}

#[test]
fn paid_without_an_event_to_come_is_paid_without_proof() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    stage.script.list([Listed::Fulfilled(engine_id(&part), Some(engine_hash(1)))]);
    let (payer, report) = stage.start();
    assert_eq!(report.paid_without_proof, [part]);
    let view = payer.payment_view(&id(1)).expect("well").expect("known");
    assert_eq!(view.status, Status::Fulfilled);
    let proof = view.paid.expect("paid");
    assert_eq!((proof.preimage, proof.fee), (None, None));
    // A late event fills it in.
    payer.handle_event(&sent(Some(&part), 1, 50_000, 8), NOW).expect("recorded");
    let view = payer.payment_view(&id(1)).expect("well").expect("known");
    assert_eq!(view.paid.and_then(|paid| paid.preimage), Some(secret(1)));
    assert_eq!(paid(&payer, 1).and_then(|(_, fee)| fee), Some(Msat(8)));
}

#[test]
fn claimed_and_no_longer_listed_is_off_the_channel() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    stage.script.queue(sent(Some(&part), 1, 50_000, 1));
    let (payer, _) = stage.start();
    assert_eq!(parts(&payer, 1), [(part, PartStatus::Finalized)]);
}

#[test]
fn an_older_manager_brings_a_failed_hand_over_back_until_its_end_is_told_again() {
    let stage = Stage::new();
    let terms = Terms::default().retry(RetryPolicy::Attempts(1));
    let (payer, _) = stage.start();
    pay(&payer, 1, &terms).expect("accepted");
    let first = last_part(&payer, 1);
    let event = failed(&first, 1, PaymentFailureReason::RetriesExhausted);
    payer.handle_event(&event, NOW).expect("recorded");
    drop(payer);
    stage.script.take_asked();

    stage.script.list([Listed::Pending(engine_id(&first), engine_hash(1))]);
    let (payer, report) = stage.start();
    assert_eq!(report.adopted, [first]);
    assert!(!report.restored, "the log lacked nothing");
    assert_eq!(parts(&payer, 1), [(first, PartStatus::InFlight)]);
    assert_eq!(payer.drive(NOW).expect("well"), [], "it is out: no second hand-over");
    assert_eq!(stage.script.take_asked(), [Asked::Abandon(engine_id(&first))]);
    stage.script.list([]);
    payer.handle_event(&event, NOW).expect("recorded");
    let driven = payer.drive(NOW.plus(60_000)).expect("well");
    assert!(matches!(driven[..], [(_, HandOver::Started { .. })]));
}

/// What failed in an earlier try, and an older manager has out: LDK names the hand-over alone.
#[test]
fn an_older_manager_brings_a_hand_over_of_an_earlier_try_back() {
    // The later try pays the same invoice, or another one.
    for number in [1, 2] {
        let stage = Stage::new();
        let (payer, _) = stage.start();
        pay(&payer, 1, &Terms::default()).expect("accepted");
        let first = last_part(&payer, 1);
        let event = failed(&first, 1, PaymentFailureReason::RouteNotFound);
        payer.handle_event(&event, NOW).expect("recorded");
        let again = Terms::default().again_after(failed_as(&payer, 1).expect("it failed"));
        stage.script.answer(Err(EngineRefusal::RouteNotFound));
        payer.pay(id(1), &invoice(number), None, &again, NOW).expect("a new try");
        drop(payer);
        stage.script.take_asked();

        for listed in [Listed::Pending, Listed::Abandoned] {
            stage.script.list([listed(engine_id(&first), engine_hash(1))]);
            let (payer, report) = stage.start();
            assert_eq!(report.unknown, [], "it is no probe");
            assert!(!report.restored, "the log lacks nothing");
            let view = payer.payment_view(&id(1)).expect("well").expect("known");
            assert_eq!(view.unresolved, 1);
            assert!(!view.is_over(), "a failure that may yet be paid is none");
            let again = Terms::default().again_after(view.failed.expect("it failed twice"));
            let repeat = payer.pay(id(1), &invoice(number), None, &again, NOW);
            assert!(matches!(repeat, Ok(Paying::Repeat { .. })), "it is out: {repeat:?}");
            assert_eq!(stage.script.take_asked(), [Asked::Abandon(engine_id(&first))]);
        }
        let (payer, _) = stage.start();
        payer.handle_event(&sent(Some(&first), 1, 50_000, 3), NOW).expect("recorded");
        assert_eq!(status(&payer, 1), Status::Fulfilled);
    }
}

/// An offer's hand-over of an earlier try: LDK is told to stop, and no other offer waits for it.
#[test]
fn an_earlier_try_that_still_waits_for_an_invoice_is_told_to_stop() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay_offer(&payer, 1).expect("accepted");
    let first = last_part(&payer, 1);
    let event = Event::PaymentFailed {
        payment_id: engine_id(&first),
        payment_hash: None,
        reason: Some(PaymentFailureReason::InvoiceRequestExpired),
    };
    payer.handle_event(&event, NOW).expect("recorded");
    let again = Terms::default().again_after(failed_as(&payer, 1).expect("it failed"));
    payer.pay(id(1), &offer(), None, &again, NOW).expect("a new try");
    let second = last_part(&payer, 1);
    drop(payer);
    stage.script.take_asked();
    let waits = |part: &PartId| Listed::AwaitingInvoice(engine_id(part));
    stage.script.list([waits(&first), waits(&second)]);
    let (payer, report) = stage.start();
    assert_eq!((report.unknown, report.still_out), (vec![], vec![second]));
    assert_eq!(stage.script.take_asked(), [Asked::Abandon(engine_id(&first))]);
    pay_offer(&payer, 2).expect("nothing unknown may be for it");
}

/// It may have left before the process died, and still wait for its answer.
#[test]
fn what_the_engine_lists_outweighs_an_operators_word() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    let word = || FailPart {
        id: id(1),
        part,
        failure: Failure { assertion: Some(Assertion::new("eve", "gone")), ..Failure::default() },
    };
    let later = NOW.plus(20 * 86_400_000);
    stage.script.list([Listed::Pending(engine_id(&part), engine_hash(1))]);
    let (payer, _) = stage.start();
    let told = payer.ledger().execute(word(), later);
    assert!(
        matches!(told, Err(ExecuteError::Refused(FactRefusal::ListedAsOut { .. }))),
        "{told:?}"
    );
    drop(payer);
    // One that waits for its invoice is in hand as well.
    stage.script.list([Listed::AwaitingInvoice(engine_id(&part))]);
    let (payer, _) = stage.start();
    assert!(payer.ledger().execute(word(), later).is_err());
    assert_eq!(parts(&payer, 1), [(part, PartStatus::InFlight)]);
}

/// The ledger learns under which hash an offer is being paid: it is not paid once more by itself.
#[test]
fn the_hash_that_an_offer_is_paid_under_is_taken_from_the_engines_list() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay_offer(&payer, 9).expect("accepted");
    let part = last_part(&payer, 9);
    drop(payer);
    stage.script.take_asked();
    stage.script.list([Listed::Pending(engine_id(&part), engine_hash(1))]);
    for _ in 0..2 {
        let (payer, report) = stage.start();
        assert_eq!((report.still_out, report.adopted), (vec![part], vec![]));
        assert!(!report.restored);
        assert_eq!(status(&payer, 9), Status::Pending);
        let refused = pay(&payer, 1, &Terms::default()).expect_err("the same invoice");
        assert!(matches!(refused, PayError::Refused(PayRefusal::HashInUse { .. })), "{refused}");
        assert_eq!(stage.script.take_asked(), [], "LDK goes on with it");
    }
    let (payer, _) = stage.start();
    payer.handle_event(&sent(Some(&part), 1, 4_000, 3), NOW).expect("recorded");
    let figures = (Some(Msat(4_000)), Some(Msat(3)));
    assert_eq!(paid(&payer, 9), Some(figures), "the invoice's amount is the engine's to tell");
}

/// The ledger is older than an offer's payment. The user says that it is paid, and it stays so.
#[test]
fn an_offer_that_was_paid_in_a_gap_is_not_paid_again() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let head = stage.disk.image().head();
    let backup = stage.disk.image();
    pay_offer(&payer, 9).expect("accepted");
    let head_after = stage.disk.image().head();
    assert_ne!(head, head_after);
    let part = last_part(&payer, 9);
    drop(payer);

    let disk = payonce_store_memory::MemoryDisk::from_image(backup);
    let restored = Stage { disk, ..Stage::new() };
    restored.script.queue(sent(Some(&part), 1, 4_000, 3));
    restored.script.list([Listed::Fulfilled(engine_id(&part), Some(engine_hash(1)))]);
    let opening = Opening::new(Remember::Forever, 1).known_head(head_after);
    let starting = restored.open_as(&opening, options()).expect("sound");
    let (payer, report) = starting.finish(|_| Ok(()), NOW).expect("nothing refuses");
    assert!(report.restored);
    assert_eq!(report.paid_without_proof, [], "its event had the proof");
    restored.script.take_asked();
    // LDK's id of the hand-over is no payment's.
    let view = |id: &PaymentId| payer.payment_view(id).expect("well");
    assert_eq!(view(&PaymentId::from_bytes(*part.as_bytes())), None);
    let adopted = view(&PaymentId::from_payment_hash(hash(1))).expect("adopted");
    assert_eq!(adopted.status, Status::Fulfilled);

    let word = Assertion::new("the owner", "the offer was paid before the disk was put back");
    let paid = MarkPaid::new(id(9)).payment_hash(hash(1)).asserted(word);
    assert!(payer.ledger().execute(paid, NOW).expect("recorded").changed);
    payer.ledger().close_gap(NOW).expect("there is one");
    let again = pay_offer(&payer, 9).expect("a repeat");
    assert!(
        matches!(again, Paying::Repeat { view, .. } if view.status == Status::Fulfilled),
        "{again:?}"
    );
    assert_eq!(payer.drive(NOW.plus(60_000)).expect("well"), []);
    assert_eq!(restored.script.take_asked(), []);
}

#[test]
fn an_older_manager_that_still_waits_for_an_invoice_is_told_to_stop() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay_offer(&payer, 1).expect("accepted");
    let part = last_part(&payer, 1);
    let event = Event::PaymentFailed {
        payment_id: engine_id(&part),
        payment_hash: None,
        reason: Some(PaymentFailureReason::InvoiceRequestExpired),
    };
    payer.handle_event(&event, NOW).expect("recorded");
    let reason = FailureReason::InvoiceRequestExpired;
    assert_eq!(status(&payer, 1), Status::Failed { reason });
    drop(payer);
    stage.script.take_asked();
    stage.script.list([Listed::AwaitingInvoice(engine_id(&part))]);
    let (payer, report) = stage.start();
    assert_eq!(report.unknown, []);
    assert_eq!(stage.script.take_asked(), [Asked::Abandon(engine_id(&part))]);
    assert_eq!(status(&payer, 1), Status::Failed { reason });
}

#[test]
fn an_older_ledger_adopts_what_is_out_under_a_hash_that_it_holds() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    let terms = Terms::default().retry(RetryPolicy::Attempts(3));
    pay(&payer, 1, &terms).expect("accepted");
    let first = last_part(&payer, 1);
    let event = failed(&first, 1, PaymentFailureReason::RetriesExhausted);
    payer.handle_event(&event, NOW).expect("recorded");
    drop(payer);
    stage.script.take_asked();
    // A second hand-over, of which this log knows nothing.
    let lost = PartId::from_bytes([0xbb; 32]);
    stage.script.list([Listed::Pending(engine_id(&lost), engine_hash(1))]);
    let (payer, report) = stage.start();
    assert_eq!((report.adopted, report.restored), (vec![lost], true));
    assert_eq!(parts(&payer, 1), [(first, PartStatus::Failed), (lost, PartStatus::InFlight)]);
    assert_eq!(payer.drive(NOW).expect("well"), []);
    payer.handle_event(&sent(Some(&lost), 1, 50_000, 3), NOW).expect("recorded");
    assert_eq!(status(&payer, 1), Status::Fulfilled);
}

#[test]
fn unknown_entries_hold_their_hashes_and_stop_offers() {
    let stage = Stage::new();
    let (payment, awaiting) = (EngineId([0xaa; 32]), EngineId([0xbb; 32]));
    stage
        .script
        .list([Listed::Pending(payment, engine_hash(1)), Listed::AwaitingInvoice(awaiting)]);
    let (payer, mut report) = stage.start();
    report.unknown.sort();
    let unknown = [PartId::from_bytes([0xaa; 32]), PartId::from_bytes([0xbb; 32])];
    assert_eq!(report.unknown, unknown);
    assert!(pay(&payer, 1, &Terms::default()).is_err(), "the hash is held");
    pay(&payer, 2, &Terms::default()).expect("another hash is free");
    assert!(matches!(pay_offer(&payer, 3), Err(PayError::UnknownInEngine { .. })));

    // One event names the first; the second is dropped by LDK, and an event says so.
    stage.script.list([Listed::AwaitingInvoice(awaiting)]);
    payer
        .handle_event(&failed(&unknown[0], 1, PaymentFailureReason::RouteNotFound), NOW)
        .expect("ok");
    pay(&payer, 1, &Terms::default()).expect("the hash is free");
    assert!(matches!(pay_offer(&payer, 3), Err(PayError::UnknownInEngine { .. })));
    stage.script.list([]);
    pay_offer(&payer, 3).expect("LDK lists nothing unknown any more");
}

#[test]
fn a_hash_that_two_unknown_entries_share_stays_held_until_both_are_over() {
    let stage = Stage::new();
    let (one, two) = (PartId::from_bytes([0xaa; 32]), PartId::from_bytes([0xbb; 32]));
    let listed = |part: &PartId| Listed::Pending(engine_id(part), engine_hash(1));
    stage.script.list([listed(&one), listed(&two)]);
    let (payer, _) = stage.start();
    stage.script.list([listed(&two)]);
    let reason = PaymentFailureReason::RouteNotFound;
    payer.handle_event(&failed(&one, 1, reason), NOW).expect("recorded");
    assert!(pay(&payer, 1, &Terms::default()).is_err(), "the other is out");
    stage.script.list([]);
    payer.handle_event(&failed(&two, 1, reason), NOW).expect("recorded");
    pay(&payer, 1, &Terms::default()).expect("the hash is free");
}

#[test]
fn an_unknown_entry_that_is_paid_becomes_a_paid_payment() {
    let stage = Stage::new();
    stage.script.list([Listed::Fulfilled(EngineId([0xaa; 32]), Some(engine_hash(1)))]);
    let (payer, report) = stage.start();
    assert_eq!(report.paid_without_proof, [PartId::from_bytes([0xaa; 32])]);
    let adopted = payer.payment_view(&PaymentId::from_payment_hash(hash(1))).expect("well");
    assert_eq!(adopted.expect("adopted").status, Status::Fulfilled);
    assert!(pay(&payer, 1, &Terms::default()).is_err(), "the hash is paid");
}

#[test]
fn what_was_given_up_is_told_to_the_engine_again() {
    let stage = Stage::new();
    let (payer, _) = stage.start();
    pay(&payer, 1, &Terms::default()).expect("accepted");
    let part = last_part(&payer, 1);
    payer.abandon(&id(1), NOW).expect("known");
    drop(payer);
    stage.script.take_asked();
    stage.script.list([Listed::Pending(engine_id(&part), engine_hash(1))]);
    let (payer, _) = stage.start();
    assert_eq!(stage.script.take_asked(), [Asked::Abandon(engine_id(&part))]);
    assert_eq!(status(&payer, 1), Status::Abandoned { reason: FailureReason::UserAbandoned });
}

#[test]
fn events_during_recovery_are_durable_when_they_are_handled() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    let starting = stage.open();
    starting.handle_event(&sent(Some(&part), 1, 50_000, 1), NOW).expect("recorded");
    // It dies before it is finished.
    drop(starting);
    let (payer, _) = stage.start();
    assert_eq!(status(&payer, 1), Status::Fulfilled);
}

#[test]
fn a_store_that_fails_during_the_start_gives_no_payer() {
    let stage = Stage::new();
    let part = crashed_with_one_out(&stage, &Terms::default());
    stage.script.queue(sent(Some(&part), 1, 50_000, 1));
    let starting = stage.open();
    stage.disk.fail_nth(2, payonce_store_memory::Failure::BeforeEffect);
    let unfinished = starting.finish(|_| Ok(()), NOW).expect_err("the store failed");
    assert!(matches!(unfinished.error, StartError::Interrupted(_)), "{}", unfinished.error);
    assert_eq!(stage.script.events_left(), 1);
}
