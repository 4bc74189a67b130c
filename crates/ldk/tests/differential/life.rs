//! One random life of node 0.

use std::collections::HashMap;

use lightning::{
    bitcoin::hashes::Hash as _,
    types::payment::{PaymentHash, PaymentPreimage},
};
use payonce_core::{Msat, PaymentId, Preimage, Status};
use payonce_ldk::{Order, PayError, Paying};
use payonce_store_memory::MemoryDisk;

use crate::{
    compare,
    dice::Dice,
    net::{Image, Net, Outcome, Till},
};

/// Payer, two payees, and a way between them: a payment to node 2 may go through node 1.
const CHANNELS: [(usize, usize, u64, u64); 4] = [
    (0, 1, 1_000_000, 0),
    (0, 1, 1_000_000, 0),
    (0, 2, 1_000_000, 0),
    (1, 2, 1_000_000, 200_000_000),
];
const PAYMENTS: usize = 12;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) id: PaymentId,
    pub(crate) order: Order,
    pub(crate) amount: u64,
    pub(crate) given: Option<u64>,
    pub(crate) retries: u32,
    pub(crate) hash: Option<PaymentHash>,
}

/// How often things happened, so that a run that proves nothing is found out.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen(HashMap<&'static str, usize>);

impl Seen {
    fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    pub(crate) fn assert_everything_happened(&self) {
        let wanted = [
            "accepted",
            "repeat",
            "conflict",
            "events",
            "tick",
            "reload",
            "reload of an older manager",
            "abandoned",
            "peer lost",
            "paid",
            "failed",
            "block",
            "handed over again",
            "forgotten by LDK",
        ];
        for what in wanted {
            assert!(self.0.contains_key(what), "never happened: {what}; {:?}", self.0);
        }
    }
}

pub(crate) struct Life {
    seed: u64,
    dice: Dice,
    pub(crate) net: Net,
    pub(crate) till: Till,
    pub(crate) asked: Vec<Asked>,
    pub(crate) seen: Seen,
    /// What node 0 owned at first, in msat.
    pub(crate) initial: u64,
    /// Managers as they were written, with the head stored beside each.
    managers: Vec<(Vec<u8>, payonce_core::Head)>,
    /// Whether a channel was closed: balances are then off by what the chain took.
    closed: bool,
}

impl Life {
    pub(crate) fn new(seed: u64) -> Self {
        let net = Net::with_channels(3, &CHANNELS);
        let till = Till::open_new(&net);
        Self {
            seed,
            dice: Dice::new(seed),
            initial: net.balance_msat(0),
            net,
            till,
            asked: Vec::new(),
            seen: Seen::default(),
            managers: Vec::new(),
            closed: false,
        }
    }

    /// Lives so many steps, comes to rest, and says what happened.
    pub(crate) fn live(mut self, steps: usize) -> Seen {
        for step in 0..steps {
            let did = self.step();
            self.net.settle(0);
            let place = format!("seed {}, step {step}: {did}", self.seed);
            let told = did == "events";
            compare::views(&self, told, &place);
            compare::balances(&self, told, self.closed, &place);
            if self.dice.below(3) == 0 {
                self.managers.push((self.net.image(0).manager, self.till.head()));
            }
        }
        self.rest();
        let place = format!("seed {}, at rest", self.seed);
        compare::views(&self, true, &place);
        compare::at_rest(&self, self.closed, &place);
        self.seen
    }

    fn step(&mut self) -> &'static str {
        // What has failed rests, and is due again while others act.
        self.till.now = self.till.now.plus(1_000);
        let did = match self.dice.below(100) {
            0..12 => self.pay(),
            12..22 => self.repeat(),
            22..25 => self.conflict(),
            25..50 => self.letters(),
            50..60 => self.others(),
            60..65 => {
                self.net.forward(0);
                "forward"
            }
            65..77 => {
                self.till.handle_events(&self.net);
                "events"
            }
            77..81 => {
                let driven = self.till.payer.drive(self.till.now).expect("the store is well");
                if driven.is_empty() { "drive" } else { "handed over again" }
            }
            81..86 => {
                self.till.tick(&self.net);
                "tick"
            }
            86..89 => self.decide(),
            89..91 => self.lose_peer(),
            91..94 => {
                self.net.connect_all();
                "peers back"
            }
            94..97 => self.reload(),
            97..99 => self.abandon(),
            _ => {
                self.net.mine_block();
                "block"
            }
        };
        self.seen.note(did);
        did
    }

    fn pay(&mut self) -> &'static str {
        if self.asked.len() == PAYMENTS {
            return self.letters();
        }
        let asked = self.order();
        let outcome =
            [Outcome::Claim, Outcome::Claim, Outcome::Claim, Outcome::Fail, Outcome::Hold];
        let outcome = *self.dice.pick(&outcome).expect("there are some");
        match asked.hash {
            Some(hash) => drop(self.net.outcomes.insert(hash, outcome)),
            None => self.net.default_outcome = outcome,
        }
        self.asked.push(asked.clone());
        match self.till.pay(asked.id, &asked.order, asked.given, asked.retries) {
            Ok(Paying::Accepted { .. }) => "accepted",
            Err(PayError::UnknownInEngine { .. }) => {
                self.asked.pop();
                "offer refused"
            }
            other => panic!("seed {}: a new payment: {other:?}", self.seed),
        }
    }

    fn order(&mut self) -> Asked {
        let number = u8::try_from(self.asked.len() + 1).expect("a few");
        let id = PaymentId::from_bytes([number; 32]);
        let payee = if self.dice.below(3) == 0 { 2 } else { 1 };
        let amount = 2_000_000 + self.dice.below(15_000) * 1_000;
        let retries = u32::try_from(self.dice.below(3)).expect("a few");
        let (order, given, hash) = match self.dice.below(10) {
            0 => {
                let preimage = PaymentPreimage([number; 32]);
                let order =
                    Order::spontaneous(self.net.id(payee), Preimage::from_bytes(preimage.0));
                (order, Some(amount), Some(preimage.into()))
            }
            1 => (Order::offer(self.net.offer(payee, amount)), None, None),
            open => {
                let given = (open == 2).then_some(amount);
                let invoice =
                    self.net.invoice(payee, if given.is_some() { None } else { Some(amount) });
                let hash = PaymentHash(invoice.payment_hash().to_byte_array());
                (Order::bolt11(invoice), given, Some(hash))
            }
        };
        Asked { id, order, amount, given, retries, hash }
    }

    /// The same again: nothing may move, and the answer is how it stands.
    fn repeat(&mut self) -> &'static str {
        let Some(asked) = self.dice.pick(&self.asked).cloned() else { return "nothing" };
        let before = compare::listed(&self.net);
        let view = self.till.payment_view(&asked.id);
        match self.till.pay(asked.id, &asked.order, asked.given, asked.retries) {
            Ok(Paying::Repeat { view: answered, .. }) => assert_eq!(Some(answered), view),
            other => panic!("seed {}: a repeat: {other:?}", self.seed),
        }
        assert_eq!(compare::listed(&self.net), before, "seed {}: a repeat reached LDK", self.seed);
        "repeat"
    }

    /// The same id for something else.
    fn conflict(&mut self) -> &'static str {
        let Some(asked) = self.dice.pick(&self.asked).cloned() else { return "nothing" };
        let before = compare::listed(&self.net);
        let other = Order::bolt11(self.net.invoice(1, Some(1_000_000)));
        match self.till.pay(asked.id, &other, None, 0) {
            Err(PayError::Refused(_)) => {}
            other => panic!("seed {}: a conflict: {other:?}", self.seed),
        }
        assert_eq!(
            compare::listed(&self.net),
            before,
            "seed {}: a conflict reached LDK",
            self.seed
        );
        "conflict"
    }

    fn letters(&mut self) -> &'static str {
        for _ in 0..=self.dice.below(6) {
            if self.net.deliver().is_none() && self.net.deliver_onion_message().is_none() {
                break;
            }
        }
        "letters"
    }

    fn others(&mut self) -> &'static str {
        self.net.others_act();
        "others"
    }

    /// A payee makes up its mind.
    fn decide(&mut self) -> &'static str {
        let outcome = if self.dice.below(2) == 0 { Outcome::Claim } else { Outcome::Fail };
        let kept: Vec<_> = self.net.claimable.iter().map(|(_, hash, _)| *hash).collect();
        let Some(hash) = self.dice.pick(&kept) else { return "nothing" };
        self.net.outcomes.insert(*hash, outcome);
        "decided"
    }

    fn lose_peer(&mut self) -> &'static str {
        let peer = if self.dice.below(2) == 0 { 1 } else { 2 };
        self.net.disconnect(0, peer);
        "peer lost"
    }

    fn abandon(&mut self) -> &'static str {
        let Some(asked) = self.dice.pick(&self.asked) else { return "nothing" };
        self.till.payer.abandon(&asked.id, self.till.now).expect("it was accepted");
        "abandoned"
    }

    /// The process dies. Monitors are as they were last written; the manager may be older.
    fn reload(&mut self) -> &'static str {
        let newest = (self.net.image(0).manager, self.till.head());
        let older =
            if self.dice.below(8) == 0 { self.dice.pick(&self.managers).cloned() } else { None };
        let did = if older.is_some() { "reload of an older manager" } else { "reload" };
        let (manager, head) = older.unwrap_or(newest);
        let image = Image { manager, monitors: self.net.archives[0].monitors(0) };
        let log = self.till.disk.image();
        self.net.crash(0);
        self.net
            .load(0, &image)
            .unwrap_or_else(|why| panic!("seed {}: LDK does not load: {why:?}", self.seed));
        self.closed |= self.net.has_closed_channels(0);
        let disk = MemoryDisk::from_image(log);
        let (till, report) =
            Till::start(disk, Some(head), &self.net, self.till.now).expect("the log is whole");
        let place = format!("seed {}: a start", self.seed);
        assert!(!report.restored, "{place}: {report:?}");
        assert!(report.refused.is_empty() && report.unknown.is_empty(), "{place}: {report:?}");
        self.till = till;
        self.managers.clear();
        self.net.connect_all();
        compare::views(self, true, &place);
        did
    }

    /// Everything is decided, and happens.
    fn rest(&mut self) {
        self.net.connect_all();
        self.net.default_outcome = Outcome::Claim;
        for outcome in self.net.outcomes.values_mut().filter(|outcome| **outcome == Outcome::Hold) {
            *outcome = Outcome::Claim;
        }
        let mut minutes = 0;
        for _ in 0..3_000 {
            self.net.pump();
            let heard = self.till.handle_events(&self.net);
            self.till.drive();
            self.net.pump();
            if heard > 0 || self.net.has_mail() {
                continue;
            }
            if self.net.awaits_blocks() {
                self.net.mine_blocks(4);
            } else if minutes < 20 {
                minutes += 1;
                let listed = compare::listed(&self.net).len();
                self.till.tick(&self.net);
                if compare::listed(&self.net).len() < listed {
                    self.seen.note("forgotten by LDK");
                }
            } else {
                self.note_ends();
                return;
            }
        }
        panic!("seed {}: no rest is found", self.seed);
    }

    fn note_ends(&mut self) {
        for asked in &self.asked {
            let view = self.till.payment_view(&asked.id).expect("it was accepted");
            match view.status {
                Status::Fulfilled => self.seen.note("paid"),
                Status::Failed { .. } => self.seen.note("failed"),
                open => panic!("seed {}: {asked:?} at rest is {open:?}", self.seed),
            }
        }
    }

    /// What the payees say that they got for a payment.
    pub(crate) fn received(&self, preimage: Option<Preimage>) -> Vec<Msat> {
        let Some(preimage) = preimage else { return Vec::new() };
        let hash = PaymentHash::from(PaymentPreimage(*preimage.as_bytes()));
        let received = self.net.claimed.iter().filter(|(_, claimed, _)| *claimed == hash);
        received.map(|(_, _, amount)| Msat(*amount)).collect()
    }
}
