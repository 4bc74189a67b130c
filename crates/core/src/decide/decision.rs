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
    /// The moment at which the command is decided, as its caller read the clock.
    pub now: UnixMillis,
    /// What the ledger may do: allowances, intervals, what it remembers.
    pub config: &'a Config,
    /// The last seq that is durable: what the user can have seen.
    pub durable_seq: u64,
}

/// What was decided: events to record, and the reply for when they are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<R> {
    /// The events, in order; none if there is nothing to record.
    pub events: Vec<Event>,
    /// What the caller gets once the events are durable.
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

/// The reply about a part that no payment has, or that is over.
pub(crate) fn apart(events: Vec<Event>) -> Decision<FactReply> {
    Decision { reply: FactReply { changed: !events.is_empty(), payment: None }, events }
}

pub(crate) fn forgotten(id: PaymentId, config: &Config) -> Event {
    Event::PaymentForgotten { id, remembered: config.remember == Remember::Forever }
}

/// How an anomaly without a payment is delivered: a repeat is counted on the first unread one, and
/// beyond a limit only a counter grows. The claim itself is recorded in any case.
pub(crate) fn deliver(state: &State, anomaly: Anomaly) -> Event {
    let first = anomaly.repeats_by().and_then(|key| state.index.anomalies_unread.get(&key));
    let delivery = match first {
        Some(seq) => Delivery::Repeat(*seq),
        None if state.anomalies_unread as usize >= limits::ANOMALIES_UNREAD => Delivery::Folded,
        None => Delivery::Notify,
    };
    Event::AnomalyNoted { anomaly, delivery }
}
