//! A node and its user, drawn from a seed: what they do, in the order in which it can happen, and in many
//! in which it should not. Facts come twice, late, under another name; answers are lost; processes die and
//! open their log again, or an older copy of it; clocks are wrong. What the node knows of its parts outlives
//! every log.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use std::collections::VecDeque;

use crate::judge::{
    Act, Answers, Failed, Hash, Id, Offered, Outcome, Part, Retry, Rules, Status, Target, Terms,
    Which, Word,
};

/// Ids that the user pays; two more are named by nobody but a node that is wrong.
const IDS: Id = 4;
const HASHES: Hash = 7;
const AMOUNT: u64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    /// Recorded; whether it goes out is open.
    Recorded,
    Out,
    Claimed,
    Gone,
    Failed,
    Never,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    part: Part,
    id: Id,
    hash: Hash,
    amount: u64,
    delegated: bool,
    truth: Truth,
    /// Of a hand-over: the last mark before it, and how often it was said.
    mark: Option<u64>,
    sayings: u32,
}

pub struct World {
    dice: u64,
    rules: Rules,
    now: u64,
    pieces: Vec<Piece>,
    parts: Part,
    terms: [Option<Terms>; IDS as usize],
    queue: VecDeque<Act>,
    recovering: bool,
    /// How often things go wrong in this history, of 100.
    trouble: u64,
    /// How often the clock may yet be wrong.
    misreads: u32,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut world = Self {
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d,
            rules: Rules {
                forever: false,
                same_hash: false,
                overpay_percent: 10,
                idempotency_ticks: 2,
                assertion_blocks: 144,
                assertion_age_ms: 14 * 24 * 60 * 60 * 1_000,
            },
            now: crate::trial::BEGIN,
            pieces: Vec::new(),
            parts: 0,
            terms: [None; IDS as usize],
            queue: VecDeque::new(),
            recovering: true,
            trouble: 0,
            misreads: 0,
        };
        world.rules.forever = world.one_in(2);
        world.rules.same_hash = world.one_in(3);
        world.trouble = [0, 5, 20, 60][world.below(4)];
        world.misreads = [0, 1, 1, 9][world.below(4)];
        world
    }

    pub fn rules(&self) -> Rules {
        self.rules
    }

    pub fn length(&mut self) -> usize {
        20 + self.below(100)
    }

    fn random(&mut self) -> u64 {
        // SplitMix64.
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.random() % count as u64).expect("below a count")
    }

    fn label(&mut self, count: u16) -> u16 {
        u16::try_from(self.below(usize::from(count))).expect("below a count")
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Whether something goes wrong here, in this history.
    fn wrong(&mut self) -> bool {
        self.random() % 100 < self.trouble
    }

    /// What happens next, and when.
    pub fn next(&mut self, ledger: &impl Answers) -> (u64, Act) {
        if let Some(act) = self.queue.pop_front() {
            if matches!(act, Act::Tick { .. }) {
                self.now += 31_000;
            }
            return (self.now, act);
        }
        if ledger.is_recovering() {
            if self.recovering {
                self.recovering = false;
                return (self.now, Act::Finish);
            }
            self.recover(ledger.is_restored());
            return self.next(ledger);
        }
        if ledger.is_restored() && self.one_in(4) {
            return (self.now, Act::CloseGap);
        }
        if self.misreads > 0 && self.one_in(25) {
            self.misreads -= 1;
            let act = self.misread();
            return (self.now, act);
        }
        let act = self.choose(ledger);
        self.pass(&act);
        (self.now, act)
    }

    /// The clock stands still for a while, where it should not be. (Two readings that agree are believed,
    /// so it does not go on from there.)
    fn misread(&mut self) -> Act {
        let far = self.now + 40 * 24 * 60 * 60 * 1_000;
        let reads = [0, self.now - 500_000, far, 4_070_908_800_000][self.below(4)];
        let acts = 1 + self.small(5);
        Act::Clock { reads, acts }
    }

    fn pass(&mut self, act: &Act) {
        if matches!(act, Act::Tick { .. }) {
            self.now += [31_000, 31_000, 31_000, 90_000, 10_000][self.below(5)];
        } else if self.one_in(6) {
            self.now += 1_000;
        }
    }

    fn choose(&mut self, ledger: &impl Answers) -> Act {
        loop {
            let act = match self.below(100) {
                0..15 => Some(self.pay(ledger)),
                15..18 => Some(self.invoice()),
                18..36 => self.dispatch(ledger),
                36..55 => self.resolve(),
                55..62 => self.finalize(),
                62..67 => self.tell_again(),
                67..69 => self.again_or_back(),
                69..72 => Some(self.intrude()),
                72..74 => Some(self.word()),
                74 => Some(Act::Block { hash: self.label(HASHES), engine: self.small(3) }),
                75 => Some(Act::Unblock { hash: self.label(HASHES), engine: self.small(3) }),
                76..78 => Some(Act::Abandon { id: self.label(IDS) }),
                78..86 => Some(self.acknowledge()),
                86..92 => Some(self.tick()),
                92..94 => self.observe(),
                94..96 => Some(Act::Mark { name: self.small(3) }),
                96..98 => Some(self.die()),
                _ => self.assert(),
            };
            if let Some(act) = act {
                return act;
            }
        }
    }

    fn small(&mut self, count: u16) -> u8 {
        u8::try_from(self.label(count)).expect("small")
    }

    fn new_terms(&mut self, id: Id) -> Terms {
        let hash = if self.one_in(3) { self.label(HASHES) } else { id };
        let target = match self.below(10) {
            0..6 => Target::Invoice(hash),
            6 => Target::Spontaneous(hash),
            _ => Target::Offer {
                offer: u8::try_from(id).expect("few ids"),
                deadline_ticks: [1, 3, 5][self.below(3)],
            },
        };
        let retry = match self.below(6) {
            0 => Retry::Attempts(0),
            1 => Retry::Attempts(1),
            2 => Retry::Until(60_000),
            _ => Retry::Manual,
        };
        Terms {
            target,
            amount: AMOUNT,
            max_fee: (!self.one_in(4)).then_some(10),
            retry,
            expiry: self.one_in(8).then_some(self.now + 120_000),
            rest: if self.one_in(4) { 60_000 } else { 0 },
            variant: self.small(2),
        }
    }

    fn pay(&mut self, ledger: &impl Answers) -> Act {
        let id = self.label(IDS);
        let known = self.terms[usize::from(id)];
        let at = ledger.standing(id);
        let failed = at.is_some_and(|at| at.status == Status::Failed);
        let again = failed && !self.one_in(4);
        let keep = at.is_some() && (if again { self.one_in(3) } else { !self.one_in(6) });
        let terms = match known.filter(|_| keep) {
            Some(terms) => terms,
            None => self.new_terms(id),
        };
        Act::Pay { id, terms, again: again || self.one_in(20) }
    }

    fn invoice(&mut self) -> Act {
        let id = self.label(IDS);
        let hash = if self.one_in(3) { self.label(HASHES) } else { id };
        let amount = if self.one_in(4) { AMOUNT - 20 } else { AMOUNT };
        let expiry = self.one_in(6).then_some(self.now + 90_000);
        Act::Invoice { id, hash, amount, expiry }
    }

    fn fresh(&mut self) -> Part {
        self.parts += 1;
        self.parts - 1
    }

    fn dispatch(&mut self, ledger: &impl Answers) -> Option<Act> {
        let mut due = Vec::new();
        ledger.due(self.now, &mut |id| due.push(id));
        let id = if due.is_empty() || self.one_in(12) {
            self.label(IDS)
        } else {
            due[self.below(due.len())]
        };
        let at = ledger.standing(id)?;
        let delegated = at.status == Status::AwaitingInvoice || self.one_in(4);
        let batch: &[(u64, u64)] = match self.below(16) {
            _ if delegated => &[(AMOUNT, 1)],
            0..7 => &[(AMOUNT, 1)],
            7..10 => &[(AMOUNT / 2, 1), (AMOUNT / 2, 1)],
            10..14 => &[(AMOUNT / 2, 1)],
            14 => &[(AMOUNT + 11, 1)],
            _ => &[(AMOUNT, 11)],
        };
        let known = self.some(|_| true).filter(|_| self.one_in(20));
        if let (Some(at), [(amount, fee)]) = (known, batch) {
            let part = self.pieces[at].part;
            let parts = vec![Offered { part, amount: *amount, fee: *fee }];
            return Some(Act::Dispatch { id, parts, delegated, stale: false, mark: None });
        }
        let offered =
            |(amount, fee): &(u64, u64)| Offered { part: self.fresh(), amount: *amount, fee: *fee };
        let parts = batch.iter().map(offered).collect();
        let mark = self.one_in(2).then_some(7);
        Some(Act::Dispatch { id, parts, delegated, stale: self.one_in(40), mark })
    }

    /// A part that is out comes to its end, and the node says so.
    fn resolve(&mut self) -> Option<Act> {
        let at = self.some(|piece| matches!(piece.truth, Truth::Out | Truth::Recorded))?;
        let claimed = self.one_in(2);
        let truth = match self.pieces[at].truth {
            Truth::Recorded => Truth::Never,
            _ if claimed => Truth::Claimed,
            _ => Truth::Failed,
        };
        self.pieces[at].truth = truth;
        if self.wrong() && self.one_in(6) {
            // Told later, or never.
            return None;
        }
        Some(self.say(at))
    }

    fn some(&mut self, fits: impl Fn(&Piece) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.pieces.len()).filter(|at| fits(&self.pieces[*at])).collect();
        if all.is_empty() { None } else { Some(all[self.below(all.len())]) }
    }

    /// The name under which the node tells of a part.
    fn named(&mut self, piece: Piece) -> Id {
        match self.below(12) {
            0 if self.wrong() => self.label(IDS),
            1 | 2 if self.wrong() => IDS + self.label(2),
            _ => piece.id,
        }
    }

    fn say(&mut self, at: usize) -> Act {
        let piece = self.pieces[at];
        let (id, part) = (self.named(piece), piece.part);
        match piece.truth {
            Truth::Recorded | Truth::Never => Act::Withdraw { id, part },
            Truth::Out => self.list(piece),
            Truth::Failed => Act::Fail { id, part, how: self.how(piece) },
            Truth::Gone if self.one_in(2) => Act::Finalize { id, part },
            Truth::Claimed | Truth::Gone => self.claim(id, piece),
        }
    }

    /// The end of a part; of a hand-over also one that is not its own, or not all of it.
    fn how(&mut self, piece: Piece) -> Failed {
        let stale = self.wrong() && self.one_in(3);
        let mark = if stale && self.one_in(2) {
            None
        } else {
            piece.mark.map(|mark| mark + u64::from(!stale))
        };
        let sayings = if stale { 1 } else { piece.sayings };
        Failed { permanent: self.one_in(8), word: None, mark, sayings }
    }

    fn claim(&mut self, id: Id, piece: Piece) -> Act {
        let mut hash = piece.hash;
        if self.wrong() && self.one_in(10) {
            hash = self.label(HASHES + 1);
        }
        let brings = (piece.delegated || !self.one_in(3)).then_some(hash);
        let (mut amount, mut fee) = (None, None);
        if piece.delegated && !self.one_in(3) {
            let less = piece.amount - 40;
            amount = [None, Some(piece.amount), Some(piece.amount + 11), Some(less)][self.below(4)];
            fee = [None, Some(1), Some(12)][self.below(3)];
        }
        Act::Claim { id, part: piece.part, hash, brings, amount, fee }
    }

    /// A hand-over is said again, or something that was over is not.
    fn again_or_back(&mut self) -> Option<Act> {
        if self.one_in(2) {
            return self.correct();
        }
        let at = self.some(|piece| piece.delegated && piece.truth == Truth::Out)?;
        let piece = self.pieces[at];
        Some(Act::SayAgain { id: piece.id, part: piece.part })
    }

    fn list(&mut self, piece: Piece) -> Act {
        if self.one_in(4) {
            let out = self.pieces.iter().filter(|piece| piece.truth == Truth::Out);
            return Act::List { parts: out.map(|piece| piece.part).collect() };
        }
        let hash = if self.wrong() && self.one_in(10) { self.label(HASHES) } else { piece.hash };
        Act::Adopt {
            id: self.named(piece),
            part: piece.part,
            hash,
            amount: (!self.one_in(6)).then_some(piece.amount),
            delegated: piece.delegated,
        }
    }

    fn finalize(&mut self) -> Option<Act> {
        let at = self.some(|piece| piece.truth == Truth::Claimed)?;
        self.pieces[at].truth = Truth::Gone;
        let piece = self.pieces[at];
        Some(Act::Finalize { id: self.named(piece), part: piece.part })
    }

    fn tell_again(&mut self) -> Option<Act> {
        let at = self.some(|_| true)?;
        Some(self.say(at))
    }

    /// What was over is not: a failure that was none, a part that turns up again.
    fn correct(&mut self) -> Option<Act> {
        if !self.wrong() {
            return None;
        }
        let at = self.some(|piece| matches!(piece.truth, Truth::Failed | Truth::Never))?;
        self.pieces[at].truth = if self.one_in(2) { Truth::Claimed } else { Truth::Out };
        Some(self.say(at))
    }

    /// A part that the log does not know.
    fn intrude(&mut self) -> Act {
        let id = if self.one_in(4) { IDS + self.label(2) } else { self.label(IDS) };
        let hash = if self.one_in(3) { id % HASHES } else { self.label(HASHES) };
        let truth = if self.one_in(3) { Truth::Claimed } else { Truth::Out };
        let amount = if self.one_in(2) { AMOUNT } else { AMOUNT / 2 };
        let part = self.fresh();
        let delegated = self.one_in(4);
        let (mark, sayings) = (None, 1);
        self.pieces.push(Piece { part, id, hash, amount, delegated, truth, mark, sayings });
        self.say(self.pieces.len() - 1)
    }

    /// The node's word that something was paid.
    fn word(&mut self) -> Act {
        if self.one_in(4) {
            let claimed = |piece: &Piece| matches!(piece.truth, Truth::Claimed | Truth::Gone);
            if let Some(at) = self.some(claimed) {
                let piece = self.pieces[at];
                return Act::Disown { id: piece.id, part: piece.part };
            }
        }
        let id = if self.one_in(5) { IDS + self.label(2) } else { self.label(IDS) };
        let asserted = self.one_in(4);
        let mut terms = None;
        if self.one_in(4) {
            terms = Some(self.new_terms(id % IDS));
        }
        if self.one_in(2)
            && let Some(at) = self.some(|piece| matches!(piece.truth, Truth::Claimed | Truth::Out))
        {
            let piece = self.pieces[at];
            self.pieces[at].truth = Truth::Claimed;
            let hash = self.one_in(2).then_some(piece.hash);
            let (id, part) = (self.named(piece), Some(piece.part));
            return Act::Paid { id, part, hash, asserted, terms };
        }
        let hash = self.one_in(2).then(|| self.label(HASHES));
        Act::Paid { id, part: None, hash, asserted, terms }
    }

    fn acknowledge(&mut self) -> Act {
        let which = match self.below(6) {
            0..3 => Which::All,
            3 => Which::First,
            4 => Which::Apart,
            _ => Which::Of(self.label(IDS)),
        };
        Act::Acknowledge { which }
    }

    fn tick(&mut self) -> Act {
        if self.one_in(3) {
            // A quiet while.
            self.queue.push_back(Act::Acknowledge { which: Which::All });
            for _ in 0..self.below(4) {
                self.queue.push_back(Act::Tick { height: None });
            }
        }
        let height = self.one_in(8).then(|| [400, 600, 700][self.below(3)]);
        Act::Tick { height }
    }

    fn observe(&mut self) -> Option<Act> {
        let at = self.some(|_| true)?;
        let Piece { id, part, delegated, truth, .. } = self.pieces[at];
        if delegated && truth == Truth::Out {
            return Some(Act::Request { id, part, request: self.small(2) });
        }
        Some(Act::Observe { id, part })
    }

    /// An operator's word.
    fn assert(&mut self) -> Option<Act> {
        let at = self.some(|piece| piece.truth == Truth::Out)?;
        let piece = self.pieces[at];
        if self.one_in(3) {
            self.now += self.rules.assertion_age_ms;
        }
        let word = Some(Word { contradicts: self.one_in(4) });
        let how = Failed { word, ..Failed::default() };
        Some(Act::Fail { id: piece.id, part: piece.part, how })
    }

    fn die(&mut self) -> Act {
        if self.one_in(3) {
            Act::PutBack { name: self.small(3) }
        } else {
            Act::Open { restored: false }
        }
    }

    /// What the node answers for its parts at a start, in any order, some of it twice.
    fn recover(&mut self, restored: bool) {
        self.recovering = true;
        let mut answers = Vec::new();
        for at in 0..self.pieces.len() {
            let tell = match self.pieces[at].truth {
                Truth::Recorded | Truth::Never => !self.one_in(4),
                Truth::Out => restored || !self.one_in(3),
                Truth::Claimed | Truth::Gone => restored || self.one_in(2),
                Truth::Failed => self.one_in(2),
            };
            if tell {
                answers.push(self.say(at));
            }
            if self.wrong() && self.one_in(3) {
                answers.push(self.contradict(at));
            }
        }
        if self.wrong() && self.one_in(3) {
            answers.push(self.word());
        }
        for at in (1..answers.len()).rev() {
            let other = self.below(at + 1);
            answers.swap(at, other);
        }
        self.queue.extend(answers);
    }

    /// Something else about the same part.
    fn contradict(&mut self, at: usize) -> Act {
        let piece = self.pieces[at];
        let (id, part) = (self.named(piece), piece.part);
        match self.below(6) {
            0 | 1 => {
                self.pieces[at].truth = Truth::Out;
                self.list(piece)
            }
            2 => Act::Withdraw { id, part },
            3 => Act::Fail { id, part, how: self.how(piece) },
            4 => {
                let hash = self.one_in(2).then_some(piece.hash);
                Act::Paid { id, part: Some(part), hash, asserted: false, terms: None }
            }
            _ => self.claim(id, piece),
        }
    }

    /// What came of it.
    pub fn learn(&mut self, act: &Act, outcome: &Outcome) {
        match (act, outcome) {
            (Act::Pay { id, terms, .. }, Outcome::Accepted) => {
                self.terms[usize::from(*id)] = Some(*terms);
            }
            (Act::SayAgain { part, .. }, Outcome::Changed) => {
                for piece in self.pieces.iter_mut().filter(|piece| piece.part == *part) {
                    piece.sayings += 1;
                }
            }
            (Act::Dispatch { id, parts, delegated, mark, .. }, Outcome::Recorded) => {
                let hash = self.terms[usize::from(*id)].and_then(|terms| terms.hash());
                for offered in parts {
                    self.pieces.retain(|piece| piece.part != offered.part);
                    let hash = match hash {
                        Some(hash) => hash,
                        None if self.one_in(2) => *id,
                        None => self.label(HASHES),
                    };
                    let truth = if self.one_in(7) { Truth::Recorded } else { Truth::Out };
                    let amount = if *delegated { AMOUNT } else { offered.amount };
                    let part = offered.part;
                    let (id, delegated) = (*id, *delegated);
                    let (mark, sayings) = (mark.filter(|_| delegated), 1);
                    self.pieces.push(Piece {
                        part,
                        id,
                        hash,
                        amount,
                        delegated,
                        truth,
                        mark,
                        sayings,
                    });
                }
            }
            (Act::Open { .. } | Act::PutBack { .. }, Outcome::Changed) => {
                self.queue.clear();
                self.recovering = false;
            }
            _ => {}
        }
    }
}
