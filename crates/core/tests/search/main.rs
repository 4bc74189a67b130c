//! Exhaustive search of the core under the judge, breadth first over distinct states: every act of an
//! alphabet in every state, to a budget of states. Each step is judged, encoded and replayed from its
//! bytes; facts are told twice; in a sample of states every pair of facts is told in both orders.
//!
//! How it is organised: `alphabet.rs` has the alphabets; this file walks, and compares orders. Two states
//! are one if everything that the core can be asked and everything that the judge keeps is the same
//! (`fingerprint`): what they hide can make the search miss a state, never convict without cause.
//!
//! `PAYONCE_SEARCH_STATES` multiplies the budgets.

#[path = "../oracle/judge.rs"]
mod judge;
#[path = "../common/translation.rs"]
mod translation;
#[path = "../common/trial.rs"]
mod trial;

mod alphabet;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    alphabet::{EARLY, IDS, LATE, Move, Profile},
    judge::{Act, Answers, Conviction, Failed, Outcome, Part, Verdict},
    translation::Core,
    trial::{Trial, finished, may_swap},
};

#[derive(Clone)]
struct Node {
    trial: Trial,
    late: bool,
    /// Its number among the distinct states.
    number: usize,
}

impl Node {
    fn now(&self) -> u64 {
        if self.late { LATE } else { EARLY }
    }

    fn key(&self) -> u128 {
        let text = (self.trial.fingerprint(IDS), self.late);
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, &text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }
}

/// What a search has seen.
#[derive(Default)]
struct Seen {
    /// The number of each distinct state.
    keys: HashMap<u128, usize>,
    /// Of each distinct state: whence, and by which move.
    paths: Vec<(usize, Option<Move>)>,
    reached: BTreeSet<String>,
    convicted: BTreeMap<Verdict, Vec<(Conviction, Vec<Move>)>>,
    expanded: usize,
    steps: usize,
    pairs: usize,
}

impl Seen {
    fn path(&self, mut number: usize) -> Vec<Move> {
        let mut path = vec![];
        while let (from, Some(step)) = &self.paths[number] {
            path.push(step.clone());
            number = *from;
        }
        path.reverse();
        path
    }

    /// Breadth first: the first of each verdict are the shortest.
    fn convict(&mut self, number: usize, last: Option<Move>, conviction: Conviction) {
        let mut path = self.path(number);
        path.extend(last);
        self.convicted.entry(conviction.verdict).or_default().push((conviction, path));
    }
}

/// The state after a move, if it changes any.
fn step(node: &Node, step: &Move, seen: &mut Seen) -> Option<Node> {
    let act = match step {
        Move::Late if node.late => return None,
        Move::Late => return Some(Node { late: true, ..node.clone() }),
        Move::Do(act) => act,
    };
    let mut after = node.clone();
    let before = node.trial.core.events();
    let outcome = match after.trial.play(node.now(), act) {
        Ok(outcome) => outcome,
        Err(conviction) => {
            reach(&after.trial, seen);
            seen.convict(node.number, Some(step.clone()), conviction);
            return None;
        }
    };
    reach(&after.trial, seen);
    let kept = matches!(act, Act::Mark { .. });
    if !kept && (outcome == Outcome::Refused || after.trial.core.events() == before) {
        return None;
    }
    if is_told_again(act) {
        told_again(&after, act);
    }
    Some(after)
}

fn reach(trial: &Trial, seen: &mut Seen) {
    let core = &trial.core;
    if let Some(row) = core.row {
        let fact = ["withdraw", "claim", "finalize", "fail", "observe", "adopt", "paid"];
        let what = match row.act {
            "pay again" => "pay",
            "delegate" => "dispatch",
            act if fact.iter().any(|fact| act.starts_with(fact)) => "fact",
            act => act,
        };
        seen.reached.insert(format!("{what} {}", row.answer.text()));
    }
    for (what, word) in core.words.iter().filter(|(what, _)| *what != "event") {
        seen.reached.insert(format!("{what} {}", word.text()));
    }
}

/// What a repeat of the same act must not change.
fn is_told_again(act: &Act) -> bool {
    !matches!(
        act,
        Act::Tick { .. }
            | Act::Finish
            | Act::CloseGap
            | Act::Open { .. }
            | Act::Mark { .. }
            | Act::PutBack { .. }
            | Act::Acknowledge { .. }
            | Act::Pay { again: true, .. }
    )
}

fn told_again(node: &Node, act: &Act) {
    let mut again = node.trial.core.clone();
    let before = again.moment();
    let told = again.tell(act, node.now());
    assert_ne!(told.outcome, Outcome::Refused, "{act:?} told twice is refused");
    // Bytes that prove nothing are counted on the first of them: of another part they are a repeat.
    let counted =
        again.words.iter().all(|(what, word)| *what != "event" || word.text() == "anomaly_noted");
    let same = again.events() == node.trial.core.events() || (counted && told.notes.is_empty());
    assert!(same, "{act:?} told twice changes something: {:?}", again.since(before));
}

/// Tells every pair of facts in both orders. While recovering: more money may leave, or not, alike. Else,
/// of two parts: statuses, fates and sums are the same.
fn compare_orders(profile: &Profile, node: &Node, seen: &mut Seen) {
    let core = &node.trial.core;
    let (recovering, now) = (core.is_recovering(), node.now());
    let acts = profile.moves.iter().filter_map(|step| match step {
        Move::Do(act) => Some(act),
        Move::Late => None,
    });
    let changes = |act: &&Act| {
        let mut after = core.clone();
        after.tell(act, now);
        after.events() > core.events()
    };
    let facts: Vec<&Act> = acts.filter(changes).collect();
    for (at, one) in facts.iter().enumerate() {
        for other in &facts[at + 1..] {
            let here = [(now, (*one).clone()), (now, (*other).clone())];
            let there = [here[1].clone(), here[0].clone()];
            if recovering && may_swap(core, one, other) {
                let leave = |told: &[(u64, Act)]| {
                    let (after, _) = finished(core, told, now);
                    node.trial.judge.may_leave(now, core, &after)
                };
                seen.pairs += 1;
                if leave(&here) != leave(&there) {
                    let verdict = Verdict::OrderDecides;
                    let about = format!("{one:?} and {other:?}");
                    seen.convict(node.number, None, Conviction { verdict, about });
                }
            } else if !recovering && are_of_two_parts(core, one, other) {
                let sums = |told: &[(u64, Act)]| {
                    let mut after = core.clone();
                    for (now, act) in told {
                        after.tell(act, *now);
                    }
                    after.summary(IDS)
                };
                seen.pairs += 1;
                assert_eq!(sums(&here), sums(&there), "{one:?} and {other:?} do not commute");
            }
        }
    }
}

/// What the network can tell in any order: of two parts that the ledger knows, each by its own name and
/// under its own hash.
fn are_of_two_parts(core: &Core, one: &Act, other: &Act) -> bool {
    let part = |act: &Act| match *act {
        Act::Claim { id, part, hash, .. } if id == hash && part / 3 == id => Some(part),
        Act::Fail { id, part, how: Failed { word: None, .. } } | Act::Finalize { id, part }
            if part / 3 == id =>
        {
            Some(part)
        }
        _ => None,
    };
    let two = |one: Part, other: Part| one != other && core.knows(one) && core.knows(other);
    matches!((part(one), part(other)), (Some(one), Some(other)) if two(one, other))
}

/// Gives a state its number, and whether it was not met before.
fn meet(node: &mut Node, from: (usize, Option<Move>), seen: &mut Seen) -> bool {
    let new = seen.paths.len();
    node.number = *seen.keys.entry(node.key()).or_insert(new);
    if node.number < new {
        return false;
    }
    seen.paths.push(from);
    true
}

fn search(profile: &Profile, budget: usize) -> Seen {
    let mut seen = Seen::default();
    for acts in &profile.starts {
        let depth = search_from(profile, acts, budget, &mut seen);
        say(&format!("{}: depth {depth} after {} acts", profile.name, acts.len()));
    }
    say(&format!(
        "{}: {} distinct states, {} expanded, {} steps, {} pairs of facts",
        profile.name,
        seen.paths.len(),
        seen.expanded,
        seen.steps,
        seen.pairs,
    ));
    seen
}

/// Says how far it came, past the capture of a test's output.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}

fn search_from(profile: &Profile, acts: &[Act], budget: usize, seen: &mut Seen) -> usize {
    let trial = Trial::encoding(profile.rules);
    let mut node = Node { trial, late: false, number: 0 };
    meet(&mut node, (0, None), seen);
    for act in acts {
        let from = node.number;
        if let Err(conviction) = node.trial.play(EARLY, act) {
            seen.convict(from, Some(Move::Do(act.clone())), conviction);
            return 0;
        }
        // One that was met from another start keeps its number, and with it the way there.
        meet(&mut node, (from, Some(Move::Do(act.clone()))), seen);
    }
    let (mut level, mut depth, mut expanded) = (vec![node], 0, 0);
    while !level.is_empty() && expanded < budget {
        let mut deeper = vec![];
        for node in level {
            if expanded == budget {
                break;
            }
            expanded += 1;
            expand(profile, &node, &mut deeper, budget - expanded, seen);
        }
        level = deeper;
        depth += 1;
    }
    seen.expanded += expanded;
    depth
}

/// Keeps what is next for as many states as are still to be expanded: each is a whole ledger, and a million of
/// them are more than a machine has memory.
fn expand(profile: &Profile, node: &Node, deeper: &mut Vec<Node>, left: usize, seen: &mut Seen) {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        if node.number.is_multiple_of(16) {
            node.trial.core.check_snapshot();
            compare_orders(profile, node, seen);
        }
        for next in &profile.moves {
            let Some(mut after) = step(node, next, seen) else { continue };
            seen.steps += 1;
            let is_new = meet(&mut after, (node.number, Some(next.clone())), seen);
            if is_new && deeper.len() < left {
                deeper.push(after);
            }
        }
    }));
    if let Err(failure) = outcome {
        say(&format!("{}: after {:#?}", profile.name, seen.path(node.number)));
        std::panic::resume_unwind(failure);
    }
}

/// Every status, every notification and anomaly, and every refusal that small histories can have: not those
/// for sizes (AmountTooLarge of a Pay or a Dispatch, TooLong, TooMany...).
const EVERYTHING: &str = "
    notice: PaymentSent PaymentSettled PaymentFailed PartSucceeded PartFailed Anomaly SentCorrection
    failed: Adopted PaidElsewhere PaymentExpired RecipientRejected RetriesExhausted UserAbandoned
    anomaly: Correction UnknownPart ForeignClaim FalsePreimage ForeignPart OutAgain PaidTwice PaidWithAnother
    pay: Accepted Duplicate Conflict HashInUse ZeroAmount Expired Recovering Restored
    invoice: UnknownPayment NotAwaitingInvoice HashInUse ZeroAmount AmountTooLarge Expired
        Recovering Restored
    dispatch: Recorded Duplicate UnknownPayment EmptyBatch PartInUse DelegatedNotAlone ZeroAmount
        NotOpen HashInUse PartOut Expired AttemptsUsedUp RetryTimePast StaleAttempt NothingMissing Overpays
        FeesTooHigh Recovering Restored
    fact: Changed Unchanged UnknownPayment UnknownPart NotClaimed NotInFlight AssertedTooEarly
        ListedAsOut Restored
    abandon: UnknownPayment
    tick: Recovering Counted
    finish: NotRecovering
    close: NotRestored
";

fn assert_reached(reached: &BTreeSet<String>) {
    let mut what = "";
    for word in EVERYTHING.split_whitespace() {
        match word.strip_suffix(':') {
            Some(heading) => what = if heading == "close" { "close the gap" } else { heading },
            None => {
                let name = format!("{what} {word}");
                assert!(reached.contains(&name), "never reached: {name}");
            }
        }
    }
}

#[test]
fn no_history_breaks_a_rule() {
    let more = std::env::var("PAYONCE_SEARCH_STATES").ok();
    let more: usize = more.map_or(1, |text| text.parse().expect("a number"));
    let profiles = [
        alphabet::parts_of_invoices(4_000),
        alphabet::hand_overs(3_000, false),
        alphabet::hand_overs(3_000, true),
        alphabet::tries(3_000, false),
        alphabet::tries(3_000, true),
        alphabet::recovery(2_000, false, false),
        alphabet::recovery(2_000, true, false),
        alphabet::recovery(1_000, false, true),
    ];
    let (mut reached, mut convicted) = (BTreeSet::new(), 0);
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut all = vec![];
        while let Some(profile) = profiles.get(next.fetch_add(1, Ordering::Relaxed)) {
            all.push((profile, search(profile, more * profile.states)));
        }
        all
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    for (profile, seen) in found {
        reached.extend(seen.reached);
        for (verdict, all) in &seen.convicted {
            convicted += all.len();
            let (conviction, path) = &all[0];
            let (name, about) = (verdict.name(), &conviction.about);
            say(&format!(
                "{}: {name}, {} times: {about}: after {path:#?}",
                profile.name,
                all.len()
            ));
        }
    }
    assert_eq!(convicted, 0, "so many steps were convicted");
    assert_reached(&reached);
}
