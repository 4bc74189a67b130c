//! What two states must have in common to be searched as one.
//!
//! The key of a state keeps everything that a decision over the alphabet can depend on, and drops
//! the rest: seqs and chain hashes (kept as ranks where an order decides), the epoch, what
//! notifications say beyond their kind, amounts already told, tick numbers (kept as differences).
//! It is the least over all exchanges of symmetric names: A with B and their hashes, and, where the
//! alphabet treats them alike, the two parts of a payment.
//!
//! Why equal keys have equal futures (a bisimulation, up to the exchange of names): decide reads
//! seqs only to name notifications, which the alphabet names by their rank; it reads tick numbers
//! only as differences, times only in comparison with limits that all lie between the two moments
//! of the alphabet, and the order of payments and strays only where they share a hash, which the
//! ranks keep. The search does not only believe this: it expands a sample of the states that were
//! merged and demands the same set of next keys.

#![allow(unreachable_pub, reason = "a module of a test crate")]

use std::collections::BTreeMap;

use payonce_core::*;

use crate::alphabet::{self, K, LATE, P, owner, part_label, payment_label, preimage};

/// What the public queries do not tell and the events do.
#[derive(Debug, Clone, Default)]
pub struct Hidden {
    recovering: bool,
    gap: bool,
    accepted_tick: [u64; 3],
    former: [Vec<(P, K)>; 3],
    told_as: BTreeMap<(P, K), P>,
    verdict_due: [u8; 3],
    remembered_hash: [Option<PaymentHash>; 3],
    other_request: [bool; 3],
    late_reference: Option<bool>,
}

impl Hidden {
    fn withholds(&self) -> bool {
        self.recovering || self.gap
    }

    fn verdict_due(&mut self, before: &State, id: &PaymentId, how: u8) {
        let paid = before.payment(id).is_some_and(|at| at.status() == Status::Fulfilled);
        if self.withholds() && !paid {
            let due = &mut self.verdict_due[usize::from(payment_label(id))];
            *due = how.max(*due);
        }
    }

    fn no_longer_withheld(&mut self) {
        if !self.withholds() {
            self.verdict_due = [0; 3];
        }
    }

    fn parts_of(before: &State, id: &PaymentId) -> Vec<(P, K)> {
        let parts = before.payment(id).map_or(&[][..], Payment::parts);
        parts.iter().map(|part| part_label(&part.id)).collect()
    }

    /// Follows one event of an entry that was decided on `before`.
    pub fn follow(&mut self, before: &State, event: &Event) {
        match event {
            Event::Opened { restored, .. } => {
                self.recovering = true;
                self.gap |= restored;
            }
            Event::Recovered => {
                self.recovering = false;
                self.no_longer_withheld();
            }
            Event::GapFound => self.gap = true,
            Event::GapClosed => {
                self.gap = false;
                self.no_longer_withheld();
            }
            Event::Ticked { reference, .. } => self.late_reference = Some(*reference == LATE),
            Event::PaymentAccepted { id, request, .. } => {
                let p = usize::from(payment_label(id));
                self.accepted_tick[p] = before.tick();
                self.other_request[p] = !request.metadata.is_empty();
                self.former[p].extend(Self::parts_of(before, id));
                self.verdict_due[p] = 0;
            }
            Event::PaymentForgotten { id, remembered } => {
                let p = usize::from(payment_label(id));
                let payment = before.payment(id);
                self.remembered_hash[p] = payment.and_then(Payment::payment_hash);
                self.former[p].extend(Self::parts_of(before, id));
                self.verdict_due[p] = 0;
                if !remembered {
                    self.former[p].clear();
                    self.other_request[p] = false;
                }
            }
            Event::PartAdopted { part, home: Home::HashHolder { told_as }, .. } => {
                let label = part_label(&part.part);
                self.told_as.entry(label).or_insert_with(|| payment_label(told_as));
            }
            Event::PartFailed { id, .. } => self.verdict_due(before, id, 2),
            Event::PartWithdrawn { id, .. } | Event::PaymentAbandoned { id, .. } => {
                self.verdict_due(before, id, 1);
            }
            Event::PaymentSent { id, .. } | Event::PaymentFailed { id, .. } => {
                self.verdict_due[usize::from(payment_label(id))] = 0;
            }
            Event::Acknowledged { seq } => {
                let read = before.outbox().find(|told| told.id.seq == *seq);
                let id = read.and_then(|told| owner(&told.notice)).map(alphabet::payment);
                let failed = |id: &PaymentId| {
                    let status = before.payment(id).map(|at| at.status().kind());
                    status == Some(StatusKind::Failed)
                };
                if let Some(id) = id.filter(failed) {
                    self.verdict_due(before, &id, 1);
                }
            }
            _ => {}
        }
    }
}

/// An exchange of names.
#[derive(Clone, Copy)]
struct Renaming {
    payments: u8,
    parts: [u8; 2],
}

impl Renaming {
    fn all(parts_alike: bool) -> impl Iterator<Item = Self> {
        let flips = if parts_alike { 4 } else { 1 };
        (0..2 * flips).map(|at: u8| Self { payments: at & 1, parts: [(at >> 1) & 1, at >> 2] })
    }

    fn payment(self, p: P) -> P {
        if p < 2 { p ^ self.payments } else { p }
    }

    fn part(self, (p, k): (P, K)) -> u8 {
        let k = if p < 2 && k < 2 { k ^ self.parts[usize::from(p)] } else { k };
        self.payment(p) * 4 + k
    }

    /// 0 for none; hashes are named as their payments are.
    fn hash(self, hash: Option<PaymentHash>) -> u8 {
        let Some(hash) = hash else { return 0 };
        let label = (0..3).find(|h| hashes(*h) == hash).expect("a hash of the alphabet");
        1 + self.payment(label)
    }
}

fn hashes(h: u8) -> PaymentHash {
    static ALL: std::sync::LazyLock<[PaymentHash; 3]> =
        std::sync::LazyLock::new(|| [0, 1, 2].map(|h| preimage(h).payment_hash()));
    ALL[usize::from(h)]
}

/// The key of a state: equal for states with equal futures over the alphabet.
pub fn key(state: &State, hidden: &Hidden, late: bool, parts_alike: bool) -> Vec<u8> {
    let keys = Renaming::all(parts_alike).map(|names| render(state, hidden, late, names));
    keys.min().expect("there is at least one renaming")
}

fn render(state: &State, hidden: &Hidden, late: bool, names: Renaming) -> Vec<u8> {
    let mut key = Vec::with_capacity(256);
    key.extend([u8::from(state.is_recovering()), u8::from(state.is_restored()), u8::from(late)]);
    key.push(hidden.late_reference.map_or(0, |late| 1 + u8::from(late)));
    for label in 0..3 {
        render_payment(&mut key, state, hidden, names, names.payment(label));
    }
    let mut live: Vec<_> = (0..3).filter_map(|p| state.payment(&alphabet::payment(p))).collect();
    live.sort_by_key(|payment| payment.created_seq());
    key.extend(live.iter().map(|payment| names.payment(payment_label(payment.id()))));
    for stray in state.strays() {
        key.push(0xf0);
        key.push(names.payment(payment_label(&stray.payment)));
        key.push(names.hash(Some(stray.payment_hash)));
        key.push(u8::from(stray.preimage.is_some()));
        render_part(&mut key, &stray.part, names);
    }
    let mut held: Vec<u8> = state.held().map(|hash| names.hash(Some(*hash))).collect();
    held.sort_unstable();
    key.push(0xf1);
    key.extend(held);
    render_outbox(&mut key, state, names, None);
    key
}

/// `p` is a payment's label before renaming; renaming is its own inverse on payments.
fn render_payment(key: &mut Vec<u8>, state: &State, hidden: &Hidden, names: Renaming, p: P) {
    let at = usize::from(p);
    let id = alphabet::payment(p);
    key.push(0xf2);
    let Some(standing) = state.standing(&id) else { return };
    key.push(standing.status.kind() as u8);
    if let Status::Abandoned { reason } | Status::Failed { reason } = standing.status {
        key.push(reason as u8);
    }
    key.extend([u8::from(standing.adopted), u8::from(standing.remembered)]);
    key.push(u8::from(hidden.other_request[at]));
    let mut former: Vec<u8> = hidden.former[at].iter().map(|part| names.part(*part)).collect();
    former.sort_unstable();
    former.dedup();
    key.extend(former);
    key.push(0xf3);
    if let Some(paid) = standing.paid {
        key.push(u8::from(paid.preimage.is_some()));
        key.extend([render_amount(paid.amount), render_amount(paid.fee)]);
    }
    let Some(payment) = state.payment(&id) else {
        key.push(names.hash(hidden.remembered_hash[at]));
        return;
    };
    key.push(names.hash(payment.payment_hash()));
    key.push(u8::from(payment.request().is_some()));
    key.push(u8::from(payment.invoice().is_some()));
    key.push(u8::from(payment.created_at() == LATE));
    key.push(hidden.verdict_due[at]);
    if payment.status() == Status::AwaitingInvoice {
        key.push(small(state.tick() - hidden.accepted_tick[at]));
    }
    key.push(payment.quiet().map_or(0, |quiet| 1 + small(state.tick() - quiet.tick)));
    let mut parts: Vec<&Part> = payment.parts().iter().collect();
    parts.sort_by_key(|part| names.part(part_label(&part.id)));
    for part in parts {
        render_part(key, part, names);
        let told_as = hidden.told_as.get(&part_label(&part.id));
        key.push(told_as.map_or(0xff, |told_as| names.payment(*told_as)));
    }
    let observed = payment.observations().iter();
    let mut observed: Vec<u8> = observed.map(|it| names.part(part_label(&it.part))).collect();
    observed.sort_unstable();
    key.push(0xf4);
    key.extend(observed);
    let failed = payment.failed_notification();
    let rank = |seq| state.outbox().position(|told| told.id.seq == seq);
    key.push(failed.map_or(0, |failed| 1 + u8::from(rank(failed.seq).is_some())));
    render_outbox(key, state, names, Some(p));
}

fn render_part(key: &mut Vec<u8>, part: &Part, names: Renaming) {
    key.extend([names.part(part_label(&part.id)), part.fate as u8]);
    key.extend([render_amount(part.amount), render_amount(part.fee)]);
    key.push(u8::try_from(part.batch).expect("few batches"));
    key.push(match part.kind {
        PartKind::Htlc { cltv_expiry, .. } => u8::from(cltv_expiry.is_some()),
        PartKind::Delegated => 2,
    });
    let flags = [part.permanent, part.adopted, part.corrected, part.recorded_at == LATE];
    key.push(flags.into_iter().fold(0, |bits, flag| bits << 1 | u8::from(flag)));
}

/// One payment's notifications in their order; between payments no order decides anything.
fn render_outbox(key: &mut Vec<u8>, state: &State, names: Renaming, of: Option<P>) {
    key.push(0xf5);
    for told in state.outbox().filter(|told| owner(&told.notice) == of) {
        let part = |id: &PartId| names.part(part_label(id));
        key.extend(match &told.notice {
            Notice::PaymentSent { .. } => [1, 0],
            Notice::PaymentFailed { superseded, .. } => [2, u8::from(*superseded)],
            Notice::PartSucceeded { part: id, .. } => [3, part(id)],
            Notice::PartFailed { part: id, .. } => [4, part(id)],
            Notice::Anomaly { anomaly, .. } => match anomaly {
                Anomaly::Correction { part: id, .. } => [5, part(id)],
                Anomaly::UnknownPart { part: id, .. } => [6, part(id)],
                Anomaly::ForeignClaim { part: id, .. } => [7, part(id)],
                Anomaly::Stray { part: id, .. } => [8, part(id)],
                other => panic!("an unknown anomaly: {other:?}"),
            },
            other => panic!("an unknown notice: {other:?}"),
        });
    }
}

/// The amounts of the alphabet fit a byte; 0xff is unknown.
fn render_amount(amount: Option<Msat>) -> u8 {
    amount.map_or(0xff, |amount| u8::try_from(amount.0).expect("a small amount"))
}

/// Differences of ticks above the longest wait are alike.
fn small(ticks: u64) -> u8 {
    u8::try_from(ticks.min(3)).expect("at most 3")
}
