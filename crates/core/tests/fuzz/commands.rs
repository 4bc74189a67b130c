//! Commands out of any bytes: nine to a step, from a handful of ids, parts and hashes, so that steps meet.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "included by several crates, none of which uses all of it"
)]

use payonce_core::*;

/// How long a step is, in bytes.
pub const STEP: usize = 9;

const LEDGER: LedgerId = LedgerId::from_bytes([0xf0; 32]);

/// The settings that a byte chooses.
pub fn config(bits: u8) -> Config {
    let remember = if bits & 1 == 0 { Remember::Window } else { Remember::Forever };
    Config::new(remember)
        .same_hash(if bits & 2 == 0 { SameHash::Refuse } else { SameHash::Allow })
        .notify_parts(bits & 4 == 0)
        .min_tick_interval_ms(u64::from(bits >> 4) * 10_000)
}

/// What a step does.
#[allow(clippy::large_enum_variant, reason = "a handful of steps")]
pub enum Step {
    /// A command, at this time.
    Command(Command, UnixMillis),
    /// The process dies; the log is opened again, with or without a head that it lacks.
    Reopen {
        /// Whether it lacks it.
        restored: bool,
    },
}

fn id(byte: u8) -> PaymentId {
    PaymentId::from_bytes([byte % 5; 32])
}

fn part(byte: u8) -> PartId {
    PartId::from_bytes([byte % 11; 32])
}

fn preimage(byte: u8) -> Preimage {
    Preimage::from_bytes([byte % 4; 32])
}

/// None, one that has a name, or one whose name is too long.
fn engine(bits: u8) -> Vec<u8> {
    vec![b'a'; [0, 1, 2, 65][usize::from(bits >> 4 & 3)]]
}

fn msat(byte: u8) -> Msat {
    Msat(if byte == u8::MAX { u64::MAX } else { u64::from(byte) * 10 })
}

fn some<T>(bit: bool, value: T) -> Option<T> {
    bit.then_some(value)
}

fn request(a: u8, b: u8, bits: u8) -> Request {
    let target = match bits & 3 {
        0 | 1 => Target::Invoice { payment_hash: preimage(a).payment_hash() },
        2 => Target::Spontaneous { preimage: preimage(a) },
        _ => Target::Offer {
            offer_hash: OfferHash::from_bytes([a % 4; 32]),
            deadline: Deadline::Ticks(u32::from(b % 4)),
        },
    };
    let retry = match bits >> 2 & 3 {
        0 => RetryPolicy::Manual,
        1 => RetryPolicy::Attempts(u32::from(b % 3)),
        _ => RetryPolicy::Until(u64::from(b) * 1_000),
    };
    let max_fee = if bits & 16 == 0 { MaxFee::Unlimited } else { MaxFee::AtMost(msat(b)) };
    let backoff = if bits & 32 == 0 { Backoff::NONE } else { Backoff::default() };
    Request::new(target, Msat(100), max_fee, retry).backoff(backoff)
}

fn new_part(name: u8, amount: u8, delegated: bool) -> NewPart {
    if delegated {
        let label =
            some(amount & 1 == 1, Label { mark: some(amount & 2 == 2, 1), ..Label::default() });
        NewPart::Delegated { id: part(name), label }
    } else {
        NewPart::htlc(part(name), msat(amount), Msat(1), 800_000)
    }
}

/// The step that these bytes are.
#[allow(clippy::many_single_char_names, reason = "the bytes have no names of their own")]
pub fn step(state: &State, bytes: &[u8; STEP]) -> Step {
    let [kind, a, b, c, d, e, f, bits, clock] = *bytes;
    let now = match clock {
        0 => UnixMillis(0),
        u8::MAX => UnixMillis(u64::MAX),
        clock => UnixMillis(1_000_000 + u64::from(clock) * 20_000),
    };
    let (payment, of) = (id(a), part(b));
    let payment_hash = preimage(c).payment_hash();
    let settlement =
        Settlement { amount: some(bits & 1 == 1, msat(d)), fee: some(bits & 2 == 2, msat(e)) };
    let assertion =
        || Assertion { although_listed: bits & 8 == 8, ..Assertion::new("ops", "said so") };
    let attempt = state.remaining(&payment).map_or(1, |missing| missing.attempt);
    let parts = [new_part(b, d, bits & 1 == 1), new_part(c, e, false)];
    let parts = parts[..=usize::from(bits & 2 == 2)].to_vec();
    let command: Command = match kind % 22 {
        0 => Pay::new(payment, request(b, c, bits)).into(),
        1 => {
            let failed = state.payment_view(&payment).and_then(|view| view.failed);
            let again = Pay::new(payment, request(b, c, bits));
            failed.map_or(again.clone(), |failed| again.again_after(failed)).into()
        }
        2 => ReceiveInvoice { id: payment, payment_hash, amount: msat(d), expiry: None }.into(),
        3 | 4 => Dispatch { id: payment, attempt, parts }.into(),
        5 => SayAgain { id: payment, part: of }.into(),
        6 => WithdrawPart { id: payment, part: of }.into(),
        7 | 8 => {
            let brought = some(bits & 4 == 4, payment_hash);
            let settlement = some(bits & 3 > 0, settlement);
            let claim = ClaimPart::new(payment, of, preimage(f));
            ClaimPart { payment_hash: brought, settlement, ..claim }.into()
        }
        9 => FinalizePart { id: payment, part: of }.into(),
        10 | 11 => {
            let failure = Failure {
                permanent: bits & 1 == 1,
                mark: some(bits & 2 == 2, u64::from(d)),
                sayings: u32::from(e % 3),
                assertion: some(bits & 4 == 4, assertion()),
                ..Failure::default()
            };
            FailPart { id: payment, part: of, failure }.into()
        }
        12 if bits & 1 == 1 => {
            let invoice_request = bytes[..usize::from(d % 9)].into();
            RequestInvoice { id: payment, part: of, invoice_request }.into()
        }
        12 => {
            let bytes = bytes[..usize::from(d % 9)].into();
            ObservePart { id: payment, part: of, kind: ObservationKind::Other(e), bytes }.into()
        }
        13 | 14 => {
            let htlc =
                PartKind::Htlc { cltv_expiry: some(bits & 4 == 4, 800_000), first_channel: None };
            let kind = if bits & 8 == 8 { PartKind::Delegated } else { htlc };
            let Settlement { amount, fee } = settlement;
            AdoptPart { id: payment, part: of, payment_hash, amount, fee, kind }.into()
        }
        15 => MarkPaid {
            part: some(bits & 4 == 4, of),
            payment_hash: some(bits & 16 == 16, payment_hash),
            assertion: some(bits & 32 == 32, assertion()),
            ..MarkPaid::new(payment).settlement(settlement)
        }
        .into(),
        16 => match bits % 4 {
            0 => BlockHash::new(payment_hash).engine(engine(bits)).into(),
            1 => UnblockHash::new(payment_hash).engine(engine(bits)).into(),
            2 => DisownPart { part: of, assertion: assertion() }.into(),
            _ => ListParts { parts: vec![of, part(c)] }.into(),
        },
        17 => Abandon { id: payment, reason: FailureReason::UserAbandoned }.into(),
        18 => {
            let unread = state.outbox().map(|unread| unread.id);
            Acknowledge { ids: unread.take(usize::from(d % 9)).collect() }.into()
        }
        19 => Tick { height: some(bits & 1 == 1, 799_990 + u32::from(d)) }.into(),
        20 => match bits % 2 {
            0 => FinishRecovery.into(),
            _ => CloseGap.into(),
        },
        _ => return Step::Reopen { restored: bits & 1 == 1 },
    };
    Step::Command(command, now)
}

/// A history that can be asked at any time, and whose log is kept.
pub struct Machinery {
    config: Config,
    machine: Machine,
    log: Vec<Entry>,
}

impl Machinery {
    /// An empty ledger, open.
    pub fn new(bits: u8) -> Self {
        let config = config(bits);
        let state = State::new(LEDGER, 1);
        let (machine, opened) = Machine::open(state, config, "fuzz", false, UnixMillis(1_000_000));
        let mut own = Self { config, machine, log: Vec::new() };
        own.confirm(Some(opened));
        own.take(Step::Command(FinishRecovery.into(), UnixMillis(1_000_000)));
        own
    }

    /// Its state.
    pub fn state(&self) -> &State {
        self.machine.durable_state().expect("nothing is in flight")
    }

    fn confirm(&mut self, entry: Option<Entry>) {
        let Some(entry) = entry else { return };
        let before = self.state_head();
        let kept =
            Entry::from_stored(before, entry.bytes().to_vec()).expect("what was made is read");
        self.log.push(kept);
        self.machine.confirmed([entry]).expect("in order");
    }

    fn state_head(&self) -> Head {
        self.machine.durable()
    }

    /// Takes a step.
    pub fn take(&mut self, step: Step) {
        match step {
            Step::Command(command, now) => {
                let step = self.machine.submit(command, now);
                self.confirm(step.entry);
                drop(self.machine.release(step.ticket));
            }
            Step::Reopen { restored } => self.reopen(restored),
        }
    }

    /// Replays the log: it gives the same state, which opens.
    pub fn reopen(&mut self, restored: bool) {
        let mut replay = Replay::new(LEDGER, 7);
        for entry in &self.log {
            let stored = StoredEntry { first_seq: entry.first_seq(), bytes: entry.bytes() };
            replay.entry(stored).expect("the log is sound");
        }
        let state = replay.finish(self.state_head()).expect("it leads to the head");
        assert_eq!(state.digest(), self.state().digest(), "replay and live differ");
        let again = State::decode(&state.encode(), 9).expect("a snapshot of it decodes");
        assert_eq!(again.digest(), state.digest(), "a snapshot differs");
        let now = UnixMillis(1_000_000);
        let (machine, opened) = Machine::open(again, self.config, "fuzz", restored, now);
        self.machine = machine;
        self.confirm(Some(opened));
    }
}
