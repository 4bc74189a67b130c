//! Giving a payment up: recorded first, then told to LDK.

use core::ops::Deref;

use lightning::sign::EntropySource;
use payonce_core::{
    Abandon, AbandonReply, EventStore, FailureReason, PartStatus, PaymentId, UnixMillis,
    UnresolvedPart,
};
use payonce_runtime::Unavailable;

use crate::{
    bridge::border,
    bridge::engine::Engine,
    events::book::{Book, Desk, InTask, OnThread, on_thread},
    payer::error::AbandonError,
    payer::payer::{Payer, parts_out, wants_no_more},
};

impl<S, E, R> Payer<S, E, R>
where
    S: EventStore + Send + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    /// Asks that nothing more is tried, now and by LDK. A request, not a result: what is out may
    /// still pay.
    ///
    /// # Errors
    /// [`AbandonError`] for an unknown payment, or when the ledger answers nothing.
    pub fn abandon(&self, id: &PaymentId, now: UnixMillis) -> Result<AbandonReply, AbandonError> {
        on_thread(self.abandon_at(&OnThread(&self.ledger), id, now))
    }

    /// [`abandon`](Self::abandon) for tasks.
    ///
    /// # Errors
    /// As [`abandon`](Self::abandon).
    pub async fn abandon_async(
        &self,
        id: &PaymentId,
        now: UnixMillis,
    ) -> Result<AbandonReply, AbandonError> {
        self.abandon_at(&InTask(&self.ledger), id, now).await
    }

    async fn abandon_at(
        &self,
        desk: &impl Desk,
        id: &PaymentId,
        now: UnixMillis,
    ) -> Result<AbandonReply, AbandonError> {
        let (id, reason) = (*id, FailureReason::UserAbandoned);
        let reply = desk.execute(Abandon { id, reason }, now).await?;
        let out = desk.ask(move |state| state.payment(&id).map(parts_out)).await?;
        for part in out.unwrap_or_default() {
            self.engine.abandon(border::engine_id(&part));
        }
        Ok(reply)
    }

    /// Tells LDK again what nothing more is to leave for: it may not have heard, or have forgotten.
    pub(crate) async fn abandon_again(&self, book: &impl Book) -> Result<(), Unavailable> {
        let out = book.ask(|state| {
            let wanted =
                |id: &PaymentId| state.payment(id).is_some_and(|payment| !wants_no_more(payment));
            let is_out = |at: &UnresolvedPart| {
                !at.foreign && at.part.status == PartStatus::InFlight && !wanted(&at.payment)
            };
            let out = state.unresolved().into_iter().filter(is_out);
            out.map(|at| at.part.id).collect::<Vec<_>>()
        });
        for part in out.await? {
            self.engine.abandon(border::engine_id(&part));
        }
        Ok(())
    }
}
