//! Facts about ids, parts and hashes in every wrong combination, absurd amounts, clocks at both ends of
//! time: a typed answer each, and no fact about money is refused for being unexpected.

use payonce_core::{
    AdoptPart, BlockHash, ClaimPart, Command, FailPart, Failure, FinalizePart, MarkPaid, Msat,
    PartKind, Refusal, Settlement, Tick, UnblockHash, UnixMillis, WithdrawPart,
};

use crate::support::{
    Scenario, T0, delegated, forever, hash, htlc, id, live, offer, part, pay, preimage, window,
};

/// A paid with p of two tries, B failed with q, an offer handed over as d; under Forever C remembered.
fn a_full_ledger(s: &mut Scenario) {
    s.send("A", pay("a", 1_000)).accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 10)]).recorded();
    s.fail("A", "p").recorded();
    s.abandon("A").recorded();
    let failure = s.notification("A failed UserAbandoned");
    s.send_again("A", pay("e", 1_000), failure).accepted();
    s.dispatch("A", 1, [htlc("r", 400, 10)]).recorded();
    s.send("B", pay("b", u64::MAX >> 4)).accepted();
    s.dispatch("B", 1, [htlc("q", 500, 1)]).recorded();
    s.fail("B", "q").recorded();
    s.send("O", offer("o", 1_000, payonce_core::Deadline::Ticks(5))).accepted();
    s.dispatch("O", 1, [delegated("d")]).recorded();
    s.send("C", pay("c", 1_000)).accepted();
    s.dispatch("C", 1, [htlc("s", 1_000, 10)]).recorded();
    s.claim("C", "s", "c").recorded();
    s.finalize("C", "s").recorded();
    s.acknowledge_all();
    s.ticks(9);
    s.adopt("B", "v", "x", (300, 1)).recorded();
    s.close_gap().recorded();
}

fn facts() -> Vec<Command> {
    let ids = ["A", "B", "O", "C", "Z"];
    let parts = ["p", "r", "q", "d", "s", "v", "u"];
    let hashes = ["a", "b", "c", "e", "x", "z"];
    let most = Some(Msat(u64::MAX));
    let absurd = Settlement { amount: most, fee: most };
    let failure = || Failure {
        lost: most,
        mark: Some(u64::MAX),
        sayings: u32::MAX,
        retry_after_ms: Some(u64::MAX),
        ..Failure::default()
    };
    let mut facts: Vec<Command> = Vec::new();
    for payment in ids.map(id) {
        for part in parts.map(part) {
            facts.push(WithdrawPart { id: payment, part }.into());
            facts.push(FinalizePart { id: payment, part }.into());
            facts.push(FailPart { id: payment, part, failure: failure() }.into());
            facts.push(MarkPaid::new(payment).part(part).into());
            for name in hashes {
                let payment_hash = hash(name);
                let kind = PartKind::Htlc { cltv_expiry: Some(u32::MAX), first_channel: None };
                let (amount, fee) = (most, most);
                for kind in [kind, PartKind::Delegated] {
                    let adopt = AdoptPart { id: payment, part, payment_hash, amount, fee, kind };
                    facts.push(adopt.into());
                }
                let claim = ClaimPart::new(payment, part, preimage(name));
                facts.push(claim.clone().settlement(absurd).into());
                facts.push(claim.clone().payment_hash(payment_hash).into());
                facts.push(claim.payment_hash(hash("w")).into());
                let word = MarkPaid::new(payment).part(part).settlement(absurd);
                facts.push(word.payment_hash(payment_hash).into());
            }
        }
        for name in hashes {
            facts.push(MarkPaid::new(payment).payment_hash(hash(name)).into());
        }
        facts.push(MarkPaid::new(payment).into());
    }
    for payment_hash in hashes.map(hash) {
        facts.push(BlockHash::new(payment_hash).into());
        facts.push(UnblockHash::new(payment_hash).into());
    }
    facts
}

/// Whether the fact says that money is out or was paid.
fn is_about_money(fact: &Command) -> bool {
    matches!(
        fact,
        Command::ClaimPart(_)
            | Command::AdoptPart(_)
            | Command::MarkPaid(_)
            | Command::BlockHash(_)
    )
}

#[test]
fn every_wrong_fact_has_an_answer() {
    let clocks = [UnixMillis(0), T0, UnixMillis(u64::MAX)];
    for config in [window(), forever()] {
        for (nth, fact) in facts().into_iter().enumerate() {
            live(config, |s| {
                a_full_ledger(s);
                let recovering = nth % 2 == 0;
                if recovering {
                    s.crash();
                }
                s.set_clock(clocks[nth % 3]);
                let outcome = s.run(fact.clone());
                let refused = outcome.refusal();
                if let Some(refusal) = refused {
                    assert!(!is_about_money(&fact), "refused: {fact:?}: {refusal}");
                    assert!(matches!(refusal, Refusal::Fact(_)), "{refusal}");
                }
                // Told again it is no other.
                let _ = s.run(fact.clone());
                if recovering {
                    s.finish();
                }
                for clock in clocks {
                    s.set_clock(clock);
                    s.run(Tick::at_height(u32::MAX)).ticked();
                }
                s.restart();
            });
        }
    }
}
