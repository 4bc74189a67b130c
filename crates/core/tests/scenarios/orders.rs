//! The same set of facts gives the same status, statuses and sums, whatever their order (SEMANTICS 4,
//! 5.7): every permutation, told while recovery is open and told live.

use std::collections::BTreeMap;

use payonce_core::{
    AdoptPart, BlockedHash, ClaimPart, Command, Deadline, FailPart, Failure, MarkPaid, Msat,
    PartKind, PartStatus, PaymentHash, RetryPolicy, Settlement, StatusKind, Sums, WithdrawPart,
};

use crate::support::{
    Scenario, but, delegated, hash, htlc, id, live, offer, part, pay, permanent, preimage, window,
};

/// What may not depend on the order: not the reason, and not the number of notifications.
#[derive(Debug, PartialEq)]
struct Picture {
    payments: BTreeMap<String, (StatusKind, Option<PaymentHash>, Sums, Sums, Msat)>,
    fates: BTreeMap<String, PartStatus>,
    held: Vec<BlockedHash>,
    restored: bool,
}

fn picture(s: &Scenario) -> Picture {
    let state = s.state();
    let payments = StatusKind::ALL.iter().flat_map(|kind| state.payments(*kind));
    let payments = payments.map(|at| {
        let sums = (at.status().kind(), at.payment_hash(), at.settled(), at.in_flight(), at.lost());
        (at.id().to_string(), sums)
    });
    let named = ["d", "p", "q", "r", "u", "v"];
    let fates = named.iter().filter_map(|name| {
        let (_, fate) = state.part(&part(name))?;
        Some(((*name).to_string(), fate))
    });
    Picture {
        payments: payments.collect(),
        fates: fates.collect(),
        held: state.blocked_hashes().cloned().collect(),
        restored: state.is_restored(),
    }
}

fn fails(name: &str, failure: Failure) -> Command {
    FailPart { id: id("A"), part: part(name), failure }.into()
}

fn claims(payment: &str, name: &str, proof: &str) -> Command {
    let settlement = None;
    let claim = ClaimPart::new(id(payment), part(name), preimage(proof));
    ClaimPart { settlement, ..claim }.into()
}

fn adopts(payment: &str, name: &str, hash_name: &str) -> Command {
    AdoptPart {
        id: id(payment),
        part: part(name),
        payment_hash: hash(hash_name),
        amount: Some(Msat(700)),
        fee: Some(Msat(7)),
        kind: PartKind::Htlc { cltv_expiry: Some(9), first_channel: None },
    }
    .into()
}

fn paid(payment: &str) -> Command {
    let settlement = Settlement { amount: Some(Msat(400)), fee: None };
    let (part, payment_hash) = (None, Some(hash("z")));
    let word = MarkPaid::new(id(payment)).settlement(settlement);
    MarkPaid { part, payment_hash, ..word }.into()
}

/// Tells the facts in every order, in recovery and live, and compares what comes of it.
fn any_order(given: fn(&mut Scenario), facts: &[Command]) {
    let mut first = None;
    for order in permutations(facts.len()) {
        for recovering in [true, false] {
            live(window(), |s| {
                given(s);
                if recovering {
                    s.crash();
                }
                for at in &order {
                    let told = s.run(facts[*at].clone());
                    assert!(told.is_answer(), "{told:?}");
                }
                if recovering {
                    s.finish();
                }
                if s.state().is_restored() {
                    assert_eq!(s.state().due(s.now()), []);
                }
                let seen = picture(s);
                match &first {
                    None => first = Some(seen),
                    Some(first) => assert_eq!(&seen, first, "{order:?}, recovering {recovering}"),
                }
            });
        }
    }
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![vec![]];
    }
    let shorter = permutations(count - 1);
    let insert = |order: Vec<usize>| {
        (0..count).map(move |at| {
            let mut longer = order.clone();
            longer.insert(at, count - 1);
            longer
        })
    };
    shorter.into_iter().flat_map(insert).collect()
}

fn three_parts(s: &mut Scenario) {
    s.send("A", but(pay("a", 3_000), |request| request.retry = RetryPolicy::Attempts(0)))
        .accepted();
    s.dispatch("A", 1, [htlc("p", 1_000, 1), htlc("q", 1_000, 2), htlc("r", 1_000, 3)]).recorded();
}

#[test]
fn failures_and_a_claim() {
    any_order(
        three_parts,
        &[
            fails("p", permanent()),
            claims("A", "q", "a"),
            fails("r", Failure { lost: Some(Msat(4)), ..Failure::default() }),
            fails("q", Failure { lost: Some(Msat(5)), ..Failure::default() }),
        ],
    );
}

#[test]
fn failures_alone() {
    any_order(
        three_parts,
        &[
            fails("p", permanent()),
            fails("q", Failure::default()),
            WithdrawPart { id: id("A"), part: part("r") }.into(),
        ],
    );
}

#[test]
fn claims_and_adoptions_of_what_the_log_lacks() {
    any_order(
        three_parts,
        &[
            claims("A", "u", "a"),
            adopts("A", "u", "a"),
            fails("p", Failure::default()),
            adopts("A", "v", "a"),
        ],
    );
}

/// Nothing of the payments told is known.
#[test]
fn claims_and_adoptions_of_unknown_payments() {
    any_order(
        |_| {},
        &[claims("Z", "u", "z"), adopts("Z", "u", "z"), adopts("Z", "v", "z"), paid("Z")],
    );
}

/// Told under another id, they are the hash holder's.
#[test]
fn facts_under_another_id() {
    any_order(
        three_parts,
        &[
            claims("X", "u", "a"),
            adopts("X", "u", "a"),
            adopts("Y", "v", "a"),
            claims("A", "p", "a"),
        ],
    );
}

#[test]
fn strays() {
    any_order(
        three_parts,
        &[
            adopts("A", "u", "x"),
            claims("A", "u", "x"),
            claims("A", "v", "x"),
            claims("A", "p", "a"),
        ],
    );
}

#[test]
fn an_offer_in_an_engines_hand() {
    any_order(
        |s| {
            s.send("A", offer("o", 1_000, Deadline::Ticks(9))).accepted();
            s.dispatch("A", 1, [delegated("d")]).recorded();
        },
        &[claims("A", "d", "a"), adopts("A", "v", "a"), fails("d", Failure::default())],
    );
}

#[test]
fn a_payment_that_failed_before() {
    any_order(
        |s| {
            three_parts(s);
            for name in ["p", "q", "r"] {
                s.fail("A", name).recorded();
            }
            s.is("A", "Failed(RetriesExhausted)");
        },
        &[adopts("A", "p", "a"), claims("A", "p", "a"), claims("A", "q", "a"), paid("A")],
    );
}
