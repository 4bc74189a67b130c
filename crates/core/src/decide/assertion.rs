//! An operator's word: when it is accepted.

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

/// Checks whether an operator's word that a part failed can be accepted yet: well after its channel must
/// have shown its end, by the height that the node reported; without a CLTV expiry, long after it was
/// first recorded.
pub(crate) fn check_assertion(
    state: &State,
    context: &Context<'_>,
    part: &Part,
    assertion: &Assertion,
) -> Result<(), FactRefusal> {
    let Config { assertion_margin_blocks, assertion_delegated_age_ms, .. } = *context.config;
    let listed =
        part.is_listed_since(state.recovery_since) && !faults::is(Fault::AssertedWhileListed);
    // The node listed it as out. An operator who does not know that would refund a payment that may
    // still be claimed (SEMANTICS 4).
    if listed && !assertion.although_listed {
        return Err(FactRefusal::ListedAsOut { part: part.id });
    }
    let (early, from) = match part.kind {
        PartKind::Htlc { cltv_expiry: Some(expiry), .. } => {
            let from = expiry.saturating_add(assertion_margin_blocks);
            // Before that height the claim may still come from the channel, after the user was refunded
            // (SEMANTICS 4).
            let early = state.height.is_none_or(|height| height < from);
            (early && !faults::is(Fault::AssertedAtAnyHeight), AssertionLimit::Height(from))
        }
        _ => {
            // No channel of ours shows its end: the engine may still pay it for as long as an HTLC can
            // be out (SEMANTICS 4).
            let from = part.recorded_at.plus(assertion_delegated_age_ms);
            (!from.is_past(context.now), AssertionLimit::Moment(from))
        }
    };
    if early { Err(FactRefusal::AssertedTooEarly { part: part.id, from }) } else { Ok(()) }
}
