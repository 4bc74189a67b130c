//! What was decided, and what that is made of.

use alloc::vec::Vec;

use crate::{
    base::amount::UnixMillis,
    base::ids::PaymentId,
    base::limits,
    decide::config::{Config, Remember},
    decide::reply::FactReply,
    event::event::{Delivery, Event},
    event::notification::Anomaly,
    payment::payment::Payment,
    state::state::State,
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
pub(crate) fn unchanged(payment: &Payment) -> Decision<FactReply> {
    Decision::nothing(FactReply::unchanged(Some(payment)))
}

/// An answer about a part without a payment, or of one that is over.
pub(crate) fn apart(events: Vec<Event>) -> Decision<FactReply> {
    Decision { reply: FactReply { changed: !events.is_empty(), payment: None }, events }
}

pub(crate) fn forgotten(id: PaymentId, config: &Config) -> Event {
    Event::PaymentForgotten { id, remembered: config.remember == Remember::Forever }
}

/// How an anomaly without a payment is told: a repeat is counted on the first that is unread, and
/// beyond a limit only the number grows. The claim itself is recorded whatever this says.
pub(crate) fn deliver(state: &State, anomaly: Anomaly) -> Event {
    let first = anomaly.repeats_by().and_then(|key| state.index.anomalies_unread.get(&key));
    let delivery = match first {
        Some(seq) => Delivery::Repeat(*seq),
        None if state.anomalies_unread as usize >= limits::ANOMALIES_UNREAD => Delivery::Folded,
        None => Delivery::Notify,
    };
    Event::AnomalyNoted { anomaly, delivery }
}
