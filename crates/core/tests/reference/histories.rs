//! Random histories: what is chosen depends on how things stand in the reference, so that most
//! commands mean something.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use payonce_core::Preimage;

use crate::reference::{
    Bytes, Fate, Kind, Model, NewPart, Op, Part, Payment, Request, Retry, Settings, Settlement,
    Status, Target,
};

const PAYMENTS: u8 = 4;
const HASHES: u8 = 5;
const PARTS: u8 = 24;
const START: u64 = 1_000_000;
pub const LARGEST: u64 = 2_100_000_000_000_000_000;

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// A command, to its durable end.
    Do(Op),
    /// A command whose entry is lost in a crash.
    Lose(Op),
    /// A crash between commands; `true`: of a log that lacks a head which the node knows.
    Reopen(bool),
}

/// The reference, the time, and what the last command answered.
#[derive(Debug, Clone)]
pub struct History {
    pub model: Model,
    pub now: u64,
    pub last: Option<crate::reference::Outcome>,
}

pub fn payment(number: u8) -> Bytes {
    [0x10 + number % PAYMENTS; 32]
}

pub fn payments() -> impl Iterator<Item = Bytes> {
    // One more than is ever sent: for facts about the unknown.
    (0..=PAYMENTS).map(|number| [0x10 + number; 32])
}

pub fn parts() -> impl Iterator<Item = Bytes> {
    (0..PARTS).map(part)
}

fn part(number: u8) -> Bytes {
    [0x80 + number % PARTS; 32]
}

fn preimage(number: u8) -> Bytes {
    [0x40 + number % HASHES; 32]
}

fn hash(number: u8) -> Bytes {
    *Preimage::from_bytes(preimage(number)).payment_hash().as_bytes()
}

/// The preimage of one of the hashes in play.
fn preimage_of(wanted: Bytes) -> Option<Bytes> {
    (0..HASHES).find(|number| hash(*number) == wanted).map(preimage)
}

/// One of the ways to configure a ledger.
pub fn settings(bits: u8) -> Settings {
    Settings {
        forever: bits & 1 != 0,
        same_hash: bits & 2 != 0,
        notify_parts: bits & 4 == 0,
        overpay_percent: 10,
        idempotency_ticks: 2,
        min_tick_interval: if bits & 8 == 0 { 0 } else { 30_000 },
        assertion_blocks: 10,
        assertion_age: 100_000,
        max_amount: LARGEST,
    }
}

impl History {
    pub fn new(settings: Settings) -> Self {
        let mut model = Model::new(settings);
        model.reopen(false);
        Self { model, now: START, last: None }
    }

    /// Lets the reference take a step.
    pub fn take(&mut self, now: u64, step: &Step) {
        self.now = now;
        self.last = match step {
            Step::Do(op) => Some(self.model.apply(now, op)),
            Step::Lose(_) => {
                self.model.reopen(false);
                None
            }
            Step::Reopen(restored) => {
                self.model.reopen(*restored);
                None
            }
        };
    }

    /// The next step and the time that passes before it, from a few random bytes.
    pub fn choose(&self, what: u8, r: [u8; 8]) -> (u64, Step) {
        let now = match r[7] % 16 {
            0..=8 => self.now,
            9..=11 => self.now + 1_000,
            12..=13 => self.now + 31_000,
            14 => self.now + 200_000,
            _ => self.now.saturating_sub(40_000),
        };
        let step = match what {
            0..=2 => Step::Reopen(r[0] < 40),
            3..=5 => Step::Lose(self.op(r[6], r, now)),
            6..=150 if self.model.recovering => Step::Do(Op::FinishRecovery),
            6..=70 if self.model.gap => Step::Do(Op::CloseGap),
            6 => Step::Do(Op::FinishRecovery),
            7 => Step::Do(Op::CloseGap),
            _ => Step::Do(self.op(what, r, now)),
        };
        (now, step)
    }

    fn op(&self, what: u8, r: [u8; 8], now: u64) -> Op {
        match what {
            0..=49 => self.send(r, now),
            50..=99 => self.dispatch(r),
            100..=123 => self.claim(r),
            124..=147 => self.fail(r),
            148..=159 => {
                let (id, part) = self.some_part(r, Fate::Claimed);
                Op::Finalize { id, part }
            }
            160..=167 => {
                let (id, part) = self.some_part(r, Fate::InFlight);
                Op::Withdraw { id, part }
            }
            168..=171 => {
                let (id, part) = self.some_part(r, Fate::InFlight);
                Op::Observe { id, part, what: r[3] % 2 }
            }
            172..=178 => self.adopt(r),
            179..=181 => self.mark_paid(r),
            182..=183 => Op::Hold { hash: hash(r[1]) },
            184..=189 => Op::Release { hash: hash(r[1]) },
            190..=195 => Op::Abandon { id: self.some_payment(r) },
            196..=213 => self.acknowledge(r),
            214..=239 => Op::Tick,
            _ => self.receive_invoice(r, now),
        }
    }

    fn some_payment(&self, r: [u8; 8]) -> Bytes {
        let known = &self.model.payments;
        match r[0] {
            0..=150 if !known.is_empty() => known[usize::from(r[0]) % known.len()].id,
            201..=215 => [0x10 + PAYMENTS; 32],
            _ => payment(r[0]),
        }
    }

    fn unused_part(&self, r: u8) -> Bytes {
        let used = |part: &Bytes| {
            let holds = |payment: &Payment| payment.parts.iter().any(|own| own.id == *part);
            self.model.payments.iter().any(holds)
                || self.model.strays.iter().any(|stray| stray.part.id == *part)
        };
        (0..PARTS)
            .map(|next| part(r.wrapping_add(next)))
            .find(|part| !used(part))
            .unwrap_or(part(r))
    }

    /// A part and its payment: mostly a known one, mostly with the fate that is wanted.
    fn some_part(&self, r: [u8; 8], wanted: Fate) -> (Bytes, Bytes) {
        let own = self.model.payments.iter();
        let own = own.flat_map(|payment| payment.parts.iter().map(|part| (payment.id, part)));
        let strays = self.model.strays.iter().map(|stray| (stray.payment, &stray.part));
        let all: Vec<(Bytes, &Part)> = own.chain(strays).collect();
        let fitting: Vec<_> = all.iter().filter(|(_, part)| part.fate == wanted).collect();
        let at = usize::from(r[1]);
        match r[2] {
            0..=180 if !fitting.is_empty() => {
                let (id, part) = fitting[at % fitting.len()];
                (*id, part.id)
            }
            0..=220 if !all.is_empty() => {
                let (id, part) = all[at % all.len()];
                (id, part.id)
            }
            221..=230 if !all.is_empty() => (self.some_payment(r), all[at % all.len()].1.id),
            _ => (self.some_payment(r), part(r[1])),
        }
    }

    fn request(r: [u8; 8], now: u64) -> Request {
        let number = r[0].wrapping_add(u8::from(r[1] > 230));
        let target = match r[1] % 8 {
            0..=4 => Target::Invoice { hash: hash(number) },
            5 => Target::Spontaneous { preimage: preimage(number), hash: hash(number) },
            6 => Target::OfferByTicks { offer: [number; 32], ticks: u64::from(r[2] % 3) },
            _ => Target::OfferUntil { offer: [number; 32], moment: now + 90_000 },
        };
        Request {
            target,
            amount: match r[5] {
                250 => 0,
                251 => LARGEST,
                252 => LARGEST + 1,
                _ => 1_000,
            },
            payee: None,
            max_fee: (r[4].is_multiple_of(4)).then_some(50),
            retry: match r[2] % 8 {
                0..=2 => Retry::Attempts(u64::from(r[3] % 3)),
                3..=5 => Retry::Manual,
                _ => Retry::Until(60_000),
            },
            expiry: match r[3] % 8 {
                0 => Some(now + 100_000),
                1 if r[4] < 60 => Some(now + u64::from(r[4] % 2)),
                _ => None,
            },
            instructions: vec![7; usize::from(r[4] % 3)],
            metadata: vec![],
        }
    }

    fn send(&self, r: [u8; 8], now: u64) -> Op {
        let id = self.some_payment(r);
        let live = self.model.payments.iter().find(|payment| payment.id == id);
        let stone = self.model.stones.iter().find(|stone| stone.id == id);
        let known = live.and_then(|live| live.request.clone());
        let known = known.or_else(|| stone.and_then(|stone| stone.request.clone()));
        let mut request = known.filter(|_| r[6] < 200).unwrap_or_else(|| Self::request(r, now));
        match r[6] {
            170..=173 => request.amount += 1,
            174..=177 => request.payee = Some(2),
            178..=181 => request.max_fee = Some(7),
            182..=185 => request.retry = Retry::Attempts(9),
            186..=189 => request.expiry = Some(now + 1),
            190..=193 => request.instructions.push(1),
            194..=197 => request.metadata.push(1),
            198..=199 => request.target = Target::Invoice { hash: hash(r[1]) },
            _ => {}
        }
        let failed = live.and_then(|live| live.failed_note);
        let failed = failed.or_else(|| stone.and_then(|stone| stone.failed_note));
        let again_after = failed.filter(|_| r[5].is_multiple_of(2));
        Op::Send { id, request, again_after }
    }

    fn receive_invoice(&self, r: [u8; 8], now: u64) -> Op {
        let waits = |payment: &&Payment| payment.status == Status::AwaitingInvoice;
        let waiting = self.model.payments.iter().find(waits).filter(|_| r[2] < 230);
        let id = waiting.map_or(self.some_payment(r), |payment| payment.id);
        let amount = match r[3] {
            0..=199 => 1_000,
            200..=230 => 900,
            231..=240 => 0,
            _ => 1_001,
        };
        let expiry = match r[4] {
            0..=150 => None,
            151..=200 => Some(now + 70_000),
            _ => Some(now),
        };
        Op::ReceiveInvoice { id, hash: hash(r[1]), amount, expiry }
    }

    fn dispatch(&self, r: [u8; 8]) -> Op {
        let open = |payment: &&Payment| payment.missing() > 0;
        let open: Vec<&Payment> = self.model.payments.iter().filter(open).collect();
        let live = &self.model.payments;
        let chosen = match r[0] {
            0..=200 if !open.is_empty() => Some(open[usize::from(r[0]) % open.len()]),
            0..=240 if !live.is_empty() => Some(&live[usize::from(r[0]) % live.len()]),
            _ => None,
        };
        let Some(payment) = chosen else {
            let parts = vec![htlc(part(r[1]), 1_000, 1)];
            return Op::Dispatch { id: self.some_payment(r), attempt: 1, parts };
        };
        let attempt = payment.next_attempt() + u64::from(r[2] > 245);
        let offer = payment.status == Status::AwaitingInvoice;
        let parts = match r[3] {
            120.. if offer => vec![NewPart { id: self.unused_part(r[1]), htlc: None }],
            0..=20 => repeated_batch(payment, r),
            21..=24 => vec![],
            25..=27 => vec![htlc(part(r[1]), 1_000, 1)],
            28..=75 => vec![NewPart { id: self.unused_part(r[1]), htlc: None }],
            76..=78 => {
                let id = self.unused_part(r[1]);
                vec![NewPart { id, htlc: None }, htlc(part(r[4]), 1, 1)]
            }
            _ => self.new_batch(payment, r),
        };
        Op::Dispatch { id: payment.id, attempt, parts }
    }

    fn new_batch(&self, payment: &Payment, r: [u8; 8]) -> Vec<NewPart> {
        // Where nothing is missing, a batch that would overpay.
        let missing = if payment.missing() == 0 { 1_000 } else { payment.missing() };
        let fee = match r[4] {
            0..=240 => u64::from(r[4] % 20),
            241..=250 => 51,
            _ => LARGEST + 1,
        };
        let first = self.unused_part(r[1]);
        let second = self.unused_part(first[0] - 0x80 + 1);
        match r[5] % 16 {
            0..=5 => vec![htlc(first, missing, fee)],
            6..=11 => vec![htlc(first, missing / 2, fee), htlc(second, missing - missing / 2, fee)],
            12 => vec![htlc(first, missing / 2, fee)],
            13 => vec![htlc(first, missing + missing / 10, fee)],
            14 => vec![htlc(first, missing + 101, fee)],
            _ => vec![htlc(first, missing, 1), htlc(first, u64::from(r[5] / 128), 1)],
        }
    }

    fn claim(&self, r: [u8; 8]) -> Op {
        let (id, part) = self.some_part(r, Fate::InFlight);
        let live = self.model.payments.iter().find(|payment| payment.id == id);
        let stray = self.model.strays.iter().find(|stray| stray.part.id == part);
        let stone = self.model.stones.iter().find(|stone| stone.id == id);
        let known = stray.map(|stray| stray.hash);
        let known = known.or_else(|| live.and_then(|live| live.hash));
        let known = known.or_else(|| stone.and_then(|stone| stone.hash));
        let right = known.and_then(preimage_of).filter(|_| r[3] < 230);
        let preimage = right.unwrap_or_else(|| preimage(r[4]));
        let hash = *Preimage::from_bytes(preimage).payment_hash().as_bytes();
        let settlement = settlement(r[5]);
        Op::Claim { id, part, preimage, hash, settlement }
    }

    fn fail(&self, r: [u8; 8]) -> Op {
        let (id, part) = self.some_part(r, Fate::InFlight);
        Op::Fail {
            id,
            part,
            permanent: r[3] > 220,
            channel: (r[4].is_multiple_of(2)).then_some(u64::from(r[4] % 3)),
            lost: (r[5].is_multiple_of(8)).then_some(5),
            asserted_at: match r[6] {
                0..=219 => None,
                220..=239 => Some(109),
                _ => Some(110),
            },
        }
    }

    fn adopt(&self, r: [u8; 8]) -> Op {
        let (id, part) = if r[2] < 128 {
            (self.some_payment(r), self.unused_part(r[1]))
        } else {
            self.some_part(r, Fate::Failed)
        };
        let own = self.model.payments.iter().find(|payment| payment.id == id);
        let own = own.and_then(|payment| payment.hash).filter(|_| r[3] < 200);
        let (amount, fee) = match r[4] {
            0..=99 => (Some(400), Some(4)),
            100..=149 => (Some(1_000), None),
            150..=199 => (None, None),
            200..=209 => (Some(u64::MAX), Some(u64::MAX)),
            _ => (None, Some(3)),
        };
        let kind = match r[5] % 4 {
            0 => Kind::Delegated,
            1 => Kind::Htlc { height: None, channel: None },
            _ => Kind::Htlc { height: Some(100), channel: Some(1) },
        };
        Op::Adopt { id, part, hash: own.unwrap_or_else(|| hash(r[3])), amount, fee, kind }
    }

    fn mark_paid(&self, r: [u8; 8]) -> Op {
        let (id, part) = self.some_part(r, Fate::InFlight);
        Op::MarkPaid {
            id,
            part: r[3].is_multiple_of(2).then_some(part),
            hash: (r[4].is_multiple_of(2)).then(|| hash(r[4])),
            settlement: settlement(r[5]).unwrap_or_default(),
        }
    }

    fn acknowledge(&self, r: [u8; 8]) -> Op {
        let unread: Vec<u64> = self.model.outbox.iter().map(|note| note.number).collect();
        let one = |at: u8| unread.get(usize::from(at) % unread.len().max(1)).copied().unwrap_or(0);
        let notes = match r[0] {
            0..=127 => unread.iter().map(|number| (*number, true)).collect(),
            128..=219 => vec![(one(r[1]), true), (one(r[2]), true)],
            220..=229 => vec![(one(r[1]), true), (self.model.posted, true)],
            230..=239 => vec![(one(r[1]), true), (one(r[2]), false)],
            _ => vec![(u64::from(r[1]) % self.model.posted.max(1), true)],
        };
        let known = |(number, _): &(u64, bool)| {
            *number < self.model.posted || unread.is_empty() || r[0] < 230
        };
        Op::Acknowledge { notes: notes.into_iter().filter(known).collect() }
    }
}

fn settlement(r: u8) -> Option<Settlement> {
    match r % 4 {
        0 => Some(Settlement { amount: Some(990), fee: Some(9) }),
        1 => Some(Settlement { amount: Some(990), fee: None }),
        _ => None,
    }
}

fn htlc(id: Bytes, amount: u64, fee: u64) -> NewPart {
    NewPart { id, htlc: Some((amount, fee, 100, None)) }
}

/// A batch as it was dispatched before, or nearly.
fn repeated_batch(payment: &Payment, r: [u8; 8]) -> Vec<NewPart> {
    let batch = 1 + u64::from(r[4] % 2);
    let again = |part: &Part| NewPart {
        id: part.id,
        htlc: match part.kind {
            Kind::Delegated => None,
            Kind::Htlc { height, channel } => {
                let amount = part.amount.unwrap_or(0) + u64::from(r[5] > 240);
                Some((amount, part.fee.unwrap_or(0), height.unwrap_or(0), channel))
            }
        },
    };
    let parts = payment.parts.iter().filter(|part| part.batch == batch).map(again);
    let mut parts: Vec<_> = parts.collect();
    if r[5].is_multiple_of(2) {
        parts.reverse();
    }
    parts
}
