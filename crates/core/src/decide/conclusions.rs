//! The conclusions that recovery and a gap withhold (SEMANTICS 7): drawn from all facts together, so
//! that the order of the facts cannot matter.

use crate::{
    base::limits,
    decide::command::{CloseGap, FinishRecovery},
    decide::decision::{Context, Decision},
    decide::draft::Draft,
    decide::refusal::PhaseRefusal,
    decide::reply::WorkReply,
    event::event::Event,
    payment::payment::ConclusionDue,
    state::state::State,
};

pub(crate) fn finish_recovery(
    state: &State,
    context: &Context<'_>,
    _command: FinishRecovery,
) -> Result<Decision<WorkReply>, PhaseRefusal> {
    if !state.recovering {
        return Err(PhaseRefusal::NotRecovering);
    }
    Ok(draw(state, context, Event::Recovered, state.gap))
}

pub(crate) fn close_gap(
    state: &State,
    context: &Context<'_>,
    _command: CloseGap,
) -> Result<Decision<WorkReply>, PhaseRefusal> {
    if !state.gap {
        return Err(PhaseRefusal::NotRestored);
    }
    Ok(draw(state, context, Event::GapClosed, state.recovering))
}

/// Draws as many conclusions as fit into one entry; the last entry also records `end`. If they are still
/// withheld for the other reason, records `end` alone.
fn draw(
    state: &State,
    context: &Context<'_>,
    end: Event,
    still_withheld: bool,
) -> Decision<WorkReply> {
    // A failure told before the last fact is in would be a refund of what another fact says is paid.
    let mut events = alloc::vec::Vec::new();
    let mut drawn = 0;
    if !still_withheld {
        for payment in state.undecided() {
            let mut draft = Draft::of(state, context, payment);
            draft.draw_conclusion(payment.conclusion_due == ConclusionDue::PartFailed);
            if draft.events.is_empty() {
                continue;
            }
            if drawn == limits::WORK_PAYMENTS {
                return Decision { events, reply: WorkReply { more: true } };
            }
            drawn += 1;
            events.append(&mut draft.events);
        }
    }
    events.push(end);
    Decision { events, reply: WorkReply { more: false } }
}
