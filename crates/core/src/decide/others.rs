//! What a fact about one payment means for others: those that hold the hash that is paid now, and those
//! whom something blocked that has ended.

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

/// What has happened to others, and whose events say it already.
pub(crate) struct News<'a> {
    /// Hashes that are paid.
    pub(crate) paid: &'a [(PaymentHash, PaidElsewhere)],
    /// The proof of them, if there is one.
    pub(crate) proof: Option<Preimage>,
    /// Something that may have blocked them has ended.
    pub(crate) ending: Ending<'a>,
    /// Those that need not be looked at.
    pub(crate) done: &'a [PaymentId],
}

/// Adds what follows: a hash that another payment has named stays known as paid for as long as that one
/// lives, whoever paid it is forgotten; who holds a hash that is paid is given up, since what it would send goes to an
/// invoice that is settled; who was paid for it on a word has the proof; who is blocked by nothing any more
/// may end.
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

/// Records that a hash is paid where a live payment other than its payer holds it, or has named it in any
/// of its tries: once its payer is forgotten nothing else would say so, and it would be paid again.
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

/// All that hold a hash that is paid, or that has been blocked; and the payment under which a foreign part was
/// told. Each once, oldest first.
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
