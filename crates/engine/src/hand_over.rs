//! A hand-over: asked about, recorded, said. In this order, or it pays twice.

use std::sync::Arc;

use payonce_core::{
    Abandon, Dispatch, DispatchReply, EventStore, FailPart, Failure, FailureReason, NewPart,
    PartId, PaymentId, Remaining, Request, State, Status, WithdrawPart,
};
use payonce_runtime::ExecuteError;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    engine::{HandOver, Lookup, PayAnswer, Refusal, Shown},
    job::{Heard, Job},
    payer::Shared,
    rules::{Before, Conclusion, before},
    seat::Seat,
};

/// What a saying leaves to do.
pub(crate) enum Said {
    /// The engine showed this for it.
    Shown(Shown),
    /// It is to be asked.
    Ask,
    /// Nothing is out any more.
    Over,
}

impl<S: EventStore + Send + 'static> Shared<S> {
    /// Hands over what is due, as far as its engines take it.
    pub(crate) async fn hand_over_due(
        self: &Arc<Self>,
    ) -> Result<(), payonce_runtime::Unavailable> {
        let now = self.now();
        let due = self.ledger.query_async(move |state| requests(state, state.due(now))).await?;
        self.forget_unfit(|id| due.iter().any(|(due, _)| due.id == *id));
        for (remaining, request) in due {
            let name = (self.route)(&request);
            let Some(seat) = self.seat(name.as_bytes()).filter(|seat| !seat.is_resting()) else {
                continue;
            };
            let Ok(permit) = Arc::clone(&seat.permits).try_acquire_owned() else { continue };
            if !self.minds().handing.insert(remaining.id) {
                continue;
            }
            let (shared, seat) = (Arc::clone(self), Arc::clone(seat));
            self.spawn_to_end(async move {
                let id = remaining.id;
                let out = shared.hand_over(&seat, remaining, request, permit).await;
                shared.minds().handing.remove(&id);
                shared.wake.notify_one();
                if let Some((part, said)) = out {
                    shared.follow(part, said);
                }
            });
        }
        Ok(())
    }

    /// Forgets payments that wait no more for an engine that fits them.
    fn forget_unfit(&self, waits: impl Fn(&PaymentId) -> bool) {
        let mut minds = self.minds();
        minds.unfit.retain(waits);
        self.telemetry.unfit(minds.unfit.len());
    }

    /// Gives what is to be followed up.
    async fn hand_over(
        self: &Arc<Self>,
        seat: &Arc<Seat>,
        due: Remaining,
        request: Request,
        _permit: OwnedSemaphorePermit,
    ) -> Option<(PartId, Said)> {
        let payment_hash = due.payment_hash.filter(|_| due.status == Status::Pending)?;
        if let Err(refusal) = seat.check(&request) {
            if refusal.permanent {
                return self.give_up(due.id, &refusal).await;
            }
            // It was accepted: a wrong word in a configuration, put right at the next start, fails nobody's
            // payment, and nobody is refunded for it.
            if self.minds().unfit.insert(due.id) {
                tracing::error!(payment = %due.id, engine = %seat.name, %refusal, "it waits: not handed over");
            }
            self.forget_unfit(|_| true);
            return None;
        }
        self.forget_unfit(|id| *id != due.id);
        // The last mark that it shows for the hash *before* the hand-over is recorded with it.
        let shown = seat.find(&Lookup { part: None, payment_hash }).await.ok()?;
        let seen = match before(&seat.engine.promises(), &shown) {
            Before::Free { seen } => seen,
            Before::Out => {
                // If the ledger does not answer, nothing goes out either.
                let _ = self.block(seat, payment_hash).await;
                return None;
            }
            Before::Paid(_) => {
                return self.record(seat, &due, None).await.map(|part| (part, Said::Shown(shown)));
            }
            Before::Unmarked => {
                let why = "it tells the end of one try from the next by nothing, and one has ended"
                    .into();
                return self.give_up(due.id, &Refusal { why, permanent: true }).await;
            }
        };
        if *self.stop.borrow() {
            return None;
        }
        let part = self.record(seat, &due, seen).await?;
        if let Err(error) = self.witness().await {
            tracing::error!(%error, "the witness has not the ledger's head: nothing goes out");
            self.withdraw(due.id, part).await;
            self.minds().followed.remove(&part);
            return None;
        }
        let max_fee = due.fee_budget;
        let said =
            HandOver { part, payment: due.id, payment_hash, amount: due.amount, max_fee, request };
        seat.telemetry.saying(false);
        let said = self.say(seat, &said).await;
        Some((part, said))
    }

    /// Records the dispatch: only its reply is the right to say it.
    async fn record(&self, seat: &Seat, due: &Remaining, seen: Option<u64>) -> Option<PartId> {
        let mut bytes = [0; 32];
        // Without randomness two parts could have one name.
        getrandom::fill(&mut bytes).expect("the system gives random bytes");
        let part = PartId::from_bytes(bytes);
        // From before it is recorded: who sweeps up what nobody follows must not follow it as well. Of two
        // followers one could tell what the other's next try did.
        self.minds().followed.insert(part, Heard::default());
        let recorded = self.dispatch(seat, due, seen, part).await;
        if recorded.is_none() {
            self.minds().followed.remove(&part);
        }
        recorded
    }

    async fn dispatch(
        &self,
        seat: &Seat,
        due: &Remaining,
        seen: Option<u64>,
        part: PartId,
    ) -> Option<PartId> {
        let parts = vec![NewPart::Delegated { id: part, label: Some(seat.label(seen)) }];
        let dispatch = Dispatch { id: due.id, attempt: due.attempt, parts };
        let driver = match self.ledger.dispatch_async(dispatch, self.now()).await {
            Ok(driver) => driver,
            Err(ExecuteError::Refused(refusal)) => {
                tracing::debug!(payment = %due.id, %refusal, "not handed over");
                return None;
            }
            Err(ExecuteError::Unavailable(_)) => return None,
        };
        match driver.handed_over() {
            DispatchReply::Recorded { .. } => Some(part),
            DispatchReply::Overtaken { .. } => {
                self.withdraw(due.id, part).await;
                None
            }
            DispatchReply::Duplicate { .. } => None,
        }
    }

    /// Says a recorded hand-over, and takes the answer.
    pub(crate) async fn say(&self, seat: &Seat, hand_over: &HandOver) -> Said {
        let HandOver { part, payment, .. } = *hand_over;
        self.minds().followed.entry(part).or_default();
        let answer = seat.pay(hand_over).await;
        tracing::debug!(engine = %seat.name, %part, ?answer, "a hand-over was said");
        let read = !matches!(answer, PayAnswer::NotNow(_) | PayAnswer::Unknown(_));
        let heard = {
            let mut minds = self.minds();
            let heard = minds.followed.entry(part).or_default();
            heard.read += u32::from(read);
            heard.had |= matches!(answer, PayAnswer::Taken(_) | PayAnswer::AlreadyThere);
            *heard
        };
        match answer {
            PayAnswer::Taken(shown) => Said::Shown(shown),
            PayAnswer::AlreadyThere | PayAnswer::Unknown(_) => Said::Ask,
            PayAnswer::Refused(refusal) => self.refused(seat, payment, part, heard, refusal).await,
            PayAnswer::NotNow(_) => self.not_now(seat, payment, part, heard).await,
        }
    }

    /// A saying that nobody will ever read: as if it had not been said, if it was the only one.
    async fn not_now(&self, seat: &Seat, id: PaymentId, part: PartId, heard: Heard) -> Said {
        let job = self.ledger.query_async(move |state| Job::of(state, &part)).await;
        let Ok(Some(job)) = job else { return Said::Over };
        if !job.known(seat, heard, self.now()).was_never_read() {
            return Said::Ask;
        }
        self.withdraw(id, part).await;
        self.minds().followed.remove(&part);
        Said::Over
    }

    /// The engine has read it and will not pay it: a failure, if nothing else that was said can come.
    async fn refused(
        &self,
        seat: &Seat,
        id: PaymentId,
        part: PartId,
        heard: Heard,
        refusal: Refusal,
    ) -> Said {
        tracing::info!(%part, %refusal, "an engine refuses a hand-over");
        let job = self.ledger.query_async(move |state| Job::of(state, &part)).await;
        let Ok(Some(job)) = job else { return Said::Over };
        let Some(failure) = job.known(seat, heard, self.now()).refused(&refusal) else {
            return Said::Ask;
        };
        let failure = Failure { sayings: job.sayings, ..failure };
        match self.ledger.execute_async(FailPart { id, part, failure }, self.now()).await {
            Ok(_) => {
                seat.telemetry.ended(&Conclusion::Failed { mark: None, permanent: false });
                self.minds().followed.remove(&part);
                Said::Over
            }
            Err(_) => Said::Ask,
        }
    }

    /// Nothing was said: the attempt is given back.
    async fn withdraw(&self, id: PaymentId, part: PartId) {
        let withdrawn = self.ledger.execute_async(WithdrawPart { id, part }, self.now()).await;
        if let Err(error) = withdrawn {
            tracing::error!(%part, %error, "a hand-over that was never said stays out");
        }
    }

    async fn give_up(&self, id: PaymentId, refusal: &Refusal) -> Option<(PartId, Said)> {
        tracing::warn!(payment = %id, %refusal, "no hand-over is possible");
        let reason = FailureReason::UnexpectedError;
        let _ = self.ledger.execute_async(Abandon { id, reason }, self.now()).await;
        None
    }
}

/// What is due, with what it asks for.
fn requests(state: &State, due: Vec<Remaining>) -> Vec<(Remaining, Request)> {
    let with_request = |due: Remaining| {
        let request = state.payment(&due.id)?.request()?.clone();
        Some((due, request))
    };
    due.into_iter().filter_map(with_request).collect()
}
