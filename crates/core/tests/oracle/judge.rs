//! The judge: what must hold of every obligation to pay, whatever happens, seen from outside.
//!
//! It keeps the *obligation*: everything ever told under a payment id through all its tries, every
//! preimage ever seen, and where the money is: of each part whether it may be out, is settled or surely
//! is not, and the same by hash. It shares no code and no rule with what it judges: it hears what was told
//! and answered ([`Done`]), asks questions ([`Answers`]), and gives a [`Conviction`] with one of the
//! names in [`Verdict`].
//!
//! How it is organised: this file holds the words (labels, acts, answers), the verdicts, and the round of
//! checks after each step; `money.rs` is the book of obligations, parts and hashes, and how a fact changes
//! it. The labels are small numbers; whoever puts the judge to work translates
//! (`common/translation.rs`).

#![allow(
    dead_code,
    unreachable_pub,
    reason = "included by several test crates, none of which uses all of it"
)]

mod money;

pub use money::{DISPATCHED_EXPIRY, Place};

use money::Book;

/// A payment id's label.
pub type Id = u16;
/// A part id's label.
pub type Part = u16;
/// A label of a preimage and of its hash.
pub type Hash = u16;
/// Who shows that something is out under a hash: 0 where nobody is named, at most 7.
pub type Engine = u8;

/// How the ledger is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub forever: bool,
    pub same_hash: bool,
    pub overpay_percent: u64,
    pub idempotency_ticks: u64,
    pub assertion_blocks: u32,
    pub assertion_age_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Invoice(Hash),
    /// The preimage is the payer's own.
    Spontaneous(Hash),
    Offer {
        offer: u8,
        deadline_ticks: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Manual,
    Attempts(u32),
    Until(u64),
}

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub target: Target,
    pub amount: u64,
    pub max_fee: Option<u64>,
    pub retry: Retry,
    pub expiry: Option<u64>,
    /// How long it rests after a failure, in milliseconds.
    pub rest: u64,
    /// Makes two requests differ that are alike otherwise.
    pub variant: u8,
}

impl Terms {
    pub const fn hash(&self) -> Option<Hash> {
        match self.target {
            Target::Invoice(hash) | Target::Spontaneous(hash) => Some(hash),
            Target::Offer { .. } => None,
        }
    }
}

/// A part to dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    pub part: Part,
    pub amount: u64,
    pub fee: u64,
}

/// Which unread notifications are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    All,
    /// Those of this payment.
    Of(Id),
    First,
    /// Those that belong to no payment.
    Apart,
    /// The one with this seq.
    Seq(u64),
}

/// Everything that can be told or asked, and that can happen to a process and its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Pay {
        id: Id,
        terms: Terms,
        /// Names the latest failure.
        again: bool,
    },
    Invoice {
        id: Id,
        hash: Hash,
        amount: u64,
        expiry: Option<u64>,
    },
    Dispatch {
        id: Id,
        parts: Vec<Offered>,
        delegated: bool,
        stale: bool,
        /// The last mark that the engine had shown.
        mark: Option<u64>,
    },
    /// A hand-over is said once more.
    SayAgain {
        id: Id,
        part: Part,
    },
    Withdraw {
        id: Id,
        part: Part,
    },
    Claim {
        id: Id,
        part: Part,
        /// Whose preimage is told.
        hash: Hash,
        /// The hash that an engine tells with it.
        brings: Option<Hash>,
        amount: Option<u64>,
        fee: Option<u64>,
    },
    Finalize {
        id: Id,
        part: Part,
    },
    Fail {
        id: Id,
        part: Part,
        how: Failed,
    },
    Observe {
        id: Id,
        part: Part,
    },
    /// A hand-over made this invoice request.
    Request {
        id: Id,
        part: Part,
        request: u8,
    },
    Adopt {
        id: Id,
        part: Part,
        hash: Hash,
        amount: Option<u64>,
        delegated: bool,
    },
    Paid {
        id: Id,
        part: Option<Part>,
        hash: Option<Hash>,
        /// An operator's word, and not the node's.
        asserted: bool,
        /// The request that was paid.
        terms: Option<Terms>,
    },
    /// The node lists parts that the ledger knows.
    List {
        parts: Vec<Part>,
    },
    /// The caller's word that a claimed stray is not of this payment.
    Disown {
        id: Id,
        part: Part,
    },
    Block {
        hash: Hash,
        engine: Engine,
    },
    Unblock {
        hash: Hash,
        engine: Engine,
    },
    Abandon {
        id: Id,
    },
    Acknowledge {
        which: Which,
    },
    Tick {
        height: Option<u32>,
    },
    Finish,
    CloseGap,
    /// The clock is wrong: the next acts read this.
    Clock {
        reads: u64,
        acts: u8,
    },
    /// The process dies and the log is opened again.
    Open {
        restored: bool,
    },
    /// This moment of the log is kept.
    Mark {
        name: u8,
    },
    /// The process dies, the log is put back to a moment that was kept, and opened as restored.
    PutBack {
        name: u8,
    },
}

/// How a part failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failed {
    pub permanent: bool,
    /// An operator's word in place of the channel's.
    pub word: Option<Word>,
    /// The engine's mark of the try that ended.
    pub mark: Option<u64>,
    /// How many sayings are over.
    pub sayings: u32,
}

/// An operator's word on a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// He says that he contradicts a listing.
    pub contradicts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    AwaitingInvoice,
    Pending,
    Fulfilled,
    Abandoned,
    Failed,
}

impl Status {
    pub const fn is_open(self) -> bool {
        matches!(self, Self::AwaitingInvoice | Self::Pending)
    }
}

/// How a payment stands, as a repeat is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentView {
    pub status: Status,
    pub remembered: bool,
    /// The hash that it holds now.
    pub hash: Option<Hash>,
    pub proof: Option<Hash>,
    /// How many unresolved parts it tells of.
    pub unresolved: usize,
    /// Something beside its own parts holds it.
    pub held: bool,
    /// What was paid, if it is.
    pub sums: Sums,
}

/// What is told to have been paid; none where it is not known.
pub type Sums = (Option<u64>, Option<u64>);

/// Why a payment is over, unpaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its time is up.
    Late,
    /// Its hash is paid, and not by it.
    PaidElsewhere,
    Other,
}

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    Sent {
        id: Id,
        proof: Option<Hash>,
        sums: Sums,
    },
    /// What was told before has changed.
    Settled {
        id: Id,
        proof: Option<Hash>,
        sums: Sums,
    },
    Failed {
        id: Id,
        why: Why,
    },
    PartSucceeded {
        id: Id,
        part: Part,
    },
    PartFailed {
        id: Id,
        part: Part,
    },
    Anomaly {
        id: Id,
        spent_more: bool,
        parts: Vec<Part>,
        hashes: Vec<Hash>,
    },
    Other {
        id: Id,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub seq: u64,
    pub says: Says,
}

/// What a step was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A request is recorded.
    Accepted,
    /// A repeat, answered with how the payment stands.
    Duplicate(PaymentView),
    /// A batch is recorded: the right to offer it.
    Recorded,
    Changed,
    Unchanged,
    Acknowledged(Vec<u64>),
    Refused,
}

/// A step that was done.
#[derive(Debug)]
pub struct Done<'a> {
    pub act: &'a Act,
    /// When it was.
    pub now: u64,
    /// What the clock read.
    pub read: u64,
    pub outcome: &'a Outcome,
    /// The notifications that it put into the outbox.
    pub notes: &'a [Note],
}

/// What the judge may ask.
pub trait Answers {
    fn is_recovering(&self) -> bool;
    fn is_restored(&self) -> bool;
    fn tick(&self) -> u64;
    fn standing(&self, id: Id) -> Option<PaymentView>;
    fn due(&self, now: u64, each: &mut dyn FnMut(Id));
    /// Whether this would be accepted as a new try.
    fn would_pay(&self, now: u64, id: Id, terms: &Terms, again: bool) -> bool;
    /// Whether a batch of all that is missing would be recorded.
    fn would_dispatch(&self, now: u64, id: Id) -> bool;
    /// Which invoice request is kept for a part.
    fn invoice_request(&self, part: Part) -> Option<u8>;
    /// Whether an unread failure is marked as no longer true; none if it is not unread.
    fn is_superseded(&self, note: u64) -> Option<bool>;
}

macro_rules! verdicts {
    ($($(#[doc = $says:literal])+ $name:ident,)+) => {
        /// What the judge convicts of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Verdict { $($(#[doc = $says])+ $name,)+ }

        impl Verdict {
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => concat!($($says,)+),)+ }
            }
        }
    };
}

verdicts! {
    /// Money left twice for one id or one hash, and no anomaly names both.
    PaidTwice,
    /// *Failed* is told while a part told under the id is out or settled.
    ToldFailed,
    /// An id is free while something told under it is out or settled.
    IdFree,
    /// A hash is free while something is out under it or it is paid.
    HashFree,
    /// A true preimage is not the proof of something afterwards.
    ProofLost,
    /// What was told paid is not paid.
    WordLost,
    /// A payment for ever neither due, nor over, nor out.
    Stuck,
    /// The order of two facts decides whether money may leave.
    OrderDecides,
    /// A fact about money is refused for being unexpected.
    FactRefused,
    /// *Sent* is told, and nothing that was told says so.
    SentUnproven,
    /// What was decided does not fit its own log, which could not be opened again.
    Misfit,
    /// A payment is paid, and nobody is told; or told twice.
    SentNotOnce,
    /// *Failed* is told twice in a try, though the first still stood.
    FailedTwice,
    /// An outcome is taken back.
    OutcomeTakenBack,
    /// Something leaves, is due, or fails while recovering or in a gap.
    ActsInGap,
    /// More than asked for is dispatched.
    Overpays,
    /// More fees than allowed are dispatched.
    FeesTooHigh,
    /// More batches than allowed are dispatched, or one too late.
    TooManyTries,
    /// A part id is dispatched that was known.
    PartReused,
    /// A payment is left open with nothing out and nothing allowed.
    LeftOpen,
    /// An operator's word is taken before its time.
    WordTooEarly,
    /// Notifications are told out of their order.
    OutOfOrder,
    /// Something is forgotten that is not over, or too early.
    Vanished,
    /// What was told to be paid is not what a repeat tells, and nothing is in flight.
    ToldOtherwise,
    /// What a repeat tells to be paid is not what was paid.
    SumsWrong,
    /// An engine spent more than it was allowed to, and nobody is told.
    OverspentUntold,
    /// A failure was told, became untrue and true again, and is not told again.
    FailureUntold,
    /// A limit in time acts before its time.
    TimeCutShort,
    /// A limit in time does not act.
    TimeLifted,
    /// A payment is due while it rests.
    RestIgnored,
    /// A request is answered as the repeat of another one.
    FalseRepeat,
    /// A hand-over ends by an end of another, or while a saying of it waits.
    StaleEnd,
    /// The invoice request of a part that is out is lost, or another one takes its place.
    RequestLost,
}

/// A verdict and whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conviction {
    pub verdict: Verdict,
    pub about: String,
}

pub type Judged = Result<(), Conviction>;

fn convict(verdict: Verdict, about: impl FnOnce() -> String) -> Judged {
    Err(Conviction { verdict, about: about() })
}

fn demand(holds: bool, verdict: Verdict, about: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { convict(verdict, about) }
}

/// What would be broken, and why.
type Broken = (Verdict, &'static str);

fn unbroken(broken: Option<Broken>, about: impl FnOnce() -> String) -> Judged {
    match broken {
        None => Ok(()),
        Some((verdict, why)) => convict(verdict, || format!("{}: {why}", about())),
    }
}

/// How often each verdict was put to the question in a history: its premise was true.
pub type Reached = [bool; Verdict::ALL.len()];

#[derive(Debug, Clone)]
pub struct Judge {
    book: Book,
    last_note: u64,
    /// Which id and which hash is probed next, whatever the step was about.
    round: usize,
    /// How often the clock was wrong.
    misread: u32,
    pub reached: Reached,
}

impl Judge {
    pub fn new(rules: Rules) -> Self {
        let reached = [false; Verdict::ALL.len()];
        Self { book: Book::new(rules), last_note: 0, round: 0, misread: 0, reached }
    }

    fn reach(&mut self, verdict: Verdict) {
        self.reached[verdict as usize] = true;
    }

    /// What was decided must fit.
    pub fn fits(&mut self, fits: bool, act: &Act) -> Judged {
        self.reach(Verdict::Misfit);
        demand(fits, Verdict::Misfit, || format!("{act:?}"))
    }

    /// The clock is wrong for a while.
    pub fn misread(&mut self) {
        self.misread += 1;
    }

    /// The log is put back to where another judge kept it.
    pub fn put_back(&mut self, then: Self) {
        let Self { misread, reached, .. } = *self;
        *self = Self { misread, reached, ..then };
    }

    /// Hears of a step and judges it.
    pub fn step(&mut self, done: &Done<'_>, ask: &impl Answers) -> Judged {
        self.tempted(done);
        // Nothing that a ledger could know tells that an opening's reading is wrong.
        let opens = matches!(done.act, Act::Open { .. });
        // Nor that a clock which is set back at a tick was right before.
        let set_back = matches!(done.act, Act::Tick { .. }) && done.read < done.now;
        self.misread += u32::from(opens && done.read != done.now) + u32::from(set_back);
        self.before(done)?;
        let settled_before = self.book.settled_parts();
        self.book.apply(done);
        let tick = (ask.tick(), done.now);
        self.book.opened(ask.is_recovering(), ask.is_restored(), tick);
        self.notes(done)?;
        self.standings(ask)?;
        self.facts(done)?;
        self.ends_and_sums(done)?;
        self.requests(ask)?;
        if self.book.settled_parts() != settled_before {
            self.paid_twice()?;
        }
        self.failures(ask)?;
        self.answered(done)?;
        if matches!(done.act, Act::Tick { .. }) {
            self.book.forget_hashes();
        }
        self.free(done, ask)
    }

    /// What a ledger that keeps no rule could do wrong in this step.
    fn tempted(&mut self, done: &Done<'_>) {
        let book = &self.book;
        let sent = |id: Id| book.payment(id).is_some_and(|payment| payment.sent.is_some());
        let mut verdicts = Vec::new();
        if book.recovering || book.restored {
            verdicts.push(Verdict::ActsInGap);
        }
        match done.act {
            Act::Dispatch { id, parts, delegated: false, .. } => {
                let amount = parts
                    .iter()
                    .fold(book.counted(*id).amount, |sum, part| sum.saturating_add(part.amount));
                let fee = parts
                    .iter()
                    .fold(book.counted(*id).fee, |sum, part| sum.saturating_add(part.fee));
                let payment = book.payment(*id);
                let terms = payment.and_then(|payment| payment.terms);
                let most = payment.map_or(0, |payment| payment.most(book.rules.overpay_percent));
                verdicts.extend((amount > most).then_some(Verdict::Overpays));
                let limit = terms.and_then(|terms| terms.max_fee);
                verdicts.extend(limit.filter(|limit| fee > *limit).map(|_| Verdict::FeesTooHigh));
                let tries = book.tries(*id);
                let used_up = terms.is_some_and(
                    |terms| matches!(terms.retry, Retry::Attempts(retries) if tries > retries),
                );
                verdicts.extend(used_up.then_some(Verdict::TooManyTries));
                let known = parts.iter().any(|part| book.is_known(part.part));
                verdicts.extend(known.then_some(Verdict::PartReused));
            }
            Act::Request { part, request, .. } => {
                let other = book.request_of(*part).is_some_and(|kept| kept != *request);
                verdicts.extend(other.then_some(Verdict::RequestLost));
            }
            Act::Fail { id, part, .. } | Act::Finalize { id, part } => {
                let strange = book.owner(*part).is_some_and(|owner| owner != *id);
                verdicts.extend(strange.then_some(Verdict::FactRefused));
                let over = book.owner(*part).is_some_and(sent);
                verdicts.extend(over.then_some(Verdict::OutcomeTakenBack));
            }
            _ => {}
        }
        if done.notes.len() > 1 {
            verdicts.push(Verdict::OutOfOrder);
        }
        for verdict in verdicts {
            self.reach(verdict);
        }
    }

    /// What is judged on the book as it was when the step was decided.
    fn before(&mut self, done: &Done<'_>) -> Judged {
        match (done.act, done.outcome) {
            (Act::Pay { id, terms, again }, Outcome::Accepted) => {
                unbroken(self.forbids_pay(*id, terms.hash(), *again), || format!("{:?}", done.act))
            }
            (Act::Dispatch { id, parts, delegated, .. }, Outcome::Recorded) => {
                unbroken(self.forbids_dispatch(*id), || format!("{:?}", done.act))?;
                self.limits(*id, parts, *delegated, done)
            }
            (Act::Fail { part, how, .. }, Outcome::Changed) => self.ends(*part, how, done.read),
            (Act::Request { id, part, request }, Outcome::Changed) => {
                let kept = self.book.request_of(*part);
                let about = || format!("id {id}, part {part}: {request} after {kept:?}");
                demand(kept.is_none(), Verdict::RequestLost, about)?;
                let open = self.book.payment(*id).and_then(|payment| payment.standing);
                let open = open.is_some_and(|at| at.status.is_open());
                let own = self.book.owner(*part) == Some(*id);
                demand(open || !own, Verdict::RequestLost, || format!("id {id} is not open"))
            }
            (Act::Paid { id, part, hash, asserted: true, terms }, outcome) => {
                let known = self.book.payment(*id).is_some_and(|payment| payment.known);
                let says_what = hash.is_some() || terms.is_some();
                let taken = *outcome != Outcome::Refused;
                let in_time = known || (self.book.restored && says_what);
                demand(!taken || in_time, Verdict::WordTooEarly, || format!("id {id}, {part:?}"))?;
                demand(taken || !in_time, Verdict::WordLost, || format!("id {id}, {part:?}"))
            }
            _ => Ok(()),
        }
    }

    /// What is needed to end a part that may be out.
    fn ends(&mut self, part: Part, how: &Failed, read: u64) -> Judged {
        if self.book.place(part) != Place::Out {
            return Ok(());
        }
        if let Some(word) = how.word {
            self.reach(Verdict::WordTooEarly);
            let in_time = self.book.word_counts(part, word, read);
            return demand(in_time, Verdict::WordTooEarly, || format!("part {part}, {word:?}"));
        }
        if self.book.ends(part) != Failed::default() {
            self.reach(Verdict::StaleEnd);
        }
        demand(self.book.is_end(part, how), Verdict::StaleEnd, || format!("part {part}, {how:?}"))
    }

    /// What accepting a request would break, and why.
    fn forbids_pay(&self, id: Id, hash: Option<Hash>, again: bool) -> Option<Broken> {
        let book = &self.book;
        if book.recovering || book.restored {
            return Some((Verdict::ActsInGap, "the log is not recovered"));
        }
        let holds = book.holds(id);
        if holds.out || holds.settled {
            return Some((Verdict::IdFree, "something of it is out or settled"));
        }
        if !again && book.payment(id).is_some_and(|payment| payment.known) {
            return Some((Verdict::IdFree, "it is known"));
        }
        let why = book.hash_taken(hash?, id, !book.rules.same_hash)?;
        Some((Verdict::HashFree, why))
    }

    /// What recording a batch would break, and why.
    fn forbids_dispatch(&self, id: Id) -> Option<Broken> {
        let book = &self.book;
        if book.recovering || book.restored {
            return Some((Verdict::ActsInGap, "the log is not recovered"));
        }
        let holds = book.holds(id);
        if holds.foreign || holds.settled {
            return Some((Verdict::IdFree, "something of it is out or settled"));
        }
        let why = book.hash_out(book.hash_of(id)?, id)?;
        Some((Verdict::HashFree, why))
    }

    /// The limits of the request, on a batch that was recorded.
    fn limits(&mut self, id: Id, parts: &[Offered], delegated: bool, done: &Done<'_>) -> Judged {
        let book = &self.book;
        let about = || format!("a batch of id {id}");
        for offered in parts {
            demand(!book.is_known(offered.part), Verdict::PartReused, || {
                format!("part {}", offered.part)
            })?;
        }
        let Some(payment) = book.payment(id) else { return convict(Verdict::IdFree, about) };
        demand(payment.sent.is_none() && !payment.failed(), Verdict::IdFree, about)?;
        let Some(terms) = payment.terms else { return convict(Verdict::IdFree, about) };
        let counted = book.counted(id);
        if !delegated {
            let added = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.amount));
            let most = payment.most(book.rules.overpay_percent);
            demand(counted.amount.saturating_add(added) <= most, Verdict::Overpays, about)?;
            let fees = parts.iter().fold(counted.fee, |sum, part| sum.saturating_add(part.fee));
            let within = terms.max_fee.is_none_or(|limit| fees <= limit);
            demand(within, Verdict::FeesTooHigh, about)?;
        }
        let tries = book.tries(id);
        let used_up = matches!(terms.retry, Retry::Attempts(retries) if tries > retries);
        demand(!used_up, Verdict::TooManyTries, about)?;
        let stale = matches!(done.act, Act::Dispatch { stale: true, .. });
        demand(!stale, Verdict::TooManyTries, about)?;
        let expired = terms.expiry.is_some_and(|expiry| expiry <= done.read);
        demand(!expired, Verdict::TimeLifted, about)?;
        if let Retry::Until(millis) = terms.retry
            && tries > 0
        {
            self.reach(Verdict::TimeLifted);
            let payment = self.book.payment(id).expect("it was there");
            let by_clock =
                self.misread == 0 && payment.accepted.0.saturating_add(millis) <= done.now;
            let by_ticks = self.book.ticks_since(id) >= ticks_of(millis);
            demand(!by_clock && !by_ticks, Verdict::TimeLifted, about)?;
        }
        Ok(())
    }

    /// What the user is told in this step.
    fn notes(&mut self, done: &Done<'_>) -> Judged {
        for note in done.notes {
            demand(note.seq > self.last_note, Verdict::OutOfOrder, || format!("{note:?}"))?;
            self.last_note = note.seq;
            self.book.unread(note);
            match &note.says {
                Says::Sent { id, proof, sums } => {
                    self.sent(*id, note.seq)?;
                    self.book.payment_mut(*id).told = Some((*sums, *proof));
                }
                Says::Settled { id, proof, sums } => {
                    let sent = self.book.payment(*id).is_some_and(|at| at.sent.is_some());
                    demand(sent, Verdict::OutOfOrder, || format!("{note:?}"))?;
                    self.book.payment_mut(*id).told = Some((*sums, *proof));
                }
                Says::Failed { id, why } => self.failed(*id, note.seq, *why, done.now)?,
                Says::PartSucceeded { id, .. } => {
                    let sent = self.book.payment(*id).is_some_and(|at| at.sent.is_some());
                    demand(sent, Verdict::OutOfOrder, || format!("{note:?}"))?;
                }
                Says::PartFailed { id, .. } => {
                    // A part that turned up later may fail later.
                    let first = done.notes.first().map_or(0, |note| note.seq);
                    let told = self.book.payment(*id).and_then(|payment| payment.failure);
                    let before = told.is_some_and(|failure| failure.seq >= first);
                    demand(!before, Verdict::OutOfOrder, || format!("{note:?}"))?;
                }
                Says::Anomaly { parts, hashes, spent_more, .. } => {
                    self.book.noted(note.seq, parts, hashes);
                    self.book.overspent_told |= spent_more;
                }
                Says::Other { .. } => {}
            }
        }
        Ok(())
    }

    fn sent(&mut self, id: Id, seq: u64) -> Judged {
        self.reach(Verdict::SentNotOnce);
        self.reach(Verdict::SentUnproven);
        let proven = self.book.is_proven(id) || self.book.may_prove == Some(id);
        let payment = self.book.payment_mut(id);
        demand(payment.sent.is_none(), Verdict::SentNotOnce, || format!("id {id} again"))?;
        payment.sent = Some(seq);
        demand(proven, Verdict::SentUnproven, || format!("id {id}"))
    }

    fn failed(&mut self, id: Id, seq: u64, why: Why, now: u64) -> Judged {
        self.reach(Verdict::FailedTwice);
        let (recovering, restored) = (self.book.recovering, self.book.restored);
        let about = || format!("id {id}");
        demand(!recovering && !restored, Verdict::ActsInGap, about)?;
        let payment = self.book.payment_mut(id);
        demand(payment.sent.is_none(), Verdict::OutcomeTakenBack, about)?;
        let doubted = payment.failure.is_some_and(|failure| failure.doubted);
        demand(!payment.failed() || doubted, Verdict::FailedTwice, about)?;
        payment.failure = Some(money::Failure {
            seq,
            superseded: false,
            read: false,
            untrue: false,
            doubted: false,
        });
        self.not_over(id, "is told as failed")?;
        // An offer gives up only its invoice.
        let offer = self.book.payment(id).is_some_and(money::Payment::is_offer);
        let paid = self.book.hash_of(id).is_some_and(|hash| self.book.is_paid(hash));
        demand(offer || !paid || why == Why::PaidElsewhere, Verdict::ToldFailed, || {
            format!("id {id} is told as failed, and not that its hash is paid")
        })?;
        if why == Why::Late { self.late(id, now) } else { Ok(()) }
    }

    /// It was given up for time: that must be so, whatever the clock once read.
    fn late(&mut self, id: Id, now: u64) -> Judged {
        let Some(payment) = self.book.payment(id) else { return Ok(()) };
        let Some(terms) = payment.terms else { return Ok(()) };
        if self.misread > 1 || matches!(terms.retry, Retry::Attempts(_)) {
            return Ok(());
        }
        let ticks = self.book.ticks_since(id);
        let past = |limit: Option<u64>| limit.is_some_and(|limit| limit <= now);
        let retries = match terms.retry {
            Retry::Until(millis) => {
                past(payment.accepted.0.checked_add(millis)) || ticks >= ticks_of(millis)
            }
            _ => false,
        };
        let waited = match terms.target {
            Target::Offer { deadline_ticks, .. } => ticks > u64::from(deadline_ticks),
            _ => false,
        };
        let over = retries || waited || past(terms.expiry) || past(payment.invoice_expiry);
        let misread = self.misread > 0;
        self.reached[Verdict::TimeCutShort as usize] |= misread;
        demand(over, Verdict::TimeCutShort, || format!("id {id} at {now}, {ticks} ticks"))
    }

    /// Nothing of it is out or settled.
    fn not_over(&mut self, id: Id, what: &str) -> Judged {
        let holds = self.book.holds(id);
        let about = || format!("id {id} {what} with {holds:?}");
        demand(!holds.out && !holds.settled, Verdict::ToldFailed, about)?;
        let blocked = self.book.hash_of(id).and_then(|hash| self.book.blocks(hash));
        demand(blocked.is_none(), Verdict::ToldFailed, about)
    }

    /// How everything stands now, against how it stood.
    fn standings(&mut self, ask: &impl Answers) -> Judged {
        for id in 0..self.book.payments() {
            let now = ask.standing(id);
            let before = self.book.payment(id).and_then(|payment| payment.standing);
            self.book.payment_mut(id).standing = now;
            let Some(now) = now else {
                if before.is_some() {
                    self.forgotten(id)?;
                }
                continue;
            };
            if now.status == Status::AwaitingInvoice {
                self.book.drop_invoice(id);
            }
            self.stands(id, before, now)?;
        }
        Ok(())
    }

    fn stands(&mut self, id: Id, before: Option<PaymentView>, now: PaymentView) -> Judged {
        let back = before.is_none_or(|before| before.remembered && !now.remembered);
        self.book.appears(id, back);
        let payment = self.book.payment_mut(id);
        payment.last_hash = now.hash.or(payment.last_hash.filter(|_| now.remembered));
        let (sent, failed) = (payment.sent.is_some(), payment.failure.is_some());
        let anew = std::mem::take(&mut payment.anew);
        let about = || format!("id {id} is {:?}, was {before:?}", now.status);
        let paid = now.status == Status::Fulfilled;
        demand(paid == sent, Verdict::SentNotOnce, about)?;
        let was = before.map(|before| before.status);
        demand(paid || was != Some(Status::Fulfilled), Verdict::OutcomeTakenBack, about)?;
        let back = was == Some(Status::Failed) && !paid && now.status != Status::Failed && !anew;
        demand(!back, Verdict::OutcomeTakenBack, about)?;
        demand(now.status != Status::Failed || failed, Verdict::Vanished, about)?;
        if now.remembered && before.is_some_and(|before| !before.remembered) {
            self.reach(Verdict::Vanished);
            self.long_enough(id)?;
            self.book.remembered(id);
            let holds = self.book.holds(id);
            let about = || format!("id {id} is remembered with {holds:?}");
            demand(!holds.out, Verdict::IdFree, about)?;
            demand(paid || !holds.settled, Verdict::IdFree, about)?;
        }
        Ok(())
    }

    fn forgotten(&mut self, id: Id) -> Judged {
        self.reach(Verdict::Vanished);
        let holds = self.book.holds(id);
        let payment = self.book.payment_mut(id);
        let (sent, over) = (payment.sent.is_some(), payment.sent.is_some() || payment.failed());
        let about = || format!("id {id} is forgotten with {holds:?}");
        demand(!holds.out && (sent || !holds.settled), Verdict::IdFree, about)?;
        demand(over, Verdict::Vanished, about)?;
        self.long_enough(id)?;
        self.book.forget(id);
        Ok(())
    }

    /// A paid payment is known for as long as the configuration says after everything is over.
    fn long_enough(&self, id: Id) -> Judged {
        let Some(payment) = self.book.payment(id).filter(|at| at.sent.is_some()) else {
            return Ok(());
        };
        let ticks = self.book.tick() - payment.busy;
        let long = ticks > self.book.rules.idempotency_ticks;
        demand(long, Verdict::Vanished, || format!("id {id} is forgotten after {ticks} ticks"))
    }

    /// Facts about money are taken, and what they prove is kept.
    fn facts(&mut self, done: &Done<'_>) -> Judged {
        let refused = *done.outcome == Outcome::Refused;
        match *done.act {
            Act::Claim { id, part, hash, .. } if self.book.heard_true => {
                self.reach(Verdict::ProofLost);
                let about = || format!("the preimage of hash {hash}, part {part}, id {id}");
                demand(!refused, Verdict::ProofLost, about)?;
                self.is_proof(part, hash)
            }
            Act::Claim { .. } | Act::Adopt { .. } | Act::Block { .. } | Act::Unblock { .. } => {
                demand(!refused, Verdict::FactRefused, || format!("{:?}", done.act))
            }
            Act::Paid { asserted: true, .. } if refused => Ok(()),
            Act::Paid { id, part, hash, .. } => {
                self.reach(Verdict::WordLost);
                demand(!refused, Verdict::WordLost, || format!("{:?}", done.act))?;
                self.is_paid(id, part, hash)
            }
            Act::Fail { part, ref how, .. } if refused && how.word.is_none() => {
                let out = self.book.place(part).is_unresolved() && self.book.is_end(part, how);
                demand(!out, Verdict::FactRefused, || format!("{:?}", done.act))
            }
            Act::Finalize { part, .. } if refused => {
                let claimed = self.book.place(part) == Place::Claimed;
                demand(!claimed, Verdict::FactRefused, || format!("{:?}", done.act))
            }
            _ => Ok(()),
        }
    }

    /// A true preimage is the proof of whoever it can be: of the part's payment, or of one that holds
    /// the hash; else an anomaly names it.
    fn is_proof(&mut self, part: Part, hash: Hash) -> Judged {
        let book = &self.book;
        let standing = |id: &Id| book.payment(*id).and_then(|payment| payment.standing);
        let ids: Vec<Id> = book.proves(part, hash);
        let paid = |id: &Id| standing(id).is_some_and(|at| at.status == Status::Fulfilled);
        let about = || format!("the preimage of hash {hash}, part {part}, ids {ids:?}");
        let anybody = ids.is_empty() || book.is_loose_part(part);
        demand(anybody || ids.iter().any(paid), Verdict::ProofLost, about)?;
        let unproven = |id: &Id| {
            let bare = standing(id).is_some_and(|at| at.proof.is_none() && !at.remembered);
            paid(id) && bare && book.awaits_proof(*id, part, hash)
        };
        demand(!ids.iter().any(unproven), Verdict::ProofLost, about)?;
        let known =
            (0..book.payments()).any(|id| standing(&id).is_some_and(|at| at.proof == Some(hash)));
        // Of a payment that has another proof as well only the first is shown.
        let own = book.owner(part);
        let another = own.as_ref().and_then(standing).is_some_and(|at| at.proof.is_some());
        let kept = known || another || book.heard_before || book.is_told_paid(hash);
        demand(kept || book.is_noted(part, hash), Verdict::ProofLost, about)
    }

    fn is_paid(&mut self, id: Id, part: Option<Part>, hash: Option<Hash>) -> Judged {
        let book = &self.book;
        let paid = |id: Id| {
            let at = book.payment(id).and_then(|payment| payment.standing);
            at.is_some_and(|at| at.status == Status::Fulfilled)
        };
        let about = || format!("id {id}, part {part:?}, hash {hash:?}");
        demand(paid(id), Verdict::WordLost, about)?;
        if let Some(owner) = part.and_then(|part| book.owner(part)) {
            demand(paid(owner), Verdict::WordLost, about)?;
        }
        let holders = hash.map(|hash| book.askers(hash)).unwrap_or_default();
        demand(holders.is_empty() || holders.into_iter().any(paid), Verdict::WordLost, about)
    }

    /// What is told to have been paid is what was paid, and what was told before is what is told.
    fn ends_and_sums(&mut self, done: &Done<'_>) -> Judged {
        let overspent = std::mem::take(&mut self.book.overspent);
        let told = std::mem::take(&mut self.book.overspent_told);
        if overspent {
            self.reach(Verdict::OverspentUntold);
            demand(told, Verdict::OverspentUntold, || format!("{:?}", done.act))?;
        }
        for id in 0..self.book.payments() {
            let Some(payment) = self.book.payment(id) else { continue };
            let Some(now) = payment.standing else { continue };
            let over = now.unresolved == 0 && !now.held && !self.book.holds(id).out;
            if now.status != Status::Fulfilled || now.remembered || !over {
                continue;
            }
            let told = payment.told;
            let own = self.book.sums_of(id);
            self.reach(Verdict::ToldOtherwise);
            let same = told.is_some_and(|(sums, proof)| {
                sums == now.sums && proof.is_some() == now.proof.is_some()
            });
            demand(same, Verdict::ToldOtherwise, || format!("id {id}: {told:?}, now {now:?}"))?;
            if let Some(own) = own {
                self.reach(Verdict::SumsWrong);
                demand(own == now.sums, Verdict::SumsWrong, || {
                    format!("id {id}: {own:?} paid, told {:?}", now.sums)
                })?;
            }
        }
        Ok(())
    }

    /// Whoever was given an invoice request is honoured while its part is out, and nobody is given another.
    fn requests(&mut self, ask: &impl Answers) -> Judged {
        for (part, request) in self.book.requests() {
            let kept = ask.invoice_request(part);
            demand(kept == Some(request), Verdict::RequestLost, || {
                format!("part {part}: {kept:?}, not {request}")
            })?;
        }
        Ok(())
    }

    fn paid_twice(&mut self) -> Judged {
        let twice = self.book.paid_twice();
        for money::Twice { what, parts } in twice {
            self.reach(Verdict::PaidTwice);
            let named = parts.iter().any(|part| self.book.is_named(*part));
            demand(named, Verdict::PaidTwice, || format!("{what}: parts {parts:?}"))?;
        }
        Ok(())
    }

    /// No failure that is told still stands when something is out or settled.
    fn failures(&mut self, ask: &impl Answers) -> Judged {
        for id in 0..self.book.payments() {
            let Some(payment) = self.book.payment(id) else { continue };
            let failed = payment.standing.filter(|at| at.status == Status::Failed);
            if failed.is_none() && payment.failure.is_none() {
                continue;
            }
            let holds = self.book.holds(id);
            let out = self.book.may_hold(id);
            if let Some(failure) = &mut self.book.payment_mut(id).failure {
                failure.untrue |= holds.out;
                failure.doubted |= out;
            }
            if !holds.out && !holds.settled {
                continue;
            }
            self.reach(Verdict::ToldFailed);
            let silent = failed.is_some_and(|at| at.unresolved == 0 && !at.held);
            demand(!silent, Verdict::ToldFailed, || format!("a repeat of id {id} with {holds:?}"))?;
            let payment = self.book.payment_mut(id);
            let Some(failure) = &mut payment.failure else { continue };
            if failure.superseded {
                continue;
            }
            if let Some(superseded) = ask.is_superseded(failure.seq) {
                failure.superseded = superseded;
                demand(superseded, Verdict::ToldFailed, || {
                    format!("the unread failure of id {id} with {holds:?}")
                })?;
            }
        }
        Ok(())
    }

    /// What a repeat is told.
    fn answered(&mut self, done: &Done<'_>) -> Judged {
        let (Act::Pay { id, terms, .. }, Outcome::Duplicate(at)) = (done.act, done.outcome) else {
            return Ok(());
        };
        self.reach(Verdict::FalseRepeat);
        let known = self.book.payment(*id).and_then(|payment| payment.compared);
        demand(known.is_none_or(|known| known == *terms), Verdict::FalseRepeat, || {
            format!("id {id}: {known:?}")
        })?;
        if at.status == Status::Failed && at.unresolved == 0 && !at.held {
            return self.not_out(*id);
        }
        Ok(())
    }

    fn not_out(&mut self, id: Id) -> Judged {
        let holds = self.book.holds(id);
        demand(!holds.out && !holds.settled, Verdict::ToldFailed, || {
            format!("a repeat of id {id} is told: failed, with {holds:?}")
        })
    }

    /// Nothing that is held is free: of what the step was about, and of one id and one hash in turn.
    fn free(&mut self, done: &Done<'_>, ask: &impl Answers) -> Judged {
        let now = done.now;
        let mut due = [0_u64; 4];
        ask.due(now, &mut |id| due[usize::from(id / 64) % 4] |= 1 << (id % 64));
        for id in 0..self.book.payments() {
            if due[usize::from(id / 64) % 4] >> (id % 64) & 1 == 1 {
                unbroken(self.forbids_dispatch(id), || format!("id {id} is due"))?;
                let rests = self.book.rests(id, now);
                demand(!rests, Verdict::RestIgnored, || format!("id {id} is due at {now}"))?;
            } else if self.book.rests(id, now) {
                self.reach(Verdict::RestIgnored);
            }
        }
        self.round += 1;
        let ids = usize::from(self.book.payments()).max(1);
        let hashes = usize::from(self.book.hashes()).max(1);
        let number = |n: usize| u16::try_from(n).unwrap_or_default();
        self.probe_id(number(self.round % ids), now, ask)?;
        self.probe_hash(number(self.round % hashes), now, ask)?;
        let (id, hash) = about(done.act);
        if let Some(id) = id {
            self.probe_id(id, now, ask)?;
        }
        if let Some(hash) = hash {
            self.probe_hash(hash, now, ask)?;
        }
        self.left_open()
    }

    /// Probes everything.
    pub fn probe_all(&mut self, now: u64, ask: &impl Answers) -> Judged {
        for id in 0..self.book.payments() {
            self.probe_id(id, now, ask)?;
        }
        for hash in 0..self.book.hashes() {
            self.probe_hash(hash, now, ask)?;
        }
        Ok(())
    }

    /// Whether an id that is held would be paid again, or anew.
    fn probe_id(&mut self, id: Id, now: u64, ask: &impl Answers) -> Judged {
        let holds = self.book.holds(id);
        let hash = self.book.hash_of(id);
        let hash_out = hash.is_some_and(|hash| self.book.hash_out(hash, id).is_some());
        if !(holds.out || holds.settled || hash_out) {
            return Ok(());
        }
        self.reach(Verdict::IdFree);
        let forbidden = self.forbids_dispatch(id);
        if forbidden.is_some() && ask.would_dispatch(now, id) {
            return unbroken(forbidden, || format!("a batch of id {id} would be recorded"));
        }
        let fresh = probe_terms(self.book.hashes());
        for again in [false, true] {
            let forbidden = self.forbids_pay(id, fresh.hash(), again);
            if forbidden.is_some() && ask.would_pay(now, id, &fresh, again) {
                return unbroken(forbidden, || format!("a new try of id {id} would be accepted"));
            }
        }
        Ok(())
    }

    /// Whether a hash that is out or paid would be accepted under a new id.
    fn probe_hash(&mut self, hash: Hash, now: u64, ask: &impl Answers) -> Judged {
        let nobody = self.book.payments();
        let forbidden = self.forbids_pay(nobody, Some(hash), false);
        if forbidden.is_none_or(|(verdict, _)| verdict != Verdict::HashFree) {
            return Ok(());
        }
        self.reach(Verdict::HashFree);
        if ask.would_pay(now, nobody, &probe_terms(hash), false) {
            return unbroken(forbidden, || format!("hash {hash} would be accepted under a new id"));
        }
        Ok(())
    }

    /// Nothing is open with nothing out and nothing allowed.
    fn left_open(&mut self) -> Judged {
        if self.book.recovering || self.book.restored {
            return Ok(());
        }
        for id in 0..self.book.payments() {
            let Some(payment) = self.book.payment(id) else { continue };
            let Some(Retry::Attempts(retries)) = payment.terms.map(|terms| terms.retry) else {
                continue;
            };
            let pending = payment.standing.is_some_and(|at| at.status == Status::Pending);
            if !pending || self.book.holds(id).out {
                continue;
            }
            self.reach(Verdict::LeftOpen);
            let left = self.book.tries(id) <= retries;
            demand(left, Verdict::LeftOpen, || format!("id {id}, no attempt is left"))?;
        }
        Ok(())
    }

    /// Once nothing is out, nothing blocked and all is read: what is not over is due.
    pub fn at_rest(&mut self, now: u64, ask: &impl Answers) -> Judged {
        self.reach(Verdict::Stuck);
        let mut due = Vec::new();
        ask.due(now, &mut |id| due.push(id));
        for id in 0..self.book.payments() {
            let holds = self.book.holds(id);
            let Some(at) = ask.standing(id) else { continue };
            let over = matches!(at.status, Status::Fulfilled | Status::Failed);
            let waits = holds.out || holds.settled;
            let failure = self.book.payment(id).and_then(|payment| payment.failure);
            let loose = self.book.is_loose(id);
            if let (Status::Failed, Some(failure)) = (at.status, failure) {
                self.reach(Verdict::FailureUntold);
                let told = waits || loose || !failure.untrue;
                demand(told, Verdict::FailureUntold, || format!("id {id}"))?;
            }
            demand(over || waits || due.contains(&id), Verdict::Stuck, || {
                format!("id {id} is {:?}", at.status)
            })?;
        }
        Ok(())
    }

    /// The parts that may be out or are claimed, with the id to name: what a node resolves to come to rest.
    pub fn unresolved(&self) -> Vec<(Id, Part, Place)> {
        self.book.unresolved()
    }

    /// Claimed strays that hold a payment which is not paid.
    pub fn undecided(&self) -> Vec<(Id, Part)> {
        self.book.undecided()
    }

    /// Whether the node has contradicted itself.
    pub const fn is_disputed(&self) -> bool {
        self.book.disputed
    }

    /// The end that ends a part.
    pub fn end_of(&self, part: Part) -> Failed {
        self.book.ends(part)
    }

    pub fn blocked(&self) -> Vec<(Hash, Engine)> {
        self.book.blocked()
    }

    /// All that a later verdict can hang on.
    pub fn fingerprint(&self) -> String {
        self.book.fingerprint()
    }

    /// What the book holds, for a reader.
    pub fn tell(&self) -> String {
        self.book.tell()
    }

    /// Whether more money may leave, for the ids that were known when a recovery began and for every
    /// hash: two orders of the same facts answer alike. (Of several names that nobody knows the first
    /// that is told may stand for all.)
    pub fn may_leave(&self, now: u64, known: &impl Answers, ask: &impl Answers) -> Vec<bool> {
        let mut all = Vec::new();
        let ids = self.book.payments();
        let mut due = vec![false; usize::from(ids)];
        // A rest delays and forbids nothing.
        ask.due(now.saturating_add(LONGEST_REST), &mut |id| {
            if let Some(listed) = due.get_mut(usize::from(id)) {
                *listed = true;
            }
        });
        let fresh = probe_terms(self.book.hashes());
        for id in (0..ids).filter(|id| known.standing(*id).is_some()) {
            all.push(due[usize::from(id)]);
            all.push(ask.would_dispatch(now, id));
            all.push(ask.would_pay(now, id, &fresh, false));
            all.push(ask.would_pay(now, id, &fresh, true));
        }
        // Where several may have a hash, accepting another one lets nothing leave.
        for hash in (0..self.book.hashes()).filter(|_| !self.book.rules.same_hash) {
            all.push(ask.would_pay(now, NOBODY, &probe_terms(hash), false));
        }
        all
    }
}

/// An id that nothing in a history bears.
const NOBODY: Id = Id::MAX;

/// No payment of a history rests longer, in milliseconds, whatever its clock read: a thousand years.
const LONGEST_REST: u64 = 1_000 * 365 * 24 * 60 * 60 * 1_000;

/// How many counted ticks bound a duration.
const fn ticks_of(millis: u64) -> u64 {
    millis.div_ceil(30_000) + 1
}

/// A request that asks for nothing but this hash.
pub const fn probe_terms(hash: Hash) -> Terms {
    Terms {
        target: Target::Invoice(hash),
        amount: 100,
        max_fee: Some(10),
        retry: Retry::Manual,
        expiry: None,
        rest: 0,
        variant: 9,
    }
}

/// The id and the hash that an act names.
fn about(act: &Act) -> (Option<Id>, Option<Hash>) {
    match *act {
        Act::Pay { id, terms, .. } => (Some(id), terms.hash()),
        Act::Invoice { id, hash, .. }
        | Act::Claim { id, hash, .. }
        | Act::Adopt { id, hash, .. } => (Some(id), Some(hash)),
        Act::Paid { id, hash, .. } => (Some(id), hash),
        Act::Block { hash, .. } | Act::Unblock { hash, .. } => (None, Some(hash)),
        Act::Dispatch { id, .. }
        | Act::SayAgain { id, .. }
        | Act::Withdraw { id, .. }
        | Act::Finalize { id, .. }
        | Act::Fail { id, .. }
        | Act::Observe { id, .. }
        | Act::Request { id, .. }
        | Act::Disown { id, .. }
        | Act::Abandon { id } => (Some(id), None),
        _ => (None, None),
    }
}
