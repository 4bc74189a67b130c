//! Decide: state + command + now -> events and a reply, or a refusal. Pure: it reads the state and
//! the configuration and changes neither.

pub(crate) mod admission;
pub(crate) mod adoption;
pub(crate) mod claim;
pub(crate) mod clock;
pub(crate) mod conclusions;
pub(crate) mod dispatch;
mod draft;
pub(crate) mod foreign;
mod others;
pub(crate) mod outbox;
pub(crate) mod paid;
pub(crate) mod resolution;
pub(crate) mod tick;
pub(crate) mod whose;

use alloc::vec::Vec;

use crate::{
    amount::UnixMillis,
    config::{Config, Remember},
    event::{Delivery, Event},
    ids::PaymentId,
    limits,
    notification::Anomaly,
    payment::Payment,
    reply::FactReply,
    state::State,
};

/// What decide may read besides the state.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The command's time.
    pub now: UnixMillis,
    /// The configuration.
    pub config: &'a Config,
    /// The last seq that is durable: what the user can have seen.
    pub durable_seq: u64,
}

/// What was decided: facts to record, and what to answer once they are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<R> {
    /// The events, in order; none if there is nothing to record.
    pub events: Vec<Event>,
    /// The reply.
    pub reply: R,
}

impl<R> Decision<R> {
    pub(crate) const fn nothing(reply: R) -> Self {
        Self { events: Vec::new(), reply }
    }

    pub(crate) fn map<T>(self, map: impl FnOnce(R) -> T) -> Decision<T> {
        Decision { events: self.events, reply: map(self.reply) }
    }
}

impl FactReply {
    pub(crate) fn unchanged(payment: Option<&Payment>) -> Self {
        Self { changed: false, payment: payment.map(|payment| (payment.id, payment.status)) }
    }
}

/// A fact that changes nothing.
fn unchanged(payment: &Payment) -> Decision<FactReply> {
    Decision::nothing(FactReply::unchanged(Some(payment)))
}

/// An answer about a part without a payment, or of one that is over.
fn apart(events: Vec<Event>) -> Decision<FactReply> {
    Decision { reply: FactReply { changed: !events.is_empty(), payment: None }, events }
}

fn forgotten(id: PaymentId, config: &Config) -> Event {
    Event::PaymentForgotten { id, remembered: config.remember == Remember::Forever }
}

/// How an anomaly without a payment is told: a repeat is counted on the first that is unread, and
/// beyond a limit only the number grows. The claim itself is recorded whatever this says.
fn deliver(state: &State, anomaly: Anomaly) -> Event {
    let first = anomaly.repeats_by().and_then(|key| state.index.notices.get(&key));
    let delivery = match first {
        Some(seq) => Delivery::Repeat(*seq),
        None if state.anomalies_unread as usize >= limits::ANOMALIES_UNREAD => Delivery::Folded,
        None => Delivery::Notify,
    };
    Event::AnomalyNoted { anomaly, delivery }
}
