//! Handling: what LDK's events tell is recorded before LDK may forget them.

use core::ops::Deref;

use lightning::{events::Event, sign::EntropySource};
use payonce_core::{EventStore, UnixMillis};

use crate::{
    bridge::engine::Engine,
    events::book::{Book, InTask, OnThread, on_thread},
    events::handled::Handled,
    events::telling::tell_event,
    payer::error::HandleError,
    payer::payer::Payer,
};

impl<S, E, R> Payer<S, E, R>
where
    S: EventStore + Send + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    /// Takes an event of LDK. What it says is durable when the call returns, so LDK may forget it.
    /// Call it for every event, first of all handlers; events of other matters are passed over.
    ///
    /// It gives nothing to LDK: a payment whose hand-over failed is handed over again at the next
    /// [`tick`](Self::tick) or [`drive`](Self::drive).
    ///
    /// # Errors
    /// [`HandleError`], only when the store failed: return it to LDK (it becomes a `ReplayEvent`),
    /// stop, and open the ledger again.
    pub fn handle_event(&self, event: &Event, now: UnixMillis) -> Result<Handled, HandleError> {
        on_thread(self.handle_at(&OnThread(&self.ledger), event, now))
    }

    /// [`handle_event`](Self::handle_event) for tasks: LDK's `process_pending_events_async`, and the async
    /// background processor.
    ///
    /// # Errors
    /// As [`handle_event`](Self::handle_event).
    pub async fn handle_event_async(
        &self,
        event: &Event,
        now: UnixMillis,
    ) -> Result<Handled, HandleError> {
        self.handle_at(&InTask(&self.ledger), event, now).await
    }

    async fn handle_at(
        &self,
        book: &impl Book,
        event: &Event,
        now: UnixMillis,
    ) -> Result<Handled, HandleError> {
        let paths = self.options.path_reports;
        let (handled, facts) = tell_event(book, &*self.engine, event, paths, now).await?;
        if let Some(named) = facts.and_then(|facts| facts.named) {
            self.is_known(&named);
        }
        Ok(handled)
    }
}
