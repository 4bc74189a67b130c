//! One random life of node 0.

use std::collections::HashMap;

use lightning::{
    bitcoin::hashes::Hash as _,
    events::PaymentPurpose,
    offers::{offer::OfferId, refund::Refund},
    types::payment::{PaymentHash, PaymentPreimage},
};
use payonce_core::{Msat, PartId, PaymentId, Preimage, Status};
use payonce_ldk::{Order, PayError, Paying, StartReport};
use payonce_store_memory::{Image as LogImage, MemoryDisk};

use crate::{
    compare,
    dice::Dice,
    net::{Completion, Image, Net, Outcome, Till},
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
    /// Of an offer: what its payee knows it by.
    pub(crate) offer: Option<OfferId>,
    /// Of a refund: each that was made for it, and the hashes of the invoices that answered them.
    pub(crate) refunds: Vec<Refund>,
    pub(crate) invoiced: Vec<PaymentHash>,
}

/// How often things happened, so that a run that proves nothing is found out.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen(HashMap<&'static str, usize>);

impl Seen {
    pub(crate) fn note(&mut self, what: &'static str) {
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
            "several paths",
            "refund asked for",
            "message lost",
            "message doubled",
            "event refused",
            "writes held",
            "writes lost",
            "at once",
            "ledger put back",
            "told what was paid in the gap",
        ];
        for what in wanted {
            assert!(self.0.contains_key(what), "never happened: {what}; {:?}", self.0);
        }
    }
}

pub(crate) struct Life {
    pub(crate) seed: u64,
    pub(crate) dice: Dice,
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
    /// Whether the process has died and was started again.
    pub(crate) restarted: bool,
    /// Whether a user said what was paid: of that the ledger has no amount.
    pub(crate) marked: bool,
}

impl Life {
    pub(crate) fn new(seed: u64) -> Self {
        let net = Net::with_channels(3, &CHANNELS);
        let mut dice = Dice::new(seed);
        if dice.below(3) == 0 {
            let mut config = net.nodes[0].node.get_current_config();
            config.manually_handle_bolt12_invoices = true;
            net.nodes[0].node.set_current_config(config);
        }
        let till = Till::open_new(&net);
        Self {
            seed,
            dice,
            initial: net.balance_msat(0),
            net,
            till,
            asked: Vec::new(),
            seen: Seen::default(),
            managers: Vec::new(),
            closed: false,
            restarted: false,
            marked: false,
        }
    }

    /// Lives so many steps, comes to rest, and says what happened.
    pub(crate) fn live(mut self, steps: usize) -> Seen {
        for step in 0..steps {
            let did = self.step();
            self.net.settle(0);
            let place = format!("seed {}, step {step}: {did}", self.seed);
            self.note_refunds(&place);
            let told = did == "events";
            compare::views(&self, told, &place);
            compare::balances(&self, told, self.closed, &place);
            if self.dice.below(3) == 0 {
                self.managers.push((self.net.image(0).manager, self.till.head()));
            }
        }
        if self.dice.below(2) == 0 {
            self.lose_the_ledger();
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
            0..11 => self.pay(),
            11..19 => self.repeat(),
            19..21 => self.conflict(),
            21..41 => self.letters(),
            41..43 | 68..70 => self.refuse_event(),
            43..52 => self.others(),
            52..57 => {
                self.net.forward(0);
                "forward"
            }
            57..68 => {
                self.till.handle_events(&self.net);
                "events"
            }
            70..72 => self.ask_for_refund(),
            72..74 => self.hold_or_release(),
            74 => self.at_once(),
            75 | 98 => self.lose_or_double(),
            76..81 => {
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
            97 => self.abandon(),
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
        let asked = self.new_payment();
        match self.till.pay(asked.id, &asked.order, asked.given, asked.retries) {
            Ok(Paying::Accepted { .. }) => "accepted",
            Err(PayError::UnknownInEngine { .. }) => {
                self.asked.pop();
                "offer refused"
            }
            other => panic!("seed {}: a new payment: {other:?}", self.seed),
        }
    }

    pub(crate) fn has_all(&self) -> bool {
        self.asked.len() == PAYMENTS
    }

    /// What is asked for next, and what its payee will do with it.
    pub(crate) fn new_payment(&mut self) -> Asked {
        let asked = self.order();
        let outcome = self.outcome();
        match asked.hash {
            Some(hash) => drop(self.net.outcomes.insert(hash, outcome)),
            None => self.net.default_outcome = outcome,
        }
        self.asked.push(asked.clone());
        asked
    }

    pub(crate) fn outcome(&mut self) -> Outcome {
        let outcomes =
            [Outcome::Claim, Outcome::Claim, Outcome::Claim, Outcome::Fail, Outcome::Hold];
        *self.dice.pick(&outcomes).expect("there are some")
    }

    fn order(&mut self) -> Asked {
        let number = u8::try_from(self.asked.len() + 1).expect("a few");
        let id = PaymentId::from_bytes([number; 32]);
        let payee = if self.dice.below(3) == 0 { 2 } else { 1 };
        // A channel lets a tenth of its capacity be in flight: more than that takes several paths.
        let large = self.dice.below(6) == 0;
        let amount = if large {
            self.seen.note("several paths");
            120_000_000 + self.dice.below(50) * 1_000_000
        } else {
            2_000_000 + self.dice.below(15_000) * 1_000
        };
        let retries = u32::try_from(self.dice.below(3)).expect("a few");
        let mut offer_id = None;
        let (order, given, hash) = match self.dice.below(12) {
            10 => {
                let ten_days = 10 * 24 * 60 * 60 * 1_000;
                let order = Order::refund(self.till.now.plus(ten_days), format!("tea {number}"));
                (order, Some(amount), None)
            }
            0 => {
                let preimage = PaymentPreimage([number; 32]);
                let order =
                    Order::spontaneous(self.net.id(payee), Preimage::from_bytes(preimage.0));
                (order, Some(amount), Some(preimage.into()))
            }
            1 | 11 => {
                let offer = self.net.offer(payee, amount);
                offer_id = Some(offer.id());
                (Order::offer(offer), None, None)
            }
            open => {
                let given = (open == 2).then_some(amount);
                let invoice =
                    self.net.invoice(payee, if given.is_some() { None } else { Some(amount) });
                let hash = PaymentHash(invoice.payment_hash().to_byte_array());
                (Order::bolt11(invoice), given, Some(hash))
            }
        };
        let (refunds, invoiced) = (Vec::new(), Vec::new());
        Asked { id, order, amount, given, retries, hash, offer: offer_id, refunds, invoiced }
    }

    /// The same again: nothing may move, and the answer is how it stands.
    pub(crate) fn repeat(&mut self) -> &'static str {
        let Some(asked) = self.dice.pick(&self.asked).cloned() else { return "nothing" };
        let before = compare::listed(&self.net);
        let view = self.till.payment_view(&asked.id);
        match self.till.pay(asked.id, &asked.order, asked.given, asked.retries) {
            Ok(Paying::Repeat { view: answered, refund }) => {
                assert_eq!(Some(answered), view);
                let kept = self.till.payer.refund(&asked.id).expect("the store is well");
                assert_eq!(refund.map(|refund| *refund), kept, "seed {}: a refund", self.seed);
            }
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
        // Behind the first hop a payment fails on its way, and may be handed over again.
        let (a, b) = *self.dice.pick(&[(0, 1), (0, 2), (1, 2)]).expect("there are some");
        self.net.disconnect(a, b);
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
        let log = self.till.disk.image();
        let report = self.start_from(manager, log, head);
        let place = format!("seed {}: a start, {did}: {report:?}", self.seed);
        assert!(!report.restored, "{place}: {report:?}");
        assert!(report.refused.is_empty() && report.unknown.is_empty(), "{place}: {report:?}");
        // A start has LDK give up what is given up, and LDK says so in an event.
        self.till.handle_events(&self.net);
        compare::views(self, true, &place);
        did
    }

    /// The process dies and a new one loads this manager, and the monitors of which LDK was told that
    /// they are durable; or all that it wrote.
    pub(crate) fn start_from(
        &mut self,
        manager: Vec<u8>,
        log: LogImage,
        head: payonce_core::Head,
    ) -> StartReport {
        let archive = self.net.archives[0];
        let lost = if self.dice.below(2) == 0 { archive.undurable() } else { 0 };
        if lost > 0 {
            self.seen.note("writes lost");
        }
        let image = Image { manager, monitors: archive.monitors(lost) };
        let slow = self.dice.below(2) == 0;
        archive.answer_from_load(if slow { Completion::InProgress } else { Completion::Completed });
        self.net.crash(0);
        self.net
            .load(0, &image)
            .unwrap_or_else(|why| panic!("seed {}: LDK does not load: {why:?}", self.seed));
        self.closed |= self.net.has_closed_channels(0);
        let disk = MemoryDisk::from_image(log);
        let (till, report) =
            Till::start(disk, Some(head), &self.net, self.till.now).expect("the log is whole");
        self.till = till;
        self.restarted = true;
        self.managers.clear();
        self.net.connect_all();
        report
    }

    /// Everything is decided, and happens.
    fn rest(&mut self) {
        self.come_to_rest();
        self.note_ends();
    }

    pub(crate) fn come_to_rest(&mut self) {
        self.net.archives[0].release();
        self.net.settle(0);
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
                self.ask_for_refunds();
                let listed = compare::listed(&self.net).len();
                self.till.tick(&self.net);
                if compare::listed(&self.net).len() < listed {
                    self.seen.note("forgotten by LDK");
                }
            } else {
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
                // Nobody may call failed what LDK has not given up: here a channel that closed, or whose monitor
                // waits for its disk, holds it for longer than the walk rests.
                _ if self.is_listed(asked) => self.seen.note("open in LDK at rest"),
                open => panic!(
                    "seed {}: at rest is {open:?}: {view:?} {:?} {:?} {:?} {asked:?}",
                    self.seed,
                    self.till.payer.ledger().query(|state| (
                        state.is_restored(),
                        state.payment(&asked.id).map(|at| at.parts().to_vec())
                    )),
                    compare::listed(&self.net),
                    self.received(asked)
                ),
            }
        }
    }

    /// Whether LDK still tracks a hand-over of this payment.
    fn is_listed(&self, asked: &Asked) -> bool {
        let listed = compare::listed(&self.net);
        let is_its = |part: &PartId| {
            let owner = self.till.payer.ledger().query(|state| state.owner_of(part));
            owner.expect("the store is well") == Some(asked.id)
        };
        listed.keys().any(is_its)
    }

    /// What the payees say that they got for a payment, and under which hash.
    pub(crate) fn received(&self, asked: &Asked) -> Vec<(PaymentHash, Msat)> {
        let for_it = |hash: &PaymentHash| {
            let purpose = self.net.received.get(hash).map(|(_, purpose)| purpose);
            let offer = match purpose {
                Some(PaymentPurpose::Bolt12OfferPayment { payment_context, .. }) => {
                    Some(payment_context.offer_id)
                }
                _ => None,
            };
            let own = asked.hash == Some(*hash) || asked.invoiced.contains(hash);
            own || (offer.is_some() && offer == asked.offer)
        };
        let received = self.net.claimed.iter().filter(|(_, hash, _)| for_it(hash));
        received.map(|(_, hash, amount)| (*hash, Msat(*amount))).collect()
    }
}
