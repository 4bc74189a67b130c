//! Limits bind what is asked for, never a fact (SEMANTICS 9), and acknowledging is exact (5).

use payonce_core::{
    Acknowledge, AcknowledgeRefusal, AdoptPart, Dispatch, DispatchRefusal, FailureReason, Msat,
    NewPart, NotificationId, PartId, PartKind, Status,
};

use crate::support::{Scenario, hash, htlc, id, live, pay, play, window};

fn many(from: u32, count: u32) -> Vec<NewPart> {
    let named = |n: u32| htlc(&format!("p{n}"), 1, 0);
    (from..from + count).map(named).collect()
}

fn dispatch_and_fail(s: &mut Scenario, attempt: u32, from: u32) {
    let parts = many(from, 256);
    s.run(Dispatch { id: id("A"), attempt, parts }).recorded();
    for n in from..from + 256 {
        s.fail("A", &format!("p{n}")).recorded();
    }
}

#[test]
fn a_payment_has_room_for_1024_parts() {
    let mut silent = window();
    silent.notify_parts = false;
    live(silent, |s| {
        s.send("A", pay("a", 1_000_000)).accepted();
        for attempt in 1..=3 {
            dispatch_and_fail(s, attempt, attempt * 256);
        }
        s.run(Dispatch { id: id("A"), attempt: 4, parts: many(5_000, 255) }).recorded();
        s.run(Dispatch { id: id("A"), attempt: 5, parts: many(6_000, 2) })
            .refused(DispatchRefusal::TooManyParts { known: 1_023, added: 2, limit: 1_024 });
        s.run(Dispatch { id: id("A"), attempt: 5, parts: many(6_000, 1) }).recorded();
        for n in 5_000..5_255 {
            s.fail("A", &format!("p{n}")).recorded();
        }
        s.is("A", "Pending");
        s.due(&[]);
        s.fail("A", "p6000").recorded();
        s.is("A", "Failed(RetriesExhausted)");
    });
}

#[test]
fn a_fact_is_never_refused_for_a_limit() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        for n in 0..1_100_u32 {
            let mut bytes = [3; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            s.run(AdoptPart {
                id: id("A"),
                part: PartId::from_bytes(bytes),
                payment_hash: hash("a"),
                amount: Some(Msat(u64::MAX)),
                fee: Some(Msat(u64::MAX)),
                kind: PartKind::Delegated,
            })
            .recorded();
        }
        s.claim("A", "u", "a").recorded();
        s.is("A", "Fulfilled");
        assert_eq!(s.state().unresolved().len(), 1_101);
    });
}

#[test]
fn acknowledging_is_exact() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.claim("A", "p", "a").recorded();
        s.finalize("A", "p").recorded();
        let sent = s.notification("A sent 1000 fee 1");
        let part = s.notification("A part p succeeded");
        let other = NotificationId { seq: part.seq, chain: [1; 8] };
        let known = part;
        s.run(Acknowledge { ids: vec![sent, other] })
            .refused(AcknowledgeRefusal::OtherLog { given: other, known });
        s.unread(&["A sent 1000 fee 1", "A part p succeeded"]);
        s.acknowledge("A sent 1000 fee 1");
        s.run(Acknowledge { ids: vec![sent] }).no_change();
        s.run(Acknowledge { ids: vec![] }).no_change();
        s.acknowledge("A part p succeeded");
        s.ticks(8);
        s.is("A", "unknown");
        s.run(Acknowledge { ids: vec![sent, part] }).no_change();
    });
}

#[test]
fn what_was_never_delivered_cannot_be_acknowledged() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.abandon("A").recorded();
        let failed = s.notification("A failed UserAbandoned");
        let durable = s.state().head().seq;
        let given = NotificationId { seq: durable + 1, chain: failed.chain };
        s.run(Acknowledge { ids: vec![failed, given] })
            .refused(AcknowledgeRefusal::Future { given, durable });
        s.unread(&["A failed UserAbandoned"]);
    });
}

#[test]
fn too_many_ids_at_once() {
    live(window(), |s| {
        let ids = vec![NotificationId { seq: 1, chain: [0; 8] }; 4_097];
        let (given, limit) = (4_097, 4_096);
        s.run(Acknowledge { ids }).refused(AcknowledgeRefusal::TooMany { given, limit });
    });
}

/// One payment's unread notification never blocks another's.
#[test]
fn one_payment_does_not_wait_for_another() {
    play(window(), |s| {
        for name in ["A", "B"] {
            s.send(name, pay(&name.to_lowercase(), 1)).accepted();
            s.abandon(name).recorded();
        }
        s.acknowledge("B failed UserAbandoned");
        s.is("B", "unknown");
        s.unread(&["A failed UserAbandoned"]);
    });
}

/// Nothing in flight and nothing allowed: the statuses say why.
#[test]
fn an_abandon_keeps_the_first_reason() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.abandon("A").recorded();
        let reason = FailureReason::RouteNotFound;
        s.run(payonce_core::Abandon { id: id("A"), reason }).no_change();
        let status = s.state().payment(&id("A")).map(payonce_core::Payment::status);
        let first = FailureReason::UserAbandoned;
        assert_eq!(status, Some(Status::Abandoned { reason: first }));
        s.fail_with("A", "p", crate::support::permanent()).recorded();
        s.unread(&["A part p failed", "A failed UserAbandoned"]);
    });
}
