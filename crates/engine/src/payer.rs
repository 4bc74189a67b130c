//! The payer: a ledger and its engines, joined so that each payment is made once.

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use payonce_core::{
    Abandon, AbandonReply, Assertion, BlockHash, EventStore, FactRefusal, FactReply, FailPart,
    Failure, FailureReason, Head, NotificationId, PartId, Pay, PayReply, PaymentHash, PaymentId,
    PaymentView, Request, UnixMillis,
};
use payonce_runtime::{ExecuteError, OutcomeError, SharedLedger, Unavailable};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout},
};

use crate::{
    clock::Clock,
    error::{AssertError, PayError},
    job::Heard,
    options::Options,
    rules::Why,
    seat::Seat,
    sink::Sink,
    telemetry::Telemetry,
    witness::Witness,
};

/// Chooses an engine, by name, for a payment's next hand-over.
pub(crate) type Route = dyn Fn(&Request) -> String + Send + Sync;

/// What all tasks of a payer share.
pub(crate) struct Shared<S: EventStore + Send + 'static> {
    pub(crate) ledger: SharedLedger<S>,
    pub(crate) seats: Vec<Arc<Seat>>,
    pub(crate) route: Box<Route>,
    pub(crate) sink: Option<Arc<dyn Sink>>,
    pub(crate) witness: Option<Arc<dyn Witness>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) telemetry: Telemetry,
    pub(crate) witnessed: AsyncMutex<WitnessedHead>,
    /// Something may be due.
    pub(crate) wake: Notify,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) minds: Mutex<Minds>,
    tasks: Mutex<JoinSet<()>>,
}

/// What is in the memory of this process alone: who is at work on what.
#[derive(Debug, Default)]
pub(crate) struct Minds {
    /// The hand-overs that are followed up, and what was heard of each.
    pub(crate) followed: HashMap<PartId, Heard>,
    /// The payments that are being handed over.
    pub(crate) handing: HashSet<PaymentId>,
    /// The payments that their engine, as it is set up now, would not pay.
    pub(crate) unfit: HashSet<PaymentId>,
    /// What needs an operator's word, and why.
    pub(crate) attention: HashMap<PartId, Why>,
}

impl<S: EventStore + Send + 'static> Shared<S> {
    pub(crate) fn new(
        ledger: SharedLedger<S>,
        seats: Vec<Arc<Seat>>,
        route: Box<Route>,
        sink: Option<Arc<dyn Sink>>,
        witness: Option<Arc<dyn Witness>>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Self {
        Self {
            telemetry: Telemetry::of(ledger.ledger_id()),
            ledger,
            seats,
            route,
            sink,
            witness,
            clock,
            options,
            witnessed: AsyncMutex::default(),
            wake: Notify::new(),
            stop: watch::Sender::new(false),
            minds: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(crate) fn minds(&self) -> MutexGuard<'_, Minds> {
        self.minds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is out with an engine that is no part of ours: the hash is blocked, durably, until *that*
    /// engine shows its end.
    pub(crate) async fn block(
        &self,
        seat: &Seat,
        payment_hash: PaymentHash,
    ) -> Result<(), Unavailable> {
        let block = BlockHash::new(payment_hash).engine(seat.name.as_str());
        match self.ledger.execute_async(block, self.now()).await {
            Err(ExecuteError::Unavailable(error)) => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn seat(&self, name: &[u8]) -> Option<&Arc<Seat>> {
        self.seats.iter().find(|seat| seat.name.as_bytes() == name)
    }

    /// Runs a task until it ends or the payer stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut stop = self.stop.subscribe();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            tokio::select! {
                _ = stop.wait_for(|stopped| *stopped) => {}
                () = task => {}
            }
        });
    }

    /// As [`spawn`](Self::spawn), but a stop waits for it: it is between a record and a call.
    pub(crate) fn spawn_to_end(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Makes the head durable with the witness before something goes out on the strength of it: a log
    /// put back from before this moment must show its gap, or the hand-over would be made again.
    pub(crate) async fn witness(&self) -> io::Result<()> {
        let Some(witness) = &self.witness else { return Ok(()) };
        let (wanted, limit) = (self.ledger.head().seq, self.options.call_timeout);
        timeout(limit, self.store_up_to(wanted, witness)).await.unwrap_or_else(|_| {
            self.telemetry.witnessed(limit, false);
            let silent = format!("the witness has not answered within {limit:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, silent))
        })
    }

    /// May be given up at any moment: a call that is under way is waited for by who comes next. Two at once
    /// could leave the older head in place of the newer, and a log put back would pass for the newest.
    async fn store_up_to(&self, wanted: u64, witness: &Arc<dyn Witness>) -> io::Result<()> {
        let mut witnessed = self.witnessed.lock().await;
        loop {
            if let Some((head, started, storing)) = &mut witnessed.under_way {
                let (head, started, ended) = (*head, *started, storing.await);
                witnessed.under_way = None;
                let kept = ended.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
                self.telemetry.witnessed(started.elapsed(), kept.is_ok());
                kept?;
                witnessed.seq = head.seq;
                self.ledger.head_stored(head);
            }
            // One call for all who waited.
            if witnessed.seq >= wanted {
                return Ok(());
            }
            let (head, witness) = (self.ledger.head(), Arc::clone(witness));
            let storing = tokio::task::spawn_blocking(move || witness.store(head));
            witnessed.under_way = Some((head, Instant::now(), storing));
        }
    }
}

/// What the witness has.
#[derive(Debug, Default)]
pub(crate) struct WitnessedHead {
    /// The seq of the newest head that it has, as far as it has answered.
    seq: u64,
    /// The call that has not ended, with the head that it stores.
    under_way: Option<(Head, Instant, JoinHandle<io::Result<()>>)>,
}

/// A ledger and its engines, joined so that each payment is made once. Had by finishing a
/// [`Starting`](crate::Starting).
///
/// - Paying: [`pay`](Self::pay) is also how a repeat is asked; [`abandon`](Self::abandon).
/// - Asking: [`outcome`](Self::outcome) waits; [`payment_view`](Self::payment_view), and everything else
///   through [`ledger`](Self::ledger).
/// - An operator: [`attention`](Self::attention) lists what no engine can tell any more;
///   [`assert_failed`](Self::assert_failed).
/// - The end: [`stop`](Self::stop).
///
/// It works by itself, in tasks of the runtime on which it was started: a caller that goes away loses
/// nothing. Clone it and give it away; the tasks end with the last clone.
pub struct Payer<S: EventStore + Send + 'static> {
    pub(crate) shared: Arc<Shared<S>>,
    /// Held for its end alone.
    last: Arc<StopAtLast>,
}

/// Stops the tasks when the last payer is gone.
struct StopAtLast(watch::Sender<bool>);

impl Drop for StopAtLast {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

impl<S: EventStore + Send + 'static> Clone for Payer<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), last: Arc::clone(&self.last) }
    }
}

impl<S: EventStore + Send + 'static> fmt::Debug for Payer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payer").field("engines", &self.shared.seats).finish_non_exhaustive()
    }
}

/// What came of [`Payer::pay`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Paying {
    /// Accepted now, durably: it is handed over in the background.
    Accepted,
    /// Accepted before; this is how it stands. Nothing was done.
    Repeat(PaymentView),
}

impl<S: EventStore + Send + 'static> Payer<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Self {
        let last = Arc::new(StopAtLast(shared.stop.clone()));
        Self { shared, last }
    }

    /// Pays a request under the caller's id, once, or answers a repeat. The id is stored by the caller
    /// before the first call. Dropping the future loses nothing: either nothing was recorded, or the
    /// payment is made.
    ///
    /// # Errors
    /// [`PayError`]: this call sent nothing. If the ledger stopped answering, whether it was accepted is not known.
    pub async fn pay(&self, id: PaymentId, request: Request) -> Result<Paying, PayError> {
        self.send(Pay::new(id, request)).await
    }

    /// A new try of a failed payment: names the notification that said that it failed.
    ///
    /// # Errors
    /// As [`pay`](Self::pay).
    pub async fn pay_again(
        &self,
        id: PaymentId,
        request: Request,
        failed: NotificationId,
    ) -> Result<Paying, PayError> {
        self.send(Pay::new(id, request).again_after(failed)).await
    }

    async fn send(&self, send: Pay) -> Result<Paying, PayError> {
        let Shared { ledger, .. } = &*self.shared;
        let id = send.id;
        // A repeat is answered as a repeat, whatever its engine would say of it by now.
        let known = ledger.query_async(move |state| state.payment_view(&id).is_some()).await?;
        if !known || send.again_after.is_some() {
            let name = (self.shared.route)(&send.request);
            let Some(seat) = self.shared.seat(name.as_bytes()) else {
                return Err(PayError::NoEngine { name });
            };
            seat.check(&send.request)?;
        }
        let reply = ledger.execute_async(send, self.shared.now()).await?;
        self.shared.wake.notify_one();
        Ok(match reply {
            PayReply::Accepted => Paying::Accepted,
            PayReply::Duplicate(view) => Paying::Repeat(view),
        })
    }

    /// Asks that nothing more is tried. A request, not a result: what is out may still pay.
    ///
    /// # Errors
    /// For an unknown payment, or when the ledger answers nothing.
    pub async fn abandon(
        &self,
        id: PaymentId,
    ) -> Result<AbandonReply, ExecuteError<FactRefusal, Unavailable>> {
        let abandon = Abandon { id, reason: FailureReason::UserAbandoned };
        self.shared.ledger.execute_async(abandon, self.shared.now()).await
    }

    /// How a payment stands; `None` for one that the ledger does not know.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn payment_view(&self, id: PaymentId) -> Result<Option<PaymentView>, Unavailable> {
        self.shared.ledger.query_async(move |state| state.payment_view(&id)).await
    }

    /// Waits until a payment is paid or has failed.
    ///
    /// # Errors
    /// [`OutcomeError`] for a payment that the ledger does not know, or forgets meanwhile.
    pub async fn outcome(&self, id: PaymentId) -> Result<PaymentView, OutcomeError> {
        self.shared.ledger.outcome_async(id).await
    }

    /// The hand-overs of which no engine can tell any more what became of them, and why: an operator
    /// looks, and says. Known once their engine was asked.
    #[must_use]
    pub fn attention(&self) -> Vec<(PartId, Why)> {
        let mut all: Vec<_> = self.shared.minds().attention.iter().map(|(a, b)| (*a, *b)).collect();
        all.sort_unstable_by_key(|(part, _)| *part);
        all
    }

    /// An operator's word that a hand-over has failed, whose engine cannot tell: taken when it is at
    /// least 14 days old. Recorded with name and reason, and corrected should it be paid after all.
    ///
    /// # Errors
    /// [`AssertError`].
    pub async fn assert_failed(
        &self,
        part: PartId,
        assertion: Assertion,
    ) -> Result<FactReply, AssertError> {
        let owner = self.shared.ledger.query_async(move |state| state.owner_of(&part)).await?;
        let id = owner.ok_or(AssertError::UnknownPart { part })?;
        let failure = Failure { assertion: Some(assertion), ..Failure::default() };
        let fact = FailPart { id, part, failure };
        let reply = self.shared.ledger.execute_async(fact, self.shared.now()).await?;
        self.shared.minds().attention.remove(&part);
        Ok(reply)
    }

    /// The ledger: for listing, snapshots, its head, closing a gap. Parts are this payer's business:
    /// dispatch none.
    #[must_use]
    pub fn ledger(&self) -> &SharedLedger<S> {
        &self.shared.ledger
    }

    /// Stops in order: nothing new goes out, what is between its record and its call is finished,
    /// within [`Options::patience`]. The ledger stays open for those who have it; what is out goes on
    /// in its engine, and is followed up at the next start. What the [`Sink`](crate::Sink) has not taken by then
    /// is delivered at the next start, though [`outcome`](Self::outcome) has answered.
    pub async fn stop(&self) {
        self.shared.stop.send_replace(true);
        let mut tasks = {
            let mut held = self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *held)
        };
        let all = async { while tasks.join_next().await.is_some() {} };
        if timeout(self.shared.options.patience, all).await.is_err() {
            tracing::warn!("calls to engines were still under way at the end");
            tasks.shutdown().await;
        }
    }
}
