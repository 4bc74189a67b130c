//! Offers, their invoices and delegated parts (scenarios 21 to 23, 35).

use payonce_core::{
    Deadline, FailureReason, Msat, ObservationKind, ObservePart, PartStatus, Payment,
    ReceiveInvoiceRefusal, Status,
};

use crate::support::{delegated, hash, htlc, id, offer, part, play, seconds, window};

fn not_awaiting(status: Status) -> ReceiveInvoiceRefusal {
    ReceiveInvoiceRefusal::NotAwaitingInvoice { id: id("A"), status }
}

#[test]
fn s21_offer_expiry() {
    play(window(), |s| {
        s.send("A", offer("o", 1_000, Deadline::Ticks(1))).accepted();
        s.tick();
        s.is("A", "AwaitingInvoice");
        s.tick();
        s.unread(&["A failed InvoiceRequestExpired"]);
        assert_eq!(s.state().payment(&id("A")).and_then(Payment::payment_hash), None);
        let reason = FailureReason::InvoiceRequestExpired;
        s.invoice("A", "a", 1_000).refused(not_awaiting(Status::Failed { reason }));
        s.acknowledge_all();
        s.is("A", "unknown");
        s.send("A", offer("x", 9, Deadline::Ticks(1))).accepted();
    });
}

#[test]
fn s22_two_invoices_for_one_offer() {
    play(window(), |s| {
        s.send("A", offer("o", 1_000, Deadline::Ticks(9))).accepted();
        s.invoice("A", "a", 900).recorded();
        assert_eq!(s.remaining("A").amount, Msat(900));
        s.invoice("A", "a", 900).no_change();
        s.invoice("A", "b", 900).refused(not_awaiting(Status::Pending));
        s.dispatch("A", 1, [htlc("p", 900, 1)]).recorded();
        s.invoice("A", "b", 900).refused(not_awaiting(Status::Pending));
        s.claim("A", "p", "a").recorded();
        s.invoice("A", "b", 900).refused(not_awaiting(Status::Fulfilled));
        s.unread(&["A sent 900 fee 1"]);
    });
}

#[test]
fn s23_abandon_beats_a_late_invoice() {
    play(window(), |s| {
        s.send("A", offer("o", 1_000, Deadline::Ticks(9))).accepted();
        s.abandon("A").recorded();
        s.unread(&["A failed UserAbandoned"]);
        let reason = FailureReason::UserAbandoned;
        s.invoice("A", "a", 1_000).refused(not_awaiting(Status::Failed { reason }));
    });
}

#[test]
fn s35_a_delegated_part() {
    for deadline in [Deadline::Ticks(1), Deadline::At(crate::support::T0.plus(seconds(30)))] {
        play(window(), |s| {
            s.send("A", offer("o", 1_000, deadline)).accepted();
            s.dispatch("A", 1, [delegated("d")]).recorded();
            s.due(&[]);
            for path in 0..3_u8 {
                let (kind, bytes) = (ObservationKind::PathFailed, (&[path; 9]).into());
                s.run(ObservePart { id: id("A"), part: part("d"), kind, bytes }).recorded();
            }
            s.ticks(10);
            s.unread(&[]);
            s.is("A", "AwaitingInvoice");
            s.claim_of("A", "d", "a", (990, 7)).recorded();
            s.unread(&["A sent 990 fee 7"]);
            let payment = s.state().payment(&id("A")).expect("it is there");
            assert_eq!(payment.payment_hash(), Some(hash("a")));
            assert_eq!(payment.observations().len(), 3);
            s.status("d", PartStatus::Claimed);
        });
    }
}

/// Once the engine gave up, the deadline that passed meanwhile acts at the next tick.
#[test]
fn a_deadline_that_passed_in_an_engines_hand() {
    play(window(), |s| {
        s.send("A", offer("o", 1_000, Deadline::Ticks(1))).accepted();
        s.dispatch("A", 1, [delegated("d")]).recorded();
        s.ticks(5);
        s.fail("A", "d").recorded();
        s.is("A", "AwaitingInvoice");
        s.unread(&["A part d failed"]);
        s.tick();
        s.unread(&["A part d failed", "A failed InvoiceRequestExpired"]);
    });
}

/// A part told under another id answers to both ids.
#[test]
fn a_part_adopted_for_the_hash_holder_answers_to_both_ids() {
    play(window(), |s| {
        s.send("A", crate::support::pay("a", 1_000)).accepted();
        s.claim("X", "u", "a").recorded();
        s.is("X", "unknown");
        s.is("A", "Fulfilled");
        s.finalize("X", "u").recorded();
        s.finalize("A", "u").no_change();
        s.status("u", PartStatus::Finalized);
    });
}
