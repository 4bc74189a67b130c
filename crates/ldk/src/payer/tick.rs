//! Ticks: what LDK tells in no event, what it may have forgotten, and what is due.

use core::ops::Deref;

use lightning::sign::EntropySource;
use payonce_core::{
    Answer, EventStore, FinalizePart, PartStatus, PaymentId, Remaining, RetryPolicy, State,
    TickReply, UnixMillis,
};
use payonce_runtime::Unavailable;

use crate::{
    bridge::engine::Engine,
    bridge::entry::entries,
    events::book::{Book, Desk, InTask, OnThread, on_thread},
    payer::error::{Interrupted, TickError},
    payer::hand_over::HandOver,
    payer::payer::Payer,
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
        on_thread(self.tick_at(&OnThread(&self.ledger), now))
    }

    /// [`tick`](Self::tick) for tasks.
    ///
    /// # Errors
    /// As [`tick`](Self::tick).
    pub async fn tick_async(&self, now: UnixMillis) -> Result<Ticked, TickError> {
        self.tick_at(&InTask(&self.ledger), now).await
    }

    async fn tick_at(&self, desk: &impl Desk, now: UnixMillis) -> Result<Ticked, TickError> {
        let finalized = self.finalize_untracked(desk, now).await?;
        self.abandon_again(desk).await?;
        let ledger = desk.tick(now).await?;
        let driven = self.drive_at(desk, now).await?;
        Ok(Ticked { ledger, finalized, driven })
    }

    /// Hands over every payment with something missing and nothing that forbids it: after a start,
    /// and whenever a failure should not wait for the next tick. A payment that is retried by hand
    /// ([`RetryPolicy::Manual`]) is handed over here only if it never was.
    ///
    /// # Errors
    /// [`Interrupted`]: which of them LDK has is not known.
    pub fn drive(&self, now: UnixMillis) -> Result<Vec<(PaymentId, HandOver)>, Interrupted> {
        on_thread(self.drive_at(&OnThread(&self.ledger), now))
    }

    /// [`drive`](Self::drive) for tasks.
    ///
    /// # Errors
    /// As [`drive`](Self::drive).
    pub async fn drive_async(
        &self,
        now: UnixMillis,
    ) -> Result<Vec<(PaymentId, HandOver)>, Interrupted> {
        self.drive_at(&InTask(&self.ledger), now).await
    }

    async fn drive_at(
        &self,
        desk: &impl Desk,
        now: UnixMillis,
    ) -> Result<Vec<(PaymentId, HandOver)>, Interrupted> {
        let due = desk.ask(move |state| {
            let due = state.due(now).into_iter().filter(|lacks| is_ours_to_drive(state, lacks));
            due.map(|lacks| lacks.id).collect::<Vec<_>>()
        });
        let mut driven = Vec::new();
        for id in due.await? {
            driven.push((id, self.hand_over_at(desk, &id, now).await?));
        }
        Ok(driven)
    }

    /// LDK tells the end of a payment's last HTLC in no event: it stops tracking the payment, some
    /// ticks later. The ledger is asked first: what it holds as claimed by then, LDK has tracked.
    async fn finalize_untracked(
        &self,
        book: &impl Book,
        now: UnixMillis,
    ) -> Result<usize, Unavailable> {
        let claimed = book.ask(|state| {
            let claimed =
                state.unresolved().into_iter().filter(|at| at.part.status == PartStatus::Claimed);
            claimed.map(|at| FinalizePart { id: at.payment, part: at.part.id }).collect::<Vec<_>>()
        });
        let claimed = claimed.await?;
        if claimed.is_empty() {
            return Ok(0);
        }
        let tracked = entries(self.engine());
        let gone = claimed.into_iter().filter(|at| !tracked.contains_key(&at.part));
        let told = book.tell(gone.map(Answer::Gone).collect(), now).await?;
        Ok(told.iter().flatten().filter(|reply| reply.changed).count())
    }
}

fn is_ours_to_drive(state: &State, lacks: &Remaining) -> bool {
    let Some(payment) = state.payment(&lacks.id) else { return false };
    let retry = payment.request().map(|request| request.retry);
    payment.attempts() == 0 || retry.is_some_and(|retry| retry != RetryPolicy::Manual)
}
