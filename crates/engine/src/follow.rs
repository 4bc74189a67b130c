//! Following a hand-over until its end, and telling the ledger what its engine says.

use std::sync::Arc;

use payonce_core::{
    ClaimPart, Command, EventStore, FailPart, Failure, FinalizePart, ObservePart, PartId, Reply,
    SayAgain, Settlement,
};
use payonce_runtime::Unavailable;
use tokio::time::{Instant, sleep};

use crate::{
    engine::{EngineError, Payout, Shown},
    hand_over::Said,
    job::{Heard, Job, SHOWN},
    options::Pause,
    payer::Shared,
    rules::{Conclusion, Why},
    seat::Seat,
};

/// What a follower does next.
enum Next {
    /// Nothing is out any more.
    Over,
    /// Ask again, after a rest; the engine may tell news of it meanwhile.
    Ask,
    /// Say it again, once its rest is over.
    SayAgain,
}

impl<S: EventStore + Send + 'static> Shared<S> {
    /// Follows a hand-over up, in a task of its own.
    pub(crate) fn follow(self: &Arc<Self>, part: PartId, said: Said) {
        self.minds().followed.entry(part).or_default();
        self.ledger.drive([part]);
        let shared = Arc::clone(self);
        self.spawn(async move {
            let followed = shared.follow_to_end(part, said).await;
            let mut minds = shared.minds();
            minds.followed.remove(&part);
            minds.attention.remove(&part);
            drop(minds);
            if followed.is_ok() {
                shared.wake.notify_one();
            }
        });
    }

    async fn follow_to_end(self: &Arc<Self>, part: PartId, said: Said) -> Result<(), Unavailable> {
        let options = self.options;
        let (mut poll, mut again) = (Pause::new(options.poll), Pause::new(options.say_again));
        let mut may_say_from = Instant::now() + again.take();
        let mut shown = match said {
            Said::Shown(shown) => Some(shown),
            Said::Ask => None,
            Said::Over => return Ok(()),
        };
        loop {
            let Some(job) = self.job(part).await? else { return Ok(()) };
            let Some(seat) = self.seat_of(&job) else { return Ok(()) };
            let news = match shown.take() {
                Some(shown) => Ok(shown),
                None => seat.find(&job.lookup()).await,
            };
            let next = match news {
                Ok(news) => self.take(&seat, &job, news).await?,
                Err(_) => Next::Ask,
            };
            match next {
                Next::Over => return Ok(()),
                Next::SayAgain if Instant::now() >= may_say_from => {
                    shown = match self.say_again(&seat, &job).await? {
                        Said::Shown(shown) => Some(shown),
                        Said::Ask => None,
                        Said::Over => return Ok(()),
                    };
                    may_say_from = Instant::now() + again.take();
                }
                Next::SayAgain => sleep(poll.take()).await,
                Next::Ask => shown = self.news(&seat, &job, &mut poll).await,
            }
        }
    }

    /// Waits for the engine's news, where it tells them; else for the time to ask again.
    async fn news(&self, seat: &Seat, job: &Job, poll: &mut Pause) -> Option<Shown> {
        let rest = sleep(poll.take());
        match seat.wait(&job.lookup()).await {
            Ok(Some(shown)) => Some(shown),
            Ok(None) | Err(_) => {
                rest.await;
                None
            }
        }
    }

    async fn job(&self, part: PartId) -> Result<Option<Job>, Unavailable> {
        self.ledger.query_async(move |state| Job::of(state, &part)).await
    }

    /// The engine that has it; of a part that was adopted the only one, if there is only one.
    pub(crate) fn seat_of(&self, job: &Job) -> Option<Arc<Seat>> {
        match (&job.engine, &self.seats[..]) {
            (Some(name), _) => self.seat(name).cloned(),
            (None, [only]) => Some(Arc::clone(only)),
            (None, _) => None,
        }
    }

    pub(crate) fn heard(&self, part: &PartId) -> Heard {
        self.minds().followed.get(part).copied().unwrap_or_default()
    }

    /// Takes what the engine shows.
    async fn take(&self, seat: &Seat, job: &Job, shown: Shown) -> Result<Next, Unavailable> {
        if matches!(shown, Shown::Out { .. }) && !job.was_shown() {
            self.note_shown(job).await?;
        }
        let known = job.known(seat, self.heard(&job.part), self.now());
        let conclusion = known.conclusion(&shown);
        tracing::debug!(engine = %seat.name, part = %job.part, ?shown, ?conclusion, "an engine was asked");
        let open = job.hand_over.is_some() && known.closed_at.is_none_or(|at| self.now() < at);
        match facts(job, &conclusion) {
            Ok(Some(facts)) => {
                if let (Conclusion::Failed { .. }, Shown::Failed { reason, .. }) =
                    (&conclusion, &shown)
                {
                    tracing::info!(engine = %seat.name, part = %job.part, reason, "a hand-over has failed");
                }
                let next = self.tell(job, facts).await?;
                if matches!(next, Next::Over) {
                    seat.telemetry.ended(&conclusion);
                }
                return Ok(next);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(engine = %seat.name, part = %job.part, %error, "not believed");
            }
        }
        let attention = match conclusion {
            Conclusion::Operator(why) => Some(why),
            // Given up, so that nothing is said again, and a request may come at any time.
            Conclusion::SayAgain if !open && known.closed_at.is_none() => Some(Why::Late),
            _ => None,
        };
        self.attend(job.part, attention);
        Ok(if conclusion == Conclusion::SayAgain && open { Next::SayAgain } else { Next::Ask })
    }

    fn attend(&self, part: PartId, why: Option<Why>) {
        let mut minds = self.minds();
        match why {
            Some(why) => {
                if minds.attention.insert(part, why).is_none() {
                    tracing::warn!(%part, ?why, "stays out until an operator's word");
                }
            }
            None => {
                minds.attention.remove(&part);
            }
        }
        self.telemetry.attention(minds.attention.len());
    }

    async fn tell(&self, job: &Job, facts: Vec<Command>) -> Result<Next, Unavailable> {
        // An operator may have said what became of it while the engine was asked.
        if self.job(job.part).await?.is_none() {
            return Ok(Next::Over);
        }
        let told = self.ledger.execute_all_async(facts, self.now()).await?;
        let refused = told.iter().find_map(|reply: &Result<Reply, _>| reply.as_ref().err());
        if let Some(refusal) = refused {
            tracing::error!(part = %job.part, %refusal, "the ledger does not take an engine's word");
        }
        Ok(if self.job(job.part).await?.is_some() { Next::Ask } else { Next::Over })
    }

    /// From now on *not known* means *forgotten*.
    async fn note_shown(&self, job: &Job) -> Result<(), Unavailable> {
        let (id, part) = (job.payment, job.part);
        let note = ObservePart { id, part, kind: SHOWN, bytes: Vec::new().into() };
        match self.ledger.execute_async(note, self.now()).await {
            Err(payonce_runtime::ExecuteError::Unavailable(error)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn say_again(&self, seat: &Seat, job: &Job) -> Result<Said, Unavailable> {
        let Some(hand_over) = &job.hand_over else { return Ok(Said::Ask) };
        let again = SayAgain { id: job.payment, part: job.part };
        match self.ledger.execute_async(again, self.now()).await {
            Ok(_) => {}
            Err(payonce_runtime::ExecuteError::Unavailable(error)) => return Err(error),
            Err(payonce_runtime::ExecuteError::Refused(_)) => return Ok(Said::Ask),
        }
        tracing::info!(engine = %seat.name, part = %job.part, "a hand-over is said again");
        seat.telemetry.saying(true);
        Ok(self.say(seat, hand_over).await)
    }
}

/// What follows for the ledger from a conclusion; nothing while it stays out.
///
/// # Errors
/// What the engine says cannot be so: nothing of it is told.
pub(crate) fn facts(
    job: &Job,
    conclusion: &Conclusion,
) -> Result<Option<Vec<Command>>, EngineError> {
    let (id, part) = (job.payment, job.part);
    match *conclusion {
        Conclusion::Paid(payout) => {
            let claim = claim(job, payout)?;
            Ok(Some(vec![claim.into(), FinalizePart { id, part }.into()]))
        }
        Conclusion::Failed { mark, permanent } => {
            let failure = Failure { permanent, mark, sayings: job.sayings, ..Failure::default() };
            Ok(Some(vec![FailPart { id, part, failure }.into()]))
        }
        Conclusion::Out | Conclusion::SayAgain | Conclusion::Operator(_) => Ok(None),
    }
}

/// The claim of a hand-over.
pub(crate) fn claim(job: &Job, payout: Payout) -> Result<ClaimPart, EngineError> {
    let Payout { preimage, amount, fee } = payout;
    let proven = preimage.payment_hash();
    if proven != job.payment_hash {
        let what = format!("paid with a preimage of {proven}, not of {}", job.payment_hash);
        return Err(EngineError::Nonsense { what });
    }
    let claim = ClaimPart::new(job.payment, job.part, preimage);
    Ok(claim.payment_hash(job.payment_hash).settlement(Settlement { amount, fee }))
}
