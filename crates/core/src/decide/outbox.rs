//! Acknowledging notifications (SEMANTICS 5).

use alloc::{collections::BTreeMap, collections::BTreeSet, vec::Vec};

use crate::{
    base::ids::PaymentId,
    base::limits,
    decide::command::Acknowledge,
    decide::decision::{Context, Decision, forgotten},
    decide::refusal::AcknowledgeRefusal,
    decide::reply::AcknowledgeReply,
    event::event::Event,
    event::notification::NotificationId,
    event::status::Status,
    state::state::{Ending, State},
};

pub(crate) fn acknowledge(
    state: &State,
    context: &Context<'_>,
    command: Acknowledge,
) -> Result<Decision<AcknowledgeReply>, AcknowledgeRefusal> {
    let Acknowledge { ids } = command;
    check(state, context, &ids)?;
    let mut seqs = BTreeSet::new();
    let unread = ids.iter().filter(|id| state.outbox.contains(id.seq));
    let mut events: Vec<Event> = unread
        .filter(|id| seqs.insert(id.seq))
        .map(|id| Event::Acknowledged { seq: id.seq })
        .collect();
    let acknowledged = events.len();
    // During recovery and in a gap a failed payment is kept: a fact about it, even that it was paid, may still come (SEMANTICS 7).
    if !state.withholds_conclusions() {
        let over = read_failures(state, &seqs);
        events.extend(over.into_iter().map(|id| forgotten(id, context.config)));
    }
    let forgotten = events.len() - acknowledged;
    Ok(Decision { events, reply: AcknowledgeReply { acknowledged, forgotten } })
}

fn check(
    state: &State,
    context: &Context<'_>,
    ids: &[NotificationId],
) -> Result<(), AcknowledgeRefusal> {
    if ids.len() > limits::ACKNOWLEDGE_IDS {
        let limit = limits::ACKNOWLEDGE_IDS;
        return Err(AcknowledgeRefusal::TooMany { given: ids.len(), limit });
    }
    for given in ids {
        // A crash may remove that event, and another one may get its seq: the user would never see that
        // one (SEMANTICS 5).
        if given.seq > context.durable_seq {
            let durable = context.durable_seq;
            return Err(AcknowledgeRefusal::Future { given: *given, durable });
        }
        // The id is of another log. If it counted here, a failure that nobody has seen would count as read (SEMANTICS 5).
        if let Some(unread) = state.outbox.get(given.seq)
            && unread.chain != given.chain
        {
            let known = NotificationId { seq: given.seq, chain: unread.chain };
            return Err(AcknowledgeRefusal::OtherLog { given: *given, known });
        }
    }
    Ok(())
}

/// The failed payments of which everything is read once these are.
fn read_failures(state: &State, seqs: &BTreeSet<u64>) -> Vec<PaymentId> {
    let mut read: BTreeMap<&PaymentId, u32> = BTreeMap::new();
    for owner in seqs.iter().filter_map(|seq| state.outbox.get(*seq)?.content.owner()) {
        *read.entry(owner).or_default() += 1;
    }
    let over = |id: &PaymentId, count: u32| {
        state.live(id).is_some_and(|(_, payment)| {
            // If it were forgotten with anything out or unread, the id would be free, and a repeat could be a second payment (SEMANTICS 6).
            matches!(payment.status, Status::Failed { .. })
                && payment.is_resolved()
                && !payment.details.failure_superseded
                && !state.is_blocked(payment, Ending::Nothing)
                && payment.unread == count
        })
    };
    read.into_iter().filter(|(id, count)| over(id, *count)).map(|(id, _)| *id).collect()
}
