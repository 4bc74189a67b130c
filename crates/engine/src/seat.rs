//! An engine's place behind a ledger: its name, its calls with their time-outs, its rest after one that
//! failed.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use payonce_core::{Label, LedgerId, Request, UnixMillis};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{
    engine::{
        Engine, EngineError, HandOver, Key, Lookup, PayAnswer, PaymentsPage, Promises, Refusal,
        Shown, Wire,
    },
    options::{Options, Pause},
    telemetry::{Call, EngineTelemetry},
};

/// Calls what is not ours: if it panics, the tasks that live on it go on.
pub(crate) async fn caught<T>(call: impl Future<Output = T>) -> Result<T, EngineError> {
    let what = |_| EngineError::Nonsense { what: "it panicked".into() };
    AssertUnwindSafe(call).catch_unwind().await.map_err(what)
}

/// An engine behind a ledger.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) name: String,
    pub(crate) engine: Arc<dyn Engine>,
    /// Whether it, and all that stood between, was started after the last writer of the ledger ended.
    pub(crate) started_after: bool,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) telemetry: EngineTelemetry,
    options: Options,
    /// After a question that was not answered.
    asking: Rest,
    /// After a saying that was not taken. An engine may answer every question and take nothing, for want of a
    /// right: each try is recorded.
    saying: Rest,
}

/// A rest that doubles with each failure in a row.
#[derive(Debug, Default)]
struct Rest(Mutex<Option<(Pause, Instant)>>);

impl Rest {
    fn is_on(&self) -> bool {
        self.locked().as_ref().is_some_and(|(_, until)| Instant::now() < *until)
    }

    fn end(&self) {
        *self.locked() = None;
    }

    fn begin(&self, first_and_most: (Duration, Duration)) {
        let mut rest = self.locked();
        let (mut pause, _) = rest.unwrap_or((Pause::new(first_and_most), Instant::now()));
        let until = Instant::now() + pause.take();
        *rest = Some((pause, until));
    }

    fn locked(&self) -> MutexGuard<'_, Option<(Pause, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub(crate) fn new(
        name: String,
        engine: Arc<dyn Engine>,
        started_after: bool,
        ledger: LedgerId,
        options: Options,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(options.hand_overs.max(1)));
        let telemetry = EngineTelemetry::of(ledger, &name);
        let (asking, saying) = (Rest::default(), Rest::default());
        Self { name, engine, started_after, permits, telemetry, options, asking, saying }
    }

    /// What is recorded with a hand-over to it.
    pub(crate) fn label(&self, mark: Option<u64>) -> Label {
        Label { engine: self.name.as_bytes().into(), mark }
    }

    /// Whether it can pay this exactly once.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Refusal> {
        // Two payments, both of which the engine makes, and nothing that is asked afterwards takes one back.
        if let Promises { key: Key::Nothing, wire: Wire::MayRepeat, .. } = self.engine.promises() {
            let why = "it notices no repeat, and what lies between may send one".to_owned();
            return Err(Refusal { why, permanent: true });
        }
        self.engine.check(request)
    }

    /// From when no request for this can come any more.
    pub(crate) fn closes_at(&self, request: &Request) -> Option<UnixMillis> {
        let margin = u64::try_from(self.options.lateness_margin.as_millis()).unwrap_or(u64::MAX);
        let refused = self.engine.refuses_late_from(request)?;
        Some(UnixMillis(refused.0.saturating_add(margin)))
    }

    /// Whether it is given nothing for now.
    pub(crate) fn is_resting(&self) -> bool {
        self.asking.is_on() || self.saying.is_on()
    }

    /// Whether it is asked nothing for now.
    pub(crate) fn is_silent(&self) -> bool {
        self.asking.is_on()
    }

    fn note<T>(&self, answer: Result<T, EngineError>) -> Result<T, EngineError> {
        match &answer {
            Ok(_) => self.asking.end(),
            Err(error) => {
                self.asking.begin(self.options.poll);
                tracing::warn!(engine = %self.name, %error, "an engine does not answer");
            }
        }
        answer
    }

    async fn call<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let after_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let late = |_| Err(EngineError::TimedOut { after_ms });
        timeout(limit, caught(call)).await.map_or_else(late, Result::flatten)
    }

    pub(crate) async fn find(&self, what: &Lookup) -> Result<Shown, EngineError> {
        let started = Instant::now();
        let shown = self.call(self.options.call_timeout, self.engine.find(what)).await;
        self.telemetry.asked(Call::Find, started.elapsed(), &shown);
        self.note(shown)
    }

    /// The engine's news, if it tells them.
    pub(crate) async fn wait(&self, what: &Lookup) -> Result<Option<Shown>, EngineError> {
        match timeout(self.options.wait_limit, caught(self.engine.wait(what))).await {
            Ok(news) => {
                let news = news.flatten();
                self.telemetry.asked(Call::Wait, Duration::ZERO, &news);
                self.note(news)
            }
            Err(_) => Ok(None),
        }
    }

    pub(crate) async fn list(&self, after: u64) -> Result<Option<PaymentsPage>, EngineError> {
        self.call(self.options.call_timeout, self.engine.list(after)).await
    }

    pub(crate) async fn pay(&self, hand_over: &HandOver) -> PayAnswer {
        let limit = self.options.call_timeout;
        let after_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let started = Instant::now();
        let paid = timeout(limit, caught(self.engine.pay(hand_over))).await;
        let late = Err(EngineError::TimedOut { after_ms });
        let answer = paid.unwrap_or(late).unwrap_or_else(PayAnswer::Unknown);
        self.telemetry.said(started.elapsed(), &answer);
        match &answer {
            PayAnswer::Unknown(error) | PayAnswer::NotNow(error) => {
                self.saying.begin(self.options.poll);
                tracing::warn!(engine = %self.name, %error, "an engine takes no hand-over");
            }
            _ => self.saying.end(),
        }
        answer
    }
}
