//! Starting: a ledger is opened beside LDK's channel state, told what LDK still has to say, and
//! compared with what LDK tracks; then it may pay.

use core::{
    error::Error,
    fmt,
    ops::Deref,
    sync::atomic::{AtomicBool, Ordering},
};
use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use lightning::{
    bitcoin::{Network, constants::ChainHash},
    events::{ClosureReason, Event, ReplayEvent},
    sign::EntropySource,
};
use payonce_core::{EventStore, Opening, PartId, PartStatus, UnixMillis};
use payonce_runtime::{SharedLedger, SharedRecovery, Unavailable};
use tokio::sync::oneshot;

use crate::{
    bridge::engine::Engine,
    bridge::options::Options,
    events::book::{Book, InTask, OnThread, on_thread},
    events::handled::Handled,
    events::telling::{failed_part, tell_event},
    payer::compare::{StartReport, compare},
    payer::error::{HandleError, StartError},
    payer::payer::Payer,
};

/// A ledger that was opened and not yet compared with LDK: it takes events and pays nothing.
///
/// The order of a node's start, and what sees a wrong one:
///
/// 1. the **monitors**, all of them: LDK's manager cannot be read without;
/// 2. the **manager**, read by [`read_manager`](crate::read_manager), then blocks up to the tip, as
///    LDK's documentation says. A manager that was read once, and that LDK found to be older than a
///    monitor, is an error of `finish` where LDK says that something failed
///    ([`StartError::ManagerReadOnce`]);
/// 3. the **ledger**: [`in_store`](Self::in_store) or [`open`](Self::open), which take the manager;
/// 4. the **events** and LDK's list: [`finish`](Self::finish), before the background processor
///    starts and before any peer connects. Only it gives a [`Payer`], so nothing can be paid
///    before;
/// 5. the background processor, with [`Payer::handle_event`] first in its event handler; peers;
///    [`Payer::drive`].
#[must_use = "a payer is had by finishing its start"]
pub struct Starting<S: EventStore + Send + 'static, E, R> {
    recovery: SharedRecovery<S>,
    engine: E,
    entropy: R,
    options: Options,
    doubts: Doubts,
    without_head: bool,
    on_started: Option<OnStarted<S>>,
}

/// What a payer's ledger is given to, before anybody else has it.
type OnStarted<S> = Box<dyn FnOnce(&SharedLedger<S>) + Send + Sync>;

/// What LDK says in a start, and may not be so.
#[derive(Debug, Default)]
struct Doubts {
    /// LDK read a manager that is older than a monitor; what it says has failed from here on, it may
    /// have failed on reading.
    manager_was_older: AtomicBool,
    /// A failure was not believed.
    any: AtomicBool,
}

/// A payer, and what its start found out.
pub type Started<S, E, R> = (Payer<S, E, R>, StartReport);

/// A start that was not finished: nothing is lost, and it may be tried again.
pub struct Unfinished<S: EventStore + Send + 'static, E, R> {
    /// Why the start failed.
    pub error: StartError,
    /// What was to be finished.
    pub starting: Starting<S, E, R>,
}

// LDK's types have no `Debug`: none is asked of the engine and the entropy.
impl<S: EventStore + Send + 'static, E, R> fmt::Debug for Starting<S, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<S: EventStore + Send + 'static, E, R> fmt::Debug for Unfinished<S, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<S: EventStore + Send + 'static, E, R> fmt::Display for Unfinished<S, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S: EventStore + Send + 'static, E, R> Error for Unfinished<S, E, R> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Whether the engine's channels are on this network, if it says.
pub(crate) fn check_network<E: Engine + ?Sized>(
    engine: &E,
    node: Network,
) -> Result<(), StartError> {
    match engine.chain_hash() {
        Some(chain) if chain != ChainHash::using_genesis_block(node) => {
            Err(StartError::OtherNetwork { node, chain })
        }
        _ => Ok(()),
    }
}

impl<S, E, R> Starting<S, E, R>
where
    S: EventStore + Send + 'static,
    E: Deref<Target: Engine>,
    R: Deref<Target: EntropySource>,
{
    /// Opens the ledger for the channels that the engine has loaded. `opening` holds the head that
    /// is stored with the channels. `entropy` is LDK's own.
    ///
    /// # Errors
    /// [`StartError::OtherNetwork`], before anything is opened; [`StartError::Open`] when the log is damaged
    /// or the store fails.
    pub fn open(
        store: S,
        opening: &Opening,
        engine: E,
        entropy: R,
        options: Options,
        now: UnixMillis,
    ) -> Result<Self, StartError> {
        check_network(&*engine, options.network)?;
        let recovery = SharedLedger::open(store, opening, options.ledger, now)?;
        Ok(Self::of(recovery, opening, engine, entropy, options))
    }

    /// [`open`](Self::open) for tasks: the log is read on a thread of its own.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`StartError::NoThread`].
    ///
    /// # Panics
    /// If reading the log does.
    pub async fn open_async(
        store: S,
        opening: &Opening,
        engine: E,
        entropy: R,
        options: Options,
        now: UnixMillis,
    ) -> Result<Self, StartError> {
        check_network(&*engine, options.network)?;
        let (opened, result) = oneshot::channel();
        let (given, sharing) = (opening.clone(), options.ledger);
        let open = move || {
            // Whoever asked may be gone: the log is closed again then.
            let _unheard = opened.send(SharedLedger::open(store, &given, sharing, now));
        };
        let thread = thread::Builder::new().name(String::from("payonce-open"));
        thread.spawn(open).map_err(StartError::NoThread)?;
        let recovery = result.await.expect("the thread that opens the log has panicked")?;
        Ok(Self::of(recovery, opening, engine, entropy, options))
    }

    fn of(
        recovery: SharedRecovery<S>,
        opening: &Opening,
        engine: E,
        entropy: R,
        options: Options,
    ) -> Self {
        let without_head = opening.known_head.is_none();
        let doubts = Doubts::default();
        Self { recovery, engine, entropy, options, doubts, without_head, on_started: None }
    }

    /// With somebody who is given the ledger once the start is finished.
    pub(crate) fn on_started(
        mut self,
        given: impl FnOnce(&SharedLedger<S>) + Send + Sync + 'static,
    ) -> Self {
        self.on_started = Some(Box::new(given));
        self
    }

    /// Takes an event of LDK before the start is finished, as [`Payer::handle_event`] does after.
    ///
    /// # Errors
    /// As [`Payer::handle_event`].
    pub fn handle_event(&self, event: &Event, now: UnixMillis) -> Result<Handled, HandleError> {
        on_thread(self.handle_at(&OnThread(&self.recovery), event, now))
    }

    /// [`handle_event`](Self::handle_event) for tasks.
    ///
    /// # Errors
    /// As [`Payer::handle_event`].
    pub async fn handle_event_async(
        &self,
        event: &Event,
        now: UnixMillis,
    ) -> Result<Handled, HandleError> {
        self.handle_at(&InTask(&self.recovery), event, now).await
    }

    async fn handle_at(
        &self,
        book: &impl Book,
        event: &Event,
        now: UnixMillis,
    ) -> Result<Handled, HandleError> {
        if let Event::ChannelClosed { reason: ClosureReason::OutdatedChannelManager, .. } = event {
            self.doubts.manager_was_older.store(true, Ordering::Relaxed);
        }
        if let Some(part) = self.doubted(book, event).await? {
            self.doubts.any.store(true, Ordering::Relaxed);
            return Ok(Handled::NotBelieved { part });
        }
        let paths = self.options.path_reports;
        Ok(tell_event(book, &*self.engine, event, paths, now).await?.0)
    }

    /// The hand-over of which a failure is not to be believed: LDK queues that it closed the channel
    /// before what it failed on reading.
    async fn doubted(
        &self,
        book: &impl Book,
        event: &Event,
    ) -> Result<Option<PartId>, Unavailable> {
        let was_older = self.doubts.manager_was_older.load(Ordering::Relaxed);
        let Some(part) = failed_part(event).filter(|_| was_older) else { return Ok(None) };
        if self.options.manager_read_twice {
            return Ok(None);
        }
        let status = book.ask(move |state| state.part(&part).map(|(_, status)| status)).await?;
        Ok((status == Some(PartStatus::InFlight)).then_some(part))
    }

    /// The ledger, for what the node itself knows of a gap.
    #[must_use]
    pub const fn recovery(&self) -> &SharedRecovery<S> {
        &self.recovery
    }

    /// Takes every event that LDK holds, compares the ledger with what LDK tracks, draws the
    /// conclusions, and gives a payer. Each event is recorded first and then given to `others`, the
    /// node's own handler.
    ///
    /// # Errors
    /// [`Unfinished`], which gives the starting back: [`StartError::EventsUndelivered`] when
    /// `others` refused an event, since what is queued behind it is not known then;
    /// [`StartError::ManagerReadOnce`] when LDK may have failed what is out;
    /// [`StartError::Interrupted`] when the store failed.
    #[expect(clippy::result_large_err, reason = "the starting is given back, once at a start")]
    pub fn finish(
        self,
        others: impl Fn(Event) -> Result<(), ReplayEvent>,
        now: UnixMillis,
    ) -> Result<Started<S, E, R>, Unfinished<S, E, R>> {
        let stopped = Stopped::default();
        self.engine.deliver_events(&|event| {
            let handled = self.handle_event(&event, now);
            if stopped.by(handled)? {
                others(event).inspect_err(|_| stopped.because(StartError::EventsUndelivered))?;
            }
            Ok(())
        });
        let report = match self.delivered(stopped) {
            Ok(()) => on_thread(self.compare_at(&OnThread(&self.recovery), now)),
            Err(error) => Err(error),
        };
        let report = match report {
            Ok(report) => report,
            Err(error) => return Err(Unfinished { error, starting: self }),
        };
        let finished = self.recovery.clone().finish(now);
        self.started(finished, report)
    }

    /// [`finish`](Self::finish) for tasks; `others` is the node's own async handler.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    ///
    /// # Panics
    /// If an engine of your own keeps the handler after it has delivered; LDK does not.
    pub async fn finish_async<F>(
        self,
        others: impl Fn(Event) -> F,
        now: UnixMillis,
    ) -> Result<Started<S, E, R>, Unfinished<S, E, R>>
    where
        F: Future<Output = Result<(), ReplayEvent>>,
    {
        // Owned by each handler: a future that borrows them could not move between threads.
        let shared = Arc::new((self, others, Stopped::default()));
        let handlers = Arc::clone(&shared);
        let handle = move |event: Event| {
            let shared = Arc::clone(&handlers);
            async move {
                let (starting, others, stopped) = &*shared;
                let handled = starting.handle_event_async(&event, now).await;
                if stopped.by(handled)? {
                    let other = others(event).await;
                    other.inspect_err(|_| stopped.because(StartError::EventsUndelivered))?;
                }
                Ok(())
            }
        };
        shared.0.engine.deliver_events_async(handle).await;
        let (starting, _, stopped) = Arc::into_inner(shared).expect("every handler is over");
        starting.finish_delivered(stopped, now).await
    }

    async fn finish_delivered(
        self,
        stopped: Stopped,
        now: UnixMillis,
    ) -> Result<Started<S, E, R>, Unfinished<S, E, R>> {
        let report = match self.delivered(stopped) {
            Ok(()) => self.compare_at(&InTask(&self.recovery), now).await,
            Err(error) => Err(error),
        };
        let report = match report {
            Ok(report) => report,
            Err(error) => return Err(Unfinished { error, starting: self }),
        };
        let finished = self.recovery.clone().finish_async(now).await;
        self.started(finished, report)
    }

    /// Whether LDK has told all that it holds, and all of it can be believed.
    fn delivered(&self, stopped: Stopped) -> Result<(), StartError> {
        match stopped.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None if self.doubts.any.load(Ordering::Relaxed) => Err(StartError::ManagerReadOnce),
            None => Ok(()),
        }
    }

    async fn compare_at(
        &self,
        book: &impl Book,
        now: UnixMillis,
    ) -> Result<StartReport, StartError> {
        let report = compare(book, &*self.engine, self.options.channel_state, now).await?;
        Ok(StartReport { without_head: self.without_head, ..report })
    }

    #[expect(clippy::result_large_err, reason = "the starting is given back, once at a start")]
    fn started(
        self,
        finished: Result<SharedLedger<S>, Unavailable>,
        report: StartReport,
    ) -> Result<Started<S, E, R>, Unfinished<S, E, R>> {
        match finished {
            Ok(ledger) => {
                let unknown = report.unknown.iter().copied().collect();
                let Self { engine, entropy, options, on_started, .. } = self;
                if let Some(given) = on_started {
                    given(&ledger);
                }
                Ok((Payer::new(ledger, engine, entropy, options, unknown), report))
            }
            Err(error) => Err(Unfinished { error: error.into(), starting: self }),
        }
    }
}

/// Why the events stopped, if they did.
#[derive(Default)]
struct Stopped(Mutex<Option<StartError>>);

impl Stopped {
    fn because(&self, error: StartError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Whether the event goes on to the node's own handler: nobody is told what is not believed.
    fn by(&self, handled: Result<Handled, HandleError>) -> Result<bool, ReplayEvent> {
        match handled {
            Ok(handled) => Ok(!matches!(handled, Handled::NotBelieved { .. })),
            Err(HandleError(error)) => {
                self.because(error.into());
                Err(ReplayEvent())
            }
        }
    }
}
