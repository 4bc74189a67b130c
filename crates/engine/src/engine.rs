//! What an engine must answer, and what it must say of itself.

use std::fmt;

use async_trait::async_trait;
use payonce_core::{Msat, PartId, Payment, PaymentHash, PaymentId, Preimage, Request, UnixMillis};

/// How an engine recognises that it was given a hand-over before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// By an id of ours, the [part's](HandOver::part). Such an engine remembers durably every id that it has
    /// read, refused and failed ones too: it never tries one again, and answers a repeat with
    /// [`PayAnswer::AlreadyThere`] or with what became of it. If it forgot an id, a repeat would pay twice.
    Part,
    /// By the payment hash (LND, Core Lightning): while a try is out or paid, another request does nothing;
    /// after a failure it starts a new try.
    PaymentHash,
    /// Nothing: each request is a payment of its own. Behind a [wire that may repeat](Wire::MayRepeat)
    /// such an engine is given nothing: nobody could promise that it pays once.
    Nothing,
}

/// How long an engine remembers what became of a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// For good: nobody deletes its payments.
    Kept,
    /// At least this many milliseconds after the hand-over.
    For(u64),
    /// Not guaranteed: somebody may delete its payments. What it does not know may then have
    /// been paid.
    Unsure,
}

/// What lies between us and the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// A connection of ours: a request arrives once, or late, or not at all.
    Direct,
    /// A proxy, a queue, a client that tries again by itself: one request may arrive twice.
    MayRepeat,
}

/// What an engine says of itself; [`rules`](crate::rules) follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promises {
    /// How it recognises a repeat.
    pub key: Key,
    /// How long it remembers.
    pub memory: Memory,
    /// Whether one request may arrive twice. Late it may arrive in any case.
    pub wire: Wire,
}

/// A hand-over: one recorded part, to be paid by the engine as it sees fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// Its name: random, never used for anything else.
    pub part: PartId,
    /// The payment that it is of. Not for the engine: a later try of the payment is another part.
    pub payment: PaymentId,
    /// The payment hash of what is paid: all that most engines know it by.
    pub payment_hash: PaymentHash,
    /// What the payee must receive.
    pub amount: Msat,
    /// The most that may go to fees; `None` without a limit.
    pub max_fee: Option<Msat>,
    /// The request, with the invoice in its instructions.
    pub request: Request,
}

impl HandOver {
    /// The hand-over of a part of a payment; `None` for a part that it does not have, or a payment
    /// without a request or hash.
    #[must_use]
    pub fn of(payment: &Payment, part: &PartId) -> Option<Self> {
        let terms = payment.part(part)?;
        let request = payment.request()?.clone();
        Some(Self {
            part: *part,
            payment: *payment.id(),
            payment_hash: terms.own_hash().or_else(|| payment.payment_hash())?,
            amount: terms.amount?,
            max_fee: request.max_fee.limit().and(terms.fee),
            request,
        })
    }
}

/// What an engine shows for a hand-over, or for the hash of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// It knows nothing of it. Not *never sent*: the request may still be on its way.
    NotKnown,
    /// It is being paid.
    Out {
        /// The engine's mark of this try: a number that rises with each try of the same hash, as LND's
        /// `payment_index` does. `None`: its tries cannot be told apart, and a hash is tried once.
        mark: Option<u64>,
    },
    /// The payee has the money; the preimage proves it.
    Paid(Payout),
    /// A try has ended, and nothing of it is out.
    Failed {
        /// The engine's mark of the try that ended.
        mark: Option<u64>,
        /// Whether the payee refused: no other try can help.
        permanent: bool,
        /// The engine's own word for it.
        reason: String,
    },
}

/// What an engine reports of a payment that it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payout {
    /// The proof. Believed only if it fits the hash.
    pub preimage: Preimage,
    /// What reached the payee.
    pub amount: Option<Msat>,
    /// What the routes took.
    pub fee: Option<Msat>,
}

/// The answer to one request to pay a hand-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayAnswer {
    /// The engine has read it, and shows this for it now: also what became of an earlier request for it.
    Taken(Shown),
    /// The engine has read it, and did nothing: what it is keyed by is out or paid already.
    AlreadyThere,
    /// The engine has read it, refuses it, and nothing will ever come of it.
    Refused(Refusal),
    /// The engine has not read it and never will: it does not work yet, or we may not call it.
    NotNow(EngineError),
    /// Nobody knows: a time-out, a connection that broke. It may have been read, or will be.
    Unknown(EngineError),
}

/// Why an engine will not pay something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the engine refuses it: {why}")]
pub struct Refusal {
    /// Why, in the engine's words.
    pub why: String,
    /// Whether another try cannot help, whatever is set up differently at the next start. An accepted payment
    /// fails by that; one that could be paid by then waits.
    pub permanent: bool,
}

/// Why an engine did not answer a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// It cannot be reached, or does not work yet: asked again later.
    #[error("the engine does not answer: {why}")]
    Unreachable {
        /// The engine's words, for people.
        why: String,
    },
    /// It took longer than it may.
    #[error("the engine did not answer within {after_ms} ms")]
    TimedOut {
        /// How long was waited, in milliseconds.
        after_ms: u64,
    },
    /// It will not answer us: a certificate, a key, a right is wrong. Somebody must mend it.
    #[error("the engine turns us away: {why}")]
    Denied {
        /// The engine's words, for people.
        why: String,
    },
    /// Its answer makes no sense. Nothing of it is believed.
    #[error("the engine answers nonsense: {what}")]
    Nonsense {
        /// What is wrong with it, for people.
        what: String,
    },
}

/// Something that pays by itself: a node behind an API.
///
/// An implementation tells what it sees and decides nothing. Where it is not sure that an answer is
/// the engine's own word, it says [`PayAnswer::Unknown`]: a payment that stays out too long can be asked
/// about, one that was called failed and is paid later is money lost.
///
/// Calls may be dropped at any moment (a time-out, a shutdown); what they have sent counts as sent.
#[async_trait]
pub trait Engine: Send + Sync + fmt::Debug + 'static {
    /// What it says of itself.
    fn promises(&self) -> Promises;

    /// Whether it could pay this at all. Asked before anything is recorded.
    ///
    /// # Errors
    /// [`Refusal`] with what it cannot pay exactly once, or not at all.
    fn check(&self, request: &Request) -> Result<(), Refusal>;

    /// The moment after which the engine itself refuses this request if it arrives late (the expiry of the
    /// invoice, which it checks); `None` if it never does. With `None` a hand-over of which the engine knows
    /// nothing never ends by itself: an operator decides ([`Why::Late`](crate::Why::Late)).
    fn refuses_late_from(&self, request: &Request) -> Option<UnixMillis>;

    /// Pays a hand-over, which was recorded before. Returns as soon as the engine has it, and does not
    /// wait for its end.
    async fn pay(&self, hand_over: &HandOver) -> PayAnswer;

    /// What became of it. By the part's id if that is the engine's [`Key`], else by the hash, of which
    /// the newest try is shown. Without a part it is asked before a hand-over, whether anything is out or paid
    /// under the hash: an engine that knows our ids alone answers [`Shown::NotKnown`], and loses nothing by it.
    ///
    /// # Errors
    /// [`EngineError`]: nothing is known then.
    async fn find(&self, what: &Lookup) -> Result<Shown, EngineError>;

    /// Waits, where the engine can tell, until it shows an end, and gives that; `None` where it cannot
    /// tell, or has stopped telling: then it is asked again by and by.
    ///
    /// # Errors
    /// [`EngineError`]: nothing is known then.
    async fn wait(&self, what: &Lookup) -> Result<Option<Shown>, EngineError> {
        let _ = what;
        Ok(None)
    }

    /// The engine's own list of payments, after a cursor (0 for the beginning), oldest first: to
    /// rebuild a ledger that was lost. `None` if it has no list.
    ///
    /// # Errors
    /// [`EngineError`].
    async fn list(&self, after: u64) -> Result<Option<PaymentsPage>, EngineError> {
        let _ = after;
        Ok(None)
    }
}

/// What an engine is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookup {
    /// The part; `None` if only a hash is known.
    pub part: Option<PartId>,
    /// The payment hash that is asked about.
    pub payment_hash: PaymentHash,
}

/// A page of an engine's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentsPage {
    /// Each payment's hash and what became of its newest try.
    pub payments: Vec<(PaymentHash, Shown)>,
    /// The hashes of payments whose entry is impossible, or cannot belong to a hand-over of ours: nothing is
    /// told of them.
    pub unclear: Vec<PaymentHash>,
    /// From where to go on, beyond the cursor that was given; `None` at the end.
    pub next: Option<u64>,
}
