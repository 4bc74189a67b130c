//! States with everything that a state can hold. As the samples, they never change.

use std::fmt::Debug;

use payonce_core::{
    Abandon, Acknowledge, AdoptPart, Anomaly, Assertion, BlockHash, ClaimPart, CloseGap, Config,
    Deadline, Delivery, DisownPart, Dispatch, Entry, EntryHeader, Event, FailPart, Failure,
    FailureReason, FinalizePart, FinishRecovery, Label, ListParts, Machine, MarkPaid, MaxFee, Msat,
    NewPart, NodeId, NotificationId, ObservationKind, ObservePart, OfferHash, Operation, PartId,
    PartKind, Pay, PaymentHash, PaymentId, Preimage, ReceiveInvoice, Remember, Request,
    RequestInvoice, RetryPolicy, SayAgain, Settlement, ShortChannelId, State, Step, Target, Tick,
    UnblockHash, UnixMillis, WithdrawPart,
};

use crate::{LEDGER, NOW};

/// The states and their names.
pub(crate) fn all() -> Vec<(&'static str, State)> {
    let empty = State::new(LEDGER, 0);
    let forever = Remember::Forever;
    let recovering = Script::open(empty.clone(), forever).state();
    let mut full = Script::open(empty.clone(), forever);
    full.run(FinishRecovery);
    full.tell_everything();
    full.run(CloseGap);
    let full = full.state();
    let mut restored = Script::open(full.clone(), forever);
    restored.run(FinishRecovery);
    restored.leave_a_gap();
    let folded = fold_one(full.clone());
    let mut window = Script::open(empty.clone(), Remember::Window);
    window.run(FinishRecovery);
    window.foreign_part();
    let mut blocked = Script::open(empty.clone(), forever);
    blocked.run(FinishRecovery);
    blocked.block();
    let mut requested = Script::open(empty.clone(), forever);
    requested.run(FinishRecovery);
    requested.request_invoice();
    vec![
        ("empty", empty),
        ("recovering", recovering),
        ("full", full),
        ("restored", restored.state()),
        ("folded", folded),
        ("window", window.state()),
        ("blocked", blocked.state()),
        ("requested", requested.state()),
    ]
}

/// Those of which none holds all that another one holds.
pub(crate) fn different() -> Vec<(&'static str, State)> {
    let contained = ["full", "folded"];
    all().into_iter().filter(|(name, _)| !contained.contains(name)).collect()
}

/// An anomaly that is only counted, which takes a thousand unread ones to reach by commands.
fn fold_one(mut state: State) -> State {
    let (payment, part, payment_hash) = (id(90), part(90), hash(90));
    let anomaly = Anomaly::ForeignPart { payment, part, payment_hash };
    let events = [Event::AnomalyNoted { anomaly, delivery: Delivery::Folded }];
    let entry = Entry::new(state.head(), state.epoch(), NOW, &events).expect("one event");
    let header = EntryHeader::read(entry.bytes()).expect("its own bytes");
    state.fold(&header, entry.after(), &events);
    state
}

fn id(byte: u8) -> PaymentId {
    PaymentId::from_bytes([byte; 32])
}

fn part(byte: u8) -> PartId {
    PartId::from_bytes([byte; 32])
}

fn preimage(byte: u8) -> Preimage {
    Preimage::from_bytes([byte; 32])
}

fn hash(byte: u8) -> PaymentHash {
    preimage(byte).payment_hash()
}

/// A request of 1,000 msat for the payment with this number.
fn request(byte: u8) -> Request {
    Request::invoice(hash(byte), Msat(1_000), MaxFee::Unlimited, RetryPolicy::Manual)
}

fn offer(byte: u8, deadline: Deadline) -> Request {
    let offer_hash = OfferHash::from_bytes([byte; 32]);
    let target = Target::Offer { offer_hash, deadline };
    Request::new(target, Msat(1_000), MaxFee::Unlimited, RetryPolicy::Manual)
}

/// A machine whose every entry is durable at once.
struct Script {
    machine: Machine,
    now: UnixMillis,
}

impl Script {
    fn open(state: State, remember: Remember) -> Self {
        let config = Config::new(remember);
        let (mut machine, opened) = Machine::open(state, config, "samples", false, NOW);
        machine.confirmed([opened]).expect("in order");
        Self { machine, now: NOW }
    }

    fn run<O: Operation<Reply: Debug>>(&mut self, operation: O) {
        let Step { entry, ticket } = self.machine.submit(operation, self.now);
        self.machine.confirmed(entry).expect("in order");
        self.machine.release(ticket).expect("durable").expect("sound");
    }

    fn state(&self) -> State {
        self.machine.durable_state().expect("nothing in flight").clone()
    }

    /// Accepts a request and dispatches a part of everything under the same number.
    fn out(&mut self, byte: u8) {
        self.run(Pay::new(id(byte), request(byte)));
        self.dispatch(byte, 1, &[NewPart::htlc(part(byte), Msat(1_000), Msat(10), 900_000)]);
    }

    fn dispatch(&mut self, byte: u8, attempt: u32, parts: &[NewPart]) {
        self.run(Dispatch { id: id(byte), attempt, parts: parts.to_vec() });
    }

    fn claim(&mut self, byte: u8) {
        self.run(ClaimPart::new(id(byte), part(byte), preimage(byte)));
    }

    fn finalize(&mut self, byte: u8) {
        self.run(FinalizePart { id: id(byte), part: part(byte) });
    }

    fn fail(&mut self, byte: u8, failure: Failure) {
        self.run(FailPart { id: id(byte), part: part(byte), failure });
    }

    fn unread_of(&self, byte: u8) -> Vec<NotificationId> {
        let state = self.state();
        let own = state.outbox().filter(|unread| *unread.kind.payment() == id(byte));
        own.map(|unread| unread.id).collect()
    }

    fn acknowledge(&mut self, byte: u8) {
        let ids = self.unread_of(byte);
        self.run(Acknowledge { ids });
    }

    fn tell_everything(&mut self) {
        self.remember();
        self.pend();
        self.end();
        self.try_again();
        self.hand_over();
        self.pay_elsewhere();
        self.adopt();
        self.run(ListParts { parts: vec![part(12), part(70)] });
        self.now = self.now.plus(7_200_000);
        self.run(Tick::new());
    }

    /// Tombstones: paid, and failed. Then payments that are idle.
    fn remember(&mut self) {
        for byte in [1, 2] {
            self.out(byte);
            self.claim(byte);
            self.finalize(byte);
            self.acknowledge(byte);
        }
        self.out(3);
        self.fail(3, Failure::permanent());
        self.acknowledge(3);
        for _ in 0..8 {
            self.run(Tick::new());
            self.now = self.now.plus(60_000);
        }
        self.out(4);
        self.claim(4);
        self.finalize(4);
        self.acknowledge(4);
    }

    /// Payments on their way.
    fn pend(&mut self) {
        let full = request(10)
            .payee(NodeId::from_bytes([2; 33]))
            .max_fee(MaxFee::AtMost(Msat(500)))
            .retry(RetryPolicy::Attempts(2))
            .expiry(NOW.plus(86_400_000))
            .instructions("lnbc1")
            .metadata("order 66");
        self.run(Pay::new(id(10), full));
        let first_channel = Some(ShortChannelId(7 << 40));
        let (amount, fee, cltv_expiry) = (Msat(500), Msat(10), 900_000);
        let first = NewPart::Htlc { id: part(10), amount, fee, cltv_expiry, first_channel };
        self.dispatch(10, 1, &[first, NewPart::htlc(part(11), amount, fee, 900_001)]);
        let lost = Failure {
            lost: Some(Msat(500)),
            code: Some(0x1007),
            ..Failure::on_channel(ShortChannelId(8 << 40))
        };
        self.fail(10, lost);
        self.run(Pay::new(id(12), request(12).retry(RetryPolicy::Until(60_000))));
        self.dispatch(12, 1, &[NewPart::delegated(part(12))]);
        let kinds = [ObservationKind::PathFailed, ObservationKind::Other(9)];
        for kind in kinds {
            self.run(ObservePart { id: id(12), part: part(12), kind, bytes: "path".into() });
        }
        self.out(13);
        self.run(WithdrawPart { id: id(13), part: part(13) });
        self.run(Pay::new(id(14), offer(14, Deadline::Ticks(5))));
        self.run(Pay::new(id(15), offer(15, Deadline::At(NOW.plus(86_400_000)))));
        self.run(Pay::new(id(16), offer(16, Deadline::Ticks(5))));
        let (payment_hash, expiry) = (hash(16), Some(NOW.plus(86_400_000)));
        self.run(ReceiveInvoice { id: id(16), payment_hash, amount: Msat(900), expiry });
        self.out(17);
        self.run(Abandon { id: id(17), reason: FailureReason::UserAbandoned });
    }

    /// Payments that are over and not yet read: paid, failed, corrected.
    fn end(&mut self) {
        self.run(Pay::new(id(20), request(20).instructions("lnbc2")));
        self.dispatch(20, 1, &[NewPart::htlc(part(20), Msat(1_000), Msat(10), 900_000)]);
        self.claim(20);
        self.out(21);
        self.claim(21);
        self.finalize(21);
        self.out(22);
        self.fail(22, Failure::permanent());
        self.out(23);
        self.fail(23, Failure::permanent());
        self.claim(23);
        self.out(24);
        self.run(Tick::at_height(1_000_000));
        let assertion = Assertion::new("me", "lost");
        self.fail(24, Failure { assertion: Some(assertion), ..Failure::default() });
        let settlement = Settlement { amount: Some(Msat(7)), fee: None };
        self.run(MarkPaid::new(id(25)).payment_hash(hash(25)).settlement(settlement));
        self.out(26);
        self.run(MarkPaid::new(id(26)).asserted(Assertion::new("me", "shipped")));
        self.run(Pay::new(id(27), request(27)));
        let half = |byte| NewPart::htlc(part(byte), Msat(500), Msat(10), 900_000);
        self.dispatch(27, 1, &[half(27), half(28)]);
        self.claim(27);
        self.run(FailPart { id: id(27), part: part(28), failure: Failure::default() });
    }

    /// What the log lacked: parts, payments, foreign parts, blocked hashes.
    fn adopt(&mut self) {
        let htlc = PartKind::Htlc { cltv_expiry: Some(800_000), first_channel: None };
        let mut adopt = |to: u8, byte: u8, under: u8, kind| {
            let (amount, fee, payment_hash) = (Some(Msat(1_000)), None, hash(under));
            let (id, part) = (id(to), part(byte));
            self.run(AdoptPart { id, part, payment_hash, amount, fee, kind });
        };
        adopt(30, 30, 30, htlc);
        adopt(31, 31, 13, PartKind::Delegated);
        adopt(2, 32, 2, htlc);
        adopt(20, 33, 33, htlc);
        adopt(34, 34, 34, htlc);
        adopt(22, 35, 22, htlc);
        self.fail(34, Failure::default());
        let foreign = ClaimPart::new(id(21), part(36), preimage(36));
        self.run(foreign);
        self.run(ClaimPart::new(id(21), part(37), preimage(37)));
        self.run(ClaimPart::new(id(21), part(38), preimage(37)));
        self.run(ClaimPart::new(id(40), part(40), preimage(40)));
        self.run(BlockHash::new(hash(41)));
    }

    /// Hashes that are blocked: for one engine, for two, for two and none.
    fn block(&mut self) {
        for (byte, engines) in [(1, &["lnd 1"][..]), (2, &["b", "a"]), (3, &["lnd 2", "", "l"])] {
            for engine in engines {
                self.run(BlockHash::new(hash(byte)).engine(*engine));
            }
        }
        self.run(UnblockHash::new(hash(3)).engine("l"));
    }

    /// Failed payments that are tried again, read or unread.
    fn try_again(&mut self) {
        for (byte, read) in [(50, true), (51, false)] {
            self.out(byte);
            self.fail(byte, Failure::permanent());
            let state = self.state();
            let view = state.payment_view(&id(byte)).expect("it is known");
            let failed = view.failed.expect("it failed");
            if read {
                self.acknowledge(byte);
            }
            self.run(Pay::new(id(byte), request(byte)).again_after(failed));
        }
    }

    /// Parts of an earlier try: listed again, under the present hash and under another one.
    fn hand_over(&mut self) {
        let label = Some(Label { engine: "lnd 1".into(), mark: Some(300) });
        self.run(Pay::new(id(70), request(70).retry(RetryPolicy::Until(60_000))));
        self.dispatch(70, 1, &[NewPart::Delegated { id: part(70), label: label.clone() }]);
        self.run(SayAgain { id: id(70), part: part(70) });
        self.run(Pay::new(id(71), request(71)));
        self.dispatch(71, 1, &[NewPart::Delegated { id: part(71), label }]);
        self.fail(71, Failure { mark: Some(301), sayings: 1, ..Failure::default() });
        let kind = PartKind::Delegated;
        let (amount, fee) = (Some(Msat(1_000)), None);
        let listed =
            AdoptPart { id: id(50), part: part(50), payment_hash: hash(50), amount, fee, kind };
        self.run(listed.clone());
        self.out(72);
        self.fail(72, Failure::permanent());
        let failed = self.state().payment_view(&id(72)).and_then(|view| view.failed);
        self.run(Pay::new(id(72), request(73)).again_after(failed.expect("it failed")));
        let (payment_hash, listed) = (hash(72), AdoptPart { id: id(72), ..listed });
        self.run(AdoptPart { part: part(72), payment_hash, ..listed });
    }

    /// Hashes that others hold, or nobody, and that are paid.
    fn pay_elsewhere(&mut self) {
        self.run(Pay::new(id(74), offer(74, Deadline::Ticks(5))));
        self.dispatch(74, 1, &[NewPart::delegated(part(74))]);
        self.run(Pay::new(id(75), request(75)));
        self.run(ClaimPart::new(id(74), part(74), preimage(75)).payment_hash(hash(75)));
        self.out(76);
        self.run(ClaimPart::new(id(76), part(76), preimage(77)).payment_hash(hash(77)));
        self.run(ClaimPart::new(id(76), part(76), preimage(78)));
    }

    /// Claims of parts that may be of an earlier obligation: one awaits a word, one has it.
    fn foreign_part(&mut self) {
        for byte in [80, 81] {
            self.run(Pay::new(id(byte), request(byte)));
            self.run(ClaimPart::new(id(byte), part(byte), preimage(byte + 10)));
        }
        self.run(DisownPart { part: part(81), assertion: Assertion::new("me", "theirs") });
        self.run(MarkPaid::new(id(82)).payment_hash(hash(82)));
        let ids = self.state().outbox().map(|unread| unread.id).collect();
        self.run(Acknowledge { ids });
        for _ in 0..3 {
            self.run(Tick::new());
            self.now = self.now.plus(60_000);
        }
    }

    /// A hand-over of an offer that made an invoice request.
    fn request_invoice(&mut self) {
        self.run(Pay::new(id(84), offer(84, Deadline::Ticks(5))));
        self.dispatch(84, 1, &[NewPart::delegated(part(84))]);
        let invoice_request = vec![0x1d; 300].into();
        self.run(RequestInvoice { id: id(84), part: part(84), invoice_request });
    }

    /// A part that the log lacks, and facts whose conclusions wait for the gap to be closed.
    fn leave_a_gap(&mut self) {
        let kind = PartKind::Htlc { cltv_expiry: None, first_channel: None };
        let (amount, fee) = (None, None);
        let (id, part_id) = (id(60), part(60));
        self.run(AdoptPart { id, part: part_id, payment_hash: hash(60), amount, fee, kind });
        self.fail(60, Failure::default());
        self.fail(17, Failure::default());
        self.run(Abandon { id: self::id(14), reason: FailureReason::UserAbandoned });
    }
}
