//! States with everything that a state can hold. As the samples, they never change.

use std::fmt::Debug;

use payonce_core::{
    Abandon, Acknowledge, AdoptPart, Anomaly, Assertion, ClaimPart, CloseGap, Config, Deadline,
    Delivery, Dispatch, Entry, EntryHeader, Event, FailPart, Failure, FailureReason, FinalizePart,
    FinishRecovery, HoldHash, Machine, MarkPaid, Msat, NewPart, NodeId, NotificationId,
    ObservationKind, ObservePart, OfferHash, Operation, PartId, PartKind, PaymentHash, PaymentId,
    Preimage, ReceiveInvoice, Remember, Request, RetryPolicy, Send, Settlement, ShortChannelId,
    State, Step, Target, Tick, UnixMillis, WithdrawPart,
};

use crate::{LEDGER, NOW};

/// The states and their names.
pub(crate) fn all() -> Vec<(&'static str, State)> {
    let empty = State::new(LEDGER, 0);
    let recovering = Script::open(empty.clone()).state();
    let mut full = Script::open(empty.clone());
    full.run(FinishRecovery);
    full.tell_everything();
    full.run(CloseGap);
    let full = full.state();
    let mut restored = Script::open(full.clone());
    restored.run(FinishRecovery);
    restored.leave_a_gap();
    let folded = fold_one(full.clone());
    vec![
        ("empty", empty),
        ("recovering", recovering),
        ("full", full),
        ("restored", restored.state()),
        ("folded", folded),
    ]
}

/// An anomaly that is only counted, which takes a thousand unread ones to reach by commands.
fn fold_one(mut state: State) -> State {
    let (payment, part, payment_hash) = (id(90), part(90), hash(90));
    let anomaly = Anomaly::Stray { payment, part, payment_hash };
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
    Request::invoice(hash(byte), Msat(1_000))
}

fn offer(byte: u8, deadline: Deadline) -> Request {
    let offer_hash = OfferHash::from_bytes([byte; 32]);
    Request::new(Target::Offer { offer_hash, deadline }, Msat(1_000))
}

/// A machine whose every entry is durable at once.
struct Script {
    machine: Machine,
    now: UnixMillis,
}

impl Script {
    fn open(state: State) -> Self {
        let config = Config::new(Remember::Forever);
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
        self.run(Send::new(id(byte), request(byte)));
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
        let own = state.outbox().filter(|unread| *unread.notice.payment() == id(byte));
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
        self.adopt();
    }

    /// Tombstones: paid, and failed. Then payments that are quiet.
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
            self.run(Tick);
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
            .max_fee(Msat(500))
            .retry(RetryPolicy::Attempts(2))
            .expiry(NOW.plus(86_400_000))
            .instructions("lnbc1")
            .metadata("order 66");
        self.run(Send::new(id(10), full));
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
        self.run(Send::new(id(12), request(12).retry(RetryPolicy::Until(60_000))));
        self.dispatch(12, 1, &[NewPart::delegated(part(12))]);
        let kinds = [ObservationKind::PathFailed, ObservationKind::Other(9)];
        for kind in kinds {
            self.run(ObservePart { id: id(12), part: part(12), kind, bytes: "path".into() });
        }
        self.out(13);
        self.run(WithdrawPart { id: id(13), part: part(13) });
        self.run(Send::new(id(14), offer(14, Deadline::Ticks(5))));
        self.run(Send::new(id(15), offer(15, Deadline::At(NOW.plus(86_400_000)))));
        self.run(Send::new(id(16), offer(16, Deadline::Ticks(5))));
        let (payment_hash, expiry) = (hash(16), Some(NOW.plus(86_400_000)));
        self.run(ReceiveInvoice { id: id(16), payment_hash, amount: Msat(900), expiry });
        self.out(17);
        self.run(Abandon { id: id(17), reason: FailureReason::UserAbandoned });
    }

    /// Payments that are over and not yet read: paid, failed, corrected.
    fn end(&mut self) {
        self.run(Send::new(id(20), request(20).instructions("lnbc2")));
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
        let assertion = Assertion { by: "me".into(), why: "lost".into(), height: 1_000_000 };
        self.fail(24, Failure { assertion: Some(assertion), ..Failure::default() });
        let settlement = Settlement { amount: Some(Msat(7)), fee: None };
        let (part, payment_hash) = (None, Some(hash(25)));
        self.run(MarkPaid { id: id(25), part, payment_hash, settlement });
    }

    /// What the log lacked: parts, payments, strays, held hashes.
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
        self.run(HoldHash { payment_hash: hash(41) });
    }

    /// Failed payments that are tried again, read or unread.
    fn try_again(&mut self) {
        for (byte, read) in [(50, true), (51, false)] {
            self.out(byte);
            self.fail(byte, Failure::permanent());
            let state = self.state();
            let standing = state.standing(&id(byte)).expect("it is known");
            let failed = standing.failed.expect("it failed");
            if read {
                self.acknowledge(byte);
            }
            self.run(Send::new(id(byte), request(byte)).again_after(failed));
        }
    }

    /// A part that the log lacks, and facts whose verdicts wait for the gap to be closed.
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
