//! Recovery is a type: opening gives one, and only finishing it gives a ledger (SEMANTICS 7).

use alloc::vec::Vec;

use crate::{
    base::amount::UnixMillis,
    base::head::Head,
    base::ids::PartId,
    base::limits,
    decide::command::{
        Abandon, Acknowledge, AdoptPart, BlockHash, ClaimPart, CloseGap, DisownPart, FailPart,
        FinalizePart, FinishRecovery, ListParts, MarkPaid, ObservePart, UnblockHash, WithdrawPart,
    },
    decide::decision::{Context, Decision},
    decide::operation::{Operation, sealed},
    decide::refusal::FactRefusal,
    decide::reply::{AbandonReply, FactReply, WorkReply},
    ledger::ledger::{ExecuteError, Ledger},
    ledger::ledger_error::LedgerError,
    ledger::machine::Machine,
    log::store::EventStore,
    state::query::UnresolvedPart,
    state::state::State,
};

/// What the node answers for a part, or reports about one that the log lacks.
///
/// *Never sent* is [`WithdrawPart`], and may be given only when nobody else can still act on the
/// recorded dispatch: the process that recorded it is dead or fenced off from the channels; all channel
/// state is loaded and is the latest that any signature was based on; the log is not older than the
/// channel state; and every resolution that an engine has not delivered yet has been reported first. So
/// give it last; it is refused while the log is Restored, which an adoption may cause. *Still in flight*
/// needs no answer: a part without one stays in flight. What is unknown is never sent again and never
/// refunded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Still in flight: records nothing, as no answer would.
    StillInFlight,
    /// It was never sent, and nobody can send it any more.
    NeverSent(WithdrawPart),
    /// The payee took it.
    Claimed(ClaimPart),
    /// Off the channel after a claim.
    Gone(FinalizePart),
    /// It failed irrevocably; a listing in the same recovery outweighs that.
    Failed(FailPart),
    /// The payment is paid, as the engine says, and the proof not known.
    Paid(MarkPaid),
    /// An engine gave the payment up, and why: answer it before the failure of its last part.
    GivenUp(Abandon),
    /// An engine's report on a part; it changes no status.
    Observed(ObservePart),
    /// The node has a part out that the log lacks, or has as resolved.
    Adopted(AdoptPart),
    /// The node has these known parts out.
    Listed(ListParts),
    /// A foreign part is not of the payment under whose id it was reported.
    NotOfPayment(DisownPart),
    /// Something is out under a hash about which nothing else is known.
    Blocked(BlockHash),
    /// Nothing is out any more under a blocked hash.
    Unblocked(UnblockHash),
}

impl Answer {
    /// Adds answers in front that list all known parts which the others merely adopt as out: then one
    /// event records many of them, and their own adoptions record nothing. The order does not matter in
    /// a recovery. Also returns how many answers were added; their replies come first and belong to no
    /// answer of the caller.
    #[must_use]
    pub fn listed_first(answers: Vec<Self>, state: &State) -> (Vec<Self>, usize) {
        let listed = answers.iter().filter_map(|answer| match answer {
            Self::Adopted(adopted) if state.is_news_to_list(&adopted.part) => Some(adopted.part),
            _ => None,
        });
        let mut listed: Vec<PartId> = listed.collect();
        listed.sort_unstable();
        listed.dedup();
        if listed.len() < 2 {
            return (answers, 0);
        }
        let lists = listed.chunks(limits::LISTED_PARTS);
        let mut all: Vec<_> =
            lists.map(|parts| Self::Listed(ListParts { parts: parts.to_vec() })).collect();
        let ahead = all.len();
        all.extend(answers);
        (all, ahead)
    }
}

impl sealed::Sealed for Answer {}

impl Operation for Answer {
    type Reply = FactReply;
    type Refusal = FactRefusal;

    fn decide(
        self,
        state: &State,
        context: &Context<'_>,
    ) -> Result<Decision<FactReply>, FactRefusal> {
        match self {
            Self::StillInFlight => {
                let reply = FactReply { changed: false, payment: None };
                Ok(Decision::nothing(reply))
            }
            Self::NeverSent(fact) => fact.decide(state, context),
            Self::Claimed(fact) => fact.decide(state, context),
            Self::Gone(fact) => fact.decide(state, context),
            Self::Failed(fact) => fact.decide(state, context),
            Self::Paid(fact) => fact.decide(state, context),
            Self::Listed(fact) => fact.decide(state, context),
            Self::NotOfPayment(word) => word.decide(state, context),
            Self::Observed(fact) => fact.decide(state, context),
            Self::GivenUp(command) => given_up(command, state, context),
            Self::Adopted(fact) => fact.decide(state, context).map_err(|never| match never {}),
            Self::Blocked(fact) => fact.decide(state, context),
            Self::Unblocked(fact) => fact.decide(state, context),
        }
    }
}

fn given_up(
    command: Abandon,
    state: &State,
    context: &Context<'_>,
) -> Result<Decision<FactReply>, FactRefusal> {
    let id = command.id;
    let decision = command.decide(state, context)?;
    Ok(decision
        .map(|AbandonReply { changed, status }| FactReply { changed, payment: Some((id, status)) }))
}

/// A log that was opened, before the node has reported: it lists what is out and takes the node's answers.
///
/// Answers are durable when the call returns. Conclusions are drawn only by [`finish`](Self::finish):
/// until then no payment becomes Failed and nothing is retried, and the order of the answers does not
/// matter.
#[derive(Debug)]
#[must_use = "a ledger is had by finishing its recovery"]
pub struct Recovery<S> {
    ledger: Ledger<S>,
    restored: bool,
}

impl<S: EventStore> Recovery<S> {
    pub(crate) const fn of(ledger: Ledger<S>, restored: bool) -> Self {
        Self { ledger, restored }
    }

    /// Every part that is in flight or claimed, oldest payment first.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger is poisoned or another writer has taken the log over.
    pub fn unresolved(&mut self) -> Result<Vec<UnresolvedPart>, LedgerError> {
        self.ledger.query(State::unresolved)
    }

    /// Whether the log lacks the head given at this opening.
    #[must_use]
    pub const fn lacks_known_head(&self) -> bool {
        self.restored
    }

    /// Whether the log lacks something that the node knew, now or at an earlier opening, and the
    /// gap is not closed.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger is poisoned or another writer has taken the log over.
    pub fn is_restored(&mut self) -> Result<bool, LedgerError> {
        self.ledger.query(State::is_restored)
    }

    /// Takes answers and makes them durable with one append. Each has its own reply; a refused one
    /// records nothing.
    ///
    /// # Errors
    /// [`LedgerError`] when the store failed: the outcome is unknown, at most the first answers took
    /// effect, and the ledger is poisoned.
    pub fn answer(
        &mut self,
        answers: impl IntoIterator<Item = Answer>,
        now: UnixMillis,
    ) -> Result<Vec<Result<FactReply, FactRefusal>>, LedgerError> {
        let state = self.ledger.machine().state();
        let (answers, ahead) = Answer::listed_first(answers.into_iter().collect(), state);
        let mut replies = self.ledger.execute_all(answers, now)?;
        Ok(replies.split_off(ahead))
    }

    /// Acknowledges notifications, as on a ledger.
    ///
    /// # Errors
    /// As [`Ledger::execute`].
    pub fn acknowledge(
        &mut self,
        command: Acknowledge,
        now: UnixMillis,
    ) -> Result<
        crate::decide::reply::AcknowledgeReply,
        ExecuteError<crate::decide::refusal::AcknowledgeRefusal>,
    > {
        self.ledger.execute(command, now)
    }

    /// Runs a query on the state.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger is poisoned or another writer has taken the log over.
    pub fn query<T>(&mut self, ask: impl FnOnce(&State) -> T) -> Result<T, LedgerError> {
        self.ledger.query(ask)
    }

    /// The end of the log.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.ledger.head()
    }

    /// Draws the conclusions and gives the ledger. Parts without an answer stay in flight.
    ///
    /// # Errors
    /// [`LedgerError`] when the store failed; open the log again.
    pub fn finish(mut self, now: UnixMillis) -> Result<Ledger<S>, LedgerError> {
        self.ledger.work_off(FinishRecovery, now)?;
        Ok(self.ledger)
    }

    /// Takes the recovery apart, for a runtime of your own: the machine, the store, and whether the
    /// log lacks the head given at this opening. The runtime submits the [`Answer`]s, and
    /// [`FinishRecovery`] until nothing more is due.
    #[must_use]
    pub fn into_parts(self) -> (Machine, S, bool) {
        let (machine, store) = self.ledger.into_parts();
        (machine, store, self.restored)
    }

    /// Returns the store without finishing: the next opening begins the recovery again.
    #[must_use]
    pub fn into_store(self) -> S {
        self.ledger.into_store()
    }
}

impl<S: EventStore> Ledger<S> {
    fn work_off<O>(&mut self, operation: O, now: UnixMillis) -> Result<(), LedgerError>
    where
        O: Operation<Reply = WorkReply> + Clone,
    {
        loop {
            match self.execute(operation.clone(), now) {
                Ok(WorkReply { more: true }) => {}
                // Refused only where there is nothing to work off.
                Ok(WorkReply { more: false }) | Err(ExecuteError::Refused(_)) => return Ok(()),
                Err(ExecuteError::Unavailable(error)) => return Err(error),
            }
        }
    }

    /// Says that the caller has reported the payments of the gap in a Restored log, and draws the
    /// conclusions that were withheld.
    ///
    /// # Errors
    /// [`LedgerError`] when the store failed; open the log again.
    pub fn close_gap(&mut self, now: UnixMillis) -> Result<(), LedgerError> {
        self.work_off(CloseGap, now)
    }
}
