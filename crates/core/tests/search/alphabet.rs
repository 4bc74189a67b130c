//! The alphabets of the search: what is asked, what a node tells, and from where each search begins.
//!
//! Payments are 0 and 1, and 2, which nobody asks for. Hash 0 and 1 are those of their first tries, 2 that
//! of a second try, 3 one that nobody asks for. Parts 0 to 2 are payment 0's, 3 to 5 payment 1's, 6 and 7
//! nobody's.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use crate::judge::{
    Act, Failed, Hash, Id, Offered, Part, Retry, Rules, Target, Terms, Which, Word,
};

pub const IDS: Id = 3;
pub const EARLY: u64 = 1_000_000;
pub const LATE: u64 = 2_000_000;
const EXPIRY: u64 = 1_500_000;
const AMOUNT: u64 = 100;

/// What happens next.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    Do(Act),
    /// Every deadline passes.
    Late,
}

pub struct Profile {
    pub name: &'static str,
    pub rules: Rules,
    pub moves: Vec<Move>,
    /// Acts that lead to where it begins; the deepest first, so that what follows them is not taken for
    /// done because a shallower search came by.
    pub starts: Vec<Vec<Act>>,
    /// How many distinct states are expanded from each start.
    pub states: usize,
}

fn rules(forever: bool) -> Rules {
    Rules {
        forever,
        same_hash: false,
        overpay_percent: 10,
        idempotency_ticks: 1,
        assertion_blocks: 144,
        assertion_age_ms: 500_000,
    }
}

fn invoice(hash: Hash, retry: Retry) -> Terms {
    Terms {
        target: Target::Invoice(hash),
        amount: AMOUNT,
        max_fee: Some(10),
        retry,
        expiry: Some(EXPIRY),
        rest: 0,
        variant: 0,
    }
}

fn offer(id: Id) -> Terms {
    let offer = u8::try_from(id).expect("few ids");
    let target = Target::Offer { offer, deadline_ticks: 1 };
    Terms { target, expiry: None, ..invoice(0, Retry::Until(400_000)) }
}

fn pay(id: Id, terms: Terms) -> Act {
    Act::Pay { id, terms, again: false }
}

fn again(id: Id, terms: Terms) -> Act {
    Act::Pay { id, terms, again: true }
}

fn batch(id: Id, parts: &[(Part, u64, u64)], delegated: bool) -> Act {
    let offered = |(part, amount, fee): &(Part, u64, u64)| Offered {
        part: *part,
        amount: *amount,
        fee: *fee,
    };
    Act::Dispatch {
        id,
        parts: parts.iter().map(offered).collect(),
        delegated,
        stale: false,
        mark: None,
    }
}

fn half(id: Id, part: Part) -> Act {
    batch(id, &[(part, AMOUNT / 2, 1)], false)
}

fn whole(id: Id, part: Part) -> Act {
    batch(id, &[(part, AMOUNT, 1)], false)
}

fn delegate(id: Id, part: Part) -> Act {
    batch(id, &[(part, AMOUNT, 1)], true)
}

fn claim(id: Id, part: Part, hash: Hash) -> Act {
    Act::Claim { id, part, hash, brings: Some(hash), amount: None, fee: None }
}

fn bare_claim(id: Id, part: Part, hash: Hash) -> Act {
    Act::Claim { id, part, hash, brings: None, amount: None, fee: None }
}

fn finalize(id: Id, part: Part) -> Act {
    Act::Finalize { id, part }
}

fn fail(id: Id, part: Part) -> Act {
    Act::Fail { id, part, how: Failed::default() }
}

fn refused(id: Id, part: Part) -> Act {
    Act::Fail { id, part, how: Failed { permanent: true, ..Failed::default() } }
}

fn word(id: Id, part: Part) -> Act {
    let word = Some(Word { contradicts: false });
    Act::Fail { id, part, how: Failed { word, ..Failed::default() } }
}

fn adopt(id: Id, part: Part, hash: Hash) -> Act {
    Act::Adopt { id, part, hash, amount: Some(AMOUNT), delegated: false }
}

fn adopt_unknown(id: Id, part: Part, hash: Hash) -> Act {
    Act::Adopt { id, part, hash, amount: None, delegated: false }
}

fn paid(id: Id, part: Option<Part>, hash: Option<Hash>) -> Act {
    Act::Paid { id, part, hash, asserted: false, terms: None }
}

fn withdraw(id: Id, part: Part) -> Act {
    Act::Withdraw { id, part }
}

/// What can happen at any time.
fn always() -> Vec<Act> {
    let mut acts = vec![
        Act::Tick { height: None },
        Act::Finish,
        Act::CloseGap,
        Act::Open { restored: false },
        Act::Acknowledge { which: Which::All },
        Act::Acknowledge { which: Which::First },
        Act::Acknowledge { which: Which::Apart },
    ];
    acts.extend((0..2).map(|id| Act::Abandon { id }));
    acts
}

fn moves(acts: Vec<Act>) -> Vec<Move> {
    acts.into_iter().map(Move::Do).chain([Move::Late]).collect()
}

/// Every part driven by the node itself: batches, retries, refusals, corrections.
pub fn parts_of_invoices(states: usize) -> Profile {
    let mut acts = always();
    for id in 0..2 {
        let (one, two) = (3 * id, 3 * id + 1);
        let terms = invoice(id, Retry::Attempts(1));
        let nothing = Terms { amount: 0, ..terms };
        let other = Terms { variant: 1, ..terms };
        acts.extend([pay(id, terms), again(id, terms), pay(id, other), pay(id, nothing)]);
        acts.extend([
            batch(id, &[(one, AMOUNT / 2, 1), (two, AMOUNT / 2, 1)], false),
            batch(id, &[(one, AMOUNT + 11, 1)], false),
            batch(id, &[(one, AMOUNT / 2, 11)], false),
            batch(id, &[], false),
            batch(id, &[(one, 0, 1)], false),
        ]);
        if let Act::Dispatch { id, parts, delegated, .. } = half(id, one) {
            acts.push(Act::Dispatch { id, parts, delegated, stale: true, mark: None });
        }
        for part in [one, two] {
            acts.extend([half(id, part), withdraw(id, part), claim(id, part, id)]);
            acts.extend([finalize(id, part), fail(id, part), refused(id, part)]);
            acts.push(bare_claim(id, part, 1 - id));
        }
    }
    let begin = [Act::Finish, pay(0, invoice(0, Retry::Attempts(1)))];
    let second = pay(1, invoice(1, Retry::Attempts(1)));
    let both = batch(0, &[(0, AMOUNT / 2, 1), (1, AMOUNT / 2, 1)], false);
    Profile {
        name: "parts of invoices",
        rules: rules(false),
        moves: moves(acts),
        starts: vec![begin.into_iter().chain([second, both]).collect(), vec![]],
        states,
    }
}

/// Offers, hand-overs that each have an invoice of their own, an operator's word.
pub fn hand_overs(states: usize, forever: bool) -> Profile {
    let mut acts = always();
    acts.extend([pay(0, offer(0)), again(0, offer(0)), pay(1, invoice(1, Retry::Manual))]);
    for hash in 0..3 {
        acts.push(Act::Invoice { id: 0, hash, amount: AMOUNT, expiry: None });
    }
    acts.extend([
        Act::Invoice { id: 0, hash: 0, amount: AMOUNT + 1, expiry: None },
        Act::Invoice { id: 0, hash: 0, amount: 0, expiry: None },
        Act::Invoice { id: 0, hash: 2, amount: AMOUNT / 2, expiry: Some(EXPIRY) },
        batch(0, &[(0, AMOUNT, 1), (1, AMOUNT, 1)], true),
        whole(1, 3),
        claim(1, 3, 1),
        fail(1, 3),
    ]);
    for part in 0..2 {
        acts.extend([delegate(0, part), whole(0, part), fail(0, part), word(0, part)]);
        acts.extend([finalize(0, part), Act::Observe { id: 0, part }, withdraw(0, part)]);
        for hash in 0..3 {
            acts.push(claim(0, part, hash));
        }
        acts.push(Act::Adopt { id: 0, part, hash: 2, amount: Some(AMOUNT), delegated: true });
    }
    // A part that the log lacks: it is restored.
    acts.push(Act::Adopt { id: 1, part: 9, hash: 1, amount: Some(AMOUNT), delegated: false });
    acts.push(Act::Tick { height: Some(1_000) });
    let begin = [Act::Finish, pay(0, offer(0)), delegate(0, 0), fail(0, 0), delegate(0, 1)];
    Profile {
        name: if forever { "hand-overs, remembering" } else { "hand-overs, forgetting" },
        rules: rules(forever),
        moves: moves(acts),
        starts: vec![begin.clone().into(), begin[..4].into(), vec![]],
        states,
    }
}

/// A second try under another hash, and what turns up of the first.
pub fn tries(states: usize, forever: bool) -> Profile {
    let mut acts = always();
    let terms = |hash| Terms { expiry: None, ..invoice(hash, Retry::Manual) };
    acts.extend([again(0, terms(2)), again(0, terms(0)), pay(0, terms(2)), pay(1, terms(0))]);
    acts.extend([whole(0, 1), whole(1, 3), claim(0, 1, 2), fail(0, 1), claim(1, 3, 0), fail(1, 3)]);
    for named in [0, 2] {
        acts.extend([adopt(named, 0, 0), claim(named, 0, 0), bare_claim(named, 0, 3)]);
        acts.extend([fail(named, 0), paid(named, Some(0), Some(0)), paid(named, Some(0), None)]);
        acts.extend([finalize(named, 0), paid(named, None, Some(0)), adopt(named, 6, 0)]);
    }
    acts.extend([adopt(0, 6, 3), claim(0, 6, 3), fail(0, 6), paid(0, None, None)]);
    for engine in 1..3 {
        acts.extend([Act::Block { hash: 2, engine }, Act::Unblock { hash: 2, engine }]);
    }
    let first = [Act::Finish, pay(0, terms(0)), whole(0, 0), fail(0, 0), Act::Abandon { id: 0 }];
    let mut second: Vec<Act> = first.to_vec();
    second.extend([again(0, terms(2)), Act::Open { restored: false }]);
    Profile {
        name: if forever { "tries, remembering" } else { "tries, forgetting" },
        rules: rules(forever),
        moves: moves(acts),
        starts: vec![second, first.into()],
        states,
    }
}

/// What the node knows and the log lacks: adoption, strays, blocked hashes, an older log, the node's word.
pub fn recovery(states: usize, forever: bool, same_hash: bool) -> Profile {
    let mut acts = always();
    let terms = |hash| invoice(hash, Retry::Attempts(0));
    for id in 0..2 {
        let (one, two, other) = (3 * id, 3 * id + 1, 1 - id);
        acts.extend([pay(id, terms(id)), again(id, terms(id)), half(id, one), whole(id, two)]);
        acts.extend([withdraw(id, one), claim(id, one, id), claim(2, one, id), fail(id, one)]);
        acts.extend([finalize(id, one), adopt(id, one, id), adopt_unknown(id, 6, id)]);
        acts.extend([adopt(id, 6, other), adopt(2, 6, id), claim(id, 6, id), claim(id, 6, 3)]);
        acts.extend([fail(id, 6), paid(id, None, None), paid(id, Some(6), Some(id))]);
        let (hash, engine) = (id, 0);
        acts.extend([paid(2, None, Some(id)), Act::Block { hash, engine }]);
        acts.push(Act::Unblock { hash, engine });
    }
    acts.extend([pay(1, terms(0)), claim(2, 7, 3), fail(2, 7), Act::Open { restored: true }]);
    acts.extend([Act::Mark { name: 0 }, Act::PutBack { name: 0 }]);
    let begin = vec![
        Act::Finish,
        pay(0, terms(0)),
        pay(1, terms(1)),
        half(0, 0),
        Act::Mark { name: 0 },
        whole(1, 4),
        fail(1, 4),
        Act::Open { restored: false },
    ];
    Profile {
        name: match (forever, same_hash) {
            (true, _) => "recovery, remembering",
            (false, true) => "recovery, one hash for two",
            (false, false) => "recovery, forgetting",
        },
        rules: Rules { same_hash, ..rules(forever) },
        moves: moves(acts),
        starts: vec![begin, vec![]],
        states,
    }
}
