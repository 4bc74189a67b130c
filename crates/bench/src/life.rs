//! What a node does: the commands of payments, and the records that payonce makes of them.

use std::sync::Arc;

use payonce_core::{
    ClaimPart, Command, Config, Dispatch, FinalizePart, FinishRecovery, LedgerId, Machine, MaxFee,
    Msat, NewPart, NodeId, PartId, Pay, PaymentId, Preimage, Remember, Request, RetryPolicy, State,
    UnixMillis,
};

/// The moment at which every ledger of the benchmark begins.
pub(crate) const BEGIN: UnixMillis = UnixMillis(1_790_000_000_000);

/// How many commands a payment of one attempt takes, its acknowledgements aside.
pub(crate) const STEPS: u64 = 4;

/// The ledger id of every ledger of the benchmark.
pub(crate) const LEDGER: LedgerId = LedgerId::from_bytes([7; 32]);

/// One payment of one attempt, by its number: what is known before anything is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) id: PaymentId,
    /// The only part of its only attempt.
    pub(crate) part: PartId,
    /// The payee's secret, with which the part is claimed.
    pub(crate) preimage: Preimage,
    number: u64,
}

impl Planned {
    /// The payment with this number; another number, other ids.
    pub(crate) fn new(number: u64) -> Self {
        Self {
            id: PaymentId::from_bytes(spread(number, 1)),
            part: PartId::from_bytes(spread(number, 2)),
            preimage: Preimage::from_bytes(spread(number, 3)),
            number,
        }
    }

    /// The request of an ordinary invoice: payee, fee limit, expiry, a few attempts. Neither
    /// metadata nor instructions.
    pub(crate) fn send(&self, now: UnixMillis) -> Pay {
        let mut payee = [2; 33];
        payee[1..].copy_from_slice(&spread(self.number % 1_000, 4));
        let amount = Msat(1_000 + spread_word(self.number) % 1_000_000_000);
        let max_fee = MaxFee::AtMost(Msat(amount.0 / 100 + 5_000));
        let hash = self.preimage.payment_hash();
        let request = Request::invoice(hash, amount, max_fee, RetryPolicy::Attempts(5))
            .payee(NodeId::from_bytes(payee))
            .expiry(now.plus(3_600_000));
        Pay::new(self.id, request)
    }

    /// Its only batch: one part that carries everything.
    pub(crate) fn dispatch(&self) -> Dispatch {
        let amount = Msat(1_000 + spread_word(self.number) % 1_000_000_000);
        let fee = Msat(amount.0 / 1_000 + 1_000);
        let part = NewPart::htlc(self.part, amount, fee, 900_000);
        Dispatch { id: self.id, attempt: 1, parts: vec![part] }
    }

    /// The payee took it.
    pub(crate) fn claim(&self) -> ClaimPart {
        ClaimPart::new(self.id, self.part, self.preimage)
    }

    /// It is off the channel.
    pub(crate) fn finalize(&self) -> FinalizePart {
        FinalizePart { id: self.id, part: self.part }
    }
}

/// One durable step: the command for payonce, the same step's record for the others.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// What payonce is told.
    pub(crate) command: Command,
    /// The entry that payonce makes of such a command: what the others make durable.
    pub(crate) bytes: Arc<[u8]>,
}

/// The steps of one payer: Pay, Dispatch, Claim, Finalize, then the next payment. Payers with
/// different numbers share no payment.
///
/// Each step is made right before it is taken, as a node does: made ahead they would lie cold in
/// memory, and fetching them would be measured.
#[derive(Debug)]
pub(crate) struct Payer {
    entries: Arc<Entries>,
    next_step: u64,
    lane: u64,
    planned: Planned,
}

impl Payer {
    /// The payer with this number, below 2^18, who begins at its first payment.
    pub(crate) fn new(entries: &Arc<Entries>, payer: u64) -> Self {
        let planned = Planned::new(payer << 40);
        Self { entries: Arc::clone(entries), next_step: 0, lane: payer, planned }
    }

    /// The next command of this payer's payments, one payment after the other.
    pub(crate) fn next(&mut self) -> Record {
        let step = self.next_step;
        self.next_step += 1;
        if step.is_multiple_of(STEPS) {
            self.planned = Planned::new((self.lane << 40) | (step / STEPS));
        }
        // The payers do not write the same bytes at the same time.
        let nth = (self.lane + step) % self.entries.0.len() as u64;
        let nth = usize::try_from(nth).expect("below a length");
        Record { command: command(&self.planned, step), bytes: Arc::clone(&self.entries.0[nth]) }
    }

    pub(crate) fn next_batch(&mut self, count: usize) -> Vec<Record> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn command(planned: &Planned, step: u64) -> Command {
    match step % STEPS {
        0 => planned.send(BEGIN).into(),
        1 => planned.dispatch().into(),
        2 => planned.claim().into(),
        _ => planned.finalize().into(),
    }
}

/// Entries as payonce makes them of the steps of some thousand payments.
#[derive(Debug)]
pub(crate) struct Entries(Vec<Arc<[u8]>>);

impl Entries {
    /// Makes them, in memory.
    pub(crate) fn new() -> Arc<Self> {
        let mut machine = machine();
        let steps = (0..4_096 * STEPS).map(|step| {
            let planned = Planned::new((0x3_ffff << 40) | (step / STEPS));
            let step = machine.submit(command(&planned, step), BEGIN);
            let entry = step.entry.expect("every step of a payment is recorded");
            let bytes = entry.bytes().into();
            machine.confirmed([entry]).expect("in order");
            bytes
        });
        Arc::new(Self(steps.collect()))
    }

    /// Their size on average, in bytes.
    pub(crate) fn mean_bytes(&self) -> f64 {
        let total: usize = self.0.iter().map(|entry| entry.len()).sum();
        total as f64 / self.0.len() as f64
    }

    /// The entries, over and over.
    pub(crate) fn cycle(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().cycle().map(|entry| &**entry)
    }
}

/// An open machine without a store: every entry must be confirmed by hand.
pub(crate) fn machine() -> Machine {
    let state = State::new(LEDGER, 42);
    let (mut machine, opened) =
        Machine::open(state, Config::new(Remember::Window), "payonce-bench", false, BEGIN);
    machine.confirmed([opened]).expect("in order");
    let recovered = machine.submit(FinishRecovery, BEGIN).entry;
    machine.confirmed(recovered).expect("in order");
    machine
}

/// 32 bytes that look random and that no other number and kind has.
fn spread(number: u64, kind: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (nth, word) in (0..).zip(bytes.chunks_exact_mut(8)) {
        let seed = number.wrapping_mul(64).wrapping_add(kind * 8 + nth);
        word.copy_from_slice(&spread_word(seed).to_le_bytes());
    }
    bytes
}

/// The output function of SplitMix64: a bijection.
fn spread_word(number: u64) -> u64 {
    let word = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payers_share_nothing_and_every_step_is_recorded() {
        let entries = Entries::new();
        let mut machine = machine();
        for payer in 0..3 {
            let mut payer = Payer::new(&entries, payer);
            for record in payer.next_batch(8) {
                let step = machine.submit(record.command, BEGIN);
                machine.confirmed([step.entry.expect("recorded")]).expect("in order");
                assert!((40..400).contains(&record.bytes.len()), "{}", record.bytes.len());
            }
        }
        let state = machine.durable_state().expect("durable");
        assert_eq!(state.counts().fulfilled, 6);
    }
}
