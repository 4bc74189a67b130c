//! Leading: whoever commits the batch that has formed, for all who wait for it.

use std::{
    mem,
    time::{Duration, Instant},
};

use payonce_core::{EventStore, Receipt, ReleaseError, StoreError};

use crate::{
    base::sync::{Ordering, lock, thread},
    base::waiter::done,
    commit::batch::Batch,
    commit::commit::Commit,
    commit::feed::Feed,
    commit::front::{Front, Guard, WriterPost},
    commit::telemetry::Vitals,
};

/// Which fraction of the time of an append a leader waits for one more caller.
const PATIENCE: u32 = 4;

/// So many callers are written together. Of more of them some are woken and decide while others are
/// written.
const FEW: usize = 24;

impl<S: EventStore> Commit<S> {
    /// Commits the batch that has formed, and gives proof if it is durable. Only who leads calls it;
    /// afterwards somebody else does, or nobody has to.
    pub(crate) fn lead(&self, front: Guard<'_, S>, share: usize) -> Option<Receipt> {
        let guard = LeaderGuard { commit: self, fulfilled: false };
        let mut front = self.gather(front, share);
        let mut batch = front.take_batch();
        let ended = mem::take(&mut batch.ended);
        let room = mem::take(&mut front.room);
        let fed = front.feed.is_read();
        drop(front);
        done(room);
        let begun = Instant::now();
        let outcome = self.write(&batch).map_err(|error| self.first_cause(error));
        let took = begun.elapsed();
        let copies = if fed { Feed::copy(&batch.entries) } else { Vec::new() };
        let mut front = self.lock();
        // No clock decides in a model.
        front.patience = if cfg!(payonce_shuttle) { Duration::ZERO } else { took / PATIENCE };
        let mut told = front.finish(batch, outcome);
        if front.fault.is_none() {
            told.others.extend(front.feed.extend(fed, copies));
            told.others.extend(front.outcomes.end(&ended));
        }
        self.observe(&mut front);
        self.call_keeper(&front);
        // A writer thread that waits to go home is told as well that nobody leads any more.
        let call_writer = front.writer == WriterPost::Leads || front.closing;
        let unattended = front.is_unattended();
        drop(front);
        guard.fulfilled();
        if unattended {
            drop(self.take_store());
        }
        if call_writer {
            self.writer_called.notify_one();
        }
        let receipt = told.receipt.clone();
        told.tell();
        receipt
    }

    /// Lets callers run who are about to submit: until one in `share` of those who seem to be here
    /// has, as long as more of them come, and for each a fraction of what an append takes. Costs
    /// nothing to who is alone.
    ///
    /// It yields rather than sleeps: the others run where it ran, and none has to wake it.
    fn gather<'a>(&'a self, front: Guard<'a, S>, share: usize) -> Guard<'a, S> {
        let expected = if front.callers > FEW { front.callers / share } else { front.callers };
        // No more of them fit.
        let expected = expected.min(self.options.queue_commands);
        let (patience, mut before) = (front.patience, front.queued());
        if patience.is_zero() || before >= expected {
            return front;
        }
        drop(front);
        let mut since = Instant::now();
        while before < expected && since.elapsed() < patience {
            thread::yield_now();
            let queued = self.queued.load(Ordering::Relaxed);
            if queued > before {
                (before, since) = (queued, Instant::now());
            }
        }
        self.lock()
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let span = tracing::debug_span!(
            "payonce.commit",
            batch = batch.number,
            entries = batch.entries.len(),
            bytes = batch.bytes
        );
        let _entered = span.enter();
        let mut store = lock(&self.store);
        let store = store.as_mut().expect("the store is handed back only when nobody leads");
        if batch.entries.is_empty() {
            return if batch.asks_owner { store.confirm_owner() } else { Ok(()) };
        }
        let begun = Instant::now();
        let outcome = store.append(&batch.entries);
        self.telemetry.appended(batch.entries.len(), batch.bytes, begun.elapsed(), &outcome);
        outcome
    }

    /// Brings the gauges up to date with what is durable.
    fn observe(&self, front: &mut Front<S>) {
        self.telemetry.queued(front.queued());
        let vitals = front.vitals.take();
        let vitals = vitals.unwrap_or_else(|| front.machine.query(Vitals::of));
        match front.machine.release(vitals) {
            Ok(vitals) => {
                let age = front.age.of(&vitals, front.latest);
                self.telemetry.observe(&vitals, age);
                self.telemetry.log(&front.upkeep, front.machine.durable().seq);
            }
            Err(ReleaseError::NotDurable(vitals)) => front.vitals = Some(vitals),
            // The gauge that tells of it was set where the fault was.
            Err(_) => {}
        }
    }

    /// Says that something is due.
    fn call_keeper(&self, front: &Front<S>) {
        if front.upkeep.due(&self.options).is_some() {
            self.keeper_called.notify_one();
        }
    }
}

/// Ends what a leader began: should the store panic, everybody who waits is told.
struct LeaderGuard<'a, S> {
    commit: &'a Commit<S>,
    fulfilled: bool,
}

impl<S> LeaderGuard<'_, S> {
    fn fulfilled(mut self) {
        self.fulfilled = true;
    }
}

impl<S> Drop for LeaderGuard<'_, S> {
    fn drop(&mut self) {
        if !self.fulfilled {
            let mut front = self.commit.lock();
            let mut told = front.poison(None);
            front.leading = false;
            told.others.extend(front.closers_if_idle());
            drop(front);
            self.commit.writer_called.notify_one();
            told.tell();
        }
    }
}
