//! Exhaustive search of the core, breadth first over distinct states: every act of an alphabet in
//! every state, to a budget of states. Each step is judged from outside, replayed from its bytes,
//! and told twice; facts are told in both orders.

#[path = "../oracle/judge.rs"]
mod judge;

mod abstraction;
mod alphabet;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::Write,
};

use payonce_core::*;

use crate::{
    abstraction::{Hidden, key},
    alphabet::{Act, EARLY, LATE, P, Profile, payment},
    judge::{Judge, Standing, Terms, Told},
};

const LEDGER: LedgerId = LedgerId::from_bytes([0x5e; 32]);

/// One state, and what led to it.
#[derive(Clone)]
struct Node {
    state: State,
    hidden: Hidden,
    judge: Judge,
    late: bool,
    /// Its number among the distinct states.
    number: usize,
}

impl Node {
    fn now(&self) -> UnixMillis {
        if self.late { LATE } else { EARLY }
    }
}

/// What a search has seen.
#[derive(Default)]
struct Seen {
    numbers: HashMap<Vec<u8>, usize>,
    /// Of each distinct state: whence, and by which act.
    paths: Vec<(usize, Option<Act>)>,
    /// Of each expanded state: the keys of the states after it.
    next: HashMap<usize, BTreeSet<Vec<u8>>>,
    /// Merged states, to be expanded as well.
    sample: Vec<Node>,
    reached: BTreeSet<String>,
    steps: usize,
    pairs: usize,
}

impl Seen {
    fn path(&self, mut number: usize) -> Vec<Act> {
        let mut path = vec![];
        while let (from, Some(act)) = self.paths[number] {
            path.push(act);
            number = from;
        }
        path.reverse();
        path
    }

    /// The name of a value without its fields.
    fn reach(&mut self, what: &str, value: &impl std::fmt::Debug) {
        let text = format!("{value:?}");
        let end = text.find([' ', '(', '{']).unwrap_or(text.len());
        let name = format!("{what} {}", &text[..end]);
        self.reached.insert(name);
    }
}

fn entry(state: &State, now: UnixMillis, events: &[Event]) -> Entry {
    let opened = events.iter().find_map(|event| match event {
        Event::Opened { epoch, .. } => Some(*epoch),
        _ => None,
    });
    let epoch = opened.unwrap_or(state.epoch());
    Entry::new(state.head(), epoch, now, events).expect("what is decided can be written")
}

/// Folds what was decided, and the bytes of it: both give the same state.
fn fold(state: &State, now: UnixMillis, events: &[Event]) -> State {
    let entry = entry(state, now, events);
    let header = EntryHeader::read(entry.bytes()).expect("an entry has a header");
    let mut live = state.clone();
    live.fold(&header, entry.after(), events);
    assert_eq!(live.misfit(), None, "decide proposed what does not fit");
    let mut replay = Replay::from_state(state.clone());
    let stored = StoredEntry { first_seq: entry.first_seq(), bytes: entry.bytes() };
    replay.entry(stored).expect("what was written is read back");
    assert_eq!(replay.state().digest(), live.digest(), "replay differs from live");
    live
}

fn decide(
    profile: &Profile,
    state: &State,
    now: UnixMillis,
    command: Command,
) -> Result<Decision<Reply>, Refusal> {
    let context = Context { now, config: &profile.config, durable_seq: state.head().seq };
    command.decide(state, &context)
}

fn opened(state: &State, restored: bool) -> Event {
    Event::Opened { epoch: state.epoch() + 1, restored, program: "search".into() }
}

/// The state after an act, if it changes any.
fn step(profile: &Profile, node: &Node, act: Act, seen: &mut Seen) -> Option<Node> {
    let (now, state) = (node.now(), &node.state);
    match act {
        Act::TimePasses if node.late => return None,
        Act::TimePasses => return Some(Node { late: true, ..node.clone() }),
        Act::Reopen { restored } => {
            let after = follow(node, &[opened(state, restored)]);
            kept_by_reopening(state, &after.state);
            return Some(after);
        }
        _ => {}
    }
    let command = profile.command(act, state)?;
    let decision = match decide(profile, state, now, command.clone()) {
        Err(refusal) => {
            reach_refusal(&refusal, seen);
            return None;
        }
        Ok(decision) => decision,
    };
    reach_reply(&decision.reply, seen);
    if decision.events.is_empty() {
        return None;
    }
    let mut after = follow(node, &decision.events);
    tell_judge(profile, node, &mut after, (&command, &decision.reply));
    if alphabet::is_fact(act) {
        let again = decide(profile, &after.state, now, command);
        let again = again.unwrap_or_else(|refusal| panic!("{act:?} told twice: {refusal}"));
        assert_eq!(again.events, [], "{act:?} told twice changes something");
    }
    for told in after.state.outbox_after(state.head().seq) {
        seen.reach("notice", &told.notice);
        match &told.notice {
            Notice::Anomaly { anomaly, .. } => seen.reach("anomaly", anomaly),
            Notice::PaymentSent { correction: true, .. } => {
                seen.reached.insert("a correction".into());
            }
            _ => {}
        }
    }
    Some(after)
}

fn follow(node: &Node, events: &[Event]) -> Node {
    let mut after = node.clone();
    after.state = fold(&node.state, node.now(), events);
    for event in events {
        after.hidden.follow(&node.state, event);
    }
    after
}

/// Dying and opening again changes nothing but the writer.
fn kept_by_reopening(before: &State, after: &State) {
    for p in 0..3 {
        assert_eq!(before.payment(&payment(p)), after.payment(&payment(p)), "a payment");
        assert_eq!(before.standing(&payment(p)), after.standing(&payment(p)), "how it stands");
    }
    assert!(before.outbox().eq(after.outbox()), "the outbox");
    assert!(before.strays().eq(after.strays()), "the strays");
    assert!(before.held().eq(after.held()), "the held hashes");
    assert_eq!(before.tick(), after.tick(), "the tick number");
    assert!(after.is_recovering() && after.due(EARLY).is_empty(), "recovery begins");
}

fn reach_refusal(refusal: &Refusal, seen: &mut Seen) {
    match refusal {
        Refusal::Send(refusal) => seen.reach("Send", refusal),
        Refusal::ReceiveInvoice(refusal) => seen.reach("ReceiveInvoice", refusal),
        Refusal::Dispatch(refusal) => seen.reach("Dispatch", refusal),
        Refusal::Fact(refusal) => seen.reach("Fact", refusal),
        Refusal::Abandon(refusal) => seen.reach("Abandon", refusal),
        Refusal::Acknowledge(refusal) => seen.reach("Acknowledge", refusal),
        Refusal::Tick(refusal) => seen.reach("Tick", refusal),
        Refusal::Finish(refusal) => seen.reach("Finish", refusal),
        Refusal::CloseGap(refusal) => seen.reach("CloseGap", refusal),
        other => panic!("an unknown refusal: {other:?}"),
    }
}

fn reach_reply(reply: &Reply, seen: &mut Seen) {
    match reply {
        Reply::Send(reply) => seen.reach("Send", reply),
        Reply::Dispatch(reply) => seen.reach("Dispatch", reply),
        _ => {}
    }
}

/// Tells the judge, in plain numbers, what was asked and answered, what the user is told, and how
/// every payment stands now.
fn tell_judge(profile: &Profile, before: &Node, after: &mut Node, done: (&Command, &Reply)) {
    let judge = &mut after.judge;
    match done {
        (Command::Send(send), Reply::Send(SendReply::Accepted)) => {
            let terms = terms(profile, &send.request);
            judge.accepted(*send.id.as_bytes(), terms);
        }
        (Command::ReceiveInvoice(got), Reply::Fact(FactReply { changed: true, .. })) => {
            let hash = *got.payment_hash.as_bytes();
            judge.invoiced(got.id.as_bytes(), hash, got.amount.0, most(got.amount));
        }
        (Command::Dispatch(batch), Reply::Dispatch(DispatchReply::Recorded { .. })) => {
            let parts: Vec<_> =
                batch.parts.iter().map(|part| offered(before, batch, part)).collect();
            judge.offered(batch.id.as_bytes(), &parts);
        }
        _ => {}
    }
    for told in after.state.outbox_after(before.state.head().seq) {
        let what = match told.notice {
            Notice::PaymentSent { .. } => Told::Sent,
            Notice::PaymentFailed { .. } => Told::Failed,
            _ => continue,
        };
        judge.told(told.id.seq, *told.notice.payment().as_bytes(), what);
    }
    for p in 0..3 {
        judge.stands(*payment(p).as_bytes(), standing(&after.state, p));
    }
    if !after.state.is_recovering() && !after.state.is_restored() {
        let now = before.now().0;
        match done.0 {
            Command::Tick(_) => judge.end_of_step(now, |_| true),
            Command::FailPart(_) => judge.end_of_step(now, |id| touched(done.1) == Some(*id)),
            _ => judge.end_of_step(now, |_| false),
        }
    }
}

/// The payment to which a fact went.
fn touched(reply: &Reply) -> Option<[u8; 32]> {
    match reply {
        Reply::Fact(FactReply { payment, .. }) => payment.map(|(id, _)| *id.as_bytes()),
        _ => None,
    }
}

fn most(amount: Msat) -> u64 {
    amount.0 + amount.0 / 10
}

fn terms(profile: &Profile, request: &Request) -> Terms {
    Terms {
        hash: request.target.payment_hash().map(|hash| *hash.as_bytes()),
        amount: request.amount.0,
        most: most(request.amount),
        max_fee: request.max_fee.map(|fee| fee.0),
        retries: match profile.retry {
            RetryPolicy::Attempts(retries) => Some(u64::from(retries)),
            RetryPolicy::Manual | RetryPolicy::Until(_) => None,
        },
        expiry: request.expiry.map(|expiry| expiry.0),
    }
}

/// A delegated part has all that was missing in hand, and the whole budget.
fn offered(before: &Node, batch: &Dispatch, part: &NewPart) -> ([u8; 32], u64, u64) {
    match *part {
        NewPart::Htlc { id, amount, fee, .. } => (*id.as_bytes(), amount.0, fee.0),
        NewPart::Delegated { id } => {
            let missing = before.state.missing(&batch.id).expect("it was dispatched");
            let budget = missing.fee_budget.unwrap_or_default();
            (*id.as_bytes(), missing.amount.0, budget.0)
        }
    }
}

fn standing(state: &State, p: P) -> Option<Standing> {
    let stands = state.standing(&payment(p))?;
    let live = state.payment(&payment(p));
    let parts = live.map_or(&[][..], Payment::parts).iter().map(|part| judge::Part {
        id: *part.id.as_bytes(),
        fate: match part.fate {
            Fate::InFlight => judge::Fate::Out,
            Fate::Claimed => judge::Fate::Paid,
            Fate::Finalized => judge::Fate::Over,
            Fate::Failed => judge::Fate::Failed,
            Fate::Withdrawn => judge::Fate::NeverSent,
        },
        amount: part.amount.map(|amount| amount.0),
        fee: part.fee.map(|fee| fee.0),
        permanent: part.permanent,
    });
    Some(Standing {
        status: match stands.status.kind() {
            StatusKind::AwaitingInvoice => judge::Status::AwaitingInvoice,
            StatusKind::Pending => judge::Status::Pending,
            StatusKind::Fulfilled => judge::Status::Fulfilled,
            StatusKind::Abandoned => judge::Status::Abandoned,
            StatusKind::Failed => judge::Status::Failed,
        },
        hash: live.and_then(Payment::payment_hash).map(|hash| *hash.as_bytes()),
        parts: parts.collect(),
        remembered: stands.remembered,
    })
}

/// What the network tells of a part. Two of them that cannot both be true are no pair.
fn is_network_fact(act: Act, withheld: bool) -> bool {
    match act {
        Act::Claim { .. } | Act::Finalize { .. } | Act::Fail { .. } | Act::Observe { .. } => true,
        // What the node itself knows is promised to commute only while verdicts are withheld: a
        // withdrawal gives back an attempt that a failure may have found used up, and a part that
        // turns up after its payment was told as failed cannot unsay it.
        Act::Withdraw { .. } | Act::Adopt { .. } | Act::MarkPaid { .. } => withheld,
        _ => false,
    }
}

/// What a fact says: the payment that it names, the part, the hash.
fn says(act: Act) -> (P, Option<(P, u8)>, Option<u8>) {
    match act {
        Act::Claim { named, p, k, h } | Act::Adopt { named, p, k, h, .. } => {
            (named, Some((p, k)), Some(h))
        }
        Act::MarkPaid { p, k, h } => (p, k.map(|k| (p, k)), h),
        Act::Finalize { p, k }
        | Act::Fail { p, k, .. }
        | Act::Observe { p, k }
        | Act::Withdraw { p, k } => (p, Some((p, k)), None),
        other => panic!("not a fact: {other:?}"),
    }
}

/// Whether two facts can both be true, and neither settles what the other means.
fn are_independent(state: &State, one: Act, other: Act) -> bool {
    let ((one_id, one_part, one_hash), (other_id, other_part, other_hash)) =
        (says(one), says(other));
    let hash_of = |p| state.payment(&payment(p)).and_then(Payment::payment_hash);
    // What the log turns out to lack leaves "never sent" without a meaning.
    if let (Act::Withdraw { .. }, Act::Adopt { .. }) | (Act::Adopt { .. }, Act::Withdraw { .. }) =
        (one, other)
    {
        return false;
    }
    // Of a name that nobody knows, the first fact settles whether it is a payment of its own.
    let unknown = state.standing(&payment(one_id)).is_none();
    if unknown && one_id == other_id && one_hash != other_hash {
        return false;
    }
    if let (Some(one), Some(other)) = (one_hash, other_hash) {
        let hash = Some(alphabet::preimage(one).payment_hash());
        let held = (0..3).any(|p| hash_of(p) == hash);
        let is_new = |p| state.standing(&payment(p)).is_none();
        let hashless = |p| !is_new(p) && hash_of(p).is_none();
        let named_anew = is_new(one_id) || is_new(other_id);
        // Of several names for one hash, the first that is known gets what a new name pays; of two
        // hashes for a payment that has none, the first is its own.
        let unsettled = if one == other {
            let open = !held || hashless(one_id) || hashless(other_id);
            one_id != other_id && named_anew && open
        } else {
            one_id == other_id
        };
        if unsettled && (hash_of(one_id).is_none() || hash_of(other_id).is_none()) {
            return false;
        }
    }
    if one_part.is_none() || one_part != other_part {
        return true;
    }
    // A node knows a part under one name.
    if one_id != other_id {
        return false;
    }
    // Of one part: one hash, one failure, and only what was out fails or is claimed.
    match (one, other) {
        (Act::Observe { .. }, _)
        | (_, Act::Observe { .. })
        | (Act::Fail { .. }, Act::Claim { .. } | Act::Finalize { .. })
        | (Act::Claim { .. } | Act::Finalize { .. }, Act::Fail { .. }) => true,
        (Act::Fail { .. } | Act::Withdraw { .. }, _)
        | (_, Act::Fail { .. } | Act::Withdraw { .. }) => false,
        _ => one_hash.is_none() || other_hash.is_none() || one_hash == other_hash,
    }
}

/// Tells two facts in both orders: statuses, fates and sums are the same; while verdicts are
/// withheld, the same once they are drawn.
fn commute(profile: &Profile, node: &Node, seen: &mut Seen) {
    let withheld = node.state.is_recovering();
    let facts = profile.acts.iter().filter(|act| is_network_fact(**act, withheld));
    let changes: Vec<(Act, Command, State)> = facts
        .filter_map(|act| {
            let command = profile.command(*act, &node.state)?;
            let after = apply(profile, &node.state, node.now(), command.clone())?;
            Some((*act, command, after))
        })
        .collect();
    for (at, (one, first, after_one)) in changes.iter().enumerate() {
        for (other, second, after_other) in &changes[at + 1..] {
            if !are_independent(&node.state, *one, *other) {
                continue;
            }
            let tell = |state: &State, command: &Command| {
                apply(profile, state, node.now(), command.clone()).unwrap_or_else(|| state.clone())
            };
            let (here, there) = (tell(after_one, second), tell(after_other, first));
            let (here, there) = (verdicts(profile, here, node), verdicts(profile, there, node));
            assert_eq!(summary(&here), summary(&there), "{one:?} and {other:?} do not commute");
            seen.pairs += 1;
        }
    }
}

fn apply(profile: &Profile, state: &State, now: UnixMillis, command: Command) -> Option<State> {
    let decision = decide(profile, state, now, command).ok()?;
    (!decision.events.is_empty()).then(|| fold(state, now, &decision.events))
}

fn verdicts(profile: &Profile, mut state: State, node: &Node) -> State {
    if node.state.is_recovering() {
        for command in [Command::FinishRecovery(FinishRecovery), Command::CloseGap(CloseGap)] {
            state = apply(profile, &state, node.now(), command).unwrap_or(state);
        }
    }
    state
}

type PartSummary = (PartId, Fate, Option<Msat>, Option<Msat>);

/// Statuses without reasons, fates and sums.
fn summary(state: &State) -> Vec<(Option<StatusKind>, Vec<PartSummary>, Msat)> {
    let parts = |parts: &mut dyn Iterator<Item = &Part>| {
        let mut parts: Vec<_> =
            parts.map(|part| (part.id, part.fate, part.amount, part.fee)).collect();
        parts.sort_unstable_by_key(|part| part.0);
        parts
    };
    let mut all: Vec<_> = (0..3)
        .map(|p| {
            let status = state.standing(&payment(p)).map(|stands| stands.status.kind());
            let live = state.payment(&payment(p));
            let own = live.map_or(&[][..], Payment::parts);
            (status, parts(&mut own.iter()), live.map_or(Msat::ZERO, Payment::lost))
        })
        .collect();
    all.push((None, parts(&mut state.strays().map(|stray| &stray.part)), Msat::ZERO));
    all
}

fn expand(profile: &Profile, node: &Node, seen: &mut Seen) -> Vec<(Act, Node)> {
    let acts = profile.acts.iter();
    acts.filter_map(|act| Some((*act, step(profile, node, *act, seen)?))).collect()
}

fn keys(profile: &Profile, next: &[(Act, Node)]) -> BTreeSet<Vec<u8>> {
    let key = |node: &Node| key(&node.state, &node.hidden, node.late, profile.parts_alike);
    next.iter().map(|(_, node)| key(node)).collect()
}

/// A state that was not seen before: it survives a snapshot, and facts about it commute.
fn check_distinct(profile: &Profile, node: &Node, seen: &mut Seen) {
    let read_back = State::decode(&node.state.encode(), 7).expect("a snapshot is read back");
    assert_eq!(read_back.digest(), node.state.digest(), "a snapshot differs");
    for p in 0..3 {
        if let Some(stands) = node.state.standing(&payment(p)) {
            seen.reach("status", &stands.status.kind());
        }
    }
    if node.number.is_multiple_of(4) {
        commute(profile, node, seen);
    }
}

/// Numbers a state: as the one with the same key, or anew.
fn meet(profile: &Profile, node: &mut Node, from: (usize, Option<Act>), seen: &mut Seen) {
    let key = key(&node.state, &node.hidden, node.late, profile.parts_alike);
    if let Some(number) = seen.numbers.get(&key) {
        node.number = *number;
        return;
    }
    node.number = seen.paths.len();
    seen.numbers.insert(key, node.number);
    seen.paths.push(from);
}

fn search(profile: &Profile) -> Seen {
    let mut seen = Seen::default();
    for acts in &profile.starts {
        let depth = search_from(profile, acts, &mut seen);
        say(&format!("{}: depth {depth} after {} acts", profile.name, acts.len()));
    }
    let compared = check_merging(profile, &mut seen);
    say(&format!(
        "{}: {} distinct states, {} expanded, {} steps, {} pairs of facts, {compared} merged \
         states compared",
        profile.name,
        seen.paths.len(),
        seen.next.len(),
        seen.steps,
        seen.pairs,
    ));
    seen
}

/// Says how far it came, past the capture of a test's output.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}

fn search_from(profile: &Profile, acts: &[Act], seen: &mut Seen) -> usize {
    let (hidden, judge) = (Hidden::default(), Judge::default());
    let empty = Node { state: State::new(LEDGER, 1), hidden, judge, late: false, number: 0 };
    let mut node = follow(&empty, &[opened(&empty.state, false)]);
    meet(profile, &mut node, (0, None), seen);
    for act in acts {
        let from = node.number;
        node = step(profile, &node, *act, seen).expect("every act of a start changes something");
        meet(profile, &mut node, (from, Some(*act)), seen);
    }
    let (mut level, mut depth, mut expanded) = (vec![node], 0, 0);
    let mut queued: HashSet<usize> = [level[0].number].into();
    while !level.is_empty() && expanded < profile.states {
        let mut deeper = vec![];
        for node in level {
            if expanded == profile.states {
                break;
            }
            expanded += 1;
            for (act, mut after) in run_named(profile, &node, seen) {
                meet(profile, &mut after, (node.number, Some(act)), seen);
                let number = after.number;
                if !seen.next.contains_key(&number) && queued.insert(number) {
                    deeper.push(after);
                } else if seen.steps.is_multiple_of(97) && seen.sample.len() < 500 {
                    seen.sample.push(after);
                }
                seen.steps += 1;
            }
        }
        level = deeper;
        depth += 1;
    }
    depth
}

/// Expands one state; a failure names the acts that led to it.
fn run_named(profile: &Profile, node: &Node, seen: &mut Seen) -> Vec<(Act, Node)> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        check_distinct(profile, node, seen);
        expand(profile, node, seen)
    }));
    let next = outcome.unwrap_or_else(|failure| {
        say(&format!("{}: after {:#?}", profile.name, seen.path(node.number)));
        std::panic::resume_unwind(failure)
    });
    seen.next.insert(node.number, keys(profile, &next));
    next
}

/// Merged states have the same next states as the ones that stand for them.
fn check_merging(profile: &Profile, seen: &mut Seen) -> usize {
    let mut compared = 0;
    for node in std::mem::take(&mut seen.sample) {
        let Some(wanted) = seen.next.get(&node.number).cloned() else { continue };
        let next = expand(profile, &node, seen);
        let next = keys(profile, &next);
        let path = || seen.path(node.number);
        assert_eq!(next, wanted, "states with one key differ; the other was after {:#?}", path());
        compared += 1;
    }
    compared
}

/// Every status, every notification and anomaly, and every refusal that small histories can have:
/// not those for sizes (AmountTooLarge of a Send or a Dispatch, TooLong, TooMany...).
const EVERYTHING: &str = "
    status: AwaitingInvoice Pending Fulfilled Abandoned Failed
    notice: PaymentSent PaymentFailed PartSucceeded PartFailed Anomaly
    anomaly: Correction UnknownPart ForeignClaim Stray
    a: correction
    Send: Accepted Duplicate Conflict HashInUse ZeroAmount Expired Recovering Restored
    ReceiveInvoice: UnknownPayment NotAwaitingInvoice HashInUse ZeroAmount AmountTooLarge Expired
        Recovering Restored
    Dispatch: Recorded Duplicate UnknownPayment EmptyBatch PartInUse DelegatedNotAlone ZeroAmount
        NotOpen HashInUse Expired AttemptsUsedUp RetryTimePast StaleAttempt NothingMissing Overpays
        FeesTooHigh Recovering Restored
    Fact: UnknownPayment UnknownPart PartOfAnother WrongPreimage NotClaimed NotInFlight
        AssertedTooEarly Restored
    Abandon: UnknownPayment
    Acknowledge: Future OtherLog
    Tick: Recovering
    Finish: NotRecovering
    CloseGap: NotRestored
";

#[test]
fn no_history_breaks_a_rule() {
    let searches = [
        alphabet::parts_of_invoices(7_000),
        alphabet::delegated_offers(7_000),
        alphabet::recovery(2_500, Remember::Window),
        alphabet::recovery(2_500, Remember::Forever),
    ];
    let reached: BTreeSet<String> =
        searches.iter().flat_map(|profile| search(profile).reached).collect();
    let mut what = "";
    for word in EVERYTHING.split_whitespace() {
        match word.strip_suffix(':') {
            Some(heading) => what = heading,
            None => {
                let name = format!("{what} {word}");
                assert!(reached.contains(&name), "never reached: {name}");
            }
        }
    }
}
