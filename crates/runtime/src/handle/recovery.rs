//! Recovery through a shared handle: answers may come from several threads or tasks, an engine's
//! events among them, while the log is not yet vouched for.

use payonce_core::{
    Acknowledge, AcknowledgeRefusal, AcknowledgeReply, AdoptPart, Answer, EventStore, ExecuteError,
    FinishRecovery, Head, Ledger, LedgerId, OpenError, Opening, PartId, Recovery, Replay, Replies,
    State, UnixMillis, UnresolvedPart, WorkReply,
};

use crate::{
    base::error::Unavailable, base::options::Options, commit::upkeep::Upkeep,
    handle::handle::SharedLedger, open::replay::run_counted,
};

/// A log that was opened and not yet vouched for; [`finish`](Self::finish) gives the ledger. As
/// [`payonce_core::Recovery`], for many threads and tasks: clone it and give it away.
#[derive(Debug)]
pub struct SharedRecovery<S: EventStore + Send + 'static> {
    ledger: SharedLedger<S>,
    lacks_known_head: bool,
}

impl<S: EventStore + Send + 'static> Clone for SharedRecovery<S> {
    fn clone(&self) -> Self {
        Self { ledger: self.ledger.clone(), lacks_known_head: self.lacks_known_head }
    }
}

/// The parts that the node vouches for: it drives them.
fn adopted(answers: &[Answer]) -> Vec<PartId> {
    let adopted = answers.iter().filter_map(|answer| match answer {
        Answer::Adopted(AdoptPart { part, .. }) => Some(*part),
        _ => None,
    });
    adopted.collect()
}

impl<S: EventStore + Send + 'static> SharedLedger<S> {
    /// Opens a log for writing, as [`Ledger::open`] does, on the calling thread; a long log is folded
    /// on a second one while it is read.
    ///
    /// # Errors
    /// [`OpenError`] when the log is damaged or the store fails.
    ///
    /// # Panics
    /// If snapshots are to be taken and no thread can be started.
    pub fn open(
        store: S,
        opening: &Opening,
        options: Options,
        now: UnixMillis,
    ) -> Result<SharedRecovery<S>, OpenError> {
        let span = tracing::info_span!("payonce.open", ledger = %store.ledger_id());
        let _entered = span.enter();
        let mut upkeep = Upkeep::unknown();
        let run = |replay: &mut Replay, store: &S, stored| {
            let base_seq = store.base()?.map_or(0, |base| base.at.seq);
            let snapshot_seq = replay.state().head().seq;
            let since_snapshot = run_counted(replay, store, stored)?;
            upkeep = Upkeep::new(base_seq, snapshot_seq, since_snapshot);
            Ok(())
        };
        let recovery = Ledger::open_by(store, opening, now, run)?;
        tracing::info!(head = %recovery.head(), restored = recovery.lacks_known_head(), "opened");
        if let Some(stored) = opening.known_head.filter(|_| !recovery.lacks_known_head()) {
            upkeep.stored(stored);
        }
        Ok(SharedRecovery::new(recovery, options, upkeep))
    }
}

impl<S: EventStore + Send + 'static> SharedRecovery<S> {
    /// Shares a recovery that was begun by itself, as [`SharedLedger::from_ledger`] does a ledger.
    ///
    /// # Panics
    /// If snapshots are to be taken and no thread can be started.
    #[must_use]
    pub fn from_recovery(recovery: Recovery<S>, options: Options) -> Self {
        Self::new(recovery, options, Upkeep::unknown())
    }

    fn new(recovery: Recovery<S>, options: Options, upkeep: Upkeep) -> Self {
        let (machine, store, lacks_known_head) = recovery.into_parts();
        Self { ledger: SharedLedger::new(machine, store, options, upkeep), lacks_known_head }
    }

    /// Whether the log lacks the head given at this opening.
    #[must_use]
    pub const fn lacks_known_head(&self) -> bool {
        self.lacks_known_head
    }

    /// Every part that is in flight or claimed, oldest payment first.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn unresolved(&self) -> Result<Vec<UnresolvedPart>, Unavailable> {
        self.ledger.query(State::unresolved)
    }

    /// Whether the log lacks something that the node knew, now or at an earlier opening, and the
    /// gap is not closed.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn is_restored(&self) -> Result<bool, Unavailable> {
        self.ledger.query(State::is_restored)
    }

    /// The parts in flight that nobody drives, as on a ledger
    /// ([`undriven`](SharedLedger::undriven)).
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn undriven(&self) -> Result<Vec<UnresolvedPart>, Unavailable> {
        self.ledger.undriven()
    }

    /// Takes parts over that are still in flight, as on a ledger ([`drive`](SharedLedger::drive)).
    pub fn drive(&self, parts: impl IntoIterator<Item = PartId>) {
        self.ledger.drive(parts);
    }

    /// Takes a batch of answers, durable with one append when the call returns. Each has its own
    /// reply; a refused one records nothing.
    ///
    /// # Errors
    /// [`Unavailable`]; when poisoned, at most the first of them took effect.
    pub fn answer(
        &self,
        answers: impl IntoIterator<Item = Answer>,
        now: UnixMillis,
    ) -> Result<Replies<Answer>, Unavailable> {
        let answers: Vec<_> = answers.into_iter().collect();
        let adopted = adopted(&answers);
        let listed_first = |state: &State| Answer::listed_first(answers, state);
        let (answers, ahead) = self.ledger.query(listed_first)?;
        let mut replies = self.ledger.execute_all(answers, now)?;
        self.ledger.drive(adopted);
        Ok(replies.split_off(ahead))
    }

    /// [`answer`](Self::answer) for tasks.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub async fn answer_async(
        &self,
        answers: impl IntoIterator<Item = Answer>,
        now: UnixMillis,
    ) -> Result<Replies<Answer>, Unavailable> {
        let answers: Vec<_> = answers.into_iter().collect();
        let adopted = adopted(&answers);
        let listed_first = move |state: &State| Answer::listed_first(answers, state);
        let (answers, ahead) = self.ledger.query_async(listed_first).await?;
        let mut replies = self.ledger.execute_all_async(answers, now).await?;
        self.ledger.drive(adopted);
        Ok(replies.split_off(ahead))
    }

    /// Says that the user has handled notifications, as on a ledger.
    ///
    /// # Errors
    /// As [`SharedLedger::execute`].
    pub fn acknowledge(
        &self,
        command: Acknowledge,
        now: UnixMillis,
    ) -> Result<AcknowledgeReply, ExecuteError<AcknowledgeRefusal, Unavailable>> {
        self.ledger.execute(command, now)
    }

    /// [`acknowledge`](Self::acknowledge) for tasks.
    ///
    /// # Errors
    /// As [`SharedLedger::execute`].
    pub async fn acknowledge_async(
        &self,
        command: Acknowledge,
        now: UnixMillis,
    ) -> Result<AcknowledgeReply, ExecuteError<AcknowledgeRefusal, Unavailable>> {
        self.ledger.execute_async(command, now).await
    }

    /// Asks the state, as on a ledger.
    ///
    /// # Errors
    /// [`Unavailable`].
    ///
    /// # Panics
    /// If `ask` does.
    pub fn query<T>(&self, ask: impl FnOnce(&State) -> T) -> Result<T, Unavailable> {
        self.ledger.query(ask)
    }

    /// [`query`](Self::query) for tasks.
    ///
    /// # Errors
    /// [`Unavailable`].
    ///
    /// # Panics
    /// If `ask` does.
    pub async fn query_async<T>(&self, ask: impl FnOnce(&State) -> T) -> Result<T, Unavailable> {
        self.ledger.query_async(ask).await
    }

    /// The id of the ledger.
    #[must_use]
    pub fn ledger_id(&self) -> LedgerId {
        self.ledger.ledger_id()
    }

    /// The end of the log.
    #[must_use]
    pub fn head(&self) -> Head {
        self.ledger.head()
    }

    /// Draws the conclusions and gives the ledger. Parts without an answer stay in flight. Of several
    /// clones each may call it; what the others answer afterwards is a fact like any other.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn finish(self, now: UnixMillis) -> Result<SharedLedger<S>, Unavailable> {
        loop {
            match self.ledger.execute(FinishRecovery, now) {
                Ok(WorkReply { more: true }) => {}
                // Refused only where there is nothing to work off.
                Ok(WorkReply { more: false }) | Err(ExecuteError::Refused(_)) => {
                    return Ok(self.ledger);
                }
                Err(ExecuteError::Unavailable(unavailable)) => return Err(unavailable),
            }
        }
    }

    /// [`finish`](Self::finish) for tasks.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub async fn finish_async(self, now: UnixMillis) -> Result<SharedLedger<S>, Unavailable> {
        loop {
            match self.ledger.execute_async(FinishRecovery, now).await {
                Ok(WorkReply { more: true }) => {}
                Ok(WorkReply { more: false }) | Err(ExecuteError::Refused(_)) => {
                    return Ok(self.ledger);
                }
                Err(ExecuteError::Unavailable(unavailable)) => return Err(unavailable),
            }
        }
    }

    /// Closes the log without finishing and hands the store back: the next opening begins anew.
    /// `None` to all but the first who close it.
    #[must_use = "dropping the store closes it"]
    pub fn close(self) -> Option<S> {
        self.ledger.close()
    }
}
