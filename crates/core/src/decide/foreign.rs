//! Parts under a hash of their own, about which only a human can say whose they are.

use alloc::vec;

use crate::{
    command::DisownPart,
    decide::{
        Context, Decision, apart,
        others::{self, News},
        resolution::check_assertion_text,
    },
    event::Event,
    refusal::FactRefusal,
    reply::FactReply,
    state::{Ending, State},
};

/// A claimed part is not of the payment under which it was told: it holds it up no more. Its hash stays
/// known as paid.
pub(crate) fn disown(
    state: &State,
    context: &Context<'_>,
    command: DisownPart,
) -> Result<Decision<FactReply>, FactRefusal> {
    let DisownPart { part, assertion } = command;
    check_assertion_text(Some(&assertion))?;
    let Some(stray) = state.stray_of(&part) else {
        return Err(FactRefusal::UnknownPart { part });
    };
    if stray.disowned {
        return Ok(apart(vec![]));
    }
    if !stray.part.fate.is_settled() {
        return Err(FactRefusal::NotClaimed { part, fate: stray.part.fate });
    }
    let mut events = vec![Event::PartDisowned { id: stray.payment, part, assertion }];
    let news = News { paid: None, proof: None, ending: Ending::Told(&part), done: &[] };
    others::follow(state, context, &mut events, &news);
    Ok(apart(events))
}
