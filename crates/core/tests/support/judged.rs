//! Every script once more, told to a core under the judge (`common/trial.rs`): what the script asks for and
//! what happens to its process, in the judge's words.
//!
//! A script that says what those words cannot (an absolute deadline, very many names) is not judged.

use payonce_core::{
    Acknowledge, AdoptPart, Blob, BlockHash, ClaimPart, Command, Config, Deadline, Dispatch,
    FailPart, Failure, MarkPaid, NewPart, PartKind, Pay, PaymentHash, PaymentId, Remember, Request,
    RetryPolicy, SameHash, Settlement, Target, UnblockHash, UnixMillis, limits,
};

use crate::{
    judge::{self, Act, DISPATCHED_EXPIRY, Failed, Offered, Retry, Rules, Terms, Which, Word},
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

/// The judge's label of an engine, whose name is one of these letters; 0 where none is named.
fn engine_label(engine: &Blob<{ limits::LABEL_BYTES }>) -> Option<judge::Engine> {
    match engine.as_bytes() {
        [] => Some(0),
        [name @ b'a'..=b'g'] => Some(name - b'a' + 1),
        _ => None,
    }
}

/// How a part failed, if the judge has words for it.
fn how(failure: &Failure) -> Option<Failed> {
    let Failure { permanent, mark, sayings, ref assertion, retry_after_ms: None, .. } = *failure
    else {
        return None;
    };
    let word = assertion.as_ref().map(|word| Word { contradicts: word.although_listed });
    Some(Failed { permanent, word, mark, sayings })
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
            max_fee: request.max_fee.limit().map(|fee| fee.0),
            retry,
            expiry: request.expiry.map(|expiry| expiry.0),
            rest: Some(request.backoff).filter(|rest| rest.first_ms == rest.max_ms)?.first_ms,
            variant: u8::try_from(variant).ok()?,
        })
    }

    /// The acts of a command; none where there is no word for it.
    fn act(&mut self, command: &Command) -> Option<Vec<Act>> {
        let act = match command {
            Command::Pay(Pay { id, request, again_after }) => {
                let terms = self.terms(request)?;
                Act::Pay { id: self.id(id), terms, again: again_after.is_some() }
            }
            Command::ReceiveInvoice(got) => {
                let (id, hash) = (self.id(&got.id), self.hash(&got.payment_hash));
                let expiry = got.expiry.map(|expiry| expiry.0);
                Act::Invoice { id, hash, amount: got.amount.0, expiry }
            }
            Command::Dispatch(batch) => self.batch(batch)?,
            Command::SayAgain(again) => {
                Act::SayAgain { id: self.id(&again.id), part: self.part(&again.part) }
            }
            Command::WithdrawPart(fact) => {
                Act::Withdraw { id: self.id(&fact.id), part: self.part(&fact.part) }
            }
            Command::ClaimPart(claim) => self.claim(claim),
            Command::FinalizePart(fact) => {
                Act::Finalize { id: self.id(&fact.id), part: self.part(&fact.part) }
            }
            Command::FailPart(FailPart { id, part, failure }) => {
                let how = how(failure)?;
                Act::Fail { id: self.id(id), part: self.part(part), how }
            }
            Command::ObservePart(fact) => {
                Act::Observe { id: self.id(&fact.id), part: self.part(&fact.part) }
            }
            Command::RequestInvoice(made) => {
                let &[request] = made.invoice_request.as_bytes() else { return None };
                Act::Request { id: self.id(&made.id), part: self.part(&made.part), request }
            }
            Command::AdoptPart(fact) => self.adopt(fact)?,
            Command::MarkPaid(word) => self.paid(word)?,
            Command::ListParts(fact) => {
                Act::List { parts: fact.parts.iter().map(|part| self.part(part)).collect() }
            }
            Command::DisownPart(word) => {
                // The judge names an id with it; the core does not ask for one.
                Act::Disown { id: 0, part: self.part(&word.part) }
            }
            Command::BlockHash(BlockHash { payment_hash, engine }) => {
                Act::Block { hash: self.hash(payment_hash), engine: engine_label(engine)? }
            }
            Command::UnblockHash(UnblockHash { payment_hash, engine }) => {
                Act::Unblock { hash: self.hash(payment_hash), engine: engine_label(engine)? }
            }
            Command::Abandon(wish) => Act::Abandon { id: self.id(&wish.id) },
            Command::Acknowledge(Acknowledge { ids }) => {
                let read = ids.iter().map(|id| Act::Acknowledge { which: Which::Seq(id.seq) });
                return Some(read.collect());
            }
            Command::Tick(tick) => Act::Tick { height: tick.height },
            Command::FinishRecovery(_) => Act::Finish,
            Command::CloseGap(_) => Act::CloseGap,
            _ => return None,
        };
        Some(vec![act])
    }

    fn batch(&mut self, batch: &Dispatch) -> Option<Act> {
        let (mut parts, mut delegated, mut mark) = (Vec::new(), false, None);
        for part in &batch.parts {
            let label = self.part(part.id());
            parts.push(match part {
                NewPart::Htlc { amount, fee, cltv_expiry, .. } => {
                    (*cltv_expiry == DISPATCHED_EXPIRY).then_some(())?;
                    Offered { part: label, amount: amount.0, fee: fee.0 }
                }
                NewPart::Delegated { label: engine, .. } => {
                    delegated = true;
                    mark = engine.as_ref().and_then(|engine| engine.mark);
                    Offered { part: label, amount: 0, fee: 0 }
                }
            });
        }
        Some(Act::Dispatch { id: self.id(&batch.id), parts, delegated, stale: false, mark })
    }

    fn claim(&mut self, claim: &ClaimPart) -> Act {
        let (id, part) = (self.id(&claim.id), self.part(&claim.part));
        let hash = self.hash(&claim.preimage.payment_hash());
        let brings = claim.payment_hash.map(|hash| self.hash(&hash));
        let reported = claim.settlement.unwrap_or_default();
        let (amount, fee) = (reported.amount.map(|amount| amount.0), reported.fee.map(|fee| fee.0));
        Act::Claim { id, part, hash, brings, amount, fee }
    }

    /// What a node lists, in the words of the judge: one fee, one expiry.
    fn adopt(&mut self, fact: &AdoptPart) -> Option<Act> {
        let delegated = match fact.kind {
            PartKind::Delegated => true,
            PartKind::Htlc { cltv_expiry: Some(DISPATCHED_EXPIRY), .. } => false,
            PartKind::Htlc { .. } => return None,
        };
        let amount = fact.amount.map(|amount| amount.0);
        (fact.fee.map(|fee| fee.0) == amount.map(|_| 1)).then_some(())?;
        let (id, part) = (self.id(&fact.id), self.part(&fact.part));
        Some(Act::Adopt { id, part, hash: self.hash(&fact.payment_hash), amount, delegated })
    }

    fn paid(&mut self, word: &MarkPaid) -> Option<Act> {
        (word.settlement == Settlement::default()).then_some(())?;
        let terms = match &word.request {
            Some(request) => Some(self.terms(request)?),
            None => None,
        };
        Some(Act::Paid {
            id: self.id(&word.id),
            part: word.part.as_ref().map(|part| self.part(part)),
            hash: word.payment_hash.as_ref().map(|hash| self.hash(hash)),
            asserted: word.assertion.is_some(),
            terms,
        })
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
