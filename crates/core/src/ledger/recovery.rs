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
    decide::refusal::{AbandonRefusal, FactRefusal},
    decide::reply::{AbandonReply, FactReply, WorkReply},
    ledger::ledger::{ExecuteError, Ledger},
    ledger::ledger_error::LedgerError,
    ledger::machine::Machine,
    log::store::EventStore,
    state::query::UnresolvedPart,
    state::state::State,
};

/// What the node answers for a part, or tells of one that the log lacks.
///
/// *Never sent* is [`WithdrawPart`], and may be given only when nobody else can still act on the
/// recorded dispatch: the process that recorded it is dead or fenced off from the channels; all
/// channel state is loaded and is the latest that any signature was based on; the log is not older
/// than the channel state; and every resolution that an engine still holds undelivered has been
/// told first. So it is given last, and refused while the log is Restored, which an adoption may
/// make it. *Still in flight* needs no answer: a part without one stays in flight. Unknown is
/// never resent and never refunded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Still in flight: records nothing.
    StillInFlight,
    /// Never sent.
    NeverSent(WithdrawPart),
    /// The payee took it.
    Claimed(ClaimPart),
    /// Off the channel after a claim.
    Gone(FinalizePart),
    /// Failed irrevocably.
    Failed(FailPart),
    /// Paid, proof unknown.
    Paid(MarkPaid),
    /// Given up by an engine, and why: told before its last part is failed.
    GivenUp(Abandon),
    /// An engine's report.
    Observed(ObservePart),
    /// The node has a part that the log lacks, or holds as over.
    Adopted(AdoptPart),
    /// The node has these known parts out.
    Listed(ListParts),
    /// A part is not of the payment under which it was told.
    NotOfPayment(DisownPart),
    /// Something is out under a hash of which no more is known.
    Blocked(BlockHash),
    /// A blocked hash is free.
    Released(UnblockHash),
}

impl Answer {
    /// A batch of answers with what it merely lists (adoptions of known parts that are out) put first,
    /// for many parts at once: a start then records one event for them, and the adoptions themselves
    /// have nothing to add. In a recovery the order of the two does not matter. Gives how many answers
    /// were put in front; their replies are nobody's.
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
        let never_refused = match self {
            Self::StillInFlight => {
                let reply = FactReply { changed: false, payment: None };
                return Ok(Decision::nothing(reply));
            }
            Self::NeverSent(fact) => return fact.decide(state, context),
            Self::Claimed(fact) => return fact.decide(state, context),
            Self::Gone(fact) => return fact.decide(state, context),
            Self::Failed(fact) => return fact.decide(state, context),
            Self::Paid(fact) => return fact.decide(state, context),
            Self::Listed(fact) => return fact.decide(state, context),
            Self::NotOfPayment(word) => return word.decide(state, context),
            Self::Observed(fact) => return fact.decide(state, context),
            Self::GivenUp(command) => return given_up(command, state, context),
            Self::Adopted(fact) => fact.decide(state, context),
            Self::Blocked(fact) => fact.decide(state, context),
            Self::Released(fact) => fact.decide(state, context),
        };
        never_refused.map_err(|never| match never {})
    }
}

fn given_up(
    command: Abandon,
    state: &State,
    context: &Context<'_>,
) -> Result<Decision<FactReply>, FactRefusal> {
    let id = command.id;
    match command.decide(state, context) {
        Ok(decision) => Ok(decision.map(|AbandonReply { changed, status }| FactReply {
            changed,
            payment: Some((id, status)),
        })),
        Err(AbandonRefusal::UnknownPayment { id }) => Err(FactRefusal::UnknownPayment { id }),
    }
}

/// A log that was opened and not yet vouched for: it lists what is out and takes the node's answers.
///
/// Answers are durable when the call returns. What [`finish`](Self::finish) postpones is the
/// conclusion: until then no payment becomes Failed and nothing is retried, and the order of the
/// answers does not matter.
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

    /// Takes a batch of answers, durable with one append when the call returns. Each has its own
    /// reply; a refused one records nothing.
    ///
    /// # Errors
    /// [`LedgerError`] when the store failed: the outcome of the batch is unknown, at most its
    /// first answers took effect, and the ledger is poisoned.
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

    /// Says that the user has handled notifications, as on a ledger.
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

    /// Asks the state.
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

    /// Takes the recovery apart, for runtimes of their own: the machine, the store, and whether the
    /// log lacks the head given at this opening. The runtime submits the [`Answer`]s, and
    /// [`FinishRecovery`] until nothing more is due.
    #[must_use]
    pub fn into_parts(self) -> (Machine, S, bool) {
        let (machine, store) = self.ledger.into_parts();
        (machine, store, self.restored)
    }

    /// Hands the store back without finishing: the next opening begins anew.
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
                Err(ExecuteError::Ledger(error)) => return Err(error),
            }
        }
    }

    /// Says that the caller has told the payments of the gap in a Restored log, and draws the
    /// conclusions that were withheld.
    ///
    /// # Errors
    /// [`LedgerError`] when the store failed; open the log again.
    pub fn close_gap(&mut self, now: UnixMillis) -> Result<(), LedgerError> {
        self.work_off(CloseGap, now)
    }
}
