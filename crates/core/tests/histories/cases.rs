//! Short histories, each of which once let money leave twice, lost a proof or told a failure that was none.
//! The judge must have nothing to say about any of them, whichever way the ledger remembers.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use crate::{
    judge::{Act, Failed, Hash, Id, Offered, Part, Retry, Rules, Target, Terms, Which, Word},
    shrink,
    trial::BEGIN,
};

struct Case {
    name: &'static str,
    same_hash: bool,
    history: Vec<(u64, Act)>,
}

/// A history in the making.
#[derive(Clone)]
struct Script(Vec<(u64, Act)>, u64);

const DAY: u64 = 24 * 60 * 60 * 1_000;

fn invoice(hash: Hash) -> Terms {
    Terms {
        target: Target::Invoice(hash),
        amount: 100,
        max_fee: None,
        retry: Retry::Manual,
        expiry: None,
        rest: 0,
        variant: 0,
    }
}

fn offer() -> Terms {
    Terms { target: Target::Offer { offer: 1, deadline_ticks: 1_000 }, ..invoice(0) }
}

impl Script {
    /// A new ledger, opened and recovered.
    fn begin() -> Self {
        Self(Vec::new(), BEGIN).act(Act::Finish)
    }

    fn act(mut self, act: Act) -> Self {
        self.0.push((self.1, act));
        self
    }

    fn acts(self, acts: impl IntoIterator<Item = Act>) -> Self {
        acts.into_iter().fold(self, Self::act)
    }

    fn later(mut self, millis: u64) -> Self {
        self.1 += millis;
        self
    }

    fn pay(self, id: Id, terms: Terms) -> Self {
        self.act(Act::Pay { id, terms, again: false })
    }

    fn again(self, id: Id, terms: Terms) -> Self {
        self.act(Act::Pay { id, terms, again: true })
    }

    fn dispatch(self, id: Id, part: Part) -> Self {
        let parts = vec![Offered { part, amount: 100, fee: 1 }];
        self.act(Act::Dispatch { id, parts, delegated: false, stale: false, mark: None })
    }

    fn delegate(self, id: Id, part: Part) -> Self {
        let parts = vec![Offered { part, amount: 100, fee: 1 }];
        self.act(Act::Dispatch { id, parts, delegated: true, stale: false, mark: None })
    }

    fn fail(self, id: Id, part: Part) -> Self {
        self.act(fail(id, part))
    }

    fn claim(self, id: Id, part: Part, hash: Hash) -> Self {
        self.act(claim(id, part, hash))
    }

    fn finalize(self, id: Id, part: Part) -> Self {
        self.act(Act::Finalize { id, part })
    }

    fn abandon(self, id: Id) -> Self {
        self.act(Act::Abandon { id })
    }

    /// The process dies, opens its log again, is told these and finishes; if that revealed a gap, it is
    /// closed.
    fn reopen(self, answers: impl IntoIterator<Item = Act>) -> Self {
        let opened = self.act(Act::Open { restored: false });
        opened.acts(answers).act(Act::Finish).act(Act::CloseGap)
    }

    fn read(self) -> Self {
        self.act(Act::Acknowledge { which: Which::All })
    }

    fn ticks(self, count: usize) -> Self {
        (0..count).fold(self, |script, _| script.later(31_000).act(Act::Tick { height: None }))
    }

    /// A first try of id 1 under hash 1 that failed with part 11.
    fn failed_once() -> Self {
        Self::begin().pay(1, invoice(1)).dispatch(1, 11).fail(1, 11).abandon(1)
    }

    fn case(self, name: &'static str) -> Case {
        Case { name, same_hash: false, history: self.0 }
    }

    fn case_of_one_hash(self, name: &'static str) -> Case {
        Case { name, same_hash: true, history: self.0 }
    }
}

fn fail(id: Id, part: Part) -> Act {
    Act::Fail { id, part, how: Failed::default() }
}

fn claim(id: Id, part: Part, hash: Hash) -> Act {
    Act::Claim { id, part, hash, brings: None, amount: None, fee: None }
}

fn adopt(id: Id, part: Part, hash: Hash) -> Act {
    Act::Adopt { id, part, hash, amount: Some(100), delegated: false }
}

fn paid(id: Id, part: Option<Part>, hash: Option<Hash>) -> Act {
    Act::Paid { id, part, hash, asserted: false, terms: None }
}

/// The part decides whose it is; what is told under an id holds it.
fn whose() -> Vec<Case> {
    let second = || Script::failed_once().again(1, invoice(2));
    vec![
        second()
            .reopen([claim(77, 11, 1)])
            .case("1: a part of an earlier try, claimed under another id"),
        second()
            .reopen([adopt(77, 11, 1)])
            .case("1: a part of an earlier try, listed under another id"),
        second()
            .reopen([paid(77, Some(11), Some(1))])
            .case("1: a part of an earlier try, paid under another id"),
        Script::failed_once()
            .pay(2, invoice(9))
            .again(1, invoice(2))
            .reopen([adopt(1, 12, 1)])
            .abandon(1)
            .case("2: a foreign part that names an id holds it"),
        Script::failed_once()
            .act(Act::Mark { name: 0 })
            .again(1, invoice(2))
            .dispatch(1, 12)
            .act(Act::PutBack { name: 0 })
            .acts([adopt(1, 12, 2), Act::Finish, Act::CloseGap])
            .again(1, invoice(3))
            .case("2: a part of a try that the log lost"),
    ]
}

fn words() -> Vec<Case> {
    let second = || Script::failed_once().again(1, invoice(2));
    let gone = Act::Finalize { id: 1, part: 11 };
    vec![
        second()
            .reopen([adopt(1, 11, 1), paid(1, Some(11), Some(1)), gone.clone()])
            .case("3: the word about a foreign part of an earlier try, listed first"),
        second()
            .reopen([paid(1, Some(11), Some(1)), adopt(1, 11, 1), gone])
            .case("3: the word about a foreign part of an earlier try, listed after"),
        Script::begin()
            .pay(1, invoice(1))
            .claim(1, 11, 3)
            .act(paid(1, Some(11), Some(1)))
            .case("3: the word with the payment's own hash, of a claimed foreign part"),
        Script::begin()
            .pay(1, invoice(1))
            .acts([adopt(1, 11, 3), paid(1, Some(11), Some(1)), Act::CloseGap])
            .case("3: the word with the payment's own hash, of a listed foreign part"),
        Script::begin()
            .pay(2, invoice(2))
            .acts([paid(1, None, Some(2))])
            .pay(1, invoice(3))
            .case("16: the word under an unknown id with the hash of another"),
    ]
}

fn proofs() -> Vec<Case> {
    let second = || Script::failed_once().again(1, invoice(2));
    let listed = Act::Adopt { id: 1, part: 11, hash: 1, amount: Some(100), delegated: true };
    vec![
        Script::begin()
            .pay(1, offer())
            .delegate(1, 11)
            .fail(1, 11)
            .reopen([listed])
            .fail(1, 11)
            .delegate(1, 12)
            .act(Act::Claim { id: 1, part: 12, hash: 2, brings: Some(2), amount: None, fee: None })
            .case("4: the second invoice of an offer"),
        Script::begin()
            .pay(1, invoice(1))
            .acts([adopt(1, 11, 3), claim(1, 11, 1), Act::CloseGap])
            .case("4: the payment's own preimage, of a part listed under another hash"),
        Script::begin()
            .pay(1, invoice(1))
            .pay(2, invoice(2))
            .dispatch(1, 11)
            .claim(1, 11, 2)
            .case("4: the preimage of another payment"),
        Script::begin()
            .pay(1, invoice(1))
            .pay(2, invoice(2))
            .dispatch(1, 11)
            .claim(2, 11, 1)
            .case("4: a claim that names another payment"),
        second()
            .act(paid(1, Some(11), Some(1)))
            .claim(1, 11, 1)
            .case("4: a proof after the node's word"),
        Script::begin()
            .pay(1, invoice(1))
            .pay(2, invoice(2))
            .reopen([adopt(1, 21, 2)])
            .claim(1, 21, 2)
            .abandon(2)
            .case("9: a foreign part's preimage is that of another payment"),
        second()
            .abandon(1)
            .claim(1, 11, 77 % 60)
            .case("12: any 32 bytes are no proof of an earlier try"),
    ]
}

fn places() -> Vec<Case> {
    let out = || Script::begin().pay(1, invoice(1)).dispatch(1, 11);
    let never = Act::Withdraw { id: 1, part: 11 };
    let paid_and_read = |script: Script| script.claim(1, 11, 1).finalize(1, 11).read();
    vec![
        out().reopen([adopt(1, 11, 1), never.clone()]).case("5: listed as out, then never sent"),
        out().reopen([never, adopt(1, 11, 1)]).case("5: never sent, then listed as out"),
        paid_and_read(Script::begin().pay(1, invoice(1)).pay(2, invoice(1)).dispatch(1, 11))
            .ticks(9)
            .dispatch(2, 21)
            .case_of_one_hash("6: a hash is paid, and another payment of it goes out later"),
        paid_and_read(
            Script::begin()
                .pay(1, invoice(1))
                .pay(2, offer())
                .dispatch(1, 11)
                .reopen([adopt(2, 21, 1)])
                .fail(2, 21),
        )
        .ticks(9)
        .dispatch(2, 22)
        .case("6: an offer was paid under a hash that is pending"),
        out()
            .claim(1, 11, 1)
            .finalize(1, 11)
            .pay(2, invoice(1))
            .case_of_one_hash("6: a paid hash is accepted again"),
        Script::failed_once()
            .reopen([adopt(1, 11, 1)])
            .case("8: a failed payment whose part is out"),
        out()
            .fail(1, 11)
            .dispatch(1, 12)
            .reopen([adopt(1, 11, 1)])
            .claim(1, 11, 1)
            .claim(1, 12, 1)
            .case("8: a failed part that is out again is told to nobody"),
        Script::begin()
            .pay(1, invoice(1))
            .delegate(1, 11)
            .fail(1, 11)
            .abandon(1)
            .later(20 * DAY)
            .act(Act::Adopt { id: 1, part: 11, hash: 1, amount: Some(100), delegated: true })
            .act(Act::Fail {
                id: 1,
                part: 11,
                how: Failed { word: Some(WORD), ..Failed::default() },
            })
            .case("11: a word against what the node has just listed"),
        out()
            .act(Act::Fail {
                id: 1,
                part: 11,
                how: Failed { word: Some(WORD), ..Failed::default() },
            })
            .case("11: a height that nobody but the operator states"),
    ]
}

const WORD: Word = Word { contradicts: false };

fn remembered() -> Vec<Case> {
    let paid = || {
        let script = Script::begin().pay(1, invoice(1)).dispatch(1, 11).fail(1, 11).dispatch(1, 12);
        script.claim(1, 12, 1).finalize(1, 12).read().ticks(9)
    };
    vec![
        paid().claim(1, 11, 1).case("10: a second payment of a remembered id"),
        paid().claim(1, 13, 1).case("10: a second payment of a remembered id, by an unknown part"),
        paid().reopen([adopt(1, 11, 1)]).claim(1, 11, 1).case("10: the same, listed before"),
    ]
}

fn asked(hash: Hash) -> Option<Terms> {
    Some(Terms { variant: 1, ..invoice(hash) })
}

/// What random histories found.
fn found() -> Vec<Case> {
    let brought =
        |id, part, hash| Act::Claim { id, part, hash, brings: Some(hash), amount: None, fee: None };
    let word = |id, part, hash, terms| Act::Paid { id, part, hash, asserted: false, terms };
    let resting = Terms { rest: 60_000, ..invoice(2) };
    let mut low = Script::begin().pay(2, resting).dispatch(2, 3).fail(2, 3);
    low = low.act(adopt(2, 7, 2)).act(Act::CloseGap);
    low = low.act(Act::Clock { reads: BEGIN - 500_000, acts: 1 }).fail(2, 7).later(1_000);
    vec![
        Script::failed_once()
            .again(1, invoice(6))
            .acts([paid(1, None, Some(3)), paid(4, None, Some(1))])
            .acts([brought(1, 12, 3)])
            .read()
            .ticks(9)
            .case("a word about a payment that is paid, with the hash of its earlier try"),
        Script::begin()
            .pay(1, invoice(1))
            .pay(2, invoice(1))
            .acts([paid(1, None, Some(1))])
            .again(2, invoice(4))
            .read()
            .ticks(9)
            .case_of_one_hash("a paid hash is kept for whom asked for it in an earlier try"),
        Script::begin()
            .pay(3, invoice(3))
            .pay(1, invoice(3))
            .acts([brought(3, 5, 3)])
            .again(1, invoice(2))
            .acts([brought(1, 25, 3)])
            .case_of_one_hash(
                "a part under an id that asked for its hash is not the older asker's",
            ),
        low.act(Act::Observe { id: 2, part: 7 }).case("a failure read on a low clock"),
        Script::begin()
            .pay(1, offer())
            .claim(1, 3, 1)
            .acts([Act::Disown { id: 1, part: 3 }, paid(4, Some(3), None)])
            .case("the word about a part that somebody said is not of its payment"),
        Script::begin()
            .pay(3, offer())
            .claim(3, 2, 7)
            .acts([word(4, None, Some(7), asked(7)), brought(3, 2, 7)])
            .case("the word about a hash whose proof came before"),
        Script::begin()
            .pay(1, offer())
            .delegate(1, 5)
            .acts([brought(2, 1, 1), word(6, Some(5), None, asked(1))])
            .case("the word whose request tells the hash of a hand-over"),
        Script::begin()
            .pay(1, offer())
            .delegate(1, 5)
            .act(Act::Open { restored: false })
            .act(Act::Finish)
            .act(Act::Withdraw { id: 1, part: 5 })
            .delegate(1, 8)
            .acts([brought(1, 8, 1), adopt(4, 19, 6), brought(5, 5, 1)])
            .case("two hand-overs of which the engine tells no amount"),
        Script::begin()
            .acts([paid(1, None, Some(1))])
            .read()
            .ticks(9)
            .acts([paid(1, None, Some(2))])
            .case("a word about a remembered payment, with another hash"),
        Script::begin()
            .acts([brought(5, 5, 5)])
            .pay(1, offer())
            .acts([adopt(1, 4, 5), Act::CloseGap, Act::Finalize { id: 5, part: 5 }])
            .read()
            .ticks(9)
            .case_of_one_hash("an offer's part that turns up under a paid hash"),
        Script::begin()
            .pay(3, invoice(3))
            .claim(3, 17, 5)
            .acts([Act::Finalize { id: 3, part: 17 }, Act::Disown { id: 3, part: 17 }])
            .claim(2, 18, 5)
            .acts([paid(2, None, Some(5))])
            .read()
            .ticks(9)
            .acts([brought(3, 17, 5)])
            .case("a part that is nobody's, told again while another tells its hash"),
    ]
}

/// What one engine shows says nothing of what another has out under the same hash.
fn blocks() -> Vec<Case> {
    let block = |engine| Act::Block { hash: 1, engine };
    let unblock = |engine| Act::Unblock { hash: 1, engine };
    let paid_by = |acts: Vec<Act>| Script::begin().pay(1, invoice(1)).acts(acts).dispatch(1, 11);
    vec![
        paid_by(vec![block(1), unblock(2)]).case("what one engine has out, ended by another's end"),
        paid_by(vec![block(1), Act::Open { restored: false }, unblock(0), Act::Finish])
            .case("what one engine has out, ended by nobody's end"),
        paid_by(vec![block(1), block(2), unblock(1)]).case("what two have out, one has ended"),
        Script::begin()
            .pay(1, invoice(1))
            .acts([block(1), block(2)])
            .abandon(1)
            .acts([unblock(2)])
            .case("a failure while the second of two has it out"),
    ]
}

fn all() -> Vec<Case> {
    [whose(), words(), proofs(), places(), remembered(), found(), blocks()]
        .into_iter()
        .flatten()
        .collect()
}

/// What each case is convicted of, whichever way the ledger remembers.
pub fn convictions() -> Vec<String> {
    let mut convicted = Vec::new();
    for case in all() {
        for forever in [false, true] {
            let rules = Rules {
                forever,
                same_hash: case.same_hash,
                overpay_percent: 10,
                idempotency_ticks: 7,
                assertion_blocks: 144,
                assertion_age_ms: 14 * DAY,
            };
            if let Err(found) = shrink::replay(rules, &case.history) {
                let kept = if forever { "forever" } else { "window" };
                let (name, about) = (found.verdict.name(), found.about);
                convicted.push(format!("{} ({kept}): {name}: {about}", case.name));
            }
        }
    }
    convicted
}

#[cfg(not(payonce_faults))]
#[test]
fn no_case_breaks_an_obligation() {
    let convicted = convictions();
    assert!(convicted.is_empty(), "{convicted:#?}");
}
