//! What a fact about one payment means for other payments: those that hold a hash that is now paid, and
//! those that were blocked by something that has ended.

use alloc::vec::Vec;

use crate::{
    base::faults,
    base::faults::Fault,
    base::ids::{PaymentHash, PaymentId, Preimage},
    base::slab::Handle,
    decide::config::Remember,
    decide::decision::Context,
    decide::draft::Draft,
    event::event::Event,
    event::hash_paid::PaidElsewhere,
    state::state::{Ending, State},
};

/// What has happened, and which payments' events say so already.
pub(crate) struct News<'a> {
    /// Each hash that is now paid, and by which payment: no other payment may pay it any more.
    pub(crate) paid: &'a [(PaymentHash, PaidElsewhere)],
    /// The preimage that proves it; `None` on a word.
    pub(crate) proof: Option<Preimage>,
    /// Something that may have blocked them has ended.
    pub(crate) ending: Ending<'a>,
    /// The payments whose own events say it already.
    pub(crate) done: &'a [PaymentId],
}

/// Adds what follows for other payments. A hash that another payment has named stays known as paid while
/// that payment lives, even if the payer is forgotten. A payment that holds a paid hash is given up,
/// since it would pay a settled invoice. A payment that paid the hash on a word now has the proof. A
/// payment that nothing blocks any more may end.
pub(crate) fn follow(
    state: &State,
    context: &Context<'_>,
    events: &mut Vec<Event>,
    news: &News<'_>,
) {
    for (hash, _) in news.paid {
        if state.is_needed_beside(hash, news.done) {
            keep_paid(state, context, events, (*hash, news.proof));
        }
    }
    for handle in touched(state, news) {
        let payment = state.payments.get(handle);
        if news.done.contains(&payment.id) {
            continue;
        }
        let mut draft = Draft::after(state, context, payment, news.ending);
        for (hash, by) in news.paid {
            draft.paid_elsewhere(hash, *by);
            if let Some(preimage) = news.proof {
                draft.prove_word(*hash, preimage);
            }
        }
        draft.conclude(false);
        events.append(&mut draft.events);
    }
}

/// Records that a hash is paid, if a live payment other than its payer holds it or has named it in any
/// of its tries: once the payer is forgotten nothing else would show it, and the hash would be paid
/// again.
pub(crate) fn keep_paid(
    state: &State,
    context: &Context<'_>,
    events: &mut Vec<Event>,
    (payment_hash, preimage): (PaymentHash, Option<Preimage>),
) {
    let kept = |event: &Event| match event {
        Event::HashPaid { payment_hash: of, payer: None, .. } => *of == payment_hash,
        _ => false,
    };
    let known = || state.hash_paid(&payment_hash).is_some() || events.iter().any(kept);
    let window = context.config.remember == Remember::Window;
    if window && !known() && !faults::is(Fault::PaidHashDies) {
        events.push(Event::HashPaid { payment_hash, preimage, payer: None });
    }
}

/// The payments that hold a hash which is paid or no longer blocked, and the payment under whose id a
/// foreign part was reported. Each once, oldest first.
fn touched(state: &State, news: &News<'_>) -> Vec<Handle> {
    let mut handles = Vec::new();
    for (hash, _) in news.paid {
        handles.extend(state.holders(hash));
        if news.proof.is_some() {
            handles.extend(state.payers(hash));
        }
    }
    match news.ending {
        Ending::Nothing => {}
        Ending::Block(hash) => handles.extend(state.holders(hash)),
        Ending::OnChannel(part) => {
            let foreign_part = state.foreign_part_of(part);
            handles.extend(
                foreign_part
                    .iter()
                    .flat_map(|foreign_part| state.holders(&foreign_part.payment_hash)),
            );
        }
        Ending::Told(part) => {
            let foreign_part = state.foreign_part_of(part);
            let named = foreign_part.and_then(|foreign_part| state.live(&foreign_part.payment));
            handles.extend(named.map(|(handle, _)| handle));
        }
        Ending::ForeignParts(parts) => {
            for foreign_part in parts.iter().filter_map(|part| state.foreign_part_of(part)) {
                handles.extend(state.live(&foreign_part.payment).map(|(handle, _)| handle));
                handles.extend(state.holders(&foreign_part.payment_hash));
            }
        }
    }
    handles.sort_by_key(|handle| state.payments.get(*handle).created_seq);
    handles.dedup();
    handles
}
