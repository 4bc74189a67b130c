//! What may safely be done next, and why. Whether parts may be dispatched is asked of the state machine
//! itself, which refuses what is not safe; nothing here decides anew.

use payonce::{
    Config, Dispatch, NewPart, PartId, Payment, PaymentHash, PaymentId, Remember, State, Status,
    UnixMillis,
    audit::Shown,
    machine::{BlockedHash, Context, HashHolder, Operation},
};
use serde::Serialize;

use crate::units::short;

/// What may be done with a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Advice {
    /// Whether another attempt may go out now: a dispatch of this payment, or, of a failed one, a new
    /// try under its id.
    pub(crate) retry_allowed: bool,
    pub(crate) why: String,
    pub(crate) next: String,
}

fn advice(retry_allowed: bool, why: impl Into<String>, next: impl Into<String>) -> Advice {
    Advice { retry_allowed, why: why.into(), next: next.into() }
}

/// What may be done with the payment under this id; `None` if the state does not know it.
pub(crate) fn advise(state: &State, id: &PaymentId, now: UnixMillis) -> Option<Advice> {
    let view = state.payment_view(id)?;
    Some(match view.status {
        Status::Fulfilled if view.unresolved > 0 => advice(
            false,
            "it is paid; parts of it are still on their channels",
            "nothing: wait until they are off; never pay this invoice again, under any id",
        ),
        Status::Fulfilled => advice(
            false,
            if view.paid.is_some_and(|paid| paid.preimage.is_some()) {
                "it is paid, and the proof is kept (--reveal shows it)"
            } else {
                "it is paid, on somebody's word: the proof is not known"
            },
            "nothing: never pay this invoice again, under any id",
        ),
        Status::Failed { .. } if view.unresolved > 0 || view.blocked => advice(
            false,
            out(state, id, view.unresolved),
            "wait: refund nobody and pay nothing until that is resolved",
        ),
        Status::Failed { .. } if view.paid_elsewhere.is_some() => advice(
            false,
            "no money went out under this id, but its invoice was paid elsewhere",
            "nothing: never pay this invoice again, under any id",
        ),
        Status::Failed { .. } => failed(state, view.failed),
        Status::Abandoned { .. } => advice(
            false,
            if view.unresolved > 0 || view.blocked {
                out(state, id, view.unresolved)
            } else {
                "it is given up, and not told as failed yet".into()
            },
            "wait for the last part: it may still pay; refund nobody before it has FAILED",
        ),
        Status::AwaitingInvoice | Status::Pending => {
            open(state, state.payment(id)?, view.unresolved, now)
        }
    })
}

fn failed(state: &State, told: Option<payonce::NotificationId>) -> Advice {
    if state.is_recovering() {
        return advice(
            false,
            "the node has not finished its recovery: a part of it may still turn up",
            "wait until the node has started, and look again",
        );
    }
    if state.is_restored() {
        return advice(
            false,
            "the log lacks events that the node knew: in the gap it may have been tried again",
            "tell the payments of the gap and close it first",
        );
    }
    let named = told.map_or_else(String::new, |told| format!(", naming the failure {told}"));
    advice(
        true,
        "it is over, unpaid, and nothing of it is out",
        format!("refund it, or pay again under the same id{named}: one of the two, not both"),
    )
}

/// A payment that may dispatch: the machine says whether, and why not.
fn open(state: &State, payment: &Payment, unresolved: usize, now: UnixMillis) -> Advice {
    let config = Config::new(Remember::Forever);
    let context = Context { now, config: &config, durable_seq: state.head().seq };
    // Its bytes are those of nobody's part; what it is does not matter to the answer.
    let probe = PartId::from_bytes(*b"a part that nobody ever offered.");
    let attempt = payment.next_attempt();
    let parts = vec![NewPart::delegated(probe)];
    match (Dispatch { id: *payment.id(), attempt, parts }).decide(state, &context) {
        Ok(_) => advice(
            true,
            format!(
                "{} are missing, and nothing forbids attempt {attempt}",
                payment.remaining_amount()
            ),
            "let the node that drives it dispatch: a repeat under this id is safe, under another \
             id it is a second payment",
        ),
        Err(_) if unresolved > 0 => advice(
            false,
            out(state, payment.id(), unresolved),
            "wait: a repeat under this id is answered and pays nothing; under another id it would \
             be a second payment",
        ),
        Err(refusal) => {
            let blocked = blocked(state, payment.id()).unwrap_or_default();
            advice(false, format!("{refusal}{blocked}"), "wait, or abandon it")
        }
    }
}

/// What is out, in words.
fn out(state: &State, id: &PaymentId, unresolved: usize) -> String {
    let mut text = match unresolved {
        0 => "something else holds it".to_owned(),
        1 => "1 part is out and may still pay".to_owned(),
        more => format!("{more} parts are out and may still pay"),
    };
    let hash = state.payment(id).and_then(Payment::payment_hash);
    match hash.and_then(|hash| state.holder_of(&hash)) {
        Some(HashHolder::Payment(other)) if other != *id => {
            text = format!("{text}; its invoice is also that of payment {}", short(other));
        }
        Some(HashHolder::ForeignPart(part)) => {
            text = format!("{text}; part {} is out under its hash", short(part));
        }
        Some(HashHolder::Paid) => text += "; its hash is known as paid",
        _ => {}
    }
    text + &blocked(state, id).unwrap_or_default()
}

/// That the hash of a payment is blocked, if it is.
fn blocked(state: &State, id: &PaymentId) -> Option<String> {
    let hash = state.payment(id).and_then(Payment::payment_hash)?;
    let who = blocked_for(state, &hash)?;
    Some(format!("; its hash is blocked: something is out under it until {who} shows its end"))
}

/// For whom a hash is blocked, in words; `None` if it is not.
pub(crate) fn blocked_for(state: &State, hash: &PaymentHash) -> Option<String> {
    let who = state.blocks_of(hash).map(|block| match &*engine_name(block) {
        "" => "the node".to_owned(),
        name => format!("engine {name}"),
    });
    let who: Vec<_> = who.collect();
    (!who.is_empty()).then(|| who.join(" and "))
}

/// The engine for which a hash is blocked, as it may be shown; empty for none.
pub(crate) fn engine_name(block: &BlockedHash) -> String {
    Shown(&String::from_utf8_lossy(block.engine.as_bytes())).to_string()
}
