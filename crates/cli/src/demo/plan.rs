//! What becomes of each payment of the story.

use payonce::{
    Failure, FailureReason, Msat, PartId, Preimage, UnixMillis,
    machine::{Assertion, ShortChannelId, Target},
};

use crate::demo::rng::Rng;

/// How a payment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// One part, paid.
    Paid,
    /// Several parts, paid.
    Mpp,
    /// A failure on the way, then paid.
    Retried,
    /// Several parts, one fails and is sent again.
    MppRetried,
    /// Chosen by the payer, paid.
    Spontaneous,
    /// Handed over to an engine, paid.
    Delegated,
    /// Handed over twice under the same id, paid.
    SaidAgain,
    /// An offer, paid.
    Offer,
    /// An offer whose invoice never comes.
    OfferUnanswered,
    /// The payee refuses it, and no other route can help.
    Rejected,
    /// No attempt is left.
    Exhausted,
    /// Nobody finds a route before it expires.
    Expired,
    /// The user gives it up while a part is out; it fails.
    Abandoned,
    /// The user gives it up; the part is paid all the same.
    AbandonedPaid,
    /// The first batch was never sent.
    Withdrawn,
    /// Told as failed, and claimed after all.
    Corrected,
    /// A part whose channel can no longer tell: an operator's word.
    Asserted,
    /// Paid on an operator's word.
    PaidOnWord,
    /// Out until the end.
    Stuck,
    /// Failed, and tried again under its id.
    TriedAgain,
}

/// Of forty payments in a row these are not simply paid.
const SPECIAL: [(u32, Course); 26] = [
    (1, Course::Mpp),
    (2, Course::Retried),
    (4, Course::Rejected),
    (5, Course::Offer),
    (6, Course::Delegated),
    (8, Course::Asserted),
    (9, Course::MppRetried),
    (11, Course::Exhausted),
    (12, Course::Abandoned),
    (13, Course::SaidAgain),
    (15, Course::Corrected),
    (16, Course::Mpp),
    (17, Course::Expired),
    (18, Course::Spontaneous),
    (20, Course::Withdrawn),
    (21, Course::OfferUnanswered),
    (22, Course::Retried),
    (24, Course::AbandonedPaid),
    (25, Course::Delegated),
    (27, Course::PaidOnWord),
    (28, Course::TriedAgain),
    (30, Course::Mpp),
    (32, Course::MppRetried),
    (34, Course::Retried),
    (35, Course::Offer),
    (38, Course::Stuck),
];

/// What becomes of the payment with this number.
pub(crate) fn course(number: u32) -> Course {
    let of = number % 40;
    // Operators are rare.
    let is_rare =
        |course| matches!(course, Course::Asserted | Course::PaidOnWord | Course::Corrected);
    let found = SPECIAL.iter().find(|(nth, _)| *nth == of).map(|(_, course)| *course);
    found.filter(|course| number < 400 || !is_rare(*course)).unwrap_or(Course::Paid)
}

/// A step of the story.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Pay,
    PayAgain,
    Invoice,
    /// Parts of these amounts.
    Dispatch(Vec<u64>),
    HandOver,
    SayAgain,
    Observe(bool),
    Withdraw,
    /// Of the part with this number among those of the payment.
    Fail(usize, Failure),
    Claim(usize),
    Finalize(usize),
    Abandon,
    MarkPaid(Assertion),
}

/// A payment of the story.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) course: Course,
    pub(crate) preimage: Preimage,
    pub(crate) amount: Msat,
    pub(crate) parts: Vec<PartId>,
    pub(crate) label: String,
    /// When each step is taken, in milliseconds after the payment began.
    pub(crate) steps: Vec<(u64, Step)>,
}

impl Plan {
    pub(crate) fn is_offer(&self) -> bool {
        matches!(self.course, Course::Offer | Course::OfferUnanswered)
    }

    pub(crate) fn retries(&self) -> u32 {
        match self.course {
            Course::Corrected | Course::Asserted | Course::TriedAgain => 0,
            Course::Exhausted => 2,
            _ => 5,
        }
    }

    /// When it must be paid, if its invoice says so.
    pub(crate) fn expiry(&self, began: UnixMillis) -> Option<UnixMillis> {
        let hours = if self.course == Course::Expired { 1 } else { 24 };
        (!self.is_offer()).then(|| began.plus(hours * 3_600_000))
    }

    pub(crate) fn target(&self, rng: &mut Rng) -> Target {
        match self.course {
            Course::Spontaneous => Target::Spontaneous { preimage: self.preimage },
            Course::Offer | Course::OfferUnanswered => Target::Offer {
                offer_hash: payonce::machine::OfferHash::from_bytes(rng.bytes()),
                deadline: payonce::Deadline::Ticks(3),
            },
            _ => Target::Invoice { payment_hash: self.preimage.payment_hash() },
        }
    }
}

/// What users buy, as the metadata of their payments.
const GOODS: [&str; 8] = [
    "coffee",
    "a month of hosting",
    "T-shirt, size M",
    "podcast, 30 min",
    "withdrawal",
    "café au lait",
    "tip",
    "refund",
];

/// A text that tries to be more than a text: whoever shows it must not obey it.
pub(crate) const HOSTILE: &str =
    "<script>alert('paid')</script> \"quoted\" \u{202e}gnp.exe\u{202c} & =1+1";

pub(crate) fn plan(number: u32, rng: &mut Rng) -> Plan {
    let course = course(number);
    // Small amounts are more common than large ones.
    let scale =
        [1_000, 10_000, 100_000, 1_000_000][usize::try_from(rng.between(0, 3)).unwrap_or(0)];
    let amount = rng.between(scale, scale * 10) * 1_000;
    let label = match number % 40 {
        3 => HOSTILE.to_owned(),
        of => format!("order {}: {}", 1_000 + number, GOODS[of as usize % GOODS.len()]),
    };
    let mut plan = Plan {
        course,
        preimage: Preimage::from_bytes(rng.bytes()),
        amount: Msat(amount),
        parts: Vec::new(),
        label,
        steps: vec![(0, Step::Pay)],
    };
    let mut at = Stepper { at: 0, plan: &mut plan, rng };
    steps(course, amount, &mut at);
    plan
}

/// Writes the steps of a plan one after the other.
struct Stepper<'a> {
    at: u64,
    plan: &'a mut Plan,
    rng: &'a mut Rng,
}

impl Stepper<'_> {
    fn after(&mut self, least: u64, most: u64, step: Step) {
        self.at += self.rng.between(least, most);
        self.plan.steps.push((self.at, step));
    }

    /// Dispatches so many parts of the whole amount; gives the number of the first.
    fn dispatch(&mut self, amount: u64, count: u64) -> usize {
        let share = amount / count;
        let mut shares = vec![share; usize::try_from(count).unwrap_or(1)];
        shares[0] += amount - share * count;
        let first = self.parts(shares.len());
        self.after(20, 400, Step::Dispatch(shares));
        first
    }

    fn parts(&mut self, count: usize) -> usize {
        let first = self.plan.parts.len();
        for _ in 0..count {
            let id = PartId::from_bytes(self.rng.bytes());
            self.plan.parts.push(id);
        }
        first
    }

    fn paid(&mut self, parts: impl IntoIterator<Item = usize>) {
        let parts: Vec<_> = parts.into_iter().collect();
        for part in &parts {
            self.after(100, 3_000, Step::Claim(*part));
        }
        for part in parts {
            self.after(200, 2_000, Step::Finalize(part));
        }
    }

    fn fails(&mut self, part: usize) {
        let failure = on_the_way(self.rng);
        self.after(500, 20_000, Step::Fail(part, failure));
    }
}

fn on_the_way(rng: &mut Rng) -> Failure {
    let block = 800_000 + rng.between(0, 20);
    let channel = ShortChannelId(block << 40 | rng.between(1, 900) << 16 | rng.between(0, 1));
    let code = [0x1007, 0x100c, 0x400f][usize::try_from(rng.between(0, 2)).unwrap_or(0)];
    Failure { code: Some(code), ..Failure::on_channel(channel) }
}

const HOUR: u64 = 3_600_000;

fn steps(course: Course, amount: u64, at: &mut Stepper<'_>) {
    match course {
        Course::Paid | Course::Spontaneous => {
            let part = at.dispatch(amount, 1);
            at.paid([part]);
        }
        Course::Mpp => {
            let count = at.rng.between(2, 5);
            let first = at.dispatch(amount, count);
            at.paid(first..first + usize::try_from(count).unwrap_or(1));
        }
        Course::Retried => {
            for _ in 0..at.rng.between(1, 3) {
                let part = at.dispatch(amount, 1);
                at.fails(part);
                at.at += 8_000;
            }
            let part = at.dispatch(amount, 1);
            at.paid([part]);
        }
        Course::MppRetried => {
            let first = at.dispatch(amount, 3);
            at.fails(first);
            let share = amount - amount / 3 * 2;
            at.at += 2_000;
            let again = at.dispatch(share, 1);
            at.paid([first + 1, first + 2, again]);
        }
        Course::Delegated | Course::SaidAgain => handed_over(course, at),
        Course::Offer => {
            at.after(800, 5_000, Step::Invoice);
            let part = at.dispatch(amount, 1);
            at.paid([part]);
        }
        Course::OfferUnanswered | Course::Expired => {}
        _ => unlucky(course, amount, at),
    }
}

fn handed_over(course: Course, at: &mut Stepper<'_>) {
    let part = at.parts(1);
    at.after(20, 400, Step::HandOver);
    at.after(500, 4_000, Step::Observe(false));
    if course == Course::SaidAgain {
        at.after(60_000, 120_000, Step::SayAgain);
    }
    at.after(500, 4_000, Step::Observe(true));
    at.paid([part]);
}

fn unlucky(course: Course, amount: u64, at: &mut Stepper<'_>) {
    let part = at.dispatch(amount, 1);
    match course {
        Course::Rejected => {
            let failure = Failure { code: Some(0x400f), ..Failure::permanent() };
            at.after(500, 9_000, Step::Fail(part, failure));
        }
        Course::Exhausted => {
            at.fails(part);
            for _ in 0..2 {
                at.at += 8_000;
                let part = at.dispatch(amount, 1);
                at.fails(part);
            }
        }
        Course::Abandoned => {
            at.after(30_000, 90_000, Step::Abandon);
            at.fails(part);
        }
        Course::AbandonedPaid => {
            at.after(30_000, 90_000, Step::Abandon);
            at.paid([part]);
        }
        Course::Withdrawn => {
            at.after(50, 200, Step::Withdraw);
            let part = at.dispatch(amount, 1);
            at.paid([part]);
        }
        Course::Corrected => {
            at.fails(part);
            at.after(5 * HOUR / 2, 3 * HOUR, Step::Claim(part));
        }
        Course::Asserted => {
            let word =
                Assertion::new("Ada, on call", "the peer is gone and its channel was closed");
            // A restart of the node may have listed it meanwhile.
            let word = Assertion { although_listed: true, ..word };
            let failure = Failure { assertion: Some(word), ..Failure::default() };
            at.after(70 * HOUR, 71 * HOUR, Step::Fail(part, failure));
        }
        Course::PaidOnWord => {
            let word = Assertion::new("Ada, on call", "the payee confirmed the receipt by mail");
            at.after(4 * HOUR, 5 * HOUR, Step::MarkPaid(word));
            at.after(HOUR, 2 * HOUR, Step::Claim(part));
            at.after(500, 900, Step::Finalize(part));
        }
        Course::TriedAgain => {
            at.fails(part);
            at.after(40_000, 50_000, Step::PayAgain);
            let part = at.dispatch(amount, 1);
            at.paid([part]);
        }
        _ => {}
    }
}

/// Why the user gives a payment up.
pub(crate) const GIVEN_UP: FailureReason = FailureReason::UserAbandoned;
