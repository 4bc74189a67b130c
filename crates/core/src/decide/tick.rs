//! Tick (SEMANTICS 6): the only place where deadlines act by themselves. Its work is recorded as events,
//! is bounded, and costs what it changes.

use alloc::vec::Vec;

use crate::{
    base::amount::UnixMillis,
    base::faults::Fault,
    base::ids::{PaymentHash, PaymentId},
    base::{faults, limits},
    decide::clock,
    decide::command::Tick,
    decide::config::Remember,
    decide::decision::{Context, Decision, forgotten},
    decide::refusal::PhaseRefusal,
    decide::reply::TickReply,
    event::event::Event,
    event::status::FailureReason,
    payment::payment::Payment,
    payment::timing::Time,
    state::state::{Ending, State},
};

pub(crate) fn tick(
    state: &State,
    context: &Context<'_>,
    command: Tick,
) -> Result<Decision<TickReply>, PhaseRefusal> {
    // Before the node has reported what is out, a payment that fails at its deadline may be a paid one
    // (SEMANTICS 7).
    if state.recovering {
        return Err(PhaseRefusal::Recovering);
    }
    let clock = Clock::read(state, context);
    let work = Work::due(state, context, clock.time());
    let mut events = Vec::new();
    if let Some(height) = command.height.filter(|height| tells_height(state, *height)) {
        events.push(Event::HeightTold { height });
    }
    if !clock.believed {
        // Nothing is concluded from it: one wrong clock would fail every open payment, and forget those
        // that are paid, whose repeats would then pay again (SEMANTICS 6). It is kept only where
        // somebody waits: the next reading that agrees with it is believed.
        let waits = state.waits_by_ticks() || !work.is_empty();
        if waits && clock::doubts_anew(state, context) {
            let (tick, reference) =
                (state.tick, state.tick_reference.unwrap_or(state.first_reading));
            let (unfinished, doubted) = (state.tick_unfinished, Some(context.now));
            events.push(Event::Ticked { tick, reference, unfinished, doubted });
        }
        let reply = TickReply { counted: false, failed: 0, forgotten: 0, more: false };
        return Ok(Decision { events, reply });
    }
    let more = work.more;
    let reply = TickReply {
        counted: clock.counts,
        failed: work.lapsed.len(),
        forgotten: work.forgotten.len(),
        more,
    };
    if clock.counts || clock.moves || more != state.tick_unfinished {
        let (tick, reference) = (clock.tick, clock.reference);
        events.push(Event::Ticked { tick, reference, unfinished: more, doubted: None });
    }
    events.extend(work.forgotten.into_iter().map(|id| forgotten(id, context.config)));
    let hashes = work.hashes.into_iter();
    events.extend(hashes.map(|payment_hash| Event::HashForgotten { payment_hash }));
    let failed = work.lapsed.into_iter();
    events.extend(failed.map(|(id, reason)| Event::PaymentFailed { id, reason }));
    Ok(Decision { events, reply })
}

/// A height is recorded once a part is at or past its CLTV expiry, and each height only once.
fn tells_height(state: &State, height: u32) -> bool {
    let higher = state.height.is_none_or(|known| height > known);
    higher && state.is_overdue(height)
}

/// Whether this tick is believed and counts, and from when the next one is measured.
struct Clock {
    now: UnixMillis,
    tick: u64,
    reference: UnixMillis,
    believed: bool,
    counts: bool,
    /// The reference moves although the tick does not count: back to a clock that is right again, or
    /// forward to a reading that a second one confirmed.
    moves: bool,
}

impl Clock {
    fn read(state: &State, context: &Context<'_>) -> Self {
        let now = context.now;
        // A call that only continues unfinished work does not count as a tick: a restart loop would
        // shorten the time for which a paid id is known.
        let asked = state.waits_by_ticks() && !state.tick_unfinished;
        let believed = clock::believes_tick(state, context);
        // If the clock was set back, the reference moves back too: otherwise no tick would count until
        // the clock has caught up.
        let moves_back = asked && state.tick_reference.is_some_and(|reference| now < reference);
        let confirmed = believed && !clock::believes(state, context);
        let interval = context.config.min_tick_interval_ms;
        let far_enough =
            state.tick_reference.is_none_or(|reference| reference.plus(interval).is_past(now));
        let counts = asked && believed && !moves_back && far_enough;
        let moves = moves_back || (confirmed && !counts);
        let reference = match state.tick_reference {
            Some(reference) if !counts && !moves => reference,
            _ => now,
        };
        let tick = state.tick + u64::from(counts);
        Self { now, tick, reference, believed, counts, moves }
    }

    const fn time(&self) -> Time {
        Time { now: self.now, tick: self.tick, believed: true }
    }
}

/// What is due at this tick, up to the most that one entry may change.
struct Work {
    forgotten: Vec<PaymentId>,
    hashes: Vec<PaymentHash>,
    lapsed: Vec<(PaymentId, FailureReason)>,
    more: bool,
}

impl Work {
    fn due(state: &State, context: &Context<'_>, time: Time) -> Self {
        let mut work =
            Self { forgotten: Vec::new(), hashes: Vec::new(), lapsed: Vec::new(), more: false };
        // In the gap of a Restored log no payment fails, and nothing is forgotten: what is told of the
        // gap may be about it.
        if state.withholds_conclusions() {
            return work;
        }
        let keeps = u64::from(context.config.idempotency_ticks);
        let at_once = faults::is(Fault::ForgetsAtOnce);
        let long_since = |tick: u64| time.tick - tick > keeps || at_once;
        // Only after nothing more can be reported about it, and its user has acknowledged how it ended.
        let idle_enough =
            |payment: &&Payment| payment.idle().is_some_and(|idle| long_since(idle.tick));
        let mut idle = state.idle().take_while(idle_enough);
        work.forgotten =
            idle.by_ref().take(limits::WORK_PAYMENTS).map(|payment| payment.id).collect();
        work.more = idle.next().is_some();
        // `Payment::review` makes sure of this after every event: nothing that is unread or out is
        // forgotten.
        let over = |id| state.live(id).is_some_and(|(_, payment)| payment.is_over());
        debug_assert!(work.forgotten.iter().all(over), "idle is only what is over");
        if context.config.remember == Remember::Window {
            let idle = state.idle_hashes().take_while(|(since, ..)| long_since(*since));
            let hashes = idle.map(|(.., paid)| paid.payment_hash);
            let unneeded = hashes.filter(|hash| {
                // A payment may still send under this hash. If the hash were forgotten, it would be paid
                // again (SEMANTICS 4).
                let needed =
                    state.is_needed_beside(hash, &work.forgotten) || state.is_foreign_hash(hash);
                !needed && !state.blocked.contains(hash)
            });
            work.hashes = unneeded.take(work.room()).collect();
        }
        let lapsed =
            state.lapsed_by_tick(time.tick).chain(state.lapsed(time.now).filter(|payment| {
                payment.lapses_above_tick().is_none_or(|limit| time.tick <= limit)
            }));
        // What is out may yet be paid: told failed now, the user would pay in another way.
        let mut lapsed = lapsed.filter(|payment| !state.is_blocked(payment, Ending::Nothing));
        let room = work.room();
        let taken = lapsed.by_ref().take(room);
        work.lapsed =
            taken.filter_map(|payment| Some((payment.id, payment.lapse(time)?))).collect();
        // `Payment::lapse` makes sure of this: a part that is out may still be claimed.
        let resolved = |id| state.live(id).is_some_and(|(_, payment)| payment.is_resolved());
        debug_assert!(
            work.lapsed.iter().all(|(id, _)| resolved(id)),
            "nothing is out of what fails"
        );
        work.more |= lapsed.next().is_some();
        work
    }

    fn room(&self) -> usize {
        limits::WORK_PAYMENTS.saturating_sub(self.forgotten.len() + self.hashes.len())
    }

    fn is_empty(&self) -> bool {
        self.forgotten.is_empty() && self.hashes.is_empty() && self.lapsed.is_empty()
    }
}
