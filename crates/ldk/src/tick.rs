//! Ticks: what LDK tells in no event, what it may have forgotten, and what is due.

use core::ops::Deref;

use lightning::sign::EntropySource;
use payonce_core::{
    Answer, EventStore, FinalizePart, PartStatus, PaymentId, Remaining, RetryPolicy, State,
    StatusKind, TickReply, UnixMillis,
};
use payonce_runtime::Unavailable;

use crate::{
    border,
    engine::Engine,
    entry::entries,
    error::TickError,
    hand_over::HandOver,
    handled::Book as _,
    payer::{Payer, parts_out},
};

/// What a tick did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ticked {
    /// What the ledger's own tick did.
    pub ledger: TickReply,
    /// How many claimed parts are off their channels since.
    pub finalized: usize,
    /// What was handed over.
    pub driven: Vec<(PaymentId, HandOver)>,
}

impl<S, E, R> Payer<S, E, R>
where
    S: EventStore + Send + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    /// The node's timer, about once a minute, beside LDK's `timer_tick_occurred`: finalizes what
    /// LDK no longer tracks, tells LDK again what was given up, lets time pass in the ledger, and
    /// hands over what is due.
    ///
    /// # Errors
    /// [`TickError`].
    pub fn tick(&self, now: UnixMillis) -> Result<Ticked, TickError> {
        let finalized = self.finalize_untracked(now)?;
        self.abandon_again()?;
        let ledger = self.ledger.tick(now)?;
        let driven = self.drive(now)?;
        Ok(Ticked { ledger, finalized, driven })
    }

    /// Hands over every payment with something missing and nothing that forbids it: after a start,
    /// and whenever a failure should not wait for the next tick. A payment that is retried by hand
    /// ([`RetryPolicy::Manual`]) is handed over here only if it never was.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn drive(&self, now: UnixMillis) -> Result<Vec<(PaymentId, HandOver)>, Unavailable> {
        let due = self.ledger.query(|state| {
            let due = state.due(now).into_iter().filter(|lacks| is_ours_to_drive(state, lacks));
            due.map(|lacks| lacks.id).collect::<Vec<_>>()
        })?;
        due.into_iter().map(|id| Ok((id, self.hand_over(&id, now)?))).collect()
    }

    /// LDK tells the end of a payment's last HTLC in no event: it stops tracking the payment, some
    /// ticks later. The ledger is asked first: what it holds as claimed by then, LDK has tracked.
    fn finalize_untracked(&self, now: UnixMillis) -> Result<usize, Unavailable> {
        let claimed = self.ledger.query(|state| {
            let claimed =
                state.unresolved().into_iter().filter(|at| at.part.status == PartStatus::Claimed);
            claimed.map(|at| FinalizePart { id: at.payment, part: at.part.id }).collect::<Vec<_>>()
        })?;
        if claimed.is_empty() {
            return Ok(0);
        }
        let tracked = entries(self.engine());
        let gone = claimed.into_iter().filter(|at| !tracked.contains_key(&at.part));
        let told = self.ledger.tell(gone.map(Answer::Gone).collect(), now)?;
        Ok(told.iter().flatten().filter(|reply| reply.changed).count())
    }

    fn abandon_again(&self) -> Result<(), Unavailable> {
        let out = self.ledger.query(|state| {
            let abandoned = state.payments(StatusKind::Abandoned);
            abandoned.flat_map(parts_out).collect::<Vec<_>>()
        })?;
        for part in out {
            self.engine.abandon(border::engine_id(&part));
        }
        Ok(())
    }
}

fn is_ours_to_drive(state: &State, lacks: &Remaining) -> bool {
    let Some(payment) = state.payment(&lacks.id) else { return false };
    let retry = payment.request().map(|request| request.retry);
    payment.attempts() == 0 || retry.is_some_and(|retry| retry != RetryPolicy::Manual)
}
