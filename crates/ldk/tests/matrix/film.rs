//! One payment, step by step, up to the step after which node 0 dies.

use std::cell::Cell;

use payonce_core::{Head, PaymentId, Preimage};
use payonce_ldk::Order;
use payonce_store_memory::Image as LogImage;

use crate::net::{Completion, Image, Letter, Net, Outcome, Till};

/// In msat; not dust, and far above what the chain takes.
pub(crate) const AMOUNT: u64 = 50_000_000;
/// The caller's id.
pub(crate) const ID: PaymentId = PaymentId::from_bytes([1; 32]);
/// How often the ledger may hand over again.
pub(crate) const RETRIES: u32 = 3;

/// What is paid, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Invoice,
    Offer,
    Spontaneous,
}

/// What happens up to the crash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
    /// The number of the step after which node 0 dies, from 0.
    pub(crate) crash_after: usize,
    /// How LDK's writes of monitors are answered. Where they are in progress, LDK is told at the end
    /// of each step, but not of the last.
    pub(crate) writes: Completion,
}

/// A manager as it was written, and the ledger's head that was stored with it.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    pub(crate) manager: Vec<u8>,
    pub(crate) head: Head,
}

/// The nodes at the moment of the crash, and what was ever written.
pub(crate) struct Film {
    pub(crate) net: Net,
    pub(crate) till: Till,
    pub(crate) order: Order,
    pub(crate) given_amount: Option<u64>,
    /// What node 0 owned before the payment, in msat.
    pub(crate) before: u64,
    /// The last step.
    pub(crate) step: &'static str,
    script: Script,
    steps: usize,
    managers: Vec<Saved>,
    /// How often monitors had been written before the last step.
    writes_before: Cell<usize>,
    /// How many of the managers were written before the payment.
    managers_before: usize,
}

/// How old the manager is that survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    Newest,
    /// The one before.
    Previous,
    /// From before the payment: LDK writes the manager when it finds time.
    Oldest,
}

impl Film {
    /// Plays the script; `None` if it ends before the crash.
    pub(crate) fn play(script: Script) -> Option<Self> {
        let channels = [(0, 1, 1_000_000, 0), (0, 1, 1_000_000, 0)];
        let mut net = Net::with_channels(2, &channels);
        if script.writes == Completion::InProgress {
            let image = net.image(0);
            net.crash(0);
            net.load(0, &image).expect("nothing is lost");
            net.archives[0].answer(Completion::InProgress);
            net.connect_all();
            net.pump();
        }
        let mut till = Till::open_new(&net);
        prelude(&mut net, &mut till);
        let (order, given_amount) = order(&net, script.kind);
        net.default_outcome = script.outcome;
        let mut film = Self {
            before: net.balance_msat(0),
            net,
            till,
            order,
            given_amount,
            step: "",
            script,
            steps: 0,
            managers: Vec::new(),
            managers_before: 0,
            writes_before: Cell::new(0),
        };
        film.save();
        film.till.tick(&film.net);
        film.save();
        film.managers_before = film.managers.len();
        film.run().then_some(film)
    }

    /// Whether the crash came.
    fn run(&mut self) -> bool {
        self.steps = usize::from(self.script.crash_after > 0);
        self.expect_crash();
        if self.script.crash_after == 0 {
            self.till.cut();
        }
        self.pay();
        if self.script.crash_after == 0 {
            return self.done("before the send");
        }
        if self.done("after the send") {
            return true;
        }
        loop {
            let mut any = false;
            while let Some(letter) = self.net.deliver() {
                any = true;
                if letter.to == 0 && self.done(name(&letter)) {
                    return true;
                }
            }
            while let Some(to) = self.net.deliver_onion_message() {
                any = true;
                if to == 0 && self.done("onion message in") {
                    return true;
                }
            }
            any |= self.net.others_act();
            if self.net.forward(0) {
                any = true;
                if self.done("retries looked after") {
                    return true;
                }
            }
            if !any {
                if self.till.handle_events(&self.net) == 0 {
                    return false;
                }
                if self.done("events handled") {
                    return true;
                }
            }
        }
    }

    fn pay(&self) {
        self.till.pay(ID, &self.order, self.given_amount, RETRIES).expect("a good order");
    }

    /// Ends a step of node 0; whether it dies now.
    fn done(&mut self, step: &'static str) -> bool {
        self.net.settle(0);
        self.step = step;
        self.save();
        let crash = self.steps == self.script.crash_after;
        self.steps += 1;
        if !crash {
            self.expect_crash();
        }
        crash
    }

    /// If the next step is the last, LDK is told of no write that is durable.
    fn expect_crash(&self) {
        if self.steps == self.script.crash_after {
            self.writes_before.set(self.net.archives[0].writes());
            self.net.archives[0].hold();
        }
    }

    fn save(&mut self) {
        let saved = Saved { manager: self.net.image(0).manager, head: self.till.head() };
        if self.managers.last().is_none_or(|last| last.manager != saved.manager) {
            self.managers.push(saved);
        }
    }

    /// What survives of the channels: a manager of some age, and monitors put back by so many
    /// writes.
    pub(crate) fn channels(&self, age: Age, monitors_back: usize) -> (Image, Head) {
        let at = match age {
            Age::Newest => self.managers.len() - 1,
            Age::Previous => self.managers.len() - 2,
            Age::Oldest => self.managers_before - 1,
        };
        let saved = &self.managers[at];
        let monitors = self.net.archives[0].monitors(monitors_back);
        (Image { manager: saved.manager.clone(), monitors }, saved.head)
    }

    /// How often monitors were written in the last step.
    pub(crate) fn last_writes(&self) -> usize {
        self.net.archives[0].writes() - self.writes_before.get()
    }

    /// What survives of the log.
    pub(crate) fn log(&self, back: bool) -> LogImage {
        self.till.put_back(usize::from(back))
    }
}

/// An earlier payment, paid, so that everything has a past.
fn prelude(net: &mut Net, till: &mut Till) {
    let invoice = net.invoice(1, Some(AMOUNT / 10));
    till.pay(PaymentId::from_bytes([9; 32]), &Order::bolt11(invoice), None, 0)
        .expect("a good order");
    loop {
        net.pump();
        if till.handle_events(net) == 0 {
            break;
        }
    }
    net.claimed.clear();
}

fn order(net: &Net, kind: Kind) -> (Order, Option<u64>) {
    match kind {
        Kind::Invoice => {
            let invoice = net.invoice(1, Some(AMOUNT));
            (Order::bolt11(invoice), None)
        }
        Kind::Offer => (Order::offer(net.offer(1, AMOUNT)), None),
        Kind::Spontaneous => {
            let order = Order::spontaneous(net.id(1), Preimage::from_bytes([5; 32]));
            (order, Some(AMOUNT))
        }
    }
}

fn name(letter: &Letter) -> &'static str {
    use lightning::ln::msgs::MessageSendEvent as M;
    match &letter.message {
        M::SendRevokeAndACK { .. } => "revoke_and_ack in",
        M::UpdateHTLCs { updates, .. } if !updates.update_fulfill_htlcs.is_empty() => {
            "fulfill in: claimed"
        }
        M::UpdateHTLCs { updates, .. } if !updates.update_fail_htlcs.is_empty() => "fail in",
        M::UpdateHTLCs { .. } => "commitment in: in flight",
        _ => "message in",
    }
}
