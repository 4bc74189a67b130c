//! What upsets a life: messages and writes that are lost, events that are refused, threads that act at once,
//! and a ledger that is put back.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use lightning::{
    events::{Event, EventsProvider as _, ReplayEvent},
    ln::channelmanager::RecentPaymentDetails,
};
use payonce_core::{
    Assertion, FailPart, Failure, MarkPaid, Msat, Part, PartStatus, PaymentHash, RetryPolicy,
    Status,
};
use payonce_ldk::{Order, PayError, Paying, Terms};

use crate::{
    compare::{self, Listed},
    life::{Asked, Life},
};

/// One less is open, also if it panics: nobody waits for ever.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Life {
    /// An onion message is lost on its way, or comes twice.
    pub(crate) fn lose_or_double(&mut self) -> &'static str {
        let times = if self.dice.below(2) == 0 { 0 } else { 2 };
        match self.net.deliver_onion_message_times(times) {
            None => "nothing",
            Some(_) if times == 0 => "message lost",
            Some(_) => "message doubled",
        }
    }

    /// The node's own handler fails, before or after the event was recorded.
    pub(crate) fn refuse_event(&mut self) -> &'static str {
        let after = usize::try_from(self.dice.below(2)).expect("a few");
        let recorded = self.dice.below(3) > 0;
        let refused = self.till.refuse_event(&self.net, after, recorded);
        // What it told is acted on before LDK tells it again.
        if refused && self.dice.below(2) == 0 {
            self.till.now = self.till.now.plus(60_000);
            self.till.drive();
        }
        if refused { "event refused" } else { "a few events" }
    }

    /// The disk is slow: LDK is told of no write until it is fast again.
    pub(crate) fn hold_or_release(&mut self) -> &'static str {
        let archive = self.net.archives[0];
        if !archive.is_slow() {
            return "nothing";
        }
        if self.dice.below(3) == 0 {
            archive.release();
            return "writes released";
        }
        archive.hold();
        "writes held"
    }

    /// A holder of a refund asks for it, perhaps again, perhaps somebody else too.
    pub(crate) fn ask_for_refund(&mut self) -> &'static str {
        let given: Vec<usize> =
            (0..self.asked.len()).filter(|at| !self.asked[*at].refunds.is_empty()).collect();
        let Some(at) = self.dice.pick(&given).copied() else { return "nothing" };
        let refund = self.dice.pick(&self.asked[at].refunds).cloned().expect("it was given");
        let holder = if self.dice.below(3) == 0 { 2 } else { 1 };
        let Ok(invoice) = self.net.nodes[holder].node.request_refund_payment(&refund) else {
            return "refund not answered";
        };
        let hash = invoice.payment_hash();
        self.asked[at].invoiced.push(hash);
        let outcome = self.outcome();
        self.net.outcomes.insert(hash, outcome);
        "refund asked for"
    }

    /// Whoever still waits for their refund asks for it.
    pub(crate) fn ask_for_refunds(&mut self) {
        let waits = |listed: &RecentPaymentDetails| {
            matches!(listed, RecentPaymentDetails::AwaitingInvoice { .. })
        };
        if !self.net.nodes[0].node.list_recent_payments().iter().any(waits) {
            return;
        }
        for at in 0..self.asked.len() {
            if !self.received(&self.asked[at]).is_empty() {
                continue;
            }
            for refund in self.asked[at].refunds.clone() {
                if let Ok(invoice) = self.net.nodes[1].node.request_refund_payment(&refund) {
                    self.asked[at].invoiced.push(invoice.payment_hash());
                }
            }
        }
    }

    /// Each refund that is out is kept, and the same as before.
    pub(crate) fn note_refunds(&mut self, place: &str) {
        let listed = compare::listed(&self.net);
        for at in 0..self.asked.len() {
            let Asked { id, order: Order::Refund(_), .. } = self.asked[at] else { continue };
            let kept = self.till.payer.refund(&id).expect("the store is well");
            let waits = self.till.payer.ledger().query(|state| {
                let payment =
                    state.payment(&id).filter(|at| at.status() == Status::AwaitingInvoice);
                let is_out = |payment: &payonce_core::Payment| {
                    let waits =
                        |part: &Part| listed.get(&part.id) == Some(&Listed::AwaitingInvoice);
                    payment
                        .parts()
                        .iter()
                        .any(|part| part.status == PartStatus::InFlight && waits(part))
                };
                payment.is_some_and(is_out)
            });
            assert!(kept.is_some() || !waits.expect("well"), "{place}: the refund of {id} is lost");
            let Some(kept) = kept else { continue };
            if !self.asked[at].refunds.contains(&kept) {
                self.asked[at].refunds.push(kept);
            }
        }
    }

    /// Threads ask for one new payment, read LDK's events and drive what is due, all at once: one of them
    /// is accepted. What they do first is not the seed's to say.
    pub(crate) fn at_once(&mut self) -> &'static str {
        if self.has_all() {
            return self.repeat();
        }
        let asked = self.new_payment();
        let terms = Terms::default().retry(RetryPolicy::Attempts(asked.retries));
        let (payer, node, now) = (&self.till.payer, self.net.nodes[0].node, self.till.now);
        let open = AtomicUsize::new(3);
        let pay = || {
            let _done = Done(&open);
            payer.pay(asked.id, &asked.order, asked.given.map(Msat), &terms, now)
        };
        // Again and again while anybody pays, so that they meet.
        let meanwhile = |act: &dyn Fn()| {
            while open.load(Ordering::SeqCst) > 0 {
                act();
            }
        };
        let handle =
            |event: Event| payer.handle_event(&event, now).map(drop).map_err(ReplayEvent::from);
        let read = || meanwhile(&|| node.process_pending_events(&handle));
        let drive = || meanwhile(&|| drop(payer.drive(now).expect("the store is well")));
        let answers = thread::scope(|scope| {
            let others = [scope.spawn(read), scope.spawn(drive), scope.spawn(drive)];
            let paying = [(); 3].map(|()| scope.spawn(pay));
            let answers = paying.map(|paying| paying.join().expect("no thread panics"));
            for other in others {
                other.join().expect("no thread panics");
            }
            answers
        });
        let unknown = |answer: &Result<Paying, PayError>| {
            matches!(answer, Err(PayError::UnknownInEngine { .. }))
        };
        if answers.iter().all(unknown) {
            self.asked.pop();
            return "offer refused";
        }
        let accepted = answers.iter().filter(|at| matches!(at, Ok(Paying::Accepted { .. })));
        let repeats = answers.iter().filter(|at| matches!(at, Ok(Paying::Repeat { .. })));
        let counts = (accepted.count(), repeats.count());
        assert_eq!(counts, (1, 2), "seed {}: {answers:?}", self.seed);
        "at once"
    }

    /// The ledger is put back by some entries, beside channels that have gone on. LDK comes to rest; the
    /// user says what they know to be paid, closes the gap, and asks for everything again.
    pub(crate) fn lose_the_ledger(&mut self) {
        let entries = 1 + usize::try_from(self.dice.below(20)).expect("a few");
        let (older, newest) = (self.till.put_back(entries), self.till.head());
        if older.head() == newest {
            return;
        }
        let manager = self.net.image(0).manager;
        let report = self.start_from(manager, older, newest);
        assert!(report.restored, "seed {}: {report:?}", self.seed);
        self.seen.note("ledger put back");
        self.come_to_rest();
        self.tell_the_gap();
        self.come_to_rest();
        for asked in self.asked.clone() {
            let paid = !self.received(&asked).is_empty();
            match self.till.pay(asked.id, &asked.order, asked.given, asked.retries) {
                Ok(Paying::Accepted { .. }) => {
                    assert!(!paid, "seed {}: {asked:?} is paid twice", self.seed);
                    self.seen.note("paid after the gap");
                }
                Ok(Paying::Repeat { view, .. }) => {
                    assert_eq!(view.paid.is_some(), paid, "seed {}: {asked:?}", self.seed);
                }
                other => panic!("seed {}: after the gap: {other:?} to {asked:?}", self.seed),
            }
        }
        self.note_refunds("after the gap");
        self.come_to_rest();
        self.end_what_nobody_knows();
    }

    /// LDK told the end of some parts in what was lost, and tells it to nobody again. After two weeks the
    /// user says that nothing of them is out: the payees got nothing.
    fn end_what_nobody_knows(&mut self) {
        let listed = compare::listed(&self.net);
        let unknown = self.till.payer.ledger().query(|state| {
            let unknown = state.unresolved().into_iter();
            let unknown = unknown.filter(|at| !listed.contains_key(&at.part.id));
            unknown.map(|at| (at.payment, at.part.id)).collect::<Vec<_>>()
        });
        self.till.now = self.till.now.plus(15 * 24 * 60 * 60 * 1_000);
        for (id, part) in unknown.expect("the store is well") {
            // The log may be cut inside a start that had listed it.
            let word = Assertion::new("the user", "the payee has no receipt");
            let word = Assertion { although_listed: true, ..word };
            let failure = Failure { assertion: Some(word), ..Failure::default() };
            let failed = FailPart { id, part, failure };
            self.till.payer.ledger().execute(failed, self.till.now).expect("it is old enough");
            self.seen.note("ended on a word");
        }
    }

    fn tell_the_gap(&mut self) {
        compare::names(self, "in the gap");
        let now = self.till.now;
        for asked in &self.asked {
            let received = self.received(asked);
            let told = self.till.payment_view(&asked.id).is_some_and(|view| view.paid.is_some());
            let Some((hash, _)) = received.first().filter(|_| !told) else { continue };
            let word = Assertion::new("the user", "the payee has a receipt");
            let hash = PaymentHash::from_bytes(hash.0);
            let paid = MarkPaid::new(asked.id).payment_hash(hash).asserted(word);
            self.till.payer.ledger().execute(paid, now).expect("taken in a gap");
            self.seen.note("told what was paid in the gap");
        }
        self.till.payer.ledger().close_gap(now).expect("there is one");
        self.marked = true;
    }
}
