//! A core under the judge: every act is told to it, heard by the judge, and judged; at the end of each
//! recovery pairs of its facts are told in the other order as well.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "included by several test crates, none of which uses all of it"
)]

use crate::{
    judge::{Act, Answers, Conviction, Done, Id, Judge, Judged, Outcome, Place, Rules, Verdict},
    translation::{Core, Told},
};

/// Which neighbours among the facts of a recovery are told in the other order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swaps {
    None,
    /// One pair, chosen by this number.
    One(u64),
    /// All; and after every step everything is probed.
    All,
}

#[derive(Clone)]
pub struct Trial {
    pub core: Core,
    pub judge: Judge,
    pub now: u64,
    /// What a wrong clock reads, and for how many acts more.
    clock: Option<(u64, u8)>,
    swaps: Swaps,
    marks: Vec<Mark>,
    /// Since the log was opened: how it was, and what was told.
    recovery: Option<(Core, Vec<(u64, Act)>)>,
    /// What was told while conclusions are withheld.
    told: Vec<Act>,
    /// Judged steps.
    pub steps: u64,
}

#[derive(Clone)]
struct Mark {
    name: u8,
    moment: usize,
    judge: Judge,
}

/// Far from every limit in time.
pub const BEGIN: u64 = 1_000_000;
/// So long after everything that every limit in time is past.
const LATER: u64 = 400 * 24 * 60 * 60 * 1_000;

impl Trial {
    /// A new log, opened, and not recovered.
    pub fn new(rules: Rules, swaps: Swaps) -> Self {
        Self::begin(rules, swaps, Core::new(&rules, false))
    }

    /// The same; every entry is encoded and replayed.
    pub fn encoding(rules: Rules) -> Self {
        Self::begin(rules, Swaps::None, Core::new(&rules, true))
    }

    fn begin(rules: Rules, swaps: Swaps, core: Core) -> Self {
        let mut trial = Self {
            core,
            judge: Judge::new(rules),
            now: BEGIN,
            clock: None,
            swaps,
            marks: Vec::new(),
            recovery: None,
            told: Vec::new(),
            steps: 0,
        };
        trial.play(BEGIN, &Act::Open { restored: false }).expect("nothing to convict of");
        trial
    }

    /// Does one act at a time, and judges it. Gives what was answered.
    pub fn play(&mut self, now: u64, act: &Act) -> Result<Outcome, Conviction> {
        self.now = now;
        match *act {
            Act::Clock { reads, acts } => {
                self.clock = Some((reads, acts));
                self.judge.misread();
                return Ok(Outcome::Unchanged);
            }
            Act::Mark { name } => {
                let (moment, judge) = (self.core.moment(), self.judge.clone());
                self.marks.retain(|mark| mark.name != name);
                self.marks.push(Mark { name, moment, judge });
                return Ok(Outcome::Unchanged);
            }
            Act::PutBack { name } => {
                let Some(mark) = self.marks.iter().find(|mark| mark.name == name).cloned() else {
                    return Ok(Outcome::Unchanged);
                };
                self.core.put_back(mark.moment);
                self.marks.retain(|other| other.moment <= mark.moment);
                self.judge.put_back(mark.judge);
                return self.play(now, &Act::Open { restored: true });
            }
            Act::Finish => self.compare_orders(now)?,
            _ => {}
        }
        let read = self.read(now);
        let told = self.tell(act, now, read)?;
        if !self.core.is_recovering() && !self.core.is_restored() {
            self.told.clear();
        } else if self.core.encodes() {
            self.told.push(act.clone());
        }
        match act {
            Act::Open { .. } => {
                let begin = (self.swaps != Swaps::None).then(|| (self.core.clone(), Vec::new()));
                self.recovery = begin;
            }
            Act::Finish => self.recovery = None,
            _ => {
                if let Some((_, facts)) = &mut self.recovery {
                    facts.push((read, act.clone()));
                }
            }
        }
        Ok(told.outcome)
    }

    /// What the clock reads now.
    fn read(&mut self, now: u64) -> u64 {
        let Some((reads, acts)) = self.clock.take() else { return now };
        if acts > 1 {
            self.clock = Some((reads, acts - 1));
        }
        reads
    }

    fn tell(&mut self, act: &Act, now: u64, read: u64) -> Result<Told, Conviction> {
        let told = self.core.tell(act, read);
        self.judge.fits(self.core.fits(), act)?;
        let done = Done { act, now, read, outcome: &told.outcome, notes: &told.notes };
        self.judge.step(&done, &self.core)?;
        if self.swaps == Swaps::All {
            self.judge.probe_all(now, &self.core)?;
        }
        self.steps += 1;
        Ok(told)
    }

    /// Facts of one recovery, told in another order, decide nothing about money.
    fn compare_orders(&mut self, now: u64) -> Judged {
        let Some((begin, facts)) = self.recovery.take() else { return Ok(()) };
        let pairs: Vec<usize> = (1..facts.len())
            .filter(|at| may_swap(&begin, &facts[at - 1].1, &facts[*at].1))
            .collect();
        let pairs = match self.swaps {
            Swaps::One(number) if !pairs.is_empty() => {
                let count = pairs.len() as u64;
                vec![pairs[usize::try_from(number.wrapping_mul(self.steps) % count).unwrap_or(0)]]
            }
            Swaps::All => pairs,
            _ => return Ok(()),
        };
        for at in pairs {
            self.judge.reached[Verdict::OrderDecides as usize] = true;
            let mut swapped = facts.clone();
            swapped.swap(at - 1, at);
            let (told, bytes) = finished(&begin, &facts, now);
            let (otherwise, other_bytes) = finished(&begin, &swapped, now);
            // Bytes that prove nothing when they are told are no fact.
            if bytes || other_bytes {
                continue;
            }
            if self.judge.may_leave(now, &begin, &told)
                != self.judge.may_leave(now, &begin, &otherwise)
            {
                let about = format!("{:?} and {:?}", facts[at - 1].1, facts[at].1);
                return Err(Conviction { verdict: Verdict::OrderDecides, about });
            }
        }
        Ok(())
    }

    /// All that what follows can hang on.
    pub fn fingerprint(&self, ids: Id) -> String {
        let mut facts: Vec<String> = self.told.iter().map(|act| format!("{act:?}")).collect();
        facts.sort_unstable();
        facts.dedup();
        let marks: Vec<_> = self.marks.iter().map(|mark| (mark.name, mark.moment)).collect();
        format!("{}{}{facts:?}{marks:?}", self.core.fingerprint(ids), self.judge.fingerprint())
    }

    /// The node resolves everything, the user reads everything, and time passes: what is not over then
    /// is due.
    pub fn come_to_rest(&mut self) -> Judged {
        self.clock = None;
        if self.core.is_recovering() {
            self.play(self.now, &Act::Finish)?;
        }
        if self.core.is_restored() {
            self.play(self.now, &Act::CloseGap)?;
        }
        self.judge.probe_all(self.now, &self.core)?;
        for (hash, engine) in self.judge.blocked() {
            self.play(self.now, &Act::Unblock { hash, engine })?;
        }
        for (id, part, place) in self.judge.unresolved() {
            let act = match place {
                Place::Claimed => Act::Finalize { id, part },
                _ => Act::Fail { id, part, how: self.judge.end_of(part) },
            };
            self.play(self.now, &act)?;
        }
        for (id, part) in self.judge.undecided() {
            self.play(self.now, &Act::Disown { id, part })?;
        }
        let read = Act::Acknowledge { which: crate::judge::Which::All };
        self.play(self.now, &read)?;
        // One far reading alone is not believed.
        self.play(self.now.saturating_add(LATER), &Act::Tick { height: None })?;
        for _ in 0..7 {
            self.play(self.now.saturating_add(60_000), &Act::Tick { height: None })?;
        }
        self.play(self.now, &read)?;
        self.judge.at_rest(self.now, &self.core)?;
        self.judge.probe_all(self.now, &self.core)
    }
}

/// How a recovery with these facts ends, and whether some of it was no proof when it was told.
pub fn finished(begin: &Core, facts: &[(u64, Act)], now: u64) -> (Core, bool) {
    let (mut core, mut bytes) = (begin.clone(), false);
    for (when, act) in facts {
        core.tell(act, *when);
        bytes |= core.words.iter().any(|(_, word)| word.text() == "FalsePreimage");
    }
    core.tell(&Act::Finish, now);
    if core.is_restored() {
        core.tell(&Act::CloseGap, now);
    }
    (core, bytes)
}

/// Whether two facts of a recovery can both be told by one node, and neither tells whose the other is: it
/// does not give one part that the ledger lacks to two payments or two hashes, nor two reasons for one
/// failure. Of a name that nobody knows the first fact says whose it is.
pub fn may_swap(begin: &Core, one: &Act, other: &Act) -> bool {
    let told = |act: &Act| match *act {
        Act::Claim { id, part, hash, .. } | Act::Adopt { id, part, hash, .. } => {
            Some((id, Some(part), Some(hash)))
        }
        Act::Finalize { id, part } | Act::Fail { id, part, .. } => Some((id, Some(part), None)),
        Act::Paid { id, part, hash, .. } => Some((id, part, hash)),
        _ => None,
    };
    let fails = |act: &Act| matches!(act, Act::Fail { .. });
    let word = |act: &Act| matches!(act, Act::Paid { .. });
    let claim = |act: &Act| matches!(act, Act::Claim { .. });
    let asserted = |act: &Act| matches!(act, Act::Paid { asserted: true, .. });
    let strange = |id: Id| begin.standing(id).is_none();
    let disputed = match (told(one), told(other)) {
        (Some((id, part, hash)), Some((another, of, told))) => {
            let same = part.filter(|part| Some(*part) == of);
            let lacked = same.is_some_and(|part| !begin.knows(part));
            let hashes = hash.zip(told).is_some_and(|(one, other)| one != other);
            let unknown = strange(id) || strange(another);
            // A word speaks of what was told before it.
            let lacks = |part: Option<_>| part.is_some_and(|part| !begin.knows(part));
            let said = (word(one) && claim(other) && lacks(of))
                || (word(other) && claim(one) && lacks(part));
            (lacked && (id != another || hash != told))
                || (id == another && said)
                || (same.is_some() && hashes)
                || (id == another && strange(id) && hash != told)
                || (unknown && (fails(one) || fails(other) || asserted(one) || asserted(other)))
        }
        _ => false,
    };
    let reasons = |one: &Act, other: &Act| match (one, other) {
        (Act::Fail { part, how, .. }, Act::Fail { part: of, how: another, .. }) => {
            part == of && how.permanent != another.permanent
        }
        _ => false,
    };
    are_facts(one, other) && !disputed && !reasons(one, other)
}

/// Two facts whose order must not matter: no wishes, and not a block against its end; nor a list, which is
/// refused, for a listing one by one, where a part of it is over.
fn are_facts(one: &Act, other: &Act) -> bool {
    let fact = |act: &Act| {
        matches!(
            act,
            Act::Withdraw { .. }
                | Act::Claim { .. }
                | Act::Finalize { .. }
                | Act::Fail { .. }
                | Act::Adopt { .. }
                | Act::Paid { .. }
                | Act::Block { .. }
        )
    };
    // A preimage that comes without its hash is one only once that is known.
    let bare = |one: &Act, other: &Act| {
        let Act::Claim { part, hash, brings: None, .. } = *one else { return false };
        match *other {
            Act::Claim { part: of, hash: told, .. } | Act::Adopt { part: of, hash: told, .. } => {
                hash == told && part != of
            }
            Act::Paid { hash: told, .. } => told.is_none_or(|told| told == hash),
            Act::Block { hash: told, .. } => told == hash,
            _ => false,
        }
    };
    one != other && fact(one) && fact(other) && !bare(one, other) && !bare(other, one)
}
