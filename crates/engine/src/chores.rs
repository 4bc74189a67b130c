//! What goes on by itself: what is due, the timer, what nobody follows, hashes that are out, the outbox.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use payonce_core::{
    Acknowledge, BlockedHash, ClaimPart, EventStore, FinalizePart, Notification, NotificationId,
    PartId, PaymentHash, PaymentId, Settlement, State, UnblockHash,
};
use payonce_runtime::{ExecuteError, SubscriptionError, Unavailable};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    engine::{Lookup, Payout, Shown},
    hand_over::Said,
    job::Job,
    options::Pause,
    payer::Shared,
    seat::caught,
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
        self.spawn(async move { ended("blocked hashes", shared.run_blocked().await) });
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
                Ok(_) | Err(ExecuteError::Refused(_)) => {}
                Err(ExecuteError::Unavailable(error)) => return Err(error),
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
        let mut with: Vec<_> = self.seats.iter().map(|seat| (seat, 0)).collect();
        for job in out {
            let seat = self.seat_of(&job);
            let count = with
                .iter_mut()
                .find(|(one, _)| seat.as_ref().is_some_and(|seat| Arc::ptr_eq(seat, one)));
            if let Some((_, count)) = count {
                *count += 1;
            }
            if seat.is_none() {
                unattended.push(job.part);
            } else if !self.minds().followed.contains_key(&job.part) {
                self.follow(job.part, Said::Ask);
            }
        }
        for (seat, count) in with {
            seat.telemetry.out(count);
        }
        self.telemetry.unattended(unattended.len());
        self.telemetry.attention(self.minds().attention.len());
        Ok(unattended)
    }

    /// Hashes that are out in an engine and are no part of ours: they block until they end.
    async fn run_blocked(self: &Arc<Self>) -> Result<(), Unavailable> {
        let mut pause = Pause::new(self.options.poll);
        let mut last = Vec::new();
        loop {
            let asked = |state: &State| {
                (state.blocked_hashes().cloned().collect::<Vec<_>>(), state.counts().blocked)
            };
            let (blocked, hashes) = self.ledger.query_async(asked).await?;
            self.telemetry.blocked(hashes);
            if blocked != last {
                pause = Pause::new(self.options.poll);
                last.clone_from(&blocked);
            }
            for block in blocked {
                self.look_at_blocked(block).await?;
            }
            sleep(pause.take()).await;
        }
    }

    /// Asks the engine that has it out, and nobody else: the end that another shows is that of another try.
    /// Taken for this one's, the hash would be free, and paid twice. What no engine of this start has out is
    /// left to an operator.
    async fn look_at_blocked(&self, block: BlockedHash) -> Result<(), Unavailable> {
        let BlockedHash { payment_hash, engine } = block;
        let Some(seat) = self.seat(engine.as_bytes()).filter(|seat| !seat.is_silent()) else {
            return Ok(());
        };
        match seat.find(&Lookup { part: None, payment_hash }).await {
            Ok(Shown::Failed { .. }) => {}
            // A false proof proves nothing: it stays as it is.
            Ok(Shown::Paid(payout)) if payout.preimage.payment_hash() == payment_hash => {
                // First, so that whoever holds the hash is paid by it, and nothing of it is handed over
                // anywhere once it is free.
                let id = PaymentId::from_payment_hash(payment_hash);
                self.claim_unknown(id, payment_hash, payout).await?;
            }
            // What it knows nothing of it may have forgotten.
            Ok(Shown::Out { .. } | Shown::NotKnown | Shown::Paid(_)) | Err(_) => return Ok(()),
        }
        let unblock = UnblockHash::new(payment_hash).engine(engine.as_bytes());
        if let Err(ExecuteError::Unavailable(error)) =
            self.ledger.execute_async(unblock, self.now()).await
        {
            return Err(error);
        }
        self.wake.notify_one();
        Ok(())
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
                let delivered = self.deliver_one(sink, notification).await;
                self.telemetry.delivered(delivered.is_ok());
                match delivered {
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

    /// One that never answers, or panics, keeps the others' no longer than that.
    async fn deliver_one(
        &self,
        sink: &dyn Sink,
        notification: &Notification,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let limit = self.options.call_timeout;
        match timeout(limit, caught(sink.deliver(notification))).await {
            Ok(Ok(delivered)) => delivered,
            Ok(Err(_)) => Err("the sink panicked".into()),
            Err(_) => {
                Err(format!("the sink did not answer within {} ms", limit.as_millis()).into())
            }
        }
    }

    async fn acknowledge(&self, ids: Vec<NotificationId>) -> Result<(), Unavailable> {
        if ids.is_empty() {
            return Ok(());
        }
        match self.ledger.execute_async(Acknowledge { ids }, self.now()).await {
            Err(ExecuteError::Unavailable(error)) => Err(error),
            Err(ExecuteError::Refused(refusal)) => {
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
