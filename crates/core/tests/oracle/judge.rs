//! What must hold of every payment whatever happens, judged from outside: from what was asked, what
//! was answered, what the network did and what the user was told.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "included by several test crates, none of which uses all of it"
)]

use std::collections::BTreeMap;

/// An id or a hash.
pub type Bytes = [u8; 32];

/// What a caller asked for, in one try of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub hash: Option<Bytes>,
    pub amount: u64,
    /// The most that may be out in all, overpayment included.
    pub most: u64,
    pub max_fee: Option<u64>,
    /// Batches allowed after the first.
    pub retries: Option<u64>,
    pub expiry: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Sent,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    AwaitingInvoice,
    Pending,
    Fulfilled,
    Abandoned,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Out,
    /// Paid, and still on its channel.
    Paid,
    /// Paid, and off its channel.
    Over,
    Failed,
    NeverSent,
}

impl Fate {
    fn is_unresolved(self) -> bool {
        matches!(self, Self::Out | Self::Paid)
    }

    fn counts(self) -> bool {
        matches!(self, Self::Out | Self::Paid | Self::Over)
    }
}

/// A part as the ledger tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub id: Bytes,
    pub fate: Fate,
    pub amount: Option<u64>,
    pub fee: Option<u64>,
    pub permanent: bool,
}

/// A payment as the ledger tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub status: Status,
    pub hash: Option<Bytes>,
    pub parts: Vec<Part>,
    /// Only the outcome is left.
    pub remembered: bool,
}

/// From an accepted request, or the first that was heard of a payment, until it is forgotten.
#[derive(Debug, Clone, Default)]
struct Life {
    terms: Option<Terms>,
    sent: bool,
    failed: bool,
    failed_now: bool,
    batches: Vec<Vec<Bytes>>,
    standing: Option<Standing>,
}

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub struct Judge {
    lives: BTreeMap<Bytes, Life>,
    last_note: u64,
}

fn demand(holds: bool, rule: &str, about: &Bytes) {
    assert!(holds, "{rule}: {:02x}", about[0]);
}

impl Judge {
    fn unresolved(&self, payment: &Bytes) -> bool {
        let standing = self.lives.get(payment).and_then(|life| life.standing.as_ref());
        standing.is_some_and(|at| at.parts.iter().any(|part| part.fate.is_unresolved()))
    }

    /// Whether another payment has this hash out or paid.
    fn is_taken(&self, hash: &Bytes, but: &Bytes) -> bool {
        self.lives.iter().any(|(id, life)| {
            let own = life.standing.as_ref().and_then(|at| at.hash);
            id != but && own == Some(*hash) && (life.sent || self.unresolved(id))
        })
    }

    /// A send was accepted.
    pub fn accepted(&mut self, payment: Bytes, terms: Terms) {
        demand(!self.unresolved(&payment), "an id is blocked while a part is out", &payment);
        if let Some(life) = self.lives.get(&payment) {
            demand(!life.sent, "a paid id is not accepted again", &payment);
            demand(life.failed, "an id is accepted again only once it has failed", &payment);
        }
        if let Some(hash) = terms.hash {
            let taken = self.is_taken(&hash, &payment);
            demand(!taken, "a hash that is out or paid is not accepted under another id", &payment);
        }
        self.lives.insert(payment, Life { terms: Some(terms), ..Life::default() });
    }

    /// The invoice for an offer was taken.
    pub fn invoiced(&mut self, payment: &Bytes, hash: Bytes, amount: u64, most: u64) {
        demand(!self.is_taken(&hash, payment), "a hash that is out or paid is refused", payment);
        if let Some(terms) = self.lives.get_mut(payment).and_then(|life| life.terms.as_mut()) {
            demand(amount <= terms.amount, "an invoice above the request is refused", payment);
            (terms.hash, terms.amount, terms.most) = (Some(hash), amount, most);
        }
    }

    /// A batch was recorded: the right to offer these parts (id, amount, fee).
    pub fn offered(&mut self, payment: &Bytes, parts: &[(Bytes, u64, u64)]) {
        let seen = self.lives.values().flat_map(|life| &life.standing).flat_map(|at| &at.parts);
        let seen: Vec<Bytes> = seen.map(|part| part.id).collect();
        let life = self.lives.get(payment).expect("a batch of a payment that was accepted");
        demand(!life.sent, "nothing is dispatched after it was sent", payment);
        demand(!life.failed, "nothing is dispatched after it failed", payment);
        for (part, ..) in parts {
            demand(!seen.contains(part), "a part id is used once", part);
        }
        let terms = life.terms.as_ref().expect("a batch of a payment that was asked for");
        let standing = life.standing.as_ref().expect("it stands");
        let out = standing.parts.iter().filter(|part| part.fate.counts());
        let known = |amount: Option<u64>| amount.unwrap_or(u64::MAX);
        let before = out.clone().fold(0_u64, |sum, part| sum.saturating_add(known(part.amount)));
        let all = parts.iter().fold(before, |sum, part| sum.saturating_add(part.1));
        demand(all <= terms.most, "what is out stays within the amount", payment);
        if let Some(max_fee) = terms.max_fee {
            let before = out.fold(0_u64, |sum, part| sum.saturating_add(known(part.fee)));
            let all = parts.iter().fold(before, |sum, part| sum.saturating_add(part.2));
            demand(all <= max_fee, "the fees stay within the maximum", payment);
        }
        if let Some(hash) = standing.hash {
            demand(!self.is_taken(&hash, payment), "one hash is out under one id", payment);
        }
        let life = self.lives.get_mut(payment).expect("as above");
        life.batches.push(parts.iter().map(|part| part.0).collect());
    }

    /// A notification of an outcome was put into the outbox.
    pub fn told(&mut self, note: u64, payment: Bytes, told: Told) {
        demand(note > self.last_note, "notifications are told in order", &payment);
        self.last_note = note;
        let life = self.lives.entry(payment).or_default();
        demand(!life.sent, "nothing is told of the outcome after PaymentSent", &payment);
        match told {
            Told::Sent => life.sent = true,
            Told::Failed => {
                demand(!life.failed, "one PaymentFailed a try", &payment);
                (life.failed, life.failed_now) = (true, true);
            }
        }
    }

    /// How a payment stands after a step; none if the ledger does not know it (any more).
    pub fn stands(&mut self, payment: Bytes, standing: Option<Standing>) {
        let Some(standing) = standing else {
            if let Some(life) = self.lives.remove(&payment) {
                demand(life.sent || life.failed, "only what is over is forgotten", &payment);
                let out = life.standing.iter().flat_map(|at| &at.parts);
                let out = out.filter(|part| part.fate == Fate::Out).count();
                // Its last part may have been resolved in this very step.
                demand(out <= 1, "nothing is forgotten while a part is out", &payment);
            }
            return;
        };
        let life = self.lives.entry(payment).or_default();
        let unresolved = standing.parts.iter().any(|part| part.fate.is_unresolved());
        let claimed =
            standing.parts.iter().any(|part| matches!(part.fate, Fate::Paid | Fate::Over));
        let fulfilled = standing.status == Status::Fulfilled;
        let failed = standing.status == Status::Failed;
        demand(fulfilled == life.sent, "paid is what PaymentSent was told of", &payment);
        demand(!claimed || fulfilled, "a claimed part pays its payment", &payment);
        demand(!failed || life.failed, "failed is what PaymentFailed was told of", &payment);
        let down = life.failed && !fulfilled && !failed;
        demand(!down, "an outcome is never taken back", &payment);
        demand(!(standing.remembered && unresolved), "what is remembered is over", &payment);
        let failed_now = std::mem::take(&mut life.failed_now);
        demand(!(failed_now && unresolved), "nothing fails while a part is out", &payment);
        life.standing = Some(standing);
    }

    /// No payment is left open with nothing out and nothing allowed. `timed`: whether the step
    /// compares this payment with the clock.
    pub fn end_of_step(&self, now: u64, timed: impl Fn(&Bytes) -> bool) {
        for (payment, life) in &self.lives {
            let (Some(terms), Some(standing)) = (&life.terms, &life.standing) else { continue };
            if standing.status != Status::Pending || self.unresolved(payment) {
                continue;
            }
            let tried = |batch: &&Vec<Bytes>| {
                let sent = |part: &&Part| part.fate != Fate::NeverSent && batch.contains(&part.id);
                standing.parts.iter().any(|part| sent(&part))
            };
            let tries = life.batches.iter().filter(tried).count() as u64;
            let used_up = terms.retries.is_some_and(|retries| tries > retries);
            demand(!used_up, "nothing is pending without an attempt left", payment);
            let mut failed = standing.parts.iter().filter(|part| part.fate == Fate::Failed);
            let rejected = failed.any(|part| part.permanent);
            demand(!rejected, "nothing is pending once the payee refused", payment);
            let expired = timed(payment) && terms.expiry.is_some_and(|expiry| expiry <= now);
            demand(!expired, "nothing is pending past its expiry", payment);
        }
    }
}
