//! An engine's place behind a ledger: its name, its calls with their time-outs, its rest after one that
//! failed.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use payonce_core::{Label, Request, UnixMillis};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{
    engine::{Answer, Engine, EngineError, HandOver, Lookup, Page, Shown},
    options::{Options, Pause},
};

/// An engine behind a ledger.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) name: String,
    pub(crate) engine: Arc<dyn Engine>,
    /// Whether it, and all that stood between, was started after the last writer of the ledger ended.
    pub(crate) started_after: bool,
    pub(crate) permits: Arc<Semaphore>,
    options: Options,
    rest: Mutex<Option<(Pause, Instant)>>,
}

impl Seat {
    pub(crate) fn new(
        name: String,
        engine: Arc<dyn Engine>,
        started_after: bool,
        options: Options,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(options.hand_overs.max(1)));
        Self { name, engine, started_after, permits, options, rest: Mutex::new(None) }
    }

    /// What is recorded with a hand-over to it.
    pub(crate) fn label(&self, mark: Option<u64>) -> Label {
        Label { engine: self.name.as_bytes().into(), mark }
    }

    /// From when no request for this can come any more.
    pub(crate) fn closes_at(&self, request: &Request) -> Option<UnixMillis> {
        let margin = u64::try_from(self.options.lateness_margin.as_millis()).unwrap_or(u64::MAX);
        let refused = self.engine.refuses_late_from(request)?;
        Some(UnixMillis(refused.0.saturating_add(margin)))
    }

    pub(crate) fn is_resting(&self) -> bool {
        self.locked().as_ref().is_some_and(|(_, until)| Instant::now() < *until)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Option<(Pause, Instant)>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, answer: Result<T, EngineError>) -> Result<T, EngineError> {
        let mut rest = self.locked();
        match &answer {
            Ok(_) => *rest = None,
            Err(error) => {
                let (mut pause, _) =
                    rest.unwrap_or((Pause::new(self.options.poll), Instant::now()));
                let until = Instant::now() + pause.take();
                *rest = Some((pause, until));
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
        timeout(limit, call).await.unwrap_or_else(late)
    }

    pub(crate) async fn find(&self, what: &Lookup) -> Result<Shown, EngineError> {
        self.note(self.call(self.options.call_timeout, self.engine.find(what)).await)
    }

    /// The engine's news, if it tells them.
    pub(crate) async fn wait(&self, what: &Lookup) -> Result<Option<Shown>, EngineError> {
        match timeout(self.options.wait_limit, self.engine.wait(what)).await {
            Ok(news) => self.note(news),
            Err(_) => Ok(None),
        }
    }

    pub(crate) async fn list(&self, after: u64) -> Result<Option<Page>, EngineError> {
        self.call(self.options.call_timeout, self.engine.list(after)).await
    }

    pub(crate) async fn pay(&self, hand_over: &HandOver) -> Answer {
        let limit = self.options.call_timeout;
        let after_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let paid = timeout(limit, self.engine.pay(hand_over)).await;
        let answer = paid.unwrap_or(Answer::Unknown(EngineError::TimedOut { after_ms }));
        if let Answer::Unknown(error) | Answer::NotNow(error) = &answer {
            let _ = self.note::<()>(Err(error.clone()));
        }
        answer
    }
}
