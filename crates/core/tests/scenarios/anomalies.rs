//! Anomalies are bounded; claims are not (SEMANTICS 4).

use payonce_core::{ClaimPart, HashHolder, PartId, PayRefusal, Preimage, Target};

use crate::support::{id, live, pay, play, unlimited, window};

/// The n-th claim of money that left under no payment's hash.
fn foreign(n: u32) -> ClaimPart {
    let mut bytes = [1; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    ClaimPart::new(id("A"), PartId::from_bytes(bytes), Preimage::from_bytes(bytes))
}

#[test]
fn beyond_1024_unread_only_a_counter_grows() {
    live(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        for n in 0..1_030 {
            s.run(foreign(n)).recorded();
        }
        assert_eq!(s.state().outbox().count(), 1_024);
        assert_eq!(s.state().counts().anomalies_folded, 6);
        assert_eq!(s.state().counts().foreign_parts, 1_030, "every claim is recorded");
        let last = foreign(1_029);
        s.send("B", unlimited(Target::Invoice { payment_hash: last.preimage.payment_hash() }, 1))
            .refused(PayRefusal::HashInUse {
                other: HashHolder::ForeignPart(last.part),
                same_payee: None,
            });
        s.restart();
        assert_eq!(s.state().counts().anomalies_folded, 6);
        s.acknowledge_all();
        s.run(foreign(2_000)).recorded();
        assert_eq!(s.state().outbox().count(), 1, "there is room again");
        s.is("A", "Pending");
    });
}

#[test]
fn repeats_are_counted_on_the_first() {
    play(window(), |s| {
        s.send("A", pay("a", 1_000)).accepted();
        s.claim("A", "u", "x").recorded();
        s.claim("A", "u", "x").no_change();
        s.claim("A", "v", "x").recorded();
        s.claim("A", "w", "x").recorded();
        s.unread(&["A anomaly: part u paid x and 2 more"]);
        s.claim("A", "y", "z").recorded();
        s.unread(&["A anomaly: part u paid x and 2 more", "A anomaly: part y paid z"]);
        s.acknowledge_all();
        s.claim("A", "t", "x").recorded();
        s.unread(&["A anomaly: part t paid x"]);
    });
}
