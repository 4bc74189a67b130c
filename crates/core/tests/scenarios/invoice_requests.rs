//! What a hand-over made for the payee to answer (SEMANTICS 4, RequestInvoice): kept before anybody is given
//! it, for as long as its holder must be honoured.

use payonce_core::{
    AdoptPart, Deadline, FactRefusal, ObservationKind, ObservePart, PartStatus, RequestInvoice,
    limits,
};

use crate::support::{
    Scenario, adopted, claimed, delegated, forever, hash, id, live, offer, part, pay, play, window,
};

fn requested(payment: &str, name: &str, bytes: &[u8]) -> RequestInvoice {
    RequestInvoice { id: id(payment), part: part(name), invoice_request: bytes.into() }
}

/// What is kept for part d of payment A.
fn kept(s: &Scenario) -> Vec<u8> {
    let payment = s.state().payment(&id("A")).expect("it is there");
    payment.part(&part("d")).expect("it is there").invoice_request().to_vec()
}

/// A is an offer, and its part d is with an engine.
fn handed_over(s: &mut Scenario) {
    s.send("A", offer("o", 1_000, Deadline::Ticks(5))).accepted();
    s.dispatch("A", 1, [delegated("d")]).recorded();
}

#[test]
fn the_first_one_is_kept_and_another_is_refused() {
    for config in [window(), forever()] {
        play(config, |s| {
            handed_over(s);
            assert!(kept(s).is_empty());
            s.run(requested("A", "d", &[1])).recorded();
            s.run(requested("A", "d", &[1])).no_change();
            let other = FactRefusal::OtherInvoiceRequest { part: part("d") };
            s.run(requested("A", "d", &[2])).refused(other);
            // The part decides, whatever payment is named.
            s.run(requested("B", "d", &[1])).no_change();
            s.run(requested("B", "d", &[2])).refused(other);
            assert_eq!(kept(s), [1]);
            s.is("A", "AwaitingInvoice");
            s.unread(&[]);
            s.restart();
            assert_eq!(kept(s), [1], "after a restart");
            s.run(requested("A", "d", &[1])).no_change();
        });
    }
}

/// Reports are advisory, and refused beyond their limit; this is not.
#[test]
fn it_is_kept_however_much_was_reported() {
    live(window(), |s| {
        handed_over(s);
        let kind = ObservationKind::PathFailed;
        let report = |n: u16| {
            let bytes = n.to_be_bytes()[..].into();
            ObservePart { id: id("A"), part: part("d"), kind, bytes }
        };
        for n in 0..256 {
            s.run(report(n)).recorded();
        }
        let full = FactRefusal::TooManyObservations { id: id("A"), limit: 256 };
        s.run(report(256)).refused(full);
        s.run(requested("A", "d", &[1])).recorded();
        assert_eq!(kept(s), [1]);
    });
}

#[test]
fn it_is_bounded_and_not_empty() {
    live(window(), |s| {
        handed_over(s);
        s.run(requested("A", "d", &[]))
            .refused(FactRefusal::EmptyInvoiceRequest { part: part("d") });
        let limit = limits::INVOICE_REQUEST_BYTES;
        let too_long = FactRefusal::TooLong { bytes: limit + 1, limit };
        s.run(requested("A", "d", &vec![1; limit + 1])).refused(too_long);
        assert!(kept(s).is_empty(), "a refusal keeps nothing");
        s.run(requested("A", "d", &vec![1; limit])).recorded();
        assert_eq!(kept(s).len(), limit);
    });
}

#[test]
fn nothing_is_kept_for_what_is_not_known() {
    play(window(), |s| {
        handed_over(s);
        let unknown = FactRefusal::UnknownPart { part: part("x") };
        s.run(requested("A", "x", &[1])).refused(unknown);
        s.run(requested("B", "x", &[1])).refused(FactRefusal::UnknownPayment { id: id("B") });
    });
}

/// Whoever were given it now would be paid for nothing, or never.
#[test]
fn nothing_is_kept_for_a_part_that_is_over() {
    let not_in_flight = |status| FactRefusal::NotInFlight { part: part("d"), status };
    play(window(), |s| {
        handed_over(s);
        s.fail("A", "d").recorded();
        s.run(requested("A", "d", &[1])).refused(not_in_flight(PartStatus::Failed));
        s.dispatch("A", 2, [delegated("e")]).recorded();
        s.run(requested("A", "e", &[2])).recorded();
        s.withdraw("A", "e").recorded();
        s.run(requested("A", "e", &[2])).no_change();
    });
    play(window(), |s| {
        handed_over(s);
        s.run(requested("A", "d", &[1])).recorded();
        s.run(claimed("A", "d", "a").payment_hash(hash("a"))).recorded();
        // The same one again is the same fact; it stays with the part that it paid.
        s.run(requested("A", "d", &[1])).no_change();
        assert_eq!(kept(s), [1]);
        s.finalize("A", "d").recorded();
        s.acknowledge_all();
        s.ticks(8);
        s.is("A", "unknown");
        s.run(requested("A", "d", &[1])).refused(FactRefusal::UnknownPayment { id: id("A") });
    });
    play(forever(), |s| {
        handed_over(s);
        s.run(requested("A", "d", &[1])).recorded();
        s.run(claimed("A", "d", "a").payment_hash(hash("a"))).recorded();
        s.finalize("A", "d").recorded();
        s.acknowledge_all();
        s.ticks(8);
        s.is("A", "remembered Fulfilled");
        s.run(requested("A", "d", &[1])).refused(not_in_flight(PartStatus::Finalized));
    });
}

#[test]
fn nothing_is_kept_for_a_payment_that_is_over_or_given_up() {
    let not_open = FactRefusal::NotOpen { part: part("d") };
    play(window(), |s| {
        handed_over(s);
        s.abandon("A").recorded();
        s.run(requested("A", "d", &[1])).refused(not_open);
        s.fail("A", "d").recorded();
        s.is("A", "Failed(UserAbandoned)");
    });
    play(window(), |s| {
        handed_over(s);
        s.mark_paid("A", None).recorded();
        s.is("A", "Fulfilled");
        s.status("d", PartStatus::InFlight);
        s.run(requested("A", "d", &[1])).refused(not_open);
        assert!(kept(s).is_empty());
    });
}

/// A part under another hash is out already: its invoice has come.
#[test]
fn nothing_is_kept_for_a_foreign_part() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.run(AdoptPart { part: part("d"), ..adopted("A", "d", "b") }).recorded();
        s.run(requested("A", "d", &[1])).refused(FactRefusal::NotOpen { part: part("d") });
    });
}

/// A failure that was none: the part is out again, and so its invoice request may be answered.
#[test]
fn it_comes_back_with_its_part() {
    play(window(), |s| {
        handed_over(s);
        s.run(requested("A", "d", &[1])).recorded();
        s.fail("A", "d").recorded();
        s.run(adopted("A", "d", "a")).recorded();
        s.status("d", PartStatus::InFlight);
        assert_eq!(kept(s), [1]);
    });
}
