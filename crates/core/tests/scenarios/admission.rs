//! Admission: what is checked, and in which order (SEMANTICS 2).

use payonce_core::{
    Blob, BlockHash, CustomRecord, Deadline, FactRefusal, Msat, NodeId, PayRefusal, ReceiveInvoice,
    ReceiveInvoiceRefusal, Refusal, Request, RequestField, RetryPolicy, SameHash, Status, Target,
    UnblockHash, limits,
};

use crate::support::{
    T0, but, delegated, forever, hash, htlc, id, live, offer, pay, play, preimage, seconds,
    unlimited, window,
};

/// Every combination of what may be wrong: the first in the documented order wins.
#[test]
fn send_is_checked_in_order() {
    for case in 0..64_u32 {
        let has = |bit: usize| case & 1 << bit != 0;
        let [known, conflict, in_use, zero, long, expired] = std::array::from_fn(has);
        live(window(), |s| {
            let expiry = s.now().plus(seconds(10));
            let good = but(pay("a", 1_000), |request| request.expiry = Some(expiry));
            if known {
                s.send("A", good.clone()).accepted();
            }
            let mut request = good;
            request.payee = conflict.then(|| NodeId::from_bytes([2; 33]));
            if in_use {
                let other = but(pay("b", 1), |request| request.target = pay("b", 1).target);
                s.send("B", other).accepted();
                request.target = pay("b", 1).target;
            }
            request.amount = if zero { Msat(0) } else { request.amount };
            request.metadata = if long { vec![0; 1_025].into() } else { request.metadata };
            if expired {
                s.pass(seconds(10));
            }
            let now = s.now();
            let outcome = s.send("A", request);
            let differs = [
                (in_use, RequestField::Target),
                (zero, RequestField::Amount),
                (conflict, RequestField::Payee),
                (long, RequestField::Metadata),
            ];
            let field = differs.into_iter().find_map(|(differs, field)| differs.then_some(field));
            match field {
                None if known => outcome.duplicate("Pending missing 1000"),
                Some(field) if known => {
                    outcome.refused(PayRefusal::Conflict { id: id("A"), field });
                }
                _ if in_use => outcome.hash_in_use("B"),
                _ if zero => outcome.refused(PayRefusal::ZeroAmount),
                _ if long => outcome.refused(PayRefusal::TooLong {
                    field: RequestField::Metadata,
                    bytes: 1_025,
                    limit: 1_024,
                }),
                _ if expired => {
                    outcome.refused(PayRefusal::Expired { expiry, now });
                }
                _ => outcome.accepted(),
            }
        });
    }
}

/// A repeat is compared field by field, live and remembered: the first that differs is named.
#[test]
fn a_conflict_names_the_first_field_in_order() {
    type Change = fn(&mut Request);
    let changes: [(RequestField, Change); 13] = [
        (RequestField::Target, |request| request.target = pay("x", 1).target),
        (RequestField::Amount, |request| request.amount = Msat(1)),
        (RequestField::Payee, |request| request.payee = Some(NodeId::from_bytes([3; 33]))),
        (RequestField::MaxFee, |request| request.max_fee = Msat(1).into()),
        (RequestField::Retry, |request| request.retry = RetryPolicy::Attempts(1)),
        (RequestField::Expiry, |request| request.expiry = Some(T0)),
        (RequestField::Instructions, |request| request.instructions = (&[1, 2]).into()),
        (RequestField::Metadata, |request| request.metadata = (&[1]).into()),
        (RequestField::PayeeName, |request| {
            request.details.change(|detail| detail.payee_name = "a@b.c".into());
        }),
        (RequestField::Quantity, |request| {
            request.details.change(|detail| detail.quantity = Some(0));
        }),
        (RequestField::PayerNote, |request| {
            request.details.change(|detail| detail.payer_note = "thanks".into());
        }),
        (RequestField::CustomRecords, |request| {
            let record = CustomRecord { tag: 65_536, value: Blob::EMPTY };
            request.details.change(|detail| detail.custom_records = vec![record].into());
        }),
        (RequestField::Tenant, |request| {
            request.details.change(|detail| detail.tenant = (&[1]).into());
        }),
    ];
    let own = but(pay("a", 1_000), |request| request.instructions = (&[7; 100]).into());
    live(forever(), |s| {
        s.send("A", own.clone()).accepted();
        for stage in ["live", "over", "remembered"] {
            for (at, (field, _)) in changes.iter().enumerate() {
                let mut request = own.clone();
                changes[at..].iter().for_each(|(_, change)| change(&mut request));
                s.send("A", request).refused(PayRefusal::Conflict { id: id("A"), field: *field });
            }
            match stage {
                "live" => s.abandon("A").recorded(),
                _ => s.acknowledge_all(),
            }
        }
        s.is("A", "remembered Failed(UserAbandoned)");
    });
}

#[test]
fn an_expired_invoice_that_is_paid_answers_paid() {
    play(window(), |s| {
        let request =
            but(pay("a", 1_000), |request| request.expiry = Some(s.now().plus(seconds(5))));
        s.send("A", request.clone()).accepted();
        s.dispatch("A", 1, [htlc("p", 1_000, 1)]).recorded();
        s.pass(seconds(50));
        s.claim("A", "p", "a").recorded();
        s.send("A", request).duplicate("Fulfilled by a 1000 fee 1");
    });
}

/// What would not be read back is refused by its field, its size and its limit.
#[test]
fn a_field_that_is_too_long_is_named() {
    let text = |bytes: usize| "t".repeat(bytes);
    let records = |count: usize, bytes: usize| {
        let record = |nth| CustomRecord { tag: 65_536 + nth, value: vec![0; bytes].into() };
        (0..count as u64).map(record).collect::<Vec<_>>()
    };
    let sized = |field, size: usize| match field {
        RequestField::PayeeName => pay("a", 1).payee_name(&text(size)),
        RequestField::PayerNote => pay("a", 1).payer_note(&text(size)),
        RequestField::Tenant => pay("a", 1).tenant(vec![0; size]),
        _ if size <= limits::CUSTOM_RECORDS + 1 => pay("a", 1).custom_records(records(size, 1)),
        _ => pay("a", 1).custom_records(records(1, size)),
    };
    let limits = [
        (RequestField::PayeeName, limits::PAYEE_NAME_BYTES),
        (RequestField::PayerNote, limits::PAYER_NOTE_BYTES),
        (RequestField::Tenant, limits::TENANT_BYTES),
        (RequestField::CustomRecords, limits::CUSTOM_RECORDS),
        (RequestField::CustomRecords, limits::CUSTOM_RECORD_BYTES),
    ];
    for (field, limit) in limits {
        live(window(), |s| {
            let (bytes, longer) = (limit + 1, sized(field, limit + 1));
            s.send("A", longer).refused(PayRefusal::TooLong { field, bytes, limit });
            s.send("A", sized(field, limit)).accepted();
        });
    }
}

#[test]
fn what_is_not_a_request() {
    live(window(), |s| {
        let too_much = Msat(Msat::MAX.0 + 1);
        let refusal = PayRefusal::AmountTooLarge { amount: too_much, limit: Msat::MAX };
        s.send("A", pay("a", too_much.0)).refused(refusal);
        s.send("A", but(pay("a", 1), |request| request.max_fee = too_much.into())).refused(refusal);
        s.send("A", pay("a", 0)).refused(PayRefusal::ZeroAmount);
        let (bytes, limit) = (16_385, 16_384);
        let field = RequestField::Instructions;
        s.send("A", but(pay("a", 1), |request| request.instructions = vec![0; bytes].into()))
            .refused(PayRefusal::TooLong { field, bytes, limit });
        let now = s.now();
        s.send("A", but(pay("a", 1), |request| request.expiry = Some(now)))
            .refused(PayRefusal::Expired { expiry: now, now });
        s.send("A", offer("o", 1, Deadline::At(now)))
            .refused(PayRefusal::Expired { expiry: now, now });
        s.is("A", "unknown");
        let mut largest = pay("a", Msat::MAX.0);
        largest.instructions = vec![1; 16_384].into();
        largest.metadata = vec![0; 1_024].into();
        s.send("A", largest).accepted();
    });
}

#[test]
fn a_spontaneous_payment_has_its_hash_from_the_start() {
    play(window(), |s| {
        let target = Target::Spontaneous { preimage: preimage("a") };
        s.send("A", unlimited(target, 10)).accepted();
        assert_eq!(s.remaining("A").payment_hash, Some(hash("a")));
        s.send("B", pay("a", 10)).hash_in_use("A");
    });
}

/// Live, failed but unread, remembered, adopted, held: each keeps its hash from other ids.
#[test]
fn a_hash_is_in_use_as_long_as_anything_has_it() {
    play(forever(), |s| {
        s.send("A", pay("a", 10)).accepted();
        s.send("B", pay("a", 10)).hash_in_use("A");
        s.abandon("A").recorded();
        s.send("B", pay("a", 10)).hash_in_use("A");
        s.acknowledge_all();
        s.is("A", "remembered Failed(UserAbandoned)");
        s.send("B", pay("a", 10)).hash_in_use("A");
        s.send("O", offer("o", 10, Deadline::Ticks(5))).accepted();
        s.invoice("O", "a", 10).hash_in_use("A");
        s.invoice("O", "b", 10).recorded();
        s.run(BlockHash::new(hash("h"))).recorded();
        s.run(BlockHash::new(hash("h"))).no_change();
        s.send("H", pay("h", 10)).hash_in_use("held");
        s.restart();
        s.send("H", pay("h", 10)).hash_in_use("held");
        s.run(UnblockHash::new(hash("h"))).recorded();
        s.run(UnblockHash::new(hash("h"))).no_change();
        s.send("H", pay("h", 10)).accepted();
    });
}

#[test]
fn a_hold_stops_the_dispatch_of_its_own_payment() {
    play(window(), |s| {
        s.send("A", pay("a", 10)).accepted();
        s.run(BlockHash::new(hash("a"))).recorded();
        s.due(&[]);
        s.dispatch("A", 1, [htlc("p", 10, 0)]).hash_in_use("held");
        s.run(UnblockHash::new(hash("a"))).recorded();
        s.due(&["A"]);
    });
}

/// 5.7: what one engine has out ends with its own word, not with another's and not with that of nobody; a hash
/// that two have out is free when both have ended. Otherwise it would be paid while it is out.
#[test]
fn each_engine_ends_its_own_block() {
    let block = |engine: &str| BlockHash::new(hash("a")).engine(engine);
    let unblock = |engine: &str| UnblockHash::new(hash("a")).engine(engine);
    play(window(), |s| {
        s.send("A", pay("a", 10)).accepted();
        s.run(block("a")).recorded();
        s.run(block("a")).no_change();
        s.run(unblock("b")).no_change();
        s.run(unblock("")).no_change();
        s.restart();
        s.due(&[]);
        s.run(block("b")).recorded();
        s.run(block("")).recorded();
        s.abandon("A").recorded();
        s.is("A", "Abandoned(UserAbandoned)");
        assert_eq!(s.state().counts().blocked, 1);
        let (state, a) = (s.state(), hash("a"));
        let engines = state.blocks_of(&a).map(|block| block.engine.as_bytes());
        assert!(engines.eq([&b""[..], b"a", b"b"]));
        for engine in ["a", ""] {
            s.run(unblock(engine)).recorded();
            s.run(unblock(engine)).no_change();
            s.is("A", "Abandoned(UserAbandoned)");
            s.send("B", pay("a", 10)).hash_in_use("A");
        }
        s.run(unblock("b")).recorded();
        s.is("A", "Failed(UserAbandoned)");
        assert_eq!(s.state().counts().blocked, 0);
    });
}

/// A part that the node lists under two hashes is out under the second one, whatever an engine tells of it.
#[test]
fn what_a_part_blocks_no_engine_frees() {
    play(window(), |s| {
        s.send("A", pay("a", 10)).accepted();
        s.dispatch("A", 1, [htlc("p", 10, 0)]).recorded();
        s.run(BlockHash::new(hash("b")).engine("a")).recorded();
        s.adopt("A", "p", "b", (10, 0)).recorded();
        s.run(UnblockHash::new(hash("b")).engine("a")).recorded();
        s.send("B", pay("b", 10)).hash_in_use("held");
        s.run(UnblockHash::new(hash("b"))).recorded();
        s.send("B", pay("b", 10)).accepted();
    });
}

#[test]
fn a_name_that_is_too_long_blocks_nothing() {
    play(window(), |s| {
        let long = "a".repeat(limits::LABEL_BYTES + 1);
        let too_long = Refusal::Fact(FactRefusal::TooLong { bytes: 65, limit: 64 });
        let block = BlockHash::new(hash("a")).engine(long.as_str());
        assert_eq!(s.run(block).refusal(), Some(&too_long));
        let unblock = UnblockHash::new(hash("a")).engine(long.as_str());
        assert_eq!(s.run(unblock).refusal(), Some(&too_long));
        s.run(BlockHash::new(hash("a")).engine(&long[1..])).recorded();
    });
}

fn invoice(hash_name: &str, amount: u64) -> ReceiveInvoice {
    let (payment_hash, amount) = (hash(hash_name), Msat(amount));
    ReceiveInvoice { id: id("A"), payment_hash, amount, expiry: None }
}

#[test]
fn an_invoice_is_checked() {
    live(window(), |s| {
        s.run(invoice("a", 1)).refused(ReceiveInvoiceRefusal::UnknownPayment { id: id("A") });
        let limit = Msat(1_000);
        let deadline = s.now().plus(seconds(60));
        s.send("A", offer("o", 1_000, Deadline::At(deadline))).accepted();
        let amount = Msat(1_001);
        s.run(invoice("a", 1_001)).refused(ReceiveInvoiceRefusal::AmountTooLarge { amount, limit });
        s.run(invoice("a", 0)).refused(ReceiveInvoiceRefusal::ZeroAmount);
        let now = s.now();
        s.run(ReceiveInvoice { expiry: Some(now), ..invoice("a", 1) })
            .refused(ReceiveInvoiceRefusal::Expired { expiry: now, now });
        s.set_clock(deadline);
        s.run(invoice("a", 1))
            .refused(ReceiveInvoiceRefusal::Expired { expiry: deadline, now: deadline });
        s.set_clock(now);
        s.run(invoice("a", 600)).recorded();
        s.run(invoice("a", 600)).no_change();
        let status = Status::Pending;
        s.run(invoice("a", 601))
            .refused(ReceiveInvoiceRefusal::NotAwaitingInvoice { id: id("A"), status });
        assert_eq!(s.remaining("A").amount, Msat(600));
    });
}

/// The earlier expiry counts, whichever it is.
#[test]
fn the_earlier_expiry_counts() {
    for (own, invoiced) in [(10, 20), (20, 10)] {
        play(window(), |s| {
            let (own, invoiced) = (s.now().plus(seconds(own)), s.now().plus(seconds(invoiced)));
            let request =
                but(offer("o", 10, Deadline::Ticks(9)), |request| request.expiry = Some(own));
            s.send("A", request).accepted();
            s.run(ReceiveInvoice { expiry: Some(invoiced), ..invoice("a", 10) }).recorded();
            s.due(&["A"]);
            s.pass(seconds(10));
            s.due(&[]);
            s.tick_now();
            s.unread(&["A failed PaymentExpired"]);
        });
    }
}

#[test]
fn an_invoice_after_the_retries_are_over_is_refused() {
    live(window(), |s| {
        let retry = RetryPolicy::Until(seconds(60));
        let until = s.now().plus(seconds(60));
        s.send("A", but(offer("o", 10, Deadline::Ticks(99)), |request| request.retry = retry))
            .accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.pass(seconds(10));
        s.fail("A", "d").recorded();
        s.is("A", "AwaitingInvoice");
        s.pass(seconds(51));
        let now = s.now();
        s.run(invoice("a", 10)).refused(ReceiveInvoiceRefusal::Expired { expiry: until, now });
        s.tick_now();
        s.is("A", "Failed(RetriesExhausted)");
    });
}

#[test]
fn a_policy_may_allow_one_hash_twice_but_never_two_parts_of_it() {
    let mut allowed = window();
    allowed.same_hash = SameHash::Allow;
    play(allowed, |s| {
        s.send("A", pay("a", 10)).accepted();
        s.send("B", pay("a", 10)).accepted();
        s.dispatch("A", 1, [htlc("p", 10, 0)]).recorded();
        s.dispatch("B", 1, [htlc("q", 10, 0)]).hash_in_use("A");
        s.claim("A", "p", "a").recorded();
        s.finalize("A", "p").recorded();
        // The invoice is settled: nothing of B went out, and nothing will.
        s.is("B", "Failed(PaidElsewhere)");
        s.unread(&["A sent 10 fee 0", "B failed PaidElsewhere by A", "A part p succeeded"]);
        s.send("C", pay("a", 10)).hash_in_use("A");
        s.due(&[]);
    });
}
