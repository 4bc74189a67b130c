//! Every script once more, told to a core under the judge (`common/trial.rs`): what the script asks for and
//! what happens to its process, in the judge's words.
//!
//! A script that says what those words cannot (an absolute deadline, very many names) is not judged.

use payonce_core::{
    Acknowledge, AdoptPart, ClaimPart, Command, Config, Deadline, Dispatch, FailPart, MarkPaid,
    NewPart, PartKind, PaymentHash, PaymentId, Remember, Request, RetryPolicy, SameHash, Send,
    Target, UnixMillis,
};

use crate::{
    judge::{self, Act, Offered, Retry, Rules, Terms, Which, Word},
    trial::{Swaps, Trial},
};

/// More names than a script needs that is read by people.
const MOST: usize = 48;

/// What was told and what happened.
pub(super) struct Film {
    rules: Rules,
    acts: Vec<(u64, Act)>,
    ids: Vec<PaymentId>,
    parts: Vec<[u8; 32]>,
    hashes: Vec<PaymentHash>,
    requests: Vec<Request>,
    /// Whether its words were enough so far.
    complete: bool,
}

fn label<T: PartialEq + Copy>(names: &mut Vec<T>, name: &T) -> u16 {
    let known = names.iter().position(|known| known == name);
    let at = known.unwrap_or_else(|| {
        names.push(*name);
        names.len() - 1
    });
    u16::try_from(at).expect("a script has few names")
}

impl Film {
    pub(super) fn new(config: &Config) -> Self {
        let rules = Rules {
            forever: config.remember == Remember::Forever,
            same_hash: config.same_hash == SameHash::Allow,
            overpay_percent: u64::from(config.overpay_percent),
            idempotency_ticks: u64::from(config.idempotency_ticks),
            assertion_blocks: config.assertion_margin_blocks,
            assertion_age_ms: config.assertion_delegated_age_ms,
        };
        // The judge's core takes parts of one expiry, and ticks 30 seconds apart.
        let complete =
            config.min_tick_interval_ms == Config::new(config.remember).min_tick_interval_ms;
        let names = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (ids, parts, hashes, requests) = names;
        Self { rules, acts: Vec::new(), ids, parts, hashes, requests, complete }
    }

    pub(super) fn happens(&mut self, now: UnixMillis, act: Act) {
        self.acts.push((now.0, act));
    }

    pub(super) fn told(&mut self, now: UnixMillis, command: &Command) {
        self.complete &= self.ids.len() + self.hashes.len() + self.parts.len() < MOST;
        if !self.complete {
            return;
        }
        match self.act(command) {
            Some(acts) => acts.into_iter().for_each(|act| self.happens(now, act)),
            None => self.complete = false,
        }
    }

    fn id(&mut self, id: &PaymentId) -> judge::Id {
        label(&mut self.ids, id)
    }

    fn part(&mut self, part: &payonce_core::PartId) -> judge::Part {
        label(&mut self.parts, part.as_bytes())
    }

    fn hash(&mut self, hash: &PaymentHash) -> judge::Hash {
        label(&mut self.hashes, hash)
    }

    fn terms(&mut self, request: &Request) -> Option<Terms> {
        let target = match &request.target {
            Target::Invoice { payment_hash } => judge::Target::Invoice(self.hash(payment_hash)),
            Target::Spontaneous { preimage } => {
                judge::Target::Spontaneous(self.hash(&preimage.payment_hash()))
            }
            Target::Offer { offer_hash, deadline: Deadline::Ticks(deadline_ticks) } => {
                let (offer, deadline_ticks) = (offer_hash.as_bytes()[0], *deadline_ticks);
                judge::Target::Offer { offer, deadline_ticks }
            }
            Target::Offer { .. } => return None,
        };
        let retry = match request.retry {
            RetryPolicy::Manual => Retry::Manual,
            RetryPolicy::Attempts(retries) => Retry::Attempts(retries),
            RetryPolicy::Until(millis) => Retry::Until(millis),
        };
        // Any other difference is one of the variant.
        let known = self.requests.iter().position(|known| known == request);
        let variant = known.unwrap_or_else(|| {
            self.requests.push(request.clone());
            self.requests.len() - 1
        });
        Some(Terms {
            target,
            amount: request.amount.0,
            max_fee: request.max_fee.map(|fee| fee.0),
            retry,
            expiry: request.expiry.map(|expiry| expiry.0),
            variant: u8::try_from(variant).ok()?,
        })
    }

    /// The acts of a command; none where there is no word for it.
    fn act(&mut self, command: &Command) -> Option<Vec<Act>> {
        let act = match command {
            Command::Send(Send { id, request, again_after }) => {
                let terms = self.terms(request)?;
                Act::Pay { id: self.id(id), terms, again: again_after.is_some() }
            }
            Command::ReceiveInvoice(got) => {
                let (id, hash) = (self.id(&got.id), self.hash(&got.payment_hash));
                let expiry = got.expiry.map(|expiry| expiry.0);
                Act::Invoice { id, hash, amount: got.amount.0, expiry }
            }
            Command::Dispatch(batch) => self.batch(batch),
            Command::WithdrawPart(fact) => {
                Act::Withdraw { id: self.id(&fact.id), part: self.part(&fact.part) }
            }
            Command::ClaimPart(claim) => self.claim(claim),
            Command::FinalizePart(fact) => {
                Act::Finalize { id: self.id(&fact.id), part: self.part(&fact.part) }
            }
            Command::FailPart(FailPart { id, part, failure }) => {
                let word = failure.assertion.as_ref();
                let word = word.map(|word| Word { height: word.height, contradicts: false });
                let (id, part) = (self.id(id), self.part(part));
                Act::Fail { id, part, permanent: failure.permanent, word }
            }
            Command::ObservePart(fact) => {
                Act::Observe { id: self.id(&fact.id), part: self.part(&fact.part) }
            }
            Command::AdoptPart(AdoptPart { id, part, payment_hash, amount, kind, .. }) => {
                let delegated = *kind == PartKind::Delegated;
                let (id, part) = (self.id(id), self.part(part));
                let (hash, amount) = (self.hash(payment_hash), amount.map(|amount| amount.0));
                Act::Adopt { id, part, hash, amount, delegated }
            }
            Command::MarkPaid(MarkPaid { id, part, payment_hash, .. }) => {
                let part = part.as_ref().map(|part| self.part(part));
                let hash = payment_hash.as_ref().map(|hash| self.hash(hash));
                Act::Paid { id: self.id(id), part, hash }
            }
            Command::HoldHash(block) => Act::Block { hash: self.hash(&block.payment_hash) },
            Command::ReleaseHash(block) => Act::Unblock { hash: self.hash(&block.payment_hash) },
            Command::Abandon(wish) => Act::Abandon { id: self.id(&wish.id) },
            Command::Acknowledge(Acknowledge { ids }) => {
                let read = ids.iter().map(|id| Act::Acknowledge { which: Which::Seq(id.seq) });
                return Some(read.collect());
            }
            Command::Tick(_) => Act::Tick { height: None },
            Command::FinishRecovery(_) => Act::Finish,
            Command::CloseGap(_) => Act::CloseGap,
            _ => return None,
        };
        Some(vec![act])
    }

    fn batch(&mut self, batch: &Dispatch) -> Act {
        let delegated = batch.parts.iter().any(|part| matches!(part, NewPart::Delegated { .. }));
        let offered = |part: &NewPart| {
            let label = self.part(part.id());
            match part {
                NewPart::Htlc { amount, fee, .. } => {
                    Offered { part: label, amount: amount.0, fee: fee.0 }
                }
                NewPart::Delegated { .. } => Offered { part: label, amount: 0, fee: 0 },
            }
        };
        let parts = batch.parts.iter().map(offered).collect();
        Act::Dispatch { id: self.id(&batch.id), parts, delegated, stale: false }
    }

    fn claim(&mut self, claim: &ClaimPart) -> Act {
        let (id, part) = (self.id(&claim.id), self.part(&claim.part));
        let hash = self.hash(&claim.preimage.payment_hash());
        let amount = claim.settlement.and_then(|reported| reported.amount);
        let brings = claim.settlement.map(|_| hash);
        Act::Claim { id, part, hash, brings, amount: amount.map(|amount| amount.0) }
    }

    /// Plays all of it under the judge.
    pub(super) fn judge(&self) {
        if !self.complete {
            return;
        }
        let mut trial = Trial::new(self.rules, Swaps::All);
        for (now, act) in &self.acts {
            if let Err(found) = trial.play(*now, act) {
                panic!("{}: {} at {act:?} of {:#?}", found.verdict.name(), found.about, self.acts);
            }
        }
        if let Err(found) = trial.come_to_rest() {
            panic!("{}: {} after {:#?}", found.verdict.name(), found.about, self.acts);
        }
    }
}
