//! What goes on by itself: what is due, the timer, what nobody follows, hashes that are out, the outbox.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use payonce_core::{
    Acknowledge, ClaimPart, EventStore, FinalizePart, HashHolder, Notification, NotificationId,
    PartId, PaymentHash, PaymentId, Settlement, State, UnblockHash,
};
use payonce_runtime::{CallError, SubscriptionError, Unavailable};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    engine::{Lookup, Payout, Shown},
    hand_over::Said,
    job::Job,
    options::Pause,
    payer::Shared,
    sink::Sink,
};

/// How long until what is due is looked at again although nobody woke us: a rest may be over.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many notifications are looked at together.
const OUTBOX_PAGE: usize = 256;

impl<S: EventStore + Send + 'static> Shared<S> {
    /// Starts all of it.
    pub(crate) fn start_chores(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        self.spawn(async move { ended("hand-overs", shared.run_due().await) });
        let shared = Arc::clone(self);
        self.spawn(async move { ended("the timer", shared.run_timer().await) });
        let shared = Arc::clone(self);
        self.spawn(async move { ended("blocked hashes", shared.run_held().await) });
        if let Some(sink) = self.sink.clone() {
            let shared = Arc::clone(self);
            self.spawn(async move { ended("the outbox", shared.run_outbox(sink).await) });
        }
    }

    async fn run_due(self: &Arc<Self>) -> Result<(), Unavailable> {
        loop {
            self.hand_over_due().await?;
            let _ = timeout(LOOK_EVERY, self.wake.notified()).await;
        }
    }

    async fn run_timer(self: &Arc<Self>) -> Result<(), Unavailable> {
        loop {
            match self.ledger.tick_async(self.now()).await {
                Ok(_) | Err(CallError::Refused(_)) => {}
                Err(CallError::Unavailable(error)) => return Err(error),
            }
            self.sweep().await?;
            // A payment that ends without another hand-over may leave the witness behind for long.
            if let Err(error) = self.witness().await {
                tracing::error!(%error, "the witness has not the ledger's head");
            }
            self.wake.notify_one();
            sleep(self.options.tick_every).await;
        }
    }

    /// Follows up what is out and nobody follows.
    pub(crate) async fn sweep(self: &Arc<Self>) -> Result<Vec<PartId>, Unavailable> {
        let out = self.ledger.query_async(all_out).await?;
        let mut unattended = Vec::new();
        for job in out {
            if self.seat_of(&job).is_none() {
                unattended.push(job.part);
            } else if !self.minds().followed.contains_key(&job.part) {
                self.follow(job.part, Said::Ask);
            }
        }
        Ok(unattended)
    }

    /// Hashes that are out in an engine and are no part of ours: they block until they end.
    async fn run_held(self: &Arc<Self>) -> Result<(), Unavailable> {
        let mut pause = Pause::new(self.options.poll);
        let mut last = HashSet::new();
        loop {
            let held: HashSet<_> =
                self.ledger.query_async(|state| state.blocked_hashes().copied().collect()).await?;
            if held != last {
                pause = Pause::new(self.options.poll);
                last.clone_from(&held);
            }
            for payment_hash in held {
                self.look_at_held(payment_hash).await?;
            }
            sleep(pause.take()).await;
        }
    }

    async fn look_at_held(&self, payment_hash: PaymentHash) -> Result<(), Unavailable> {
        let lookup = Lookup { part: None, payment_hash };
        let mut ended = false;
        for seat in &self.seats {
            match seat.find(&lookup).await {
                // Any of them may have it out; what they know nothing of may be forgotten.
                Err(_) | Ok(Shown::Out { .. }) => return Ok(()),
                Ok(Shown::Failed { .. }) => ended = true,
                Ok(Shown::NotKnown) => {}
                Ok(Shown::Paid(payout)) => {
                    // A false proof proves nothing: it stays as it is.
                    if payout.preimage.payment_hash() != payment_hash {
                        return Ok(());
                    }
                    ended = true;
                    self.claim_foreign(payment_hash, payout).await?;
                }
            }
        }
        if ended {
            self.minds().held.remove(&payment_hash);
            let release = UnblockHash { payment_hash };
            if let Err(CallError::Unavailable(error)) =
                self.ledger.execute_async(release, self.now()).await
            {
                return Err(error);
            }
            self.wake.notify_one();
        }
        Ok(())
    }

    /// What was out under a blocked hash is paid. A payment of the ledger that has the hash is handed over
    /// next, and told with what the engine shows; of one that it does not hold this is all there is.
    async fn claim_foreign(
        &self,
        payment_hash: PaymentHash,
        payout: Payout,
    ) -> Result<(), Unavailable> {
        let is_due_next = self.ledger.query_async(move |state| {
            let Some(HashHolder::Payment(id)) = state.holder_of(&payment_hash) else {
                return false;
            };
            state.payment(&id).is_some_and(|payment| payment.status().is_open())
        });
        if is_due_next.await? {
            return Ok(());
        }
        self.claim_unknown(PaymentId::from_payment_hash(payment_hash), payment_hash, payout).await
    }

    /// The ledger learns of a payment that it does not hold.
    pub(crate) async fn claim_unknown(
        &self,
        id: PaymentId,
        payment_hash: PaymentHash,
        payout: Payout,
    ) -> Result<(), Unavailable> {
        // One engine's entry of a hash is one part, however often it is told.
        let part = PartId::from_bytes(*payment_hash.as_bytes());
        let Payout { preimage, amount, fee } = payout;
        let claim = ClaimPart::new(id, part, preimage).payment_hash(payment_hash);
        let claim = claim.settlement(Settlement { amount, fee });
        let facts = [claim.into(), FinalizePart { id, part }.into()];
        let facts: [payonce_core::Command; 2] = facts;
        self.ledger.execute_all_async(facts, self.now()).await?;
        Ok(())
    }

    /// Delivers notifications until each is taken.
    async fn run_outbox(self: &Arc<Self>, sink: Arc<dyn Sink>) -> Result<(), Unavailable> {
        let mut news = self.ledger.subscribe(self.ledger.head().seq + 1);
        let mut waiting: HashMap<NotificationId, (Pause, Instant)> = HashMap::new();
        loop {
            self.deliver(&*sink, &mut waiting).await?;
            let soonest = waiting.values().map(|(_, at)| *at).min();
            let rest =
                soonest.map_or(LOOK_EVERY, |at| at.saturating_duration_since(Instant::now()));
            match timeout(rest, news.read_async()).await {
                Err(_) => {}
                Ok(Err(SubscriptionError::Unavailable(error))) => return Err(error),
                // Whatever was not told there is in the outbox.
                Ok(Ok(_) | Err(_)) => news = self.ledger.subscribe(self.ledger.head().seq + 1),
            }
        }
    }

    async fn deliver(
        &self,
        sink: &dyn Sink,
        waiting: &mut HashMap<NotificationId, (Pause, Instant)>,
    ) -> Result<(), Unavailable> {
        let mut after = 0;
        // Each payment's in their order: what follows one that was not taken waits with it.
        let mut behind = HashSet::new();
        loop {
            let page = move |state: &State| {
                state.outbox_after(after).take(OUTBOX_PAGE).collect::<Vec<Notification>>()
            };
            let page = self.ledger.query_async(page).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id.seq;
            let mut taken = Vec::new();
            for notification in &page {
                let payment = *notification.kind.payment();
                let rests =
                    waiting.get(&notification.id).is_some_and(|(_, at)| Instant::now() < *at);
                if behind.contains(&payment) || rests {
                    behind.insert(payment);
                    continue;
                }
                match sink.deliver(notification).await {
                    Ok(()) => {
                        waiting.remove(&notification.id);
                        taken.push(notification.id);
                    }
                    Err(error) => {
                        tracing::warn!(id = %notification.id, %error, "a notification is not taken");
                        behind.insert(payment);
                        let poll = self.options.poll;
                        let rest = waiting
                            .entry(notification.id)
                            .or_insert((Pause::new(poll), Instant::now()));
                        rest.1 = Instant::now() + rest.0.take();
                    }
                }
            }
            self.acknowledge(taken).await?;
        }
    }

    async fn acknowledge(&self, ids: Vec<NotificationId>) -> Result<(), Unavailable> {
        if ids.is_empty() {
            return Ok(());
        }
        match self.ledger.execute_async(Acknowledge { ids }, self.now()).await {
            Err(CallError::Unavailable(error)) => Err(error),
            Err(CallError::Refused(refusal)) => {
                tracing::error!(%refusal, "an acknowledgement is refused");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}

/// Only the ledger ends a chore: nothing can be recorded, so nothing may go out.
fn ended(what: &str, end: Result<(), Unavailable>) {
    if let Err(error) = end {
        tracing::error!(%error, "{what}: the ledger does not answer; open it again");
    }
}

/// Every hand-over that is out.
pub(crate) fn all_out(state: &State) -> Vec<Job> {
    let out = state.unresolved();
    out.iter().filter_map(|at| Job::of(state, &at.part.id)).collect()
}
