//! What a command and an idle tick cost at 1,000, 100,000 and 1,000,000 pending payments, in memory:
//! `cargo bench -p payonce-core --bench flat`.
//!
//! The machines take turns, round by round, so that noise hits all alike; a figure is the median of
//! the rounds. The ratio is to the smallest machine. What grows is the processor's cache misses,
//! nothing that is counted in payments: a durable step waits a hundred times as long for its disk.

#![allow(clippy::print_stdout, reason = "a benchmark's table")]

use std::time::{Duration, Instant};

use payonce_core::{
    Acknowledge, ClaimPart, Config, Dispatch, FinalizePart, FinishRecovery, LedgerId, Machine,
    MaxFee, Msat, NewPart, Operation, PartId, Pay, PaymentHash, PaymentId, Preimage, Remember,
    Request, RetryPolicy, State, Tick, UnixMillis,
};

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
const ROUNDS: usize = 25;
const PAYMENTS_A_ROUND: u64 = 400;
const TICKS_A_ROUND: u32 = 20_000;
const COMMANDS_A_PAYMENT: u32 = 6;
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn main() {
    let mut subjects: Vec<Subject> = SIZES.into_iter().map(Subject::filled).collect();
    for _ in 0..ROUNDS {
        subjects.iter_mut().for_each(Subject::round);
    }
    println!(
        "{:>12}  {:>14}  {:>6}  {:>14}  {:>6}",
        "pending", "command", "ratio", "idle tick", "ratio"
    );
    let base = (median(&subjects[0].commands), median(&subjects[0].ticks));
    for subject in &subjects {
        let (command, tick) = (median(&subject.commands), median(&subject.ticks));
        println!(
            "{:>12}  {command:>14?}  {:>6.2}  {tick:>14?}  {:>6.2}",
            subject.pending,
            ratio(command, base.0),
            ratio(tick, base.1),
        );
    }
}

/// A machine with so many pending payments that stay as they are.
struct Subject {
    pending: u64,
    machine: Machine,
    next: u64,
    commands: Vec<Duration>,
    ticks: Vec<Duration>,
}

impl Subject {
    fn filled(pending: u64) -> Self {
        let state = State::new(LedgerId::from_bytes([1; 32]), 42);
        let config = Config::new(Remember::Window);
        let (mut machine, opened) = Machine::open(state, config, "flat", false, NOW);
        machine.confirmed([opened]).expect("in order");
        let mut subject = Self { pending, machine, next: 0, commands: vec![], ticks: vec![] };
        subject.run(FinishRecovery, NOW);
        for _ in 0..pending {
            subject.dispatched(1);
        }
        subject
    }

    fn run<O: Operation>(&mut self, operation: O, now: UnixMillis) -> O::Reply {
        let step = self.machine.submit(operation, now);
        self.machine.confirmed(step.entry).expect("in order");
        let Ok(Ok(reply)) = self.machine.release(step.ticket) else { panic!("refused") };
        reply
    }

    /// Sends and dispatches the next payment, to expire after some of the others and before some.
    fn dispatched(&mut self, kind: u8) -> (PaymentId, PartId, Preimage) {
        self.next += 1;
        let (id, preimage) = (name(self.next, kind), Preimage::from_bytes(name(self.next, kind)));
        let hash = if kind == 1 { PaymentHash::from_bytes(id) } else { preimage.payment_hash() };
        let (id, part) = (PaymentId::from_bytes(id), PartId::from_bytes(name(self.next, kind + 1)));
        let expiry = NOW.plus(60_000 + self.next.wrapping_mul(0x9e37_79b9) % 3_600_000);
        let max_fee = MaxFee::AtMost(Msat(10));
        let request = Request::invoice(hash, Msat(1_000), max_fee, RetryPolicy::Attempts(0));
        self.run(Pay::new(id, request.expiry(expiry)), NOW);
        let parts = vec![NewPart::htlc(part, Msat(1_000), Msat(1), 900_000)];
        self.run(Dispatch { id, attempt: 1, parts }, NOW);
        (id, part, preimage)
    }

    fn round(&mut self) {
        let begun = Instant::now();
        for _ in 0..PAYMENTS_A_ROUND {
            let (id, part, preimage) = self.dispatched(3);
            self.run(ClaimPart::new(id, part, preimage), NOW);
            self.run(FinalizePart { id, part }, NOW);
            let unread = self.machine.durable_state().expect("durable").outbox();
            let unread: Vec<_> = unread.map(|notification| notification.id).collect();
            for id in unread {
                self.run(Acknowledge { ids: vec![id] }, NOW);
            }
        }
        let commands = u32::try_from(PAYMENTS_A_ROUND).expect("small") * COMMANDS_A_PAYMENT;
        self.commands.push(begun.elapsed() / commands);
        // Forget them: the next round begins as this one did.
        (1..=9_u64).for_each(|tick| while self.run(Tick::new(), NOW.plus(tick * 30_000)).more {});
        let idle = NOW.plus(9 * 30_000);
        let begun = Instant::now();
        for _ in 0..TICKS_A_ROUND {
            self.run(Tick::new(), idle);
        }
        self.ticks.push(begun.elapsed() / TICKS_A_ROUND);
    }
}

/// 32 bytes that no other number and kind has, spread over the hash tables.
fn name(number: u64, kind: u8) -> [u8; 32] {
    let mut bytes = [kind; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn median(figures: &[Duration]) -> Duration {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn ratio(figure: Duration, base: Duration) -> f64 {
    figure.as_secs_f64() / base.as_secs_f64()
}
