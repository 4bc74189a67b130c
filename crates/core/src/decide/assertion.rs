//! An operator's word: when it is taken.

use crate::{
    base::faults::Fault,
    base::{faults, limits},
    decide::config::Config,
    decide::decision::Context,
    decide::refusal::{AssertionLimit, FactRefusal},
    event::part::{Assertion, PartKind},
    payment::part::Part,
    state::state::State,
};

/// # Errors
/// When a text is too long.
pub(crate) fn check_assertion_text(assertion: Option<&Assertion>) -> Result<(), FactRefusal> {
    let Some(assertion) = assertion else { return Ok(()) };
    let texts = [
        (assertion.by.len(), limits::ASSERTED_BY_BYTES),
        (assertion.why.len(), limits::ASSERTED_WHY_BYTES),
    ];
    match texts.into_iter().find(|(bytes, limit)| bytes > limit) {
        Some((bytes, limit)) => Err(FactRefusal::TooLong { bytes, limit }),
        None => Ok(()),
    }
}

/// From when an operator's word that a part is dead is taken: well after its channel must have told, by
/// the height that the node told; else long after it was first recorded.
pub(crate) fn check_assertion(
    state: &State,
    context: &Context<'_>,
    part: &Part,
    assertion: &Assertion,
) -> Result<(), FactRefusal> {
    let Config { assertion_margin_blocks, assertion_delegated_age_ms, .. } = *context.config;
    let listed =
        part.is_listed_since(state.recovery_since) && !faults::is(Fault::AssertedWhileListed);
    if listed && !assertion.although_listed {
        return Err(FactRefusal::ListedAsOut { part: part.id });
    }
    let (early, from) = match part.kind {
        PartKind::Htlc { cltv_expiry: Some(expiry), .. } => {
            let from = expiry.saturating_add(assertion_margin_blocks);
            let early = state.height.is_none_or(|height| height < from);
            (early && !faults::is(Fault::AssertedAtAnyHeight), AssertionLimit::Height(from))
        }
        _ => {
            let from = part.recorded_at.plus(assertion_delegated_age_ms);
            (!from.is_past(context.now), AssertionLimit::Moment(from))
        }
    };
    if early { Err(FactRefusal::AssertedTooEarly { part: part.id, from }) } else { Ok(()) }
}
