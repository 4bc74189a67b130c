//! A naive model of the ledger, written from the rules alone: vectors and linear scans, no events,
//! no indexes, nothing durable. It says what every command answers and how everything stands.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "included by several test crates, none of which uses all of it"
)]

/// An id, a hash, a preimage.
pub type Bytes = [u8; 32];

/// What a command answers: a word, and the names and numbers that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub word: &'static str,
    pub names: Vec<Bytes>,
    pub numbers: Vec<u64>,
    pub texts: Vec<&'static str>,
}

pub fn answer(word: &'static str) -> Answer {
    Answer { word, names: vec![], numbers: vec![], texts: vec![] }
}

impl Answer {
    pub fn name(mut self, name: Bytes) -> Self {
        self.names.push(name);
        self
    }
    pub fn number(mut self, number: u64) -> Self {
        self.numbers.push(number);
        self
    }
    pub fn text(mut self, text: &'static str) -> Self {
        self.texts.push(text);
        self
    }
    /// A number that may be unknown.
    pub fn maybe(self, number: Option<u64>) -> Self {
        match number {
            Some(number) => self.text("known").number(number),
            None => self.text("unknown"),
        }
    }
}

/// Yes with what is answered, or no with why.
pub type Outcome = Result<Answer, Answer>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Invoice { hash: Bytes },
    Spontaneous { preimage: Bytes, hash: Bytes },
    OfferByTicks { offer: Bytes, ticks: u64 },
    OfferUntil { offer: Bytes, moment: u64 },
}

impl Target {
    fn hash(&self) -> Option<Bytes> {
        match self {
            Self::Invoice { hash } | Self::Spontaneous { hash, .. } => Some(*hash),
            Self::OfferByTicks { .. } | Self::OfferUntil { .. } => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Manual,
    Attempts(u64),
    Until(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub target: Target,
    pub amount: u64,
    pub payee: Option<u8>,
    pub max_fee: Option<u64>,
    pub retry: Retry,
    pub expiry: Option<u64>,
    pub instructions: Vec<u8>,
    pub metadata: Vec<u8>,
}

impl Request {
    fn first_difference(&self, other: &Self) -> Option<&'static str> {
        if self.target != other.target {
            return Some("target");
        }
        if self.amount != other.amount {
            return Some("amount");
        }
        if self.payee != other.payee {
            return Some("payee");
        }
        if self.max_fee != other.max_fee {
            return Some("maximum fee");
        }
        if self.retry != other.retry {
            return Some("retry policy");
        }
        if self.expiry != other.expiry {
            return Some("expiry");
        }
        if self.instructions != other.instructions {
            return Some("instructions");
        }
        (self.metadata != other.metadata).then_some("metadata")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewPart {
    pub id: Bytes,
    /// Amount, fee, height and channel; none for a delegated part.
    pub htlc: Option<(u64, u64, u64, Option<u64>)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settlement {
    pub amount: Option<u64>,
    pub fee: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Htlc { height: Option<u64>, channel: Option<u64> },
    Delegated,
}

const UNKNOWN_KIND: Kind = Kind::Htlc { height: None, channel: None };

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Send {
        id: Bytes,
        request: Request,
        again_after: Option<u64>,
    },
    ReceiveInvoice {
        id: Bytes,
        hash: Bytes,
        amount: u64,
        expiry: Option<u64>,
    },
    Dispatch {
        id: Bytes,
        attempt: u64,
        parts: Vec<NewPart>,
    },
    Withdraw {
        id: Bytes,
        part: Bytes,
    },
    Claim {
        id: Bytes,
        part: Bytes,
        preimage: Bytes,
        hash: Bytes,
        settlement: Option<Settlement>,
    },
    Finalize {
        id: Bytes,
        part: Bytes,
    },
    Fail {
        id: Bytes,
        part: Bytes,
        permanent: bool,
        channel: Option<u64>,
        lost: Option<u64>,
        /// An operator's word, at this height.
        asserted_at: Option<u64>,
    },
    Observe {
        id: Bytes,
        part: Bytes,
        what: u8,
    },
    Adopt {
        id: Bytes,
        part: Bytes,
        hash: Bytes,
        amount: Option<u64>,
        fee: Option<u64>,
        kind: Kind,
    },
    MarkPaid {
        id: Bytes,
        part: Option<Bytes>,
        hash: Option<Bytes>,
        settlement: Settlement,
    },
    Hold {
        hash: Bytes,
    },
    Release {
        hash: Bytes,
    },
    Abandon {
        id: Bytes,
    },
    /// Notifications by the order of their posting, from 0; `true`: of this log.
    Acknowledge {
        notes: Vec<(u64, bool)>,
    },
    Tick,
    FinishRecovery,
    CloseGap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    AwaitingInvoice,
    Pending,
    Fulfilled,
    Abandoned(&'static str),
    Failed(&'static str),
}

impl Status {
    fn is_open(self) -> bool {
        self == Self::AwaitingInvoice || self == Self::Pending
    }

    pub fn words(self) -> [&'static str; 2] {
        match self {
            Self::AwaitingInvoice => ["awaiting invoice", ""],
            Self::Pending => ["pending", ""],
            Self::Fulfilled => ["fulfilled", ""],
            Self::Abandoned(reason) => ["abandoned", reason],
            Self::Failed(reason) => ["failed", reason],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    InFlight,
    Claimed,
    Finalized,
    Failed,
    Withdrawn,
}

impl Fate {
    pub fn word(self) -> &'static str {
        match self {
            Self::InFlight => "in flight",
            Self::Claimed => "claimed",
            Self::Finalized => "finalized",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
        }
    }

    fn is_unresolved(self) -> bool {
        self == Self::InFlight || self == Self::Claimed
    }

    fn is_settled(self) -> bool {
        self == Self::Claimed || self == Self::Finalized
    }

    fn counts(self) -> bool {
        self == Self::InFlight || self.is_settled()
    }
}

#[derive(Debug, Clone)]
pub struct Part {
    pub id: Bytes,
    pub amount: Option<u64>,
    pub fee: Option<u64>,
    pub kind: Kind,
    pub fate: Fate,
    /// Counted from 1; 0 for a part that no batch brought.
    pub batch: u64,
    failed_channel: Option<u64>,
    permanent: bool,
    lost: u64,
    vouched: bool,
    /// Claimed although it was recorded as failed.
    corrected: bool,
    told_as: Option<Bytes>,
    recorded_at: u64,
}

impl Part {
    fn claim(&mut self, settlement: Option<Settlement>) {
        let told = settlement.unwrap_or_default();
        if self.kind == Kind::Delegated && !self.fate.is_settled() {
            self.amount = told.amount;
            self.fee = told.fee;
        } else {
            self.amount = self.amount.or(told.amount);
            self.fee = self.fee.or(told.fee);
        }
        match self.fate {
            Fate::InFlight | Fate::Withdrawn => self.fate = Fate::Claimed,
            Fate::Failed => {
                self.fate = Fate::Finalized;
                self.corrected = true;
                self.not_failed();
            }
            Fate::Claimed | Fate::Finalized => {}
        }
    }

    fn fail(&mut self, permanent: bool, channel: Option<u64>, lost: Option<u64>) {
        if self.fate == Fate::Claimed {
            self.fate = Fate::Finalized;
        } else {
            self.fate = Fate::Failed;
            self.permanent = permanent;
            self.failed_channel = channel;
            self.lost = lost.unwrap_or(0);
        }
    }

    fn not_failed(&mut self) {
        self.permanent = false;
        self.failed_channel = None;
        self.lost = 0;
    }

    /// The node lists it as out.
    fn list(&mut self, amount: Option<u64>, fee: Option<u64>, kind: Kind) {
        if self.batch == 0 && self.kind == UNKNOWN_KIND {
            self.kind = kind;
        }
        // What a delegated part was given is no word on what it spent.
        if !(self.fate.is_settled() && self.kind == Kind::Delegated) {
            self.amount = self.amount.or(amount);
            self.fee = self.fee.or(fee);
        }
        self.vouched = true;
        if self.fate == Fate::Failed || self.fate == Fate::Withdrawn {
            self.fate = Fate::InFlight;
        }
        if self.fate == Fate::Finalized && self.corrected {
            self.fate = Fate::Claimed;
        }
        self.corrected = false;
        self.not_failed();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Tick(u64),
    Moment(u64),
}

#[derive(Debug, Clone)]
pub struct Payment {
    pub id: Bytes,
    pub hash: Option<Bytes>,
    pub preimage: Option<Bytes>,
    pub request: Option<Request>,
    /// The request is there to compare repeats with, no more.
    recalled: bool,
    pub status: Status,
    amount: Option<u64>,
    expiry: Option<u64>,
    until: Option<u64>,
    wait: Option<Wait>,
    invoice: Option<(Bytes, u64, Option<u64>)>,
    pub parts: Vec<Part>,
    former: Vec<Bytes>,
    /// Remembered as paid, and here again: its parts are known by name alone.
    came_back_paid: bool,
    batches: u64,
    pub failed_note: Option<u64>,
    pub quiet_since: Option<u64>,
    /// Something that may end it was told while verdicts were withheld; `true`: that a part failed.
    verdict_due: Option<bool>,
    observations: Vec<(Bytes, u8)>,
    /// What was paid, as far as no part tells.
    reported: Option<Settlement>,
}

impl Payment {
    fn new(id: Bytes, status: Status) -> Self {
        Self {
            id,
            hash: None,
            preimage: None,
            request: None,
            recalled: false,
            status,
            amount: None,
            expiry: None,
            until: None,
            wait: None,
            invoice: None,
            parts: vec![],
            former: vec![],
            came_back_paid: false,
            batches: 0,
            failed_note: None,
            quiet_since: None,
            verdict_due: None,
            observations: vec![],
            reported: None,
        }
    }

    fn takes(&self, hash: Bytes) -> bool {
        self.hash.is_none_or(|own| own == hash)
    }

    pub fn is_resolved(&self) -> bool {
        self.parts.iter().all(|part| !part.fate.is_unresolved())
    }

    fn part(&mut self, id: Bytes) -> &mut Part {
        self.parts.iter_mut().find(|part| part.id == id).expect("the part was found before")
    }

    fn sum(&self, which: fn(Fate) -> bool, what: fn(&Part) -> Option<u64>) -> (u64, bool) {
        let mut sum = 0_u64;
        let mut known = true;
        for part in self.parts.iter().filter(|part| which(part.fate)) {
            sum = sum.saturating_add(what(part).unwrap_or(0));
            known &= what(part).is_some();
        }
        (sum, known)
    }

    pub fn settled(&self) -> Settlement {
        if let Some(reported) = self.reported
            && !self.parts.iter().any(|part| part.fate.is_settled())
        {
            return reported;
        }
        // What a remembered outcome says already is not said again by the parts that it was about.
        let mut settled = match self.reported.filter(|_| self.came_back_paid) {
            None => Settlement { amount: Some(0), fee: Some(0) },
            Some(before) => before,
        };
        for part in self.parts.iter().filter(|part| part.fate.is_settled()) {
            if !(self.came_back_paid && self.former.contains(&part.id)) {
                settled.amount = both(settled.amount, part.amount);
                settled.fee = both(settled.fee, part.fee);
            }
        }
        settled
    }

    pub fn lost(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.lost))
    }

    /// Batches that are not wholly withdrawn; what the log lacked counts as one.
    fn attempts(&self) -> u64 {
        let counts = |batch: &u64| {
            self.parts.iter().any(|part| part.batch == *batch && part.fate != Fate::Withdrawn)
        };
        (0..=self.batches).filter(counts).count() as u64
    }

    fn retry(&self) -> Retry {
        match &self.request {
            Some(request) if !self.recalled => request.retry,
            _ => Retry::Manual,
        }
    }

    fn max_fee(&self) -> Option<u64> {
        self.request.as_ref().filter(|_| !self.recalled)?.max_fee
    }

    /// Nothing is missing while something of unknown size is out: it may be all of it.
    pub fn missing(&self) -> u64 {
        let (out, known) = self.sum(Fate::counts, |part| part.amount);
        match self.amount {
            Some(amount) if self.status.is_open() && known => amount.saturating_sub(out),
            _ => 0,
        }
    }

    pub fn fee_budget(&self) -> Option<u64> {
        let limit = self.max_fee()?;
        let (out, known) = self.sum(Fate::counts, |part| part.fee);
        Some(if known { limit.saturating_sub(out) } else { 0 })
    }

    pub fn next_attempt(&self) -> u64 {
        self.attempts() + 1
    }

    pub fn avoid(&self) -> Vec<u64> {
        let mut avoid = vec![];
        for channel in self.parts.iter().filter_map(|part| part.failed_channel) {
            if !avoid.contains(&channel) {
                avoid.push(channel);
            }
        }
        avoid
    }

    fn attempts_used_up(&self) -> bool {
        matches!(self.retry(), Retry::Attempts(retries) if self.attempts() > retries)
    }

    fn until_past(&self, now: u64) -> bool {
        self.attempts() > 0 && self.until.is_some_and(|until| until <= now)
    }

    fn rejected(&self) -> bool {
        self.parts.iter().any(|part| part.fate == Fate::Failed && part.permanent)
    }

    fn handed_over(&self) -> bool {
        self.parts.iter().any(|part| part.kind == Kind::Delegated && part.fate.is_unresolved())
    }

    /// Why nothing more can be tried, first reason first. No deadline acts while a delegated part
    /// is unresolved.
    fn hopeless(&self, now: u64) -> Option<&'static str> {
        let time_acts = !self.handed_over();
        if self.rejected() {
            Some("recipient rejected")
        } else if time_acts && self.expiry.is_some_and(|expiry| expiry <= now) {
            Some("payment expired")
        } else if self.attempts_used_up() || (time_acts && self.until_past(now)) {
            Some("retries exhausted")
        } else {
            None
        }
    }

    fn first_difference(&self, request: &Request) -> Option<&'static str> {
        differs(self.request.as_ref(), self.hash, request)
    }
}

fn differs(own: Option<&Request>, hash: Option<Bytes>, other: &Request) -> Option<&'static str> {
    match (own, hash, other.target.hash()) {
        (Some(own), _, _) => own.first_difference(other),
        (None, Some(own), Some(other)) if own != other => Some("target"),
        _ => None,
    }
}

/// A remembered outcome.
#[derive(Debug, Clone)]
pub struct Stone {
    pub id: Bytes,
    pub hash: Option<Bytes>,
    status: Status,
    pub request: Option<Request>,
    parts: Vec<Bytes>,
    preimage: Option<Bytes>,
    paid: Settlement,
    pub failed_note: Option<u64>,
}

impl Stone {
    fn takes(&self, hash: Bytes) -> bool {
        self.hash.is_none_or(|own| own == hash)
    }
}

#[derive(Debug, Clone)]
pub struct Stray {
    pub payment: Bytes,
    pub hash: Bytes,
    pub preimage: Option<Bytes>,
    pub part: Part,
    note: Option<u64>,
}

impl Stray {
    fn blocks(&self) -> bool {
        self.part.fate != Fate::Failed && self.part.fate != Fate::Withdrawn
    }
}

/// An unread notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The how-manieth ever posted, from 0.
    pub number: u64,
    /// The payment to which it belongs; none for what touches no payment.
    pub owner: Option<Bytes>,
    pub says: Answer,
}

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub forever: bool,
    pub same_hash: bool,
    pub overpay_percent: u64,
    pub idempotency_ticks: u64,
    pub min_tick_interval: u64,
    pub notify_parts: bool,
    pub assertion_blocks: u64,
    pub assertion_age: u64,
    /// The most that may be asked for.
    pub max_amount: u64,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub settings: Settings,
    pub recovering: bool,
    pub gap: bool,
    pub tick: u64,
    tick_reference: Option<u64>,
    pub payments: Vec<Payment>,
    pub stones: Vec<Stone>,
    pub strays: Vec<Stray>,
    pub held: Vec<Bytes>,
    pub outbox: Vec<Note>,
    pub posted: u64,
}

enum Where {
    Own(usize),
    Stray(usize),
    Over,
}

enum Home {
    Live(usize),
    Stone(usize),
}

impl Model {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            recovering: false,
            gap: false,
            tick: 0,
            tick_reference: None,
            payments: vec![],
            stones: vec![],
            strays: vec![],
            held: vec![],
            outbox: vec![],
            posted: 0,
        }
    }

    /// The log is opened again: everything stays, and recovery begins.
    pub fn reopen(&mut self, restored: bool) {
        self.recovering = true;
        self.gap |= restored;
    }

    pub fn apply(&mut self, now: u64, op: &Op) -> Outcome {
        let outcome = self.decide(now, op);
        let tick = self.tick;
        for index in 0..self.payments.len() {
            let unread = self.unread(self.payments[index].id);
            let payment = &mut self.payments[index];
            let quiet = payment.status == Status::Fulfilled && unread == 0 && payment.is_resolved();
            payment.quiet_since = if quiet { payment.quiet_since.or(Some(tick)) } else { None };
        }
        outcome
    }

    fn decide(&mut self, now: u64, op: &Op) -> Outcome {
        match op.clone() {
            Op::Send { id, request, again_after } => self.send(now, id, request, again_after),
            Op::ReceiveInvoice { id, hash, amount, expiry } => {
                self.receive_invoice(now, id, (hash, amount, expiry))
            }
            Op::Dispatch { id, attempt, parts } => self.dispatch(now, id, attempt, &parts),
            Op::Withdraw { id, part } => self.withdraw(now, id, part),
            Op::Claim { id, part, preimage, hash, settlement } => {
                self.claim(now, id, part, (preimage, hash), settlement)
            }
            Op::Finalize { id, part } => self.finalize(id, part),
            Op::Fail { id, part, permanent, channel, lost, asserted_at } => {
                self.fail(now, id, part, (permanent, channel, lost), asserted_at)
            }
            Op::Observe { id, part, what } => self.observe(id, part, what),
            Op::Adopt { id, part, hash, amount, fee, kind } => {
                Ok(self.adopt(now, id, part, hash, (amount, fee, kind)))
            }
            Op::MarkPaid { id, part, hash, settlement } => {
                self.mark_paid(now, id, part, hash, settlement)
            }
            Op::Hold { hash } => {
                let changed = self.hold(hash);
                Ok(fact(changed, None))
            }
            Op::Release { hash } => {
                let changed = self.held.contains(&hash);
                self.held.retain(|held| *held != hash);
                Ok(fact(changed, None))
            }
            Op::Abandon { id } => self.abandon(id),
            Op::Acknowledge { notes } => self.acknowledge(&notes),
            Op::Tick => self.tick(now),
            Op::FinishRecovery => self.finish_recovery(now),
            Op::CloseGap => self.close_gap(now),
        }
    }

    fn find(&self, id: Bytes) -> Option<usize> {
        self.payments.iter().position(|payment| payment.id == id)
    }

    fn find_stone(&self, id: Bytes) -> Option<usize> {
        self.stones.iter().position(|stone| stone.id == id)
    }

    fn withholds(&self) -> bool {
        self.recovering || self.gap
    }

    fn unread(&self, id: Bytes) -> usize {
        self.outbox.iter().filter(|note| note.owner == Some(id)).count()
    }

    fn post(&mut self, owner: Option<Bytes>, says: Answer) -> u64 {
        let number = self.posted;
        self.posted += 1;
        self.outbox.push(Note { number, owner, says });
        number
    }

    /// How an id stands, live or remembered.
    pub fn standing(&self, id: Bytes) -> Option<Answer> {
        if let Some(index) = self.find(id) {
            let payment = &self.payments[index];
            let failed = matches!(payment.status, Status::Failed(_));
            return Some(standing(
                payment.status,
                payment.missing(),
                (payment.preimage, payment.settled()),
                payment.failed_note.filter(|_| failed),
                payment.request.is_none(),
                false,
            ));
        }
        let stone = &self.stones[self.find_stone(id)?];
        Some(standing(
            stone.status,
            0,
            (stone.preimage, stone.paid),
            stone.failed_note,
            stone.request.is_none(),
            true,
        ))
    }

    fn status_of(&self, id: Bytes) -> Option<Status> {
        let live = self.find(id).map(|index| self.payments[index].status);
        live.or_else(|| self.find_stone(id).map(|index| self.stones[index].status))
    }

    /// Who but `id` has the hash at all.
    fn holder(&self, hash: Bytes, id: Bytes) -> Option<Answer> {
        let live = self.payments.iter().find(|other| other.hash == Some(hash) && other.id != id);
        let stones = self.stones.iter().filter(|stone| stone.hash == Some(hash) && stone.id != id);
        let named = live.map(|live| live.id).or_else(|| stones.map(|stone| stone.id).min());
        named
            .map(|id| answer("hash in use").text("payment").name(id))
            .or_else(|| self.stray_or_hold(hash))
    }

    fn stray_or_hold(&self, hash: Bytes) -> Option<Answer> {
        let stray = self.strays.iter().find(|stray| stray.hash == hash && stray.blocks());
        stray
            .map(|stray| answer("hash in use").text("stray").name(stray.part.id))
            .or_else(|| self.held.contains(&hash).then(|| answer("hash in use").text("held")))
    }

    /// Who but `id` has the hash out or paid.
    fn blocker(&self, hash: Bytes, id: Bytes) -> Option<Answer> {
        let live = self.payments.iter().find(|other| {
            let out_or_paid = !other.is_resolved() || other.status == Status::Fulfilled;
            other.hash == Some(hash) && other.id != id && out_or_paid
        });
        let paid = |stone: &&Stone| {
            stone.hash == Some(hash) && stone.id != id && stone.status == Status::Fulfilled
        };
        let stones = self.stones.iter().filter(paid);
        let named = live.map(|live| live.id).or_else(|| stones.map(|stone| stone.id).min());
        named
            .map(|id| answer("hash in use").text("payment").name(id))
            .or_else(|| self.stray_or_hold(hash))
    }

    /// A part of an earlier try that is out under that try's hash.
    fn former_out(&self, payment: &Payment) -> Option<Answer> {
        let out = |stray: &&Stray| {
            stray.payment == payment.id
                && stray.part.fate.is_unresolved()
                && payment.former.contains(&stray.part.id)
        };
        let stray = self.strays.iter().find(out)?;
        Some(answer("hash in use").text("stray").name(stray.part.id))
    }

    fn send(&mut self, now: u64, id: Bytes, request: Request, again: Option<u64>) -> Outcome {
        if self.recovering {
            return Err(answer("recovering"));
        }
        if let Some(stands) = self.standing(id)
            && !self.is_new_try(id, again)
        {
            return self.repeat(id, &request, stands);
        }
        if self.gap {
            return Err(answer("restored"));
        }
        if let Some(hash) = request.target.hash()
            && !self.settings.same_hash
            && let Some(refusal) = self.holder(hash, id)
        {
            return Err(refusal);
        }
        self.check_request(now, &request)?;
        self.accept(now, id, request);
        Ok(answer("accepted"))
    }

    fn repeat(&self, id: Bytes, request: &Request, stands: Answer) -> Outcome {
        let difference = match self.find(id) {
            Some(index) => self.payments[index].first_difference(request),
            None => {
                let stone = &self.stones[self.find_stone(id).expect("it stands")];
                differs(stone.request.as_ref(), stone.hash, request)
            }
        };
        if let Some(field) = difference {
            return Err(answer("conflict").name(id).text(field));
        }
        // What failed may have been paid in the gap.
        if self.gap && matches!(self.status_of(id), Some(Status::Failed(_))) {
            return Err(answer("restored"));
        }
        Ok(Answer { word: "duplicate", ..stands })
    }

    fn is_new_try(&self, id: Bytes, again: Option<u64>) -> bool {
        let Some(named) = again else { return false };
        if let Some(index) = self.find(id) {
            let payment = &self.payments[index];
            return matches!(payment.status, Status::Failed(_))
                && payment.is_resolved()
                && payment.failed_note == Some(named);
        }
        self.find_stone(id).is_some_and(|index| {
            let stone = &self.stones[index];
            matches!(stone.status, Status::Failed(_)) && stone.failed_note == Some(named)
        })
    }

    fn check_request(&self, now: u64, request: &Request) -> Result<(), Answer> {
        if request.amount == 0 {
            return Err(answer("zero amount"));
        }
        for amount in [Some(request.amount), request.max_fee].into_iter().flatten() {
            if amount > self.settings.max_amount {
                return Err(answer("amount too large").number(amount));
            }
        }
        if request.instructions.len() > 16 * 1024 {
            return Err(answer("too long").text("instructions"));
        }
        if request.metadata.len() > 1024 {
            return Err(answer("too long").text("metadata"));
        }
        let deadline = match request.target {
            Target::OfferUntil { moment, .. } => Some(moment),
            _ => None,
        };
        for limit in [request.expiry, deadline].into_iter().flatten() {
            if limit <= now {
                return Err(answer("expired").number(limit));
            }
        }
        Ok(())
    }

    fn accept(&mut self, now: u64, id: Bytes, request: Request) {
        let mut payment = Payment::new(id, Status::Pending);
        payment.wait = match request.target {
            Target::OfferByTicks { ticks, .. } => Some(Wait::Tick(self.tick + ticks)),
            Target::OfferUntil { moment, .. } => Some(Wait::Moment(moment)),
            _ => None,
        };
        if payment.wait.is_some() {
            payment.status = Status::AwaitingInvoice;
        }
        payment.hash = request.target.hash();
        payment.amount = Some(request.amount);
        payment.expiry = request.expiry;
        payment.until = match request.retry {
            Retry::Until(millis) => Some(now.saturating_add(millis)),
            _ => None,
        };
        payment.request = Some(request);
        if let Some(index) = self.find(id) {
            let old = self.payments.remove(index);
            payment.former = old.former;
            payment.former.extend(old.parts.iter().map(|part| part.id));
            payment.failed_note = old.failed_note;
        } else if let Some(index) = self.find_stone(id) {
            payment.former = self.stones.remove(index).parts;
        }
        self.payments.push(payment);
    }

    fn receive_invoice(
        &mut self,
        now: u64,
        id: Bytes,
        invoice: (Bytes, u64, Option<u64>),
    ) -> Outcome {
        if self.recovering {
            return Err(answer("recovering"));
        }
        let Some(index) = self.find(id) else {
            return Err(match self.status_of(id) {
                Some(status) => with_status(answer("not awaiting invoice").name(id), status),
                None => answer("unknown payment").name(id),
            });
        };
        let payment = &self.payments[index];
        if payment.invoice == Some(invoice) {
            return Ok(fact(false, Some((id, payment.status))));
        }
        if payment.status != Status::AwaitingInvoice {
            return Err(with_status(answer("not awaiting invoice").name(id), payment.status));
        }
        if self.gap {
            return Err(answer("restored"));
        }
        let (hash, amount, expiry) = invoice;
        if !self.settings.same_hash
            && let Some(refusal) = self.holder(hash, id)
        {
            return Err(refusal);
        }
        if amount == 0 {
            return Err(answer("zero amount"));
        }
        if let Some(limit) = payment.amount.filter(|limit| amount > *limit) {
            return Err(answer("amount too large").number(amount).number(limit));
        }
        let until = payment.until.filter(|_| payment.attempts() > 0);
        for limit in [limit_in_time(payment), expiry, until].into_iter().flatten() {
            if limit <= now {
                return Err(answer("expired").number(limit));
            }
        }
        let payment = &mut self.payments[index];
        payment.hash = Some(hash);
        payment.amount = Some(amount);
        payment.expiry = earlier(payment.expiry, expiry);
        payment.invoice = Some(invoice);
        payment.wait = None;
        payment.status = Status::Pending;
        Ok(fact(true, Some((id, Status::Pending))))
    }

    fn dispatch(&mut self, now: u64, id: Bytes, attempt: u64, parts: &[NewPart]) -> Outcome {
        if self.recovering {
            return Err(answer("recovering"));
        }
        let Some(index) = self.find(id) else {
            return Err(match self.status_of(id) {
                Some(status) => with_status(answer("not open").name(id), status),
                None => answer("unknown payment").name(id),
            });
        };
        if let Some(duplicate) = same_batch(&self.payments[index], parts) {
            return Ok(duplicate);
        }
        self.check_parts(parts)?;
        self.check_open(index, parts)?;
        let payment = &self.payments[index];
        check_time(payment, now)?;
        if attempt != payment.next_attempt() {
            let refusal = answer("stale attempt").number(attempt);
            return Err(refusal.number(payment.next_attempt()));
        }
        if payment.missing() == 0 {
            return Err(answer("nothing missing"));
        }
        let (missing, budget) = (payment.missing(), payment.fee_budget().unwrap_or(0));
        let sized: Vec<(NewPart, u64, u64)> = parts
            .iter()
            .map(|part| match part.htlc {
                Some((amount, fee, ..)) => (*part, amount, fee),
                None => (*part, missing, budget),
            })
            .collect();
        self.check_sums(index, &sized)?;
        self.record_batch(now, index, &sized);
        let recorded = with_status(answer("recorded").name(id), self.payments[index].status);
        Ok(parts.iter().fold(recorded, |recorded, part| recorded.name(part.id)))
    }

    /// Whether the part belonged to an earlier try or a remembered payment.
    fn is_former(&self, part: &Bytes) -> bool {
        self.payments.iter().any(|other| other.former.contains(part))
            || self.stones.iter().any(|stone| stone.parts.contains(part))
    }

    fn check_parts(&self, parts: &[NewPart]) -> Result<(), Answer> {
        if parts.is_empty() {
            return Err(answer("empty batch"));
        }
        let mut ids: Vec<Bytes> = parts.iter().map(|part| part.id).collect();
        ids.sort_unstable();
        let twice = ids.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let known = |id: &Bytes| {
            self.payments.iter().any(|other| other.parts.iter().any(|part| part.id == *id))
                || self.strays.iter().any(|stray| stray.part.id == *id)
                || self.is_former(id)
        };
        if let Some(part) = twice.or_else(|| ids.into_iter().find(known)) {
            return Err(answer("part in use").name(part));
        }
        for part in parts {
            match part.htlc {
                None if parts.len() > 1 => {
                    return Err(answer("delegated not alone").name(part.id));
                }
                None => {}
                Some((0, ..)) => return Err(answer("zero amount").name(part.id)),
                Some((amount, fee, ..)) => {
                    for amount in [amount, fee] {
                        if amount > self.settings.max_amount {
                            return Err(answer("amount too large").number(amount));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn check_open(&self, index: usize, parts: &[NewPart]) -> Result<(), Answer> {
        let payment = &self.payments[index];
        let delegated = parts.iter().any(|part| part.htlc.is_none());
        let open = payment.status == Status::Pending
            || (payment.status == Status::AwaitingInvoice && delegated);
        if !open {
            return Err(with_status(answer("not open").name(payment.id), payment.status));
        }
        if self.gap {
            return Err(answer("restored"));
        }
        let blocker = payment.hash.and_then(|hash| self.blocker(hash, payment.id));
        match blocker.or_else(|| self.former_out(payment)) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    fn check_sums(&self, index: usize, parts: &[(NewPart, u64, u64)]) -> Result<(), Answer> {
        let payment = &self.payments[index];
        let amount = payment.amount.unwrap_or(0);
        let allowed = u128::from(amount) * u128::from(self.settings.overpay_percent) / 100;
        let limit = amount.saturating_add(u64::try_from(allowed).unwrap_or(u64::MAX));
        let (out, _) = payment.sum(Fate::counts, |part| part.amount);
        let added = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.1));
        if out.saturating_add(added) > limit {
            return Err(answer("overpays").number(out).number(added).number(amount).number(limit));
        }
        if let Some(limit) = payment.max_fee() {
            let (known_out, known) = payment.sum(Fate::counts, |part| part.fee);
            let out = if known { known_out } else { known_out.max(limit) };
            let added = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.2));
            if out.saturating_add(added) > limit {
                return Err(answer("fees too high").number(out).number(added).number(limit));
            }
        }
        if parts.len() > 256 {
            return Err(answer("too many parts").number(parts.len() as u64));
        }
        Ok(())
    }

    fn record_batch(&mut self, now: u64, index: usize, parts: &[(NewPart, u64, u64)]) {
        let payment = &mut self.payments[index];
        payment.batches += 1;
        for (part, amount, fee) in parts {
            payment.parts.push(Part {
                id: part.id,
                amount: Some(*amount),
                fee: Some(*fee),
                kind: match part.htlc {
                    Some((_, _, height, channel)) => Kind::Htlc { height: Some(height), channel },
                    None => Kind::Delegated,
                },
                fate: Fate::InFlight,
                batch: payment.batches,
                failed_channel: None,
                permanent: false,
                lost: 0,
                vouched: false,
                corrected: false,
                told_as: None,
                recorded_at: now,
            });
        }
    }

    /// Where a fact goes.
    fn locate(&self, id: Bytes, part: Bytes) -> Result<Where, Answer> {
        for (index, payment) in self.payments.iter().enumerate() {
            if let Some(found) = payment.parts.iter().find(|found| found.id == part) {
                return if payment.id == id || found.told_as == Some(id) {
                    Ok(Where::Own(index))
                } else {
                    Err(answer("part of another").name(part).name(payment.id))
                };
            }
        }
        if let Some(index) = self.strays.iter().position(|stray| stray.part.id == part) {
            let owner = self.strays[index].payment;
            return if owner == id {
                Ok(Where::Stray(index))
            } else {
                Err(answer("part of another").name(part).name(owner))
            };
        }
        if let Some(index) = self.find(id) {
            return if self.payments[index].former.contains(&part) {
                Ok(Where::Over)
            } else {
                Err(answer("unknown part").name(part))
            };
        }
        if let Some(index) = self.find_stone(id) {
            return if self.stones[index].parts.contains(&part) {
                Ok(Where::Over)
            } else {
                Err(answer("unknown part").name(part))
            };
        }
        Err(answer("unknown payment").name(id))
    }

    fn told(&self, changed: bool, index: usize) -> Outcome {
        let payment = &self.payments[index];
        Ok(fact(changed, Some((payment.id, payment.status))))
    }

    fn withdraw(&mut self, now: u64, id: Bytes, part: Bytes) -> Outcome {
        match self.locate(id, part)? {
            Where::Over => Ok(fact(false, None)),
            Where::Stray(index) => {
                let stray = &mut self.strays[index].part;
                match stray.fate {
                    Fate::Withdrawn => Ok(fact(false, None)),
                    Fate::InFlight if self.gap => Err(answer("restored")),
                    Fate::InFlight => {
                        stray.fate = Fate::Withdrawn;
                        Ok(fact(true, None))
                    }
                    fate => Err(answer("not in flight").name(part).text(fate.word())),
                }
            }
            Where::Own(index) => {
                let found = self.payments[index].part(part);
                match found.fate {
                    Fate::Withdrawn => return self.told(false, index),
                    Fate::InFlight if self.gap => return Err(answer("restored")),
                    Fate::InFlight => found.fate = Fate::Withdrawn,
                    fate => return Err(answer("not in flight").name(part).text(fate.word())),
                }
                let id = self.payments[index].id;
                let status = self.conclude(now, index, false);
                Ok(fact(true, Some((id, status))))
            }
        }
    }

    fn finalize(&mut self, id: Bytes, part: Bytes) -> Outcome {
        match self.locate(id, part)? {
            Where::Over => Ok(fact(false, None)),
            Where::Stray(index) => {
                let stray = &mut self.strays[index].part;
                match stray.fate {
                    Fate::Finalized => Ok(fact(false, None)),
                    Fate::Claimed => {
                        stray.fate = Fate::Finalized;
                        Ok(fact(true, None))
                    }
                    fate => Err(answer("not claimed").name(part).text(fate.word())),
                }
            }
            Where::Own(index) => {
                let owner = self.payments[index].id;
                let found = self.payments[index].part(part);
                match found.fate {
                    Fate::Finalized => return self.told(false, index),
                    Fate::Claimed => found.fate = Fate::Finalized,
                    fate => return Err(answer("not claimed").name(part).text(fate.word())),
                }
                if self.settings.notify_parts {
                    self.post(Some(owner), answer("part succeeded").name(owner).name(part));
                }
                self.told(true, index)
            }
        }
    }

    fn fail(
        &mut self,
        now: u64,
        id: Bytes,
        part: Bytes,
        (permanent, channel, lost): (bool, Option<u64>, Option<u64>),
        asserted_at: Option<u64>,
    ) -> Outcome {
        let place = self.locate(id, part)?;
        let found = match place {
            Where::Over => return Ok(fact(false, None)),
            Where::Stray(index) => &self.strays[index].part,
            Where::Own(index) => &*self.payments[index].part(part),
        };
        if !found.fate.is_unresolved() {
            return match place {
                Where::Own(index) => self.told(false, index),
                Where::Stray(_) | Where::Over => Ok(fact(false, None)),
            };
        }
        let (was, kind, recorded_at) = (found.fate, found.kind, found.recorded_at);
        if let Some(height) = asserted_at {
            let (early, from) = match kind {
                Kind::Htlc { height: Some(expiry), .. } => {
                    let from = expiry.saturating_add(self.settings.assertion_blocks);
                    (height < from, from)
                }
                Kind::Htlc { .. } | Kind::Delegated => {
                    let from = recorded_at.saturating_add(self.settings.assertion_age);
                    (now < from, from)
                }
            };
            if early {
                return Err(answer("asserted too early").name(part).number(from));
            }
        }
        let Where::Own(index) = place else {
            let Where::Stray(index) = place else { return Ok(fact(false, None)) };
            self.strays[index].part.fail(permanent, channel, lost);
            return Ok(fact(true, None));
        };
        let owner = self.payments[index].id;
        self.payments[index].part(part).fail(permanent, channel, lost);
        let in_flight = was == Fate::InFlight;
        let paid = self.payments[index].status == Status::Fulfilled;
        if self.settings.notify_parts && in_flight && !paid {
            let note = answer("part failed").name(owner).name(part);
            let note = if permanent { note.text("permanent") } else { note };
            let note = if asserted_at.is_some() { note.text("asserted") } else { note };
            self.post(Some(owner), note.maybe(channel).maybe(lost));
        }
        let status = self.conclude(now, index, in_flight);
        Ok(fact(true, Some((owner, status))))
    }

    fn observe(&mut self, id: Bytes, part: Bytes, what: u8) -> Outcome {
        let Where::Own(index) = self.locate(id, part)? else { return Ok(fact(false, None)) };
        let observations = &mut self.payments[index].observations;
        if observations.contains(&(part, what)) {
            return self.told(false, index);
        }
        observations.push((part, what));
        self.told(true, index)
    }

    fn fail_payment(&mut self, index: usize, reason: &'static str) {
        let payment = &mut self.payments[index];
        payment.status = Status::Failed(reason);
        payment.wait = None;
        payment.verdict_due = None;
        let (id, hash) = (payment.id, payment.hash);
        let note = answer("payment failed").name(id).text(reason);
        let note = hash.into_iter().fold(note, Answer::name);
        let number = self.post(Some(id), note);
        self.payments[index].failed_note = Some(number);
    }

    fn abandon_payment(&mut self, index: usize, reason: &'static str) {
        let payment = &mut self.payments[index];
        payment.status = Status::Abandoned(reason);
        payment.wait = None;
    }

    fn forget(&mut self, index: usize) {
        let payment = self.payments.remove(index);
        if !self.settings.forever {
            return;
        }
        let mut parts = payment.former.clone();
        parts.extend(payment.parts.iter().map(|part| part.id));
        let paid = payment.status == Status::Fulfilled;
        self.stones.push(Stone {
            id: payment.id,
            hash: payment.hash,
            status: payment.status,
            paid: payment.settled(),
            preimage: payment.preimage,
            request: payment.request,
            parts,
            failed_note: payment.failed_note.filter(|_| !paid),
        });
    }

    /// What follows from a resolved part or a read notification; gives the status at that moment.
    fn conclude(&mut self, now: u64, index: usize, part_failed: bool) -> Status {
        if self.withholds() {
            let payment = &mut self.payments[index];
            if payment.status != Status::Fulfilled {
                payment.verdict_due = Some(payment.verdict_due == Some(true) || part_failed);
            }
            return payment.status;
        }
        self.draw_verdict(now, index, part_failed)
    }

    fn draw_verdict(&mut self, now: u64, index: usize, part_failed: bool) -> Status {
        let payment = &self.payments[index];
        let resolved = payment.is_resolved();
        match payment.status {
            Status::AwaitingInvoice | Status::Pending if resolved || part_failed => {
                if let Some(reason) = payment.hopeless(now) {
                    if resolved {
                        self.fail_payment(index, reason);
                    } else {
                        self.abandon_payment(index, reason);
                    }
                }
            }
            Status::Abandoned(reason) if resolved => self.fail_payment(index, reason),
            status @ Status::Failed(_) if resolved && self.unread(payment.id) == 0 => {
                self.forget(index);
                return status;
            }
            _ => {}
        }
        self.payments[index].status
    }

    fn home_of_hash(&self, hash: Bytes) -> Option<Home> {
        let live = self.payments.iter().position(|payment| payment.hash == Some(hash));
        let stones = (0..self.stones.len()).filter(|at| self.stones[*at].hash == Some(hash));
        let stone = stones.min_by_key(|at| self.stones[*at].id);
        live.map(Home::Live).or_else(|| stone.map(Home::Stone))
    }

    fn home_of_id(&self, id: Bytes) -> Option<Home> {
        self.find(id).map(Home::Live).or_else(|| self.find_stone(id).map(Home::Stone))
    }

    /// A remembered payment comes back with its outcome.
    fn recall(&mut self, index: usize) -> usize {
        let stone = self.stones.remove(index);
        let mut payment = Payment::new(stone.id, stone.status);
        payment.hash = stone.hash;
        payment.preimage = stone.preimage;
        payment.request = stone.request;
        payment.recalled = true;
        payment.former = stone.parts;
        payment.failed_note = stone.failed_note;
        payment.reported = (stone.status == Status::Fulfilled).then_some(stone.paid);
        payment.came_back_paid = stone.status == Status::Fulfilled;
        self.payments.push(payment);
        self.payments.len() - 1
    }

    fn create_adopted(&mut self, id: Bytes, hash: Option<Bytes>) -> usize {
        let mut payment = Payment::new(id, Status::Abandoned("adopted"));
        payment.hash = hash;
        self.payments.push(payment);
        self.payments.len() - 1
    }

    fn claim(
        &mut self,
        now: u64,
        id: Bytes,
        part: Bytes,
        (preimage, hash): (Bytes, Bytes),
        settlement: Option<Settlement>,
    ) -> Outcome {
        let place = match self.locate(id, part) {
            Err(refusal) if refusal.word == "part of another" => {
                let owner = self.find(refusal.names[1]).filter(|index| {
                    let found = self.payments[*index].parts.iter().any(|found| found.id == part);
                    found && self.payments[*index].hash == Some(hash)
                });
                match owner {
                    Some(owner) if self.status_of(id).is_none() => Ok(Where::Own(owner)),
                    _ => return Err(refusal),
                }
            }
            place => place,
        };
        match place {
            Ok(Where::Own(index)) => {
                let payment = &mut self.payments[index];
                if !payment.takes(hash) {
                    return Err(answer("wrong preimage").name(part));
                }
                if payment.part(part).fate.is_settled() && payment.preimage.is_some() {
                    return self.told(false, index);
                }
                self.take_claim(index, part, Some((preimage, hash)), settlement, false);
                self.told(true, index)
            }
            Ok(Where::Stray(index)) => self.claim_stray(index, (preimage, hash), settlement),
            Ok(Where::Over) | Err(_) => {
                self.claim_unknown(now, id, part, (preimage, hash), settlement)
            }
        }
    }

    fn claim_stray(
        &mut self,
        index: usize,
        (preimage, hash): (Bytes, Bytes),
        settlement: Option<Settlement>,
    ) -> Outcome {
        let stray = &mut self.strays[index];
        if stray.hash != hash {
            return Err(answer("wrong preimage").name(stray.part.id));
        }
        if stray.part.fate.is_settled() && stray.preimage.is_some() {
            return Ok(fact(false, None));
        }
        stray.preimage = Some(preimage);
        stray.part.claim(settlement);
        let (owner, part) = (stray.payment, stray.part.id);
        let known = self.home_of_id(owner);
        let former = self.pay_by_former(known.as_ref(), part, settlement);
        self.note_stray("foreign claim", index);
        Ok(fact(true, former))
    }

    fn claim_unknown(
        &mut self,
        now: u64,
        id: Bytes,
        part: Bytes,
        (preimage, hash): (Bytes, Bytes),
        settlement: Option<Settlement>,
    ) -> Outcome {
        let told = settlement.unwrap_or_default();
        let terms = (told.amount, told.fee, UNKNOWN_KIND);
        let known = self.home_of_id(id);
        let takes = match &known {
            Some(Home::Live(index)) => self.payments[*index].takes(hash),
            Some(Home::Stone(index)) => self.stones[*index].takes(hash),
            None => true,
        };
        if !takes {
            let former = self.pay_by_former(known.as_ref(), part, settlement);
            let index = self.new_stray(now, id, part, hash, terms, false);
            self.strays[index].preimage = Some(preimage);
            self.strays[index].part.claim(settlement);
            self.note_stray("foreign claim", index);
            return Ok(fact(true, former));
        }
        let home = known.or_else(|| self.home_of_hash(hash));
        let new = home.is_none();
        let index = match home {
            Some(Home::Live(index)) => index,
            Some(Home::Stone(index)) => {
                let stone = &self.stones[index];
                if stone.status == Status::Fulfilled && stone.preimage.is_some() {
                    return Ok(fact(false, Some((stone.id, Status::Fulfilled))));
                }
                self.recall(index)
            }
            None => self.create_adopted(id, Some(hash)),
        };
        let former = self.payments[index].former.contains(&part);
        let home = &self.payments[index];
        if former && home.came_back_paid && home.preimage.is_some() {
            return self.told(false, index);
        }
        self.add_part(now, index, id, (part, hash), terms, false);
        self.take_claim(index, part, Some((preimage, hash)), settlement, new);
        if !new && !former {
            let owner = self.payments[index].id;
            self.post(Some(owner), answer("unknown part").name(owner).name(part));
        }
        self.told(true, index)
    }

    /// A part of an earlier try was paid under the hash of that try: the obligation is paid.
    fn pay_by_former(
        &mut self,
        home: Option<&Home>,
        part: Bytes,
        settlement: Option<Settlement>,
    ) -> Option<(Bytes, Status)> {
        let index = match home? {
            Home::Live(index) => {
                let payment = &self.payments[*index];
                let paid = payment.status == Status::Fulfilled;
                if paid || !payment.former.contains(&part) {
                    return None;
                }
                *index
            }
            Home::Stone(index) => {
                let stone = &self.stones[*index];
                if stone.status == Status::Fulfilled || !stone.parts.contains(&part) {
                    return None;
                }
                self.recall(*index)
            }
        };
        self.pay(index, settlement.unwrap_or_default(), true);
        self.correct(index, part);
        Some((self.payments[index].id, Status::Fulfilled))
    }

    /// Tells of a part that was over and is paid, and names the others that are out.
    fn correct(&mut self, index: usize, part: Bytes) {
        let payment = &self.payments[index];
        let out = payment.parts.iter();
        let out = out.filter(|other| other.fate == Fate::InFlight && other.id != part);
        let note = answer("correction").name(payment.id).name(part);
        let (owner, note) = (payment.id, out.fold(note, |note, other| note.name(other.id)));
        self.post(Some(owner), note);
    }

    fn take_claim(
        &mut self,
        index: usize,
        part: Bytes,
        proof: Option<(Bytes, Bytes)>,
        settlement: Option<Settlement>,
        new: bool,
    ) {
        let payment = &mut self.payments[index];
        let before = payment.part(part).fate;
        let over = before == Fate::Failed || before == Fate::Withdrawn;
        let returned = payment.former.contains(&part) && !payment.came_back_paid;
        let revived = over || returned && !before.is_settled();
        if let Some((preimage, hash)) = proof {
            payment.preimage = Some(preimage);
            payment.hash = Some(hash);
        }
        payment.part(part).claim(settlement);
        if payment.status != Status::Fulfilled {
            let (amount, known_amount) = payment.sum(Fate::counts, |part| part.amount);
            let (fee, known_fee) = payment.sum(Fate::counts, |part| part.fee);
            let told = Settlement {
                amount: known_amount.then_some(amount),
                fee: known_fee.then_some(fee),
            };
            self.pay(index, told, revived || new);
        }
        if revived {
            self.correct(index, part);
        }
    }

    fn pay(&mut self, index: usize, told: Settlement, surprise: bool) {
        let payment = &mut self.payments[index];
        let correction = surprise || matches!(payment.status, Status::Failed(_));
        if !payment.parts.iter().any(|part| part.fate.is_settled()) {
            payment.reported = Some(told);
        }
        payment.status = Status::Fulfilled;
        payment.wait = None;
        payment.verdict_due = None;
        let (id, failed_note) = (payment.id, payment.failed_note);
        let unread = self.outbox.iter_mut().find(|note| Some(note.number) == failed_note);
        if let Some(note) = unread {
            note.says.texts.push("superseded");
        }
        let note = answer("payment sent").name(id).maybe(told.amount).maybe(told.fee);
        self.post(Some(id), if correction { note.text("correction") } else { note });
    }

    /// Gives whether the log had never known that this part went out.
    fn add_part(
        &mut self,
        now: u64,
        index: usize,
        named: Bytes,
        (part, hash): (Bytes, Bytes),
        (amount, fee, kind): (Option<u64>, Option<u64>, Kind),
        vouched: bool,
    ) {
        let payment = &mut self.payments[index];
        payment.parts.push(Part {
            id: part,
            amount,
            fee,
            kind,
            fate: Fate::InFlight,
            batch: 0,
            failed_channel: None,
            permanent: false,
            lost: 0,
            vouched,
            corrected: false,
            told_as: (payment.id != named).then_some(named),
            recorded_at: now,
        });
        payment.hash = payment.hash.or(Some(hash));
        if payment.status == Status::AwaitingInvoice {
            payment.status = Status::Pending;
            payment.wait = None;
        }
    }

    fn new_stray(
        &mut self,
        now: u64,
        id: Bytes,
        part: Bytes,
        hash: Bytes,
        (amount, fee, kind): (Option<u64>, Option<u64>, Kind),
        vouched: bool,
    ) -> usize {
        self.strays.push(Stray {
            payment: id,
            hash,
            preimage: None,
            note: None,
            part: Part {
                id: part,
                amount,
                fee,
                kind,
                fate: Fate::InFlight,
                batch: 0,
                failed_channel: None,
                permanent: false,
                lost: 0,
                vouched,
                corrected: false,
                told_as: None,
                recorded_at: now,
            },
        });
        self.strays.len() - 1
    }

    /// Repeats of an unread anomaly of one hash are counted on the first.
    fn note_stray(&mut self, word: &'static str, index: usize) {
        let hash = self.strays[index].hash;
        let same = |stray: &Stray| {
            let note = stray.note.filter(|_| stray.hash == hash)?;
            self.outbox.iter().position(|at| at.number == note && at.says.word == word)
        };
        if let Some(first) = self.strays.iter().find_map(same) {
            self.outbox[first].says.numbers[0] += 1;
            return;
        }
        let (id, part) = (self.strays[index].payment, self.strays[index].part.id);
        let note = answer(word).name(id).name(part).name(hash).number(0);
        self.strays[index].note = Some(self.post(None, note));
    }

    fn adopt(
        &mut self,
        now: u64,
        id: Bytes,
        part: Bytes,
        hash: Bytes,
        terms: (Option<u64>, Option<u64>, Kind),
    ) -> Answer {
        let holds = |payment: &Payment| payment.parts.iter().any(|found| found.id == part);
        if let Some(index) = self.payments.iter().position(holds) {
            return self.adopt_known(index, part, hash, terms);
        }
        if let Some(index) = self.strays.iter().position(|stray| stray.part.id == part) {
            let former = self.is_former(&part);
            let stray = &mut self.strays[index].part;
            let (changes, lacked) = news(stray, terms, former);
            if changes {
                stray.list(terms.0, terms.1, terms.2);
                self.gap |= lacked;
            }
            let holds = self.strays[index].hash != hash && self.hold(hash);
            return fact(changes || holds, None);
        }
        let home = self.home_of_id(id);
        let takes = match &home {
            Some(Home::Live(index)) => self.payments[*index].takes(hash),
            Some(Home::Stone(index)) => self.stones[*index].takes(hash),
            None => true,
        };
        if !takes {
            let index = self.new_stray(now, id, part, hash, terms, true);
            self.note_stray("stray", index);
            self.gap |= !self.is_former(&part);
            return fact(true, None);
        }
        let index = match home.or_else(|| self.home_of_hash(hash)) {
            Some(Home::Live(index)) => index,
            Some(Home::Stone(index)) => self.recall(index),
            None => self.create_adopted(id, Some(hash)),
        };
        let lacked = !self.payments[index].former.contains(&part);
        self.add_part(now, index, id, (part, hash), terms, true);
        self.gap |= lacked;
        fact(true, Some((self.payments[index].id, self.payments[index].status)))
    }

    /// Gives whether it was free before.
    fn hold(&mut self, hash: Bytes) -> bool {
        let free = !self.held.contains(&hash);
        if free {
            self.held.push(hash);
        }
        free
    }

    fn adopt_known(
        &mut self,
        index: usize,
        part: Bytes,
        hash: Bytes,
        terms: (Option<u64>, Option<u64>, Kind),
    ) -> Answer {
        // A part whose node says that it pays another hash: that one is out as well.
        let other_hash = !self.payments[index].takes(hash);
        let payment = &mut self.payments[index];
        let former = payment.former.contains(&part);
        let (changes, lacked) = news(payment.part(part), terms, former);
        if changes {
            payment.part(part).list(terms.0, terms.1, terms.2);
            payment.hash = payment.hash.or(Some(hash));
            if payment.status == Status::AwaitingInvoice {
                payment.status = Status::Pending;
                payment.wait = None;
            }
            self.gap |= lacked;
        }
        let holds = other_hash && self.hold(hash);
        let payment = &self.payments[index];
        fact(changes || holds, Some((payment.id, payment.status)))
    }

    fn mark_paid(
        &mut self,
        now: u64,
        id: Bytes,
        part: Option<Bytes>,
        hash: Option<Bytes>,
        settlement: Settlement,
    ) -> Outcome {
        if let Some(part) = part {
            match self.locate(id, part) {
                Ok(Where::Own(index)) => {
                    let news = !self.payments[index].part(part).fate.is_settled();
                    if news {
                        let known = settlement.amount.is_some() || settlement.fee.is_some();
                        let payment = &mut self.payments[index];
                        if payment.status != Status::Fulfilled {
                            payment.hash = payment.hash.or(hash);
                        }
                        self.take_claim(index, part, None, known.then_some(settlement), false);
                    }
                    let holds = self.hold_other(index, hash);
                    return self.told(news || holds, index);
                }
                Ok(Where::Stray(index)) => {
                    if self.strays[index].part.fate.is_settled() {
                        return Ok(fact(false, None));
                    }
                    self.strays[index].part.claim(Some(settlement));
                    self.note_stray("foreign claim", index);
                    return Ok(fact(true, None));
                }
                Err(refusal) if refusal.word == "part of another" => return Err(refusal),
                Ok(Where::Over) | Err(_) => {}
            }
        }
        let home = self.home_of_id(id).or_else(|| hash.and_then(|hash| self.home_of_hash(hash)));
        let (index, new) = match home {
            Some(Home::Live(index)) => (index, false),
            Some(Home::Stone(index)) => {
                let stone = &self.stones[index];
                if stone.status == Status::Fulfilled {
                    return Ok(fact(false, Some((stone.id, Status::Fulfilled))));
                }
                (self.recall(index), false)
            }
            None => (self.create_adopted(id, hash), true),
        };
        let paid = self.payments[index].status == Status::Fulfilled;
        let payment = &mut self.payments[index];
        let repeated =
            payment.came_back_paid && part.is_some_and(|it| payment.former.contains(&it));
        if let (Some(part), Some(own), false) = (part, payment.hash.or(hash), repeated) {
            let former = payment.former.contains(&part);
            let terms = (settlement.amount, settlement.fee, UNKNOWN_KIND);
            self.add_part(now, index, id, (part, own), terms, false);
            self.take_claim(index, part, None, Some(settlement), new);
            if !new && !former {
                let owner = self.payments[index].id;
                self.post(Some(owner), answer("unknown part").name(owner).name(part));
            }
            self.hold_other(index, hash);
            return self.told(true, index);
        }
        if !paid {
            payment.hash = payment.hash.or(hash);
            self.pay(index, settlement, new);
        }
        let holds = self.hold_other(index, hash);
        self.told(!paid || holds, index)
    }

    /// A hash that the node says was paid and that is not the payment's.
    fn hold_other(&mut self, index: usize, hash: Option<Bytes>) -> bool {
        match hash {
            Some(hash) if self.payments[index].hash != Some(hash) => self.hold(hash),
            _ => false,
        }
    }

    fn abandon(&mut self, id: Bytes) -> Outcome {
        let Some(status) = self.status_of(id) else {
            return Err(answer("unknown payment").name(id));
        };
        let Some(index) = self.find(id).filter(|_| status.is_open()) else {
            return Ok(with_status(answer("unchanged"), status));
        };
        if self.withholds() {
            self.abandon_payment(index, "user abandoned");
            let due = &mut self.payments[index].verdict_due;
            *due = due.or(Some(false));
        } else if self.payments[index].is_resolved() {
            self.fail_payment(index, "user abandoned");
        } else {
            self.abandon_payment(index, "user abandoned");
        }
        Ok(with_status(answer("changed"), self.payments[index].status))
    }

    fn acknowledge(&mut self, notes: &[(u64, bool)]) -> Outcome {
        for (number, own) in notes {
            if *number >= self.posted {
                return Err(answer("future"));
            }
            if !own && self.outbox.iter().any(|note| note.number == *number) {
                return Err(answer("other log"));
            }
        }
        let given = |note: &Note| notes.iter().any(|(number, _)| *number == note.number);
        let owners: Vec<Bytes> =
            self.outbox.iter().filter(|note| given(note)).filter_map(|note| note.owner).collect();
        let before = self.outbox.len();
        self.outbox.retain(|note| !given(note));
        let acknowledged = before - self.outbox.len();
        let mut forgotten = 0;
        for owner in owners {
            let Some(index) = self.find(owner) else { continue };
            let payment = &mut self.payments[index];
            if !matches!(payment.status, Status::Failed(_)) {
                continue;
            }
            if self.recovering || self.gap {
                payment.verdict_due = payment.verdict_due.or(Some(false));
            } else if payment.is_resolved() && self.unread(owner) == 0 {
                self.forget(index);
                forgotten += 1;
            }
        }
        Ok(answer("acknowledged").number(acknowledged as u64).number(forgotten))
    }

    fn tick(&mut self, now: u64) -> Outcome {
        if self.recovering {
            return Err(answer("recovering"));
        }
        let waits = |payment: &Payment| {
            let for_invoice = matches!(payment.wait, Some(Wait::Tick(_)));
            payment.quiet_since.is_some() || (for_invoice && payment.status.is_open())
        };
        let asked = self.payments.iter().any(waits);
        let back = asked && self.tick_reference.is_some_and(|reference| now < reference);
        let interval = self.settings.min_tick_interval;
        let far = self.tick_reference.is_none_or(|last| last.saturating_add(interval) <= now);
        let counts = asked && !back && far;
        self.tick += u64::from(counts);
        if counts || back {
            self.tick_reference = Some(now);
        }
        let keeps = self.settings.idempotency_ticks;
        let over = |payment: &Payment, tick: u64| {
            payment.quiet_since.is_some_and(|since| tick - since > keeps)
        };
        let mut forgotten = 0;
        while let Some(index) = self.payments.iter().position(|payment| over(payment, self.tick)) {
            self.forget(index);
            forgotten += 1;
        }
        let mut failed = 0;
        for index in 0..self.payments.len() {
            if self.withholds() {
                break;
            }
            if let Some(reason) = self.lapse(now, &self.payments[index]) {
                self.fail_payment(index, reason);
                failed += 1;
            }
        }
        Ok(answer(if counts { "counted" } else { "not counted" }).number(failed).number(forgotten))
    }

    fn lapse(&self, now: u64, payment: &Payment) -> Option<&'static str> {
        if !payment.status.is_open() || !payment.is_resolved() {
            return None;
        }
        let no_invoice = match payment.wait {
            Some(Wait::Tick(limit)) => self.tick > limit,
            Some(Wait::Moment(moment)) => moment <= now,
            None => false,
        };
        if no_invoice {
            return Some("invoice request expired");
        }
        let tried = payment.wait.is_none() || payment.attempts() > 0;
        let expired = tried && payment.expiry.is_some_and(|expiry| expiry <= now);
        if expired || payment.until_past(now) { payment.hopeless(now) } else { None }
    }

    fn finish_recovery(&mut self, now: u64) -> Outcome {
        if !self.recovering {
            return Err(answer("not recovering"));
        }
        self.recovering = false;
        self.draw_withheld(now);
        Ok(answer("finished"))
    }

    fn close_gap(&mut self, now: u64) -> Outcome {
        if !self.gap {
            return Err(answer("not restored"));
        }
        self.gap = false;
        self.draw_withheld(now);
        Ok(answer("finished"))
    }

    /// The verdicts that were withheld, from the union of the facts.
    fn draw_withheld(&mut self, now: u64) {
        if self.withholds() {
            return;
        }
        let due: Vec<Bytes> =
            self.payments.iter().filter(|at| at.verdict_due.is_some()).map(|at| at.id).collect();
        for id in due {
            let Some(index) = self.find(id) else { continue };
            let failed = self.payments[index].verdict_due.take() == Some(true);
            self.draw_verdict(now, index, failed);
        }
    }

    /// The payments for which something is to be done now, oldest first.
    pub fn due(&self, now: u64) -> Vec<Bytes> {
        if self.withholds() {
            return vec![];
        }
        let dispatchable = |payment: &&Payment| {
            let in_time = limit_in_time(payment).is_none_or(|limit| now < limit);
            payment.status.is_open()
                && payment.missing() > 0
                && in_time
                && !payment.attempts_used_up()
                && !payment.until_past(now)
                && !payment.rejected()
                && payment.hash.is_none_or(|hash| self.blocker(hash, payment.id).is_none())
                && self.former_out(payment).is_none()
        };
        self.payments.iter().filter(dispatchable).map(|payment| payment.id).collect()
    }

    /// The unresolved parts with a known height at or below this one.
    pub fn overdue(&self, height: u64) -> Vec<Bytes> {
        let own = self.payments.iter().flat_map(|payment| &payment.parts);
        let all = own.chain(self.strays.iter().map(|stray| &stray.part));
        let late = |part: &&Part| {
            let due = match part.kind {
                Kind::Htlc { height: Some(expiry), .. } => expiry <= height,
                _ => false,
            };
            due && part.fate.is_unresolved()
        };
        all.filter(late).map(|part| part.id).collect()
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The expiry, and for an offer without its invoice an absolute deadline.
fn limit_in_time(payment: &Payment) -> Option<u64> {
    let deadline = match payment.wait {
        Some(Wait::Moment(moment)) => Some(moment),
        _ => None,
    };
    earlier(payment.expiry, deadline)
}

fn check_time(payment: &Payment, now: u64) -> Result<(), Answer> {
    if let Some(limit) = limit_in_time(payment).filter(|limit| *limit <= now) {
        return Err(answer("expired").number(limit));
    }
    if let Retry::Attempts(retries) = payment.retry()
        && payment.attempts_used_up()
    {
        return Err(answer("attempts used up").number(payment.attempts()).number(retries));
    }
    match payment.until.filter(|_| payment.until_past(now)) {
        Some(until) => Err(answer("retry time past").number(until)),
        None => Ok(()),
    }
}

/// All parts known as this very batch: what became of each.
fn same_batch(payment: &Payment, parts: &[NewPart]) -> Option<Answer> {
    let same = |known: &&Part| {
        parts.iter().any(|part| {
            part.id == known.id
                && match part.htlc {
                    None => known.kind == Kind::Delegated,
                    Some((amount, fee, height, channel)) => {
                        let kind = Kind::Htlc { height: Some(height), channel };
                        known.kind == kind && known.amount == Some(amount) && known.fee == Some(fee)
                    }
                }
        })
    };
    for batch in 1..=payment.batches {
        let known: Vec<&Part> = payment.parts.iter().filter(|part| part.batch == batch).collect();
        if known.len() == parts.len() && known.iter().all(same) {
            let duplicate = answer("duplicate");
            let told = known
                .iter()
                .fold(duplicate, |duplicate, part| duplicate.name(part.id).text(part.fate.word()));
            return Some(told);
        }
    }
    None
}

/// Whether listing the part changes anything, and whether the log had lacked it.
fn news(
    part: &Part,
    (amount, fee, kind): (Option<u64>, Option<u64>, Kind),
    former: bool,
) -> (bool, bool) {
    let mut listed = part.clone();
    listed.list(amount, fee, kind);
    let terms = (listed.amount, listed.fee, listed.kind) != (part.amount, part.fee, part.kind);
    let adopted = part.batch == 0;
    let unknown = adopted && !part.vouched;
    let revived = part.corrected || part.permanent || part.failed_channel.is_some();
    let changes = if adopted {
        unknown || terms || revived || listed.fate != part.fate
    } else {
        listed.fate != part.fate
    };
    (changes, unknown && !former)
}

fn fact(changed: bool, payment: Option<(Bytes, Status)>) -> Answer {
    let told = answer(if changed { "changed" } else { "unchanged" });
    match payment {
        Some((id, status)) => with_status(told.name(id), status),
        None => told,
    }
}

fn with_status(answer: Answer, status: Status) -> Answer {
    let [kind, reason] = status.words();
    answer.text(kind).text(reason)
}

fn standing(
    status: Status,
    missing: u64,
    (preimage, paid): (Option<Bytes>, Settlement),
    failed_note: Option<u64>,
    adopted: bool,
    remembered: bool,
) -> Answer {
    let stands = with_status(answer("stands"), status).number(missing).maybe(failed_note);
    let stands = stands.text(if adopted { "adopted" } else { "asked for" });
    let stands = stands.text(if remembered { "remembered" } else { "live" });
    if status != Status::Fulfilled {
        return stands;
    }
    let stands = preimage.into_iter().fold(stands, Answer::name);
    stands.maybe(paid.amount).maybe(paid.fee)
}

/// The sum, where both are known.
fn both(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one?.saturating_add(other?))
}
