//! Tick (SEMANTICS 6): the only place where time fires. Its work is recorded as events, bounded, and
//! costs what it changes.

use alloc::vec::Vec;

use crate::{
    amount::UnixMillis,
    command::Tick,
    decide::{Context, Decision, forgotten},
    event::Event,
    ids::PaymentId,
    limits,
    payment::Payment,
    refusal::TickRefusal,
    reply::TickReply,
    state::State,
    status::FailureReason,
};

pub(crate) fn tick(
    state: &State,
    context: &Context<'_>,
    _command: Tick,
) -> Result<Decision<TickReply>, TickRefusal> {
    if state.recovering {
        return Err(TickRefusal::Recovering);
    }
    let clock = Clock::read(state, context);
    let work = Work::due(state, context, clock.tick);
    let more = work.more;
    let reply = TickReply {
        counted: clock.counts,
        failed: work.lapsed.len(),
        forgotten: work.forgotten.len(),
        more,
    };
    let mut events = Vec::new();
    if clock.counts || clock.moves_back || more != state.tick_unfinished {
        let reference = clock.reference;
        events.push(Event::Ticked { tick: clock.tick, reference, unfinished: more });
    }
    events.extend(work.forgotten.into_iter().map(|id| forgotten(id, context.config)));
    let failed = work.lapsed.into_iter();
    events.extend(failed.map(|(id, reason)| Event::PaymentFailed { id, reason }));
    Ok(Decision { events, reply })
}

/// Whether this tick counts, and from when the next one is measured.
struct Clock {
    tick: u64,
    reference: UnixMillis,
    counts: bool,
    moves_back: bool,
}

impl Clock {
    fn read(state: &State, context: &Context<'_>) -> Self {
        let now = context.now;
        // A call that only goes on with unfinished work counts nothing.
        let asked = state.waits_by_ticks() && !state.tick_unfinished;
        let moves_back = asked && state.tick_reference.is_some_and(|reference| now < reference);
        let interval = context.config.min_tick_interval_ms;
        let far_enough =
            state.tick_reference.is_none_or(|reference| reference.plus(interval).is_past(now));
        let counts = asked && !moves_back && far_enough;
        let reference = match state.tick_reference {
            Some(reference) if !counts && !moves_back => reference,
            _ => now,
        };
        Self { tick: state.tick + u64::from(counts), reference, counts, moves_back }
    }
}

/// What is due at this tick, up to the most that one entry may change.
struct Work {
    forgotten: Vec<PaymentId>,
    lapsed: Vec<(PaymentId, FailureReason)>,
    more: bool,
}

impl Work {
    fn due(state: &State, context: &Context<'_>, tick: u64) -> Self {
        let keeps = u64::from(context.config.idempotency_ticks);
        let quiet_enough =
            |payment: &&Payment| payment.quiet().is_some_and(|quiet| tick - quiet.tick > keeps);
        let mut quiet = state.quiet().take_while(quiet_enough);
        let forgotten: Vec<_> =
            quiet.by_ref().take(limits::WORK_PAYMENTS).map(|payment| payment.id).collect();
        // In the gap of a Restored log no payment fails.
        let lapses = !state.withholds_verdicts();
        let lapsed = state.lapsed_by_tick(tick).chain(
            state
                .lapsed(context.now)
                .filter(|payment| payment.lapses_above_tick().is_none_or(|limit| tick <= limit)),
        );
        let mut lapsed = lapsed.take_while(|_| lapses);
        let room = limits::WORK_PAYMENTS - forgotten.len();
        let taken: Vec<_> = lapsed
            .by_ref()
            .take(room)
            .filter_map(|payment| Some((payment.id, payment.lapse(context.now, tick)?)))
            .collect();
        let more = quiet.next().is_some() || lapsed.next().is_some();
        Self { forgotten, lapsed: taken, more }
    }
}
