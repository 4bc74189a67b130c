//! Which readings of the clock are believed (SEMANTICS 6): one wrong reading must neither end nor extend
//! anything permanently.

use crate::{
    base::amount::UnixMillis, base::faults, base::faults::Fault, decide::config::Config,
    decide::decision::Context, payment::timing::Time, state::state::State,
};

/// How far a reading may lie past the last counted tick and still be believed, in milliseconds.
const BELIEVED_MS: u64 = 3_600_000;

/// How far a reading may lie past it under this configuration: more, if ticks count less often than once
/// an hour.
fn believed_ms(config: &Config) -> u64 {
    BELIEVED_MS.max(config.min_tick_interval_ms.saturating_mul(2))
}

/// The reading with which others are compared: the last counted tick's; before the first one that of
/// the first opening.
fn reference(state: &State) -> UnixMillis {
    state.tick_reference.unwrap_or(state.first_reading)
}

/// Whether a command's reading is close enough to the last counted tick to give anything up for time.
pub(crate) fn believes(state: &State, context: &Context<'_>) -> bool {
    let limit = reference(state).plus(believed_ms(context.config));
    context.now <= limit || faults::is(Fault::EveryClockBelieved)
}

/// The time of a command.
pub(crate) fn time(state: &State, context: &Context<'_>) -> Time {
    Time { now: context.now, tick: state.tick, believed: believes(state, context) }
}

/// Whether a tick's reading is believed: also one that agrees with a doubted one, a tick's interval
/// after it, so that a restart loop does not confirm itself.
pub(crate) fn believes_tick(state: &State, context: &Context<'_>) -> bool {
    let agrees = |doubted: UnixMillis| {
        let earliest = doubted.plus(context.config.min_tick_interval_ms);
        earliest.is_past(context.now) && !is_far_from(doubted, context)
    };
    believes(state, context) || state.tick_doubted.is_some_and(agrees)
}

/// Whether this reading is to be kept as the one with which the next must agree: not if it agrees with
/// the one that is kept, which is only not old enough yet.
pub(crate) fn doubts_anew(state: &State, context: &Context<'_>) -> bool {
    state.tick_doubted.is_none_or(|doubted| is_far_from(doubted, context))
}

fn is_far_from(doubted: UnixMillis, context: &Context<'_>) -> bool {
    context.now < doubted || context.now > doubted.plus(believed_ms(context.config))
}
